/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <linux/virtio_config.h>

#include "blk.h"
#include "guest_ring.h"

#define OUT VRING_DESC_F_NEXT
#define IN (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE)
#define LAST_IN VRING_DESC_F_WRITE
#define HDR (GPA + 0x3000)
#define STATUS (GPA + 0x3800)
#define DO_IT (-1)

static struct guest_ring g;
static struct chain c;
static struct blk_volume vol;
static struct blk_request r;

static int
set_up(void **state)
{
	guest_ring_init(&g);
	memset(&vol, 0, sizeof(vol));
	memset(&r, 0xa5, sizeof(r));
	vol.info.size = 1 << 20;
	vol.info.block_size = 512;
	vol.info.can_flush = true;
	vol.info.can_fua = true;
	vol.info.can_discard = true;
	vol.info.can_write_zeroes = true;
	vol.write_back = true;
	memcpy(vol.serial, "disk0", 5);
	return 0;
}

static int
tear_down(void **state)
{
	guest_ring_fini(&g);
	return 0;
}

static void
put_header(uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = {.type = htole32(type), .sector = htole64(sector)};

	memcpy(guest_at(&g, HDR), &h, sizeof(h));
	g.nb = 0;
	put_desc(&g, HDR, sizeof(h), OUT);
}

static int
parse(void)
{
	return blk_parse(&c, split_walk(&g.ring, &g.mem, 0, &c), &vol, &r);
}

static int
read_of(uint64_t sector, uint32_t len)
{
	put_header(VIRTIO_BLK_T_IN, sector);
	put_desc(&g, DATA, len, IN);
	put_desc(&g, STATUS, 1, LAST_IN);
	return parse();
}

static int
write_of(uint64_t sector, uint32_t len)
{
	put_header(VIRTIO_BLK_T_OUT, sector);
	put_desc(&g, DATA, len, OUT);
	put_desc(&g, STATUS, 1, LAST_IN);
	return parse();
}

static void
test_read(void **state)
{
	struct blk_part part;

	assert_int_equal(read_of(8, 4096), DO_IT);
	assert_int_equal(r.op, BLK_READ);
	assert_ptr_equal(r.status, guest_at(&g, STATUS));
	assert_int_equal(r.written, 4097);
	assert_int_equal(blk_cut(&r, 512, &part), 1);
	assert_int_equal(part.off, 4096);
	assert_int_equal(part.len, 4096);
	assert_int_equal(part.iovcnt, 1);
	assert_ptr_equal(part.iov[0].iov_base, guest_at(&g, DATA));
	assert_int_equal(blk_cut(&r, 512, &part), 0);
}

/* Header, data and status in as few descriptors as there can be. */
static void
test_merged(void **state)
{
	struct virtio_blk_outhdr h = {.type = htole32(VIRTIO_BLK_T_OUT), .sector = htole64(1)};
	struct blk_part part;

	memcpy(guest_at(&g, DATA), &h, sizeof(h));
	put_desc(&g, DATA, 16 + 512, OUT);
	put_desc(&g, DATA + 1024, 1, LAST_IN);
	assert_int_equal(parse(), DO_IT);
	assert_int_equal(blk_cut(&r, 512, &part), 1);
	assert_ptr_equal(part.iov[0].iov_base, guest_at(&g, DATA + 16));
	assert_int_equal(part.len, 512);
	assert_int_equal(part.off, 512);

	h.type = htole32(VIRTIO_BLK_T_IN);
	memcpy(guest_at(&g, DATA), &h, sizeof(h));
	g.nb = 0;
	put_desc(&g, DATA, 16, OUT);
	put_desc(&g, DATA + 1024, 513, LAST_IN);
	assert_int_equal(parse(), DO_IT);
	assert_ptr_equal(r.status, guest_at(&g, DATA + 1024 + 512));
	assert_int_equal(blk_cut(&r, 512, &part), 1);
	assert_int_equal(part.len, 512);
}

/* The header byte by byte. */
static void
test_split_header(void **state)
{
	struct virtio_blk_outhdr h = {.type = htole32(VIRTIO_BLK_T_OUT), .sector = htole64(3)};
	const uint8_t *from = (const uint8_t *)&h;
	struct blk_part part;
	unsigned i;

	for (i = 0; i < 8; i++) {
		memcpy(guest_at(&g, HDR + 16 * i), from + 2 * i, 2);
		put_desc(&g, HDR + 16 * i, 2, OUT);
	}
	put_desc(&g, DATA, 512, OUT);
	put_desc(&g, STATUS, 1, LAST_IN);
	assert_int_equal(parse(), DO_IT);
	assert_int_equal(blk_cut(&r, 512, &part), 1);
	assert_int_equal(part.off, 3 * 512);
	assert_ptr_equal(part.iov[0].iov_base, guest_at(&g, DATA));
}

