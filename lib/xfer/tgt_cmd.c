/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The target's commands: exactly once, and data only where it was asked for. Each slot of a session
 * keeps its newest command; a later one in the same slot says that the initiator has finished with
 * it. A copy of a frame finds its command there and is answered from what is known, or finds a later
 * one and is dropped. It never starts again.
 */

#include "tgt.h"

/* ---- The window ---- */

/* The slot a frame is about, and whether its command is known there (0), to come (1) or gone (-1). */
static enum wire_drop
find_slot(struct xfer_session *s, const struct wire_ebd *h, struct xfer_io **io, int *order)
{
	uint32_t slot = (uint32_t)wire_tag_slot(h->tag) - s->slot_base;

	if (!wire_seq_after(h->cseq, s->acked) && !XFER_MUTATE(no_stale))
		return WIRE_DROP_STALE;
	if (wire_seq_after(h->cseq, s->limit))
		return WIRE_DROP_CREDIT;
	if (slot >= s->depth)
		return WIRE_DROP_SLOT;
	*io = &s->window[slot];
	*order = h->cseq == (*io)->cseq ? 0 : wire_seq_after(h->cseq, (*io)->cseq) ? 1 : -1;
	if (XFER_MUTATE(no_filter) && *order == 0 && (*io)->state == XFER_IO_DONE &&
		h->op == (*io)->op)
		*order = 1;
	if (XFER_MUTATE(no_stale) && *order < 0 && (*io)->state == XFER_IO_DONE)
		*order = 1;
	return *order < 0 ? WIRE_DROP_STALE : WIRE_ACCEPT;
}

static void
release(struct xfer_tgt *t, struct xfer_io *io)
{
	mpn_list_del(&io->node);
	io->send_rsp = false;
	if (io->state != XFER_IO_FREE)
		tgt_io_set_state(t, io, XFER_IO_FREE);
}

/* The command has its answer, or will never have one: it uses no credit any more. */
static void
count_answer(struct xfer_io *io)
{
	if (!io->running)
		return;
	io->running = false;
	io->session->nb_running--;
	io->session->answered++;
}

/* End a command that is not in the back end, without an answer. */
void
tgt_io_cancel(struct xfer_tgt *t, struct xfer_io *io)
{
	mpn_list_del(&io->wnode);
	tgt_grant_end(t, io);
	if (!XFER_MUTATE(lost_buf))
		tgt_io_put_buf(t, io);
	count_answer(io);
	release(t, io);
}

enum wire_drop
tgt_rx_ack(struct xfer_session *s, uint32_t ack)
{
	if (wire_seq_after(ack, s->limit))
		return WIRE_DROP_STATE;
	if (wire_seq_after(ack, s->acked))
		s->acked = ack;
	return WIRE_ACCEPT;
}

/* ---- Answers ---- */

void
tgt_io_answer(struct xfer_tgt *t, struct xfer_io *io, uint16_t status, uint16_t detail)
{
	mpn_list_del(&io->wnode);
	tgt_grant_end(t, io);
	tgt_io_put_buf(t, io);
	io->status = status;
	io->detail = detail;
	io->want = 0;
	io->send_rsp = true;
	tgt_io_set_state(t, io, XFER_IO_DONE);
	count_answer(io);
	tgt_credit_update(t, io->session);
	tgt_io_queue_tx(t, io);
	t->stats.completions++;
	if (status != WIRE_ST_OK)
		t->stats.errors++;
}

/* All of a read's data was pulled. */
void
tgt_io_sent(struct xfer_tgt *t, struct xfer_io *io)
{
	io->status = WIRE_ST_OK;
	t->sent = io;
	t->stats.completions++;
	count_answer(io);
	tgt_credit_update(t, io->session);
	tgt_io_set_state(t, io, XFER_IO_DONE);
}

void
xfer_tgt_io_done(struct xfer_tgt *t, struct xfer_io *io, int status, uint64_t now_ns)
{
	struct xfer_session *s = io->session;

	tgt_finish_sent(t);
	s->nb_exec--;
	if (io->orphan) {
		io->orphan = false;
		tgt_io_put_buf(t, io);
		release(t, io);
		tgt_session_check_quiet(t, s, now_ns);
	} else if (status == 0 && io->op == WIRE_READ) {
		tgt_io_set_state(t, io, XFER_IO_SEND);
		tgt_io_queue_tx(t, io);
	} else {
		tgt_io_answer(t, io, wire_errno_status(status), 0);
	}
}

