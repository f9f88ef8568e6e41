/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "ring.h"
#include "world.h"

void
ring_init(struct sim_ring *r, uint32_t pairs, uint32_t spare_room)
{
	memset(r, 0, sizeof(*r));
	r->pairs = pairs;
	r->spare_room = spare_room;
	r->running = true;
}

uint32_t
ring_pairs(const struct sim_ring *r)
{
	return r->nb_pages + r->nb_wishes;
}

uint32_t
ring_room(const struct sim_ring *r)
{
	uint32_t used = ring_pairs(r);

	return used < r->pairs ? r->pairs - used : 0;
}

/* ---- Filling ---- */

void
ring_post(struct sim_ring *r, struct xfer_page *page)
{
	r->wish[r->nb_wishes++] = page;
}

static void
put_piece(struct sim_ring *r, const struct sim_piece *p)
{
	r->piece[(r->head + r->nb++) % (2 * SIM_RING_PAIRS)] = *p;
	r->nb_pages += p->kind != SIM_HEADER;
}

static struct sim_piece
next_page(struct sim_ring *r)
{
	struct xfer_page *page = r->wish[0];

	if (r->nb_wishes == 0)
		return (struct sim_piece){.kind = SIM_SPARE, .room = r->spare_room};
	memmove(r->wish, r->wish + 1, --r->nb_wishes * sizeof(*r->wish));
	return (struct sim_piece){.kind = SIM_POSTED,
		.page = page,
		.op = ((const struct sim_cmd *)page->owner)->op,
		.room = page->len};
}

void
ring_fill(struct sim_ring *r)
{
	const struct sim_piece header = {.kind = SIM_HEADER, .room = WIRE_EBD_HDR_LEN};
	uint32_t nb = 2 * r->pairs - r->nb - r->nb_taken;

	if (!r->running || (r->nb_wishes == 0 && r->nb_pages >= r->want))
		return;
	/* Frames have taken an odd number of pieces: those behind them begin with headers again. */
	if (nb % 2 != 0) {
		put_piece(r, &header);
		r->resync++;
	}
	for (nb /= 2; nb > 0; nb--) {
		struct sim_piece page = next_page(r);

		put_piece(r, &header);
		put_piece(r, &page);
	}
}

/* ---- Receiving ---- */

/* How many pieces does the frame need? 0: more than there are. */
static uint32_t
count_pieces(const struct sim_ring *r, uint32_t len)
{
	uint32_t nb = 0, room = 0;

	while (room < len) {
		if (nb == r->nb || nb == SIM_PIECES)
			return 0;
		room += r->piece[(r->head + nb++) % (2 * SIM_RING_PAIRS)].room;
	}
	return nb;
}

static void
write_piece(struct world *w, const struct sim_piece *p, const uint8_t *data)
{
	const struct sim_cmd *c;

	if (p->kind != SIM_POSTED)
		return;
	c = p->page->owner;
	if (!c->live || c->op != p->op)
		sim_fail(w, CR_corruption, "a frame is written to memory of #%u, which is over",
			p->op);
	memcpy(p->page->mem, data, p->len);
}

bool
ring_take(struct world *w, struct sim_ring *r, struct sim_frame *f)
{
	uint32_t nb = r->running ? count_pieces(r, f->len) : 0, at = 0;

	if (nb == 0) {
		r->dropped++;
		return false;
	}
	for (f->nb_pieces = 0; f->nb_pieces < nb; f->nb_pieces++) {
		struct sim_piece *p = &f->piece[f->nb_pieces];

		*p = r->piece[r->head];
		r->head = (r->head + 1) % (2 * SIM_RING_PAIRS);
		p->len = MPN_MIN(p->room, f->len - at);
		write_piece(w, p, f->data + at);
		at += p->len;
	}
	r->nb -= nb;
	r->nb_taken += nb;
	return true;
}

void
ring_receive(struct sim_ring *r, const struct sim_frame *frames)
{
	const struct sim_frame *f;
	uint32_t i;

	for (f = frames; f != NULL; f = f->next)
		r->nb_taken -= f->nb_pieces;
	ring_fill(r);
	for (f = frames; f != NULL; f = f->next) {
		for (i = 0; i < f->nb_pieces; i++)
			r->nb_pages -= f->piece[i].kind != SIM_HEADER;
	}
}

/* ---- Stopping ---- */

void
ring_stop(struct sim_ring *r, void (*home)(void *ctx, struct xfer_page *page), void *ctx)
{
	struct sim_piece p;
	uint32_t i;

	r->running = false;
	while (r->nb > 0) {
		p = r->piece[r->head];
		r->head = (r->head + 1) % (2 * SIM_RING_PAIRS);
		r->nb--;
		r->nb_pages -= p.kind != SIM_HEADER;
		if (p.kind == SIM_POSTED)
			home(ctx, p.page);
	}
	for (i = 0; i < r->nb_wishes; i++)
		home(ctx, r->wish[i]);
	r->nb_wishes = 0;
}
