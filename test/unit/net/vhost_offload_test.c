/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the kernel leaves to the face of vhost-net: checksums, and frames that are to be cut. */

#include <rte_ethdev.h>

#include "frames.h"
#include "nic_pool.h"
#include "uvhost.h"

static void
send_unfinished(
	struct uvhost *t, const struct frame_spec *s, uint16_t size, struct rte_mempool *pool)
{
	struct rte_mbuf *m = frame_make(s, pool, 1400);
	struct mpn_nic_info info;

	assert_non_null(m);
	m->l2_len = 14;
	m->l3_len = s->v6 ? 40 : 20;
	m->l4_len = 20;
	m->tso_segsz = size;
	m->ol_flags = RTE_MBUF_F_TX_TCP_CKSUM | (s->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
	if (size != 0)
		m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	mpn_nic_get_info(t->nic[HOST], &info);
	assert_int_equal(rte_eth_tx_burst(info.port_id, 0, &m, 1), 1);
}

/* @return frames that came in order, from *next on */
static unsigned
count_right(struct uvhost *t, uint32_t *next, uint32_t end)
{
	unsigned n = 0;

	for (unsigned rounds = 0; *next != end && rounds < 200000; rounds++) {
		uint32_t seq, bytes;
		struct rte_mbuf *m;
		uint8_t flags;

		probe_poll(t->nic, NICS, 1);
		while (net_rx_burst(t->dev[PEER], &m, 1) == 1) {
			assert_true(m->nb_segs == 1 && m->pkt_len <= 1514);
			if (!frame_is_right(rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len, &seq,
				    &bytes, &flags))
				fail_msg("%s is wrong", frame_fault);
			assert_int_equal(seq, *next);
			*next += bytes;
			n++;
			rte_pktmbuf_free(m);
		}
	}
	assert_int_equal(*next, end);
	return n;
}

static void
test_what_the_kernel_leaves_is_done(void **state)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"unfinished", 511, 0, 0, RTE_PKTMBUF_HEADROOM + 1500, (int)rte_socket_id());
	const struct net_stats *stats;
	struct uvhost t;

	assert_non_null(pool);
	uvhost_open(&t);
	stats = net_device_get_stats(t.dev[NIC]);
	for (unsigned i = 0; i < 8; i++) {
		struct frame_spec s = {
			.v6 = i & 1, .bytes = 60000, .partial = true, .seq = i << 28};
		uint32_t next = s.seq;

		memset(s.dst, 0xff, sizeof(s.dst));
		send_unfinished(&t, &s, 1000, pool);
		assert_int_equal(count_right(&t, &next, s.seq + s.bytes), 60);
		s.seq = next;
		s.bytes = 300;
		send_unfinished(&t, &s, 0, pool);
		assert_int_equal(count_right(&t, &next, s.seq + s.bytes), 1);
	}
	assert_int_equal(stats->tx_segmented, 8);
	assert_true(stats->tx_summed >= 8);
	assert_int_equal(stats->tx_malformed + stats->tx_long + stats->tx_unable, 0);
	uvhost_close(&t);
	mpn_nic_pool_retire(pool);
}

/* Nobody asked for it: the driver agrees on nothing of the kind with the kernel. */
static void
test_a_kernel_that_leaves_nothing(void **state)
{
	struct uvhost t;

	memset(&t, 0, sizeof(t));
	uvhost_load(&t, HOST, "ring=128");
	for (unsigned on = 0; on < 2; on++) {
		uvhost_load(&t, NIC,
			on ? "tap=" UVHOST_IFACE ",vhost=on,offload=on"
			   : "tap=" UVHOST_IFACE ",vhost=on,offload=off");
		assert_int_equal(t.dev[NIC]->offers_sums, on);
		assert_int_equal(t.dev[NIC]->offers_tso, on);
		assert_int_equal(mpn_personality_unload(t.p[NIC]), 0);
	}
	uvhost_close(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_kernel_leaves_is_done),
		cmocka_unit_test(test_a_kernel_that_leaves_nothing),
	};

	if (!uvhost_can_run())
		return 77;
	return cmocka_run_group_tests_name("vhost_offload", tests, uvhost_start, probe_eal_stop);
}
