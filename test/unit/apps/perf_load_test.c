/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What `ebd perf` asks for next, and the content of blocks. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mpn_err.h"
#include "perf_load.h"

#define BS 4096u

/* ---- Patterns ---- */

static char block[BS];
static char why[128];

static enum perf_content
check(uint64_t off, uint64_t run, uint32_t gen)
{
	why[0] = '\0';
	return perf_pattern_check(block, BS, off, run, gen, why, sizeof(why));
}

static void
test_pattern_is_found_again(void **state)
{
	perf_pattern_fill(block, BS, 8192, 77, 5);
	assert_int_equal(check(8192, 77, 5), PERF_GOOD);
	/* Nothing known: any complete pattern will do, of any run. */
	assert_int_equal(check(8192, 1, 0), PERF_GOOD);
}

static void
test_any_flipped_bit_is_bad(void **state)
{
	unsigned byte;

	for (byte = 0; byte < BS; byte++) {
		perf_pattern_fill(block, BS, 0, 1, 1);
		block[byte] ^= (char)(1 << (byte % 8));
		assert_int_equal(check(0, 1, 1), PERF_BAD);
		assert_true(strlen(why) > 0);
	}
}

static void
test_wrong_place_run_generation(void **state)
{
	perf_pattern_fill(block, BS, 4096, 1, 9);
	assert_int_equal(check(0, 1, 9), PERF_BAD);
	assert_string_equal(why, "byte 0: has what belongs to byte 4096");
	assert_int_equal(check(0, 1, 0), PERF_BAD);
	assert_int_equal(check(4096, 2, 9), PERF_BAD);
	assert_string_equal(why, "byte 4096: written by another run");
	assert_int_equal(check(4096, 1, 10), PERF_BAD);
	assert_string_equal(why, "byte 4096: generation 9, expected 10");
}

static void
test_torn_block_is_bad(void **state)
{
	char old[BS];

	perf_pattern_fill(old, BS, 0, 1, 1);
	perf_pattern_fill(block, BS, 0, 1, 2);
	memcpy(block + 2048, old + 2048, 2048);
	assert_int_equal(check(0, 1, 2), PERF_BAD);
	assert_string_equal(why, "byte 2048: generation 1, expected 2");
	assert_int_equal(check(0, 1, 0), PERF_BAD);
}

static void
test_blank_only_where_nothing_is_known(void **state)
{
	memset(block, 0, sizeof(block));
	assert_int_equal(check(0, 1, 0), PERF_BLANK);
	assert_int_equal(check(0, 1, 1), PERF_BAD);
	assert_string_equal(why, "byte 0: no pattern");
}

/* ---- Loads ---- */

static void
test_sequential_goes_round(void **state)
{
	struct perf_load l;
	struct perf_op op;
	unsigned i;

	perf_load_init(&l, PERF_RW_READ, 0, 10, 1, NULL);
	for (i = 0; i < 25; i++) {
		assert_true(perf_load_next(&l, &op));
		assert_int_equal(op.block, i % 10);
		assert_false(op.write);
	}
}

static void
test_random_is_even_and_repeats_by_seed(void **state)
{
	unsigned hits[16] = {0}, i;
	struct perf_load a, b;
	struct perf_op x, y;

	perf_load_init(&a, PERF_RW_RANDREAD, 0, 16, 42, NULL);
	perf_load_init(&b, PERF_RW_RANDREAD, 0, 16, 42, NULL);
	for (i = 0; i < 16000; i++) {
		assert_true(perf_load_next(&a, &x));
		assert_true(perf_load_next(&b, &y));
		assert_int_equal(x.block, y.block);
		assert_true(x.block < 16);
		hits[x.block]++;
	}
	for (i = 0; i < 16; i++)
		assert_in_range(hits[i], 850, 1150);
}

