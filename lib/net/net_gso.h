/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A frame of TCP that is longer than the port's become frames: what a card with TSO does, for ports without it.
 * Few at a time, as there is room and memory; each is one piece, complete with its checksums.
 */

#ifndef NET_GSO_H
#define NET_GSO_H

#include "net_head.h"

struct net_gso {
	struct rte_mbuf *m; /* NULL: nothing is being cut */
	struct net_head h;
	uint16_t size; /* payload of a segment */
	uint16_t nb; /* segments that have been made */
	uint32_t done; /* payload that is in them */
};

/* Take a frame over that net_sum_finish() has approved of. */
void net_gso_begin(struct net_gso *g, struct rte_mbuf *m);
/* The next one; the last one ends it. NULL: no memory now */
struct rte_mbuf *net_gso_next(struct net_gso *g, struct rte_mempool *pool);
/* Forget what is left. */
void net_gso_drop(struct net_gso *g);

#endif
