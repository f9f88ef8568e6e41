/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A NIC whose stages are on several lcores, and one beside it that this thread polls and sends to it from. The
 * lcores share two cores, or one: what is tested must not depend on their number.
 */

#include <sched.h>

#include <rte_lcore.h>

#include "map.h"
#include "mpn_fwd.h"
#include "mpn_map.h"
#include "nic_internal.h"
#include "probe.h"

#define WINDOW 64
#define LEN 128

struct world {
	struct mpn_nic *near, *far; /* far is the one that is spread */
	struct probe sender, echo, other;
	struct mpn_personality *other_pers;
	uint32_t sent;
};

static struct mpn_nic *
make_nic(void)
{
	struct mpn_nic *nic = mpn_nic_create(&(struct mpn_nic_conf){.link = "ring:map"});

	assert_non_null(nic);
	return nic;
}

static bool
links_are_up(void *arg)
{
	struct world *w = arg;
	struct mpn_nic_info near, far;

	mpn_nic_get_info(w->near, &near);
	mpn_nic_get_info(w->far, &far);
	return near.link_up && far.link_up;
}

static void
open_world(struct world *w, const char *map)
{
	memset(w, 0, sizeof(*w));
	w->near = make_nic();
	w->far = make_nic();
	w->echo.echo = true;
	w->other = (struct probe){.types = {PROBE_TYPE_2}, .nb_types = 1};
	(void)probe_add(w->near, &w->sender, "probe", 0, 0);
	(void)probe_add(w->far, &w->echo, "probe", 0, 0);
	w->other_pers = probe_add(w->far, &w->other, "other", 0, 0);
	assert_int_equal(mpn_nic_set_map(w->far, map), 0);
	assert_true(
		probe_poll_until((struct mpn_nic *[]){w->near, w->far}, 2, links_are_up, w, 10000));
}

static void
close_world(struct world *w)
{
	mpn_nic_destroy(w->far);
	mpn_nic_destroy(w->near);
}

static void
poll_both(struct world *w)
{
	if (mpn_nic_poll(w->near) + mpn_nic_poll(w->far) == 0)
		(void)sched_yield();
}

/* Frames there and back, a window at a time, none lost, in order. */
static void
exchange(struct world *w, uint32_t count)
{
	uint32_t end = w->sent + count;
	uint64_t deadline = mpn_now_ns() + 60000000000ull;
	struct mpn_nic_info far;

	mpn_nic_get_info(w->far, &far);
	while (w->sender.frames < end) {
		while (w->sent < end && w->sent - w->sender.frames < WINDOW &&
			probe_send(&w->sender, far.mac, w->sent, LEN))
			w->sent++;
		poll_both(w);
		if (mpn_now_ns() > deadline)
			fail_msg("%u of %u frames are back", (unsigned)w->sender.frames, end);
	}
	assert_int_equal(w->sender.out_of_order, 0);
	assert_int_equal(w->sender.damaged, 0);
}

/* ---- Frames ---- */

/* Every frame has been counted once by every stage. */
static void
check_counters(struct world *w, uint32_t count)
{
	const struct mpn_nic_stats *st = mpn_nic_get_stats(w->far);
	struct mpn_personality_info info;

	mpn_nic_hold(w->far);
	mpn_personality_get_info(w->echo.p, &info);
	assert_int_equal(st->rx_frames, count);
	assert_int_equal(st->rx_bytes, (uint64_t)count * LEN);
	assert_int_equal(st->tx_frames, count);
	assert_int_equal(st->tx_bytes, (uint64_t)count * LEN);
	assert_int_equal(info.stats.rx_frames, count);
	assert_int_equal(info.stats.rx_bytes, (uint64_t)count * LEN);
	assert_int_equal(info.stats.tx_frames, count);
	assert_int_equal(info.stats.rx_dropped + info.stats.tx_dropped + info.stats.tx_full, 0);
	assert_int_equal(w->echo.frames, count);
	assert_int_equal(w->echo.out_of_order + w->echo.damaged, 0);
	mpn_nic_release(w->far);
}

static void
test_frames_cross_lcores(void **state)
{
	static const char *const maps[] = {"rx=1,tx=1", "probe=1", "rx=1,tx=2,probe=3", "rx=1",
		"tx=1", "rx=1,tx=1,probe=1,other=2", ""};
	struct world w;

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(maps); i++) {
		open_world(&w, maps[i]);
		exchange(&w, 5000);
		check_counters(&w, 5000);
		close_world(&w);
	}
}

