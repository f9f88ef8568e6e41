/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Credits: how many commands each session may have under way. They start few, double while a session
 * uses all it has (commands that end as they come count too: it is the client that waits), and fall back when it is idle; the sum is bounded by what the links can receive.
 * The limit a session was told never goes back, so a session that fell back may still use the old
 * one once: the bound is half the receive descriptors for that reason. The sessions of one export
 * leave some to those of others, and what a session that has ended left in the back end counts on.
 */

#include "tgt.h"

/* Credits that a session of the export may still have. */
static uint32_t
unpromised(const struct xfer_tgt *t, const struct tgt_export *e)
{
	uint32_t n = t->promised < t->conf.credits ? t->conf.credits - t->promised : 0;

	return xfer_tgt_is_shared(t) ? xfer_tgt_share(e->promised, n) : n;
}

static void
promise(struct xfer_tgt *t, struct xfer_session *s, uint32_t credit)
{
	struct tgt_export *e = &t->exports[s->export_index];

	t->promised += credit - s->credit;
	e->promised += credit - s->credit;
	s->credit = credit;
}

void
tgt_credit_open(struct xfer_tgt *t, struct xfer_session *s)
{
	uint32_t most = unpromised(t, &t->exports[s->export_index]);

	promise(t, s, MPN_MIN(MPN_MIN(s->depth, TGT_START_CREDITS), MPN_MAX(most, 1u)));
	s->limit = s->isn + s->credit;
	s->told = s->limit;
	s->pressed = false;
}

void
tgt_credit_close(struct xfer_tgt *t, struct xfer_session *s)
{
	promise(t, s, MPN_MIN(s->credit, s->nb_exec));
}

/* A command came in or was answered. */
void
tgt_credit_update(struct xfer_tgt *t, struct xfer_session *s)
{
	uint32_t more, limit;

	if ((s->nb_running >= s->credit || s->pressed) && s->credit < s->depth) {
		more = MPN_MIN(MPN_MIN(s->credit, s->depth - s->credit),
			unpromised(t, &t->exports[s->export_index]));
		promise(t, s, s->credit + more);
	}
	s->pressed = false;
	limit = s->isn + s->answered + s->credit + XFER_MUTATE(window);
	if (wire_seq_after(limit, s->limit))
		s->limit = limit;
}

void
tgt_credit_idle(struct xfer_tgt *t, struct xfer_session *s)
{
	if (s->credit > TGT_START_CREDITS)
		promise(t, s, TGT_START_CREDITS);
}
