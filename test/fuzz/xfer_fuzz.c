/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Both ends of the transfer protocol with a hostile network between them. The input is a script: which
 * frame to deliver, to change and deliver, to keep back, to deliver a second time; what to submit; when
 * time passes and the back end finishes. Whatever it says: memory outside a command's buffer stays as
 * it was, a command ends once, and nothing is placed for a command that has ended.
 */

#include <string.h>

#include "pair.h"

#define NB_KEPT 16
#define MS (XFER_NSEC_PER_SEC / 1000)

struct script {
	const uint8_t *at;
	const uint8_t *end;
};

struct kept {
	struct pair_frame frames[NB_KEPT];
	bool to_ini[NB_KEPT];
	unsigned next;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t
take(struct script *s)
{
	return s->at < s->end ? *s->at++ : 0;
}

static uint32_t
take32(struct script *s)
{
	uint32_t v = take(s);

	v |= (uint32_t)take(s) << 8;
	v |= (uint32_t)take(s) << 16;
	return v | (uint32_t)take(s) << 24;
}

/* Change a few bytes, mostly of the header; most of the time with a checksum that hides it. */
static void
change(struct script *s, struct pair_frame *f)
{
	unsigned n = take(s) % 4 + 1u;
	struct wire_ebd h;
	uint32_t at;

	while (n-- > 0) {
		at = take(s);
		if (f->len > 0)
			f->bytes[(at < 200 ? at % 50 + 14 : at * 7) % f->len] ^= take(s);
	}
	if (take(s) % 8 == 0)
		f->len = take32(s) % (PAIR_MAX_FRAME + 1u);
	if (f->len >= WIRE_EBD_HDR_LEN && take(s) % 8 != 0) {
		if (take(s) % 4 != 0) {
			h = pair_header(f);
			h.plen = (uint16_t)(f->len - WIRE_EBD_HDR_LEN);
			wire_ebd_store(f->bytes, &h);
		}
		h = pair_header(f);
		pair_set_header(f, &h);
	}
}

static void
deliver(struct pair *p, const struct pair_frame *f, bool to_ini)
{
	if (to_ini)
		pair_to_ini(p, f);
	else
		pair_to_tgt(p, f);
}

static void
check_ended_once(const struct pair *p)
{
	unsigned i;

	for (i = 0; i < PAIR_CMDS; i++) {
		if (p->cmds[i].nb_done > 1)
			abort();
	}
}

/* The large comparison: before a buffer is used again, and at the end. */
static void
check_buffer(const struct pair_cmd *c)
{
	if (c->cmd.done != NULL && c->cmd.op == WIRE_READ)
		pair_check_guards(c);
}

static void
submit(struct pair *p, struct script *s)
{
	static const uint8_t ops[] = {WIRE_READ, WIRE_READ, WIRE_WRITE, WIRE_WRITE, WIRE_FLUSH,
		WIRE_DISCARD, WIRE_WRITE_ZEROES, WIRE_IDENTIFY};
	unsigned i = take(s) % PAIR_CMDS;
	uint8_t op = ops[take(s) % sizeof(ops)];
	uint32_t len = (take(s) % 176 + 1u) * 512;
	struct pair_cmd *c = &p->cmds[i];

	if (c->cmd.done != NULL && c->nb_done == 0)
		return; /* still under way */
	if (xfer_ini_get_state(p->ini) != XFER_INI_LIVE)
		return;
	check_buffer(c);
	if (op == WIRE_IDENTIFY)
		len = sizeof(struct wire_geometry);
	(void)pair_submit(p, i, op, take(s) * 512u, op == WIRE_FLUSH ? 0 : len);
}

static void
step(struct pair *p, struct script *s, struct kept *k)
{
	uint8_t what = take(s);
	struct pair_frame *f = &k->frames[k->next % NB_KEPT];
	bool to_ini = what & 0x80;
	unsigned i;

	switch (what % 12) {
	case 0:
	case 1:
		submit(p, s);
		break;
	case 2:
		pair_settle(p);
		break;
	case 3:
		p->now_ns += take(s) * MS;
		xfer_ini_tick(p->ini, p->now_ns);
		xfer_tgt_tick(p->tgt, p->now_ns);
		break;
	case 4:
		p->hold_io = !p->hold_io;
		pair_finish_io(p, take(s) % 8 == 0 ? -EIO : 0);
		break;
	case 5:
		p->max_bufs = what & 0x40 ? -1 : 1;
		break;
	case 6: /* an old frame again, perhaps changed */
		i = take(s) % NB_KEPT;
		if (what & 0x40)
			change(s, &k->frames[i]);
		deliver(p, &k->frames[i], k->to_ini[i]);
		break;
	case 7:
		i = take(s) % PAIR_CMDS;
		if (p->cmds[i].cmd.done != NULL && p->cmds[i].nb_done == 0)
			xfer_ini_abort(p->ini, &p->cmds[i].cmd, p->now_ns);
		break;
	default: /* the next frame: delivered, changed, or lost */
		if (!(to_ini ? pair_pull_tgt(p, f) : pair_pull_ini(p, f)))
			break;
		k->to_ini[k->next++ % NB_KEPT] = to_ini;
		if (what % 12 == 8)
			break;
		if (what % 12 == 9) {
			struct pair_frame changed = *f;

			change(s, &changed);
			deliver(p, &changed, to_ini);
		} else {
			deliver(p, f, to_ini);
		}
		break;
	}
	check_ended_once(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kept k;
	struct script s = {.at = data, .end = data + size};
	struct pair *p = pair_live(take(&s) & 1);
	unsigned i;

	memset(&k, 0, sizeof(k));
	while (s.at < s.end)
		step(p, &s, &k);
	for (i = 0; i < PAIR_CMDS; i++)
		check_buffer(&p->cmds[i]);
	pair_free(p);
	return 0;
}
