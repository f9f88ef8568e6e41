/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What a run counts, and the numbers and names that its reports have of that. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf_report.h"

const char *const perf_rw_names[] = {
#define X(id, name) name,
	PERF_RW_LIST(X)
#undef X
		NULL};

const char *const perf_placement_names[] = {
#define X(id, name) name,
	PERF_PLACE_LIST(X)
#undef X
		NULL};

const char *const perf_dir_names[PERF_DIRS] = {"read", "write"};

const struct perf_part perf_parts[PERF_NB_PARTS] = {
	{0.50, "p50", "p50"},
	{0.90, "p90", "p90"},
	{0.99, "p99", "p99"},
	{0.999, "p99_9", "p99.9"},
	{0.9999, "p99_99", "p99.99"},
};

/* ---- Counting ---- */

void
perf_tally_reset(struct perf_tally *t, uint64_t now_ns)
{
	unsigned dir;

	t->start_ns = now_ns;
	for (dir = 0; dir < PERF_DIRS; dir++) {
		t->ops[dir] = 0;
		t->bytes[dir] = 0;
		mpn_hist_reset(&t->lat[dir]);
	}
}

void
perf_tally_add(struct perf_tally *dst, const struct perf_tally *src)
{
	unsigned dir;

	for (dir = 0; dir < PERF_DIRS; dir++) {
		dst->ops[dir] += src->ops[dir];
		dst->bytes[dir] += src->bytes[dir];
		mpn_hist_merge(&dst->lat[dir], &src->lat[dir]);
	}
}

uint64_t
perf_tally_ops(const struct perf_tally *t)
{
	return t->ops[PERF_READ] + t->ops[PERF_WRITE];
}

/* ---- Numbers ---- */

double
perf_seconds(const struct perf_tally *t)
{
	return t->end_ns > t->start_ns ? (double)(t->end_ns - t->start_ns) / 1e9 : 0.0;
}

double
perf_rate(uint64_t n, double sec)
{
	return sec > 0 ? (double)n / sec : 0.0;
}

double
perf_average_ns(const struct mpn_hist *h)
{
	return h->count > 0 ? (double)h->sum / (double)h->count : 0.0;
}

double
perf_copies_per_byte(const struct ebd_stats *st)
{
	return st->payload_bytes > 0 ? (double)st->copied_bytes / (double)st->payload_bytes : 0.0;
}

char *
perf_format_live(const struct perf_tally *t, uint64_t errors, char *buf, size_t size)
{
	const struct mpn_hist *h = t->ops[PERF_READ] > 0 ? &t->lat[PERF_READ] : &t->lat[PERF_WRITE];
	double sec = perf_seconds(t);

	(void)snprintf(buf, size,
		"%.1f kIOPS  %.1f MB/s  p50 %.1f us  p99 %.1f us  errors %" PRIu64,
		perf_rate(perf_tally_ops(t), sec) / 1e3,
		perf_rate(t->bytes[PERF_READ] + t->bytes[PERF_WRITE], sec) / 1e6,
		(double)mpn_hist_percentile(h, 0.5) / 1e3,
		(double)mpn_hist_percentile(h, 0.99) / 1e3, errors);
	return buf;
}

/* Order for qsort(). */
static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct perf_spread
perf_spread_of(const double *values, unsigned n)
{
	double sorted[PERF_PAIRS_MAX];
	struct perf_spread s = {0};

	n = MPN_MIN(n, (unsigned)PERF_PAIRS_MAX);
	if (n == 0)
		return s;
	memcpy(sorted, values, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), compare);
	s.min = sorted[0];
	s.max = sorted[n - 1];
	s.median = n % 2 != 0 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	return s;
}
