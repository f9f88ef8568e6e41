/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Who runs: all in turn, or within a budget of TSC cycles. A personality cannot be interrupted, so the
 * budget is paid afterwards: each gets its weight in quanta, what a turn took is taken off, and one that is
 * in debt is passed over until all that have something to do are. (Surplus round robin: deficit round robin
 * for packets whose length is known only when they have been sent.)
 */

#include <inttypes.h>

#include <rte_cycles.h>

#include "map.h"
#include "mpn_log.h"
#include "mpn_map.h"
#include "nic_internal.h"

#define QUANTUM_PER_SEC 100000 /* 10 us */
/* A look that found nothing costs nothing up to this part of a quantum: idle ones must not run into debt. */
#define FREE_PART 16
/* What is not paid back after a second of quanta is forgiven: it was a debugger, or a suspended machine. */
#define MAX_DEBT_QUANTA 100000
/* What is taken in debt is paid back as well, a turn of it at most so much: more was not the turn's doing. */
#define MAX_TAKEN_QUANTA (2 * MAX_DEBT_QUANTA)
#define MAX_TURN_QUANTA 100
#define LOG_GAP_NS 10000000000ull

/* ---- The watchdog ---- */

static void
tell_one(struct mpn_personality *p)
{
	struct mpn_nic *nic = p->nic;
	uint64_t now_ns = *p->clock;

	memcpy(nic->info.held_by, p->name, sizeof(nic->info.held_by));
	nic->info.held_ns = p->held_ns;
	if (now_ns >= nic->next_held_log_ns) {
		nic->next_held_log_ns = now_ns + LOG_GAP_NS;
		mpn_log(nic->held_asked ? MPN_LOG_WARN : MPN_LOG_INFO, "nic",
			"%s: personality '%s' held the thread for %" PRIu64 " ms", nic->info.name,
			p->name, p->held_ns / 1000000);
	}
	p->held_ns = 0;
	nic_event(nic, MPN_NIC_HELD);
}

void
cpu_tell_held(struct mpn_nic *nic)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		if (nic->pers[i]->held_ns != 0)
			tell_one(nic->pers[i]);
	}
}

static void
note_held(struct mpn_personality *p, uint64_t ns)
{
	p->flow.stats.held++;
	p->held_ns = ns;
	if (!nic_map_raise(p->nic, MPN_NIC_HELD))
		tell_one(p);
}

void
mpn_nic_set_watchdog(struct mpn_nic *nic, uint64_t ns)
{
	mpn_nic_hold(nic);
	nic->held_ns = ns;
	nic->held_asked = true;
	nic->held_tsc =
		ns != 0 ? (uint64_t)((double)ns * (double)rte_get_tsc_hz() / 1e9) : UINT64_MAX;
	mpn_nic_release(nic);
}

uint64_t
mpn_nic_watchdog(const struct mpn_nic *nic)
{
	return nic->held_ns;
}

/* ---- Running ---- */

/* @return the work it found */
static unsigned
run_one(struct mpn_personality *p, uint64_t now_ns, uint64_t *tsc, uint64_t *cycles)
{
	struct mpn_flow_stats *stats = &p->flow.stats;
	unsigned work = personality_run(p, now_ns);
	uint64_t before = *tsc;

	*tsc = rte_rdtsc();
	*cycles = *tsc - before;
	stats->turns++;
	stats->cycles += *cycles;
	if (mpn_unlikely(*cycles > p->flow.longest_tsc)) {
		p->flow.longest_tsc = *cycles;
		stats->held_max_ns = eal_tsc_to_ns(*tsc) - eal_tsc_to_ns(before);
	}
	if (mpn_unlikely(*cycles > p->nic->held_tsc))
		note_held(p, eal_tsc_to_ns(*tsc) - eal_tsc_to_ns(before));
	return work;
}

unsigned
cpu_run_all(struct nic_part *part, uint64_t now_ns, uint64_t *tsc)
{
	unsigned work = 0;
	uint64_t cycles;

	for (unsigned i = 0; i < part->nb_pers; i++) {
		if (personality_is_active(part->pers[i]))
			work += run_one(part->pers[i], now_ns, tsc, &cycles);
	}
	return work;
}

/* ---- Within a budget ---- */

static int64_t
quanta_of(const struct mpn_personality *p)
{
	return (int64_t)(p->share.cpu_weight * (rte_get_tsc_hz() / QUANTUM_PER_SEC));
}

static bool
was_idle(const struct mpn_personality *p, int64_t cycles, unsigned work)
{
	return work == 0 && cycles < quanta_of(p) / (int64_t)p->share.cpu_weight / FREE_PART;
}

static void
pay(struct mpn_personality *p, int64_t cycles, unsigned work)
{
	if (!was_idle(p, cycles, work))
		p->credit = MPN_MAX(p->credit - cycles, -quanta_of(p) * MAX_DEBT_QUANTA);
}

