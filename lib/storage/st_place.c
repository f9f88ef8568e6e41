/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>

#include "mpn_log.h"
#include "nic_post.h"
#include "st_device.h"
#include "st_mutant.h"
#include "st_place.h"

struct st_place {
	struct nic_post *post;
	struct st_nic *nic;
	struct xfer_place *core;
	uint8_t *bounce;
	uint64_t misplaced; /* fragments at an address that was not the caller's */
};

static struct st_cmd *
cmd_of(struct xfer_cmd *xfer)
{
	return mpn_container_of(xfer, struct st_cmd, xfer);
}

static struct st_cmd *
cmd_of_read(struct xfer_placed *read)
{
	return mpn_container_of(read, struct st_cmd, placed);
}

static bool
is_eager(const struct net_st_device *dev)
{
	return dev->placement != DEV_ST_PLACE_AUTO;
}

/* ---- What the engine asks of the NIC ---- */

static uint32_t
count_pairs(void *ctx)
{
	return nic_post_pairs(((struct st_place *)ctx)->post);
}

static uint32_t
count_room(void *ctx)
{
	return nic_post_room(((struct st_place *)ctx)->post);
}

static bool
is_running(void *ctx)
{
	return nic_post_running(((struct st_place *)ctx)->post);
}

static void
post_page(void *ctx, struct xfer_page *page)
{
	/* There is room: it was asked for. */
	(void)nic_post_page(((struct st_place *)ctx)->post, page->mem, page->len, page);
}

static void
want_pairs(void *ctx, uint32_t pairs)
{
	nic_post_want(((struct st_place *)ctx)->post, pairs);
}

static void
recall_pages(void *ctx)
{
	mpn_nic_post_recall(((struct st_place *)ctx)->nic->nic);
}

/* Any device that knows a target will do: all are at the other end of this link. */
static struct xfer_ini *
send_probes(void *ctx, uint32_t nb)
{
	struct st_nic *n = ((struct st_place *)ctx)->nic;

	for (unsigned i = 0; i < n->nb_devices; i++) {
		struct net_st_device *dev = n->devices[i];

		if (dev == NULL || !xfer_ini_drain(dev->ini, nb))
			continue;
		st_device_wake(dev);
		return dev->ini;
	}
	return NULL;
}

/* Whole fragments in one piece of an arena can be posted. */
static bool
locate(void *ctx, struct xfer_placed *read, uint32_t off, struct xfer_page *page)
{
	struct st_place *pl = ctx;

	if (page->len < nic_post_least(pl->post) ||
		st_cmd_locate(cmd_of_read(read), off, &page->mem) < page->len)
		return false;
	page->owner = st_arena_find(&pl->nic->arenas, page->mem, page->len);
	return page->owner != NULL;
}

static void
hold(void *ctx, struct xfer_page *page)
{
	struct st_arena *arena = page->owner;

	if (ST_MUTATE(page_unheld))
		return;
	__atomic_fetch_add(&arena->shinfo.refcnt, 1, __ATOMIC_RELAXED);
	st_cmd_use(cmd_of_read(page->read), arena);
}

static void
release(void *ctx, struct xfer_page *page)
{
	struct st_arena *arena = page->owner;

	if (!ST_MUTATE(page_unheld))
		__atomic_fetch_sub(&arena->shinfo.refcnt, 1, __ATOMIC_RELEASE);
}

static void
unbounce(void *ctx, struct xfer_page *page)
{
	st_copy(&cmd_of_read(page->read)->dev->copy, ST_COPY_rx_place, page->mem, page->bounce,
		page->len);
}

static void
finish(void *ctx, struct xfer_placed *read, int status)
{
	st_cmd_finish(read->cmd, status);
}

