/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the files of the virtual network share. */

#ifndef VNET_INT_H
#define VNET_INT_H

#include <stdlib.h>
#include <string.h>

#include "vnet.h"

#define VOLUME_BYTES (1ull << 30)
#define CHANNEL_FRAMES 16 /* what a sender puts on its link ahead of time */
#define LOG_FRAMES 4096 /* that go-back-N may have to repeat, a power of two */
#define GBN_WINDOW 1024
#define GBN_TIMEOUT_NS 5000000
#define RTO_MIN_NS 2000000
#define OPEN_NS 5000000000ull
#define TARGET VNET_MAX_INI /* number of its node */

struct frame {
	struct frame *next;
	uint32_t len;
	uint64_t seq; /* in its channel */
	uint8_t to;
	_Alignas(8) uint8_t hdr[XFER_TX_ROOM];
};

enum kind { EV_WAKE, EV_SENT, EV_SWITCH, EV_ARRIVE, EV_ACK, EV_NAK, EV_DISK };

struct event {
	uint64_t at_ns;
	uint64_t order; /* first come, first served */
	enum kind kind;
	unsigned node;
	uint64_t seq;
	void *what;
};

/* From a node to its link. */
struct channel {
	struct frame *
		log[LOG_FRAMES]; /* by seq: to be sent, and with go-back-N kept until it has come */
	uint64_t base, cursor, next; /* not acknowledged, to be sent next, end */
	uint64_t expected; /* by the receiver */
	uint64_t naked; /* the gap it has complained about, ~0: none */
	uint64_t progress_ns;
	bool busy;
};

struct request {
	struct xfer_cmd cmd; /* first */
	struct ini *ini;
	uint64_t start_ns;
};

struct ini {
	struct xfer_ini *eng;
	struct vnet *net;
	unsigned node;
	uint64_t bytes;
	struct request requests[VNET_DEPTH_MAX];
};

struct vnet {
	const struct vnet_conf *conf;
	struct vnet_result *result;
	uint64_t now_ns;
	uint64_t random;
	uint64_t begin_ns, end_ns; /* of what is measured */
	struct xfer_tgt *tgt;
	struct ini ini[VNET_MAX_INI];
	struct channel channel[VNET_MAX_INI + 1];
	uint64_t wake_ns[VNET_MAX_INI + 1]; /* an event is under way for it */
	uint64_t port_free_ns; /* the switch's port to the target */
	uint64_t queued; /* bytes in it */
	uint64_t bufs;
	unsigned nb_bufs;
	struct event *heap;
	unsigned nb_events, size;
	uint64_t order;
	struct frame *free;
};

/* vnet.c */
uint64_t vnet_draw(struct vnet *n);
void
vnet_push(struct vnet *n, uint64_t at_ns, enum kind kind, unsigned node, uint64_t seq, void *what);
/* The last byte of a station's address tells its node. */
void vnet_make_mac(uint8_t mac[6], unsigned node);

/* vnet_ends.c */
void vnet_submit(struct request *q);
int vnet_make_target(struct vnet *n);
int vnet_make_initiator(struct vnet *n, unsigned i);

#endif
