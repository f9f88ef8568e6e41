/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The case that everyone gets wrong. A copy of write A is held up in the network; A is sent again and
 * answered; write B to the same block is answered; then the old copy of A arrives. The block stays B.
 */

#include "cases.h"

#define BLOCK 7
#define MAX_HELD 64
#define MSEC (1000 * 1000ull)
#define GENERATIONS 65536u

/* The frames of the first transmission of a write. */
struct held {
	struct sim_frame *frames[MAX_HELD];
	unsigned n;
	bool on;
	uint64_t seen; /* offsets of DATA, by fragment; bit 63: the CMD */
};

static enum sim_verdict
hold_first(struct world *w, struct sim_frame *f, void *ctx)
{
	struct held *held = ctx;
	struct wire_ebd h;
	uint64_t bit;

	wire_ebd_load(&h, f->data);
	if (!held->on || f->from == SIM_TGT || h.op != WIRE_WRITE ||
		(wire_ebd_kind(&h) != WIRE_CMD && wire_ebd_kind(&h) != WIRE_DATA))
		return SIM_PASS;
	bit = wire_ebd_kind(&h) == WIRE_CMD ? 1ull << 63 : 1ull << h.off / WIRE_EBD_P_SMALL;
	if (held->seen & bit || held->n == MAX_HELD)
		return SIM_PASS;
	held->seen |= bit;
	held->frames[held->n++] = net_copy(w, f);
	return SIM_HOLD;
}

static void
release_held(struct world *w, struct held *held)
{
	unsigned i;

	for (i = 0; i < held->n; i++)
		net_inject(w, held->frames[i], SIM_TGT, (i + 1) * 1000);
	world_run_for(w, 100 * MSEC);
}

static uint32_t
value_of(const struct world *w)
{
	return w->disk.now[BLOCK];
}

static bool
is_live(struct world *w)
{
	return w->ini[0].opened > 0 && xfer_ini_get_state(w->ini[0].eng) == XFER_INI_LIVE;
}

static void
restart(struct world *w, uint8_t node)
{
	node_kill(w, node);
	world_run_for(w, 10 * MSEC);
	node_start(w, node);
	/* A target that was started again is found out when something is asked of it. */
	if (node == SIM_TGT)
		case_io(w, 0, WIRE_FLUSH, 0, 0);
	if (!world_run(w, is_live, w->clock.now + 10 * XFER_NSEC_PER_SEC))
		sim_fail(w, CR_liveness, "the session does not open again");
}

struct variant {
	uint32_t sectors; /* of the writes */
	bool unanswered; /* the initiator dies before A is answered */
	bool restart_tgt;
	bool restart_ini;
	uint32_t between; /* commands between A and B */
};

static void
run_variant(struct world *w, const struct variant *v)
{
	struct held held = {.on = true};
	struct sim_cmd *a, *b;
	uint32_t i, id_b;

	conf_plain(&w->conf, 2);
	w->conf.depth = 1; /* B has the slot that A had */
	case_open(w);
	w->net.filter = hold_first;
	w->net.filter_ctx = &held;
	a = case_submit(w, 0, WIRE_WRITE, BLOCK, v->sectors);
	if (v->unanswered)
		world_run_for(w, MSEC / 20);
	else if (case_wait(w, XFER_NSEC_PER_SEC))
		CASE_CHECK(w, a->status == 0 && value_of(w) == a->op);
	CASE_CHECK(w, held.n > 0);
	held.on = false;
	if (v->restart_tgt)
		restart(w, SIM_TGT);
	if (v->restart_ini || v->unanswered)
		restart(w, w->ini[0].node);
	for (i = 0; i < v->between && !w->failure.failed; i++)
		case_io(w, 0, WIRE_FLUSH, 0, 0);
	if (w->failure.failed)
		return;
	b = case_submit(w, 0, WIRE_WRITE, BLOCK, v->sectors);
	id_b = b->op;
	if (case_wait(w, XFER_NSEC_PER_SEC))
		CASE_CHECK(w, b->status == 0 && value_of(w) == id_b);
	release_held(w, &held);
	CASE_CHECK(w, value_of(w) == id_b);
	case_io(w, 0, WIRE_READ, BLOCK, v->sectors);
}

void
case_late_copy(struct world *w)
{
	run_variant(w, &(struct variant){.sectors = 1});
}

void
case_late_copy_grant(struct world *w)
{
	run_variant(w, &(struct variant){.sectors = 32});
}

void
case_late_copy_unanswered(struct world *w)
{
	run_variant(w, &(struct variant){.sectors = 1, .unanswered = true});
}

void
case_late_copy_tgt(struct world *w)
{
	run_variant(w, &(struct variant){.sectors = 1, .restart_tgt = true});
	if (!w->failure.failed)
		run_variant(w, &(struct variant){.sectors = 32, .restart_tgt = true});
}

void
case_late_copy_ini(struct world *w)
{
	run_variant(w, &(struct variant){.sectors = 1, .restart_ini = true});
	if (!w->failure.failed)
		run_variant(w, &(struct variant){.sectors = 32, .restart_ini = true});
}

void
case_late_copy_both(struct world *w)
{
	run_variant(w, &(struct variant){.sectors = 1, .restart_ini = true, .restart_tgt = true});
	if (!w->failure.failed)
		run_variant(w,
			&(struct variant){.sectors = 1, .unanswered = true, .restart_tgt = true});
}

void
case_late_copy_wrap(struct world *w)
{
	run_variant(w, &(struct variant){.sectors = 1, .between = GENERATIONS - 1});
}

/* ---- Another start of the same client ---- */

static bool
is_second_live(struct world *w)
{
	return w->ini[1].opened > 0;
}

void
case_takeover(struct world *w)
{
	struct sim_cmd *old[2], *new;
	unsigned i;

	conf_plain(&w->conf, 3);
	w->conf.nb_ini = 2;
	w->conf.takeover = true;
	world_reset(w, 0);
	node_start(w, SIM_TGT);
	node_start(w, 1);
	if (!world_run(w, is_live, w->clock.now + XFER_NSEC_PER_SEC))
		sim_fail(w, CR_liveness, "the first session does not open");
	if (w->failure.failed)
		return;
	/* One command is under way when the client is suspended, another one is submitted then. */
	old[0] = case_submit(w, 0, WIRE_WRITE, BLOCK, 32);
	world_run_for(w, MSEC / 50);
	node_hang(w, 1, 3 * XFER_NSEC_PER_SEC);
	old[1] = case_submit(w, 0, WIRE_WRITE, BLOCK, 1);
	node_start(w, 2);
	if (!world_run(w, is_second_live, w->clock.now + XFER_NSEC_PER_SEC))
		sim_fail(w, CR_liveness, "the second session does not open");
	new = case_submit(w, 1, WIRE_WRITE, BLOCK, 32);
	world_run_for(w, 5 * XFER_NSEC_PER_SEC);
	CASE_CHECK(w, new->status == 0 && value_of(w) == new->op);
	for (i = 0; i < 2; i++)
		CASE_CHECK(w, !old[i]->live && old[i]->status == -ESTALE);
	CASE_CHECK(w, xfer_ini_get_state(w->ini[0].eng) == XFER_INI_IDLE);
	CASE_CHECK(w, xfer_ini_get_state(w->ini[1].eng) == XFER_INI_LIVE);
	CASE_CHECK(w, w->ini[1].opened == 1);
	case_io(w, 1, WIRE_READ, BLOCK, 32);
}
