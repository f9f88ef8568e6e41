/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Frames between the port and the host, by the face of vhost-net. */

#include "nic_pool.h"
#include "uvhost.h"

#define TYPE 0x88b7 /* nobody's */
#define RING 128

static bool
send_frame(struct uvhost *t, unsigned from, uint32_t number, uint32_t len)
{
	struct rte_mbuf *m = probe_frame(t->nic[from], NULL, TYPE, number, len);

	assert_non_null(m);
	if (net_tx_burst(t->dev[from], &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

static unsigned
free_received(struct uvhost *t, unsigned which)
{
	struct rte_mbuf *mbufs[RING];
	unsigned n = net_rx_burst(t->dev[which], mbufs, RING);

	rte_pktmbuf_free_bulk(mbufs, n);
	return n;
}

static uint32_t
length_of(uint32_t number)
{
	return 60 + number % 1455;
}

static void
check_frame(struct uvhost *t, unsigned from, const struct rte_mbuf *m, uint32_t number)
{
	struct rte_mbuf *sent = probe_frame(t->nic[from], NULL, TYPE, number, length_of(number));
	uint8_t frame[1514];

	assert_int_equal(m->pkt_len, length_of(number));
	assert_memory_equal(rte_pktmbuf_read(m, 0, m->pkt_len, frame),
		rte_pktmbuf_mtod(sent, void *), m->pkt_len);
	rte_pktmbuf_free(sent);
}

/* The kernel sends frames of its own when an interface comes up, but not to this one. */
static void
carry(struct uvhost *t, unsigned from, unsigned to, uint32_t frames)
{
	uint32_t sent = 0, got = 0;
	struct rte_mbuf *m;

	for (unsigned rounds = 0; got < frames && rounds < 1000000; rounds++) {
		while (sent < frames && sent - got < RING / 2 &&
			send_frame(t, from, sent, length_of(sent)))
			sent++;
		probe_poll(t->nic, NICS, 1);
		while (net_rx_burst(t->dev[to], &m, 1) == 1) {
			check_frame(t, from, m, got++);
			rte_pktmbuf_free(m);
		}
	}
	assert_int_equal(got, frames);
}

static void
test_frames_come_whole_and_in_order(void **state)
{
	const struct net_stats *stats;
	struct uvhost t;

	uvhost_open(&t);
	carry(&t, PEER, HOST, 3000);
	carry(&t, HOST, PEER, 3000);
	stats = net_device_get_stats(t.dev[NIC]);
	assert_int_equal(stats->rx_frames, 3000);
	assert_int_equal(stats->tx_frames, 3000);
	assert_int_equal(stats->rx_dropped, 0);
	assert_int_equal(stats->rx_bytes, stats->tx_bytes);
	uvhost_close(&t);
}

/* Frames the host does not take are lost and counted; not one is when the personality is unloaded. */
static void
test_a_host_that_takes_nothing(void **state)
{
	struct rte_mempool *pool;
	const struct net_stats *stats;
	unsigned before;
	struct uvhost t;

	uvhost_open(&t);
	pool = mpn_nic_rx_pool(t.nic[PEER]);
	before = rte_mempool_in_use_count(pool);
	for (uint32_t i = 0; i < 2000; i++) {
		assert_true(send_frame(&t, PEER, i, 60));
		probe_poll(t.nic, HOST, 2);
	}
	stats = net_device_get_stats(t.dev[NIC]);
	assert_int_equal(stats->rx_frames + stats->rx_dropped, 2000);
	/* The port's memory is not all the host's. */
	assert_in_range(stats->rx_frames, 64, 256);
	assert_in_range(rte_mempool_in_use_count(pool), before, before + 256);
	assert_int_equal(mpn_personality_stop(t.p[NIC]), 0);
	assert_int_equal(mpn_personality_unload(t.p[NIC]), 0);
	assert_int_equal(rte_mempool_in_use_count(pool), before);
	uvhost_close(&t);
}

/* The ring is empty again as soon as the host goes on. */
static void
test_a_host_that_was_late(void **state)
{
	const struct net_stats *stats;
	struct uvhost t;

	uvhost_open(&t);
	for (uint32_t i = 0; i < 300; i++) {
		assert_true(send_frame(&t, PEER, i, 60));
		probe_poll(t.nic, HOST, 2);
	}
	stats = net_device_get_stats(t.dev[NIC]);
	assert_true(stats->rx_dropped > 0);
	for (unsigned i = 0; i < 100; i++) {
		probe_poll(t.nic, NICS, 2);
		(void)free_received(&t, HOST);
	}
	carry(&t, PEER, HOST, 300);
	uvhost_close(&t);
}

static void
test_what_waits_at_start_is_old(void **state)
{
	struct uvhost t;

	uvhost_open(&t);
	assert_int_equal(mpn_personality_stop(t.p[NIC]), 0);
	for (uint32_t i = 0; i < 20; i++)
		assert_true(send_frame(&t, HOST, i, 60));
	probe_poll(t.nic, NICS, 4);
	assert_int_equal(mpn_personality_start(t.p[NIC]), 0);
	probe_poll(t.nic, NICS, 4);
	assert_int_equal(free_received(&t, PEER), 0);
	carry(&t, HOST, PEER, 10);
	uvhost_close(&t);
}

/* vhost-net could not read it. */
static void
test_memory_that_is_not_dpdks(void **state)
{
	static struct rte_mbuf_ext_shared_info info;
	static uint8_t outside[2048];
	struct rte_mbuf *m, *head;
	struct uvhost t;

	uvhost_open(&t);
	for (unsigned round = 0; round < 2; round++) {
		m = probe_frame(t.nic[PEER], NULL, TYPE, 0, length_of(0));
		memcpy(outside, rte_pktmbuf_mtod(m, void *), m->pkt_len);
		rte_pktmbuf_reset(m);
		info.free_cb = NULL;
		rte_mbuf_ext_refcnt_set(&info, 2); /* one more: nobody calls it */
		rte_pktmbuf_attach_extbuf(m, outside, RTE_BAD_IOVA, sizeof(outside), &info);
		m->data_len = (uint16_t)length_of(0);
		m->pkt_len = length_of(0);
		if (round == 1) { /* in its last segment */
			head = rte_pktmbuf_alloc(mpn_nic_rx_pool(t.nic[PEER]));
			memcpy(rte_pktmbuf_append(head, 20), outside, 20);
			rte_pktmbuf_adj(m, 20);
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
			m = head;
		}
		assert_int_equal(net_tx_burst(t.dev[PEER], &m, 1), 1);
		probe_poll(t.nic, HOST, 4);
		/* It has been copied, and is free. */
		assert_int_equal(rte_mbuf_ext_refcnt_read(&info), 1);
		memset(outside, 0, sizeof(outside));
		probe_poll(t.nic, NICS, 4);
		assert_int_equal(net_rx_burst(t.dev[HOST], &m, 1), 1);
		check_frame(&t, PEER, m, 0);
		rte_pktmbuf_free(m);
	}
	uvhost_close(&t);
}

static void
count_pool(struct rte_mempool *pool, void *arg)
{
	*(unsigned *)arg += strncmp(pool->name, "mpn_tap", 7) == 0;
}

static unsigned
count_pools(void)
{
	unsigned n = 0;

	rte_mempool_walk(count_pool, &n);
	return n;
}

/* A frame is somewhere else when the personality is unloaded: its memory goes when it comes back. */
static void
test_frames_that_are_late(void **state)
{
	struct rte_mbuf *m;
	struct uvhost t;

	uvhost_open(&t);
	assert_true(send_frame(&t, HOST, 0, 60));
	probe_poll(t.nic, NICS, 4);
	assert_int_equal(net_rx_burst(t.dev[PEER], &m, 1), 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(mpn_personality_stop(t.p[NIC]), 0);
		assert_int_equal(mpn_personality_unload(t.p[NIC]), 0);
		assert_int_equal(count_pools(), 1);
		uvhost_load(&t, NIC, "tap=" UVHOST_IFACE ",vhost=on");
		assert_int_equal(count_pools(), i == 0 ? 3 : 2); /* of two each */
		assert_int_equal(mpn_personality_start(t.p[NIC]), 0);
		if (i == 0)
			rte_pktmbuf_free(m);
	}
	uvhost_close(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_come_whole_and_in_order),
		cmocka_unit_test(test_a_host_that_takes_nothing),
		cmocka_unit_test(test_a_host_that_was_late),
		cmocka_unit_test(test_what_waits_at_start_is_old),
		cmocka_unit_test(test_memory_that_is_not_dpdks),
		cmocka_unit_test(test_frames_that_are_late),
	};

	if (!uvhost_can_run())
		return 77;
	return cmocka_run_group_tests_name("vhost", tests, uvhost_start, probe_eal_stop);
}
