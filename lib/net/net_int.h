/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What the files of lib/net share. Everything runs on the NIC's thread but the two bursts of the
 * library's face, which share only rings with it.
 */

#ifndef NET_INT_H
#define NET_INT_H

#include <stdatomic.h>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "mpn_net.h"
#include "net_gso.h"
#include "net_watch.h"

#define NET_DEFAULT_RING 256
#define NET_MAX_RING 1024

struct net_device;
struct net_iface;

/* How the interface looks from the host's side. One per face. */
struct net_face {
	const char *name;
	/* Logs what is wrong. */
	int (*open)(struct net_device *dev, const struct net_conf *conf);
	void (*close)(struct net_device *dev);
	/* Hand frames to the host. @return how many it took, the first ones */
	unsigned (*deliver)(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n);
	/* Take frames the host sends. */
	unsigned (*collect)(
		struct net_device *dev, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns);
	/* Frames wait that were not collected. */
	bool (*waits)(const struct net_device *dev);
	/* Free what waits in both directions: it is stopped. */
	void (*flush)(struct net_device *dev);
	/* The link has come or gone. */
	void (*set_link)(struct net_device *dev, bool up);
};

struct net_device {
	struct mpn_personality *pers;
	struct mpn_nic *nic;
	const struct net_face *face;
	uint32_t max_frame;
	bool multi_segs;
	bool link_up;
	atomic_bool open; /* started: the host's frames are taken */
	/* of the port */
	uint16_t port_id;
	bool port_sums;
	bool port_cuts;
	bool port_verifies;
	/* of the face */
	bool offers_sums; /* the host need not fill in checksums */
	bool offers_tso; /* nor cut up what is too long */
	bool merges; /* it is handed several frames as one */
	struct rte_mempool *pool; /* for what the host sends; NULL: the frames are its own */
	struct net_gso gso;
	uint16_t held_at; /* the first one of held[] that has not been looked at */
	uint16_t nb_held;
	struct rte_mbuf *held[MPN_BURST];
	struct net_stats stats;
	/* the kernel's faces */
	char name[16];
	uint8_t mac[6]; /* the port's */
	bool follows; /* what the host does to its interface */
	uint64_t next_look_ns;
	struct net_watch watch;
	struct net_tap *tap;
	struct net_vhost *vhost;
	/* the library's face */
	uint32_t ring_len;
	struct rte_ring *rx;
	struct rte_ring *tx;
};

/* net_lib.c */
extern const struct net_face net_lib_face;

/* net_tap.c */
extern const struct net_face net_tap_face;

/* net_vhost.c */
extern const struct net_face net_vhost_face;

/* What carries the frames to the kernel. Tests put something else in its place. */
struct net_vhost_way {
	const char *path; /* opened for reading and writing to see whether the kernel has it */
	const char *driver;
	/* Write the driver's arguments. */
	void (*write_args)(
		char *args, size_t size, const char *path, const char *iface, const uint8_t mac[6]);
	/* Its port is started: do frames pass? */
	bool (*is_running)(const struct net_iface *iface);
};

extern struct net_vhost_way net_vhost_way;

/* net_follow.c: what the host does to its interface, from now on until the end */
void net_follow_begin(struct net_device *dev, const struct net_iface *iface);
void net_follow_end(struct net_device *dev);
/* It is time to look. */
void net_follow(struct net_device *dev, uint64_t now_ns);

/* net_check.c */
/*
 * May it be sent? If not, or if it has to be cut and dev->gso has it now, it is not the caller's any more. Nothing
 * may be in dev->gso.
 */
bool net_check_tx(struct net_device *dev, struct rte_mbuf *m) MPN_MUST_CHECK;

/* net_tx.c */
/* Frames for the port, at most n, at most MPN_BURST. *found: the work that there was */
unsigned net_take_tx(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns,
	unsigned *found);
/* Taken from the host, and still to be sent; forget it. */
bool net_holds_tx(const struct net_device *dev);
void net_drop_tx(struct net_device *dev);

#endif