/* A stress: all stages on lcores of their own, under both schedulers, and the map changes meanwhile. */
static void
test_maps_change_under_traffic(void **state)
{
	static const char *const maps[] = {
		"rx=1,tx=2,probe=3", NULL, "rx=2,probe=1", "tx=3", "probe=2", "rx=3,tx=3,probe=3"};
	struct world w;

	open_world(&w, maps[0]);
	for (unsigned i = 0; i < 60; i++) {
		if (i % 10 == 0)
			assert_int_equal(
				mpn_nic_set_scheduler(w.far, i % 20 == 0 ? "prio-drr" : "fifo"), 0);
		exchange(&w, 300);
		/* With frames on their way. */
		for (unsigned n = 0; n < WINDOW / 2; n++)
			w.sent += probe_send(&w.sender, NULL, w.sent, LEN);
		(void)mpn_nic_poll(w.near);
		assert_int_equal(mpn_nic_set_map(w.far, maps[i % MPN_ARRAY_SIZE(maps)]), 0);
		exchange(&w, 0);
	}
	check_counters(&w, w.sent);
	close_world(&w);
}

/* One personality lives and dies on its lcore while frames for both come: the other one loses none. */
static void
test_life_under_traffic(void **state)
{
	struct probe *arg;
	struct world w;

	open_world(&w, "rx=1,tx=1,probe=2,other=3");
	arg = &w.other;
	for (unsigned i = 0; i < 40; i++) {
		for (unsigned n = 0; n < WINDOW / 2; n++) {
			struct rte_mbuf *m = probe_frame(w.near, NULL, PROBE_TYPE_2, n, LEN);

			w.sent += probe_send(&w.sender, NULL, w.sent, LEN);
			if (m != NULL && mpn_flow_tx(w.sender.p, &m, 1) == 0)
				rte_pktmbuf_free(m);
		}
		(void)mpn_nic_poll(w.near);
		w.other.busy_polls = 3;
		assert_int_equal(mpn_personality_stop(w.other_pers), 0);
		assert_int_equal(mpn_personality_unload(w.other_pers), 0);
		exchange(&w, 20);
		assert_int_equal(mpn_personality_load(w.other_pers, &arg), 0);
		assert_int_equal(mpn_personality_start(w.other_pers), 0);
		exchange(&w, 20);
	}
	assert_int_equal(w.other.stops, 40);
	assert_int_equal(w.other.loads, 41);
	mpn_nic_hold(w.far);
	assert_int_equal(w.echo.frames, w.sent);
	mpn_nic_release(w.far);
	close_world(&w);
	assert_int_equal(w.other.unloads, 41);
}

/* Held, everything runs where the NIC is polled. */
static void
test_held_it_runs_here(void **state)
{
	struct world w;

	open_world(&w, "rx=1,tx=2,probe=3");
	exchange(&w, 100);
	mpn_nic_hold(w.far);
	mpn_nic_hold(w.far);
	exchange(&w, 100);
	assert_int_equal(w.echo.frames, 200);
	mpn_nic_release(w.far);
	mpn_nic_release(w.far);
	mpn_nic_release(w.far); /* one too many */
	exchange(&w, 100);
	close_world(&w);
}

/* ---- Who may do what ---- */

static int
try_steps(struct probe *probe)
{
	int rc = mpn_personality_stop(probe->p) == -EBUSY ? 1 : 0;

	rc += mpn_nic_set_map(mpn_personality_nic(probe->p), NULL) == -EBUSY ? 2 : 0;
	rc += mpn_personality_define(mpn_personality_nic(probe->p), "probe", "x", NULL) == -EBUSY
		      ? 4
		      : 0;
	/* Nobody waits for himself. */
	mpn_nic_hold(mpn_personality_nic(probe->p));
	mpn_nic_release(mpn_personality_nic(probe->p));
	return rc;
}

static void
test_refused_inside_a_stage(void **state)
{
	struct world w;

	open_world(&w, "probe=1");
	w.echo.in_rx = try_steps;
	probe_catch_log();
	exchange(&w, 1);
	(void)probe_release_log();
	mpn_nic_hold(w.far);
	assert_int_equal(w.echo.in_rx_rc, 7);
	w.echo.in_rx = NULL;
	mpn_nic_release(w.far);
	exchange(&w, 10);
	close_world(&w);
}

