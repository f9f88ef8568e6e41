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

	assert_int_equal(flow_init(&flow, 16, 16, false, SOCKET_ID_ANY), 0);
	stage(&flow, pool, 10);
	assert_int_equal(flow_push_rx(&flow, 0), 0);
	assert_int_equal(rte_ring_count(flow.rx), 10);
	stage(&flow, pool, 10);
	/* 7/8 of 16. */
	assert_int_equal(flow_push_rx(&flow, 0), 6);
	assert_int_equal(rte_ring_count(flow.rx), 14);
	assert_int_equal(flow.nb_stage, 0);
	assert_int_equal(flow.stats.rx_dropped, 6);
	assert_int_equal(rte_mempool_in_use_count(pool), 14);
	assert_int_equal(flow_drop_rx(&flow), 14);
	assert_int_equal(flow.stats.rx_dropped, 20);
	assert_int_equal(flow.stats.rx_full, 6);
	assert_int_equal(flow.stats.rx_stopped, 14);
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

	assert_int_equal(flow_init(&flow, 8, 8, false, SOCKET_ID_ANY), 0);
	assert_false(flow_tx_waits(&flow));
	for (unsigned i = 0; i < 5; i++) {
		m = rte_pktmbuf_alloc(pool);
		assert_int_equal(rte_ring_sp_enqueue(flow.tx.ring, m), 0);
	}
	assert_true(flow_tx_waits(&flow));
	for (unsigned i = 0; i < 3; i++)
		flow.tx.kept[flow.tx.nb_kept++] = rte_pktmbuf_alloc(pool);
	assert_int_equal(flow_drop_tx(&flow, false), 8);
	assert_int_equal(flow.stats.tx_dropped, 8);
	assert_int_equal(flow.stats.tx_stopped, 8);
	assert_false(flow_tx_waits(&flow));
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	/* And what is in it when it ends. */
	stage(&flow, pool, 2);
	assert_int_equal(flow_push_rx(&flow, 0), 0);
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

#define FLOOD 100
#define LATER 10

struct turns {
	struct mpn_nic *nic[2];
	struct probe probe[2], sink[2];
};

static void
open_turns(struct turns *t)
{
	struct mpn_nic_conf conf = {
		.link = "ring:turns", .mtu = 1500, .flow_len = 256, .nb_txd = 64};

	memset(t, 0, sizeof(*t));
	for (unsigned e = 0; e < 2; e++) {
		struct probe *side = e == 0 ? t->probe : t->sink;

		t->nic[e] = mpn_nic_create(&conf);
		assert_non_null(t->nic[e]);
		for (unsigned i = 0; i < 2; i++) {
			struct probe *probe = &side[i];
			struct mpn_personality *p;

			probe->types[0] = i == 0 ? PROBE_TYPE : PROBE_TYPE_2;
			probe->nb_types = 1;
			assert_int_equal(
				mpn_personality_define(t->nic[e], "probe", i == 0 ? "a" : "b", &p),
				0);
			assert_int_equal(mpn_personality_load(p, &probe), 0);
			assert_int_equal(mpn_personality_start(p), 0);
		}
	}
	probe_poll(t->nic, 2, 2);
}

/* A round of its own, so that these frames are later than those before. */
static void
hand_over(struct turns *t, unsigned i, unsigned n)
{
	uint64_t end = mpn_now_ns() + 2000;

	while (mpn_now_ns() < end)
		;
	(void)mpn_nic_poll(t->nic[0]);
	for (unsigned k = 0; k < n; k++) {
		struct rte_mbuf *m = probe_frame(
			t->nic[0], NULL, t->probe[i].types[0], t->probe[i].next_number, 64);

		assert_int_equal(mpn_flow_tx(t->probe[i].p, &m, 1), 1);
		t->probe[i].next_number++;
	}
}

/* With a port too small for all of it: who came first leaves first, whichever flow he is of. */
static void
test_first_come_first_served(void **state)
{
	struct mpn_personality_info info;
	struct turns t;

	open_turns(&t);
	hand_over(&t, 0, FLOOD);
	hand_over(&t, 1, LATER);
	hand_over(&t, 0, LATER);
	for (unsigned k = 0; k < 100 && t.sink[0].frames < FLOOD + LATER; k++) {
		(void)mpn_nic_poll(t.nic[0]);
		(void)mpn_nic_poll(t.nic[1]);
		assert_true(t.sink[1].frames == 0 || t.sink[0].frames >= FLOOD);
		assert_true(t.sink[0].frames <= FLOOD || t.sink[1].frames == LATER);
	}
	assert_int_equal(t.sink[0].frames, FLOOD + LATER);
	assert_int_equal(t.sink[1].frames, LATER);
	assert_int_equal(t.sink[0].out_of_order + t.sink[1].out_of_order, 0);
	mpn_personality_get_info(t.probe[1].p, &info);
	assert_true(info.tx_delay_max_ns > 2000);
	mpn_nic_destroy(t.nic[1]);
	mpn_nic_destroy(t.nic[0]);
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
		cmocka_unit_test(test_rx_flow_is_full_at_its_watermark),
		cmocka_unit_test(test_dropping_takes_what_the_port_refused_too),
		cmocka_unit_test(test_pool_is_freed_when_its_last_frame_is_back),
		cmocka_unit_test(test_scheduler_by_name),
		cmocka_unit_test(test_first_come_first_served),
	};

	return cmocka_run_group_tests_name("flows and pools", tests, start_eal, probe_eal_stop);
}
