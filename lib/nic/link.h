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
#define LINK_MEMBERS 2 /* of a bond */
/* A frame of this MTU and its headroom fit the 16 bits of an mbuf's length. */
#define LINK_MAX_MTU 65024

/* Quirks of a driver. */
enum link_quirk {
	LINK_NEEDS_PCI = 1 << 0, /* the EAL must scan the PCI bus */
	LINK_SOFT_MAC = 1 << 1, /* our station address is not the driver's */
	LINK_PROMISCUOUS = 1 << 2, /* ask for all frames: groups would not come otherwise */
	LINK_DEVARGS = 1 << 3, /* the argument goes to DPDK, commas and all, except for its keys */
	LINK_NO_MEMBER = 1 << 4, /* cannot be part of a bond */
};

/* For an error line: the link, its kind. */
#define LINK_NEEDS_ROOT "link '%s': %s needs root (CAP_NET_ADMIN and CAP_NET_RAW)"

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
	/* while there is nobody at the other end, as in struct mpn_nic_conf */
	uint64_t wait_ms;
	int (*background)(void *arg);
	void *background_arg;
};

/* The ring of descriptors that a user of vhost receives into, as far as it can be seen from here. */
struct link_user {
	atomic_int vid; /* the driver's number of the user; below 0: there is none */
	atomic_bool looks; /* somebody is looking at its ring */
	atomic_uint nb; /* that have come so far */
	unsigned looked_at; /* the number of the one that the others are of */
	unsigned most; /* descriptors in it that are free when it has taken all frames */
	uint16_t posted; /* by it, at the last look, modulo 65536 */
	unsigned free; /* at the last look */
	uint64_t since_ns; /* neither has changed since then */
	unsigned batch; /* it posts so many at a time at least */
	unsigned ignored; /* frames that it may have taken all the same */
};

struct link {
	struct link_spec spec;
	struct link_want want;
	uint16_t port_id;
	uint16_t max_mtu; /* 0: what the driver says; open() may set it */
	uint32_t frame_room; /* bytes the driver may put into one mbuf, when more than a frame */
	bool needs_replug; /* the driver cannot find a lost peer again */
	bool can_replug; /* a new device can be put in */
	bool wants_restart; /* the port must be stopped and started again before the next peer comes */
	bool sends_always; /* the driver sends frames of its own, when it is called */
	unsigned nb_up; /* members of a bond that have a link */
	atomic_bool gone; /* the device was removed; written by any thread */
	uint8_t queues; /* to receive on behind the first one, if the port takes rules; see rx_queue.c */
	uint16_t place; /* pairs of the data queue to receive on, see nic_post.h; 0: none */
	bool split; /* the port splits frames for it and must be told which */
	bool data_tx; /* the peer may have a data queue */
	atomic_bool data_up; /* and has one now */
	struct link_user user; /* of a vhost link */
	char dev_name[64]; /* of the vdev or PCI device */
	uint64_t owner_id; /* ours, as ethdev knows owners of ports */
	bool plugged; /* we plugged the device in: we unplug it */
	atomic_bool *dirty; /* of the NIC: set when the state may have changed */
	uint8_t mac[6]; /* what the NIC's address must be; 0: the link does not say */
	uint16_t mtu; /* its MTU, unless somebody wants another one; 0 */
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
	/* Take the device out; NULL: link_unplug(). The port is stopped. */
	void (*unplug)(struct link *l);
	/* Put a new one in when the device or the peer was lost; NULL: it cannot be. Never waits. */
	int (*replug)(struct link *l);
	/* NULL: ask ethdev. */
	bool (*is_up)(struct link *l);
	/* The port has been stopped, as the link wanted it (wants_restart). */
	void (*stopped)(struct link *l);
	/* Frames sent on the first queue that the peer has not taken; NULL: there is no telling. */
	unsigned (*unsent)(struct link *l, uint64_t now_ns);
	/*
	 * Once in a round, on the NIC's thread: carry frames between the port and what is behind it, where no
	 * driver does. Received ones are made from pool. alive: every stage has had a round since it was last.
	 * @return work done
	 */
	unsigned (*pump)(struct link *l, struct rte_mempool *pool, bool alive, uint64_t now_ns);
};

