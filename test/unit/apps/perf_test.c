/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_ebd.h"
#include "perf.h"

#define SIZE (1024u * 1024u)
#define BS 4096u
#define BLOCKS (SIZE / BS)

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

/* ---- Runs ---- */

struct bench {
	char *mem;
	struct ebd_queue *q;
	struct perf_conf conf;
	struct perf_run *run;
	struct tool tool;
};

static void
bench_init(struct bench *b, enum perf_rw rw, bool verify)
{
	fake_reset();
	memset(b, 0, sizeof(*b));
	b->mem = calloc(1, SIZE);
	b->q = fake_queue(b->mem, SIZE, 512, 5);
	b->conf.rw = rw;
	b->conf.mix = 50;
	b->conf.bs = BS;
	b->conf.depth = 16;
	b->conf.size = SIZE;
	b->conf.seed = 11;
	b->conf.verify = verify;
	b->conf.ops = 5000;
	b->run = perf_run_create(&b->tool, &b->conf, b->q);
	assert_non_null(b->run);
}

static void
bench_fini(struct bench *b)
{
	ebd_queue_close(b->q);
	perf_run_destroy(b->run);
	free(b->mem);
}

static void
test_number_of_requests_is_exact(void **state)
{
	const struct perf_result *r;
	struct bench b;

	bench_init(&b, PERF_RW_RANDREAD, false);
	r = perf_run_result(b.run);
	assert_int_equal(perf_run_measure(b.run), 0);
	assert_int_equal(r->tally.ops[PERF_READ], 5000);
	assert_int_equal(r->tally.ops[PERF_WRITE], 0);
	assert_int_equal(r->tally.lat[PERF_READ].count, 5000);
	assert_int_equal(fake_counts(b.q)->reads, 5000);
	assert_int_equal(fake_counts(b.q)->in_flight_max, 16);
	assert_int_equal(fake_counts(b.q)->broken_rules, 0);
	bench_fini(&b);
}

static void
test_time_ends_the_run(void **state)
{
	const struct perf_result *r;
	struct bench b;

	bench_init(&b, PERF_RW_RANDREAD, false);
	b.conf.ops = 0;
	b.conf.time_ns = 1000000; /* a poll takes 1000 */
	b.conf.warmup_ns = 500000;
	r = perf_run_result(b.run);
	assert_int_equal(perf_run_measure(b.run), 0);
	assert_int_equal(r->tally.end_ns - r->tally.start_ns, 1000000);
	/* Three complete in a poll; those started before do not count. */
	assert_in_range(r->tally.ops[PERF_READ], 3000 - 16, 3000);
	assert_in_range(fake_counts(b.q)->reads, 4500, 4500 + 32);
	bench_fini(&b);
}

static void
test_full_queue_loses_no_request(void **state)
{
	struct bench b;

	bench_init(&b, PERF_RW_WRITE, true);
	fake_faults(b.q)->full_every = 5;
	b.conf.ops = BLOCKS;
	assert_int_equal(perf_run_measure(b.run), 0);
	assert_int_equal(perf_run_result(b.run)->tally.ops[PERF_WRITE], BLOCKS);
	/* Read back: all of them, once. */
	assert_int_equal(perf_run_result(b.run)->checked, BLOCKS);
	assert_int_equal(perf_run_result(b.run)->bad, 0);
	bench_fini(&b);
}

static bool
is_blank(const char *mem, size_t len)
{
	return mem[0] == 0 && memcmp(mem, mem + 1, len - 1) == 0;
}

static void
test_range_is_kept(void **state)
{
	struct perf_run *run;
	struct bench b;

	bench_init(&b, PERF_RW_WRITE, true);
	b.conf.off = 4 * BS;
	b.conf.size = 8 * BS;
	b.conf.depth = 64; /* more than there are blocks */
	b.conf.ops = 1000;
	run = perf_run_create(&b.tool, &b.conf, b.q);
	assert_int_equal(perf_run_measure(run), 0);
	assert_int_equal(perf_run_result(run)->tally.ops[PERF_WRITE], 1000);
	assert_int_equal(perf_run_result(run)->checked, 8);
	assert_int_equal(fake_counts(b.q)->in_flight_max, 8);
	assert_true(is_blank(b.mem, 4 * BS));
	assert_true(is_blank(b.mem + 12 * BS, SIZE - 12 * BS));
	assert_false(is_blank(b.mem + 11 * BS, BS));
	perf_run_destroy(run);
	bench_fini(&b);
}

static void
test_verify_of_a_mixed_load(void **state)
{
	const struct perf_result *r;
	struct bench b;

	bench_init(&b, PERF_RW_RANDRW, true);
	r = perf_run_result(b.run);
	assert_int_equal(perf_run_measure(b.run), 0);
	assert_int_equal(r->bad, 0);
	assert_int_equal(r->errors, 0);
	assert_true(r->blank > 0); /* read before they were written */
	assert_true(r->checked > 2000);
	assert_int_equal(fake_counts(b.q)->broken_rules, 0);
	bench_fini(&b);
}

static void
test_lost_write_is_found(void **state)
{
	struct bench b;
	unsigned nth;

	for (nth = 1; nth <= BLOCKS; nth += 25) {
		bench_init(&b, PERF_RW_WRITE, true);
		b.conf.ops = BLOCKS;
		fake_faults(b.q)->lose_write = nth;
		assert_int_equal(perf_run_measure(b.run), 0);
		assert_int_equal(perf_run_result(b.run)->bad, 1);
		assert_non_null(strstr(perf_run_result(b.run)->first_bad, "no pattern"));
		bench_fini(&b);
	}
}

