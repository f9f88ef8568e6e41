/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A process at a remote personality that does what it likes to the shared memory and at the socket. */

#include <sys/mman.h>
#include <unistd.h>

#include <rte_ether.h>

#include "remote_ring.h"
#include "remote_sock.h"
#include "remote_world.h"
#include "sock.h"

#define ROOM 9022

/* Come in by hand. */
static struct remote_map
come_in(int *fd)
{
	struct remote_welcome welcome;
	struct remote_map map;
	int mem_fd, rc;

	*fd = sock_connect_path(sock_path, SOCK_SEQPACKET);
	assert_true(*fd >= 0);
	assert_int_equal(remote_say_hello(*fd), 0);
	do {
		probe_poll(w.nic, 2, 1);
		rc = remote_read_welcome(*fd, &welcome, &mem_fd);
	} while (rc == -EAGAIN);
	assert_int_equal(rc, 0);
	assert_int_equal(welcome.status, 0);
	assert_int_equal(welcome.room, ROOM);
	assert_string_equal(welcome.personality, "echo");
	/* It cannot be cut short under the NIC. */
	assert_int_equal(ftruncate(mem_fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(remote_map_take(&map, mem_fd, welcome.nb_cells, welcome.room), 0);
	return map;
}

static void
expect_broken(struct remote_map *map, int fd)
{
	struct mpn_personality_info info;

	probe_catch_log();
	assert_true(probe_poll_until(w.nic, 2, has_failed, NULL, 2000));
	(void)probe_release_log();
	assert_int_equal(look().error, -EPROTO);
	mpn_personality_get_info(w.remote, &info);
	assert_int_equal(info.last_error, -EPROTO);
	assert_non_null(strstr(info.last_cause, "wrote what makes no sense"));
	remote_map_drop(map);
	(void)close(fd);
	probe_poll(w.nic, 2, 10);
}

static void
test_positions_that_make_no_sense(void **state)
{
	static const uint32_t sent[] = {MPN_REMOTE_RING + 1, UINT32_MAX, 1u << 31};
	static const uint32_t taken[] = {1, 1u << 31, UINT32_MAX - MPN_REMOTE_RING};
	struct remote_map map;
	int fd;

	make_world();
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(sent); i++) {
		map = come_in(&fd);
		atomic_store(&map.mine->sent, sent[i]);
		expect_broken(&map, fd);
		map = come_in(&fd);
		atomic_store(&map.mine->taken, taken[i]);
		assert_true(probe_send(&w.probe[FAR], NULL, 0, 60));
		expect_broken(&map, fd);
	}
	assert_int_equal(look().stats.broken, 2 * MPN_ARRAY_SIZE(sent));
	make_there();
	expect_echo(10, 60);
}

static void
test_lengths_that_make_no_sense(void **state)
{
	static const uint32_t lens[] = {0, 13, ROOM + 1, UINT16_MAX, UINT32_MAX};
	struct remote_map map;
	int fd;

	make_world();
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(lens); i++) {
		map = come_in(&fd);
		memcpy(map.out.cells, &lens[i], sizeof(lens[i]));
		atomic_store(&map.mine->sent, 1);
		expect_broken(&map, fd);
	}
	assert_int_equal(w.probe[FAR].frames, 0);
}

static void
send_by_hand(struct remote_map *map, uint16_t type, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = probe_frame(w.nic[FAR], NULL, type, i, 60);

		/* From another address than the receiver's. */
		memset(rte_pktmbuf_mtod_offset(m, uint8_t *, 6), 2, 6);
		remote_ring_put(&map->out, m);
		rte_pktmbuf_free(m);
	}
	remote_ring_publish(&map->out);
}

static void
test_frames_of_others_are_refused(void **state)
{
	struct remote_map map;
	int fd;

	make_world();
	map = come_in(&fd);
	send_by_hand(&map, PROBE_TYPE_2, 5);
	send_by_hand(&map, PROBE_TYPE, 3);
	send_by_hand(&map, RTE_ETHER_TYPE_VLAN, 1);
	while (remote_ring_room(&map.out) < (int)map.out.nb_cells)
		probe_poll(w.nic, 2, 1);
	probe_poll(w.nic, 2, 3);
	assert_int_equal(look().stats.refused, 6);
	assert_int_equal(look().stats.from_frames, 3);
	assert_int_equal(w.probe[FAR].frames, 3);
	remote_say_bye(fd);
	while (look().state == MPN_REMOTE_ATTACHED)
		probe_poll(w.nic, 2, 1);
	assert_int_equal(look().state, MPN_REMOTE_WAITING);
	remote_map_drop(&map);
	(void)close(fd);
}

