/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A network card with buffer split that is none: a port of rings, of which the library is told more than
 * it has. What its flow rule matches is written into headers and pages as a card would. The test is linked
 * with --wrap for the calls of ethdev that this takes.
 */

#ifndef CARD_H
#define CARD_H

#include <rte_ethdev.h>

#define CARD_MAX_RING 1024

struct card {
	char link[96]; /* of the card, and of the port at the other end */
	char peer_link[64];

	/* What it can, set by card_create() to all there is. */
	const char *driver;
	uint64_t port_capa, queue_capa;
	struct rte_eth_rxseg_capa seg_capa;
	uint16_t max_rx_queues;
	uint16_t desc_align;
	unsigned descs_per_frame; /* descriptors are counted by frame or by segment */
	bool no_rules;

	/* What it was told. */
	uint64_t port_offloads, queue_offloads;
	uint16_t nb_rx_queues;
	uint16_t nb_desc; /* of the data queue */
	unsigned nb_pairs;
	uint32_t seg_len[2];
	struct rte_mempool *pools[2];
	unsigned starts;
	bool has_rule;
	uint16_t rule_type;
	int32_t rule_offset;
	uint8_t rule_pattern, rule_mask;

	/* What became of frames. */
	uint64_t split, dropped, too_long;
	unsigned lose_every; /* 0: none of them is lost */

	/* its own */
	uint16_t ports[2];
	struct rte_ring *rings[2];
	struct rte_mempool *plain;
	uint16_t (*receive)(void *queue, struct rte_mbuf **mbufs, uint16_t n);
	struct rte_mbuf *ring[CARD_MAX_RING][2];
	unsigned at;
	struct rte_mbuf *arrived[CARD_MAX_RING];
	unsigned nb_arrived;
};

/* There is one at a time; its link has place=pairs. */
struct card *card_create(unsigned pairs);
/* No NIC uses it any more. */
void card_destroy(struct card *c);

#endif
