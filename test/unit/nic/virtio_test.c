/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* vhost and virtio: the pair in one process, and what happens when either side goes and comes back. */

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nic_internal.h"
#include "pair.h"

static char dir[] = "/tmp/mpnic-test-XXXXXX";
static char serve[64], use[80];

static void
open_server(struct pair *t)
{
	pair_open(t, 0, serve, true, 0);
}

static void
open_user(struct pair *t)
{
	pair_open(t, 1, use, false, 0);
}

static void
test_frames_of_all_sizes_both_ways(void **state)
{
	struct pair t = {0};

	open_server(&t);
	open_user(&t);
	pair_wait_up(&t, 2000);
	assert_int_equal(t.info[0].mtu, 9000);
	assert_int_equal(t.info[1].mtu, 9000);
	assert_true(t.info[0].multi_segs && t.info[1].multi_segs);
	assert_true(t.info[0].point_to_point && !t.info[0].may_corrupt);
	pair_exchange_sizes(&t, 0, 1);
	pair_exchange_sizes(&t, 1, 0);
	pair_exchange_many(&t, 0, 1, 20000, 4160);
	pair_exchange_many(&t, 1, 0, 20000, 4160);
	pair_close(&t);
	assert_int_equal(access(serve + strlen("vhost:"), F_OK), -1);
}

static bool
has_dropped(void *arg)
{
	const struct mpn_nic_stats *s = mpn_nic_get_stats(arg);

	return s->rx_runt + s->rx_long + s->rx_port_errors > 0;
}

/* Less than an Ethernet header: virtio's driver drops it itself, and is asked for what it has dropped. */
static void
test_runts_are_counted(void **state)
{
	struct pair t = {0};

	open_server(&t);
	open_user(&t);
	pair_wait_up(&t, 2000);
	for (unsigned from = 0; from < 2; from++) {
		struct mpn_nic *to = t.nic[1 - from];

		assert_true(probe_send(&t.probe[from], NULL, 0, 13));
		assert_true(probe_poll_until(t.nic, 2, has_dropped, to, 5000));
		assert_int_equal(mpn_nic_get_stats(to)->rx_runt, from);
		assert_int_equal(mpn_nic_get_stats(to)->rx_port_errors, 1 - from);
		assert_int_equal(t.probe[1 - from].frames, 0);
	}
	pair_close(&t);
}

/* More than a buffer of the receiver's holds: it comes in several, and goes at once. */
static void
test_jumbos_are_counted(void **state)
{
	for (unsigned from = 0; from < 2; from++) {
		struct pair t = {0};
		const struct mpn_nic_stats *stats;

		pair_open(&t, 0, serve, true, from == 0 ? 9000 : 1500);
		pair_open(&t, 1, use, false, from == 1 ? 9000 : 1500);
		pair_wait_up(&t, 2000);
		stats = mpn_nic_get_stats(t.nic[1 - from]);
		assert_true(probe_send(&t.probe[from], NULL, 0, 8000));
		assert_true(probe_poll_until(t.nic, 2, has_dropped, t.nic[1 - from], 5000));
		assert_int_equal(stats->rx_long, 1);
		assert_int_equal(t.probe[1 - from].frames, 0);
		/* All segments went back: what fits still arrives, however much of it. */
		pair_exchange_many(&t, from, 1 - from, 5000, 1514);
		assert_int_equal(stats->rx_long, 1);
		pair_close(&t);
	}
}

static void
test_user_comes_and_goes(void **state)
{
	struct pair t = {0};

	open_server(&t);
	for (unsigned i = 0; i < 3; i++) {
		open_user(&t);
		pair_wait_up(&t, 2000);
		pair_exchange_many(&t, 0, 1, 100, 1000);
		pair_exchange_many(&t, 1, 0, 100, 1000);
		pair_close_one(&t, 1);
		assert_true(pair_wait_link(&t, 0, false, 2000));
	}
	pair_close(&t);
}

/* Frames that the server has sent and the user has not taken. */
static unsigned
count_unsent(struct pair *t)
{
	struct link *l = t->nic[0]->link;

	return l->spec.kind->unsent(l, mpn_now_ns());
}

static bool
nothing_counts(void *arg)
{
	return count_unsent(arg) == 0;
}

