/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Stages on several lcores. What is not a stage, the life of personalities, the link, events, every
 * command, finds the lcores of the map standing still: it needs no locks, and the stages have none either.
 */

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "map.h"
#include "mpn_log.h"
#include "mpn_map.h"
#include "telemetry.h"
#include "worker.h"

#define LET_RUN_NS 100000

/* ---- In the poll loops ---- */

static unsigned
run_beside(struct nic_part *part)
{
	unsigned work = 0;

	for (unsigned i = 0; i < part->nb_pers; i++) {
		const struct mpn_beside *b = &part->pers[i]->beside;

		if (b->run != NULL)
			work += b->run(b->arg);
	}
	return work;
}

unsigned
nic_part_round(struct nic_part *part)
{
	struct mpn_nic *nic = part->nic;
	uint64_t begin = rte_rdtsc(), tsc = begin;
	uint64_t now_ns = eal_tsc_to_ns(begin);
	unsigned work = 0;

	part->now_ns = now_ns;
	if (part->rx && mpn_likely(nic->running)) {
		work = nic_round_receive(nic, now_ns);
		tsc = rte_rdtsc();
		if (work > 0 && nic->sched == &sched_prio_drr)
			cpu_charge_rx(nic, work, tsc - begin);
	}
	work += nic->sched->work(part, now_ns, &tsc);
	if (part != &nic->map->home)
		work += run_beside(part);
	if (part->tx)
		work += nic_transmit(nic, now_ns);
	__atomic_store_n(&part->rounds, part->rounds + 1, __ATOMIC_RELAXED);
	if (work > 0)
		part->busy_tsc += rte_rdtsc() - begin;
	else
		part->idle_rounds++;
	return work;
}

/* What changes the NIC, or is told to everybody. */
static void
look_around(struct mpn_nic *nic, uint64_t now_ns)
{
	unsigned raised;

	mpn_nic_hold(nic);
	nic->in_poll = true;
	if (mpn_unlikely(__atomic_load_n(&nic_telemetry_asked, __ATOMIC_RELAXED)))
		mpn_nic_answer(nic);
	raised = atomic_exchange_explicit(&nic->map->raised, 0, memory_order_relaxed);
	for (unsigned ev = 0; ev < MPN_NIC_EVENTS; ev++) {
		if (ev != MPN_NIC_HELD && (raised & (1u << ev)))
			nic_event(nic, (enum mpn_nic_event)ev);
	}
	cpu_tell_held(nic);
	nic_watch(nic, now_ns);
	nic->in_poll = false;
	mpn_nic_release(nic);
}

/* Each lcore has made a round since they all had. */
static bool
have_all_moved(struct nic_map *map)
{
	for (unsigned i = 0; i < map->nb_away; i++) {
		if (__atomic_load_n(&map->away[i].part.rounds, __ATOMIC_RELAXED) ==
			map->away[i].seen_rounds)
			return false;
	}
	for (unsigned i = 0; i < map->nb_away; i++)
		map->away[i].seen_rounds =
			__atomic_load_n(&map->away[i].part.rounds, __ATOMIC_RELAXED);
	return true;
}

unsigned
nic_map_poll(struct mpn_nic *nic)
{
	struct nic_map *map = nic->map;
	uint64_t now_ns = mpn_now_ns();
	unsigned work;

	if (mpn_unlikely(nic_watch_is_due(nic, now_ns) ||
			 __atomic_load_n(&nic_telemetry_asked, __ATOMIC_RELAXED) ||
			 atomic_load_explicit(&map->raised, memory_order_relaxed) != 0))
		look_around(nic, now_ns);
	nic->in_poll = true;
	work = nic_part_round(&map->home);
	if (mpn_unlikely(nic->pump != NULL))
		work += nic->pump(nic->link, nic->rx_pool, have_all_moved(map), now_ns);
	nic->in_poll = false;
	nic->stats.polls++;
	nic->stats.idle_polls += work == 0;
	return work;
}

bool
nic_map_raise(struct mpn_nic *nic, enum mpn_nic_event ev)
{
	if (!nic->spread)
		return false;
	(void)atomic_fetch_or_explicit(&nic->map->raised, 1u << ev, memory_order_relaxed);
	return true;
}

