/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Who runs when the cycles do not suffice for all; what a personality may hold; who is caught holding the
 * thread. Costs are charged rather than burnt, so that a busy machine does not matter.
 */

#include "nic_internal.h"
#include "probe.h"

#define ROUNDS 4000
#define COST 5000000 /* cycles: much more than a turn really takes */

/* A personality that costs what the test says. */
struct worker {
	struct mpn_personality *p;
	uint16_t type; /* of frames it claims; 0: none */
	uint64_t cost; /* cycles of a turn that found work */
	bool idle;
	uint64_t burn_ns; /* in the next turn, really */
	uint64_t turns; /* that cost something */
};

static int
load(struct mpn_personality *p, const void *args)
{
	struct worker *const *w = args;

	*(struct worker **)mpn_personality_priv(p) = *w;
	(*w)->p = p;
	return mpn_personality_set_ethertypes(p, &(*w)->type, (*w)->type != 0);
}

static void
do_nothing(struct mpn_personality *p)
{
}

static int
start(struct mpn_personality *p)
{
	return 0;
}

static void
rx_burst(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	rte_pktmbuf_free_bulk(mbufs, n);
}

static unsigned
poll(struct mpn_personality *p, uint64_t now_ns)
{
	struct worker *w = *(struct worker **)mpn_personality_priv(p);

	if (w->burn_ns > 0) {
		uint64_t end = mpn_now_ns() + w->burn_ns;

		while (mpn_now_ns() < end)
			;
		w->burn_ns = 0;
		return 0;
	}
	if (w->idle)
		return 0;
	w->turns++;
	mpn_personality_charge(p, w->cost);
	return 1;
}

static const struct mpn_personality_ops worker_ops = {
	.abi = MPN_ABI_VERSION,
	.name = "worker",
	.kind = MPN_PERS_UNSOLICITED,
	.priv_size = sizeof(struct worker *),
	.load = load,
	.unload = do_nothing,
	.start = start,
	.stop = do_nothing,
	.rx_burst = rx_burst,
	.poll = poll,
};
MPN_PERSONALITY_REGISTER(worker_ops)

/* ---- A NIC with workers ---- */

static struct mpn_nic *
make_nic(void)
{
	const struct mpn_nic_conf conf = {.link = "ring:cpu", .mtu = 1500, .flow_len = 64};
	struct mpn_nic *nic = mpn_nic_create(&conf);

	assert_non_null(nic);
	return nic;
}

static void
add_worker(struct mpn_nic *nic, struct worker *w, const char *name, uint32_t cpu_weight)
{
	struct mpn_share share = {.weight = 1, .cpu_weight = cpu_weight};
	struct mpn_personality *p;

	assert_int_equal(mpn_personality_define(nic, "worker", name, &p), 0);
	assert_int_equal(mpn_personality_load(p, &w), 0);
	assert_int_equal(mpn_personality_set_share(p, &share), 0);
	assert_int_equal(mpn_personality_start(p), 0);
}

static void
expect_ratio(uint64_t a, uint64_t b, double want)
{
	double ratio = (double)a / (double)b;

	assert_true(ratio > 0.9 * want && ratio < 1.1 * want);
}

static void
run_pair(struct worker w[2], const uint32_t weights[2], const char *scheduler)
{
	struct mpn_nic *nic = make_nic();

	add_worker(nic, &w[0], "a", weights[0]);
	add_worker(nic, &w[1], "b", weights[1]);
	assert_int_equal(mpn_nic_set_scheduler(nic, scheduler), 0);
	probe_poll(&nic, 1, ROUNDS);
	mpn_nic_destroy(nic);
}

static void
test_cycles_go_by_weight(void **state)
{
	struct worker w[2] = {{.cost = COST}, {.cost = COST}};

	run_pair(w, (uint32_t[]){1, 3}, "prio-drr");
	expect_ratio(w[1].turns, w[0].turns, 3);
}

/* Turns of one that takes ten times as long are ten times as rare. */
static void
test_long_turns_are_paid_for(void **state)
{
	struct worker w[2] = {{.cost = COST}, {.cost = 10 * COST}};

	run_pair(w, (uint32_t[]){1, 1}, "prio-drr");
	expect_ratio(w[0].turns, w[1].turns, 10);
	/* Somebody has run in every round. */
	assert_true(w[0].turns + w[1].turns >= ROUNDS - 1);
}

