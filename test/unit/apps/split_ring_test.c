/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "guest_ring.h"

#define OUT VRING_DESC_F_NEXT
#define IN (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE)
#define LAST_OUT 0
#define LAST_IN VRING_DESC_F_WRITE

static struct guest_ring g;
static struct chain c;

static int
set_up(void **state)
{
	guest_ring_init(&g);
	memset(&c, 0xa5, sizeof(c));
	return 0;
}

static int
tear_down(void **state)
{
	guest_ring_fini(&g);
	return 0;
}

static int
walk(void)
{
	return split_walk(&g.ring, &g.mem, 0, &c);
}

/* ---- Chains that are in order ---- */

static void
test_out_then_in(void **state)
{
	put_desc(&g, DATA, 16, OUT);
	put_desc(&g, DATA + 4096, 512, OUT);
	put_desc(&g, DATA + 8192, 100, IN);
	put_desc(&g, DATA + 512, 1, LAST_IN);
	assert_int_equal(walk(), 0);
	assert_int_equal(c.nb_out, 2);
	assert_int_equal(c.nb_in, 2);
	assert_int_equal(c.out_len, 528);
	assert_int_equal(c.in_len, 101);
	assert_ptr_equal(c.iov[0].iov_base, guest_at(&g, DATA));
	assert_ptr_equal(c.iov[1].iov_base, guest_at(&g, DATA + 4096));
	assert_ptr_equal(c.iov[2].iov_base, guest_at(&g, DATA + 8192));
	assert_int_equal(c.iov[2].iov_len, 100);
	assert_ptr_equal(c.iov[3].iov_base, guest_at(&g, DATA + 512));
}

/* Pieces that touch become one, but never across the change of direction. */
static void
test_neighbours_merge(void **state)
{
	put_desc(&g, DATA, 100, OUT);
	put_desc(&g, DATA + 100, 50, OUT);
	put_desc(&g, DATA + 150, 20, IN);
	put_desc(&g, DATA + 170, 7, LAST_IN);
	assert_int_equal(walk(), 0);
	assert_int_equal(c.nb_out, 1);
	assert_int_equal(c.iov[0].iov_len, 150);
	assert_int_equal(c.nb_in, 1);
	assert_int_equal(c.iov[1].iov_len, 27);
}

static void
test_piece_in_two_regions(void **state)
{
	put_desc(&g, SEAM - 10, 30, LAST_IN);
	assert_int_equal(walk(), 0);
	assert_int_equal(c.nb_in, 2);
	assert_int_equal(c.in_len, 30);
	assert_ptr_equal(c.iov[0].iov_base, guest_at(&g, SEAM - 10));
	assert_int_equal(c.iov[0].iov_len, 10);
	assert_ptr_equal(c.iov[1].iov_base, guest_at(&g, SEAM));
	assert_int_equal(c.iov[1].iov_len, 20);
}

static void
put_table(uint64_t at, unsigned i, uint64_t addr, uint32_t len, uint16_t flags)
{
	struct vring_desc d = {
		htole64(addr), htole32(len), htole16(flags), htole16((uint16_t)(i + 1))};
	const uint8_t *from = (const uint8_t *)&d;
	unsigned n;

	for (n = 0; n < sizeof(d); n++)
		*(uint8_t *)guest_at(&g, at + i * sizeof(d) + n) = from[n];
}

/* The table may lie across regions, too: here the seam is in the middle of a descriptor. */
static void
test_indirect(void **state)
{
	uint64_t table = SEAM - 24;

	put_table(table, 0, DATA, 16, OUT);
	put_table(table, 1, DATA + 4096, 512, IN);
	put_table(table, 2, DATA + 16, 1, LAST_IN);
	put_desc(&g, table, 48, VRING_DESC_F_INDIRECT);
	assert_int_equal(walk(), 0);
	assert_int_equal(c.out_len, 16);
	assert_int_equal(c.in_len, 513);
	assert_ptr_equal(c.iov[1].iov_base, guest_at(&g, DATA + 4096));
}

