/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What lies between port and personality: flows, schedulers, pools whose frames are late. */

#include "nic_internal.h"
#include "probe.h"

#define FRAMES 63

static struct rte_mempool *
make_pool(void)
{
	static unsigned serial;
	char name[32];
	struct rte_mempool *pool;

	(void)snprintf(name, sizeof(name), "flow_test%u", serial++);
	pool = rte_pktmbuf_pool_create(name, FRAMES, 0, 0, 256, SOCKET_ID_ANY);
	assert_non_null(pool);
	return pool;
}

/* Stage n frames of the pool for the personality. */
static void
stage(struct mpn_flow *flow, struct rte_mempool *pool, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		flow->stage[flow->nb_stage] = rte_pktmbuf_alloc(pool);
		assert_non_null(flow->stage[flow->nb_stage++]);
	}
}

static void
test_rx_flow_is_full_at_its_watermark(void **state)
{
	struct rte_mempool *pool = make_pool();
	struct mpn_flow flow = {0};

	assert_int_equal(flow_init(&flow, 16, false, SOCKET_ID_ANY), 0);
	stage(&flow, pool, 10);
	assert_int_equal(flow_push_rx(&flow), 0);
	assert_int_equal(rte_ring_count(flow.rx), 10);
	stage(&flow, pool, 10);
	/* 7/8 of 16. */
	assert_int_equal(flow_push_rx(&flow), 6);
	assert_int_equal(rte_ring_count(flow.rx), 14);
	assert_int_equal(flow.nb_stage, 0);
	assert_int_equal(flow.stats.rx_dropped, 6);
	assert_int_equal(rte_mempool_in_use_count(pool), 14);
	assert_int_equal(flow_drop_rx(&flow), 14);
	assert_int_equal(flow.stats.rx_dropped, 20);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	flow_fini(&flow);
	rte_mempool_free(pool);
}

static void
test_dropping_takes_what_the_port_refused_too(void **state)
{
	struct rte_mempool *pool = make_pool();
	struct mpn_flow flow = {0};
	struct rte_mbuf *m;

	assert_int_equal(flow_init(&flow, 8, false, SOCKET_ID_ANY), 0);
	assert_false(flow_tx_waits(&flow));
	for (unsigned i = 0; i < 5; i++) {
		m = rte_pktmbuf_alloc(pool);
		assert_int_equal(rte_ring_sp_enqueue(flow.tx.ring, m), 0);
	}
	assert_true(flow_tx_waits(&flow));
	for (unsigned i = 0; i < 3; i++)
		flow.tx.kept[flow.tx.nb_kept++] = rte_pktmbuf_alloc(pool);
	assert_int_equal(flow_drop_tx(&flow), 8);
	assert_int_equal(flow.stats.tx_dropped, 8);
	assert_false(flow_tx_waits(&flow));
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	/* And what is in it when it ends. */
	stage(&flow, pool, 2);
	assert_int_equal(flow_push_rx(&flow), 0);
	flow_fini(&flow);
	flow_fini(&flow);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	rte_mempool_free(pool);
}

static void
test_pool_is_freed_when_its_last_frame_is_back(void **state)
{
	struct rte_mempool *pool = make_pool(), *empty = make_pool();
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	char name[RTE_MEMPOOL_NAMESIZE], other[RTE_MEMPOOL_NAMESIZE];

	(void)snprintf(name, sizeof(name), "%s", pool->name);
	(void)snprintf(other, sizeof(other), "%s", empty->name);
	assert_non_null(m);
	mpn_nic_pool_retire(NULL);
	mpn_nic_pool_retire(empty);
	assert_null(rte_mempool_lookup(other));
	mpn_nic_pool_retire(pool);
	mpn_nic_pool_reap();
	assert_ptr_equal(rte_mempool_lookup(name), pool);
	rte_pktmbuf_free(m);
	mpn_nic_pool_reap();
	assert_null(rte_mempool_lookup(name));
	mpn_nic_pool_reap();
}

static void
test_scheduler_by_name(void **state)
{
	const struct sched_ops *fifo = sched_find("fifo");

	assert_non_null(fifo);
	assert_string_equal(fifo->name, "fifo");
	assert_non_null(fifo->run);
	errno = 0;
	assert_null(sched_find("fifofo"));
	assert_int_equal(errno, ENOENT);
}

/* Two personalities of one NIC, the port with room for less than they have: they take turns. */
static void
test_flows_take_turns(void **state)
{
	struct mpn_nic_conf conf = {
		.link = "ring:turns", .mtu = 1500, .flow_len = 256, .nb_txd = 64};
	struct mpn_nic *nic = mpn_nic_create(&conf), *peer = mpn_nic_create(&conf);
	struct probe probe[2] = {{.nb_types = 0}, {.types = {PROBE_TYPE_2}, .nb_types = 1}};
	struct probe *arg[2] = {&probe[0], &probe[1]};
	struct mpn_personality_info info[2];
	struct mpn_personality *p[2];
	uint64_t sent[2];

	assert_non_null(nic);
	assert_non_null(peer);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(
			mpn_personality_define(nic, "probe", i == 0 ? "a" : "b", &p[i]), 0);
		assert_int_equal(mpn_personality_load(p[i], &arg[i]), 0);
		assert_int_equal(mpn_personality_start(p[i]), 0);
	}
	for (unsigned round = 0; round < 8; round++) {
		/* Both have always more than the port takes in a round. */
		for (unsigned i = 0; i < 2; i++) {
			while (mpn_flow_tx_room(p[i]) > 128)
				assert_true(probe_send(&probe[i], NULL, round, 64));
		}
		(void)mpn_nic_poll(nic);
		for (unsigned k = 0; k < 4; k++)
			(void)mpn_nic_poll(peer);
	}
	for (unsigned i = 0; i < 2; i++) {
		mpn_personality_get_info(p[i], &info[i]);
		sent[i] = info[i].stats.tx_frames - info[i].tx_len;
	}
	assert_true(sent[0] + sent[1] >= 8 * MPN_BURST);
	/* Neither is more than a burst ahead. */
	assert_true(sent[0] <= sent[1] + MPN_BURST && sent[1] <= sent[0] + MPN_BURST);
	mpn_nic_destroy(peer);
	mpn_nic_destroy(nic);
}

static int
start_eal(void **state)
{
	return probe_eal_start("ring:x", NULL);
}

static int
stop_eal(void **state)
{
	mpn_eal_stop();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rx_flow_is_full_at_its_watermark),
		cmocka_unit_test(test_dropping_takes_what_the_port_refused_too),
		cmocka_unit_test(test_pool_is_freed_when_its_last_frame_is_back),
		cmocka_unit_test(test_scheduler_by_name),
		cmocka_unit_test(test_flows_take_turns),
	};

	return cmocka_run_group_tests_name("flows and pools", tests, start_eal, stop_eal);
}