static void
test_what_is_used_here_stays_here(void **state)
{
	struct world w;
	struct mpn_fwd_conf fwd = {.mode = "echo"};

	open_world(&w, "probe=1");
	probe_catch_log();
	assert_int_equal(mpn_personality_pin(w.echo.p), -EBUSY);
	assert_int_equal(mpn_personality_pin(w.other_pers), 0);
	assert_int_equal(mpn_nic_set_map(w.far, "other=1"), -EBUSY);
	assert_non_null(strstr(probe_release_log(), "calls of the program's own thread"));
	mpn_personality_unpin(w.other_pers);
	assert_int_equal(mpn_nic_set_map(w.far, "other=1"), 0);
	/* A test mode has receiving and sending in one. */
	probe_catch_log();
	assert_int_equal(mpn_nic_set_fwd(w.far, &fwd), -EBUSY);
	assert_int_equal(mpn_nic_set_map(w.far, NULL), 0);
	assert_int_equal(mpn_nic_set_fwd(w.far, &fwd), 0);
	assert_int_equal(mpn_nic_set_map(w.far, "rx=1"), -EBUSY);
	(void)probe_release_log();
	assert_int_equal(mpn_nic_set_fwd(w.far, NULL), 0);
	/* One that sends on another port does so from this thread. */
	fwd = (struct mpn_fwd_conf){.mode = "io", .peer = w.far};
	assert_int_equal(mpn_nic_set_fwd(w.near, &fwd), 0);
	probe_catch_log();
	assert_int_equal(mpn_nic_set_map(w.far, "rx=1"), -EBUSY);
	assert_non_null(strstr(probe_release_log(), "sends on"));
	fwd.mode = "rxonly";
	assert_int_equal(mpn_nic_set_fwd(w.near, &fwd), 0);
	assert_int_equal(mpn_nic_set_map(w.far, "rx=1"), 0);
	fwd.mode = "io";
	probe_catch_log();
	assert_int_equal(mpn_nic_set_fwd(w.near, &fwd), -EBUSY);
	(void)probe_release_log();
	fwd.mode = "rxonly";
	assert_int_equal(mpn_nic_set_fwd(w.near, &fwd), 0);
	assert_int_equal(mpn_nic_set_fwd(w.near, NULL), 0);
	close_world(&w);
}

struct beside {
	atomic_uint runs;
	int lcore;
	unsigned moves;
	int rc;
	bool gone;
};

static unsigned
run_beside(void *arg)
{
	atomic_fetch_add(&((struct beside *)arg)->runs, 1);
	return 0;
}

static int
move_beside(void *arg, const struct mpn_personality *p, int lcore)
{
	struct beside *b = arg;

	b->moves++;
	b->gone = p == NULL;
	if (b->rc == 0)
		b->lcore = lcore;
	return b->rc;
}

static bool
has_run(void *arg)
{
	return atomic_load(&((struct beside *)arg)->runs) > 0;
}

static void
test_what_runs_beside_goes_along(void **state)
{
	struct beside b = {.lcore = -2};
	struct world w;

	open_world(&w, "");
	mpn_personality_set_beside(w.other_pers, &(struct mpn_beside){run_beside, move_beside, &b});
	probe_poll(&w.far, 1, 10);
	assert_int_equal(b.runs, 0);
	assert_int_equal(mpn_nic_set_map(w.far, "other=2"), 0);
	assert_int_equal(b.lcore, 2);
	assert_true(probe_poll_until(&w.far, 1, has_run, &b, 10000));
	b.rc = -EBUSY;
	assert_int_equal(mpn_nic_set_map(w.far, "other=1"), -EBUSY);
	assert_int_equal(mpn_personality_lcore(w.other_pers), 2);
	b.rc = 0;
	assert_int_equal(mpn_personality_stop(w.other_pers), 0);
	assert_int_equal(mpn_personality_unload(w.other_pers), 0);
	assert_true(b.gone);
	assert_int_equal(b.lcore, -1);
	close_world(&w);
}

/* ---- Events ---- */

static unsigned told[MPN_NIC_EVENTS];

static void
note_event(struct mpn_nic *nic, enum mpn_nic_event ev, void *arg)
{
	told[ev]++;
	assert_ptr_equal(rte_lcore_id() == rte_get_main_lcore() ? arg : NULL, arg);
}

static int
hold_thread(struct probe *probe)
{
	uint64_t end = mpn_now_ns() + 3000000;

	while (mpn_now_ns() < end)
		;
	return 0;
}

static bool
is_told(void *arg)
{
	return told[*(enum mpn_nic_event *)arg] > 0;
}