unsigned
nic_poll_released(struct mpn_nic *nic)
{
	uint64_t end_ns = mpn_now_ns() + LET_RUN_NS;
	unsigned holds = nic->holds, work = 0;

	if (nic->map == NULL || holds == 0)
		return mpn_nic_poll(nic);
	nic->holds = 1;
	mpn_nic_release(nic);
	do {
		unsigned found = mpn_nic_poll(nic);

		if (found == 0)
			(void)sched_yield();
		work += found;
	} while (mpn_now_ns() < end_ns);
	mpn_nic_hold(nic);
	nic->holds = holds;
	return work;
}

/* ---- Standing still ---- */

void
mpn_nic_hold(struct mpn_nic *nic)
{
	struct nic_map *map = nic->map;

	if (worker_is_me() || nic->holds++ > 0 || map == NULL)
		return;
	for (unsigned i = 0; i < map->nb_away; i++)
		worker_hold(map->away[i].worker);
	nic->spread = false;
}

void
mpn_nic_release(struct mpn_nic *nic)
{
	struct nic_map *map = nic->map;

	if (worker_is_me() || nic->holds == 0 || --nic->holds > 0 || map == NULL)
		return;
	nic->spread = true;
	for (unsigned i = 0; i < map->nb_away; i++)
		worker_release(map->away[i].worker);
}

bool
nic_let_go(struct mpn_nic *nic)
{
	if (worker_is_me() || nic->holds == 0)
		return false;
	mpn_nic_release(nic);
	return true;
}

/* ---- Who runs what ---- */

static void
init_part(struct nic_part *part, struct mpn_nic *nic)
{
	part->nic = nic;
	part->rx = false;
	part->tx = false;
	part->nb_pers = 0;
}

static struct nic_part *
part_of(struct nic_map *map, int lcore)
{
	for (unsigned i = 0; i < map->nb_away; i++) {
		if ((int)map->away[i].lcore == lcore)
			return &map->away[i].part;
	}
	return &map->home;
}

/* One that is called as a stage of the port is at home. */
static int
find_lcore(const struct nic_map *map, const struct mpn_personality *p)
{
	if (map == NULL || map_is_port_stage(p->name))
		return MAP_HOME;
	return map_lcore_of(&map->text, p->name);
}

static void
place_personality(struct mpn_nic *nic, struct nic_map *map, struct mpn_personality *p)
{
	struct nic_part *part = &nic->all;

	p->lcore = find_lcore(map, p);
	if (map != NULL) {
		part = part_of(map, p->lcore);
		part->pers[part->nb_pers++] = p;
	}
	p->clock = &part->now_ns;
	p->pays_rx = map == NULL || part->rx;
	p->pays_tx = map == NULL || part->tx;
}

void
nic_map_rebuild(struct mpn_nic *nic)
{
	struct nic_map *map = nic->map;
	struct nic_part *rx = &nic->all, *tx = &nic->all;

	init_part(&nic->all, nic);
	nic->all.nb_pers = nic->nb_pers;
	memcpy(nic->all.pers, nic->pers, sizeof(nic->all.pers));
	if (map != NULL) {
		init_part(&map->home, nic);
		for (unsigned i = 0; i < map->nb_away; i++)
			init_part(&map->away[i].part, nic);
		rx = part_of(map, map_lcore_of(&map->text, "rx"));
		tx = part_of(map, map_lcore_of(&map->text, "tx"));
	}
	rx->rx = true;
	tx->tx = true;
	nic->rx_clock = &rx->now_ns;
	nic->tx_clock = &tx->now_ns;
	for (unsigned i = 0; i < nic->nb_pers; i++)
		place_personality(nic, map, nic->pers[i]);
}

void
nic_map_forget(struct mpn_personality *p)
{
	if (p->nic->map != NULL && !map_is_port_stage(p->name))
		map_drop(&p->nic->map->text, p->name);
}

static void
clear_part(struct nic_part *part, uint64_t tsc)
{
	part->rounds = 0;
	part->idle_rounds = 0;
	part->busy_tsc = 0;
	part->since_tsc = tsc;
}

void
nic_map_clear_stats(struct mpn_nic *nic)
{
	struct nic_map *map = nic->map;
	uint64_t tsc = rte_rdtsc();

	if (map == NULL)
		return;
	clear_part(&map->home, tsc);
	for (unsigned i = 0; i < map->nb_away; i++)
		clear_part(&map->away[i].part, tsc);
}
