/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * fifo: first come, first served, the report's best effort. Frames leave in the order in which the
 * personalities handed them over, whoever has handed over how many: a flood is in front of all that comes
 * after it.
 */

#include "nic_internal.h"

struct first {
	struct mpn_personality *p;
	uint64_t allowed; /* bytes it may send */
	uint64_t ns; /* when its first frame came */
	uint64_t next_ns; /* when that of the second flow did */
};

static bool
find_first(struct mpn_nic *nic, uint64_t now_ns, struct first *first)
{
	*first = (struct first){.ns = UINT64_MAX, .next_ns = UINT64_MAX};
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		struct mpn_personality *p = nic->pers[i];
		uint64_t allowed = rate_allows(p, &p->flow.tx, now_ns);
		uint64_t ns;

		if (allowed == 0)
			continue;
		ns = flow_lane_since(&p->flow.tx);
		if (first->p == NULL || ns < first->ns)
			*first = (struct first){p, allowed, ns, first->ns};
		else
			first->next_ns = MPN_MIN(first->next_ns, ns);
	}
	return first->p != NULL;
}

static unsigned
run_fifo(struct mpn_nic *nic, uint64_t now_ns)
{
	unsigned max = nic->nb_pers * MPN_BURST, sent = 0;
	struct first first;
	bool full = false;

	while (!full && sent < max && find_first(nic, now_ns, &first)) {
		struct flow_lane *lane = &first.p->flow.tx;
		unsigned want = flow_lane_until(lane, first.next_ns);
		uint64_t left = first.allowed;

		sent += flow_send(nic, lane, 0, want, &left, &full);
		rate_leave(first.p, first.allowed, left);
	}
	return sent;
}

const struct sched_ops sched_fifo = {.name = "fifo", .work = cpu_run_all, .run = run_fifo};
