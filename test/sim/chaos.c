/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What happens to nodes and links, and when. */

#include "world.h"

#define MSEC (1000 * 1000ull)

static void
note(struct world *w, enum sim_fault kind, uint8_t node, uint64_t ns)
{
	trace_event(&w->trace, w->clock.now, TR_FAULT, node, kind, ns, 0);
}

static uint8_t
any_node(struct world *w, enum sim_fault kind)
{
	return (uint8_t)rng_below(&w->faults.rng[kind], w->nb_ini + 1);
}

static uint64_t
draw_ns(struct world *w, enum sim_fault kind, uint64_t lo, uint64_t hi)
{
	return rng_log(&w->faults.rng[kind], lo, hi);
}

/* ---- Deaths: never from within an engine's callback ---- */

static void
kill_target(struct world *w, enum sim_fault kind)
{
	uint64_t down = draw_ns(w, kind, MSEC / 10, 2000 * MSEC);

	if (!w->faults.active || !w->node[SIM_TGT].up)
		return;
	note(w, kind, SIM_TGT, down);
	node_kill(w, SIM_TGT);
	if (kind == SIM_F_power) {
		disk_power_cut(w);
		oracle_power_cut(w);
	}
	node_start_later(w, SIM_TGT, down);
}

/* A drained target is stopped, healed network or not: it takes no commands any more. */
static void
stop_event(struct world *w, void *arg, uint64_t incarnation)
{
	if (w->node[SIM_TGT].incarnation != incarnation)
		return;
	node_kill(w, SIM_TGT);
	node_start_later(w, SIM_TGT, MSEC);
}

static void
drain_target(struct world *w)
{
	uint64_t ns = draw_ns(w, SIM_F_drain, MSEC, 200 * MSEC);

	if (!w->faults.active || !w->node[SIM_TGT].up || w->node[SIM_TGT].hang_until > w->clock.now)
		return;
	note(w, SIM_F_drain, SIM_TGT, ns);
	xfer_tgt_drain(w->tgt.eng);
	clock_at(&w->clock, w->clock.now + ns, stop_event, NULL, w->node[SIM_TGT].incarnation);
}

static void
kill_client(struct world *w, uint8_t client)
{
	uint64_t down = draw_ns(w, SIM_F_ini_kill, MSEC / 100, 4000 * MSEC);
	unsigned i;

	if (!w->faults.active)
		return;
	for (i = 0; i < w->nb_ini; i++) {
		if (w->ini[i].client != client || !w->node[w->ini[i].node].up)
			continue;
		note(w, SIM_F_ini_kill, w->ini[i].node, down);
		node_kill(w, w->ini[i].node);
		node_start_later(w, w->ini[i].node, down);
	}
}

static void
death_event(struct world *w, void *arg, uint64_t what)
{
	enum sim_fault kind = (enum sim_fault)(what & 0xff);

	if (kind == SIM_F_ini_kill)
		kill_client(w, (uint8_t)(what >> 8));
	else if (kind == SIM_F_drain)
		drain_target(w);
	else
		kill_target(w, kind);
}

static void
close_event(struct world *w, void *arg, uint64_t index)
{
	struct sim_ini *ini = &w->ini[index];

	if (!w->faults.active || !ini_is_usable(ini))
		return;
	note(w, SIM_F_close, ini->node, 0);
	ini_close(w, ini);
	node_after(w, ini->node);
}

static void
hang_event(struct world *w, void *arg, uint64_t what)
{
	if (!w->faults.active)
		return;
	note(w, SIM_F_hang, (uint8_t)(what & 0xff), what >> 8);
	node_hang(w, (uint8_t)(what & 0xff), what >> 8);
}

/* ---- Dice ---- */

