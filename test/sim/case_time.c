/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Silence, long and short, and how long things take when there is none. */

#include "cases.h"

#define MSEC (1000 * 1000ull)

static bool
is_load_over(struct world *w)
{
	return w->load.retired >= w->load.total;
}

/* Work goes on while the link is up for a while, dark for a while, in turn. */
static void
run_blackouts(struct world *w, uint64_t up_ns, uint64_t dark_ns)
{
	uint64_t limit;
	uint8_t i;

	conf_plain(&w->conf, 5);
	w->conf.users_depth = 4;
	w->conf.think_ns = 20 * MSEC;
	case_open(w);
	load_reset(w, 4000);
	load_fill(w, &w->ini[0]);
	limit = w->clock.now + 600 * XFER_NSEC_PER_SEC;
	while (!w->failure.failed && w->clock.now < limit && !is_load_over(w)) {
		(void)world_run(w, is_load_over, w->clock.now + up_ns);
		for (i = 0; i < 2; i++)
			w->net.mute_until[i] = w->clock.now + dark_ns;
		world_run_for(w, dark_ns);
	}
	if (!w->failure.failed && !is_load_over(w))
		sim_fail(w, CR_liveness, "%u of %u commands ended", w->load.retired, w->load.total);
	CASE_CHECK(w, w->load.by_status[0] == w->load.total);
	CASE_CHECK(w, w->ini[0].opened > 2);
}

void
case_blackout(struct world *w)
{
	run_blackouts(w, 5 * XFER_NSEC_PER_SEC, 2 * XFER_NSEC_PER_SEC);
	if (!w->failure.failed)
		run_blackouts(w, 2 * XFER_NSEC_PER_SEC, 5 * XFER_NSEC_PER_SEC);
}

static bool
is_first_idle(struct world *w)
{
	return xfer_ini_get_state(w->ini[0].eng) == XFER_INI_IDLE;
}

static void
run_silence(struct world *w, enum sim_mode mode)
{
	uint64_t t = 3 * XFER_NSEC_PER_SEC, slack = 2 * XFER_NSEC_PER_SEC, start;
	struct sim_cmd *c[8], *late;
	unsigned i;

	conf_plain(&w->conf, 6);
	case_set_mode(&w->conf, mode, 16);
	w->conf.fail_after_ns = t;
	w->conf.depth = 4; /* some commands wait for a slot */
	case_open(w);
	node_kill(w, SIM_TGT);
	start = w->clock.now;
	for (i = 0; i < 8; i++)
		c[i] = case_submit(w, 0, i % 2 ? WIRE_READ : WIRE_WRITE, i * 8, 8);
	(void)case_wait(w, t + slack);
	for (i = 0; i < 8; i++)
		CASE_CHECK(w, c[i]->status == -ETIMEDOUT);
	CASE_CHECK(w, w->clock.now - start >= t);
	/* One more, submitted into the silence. */
	start = w->clock.now;
	late = case_submit(w, 0, WIRE_FLUSH, 0, 0);
	(void)case_wait(w, t + slack);
	CASE_CHECK(w, late->status == -ETIMEDOUT);
	w->ini[0].wants_open = false;
	ini_close(w, &w->ini[0]);
	node_after(w, w->ini[0].node);
	if (!world_run(w, is_first_idle, w->clock.now + 5 * XFER_NSEC_PER_SEC))
		sim_fail(w, CR_liveness, "close does not end");
	placing_check(&w->ini[0]);
	lending_check(&w->ini[0]);
}

void
case_silent_target(struct world *w)
{
	unsigned mode;

	for (mode = 0; mode < SIM_MODES && !w->failure.failed; mode++)
		run_silence(w, (enum sim_mode)mode);
}

void
case_one_credit(struct world *w)
{
	uint64_t start;
	uint32_t i;

	conf_plain(&w->conf, 7);
	w->conf.credits = 1;
	w->conf.depth = 1;
	case_open(w);
	start = w->clock.now;
	for (i = 0; i < 300 && !w->failure.failed; i++) {
		case_submit(w, 0, WIRE_READ, i, 1);
		case_submit(w, 0, WIRE_WRITE, i, 8);
		case_io(w, 0, WIRE_READ, i, 16);
	}
	/* 900 commands of about 100 us each, one after the other. */
	CASE_CHECK(w, w->clock.now - start < 150 * MSEC);
}

void
case_no_stall(struct world *w)
{
	struct sim_result r;
	uint64_t seed;

	for (seed = 1; seed <= 100; seed++) {
		sim_run(w, seed, 500, 0, NULL, 0, &r);
		if (!r.failed && r.slowest_ns > 100 * MSEC)
			sim_fail(w, CR_liveness, "a command took %llu us in seed %llu",
				(unsigned long long)(r.slowest_ns / 1000),
				(unsigned long long)seed);
		if (w->failure.failed)
			return;
	}
}