static void
test_bounds(void **state)
{
	uint64_t sectors = vol.info.size / 512;

	assert_int_equal(read_of(sectors - 1, 512), DO_IT);
	assert_int_equal(read_of(sectors - 1, 1024), VIRTIO_BLK_S_IOERR);
	assert_int_equal(read_of(sectors, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(read_of(UINT64_MAX, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(read_of(1ull << 55, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(read_of(0, 511), VIRTIO_BLK_S_IOERR);
	assert_int_equal(read_of(0, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(write_of(sectors - 1, 512), DO_IT);
	assert_int_equal(write_of(sectors, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(write_of(0, 100), VIRTIO_BLK_S_IOERR);
	assert_int_equal(write_of(0, 0), VIRTIO_BLK_S_IOERR);
	vol.info.block_size = 4096;
	assert_int_equal(read_of(1, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(read_of(8, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(read_of(8, 4096), DO_IT);
}

/* A status has to have a place; everything else can be answered. */
static void
test_wrong_chains(void **state)
{
	/* Nothing to write to. */
	put_header(VIRTIO_BLK_T_IN, 0);
	g.desc[0].flags = 0;
	assert_int_equal(parse(), -EPROTO);
	/* A chain that could not be followed to its end. */
	put_header(VIRTIO_BLK_T_IN, 0);
	put_desc(&g, DATA, 512, IN);
	put_desc(&g, 0, 1, LAST_IN);
	assert_int_equal(parse(), -EPROTO);
	/* A header that is too short. */
	put_header(VIRTIO_BLK_T_IN, 0);
	g.desc[0].len = htole32(15);
	put_desc(&g, STATUS, 1, LAST_IN);
	assert_int_equal(parse(), VIRTIO_BLK_S_IOERR);
	/* None at all. */
	g.nb = 0;
	put_desc(&g, STATUS, 1, LAST_IN);
	assert_int_equal(parse(), VIRTIO_BLK_S_IOERR);
	/* Nowhere to read to, nothing to write. */
	put_header(VIRTIO_BLK_T_IN, 0);
	put_desc(&g, STATUS, 1, LAST_IN);
	assert_int_equal(parse(), VIRTIO_BLK_S_IOERR);
	put_header(VIRTIO_BLK_T_OUT, 0);
	put_desc(&g, STATUS, 1, LAST_IN);
	assert_int_equal(parse(), VIRTIO_BLK_S_IOERR);
}

static void
test_unknown_types(void **state)
{
	static const uint32_t types[] = {
		2, 3, 5, 7, 9, 10, 12, 14, VIRTIO_BLK_T_BARRIER | 1, UINT32_MAX};
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(types); i++) {
		put_header(types[i], 0);
		put_desc(&g, STATUS, 1, LAST_IN);
		assert_int_equal(parse(), VIRTIO_BLK_S_UNSUPP);
	}
}

static void
test_read_only(void **state)
{
	vol.info.read_only = true;
	assert_int_equal(read_of(0, 512), DO_IT);
	assert_int_equal(write_of(0, 512), VIRTIO_BLK_S_IOERR);
}

static int
flush(void)
{
	put_header(VIRTIO_BLK_T_FLUSH, 0);
	put_desc(&g, STATUS, 1, LAST_IN);
	return parse();
}

static void
test_caches(void **state)
{
	struct blk_part part;

	assert_int_equal(flush(), DO_IT);
	assert_int_equal(r.op, BLK_FLUSH);
	assert_int_equal(blk_cut(&r, 512, &part), 0);
	/* With a cache a write is a write. */
	assert_int_equal(write_of(0, 512), DO_IT);
	assert_int_equal(r.ranges[0].flags, 0);
	assert_false(r.flush_after);
	/* Without one it is durable, by a flag or by a flush. */
	vol.write_back = false;
	assert_int_equal(write_of(0, 512), DO_IT);
	assert_int_equal(r.ranges[0].flags, EBD_FUA);
	assert_false(r.flush_after);
	vol.info.can_fua = false;
	assert_int_equal(write_of(0, 512), DO_IT);
	assert_int_equal(r.ranges[0].flags, 0);
	assert_true(r.flush_after);
	assert_int_equal(read_of(0, 512), DO_IT);
	assert_false(r.flush_after);
	/* A volume that keeps nothing back. */
	vol.info.can_flush = false;
	assert_int_equal(write_of(0, 512), DO_IT);
	assert_false(r.flush_after);
	assert_int_equal(flush(), VIRTIO_BLK_S_OK);
}

static void
test_get_id(void **state)
{
	static const uint8_t padded[VIRTIO_BLK_ID_BYTES] = "disk0";

	memset(guest_at(&g, DATA), 0xff, 64);
	put_header(VIRTIO_BLK_T_GET_ID, 0);
	put_desc(&g, DATA, 20, IN);
	put_desc(&g, STATUS, 1, LAST_IN);
	assert_int_equal(parse(), VIRTIO_BLK_S_OK);
	assert_memory_equal(guest_at(&g, DATA), padded, sizeof(padded));
	/* No more than there is room for. */
	memset(guest_at(&g, DATA), 0xff, 64);
	put_header(VIRTIO_BLK_T_GET_ID, 0);
	put_desc(&g, DATA, 3, IN);
	put_desc(&g, STATUS, 1, LAST_IN);
	assert_int_equal(parse(), VIRTIO_BLK_S_OK);
	assert_memory_equal(guest_at(&g, DATA), "dis\xff\xff", 5);
}

static int
ranges_of(uint32_t type, unsigned n, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes *w = guest_at(&g, DATA);
	unsigned i;

	for (i = 0; i < n; i++) {
		w[i].sector = htole64(sector + i * sectors);
		w[i].num_sectors = htole32(sectors);
		w[i].flags = htole32(flags);
	}
	put_header(type, 0);
	put_desc(&g, DATA, n * (uint32_t)sizeof(*w), OUT);
	put_desc(&g, STATUS, 1, LAST_IN);
	return parse();
}

static void
test_ranges(void **state)
{
	struct blk_part part;

	assert_int_equal(ranges_of(VIRTIO_BLK_T_DISCARD, 2, 8, 16, 0), DO_IT);
	assert_int_equal(r.op, BLK_DISCARD);
	assert_int_equal(blk_cut(&r, 512, &part), 1);
	assert_int_equal(part.off, 8 * 512);
	assert_int_equal(part.len, 16 * 512);
	assert_int_equal(blk_cut(&r, 512, &part), 1);
	assert_int_equal(part.off, 24 * 512);
	assert_int_equal(blk_cut(&r, 512, &part), 0);

	assert_int_equal(ranges_of(VIRTIO_BLK_T_WRITE_ZEROES, 1, 0, 8, 1), DO_IT);
	assert_int_equal(r.ranges[0].flags, 0);
	assert_int_equal(ranges_of(VIRTIO_BLK_T_WRITE_ZEROES, 1, 0, 8, 0), DO_IT);
	assert_int_equal(r.ranges[0].flags, EBD_NOHOLE);
	vol.write_back = false;
	assert_int_equal(ranges_of(VIRTIO_BLK_T_WRITE_ZEROES, BLK_RANGES, 0, 8, 1), DO_IT);
	assert_int_equal(r.ranges[BLK_RANGES - 1].flags, EBD_FUA);
}

static void
test_bad_ranges(void **state)
{
	assert_int_equal(
		ranges_of(VIRTIO_BLK_T_DISCARD, BLK_RANGES + 1, 0, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ranges_of(VIRTIO_BLK_T_DISCARD, 0, 0, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ranges_of(VIRTIO_BLK_T_DISCARD, 1, 0, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ranges_of(VIRTIO_BLK_T_DISCARD, 1, 2047, 2, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(
		ranges_of(VIRTIO_BLK_T_DISCARD, 1, UINT64_MAX, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
	/* Flags: a discard has none, zeroes have one. */
	assert_int_equal(ranges_of(VIRTIO_BLK_T_DISCARD, 1, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ranges_of(VIRTIO_BLK_T_WRITE_ZEROES, 1, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	/* Half a range. */
	(void)ranges_of(VIRTIO_BLK_T_DISCARD, 1, 0, 8, 0);
	g.desc[1].len = htole32(24);
	assert_int_equal(parse(), VIRTIO_BLK_S_IOERR);
	vol.info.read_only = true;
	assert_int_equal(ranges_of(VIRTIO_BLK_T_DISCARD, 1, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ranges_of(VIRTIO_BLK_T_WRITE_ZEROES, 1, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	vol.info.can_discard = false;
	vol.info.can_write_zeroes = false;
	assert_int_equal(ranges_of(VIRTIO_BLK_T_DISCARD, 1, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ranges_of(VIRTIO_BLK_T_WRITE_ZEROES, 1, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
}

/* Pieces of odd sizes that together are whole blocks: every part is, too, and nothing is lost. */
static void
test_cut_odd_pieces(void **state)
{
	static const uint32_t sizes[] = {100, 412, 1, 1000, 23};
	struct iovec pieces[100];
	struct blk_part part;
	uint64_t total = 0, off = 0;
	unsigned i;
	int n;

	for (i = 0; i < 100; i++) {
		pieces[i] = (struct iovec){(void *)(total + 1), sizes[i % 5]};
		total += sizes[i % 5];
	}
	pieces[99].iov_len += 512 - total % 512;
	total += 512 - total % 512;
	memset(&r, 0, sizeof(r));
	r.op = BLK_WRITE;
	r.iov = pieces;
	r.nb_iov = 100;
	r.nb_ranges = 1;
	r.ranges[0] = (struct blk_range){.off = 0, .len = total};
	while (blk_cut(&r, 512, &part) == 1) {
		assert_int_equal(part.off, off);
		assert_int_equal(part.len % 512, 0);
		assert_in_range(part.iovcnt, 1, EBD_IOV_MAX);
		for (n = 0; n < part.iovcnt; n++) {
			/* The address says which byte of the request it is. */
			assert_int_equal((uintptr_t)part.iov[n].iov_base, off + 1);
			assert_true(part.iov[n].iov_len > 0);
			off += part.iov[n].iov_len;
		}
	}
	assert_int_equal(off, total);
}

static void
test_cut_dust(void **state)
{
	struct blk_part part;
	unsigned i;

	put_header(VIRTIO_BLK_T_OUT, 0);
	g.nb = 0;
	memset(&r, 0, sizeof(r));
	for (i = 0; i < CHAIN_PIECES; i++)
		c.iov[i] = (struct iovec){guest_at(&g, DATA + 2 * i), 1};
	r.op = BLK_WRITE;
	r.iov = c.iov;
	r.nb_iov = CHAIN_PIECES;
	r.ranges[0].len = 512;
	assert_int_equal(blk_cut(&r, 512, &part), -EINVAL);
}

static void
test_cut_large(void **state)
{
	struct iovec piece = {(void *)1, 3 * BLK_PART_MAX + 4096};
	struct blk_part part;
	uint64_t off = 0;

	memset(&r, 0, sizeof(r));
	r.op = BLK_READ;
	r.iov = &piece;
	r.nb_iov = 1;
	r.ranges[0].len = piece.iov_len;
	while (blk_cut(&r, 4096, &part) == 1) {
		assert_int_equal(part.off, off);
		assert_int_equal((uintptr_t)part.iov[0].iov_base, off + 1);
		assert_true(part.len <= BLK_PART_MAX);
		off += part.len;
	}
	assert_int_equal(off, piece.iov_len);
}

static void
test_what_is_offered(void **state)
{
	struct virtio_blk_config config;
	uint64_t f = blk_features(&vol.info);

	assert_true(f & 1ull << VIRTIO_F_VERSION_1);
	assert_true(f & 1ull << VIRTIO_BLK_F_FLUSH);
	assert_true(f & 1ull << VIRTIO_BLK_F_DISCARD);
	assert_false(f & 1ull << VIRTIO_BLK_F_RO);
	vol.info.phys_block = 4096;
	vol.info.max_transfer = 131072;
	vol.info.discard_gran = 4096;
	blk_config(&config, &vol.info, 4, true);
	assert_int_equal(le64toh(config.capacity), 2048);
	assert_int_equal(le32toh(config.blk_size), 512);
	assert_int_equal(config.physical_block_exp, 3);
	assert_int_equal(le16toh(config.num_queues), 4);
	assert_int_equal(config.wce, 1);
	assert_int_equal(le32toh(config.discard_sector_alignment), 8);
	vol.info.read_only = true;
	vol.info.can_flush = false;
	f = blk_features(&vol.info);
	assert_true(f & 1ull << VIRTIO_BLK_F_RO);
	/* Guests that were here before may come back. */
	assert_true(f & 1ull << VIRTIO_BLK_F_FLUSH);
	assert_true(f & 1ull << VIRTIO_BLK_F_DISCARD);
	vol.info.read_only = false;
	vol.info.can_discard = false;
	f = blk_features(&vol.info);
	assert_false(f & 1ull << VIRTIO_BLK_F_FLUSH);
	assert_false(f & 1ull << VIRTIO_BLK_F_DISCARD);
}

static void
test_status(void **state)
{
	assert_int_equal(blk_status(0), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_status(-EOPNOTSUPP), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(blk_status(-ETIMEDOUT), VIRTIO_BLK_S_IOERR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_read),
		TEST(test_merged),
		TEST(test_split_header),
		TEST(test_bounds),
		TEST(test_wrong_chains),
		TEST(test_unknown_types),
		TEST(test_read_only),
		TEST(test_caches),
		TEST(test_get_id),
		TEST(test_ranges),
		TEST(test_bad_ranges),
		TEST(test_cut_odd_pieces),
		TEST(test_cut_dust),
		TEST(test_cut_large),
		TEST(test_what_is_offered),
		TEST(test_status),
	};

	return cmocka_run_group_tests_name("apps_blk", tests, NULL, NULL);
}
