/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A personality in another process: frames, link state, coming and going. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "remote_world.h"

#define HANG "hang=100ms"

static void
test_frames_come_back(void **state)
{
	static const uint32_t sizes[] = {18, 60, 64, 65, 1514, 4160, 9014};
	struct mpn_nic_info near, there;
	struct mpn_remote_info info;
	uint64_t bytes = 0;

	make_world();
	assert_int_equal(look().state, MPN_REMOTE_WAITING);
	make_there();
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(sizes); i++) {
		expect_echo(40, sizes[i]);
		bytes += 40ull * sizes[i];
	}
	info = look();
	assert_int_equal(info.state, MPN_REMOTE_ATTACHED);
	assert_int_equal(info.pid, getpid());
	assert_string_equal(info.socket, sock_path);
	assert_int_equal(info.stats.to_frames, 40 * MPN_ARRAY_SIZE(sizes));
	assert_int_equal(info.stats.from_frames, 40 * MPN_ARRAY_SIZE(sizes));
	assert_int_equal(info.stats.to_bytes, bytes);
	assert_int_equal(info.stats.from_bytes, bytes);
	assert_int_equal(w.changes, 1);
	/* To those who run there it is the same NIC. */
	mpn_nic_get_info(w.nic[NEAR], &near);
	mpn_nic_get_info(w.nic[THERE], &there);
	assert_memory_equal(near.mac, there.mac, sizeof(near.mac));
	assert_int_equal(near.mtu, there.mtu);
}

static void
test_link_state_is_carried_over(void **state)
{
	make_world();
	make_there();
	assert_int_equal(mpn_nic_inject(w.nic[NEAR], MPN_FAULT_LINK_DOWN, true), 0);
	expect_link(false);
	assert_int_equal(mpn_nic_inject(w.nic[NEAR], MPN_FAULT_LINK_DOWN, false), 0);
	expect_link(true);
	expect_echo(10, 60);
}

static void
test_without_a_process_frames_are_counted(void **state)
{
	make_world();
	for (unsigned i = 0; i < 10; i++)
		assert_true(probe_send(&w.probe[FAR], NULL, i, 60));
	probe_poll(w.nic, 2, 4);
	assert_int_equal(look().stats.no_process, 10);
	assert_int_equal(mpn_personality_stop(w.remote), 0);
	assert_int_equal(mpn_personality_start(w.remote), 0);
}

static void
test_leaving_is_no_error(void **state)
{
	struct mpn_personality_info info;

	make_world();
	for (unsigned i = 0; i < 3; i++) {
		make_there();
		expect_echo(10, 1514);
		mpn_nic_destroy(w.nic[THERE]);
		w.nic[THERE] = NULL;
		memset(&w.probe[THERE], 0, sizeof(w.probe[THERE]));
		probe_poll(w.nic, 1, 1);
		while (look().state == MPN_REMOTE_ATTACHED)
			probe_poll(w.nic, 2, 1);
		assert_int_equal(look().state, MPN_REMOTE_WAITING);
	}
	assert_int_equal(look().stats.attached, 3);
	assert_int_equal(look().stats.detached, 3);
	mpn_personality_get_info(w.remote, &info);
	assert_int_equal(info.errors, 0);
}

static void
test_one_that_hangs_is_given_up_and_comes_back(void **state)
{
	struct mpn_personality_info info;

	make_world();
	make_there();
	expect_echo(10, 60);
	/* What it does not take any more. */
	for (unsigned i = 0; i < 20; i++)
		assert_true(probe_send(&w.probe[FAR], NULL, i, 60));
	probe_catch_log();
	assert_true(probe_poll_until(w.nic, 2, has_failed, NULL, 2000));
	assert_non_null(strstr(probe_release_log(), "does not poll any more"));
	mpn_personality_get_info(w.remote, &info);
	assert_int_equal(info.last_error, -ETIMEDOUT);
	assert_int_equal(look().error, -ETIMEDOUT);
	assert_int_equal(look().stats.hung, 1);
	assert_int_equal(look().stats.lost, 20);
	assert_int_equal(w.last, MPN_REMOTE_FAILED);
	/* It polls again: it notices, and is welcome. */
	probe_catch_log();
	expect_link(false);
	expect_link(true);
	(void)probe_release_log();
	assert_int_equal(look().state, MPN_REMOTE_ATTACHED);
	assert_int_equal(look().error, 0);
	w.probe[THERE].out_of_order = 0;
	expect_echo(100, 60);
}

