/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "world.h"

#define MSEC (1000 * 1000ull)
#define HOLD_MAX_NS (300 * MSEC)

static uint8_t *
data_of(const struct sim_frame *f)
{
	return f->data + WIRE_EBD_HDR_LEN;
}

static uint32_t
frag_len(const struct sim_frame *f)
{
	return f->len - WIRE_EBD_HDR_LEN;
}

/* ---- Frames ---- */

static void *
take(void *ctx, const void *payload)
{
	struct sim_ini *ini = ctx;
	struct sim_frame *f = ini->rx;

	/* Few pages are for the queue of bulk data: they must not be kept. */
	if (f->nb_pieces > 0 || f->kept || payload != data_of(f))
		return NULL;
	f->kept = true;
	ini->lender.kept++;
	return f;
}

/* Frames whose memory is aligned are a node's own, others may be somebody else's memory. */
static bool
is_own(const struct world *w, const struct sim_frame *f)
{
	return f->own || w->conf.frame_align == 0;
}

static void *
own(void *ctx, void *old, uint32_t len)
{
	struct sim_ini *ini = ctx;
	struct sim_frame *from = old, *f;

	if (from != NULL && is_own(ini->w, from))
		return from;
	if (sim_fault_strikes(&ini->w->faults, SIM_F_nobuf)) {
		ini->w->lending.failed++;
		return NULL;
	}
	f = net_alloc(ini->w);
	f->kept = true;
	f->own = true;
	f->len = WIRE_EBD_HDR_LEN + len;
	if (from != NULL)
		memcpy(data_of(f), data_of(from), len);
	ini->lender.kept++;
	return f;
}

static void
put(void *ctx, void *frame, uint32_t at, const void *payload, uint32_t len)
{
	struct sim_ini *ini = ctx;
	struct sim_frame *f = frame;

	if (at > frag_len(f) || len > frag_len(f) - at) {
		sim_fail(ini->w, CR_contract, "%u bytes are put at %u of a frame of %u", len, at,
			frag_len(f));
		return;
	}
	ini->w->lending.copied++;
	memcpy(data_of(f) + at, payload, len);
}

static void
free_frame(void *ctx, void *frame)
{
	struct sim_ini *ini = ctx;

	ini->lender.kept--;
	net_put(ini->w, frame);
}

static const struct xfer_loan_ops loan_ops = {
	.take = take,
	.own = own,
	.put = put,
	.free = free_frame,
};

/* ---- Users ---- */

static uint64_t
seal_of(const struct sim_loan *l)
{
	uint64_t sum = l->nb, word;
	uint32_t i, at;

	for (i = 0; i < l->nb; i++) {
		const struct sim_frame *f = l->frames[i];

		for (at = 0; at + sizeof(word) <= frag_len(f); at += 64) {
			memcpy(&word, data_of(f) + at, sizeof(word));
			sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
		}
	}
	return sum;
}

static void
give_back(struct sim_ini *ini, struct sim_loan *l)
{
	if (seal_of(l) != l->seal)
		sim_fail(ini->w, CR_corruption, "what #%u was lent has changed", l->op);
	while (l->nb > 0)
		free_frame(ini, l->frames[--l->nb]);
	ini->lender.reserved -= l->reserved;
}

static void
put_event(struct world *w, void *arg, uint64_t aux)
{
	struct sim_ini *ini = arg;
	uint32_t incarnation = (uint32_t)(aux >> 16);

	if (w->node[ini->node].up && w->node[ini->node].incarnation == incarnation)
		give_back(ini, &ini->lender.loan[aux & 0xffff]);
}

static struct sim_loan *
free_loan(struct sim_ini *ini)
{
	unsigned i;

	for (i = 0; i < SIM_LOANS; i++) {
		if (ini->lender.loan[i].nb == 0)
			return &ini->lender.loan[i];
	}
	return NULL;
}