/* Descriptors, then a table as the last one. */
static void
test_indirect_behind_direct(void **state)
{
	put_table(DATA, 0, DATA + 4096, 512, LAST_IN);
	put_desc(&g, DATA + 1024, 16, OUT);
	put_desc(&g, DATA, 16, VRING_DESC_F_INDIRECT);
	assert_int_equal(walk(), 0);
	assert_int_equal(c.out_len, 16);
	assert_int_equal(c.in_len, 512);
}

static void
test_whole_ring(void **state)
{
	unsigned i;

	for (i = 0; i < RING_SIZE - 1; i++)
		put_desc(&g, DATA + i * 64, 32, OUT);
	put_desc(&g, DATA + 4096, 1, LAST_IN);
	assert_int_equal(walk(), 0);
	assert_int_equal(c.nb_out, RING_SIZE - 1);
}

/* ---- Hostile ones ---- */

static void
test_addresses(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{0, 1},
		{GPA - 1, 2}, /* begins before the first region */
		{GPA - 1, 1},
		{SEAM + REGION, 1}, /* right behind the last byte */
		{SEAM + REGION - 1, 2}, /* the last byte and one more */
		{DATA, UINT32_MAX}, /* longer than all memory */
		{UINT64_MAX, 1},
		{UINT64_MAX - 7, 64}, /* wraps around */
		{UINT64_MAX - 0xfff, UINT32_MAX},
	};
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		g.nb = 0;
		put_desc(&g, bad[i].addr, bad[i].len, LAST_IN);
		assert_int_equal(walk(), -EFAULT);
		g.nb = 0;
		put_desc(&g, bad[i].addr, bad[i].len, VRING_DESC_F_INDIRECT);
		assert_true(walk() < 0);
	}
}

static void
test_region_at_the_end_of_the_world(void **state)
{
	struct iovec iov[4];
	struct guest_pieces p = {iov, 0, 4};
	struct guest_memory mem = {.nb = 1};

	mem.regions[0] = (struct guest_region){UINT64_MAX - 4095, 4096, g.pages};
	assert_int_equal(guest_map(&mem, UINT64_MAX, 1, &p), 0);
	assert_ptr_equal(iov[0].iov_base, g.pages + 4095);
	/* Behind it comes address 0, which is not there. */
	assert_int_equal(guest_map(&mem, UINT64_MAX, 2, &p), -EFAULT);
}

static void
test_loops(void **state)
{
	put_desc(&g, DATA, 16, OUT);
	g.desc[0].next = 0;
	assert_int_equal(walk(), -ELOOP);

	put_desc(&g, DATA + 64, 16, OUT);
	g.desc[0].next = htole16(1);
	g.desc[1].next = htole16(0);
	assert_int_equal(walk(), -ELOOP);
	/* Of nothing at all, which takes no room. */
	g.desc[0].len = 0;
	g.desc[1].len = 0;
	assert_int_equal(walk(), -ELOOP);
}

static void
test_loop_in_a_table(void **state)
{
	put_table(DATA, 0, DATA + 4096, 0, OUT);
	put_table(DATA, 1, DATA + 4096, 0, OUT);
	((struct vring_desc *)guest_at(&g, DATA))[1].next = 0;
	put_desc(&g, DATA, 32, VRING_DESC_F_INDIRECT);
	assert_int_equal(walk(), -ELOOP);
}

static void
test_indices(void **state)
{
	put_desc(&g, DATA, 16, OUT);
	g.desc[0].next = htole16(RING_SIZE);
	assert_int_equal(walk(), -ERANGE);
	g.desc[0].next = htole16(UINT16_MAX);
	assert_int_equal(walk(), -ERANGE);
	assert_int_equal(split_walk(&g.ring, &g.mem, RING_SIZE, &c), -ERANGE);

	/* In a table the bound is the table's. */
	put_table(DATA, 0, DATA + 4096, 16, OUT);
	g.nb = 0;
	put_desc(&g, DATA, 16, VRING_DESC_F_INDIRECT);
	assert_int_equal(walk(), -ERANGE);
}