/* ---- Commands ---- */

static bool
is_range_ok(const struct wire_geometry *g, uint64_t addr, uint64_t len)
{
	return len > 0 && ((addr | len) & (g->block_size - 1)) == 0 && addr <= g->size &&
	       len <= g->size - addr;
}

/* Status of a command that can't be executed, WIRE_ST_OK for one that can. */
static uint16_t
check_cmd(const struct xfer_tgt *t, const struct xfer_session *s, const struct xfer_io *io)
{
	const struct wire_geometry *g = &t->exports[s->export_index].geometry;
	bool zeroes = io->op == WIRE_DISCARD || io->op == WIRE_WRITE_ZEROES;

	if (io->op == WIRE_FLUSH)
		return WIRE_ST_OK;
	if (io->op == WIRE_IDENTIFY)
		return io->len == sizeof(*g) ? WIRE_ST_OK : WIRE_ST_RANGE;
	if (io->op > WIRE_WRITE_ZEROES)
		return WIRE_ST_NOTSUP;
	if (!is_range_ok(g, io->addr, io->len))
		return WIRE_ST_RANGE;
	if (io->len > (zeroes ? g->max_zeroes : wire_quantum(s->p)))
		return WIRE_ST_RANGE;
	if (io->op != WIRE_READ && g->flags & WIRE_VOL_READONLY)
		return WIRE_ST_READONLY;
	if ((io->op == WIRE_DISCARD && !(g->flags & WIRE_VOL_DISCARD)) ||
		(io->op == WIRE_WRITE_ZEROES && !(g->flags & WIRE_VOL_WRITE_ZEROES)))
		return WIRE_ST_NOTSUP;
	return WIRE_ST_OK;
}

static void
fill_io(struct xfer_session *s, struct xfer_io *io, const struct wire_ebd *h)
{
	io->addr = h->addr;
	io->len = h->off;
	io->flags = h->flags & (WIRE_F_FUA | WIRE_F_NOHOLE | WIRE_F_FAST | WIRE_F_BULK);
	if (XFER_MUTATE(no_fua))
		io->flags &= (uint16_t)~WIRE_F_FUA;
	io->op = h->op;
	io->export_index = s->export_index;
	io->buf = NULL;
	io->priv = NULL;
	io->cseq = h->cseq;
	io->tag = h->tag;
	io->ts = h->ts;
	io->status = WIRE_ST_OK;
	io->detail = 0;
	io->nb_frags = 0;
	io->send_rsp = false;
	io->orphan = false;
	io->running = true;
	io->got = 0;
	io->granted = 0;
	io->want = 0;
	io->grant = 0;
	io->naked = 0;
	io->hi = 0;
	io->reading = 0;
	io->burst = 0;
}

/* A write whose data came with it. Without memory the data is asked for again later: a grant. */
static void
start_immediate(struct xfer_tgt *t, struct xfer_io *io, const struct xfer_rx *rx)
{
	if (!tgt_io_try_buf(t, io))
		return;
	t->conf.place(t->conf.ctx, io, 0, rx->payload, io->len);
	t->stats.rx_bytes += io->len;
	io->got = 1;
	io->granted = 1;
	tgt_io_exec(t, io);
}

static enum wire_drop
start_new(struct xfer_tgt *t, struct xfer_session *s, struct xfer_io *io, const struct wire_ebd *h,
	const struct xfer_rx *rx)
{
	uint16_t status;

	if (t->draining)
		return WIRE_DROP_STATE;
	if (h->plen != 0 && h->op != WIRE_MESSAGE &&
		(h->op != WIRE_WRITE || h->plen != h->off || h->plen > s->p))
		return WIRE_DROP_PLEN;
	if (io->state == XFER_IO_EXEC) /* a read that is repeated for a copy of its command */
		return WIRE_DROP_STATE;
	if (io->state != XFER_IO_FREE)
		tgt_io_cancel(t, io);
	fill_io(s, io, h);
	s->nb_running++;
	s->commands++;
	t->stats.commands++;
	if (h->op == WIRE_ABORT) {
		/* The abort overtook its command, which finds itself aborted when it comes. */
		tgt_io_answer(t, io, WIRE_ST_ABORTED, WIRE_ABORT_CANCELLED);
		return WIRE_ACCEPT;
	}
	status = check_cmd(t, s, io);
	if (status != WIRE_ST_OK || (XFER_MUTATE(early_flush) && h->op == WIRE_FLUSH)) {
		tgt_io_answer(t, io, status, 0);
	} else if (tgt_io_needs_buf(io)) {
		io->nb_frags = (uint16_t)wire_nb_frags(io->len, s->p);
		io->want = io->op == WIRE_READ ? wire_frag_mask(io->nb_frags) : 0;
		if (h->plen > 0)
			start_immediate(t, io, rx);
		else
			tgt_io_get_buf(t, io);
	} else if (io->op == WIRE_IDENTIFY) {
		io->nb_frags = 1;
		io->want = 1;
		tgt_io_set_state(t, io, XFER_IO_SEND);
		tgt_io_queue_tx(t, io);
	} else {
		tgt_io_exec(t, io);
	}
	return WIRE_ACCEPT;
}