/* Take a link string apart; logs what is wrong with it. 0, -EINVAL */
int link_parse(const char *text, struct link_spec *spec) MPN_MUST_CHECK;
/* The PCI device a link needs, NULL: none. */
const char *link_pci_device(const struct link_spec *spec);
/* Value of an option, or dflt. */
const char *link_opt(const struct link_spec *spec, const char *key, const char *dflt);

/* Does it start as an address on the PCI bus does: DDDD:BB:DD.F or BB:DD.F? */
bool link_is_pci_address(const char *s);

/* Read place=PAIRS, at most max, into l->place. Logs what is wrong. 0, -EINVAL */
int link_read_place(struct link *l, uint64_t max) MPN_MUST_CHECK;

/* Read queues=N, dflt without it, into l->queues. Logs what is wrong. 0, -EINVAL */
int link_read_queues(struct link *l, const char *dflt) MPN_MUST_CHECK;

/* The n-th row of the table, NULL at the end. */
const struct link_kind *link_kind_at(unsigned n);

/* Make the port. One line is logged on failure. */
struct link *
link_open(const struct link_spec *spec, const struct link_want *want, atomic_bool *dirty);
/* Close the port, unplug the device, free the link. The port must be stopped. NULL is allowed. */
void link_close(struct link *l);

/* What the driver says of the link; nothing else is asked. */
bool link_driver_is_up(const struct link *l);
/* The peer is lost, and the driver cannot find it again: take the device out, */
void link_lose(struct link *l);
/* and put a new one in if the peer is back. l->port_id may change. 0, -errno: not yet */
int link_revive(struct link *l) MPN_MUST_CHECK;

/* For the rows: plug a virtual device in and find its port. The second one logs nothing. */
int link_plug(struct link *l, const char *driver, const char *args) MPN_MUST_CHECK;
int link_try_plug(struct link *l, const char *driver, const char *args) MPN_MUST_CHECK;
void link_unplug(struct link *l);

/* The largest of 9000 and 1500 that is at most max; max itself when it is smaller than both. */
uint16_t link_usual_mtu(uint16_t max);

/* link_ring.c */
int ring_open(struct link *l);
void ring_close(struct link *l);
bool ring_is_up(struct link *l);
unsigned ring_unsent(struct link *l, uint64_t now_ns);

/* link_virtio.c */
int vhost_open(struct link *l);
void vhost_unplug(struct link *l);
int vhost_replug(struct link *l);
unsigned vhost_unsent(struct link *l, uint64_t now_ns);
int virtio_open(struct link *l);

/* link_memif.c */
int memif_open(struct link *l);
void memif_unplug(struct link *l);
bool memif_is_up(struct link *l);
void memif_stopped(struct link *l);
unsigned memif_pump(struct link *l, struct rte_mempool *pool, bool alive, uint64_t now_ns);

/* link_kernel.c */
int tap_open(struct link *l);
int af_packet_open(struct link *l);
int af_packet_replug(struct link *l);
int af_xdp_open(struct link *l);
int af_xdp_replug(struct link *l);
bool iface_is_up(struct link *l);

/* link_bond.c */
int bond_open(struct link *l);
void bond_close(struct link *l);
bool bond_is_up(struct link *l);
/* The n-th part of a bond. false: there is none, or the link is no bond */
bool link_get_member(const struct link *l, unsigned n, struct mpn_member_info *info);

/* link_remote.c */
int remote_link_open(struct link *l);
void remote_link_close(struct link *l);
bool remote_link_is_up(struct link *l);
unsigned remote_link_unsent(struct link *l, uint64_t now_ns);
unsigned remote_link_pump(struct link *l, struct rte_mempool *pool, bool alive, uint64_t now_ns);

/* link_dev.c */
int pci_open(struct link *l);
int dev_open(struct link *l);
int dev_replug(struct link *l);

#endif
