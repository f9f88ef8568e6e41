/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A frontend that misbehaves. After each misdeed a request that is in order must be answered, on the same
 * connection where the misdeed was the guest's, on a new one where it was the machine's.
 */

#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vhost_blk.h"

#define ANSWER_MS 10000

/* Wait for one request to come back. @return its slot or -1 */
static int
wait_used(struct frontend *f)
{
	struct pollfd fd = {f->queues[0].call_fd, POLLIN, 0};
	uint64_t end = fe_now_ns() + ANSWER_MS * 1000000ull;
	eventfd_t value;
	int slot;

	while ((slot = fe_take_used(f, 0)) < 0 && fe_now_ns() < end) {
		if (poll(&fd, 1, 100) > 0)
			(void)eventfd_read(fd.fd, &value);
	}
	return slot;
}

/* A read that is in order is answered. */
static bool
still_works(struct frontend *f)
{
	fe_submit(f, 0, 1, VIRTIO_BLK_T_IN, 8, 4096, true);
	fe_kick(f, 0);
	return wait_used(f) == 1 && fe_status(f, 0, 1) == VIRTIO_BLK_S_OK;
}

/* ---- The guest's misdeeds: descriptors ---- */

static struct vring_desc *
desc(struct frontend *f, unsigned i)
{
	return &f->queues[0].desc[i];
}

static void
spoil_address(struct frontend *f)
{
	desc(f, 1)->addr = htole64(UINT64_MAX - 100);
}

static void
spoil_address_near(struct frontend *f)
{
	desc(f, 1)->addr = htole64(FE_GPA - 1);
}

static void
spoil_length(struct frontend *f)
{
	desc(f, 1)->len = htole32(UINT32_MAX);
}

static void
spoil_loop(struct frontend *f)
{
	desc(f, 2)->flags |= htole16(VRING_DESC_F_NEXT);
	desc(f, 2)->next = 0;
	desc(f, 0)->flags |= htole16(VRING_DESC_F_WRITE);
	desc(f, 1)->flags |= htole16(VRING_DESC_F_WRITE);
}

static void
spoil_next(struct frontend *f)
{
	desc(f, 1)->next = htole16(FE_RING);
}

static void
spoil_direction(struct frontend *f)
{
	desc(f, 0)->flags |= htole16(VRING_DESC_F_WRITE);
}

static void
spoil_status(struct frontend *f)
{
	desc(f, 1)->flags &= (uint16_t)~htole16(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE);
}

static void
spoil_table(struct frontend *f)
{
	desc(f, 0)->flags = htole16(VRING_DESC_F_INDIRECT);
	desc(f, 0)->addr = htole64(FE_GPA); /* the ring itself */
	desc(f, 0)->len = htole32(17);
}

static void
spoil_table_in_table(struct frontend *f)
{
	desc(f, 0)->flags = htole16(VRING_DESC_F_INDIRECT);
	desc(f, 0)->addr = htole64(FE_GPA);
	desc(f, 0)->len = htole32(48);
}

static const struct {
	const char *name;
	void (*spoil)(struct frontend *f);
} descriptors[] = {
	{"an address that wraps", spoil_address},
	{"an address in front of the memory", spoil_address_near},
	{"a length beyond the memory", spoil_length},
	{"a loop", spoil_loop},
	{"an index behind the ring", spoil_next},
	{"a header to be written to", spoil_direction},
	{"no status", spoil_status},
	{"half a table", spoil_table},
	{"a table that is itself", spoil_table_in_table},
};

static int
try_descriptors(struct frontend *f)
{
	size_t i;

	for (i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++) {
		fe_write_request(f, 0, 0, VIRTIO_BLK_T_IN, 0, 512, false);
		descriptors[i].spoil(f);
		fe_offer(f, 0, 0);
		fe_kick(f, 0);
		/* It is given back, and nobody may think it was done. */
		if (wait_used(f) != 0 || fe_status(f, 0, 0) == VIRTIO_BLK_S_OK || !still_works(f))
			return fail(descriptors[i].name);
	}
	/* A head that is no descriptor cannot be given back; what follows must be served. */
	fe_offer(f, 0, FE_RING + 5);
	return still_works(f) ? 0 : fail("a head behind the ring");
}