static void
strike_links(struct world *w)
{
	struct sim_net *net = &w->net;
	uint64_t now = w->clock.now, ns;
	uint8_t node;

	if (sim_fault_strikes(&w->faults, SIM_F_partition)) {
		node = any_node(w, SIM_F_partition);
		ns = draw_ns(w, SIM_F_partition, MSEC, 2000 * MSEC);
		net->mute_until[node] = MPN_MAX(net->mute_until[node], now + ns);
		net->deaf_until[node] = MPN_MAX(net->deaf_until[node], now + ns);
		note(w, SIM_F_partition, node, ns);
	}
	if (sim_fault_strikes(&w->faults, SIM_F_oneway)) {
		node = any_node(w, SIM_F_oneway);
		ns = draw_ns(w, SIM_F_oneway, MSEC, 2000 * MSEC);
		if (rng_below(&w->faults.rng[SIM_F_oneway], 2))
			net->mute_until[node] = MPN_MAX(net->mute_until[node], now + ns);
		else
			net->deaf_until[node] = MPN_MAX(net->deaf_until[node], now + ns);
		note(w, SIM_F_oneway, node, ns);
	}
	if (sim_fault_strikes(&w->faults, SIM_F_mtu)) {
		ns = draw_ns(w, SIM_F_mtu, MSEC, 2000 * MSEC);
		net->small_until = now + ns;
		note(w, SIM_F_mtu, 0, ns);
	}
}

void
chaos_step(struct world *w)
{
	struct rng *r = &w->load.chaos;
	uint64_t soon = w->clock.now + 1 + rng_below(r, 100 * 1000), what;

	strike_links(w);
	if (sim_fault_strikes(&w->faults, SIM_F_nobuf)) {
		w->tgt.nobuf_until = w->clock.now + draw_ns(w, SIM_F_nobuf, MSEC, 50 * MSEC);
		note(w, SIM_F_nobuf, SIM_TGT, w->tgt.nobuf_until);
	}
	if (sim_fault_strikes(&w->faults, SIM_F_astray)) {
		w->tgt.astray_until = w->clock.now + draw_ns(w, SIM_F_astray, MSEC, 50 * MSEC);
		note(w, SIM_F_astray, SIM_TGT, w->tgt.astray_until);
	}
	if (sim_fault_strikes(&w->faults, SIM_F_tgt_kill))
		clock_at(&w->clock, soon, death_event, NULL, SIM_F_tgt_kill);
	if (sim_fault_strikes(&w->faults, SIM_F_drain))
		clock_at(&w->clock, soon, death_event, NULL, SIM_F_drain);
	if (sim_fault_strikes(&w->faults, SIM_F_power))
		clock_at(&w->clock, soon, death_event, NULL, SIM_F_power);
	if (sim_fault_strikes(&w->faults, SIM_F_ini_kill)) {
		what = w->ini[rng_below(&w->faults.rng[SIM_F_ini_kill], w->nb_ini)].client;
		clock_at(&w->clock, soon, death_event, NULL, what << 8 | SIM_F_ini_kill);
	}
	if (sim_fault_strikes(&w->faults, SIM_F_hang)) {
		what = draw_ns(w, SIM_F_hang, MSEC, 2000 * MSEC) << 8 | any_node(w, SIM_F_hang);
		clock_at(&w->clock, soon, hang_event, NULL, what);
	}
	if (sim_fault_strikes(&w->faults, SIM_F_close))
		clock_at(&w->clock, soon, close_event, NULL,
			rng_below(&w->faults.rng[SIM_F_close], w->nb_ini));
}

void
chaos_heal(struct world *w)
{
	uint8_t node;

	w->faults.active = false;
	memset(w->net.mute_until, 0, sizeof(w->net.mute_until));
	memset(w->net.deaf_until, 0, sizeof(w->net.deaf_until));
	memset(w->net.burst_left, 0, sizeof(w->net.burst_left));
	w->net.small_until = 0;
	w->tgt.nobuf_until = 0;
	w->tgt.astray_until = 0;
	for (node = 0; node <= w->nb_ini; node++) {
		if (w->node[node].hang_until > w->clock.now) {
			w->node[node].hang_until = w->clock.now;
			node_hang(w, node, 0);
		}
		node_start(w, node);
	}
}
