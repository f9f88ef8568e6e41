/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Personalities that take what they can get, beside one that works: it keeps its share. */

#include <rte_cycles.h>

#include "nic_internal.h"
#include "probe.h"

#define ROUNDS 400

/* Two personalities at each end: the greedy one and the one that works. */
struct pair {
	struct mpn_nic *nic[2];
	struct probe greedy[2], good[2];
};

static void
add(struct mpn_nic *nic, struct probe *probe, const char *name, uint16_t type)
{
	probe->types[0] = type;
	probe->nb_types = 1;
	(void)probe_add(nic, probe, name, 0, 0);
}

static void
open_pair(struct pair *t, const char *scheduler)
{
	const struct mpn_nic_conf conf = {
		.link = "ring:greedy", .mtu = 1500, .nb_txd = 64, .flow_len = 64};

	memset(t, 0, sizeof(*t));
	for (unsigned i = 0; i < 2; i++) {
		t->nic[i] = mpn_nic_create(&conf);
		assert_non_null(t->nic[i]);
		add(t->nic[i], &t->greedy[i], "greedy", PROBE_TYPE);
		add(t->nic[i], &t->good[i], "good", PROBE_TYPE_2);
		assert_int_equal(mpn_nic_set_scheduler(t->nic[i], scheduler), 0);
	}
	probe_poll(t->nic, 2, 2);
}

static void
close_pair(struct pair *t)
{
	mpn_nic_destroy(t->nic[0]);
	mpn_nic_destroy(t->nic[1]);
}

