/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "device.h"
#include "fake_ebd.h"
#include "guest_ring.h"

#define OUT VRING_DESC_F_NEXT
#define IN (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE)
#define LAST_IN VRING_DESC_F_WRITE
#define VOLUME (1u << 20)
#define SLOTS (RING_SIZE / 4) /* requests a test has in flight: three or four descriptors each */
#define SLOT_SIZE 12288u
#define UNTOUCHED 0xee

static struct guest_ring g;
static struct device *d;
static struct ebd_queue *volume;
static uint8_t disk[VOLUME];
static int call_fd;
static uint64_t rng;

/* What the log says is in flight. */
static unsigned logged[RING_SIZE];
static int log_ending;
static unsigned log_mistakes;

static void
log_begin(void *arg, unsigned queue, uint16_t head)
{
	logged[head % RING_SIZE]++;
}

static void
log_end_soon(void *arg, unsigned queue, uint16_t head)
{
	log_ending = head;
}

static void
log_ended(void *arg, unsigned queue, uint16_t head, uint16_t used_idx)
{
	if (log_ending != head || used_idx != le16toh(g.used->idx))
		log_mistakes++;
	logged[head % RING_SIZE]--;
}

static void
start(uint16_t next_avail, uint16_t next_used, const uint16_t *redo, unsigned nb_redo)
{
	const struct device_ring ring = {
		.desc = g.desc,
		.avail = g.avail,
		.used = g.used,
		.size = RING_SIZE,
		.next_avail = next_avail,
		.next_used = next_used,
		.indirect = true,
		.call_fd = dup(call_fd),
		.redo = redo,
		.nb_redo = nb_redo,
	};

	assert_int_equal(device_start_queue(d, 0, &ring), 0);
}

static int
set_up(void **state)
{
	const struct device_log log = {log_begin, log_end_soon, log_ended, NULL};
	unsigned i;

	fake_reset();
	guest_ring_init(&g);
	memset(g.pages + REGION, UNTOUCHED, REGION);
	rng = 88172645463325252ull;
	for (i = 0; i < VOLUME; i++)
		disk[i] = (uint8_t)(i * 31 + (i >> 9));
	memset(logged, 0, sizeof(logged));
	log_mistakes = 0;
	call_fd = eventfd(0, EFD_NONBLOCK);
	volume = fake_queue(disk, VOLUME, 512, 1);
	d = device_create(&log);
	device_set_volume(d, volume);
	device_limits(d)->write_back = true;
	device_set_memory(d, &g.mem);
	start(0, 0, NULL, 0);
	return 0;
}

static int
tear_down(void **state)
{
	uint16_t a, u;

	if (device_in_flight(d) > 0)
		device_abandon(d, false);
	(void)device_stop_queue(d, 0, true, &a, &u);
	if (device_volume(d) != NULL)
		ebd_queue_close(device_volume(d));
	device_destroy(d);
	guest_ring_fini(&g);
	close(call_fd);
	return 0;
}

static uint64_t
next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static uint64_t
slot_gpa(unsigned slot)
{
	return DATA + slot * SLOT_SIZE;
}

static uint8_t *
status_of(unsigned slot)
{
	return guest_at(&g, slot_gpa(slot) + 16);
}

/* A request of one piece of data in the slot's descriptors; its head is 4 * slot. */
static void
put_request(unsigned slot, uint32_t type, uint64_t sector, uint32_t len)
{
	struct virtio_blk_outhdr h = {.type = htole32(type), .sector = htole64(sector)};
	uint64_t at = slot_gpa(slot);

	memcpy(guest_at(&g, at), &h, sizeof(h));
	*status_of(slot) = 0xff;
	g.nb = (uint16_t)(4 * slot);
	put_desc(&g, at, sizeof(h), OUT);
	if (len > 0)
		put_desc(&g, at + 512, len, type == VIRTIO_BLK_T_IN ? IN : OUT);
	put_desc(&g, at + 16, 1, LAST_IN);
	make_available(&g, (uint16_t)(4 * slot));
}

static void
poll_until(uint16_t used_idx)
{
	unsigned i;

	for (i = 0; i < 1000 && le16toh(g.used->idx) != used_idx; i++)
		(void)device_poll(d, true);
	assert_int_equal(le16toh(g.used->idx), used_idx);
}

static void
test_read_lands_in_the_guest(void **state)
{
	uint64_t calls;

	put_request(0, VIRTIO_BLK_T_IN, 2, 4096);
	poll_until(1);
	assert_int_equal(*status_of(0), VIRTIO_BLK_S_OK);
	assert_int_equal(le32toh(g.used->ring[0].len), 4097);
	assert_memory_equal(guest_at(&g, slot_gpa(0) + 512), disk + 1024, 4096);
	assert_int_equal(eventfd_read(call_fd, &calls), 0);
	assert_int_equal(device_get_stats(d)->reads, 1);
	assert_int_equal(logged[0], 0);
	assert_int_equal(log_mistakes, 0);
}