/* All fragments of the blocks that these have a part of: a block must come from one reading. */
static uint64_t
whole_blocks(const struct xfer_tgt *t, const struct xfer_io *io, uint64_t bits)
{
	uint32_t block = t->exports[io->export_index].geometry.block_size, p = io->session->p, b;
	uint64_t out = 0, frags;

	if (p % block == 0 || io->op != WIRE_READ || io->reading == 0)
		return bits;
	for (b = 0; b < io->len / block; b++) {
		frags = xfer_block_frags(block, p, b);
		if (bits & frags)
			out |= frags;
	}
	return out;
}

/* Send (these fragments of) a read's data again: reads have no side effects, so it is read again. */
static void
resend_read(struct xfer_tgt *t, struct xfer_io *io, uint64_t bits)
{
	io->want |= bits;
	if (io->op == WIRE_IDENTIFY) {
		tgt_io_set_state(t, io, XFER_IO_SEND);
		tgt_io_queue_tx(t, io);
	} else {
		io->reading++;
		io->want = whole_blocks(t, io, io->want);
		tgt_io_get_buf(t, io);
	}
}

static void
abort_io(struct xfer_tgt *t, struct xfer_io *io)
{
	if (io->state == XFER_IO_EXEC) {
		io->detail = WIRE_ABORT_EXECUTING;
		if (XFER_MUTATE(abort_lies))
			io->status = WIRE_ST_ABORTED;
		io->send_rsp = true;
		tgt_io_queue_tx(t, io);
	} else if (io->state == XFER_IO_DONE) {
		/* The answer stands. A read's answer was its data: there is no other to be had. */
		if (io->status == WIRE_ST_OK && (io->op == WIRE_READ || io->op == WIRE_IDENTIFY)) {
			io->status = WIRE_ST_ABORTED;
			io->detail = WIRE_ABORT_CANCELLED;
		}
		io->send_rsp = true;
		tgt_io_queue_tx(t, io);
	} else {
		tgt_io_answer(t, io, WIRE_ST_ABORTED, WIRE_ABORT_CANCELLED);
	}
}

/* A copy of a command that is known. */
static void
repeat_cmd(struct xfer_tgt *t, struct xfer_io *io)
{
	t->stats.duplicates++;
	if (io->state == XFER_IO_DONE && io->status == WIRE_ST_OK &&
		(io->op == WIRE_READ || io->op == WIRE_IDENTIFY)) {
		resend_read(t, io, wire_frag_mask(io->nb_frags));
		return;
	}
	if (io->state == XFER_IO_SEND)
		return;
	if (io->state == XFER_IO_FILL && (io->granted & ~io->got & ~io->grant) != 0) {
		io->naked = io->granted & ~io->got & ~io->grant;
		io->want = io->naked;
	} else {
		io->send_rsp = true; /* the stored answer, or that it is still running */
	}
	tgt_io_queue_tx(t, io);
}

enum wire_drop
tgt_rx_cmd(struct xfer_tgt *t, struct xfer_session *s, const struct wire_ebd *h,
	const struct xfer_rx *rx)
{
	struct xfer_io *io = NULL;
	int order = 0;
	enum wire_drop d = find_slot(s, h, &io, &order);

	if (d != WIRE_ACCEPT)
		return d;
	if (order > 0) {
		s->pressed = !wire_seq_after(s->told, h->cseq);
		d = start_new(t, s, io, h, rx);
		tgt_credit_update(t, s);
		return d;
	}
	if (io->tag != h->tag)
		return WIRE_DROP_GENERATION;
	if (io->addr != h->addr)
		return WIRE_DROP_ADDR;
	io->ts = h->ts;
	if (h->op == WIRE_ABORT) {
		abort_io(t, io);
	} else if (io->op == h->op || io->op == WIRE_ABORT) {
		repeat_cmd(t, io);
	} else {
		return WIRE_DROP_DIRECTION;
	}
	return WIRE_ACCEPT;
}

