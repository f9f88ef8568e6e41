/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include "mpn_err.h"
#include "mpn_hist.h"

void
mpn_hist_reset(struct mpn_hist *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

void
mpn_hist_merge(struct mpn_hist *dst, const struct mpn_hist *src)
{
	size_t i;

	if (src->count == 0)
		return;
	dst->count += src->count;
	dst->sum += src->sum;
	dst->min = MPN_MIN(dst->min, src->min);
	dst->max = MPN_MAX(dst->max, src->max);
	for (i = 0; i < MPN_HIST_BUCKETS; i++)
		dst->bucket[i] += src->bucket[i];
}

uint64_t
mpn_hist_upper(uint32_t i)
{
	uint32_t group = i >> MPN_HIST_SUB_BITS;
	uint64_t sub = i & ((1u << MPN_HIST_SUB_BITS) - 1);

	if (group == 0)
		return i;
	return (((1ull << MPN_HIST_SUB_BITS) + sub) << (group - 1)) + ((1ull << (group - 1)) - 1);
}

uint64_t
mpn_hist_percentile(const struct mpn_hist *h, double part)
{
	uint64_t seen = 0;
	uint64_t rank;
	uint32_t i;

	if (h->count == 0)
		return 0;
	/* The rank is the smallest whole number not below part * count. */
	rank = part >= 1.0 ? h->count : (uint64_t)(part * (double)h->count);
	if ((double)rank < part * (double)h->count)
		rank++;
	rank = MPN_MAX(MPN_MIN(rank, h->count), (uint64_t)1);
	for (i = 0; i < MPN_HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= rank)
			return MPN_MIN(mpn_hist_upper(i), h->max);
	}
	return h->max;
}