static void
test_failures_are_told(void **state)
{
	fake_faults(volume)->fail_nth = 1;
	fake_faults(volume)->status = -ENOSPC;
	put_request(0, VIRTIO_BLK_T_OUT, 0, 512);
	poll_until(1);
	assert_int_equal(*status_of(0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(device_get_stats(d)->errors, 1);
	/* What is refused at once. */
	put_request(0, VIRTIO_BLK_T_OUT, VOLUME / 512, 512);
	poll_until(2);
	assert_int_equal(*status_of(0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(device_get_stats(d)->refused, 1);
}

static void
test_flushes(void **state)
{
	put_request(0, VIRTIO_BLK_T_FLUSH, 0, 0);
	poll_until(1);
	assert_int_equal(*status_of(0), VIRTIO_BLK_S_OK);
	assert_int_equal(fake_counts(volume)->flushes, 1);
	put_request(0, VIRTIO_BLK_T_OUT, 0, 512);
	poll_until(2);
	assert_int_equal(fake_counts(volume)->flushes, 1);
	/* Without a cache the answer to a write comes behind a flush; the volume has no FUA. */
	device_limits(d)->write_back = false;
	put_request(0, VIRTIO_BLK_T_OUT, 0, 512);
	poll_until(3);
	assert_int_equal(fake_counts(volume)->flushes, 2);
	/* Not when the write has failed. */
	fake_faults(volume)->fail_nth = 5;
	fake_faults(volume)->status = -EIO;
	put_request(0, VIRTIO_BLK_T_OUT, 0, 512);
	poll_until(4);
	assert_int_equal(*status_of(0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(fake_counts(volume)->flushes, 2);
}

/* Random reads and writes; a disk beside the volume's says what must come. */
static void
test_random_load(void **state)
{
	static uint8_t model[VOLUME], data[RING_SIZE][SLOT_SIZE];
	bool busy[SLOTS] = {false}, reads[SLOTS];
	uint32_t lens[SLOTS];
	uint64_t offs[SLOTS];
	uint16_t seen = 0, slot;
	unsigned started = 0, i;

	memcpy(model, disk, VOLUME);
	fake_faults(volume)->full_every = 7;
	while (started < 5000 || seen != le16toh(g.avail->idx)) {
		slot = (uint16_t)(next_random() % SLOTS);
		if (!busy[slot] && started < 5000) {
			/* Slots have parts of the disk of their own: no request races with another. */
			lens[slot] = 512 * (uint32_t)(1 + next_random() % 22);
			offs[slot] = slot * (VOLUME / SLOTS) +
				     512 * (next_random() % (VOLUME / SLOTS / 512 - 22));
			reads[slot] = next_random() % 2;
			for (i = 0; i < lens[slot]; i++)
				data[slot][i] = (uint8_t)next_random();
			memcpy(guest_at(&g, slot_gpa(slot) + 512), data[slot], lens[slot]);
			put_request(slot, reads[slot] ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
				offs[slot] / 512, lens[slot]);
			busy[slot] = true;
			started++;
		}
		(void)device_poll(d, true);
		for (; seen != le16toh(g.used->idx); seen++) {
			slot = (uint16_t)(le32toh(g.used->ring[seen % RING_SIZE].id) / 4);
			assert_true(slot < SLOTS && busy[slot]);
			assert_int_equal(*status_of(slot), VIRTIO_BLK_S_OK);
			busy[slot] = false;
			if (reads[slot])
				assert_memory_equal(guest_at(&g, slot_gpa(slot) + 512),
					model + offs[slot], lens[slot]);
			else
				memcpy(model + offs[slot], data[slot], lens[slot]);
		}
	}
	assert_memory_equal(model, disk, VOLUME);
	assert_int_equal(fake_counts(volume)->broken_rules, 0);
	assert_int_equal(device_in_flight(d), 0);
	assert_int_equal(log_mistakes, 0);
}

static bool
is_untouched(void)
{
	unsigned i;

	for (i = 0; i < REGION; i++) {
		if (g.pages[REGION + i] != UNTOUCHED)
			return false;
	}
	return true;
}

/* A request that would be in order but for one field, at most. */
static void
nearly_right(void)
{
	static const uint32_t types[] = {0, 1, 4, 8, 11, 13, 2};
	unsigned slot = (unsigned)(next_random() % SLOTS);
	struct vring_desc *desc = &g.desc[4 * slot + next_random() % 3];

	put_request(slot, types[next_random() % 7], next_random() % (VOLUME / 512),
		512 * (uint32_t)(next_random() % 20));
	switch (next_random() % 8) {
	case 0:
		desc->addr ^= 1ull << next_random() % 64;
		break;
	case 1:
		desc->len ^= 1u << next_random() % 32;
		break;
	case 2:
		desc->flags ^= (uint16_t)(1u << next_random() % 3);
		break;
	case 3:
		desc->next ^= (uint16_t)(1u << next_random() % 16);
		break;
	}
}

/* A plausible field now and then, else anything. */
static void
scribble(void)
{
	static const uint64_t addrs[] = {DATA, GPA, SEAM - 7, SEAM + REGION - 1, 0, UINT64_MAX - 3};
	static const uint32_t lens[] = {1, 16, 512, 4096, 0, UINT32_MAX};
	struct vring_desc *desc = &g.desc[next_random() % RING_SIZE];
	struct virtio_blk_outhdr h = {
		.type = (uint32_t)(next_random() % 15), .sector = next_random() % 3000};

	desc->addr =
		next_random() % 4 ? addrs[next_random() % 6] + next_random() % 64 : next_random();
	desc->len = next_random() % 4 ? lens[next_random() % 6] : (uint32_t)next_random();
	desc->flags = (uint16_t)(next_random() % 8);
	desc->next = (uint16_t)(next_random() % (RING_SIZE + 1));
	memcpy(guest_at(&g, DATA + next_random() % 64), &h, sizeof(h));
}

/* Whatever the rings hold, nothing outside the guest changes and every head comes back once. */
static void
test_nonsense(void **state)
{
	struct ebd_queue *first = volume;
	unsigned round, i;

	for (round = 0; round < 30000; round++) {
		/* The rings are in the memory that is scribbled over, too. */
		for (i = 0; i < 4; i++)
			scribble();
		if (!device_is_started(d, 0)) {
			g.avail->idx = 0;
			start(0, 0, NULL, 0);
		}
		make_available(&g, (uint16_t)(next_random() % (RING_SIZE + 2)));
		nearly_right();
		(void)device_poll(d, true);
		if (round % 64 == 63) {
			uint16_t a, u;

			for (i = 0; i < 200 && device_in_flight(d) > 0; i++)
				(void)device_poll(d, false);
			assert_int_equal(device_in_flight(d), 0);
			assert_true(device_stop_queue(d, 0, true, &a, &u));
		}
	}
	assert_true(is_untouched());
	assert_ptr_equal(device_volume(d), first);
	assert_int_equal(fake_counts(volume)->broken_rules, 0);
	assert_true(device_get_stats(d)->bad_chains > 1000);
	assert_true(device_get_stats(d)->reads > 1000);
	assert_true(device_get_stats(d)->writes > 1000);
}

static void
test_broken_ring(void **state)
{
	uint16_t a, u;

	g.avail->idx = htole16(1000);
	(void)device_poll(d, true);
	assert_int_equal(device_get_stats(d)->broken_rings, 1);
	/* Not looked at again before it is set up again. */
	g.avail->idx = 0;
	put_request(0, VIRTIO_BLK_T_IN, 0, 512);
	(void)device_poll(d, true);
	assert_int_equal(g.used->idx, 0);
	assert_true(device_stop_queue(d, 0, true, &a, &u));
	start(0, 0, NULL, 0);
	poll_until(1);
}

static void
test_abandoned_and_kept(void **state)
{
	uint16_t a, u;

	fake_faults(volume)->hang = true;
	put_request(0, VIRTIO_BLK_T_IN, 0, 512);
	put_request(1, VIRTIO_BLK_T_OUT, 8, 512);
	(void)device_poll(d, true);
	assert_int_equal(device_in_flight(d), 2);
	device_abandon(d, true);
	assert_int_equal(device_in_flight(d), 0);
	assert_null(device_volume(d));
	assert_int_equal(g.used->idx, 0);
	assert_int_equal(logged[0] + logged[4], 2);
	/* The same ring elsewhere: they come again, and are counted as taken. */
	assert_true(device_stop_queue(d, 0, false, &a, &u));
	assert_int_equal(a, 2);
	assert_int_equal(u, 0);
	volume = fake_queue(disk, VOLUME, 512, 2);
	device_set_volume(d, volume);
	start(a, u, NULL, 0);
	poll_until(2);
	assert_int_equal(*status_of(0), VIRTIO_BLK_S_OK);
	assert_int_equal(*status_of(1), VIRTIO_BLK_S_OK);
	assert_int_equal(device_get_stats(d)->redone, 2);
}

/* Who takes the ring over gets an index in front of what is not done. */
static void
test_forgotten(void **state)
{
	uint16_t a, u;

	fake_faults(volume)->hang = true;
	put_request(0, VIRTIO_BLK_T_IN, 0, 512);
	(void)device_poll(d, true);
	device_abandon(d, true);
	assert_true(device_stop_queue(d, 0, true, &a, &u));
	assert_int_equal(a, 0);
	assert_int_equal(u, 0);
}

static void
test_abandoned_and_failed(void **state)
{
	fake_faults(volume)->hang = true;
	put_request(0, VIRTIO_BLK_T_IN, 0, 512);
	(void)device_poll(d, true);
	device_abandon(d, false);
	assert_int_equal(le16toh(g.used->idx), 1);
	assert_int_equal(*status_of(0), VIRTIO_BLK_S_IOERR);
}

static void
test_redo_of_a_crash(void **state)
{
	const uint16_t heads[] = {4, 60000, 0};
	uint16_t a, u;

	put_request(0, VIRTIO_BLK_T_IN, 0, 512);
	put_request(1, VIRTIO_BLK_T_IN, 1, 512);
	assert_true(device_stop_queue(d, 0, true, &a, &u));
	/* Both had been taken; a head that is none is left out. */
	start(2, 0, heads, 3);
	poll_until(2);
	assert_int_equal(device_get_stats(d)->redone, 2);
	assert_memory_equal(guest_at(&g, slot_gpa(1) + 512), disk + 512, 512);
}

static void
test_volume_is_lost(void **state)
{
	fake_faults(volume)->dead_after = 1;
	put_request(0, VIRTIO_BLK_T_IN, 0, 512);
	poll_until(1);
	(void)device_poll(d, true);
	assert_null(device_volume(d));
	assert_false(device_wants_volume(d));
	put_request(1, VIRTIO_BLK_T_IN, 0, 512);
	(void)device_poll(d, true);
	assert_true(device_wants_volume(d));
	device_fail_waiting(d, -ETIMEDOUT);
	assert_int_equal(le16toh(g.used->idx), 2);
	assert_int_equal(*status_of(1), VIRTIO_BLK_S_IOERR);
	/* With another one it goes on. */
	put_request(0, VIRTIO_BLK_T_IN, 0, 512);
	(void)device_poll(d, true);
	volume = fake_queue(disk, VOLUME, 512, 3);
	device_set_volume(d, volume);
	poll_until(3);
	assert_int_equal(*status_of(0), VIRTIO_BLK_S_OK);
}

/* More parts than there are: they wait for each other, and all end. */
static void
test_huge_requests(void **state)
{
	struct virtio_blk_outhdr h = {.type = htole32(VIRTIO_BLK_T_IN)};
	unsigned slot;

	/* Nothing is moved: the volume hangs. */
	fake_faults(volume)->hang = true;
	device_limits(d)->info.size = 1ull << 40;
	g.mem.nb = 1;
	g.mem.regions[0].size = 1ull << 40;
	device_set_memory(d, &g.mem);
	for (slot = 0; slot < SLOTS; slot++) {
		memcpy(guest_at(&g, slot_gpa(slot)), &h, sizeof(h));
		g.nb = (uint16_t)(4 * slot);
		put_desc(&g, slot_gpa(slot), sizeof(h), OUT);
		put_desc(&g, GPA, 3u << 30, IN);
		put_desc(&g, slot_gpa(slot) + 16, 1, LAST_IN);
		make_available(&g, (uint16_t)(4 * slot));
	}
	(void)device_poll(d, true);
	assert_int_equal(device_in_flight(d), SLOTS);
	device_abandon(d, false);
	assert_int_equal(device_in_flight(d), 0);
	assert_int_equal(le16toh(g.used->idx), SLOTS);
}

static void
test_kicks(void **state)
{
	assert_false(device_want_kicks(d));
	assert_int_equal(g.used->flags, 0);
	put_request(0, VIRTIO_BLK_T_IN, 0, 512);
	assert_true(device_want_kicks(d));
	device_stop_kicks(d);
	assert_int_equal(le16toh(g.used->flags), VRING_USED_F_NO_NOTIFY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_read_lands_in_the_guest),
		TEST(test_failures_are_told),
		TEST(test_flushes),
		TEST(test_random_load),
		TEST(test_nonsense),
		TEST(test_broken_ring),
		TEST(test_abandoned_and_kept),
		TEST(test_forgotten),
		TEST(test_abandoned_and_failed),
		TEST(test_redo_of_a_crash),
		TEST(test_volume_is_lost),
		TEST(test_huge_requests),
		TEST(test_kicks),
	};

	return cmocka_run_group_tests_name("apps_device", tests, NULL, NULL);
}