struct told {
	unsigned nb;
	enum mpn_nic_event ev[16];
	char of[16][MPN_NAME_LEN];
};

static void
note_process(struct mpn_nic *nic, enum mpn_nic_event ev, void *arg)
{
	struct told *t = arg;
	struct mpn_nic_info info;

	if (ev < MPN_NIC_PROCESS_CAME || t->nb == MPN_ARRAY_SIZE(t->ev))
		return;
	mpn_nic_get_info(nic, &info);
	memcpy(t->of[t->nb], info.process_of, sizeof(t->of[0]));
	t->ev[t->nb++] = ev;
}

static bool
was_told(void *arg)
{
	return ((const struct told *)arg)->nb >= 4;
}

/* The program hears of it, in its order, and of whose; none of the personalities does. */
static void
test_the_program_is_told_of_the_process(void **state)
{
	static const enum mpn_nic_event want[] = {MPN_NIC_PROCESS_CAME, MPN_NIC_PROCESS_FAILED,
		MPN_NIC_PROCESS_CAME, MPN_NIC_PROCESS_LEFT};
	struct mpn_event_info ev;
	struct told t = {0};

	make_world();
	w.probe[NEAR] = (struct probe){.types = {0x88b9}, .nb_types = 1};
	(void)probe_add(w.nic[NEAR], &w.probe[NEAR], "neighbour", 0, 0);
	mpn_nic_set_event_cb(w.nic[NEAR], note_process, &t);
	make_there();
	expect_echo(10, 60);
	probe_catch_log();
	assert_true(probe_poll_until(w.nic, 2, has_failed, NULL, 2000));
	expect_link(false);
	expect_link(true);
	mpn_nic_destroy(w.nic[THERE]);
	w.nic[THERE] = NULL;
	assert_true(probe_poll_until(w.nic, 2, was_told, &t, 2000));
	(void)probe_release_log();
	assert_int_equal(t.nb, MPN_ARRAY_SIZE(want));
	for (unsigned i = 0; i < t.nb; i++) {
		assert_int_equal(t.ev[i], want[i]);
		assert_string_equal(t.of[i], "echo");
	}
	for (unsigned e = MPN_NIC_PROCESS_CAME; e < MPN_NIC_EVENTS; e++) {
		mpn_nic_get_event(w.nic[NEAR], (enum mpn_nic_event)e, &ev);
		assert_int_equal(ev.count, e == MPN_NIC_PROCESS_CAME ? 2 : 1);
		assert_int_equal(w.probe[NEAR].events[e], 0);
	}
	assert_int_equal(w.probe[NEAR].errors, 0);
}

static void
test_a_personality_that_is_unloaded_and_loaded(void **state)
{
	char options[128];

	make_world();
	make_there();
	expect_echo(10, 60);
	probe_catch_log();
	assert_int_equal(mpn_personality_unload(w.remote), -EPERM);
	/* Nobody polls the other end meanwhile: it is given up. */
	assert_int_equal(mpn_personality_stop(w.remote), 0);
	expect_link(false);
	assert_int_equal(mpn_personality_unload(w.remote), 0);
	assert_int_equal(access(sock_path, F_OK), -1);
	(void)probe_release_log();
	(void)snprintf(options, sizeof(options), "socket=%s,type=0x88b5,type=0x88b6,ring=16," HANG,
		sock_path);
	assert_int_equal(mpn_personality_load_text(w.remote, options), 0);
	assert_int_equal(mpn_personality_start(w.remote), 0);
	expect_link(true);
	assert_int_equal(look().ring_len, 16);
	expect_echo(10, 60);
}

