/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Log-linear histogram of unsigned values (latencies in ns): 32 linear buckets in each power of two,
 * so that a percentile is at most 3.2 % above the true value. Fixed size, no allocation, mergeable.
 */

#ifndef MPN_HIST_H
#define MPN_HIST_H

#include <stdint.h>

#define MPN_HIST_SUB_BITS 5
#define MPN_HIST_BUCKETS ((64 - MPN_HIST_SUB_BITS + 1) << MPN_HIST_SUB_BITS)

struct mpn_hist {
	uint64_t count;
	uint64_t sum;
	uint64_t min;
	uint64_t max;
	uint64_t bucket[MPN_HIST_BUCKETS];
};

/** Empty it. Needed before first use. */
void mpn_hist_reset(struct mpn_hist *h);

static inline uint32_t
mpn_hist_index(uint64_t v)
{
	uint32_t top;

	if (v < (1u << MPN_HIST_SUB_BITS))
		return (uint32_t)v;
	top = 63u - (uint32_t)__builtin_clzll(v);
	return ((top - MPN_HIST_SUB_BITS + 1) << MPN_HIST_SUB_BITS) +
	       (uint32_t)((v >> (top - MPN_HIST_SUB_BITS)) & ((1u << MPN_HIST_SUB_BITS) - 1));
}

static inline void
mpn_hist_add(struct mpn_hist *h, uint64_t v)
{
	h->count++;
	h->sum += v;
	if (v < h->min)
		h->min = v;
	if (v > h->max)
		h->max = v;
	h->bucket[mpn_hist_index(v)]++;
}

/** The largest value that goes into the i-th bucket. */
uint64_t mpn_hist_upper(uint32_t i);

/** Add all of src to dst. */
void mpn_hist_merge(struct mpn_hist *dst, const struct mpn_hist *src);

/**
 * Upper bound of the bucket that holds the given part (0 < part <= 1) of all values, but never above
 * the largest value seen; 0 when empty.
 */
uint64_t mpn_hist_percentile(const struct mpn_hist *h, double part);

#endif