/* One that has not begun is quiet; one that has begun must take what was sent to it before the stop. */
static void
test_stop_waits_for_the_process(void **state)
{
	struct remote_map map;
	uint64_t begin_ns;
	int fd;

	make_world();
	map = come_in(&fd);
	begin_ns = mpn_now_ns();
	assert_int_equal(mpn_personality_stop(w.remote), 0);
	assert_true(mpn_now_ns() - begin_ns < 100000000);
	assert_int_equal(look().state, MPN_REMOTE_ATTACHED);
	assert_int_equal(atomic_load(&map.theirs->up), 0);
	/* What it sends while nobody runs is not sent later. */
	send_by_hand(&map, PROBE_TYPE, 3);
	probe_poll(w.nic, 2, 2);
	assert_int_equal(mpn_personality_start(w.remote), 0);
	assert_int_equal(atomic_load(&map.theirs->up), 1);
	assert_int_equal(remote_ring_room(&map.out), MPN_REMOTE_RING);
	probe_poll(w.nic, 2, 2);
	assert_int_equal(look().stats.from_frames, 0);
	atomic_store(&map.mine->beats, 1);
	probe_poll(w.nic, 2, 1);
	assert_true(probe_send(&w.probe[FAR], NULL, 0, 60));
	probe_poll(w.nic, 2, 3);
	/* It does nothing more: given up in the time of a hang. */
	probe_catch_log();
	begin_ns = mpn_now_ns();
	assert_int_equal(mpn_personality_stop(w.remote), 0);
	assert_true(mpn_now_ns() - begin_ns >= 90000000);
	assert_non_null(strstr(probe_release_log(), "does not poll"));
	assert_int_equal(look().stats.lost, 1);
	remote_map_drop(&map);
	(void)close(fd);
}

/* One that takes nothing loses its own frames. */
static void
test_a_full_ring(void **state)
{
	struct remote_map map;
	int fd;

	make_world();
	map = come_in(&fd);
	for (unsigned i = 0; i < MPN_REMOTE_RING + 100; i++) {
		while (!probe_send(&w.probe[FAR], NULL, i, 60))
			probe_poll(w.nic, 2, 1);
		if (i % MPN_BURST == 0)
			probe_poll(w.nic, 2, 2);
	}
	probe_poll(w.nic, 2, 20);
	assert_int_equal(look().stats.to_frames, MPN_REMOTE_RING);
	assert_int_equal(look().stats.to_full, 100);
	remote_map_drop(&map);
	(void)close(fd);
	probe_catch_log();
	assert_true(probe_poll_until(w.nic, 2, has_failed, NULL, 2000));
	assert_non_null(strstr(probe_release_log(), "has died"));
	assert_int_equal(look().stats.lost, MPN_REMOTE_RING);
}

static void
test_visitors_that_say_something_else(void **state)
{
	struct {
		uint32_t magic, abi;
		char program[16];
	} hello = {0x4d504e48, REMOTE_ABI + 1, "other"};
	struct remote_welcome welcome;
	int fd, mem_fd, rc;

	make_world();
	/* Nothing, and goes. */
	fd = sock_connect_path(sock_path, SOCK_SEQPACKET);
	assert_true(fd >= 0);
	probe_poll(w.nic, 2, 10);
	(void)close(fd);
	/* Another ABI. */
	fd = sock_connect_path(sock_path, SOCK_SEQPACKET);
	assert_int_equal(write(fd, &hello, sizeof(hello)), sizeof(hello));
	do {
		probe_poll(w.nic, 2, 1);
		rc = remote_read_welcome(fd, &welcome, &mem_fd);
	} while (rc == -EAGAIN);
	assert_int_equal(rc, 0);
	assert_int_equal(welcome.status, -EPROTONOSUPPORT);
	assert_int_equal(mem_fd, -1);
	(void)close(fd);
	/* Rubbish: it is hung up on. */
	hello.magic++;
	fd = sock_connect_path(sock_path, SOCK_SEQPACKET);
	assert_int_equal(write(fd, &hello, sizeof(hello)), sizeof(hello));
	do {
		probe_poll(w.nic, 2, 1);
		rc = remote_read_welcome(fd, &welcome, &mem_fd);
	} while (rc == -EAGAIN);
	assert_int_equal(rc, -EPIPE);
	(void)close(fd);
	assert_int_equal(look().stats.turned_away, 1);
	make_there();
	expect_echo(10, 60);
}

static void
test_memory_that_is_not_what_was_agreed(void **state)
{
	struct remote_map map, other;
	int fd = memfd_create("small", MFD_CLOEXEC);

	assert_int_equal(remote_map_make(&map, 16, 1514), 0);
	assert_int_equal(remote_map_take(&other, dup(map.fd), 32, 1514), -EPROTO);
	assert_int_equal(remote_map_take(&other, dup(map.fd), 15, 1514), -EPROTO);
	assert_int_equal(remote_map_take(&other, dup(map.fd), 0, 1514), -EPROTO);
	assert_int_equal(remote_map_take(&other, dup(map.fd), 16, UINT32_MAX), -EPROTO);
	assert_int_equal(ftruncate(fd, (off_t)map.bytes), 0);
	assert_int_equal(remote_map_take(&other, fd, 16, 1514), -EPROTO);
	assert_int_equal(remote_map_take(&other, dup(map.fd), 16, 1514), 0);
	remote_map_drop(&other);
	remote_map_drop(&map);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_positions_that_make_no_sense),
		TEST(test_lengths_that_make_no_sense),
		TEST(test_frames_of_others_are_refused),
		TEST(test_stop_waits_for_the_process),
		TEST(test_a_full_ring),
		TEST(test_visitors_that_say_something_else),
		TEST(test_memory_that_is_not_what_was_agreed),
	};

	return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
