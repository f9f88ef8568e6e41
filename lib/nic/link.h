/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Links by name: one row of link_kinds[] per kind says how a port is made of it and what its driver
 * wants to be handled differently.
 */

#ifndef LINK_H
#define LINK_H

#include <stdatomic.h>

#include "mpn_nic.h"

#define LINK_ARG_LEN 200
#define LINK_MAX_OPTS 8
/* A frame of this MTU and its headroom fit the 16 bits of an mbuf's length. */
#define LINK_MAX_MTU 65024

/* Quirks of a driver. */
enum link_quirk {
	LINK_NEEDS_PCI = 1 << 0, /* the EAL must scan the PCI bus */
	LINK_POLL_STATE = 1 << 1, /* its state is known only by asking; the question repairs it */
	LINK_MTU_BY_ARGS = 1 << 2, /* the driver's own MTU limits are wrong: devargs decide */
	LINK_SOFT_MAC = 1 << 3, /* our station address is not the driver's */
	LINK_PA_OK = 1 << 4, /* a real device: leave the choice of IO addresses to the EAL */
};

struct link_opt {
	char key[16];
	char value[64];
};

/* "KIND:ARG[,key=value...]" taken apart. */
struct link_spec {
	const struct link_kind *kind;
	char text[256]; /* as the user wrote it */
	char arg[LINK_ARG_LEN];
	unsigned nb_opts;
	struct link_opt opts[LINK_MAX_OPTS];
};

/* What the port is made for. */
struct link_want {
	bool server;
	uint16_t mtu;
	uint16_t nb_rxd;
	uint16_t nb_txd;
};

struct link {
	struct link_spec spec;
	struct link_want want;
	uint16_t port_id;
	uint16_t max_mtu; /* 0: what the driver says; may be lowered by open() */
	char dev_name[64]; /* of the vdev or PCI device */
	bool plugged; /* we plugged the device in: we unplug it */
	atomic_bool *dirty; /* of the NIC: set when the state may have changed */
	void *priv; /* of the kind */
};

struct link_kind {
	struct mpn_link_kind pub;
	unsigned quirks;
	uint16_t max_mtu; /* 0: what the driver says */
	uint16_t nb_rxd; /* default, 0: NIC_DEFAULT_RXD */
	uint16_t nb_txd; /* default, 0: NIC_DEFAULT_TXD */
	const char *const *keys; /* options it knows, NULL-terminated; NULL: none */
	int (*open)(struct link *l);
	void (*close)(struct link *l);
	/* Anything to do once the port has started; may be NULL. */
	int (*started)(struct link *l);
	/* NULL: ask ethdev. */
	bool (*is_up)(struct link *l);
};

/* Take a link string apart; logs what is wrong with it. 0, -EINVAL */
int link_parse(const char *text, struct link_spec *spec) MPN_MUST_CHECK;
/* Quirks of the kind, and those of the device a raw link names. */
unsigned link_quirks(const struct link_spec *spec);
/* Value of an option, or dflt. */
const char *link_opt(const struct link_spec *spec, const char *key, const char *dflt);

/* The n-th row of the table, NULL at the end. */
const struct link_kind *link_kind_at(unsigned n);

/* Make the port. One line is logged on failure. */
struct link *
link_open(const struct link_spec *spec, const struct link_want *want, atomic_bool *dirty);
/* Close the port, unplug the device, free the link. The port must be stopped. NULL is allowed. */
void link_close(struct link *l);

/* For the rows: plug a virtual device in and find its port. */
int link_plug(struct link *l, const char *driver, const char *args) MPN_MUST_CHECK;

/* link_ring.c */
int ring_open(struct link *l);
void ring_close(struct link *l);
bool ring_is_up(struct link *l);

#endif
