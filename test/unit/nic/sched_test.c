/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Who gets what of a port that is too small for all. Counted in frames and bytes, never timed. */

#include "nic_internal.h"
#include "probe.h"

#define WINDOWS 20
#define ROUNDS 100 /* of a window */
#define RING 64 /* descriptors: the port is full soon */

struct load {
	struct mpn_nic *nic[2];
	struct probe probe[3]; /* senders */
	struct probe sink[3]; /* by frame type */
	uint32_t len[3];
	unsigned nb;
};

static const uint16_t types[] = {0x88b5, 0x88b6, 0x88b7};

static struct mpn_personality *
add_probe(struct mpn_nic *nic, struct probe *probe, unsigned i)
{
	char name[8];
	struct mpn_personality *p;

	probe->types[0] = types[i];
	probe->nb_types = 1;
	(void)snprintf(name, sizeof(name), "p%u", i);
	assert_int_equal(mpn_personality_define(nic, "probe", name, &p), 0);
	assert_int_equal(mpn_personality_load(p, &probe), 0);
	assert_int_equal(mpn_personality_start(p), 0);
	return p;
}

static void
open_load(struct load *t, unsigned nb, const struct mpn_share *shares, const uint32_t *lens)
{
	const struct mpn_nic_conf conf = {
		.link = "ring:sched", .mtu = 1500, .nb_txd = RING, .flow_len = 256};

	memset(t, 0, sizeof(*t));
	t->nb = nb;
	for (unsigned e = 0; e < 2; e++) {
		t->nic[e] = mpn_nic_create(&conf);
		assert_non_null(t->nic[e]);
	}
	for (unsigned i = 0; i < nb; i++) {
		struct mpn_personality *p = add_probe(t->nic[0], &t->probe[i], i);

		assert_int_equal(mpn_personality_set_share(p, &shares[i]), 0);
		(void)add_probe(t->nic[1], &t->sink[i], i);
		t->len[i] = lens[i];
	}
	probe_poll(t->nic, 2, 2);
}

static void
close_load(struct load *t)
{
	for (unsigned i = 0; i < t->nb; i++) {
		/* All that was taken has arrived, in order. */
		assert_int_equal(t->sink[i].out_of_order, 0);
		assert_int_equal(t->sink[i].damaged, 0);
	}
	mpn_nic_destroy(t->nic[1]);
	mpn_nic_destroy(t->nic[0]);
}

/* Keep so many frames of a sender in its flow. */
static void
feed(struct load *t, unsigned i, unsigned backlog)
{
	struct probe *probe = &t->probe[i];
	struct mpn_personality_info info;

	mpn_personality_get_info(probe->p, &info);
	for (unsigned n = info.tx_len; n < backlog; n++) {
		struct rte_mbuf *m =
			probe_frame(t->nic[0], NULL, types[i], probe->next_number, t->len[i]);

		assert_non_null(m);
		assert_int_equal(mpn_flow_tx(probe->p, &m, 1), 1);
		probe->next_number++;
	}
}

/* A window with all of them backlogged. @return bytes by sender that the other end got */
static void
run_window(struct load *t, uint64_t bytes[3])
{
	for (unsigned i = 0; i < t->nb; i++)
		bytes[i] = t->sink[i].bytes;
	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < t->nb; i++)
			feed(t, i, 128);
		probe_poll(t->nic, 2, 1);
	}
	for (unsigned i = 0; i < t->nb; i++)
		bytes[i] = t->sink[i].bytes - bytes[i];
}

/* Jain's index of what each got for its weight: 1 when it is the same for all. */
static double
jain(const uint64_t *bytes, const struct mpn_share *shares, unsigned nb)
{
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < nb; i++) {
		double x = (double)bytes[i] / shares[i].weight;

		sum += x;
		squares += x * x;
	}
	return sum * sum / (nb * squares);
}

static void
check_shares(unsigned nb, const struct mpn_share *shares, const uint32_t *lens)
{
	struct load t;
	uint64_t bytes[3];

	open_load(&t, nb, shares, lens);
	assert_int_equal(mpn_nic_set_scheduler(t.nic[0], "prio-drr"), 0);
	run_window(&t, bytes);
	for (unsigned w = 0; w < WINDOWS; w++) {
		run_window(&t, bytes);
		assert_true(jain(bytes, shares, nb) > 0.98);
	}
	close_load(&t);
}

