/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A remote personality, and the NIC of its process, with their stages on other lcores. These share two cores, or
 * one: what is tested must not depend on their number.
 */

#include <sched.h>

#include "map.h"
#include "mpn_map.h"
#include "nic_internal.h"
#include "remote.h"
#include "remote_world.h"

#define LEN 200
#define WINDOW 32

static struct mpn_personality *other; /* in the other process, so that its scheduler has a choice */
static struct probe other_probe;

static void
make_both(const char *near, const char *there)
{
	struct mpn_remote_conf conf = {
		.socket = sock_path, .types = {PROBE_TYPE, PROBE_TYPE_2}, .nb_types = 2};

	make_near();
	assert_int_equal(mpn_personality_load(w.remote, &conf), 0);
	assert_int_equal(mpn_personality_start(w.remote), 0);
	assert_int_equal(mpn_nic_set_map(w.nic[NEAR], near), 0);
	make_there();
	other_probe = (struct probe){.types = {PROBE_TYPE_2}, .nb_types = 1};
	other = probe_add(w.nic[THERE], &other_probe, "other", 0, 0);
	assert_int_equal(mpn_nic_set_scheduler(w.nic[THERE], "prio-drr"), 0);
	assert_int_equal(mpn_nic_set_map(w.nic[THERE], there), 0);
}

static void
poll_all(void)
{
	unsigned work = 0;

	for (unsigned i = 0; i < ENDS; i++)
		work += mpn_nic_poll(w.nic[i]);
	if (work == 0)
		(void)sched_yield();
}

/* There and back, a window at a time. */
static void
exchange(uint32_t count)
{
	uint64_t deadline = mpn_now_ns() + 30000000000ull, first = w.probe[FAR].frames;
	uint32_t sent = 0;

	w.probe[FAR].next_number = 0;
	while (w.probe[FAR].frames - first < count) {
		while (sent < count && sent - (w.probe[FAR].frames - first) < WINDOW &&
			probe_send(&w.probe[FAR], NULL, sent, LEN))
			sent++;
		poll_all();
		if (mpn_now_ns() > deadline)
			fail_msg("%u of %u frames are back",
				(unsigned)(w.probe[FAR].frames - first), count);
	}
	assert_int_equal(w.probe[FAR].out_of_order + w.probe[FAR].damaged, 0);
}

static const char *const maps[] = {"rx=1,tx=1,echo=2", "echo=1", "rx=1,tx=2,echo=3", "tx=2"};
static const char *const maps_there[] = {
	"rx=2,probe=3,tx=1", "rx=1,tx=1", "probe=2", "tx=3,other=1"};

static void
test_frames_cross_lcores_and_processes(void **state)
{
	make_both(maps[0], maps_there[0]);
	for (unsigned i = 0; i < 2 * MPN_ARRAY_SIZE(maps); i++) {
		assert_int_equal(mpn_nic_set_map(w.nic[NEAR], maps[i % 4]), 0);
		assert_int_equal(mpn_nic_set_map(w.nic[THERE], maps_there[i % 4]), 0);
		exchange(1000);
	}
	mpn_nic_hold(w.nic[NEAR]);
	assert_int_equal(look().stats.to_frames, 1000 * 2 * MPN_ARRAY_SIZE(maps));
	assert_int_equal(look().stats.lost + look().stats.to_full + look().stats.refused, 0);
	mpn_nic_release(w.nic[NEAR]);
}

/* Another lcore may be looking at the shared memory in this moment: what is found in it does not take it away. */
static void
test_memory_stays_until_the_nic_is_held(void **state)
{
	struct remote *r;
	struct link *l;

	make_both(NULL, NULL);
	r = mpn_personality_priv(w.remote);
	l = w.nic[THERE]->link;
	for (unsigned i = 0; i < 4; i++)
		assert_true(probe_send(&w.probe[THERE], NULL, i, LEN));
	probe_poll(&w.nic[THERE], 1, 4);
	assert_int_equal(l->spec.kind->unsent(l, mpn_now_ns()), 4);
	atomic_store(&r->map.mine->sent, UINT32_MAX / 2);
	assert_int_equal(w.nic[THERE]->pump(l, w.nic[THERE]->rx_pool, true, mpn_now_ns()), 0);
	assert_int_equal(l->spec.kind->unsent(l, mpn_now_ns()), 4);
	probe_catch_log();
	probe_poll(&w.nic[THERE], 1, 1);
	assert_non_null(strstr(probe_release_log(), "makes no sense"));
	assert_int_equal(l->spec.kind->unsent(l, mpn_now_ns()), 0);
	probe_catch_log();
	expect_link(true);
	(void)probe_release_log();
}