/* ---- Data and what is missing of it ---- */

static enum wire_drop
find_io(struct xfer_session *s, const struct wire_ebd *h, struct xfer_io **out)
{
	struct xfer_io *io = NULL;
	int order = 0;
	enum wire_drop d = find_slot(s, h, &io, &order);

	if (d != WIRE_ACCEPT)
		return d;
	if (order > 0 || io->state == XFER_IO_FREE)
		return WIRE_DROP_DEAD;
	if (io->tag != h->tag)
		return WIRE_DROP_GENERATION;
	if (io->op != h->op)
		return WIRE_DROP_DIRECTION;
	if (io->addr != h->addr)
		return WIRE_DROP_ADDR;
	*out = io;
	return WIRE_ACCEPT;
}

static void
ask_overtaken(struct xfer_tgt *t, struct xfer_io *io, uint32_t idx, bool last)
{
	uint64_t lost = xfer_overtaken(io->granted & ~io->grant, io->got, idx, last) & ~io->want;

	if (lost == 0)
		return;
	io->want |= lost;
	io->naked |= lost;
	tgt_io_queue_tx(t, io);
}

/* Is the fragment the last one of a grant, so that all before it must have come? */
static bool
ends_grant(const struct xfer_io *io, uint32_t idx)
{
	return idx + 1 == io->nb_frags || (idx + 1) % TGT_GRANT_FRAGS == 0;
}

enum wire_drop
tgt_rx_data(struct xfer_tgt *t, struct xfer_session *s, const struct wire_ebd *h,
	const struct xfer_rx *rx)
{
	struct xfer_io *io = NULL;
	enum wire_drop d = find_io(s, h, &io);
	uint32_t idx;

	if (d != WIRE_ACCEPT)
		return d;
	if (io->op != WIRE_WRITE)
		return WIRE_DROP_DIRECTION;
	if (!xfer_frag_at(h->off, s->p, &idx) || idx >= io->nb_frags)
		return WIRE_DROP_OFF;
	if (h->plen != xfer_frag_len(io->len, s->p, idx))
		return WIRE_DROP_PLEN;
	if (io->got >> idx & 1)
		return WIRE_DROP_DUPLICATE;
	if (io->state != XFER_IO_FILL || !(io->granted >> idx & 1))
		return WIRE_DROP_NO_GRANT;

	t->conf.place(t->conf.ctx, io, h->off, rx->payload, h->plen);
	t->stats.rx_bytes += h->plen;
	io->got |= 1ull << idx;
	io->ts = h->ts;
	t->granted_out--;
	if (io->got == wire_frag_mask(io->nb_frags)) {
		tgt_grant_end(t, io);
		tgt_io_exec(t, io);
		return WIRE_ACCEPT;
	}
	if (idx >= io->hi) {
		io->hi = (uint16_t)(idx + 1);
		ask_overtaken(t, io, idx, ends_grant(io, idx));
	}
	if (!mpn_list_empty(&t->wait_grant))
		tgt_pump(t);
	return WIRE_ACCEPT;
}

enum wire_drop
tgt_rx_nak(struct xfer_tgt *t, struct xfer_session *s, const struct wire_ebd *h,
	const struct xfer_rx *rx)
{
	struct xfer_io *io = NULL;
	enum wire_drop d = find_io(s, h, &io);
	uint64_t bits;

	if (d != WIRE_ACCEPT)
		return d;
	if (io->op != WIRE_READ && io->op != WIRE_IDENTIFY)
		return WIRE_DROP_DIRECTION;
	memcpy(&bits, rx->payload, sizeof(bits));
	bits &= wire_frag_mask(io->nb_frags);
	if (bits == 0)
		return WIRE_DROP_OFF;
	io->ts = h->ts;
	if (io->state == XFER_IO_SEND) {
		io->want |= whole_blocks(t, io, bits);
	} else if (io->state == XFER_IO_DONE && io->status == WIRE_ST_OK) {
		resend_read(t, io, bits);
	} else {
		io->send_rsp = true;
		tgt_io_queue_tx(t, io);
	}
	return WIRE_ACCEPT;
}