/* The ring is given up; set up again, it works. */
static int
try_ring_index(struct frontend *f)
{
	struct vring_avail *a = f->queues[0].avail;
	uint16_t used = le16toh(f->queues[0].used->idx);

	a->idx = htole16((uint16_t)(le16toh(a->idx) + FE_RING + 1));
	fe_kick(f, 0);
	if (!fe_sync(f) || fe_stop_ring(f, 0) < 0)
		return fail("the target hung up on a ring's index");
	a->idx = htole16(used);
	if (!fe_set_up_ring(f, 0) || !fe_sync(f) || !still_works(f))
		return fail("a ring that had an impossible index");
	return 0;
}

/* ---- A machine that resets and moves while requests are under way ---- */

static void
submit_many(struct frontend *f)
{
	unsigned i;

	for (i = 0; i < FE_SLOTS; i++)
		fe_submit(f, 0, i, i % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, i * 32,
			FE_SLOT_BYTES, i % 3 == 0);
	fe_kick(f, 0);
}

static int
reap_many(struct frontend *f)
{
	unsigned i;
	int slot;

	for (i = 0; i < FE_SLOTS; i++) {
		slot = wait_used(f);
		if (slot < 0 || fe_status(f, 0, (unsigned)slot) != VIRTIO_BLK_S_OK)
			return fail("a request that was under way while something moved");
	}
	return 0;
}

static int
try_moving(struct frontend *f)
{
	unsigned round;
	int base;

	for (round = 0; round < 20; round++) {
		submit_many(f);
		/* Other addresses for the same memory: it is unmapped and mapped again. */
		f->user_shift += 1 << 20;
		if (!fe_set_memory(f) || !fe_set_up_ring(f, 0))
			return fail("memory that is mapped again");
		/* The ring was begun from what had been used then. */
		if (reap_many(f) != 0)
			return 1;
		submit_many(f);
		base = fe_stop_ring(f, 0);
		if (base != le16toh(f->queues[0].used->idx))
			return fail("a ring that was stopped with requests under way");
		if (!fe_set_up_ring(f, 0) || reap_many(f) != 0)
			return 1;
	}
	return still_works(f) ? 0 : fail("what follows");
}

/* Half of the memory is taken away with requests under way that are to be put there, and comes back. */
static int
try_unplugging(struct frontend *f)
{
	unsigned i;
	int slot;

	submit_many(f);
	f->unplugged = true;
	if (!fe_set_memory(f) || !fe_set_up_ring(f, 0))
		return fail("memory that is taken away");
	for (i = 0; i < FE_SLOTS; i++) {
		if (wait_used(f) < 0)
			return fail("a request whose memory was taken away");
	}
	/* The first slot's data is in the other half. */
	submit_many(f);
	for (i = 0; i < FE_SLOTS; i++) {
		slot = wait_used(f);
		if (slot < 0 || (fe_status(f, 0, (unsigned)slot) == VIRTIO_BLK_S_OK) != (slot == 0))
			return fail("a request to memory that is not there");
	}
	f->unplugged = false;
	if (!fe_set_memory(f) || !fe_set_up_ring(f, 0) || !still_works(f))
		return fail("memory that is there again");
	submit_many(f);
	return reap_many(f);
}

/* The server does not answer while the machine stops its ring, and does when the ring goes on. */
int
run_stall(struct frontend *f, bool forgetful)
{
	uint64_t begin;
	unsigned i;
	int base;

	f->forgetful = forgetful;
	if (!fe_connect(f) || !still_works(f))
		return fail("cannot connect");
	/* The test stops the server now, and says so. */
	printf("working\n");
	(void)fflush(stdout);
	if (getchar() == EOF)
		return fail("nobody said that the server has been stopped");
	submit_many(f);
	begin = fe_now_ns();
	base = fe_stop_ring(f, 0);
	if (base != le16toh(f->queues[0].used->idx))
		return fail("the ring was not stopped where it was");
	printf("stopped after %llu ms, %u answered\n",
		(unsigned long long)(fe_now_ns() - begin) / 1000000, base);
	(void)fflush(stdout);
	if (getchar() == EOF)
		return fail("nobody said that the server goes on");
	if (!fe_set_up_ring(f, 0))
		return fail("the ring cannot be set up again");
	if (!forgetful)
		return reap_many(f) == 0 && still_works(f) ? 0 : 1;
	/* Nobody has kept what was in flight: it has failed. */
	for (i = 0; i < FE_SLOTS; i++) {
		if (wait_used(f) < 0)
			return fail("a request has been forgotten");
	}
	return still_works(f) ? 0 : fail("what follows");
}

