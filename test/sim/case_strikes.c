/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Exhaustive: what can happen to the frames of a short exchange, one by one and two by two. */

#include "cases.h"

#define MASK_FRAMES 12
#define EXCHANGE 64
#define LIMIT_NS (30 * XFER_NSEC_PER_SEC)

enum strike { STRIKE_DROP, STRIKE_DUP, STRIKE_SWAP, STRIKE_KINDS };

struct plan {
	enum sim_mode mode; /* others than copy with larger, hence fewer frames */
	uint32_t sent; /* frames so far */
	uint32_t drop_mask; /* of the first ones */
	struct {
		uint32_t at; /* UINT32_MAX: never */
		enum strike kind;
	} strike[2];
	struct sim_frame *swapped; /* to arrive after the next one */
	uint8_t swapped_to;
};

static enum sim_verdict
apply_strike(struct world *w, struct plan *p, struct sim_frame *f, enum strike kind)
{
	if (kind == STRIKE_DROP)
		return SIM_DROP;
	if (kind == STRIKE_DUP)
		return SIM_DUP;
	if (f->to == SIM_ALL || p->swapped != NULL)
		return SIM_PASS;
	p->swapped = net_copy(w, f);
	p->swapped_to = f->to;
	return SIM_HOLD;
}

static enum sim_verdict
filter(struct world *w, struct sim_frame *f, void *ctx)
{
	struct plan *p = ctx;
	uint32_t n = p->sent++;
	unsigned i;

	if (p->swapped != NULL) {
		/* One frame takes at most this long through NIC and switch. */
		net_inject(w, p->swapped, p->swapped_to, 2 * w->conf.delay_ns);
		p->swapped = NULL;
	}
	if (n < MASK_FRAMES && p->drop_mask >> n & 1)
		return SIM_DROP;
	for (i = 0; i < 2; i++) {
		if (p->strike[i].at == n)
			return apply_strike(w, p, f, p->strike[i].kind);
	}
	return SIM_PASS;
}

static void
start(struct world *w, struct plan *p)
{
	conf_plain(&w->conf, 4);
	w->conf.sectors = 64;
	if (p->mode != SIM_MODE_copy)
		case_set_mode(&w->conf, p->mode, 4);
	w->conf.disk_sync_ppm = RNG_PPM;
	world_reset(w, 0);
	w->net.filter = filter;
	w->net.filter_ctx = p;
	node_start(w, SIM_TGT);
	node_start(w, 1);
}

static bool
is_open(struct world *w)
{
	return w->ini[0].opened > 0;
}

static void
end(struct world *w, struct plan *p)
{
	if (p->swapped != NULL)
		net_put(w, p->swapped);
	p->swapped = NULL;
}

/* Open, write, read, flush: all must succeed, whichever of the first frames are lost. */
static bool
run_mask(struct world *w, enum sim_mode mode, uint32_t mask)
{
	struct plan p = {
		.mode = mode, .drop_mask = mask, .strike = {{UINT32_MAX, 0}, {UINT32_MAX, 0}}};

	start(w, &p);
	if (!world_run(w, is_open, w->clock.now + LIMIT_NS))
		sim_fail(w, CR_liveness, "mask %03x: the session does not open", mask);
	case_io(w, 0, WIRE_WRITE, 1, 4);
	case_io(w, 0, WIRE_READ, 0, 6);
	case_io(w, 0, WIRE_FLUSH, 0, 0);
	end(w, &p);
	CASE_CHECK(w, p.sent >= MASK_FRAMES || mode != SIM_MODE_copy);
	return !w->failure.failed;
}

void
case_drop_masks(struct world *w)
{
	unsigned mode;
	uint32_t mask;

	for (mode = 0; mode < SIM_MODE_mixed; mode++) {
		for (mask = 0; mask < 1u << MASK_FRAMES; mask++) {
			if (!run_mask(w, (enum sim_mode)mode, mask)) {
				printf("  with the mask %03x, %s\n", mask, sim_mode_names[mode]);
				return;
			}
		}
	}
}

static void
run_exchange(struct world *w, struct plan *p)
{
	start(w, p);
	if (!world_run(w, is_open, w->clock.now + LIMIT_NS))
		sim_fail(w, CR_liveness, "the session does not open");
	if (w->failure.failed)
		return;
	/* Overlapping and not, with data in the command, granted, and none. */
	case_submit(w, 0, WIRE_WRITE, 0, 2);
	case_submit(w, 0, WIRE_WRITE, 1, 24);
	case_submit(w, 0, WIRE_READ, 30, 24);
	case_submit(w, 0, WIRE_WRITE_ZEROES, 8, 8);
	case_wait(w, LIMIT_NS);
	case_submit(w, 0, WIRE_READ, 0, 28);
	case_submit(w, 0, WIRE_FLUSH, 0, 0);
	case_submit(w, 0, WIRE_WRITE, 40, 8);
	case_wait(w, LIMIT_NS);
	case_io(w, 0, WIRE_READ, 36, 24);
	end(w, p);
	CASE_CHECK(w, p->sent >= EXCHANGE || p->mode != SIM_MODE_copy);
}

static bool
run_strikes(struct world *w, enum sim_mode mode, uint32_t at1, enum strike k1, uint32_t at2,
	enum strike k2)
{
	static const char *const names[] = {"drop", "dup", "swap"};
	struct plan p = {.mode = mode, .strike = {{at1, k1}, {at2, k2}}};

	run_exchange(w, &p);
	if (!w->failure.failed)
		return true;
	printf("  with %s %u", names[k1], at1);
	if (at2 != UINT32_MAX)
		printf(" and %s %u", names[k2], at2);
	printf(", %s\n", sim_mode_names[mode]);
	return false;
}

void
case_single_strikes(struct world *w)
{
	unsigned mode;
	uint32_t at;
	int k;

	for (mode = 0; mode < SIM_MODE_mixed; mode++) {
		for (at = 0; at < EXCHANGE; at++) {
			for (k = 0; k < STRIKE_KINDS; k++) {
				if (!run_strikes(w, (enum sim_mode)mode, at, (enum strike)k,
					    UINT32_MAX, STRIKE_DROP))
					return;
			}
		}
	}
}

static bool
strike_twice(struct world *w, enum sim_mode mode, uint32_t a)
{
	uint32_t b;
	int k;

	for (b = a + 1; b < EXCHANGE; b++) {
		for (k = 0; k < STRIKE_KINDS * STRIKE_KINDS; k++) {
			if (!run_strikes(w, mode, a, (enum strike)(k % STRIKE_KINDS), b,
				    (enum strike)(k / STRIKE_KINDS)))
				return false;
		}
	}
	return true;
}

void
case_double_strikes(struct world *w)
{
	uint32_t a;

	for (a = 0; a < EXCHANGE; a++) {
		if (!strike_twice(w, SIM_MODE_copy, a) || !strike_twice(w, SIM_MODE_in_place, a))
			return;
	}
}