/* What fifo does: everybody runs in every round. The tests above can fail. */
static void
test_fifo_has_no_budget(void **state)
{
	struct worker w[2] = {{.cost = COST}, {.cost = 10 * COST}};

	run_pair(w, (uint32_t[]){1, 3}, "fifo");
	assert_int_equal(w[0].turns, ROUNDS);
	assert_int_equal(w[1].turns, ROUNDS);
}

/* Cycles that nobody else needs are free, and an idle one saves none up. */
static void
test_idle_ones_cost_and_save_nothing(void **state)
{
	struct worker w[2] = {{.cost = COST}, {.cost = COST, .idle = true}};
	struct mpn_nic *nic = make_nic();
	struct mpn_personality_info info;

	add_worker(nic, &w[0], "a", 1);
	add_worker(nic, &w[1], "b", 1);
	assert_int_equal(mpn_nic_set_scheduler(nic, "prio-drr"), 0);
	probe_poll(&nic, 1, ROUNDS);
	/* But for rounds after somebody else had the core while the idle one was looked at. */
	assert_true(w[0].turns >= ROUNDS - ROUNDS / 100);
	mpn_personality_get_info(w[1].p, &info);
	/* It was looked at, for nothing. */
	assert_true(info.stats.turns > ROUNDS / 2);
	w[0].turns = 0;
	w[1].idle = false;
	probe_poll(&nic, 1, ROUNDS);
	expect_ratio(w[0].turns, w[1].turns, 1);
	mpn_personality_get_info(w[0].p, &info);
	assert_true(info.stats.passed_over > 0);
	mpn_nic_destroy(nic);
}

/* The round in which one is passed over is not an idle one: its thread must not go to sleep. */
static void
test_debt_is_no_idleness(void **state)
{
	struct worker w[2] = {{.cost = COST}, {.cost = COST}};
	struct mpn_nic *nic = make_nic();

	add_worker(nic, &w[0], "a", 1);
	add_worker(nic, &w[1], "b", 1);
	assert_int_equal(mpn_nic_set_scheduler(nic, "prio-drr"), 0);
	for (unsigned r = 0; r < ROUNDS; r++)
		assert_true(mpn_nic_poll(nic) > 0);
	assert_true(mpn_personality_in_debt(w[0].p) || mpn_personality_in_debt(w[1].p));
	/* Nobody is in debt where nobody pays. */
	assert_int_equal(mpn_nic_set_scheduler(nic, "fifo"), 0);
	mpn_personality_charge(w[0].p, COST);
	assert_false(mpn_personality_in_debt(w[0].p));
	mpn_nic_destroy(nic);
}

/* What receiving takes is paid by those whose frames they were; frames of nobody are nobody's. */
static void
test_receiving_is_paid_for(void **state)
{
	struct worker w[2] = {{.idle = true}, {.idle = true}};
	struct mpn_nic *nic = make_nic();

	add_worker(nic, &w[0], "a", 1);
	add_worker(nic, &w[1], "b", 1);
	assert_int_equal(mpn_nic_set_scheduler(nic, "prio-drr"), 0);
	w[0].p->flow.nb_round = 4;
	w[1].p->flow.nb_round = 8;
	cpu_charge_rx(nic, 16, 1600000);
	assert_int_equal(w[0].p->credit, -400000);
	assert_int_equal(w[1].p->credit, -800000);
	/* Once. */
	cpu_charge_rx(nic, 16, 1600000);
	assert_int_equal(w[1].p->credit, -800000);
	assert_true(mpn_personality_in_debt(w[0].p));
	mpn_nic_destroy(nic);
}

/* Asks for what it gets, as storage does. */
static struct mpn_personality_ops asker_ops;

static void
take_frames(struct mpn_nic *nic, unsigned n)
{
	struct rte_mbuf *mbufs[MPN_BURST];

	for (unsigned i = 0; i < n; i++) {
		mbufs[i] = probe_frame(nic, NULL, PROBE_TYPE, 0, 64);
		assert_non_null(mbufs[i]);
		/* From somebody else. */
		rte_pktmbuf_mtod(mbufs[i], uint8_t *)[11] ^= 1;
	}
	nic_take_burst(nic, mbufs, n);
}

