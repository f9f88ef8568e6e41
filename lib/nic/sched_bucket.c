/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Token buckets: how many bytes may leave now.
 */

#include <rte_ether.h>

#include "nic_internal.h"

#define NSEC_PER_SEC 1000000000ull
/* Of a silence no more than this counts: the product below fits 64 bits at MPN_MAX_RATE. */
#define MAX_FILL_NS 100000000ull
/* What may leave at once under a TX rate: a millisecond of it, and two frames at least. */
#define RATE_BURST_PER_SEC 1000
#define RATE_MIN_FRAMES 2

void
bucket_fill(struct bucket *b, uint64_t rate, uint64_t burst, uint64_t now_ns)
{
	uint64_t ns, add;

	if (now_ns <= b->ns)
		return;
	ns = MPN_MIN(now_ns - b->ns, MAX_FILL_NS);
	add = ns * rate / NSEC_PER_SEC;
	/* Parts of a byte stay in the time that has not been counted yet. */
	b->ns = now_ns - (ns - add * NSEC_PER_SEC / rate);
	b->bytes = MPN_MIN(b->bytes + add, burst);
}

uint64_t
rate_allows(struct mpn_personality *p, struct flow_lane *lane, uint64_t now_ns)
{
	uint64_t burst, head;

	if (flow_lane_len(lane) == 0)
		return 0;
	/* One that is stopped gets rid of what it had accepted. */
	if (mpn_likely(p->share.tx_rate == 0) || p->state != MPN_PERS_STARTED)
		return UINT64_MAX;
	burst = MPN_MAX(p->share.tx_rate / RATE_BURST_PER_SEC,
		(uint64_t)RATE_MIN_FRAMES * (p->nic->info.max_frame + RTE_VLAN_HLEN));
	/* One that the port will cut may be longer than any other. */
	head = flow_head_len(p->nic, lane);
	bucket_fill(&p->rate, p->share.tx_rate, MPN_MAX(burst, head), now_ns);
	return p->rate.bytes >= head ? p->rate.bytes : 0;
}

void
rate_leave(struct mpn_personality *p, uint64_t allowed, uint64_t left)
{
	if (mpn_unlikely(allowed != UINT64_MAX))
		p->rate.bytes = left;
}
