/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What both ends of the ceiling share: their frames, and how they get to and from the port. */

#ifndef BARE_PORT_H
#define BARE_PORT_H

#include <rte_mbuf.h>

#include "bare.h"
#include "nic_internal.h"

#define BARE_HDR_LEN 64
#define BARE_NAME_LEN 64
#define BARE_RX_BURST (MPN_BURST / 2) /* as the pipeline */
#define BARE_STASH 64
#define BARE_QUEUES 2
#define BARE_EXT_MIN 512 /* payload below is copied, as the storage personality does */
#define BARE_GRANT_FRAMES 16 /* frames a GRANT asks for */
#define BARE_RUN_MAX_MS 60000

enum bare_kind {
	BARE_START,
	BARE_STARTED,
	BARE_STOP,
	BARE_STOPPED,
	BARE_READ,
	BARE_WRITE,
	BARE_WRITE_CMD,
	BARE_DATA,
	BARE_GRANT,
	BARE_DONE,
};

/* Starts every frame. Both ends run on machines of the same byte order: it is no wire format. */
struct bare_frame {
	uint8_t dst[6];
	uint8_t src[6];
	uint16_t type; /* network byte order */
	uint8_t kind;
	uint8_t last; /* DATA of a write: nothing follows */
	uint32_t tag; /* the requester's, comes back */
	uint32_t len; /* of the command, bytes */
	uint64_t addr;
	uint32_t off; /* of the payload in the command */
	uint32_t unit; /* START: payload bytes in a frame */
	uint32_t ms; /* START: give up after */
	int32_t status; /* STARTED: 0 or -errno */
	uint64_t bytes; /* STARTED: there are so many */
	uint8_t zero[8];
};
static_assert(sizeof(struct bare_frame) == BARE_HDR_LEN, "a header is a cache line");

struct bare_stash {
	struct rte_mempool *pool;
	unsigned nb;
	struct rte_mbuf *mbufs[BARE_STASH];
};

/* Frames for one queue, and those it did not take yet, in order. */
struct bare_out {
	unsigned nb;
	struct rte_mbuf *mbufs[MPN_BURST];
};

struct bare_port {
	struct mpn_nic *nic;
	unsigned nb_queues; /* the last one has the frames with payload */
	unsigned patience; /* empty rounds in a row before others have their turn */
	bool iova_is_va;
	bool strangers; /* frames for the pipeline have come */
	struct bare_stash hdr; /* headers */
	struct bare_stash ext; /* payload by reference */
	struct bare_stash big; /* whole frames with copied payload */
	struct bare_out out[BARE_QUEUES];
	struct bare_frame hello; /* header of the next frame but for what is told */
};

/* Frames of the given payload unit. 0, -EINVAL (unit), -ENOMEM */
int bare_port_init(struct bare_port *p, struct mpn_nic *nic, uint32_t unit) MPN_MUST_CHECK;
void bare_port_fini(struct bare_port *p);

/* Take the port from the pipeline. 0, -EBUSY */
int bare_port_take(struct bare_port *p, struct nic_bypass *bypass) MPN_MUST_CHECK;
void bare_port_give(struct bare_port *p, struct nic_bypass *bypass);

/* Frames of ours that have come, at most BARE_RX_BURST; others go to the pipeline. */
unsigned bare_receive(struct bare_port *p, struct rte_mbuf **mbufs);

/* May so many frames be made now, with and without payload? */
static inline bool
bare_has_room(const struct bare_port *p)
{
	return p->out[0].nb < MPN_BURST && p->out[p->nb_queues - 1].nb < MPN_BURST;
}

/*
 * The next frame, without payload or with len bytes at data. Room must be there.
 * @return its header but for the addresses; NULL: out of frames
 */
struct bare_frame *bare_make(struct bare_port *p, enum bare_kind kind);
struct bare_frame *bare_make_data(struct bare_port *p, enum bare_kind kind,
	const struct bare_memory *mem, uint64_t at, uint32_t len);

/* A frame that begins or ends a run, from memory that is always there; payload NULL: none. */
void bare_send_control(struct mpn_nic *nic, const uint8_t dst[6], const struct bare_frame *f,
	const char payload[BARE_NAME_LEN]);

/* Offer what is made to the port. @return frames taken */
unsigned bare_send(struct bare_port *p);

/* Commands and payload units fit the port and each other. */
bool bare_unit_fits(const struct mpn_nic *nic, uint32_t unit);
static inline uint32_t
bare_command_max(uint32_t unit)
{
	return MPN_MIN(64 * unit, BARE_COMMAND_MAX);
}

static inline const struct bare_frame *
bare_header(const struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, const struct bare_frame *);
}

#endif
