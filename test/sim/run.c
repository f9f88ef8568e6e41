/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* One seed: a phase with faults, for safety; then none, for liveness; then the books are checked. */

#include "world.h"

#define MSEC (1000 * 1000ull)
#define SAFETY_NS (120 * XFER_NSEC_PER_SEC) /* of virtual time, for the phase with faults */
#define LIVENESS_NS (5 * XFER_NSEC_PER_SEC) /* from the healing to the end of the last command */
#define STALE_NS (62 * XFER_NSEC_PER_SEC)
#define FINAL_NS (20 * XFER_NSEC_PER_SEC)

/* ---- Conditions ---- */

static bool
is_idle(struct world *w)
{
	unsigned i;

	for (i = 0; i < w->nb_ini; i++) {
		if (w->ini[i].nb_live > 0)
			return false;
	}
	return true;
}

static bool
is_load_over(struct world *w)
{
	return w->load.retired >= w->load.total;
}

static bool
is_all_live(struct world *w)
{
	unsigned i;

	for (i = 0; i < w->nb_ini; i++) {
		if (w->ini[i].nb_live > 0 || xfer_ini_get_state(w->ini[i].eng) != XFER_INI_LIVE)
			return false;
	}
	return true;
}

static bool
is_all_closed(struct world *w)
{
	unsigned i;

	for (i = 0; i < w->nb_ini; i++) {
		if (w->ini[i].nb_live > 0 || w->ini[i].closing)
			return false;
	}
	return xfer_tgt_outstanding(w->tgt.eng) == 0;
}

static bool
has_no_stale(struct world *w)
{
	return w->net.nb_stale == 0;
}

/* ---- Phases ---- */

static void
run_safety(struct world *w)
{
	struct rng r;
	uint8_t node;

	trace_event(&w->trace, w->clock.now, TR_MODE, 0, w->conf.mode, w->conf.ring_pairs, 0);
	trace_event(&w->trace, w->clock.now, TR_PHASE, 0, 1, 0, 0);
	rng_seed(&r, w->conf.seed, 8);
	for (node = 0; node <= w->nb_ini; node++)
		node_start_later(w, node, rng_below(&r, 10 * MSEC));
	(void)world_run(w, is_load_over, w->clock.now + SAFETY_NS);
	w->load.running = false;
}

void
run_liveness(struct world *w)
{
	uint64_t start = w->clock.now;
	unsigned i;

	trace_event(&w->trace, w->clock.now, TR_PHASE, 0, 2, 0, 0);
	chaos_heal(w);
	if (!world_run(w, is_all_live, start + LIVENESS_NS) && !w->failure.failed) {
		for (i = 0; i < w->nb_ini && w->ini[i].nb_live == 0 &&
			    xfer_ini_get_state(w->ini[i].eng) == XFER_INI_LIVE;
			i++)
			;
		sim_fail(w, CR_liveness,
			"initiator %u is %s with %u commands outstanding %llu s "
			"after the network healed",
			i, xfer_ini_state_name(xfer_ini_get_state(w->ini[i].eng)),
			w->ini[i].nb_live, LIVENESS_NS / XFER_NSEC_PER_SEC);
	}
	w->heal_ns = w->clock.now - start;
	/* Late copies of old frames keep arriving for a minute. */
	(void)world_run(w, has_no_stale, w->clock.now + STALE_NS);
}

static bool
submit_final(struct world *w, struct sim_ini *ini, uint8_t op, uint32_t sector, uint32_t n)
{
	struct sim_cmd *c = ini_cmd(ini);

	memset(&c->cmd, 0, sizeof(c->cmd));
	c->cmd.op = op;
	c->cmd.addr = (uint64_t)sector * SIM_SECTOR;
	c->cmd.len = n * SIM_SECTOR;
	if (ini_submit(w, c) != 0) {
		sim_fail(w, CR_liveness, "the final %s is refused", wire_op_name(WIRE_CMD, op));
		return false;
	}
	node_after(w, ini->node);
	if (!world_run(w, is_idle, w->clock.now + FINAL_NS) && !w->failure.failed)
		sim_fail(w, CR_liveness, "the final %s does not end", wire_op_name(WIRE_CMD, op));
	return !w->failure.failed;
}

