/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>

#include "world.h"

#define STREAM_CONF 7
#define STREAM_MODE 9
#define START_NS (1000 * 1000 * 1000ull)

static const uint32_t units[] = {WIRE_EBD_P_SMALL, WIRE_EBD_P_PAGE, WIRE_EBD_P_LARGE};

struct world *
world_create(void)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	w->mode = SIM_MODES;
	return w;
}

void
world_destroy(struct world *w)
{
	unsigned i;

	for (i = 0; i < SIM_MAX_INI; i++)
		ini_free(&w->ini[i]);
	tgt_free(&w->tgt);
	oracle_free(&w->oracle);
	disk_free(&w->disk);
	net_free_all(&w->net);
	clock_free(&w->clock);
	free(w->trace.ring);
	free(w);
}

/* ---- Parameters ---- */

void
conf_plain(struct sim_conf *c, uint64_t seed)
{
	*c = (struct sim_conf){
		.seed = seed,
		.nb_ini = 1,
		.nb_clients = 1,
		.sectors = 512,
		.block = SIM_SECTOR,
		.hot_blocks = 512,
		.p_tgt = WIRE_EBD_P_SMALL,
		.p_ini = WIRE_EBD_P_SMALL,
		.path_len = UINT32_MAX,
		.nic_queue = SIM_NIC_QUEUE,
		.port_queue_ns = UINT64_MAX,
		.ps_per_byte = 800,
		.delay_ns = 10 * 1000,
		.disk_ns = 10 * 1000,
		.nb_bufs = 64,
		.max_sessions = SIM_MAX_SESSIONS,
		.lease_ns = 30 * XFER_NSEC_PER_SEC,
		.crc = true,
		.depth = 16,
		.credits = 64,
		.grant_frames = 256,
		.rto_min_ns = 2 * 1000 * 1000,
		.rx_frames = 256,
		.users_depth = 16,
		.read_percent = 50,
		.max_len = WIRE_EBD_MAX_QUANTUM,
	};
}

static void
draw_links(struct sim_conf *c, struct rng *r, const struct sim_faults *f)
{
	c->p_tgt = units[rng_below(r, 3)];
	c->p_ini = units[rng_below(r, 3)];
	c->path_len = WIRE_EBD_HDR_LEN +
		      (sim_fault_on(f, SIM_F_smallpath) ? units[rng_below(r, 2)] : units[2]);
	c->frame_align = rng_below(r, 2) ? 0 : rng_below(r, 64);
	c->nic_queue = (uint32_t)rng_log(r, 2, SIM_NIC_QUEUE);
	c->ps_per_byte = (uint32_t)rng_log(r, 80, 8000);
	c->port_queue_ns = rng_log(r, 2, 64) * 1500 * c->ps_per_byte / 1000;
	if (!sim_fault_on(f, SIM_F_queue))
		c->port_queue_ns = UINT64_MAX;
	c->delay_ns = rng_log(r, 500, 100 * 1000);
	c->jitter_ns = rng_below(r, 2) ? 0 : c->delay_ns / 4;
	c->reorder_ns = (1 + rng_below(r, 10)) * (2 * c->delay_ns + 10 * 1000);
	c->crc = rng_below(r, 2) || sim_fault_on(f, SIM_F_corrupt);
}

static void
draw_nodes(struct sim_conf *c, struct rng *r, const struct sim_faults *f)
{
	static const uint32_t third[] = {0, 200000, RNG_PPM};

	c->nb_clients = 1 + rng_below(r, 4);
	c->nb_ini = c->nb_clients + (rng_below(r, 4) == 0);
	c->poll_ns = rng_below(r, 2) ? 0 : rng_log(r, 100, 20 * 1000);
	c->slop_ns = rng_below(r, 2) ? 0 : rng_log(r, 1000, 1000 * 1000);
	c->sectors = 256u << rng_below(r, 4);
	c->block = rng_below(r, 4) == 0 ? 4096 : SIM_SECTOR;
	c->hot_blocks = (uint32_t)rng_log(r, 4, MPN_MIN(64u, c->sectors * SIM_SECTOR / c->block));
	c->disk_ns = rng_log(r, 1000, 500 * 1000);
	c->disk_sync_ppm = third[rng_below(r, 3)];
	c->nb_bufs = (uint32_t)rng_log(r, 2, SIM_MAX_BUFS);
	c->max_sessions = rng_below(r, 2) ? c->nb_ini : SIM_MAX_SESSIONS;
	/* Longer than the initiators' keepalive, shorter than some of them are away. */
	c->lease_ns = rng_log(r, 5 * XFER_NSEC_PER_SEC / 2, 30 * XFER_NSEC_PER_SEC);
	c->wrap = sim_fault_on(f, SIM_F_wrap);
	c->depth = (uint16_t)rng_log(r, 1, 64);
	c->credits = (uint32_t)rng_log(r, 8, 512);
	c->grant_frames = (uint32_t)rng_log(r, 16, 256);
	c->rto_min_ns = (rng_below(r, 2) ? 2 : 20) * 1000 * 1000;
	c->rx_frames = (uint32_t)rng_log(r, 64, 512);
	c->fail_after_ns = rng_log(r, 200 * 1000 * 1000ull, 5 * XFER_NSEC_PER_SEC);
	if (!sim_fault_on(f, SIM_F_timeout))
		c->fail_after_ns = 0;
	c->users_depth = (uint32_t)rng_log(r, 1, 48);
	c->think_ns = rng_below(r, 2) ? 0 : rng_log(r, 1000, 1000 * 1000);
	c->direct_ppm = third[rng_below(r, 3)];
	c->read_percent = 20 + rng_below(r, 61);
	c->max_len = (uint32_t)rng_log(r, 4096, WIRE_EBD_MAX_QUANTUM);
}

