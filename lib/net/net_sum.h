/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What the host has left undone of a frame: its checksum, and to cut it up. It is the port's where the port
 * can, and done here where it cannot: nothing incomplete leaves.
 */

#ifndef NET_SUM_H
#define NET_SUM_H

#include <linux/virtio_net.h>

#include "net_head.h"
#include "net_int.h"

/*
 * Read what the kernel says in front of a frame that it hands over. Of the frame, which nobody else sees, either the
 * flags say what is left to do, or it is complete. False: it does not make sense.
 */
bool net_sum_take(
	struct net_device *dev, struct rte_mbuf *m, const struct virtio_net_hdr *v) MPN_MUST_CHECK;
/* The same of a frame that came through a port which says it by the flags of received ones. */
bool net_sum_take_flags(struct net_device *dev, struct rte_mbuf *m) MPN_MUST_CHECK;

/*
 * What a frame asks for in its flags: do it, or see that the port does. NULL, or the counter of what is wrong. A
 * frame that has RTE_MBUF_F_TX_TCP_SEG after this on a port without it is for net_gso_begin().
 */
uint64_t *net_sum_finish(struct net_device *dev, struct rte_mbuf *m) MPN_MUST_CHECK;

/* Are the bytes of TCP or UDP what their checksum says? */
bool net_sum_is_right(const struct rte_mbuf *m, const struct net_head *h) MPN_MUST_CHECK;

#endif