/* @return whether the flow took it */
static bool
send_one(struct pair *t, struct probe *from, uint32_t number)
{
	struct rte_mbuf *m = probe_frame(t->nic[0], NULL, from->types[0], number, 1000);

	assert_non_null(m);
	if (mpn_flow_tx(from->p, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

static struct mpn_flow_stats
stats_of(const struct probe *probe)
{
	struct mpn_personality_info info;

	mpn_personality_get_info(probe->p, &info);
	return info.stats;
}

/* What has been sent by the one that works has arrived, in order, and nobody had to tell it of anything. */
static void
assert_unharmed(const struct pair *t, uint64_t sent)
{
	assert_int_equal(t->good[1].frames, sent);
	assert_int_equal(t->good[1].out_of_order, 0);
	assert_int_equal(t->good[1].damaged, 0);
	assert_int_equal(stats_of(&t->good[1]).rx_dropped, 0);
	assert_int_equal(stats_of(&t->good[0]).tx_full, 0);
	assert_int_equal(t->good[0].errors + t->good[1].errors, 0);
}

/* It sends whatever its flow takes, in every round. */
static void
test_sender_that_floods(void **state)
{
	struct pair t;

	open_pair(&t, "prio-drr");
	for (unsigned i = 0; i < ROUNDS; i++) {
		while (send_one(&t, &t.greedy[0], i))
			;
		assert_true(send_one(&t, &t.good[0], i));
		probe_poll(t.nic, 2, 1);
	}
	assert_true(stats_of(&t.greedy[0]).tx_full > 0);
	probe_poll(t.nic, 2, 100);
	assert_unharmed(&t, ROUNDS);
	close_pair(&t);
}

/* A burst takes it as long as a round may take a hundred others. */
static int
dawdle(struct probe *probe)
{
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz() / 2000;

	while (rte_rdtsc() < end)
		;
	return 0;
}

/* It is sent more than it can take: what is too much for its flow is dropped, and told to it alone. */
static void
test_slow_one_that_is_flooded(void **state)
{
	uint64_t sent = 0, deadline;
	struct pair t;

	open_pair(&t, "prio-drr");
	t.greedy[1].in_rx = dawdle;
	deadline = mpn_now_ns() + 20000000000ull;
	/* It is noticed ten times a second. */
	while (t.greedy[1].errors == 0 && mpn_now_ns() < deadline) {
		for (unsigned k = 0; k < 8; k++)
			(void)send_one(&t, &t.greedy[0], 0);
		if (send_one(&t, &t.good[0], (uint32_t)sent))
			sent++;
		probe_poll(t.nic, 2, 1);
	}
	assert_int_equal(t.greedy[1].last_error, -ENOBUFS);
	assert_true(stats_of(&t.greedy[1]).rx_full > 0);
	assert_int_equal(mpn_nic_get_stats(t.nic[1])->rx_flow_full, stats_of(&t.greedy[1]).rx_full);
	t.greedy[1].in_rx = NULL;
	probe_poll(t.nic, 2, 200);
	assert_unharmed(&t, sent);
	close_pair(&t);
}

/* It does not run at all: nothing of it is taken, and nothing of the other one is missing. */
static void
test_one_that_does_not_run(void **state)
{
	struct pair t;

	open_pair(&t, "fifo");
	assert_int_equal(mpn_personality_stop(t.greedy[1].p), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_true(send_one(&t, &t.greedy[0], i));
		assert_true(send_one(&t, &t.good[0], i));
		probe_poll(t.nic, 2, 1);
	}
	probe_poll(t.nic, 2, 100);
	assert_int_equal(mpn_nic_get_stats(t.nic[1])->rx_stopped, ROUNDS);
	assert_int_equal(t.greedy[1].frames, 0);
	assert_unharmed(&t, ROUNDS);
	close_pair(&t);
}

/* It keeps what it is given: its own pool is exhausted, which it hears of, and the NIC's is not. */
static void
test_one_that_keeps_its_frames(void **state)
{
	struct mpn_event_info no_mbufs;
	struct probe *greedy;
	uint64_t deadline = mpn_now_ns() + 20000000000ull, sent = 0;
	struct pair t;

	open_pair(&t, "fifo");
	greedy = &t.greedy[1];
	assert_int_equal(mpn_personality_stop(greedy->p), 0);
	assert_int_equal(mpn_personality_unload(greedy->p), 0);
	assert_int_equal(
		mpn_personality_set_limits(greedy->p, &(struct mpn_limits){.rx_frames = 8}), 0);
	assert_int_equal(mpn_personality_load(greedy->p, &greedy), 0);
	assert_int_equal(mpn_personality_start(greedy->p), 0);
	greedy->hold = true;
	probe_catch_log();
	while (greedy->errors == 0 && mpn_now_ns() < deadline) {
		(void)send_one(&t, &t.greedy[0], 0);
		if (send_one(&t, &t.good[0], (uint32_t)sent))
			sent++;
		probe_poll(t.nic, 2, 1);
	}
	assert_non_null(strstr(probe_release_log(), "'greedy': all frames of its own are in use"));
	assert_int_equal(greedy->last_error, -ENOMEM);
	assert_int_equal(greedy->nb_held, 8);
	assert_true(stats_of(greedy).rx_no_frames > 0);
	probe_poll(t.nic, 2, 100);
	assert_unharmed(&t, sent);
	assert_int_equal(t.greedy[0].errors, 0);
	mpn_nic_get_event(t.nic[1], MPN_NIC_NO_MBUFS, &no_mbufs);
	assert_int_equal(no_mbufs.count, 0);
	rte_pktmbuf_free_bulk(greedy->held, greedy->nb_held);
	close_pair(&t);
}

/* It does not get quiet: it is stopped all the same, and it alone is told. */
static void
test_one_that_does_not_get_quiet(void **state)
{
	struct pair t;

	open_pair(&t, "prio-drr");
	t.greedy[1].busy = true;
	probe_catch_log();
	assert_int_equal(mpn_personality_stop(t.greedy[1].p), -ETIMEDOUT);
	(void)probe_release_log();
	assert_int_equal(t.greedy[1].errors, 1);
	assert_int_equal(t.greedy[1].last_error, -ETIMEDOUT);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_true(send_one(&t, &t.good[0], i));
		probe_poll(t.nic, 2, 1);
	}
	probe_poll(t.nic, 2, 100);
	assert_unharmed(&t, ROUNDS);
	close_pair(&t);
}

static int
start(void **state)
{
	return probe_eal_start("ring:greedy", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sender_that_floods),
		cmocka_unit_test(test_slow_one_that_is_flooded),
		cmocka_unit_test(test_one_that_does_not_run),
		cmocka_unit_test(test_one_that_keeps_its_frames),
		cmocka_unit_test(test_one_that_does_not_get_quiet),
	};

	return cmocka_run_group_tests(tests, start, probe_eal_stop);
}