static void
test_weights(void **state)
{
	static const uint32_t same[] = {1000, 1000, 1000};
	static const uint32_t mixed[] = {64, 1514, 333};

	check_shares(2,
		(struct mpn_share[]){
			{.cpu_weight = 1, .weight = 1}, {.cpu_weight = 1, .weight = 3}},
		same);
	check_shares(2,
		(struct mpn_share[]){
			{.cpu_weight = 1, .weight = 1}, {.cpu_weight = 1, .weight = 1}},
		mixed);
	check_shares(2,
		(struct mpn_share[]){
			{.cpu_weight = 1, .weight = 3}, {.cpu_weight = 1, .weight = 1}},
		mixed);
	check_shares(3,
		(struct mpn_share[]){{.cpu_weight = 1, .weight = 1}, {.cpu_weight = 1, .weight = 2},
			{.cpu_weight = 1, .weight = 4}},
		mixed);
}

/* What the other scheduler does: bytes by frame size, whatever the weights. The test above can fail. */
static void
test_fifo_has_no_weights(void **state)
{
	static const uint32_t lens[] = {1514, 64};
	static const struct mpn_share shares[] = {
		{.cpu_weight = 1, .weight = 1}, {.cpu_weight = 1, .weight = 1}};
	struct load t;
	uint64_t bytes[3];

	open_load(&t, 2, shares, lens);
	assert_string_equal(mpn_nic_scheduler(t.nic[0]), "fifo");
	run_window(&t, bytes);
	run_window(&t, bytes);
	assert_true(jain(bytes, shares, 2) < 0.9);
	close_load(&t);
}

/* An idle flow saves nothing up, and its share is the others' meanwhile. */
static void
test_idle_flows_do_not_save(void **state)
{
	static const uint32_t lens[] = {1000, 1000};
	static const struct mpn_share shares[] = {
		{.cpu_weight = 1, .weight = 1}, {.cpu_weight = 1, .weight = 1}};
	struct load t;
	uint64_t bytes[3], alone;

	open_load(&t, 2, shares, lens);
	assert_int_equal(mpn_nic_set_scheduler(t.nic[0], "prio-drr"), 0);
	alone = t.sink[0].frames;
	for (unsigned r = 0; r < 10 * ROUNDS; r++) {
		feed(&t, 0, 128);
		probe_poll(t.nic, 2, 1);
	}
	/* Each round of the other end takes 16. */
	assert_true(t.sink[0].frames - alone > 15 * 10 * ROUNDS);
	run_window(&t, bytes);
	for (unsigned w = 0; w < 3; w++) {
		run_window(&t, bytes);
		assert_true(jain(bytes, shares, 2) > 0.98);
	}
	close_load(&t);
}

/* Rounds until a frame of sender 1 has come through behind the backlog of sender 0. */
static unsigned
rounds_to_pass(struct load *t)
{
	unsigned worst = 0;

	for (unsigned k = 0; k < 20; k++) {
		uint64_t before = t->sink[1].frames;
		unsigned rounds = 0;

		feed(t, 1, 1);
		while (t->sink[1].frames == before) {
			feed(t, 0, 200);
			probe_poll(t->nic, 2, 1);
			rounds++;
			assert_true(rounds < 1000);
		}
		worst = MPN_MAX(worst, rounds);
	}
	return worst;
}

static void
test_priority_does_not_wait(void **state)
{
	static const uint32_t lens[] = {1000, 64};
	struct mpn_share shares[] = {
		{.cpu_weight = 1, .weight = 100}, {.cpu_weight = 1, .weight = 1, .priority = true}};
	struct mpn_personality_info info;
	unsigned with, without;
	struct load t;

	open_load(&t, 2, shares, lens);
	assert_int_equal(mpn_nic_set_scheduler(t.nic[0], "prio-drr"), 0);
	with = rounds_to_pass(&t);
	shares[1].priority = false;
	assert_int_equal(mpn_personality_set_share(t.probe[1].p, &shares[1]), 0);
	without = rounds_to_pass(&t);
	/* The descriptors of the port, 16 a round, are all that can be in front of it. */
	assert_in_range(with, 1, RING / 16 + 2);
	assert_true(without > with);
	mpn_personality_get_info(t.probe[0].p, &info);
	assert_true(info.tx_delay_max_ns > 0);
	assert_true(info.tx_delay_p99_ns >= info.tx_delay_p50_ns);
	close_load(&t);
}

