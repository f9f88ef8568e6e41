/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A network card that is none: a port of rings, of which the library is told more than it has. Either it has
 * buffer split, and what its flow rule matches is written into headers and pages as a card would; or it has
 * several queues, and rules that bring frame types and VLANs to them. The test is linked with --wrap for the calls
 * of ethdev that this takes.
 */

#ifndef CARD_H
#define CARD_H

#include <rte_ethdev.h>

#define CARD_MAX_RING 1024
#define CARD_MAX_QUEUES 5
#define CARD_MAX_RULES 16
#define CARD_QUEUE_LEN 128

/* What brings frames to a queue. */
struct card_rule {
	uint16_t queue; /* 0: there is no rule here */
	uint16_t type; /* behind the tags; 0: any */
	unsigned nb_tags;
	uint16_t vid[2];
	/* of the card with buffer split: these bits of a byte behind the Ethernet header, too */
	int32_t offset;
	uint8_t pattern, mask;
};

/* What waits in a queue. */
struct card_queue {
	struct rte_mbuf *mbufs[CARD_QUEUE_LEN];
	unsigned nb;
	uint64_t frames;
};

struct card {
	char link[96]; /* of the card, and of the port at the other end */
	char peer_link[64];

	/* What it can, set by card_create() to all there is. */
	const char *driver;
	uint64_t port_capa, queue_capa;
	uint64_t tx_capa; /* beside what a ring can: none */
	struct rte_eth_rxseg_capa seg_capa;
	uint16_t max_rx_queues;
	uint16_t desc_align;
	unsigned descs_per_frame; /* descriptors are counted by frame or by segment */
	bool no_rules;
	bool no_vlan_rules;
	bool steers; /* has queues and rules, and no buffer split */
	bool steers_wrong; /* to any queue but the right one */

	/* What it was told. */
	uint64_t port_offloads, queue_offloads, tx_offloads;
	uint16_t nb_rx_queues;
	uint16_t nb_desc; /* of the data queue */
	unsigned nb_pairs;
	uint32_t seg_len[2];
	struct rte_mempool *pools[2];
	unsigned starts;
	struct card_rule rules[CARD_MAX_RULES];
	unsigned nb_rules;

	/* What became of frames. */
	uint64_t split, dropped, too_long;
	unsigned lose_every; /* 0: none of them is lost */

	/* its own */
	uint16_t ports[2];
	struct rte_ring *rings[2];
	struct rte_mempool *plain;
	struct card_queue queues[CARD_MAX_QUEUES];
	void *first; /* the first queue, as ethdev knows it */
	uint16_t (*receive)(void *queue, struct rte_mbuf **mbufs, uint16_t n);
	struct rte_mbuf *ring[CARD_MAX_RING][2];
	unsigned at;
	struct rte_mbuf *arrived[CARD_MAX_RING];
	unsigned nb_arrived;
};

/* There is one at a time; its link has place=pairs. */
struct card *card_create(unsigned pairs);
/* Or queues=queues, and no buffer split. */
struct card *card_create_steering(unsigned queues);
/* No NIC uses it any more. */
void card_destroy(struct card *c);

/* For card.c and card_flow.c: the card, if there is one; is it this port; where does a frame go? */
extern struct card *card;
bool card_is(uint16_t port);
uint16_t card_find_queue(const struct rte_mbuf *m);

#endif
