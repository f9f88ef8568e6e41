/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* memif: two processes (two interfaces of one process cannot meet), either side killed. */

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"
#include "sock.h"

static char dir[] = "/tmp/mpnic-test-XXXXXX";
static char link_name[64];

/* The peer comes, is killed in the middle of traffic, comes again. */
static void
exchange_and_kill(bool server)
{
	struct pair t = {0};
	pid_t pid = 0;

	if (server)
		pair_open(&t, 0, link_name, true, 0);
	for (unsigned i = 0; i < 3; i++) {
		pid = peer_start(link_name, !server);
		if (t.nic[0] == NULL)
			pair_open(&t, 0, link_name, false, 0);
		assert_true(pair_wait_link(&t, 0, true, 5000));
		assert_int_equal(t.info[0].mtu, 9000);
		assert_true(t.info[0].point_to_point);
		/* The peer's port is up before its personality is. */
		t.probe[0].frames = 0;
		pair_echo_until_answered(&t, 0, 5000);
		pair_echo(&t, 0, 200, 60);
		pair_echo(&t, 0, 1000, 4160);
		pair_echo(&t, 0, 200, 9014);
		if (i == 2)
			break;
		for (unsigned k = 0; k < 64; k++)
			(void)probe_send(&t.probe[0], NULL, k, 4160);
		assert_true(WIFSIGNALED(peer_end(pid, SIGKILL)));
		assert_true(pair_wait_link(&t, 0, false, 2000));
	}
	assert_int_equal(peer_end(pid, SIGTERM), 0);
	pair_close_one(&t, 0);
}

static void
test_server(void **state)
{
	exchange_and_kill(true);
}

static void
test_client(void **state)
{
	exchange_and_kill(false);
}

/* @return what connect(2) gives to one who goes at once */
static int
knock(const char *path)
{
	int fd = sock_connect_path(path, SOCK_SEQPACKET);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* What is said to a client, while the NIC is polled. @return bytes of a message, 0: it is hung up on */
static ssize_t
listen_to(struct pair *t, int fd)
{
	char message[512];
	ssize_t got = -1;

	for (unsigned i = 0; got < 0 && i < 5000; i++) {
		probe_poll(t->nic, 1, 1000);
		got = recv(fd, message, sizeof(message), MSG_DONTWAIT);
	}
	return got;
}

/*
 * A server that has ended leaves nothing that others stumble over: not the next one on its path, nor
 * the interrupt thread, when a client was just on its way in.
 */
static void
test_server_ends_and_others_come(void **state)
{
	const char *path = link_name + strlen("memif:");
	char kept[96];
	struct pair t = {0};
	pid_t pid;

	(void)snprintf(kept, sizeof(kept), "%s.kept", path);
	for (unsigned i = 0; i < 3; i++) {
		pair_open(&t, 0, link_name, true, i == 1 ? 1500 : 0);
		/* Who comes and goes, before and while another one is here, disturbs nobody. */
		assert_int_equal(knock(path), 0);
		probe_poll(t.nic, 1, 10000);
		pid = peer_start(link_name, false);
		assert_true(pair_wait_link(&t, 0, true, 5000));
		pair_echo_until_answered(&t, 0, 5000);
		assert_int_equal(knock(path), 0);
		pair_echo(&t, 0, 200, 1514);
		/* Another name of the socket: the way in of the one who comes too late. */
		assert_int_equal(link(path, kept), 0);
		pair_close_one(&t, 0);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(knock(kept), -ECONNREFUSED);
		assert_int_equal(unlink(kept), 0);
		assert_int_equal(peer_end(pid, SIGTERM), 0);
	}
}

/* Is greeted, says something, and sees that it is hung up on. */
static void
say(struct pair *t, const char *path, const void *message, size_t len)
{
	int fd = sock_connect_path(path, SOCK_SEQPACKET);

	assert_true(fd >= 0);
	assert_int_equal(listen_to(t, fd), 128);
	assert_int_equal(send(fd, message, len, MSG_NOSIGNAL), len);
	while (listen_to(t, fd) > 0)
		;
	assert_int_equal(listen_to(t, fd), 0);
	close(fd);
}

static void
test_strangers_are_hung_up_on(void **state)
{
	static const uint8_t good_bye[128] = {8}, of_no_type[128] = {99}, too_long[300] = {3};
	const char *path = link_name + strlen("memif:");
	struct pair t = {0};
	pid_t pid;

	pair_open(&t, 0, link_name, true, 0);
	say(&t, path, good_bye, sizeof(good_bye));
	say(&t, path, too_long, sizeof(too_long));
	say(&t, path, of_no_type, sizeof(of_no_type));
	say(&t, path, good_bye, 1);
	pid = peer_start(link_name, false);
	assert_true(pair_wait_link(&t, 0, true, 5000));
	pair_echo_until_answered(&t, 0, 5000);
	pair_echo(&t, 0, 200, 1514);
	/* There is one client at a time: a second one is not even greeted. */
	for (unsigned i = 0; i < 3; i++) {
		int fd = sock_connect_path(path, SOCK_SEQPACKET);

		assert_true(fd >= 0);
		assert_int_equal(listen_to(&t, fd), 0);
		close(fd);
		pair_echo(&t, 0, 200, 1514);
	}
	assert_int_equal(peer_end(pid, SIGTERM), 0);
	pair_close_one(&t, 0);
}

static void
test_role_by_name(void **state)
{
	struct pair t = {0};
	char as_server[96], as_client[96];
	pid_t pid;

	(void)snprintf(as_server, sizeof(as_server), "%s,role=server", link_name);
	(void)snprintf(as_client, sizeof(as_client), "%s,role=client", link_name);
	pid = peer_start(as_server, false);
	pair_open(&t, 0, as_client, true, 1500);
	assert_true(pair_wait_link(&t, 0, true, 5000));
	pair_echo_until_answered(&t, 0, 5000);
	pair_echo(&t, 0, 200, 1514);
	assert_int_equal(peer_end(pid, SIGTERM), 0);
	pair_close_one(&t, 0);
}

static void
test_errors(void **state)
{
	char text[96];

	probe_catch_log();
	errno = 0;
	(void)snprintf(text, sizeof(text), "%s,role=master", link_name);
	assert_null(probe_nic(text, false, 0));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(probe_nic(link_name, true, 40000));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	(void)snprintf(text, sizeof(text), "%s,wait=0s", link_name);
	assert_null(probe_nic(text, false, 0));
	assert_int_equal(errno, ETIMEDOUT);
	(void)probe_release_log();
	assert_int_equal(probe_log_lines(), 3);
}

static int
start(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(link_name, sizeof(link_name), "memif:%s/m.sock", dir);
	return probe_eal_start(link_name, NULL);
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
		cmocka_unit_test_teardown(test_server, pair_clean),
		cmocka_unit_test_teardown(test_client, pair_clean),
		cmocka_unit_test_teardown(test_server_ends_and_others_come, pair_clean),
		cmocka_unit_test_teardown(test_strangers_are_hung_up_on, pair_clean),
		cmocka_unit_test_teardown(test_role_by_name, pair_clean),
		cmocka_unit_test_teardown(test_errors, pair_clean),
	};

	peer_init(argc, argv);
	return cmocka_run_group_tests_name("memif", tests, start, stop);
}
