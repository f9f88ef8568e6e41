/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Two NICs joined by a ring: classification, flows, order, back pressure. */

#include <rte_ether.h>
#include <rte_mempool.h>

#include "nic_pool.h"
#include "probe.h"

struct pair {
	struct mpn_nic *nic[2];
	struct probe probe[2];
	struct mpn_nic_info info[2];
};

static struct pair *
make_pair(uint16_t mtu, uint32_t flow_len, uint16_t nb_txd)
{
	struct pair *t = calloc(1, sizeof(*t));
	struct mpn_nic_conf conf = {
		.link = "ring:pair", .mtu = mtu, .flow_len = flow_len, .nb_txd = nb_txd};

	assert_non_null(t);
	for (unsigned i = 0; i < 2; i++) {
		t->nic[i] = mpn_nic_create(&conf);
		assert_non_null(t->nic[i]);
		probe_start(t->nic[i], &t->probe[i]);
	}
	probe_poll(t->nic, 2, 1);
	for (unsigned i = 0; i < 2; i++) {
		mpn_nic_get_info(t->nic[i], &t->info[i]);
		assert_true(t->info[i].link_up);
	}
	return t;
}

static void
free_pair(struct pair *t)
{
	for (unsigned i = 0; i < 2; i++) {
		struct rte_mempool *pool = mpn_nic_rx_pool(t->nic[i]);
		struct mpn_nic *nic = t->nic[i];

		/* The other end has gone: all frames must be back. */
		if (i == 1)
			assert_int_equal(rte_mempool_avail_count(pool), pool->size);
		mpn_nic_destroy(nic);
	}
	free(t);
}

/* A frame past the personality: through the test's own hands. */
static void
send_raw(struct pair *t, struct rte_mbuf *m)
{
	assert_non_null(m);
	assert_int_equal(mpn_flow_tx(t->probe[0].p, &m, 1), 1);
	probe_poll(t->nic, 2, 1);
	probe_poll(t->nic, 2, 1);
}

static void
test_frames_of_all_sizes_arrive(void **state)
{
	static const uint32_t sizes[] = {14, 15, 60, 64, 65, 1514, 4096 + 64, 9014};
	struct pair *t = make_pair(0, 0, 0);
	const struct mpn_nic_stats *rx = mpn_nic_get_stats(t->nic[1]);
	uint64_t bytes = 0;

	assert_int_equal(t->info[0].mtu, 9000);
	assert_int_equal(t->info[0].max_frame, 9014);
	assert_true(t->info[0].multi_segs);
	assert_true(t->info[0].point_to_point);
	assert_false(t->info[0].may_corrupt);
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(sizes); i++) {
		bytes += sizes[i];
		assert_true(probe_send(&t->probe[0], t->info[1].mac, i, sizes[i]));
		probe_poll(t->nic, 2, 1);
	}
	probe_poll(t->nic, 2, 1);
	assert_int_equal(t->probe[1].frames, MPN_ARRAY_SIZE(sizes));
	assert_int_equal(t->probe[1].bytes, bytes);
	assert_int_equal(t->probe[1].damaged, 0);
	assert_int_equal(t->probe[1].segmented, 0);
	assert_int_equal(rx->rx_frames, MPN_ARRAY_SIZE(sizes));
	assert_int_equal(rx->rx_bytes, bytes);
	assert_int_equal(mpn_nic_get_stats(t->nic[0])->tx_frames, MPN_ARRAY_SIZE(sizes));
	assert_int_equal(mpn_nic_get_stats(t->nic[0])->tx_bytes, bytes);
	free_pair(t);
}

static void
test_largest_mtu(void **state)
{
	struct pair *t = make_pair(65024, 64, 64);

	assert_int_equal(t->info[0].max_frame, 65038);
	assert_true(probe_send(&t->probe[0], NULL, 0, 65038));
	probe_poll(t->nic, 2, 2);
	assert_int_equal(t->probe[1].bytes, 65038);
	free_pair(t);
}