/* One that was away for long, as when somebody else had the core, while another one has always something to do. */
static struct mpn_flow_stats
receive_in_debt(const char *kind)
{
	struct worker w[2] = {{.type = PROBE_TYPE, .idle = true}, {.cost = COST}}, *arg = &w[0];
	struct mpn_share share = {.weight = 1, .cpu_weight = 1};
	struct mpn_personality_info info;
	struct mpn_nic *nic = make_nic();
	struct mpn_personality *p;

	assert_int_equal(mpn_personality_define(nic, kind, "a", &p), 0);
	assert_int_equal(mpn_personality_load(p, &arg), 0);
	assert_int_equal(mpn_personality_set_share(p, &share), 0);
	assert_int_equal(mpn_personality_start(p), 0);
	add_worker(nic, &w[1], "b", 1);
	assert_int_equal(mpn_nic_set_scheduler(nic, "prio-drr"), 0);
	mpn_personality_charge(p, INT32_MAX);
	for (unsigned i = 0; i < 100; i++) {
		take_frames(nic, 4);
		(void)mpn_nic_poll(nic);
	}
	mpn_personality_get_info(p, &info);
	assert_true(w[1].turns >= 40);
	mpn_nic_destroy(nic);
	return info.stats;
}

static void
test_what_was_asked_for_is_not_dropped(void **state)
{
	struct mpn_flow_stats stats = receive_in_debt("asker");

	assert_int_equal(stats.rx_dropped, 0);
	/* It pays as long as it can. */
	assert_true(stats.passed_over > 10);
}

static void
test_what_was_not_asked_for_is_dropped(void **state)
{
	struct mpn_flow_stats stats = receive_in_debt("worker");

	assert_int_equal(stats.rx_dropped, stats.rx_full);
	assert_true(stats.rx_full > 0);
}

/* Sent to for ever at the rate that it takes, beside one that has always something to do. */
static void
flood_asker(struct worker *storage, struct worker *other)
{
	struct worker *arg = storage;
	struct mpn_share share = {.weight = 1, .cpu_weight = 1};
	struct mpn_nic *nic = make_nic();
	struct mpn_personality *p;
	struct mpn_personality_info info;

	assert_int_equal(mpn_personality_define(nic, "asker", "a", &p), 0);
	assert_int_equal(mpn_personality_load(p, &arg), 0);
	assert_int_equal(mpn_personality_set_share(p, &share), 0);
	assert_int_equal(mpn_personality_start(p), 0);
	add_worker(nic, other, "b", 1);
	assert_int_equal(mpn_nic_set_scheduler(nic, "prio-drr"), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		do {
			take_frames(nic, MPN_BURST);
			mpn_personality_get_info(p, &info);
		} while (info.stats.rx_full == 0);
		(void)mpn_nic_poll(nic);
	}
	mpn_nic_destroy(nic);
}

static void
test_who_is_asked_starves_nobody(void **state)
{
	struct worker storage = {.type = PROBE_TYPE, .cost = COST}, other = {.cost = COST};

	flood_asker(&storage, &other);
	/* Never more than a turn each, however much comes. */
	assert_true(other.turns * 10 >= storage.turns * 9);
}

static void
test_what_is_taken_in_debt_is_paid_back(void **state)
{
	struct worker storage = {.type = PROBE_TYPE, .cost = 100 * (uint64_t)COST};
	struct worker other = {.cost = COST};
	uint64_t debt = 2 * rte_get_tsc_hz(), got;

	flood_asker(&storage, &other);
	/* But for the debt that it may have both get the same; and there are the turns of the test itself. */
	got = storage.turns * storage.cost;
	assert_true(got >= debt);
	assert_true(got <= debt + 2 * storage.cost + other.turns * other.cost * 3 / 2);
}

/* ---- Watchdog ---- */

struct heard {
	unsigned held;
	char by[MPN_NAME_LEN];
	uint64_t ns;
};