static void
test_tables(void **state)
{
	static const uint32_t lens[] = {0, 1, 15, 17, 4095};
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(lens); i++) {
		g.nb = 0;
		put_desc(&g, DATA, lens[i], VRING_DESC_F_INDIRECT);
		assert_int_equal(walk(), -EPROTO);
	}
	/* Both a table and followed by something. */
	g.nb = 0;
	put_desc(&g, DATA, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT);
	assert_int_equal(walk(), -EPROTO);
	/* A table in a table. */
	put_table(DATA, 0, DATA, 16, VRING_DESC_F_INDIRECT);
	g.nb = 0;
	put_desc(&g, DATA, 16, VRING_DESC_F_INDIRECT);
	assert_int_equal(walk(), -EPROTO);
	/* More than anybody needs. */
	g.nb = 0;
	put_desc(&g, DATA, (CHAIN_TABLE_MAX + 1) * 16, VRING_DESC_F_INDIRECT);
	assert_int_equal(walk(), -E2BIG);
	/* A table without having asked for tables. */
	put_table(DATA, 0, DATA + 4096, 16, LAST_IN);
	g.nb = 0;
	put_desc(&g, DATA, 16, VRING_DESC_F_INDIRECT);
	assert_int_equal(walk(), 0);
	g.ring.indirect = false;
	assert_int_equal(walk(), -EPROTO);
}

static void
test_wrong_order(void **state)
{
	put_desc(&g, DATA, 16, IN);
	put_desc(&g, DATA + 64, 16, LAST_OUT);
	assert_int_equal(walk(), -EPROTO);
}

static void
test_too_many_pieces(void **state)
{
	unsigned i;

	for (i = 0; i < CHAIN_PIECES; i++)
		put_table(DATA, i, DATA + 0x8000 + i * 32, 16, OUT);
	put_table(DATA, i, DATA + 0x4000, 1, LAST_IN);
	put_desc(&g, DATA, (CHAIN_PIECES + 1) * 16, VRING_DESC_F_INDIRECT);
	assert_int_equal(walk(), -E2BIG);
	/* One less is what fits. */
	put_table(DATA, CHAIN_PIECES - 1, DATA + 0x4000, 1, LAST_IN);
	assert_int_equal(walk(), 0);
	assert_int_equal(c.nb_out + c.nb_in, CHAIN_PIECES);
}

/* The same bytes over and over: more than 32 bits can count. */
static void
test_too_many_bytes(void **state)
{
	g.mem.nb = 1;
	g.mem.regions[0].size = UINT64_MAX / 2; /* nobody looks at what is there */
	put_desc(&g, GPA, UINT32_MAX, OUT);
	put_desc(&g, GPA, 1, LAST_OUT);
	assert_int_equal(walk(), -E2BIG);
}

/* ---- The rings ---- */

static void
test_take(void **state)
{
	uint16_t head;

	assert_int_equal(split_take(&g.ring, &head), 0);
	make_available(&g, 3);
	make_available(&g, 5);
	assert_int_equal(split_take(&g.ring, &head), 1);
	assert_int_equal(head, 3);
	assert_int_equal(split_take(&g.ring, &head), 1);
	assert_int_equal(head, 5);
	assert_int_equal(split_take(&g.ring, &head), 0);
}

static void
test_take_nonsense(void **state)
{
	uint16_t head;

	make_available(&g, RING_SIZE);
	assert_int_equal(split_take(&g.ring, &head), -ERANGE);
	assert_int_equal(split_take(&g.ring, &head), 0);
	g.avail->idx = htole16(1 + RING_SIZE + 1);
	assert_int_equal(split_take(&g.ring, &head), -EPROTO);
	/* Backwards, too. */
	g.avail->idx = 0;
	assert_int_equal(split_take(&g.ring, &head), -EPROTO);
	/* A full ring is none. */
	g.avail->idx = htole16(1 + RING_SIZE);
	assert_int_equal(split_take(&g.ring, &head), 1);
}

static void
test_take_wraps(void **state)
{
	uint16_t head;

	g.ring.next_avail = UINT16_MAX;
	g.avail->idx = htole16(UINT16_MAX);
	make_available(&g, 7);
	make_available(&g, 8);
	assert_int_equal(le16toh(g.avail->idx), 1);
	assert_int_equal(split_take(&g.ring, &head), 1);
	assert_int_equal(head, 7);
	assert_int_equal(split_take(&g.ring, &head), 1);
	assert_int_equal(head, 8);
	assert_int_equal(split_take(&g.ring, &head), 0);
}