/* Received payload at frame offset 64 starts a cache line. */
static void
test_payload_is_aligned(void **state)
{
	struct pair *t = make_pair(1500, 0, 0);
	struct rte_mbuf *m = rte_pktmbuf_alloc(mpn_nic_rx_pool(t->nic[0]));

	assert_int_equal((uintptr_t)rte_pktmbuf_mtod_offset(m, char *, 64) % 64, 0);
	assert_true(rte_pktmbuf_tailroom(m) >= t->info[0].max_frame);
	rte_pktmbuf_free(m);
	free_pair(t);
}

static void
test_each_drop_has_its_counter(void **state)
{
	static const uint8_t stranger[6] = {0x02, 1, 2, 3, 4, 5};
	static const uint8_t group[6] = {0x01, 0, 0x5e, 0, 0, 1};
	struct pair *t = make_pair(1500, 0, 0);
	const struct mpn_nic_stats *s = mpn_nic_get_stats(t->nic[1]);

	send_raw(t, probe_frame(t->nic[0], NULL, 0x88b9, 0, 64));
	assert_int_equal(s->rx_unclaimed, 1);
	/* The number is the tag: VLAN 1. */
	send_raw(t, probe_frame(t->nic[0], NULL, 0x8100, 0x100, 64));
	assert_int_equal(s->rx_vlan_unmapped, 1);
	send_raw(t, probe_frame(t->nic[0], stranger, PROBE_TYPE, 0, 64));
	assert_int_equal(s->rx_not_ours, 1);
	send_raw(t, probe_frame(t->nic[0], NULL, PROBE_TYPE, 0, 13));
	assert_int_equal(s->rx_runt, 1);
	assert_int_equal(t->probe[1].frames, 0);
	/* Ours, broadcast, multicast. */
	send_raw(t, probe_frame(t->nic[0], t->info[1].mac, PROBE_TYPE, 0, 64));
	send_raw(t, probe_frame(t->nic[0], NULL, PROBE_TYPE, 0, 64));
	send_raw(t, probe_frame(t->nic[0], group, PROBE_TYPE, 0, 64));
	assert_int_equal(t->probe[1].frames, 3);
	assert_int_equal(mpn_personality_stop(t->probe[1].p), 0);
	send_raw(t, probe_frame(t->nic[0], NULL, PROBE_TYPE, 0, 64));
	assert_int_equal(s->rx_stopped, 1);
	assert_int_equal(t->probe[1].frames, 3);
	assert_int_equal(s->rx_frames, 8);
	free_pair(t);
}

static void
test_flow_above_watermark_drops(void **state)
{
	struct pair *t = make_pair(1500, 16, 64);
	const struct mpn_nic_stats *s = mpn_nic_get_stats(t->nic[1]);
	struct mpn_personality_info info;

	/* Two bursts of the sender become one of the receiver: more than 7/8 of 16. */
	for (unsigned i = 0; i < 16; i++) {
		assert_true(probe_send(&t->probe[0], t->info[1].mac, i, 64));
		if (i == 13 || i == 15)
			probe_poll(t->nic, 1, 1);
	}
	probe_poll(&t->nic[1], 1, 1);
	assert_int_equal(t->probe[1].frames, 14);
	assert_int_equal(t->probe[1].out_of_order, 0);
	assert_int_equal(s->rx_flow_full, 2);
	mpn_personality_get_info(t->probe[1].p, &info);
	assert_int_equal(info.stats.rx_dropped, 2);
	assert_int_equal(info.stats.rx_frames, 14);
	assert_int_equal(info.flow_size, 16);
	free_pair(t);
}