/* A block that an earlier run wrote with the same generation is not taken for this run's. */
static void
test_lost_rewrite_is_found(void **state)
{
	struct perf_run *second;
	struct ebd_queue *q;
	struct bench b;

	bench_init(&b, PERF_RW_WRITE, true);
	b.conf.ops = BLOCKS;
	assert_int_equal(perf_run_measure(b.run), 0);
	q = fake_queue(b.mem, SIZE, 512, 9);
	fake_faults(q)->lose_write = 100;
	second = perf_run_create(&b.tool, &b.conf, q);
	assert_int_equal(perf_run_measure(second), 0);
	assert_int_equal(perf_run_result(second)->bad, 1);
	assert_non_null(strstr(perf_run_result(second)->first_bad, "another run"));
	ebd_queue_close(q);
	perf_run_destroy(second);
	bench_fini(&b);
}

static void
test_misplaced_read_is_found(void **state)
{
	struct bench b;

	bench_init(&b, PERF_RW_WRITE, true);
	b.conf.ops = BLOCKS;
	fake_faults(b.q)->misplace_read = 50;
	assert_int_equal(perf_run_measure(b.run), 0);
	assert_int_equal(perf_run_result(b.run)->bad, 1);
	assert_non_null(strstr(perf_run_result(b.run)->first_bad, "has what belongs to"));
	bench_fini(&b);
}

static void
test_error_is_counted_and_the_run_goes_on(void **state)
{
	const struct perf_result *r;
	struct bench b;

	bench_init(&b, PERF_RW_RANDWRITE, true);
	r = perf_run_result(b.run);
	fake_faults(b.q)->fail_nth = 100;
	fake_faults(b.q)->status = -EIO;
	assert_int_equal(perf_run_measure(b.run), 0);
	assert_int_equal(r->errors, 1);
	assert_int_equal(r->first_error, -EIO);
	assert_int_equal(r->first_error_off % BS, 0);
	assert_int_equal(r->tally.ops[PERF_WRITE], 4999);
	assert_int_equal(r->bad, 0);
	bench_fini(&b);
}

static void
test_timeout_ends_the_run(void **state)
{
	struct bench b;

	bench_init(&b, PERF_RW_RANDREAD, false);
	fake_faults(b.q)->fail_nth = 100;
	fake_faults(b.q)->status = -ETIMEDOUT;
	assert_int_equal(perf_run_measure(b.run), -ETIMEDOUT);
	assert_true(perf_run_result(b.run)->tally.ops[PERF_READ] < 200);
	bench_fini(&b);
}

static void
test_dead_session_ends_the_run(void **state)
{
	struct bench b;

	bench_init(&b, PERF_RW_RANDREAD, false);
	fake_faults(b.q)->dead_after = 100;
	assert_int_equal(perf_run_measure(b.run), -ENODEV);
	bench_fini(&b);
}

static void
test_signal_keeps_the_result(void **state)
{
	const struct perf_result *r;
	struct bench b;

	bench_init(&b, PERF_RW_RANDREAD, false);
	r = perf_run_result(b.run);
	fake_faults(b.q)->interrupt_after = 1000;
	assert_int_equal(perf_run_measure(b.run), 0);
	assert_true(r->interrupted);
	assert_in_range(r->tally.ops[PERF_READ], 999, 1003);
	assert_true(r->tally.end_ns > r->tally.start_ns);
	bench_fini(&b);
}

/* ---- The ceiling ---- */

static void
test_spread(void **state)
{
	const double odd[] = {3, 1, 2}, even[] = {4, 1, 2, 3};
	struct perf_spread s = perf_spread_of(odd, 3);

	assert_true(s.median == 2 && s.min == 1 && s.max == 3);
	s = perf_spread_of(even, 4);
	assert_true(s.median == 2.5 && s.min == 1 && s.max == 4);
	s = perf_spread_of(odd, 0);
	assert_true(s.median == 0 && s.min == 0 && s.max == 0);
}

static void
test_load_and_ceiling_in_turns(void **state)
{
	struct perf_ceiling *c = calloc(1, sizeof(*c));
	struct bench b;
	unsigned i;

	bench_init(&b, PERF_RW_RANDREAD, false);
	b.conf.ops = 0;
	b.conf.time_ns = 1000000;
	c->tool = &b.tool;
	assert_int_equal(perf_ceiling_measure(c, b.run, &b.conf, "x", 7), 0);
	assert_int_equal(c->nb_pairs, 7);
	/* The fake ceiling: two requests a microsecond, of half a microsecond each. */
	assert_int_equal(c->bare.ops[PERF_READ], 7 * 2000);
	assert_int_equal(c->bare.end_ns, 7 * b.conf.time_ns);
	assert_true(c->real.ops[PERF_READ] > 0);
	for (i = 0; i < 7; i++) {
		assert_true(c->bare_iops[i] == 2e6);
		assert_true(c->iops_ratio[i] == c->real_iops[i] / 2e6);
		assert_true(c->p50_ratio[i] > 1);
	}
	free(c);
	bench_fini(&b);
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
		cmocka_unit_test(test_number_of_requests_is_exact),
		cmocka_unit_test(test_time_ends_the_run),
		cmocka_unit_test(test_full_queue_loses_no_request),
		cmocka_unit_test(test_range_is_kept),
		cmocka_unit_test(test_verify_of_a_mixed_load),
		cmocka_unit_test(test_lost_write_is_found),
		cmocka_unit_test(test_lost_rewrite_is_found),
		cmocka_unit_test(test_misplaced_read_is_found),
		cmocka_unit_test(test_error_is_counted_and_the_run_goes_on),
		cmocka_unit_test(test_timeout_ends_the_run),
		cmocka_unit_test(test_dead_session_ends_the_run),
		cmocka_unit_test(test_signal_keeps_the_result),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_load_and_ceiling_in_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
