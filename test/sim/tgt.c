/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The target: its memory for data, and its back end, the disk. */

#include <stdalign.h>
#include <stdlib.h>

#include "world.h"

#define STREAM_TGT 5
#define MAX_ZEROES (64u << 10)

uint8_t *
tgt_buf_data(const struct xfer_io *io)
{
	const struct sim_buf *b = io->buf;

	return b->room + SIM_GUARD;
}

/* ---- The engine's callbacks ---- */

static uint64_t
draw_random(void *ctx)
{
	struct sim_tgt *t = ctx;
	uint64_t x = rng_next(&t->rng);

	/* First sequence numbers that wrap soon. */
	return t->w->conf.wrap ? x | 0xffffff00 : x;
}

/* A keyed hash: what it must do here is to differ when anything in the message differs. */
static void
make_mac(void *ctx, const void *msg, size_t len, uint8_t out[16])
{
	const struct sim_tgt *t = ctx;
	const uint8_t *m = msg;
	uint64_t h[2] = {t->secret, ~t->secret};
	size_t i;

	for (i = 0; i < len; i++) {
		h[0] = (h[0] ^ m[i]) * 0x100000001b3ull;
		h[1] = (h[1] + m[i]) * 0x9e3779b97f4a7c15ull + h[0];
	}
	memcpy(out, h, 16);
}

static int
buf_get(void *ctx, struct xfer_io *io)
{
	struct sim_tgt *t = ctx;
	struct sim_buf *b = t->free;

	if (io->len == 0 || io->len > WIRE_EBD_MAX_QUANTUM || io->buf != NULL)
		sim_fail(t->w, CR_contract, "buf_get of %u bytes", io->len);
	if (b == NULL || t->nobuf_until > t->w->clock.now)
		return -ENOBUFS;
	t->free = b->next;
	t->nb_bufs_out++;
	b->io = io;
	memset(b->placed, 0, sizeof(b->placed));
	b->placed_bytes = 0;
	io->buf = b;
	return 0;
}

static bool
owns(struct sim_tgt *t, const struct xfer_io *io, const char *what)
{
	const struct sim_buf *b = io->buf;

	if (b != NULL && b->io == io)
		return true;
	sim_fail(t->w, CR_contract, "the target uses memory that is not the command's: %s", what);
	return false;
}

static void
buf_put(void *ctx, struct xfer_io *io)
{
	struct sim_tgt *t = ctx;
	struct sim_buf *b = io->buf;

	if (!owns(t, io, "buf_put"))
		return;
	b->io = NULL;
	b->next = t->free;
	t->free = b;
	t->nb_bufs_out--;
}

static void
place(void *ctx, struct xfer_io *io, uint32_t off, const void *payload, uint32_t len)
{
	struct sim_tgt *t = ctx;
	struct sim_buf *b = io->buf;
	/* Every payload unit is a multiple of this: the start names the fragment. */
	uint32_t start = off / 128;

	if (!owns(t, io, "place"))
		return;
	if (io->op != WIRE_WRITE || len == 0 || off > io->len || len > io->len - off ||
		io->state == XFER_IO_EXEC || io->state == XFER_IO_DONE ||
		b->placed[start / 64] >> start % 64 & 1) {
		sim_fail(t->w, CR_contract, "the target places %u bytes at %u of %u, state %u", len,
			off, io->len, io->state);
		return;
	}
	b->placed[start / 64] |= 1ull << start % 64;
	b->placed_bytes += len;
	memcpy(tgt_buf_data(io) + off, payload, len);
}

static void
io_start(void *ctx, struct xfer_io *io)
{
	struct sim_tgt *t = ctx;
	const struct sim_buf *b = io->buf;
	bool data = io->op == WIRE_READ || io->op == WIRE_WRITE;

	if (data && !owns(t, io, "io_start"))
		return;
	if (io->op == WIRE_WRITE && b->placed_bytes != io->len) {
		sim_fail(t->w, CR_contract, "a write of %u bytes starts with %u of them", io->len,
			b->placed_bytes);
		return;
	}
	disk_start(t->w, io);
}

/* ---- Sending ---- */

/* As lib/storage has it: data that was asked for there, and PROBEs that are to come back there. */
static bool
is_bulk(const struct xfer_tx *tx)
{
	struct wire_ebd h;

	wire_ebd_load(&h, tx->hdr);
	return tx->data_len > 0 && h.flags & WIRE_F_BULK;
}

bool
tgt_tx(struct world *w, struct sim_frame *f)
{
	struct sim_tgt *t = &w->tgt;
	/* The network keeps frames at any address. */
	alignas(8) uint8_t room[XFER_TX_ROOM];
	struct xfer_tx tx = {.hdr = room};
	struct xfer_seg seg;
	bool wants = xfer_tgt_wants_tx(t->eng, 0);

	if (!xfer_tgt_tx(t->eng, 0, &tx, node_now(w, SIM_TGT)))
		return false;
	if (!wants)
		sim_fail(w, CR_contract, "the target did not say that it has a frame");
	f->len = tx.hdr_len + tx.data_len;
	seg = (struct xfer_seg){f->data + tx.hdr_len, tx.data_len};
	if (f->len > SIM_FRAME_ROOM - SIM_FRAME_GROWTH || tx.hdr_len < WIRE_EBD_HDR_LEN ||
		(tx.hdr_len > WIRE_EBD_HDR_LEN && tx.data_len > 0)) {
		sim_fail(w, CR_contract, "the target sends a frame of %u + %u bytes", tx.hdr_len,
			tx.data_len);
		return false;
	}
	if (tx.io == NULL) {
		memset(f->data + tx.hdr_len, 0, tx.data_len);
	} else {
		if (!owns(t, tx.io, "tx") || tx.data_off > tx.io->len ||
			tx.data_len > tx.io->len - tx.data_off) {
			sim_fail(w, CR_contract, "the target sends [%u, +%u) of a command of %u",
				tx.data_off, tx.data_len, tx.io->len);
			return false;
		}
		memcpy(f->data + tx.hdr_len, tgt_buf_data(tx.io) + tx.data_off, tx.data_len);
	}
	if (tx.seal)
		xfer_tx_seal(&tx, &seg, tx.data_len > 0);
	memcpy(f->data, room, tx.hdr_len);
	f->bulk = is_bulk(&tx) && w->clock.now >= t->astray_until;
	return true;
}

