/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Credits: how many commands each session may have under way. They start few, double while a session
 * uses all it has (commands that end as they come count too: it is the client that waits), and fall back when it is idle; the sum is bounded by what the links can receive.
 * The limit a session was told never goes back, so a session that fell back may still use the old
 * one once: the bound is half the receive descriptors for that reason.
 */

#include "tgt.h"

static uint32_t
unpromised(const struct xfer_tgt *t)
{
	return t->promised < t->conf.credits ? t->conf.credits - t->promised : 0;
}

void
tgt_credit_open(struct xfer_tgt *t, struct xfer_session *s)
{
	s->credit = MPN_MIN(MPN_MIN(s->depth, TGT_START_CREDITS), MPN_MAX(unpromised(t), 1u));
	t->promised += s->credit;
	s->limit = s->isn + s->credit;
	s->told = s->limit;
	s->pressed = false;
}

void
tgt_credit_close(struct xfer_tgt *t, struct xfer_session *s)
{
	t->promised -= s->credit;
	s->credit = 0;
}

/* A command came in or was answered. */
void
tgt_credit_update(struct xfer_tgt *t, struct xfer_session *s)
{
	uint32_t more, limit;

	if ((s->nb_running >= s->credit || s->pressed) && s->credit < s->depth) {
		more = MPN_MIN(MPN_MIN(s->credit, s->depth - s->credit), unpromised(t));
		s->credit += more;
		t->promised += more;
	}
	s->pressed = false;
	limit = s->isn + s->answered + s->credit + XFER_MUTATE(window);
	if (wire_seq_after(limit, s->limit))
		s->limit = limit;
}

void
tgt_credit_idle(struct xfer_tgt *t, struct xfer_session *s)
{
	if (s->credit <= TGT_START_CREDITS)
		return;
	t->promised -= s->credit - TGT_START_CREDITS;
	s->credit = TGT_START_CREDITS;
}
