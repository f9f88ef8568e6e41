/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What becomes of a command at the target:
 *
 *          +--------> WAIT_BUF ----------+
 *          |             |               |
 *   FREE --+----+------> FILL (writes) --+--> EXEC --+--> SEND (reads) --> DONE --> FREE
 *          |    |                        |     ^     |                      |
 *          |    +------------------------+     |     +----------------------+
 *          +-----------------------------------+--- a read's data asked for again ---
 */

#include "tgt.h"

#define TO(s) (1u << XFER_IO_##s)

const uint8_t tgt_io_allowed[XFER_IO_STATES] = {
	[XFER_IO_FREE] = TO(WAIT_BUF) | TO(FILL) | TO(EXEC) | TO(SEND) | TO(DONE),
	[XFER_IO_WAIT_BUF] = TO(FILL) | TO(EXEC) | TO(DONE) | TO(FREE),
	[XFER_IO_FILL] = TO(EXEC) | TO(DONE) | TO(FREE),
	[XFER_IO_EXEC] = TO(SEND) | TO(DONE) | TO(FREE),
	[XFER_IO_SEND] = TO(DONE) | TO(FREE),
	[XFER_IO_DONE] = TO(FREE) | TO(WAIT_BUF) | TO(EXEC) | TO(SEND),
};

void
tgt_io_exec(struct xfer_tgt *t, struct xfer_io *io)
{
	tgt_io_set_state(t, io, XFER_IO_EXEC);
	io->session->nb_exec++;
	if (XFER_MUTATE(early_rsp) && io->op == WIRE_WRITE) {
		io->send_rsp = true;
		tgt_io_queue_tx(t, io);
	}
	t->conf.io_start(t->conf.ctx, io);
}

/* ---- Memory ---- */

/* The memory is there: a read goes to the back end, a write asks for its data. */
static void
use_buf(struct xfer_tgt *t, struct xfer_io *io)
{
	if (io->op == WIRE_READ) {
		tgt_io_exec(t, io);
		return;
	}
	tgt_io_set_state(t, io, XFER_IO_FILL);
	mpn_list_add_tail(&t->wait_grant, &io->wnode);
	tgt_pump(t);
}

/* Memory now, unless others of the export wait for some; else the command waits, too. */
bool
tgt_io_try_buf(struct xfer_tgt *t, struct xfer_io *io)
{
	struct tgt_export *e = tgt_io_export(t, io);

	if (mpn_list_empty(&e->wait_buf) && t->conf.buf_get(t->conf.ctx, io) == 0)
		return true;
	tgt_io_set_state(t, io, XFER_IO_WAIT_BUF);
	mpn_list_add_tail(&e->wait_buf, &io->wnode);
	return false;
}

void
tgt_io_get_buf(struct xfer_tgt *t, struct xfer_io *io)
{
	if (tgt_io_try_buf(t, io))
		use_buf(t, io);
}

void
tgt_io_put_buf(struct xfer_tgt *t, struct xfer_io *io)
{
	if (io->buf == NULL)
		return;
	t->conf.buf_put(t->conf.ctx, io);
	io->buf = NULL;
	if (t->nb_wait_buf > 0)
		tgt_pump(t);
}

/* ---- Grants ---- */

/* Its grants count no more. */
void
tgt_grant_end(struct xfer_tgt *t, struct xfer_io *io)
{
	if (io->op != WIRE_WRITE)
		return;
	t->granted_out -= (uint32_t)__builtin_popcountll(io->granted & ~io->got);
	io->granted = io->got;
	io->grant = 0;
	io->naked = 0;
	mpn_list_del(&io->wnode);
	if (!mpn_list_empty(&t->wait_grant))
		tgt_pump(t);
}

/* Grant the next part of a write if the bounds allow it. */
static bool
grant_more(struct xfer_tgt *t, struct xfer_io *io)
{
	uint32_t first =
		(uint32_t)__builtin_popcountll(io->granted); /* granted from the start on */
	uint32_t n = MPN_MIN(io->nb_frags - first, TGT_GRANT_FRAGS);
	uint32_t out = (uint32_t)__builtin_popcountll(io->granted & ~io->got);
	uint64_t bits = wire_frag_mask(n) << first;

	if (out > (TGT_GRANTS_OUT - 1) * TGT_GRANT_FRAGS)
		return false;
	if (t->granted_out > 0 && t->granted_out + n > t->conf.grant_frames)
		return false;
	io->granted |= bits;
	io->grant |= bits;
	t->granted_out += n;
	tgt_io_queue_tx(t, io);
	return true;
}

static void
pump_grants(struct xfer_tgt *t)
{
	struct mpn_list *n, *tmp;
	struct xfer_io *io;

	mpn_list_for_each_safe(n, tmp, &t->wait_grant) {
		io = mpn_list_entry(n, struct xfer_io, wnode);
		while (io->granted != wire_frag_mask(io->nb_frags) && grant_more(t, io))
			;
		if (io->granted == wire_frag_mask(io->nb_frags))
			mpn_list_del(&io->wnode);
		if (t->granted_out + TGT_GRANT_FRAGS > t->conf.grant_frames)
			return;
	}
}

/* One export's commands wait for each other, not for those of an export that has its share. */
static void
pump_export(struct xfer_tgt *t, struct tgt_export *e)
{
	struct xfer_io *io;

	while (!mpn_list_empty(&e->wait_buf)) {
		io = mpn_list_first(&e->wait_buf, struct xfer_io, wnode);
		if (t->conf.buf_get(t->conf.ctx, io) != 0)
			return;
		mpn_list_del(&io->wnode);
		use_buf(t, io);
	}
}

static void
pump_bufs(struct xfer_tgt *t)
{
	uint32_t i;

	if (t->nb_wait_buf == 0)
		return;
	t->next_export = (t->next_export + 1) % t->nb_exports;
	for (i = 0; i < t->nb_exports; i++)
		pump_export(t, &t->exports[(t->next_export + i) % t->nb_exports]);
}

/* Memory or grants came free. A back end that is done at once would come here again: once is enough. */
void
tgt_pump(struct xfer_tgt *t)
{
	if (t->pumping) {
		t->pump_again = true;
		return;
	}
	t->pumping = true;
	do {
		t->pump_again = false;
		pump_bufs(t);
		pump_grants(t);
	} while (t->pump_again);
	t->pumping = false;
}

/*
 * The last frame of a read was pulled, and the caller has turned it into one of its own by now: the
 * memory goes back.
 */
void
tgt_end_sent(struct xfer_tgt *t)
{
	struct xfer_io *io = t->sent;

	t->sent = NULL;
	tgt_io_put_buf(t, io);
}

uint32_t
xfer_io_p(const struct xfer_io *io)
{
	return io->session->p;
}

unsigned
xfer_io_port(const struct xfer_io *io)
{
	return io->session->port;
}
