/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A guest for vhost-ebd, without a machine around it:
 *
 *	vhost_blk SOCKET info			serial number, size, blocks, queues, features
 *	vhost_blk SOCKET perf SECONDS DEPTH	random reads of 4 KiB, polled
 *	vhost_blk SOCKET verify SECONDS [SLOTS]	reads and writes of stamped blocks on all queues, SLOTS at a time
 *						on each; goes on when the target is killed and comes back, with what
 *						was in flight. SIGTERM ends it sooner, after a last look at all blocks
 *	vhost_blk SOCKET resize BYTES		waits until the disk has so many
 *	vhost_blk SOCKET hostile		see hostile.c
 *	vhost_blk SOCKET stall FORGETFUL	stops its ring while the server stands still; talks to the test by lines
 */

#include <endian.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <linux/virtio_config.h>

#include "frontend.h"
#include "vhost_blk.h"

#define BLOCK 4096u
#define SECTORS (BLOCK / 512)
#define MAX_BLOCKS 65536u
#define CONNECT_NS 30000000000ull /* for a target to come back */
#define STUCK_NS 60000000000ull /* for a request to come back */

int
fail(const char *what)
{
	fprintf(stderr, "vhost_blk: %s\n", what);
	return 1;
}

bool
connect_soon(struct frontend *f)
{
	uint64_t end = fe_now_ns() + CONNECT_NS;

	while (!fe_connect(f)) {
		if (fe_now_ns() > end)
			return false;
		(void)poll(NULL, 0, 20);
	}
	return true;
}

static uint64_t rng = 88172645463325252ull;

static uint64_t
next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* One request, to its end. */
static bool
run_one(struct frontend *f, uint32_t type, uint32_t len)
{
	struct pollfd fd = {f->queues[0].call_fd, POLLIN, 0};
	uint64_t end = fe_now_ns() + CONNECT_NS;
	eventfd_t value;
	int slot;

	fe_submit(f, 0, 0, type, 0, len, false);
	fe_kick(f, 0);
	while ((slot = fe_take_used(f, 0)) < 0 && fe_now_ns() < end) {
		if (!fe_want_call(f, 0) && poll(&fd, 1, 100) > 0)
			(void)eventfd_read(fd.fd, &value);
	}
	return slot == 0 && fe_status(f, 0, 0) == VIRTIO_BLK_S_OK;
}

/* ---- info ---- */

static int
run_info(struct frontend *f)
{
	if (!fe_connect(f))
		return fail("cannot connect");
	if (!run_one(f, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_ID_BYTES))
		return fail("the disk has no serial number");
	printf("serial %.20s\n", (const char *)fe_data(f, 0, 0));
	printf("size %llu\n", (unsigned long long)le64toh(f->config.capacity) * 512);
	printf("block_size %u\n", le32toh(f->config.blk_size));
	printf("queues %u\n", le16toh(f->config.num_queues));
	printf("wce %u\n", f->config.wce);
	printf("features %llx\n", (unsigned long long)f->offered);
	return 0;
}

/* ---- perf ---- */

static uint64_t
random_block(const struct frontend *f)
{
	return next_random() % (le64toh(f->config.capacity) / SECTORS);
}

static int
run_perf(struct frontend *f, uint64_t seconds, unsigned depth)
{
	uint64_t begin, end, done = 0, empty = 0;
	unsigned i;
	int slot;

	if (depth < 1 || depth > FE_SLOTS || !fe_connect(f))
		return fail("cannot connect, or a depth that is none");
	f->queues[0].avail->flags = htole16(VRING_AVAIL_F_NO_INTERRUPT);
	begin = fe_now_ns();
	end = begin + seconds * 1000000000u;
	for (i = 0; i < depth; i++)
		fe_submit(f, 0, i, VIRTIO_BLK_T_IN, random_block(f) * SECTORS, BLOCK, true);
	fe_kick(f, 0);
	while (fe_now_ns() < end) {
		for (i = 0; (slot = fe_take_used(f, 0)) >= 0; i++) {
			if (fe_status(f, 0, (unsigned)slot) != VIRTIO_BLK_S_OK)
				return fail("a read failed");
			fe_submit(f, 0, (unsigned)slot, VIRTIO_BLK_T_IN, random_block(f) * SECTORS,
				BLOCK, true);
		}
		done += i;
		if (i > 0)
			fe_kick(f, 0);
		else if (++empty % 16 == 0)
			(void)sched_yield();
	}
	printf("iops %llu\n", (unsigned long long)(done * 1000000000u / (fe_now_ns() - begin)));
	return 0;
}

/* ---- verify ---- */

/* What is known of a block: its data is made of its number and its version. */
struct block {
	uint32_t version; /* 0: as it was found, zeroes */
	bool busy;
};

struct slot {
	bool busy;
	bool write;
	uint32_t block;
	uint32_t version; /* that is written */
};

static struct block blocks[MAX_BLOCKS];
static struct slot slots[FE_QUEUES][FE_SLOTS];
static unsigned nb_slots = FE_SLOTS; /* of a queue, that are used */
static volatile sig_atomic_t told_to_end;
static struct {
	uint64_t reads, writes, flushes, connections;
} counts;