static void
on_event(struct mpn_nic *nic, enum mpn_nic_event ev, void *arg)
{
	struct heard *h = arg;
	struct mpn_nic_info info;

	if (ev != MPN_NIC_HELD)
		return;
	mpn_nic_get_info(nic, &info);
	h->held++;
	memcpy(h->by, info.held_by, sizeof(h->by));
	h->ns = info.held_ns;
}

static void
test_watchdog_names_who_held_the_thread(void **state)
{
	struct worker w[2] = {{.idle = true}, {.idle = true}};
	struct mpn_personality_info info;
	struct mpn_nic *nic = make_nic();
	struct heard heard = {0};
	const char *line;

	add_worker(nic, &w[0], "innocent", 1);
	add_worker(nic, &w[1], "culprit", 1);
	assert_int_equal(mpn_nic_watchdog(nic), 50000000);
	mpn_nic_set_event_cb(nic, on_event, &heard);
	mpn_nic_set_watchdog(nic, 20000000);
	probe_catch_log();
	for (unsigned i = 0; i < 3; i++) {
		w[1].burn_ns = 50000000;
		(void)mpn_nic_poll(nic);
		assert_string_equal(heard.by, "culprit");
		assert_true(heard.ns >= 50000000);
	}
	/* Three times; one line in ten seconds. */
	assert_int_equal(probe_log_lines(), 1);
	line = probe_release_log();
	assert_non_null(strstr(line, "'culprit'"));
	mpn_personality_get_info(w[1].p, &info);
	assert_int_equal(info.stats.held, 3);
	assert_true(info.stats.held_max_ns >= 50000000);
	/* Switched off it looks away. */
	mpn_nic_set_watchdog(nic, 0);
	w[1].burn_ns = 50000000;
	(void)mpn_nic_poll(nic);
	mpn_personality_get_info(w[1].p, &info);
	assert_int_equal(info.stats.held, 3);
	mpn_nic_destroy(nic);
}

/* ---- Limits ---- */

static void
test_limits_are_for_the_next_load(void **state)
{
	const struct mpn_limits limits = {.rx_len = 16, .tx_len = 32, .rx_frames = 20};
	struct mpn_nic *nic = make_nic();
	struct mpn_personality_info info;
	struct mpn_personality *p;
	struct worker w = {.idle = true}, *arg = &w;

	assert_int_equal(mpn_personality_define(nic, "worker", NULL, &p), 0);
	probe_catch_log();
	assert_int_equal(
		mpn_personality_set_limits(p, &(struct mpn_limits){.rx_len = 12}), -EINVAL);
	assert_int_equal(mpn_personality_set_limits(p, &(struct mpn_limits){.tx_len = 4}), -EINVAL);
	assert_int_equal(
		mpn_personality_set_limits(p, &(struct mpn_limits){.rx_frames = 65537}), -EINVAL);
	(void)probe_release_log();
	assert_int_equal(mpn_personality_set_limits(p, &limits), 0);
	assert_int_equal(mpn_personality_load(p, &arg), 0);
	mpn_personality_get_info(p, &info);
	assert_int_equal(info.flow_size, 16);
	assert_int_equal(info.tx_flow_size, 32);
	assert_int_equal(info.limits.rx_frames, 20);
	assert_non_null(p->flow.pool);
	probe_catch_log();
	assert_int_equal(mpn_personality_set_limits(p, &limits), -EPERM);
	(void)probe_release_log();
	mpn_nic_destroy(nic);
}

/*
 * One that never gives a frame back, beside one that works: with frames of its own it keeps those, and the
 * other one's all arrive.
 */