static void
test_events_are_told_by_the_own_thread(void **state)
{
	enum mpn_nic_event held = MPN_NIC_HELD, down = MPN_NIC_LINK_DOWN, up = MPN_NIC_LINK_UP;
	struct mpn_nic_info info;
	struct mpn_nic *nics[2];
	struct world w;

	open_world(&w, "rx=1,tx=2,probe=3");
	nics[0] = w.near;
	nics[1] = w.far;
	memset(told, 0, sizeof(told));
	mpn_nic_set_event_cb(w.far, note_event, &w);
	mpn_nic_set_watchdog(w.far, 1000000);
	w.echo.in_rx = hold_thread;
	probe_catch_log();
	exchange(&w, 1);
	assert_true(probe_poll_until(nics, 2, is_told, &held, 10000));
	(void)probe_release_log();
	mpn_nic_get_info(w.far, &info);
	assert_string_equal(info.held_by, "probe");
	assert_true(info.held_ns >= 1000000);
	mpn_nic_hold(w.far);
	w.echo.in_rx = NULL;
	mpn_nic_release(w.far);
	mpn_nic_set_watchdog(w.far, 0);
	assert_int_equal(mpn_nic_inject(w.far, MPN_FAULT_LINK_DOWN, true), 0);
	assert_true(probe_poll_until(nics, 2, is_told, &down, 10000));
	told[up] = 0;
	assert_int_equal(mpn_nic_inject(w.far, MPN_FAULT_LINK_DOWN, false), 0);
	assert_true(probe_poll_until(nics, 2, is_told, &up, 10000));
	mpn_nic_hold(w.far);
	assert_int_equal(w.other.events[down], 1);
	mpn_nic_release(w.far);
	exchange(&w, 100);
	close_world(&w);
}

/* A port that takes nothing: the lcore of tx finds out. */
static void
test_stuck_on_another_lcore(void **state)
{
	enum mpn_nic_event stuck = MPN_NIC_TX_STUCK, moves = MPN_NIC_TX_MOVES;
	struct mpn_nic *nics[2];
	struct world w;

	open_world(&w, "tx=1,probe=2");
	nics[0] = w.near;
	nics[1] = w.far;
	memset(told, 0, sizeof(told));
	mpn_nic_set_event_cb(w.far, note_event, &w);
	assert_int_equal(mpn_nic_inject(w.far, MPN_FAULT_TX_STUCK, true), 0);
	assert_true(probe_send(&w.sender, NULL, w.sent++, LEN));
	probe_catch_log();
	assert_true(probe_poll_until(nics, 2, is_told, &stuck, 20000));
	assert_int_equal(mpn_nic_inject(w.far, MPN_FAULT_TX_STUCK, false), 0);
	assert_true(probe_poll_until(nics, 2, is_told, &moves, 20000));
	(void)probe_release_log();
	exchange(&w, 100);
	close_world(&w);
}

static void
test_shown(void **state)
{
	static const char *const words[] = {"\"spread\": true", "\"own_thread\": true",
		"\"own_thread\": false", "\"lcore\": 2", "\"busy_percent\"", "\"rx\"", "\"other\""};
	struct mpn_out o;
	char *text = NULL;
	size_t size = 0;
	struct world w;
	FILE *f;

	open_world(&w, "rx=1,probe=2");
	mpn_map_set_idle(MPN_IDLE_SLEEP);
	exchange(&w, 500);
	f = open_memstream(&text, &size);
	assert_non_null(f);
	mpn_out_begin(&o, f, true);
	mpn_nic_print_map(w.far, &o);
	assert_int_equal(mpn_out_end(&o), 0);
	assert_int_equal(fclose(f), 0);
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(words); i++) {
		if (strstr(text, words[i]) == NULL)
			fail_msg("no %s in %s", words[i], text);
	}
	free(text);
	mpn_map_set_idle(MPN_IDLE_SPIN);
	mpn_nic_clear_stats(w.far);
	mpn_nic_hold(w.far);
	assert_true(w.far->map->away[0].part.rounds <= w.far->map->away[0].part.idle_rounds);
	mpn_nic_release(w.far);
	close_world(&w);
}

static int
start_eal(void **state)
{
	char lcores[64];

	return probe_eal_start("ring:map", probe_lcores(lcores, sizeof(lcores)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_cross_lcores),
		cmocka_unit_test(test_maps_change_under_traffic),
		cmocka_unit_test(test_life_under_traffic),
		cmocka_unit_test(test_held_it_runs_here),
		cmocka_unit_test(test_refused_inside_a_stage),
		cmocka_unit_test(test_what_is_used_here_stays_here),
		cmocka_unit_test(test_what_runs_beside_goes_along),
		cmocka_unit_test(test_events_are_told_by_the_own_thread),
		cmocka_unit_test(test_stuck_on_another_lcore),
		cmocka_unit_test(test_shown),
	};

	return cmocka_run_group_tests_name("map", tests, start_eal, probe_eal_stop);
}