void
tgt_check_credits(struct world *w)
{
	struct sim_tgt *t = &w->tgt;
	struct xfer_session_info info;
	unsigned n, i;

	for (n = 0; xfer_tgt_session_info(t->eng, n, node_now(w, SIM_TGT), &info) == 0; n++) {
		/* Sessions come and go: each has a place by its number, if need be that of another. */
		i = info.sid % SIM_MAX_SESSIONS;
		if (t->sids[i] != info.sid)
			t->credits[i] = 0;
		t->sids[i] = info.sid;
		t->credits[i] = MPN_MAX(t->credits[i], info.credits);
		if (info.outstanding > t->credits[i] || info.credits > info.depth)
			sim_fail(w, CR_resources,
				"session %08x has %u commands running with %u credits, depth %u",
				info.sid, info.outstanding, t->credits[i], info.depth);
	}
}

/* ---- Life ---- */

static void
reset_bufs(struct sim_tgt *t)
{
	uint32_t i;

	t->free = NULL;
	t->nb_bufs_out = 0;
	for (i = t->w->conf.nb_bufs; i-- > 0;) {
		t->buf[i].io = NULL;
		t->buf[i].next = t->free;
		t->free = &t->buf[i];
	}
}

static void
add_export(struct world *w, struct xfer_tgt *eng)
{
	struct wire_geometry g = {
		.size = (uint64_t)w->conf.sectors * SIM_SECTOR,
		.block_size = w->conf.block,
		.phys_block = 4096,
		.max_transfer = WIRE_EBD_MAX_QUANTUM,
		.max_zeroes = MAX_ZEROES,
		.discard_gran = w->conf.block,
		.flags = WIRE_VOL_FLUSH | WIRE_VOL_FUA | WIRE_VOL_DISCARD | WIRE_VOL_WRITE_ZEROES |
			 WIRE_VOL_ZERO_AFTER_DISCARD,
		.name = "disk",
	};

	if (xfer_tgt_export_add(eng, &g) != 0)
		abort();
}

void
tgt_boot(struct world *w)
{
	struct sim_tgt *t = &w->tgt;
	struct xfer_tgt_conf c;
	uint8_t mac[6];

	xfer_tgt_conf_default(&c);
	memset(c.uuid, 0x77, sizeof(c.uuid));
	c.epoch = ++t->epoch;
	c.max_sessions = (uint16_t)w->conf.max_sessions;
	c.max_exports = 2;
	c.max_depth = w->conf.depth;
	c.lease_ns = w->conf.lease_ns;
	c.credits = w->conf.credits;
	c.grant_frames = w->conf.grant_frames;
	c.features = (w->conf.crc ? WIRE_FEAT_CRC : 0) | WIRE_FEAT_BULK;
	c.require_crc = w->conf.crc;
	c.random = draw_random;
	c.mac = make_mac;
	c.buf_get = buf_get;
	c.buf_put = buf_put;
	c.place = place;
	c.io_start = io_start;
	c.ctx = t;
	t->secret = rng_next(&t->rng);
	t->nobuf_until = 0;
	t->astray_until = 0;
	memset(t->sids, 0, sizeof(t->sids));
	reset_bufs(t);
	t->eng = xfer_tgt_init(mem_get(&t->mem, xfer_tgt_size(&c)), &c);
	if (t->eng == NULL)
		abort();
	sim_mac(mac, SIM_TGT);
	if (xfer_tgt_port_add(t->eng, mac, w->conf.p_tgt) != 0)
		abort();
	add_export(w, t->eng);
}

void
tgt_died(struct world *w)
{
	struct sim_tgt *t = &w->tgt;

	if (!mem_is_intact(&t->mem))
		sim_fail(w, CR_contract, "the target wrote behind its memory");
	world_add_stats(&w->dead, xfer_tgt_stats(t->eng));
	oracle_target_killed(w);
	disk_kill(w);
	memset(t->mem.base, 0xee, t->mem.size);
}

void
tgt_reset(struct world *w)
{
	struct sim_tgt *t = &w->tgt;
	uint32_t i;

	t->w = w;
	t->epoch = 0;
	rng_seed(&t->rng, w->conf.seed, STREAM_TGT);
	for (i = 0; i < w->conf.nb_bufs; i++) {
		if (t->buf[i].room == NULL) {
			t->buf[i].room = malloc(SIM_BUF_SIZE);
			if (t->buf[i].room == NULL)
				abort();
			memset(t->buf[i].room, SIM_GUARD_BYTE, SIM_BUF_SIZE);
		}
	}
}

void
tgt_free(struct sim_tgt *t)
{
	uint32_t i;

	for (i = 0; i < SIM_MAX_BUFS; i++) {
		free(t->buf[i].room);
		t->buf[i].room = NULL;
	}
	free(t->mem.base);
	memset(&t->mem, 0, sizeof(t->mem));
}
