/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "copy_map.h"

#define KIB 1024u
#define MIB (1024u * 1024u)

/* A file of this size without a name, all hole. */
static int
make_file(uint64_t size)
{
	char path[] = "/tmp/copy_map_test.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void
put_data(int fd, uint64_t off, size_t len)
{
	char *buf = malloc(len);

	memset(buf, 'x', len);
	assert_int_equal(pwrite(fd, buf, len, (off_t)off), len);
	free(buf);
}

static void
expect_piece(struct copy_map *m, uint64_t off, uint64_t len, bool hole)
{
	struct copy_piece piece;

	assert_true(copy_map_next(m, 64 * KIB, 16 * MIB, &piece));
	assert_int_equal(piece.off, off);
	assert_int_equal(piece.len, len);
	assert_int_equal(piece.hole, hole);
}

static void
expect_end(struct copy_map *m)
{
	struct copy_piece piece;

	assert_false(copy_map_next(m, 64 * KIB, 16 * MIB, &piece));
}

static bool
has_holes(int fd)
{
	return lseek(fd, 0, SEEK_DATA) < 0;
}

static void
test_without_file_everything_is_data(void **state)
{
	struct copy_map m;

	copy_map_init(&m, -1, 150 * KIB, 4096);
	expect_piece(&m, 0, 64 * KIB, false);
	expect_piece(&m, 64 * KIB, 64 * KIB, false);
	expect_piece(&m, 128 * KIB, 22 * KIB, false);
	expect_end(&m);
}

static void
test_empty(void **state)
{
	struct copy_map m;
	int fd = make_file(0);

	copy_map_init(&m, fd, 0, 4096);
	expect_end(&m);
	close(fd);
}

static void
test_holes_and_data(void **state)
{
	struct copy_map m;
	int fd = make_file(10 * MIB);

	if (!has_holes(fd))
		skip();
	put_data(fd, 1 * MIB, 100 * KIB);
	put_data(fd, 5 * MIB, 64 * KIB);
	copy_map_init(&m, fd, 10 * MIB, 4096);
	expect_piece(&m, 0, 1 * MIB, true);
	expect_piece(&m, 1 * MIB, 64 * KIB, false);
	expect_piece(&m, 1 * MIB + 64 * KIB, 36 * KIB, false);
	expect_piece(&m, 1 * MIB + 100 * KIB, 4 * MIB - 100 * KIB, true);
	expect_piece(&m, 5 * MIB, 64 * KIB, false);
	expect_piece(&m, 5 * MIB + 64 * KIB, 5 * MIB - 64 * KIB, true);
	expect_end(&m);
	close(fd);
}

static void
test_long_hole_comes_in_parts(void **state)
{
	struct copy_map m;
	int fd = make_file(40 * MIB);

	if (!has_holes(fd))
		skip();
	copy_map_init(&m, fd, 40 * MIB, 4096);
	expect_piece(&m, 0, 16 * MIB, true);
	expect_piece(&m, 16 * MIB, 16 * MIB, true);
	expect_piece(&m, 32 * MIB, 8 * MIB, true);
	expect_end(&m);
	close(fd);
}

/* A destination with large blocks: a block that has any data in it is data, all of it. */
static void
test_block_partly_hole_is_data(void **state)
{
	struct copy_map m;
	int fd = make_file(1 * MIB);

	if (!has_holes(fd))
		skip();
	put_data(fd, 72 * KIB, 4 * KIB); /* in the middle of the third block of 32 KiB */
	put_data(fd, 160 * KIB, 8 * KIB); /* ends within the sixth */
	copy_map_init(&m, fd, 1 * MIB, 32 * KIB);
	expect_piece(&m, 0, 64 * KIB, true);
	expect_piece(&m, 64 * KIB, 32 * KIB, false);
	expect_piece(&m, 96 * KIB, 64 * KIB, true);
	expect_piece(&m, 160 * KIB, 32 * KIB, false);
	expect_piece(&m, 192 * KIB, 1 * MIB - 192 * KIB, true);
	expect_end(&m);
	close(fd);
}

static void
test_end_within_a_block(void **state)
{
	struct copy_map m;
	int fd = make_file(20 * KIB + 100);

	if (!has_holes(fd))
		skip();
	put_data(fd, 20 * KIB, 100);
	copy_map_init(&m, fd, 20 * KIB + 100, 8 * KIB);
	expect_piece(&m, 0, 16 * KIB, true);
	expect_piece(&m, 16 * KIB, 4 * KIB + 100, false);
	expect_end(&m);
	close(fd);
}

/* ---- Zeroes in memory ---- */

static char buf[64 * KIB];

static void
expect_run(uint32_t from, uint32_t len, uint32_t min_zero, uint32_t run, bool zero)
{
	bool is;

	assert_int_equal(copy_run(buf + from, len, 4096, min_zero, &is), run);
	assert_int_equal(is, zero);
}

static void
test_all_zero(void **state)
{
	memset(buf, 0, sizeof(buf));
	expect_run(0, sizeof(buf), 4096, sizeof(buf), true);
	/* Everything there is counts, however little it is. */
	expect_run(0, 512, 32 * KIB, 512, true);
}

static void
test_all_data(void **state)
{
	memset(buf, 1, sizeof(buf));
	expect_run(0, sizeof(buf), 4096, sizeof(buf), false);
}

static void
test_one_byte_makes_a_block_data(void **state)
{
	static const uint32_t at[] = {0, 1, 2048, 4095};
	unsigned i;

	for (i = 0; i < 4; i++) {
		memset(buf, 0, sizeof(buf));
		buf[8192 + at[i]] = 1;
		expect_run(0, sizeof(buf), 4096, 8192, true);
		expect_run(8192, sizeof(buf) - 8192, 4096, 4096, false);
		expect_run(12288, sizeof(buf) - 12288, 4096, sizeof(buf) - 12288, true);
	}
}

static void
test_few_zeroes_go_with_the_data(void **state)
{
	memset(buf, 1, sizeof(buf));
	memset(buf + 4096, 0, 8192); /* too few */
	memset(buf + 24 * KIB, 0, 16 * KIB); /* enough */
	expect_run(0, sizeof(buf), 16 * KIB, 24 * KIB, false);
	expect_run(24 * KIB, sizeof(buf) - 24 * KIB, 16 * KIB, 16 * KIB, true);
	/* Too few at the beginning, too. */
	expect_run(4096, sizeof(buf) - 4096, 16 * KIB, 20 * KIB, false);
}

static void
test_tail_shorter_than_a_block(void **state)
{
	memset(buf, 0, sizeof(buf));
	buf[8192 + 99] = 1;
	expect_run(0, 8192 + 100, 4096, 8192, true);
	expect_run(8192, 100, 4096, 100, false);
	expect_run(8192, 99, 4096, 99, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_file_everything_is_data),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_holes_and_data),
		cmocka_unit_test(test_long_hole_comes_in_parts),
		cmocka_unit_test(test_block_partly_hole_is_data),
		cmocka_unit_test(test_end_within_a_block),
		cmocka_unit_test(test_all_zero),
		cmocka_unit_test(test_all_data),
		cmocka_unit_test(test_one_byte_makes_a_block_data),
		cmocka_unit_test(test_few_zeroes_go_with_the_data),
		cmocka_unit_test(test_tail_shorter_than_a_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