static void
note_signal(int signal)
{
	told_to_end = signal;
}

static void
fill(uint8_t *data, uint32_t block, uint32_t version)
{
	uint64_t word = ((uint64_t)block << 32 | version) * 0x9e3779b97f4a7c15ull;
	unsigned i;

	for (i = 0; i < BLOCK; i += sizeof(word), word += 0x100000001b3ull)
		memcpy(data + i, &word, sizeof(word));
}

static bool
matches(const uint8_t *data, uint32_t block, uint32_t version)
{
	static uint8_t right[BLOCK];

	if (version == 0)
		memset(right, 0, sizeof(right));
	else
		fill(right, block, version);
	return memcmp(data, right, BLOCK) == 0;
}

static void
start_request(struct frontend *f, unsigned queue, unsigned slot, uint32_t nb_blocks)
{
	struct slot *s = &slots[queue][slot];
	uint32_t block = (uint32_t)(next_random() % nb_blocks);
	bool indirect = next_random() % 2;

	if (next_random() % 64 == 0) {
		s->block = MAX_BLOCKS;
		fe_submit(f, queue, slot, VIRTIO_BLK_T_FLUSH, 0, 0, indirect);
	} else if (blocks[block].busy) {
		return;
	} else {
		blocks[block].busy = true;
		s->block = block;
		s->write = next_random() % 2;
		s->version = blocks[block].version + 1;
		if (s->write)
			fill(fe_data(f, queue, slot), block, s->version);
		else
			memset(fe_data(f, queue, slot), 0xa5, BLOCK);
		fe_submit(f, queue, slot, s->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			(uint64_t)block * SECTORS, BLOCK, indirect);
	}
	s->busy = true;
}

/* False: it was wrong. */
static bool
end_request(struct frontend *f, unsigned queue, unsigned slot)
{
	struct slot *s = &slots[queue][slot];
	struct block *b;

	if (!s->busy || fe_status(f, queue, slot) != VIRTIO_BLK_S_OK) {
		fprintf(stderr, "queue %u slot %u: %s, status %u\n", queue, slot,
			s->busy ? "failed" : "came back twice", fe_status(f, queue, slot));
		return false;
	}
	s->busy = false;
	if (s->block == MAX_BLOCKS) {
		counts.flushes++;
		return true;
	}
	b = &blocks[s->block];
	b->busy = false;
	if (s->write) {
		b->version = s->version;
		counts.writes++;
		return true;
	}
	counts.reads++;
	if (matches(fe_data(f, queue, slot), s->block, b->version))
		return true;
	fprintf(stderr, "block %u: not what was written last, version %u\n", s->block, b->version);
	return false;
}

/* All that has come back. @return requests, -1: one was wrong */
static int
reap(struct frontend *f)
{
	unsigned queue;
	int slot, n = 0;

	for (queue = 0; queue < f->nb_queues; queue++) {
		while ((slot = fe_take_used(f, queue)) >= 0) {
			if (!end_request(f, queue, (unsigned)slot))
				return -1;
			n++;
		}
	}
	return n;
}

static unsigned
in_flight(const struct frontend *f)
{
	unsigned queue, slot, n = 0;

	for (queue = 0; queue < f->nb_queues; queue++) {
		for (slot = 0; slot < FE_SLOTS; slot++)
			n += slots[queue][slot].busy;
	}
	return n;
}

/* Wait for the first interrupt, not long: the target may be gone. */
static bool
wait_for_calls(struct frontend *f)
{
	struct pollfd fds[FE_QUEUES + 1];
	eventfd_t value;
	bool ready = false;
	unsigned i;

	for (i = 0; i < f->nb_queues; i++) {
		fds[i] = (struct pollfd){f->queues[i].call_fd, POLLIN, 0};
		ready |= fe_want_call(f, i);
	}
	fds[i] = (struct pollfd){f->sock, POLLIN, 0};
	(void)poll(fds, i + 1, ready ? 0 : 1000);
	for (i = 0; i < f->nb_queues; i++) {
		if (fds[i].revents != 0)
			(void)eventfd_read(f->queues[i].call_fd, &value);
	}
	if (fe_is_connected(f))
		return true;
	fe_disconnect(f);
	counts.connections++;
	if (!connect_soon(f))
		return false;
	/* The target does again what is noted as in flight, and is told of the rest. */
	for (i = 0; i < f->nb_queues; i++)
		(void)eventfd_write(f->queues[i].kick_fd, 1);
	return true;
}

static void
start_some(struct frontend *f, uint32_t nb_blocks)
{
	unsigned queue, slot;

	for (queue = 0; queue < f->nb_queues; queue++) {
		for (slot = 0; slot < nb_slots; slot++) {
			if (!slots[queue][slot].busy)
				start_request(f, queue, slot, nb_blocks);
		}
		fe_kick(f, queue);
	}
}

