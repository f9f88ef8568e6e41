/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Frames for the host's kernel that say more than their bytes: whose checksum has been verified, and several
 * of one TCP connection that go as one. A frame that is merged costs a few hundred instructions, one that goes
 * through the kernel by itself several thousand.
 */

#ifndef NET_MERGE_H
#define NET_MERGE_H

#include <linux/virtio_net.h>

#include "net_head.h"

struct net_merge {
	struct virtio_net_hdr hdr; /* for the kernel */
	uint16_t head_len; /* instead of so many bytes of the first frame; 0: it goes as it is */
	uint8_t head[NET_MAX_HEAD];
	uint32_t data_len[MPN_BURST]; /* of each frame, behind as many bytes of header */
};

/*
 * How many at the beginning go as one, at most MPN_BURST; each of several is one piece. port_verifies: what the flags
 * of a frame say about its checksum is the port's word. Nothing of the frames is written.
 */
unsigned
net_merge_next(struct net_merge *g, struct rte_mbuf *const *mbufs, unsigned n, bool port_verifies);

#endif
