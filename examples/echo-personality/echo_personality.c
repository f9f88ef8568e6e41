/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A personality of your own in one file: it claims an ethertype, and sends back what it is asked to.
 * Two NICs that a ring joins try it out: one asks, the other one answers. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>
#include <rte_ether.h>
#include <mpnic/mpn_nic.h>
#include <mpnic/mpn_personality.h>

#define FRAMES 1000u
#define ECHO_TYPE 0x88b5 /* IEEE 802 local experimental 1 */

struct echo {
	const struct rte_ether_addr *peer; /* whom to ask; NULL: answer */
	struct rte_mempool *pool;
	unsigned sent, received;
};

static const uint16_t types[] = {ECHO_TYPE};

static int
load(struct mpn_personality *p, const void *args)
{
	((struct echo *)mpn_personality_priv(p))->peer = args;
	return 0;
}

static int
start(struct mpn_personality *p)
{
	struct echo *e = mpn_personality_priv(p);

	if (e->peer != NULL)
		e->pool = rte_pktmbuf_pool_create("echo", 2047, 0, 0, 2048, SOCKET_ID_ANY);
	return e->pool != NULL || e->peer == NULL ? 0 : -ENOMEM;
}

static void
stop(struct mpn_personality *p)
{
	(void)p;
}

/* Once per round: ask, when we are the one who does. */
static unsigned
poll(struct mpn_personality *p, uint64_t now_ns)
{
	struct echo *e = mpn_personality_priv(p);
	struct rte_ether_hdr *eth;
	struct rte_mbuf *m = NULL;

	(void)now_ns;
	if (e->peer != NULL && e->sent < FRAMES && mpn_flow_tx_room(p) > 0)
		m = rte_pktmbuf_alloc(e->pool);
	if (m == NULL)
		return 0;
	eth = (struct rte_ether_hdr *)memset(rte_pktmbuf_append(m, 64), 0, 64);
	eth->dst_addr = *e->peer;
	eth->ether_type = rte_cpu_to_be_16(ECHO_TYPE);
	e->sent += mpn_flow_tx(p, &m, 1);
	return 1;
}

/* The frames are ours: they are sent, or freed. */
static void
rx_burst(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct echo *e = mpn_personality_priv(p);
	unsigned i, sent = 0;

	(void)now_ns;
	e->received += n;
	for (i = 0; i < n && e->peer == NULL; i++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbufs[i], struct rte_ether_hdr *);
		memset(&eth->dst_addr, 0xff, sizeof(eth->dst_addr)); /* to whoever is there */
	}
	if (e->peer == NULL)
		sent = mpn_flow_tx(p, mbufs, n);
	rte_pktmbuf_free_bulk(mbufs + sent, n - sent);
}

static const struct mpn_personality_ops echo_ops = {MPN_ABI_VERSION, "echo", MPN_PERS_UNSOLICITED,
	types, 1, sizeof(struct echo), load, .unload = stop, .start = start, .stop = stop,
	.rx_burst = rx_burst, .poll = poll};

int
main(void)
{
	struct mpn_eal_conf eal = {.prog = "echo", .link = "ring:echo", .lcore = -1};
	struct mpn_nic_conf conf = {.link = "ring:echo"};
	struct mpn_personality *p[2];
	struct mpn_nic_info info;
	struct mpn_nic *nic[2];
	unsigned i, got;

	if (mpn_personality_register(&echo_ops) != 0 || mpn_eal_start(&eal) != 0)
		return EXIT_FAILURE;
	for (i = 0; i < 2; i++) {
		nic[i] = mpn_nic_create(&conf);
		if (nic[i] == NULL || mpn_personality_define(nic[i], "echo", "echo", &p[i]) != 0 ||
			mpn_personality_load(p[i], i == 0 ? NULL : info.mac) != 0 ||
			mpn_personality_start(p[i]) != 0 || mpn_nic_start(nic[i]) != 0)
			return EXIT_FAILURE;
		mpn_nic_get_info(nic[0], &info);
	}
	for (i = 0; i < 100 * FRAMES; i++)
		mpn_nic_poll(nic[i % 2]);
	got = ((struct echo *)mpn_personality_priv(p[1]))->received;
	printf("%u frames sent, %u came back\n", FRAMES, got);
	mpn_nic_destroy(nic[1]);
	mpn_nic_destroy(nic[0]);
	mpn_eal_stop();
	return got == FRAMES ? EXIT_SUCCESS : EXIT_FAILURE;
}
