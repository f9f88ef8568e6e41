/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A personality outside the tree, whole in one file: questions, which are broadcasts of its type, go back
 * to who asked. With ask=N it asks N of them itself. Also in a process of its own, on a link remote:PATH.
 *
 *	mpnic> personality define all ./personality-echo.so
 *	mpnic> personality load net_ring0 echo ask=1000
 *	mpnic> personality start net_ring0 echo
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <mpnic/mpn_personality.h>

#define ECHO_TYPE 0x88b5 /* IEEE 802 local experimental 1 */
#define FRAME_BYTES 64

struct echo {
	struct rte_mempool *pool; /* of who asks */
	struct rte_ether_addr mac;
	unsigned to_ask, answered, answers;
};

static int
load(struct mpn_personality *p, const void *args)
{
	struct echo *e = mpn_personality_priv(p);
	struct mpn_nic_info info;

	(void)args;
	mpn_nic_get_info(mpn_personality_nic(p), &info);
	memcpy(&e->mac, info.mac, sizeof(e->mac));
	return 0;
}

static int
load_text(struct mpn_personality *p, const char *options)
{
	struct echo *e = mpn_personality_priv(p);
	char end;

	if (sscanf(options, "ask=%u%c", &e->to_ask, &end) != 1)
		return -EINVAL;
	/* It stays for the next one: frames may be on their way when this one is unloaded. */
	e->pool = rte_mempool_lookup("echo");
	if (e->pool == NULL)
		e->pool = rte_pktmbuf_pool_create("echo", 2047, 0, 0, 2048, SOCKET_ID_ANY);
	return e->pool != NULL ? load(p, NULL) : -ENOMEM;
}

static int
start(struct mpn_personality *p)
{
	return mpn_personality_priv(p) != NULL ? 0 : -EINVAL;
}

static void
stop(struct mpn_personality *p)
{
	((struct echo *)mpn_personality_priv(p))->to_ask = 0;
}

static unsigned
poll(struct mpn_personality *p, uint64_t now_ns)
{
	struct echo *e = mpn_personality_priv(p);
	struct rte_ether_hdr *eth;
	struct rte_mbuf *m = NULL;

	(void)now_ns;
	if (e->to_ask > 0 && mpn_flow_tx_room(p) > 0)
		m = rte_pktmbuf_alloc(e->pool);
	if (m == NULL)
		return 0;
	eth = (struct rte_ether_hdr *)memset(rte_pktmbuf_append(m, FRAME_BYTES), 0, FRAME_BYTES);
	memset(&eth->dst_addr, 0xff, sizeof(eth->dst_addr));
	eth->src_addr = e->mac;
	eth->ether_type = rte_cpu_to_be_16(ECHO_TYPE);
	e->to_ask -= mpn_flow_tx(p, &m, 1);
	return 1;
}

static void
rx_burst(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct echo *e = mpn_personality_priv(p);

	(void)now_ns;
	for (unsigned i = 0; i < n; i++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbufs[i], struct rte_ether_hdr *);
		int question = rte_is_broadcast_ether_addr(&eth->dst_addr);

		eth->dst_addr = eth->src_addr;
		eth->src_addr = e->mac;
		if (question && mpn_flow_tx(p, &mbufs[i], 1) == 1) {
			e->answered++; /* the frame is the flow's now */
			continue;
		}
		e->answers += !question;
		rte_pktmbuf_free(mbufs[i]);
	}
}

static void
print(struct mpn_personality *p, struct mpn_out *o)
{
	mpn_out_u64(o, "answered", ((struct echo *)mpn_personality_priv(p))->answered);
	mpn_out_u64(o, "answers", ((struct echo *)mpn_personality_priv(p))->answers);
}

static const uint16_t types[] = {ECHO_TYPE};
static const struct mpn_personality_ops echo_ops = {MPN_ABI_VERSION, "echo", MPN_PERS_UNSOLICITED,
	types, 1, sizeof(struct echo), load, .unload = stop, .start = start, .stop = stop,
	.rx_burst = rx_burst, .poll = poll, .print = print, .load_text = load_text};
MPN_PERSONALITY_PLUGIN(echo_ops)
