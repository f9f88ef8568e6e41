/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A personality in another process, which is killed and stopped at random moments: another personality of the
 * same NIC does not notice, and no frame is missing in a pool afterwards.
 */

#include <signal.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mpn_remote.h"
#include "pair.h"

#define KILLS 10
#define OTHER_TYPE 0x88b7

static char dir[] = "/tmp/mpnic-test-XXXXXX";
static char sock_path[64], link_name[96];

/* Frames to the process, and to a neighbour that sends them back. */
struct world {
	struct pair pair;
	struct mpn_personality *remote;
	struct probe near, far;
	uint64_t asked, answered; /* of the neighbour */
};

static struct world w;

static struct mpn_remote_info
look(void)
{
	struct mpn_remote_info info;

	assert_int_equal(mpn_remote_get_info(w.remote, &info), 0);
	return info;
}

static void
make_world(const char *hang)
{
	char options[160];

	memset(&w, 0, sizeof(w));
	for (unsigned i = 0; i < 2; i++) {
		w.pair.nic[i] = probe_nic("ring:kill", false, 0);
		assert_non_null(w.pair.nic[i]);
	}
	w.near = (struct probe){.types = {OTHER_TYPE}, .nb_types = 1, .echo = true};
	w.far = (struct probe){.types = {OTHER_TYPE}, .nb_types = 1};
	(void)probe_add(w.pair.nic[0], &w.near, "neighbour", 0, 0);
	(void)probe_add(w.pair.nic[1], &w.far, "neighbour", 0, 0);
	probe_start(w.pair.nic[1], &w.pair.probe[1]);
	assert_int_equal(mpn_personality_define(w.pair.nic[0], "remote", NULL, &w.remote), 0);
	(void)snprintf(options, sizeof(options), "socket=%s,type=0x88b5%s", sock_path, hang);
	assert_int_equal(mpn_personality_load_text(w.remote, options), 0);
	assert_int_equal(mpn_personality_start(w.remote), 0);
}

/* One question to the neighbour at a time, a few to the process. @return answers of the process */
static uint64_t
run_round(unsigned len)
{
	if (w.far.frames == w.asked) {
		struct rte_mbuf *m =
			probe_frame(w.pair.nic[1], NULL, OTHER_TYPE, (uint32_t)w.asked, 4000);

		assert_non_null(m);
		assert_int_equal(mpn_flow_tx(w.far.p, &m, 1), 1);
		w.asked++;
	}
	for (unsigned i = 0; i < 4; i++)
		(void)probe_send(&w.pair.probe[1], NULL, i, len);
	probe_poll(w.pair.nic, 2, 1);
	if (mpn_now_ns() % 7 == 0)
		(void)sched_yield();
	return w.pair.probe[1].frames;
}

/* @return whether the condition came true */
static bool
run_until(bool (*cond)(uint64_t arg), uint64_t arg, unsigned ms)
{
	uint64_t end_ns = mpn_now_ns() + ms * 1000000ull;

	while (!cond(arg)) {
		if (mpn_now_ns() > end_ns)
			return false;
		(void)run_round(64 + rand() % 8000);
	}
	return true;
}

static bool
has_answers(uint64_t n)
{
	return w.pair.probe[1].frames >= n;
}

static bool
is_state(uint64_t state)
{
	return look().state == state;
}

static bool
never(uint64_t arg)
{
	return false;
}

/* A pool lives until all of its frames are back. */
static void
expect_no_pool(void)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	for (unsigned i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "mpn_remote%u", i);
		assert_null(rte_mempool_lookup(name));
	}
}

/* All frames are back where they came from, and the neighbour has lost none. */
static void
end_world(void)
{
	struct rte_mempool *pool = mpn_nic_rx_pool(w.pair.nic[1]);

	while (w.far.frames < w.asked)
		probe_poll(w.pair.nic, 2, 1);
	assert_int_equal(w.far.frames, w.asked);
	assert_int_equal(w.far.damaged + w.far.out_of_order, 0);
	assert_int_equal(mpn_personality_stop(w.remote), 0);
	/* What is still on its way is dropped at the other end. */
	probe_poll(w.pair.nic, 2, 100);
	pair_close_one(&w.pair, 0);
	assert_int_equal(rte_mempool_avail_count(pool), pool->size);
	pair_close_one(&w.pair, 1);
	expect_no_pool();
}

static void
test_killed_at_random_moments(void **state)
{
	pid_t pid;

	make_world("");
	probe_catch_log();
	for (unsigned i = 0; i < KILLS; i++) {
		unsigned ms = (unsigned)rand() % 50;

		pid = peer_start(link_name, false);
		/* Every other one already while it comes. */
		if (i % 2 == 0)
			assert_true(run_until(has_answers, w.pair.probe[1].frames + 100, 10000));
		(void)run_until(never, 0, i % 2 == 0 ? ms : 4 * ms);
		assert_true(WIFSIGNALED(peer_end(pid, SIGKILL)));
		(void)run_until(never, 0, 10);
		assert_int_not_equal(look().state, MPN_REMOTE_ATTACHED);
	}
	(void)probe_release_log();
	assert_true(look().stats.died >= KILLS / 2);
	assert_int_equal(look().stats.died, look().stats.attached);
	assert_int_equal(look().error, -EPIPE);
	assert_int_equal(look().stats.broken + look().stats.refused, 0);
	end_world();
}

static void
test_stopped_and_continued(void **state)
{
	pid_t pid;

	make_world(",hang=200ms");
	pid = peer_start(link_name, false);
	assert_true(run_until(has_answers, 100, 10000));
	probe_catch_log();
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_true(run_until(is_state, MPN_REMOTE_FAILED, 5000));
	assert_non_null(strstr(probe_release_log(), "does not poll any more"));
	assert_int_equal(look().error, -ETIMEDOUT);
	/* Its place is free for another one, */
	assert_int_equal(kill(pid, SIGCONT), 0);
	/* and it takes it itself as soon as it goes on. */
	assert_true(run_until(is_state, MPN_REMOTE_ATTACHED, 5000));
	assert_true(run_until(has_answers, w.pair.probe[1].frames + 100, 10000));
	assert_int_equal(look().stats.hung, 1);
	assert_int_equal(peer_end(pid, SIGTERM), 0);
	assert_true(run_until(is_state, MPN_REMOTE_WAITING, 5000));
	assert_int_equal(look().stats.detached, 1);
	end_world();
}

static int
set_up(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(sock_path, sizeof(sock_path), "%s/echo", dir);
	(void)snprintf(link_name, sizeof(link_name), "remote:%s,wait=20s", sock_path);
	srand((unsigned)getpid());
	return probe_eal_start("ring:x", NULL);
}

static int
tear_down(void **state)
{
	(void)rmdir(dir);
	return probe_eal_stop(state);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_killed_at_random_moments, pair_clean),
		cmocka_unit_test_teardown(test_stopped_and_continued, pair_clean),
	};

	peer_init(argc, argv);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
