/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "test_util.h"

#include "mpn_err.h"
#include "mpn_hist.h"

static struct mpn_hist h, other;

static void
empty_has_no_percentile(void **state)
{
	mpn_hist_reset(&h);
	assert_int_equal(h.count, 0);
	assert_true(h.min == UINT64_MAX);
	assert_int_equal(mpn_hist_percentile(&h, 0.5), 0);
	assert_int_equal(mpn_hist_percentile(&h, 1.0), 0);
}

static void
buckets_cover_every_value(void **state)
{
	uint32_t last = 0;
	unsigned bit;

	/* Around each power of two the index grows by no more than one and never falls. */
	assert_int_equal(mpn_hist_index(0), 0);
	assert_int_equal(mpn_hist_index(UINT64_MAX), MPN_HIST_BUCKETS - 1);
	for (bit = 0; bit < 64; bit++) {
		uint64_t v = 1ull << bit;

		assert_true(mpn_hist_index(v) > last || bit == 0);
		assert_true(mpn_hist_index(v) - mpn_hist_index(v - 1) == 1);
		assert_true(mpn_hist_index(v + (v >> 1)) < MPN_HIST_BUCKETS);
		last = mpn_hist_index(v);
	}
}

static void
percentile_is_at_most_3_percent_above(void **state)
{
	uint64_t v = 1;

	while (v < 1ull << 62) {
		uint64_t p;

		mpn_hist_reset(&h);
		mpn_hist_add(&h, v);
		mpn_hist_add(&h, UINT64_MAX); /* so that the clamp to max does not hide the bound */
		p = mpn_hist_percentile(&h, 0.5);
		assert_true(p >= v);
		assert_true((double)p <= (double)v * 1.032);
		assert_true(mpn_hist_index(p) == mpn_hist_index(v));
		assert_true(mpn_hist_index(p + 1) == mpn_hist_index(v) + 1);
		v += v / 7 + 1;
	}
}

static void
percentiles_are_ranks(void **state)
{
	uint64_t v;

	mpn_hist_reset(&h);
	for (v = 30; v >= 1; v--)
		mpn_hist_add(&h, v); /* below 32 buckets are exact */
	assert_int_equal(mpn_hist_percentile(&h, 0.5), 15);
	assert_int_equal(mpn_hist_percentile(&h, 0.1), 3);
	assert_int_equal(mpn_hist_percentile(&h, 0.11), 4);
	assert_int_equal(mpn_hist_percentile(&h, 0.0001), 1);
	assert_int_equal(mpn_hist_percentile(&h, 0.999), 30);
	assert_int_equal(mpn_hist_percentile(&h, 1.0), 30);
	assert_int_equal(h.count, 30);
	assert_int_equal(h.sum, 465);
	assert_int_equal(h.min, 1);
	assert_int_equal(h.max, 30);
}

static void
percentile_never_exceeds_max(void **state)
{
	mpn_hist_reset(&h);
	mpn_hist_add(&h, 1000001);
	assert_int_equal(mpn_hist_percentile(&h, 0.99), 1000001);
	mpn_hist_add(&h, UINT64_MAX);
	assert_true(mpn_hist_percentile(&h, 1.0) == UINT64_MAX);
}

static void
merge_is_the_union(void **state)
{
	struct mpn_hist all;
	uint64_t v;

	mpn_hist_reset(&h);
	mpn_hist_reset(&other);
	mpn_hist_reset(&all);
	for (v = 1; v < 1000000; v = v * 3 / 2 + 1) {
		mpn_hist_add(v % 2 == 0 ? &h : &other, v);
		mpn_hist_add(&all, v);
	}
	mpn_hist_merge(&h, &other);
	assert_memory_equal(&h, &all, sizeof(all));

	mpn_hist_reset(&other);
	mpn_hist_merge(&h, &other);
	assert_memory_equal(&h, &all, sizeof(all));
	mpn_hist_merge(&other, &h);
	assert_memory_equal(&other, &all, sizeof(all));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_has_no_percentile),
		cmocka_unit_test(buckets_cover_every_value),
		cmocka_unit_test(percentile_is_at_most_3_percent_above),
		cmocka_unit_test(percentiles_are_ranks),
		cmocka_unit_test(percentile_never_exceeds_max),
		cmocka_unit_test(merge_is_the_union),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
