/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>

#include "world.h"

#define MSEC (1000 * 1000ull)
#define LINK_DOWN_NS (20 * MSEC) /* when the port is taken out */

const char *const sim_mode_names[] = {
#define X(name, text) #name,
	SIM_MODE_LIST(X)
#undef X
};

const char *const sim_mode_texts[] = {
#define X(name, text) text,
	SIM_MODE_LIST(X)
#undef X
};

static bool
has_ring(const struct sim_ini *ini)
{
	return ini->placer != NULL;
}

/* ---- What the engine asks of the ring ---- */

static uint32_t
count_pairs(void *ctx)
{
	return ring_pairs(&((struct sim_ini *)ctx)->ring);
}

static uint32_t
count_room(void *ctx)
{
	return ring_room(&((struct sim_ini *)ctx)->ring);
}

static bool
is_running(void *ctx)
{
	return ((struct sim_ini *)ctx)->ring.running;
}

static void
post_page(void *ctx, struct xfer_page *page)
{
	struct sim_ini *ini = ctx;

	if (ring_room(&ini->ring) == 0) {
		sim_fail(ini->w, CR_contract, "more pages are posted than the ring has room for");
		return;
	}
	ring_post(&ini->ring, page);
}

static void
want_pairs(void *ctx, uint32_t pairs)
{
	struct sim_ini *ini = ctx;

	ini->ring.want = MPN_MIN(pairs, ini->ring.pairs);
}

static void
bring_home(void *ctx, struct xfer_page *page)
{
	xfer_place_home(((struct sim_ini *)ctx)->placer, page);
}

static void
plug_event(struct world *w, void *arg, uint64_t incarnation)
{
	struct sim_ini *ini = arg;

	if (w->node[ini->node].incarnation == incarnation)
		ini->ring.running = true;
}

/* The port goes out and comes in again. What it had received goes with it. */
static void
recall_pages(void *ctx)
{
	struct sim_ini *ini = ctx;
	struct world *w = ini->w;
	uint64_t until = w->clock.now + LINK_DOWN_NS;

	trace_event(&w->trace, w->clock.now, TR_RECALL, ini->node, ring_pairs(&ini->ring), 0, 0);
	ring_stop(&ini->ring, bring_home, ini);
	w->net.mute_until[ini->node] = MPN_MAX(w->net.mute_until[ini->node], until);
	w->net.deaf_until[ini->node] = MPN_MAX(w->net.deaf_until[ini->node], until);
	clock_at(&w->clock, until, plug_event, ini, w->node[ini->node].incarnation);
}

static struct xfer_ini *
send_probes(void *ctx, uint32_t nb)
{
	struct sim_ini *ini = ctx;

	return xfer_ini_drain(ini->eng, nb) ? ini->eng : NULL;
}

static struct sim_cmd *
cmd_of_read(struct xfer_placed *read)
{
	return mpn_container_of(read, struct sim_cmd, placed_read);
}

static bool
locate(void *ctx, struct xfer_placed *read, uint32_t off, struct xfer_page *page)
{
	struct sim_cmd *c = cmd_of_read(read);

	page->owner = c;
	page->mem = ini_data(c) + off;
	return true;
}

static void
hold(void *ctx, struct xfer_page *page)
{
	((struct sim_cmd *)page->owner)->nb_held++;
}

static void
release(void *ctx, struct xfer_page *page)
{
	((struct sim_cmd *)page->owner)->nb_held--;
}

static void
unbounce(void *ctx, struct xfer_page *page)
{
	struct sim_ini *ini = ctx;
	const struct sim_cmd *c = page->owner;

	if (!c->live)
		sim_fail(ini->w, CR_contract, "data is copied to memory of a read that is over");
	memcpy(page->mem, page->bounce, page->len);
}

static void
finish(void *ctx, struct xfer_placed *read, int status)
{
	ini_done(read->cmd, status);
}

static void
wake(void *ctx, struct xfer_placed *read)
{
	struct sim_ini *ini = ctx;

	node_after(ini->w, ini->node);
}

static const struct xfer_place_ops place_ops = {
	.pairs = count_pairs,
	.room = count_room,
	.running = is_running,
	.post = post_page,
	.want = want_pairs,
	.recall = recall_pages,
	.probe = send_probes,
	.locate = locate,
	.hold = hold,
	.release = release,
	.unbounce = unbounce,
	.done = finish,
	.wake = wake,
};

/* ---- A command ---- */

static void
done_placed(struct xfer_cmd *cmd, int status)
{
	struct sim_cmd *c = (struct sim_cmd *)cmd;

	if (xfer_place_end(c->ini->placer, &c->placed_read, status))
		ini_done(cmd, status);
}

bool
placing_admit(void *ctx, struct xfer_cmd *cmd)
{
	struct sim_cmd *c = (struct sim_cmd *)cmd;
	struct sim_ini *ini = ctx;

	cmd->done = ini_done;
	if (!has_ring(ini) || c->way != SIM_PLACED)
		return true;
	switch (xfer_place_admit(
		ini->placer, &c->placed_read, ini->eng, cmd, ini->w->conf.ring_eager)) {
	case XFER_PLACE_WAIT:
		return false;
	case XFER_PLACE_POSTED:
		cmd->done = done_placed;
		return true;
	default:
		return true;
	}
}

/* The page that all of the frame's payload is in. */
static const struct xfer_page *
page_of_frame(const struct sim_frame *f, const void *payload)
{
	if (f->nb_pieces != 2 || f->piece[1].kind != SIM_POSTED)
		return NULL;
	return f->piece[1].page->mem == payload ? f->piece[1].page : NULL;
}