static void
test_unsent_frames_are_seen(void **state)
{
	struct pair t = {0};

	open_server(&t);
	assert_int_equal(count_unsent(&t), 0);
	for (unsigned i = 0; i < 2; i++) {
		open_user(&t);
		pair_wait_up(&t, 2000);
		pair_exchange_many(&t, 0, 1, 1000, 4160);
		assert_int_equal(count_unsent(&t), 0);
		for (unsigned n = 0; n < 20; n++)
			assert_true(probe_send(&t.probe[0], t.info[1].mac, n, 4160));
		probe_poll(&t.nic[0], 1, 4);
		assert_int_equal(count_unsent(&t), 20);
		/* A user that does not run, or gives back in batches, must not stop the port for ever. */
		assert_true(probe_poll_until(&t.nic[0], 1, nothing_counts, &t, 2000));
		t.probe[1].next_number = 0;
		probe_poll(t.nic, 2, 10);
		assert_int_equal(count_unsent(&t), 0);
		assert_true(probe_send(&t.probe[0], t.info[1].mac, 20, 4160));
		probe_poll(&t.nic[0], 1, 1);
		assert_int_equal(count_unsent(&t), 1);
		pair_close_one(&t, 1);
		assert_true(pair_wait_link(&t, 0, false, 2000));
		assert_int_equal(count_unsent(&t), 0);
	}
	pair_close(&t);
}

/* Send one, let the user take one. */
static void
send_and_take(struct pair *t, uint32_t number)
{
	assert_true(probe_send(&t->probe[0], t->info[1].mac, number, 4160));
	probe_poll(t->nic, 2, 1);
}

/* As many as before wait in the ring, and yet it moves; and a user that has slept has as many as before. */
static void
test_unsent_frames_stay_seen(void **state)
{
	struct pair t = {0};
	uint32_t number = 0;
	uint64_t end_ns;

	open_server(&t);
	open_user(&t);
	pair_wait_up(&t, 2000);
	t.nic[1]->pace.rx = 1;
	while (number < 20)
		assert_true(probe_send(&t.probe[0], t.info[1].mac, number++, 4160));
	probe_poll(&t.nic[0], 1, 4);
	for (end_ns = mpn_now_ns() + 2000000; mpn_now_ns() < end_ns;) {
		send_and_take(&t, number++);
		assert_int_equal(count_unsent(&t), 20);
	}
	assert_true(probe_poll_until(&t.nic[0], 1, nothing_counts, &t, 2000));
	send_and_take(&t, number++);
	assert_int_equal(count_unsent(&t), 20);
	pair_close(&t);
}

static void
test_server_comes_and_goes(void **state)
{
	struct pair t = {0};

	open_server(&t);
	open_user(&t);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t mac[6];

		pair_wait_up(&t, 2000);
		pair_exchange_many(&t, 0, 1, 100, 9014);
		pair_exchange_many(&t, 1, 0, 100, 9014);
		memcpy(mac, t.info[1].mac, 6);
		pair_close_one(&t, 0);
		assert_true(pair_wait_link(&t, 1, false, 2000));
		/* Nothing is kept for the next one, and all memory is back. */
		assert_true(probe_send(&t.probe[1], NULL, 0, 64));
		probe_poll(&t.nic[1], 1, 1);
		assert_int_equal(rte_mempool_avail_count(mpn_nic_rx_pool(t.nic[1])),
			mpn_nic_rx_pool(t.nic[1])->size);
		open_server(&t);
		pair_wait_up(&t, 2000);
		assert_memory_equal(mac, t.info[1].mac, 6);
	}
	pair_close(&t);
}

static void
test_second_user_is_refused(void **state)
{
	struct pair t = {0};

	open_server(&t);
	open_user(&t);
	pair_wait_up(&t, 2000);
	probe_catch_log();
	errno = 0;
	assert_null(probe_nic(use, false, 0));
	assert_int_equal(errno, EBUSY);
	errno = 0;
	assert_null(probe_nic(serve, true, 0));
	assert_int_equal(errno, EBUSY);
	assert_non_null(strstr(probe_release_log(), "another process serves it"));
	assert_int_equal(probe_log_lines(), 2);
	pair_exchange_many(&t, 0, 1, 100, 1000);
	pair_close(&t);
}

static void
test_no_server_is_a_clear_error(void **state)
{
	char link[128];
	uint64_t before = mpn_now_ns();

	(void)snprintf(link, sizeof(link), "%s,wait=100ms", use);
	probe_catch_log();
	errno = 0;
	assert_null(probe_nic(link, false, 0));
	assert_int_equal(errno, ETIMEDOUT);
	assert_non_null(strstr(probe_release_log(), "nobody serves it"));
	assert_int_equal(probe_log_lines(), 1);
	assert_in_range(mpn_now_ns() - before, 50000000, 3000000000);
}

/* A listening socket that never answers: hung up on. */
static void
test_silent_server_is_a_clear_error(void **state)
{
	int fd = pair_listen(serve + strlen("vhost:"));
	uint64_t before = mpn_now_ns();

	probe_catch_log();
	errno = 0;
	assert_null(probe_nic(use, false, 0));
	assert_int_equal(errno, ETIMEDOUT);
	assert_non_null(strstr(probe_release_log(), "does not answer"));
	assert_true(mpn_now_ns() - before < 10000000000);
	close(fd);
	unlink(serve + strlen("vhost:"));
}