static void
test_give(void **state)
{
	split_give(&g.ring, 4, 513);
	assert_int_equal(le16toh(g.used->idx), 1);
	assert_int_equal(le32toh(g.used->ring[0].id), 4);
	assert_int_equal(le32toh(g.used->ring[0].len), 513);
}

static void
test_calls_by_flag(void **state)
{
	split_give(&g.ring, 0, 1);
	assert_true(split_wants_call(&g.ring));
	/* Nothing new. */
	assert_false(split_wants_call(&g.ring));
	g.avail->flags = htole16(VRING_AVAIL_F_NO_INTERRUPT);
	split_give(&g.ring, 0, 1);
	assert_false(split_wants_call(&g.ring));
}

static void
test_calls_by_index(void **state)
{
	g.ring.event_idx = true;
	g.avail->ring[RING_SIZE] = htole16(2); /* the third, please */
	split_give(&g.ring, 0, 1);
	/* Once, whatever the guest says: what it has seen before is not known. */
	assert_true(split_wants_call(&g.ring));
	split_give(&g.ring, 0, 1);
	assert_false(split_wants_call(&g.ring));
	split_give(&g.ring, 0, 1);
	assert_true(split_wants_call(&g.ring));
	split_give(&g.ring, 0, 1);
	assert_false(split_wants_call(&g.ring));
}

static void
test_kicks(void **state)
{
	uint16_t head;

	split_stop_kicks(&g.ring);
	assert_int_equal(le16toh(g.used->flags), VRING_USED_F_NO_NOTIFY);
	assert_false(split_want_kicks(&g.ring));
	assert_int_equal(g.used->flags, 0);
	/* What came in meanwhile would never be told about. */
	make_available(&g, 0);
	assert_true(split_want_kicks(&g.ring));

	assert_int_equal(split_take(&g.ring, &head), 1);
	g.ring.event_idx = true;
	assert_false(split_want_kicks(&g.ring));
	assert_int_equal(le16toh(*(__virtio16 *)&g.used->ring[RING_SIZE]), 1);
	make_available(&g, 0);
	assert_true(split_want_kicks(&g.ring));
}

static void
test_init(void **state)
{
	struct split_ring r;
	uint8_t *d = (uint8_t *)g.desc, *a = (uint8_t *)g.avail, *u = (uint8_t *)g.used;

	assert_int_equal(split_init(&r, d, a, u, 16, 0, 0), 0);
	assert_int_equal(split_init(&r, d, a, u, 0, 0, 0), -EINVAL);
	assert_int_equal(split_init(&r, d, a, u, 12, 0, 0), -EINVAL);
	assert_int_equal(split_init(&r, d, a, u, 65536, 0, 0), -EINVAL);
	assert_int_equal(split_init(&r, d + 8, a, u, 16, 0, 0), -EINVAL);
	assert_int_equal(split_init(&r, d, a + 1, u, 16, 0, 0), -EINVAL);
	assert_int_equal(split_init(&r, d, a, u + 2, 16, 0, 0), -EINVAL);
	assert_int_equal(split_init(&r, NULL, a, u, 16, 0, 0), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_out_then_in),
		TEST(test_neighbours_merge),
		TEST(test_piece_in_two_regions),
		TEST(test_indirect),
		TEST(test_indirect_behind_direct),
		TEST(test_whole_ring),
		TEST(test_addresses),
		TEST(test_region_at_the_end_of_the_world),
		TEST(test_loops),
		TEST(test_loop_in_a_table),
		TEST(test_indices),
		TEST(test_tables),
		TEST(test_wrong_order),
		TEST(test_too_many_pieces),
		TEST(test_too_many_bytes),
		TEST(test_take),
		TEST(test_take_nonsense),
		TEST(test_take_wraps),
		TEST(test_give),
		TEST(test_calls_by_flag),
		TEST(test_calls_by_index),
		TEST(test_kicks),
		TEST(test_init),
	};

	return cmocka_run_group_tests_name("apps_split_ring", tests, NULL, NULL);
}