static void
test_mix(void **state)
{
	static const unsigned mixes[] = {0, 30, 100};
	unsigned i, m;

	for (m = 0; m < 3; m++) {
		struct perf_load l;
		struct perf_op op;
		unsigned reads = 0;

		perf_load_init(&l, PERF_RW_RANDRW, mixes[m], 1000, 7, NULL);
		for (i = 0; i < 10000; i++) {
			assert_true(perf_load_next(&l, &op));
			reads += !op.write;
		}
		if (mixes[m] == 30)
			assert_in_range(reads, 2800, 3200);
		else
			assert_int_equal(reads, mixes[m] * 100);
	}
}

static void
test_one_request_a_block(void **state)
{
	struct perf_track track;
	struct perf_op ops[8], more;
	struct perf_load l;
	unsigned i, j;

	assert_int_equal(perf_track_init(&track, 8, 1), 0);
	perf_load_init(&l, PERF_RW_RANDRW, 50, 8, 3, &track);
	for (i = 0; i < 8; i++) {
		assert_true(perf_load_next(&l, &ops[i]));
		for (j = 0; j < i; j++)
			assert_int_not_equal(ops[j].block, ops[i].block);
	}
	assert_false(perf_load_next(&l, &more));
	perf_load_done(&l, &ops[3], true);
	assert_true(perf_load_next(&l, &more));
	assert_int_equal(more.block, ops[3].block);
	perf_track_fini(&track);
}

static void
test_read_back_reads_what_was_written(void **state)
{
	struct perf_track track;
	struct perf_load l;
	struct perf_op op;

	assert_int_equal(perf_track_init(&track, 100, 1), 0);
	perf_load_init(&l, PERF_RW_WRITE, 0, 100, 3, &track);
	while (l.next < 50) {
		assert_true(perf_load_next(&l, &op));
		perf_load_done(&l, &op, op.block % 5 != 0); /* each fifth write fails */
	}
	perf_load_read_back(&l);
	while (perf_load_next(&l, &op)) {
		assert_false(op.write);
		assert_int_not_equal(op.gen, 0);
		assert_int_not_equal(op.block % 5, 0);
		assert_true(op.block < 50);
		perf_load_done(&l, &op, true);
		track.gens[op.block] = 0;
	}
	for (op.block = 0; op.block < 100; op.block++)
		assert_int_equal(track.gens[op.block], 0);
	perf_track_fini(&track);
}

static void
test_zipf(void **state)
{
	static const uint64_t sizes[] = {1, 2, 3, 1000, 1ull << 30};
	struct perf_load l;
	struct perf_op op;
	unsigned hits[1000] = {0}, i, k, top = 0, touched = 0;

	for (k = 0; k < MPN_ARRAY_SIZE(sizes); k++) {
		perf_load_init(&l, PERF_RW_RANDREAD, 0, sizes[k], 3, NULL);
		perf_load_set_zipf(&l, 0.9);
		for (i = 0; i < 100000; i++) {
			assert_true(perf_load_next(&l, &op));
			assert_true(op.block < sizes[k]);
			if (sizes[k] == 1000)
				hits[op.block]++;
		}
	}
	for (i = 0; i < 1000; i++) {
		top = MPN_MAX(top, hits[i]);
		touched += hits[i] > 0;
	}
	/* 1 / (1 + 2^-0.9 + ... + 1000^-0.9) is 0.0925. */
	assert_in_range(top, 8900, 9600);
	assert_true(touched > 990);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pattern_is_found_again),
		cmocka_unit_test(test_any_flipped_bit_is_bad),
		cmocka_unit_test(test_wrong_place_run_generation),
		cmocka_unit_test(test_torn_block_is_bad),
		cmocka_unit_test(test_blank_only_where_nothing_is_known),
		cmocka_unit_test(test_sequential_goes_round),
		cmocka_unit_test(test_random_is_even_and_repeats_by_seed),
		cmocka_unit_test(test_mix),
		cmocka_unit_test(test_one_request_a_block),
		cmocka_unit_test(test_read_back_reads_what_was_written),
		cmocka_unit_test(test_zipf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