static void
test_hoarder_keeps_only_its_own(void **state)
{
	const struct mpn_nic_conf conf = {.link = "ring:hoard",
		.mtu = 1500,
		.nb_rxd = 64,
		.nb_txd = 64,
		.flow_len = 64,
		.nb_keep = 8};
	struct probe sender[2], sink[2] = {{.hold = true}, {.hold = false}};
	struct probe *args[] = {&sender[0], &sender[1], &sink[0], &sink[1]};
	struct mpn_personality_info info;
	struct mpn_nic *nic[2];
	unsigned free_before;

	memset(sender, 0, sizeof(sender));
	for (unsigned i = 0; i < 4; i++) {
		struct mpn_personality *p;

		if (i % 2 == 0)
			nic[i / 2] = mpn_nic_create(&conf);
		assert_non_null(nic[i / 2]);
		args[i]->types[0] = i % 2 == 0 ? PROBE_TYPE : PROBE_TYPE_2;
		args[i]->nb_types = 1;
		assert_int_equal(mpn_personality_define(
					 nic[i / 2], "probe", i % 2 == 0 ? "hoarder" : "b", &p),
			0);
		if (i == 2)
			assert_int_equal(mpn_personality_set_limits(
						 p, &(struct mpn_limits){.rx_frames = 16}),
				0);
		assert_int_equal(mpn_personality_load(p, &args[i]), 0);
		assert_int_equal(mpn_personality_start(p), 0);
	}
	probe_poll(nic, 2, 4);
	free_before = rte_mempool_avail_count(nic[0]->rx_pool);
	for (unsigned k = 0; k < 1000; k++) {
		for (unsigned i = 0; i < 2; i++) {
			struct rte_mbuf *m = probe_frame(nic[0], NULL, sender[i].types[0], k, 64);

			assert_int_equal(mpn_flow_tx(sender[i].p, &m, 1), 1);
		}
		probe_poll(nic, 2, 2);
	}
	assert_int_equal(sink[0].frames, 16);
	assert_int_equal(sink[0].nb_held, 16);
	assert_int_equal(sink[1].frames, 1000);
	assert_int_equal(sink[1].out_of_order, 0);
	/* The sender's frames, which is what a ring carries, are all back. */
	assert_int_equal(rte_mempool_avail_count(nic[0]->rx_pool), free_before);
	mpn_personality_get_info(sink[0].p, &info);
	assert_int_equal(info.stats.rx_no_frames, 1000 - 16);
	assert_int_equal(info.stats.rx_dropped, 1000 - 16);
	mpn_nic_destroy(nic[1]);
	mpn_nic_destroy(nic[0]);
}

/* ---- TX rate ---- */

static void
test_bucket_gets_its_rate_exactly(void **state)
{
	struct bucket b = {0};
	uint64_t now = 0, got = 0;

	/* A third of a byte in each step: no part of it is lost. */
	for (unsigned i = 0; i < 30000; i++) {
		now += 333333;
		bucket_fill(&b, 1000, 100, now);
		got += b.bytes;
		b.bytes = 0;
	}
	assert_in_range(got, 9998, 10000);
	/* No more than the burst, however long the silence, and at the largest rate. */
	bucket_fill(&b, MPN_MAX_RATE, 5000, now + 3600 * 1000000000ull);
	assert_int_equal(b.bytes, 5000);
	/* Time does not go backwards. */
	bucket_fill(&b, MPN_MAX_RATE, 6000, now);
	assert_int_equal(b.bytes, 5000);
}

static int
start_eal(void **state)
{
	asker_ops = worker_ops;
	asker_ops.name = "asker";
	asker_ops.kind = MPN_PERS_SOLICITED;
	assert_int_equal(mpn_personality_register(&asker_ops), 0);
	return probe_eal_start("ring:cpu", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cycles_go_by_weight),
		cmocka_unit_test(test_long_turns_are_paid_for),
		cmocka_unit_test(test_fifo_has_no_budget),
		cmocka_unit_test(test_idle_ones_cost_and_save_nothing),
		cmocka_unit_test(test_debt_is_no_idleness),
		cmocka_unit_test(test_receiving_is_paid_for),
		cmocka_unit_test(test_what_was_asked_for_is_not_dropped),
		cmocka_unit_test(test_what_was_not_asked_for_is_dropped),
		cmocka_unit_test(test_who_is_asked_starves_nobody),
		cmocka_unit_test(test_what_is_taken_in_debt_is_paid_back),
		cmocka_unit_test(test_watchdog_names_who_held_the_thread),
		cmocka_unit_test(test_limits_are_for_the_next_load),
		cmocka_unit_test(test_hoarder_keeps_only_its_own),
		cmocka_unit_test(test_bucket_gets_its_rate_exactly),
	};

	return cmocka_run_group_tests_name("cycles and limits", tests, start_eal, probe_eal_stop);
}