/* Most users are done at once, some are not. */
static void
hand_over(struct sim_cmd *c)
{
	struct sim_ini *ini = c->ini;
	struct world *w = ini->w;
	struct sim_loan *l = free_loan(ini);
	uint64_t until = w->clock.now + rng_log(&w->load.ways, 1, HOLD_MAX_NS);

	if (l == NULL) { /* cannot be: fewer are reserved */
		sim_fail(w, CR_resources, "more loans than there are frames");
		return;
	}
	*l = (struct sim_loan){.reserved = c->nb_reserved, .op = c->op};
	while (l->nb < wire_nb_frags(c->cmd.len, xfer_ini_p(ini->eng))) {
		l->frames[l->nb] = c->frames[l->nb];
		l->nb++;
	}
	l->seal = seal_of(l);
	w->lending.loans++;
	w->lending.frames += l->nb;
	clock_at(&w->clock, until, put_event, ini,
		(uint64_t)w->node[ini->node].incarnation << 16 | (uint64_t)(l - ini->lender.loan));
}

/* ---- A command ---- */

void
lending_prepare(struct sim_cmd *c)
{
	struct sim_lender *l = &c->ini->lender;
	uint32_t nb;

	c->nb_reserved = 0;
	if (c->way != SIM_LENT || c->cmd.op != WIRE_READ)
		return;
	nb = wire_nb_frags(c->cmd.len, xfer_ini_p(c->ini->eng));
	if (nb > l->quota - l->reserved) {
		/* As the library does: it is refused, and its user has it copied. */
		c->ini->w->lending.refused++;
		c->way = SIM_COPIED;
		return;
	}
	l->reserved += nb;
	c->nb_reserved = nb;
	xfer_lent_init(&c->lent, c->frames, nb);
}

void
lending_cancel(struct sim_cmd *c)
{
	c->ini->lender.reserved -= c->nb_reserved;
	c->nb_reserved = 0;
}

void
lending_place(struct sim_cmd *c, uint32_t off, const void *payload, uint32_t len)
{
	const struct sim_lender *l = &c->ini->lender;

	xfer_loan_place(
		&loan_ops, c->ini, &c->lent, &c->cmd, xfer_ini_p(c->ini->eng), off, payload, len);
	if (l->kept > l->reserved)
		sim_fail(c->ini->w, CR_resources, "initiator %u keeps %u frames, %u are reserved",
			c->ini->index, l->kept, l->reserved);
}

int
lending_end(struct sim_cmd *c, int status)
{
	uint32_t p = xfer_ini_p(c->ini->eng), off;

	status = xfer_loan_end(&loan_ops, c->ini, &c->lent, status);
	if (status != 0) {
		lending_cancel(c);
		return status;
	}
	if (c->lent.kept != wire_frag_mask(wire_nb_frags(c->cmd.len, p)))
		sim_fail(c->ini->w, CR_contract, "#%u is lent the fragments %llx", c->op,
			(unsigned long long)c->lent.kept);
	for (off = 0; off < c->cmd.len && !c->ini->w->failure.failed; off += p) {
		const struct sim_frame *f = c->frames[off / p];

		if (frag_len(f) != MPN_MIN(p, c->cmd.len - off))
			sim_fail(c->ini->w, CR_contract, "#%u is lent %u bytes at %u", c->op,
				frag_len(f), off);
		else
			memcpy(ini_data(c) + off, data_of(f), frag_len(f));
	}
	if (!c->ini->w->failure.failed)
		hand_over(c);
	c->nb_reserved = 0;
	return status;
}

/* ---- Life ---- */

void
lending_start(struct sim_ini *ini)
{
	struct sim_lender *l = &ini->lender;

	memset(l, 0, sizeof(*l));
	l->quota = ini->w->conf.loan_frames;
}

void
lending_died(struct sim_ini *ini)
{
	struct sim_lender *l = &ini->lender;
	unsigned i;

	for (i = 0; i < SIM_MAX_CMDS; i++) {
		struct sim_cmd *c = &ini->cmd[i];

		if (c->live && c->nb_reserved > 0) {
			(void)xfer_loan_end(&loan_ops, ini, &c->lent, -ECANCELED);
			lending_cancel(c);
		}
	}
	for (i = 0; i < SIM_LOANS; i++) {
		if (l->loan[i].nb > 0)
			give_back(ini, &l->loan[i]);
	}
	lending_check(ini);
}

void
lending_check(struct sim_ini *ini)
{
	const struct sim_lender *l = &ini->lender;

	if (l->kept != 0 || l->reserved != 0)
		sim_fail(ini->w, CR_resources,
			"initiator %u has %u frames lent and %u reserved that nobody has",
			ini->index, l->kept, l->reserved);
}
