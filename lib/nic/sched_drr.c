/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * prio-drr: personalities with priority first, behind a token bucket, then the others in deficit round
 * robin: each in turn may send its weight in quanta of bytes, and keeps what it could not use for want of a
 * whole frame. (Shreedhar, Varghese: Efficient Fair Queuing using Deficit Round Robin, 1995.)
 */

#include <rte_cycles.h>

#include "nic_internal.h"

/* Priority is for little: what is above this rate has to take its turn as everybody. */
#define PRIO_BYTES_PER_SEC 100000000ull
/* What a port with TSO cuts itself is one frame here: of IP's 64 KiB, and what is around them. */
#define PRIO_BURST_BYTES (65536 + 64)

/* What fits into a budget of the policy, and into what the TX rate allows. */
static unsigned
send_within(struct mpn_nic *nic, struct mpn_personality *p, unsigned max, uint64_t now_ns,
	uint64_t *budget, bool *full)
{
	uint64_t allowed = rate_allows(p, &p->flow.tx, now_ns);
	uint64_t left = MPN_MIN(allowed, *budget), used = left;
	uint64_t before = rte_rdtsc();
	unsigned sent = flow_send(nic, &p->flow.tx, 0, max, &left, full);

	/* Many drivers copy: sending is what some personalities cost most. */
	if (mpn_likely(p->pays_tx))
		p->credit -= (int64_t)(rte_rdtsc() - before);
	used -= left;
	*budget -= used;
	rate_leave(p, allowed, allowed - used);
	return sent;
}

/* For sched_room(). */
static void
note_sent(struct mpn_nic *nic, unsigned n, bool first)
{
	nic->sent_first = nic->sent_first << n | (first ? (1ull << n) - 1 : 0);
}

unsigned
drr_send_priority(struct mpn_nic *nic, uint64_t now_ns, bool *full)
{
	unsigned sent = 0, n;

	for (unsigned i = 0; i < nic->nb_pers && !*full; i++) {
		struct mpn_personality *p = nic->pers[i];

		if (!p->share.priority || flow_lane_len(&p->flow.tx) == 0)
			continue;
		bucket_fill(&p->prio, PRIO_BYTES_PER_SEC, PRIO_BURST_BYTES, now_ns);
		n = send_within(nic, p, MPN_BURST, now_ns, &p->prio.bytes, full);
		note_sent(nic, n, true);
		sent += n;
	}
	return sent;
}

/* One that has its turn: until its deficit or its flow is empty, or the port is full. */
static unsigned
take_turn(struct mpn_nic *nic, struct mpn_personality *p, unsigned max, uint64_t now_ns, bool *full)
{
	unsigned sent = 0, n;

	if (!p->in_turn)
		p->deficit += (uint64_t)p->share.weight * nic->info.max_frame;
	p->in_turn = true;
	do {
		n = send_within(nic, p, max - sent, now_ns, &p->deficit, full);
		note_sent(nic, n, false);
		sent += n;
	} while (n > 0 && !*full && sent < max);
	if (*full || sent >= max)
		return sent; /* it goes on with what is left */
	p->in_turn = false;
	if (flow_lane_len(&p->flow.tx) == 0)
		p->deficit = 0;
	return sent;
}

static unsigned
run_prio_drr(struct mpn_nic *nic, uint64_t now_ns)
{
	bool full = false;
	/* What has priority is bounded by itself, and takes nothing of the others' round. */
	unsigned max = sched_room(nic, now_ns), empty = 0;
	unsigned first = drr_send_priority(nic, now_ns, &full), sent = 0;

	if (nic->next_tx >= nic->nb_pers)
		nic->next_tx = 0;
	nic->tx_offered |= max == 0;
	while (!full && sent < max && empty < nic->nb_pers) {
		struct mpn_personality *p = nic->pers[nic->next_tx];

		/* One that its TX rate stops is as one that has nothing to send. */
		if (rate_allows(p, &p->flow.tx, now_ns) > 0) {
			empty = 0;
			sent += take_turn(nic, p, max - sent, now_ns, &full);
		} else {
			empty++;
			p->in_turn = false;
			p->deficit = 0;
		}
		if (!p->in_turn)
			nic->next_tx =
				(uint8_t)(nic->next_tx + 1 < nic->nb_pers ? nic->next_tx + 1 : 0);
	}
	return first + sent;
}

const struct sched_ops sched_prio_drr = {
	.name = "prio-drr", .work = cpu_run_drr, .run = run_prio_drr};