static bool
is_over(uint64_t end)
{
	return told_to_end || fe_now_ns() >= end;
}

static int
work(struct frontend *f, uint64_t end, uint32_t nb_blocks)
{
	uint64_t moved = fe_now_ns();
	int n;

	while (!is_over(end) || in_flight(f) > 0) {
		if (!is_over(end))
			start_some(f, nb_blocks);
		if (!wait_for_calls(f))
			return fail("the target did not come back");
		n = reap(f);
		if (n < 0)
			return fail("wrong data, or a failure");
		if (n > 0)
			moved = fe_now_ns();
		else if (fe_now_ns() - moved > STUCK_NS)
			return fail("requests are stuck");
	}
	return 0;
}

/* What the disk had before is not known. */
static bool
clear_disk(struct frontend *f)
{
	struct virtio_blk_discard_write_zeroes *range = (void *)fe_data(f, 0, 0);

	*range = (struct virtio_blk_discard_write_zeroes){
		.num_sectors = htole32((uint32_t)le64toh(f->config.capacity))};
	if (!run_one(f, VIRTIO_BLK_T_DISCARD, sizeof(*range)))
		return false;
	range->flags = htole32(VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	return run_one(f, VIRTIO_BLK_T_WRITE_ZEROES, sizeof(*range));
}

/* Every block once more. */
static int
read_all(struct frontend *f, uint32_t nb_blocks)
{
	uint32_t block;

	for (block = 0; block < nb_blocks; block++) {
		slots[0][0] = (struct slot){.busy = true, .block = block};
		fe_submit(f, 0, 0, VIRTIO_BLK_T_IN, (uint64_t)block * SECTORS, BLOCK, false);
		fe_kick(f, 0);
		while (in_flight(f) > 0) {
			if (reap(f) < 0)
				return fail("wrong data at the end");
			if (in_flight(f) > 0 && !wait_for_calls(f))
				return fail("the target did not come back");
		}
	}
	return 0;
}

static int
run_verify(struct frontend *f, uint64_t seconds, unsigned depth)
{
	uint32_t nb_blocks;

	nb_slots = depth;
	if (!fe_connect(f))
		return fail("cannot connect");
	nb_blocks = (uint32_t)(le64toh(f->config.capacity) / SECTORS);
	if (nb_blocks == 0 || nb_blocks > MAX_BLOCKS)
		return fail("a disk of 4 KiB to 256 MiB is needed");
	if (!clear_disk(f))
		return fail("cannot discard or write zeroes");
	(void)signal(SIGTERM, note_signal);
	printf("working\n");
	(void)fflush(stdout);
	if (work(f, fe_now_ns() + seconds * 1000000000u, nb_blocks) != 0 ||
		read_all(f, nb_blocks) != 0)
		return 1;
	printf("reads %llu\nwrites %llu\nflushes %llu\nreconnects %llu\n",
		(unsigned long long)counts.reads, (unsigned long long)counts.writes,
		(unsigned long long)counts.flushes, (unsigned long long)counts.connections);
	return 0;
}

/* ---- resize ---- */

static int
run_resize(struct frontend *f, uint64_t bytes)
{
	struct pollfd fd;
	uint32_t header[3];

	if (!fe_connect(f))
		return fail("cannot connect");
	printf("working\n");
	(void)fflush(stdout);
	while (le64toh(f->config.capacity) * 512 != bytes) {
		fd = (struct pollfd){f->backend_fd, POLLIN, 0};
		if (poll(&fd, 1, 20000) != 1)
			return fail("nobody said that the configuration has changed");
		/* 2: the configuration has changed. */
		if (recv(f->backend_fd, header, sizeof(header), 0) != sizeof(header) ||
			header[0] != 2 || !fe_read_config(f))
			return fail("not what should come on the target's channel");
	}
	printf("size %llu\n", (unsigned long long)bytes);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[2] : "";
	uint64_t arg = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	unsigned depth = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : FE_SLOTS;
	uint64_t wanted = 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_BLK_F_FLUSH;
	struct frontend f;
	int rc = 2;

	if (strcmp(mode, "verify") == 0)
		wanted |= 1ull << VIRTIO_RING_F_EVENT_IDX;
	fe_init(&f, argc > 1 ? argv[1] : "", strcmp(mode, "verify") == 0 ? FE_QUEUES : 1, wanted);
	if (strcmp(mode, "info") == 0)
		rc = run_info(&f);
	else if (strcmp(mode, "perf") == 0)
		rc = run_perf(&f, arg, depth);
	else if (strcmp(mode, "verify") == 0 && depth >= 1 && depth <= FE_SLOTS)
		rc = run_verify(&f, arg, depth);
	else if (strcmp(mode, "resize") == 0)
		rc = run_resize(&f, arg);
	else if (strcmp(mode, "hostile") == 0)
		rc = run_hostile(&f);
	else if (strcmp(mode, "stall") == 0)
		rc = run_stall(&f, arg != 0);
	else
		fail("expected SOCKET info|perf|verify|resize|hostile|stall [...]");
	fe_fini(&f);
	return rc;
}
