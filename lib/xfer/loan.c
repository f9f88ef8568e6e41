/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "xfer_int.h"
#include "xfer_loan.h"

void
xfer_lent_init(struct xfer_lent *lent, void **frames, uint32_t room)
{
	*lent = (struct xfer_lent){.frames = frames, .room = room};
}

static void
drop_kept(const struct xfer_loan_ops *ops, void *ctx, struct xfer_lent *lent)
{
	for (; lent->kept != 0; lent->kept &= lent->kept - 1)
		ops->free(ctx, lent->frames[__builtin_ctzll(lent->kept)]);
}

static void
keep(const struct xfer_loan_ops *ops, void *ctx, struct xfer_lent *lent, uint32_t idx, void *frame)
{
	void *old = lent->kept >> idx & 1 ? lent->frames[idx] : NULL;

	if (old != NULL && old != frame)
		ops->free(ctx, old);
	lent->kept |= 1ull << idx;
	lent->frames[idx] = frame;
}

/* A new session starts a command again: what came before is of no use, and fragments may be smaller. */
static void
start_again(const struct xfer_loan_ops *ops, void *ctx, struct xfer_lent *lent,
	const struct xfer_cmd *cmd, uint32_t p)
{
	drop_kept(ops, ctx, lent);
	lent->started = true;
	lent->tag = cmd->tag;
	lent->failed = wire_nb_frags(cmd->len, p) > lent->room && !XFER_MUTATE(loan_quota);
}

void
xfer_loan_place(const struct xfer_loan_ops *ops, void *ctx, struct xfer_lent *lent,
	const struct xfer_cmd *cmd, uint32_t p, uint32_t off, const void *payload, uint32_t len)
{
	uint32_t idx = off / p, frag_len = xfer_frag_len(cmd->len, p, idx);
	void *frame = NULL;

	if (!lent->started || mpn_unlikely(lent->tag != cmd->tag))
		start_again(ops, ctx, lent, cmd, p);
	if (mpn_unlikely(lent->failed))
		return;
	/* Of a later reading only parts of a fragment count. */
	if (mpn_likely(len == frag_len || XFER_MUTATE(loan_parts)))
		frame = ops->take(ctx, payload);
	if (mpn_likely(frame != NULL)) {
		keep(ops, ctx, lent, idx, frame);
		return;
	}
	frame = ops->own(ctx, lent->kept >> idx & 1 ? lent->frames[idx] : NULL, frag_len);
	if (frame == NULL) {
		lent->failed = true;
		return;
	}
	keep(ops, ctx, lent, idx, frame);
	ops->put(ctx, frame, off - idx * p, payload, len);
}

int
xfer_loan_end(const struct xfer_loan_ops *ops, void *ctx, struct xfer_lent *lent, int status)
{
	if (status == 0 && mpn_unlikely(lent->failed))
		status = -ENOBUFS;
	if (status != 0 && !XFER_MUTATE(loan_leak))
		drop_kept(ops, ctx, lent);
	return status;
}