static void
test_short_tx_burst_is_back_pressure(void **state)
{
	struct pair *t = make_pair(1500, 64, 40);
	const struct mpn_nic_stats *s = mpn_nic_get_stats(t->nic[0]);
	struct mpn_personality_info info;
	unsigned sent = 0;

	/* The receiver sleeps: the cable takes 40, the NIC keeps 32, the flow holds 64. */
	for (unsigned i = 0; i < 400; i++) {
		sent += probe_send(&t->probe[0], t->info[1].mac, sent, 100);
		(void)mpn_nic_poll(t->nic[0]);
	}
	assert_int_equal(sent, 40 + 32 + 64);
	assert_true(s->tx_busy > 0);
	assert_int_equal(s->tx_frames, 40);
	mpn_personality_get_info(t->probe[0].p, &info);
	assert_int_equal(info.stats.tx_full, 400 - sent);
	assert_int_equal(info.tx_len, 32 + 64);
	assert_int_equal(mpn_flow_tx_room(t->probe[0].p), 0);
	/* It wakes up, and nothing was lost or changed places. */
	probe_poll(t->nic, 2, 20);
	assert_int_equal(t->probe[1].frames, sent);
	assert_int_equal(t->probe[1].out_of_order, 0);
	assert_int_equal(t->probe[1].damaged, 0);
	assert_int_equal(mpn_flow_tx_room(t->probe[0].p), 64);
	free_pair(t);
}

static void
test_link_down_drops_and_is_told(void **state)
{
	struct pair *t = make_pair(1500, 0, 0);
	const struct mpn_nic_stats *s = mpn_nic_get_stats(t->nic[0]);
	struct mpn_nic_info info;

	mpn_nic_destroy(t->nic[1]);
	assert_true(probe_send(&t->probe[0], NULL, 0, 64));
	probe_poll(t->nic, 1, 1);
	assert_int_equal(t->probe[0].events[MPN_NIC_LINK_DOWN], 1);
	assert_int_equal(s->tx_link_down, 1);
	mpn_nic_get_info(t->nic[0], &info);
	assert_false(info.link_up);
	/* The next one on the same name gets nothing of what was sent before. */
	memset(&t->probe[1], 0, sizeof(t->probe[1]));
	t->nic[1] = probe_nic("ring:pair", false, 1500);
	assert_non_null(t->nic[1]);
	probe_start(t->nic[1], &t->probe[1]);
	probe_poll(t->nic, 2, 2);
	assert_int_equal(t->probe[0].events[MPN_NIC_LINK_UP], 2);
	assert_int_equal(t->probe[1].frames, 0);
	assert_true(probe_send(&t->probe[0], NULL, 7, 64));
	probe_poll(t->nic, 2, 2);
	assert_int_equal(t->probe[1].frames, 1);
	free_pair(t);
}

static void
test_stopped_port_and_its_return(void **state)
{
	struct pair *t = make_pair(1500, 0, 0);

	mpn_nic_stop(t->nic[0]);
	assert_int_equal(t->probe[0].events[MPN_NIC_LINK_DOWN], 1);
	(void)mpn_nic_poll(t->nic[0]);
	assert_int_equal(mpn_nic_start(t->nic[0]), 0);
	assert_int_equal(mpn_nic_start(t->nic[0]), 0);
	assert_true(probe_send(&t->probe[0], NULL, 0, 64));
	probe_poll(t->nic, 2, 2);
	assert_int_equal(t->probe[1].frames, 1);
	free_pair(t);
}

static void
test_third_end_is_refused(void **state)
{
	struct pair *t = make_pair(1500, 0, 0);

	probe_catch_log();
	errno = 0;
	assert_null(probe_nic("ring:pair", false, 1500));
	assert_int_equal(errno, EBUSY);
	assert_non_null(strstr(probe_release_log(), "ring:pair"));
	assert_int_equal(probe_log_lines(), 1);
	free_pair(t);
}

static int
start_eal(void **state)
{
	return probe_eal_start("ring:x", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_of_all_sizes_arrive),
		cmocka_unit_test(test_largest_mtu),
		cmocka_unit_test(test_payload_is_aligned),
		cmocka_unit_test(test_each_drop_has_its_counter),
		cmocka_unit_test(test_flow_above_watermark_drops),
		cmocka_unit_test(test_short_tx_burst_is_back_pressure),
		cmocka_unit_test(test_link_down_drops_and_is_told),
		cmocka_unit_test(test_stopped_port_and_its_return),
		cmocka_unit_test(test_third_end_is_refused),
	};

	return cmocka_run_group_tests_name("ring link", tests, start_eal, probe_eal_stop);
}