/* A flood with priority gets its rate before the others, and no more than its turn after that. */
static void
test_priority_is_bounded(void **state)
{
	static const uint32_t lens[] = {1000, 1000};
	static const struct mpn_share shares[] = {
		{.cpu_weight = 1, .weight = 1}, {.cpu_weight = 1, .weight = 1, .priority = true}};
	struct load t;
	uint64_t bytes[3];

	open_load(&t, 2, shares, lens);
	assert_int_equal(mpn_nic_set_scheduler(t.nic[0], "prio-drr"), 0);
	/* A bucket that is filled in an hour again. */
	t.probe[1].p->prio.bytes = 0;
	t.probe[1].p->prio.ns = mpn_now_ns() + 3600 * 1000000000ull;
	run_window(&t, bytes);
	run_window(&t, bytes);
	assert_true(jain(bytes, shares, 2) > 0.98);
	/* And one that is full is used before anything else. */
	for (unsigned r = 0; r < ROUNDS; r++) {
		t.probe[1].p->prio.bytes = 1000000;
		feed(&t, 0, 128);
		feed(&t, 1, 128);
		probe_poll(t.nic, 2, 1);
	}
	bytes[0] = t.sink[0].bytes;
	bytes[1] = t.sink[1].bytes;
	for (unsigned r = 0; r < ROUNDS; r++) {
		t.probe[1].p->prio.bytes = 1000000;
		feed(&t, 0, 128);
		feed(&t, 1, 128);
		probe_poll(t.nic, 2, 1);
	}
	assert_true((t.sink[1].bytes - bytes[1]) > 4 * (t.sink[0].bytes - bytes[0]));
	close_load(&t);
}

/* Above its TX rate a flow waits, under any scheduler, and the others get what it leaves. */
static void
check_rate(const char *scheduler)
{
	static const uint32_t lens[] = {1000, 1000};
	static const struct mpn_share shares[] = {
		{.cpu_weight = 1, .weight = 1, .tx_rate = 10000000},
		{.cpu_weight = 1, .weight = 1}};
	struct mpn_share slow = shares[0];
	struct mpn_personality_info info;
	uint64_t begin, bytes;
	struct load t;

	open_load(&t, 2, shares, lens);
	assert_int_equal(mpn_nic_set_scheduler(t.nic[0], scheduler), 0);
	begin = mpn_now_ns();
	while (t.sink[0].bytes < 500000) {
		feed(&t, 0, 100);
		feed(&t, 1, 100);
		probe_poll(t.nic, 2, 1);
	}
	/* 10 bytes a microsecond, and a millisecond's worth at once. */
	bytes = (mpn_now_ns() - begin) / 100;
	assert_true(t.sink[0].bytes <= bytes + 10000 + 2 * 1000);
	assert_true(t.sink[1].bytes > t.sink[0].bytes);
	mpn_personality_get_info(t.probe[0].p, &info);
	assert_true(info.stats.tx_limited > 0);
	assert_false(t.nic[0]->tx_stuck);
	/* What was accepted leaves at once when it is stopped, even if its rate were an hour's. */
	assert_int_equal(mpn_personality_set_share(t.probe[0].p, &shares[1]), 0);
	probe_poll(t.nic, 2, 100);
	slow.tx_rate = MPN_MIN_RATE;
	t.probe[0].p->rate.bytes = 0;
	assert_int_equal(mpn_personality_set_share(t.probe[0].p, &slow), 0);
	feed(&t, 0, RING / 2);
	assert_int_equal(mpn_personality_stop(t.probe[0].p), 0);
	probe_poll(t.nic, 2, 100);
	assert_int_equal(t.sink[0].frames, t.probe[0].next_number);
	close_load(&t);
}

static void
test_tx_rate(void **state)
{
	check_rate("fifo");
	check_rate("prio-drr");
}

static void
test_names_and_bounds(void **state)
{
	static const uint32_t lens[] = {64};
	static const struct mpn_share one = {.cpu_weight = 1, .weight = 1};
	struct mpn_personality_info info;
	struct load t;

	open_load(&t, 1, &one, lens);
	assert_string_equal(mpn_sched_name(0), "fifo");
	assert_string_equal(mpn_sched_name(1), "prio-drr");
	assert_null(mpn_sched_name(2));
	probe_catch_log();
	assert_int_equal(mpn_nic_set_scheduler(t.nic[0], "lottery"), -ENOENT);
	assert_int_equal(mpn_personality_set_share(t.probe[0].p, &(struct mpn_share){0}), -EINVAL);
	assert_int_equal(
		mpn_personality_set_share(t.probe[0].p,
			&(struct mpn_share){.cpu_weight = 1, .weight = MPN_MAX_WEIGHT + 1}),
		-EINVAL);
	assert_int_equal(
		mpn_personality_set_share(t.probe[0].p, &(struct mpn_share){.weight = 1}), -EINVAL);
	assert_int_equal(mpn_personality_set_share(t.probe[0].p,
				 &(struct mpn_share){.weight = 1, .cpu_weight = 1, .tx_rate = 999}),
		-EINVAL);
	(void)probe_release_log();
	assert_string_equal(mpn_nic_scheduler(t.nic[0]), "fifo");
	mpn_personality_get_info(t.probe[0].p, &info);
	assert_int_equal(info.share.weight, 1);
	close_load(&t);
}

