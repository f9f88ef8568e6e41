/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Pages and frames stay together by counting: there are as many pairs in the ring as frames are
 * expected on the data queue. Pairs too many (the port fills its ring up whenever it takes something;
 * a read failed) are assigned to the next reads, which post that much less and are copied; pairs too
 * few (a frame came twice, or was nobody's) are made up for by pages of the NIC's. Either way frames
 * find their own pages again one turn of the ring later.
 *
 * A command that ended while pages of it are in the ring waits in the list idle. Frames of others
 * bring them out; when none are expected, padded PROBEs do, and when the target does not answer these,
 * the port is taken out.
 */

#include <stdlib.h>

#include "nic_post.h"
#include "st_device.h"
#include "st_place.h"

#define MSEC (XFER_NSEC_PER_SEC / 1000)
#define STALL_NS (10 * MSEC) /* then frames that are expected are not waited for */
#define RECALL_NS (500 * MSEC) /* without a page coming out */
#define PROBE_NS (2 * MSEC) /* between rounds of PROBEs, doubled up to MAX_TRIES times */
#define MAX_TRIES 5
#define MAX_PROBES 32 /* of one round */
#define SHARE 4 /* commands that have room in the ring together, at least */
#define WINDOW 1024 /* fragments: fewer than half of them in place is not worth the trouble */
#define PAUSE 16384 /* commands until it is tried again */
#define ASTRAY 64 /* the same, when frames came on another queue */

/* A page in the ring, or on its way there or back. */
struct st_page {
	struct st_cmd *cmd; /* NULL: it has its data */
	struct st_arena *arena;
	uint8_t *mem;
	uint8_t *bounce; /* memory of ours */
	uint32_t len;
	uint16_t idx; /* of the fragment */
	bool bounced; /* its data is in bounce */
	struct st_page *next; /* of the free ones */
};

struct st_place {
	struct nic_post *post;
	struct st_nic *nic;
	uint32_t pairs;
	uint32_t expected; /* frames of reads that will come on the data queue */
	uint32_t nb_free;
	struct st_page *free;
	struct mpn_list idle; /* commands with pages in the ring that no frame is expected for */
	struct mpn_list ready; /* commands that have ended and have their pages */
	struct net_st_device *drainer; /* whose PROBEs are on their way */
	uint64_t stuck_ns; /* since when no page of an idle command has come out, 0: not at all */
	uint64_t lost_ns; /* when PROBEs are lost that have not come back */
	uint64_t
		probe_ns; /* not before this is another round sent, unless the last one was of use */
	unsigned tries;
	uint32_t window, hits; /* fragments, and those in place */
	uint32_t pause; /* commands that are copied before the next try */
	uint32_t astray; /* the same, because the peer has not found the queue */
	struct st_place_stats stats;
	struct st_page *pages;
	uint8_t *bounce;
};

static struct st_cmd *
cmd_of(struct xfer_cmd *xfer)
{
	return mpn_container_of(xfer, struct st_cmd, xfer);
}

/* ---- Pages ---- */

/* The page is the caller's: nothing writes to it any more. */
static void
let_go(struct st_page *page)
{
	page->cmd->posted &= ~(1ull << page->idx);
	page->cmd = NULL;
	__atomic_fetch_sub(&page->arena->shinfo.refcnt, 1, __ATOMIC_RELEASE);
}

static void
post_page(struct st_place *pl, struct st_cmd *cmd, const struct st_page *what)
{
	struct st_page *page = pl->free;

	pl->free = page->next;
	pl->nb_free--;
	page->cmd = cmd;
	page->arena = what->arena;
	page->mem = what->mem;
	page->len = what->len;
	page->idx = what->idx;
	page->bounced = false;
	/* Freed meanwhile, the memory stays until the page has come out. */
	__atomic_fetch_add(&page->arena->shinfo.refcnt, 1, __ATOMIC_RELAXED);
	cmd->pages[page->idx] = page;
	cmd->posted |= 1ull << page->idx;
	/* There is room: it was asked for. */
	(void)nic_post_page(pl->post, page->mem, page->len, page);
}

/* A page of an idle command is out. */
static void
move_on(struct st_place *pl, struct st_cmd *cmd)
{
	pl->stuck_ns = 0;
	pl->probe_ns = 0;
	if (cmd->posted != 0)
		return;
	mpn_list_del(&cmd->idle);
	if (cmd->ended)
		mpn_list_add_tail(&pl->ready, &cmd->idle);
	st_device_wake(cmd->dev);
}

static void
page_came_home(void *owner, void *cookie)
{
	struct st_place *pl = owner;
	struct st_page *page = cookie;
	struct st_cmd *cmd = page->cmd;

	if (cmd != NULL) {
		if (page->bounced)
			st_copy(&cmd->dev->copy, ST_COPY_rx_place, page->mem, page->bounce,
				page->len);
		let_go(page);
		if (!mpn_list_empty(&cmd->idle))
			move_on(pl, cmd);
	}
	page->next = pl->free;
	pl->free = page;
	pl->nb_free++;
}

/* ---- Starting ---- */

static uint32_t
outstanding(const struct st_place *pl)
{
	return pl->expected + (pl->drainer != NULL ? xfer_ini_draining(pl->drainer->ini) : 0);
}

/* Is it worth it, for this command on this session? */
static bool
is_wanted(struct st_place *pl, const struct net_st_device *dev, const struct st_cmd *cmd)
{
	if (cmd->xfer.op != WIRE_READ || cmd->req->loan || !nic_post_running(pl->post) ||
		!xfer_ini_has_bulk(dev->ini))
		return false;
	/* A fragment with part of a block may be placed in parts. */
	if (xfer_ini_p(dev->ini) % xfer_ini_geometry(dev->ini)->block_size != 0)
		return false;
	if (mpn_unlikely(pl->astray > 0)) {
		pl->astray--;
		return false;
	}
	if (dev->placement == DEV_ST_PLACE_AUTO && pl->pause > 0) {
		pl->pause--;
		return false;
	}
	return true;
}

/* Where the fragments belong. @return how many there are, 0: not all of them in one piece of an arena */
static uint32_t
find_pages(struct st_cmd *cmd, struct st_page *pages)
{
	uint32_t p = xfer_ini_p(cmd->dev->ini), off, len, nb = 0;
	uint32_t least = nic_post_least(cmd->dev->nic->place->post);

	for (off = 0; off < cmd->xfer.len; off += len, nb++) {
		struct st_page *page = &pages[nb];

		len = MPN_MIN(p, cmd->xfer.len - off);
		if (len < least || st_cmd_locate(cmd, off, &page->mem) < len)
			return 0;
		page->arena = st_arena_find(&cmd->dev->nic->arenas, page->mem, len);
		if (page->arena == NULL)
			return 0;
		page->len = len;
		page->idx = (uint16_t)nb;
	}
	return nb;
}

/* A command that was placed has ended, but pages of it may be in the ring. */
static void
finish_placed(struct xfer_cmd *xfer, int status)
{
	struct st_cmd *cmd = cmd_of(xfer);
	struct st_place *pl = cmd->dev->nic->place;

	pl->expected -= cmd->due;
	cmd->due = 0;
	if (mpn_likely(cmd->posted == 0)) {
		st_cmd_finish(xfer, status);
		return;
	}
	cmd->ended = true;
	cmd->status = status;
	if (mpn_list_empty(&cmd->idle))
		mpn_list_add_tail(&pl->idle, &cmd->idle);
}

bool
st_place_admit(void *ctx, struct xfer_cmd *xfer)
{
	struct net_st_device *dev = ctx;
	struct st_place *pl = dev->nic->place;
	struct st_cmd *cmd = cmd_of(xfer);
	struct st_page pages[WIRE_EBD_MAX_FRAGS];
	uint32_t nb, i, pairs, spare;

	/* It starts again: what was posted for it before must be out. */
	if (mpn_unlikely(cmd->posted != 0))
		return false;
	xfer->flags &= (uint16_t)~WIRE_F_BULK;
	xfer->done = st_cmd_finish;
	if (!is_wanted(pl, dev, cmd))
		return true;
	nb = find_pages(cmd, pages);
	if (nb == 0 || nb > pl->pairs)
		return true;
	pairs = nic_post_pairs(pl->post);
	spare = pairs > outstanding(pl) ? pairs - outstanding(pl) : 0;
	spare = MPN_MIN(spare, nb);
	if (nb - spare > nic_post_room(pl->post) || nb - spare > pl->nb_free) {
		pl->stats.waits++;
		return false;
	}
	for (i = spare; i < nb; i++)
		post_page(pl, cmd, &pages[i]);
	cmd->due = nb;
	cmd->ended = false;
	pl->expected += nb;
	pl->stats.reads++;
	xfer->flags |= WIRE_F_BULK;
	xfer->done = finish_placed;
	return true;
}

uint32_t
st_place_quantum(const struct net_st_device *dev)
{
	const struct st_place *pl = dev->nic->place;

	if (dev->placement == DEV_ST_PLACE_AUTO && pl->pause > 0)
		return UINT32_MAX;
	return MPN_MAX(pl->pairs / SHARE, 1u) * xfer_ini_p(dev->ini);
}

/* ---- Receiving ---- */

/* Is little of it in place? Then it is left alone for a while. */
static void
count_fragment(struct st_place *pl, const struct net_st_device *dev, bool hit)
{
	pl->hits += hit;
	if (++pl->window < WINDOW)
		return;
	if (pl->hits < WINDOW / 2 && dev->placement == DEV_ST_PLACE_AUTO) {
		pl->pause = PAUSE;
		pl->stats.pauses++;
	}
	pl->window = 0;
	pl->hits = 0;
}

static bool
is_in_page(const struct st_place *pl, const struct st_page *page, const void *payload)
{
	const struct rte_mbuf *m = *pl->nic->rx_slot;

	return payload == page->mem && m->nb_segs == 2 &&
	       nic_post_cookie(pl->post, m->next) == page;
}

void
st_place_data(void *ctx, struct xfer_cmd *xfer, uint32_t off, const void *payload, uint32_t len)
{
	struct net_st_device *dev = ctx;
	struct st_place *pl = dev->nic->place;
	struct st_cmd *cmd = cmd_of(xfer);
	uint32_t idx = off / xfer_ini_p(dev->ini);
	struct st_page *page;

	if (!(xfer->flags & WIRE_F_BULK)) {
		st_cmd_place(ctx, xfer, off, payload, len);
		return;
	}
	cmd->due--;
	pl->expected--;
	page = cmd->posted >> idx & 1 ? cmd->pages[idx] : NULL;
	if (mpn_likely(page != NULL && is_in_page(pl, page, payload))) {
		let_go(page);
		dev->copy.wire += len;
		dev->copy.in_place += len;
		pl->stats.in_place++;
	} else if (page != NULL) {
		st_copy(&dev->copy, ST_COPY_rx_bounce, page->bounce, payload, len);
		dev->copy.wire += len;
		page->bounced = true;
		pl->stats.bounced++;
	} else {
		st_cmd_place(ctx, xfer, off, payload, len);
		pl->stats.copied++;
	}
	if (mpn_unlikely(!nic_post_owns(pl->post, *pl->nic->rx_slot))) {
		pl->astray = ASTRAY;
		pl->stats.astray++;
	}
	count_fragment(pl, dev, page != NULL && !page->bounced);
}

void
st_place_lost(struct net_st_device *dev)
{
	struct st_place *pl = dev->nic->place;

	for (uint32_t i = 0; i < dev->nb_cmds; i++) {
		struct st_cmd *cmd = &dev->cmds[i];

		if (cmd->req == NULL || cmd->due == 0)
			continue;
		pl->expected -= cmd->due;
		cmd->due = 0;
		if (cmd->posted != 0 && mpn_list_empty(&cmd->idle))
			mpn_list_add_tail(&pl->idle, &cmd->idle);
	}
}

void
st_place_forget(struct net_st_device *dev)
{
	struct st_place *pl = dev->nic->place;

	if (pl != NULL && pl->drainer == dev)
		pl->drainer = NULL;
}

/* ---- Getting pages out ---- */

static void
finish_ready(struct st_place *pl)
{
	while (!mpn_list_empty(&pl->ready)) {
		struct st_cmd *cmd = mpn_list_first(&pl->ready, struct st_cmd, idle);

		mpn_list_del(&cmd->idle);
		st_cmd_finish(&cmd->xfer, cmd->status);
	}
}

/* Any device that knows a target will do: all are at the other end of this link. */
static bool
send_probes(struct st_place *pl, uint32_t nb)
{
	struct st_nic *n = pl->nic;

	pl->drainer = NULL;
	for (unsigned i = 0; i < n->nb_devices; i++) {
		struct net_st_device *dev = n->devices[i];

		if (dev == NULL || !xfer_ini_drain(dev->ini, nb))
			continue;
		st_device_wake(dev);
		pl->drainer = dev;
		pl->stats.probes += nb;
		return true;
	}
	return false;
}

/* As many frames as there are pairs that none is expected for; after a while as there are at all. */
static void
drain(struct st_place *pl, uint64_t now_ns)
{
	uint32_t pairs = nic_post_pairs(pl->post), nb;

	if (now_ns - pl->stuck_ns < STALL_NS)
		nb = pairs > pl->expected ? pairs - pl->expected : 0;
	else
		nb = pairs;
	if (nb == 0 || now_ns < pl->probe_ns)
		return;
	(void)send_probes(pl, MPN_MIN(nb, MAX_PROBES));
	pl->probe_ns = now_ns + (PROBE_NS << pl->tries);
	pl->lost_ns = pl->probe_ns;
	pl->tries = MPN_MIN(pl->tries + 1, MAX_TRIES);
}

/* PROBEs that came back, or should have by now, are not expected any more. */
static bool
end_probes(struct st_place *pl, uint64_t now_ns)
{
	if (pl->drainer == NULL)
		return true;
	if (xfer_ini_draining(pl->drainer->ini) > 0 && now_ns < pl->lost_ns)
		return false;
	(void)xfer_ini_drain(pl->drainer->ini, 0);
	pl->drainer = NULL;
	return true;
}

/* Pages of reads that start again when the peer is back may be with it until then. */
static bool
is_somebody_waiting(const struct st_place *pl)
{
	const struct st_cmd *cmd;
	struct mpn_list *node;

	mpn_list_for_each(node, &pl->idle) {
		cmd = mpn_container_of(node, struct st_cmd, idle);
		if (cmd->ended || xfer_ini_get_state(cmd->dev->ini) == XFER_INI_LIVE)
			return true;
	}
	return false;
}

void
st_place_poll(struct st_nic *n, uint64_t now_ns)
{
	struct st_place *pl = n->place;
	bool may_probe;

	finish_ready(pl);
	may_probe = end_probes(pl, now_ns);
	if (mpn_likely(mpn_list_empty(&pl->idle))) {
		pl->stuck_ns = 0;
		pl->tries = 0;
	} else if (pl->stuck_ns == 0) {
		pl->stuck_ns = now_ns;
		pl->tries = 0;
	} else if (now_ns - pl->stuck_ns > RECALL_NS && is_somebody_waiting(pl)) {
		st_place_recall(n);
	}
	if (may_probe && !mpn_list_empty(&pl->idle))
		drain(pl, now_ns);
	nic_post_want(pl->post, outstanding(pl));
}

void
st_place_recall(struct st_nic *n)
{
	n->place->stats.recalls++;
	mpn_nic_post_recall(n->nic);
	finish_ready(n->place);
}

/* ---- Life ---- */

static int
make_pages(struct st_place *pl, uint32_t nb)
{
	pl->pages = calloc(nb, sizeof(*pl->pages));
	pl->bounce = malloc((size_t)nb * pl->nic->p_max);
	if (pl->pages == NULL || pl->bounce == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < nb; i++) {
		pl->pages[i].bounce = pl->bounce + (size_t)i * pl->nic->p_max;
		pl->pages[i].next = pl->free;
		pl->free = &pl->pages[i];
	}
	pl->nb_free = nb;
	return 0;
}

static void
free_place(struct st_place *pl)
{
	free(pl->pages);
	free(pl->bounce);
	free(pl);
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
	struct st_place *pl;
	int rc;

	if (post == NULL)
		return 0;
	rc = steer(n);
	if (rc < 0)
		return rc;
	pl = calloc(1, sizeof(*pl));
	if (pl == NULL)
		return -ENOMEM;
	pl->post = post;
	pl->nic = n;
	pl->pairs = nic_post_size(post);
	mpn_list_init(&pl->idle);
	mpn_list_init(&pl->ready);
	/* Those in the ring, and as many in frames that have been received and not freed yet. */
	if (make_pages(pl, 2 * pl->pairs) < 0) {
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

const struct st_place_stats *
st_place_stats(const struct st_nic *n)
{
	return &n->place->stats;
}

void
st_place_print(const struct st_nic *n, struct mpn_out *o)
{
	const struct st_place *pl = n->place;
	const struct nic_post_stats *post = nic_post_stats(pl->post);

	mpn_out_object(o, "place");
	mpn_out_u64(o, "pairs", pl->pairs);
	mpn_out_u64(o, "in_ring", nic_post_pairs(pl->post));
	mpn_out_u64(o, "expected", outstanding(pl));
	mpn_out_u64(o, "posted", post->posted);
	mpn_out_u64(o, "spare", post->spare);
	mpn_out_u64(o, "resync", post->resync);
#define X(name, text) mpn_out_u64(o, #name, pl->stats.name);
	ST_PLACE_LIST(X)
#undef X
	mpn_out_close(o);
}