/* The server dies in the middle of traffic; the next one finds its path free and the user waiting. */
static void
test_server_is_killed(void **state)
{
	struct pair t = {0};
	pid_t pid = peer_start(serve, true);

	open_user(&t);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(pair_wait_link(&t, 1, true, 5000));
		pair_echo(&t, 1, 2000, 4160);
		for (unsigned k = 0; k < 64; k++)
			(void)probe_send(&t.probe[1], NULL, k, 4160);
		(void)mpn_nic_poll(t.nic[1]);
		assert_true(WIFSIGNALED(peer_end(pid, SIGKILL)));
		assert_true(pair_wait_link(&t, 1, false, 2000));
		pid = peer_start(serve, true);
	}
	assert_true(pair_wait_link(&t, 1, true, 5000));
	pair_echo(&t, 1, 2000, 9014);
	assert_int_equal(peer_end(pid, SIGTERM), 0);
	pair_close(&t);
}

static void
test_user_is_killed(void **state)
{
	struct pair t = {0};
	pid_t pid;

	open_server(&t);
	for (unsigned i = 0; i < 3; i++) {
		pid = peer_start(use, false);
		assert_true(pair_wait_link(&t, 0, true, 5000));
		pair_echo(&t, 0, 2000, 4160);
		for (unsigned k = 0; k < 64; k++)
			(void)probe_send(&t.probe[0], NULL, k, 4160);
		(void)mpn_nic_poll(t.nic[0]);
		assert_true(WIFSIGNALED(peer_end(pid, SIGKILL)));
		assert_true(pair_wait_link(&t, 0, false, 2000));
	}
	pid = peer_start(use, false);
	assert_true(pair_wait_link(&t, 0, true, 5000));
	pair_echo(&t, 0, 2000, 9014);
	assert_int_equal(peer_end(pid, SIGTERM), 0);
	pair_close(&t);
}

/* What a killed server leaves does not stand in the way; what is not ours does. */
static void
test_path_that_is_taken(void **state)
{
	const char *path = serve + strlen("vhost:");
	struct pair t = {0};
	int fd = pair_listen(path);
	FILE *f;

	probe_catch_log();
	errno = 0;
	assert_null(probe_nic(serve, true, 0));
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
	open_server(&t);
	pair_close_one(&t, 0);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	errno = 0;
	assert_null(probe_nic(serve, true, 0));
	assert_int_equal(errno, EEXIST);
	assert_int_equal(unlink(path), 0);
	(void)probe_release_log();
}

static int
give_up_after_three(void *arg)
{
	unsigned *calls = arg;

	return ++*calls == 3 ? -EINTR : 0;
}

/* A client that waits for a server that is not there: as long as it was told, and not when told to end. */
static void
test_waiting_ends(void **state)
{
	unsigned calls = 0;
	struct mpn_nic_conf conf = {
		.link = use,
		.wait_ms = 86400000,
		.background = give_up_after_three,
		.background_arg = &calls,
	};

	probe_catch_log();
	errno = 0;
	assert_null(mpn_nic_create(&conf));
	assert_int_equal(errno, EINTR);
	assert_int_equal(calls, 3);
	assert_non_null(strstr(probe_release_log(), "interrupted"));
	assert_int_equal(probe_log_lines(), 1);
	conf.background = NULL;
	conf.wait_ms = 30;
	probe_catch_log();
	assert_null(mpn_nic_create(&conf));
	assert_int_equal(errno, ETIMEDOUT);
	assert_non_null(strstr(probe_release_log(), "waited 30 ms"));
}

static int
start(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(serve, sizeof(serve), "vhost:%s/s.sock", dir);
	(void)snprintf(use, sizeof(use), "virtio:%s/s.sock", dir);
	return probe_eal_start(serve, NULL);
}

static int
stop(void **state)
{
	mpn_eal_stop();
	return rmdir(dir);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_frames_of_all_sizes_both_ways, pair_clean),
		cmocka_unit_test_teardown(test_runts_are_counted, pair_clean),
		cmocka_unit_test_teardown(test_jumbos_are_counted, pair_clean),
		cmocka_unit_test_teardown(test_user_comes_and_goes, pair_clean),
		cmocka_unit_test_teardown(test_unsent_frames_are_seen, pair_clean),
		cmocka_unit_test_teardown(test_unsent_frames_stay_seen, pair_clean),
		cmocka_unit_test_teardown(test_server_comes_and_goes, pair_clean),
		cmocka_unit_test_teardown(test_second_user_is_refused, pair_clean),
		cmocka_unit_test_teardown(test_no_server_is_a_clear_error, pair_clean),
		cmocka_unit_test_teardown(test_silent_server_is_a_clear_error, pair_clean),
		cmocka_unit_test_teardown(test_server_is_killed, pair_clean),
		cmocka_unit_test_teardown(test_user_is_killed, pair_clean),
		cmocka_unit_test_teardown(test_path_that_is_taken, pair_clean),
		cmocka_unit_test(test_waiting_ends),
	};

	peer_init(argc, argv);
	return cmocka_run_group_tests_name("vhost and virtio", tests, start, stop);
}