static void
test_the_second_process_is_turned_away(void **state)
{
	make_world();
	make_there();
	probe_catch_log();
	assert_null(open_there());
	assert_int_equal(errno, EBUSY);
	assert_non_null(strstr(probe_release_log(), "is there already"));
	assert_int_equal(look().stats.turned_away, 1);
	expect_echo(10, 60);
}

static void
expect_no_link(int err, const char *text)
{
	probe_catch_log();
	assert_null(open_there());
	assert_int_equal(errno, err);
	assert_non_null(strstr(probe_release_log(), text));
}

static void
test_nobody_there(void **state)
{
	char path[80];
	int fd;

	(void)snprintf(link_name, sizeof(link_name), "remote:%s,wait=10ms", sock_path);
	make_near();
	expect_no_link(ENOENT, "no personality of the kind remote");
	(void)snprintf(path, sizeof(path), "socket=%s", sock_path);
	assert_int_equal(mpn_personality_load_text(w.remote, path), 0);
	expect_no_link(ETIMEDOUT, "is it started?");
	assert_int_equal(mpn_personality_unload(w.remote), 0);
	fd = open(sock_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	expect_no_link(ECONNREFUSED, "no personality");
	/* Somebody's file stays. */
	probe_catch_log();
	assert_int_equal(mpn_personality_load_text(w.remote, path), -EEXIST);
	assert_non_null(strstr(probe_release_log(), "no socket"));
	assert_int_equal(unlink(sock_path), 0);
	(void)snprintf(link_name, sizeof(link_name), "remote:%s", sock_path);
}

static void
test_wrong_options(void **state)
{
	static const char *const bad[] = {"", "type=0x88b5", "socket=", "socket=s,type=5",
		"socket=s,ring=9", "socket=s,ring=4", "socket=s,hang=1ns", "socket=s,what=1",
		"socket=s,"
		"type=0x88b5,type=0x88b6,type=0x88b7,type=0x88b8,type=0x88b9",
		"socket=0123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789"};
	struct mpn_remote_info info;

	make_near();
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		probe_catch_log();
		assert_true(mpn_personality_load_text(w.remote, bad[i]) < 0);
		(void)probe_release_log();
		assert_int_equal(mpn_personality_state(w.remote), MPN_PERS_DEFINED);
	}
	assert_int_equal(mpn_remote_get_info(w.remote, &info), -ENODEV);
	assert_int_equal(mpn_remote_get_info(w.probe[FAR].p, &info), -ENODEV);
	assert_string_equal(mpn_remote_state_name(MPN_REMOTE_FAILED), "failed");
	assert_string_equal(mpn_remote_state_name(MPN_REMOTE_STATES), "unknown");
}

/* The NIC has been made again, with another address: those who run there have told the old one to others. */
static void
test_a_nic_made_again_is_another(void **state)
{
	make_world();
	make_there();
	probe_catch_log();
	mpn_nic_destroy(w.nic[NEAR]);
	mpn_nic_destroy(w.nic[FAR]);
	memset(&w.probe[FAR], 0, sizeof(w.probe[FAR]));
	w.nic[NEAR] = w.nic[FAR] = NULL;
	assert_true(probe_poll_until(&w.nic[THERE], 1, is_up_there, NULL, 2000));
	assert_non_null(strstr(probe_release_log(), "has ended"));
	make_world();
	probe_catch_log();
	while (look().stats.detached == 0)
		probe_poll(w.nic, ENDS, 1);
	assert_non_null(strstr(probe_release_log(), "must be made again"));
	expect_link(false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_frames_come_back),
		TEST(test_link_state_is_carried_over),
		TEST(test_without_a_process_frames_are_counted),
		TEST(test_leaving_is_no_error),
		TEST(test_one_that_hangs_is_given_up_and_comes_back),
		TEST(test_the_program_is_told_of_the_process),
		TEST(test_a_personality_that_is_unloaded_and_loaded),
		TEST(test_the_second_process_is_turned_away),
		TEST(test_nobody_there),
		TEST(test_wrong_options),
		TEST(test_a_nic_made_again_is_another),
	};

	return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