struct round {
	uint64_t now_ns;
	uint64_t *tsc;
	unsigned work;
	unsigned in_debt; /* whether they were passed over or not */
	bool busy; /* somebody with credit found something to do */
};

/*
 * What solicited I/O has asked for is on its way already, and would only be asked for again if it was dropped: from
 * half of its watermark on it is taken in debt. Who is sent what he did not ask for loses it, and so, in the end, does
 * he whose peers never stop: what was taken must be paid back before there is more.
 */
static bool
must_take(const struct mpn_personality *p)
{
	return p->ops->kind == MPN_PERS_SOLICITED &&
	       rte_ring_count(p->flow.rx) >= p->flow.rx_mark / 2 &&
	       p->credit > -quanta_of(p) * MAX_TAKEN_QUANTA;
}

/* It keeps nobody else in debt: a turn of it is not one of somebody with credit. */
static void
run_in_debt(struct mpn_personality *p, struct round *r)
{
	uint64_t cycles;
	unsigned work;

	r->in_debt++;
	if (!must_take(p)) {
		p->flow.stats.passed_over++;
		return;
	}
	work = run_one(p, r->now_ns, r->tsc, &cycles);
	if (!was_idle(p, (int64_t)cycles, work))
		p->credit -= MPN_MIN((int64_t)cycles, quanta_of(p) * MAX_TURN_QUANTA);
	r->work += work;
}

static void
run_within(struct mpn_personality *p, struct round *r)
{
	uint64_t cycles;
	unsigned work;

	if (!personality_is_active(p))
		return;
	if (p->credit < 0) {
		run_in_debt(p, r);
		return;
	}
	work = run_one(p, r->now_ns, r->tsc, &cycles);
	pay(p, (int64_t)cycles, work);
	r->work += work;
	r->busy |= work > 0;
}

/* As many quanta for everybody as bring the first one out of debt. An idle one saves nothing up. */
static void
deal_out(struct nic_part *part)
{
	int64_t rounds = INT64_MAX;

	for (unsigned i = 0; i < part->nb_pers; i++) {
		const struct mpn_personality *p = part->pers[i];

		if (personality_is_active(p) && p->credit < 0)
			rounds = MPN_MIN(rounds, (-p->credit - 1) / quanta_of(p) + 1);
	}
	/* Who was may have ended in its turn. */
	if (rounds == INT64_MAX)
		return;
	for (unsigned i = 0; i < part->nb_pers; i++) {
		struct mpn_personality *p = part->pers[i];
		int64_t quanta = quanta_of(p);

		p->credit = MPN_MIN(p->credit + rounds * quanta, quanta);
	}
}

static void
run_class(struct nic_part *part, bool priority, struct round *r)
{
	for (unsigned i = 0; i < part->nb_pers; i++) {
		if (part->pers[i]->share.priority == priority)
			run_within(part->pers[i], r);
	}
}

/* Whatever it is sent, there is an end of the debt: it cannot help it. */
static void
pay_rx(struct mpn_personality *p, int64_t cycles)
{
	int64_t least = -quanta_of(p) * MAX_TAKEN_QUANTA;

	p->credit = MPN_MAX(p->credit - cycles, MPN_MIN(p->credit, least));
}

void
cpu_charge_rx(struct mpn_nic *nic, unsigned n, uint64_t cycles)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		struct mpn_personality *p = nic->pers[i];

		if (p->flow.nb_round > 0 && p->pays_rx)
			pay_rx(p, (int64_t)(cycles * p->flow.nb_round / n));
		p->flow.nb_round = 0;
	}
}

unsigned
cpu_run_drr(struct nic_part *part, uint64_t now_ns, uint64_t *tsc)
{
	struct round r = {.now_ns = now_ns, .tsc = tsc};

	run_class(part, true, &r);
	/* What they send does not wait until the others have run. */
	if (r.work > 0 && part->tx)
		r.work += nic_transmit_priority(part->nic, now_ns);
	run_class(part, false, &r);
	if (r.in_debt > 0 && !r.busy) {
		/* Nobody needs the cycles but those in debt: the round is theirs. */
		deal_out(part);
		r.in_debt = 0;
		run_class(part, true, &r);
		run_class(part, false, &r);
	}
	/* The next round may have work for those that were passed over: no time to sleep. */
	return r.work + r.in_debt;
}

void
mpn_personality_charge(struct mpn_personality *p, uint64_t cycles)
{
	p->flow.stats.cycles += cycles;
	p->credit -= (int64_t)MPN_MIN(cycles, (uint64_t)INT32_MAX);
}

bool
mpn_personality_in_debt(const struct mpn_personality *p)
{
	return p->credit < 0 && p->nic->sched->work == cpu_run_drr;
}