static bool
is_attached(void *arg)
{
	bool yes;

	mpn_nic_hold(w.nic[NEAR]);
	yes = look().state == MPN_REMOTE_ATTACHED;
	mpn_nic_release(w.nic[NEAR]);
	return yes;
}

/* Both ends have noticed what happened before. */
static void
wait_until_back(void)
{
	assert_true(probe_poll_until(w.nic, ENDS, is_attached, NULL, 10000));
	expect_link(true);
}

/* Its process comes and goes while an lcore of it sends: nobody looks at memory that is not there any more. */
static void
test_the_process_goes_and_comes_while_lcores_run(void **state)
{
	struct mpn_event_info ev;
	const unsigned times = 40;

	make_both(maps[2], maps_there[0]);
	probe_catch_log();
	for (unsigned i = 0; i < times; i++) {
		struct remote *r = mpn_personality_priv(w.remote);

		for (unsigned n = 0; n < 8; n++) {
			struct rte_mbuf *m = probe_frame(w.nic[THERE], NULL, PROBE_TYPE_2, n, LEN);

			if (m != NULL && mpn_flow_tx(other, &m, 1) == 0)
				rte_pktmbuf_free(m);
		}
		mpn_nic_hold(w.nic[NEAR]);
		if (i % 2 == 0 && remote_is_attached(r))
			atomic_store(&r->map.mine->sent, UINT32_MAX / 2);
		else
			remote_lose(r, -EPIPE);
		mpn_nic_release(w.nic[NEAR]);
		for (unsigned n = 0; n < 20; n++)
			poll_all();
		if (i % 4 == 3)
			wait_until_back();
	}
	(void)probe_release_log();
	probe_poll(w.nic, ENDS, 200);
	w.probe[FAR].out_of_order = 0;
	exchange(200);
	/* Each time it was told, by the NIC's own thread. */
	mpn_nic_get_event(w.nic[NEAR], MPN_NIC_PROCESS_FAILED, &ev);
	assert_true(ev.count >= times / 4);
}

/* Of a NIC on several lcores all have to move: one that holds its lcore for ever is one that hangs. */
static void
test_beats_are_those_of_all_lcores(void **state)
{
	struct remote *r;
	uint32_t before;

	make_both(NULL, "rx=1,tx=1,probe=2");
	exchange(10);
	r = mpn_personality_priv(w.remote);
	before = atomic_load(&r->map.theirs->beats);
	/* As if it did not come back from its turn. */
	for (unsigned i = 0; i < 1000; i++) {
		struct nic_map *map = w.nic[THERE]->map;

		map->away[1].seen_rounds =
			__atomic_load_n(&map->away[1].part.rounds, __ATOMIC_RELAXED);
		w.nic[THERE]->pump(w.nic[THERE]->link, w.nic[THERE]->rx_pool, false, mpn_now_ns());
	}
	assert_int_equal(atomic_load(&r->map.theirs->beats), before);
	while (atomic_load(&r->map.theirs->beats) == before)
		poll_all();
	exchange(10);
}

static int
set_up(void **state)
{
	char lcores[64];

	return world_begin(probe_lcores(lcores, sizeof(lcores)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_frames_cross_lcores_and_processes),
		TEST(test_memory_stays_until_the_nic_is_held),
		TEST(test_the_process_goes_and_comes_while_lcores_run),
		TEST(test_beats_are_those_of_all_lcores),
	};

	return cmocka_run_group_tests(tests, set_up, world_tear_down);
}