static void
wake(void *ctx, struct xfer_placed *read)
{
	st_device_wake(cmd_of_read(read)->dev);
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

static void
page_came_home(void *owner, void *cookie)
{
	xfer_place_home(((struct st_place *)owner)->core, cookie);
}

/* ---- A command ---- */

/* A command that was placed has ended, but pages of it may be in the ring. */
static void
finish_placed(struct xfer_cmd *xfer, int status)
{
	struct st_cmd *cmd = cmd_of(xfer);

	if (mpn_likely(xfer_place_end(cmd->dev->nic->place->core, &cmd->placed, status)))
		st_cmd_finish(xfer, status);
}

bool
st_place_admit(void *ctx, struct xfer_cmd *xfer)
{
	struct net_st_device *dev = ctx;
	struct st_cmd *cmd = cmd_of(xfer);

	if (cmd->req->loan) {
		xfer->done = st_cmd_finish;
		return true;
	}
	switch (xfer_place_admit(
		dev->nic->place->core, &cmd->placed, dev->ini, xfer, is_eager(dev))) {
	case XFER_PLACE_WAIT:
		return false;
	case XFER_PLACE_POSTED:
		xfer->done = finish_placed;
		return true;
	default:
		xfer->done = st_cmd_finish;
		return true;
	}
}

uint32_t
st_place_quantum(const struct net_st_device *dev)
{
	uint32_t units = xfer_place_quantum(dev->nic->place->core, is_eager(dev));

	return units == UINT32_MAX ? units : units * xfer_ini_p(dev->ini);
}

/* The page that all of the frame's payload is in. NULL: there is none, or it is in more than that. */
static const struct xfer_page *
page_of_frame(const struct st_place *pl, const void *payload)
{
	const struct rte_mbuf *m = *pl->nic->rx_slot;
	const struct xfer_page *page;

	if (m->nb_segs != 2)
		return NULL;
	page = nic_post_cookie(pl->post, m->next);
	return page != NULL && page->mem == payload ? page : NULL;
}

/*
 * Where the request wants it, found once more from the request's side: the last look before the buffer is
 * the caller's. In builds with assertions; what does not pass fails, is counted and logged.
 */
static bool
check_address(
	struct st_place *pl, struct st_cmd *cmd, uint32_t off, const void *payload, uint32_t len)
{
#ifndef NDEBUG
	uint8_t *at = NULL;

	if (mpn_likely(st_cmd_locate(cmd, off, &at) >= len && at == payload))
		return true;
	cmd->misplaced = true;
	if (pl->misplaced++ == 0)
		mpn_log(MPN_LOG_ERR, "storage",
			"%s: data of a read in place is at %p and belongs at %p: the buffers were "
			"changed "
			"under way, or the library is wrong",
			pl->nic->info.name, payload, (void *)at);
	return false;
#else
	return true;
#endif
}

void
st_place_data(void *ctx, struct xfer_cmd *xfer, uint32_t off, const void *payload, uint32_t len)
{
	struct net_st_device *dev = ctx;
	struct st_place *pl = dev->nic->place;
	struct st_cmd *cmd = cmd_of(xfer);
	uint32_t idx = off / xfer_ini_p(dev->ini);

	if (!(xfer->flags & WIRE_F_BULK)) {
		st_cmd_place(ctx, xfer, off, payload, len);
		return;
	}
	switch (xfer_place_rx(pl->core, &cmd->placed, idx, page_of_frame(pl, payload),
		nic_post_owns(pl->post, *pl->nic->rx_slot))) {
	case XFER_PLACE_IN_PLACE:
		dev->copy.wire += len;
		if (mpn_likely(check_address(pl, cmd, off, payload, len)))
			dev->copy.in_place += len;
		break;
	case XFER_PLACE_BOUNCE:
		st_copy(&dev->copy, ST_COPY_rx_bounce, cmd->pages[idx]->bounce, payload, len);
		dev->copy.wire += len;
		break;
	default:
		st_cmd_place(ctx, xfer, off, payload, len);
		break;
	}
}

void
st_place_lost(struct net_st_device *dev)
{
	for (uint32_t i = 0; i < dev->nb_cmds; i++) {
		if (dev->cmds[i].req != NULL)
			xfer_place_lost(dev->nic->place->core, &dev->cmds[i].placed);
	}
}

void
st_place_forget(struct net_st_device *dev)
{
	if (dev->nic->place != NULL)
		xfer_place_forget(dev->nic->place->core, dev->ini);
}

void
st_place_poll(struct st_nic *n, uint64_t now_ns)
{
	xfer_place_poll(n->place->core, now_ns);
}

void
st_place_recall(struct st_nic *n)
{
	xfer_place_recall(n->place->core);
}

/* ---- Life ---- */

static void
free_place(struct st_place *pl)
{
	free(pl->core);
	free(pl->bounce);
	free(pl);
}

static int
make_core(struct st_place *pl)
{
	struct xfer_place_conf conf = {
		.ops = &place_ops,
		.ctx = pl,
		.pairs = nic_post_size(pl->post),
		.p_max = pl->nic->p_max,
	};
	void *mem = malloc(xfer_place_size(&conf));

	conf.bounce = malloc((size_t)xfer_place_pages(conf.pairs) * conf.p_max);
	pl->bounce = conf.bounce;
	pl->core = mem;
	if (mem == NULL || conf.bounce == NULL)
		return -ENOMEM;
	pl->core = xfer_place_init(mem, &conf);
	return 0;
}

/* Bulk data and nothing else: the flag is in the low byte of the flags. */
static int
steer(const struct st_nic *n)
{
	struct nic_steer steer = {
		.ethertype = rte_be_to_cpu_16(n->ethertype_to_initiator),
		.offset = offsetof(struct wire_ebd, flags) - offsetof(struct wire_ebd, ver_kind),
		.bits = WIRE_F_BULK,
	};

	return mpn_nic_post_steer(n->nic, &steer);
}

int
st_place_init(struct st_nic *n)
{
	struct nic_post *post = mpn_nic_post(n->nic);
	struct mpn_personality_info info;
	struct st_place *pl;
	int rc;

	/* A tagged header is longer than what stands in front of a page. */
	mpn_personality_get_info(n->pers, &info);
	if (post == NULL || info.vlan.vid != 0)
		return 0;
	rc = steer(n);
	if (rc < 0)
		return rc;
	pl = calloc(1, sizeof(*pl));
	if (pl == NULL)
		return -ENOMEM;
	pl->post = post;
	pl->nic = n;
	if (make_core(pl) < 0) {
		free_place(pl);
		return -ENOMEM;
	}
	nic_post_set_owner(post, pl, page_came_home);
	n->place = pl;
	return 0;
}

void
st_place_fini(struct st_nic *n)
{
	if (n->place == NULL)
		return;
	nic_post_set_owner(n->place->post, NULL, NULL);
	free_place(n->place);
	n->place = NULL;
}

/* ---- Looking ---- */

const struct xfer_place_stats *
st_place_stats(const struct st_nic *n)
{
	return xfer_place_stats(n->place->core);
}

uint64_t
st_place_misplaced(const struct st_nic *n)
{
	return n->place->misplaced;
}

void
st_place_print(const struct st_nic *n, struct mpn_out *o)
{
	const struct st_place *pl = n->place;
	const struct nic_post_stats *post = nic_post_stats(pl->post);
	const struct xfer_place_stats *stats = st_place_stats(n);

	mpn_out_object(o, "place");
	mpn_out_u64(o, "pairs", nic_post_size(pl->post));
	mpn_out_u64(o, "in_ring", nic_post_pairs(pl->post));
	mpn_out_u64(o, "expected", xfer_place_expected(pl->core));
	mpn_out_u64(o, "posted", post->posted);
	mpn_out_u64(o, "spare", post->spare);
	mpn_out_u64(o, "resync", post->resync);
#define X(name, text) mpn_out_u64(o, #name, stats->name);
	XFER_PLACE_LIST(X)
#undef X
	mpn_out_u64(o, "misplaced", pl->misplaced);
	mpn_out_close(o);
}