/* ---- The machine's misdeeds: messages ---- */

static bool
raw(struct frontend *f, const void *bytes, size_t len)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct pollfd fd;
	char c;
	bool ended;

	memcpy(sun.sun_path, f->path, strlen(f->path));
	fd.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fd.events = POLLIN;
	if (connect(fd.fd, (struct sockaddr *)&sun, sizeof(sun)) != 0)
		return false;
	(void)send(fd.fd, bytes, len, MSG_NOSIGNAL);
	(void)shutdown(fd.fd, SHUT_WR);
	/* It hangs up, at once or after it has answered. */
	while ((ended = poll(&fd, 1, ANSWER_MS) == 1) && recv(fd.fd, &c, 1, 0) == 1)
		;
	close(fd.fd);
	return ended;
}

static int
try_messages(struct frontend *f)
{
	static const uint32_t messages[][5] = {
		{0, 1, 0}, /* there is no such message */
		{77, 1, 0},
		{FE_GET_FEATURES, 1, 100000}, /* longer than any */
		{FE_GET_FEATURES, 0, 0}, /* another version */
		{FE_SET_MEM_TABLE, 1, 8, 1000000, 0}, /* more regions than there are */
		{FE_SET_MEM_TABLE, 1, 8, 1, 0}, /* a region without a descriptor */
		{FE_SET_VRING_NUM, 1, 8, 0, 3},
		{FE_SET_VRING_NUM, 1, 8, 70000, 16}, /* no such ring */
		{FE_SET_VRING_KICK, 1, 8, 0, 0}, /* without a descriptor */
		{FE_GET_CONFIG, 1, 12, 0, 100000},
		{FE_GET_VRING_BASE, 1, 8, 3, 0},
		{FE_SET_INFLIGHT_FD, 1, 8, 0, 0},
	};
	size_t i;

	for (i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		size_t len = 12 + (messages[i][2] <= 12 ? messages[i][2] : 8);

		if (len > sizeof(messages[i]))
			len = sizeof(messages[i]);
		if (!raw(f, messages[i], len))
			return fail("the target did not hang up on nonsense");
	}
	/* Half a header. */
	return raw(f, messages[0], 5) ? 0 : fail("the target did not hang up on half a message");
}

/* Rings where no memory is; the connection may go, the target may not. */
static int
try_ring_addresses(struct frontend *f)
{
	const struct fe_queue before = f->queues[0];
	static const uint64_t shifts[] = {0, 4, UINT64_MAX - 10, 1ull << 40};
	size_t i;

	for (i = 1; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
		f->queues[0].desc =
			(struct vring_desc *)((uintptr_t)before.desc + (uintptr_t)shifts[i]);
		(void)fe_stop_ring(f, 0);
		f->queues[0].avail = (struct vring_avail *)((uintptr_t)before.avail + 1);
		(void)fe_set_up_ring(f, 0);
		fe_kick(f, 0);
		(void)fe_sync(f);
		f->queues[0].desc = before.desc;
		f->queues[0].avail = before.avail;
		fe_disconnect(f);
		if (!connect_soon(f) || !still_works(f))
			return fail("a ring at an address that is none");
	}
	return 0;
}

int
run_hostile(struct frontend *f)
{
	if (!fe_connect(f))
		return fail("cannot connect");
	if (!still_works(f))
		return fail("a request that is in order is not answered");
	if (try_descriptors(f) != 0 || try_ring_index(f) != 0 || try_moving(f) != 0 ||
		try_unplugging(f) != 0 || try_ring_addresses(f) != 0)
		return 1;
	fe_disconnect(f);
	if (try_messages(f) != 0)
		return 1;
	if (!connect_soon(f) || !still_works(f))
		return fail("a good frontend after a bad one");
	printf("still there\n");
	return 0;
}