void
placing_place(
	struct sim_ini *ini, struct sim_cmd *c, uint32_t off, const void *payload, uint32_t len)
{
	const struct sim_frame *f = ini->rx;
	uint32_t idx = off / xfer_ini_p(ini->eng);

	switch (xfer_place_rx(
		ini->placer, &c->placed_read, idx, page_of_frame(f, payload), f->nb_pieces > 0)) {
	case XFER_PLACE_IN_PLACE:
		break;
	case XFER_PLACE_BOUNCE:
		memcpy(c->pages[idx]->bounce, payload, len);
		break;
	default:
		memmove(ini_data(c) + off, payload, len);
		break;
	}
}

void
placing_lost(struct sim_ini *ini)
{
	unsigned i;

	for (i = 0; has_ring(ini) && i < SIM_MAX_CMDS; i++) {
		if (ini->cmd[i].live)
			xfer_place_lost(ini->placer, &ini->cmd[i].placed_read);
	}
}

/* ---- Frames ---- */

bool
placing_take(struct sim_ini *ini, struct sim_frame *f)
{
	return !has_ring(ini) || ring_take(ini->w, &ini->ring, f);
}

void
placing_receive(struct sim_ini *ini, struct sim_frame *frames)
{
	if (has_ring(ini))
		ring_receive(&ini->ring, frames);
}

/* What is in the pieces now is the frame, wherever they are. */
void
placing_begin(struct sim_ini *ini, struct sim_frame *f, struct xfer_rx *rx)
{
	uint32_t i, at = 0;

	ini->rx = f;
	for (i = 0; i < f->nb_pieces; at += f->piece[i++].len) {
		if (f->piece[i].kind == SIM_POSTED)
			memcpy(f->data + at, f->piece[i].page->mem, f->piece[i].len);
	}
	if (f->nb_pieces == 2 && f->piece[0].kind == SIM_HEADER && f->piece[1].kind == SIM_POSTED)
		rx->payload = f->piece[1].page->mem;
}

void
placing_finish(struct sim_ini *ini, struct sim_frame *f)
{
	uint32_t i;

	ini->rx = NULL;
	for (i = 0; i < f->nb_pieces; i++) {
		if (f->piece[i].kind == SIM_POSTED)
			xfer_place_home(ini->placer, f->piece[i].page);
	}
	f->nb_pieces = 0;
}

void
placing_poll(struct sim_ini *ini)
{
	if (has_ring(ini))
		xfer_place_poll(ini->placer, node_now(ini->w, ini->node));
}

void
placing_flush(struct sim_ini *ini)
{
	if (has_ring(ini))
		ring_fill(&ini->ring);
}

uint64_t
placing_deadline(const struct sim_ini *ini)
{
	return has_ring(ini) ? xfer_place_deadline(ini->placer, node_now(ini->w, ini->node))
			     : XFER_NO_DEADLINE;
}

/* ---- Life ---- */

void
placing_start(struct sim_ini *ini)
{
	struct world *w = ini->w;
	struct xfer_place_conf conf = {
		.ops = &place_ops,
		.ctx = ini,
		.pairs = w->conf.ring_pairs,
		.p_max = w->conf.p_ini,
	};

	ini->placer = NULL;
	if (conf.pairs == 0)
		return;
	conf.bounce = mem_get(&ini->bounce, (size_t)xfer_place_pages(conf.pairs) * conf.p_max);
	ini->placer = xfer_place_init(mem_get(&ini->placer_mem, xfer_place_size(&conf)), &conf);
	ring_init(&ini->ring, conf.pairs, conf.p_max);
}

static void
add_stats(struct sim_ini *ini)
{
	const struct xfer_place_stats *s = xfer_place_stats(ini->placer);
	struct sim_placing *sum = &ini->w->placing;

#define X(name, text) sum->place.name += s->name;
	XFER_PLACE_LIST(X)
#undef X
	sum->resync += ini->ring.resync;
	sum->dropped += ini->ring.dropped;
}

void
placing_end(struct sim_ini *ini)
{
	if (!has_ring(ini))
		return;
	if (!mem_is_intact(&ini->placer_mem) || !mem_is_intact(&ini->bounce))
		sim_fail(ini->w, CR_contract, "initiator %u wrote behind its pages", ini->index);
	add_stats(ini);
	ini->placer = NULL;
}

void
placing_free(struct sim_ini *ini)
{
	free(ini->placer_mem.base);
	free(ini->bounce.base);
	memset(&ini->placer_mem, 0, sizeof(ini->placer_mem));
	memset(&ini->bounce, 0, sizeof(ini->bounce));
}

void
placing_check(struct sim_ini *ini)
{
	unsigned i;

	if (!has_ring(ini))
		return;
	if (placing_deadline(ini) != XFER_NO_DEADLINE || xfer_place_expected(ini->placer) != 0)
		sim_fail(ini->w, CR_resources, "initiator %u waits for %u frames in vain",
			ini->index, xfer_place_expected(ini->placer));
	if (xfer_place_free(ini->placer) != xfer_place_pages(ini->ring.pairs))
		sim_fail(ini->w, CR_resources, "initiator %u has %u pages in the ring left",
			ini->index,
			xfer_place_pages(ini->ring.pairs) - xfer_place_free(ini->placer));
	for (i = 0; i < SIM_MAX_CMDS; i++) {
		if (ini->cmd[i].nb_held != 0)
			sim_fail(ini->w, CR_resources, "pages of #%u are held", ini->cmd[i].op);
	}
}