/* Read everything once more, by each initiator in turn. */
static void
read_all(struct world *w)
{
	uint32_t sector, n, step;
	struct sim_ini *ini;
	unsigned i = 0;

	for (sector = 0; sector < w->conf.sectors; sector += n) {
		ini = &w->ini[i++ % w->nb_ini];
		step = xfer_ini_quantum(ini->eng) / SIM_SECTOR;
		n = MPN_MIN(step, w->conf.sectors - sector);
		if (!submit_final(w, ini, WIRE_READ, sector, n))
			return;
	}
}

static void
check_books(struct world *w)
{
	struct xfer_session_info info;
	uint32_t i;

	if (xfer_tgt_outstanding(w->tgt.eng) != 0)
		sim_fail(w, CR_resources, "the target has %u commands left",
			xfer_tgt_outstanding(w->tgt.eng));
	if (xfer_tgt_session_info(w->tgt.eng, 0, node_now(w, SIM_TGT), &info) == 0)
		sim_fail(w, CR_resources, "the target has session %08x left", info.sid);
	if (w->tgt.nb_bufs_out != 0)
		sim_fail(w, CR_resources, "the target has %u buffers left", w->tgt.nb_bufs_out);
	if (disk_in_flight(&w->disk) != 0)
		sim_fail(
			w, CR_resources, "the disk has %u requests left", disk_in_flight(&w->disk));
	for (i = 0; i < w->nb_ini; i++) {
		if (xfer_ini_outstanding(w->ini[i].eng) != 0)
			sim_fail(w, CR_resources, "initiator %u has %u commands left", i,
				xfer_ini_outstanding(w->ini[i].eng));
		if (!mem_is_intact(&w->ini[i].mem))
			sim_fail(w, CR_contract, "initiator %u wrote behind its memory", i);
		placing_check(&w->ini[i]);
		lending_check(&w->ini[i]);
		ini_check_seals(&w->ini[i]);
	}
	if (!mem_is_intact(&w->tgt.mem))
		sim_fail(w, CR_contract, "the target wrote behind its memory");
	if (w->net.nb_out != 0)
		sim_fail(
			w, CR_resources, "%llu frames are left", (unsigned long long)w->net.nb_out);
}

void
run_final_check(struct world *w)
{
	unsigned i;

	if (w->failure.failed)
		return;
	trace_event(&w->trace, w->clock.now, TR_PHASE, 0, 3, 0, 0);
	read_all(w);
	if (w->failure.failed || !submit_final(w, &w->ini[0], WIRE_FLUSH, 0, 0))
		return;
	for (i = 0; i < w->nb_ini; i++) {
		w->ini[i].wants_open = false;
		ini_close(w, &w->ini[i]);
		node_after(w, w->ini[i].node);
	}
	if (!world_run(w, is_all_closed, w->clock.now + FINAL_NS))
		sim_fail(w, CR_liveness, "the sessions do not close");
	world_run_for(w, XFER_NSEC_PER_SEC);
	if (!w->failure.failed)
		check_books(w);
}

void
sim_run(struct world *w, uint64_t seed, uint32_t ops, uint32_t fault_mask, const uint64_t *skip,
	uint32_t skip_bits, struct sim_result *result)
{
	struct sim_faults drawn;
	uint64_t start;
	unsigned i;

	sim_faults_init(&drawn, seed, fault_mask);
	conf_draw(&w->conf, seed, &drawn, w->mode);
	world_reset(w, fault_mask);
	w->faults.skip = skip;
	w->faults.skip_bits = skip_bits;
	load_reset(w, ops);
	w->faults.hits[SIM_F_timeout] = sim_fault_on(&drawn, SIM_F_timeout);
	w->faults.hits[SIM_F_wrap] = sim_fault_on(&drawn, SIM_F_wrap);
	start = w->clock.now;
	run_safety(w);
	if (!w->failure.failed)
		run_liveness(w);
	run_final_check(w);
	*result = (struct sim_result){
		.failed = w->failure.failed,
		.failure = w->failure,
		.hash = w->trace.hash,
		.events = w->events,
		.ops = w->load.submitted,
		.strikes = w->faults.fired,
		.faults = w->faults.on,
		.virtual_ns = w->clock.now - start,
		.heal_ns = w->heal_ns,
		.slowest_ns = w->load.slowest_ns,
		.checks = w->oracle.checks,
	};
	memcpy(result->hits, w->faults.hits, sizeof(result->hits));
	memcpy(result->outcomes, w->load.by_status, sizeof(result->outcomes));
	world_stats(w, &result->stats);
	for (i = 0; i < w->nb_ini; i++)
		placing_end(&w->ini[i]);
	result->placing = w->placing;
	result->lending = w->lending;
}