static void
draw_mode(struct sim_conf *c, struct rng *r, uint8_t mode)
{
	c->mode = (uint8_t)rng_below(r, SIM_MODES);
	if (mode < SIM_MODES)
		c->mode = mode;
	c->ring_eager = rng_below(r, 2);
	c->ring_pairs = (uint32_t)rng_log(r, 2, SIM_RING_PAIRS);
	c->loan_frames = (uint32_t)rng_log(r, 8, 512);
	if (c->mode == SIM_MODE_copy || c->mode == SIM_MODE_loan) {
		c->ring_pairs = 0;
		return;
	}
	/* Fragments that share blocks are not received in place. */
	c->p_tgt = units[1 + rng_below(r, 2)];
	c->p_ini = units[1 + rng_below(r, 2)];
}

void
conf_draw(struct sim_conf *c, uint64_t seed, const struct sim_faults *f, uint8_t mode)
{
	struct rng r;

	rng_seed(&r, seed, STREAM_CONF);
	memset(c, 0, sizeof(*c));
	c->seed = seed;
	draw_links(c, &r, f);
	draw_nodes(c, &r, f);
	rng_seed(&r, seed, STREAM_MODE);
	draw_mode(c, &r, mode);
}

/* ---- Running ---- */

void
world_reset(struct world *w, uint32_t fault_mask)
{
	uint8_t node;

	w->nb_ini = w->conf.nb_ini;
	sim_faults_init(&w->faults, w->conf.seed, fault_mask);
	clock_reset(&w->clock, START_NS);
	w->trace.hash = w->conf.seed;
	w->trace.count = 0;
	w->events = 0;
	w->heal_ns = 0;
	memset(&w->failure, 0, sizeof(w->failure));
	memset(&w->dead, 0, sizeof(w->dead));
	memset(&w->placing, 0, sizeof(w->placing));
	memset(&w->lending, 0, sizeof(w->lending));
	memset(w->deaths, 0, sizeof(w->deaths));
	net_reset(w);
	oracle_reset(w);
	disk_reset(w);
	for (node = 0; node <= w->nb_ini; node++)
		node_reset(w, node);
	tgt_reset(w);
	for (node = 0; node < w->nb_ini; node++)
		ini_reset(w, node);
	load_reset(w, 0);
}

bool
world_run(struct world *w, bool (*done)(struct world *w), uint64_t until_ns)
{
	struct sim_event ev;

	while (!w->failure.failed) {
		if (done != NULL && done(w))
			return true;
		if (w->clock.n == 0 || w->clock.heap[0].at > until_ns) {
			w->clock.now = until_ns;
			return false;
		}
		(void)clock_next(&w->clock, &ev);
		w->events++;
		ev.fn(w, ev.arg, ev.aux);
	}
	return false;
}

void
world_run_for(struct world *w, uint64_t ns)
{
	(void)world_run(w, NULL, w->clock.now + ns);
}

/* ---- Counters ---- */

void
world_add_stats(struct xfer_stats *to, const struct xfer_stats *from)
{
	unsigned i;

#define X(name, text) to->name += from->name;
	XFER_COUNTER_LIST(X)
#undef X
	for (i = 0; i < WIRE_DROP_COUNT; i++)
		to->drops[i] += from->drops[i];
}

void
world_stats(const struct world *w, struct xfer_stats *sum)
{
	unsigned i;

	*sum = w->dead;
	if (w->node[SIM_TGT].up)
		world_add_stats(sum, xfer_tgt_stats(w->tgt.eng));
	for (i = 0; i < w->nb_ini; i++) {
		if (w->node[w->ini[i].node].up)
			world_add_stats(sum, xfer_ini_stats(w->ini[i].eng));
	}
}