/* Frames in the port when nobody takes them out. */
static unsigned
fill_port(struct load *t)
{
	unsigned n, before = 0;

	/* Those of the last time are taken out first. */
	probe_poll(t->nic, 2, 2 * RING);
	for (unsigned r = 0; r < 2 * RING; r++) {
		feed(t, 0, 128);
		probe_poll(t->nic, 1, 1);
		n = t->nic[0]->link->spec.kind->unsent(t->nic[0]->link, mpn_now_ns());
		assert_true(n >= before);
		before = n;
	}
	return before;
}

static bool
is_brisk(void *arg)
{
	struct load *t = arg;

	feed(t, 1, 1);
	return t->nic[0]->priority_moves;
}

static bool
is_calm(void *arg)
{
	return !((struct load *)arg)->nic[0]->priority_moves;
}

static uint64_t
count_sent(const struct load *t, unsigned i)
{
	struct mpn_personality_info info;

	mpn_personality_get_info(t->probe[i].p, &info);
	return info.stats.tx_frames;
}

/*
 * The other end takes 16 frames at a time. As many with priority come meanwhile, so that some always wait in
 * the port. @return frames of the other sender that have found their way between them
 */
static uint64_t
send_beside_priority(struct load *t, unsigned times)
{
	uint64_t before = count_sent(t, 0);

	feed(t, 1, 8);
	for (unsigned i = 0; i < 4 * times; i++) {
		feed(t, 0, 128);
		feed(t, 1, 4);
		/* As much as it has, whatever time it is. */
		t->probe[1].p->prio.bytes = 1000000;
		probe_poll(&t->nic[0], 1, 1);
		if (i % 4 == 3)
			probe_poll(&t->nic[1], 1, 1);
	}
	return count_sent(t, 0) - before;
}

/* What is in the port is in front of all that comes, whatever the scheduler thinks of it. */
static void
test_little_waits_below(void **state)
{
	static const uint32_t lens[] = {1000, 64};
	static const struct mpn_share shares[] = {
		{.cpu_weight = 1, .weight = 1}, {.cpu_weight = 1, .weight = 1, .priority = true}};
	struct load t;

	open_load(&t, 2, shares, lens);
	assert_int_equal(fill_port(&t), RING);
	assert_int_equal(mpn_nic_set_scheduler(t.nic[0], "prio-drr"), 0);
	assert_int_equal(fill_port(&t), MPN_BURST);
	/* One with priority says something now and then: rounds are short as long as it does. */
	assert_true(probe_poll_until(t.nic, 2, is_brisk, &t, 5000));
	/* However long the following takes, this is not looked at again meanwhile. */
	t.nic[0]->next_check_ns = UINT64_MAX;
	assert_in_range(t.nic[0]->pace.run, 1, MPN_BURST / 4);
	assert_in_range(fill_port(&t), 1, MPN_BURST / 4);
	/* What it has in the port takes nothing of the others' part of a round. */
	assert_in_range(send_beside_priority(&t, 10), 15, 40);
	t.nic[0]->next_check_ns = 0;
	assert_true(probe_poll_until(t.nic, 2, is_calm, &t, 5000));
	assert_int_equal(fill_port(&t), MPN_BURST);
	/* Alone, one has all of the port. */
	assert_int_equal(mpn_personality_stop(t.probe[1].p), 0);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(fill_port(&t), RING);
	close_load(&t);
}

static int
start_eal(void **state)
{
	return probe_eal_start("ring:sched", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_fifo_has_no_weights),
		cmocka_unit_test(test_idle_flows_do_not_save),
		cmocka_unit_test(test_priority_does_not_wait),
		cmocka_unit_test(test_priority_is_bounded),
		cmocka_unit_test(test_little_waits_below),
		cmocka_unit_test(test_tx_rate),
		cmocka_unit_test(test_names_and_bounds),
	};

	return cmocka_run_group_tests_name("schedulers", tests, start_eal, probe_eal_stop);
}
