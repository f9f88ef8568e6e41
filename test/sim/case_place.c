/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Reads in place, when nothing goes wrong but that room is short. */

#include "cases.h"

#define READS 4000

static bool
is_load_over(struct world *w)
{
	return w->load.retired >= w->load.total;
}

static void
run_reads(struct world *w, uint32_t pairs, uint32_t depth, uint32_t max_len)
{
	conf_plain(&w->conf, 9);
	case_set_mode(&w->conf, SIM_MODE_in_place, pairs);
	w->conf.block = WIRE_EBD_P_PAGE;
	w->conf.sectors = 512;
	w->conf.hot_blocks = 64;
	w->conf.depth = 64;
	w->conf.users_depth = depth;
	w->conf.read_percent = 100;
	w->conf.max_len = max_len;
	w->conf.poll_ns = 2000;
	w->conf.disk_sync_ppm = RNG_PPM; /* it answers in order */
	case_open(w);
	load_reset(w, READS);
	load_fill(w, &w->ini[0]);
	if (!world_run(w, is_load_over, w->clock.now + 60 * XFER_NSEC_PER_SEC))
		sim_fail(w, CR_liveness, "%u of %u commands ended", w->load.retired, w->load.total);
	CASE_CHECK(w, w->load.by_status[0] == READS);
	/* PROBEs may be under way. */
	world_run_for(w, XFER_NSEC_PER_SEC / 10);
	placing_check(&w->ini[0]);
}

void
case_in_place(struct world *w)
{
	static const uint32_t depths[] = {8, 16, 48};
	const struct xfer_place_stats *s;
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(depths) && !w->failure.failed; i++) {
		run_reads(w, 8, depths[i], WIRE_EBD_P_PAGE);
		s = xfer_place_stats(w->ini[0].placer);
		CASE_CHECK(w, s->in_place > 20 * s->copied);
		CASE_CHECK(w, s->bounced == 0 && s->probes == 0 && s->recalls == 0);
	}
}

void
case_small_ring(struct world *w)
{
	uint32_t pairs;

	for (pairs = 1; pairs <= 8 && !w->failure.failed; pairs++) {
		run_reads(w, pairs, 48, 4 * WIRE_EBD_P_PAGE);
		CASE_CHECK(w, xfer_place_stats(w->ini[0].placer)->waits > 0);
		CASE_CHECK(w, xfer_place_stats(w->ini[0].placer)->recalls == 0);
	}
}
