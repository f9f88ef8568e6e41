/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Pages and frames stay together by counting: there are as many pairs in the ring as frames are
 * expected on the data queue. Pairs too many (the port fills its ring up whenever it takes something;
 * a read failed) are assigned to the next reads, which post that much less and are copied; pairs too
 * few (a frame came twice, or was nobody's) are made up for by pages of the NIC's. Either way frames
 * find their own pages again one turn of the ring later.
 *
 * A read that ended while pages of it are in the ring waits in the list idle. Frames of others bring
 * them out; when none are expected, padded PROBEs do, and when the target does not answer these, the
 * port is taken out.
 *
 * Pages are as short as the fragments they are for, and a frame larger than all that is in the ring is
 * lost, again whenever it is repeated. So a page of the NIC's, which any frame fits in, goes in when those
 * posted are shorter together than a fragment that may come. Where there is no room for it, and frames
 * that are expected do not come, PROBEs bring the short ones out.
 */

#include "xfer_int.h"
#include "xfer_place.h"

#define STALL_NS (10ull * XFER_NSEC_PER_MSEC) /* then frames that are expected are not waited for */
#define QUIET_NS (100ull * XFER_NSEC_PER_MSEC) /* then they do not fit in the ring */
#define POLL_NS (XFER_NSEC_PER_MSEC / 2ull) /* while something is brought out */
#define RECALL_NS (500ull * XFER_NSEC_PER_MSEC) /* without a page coming out */
#define PROBE_NS (2ull * XFER_NSEC_PER_MSEC) /* between rounds of PROBEs, doubled MAX_TRIES times */
#define MAX_TRIES 5
#define MAX_PROBES 32 /* of one round */
#define SHARE 4 /* commands that have room in the ring together, at least */
#define WINDOW 1024 /* fragments: fewer than half of them in place is not worth the trouble */
#define PAUSE 16384 /* commands until it is tried again */
#define ASTRAY 64 /* the same, when frames came on another queue */

struct xfer_place {
	struct xfer_place_conf conf;
	uint32_t expected; /* frames of reads that will come on the data queue */
	uint32_t largest; /* bytes of a fragment, since none was expected */
	uint32_t nb_free;
	uint64_t bytes; /* of the pages posted */
	struct xfer_page *free;
	struct mpn_list idle; /* reads with pages in the ring that no frame is expected for */
	struct mpn_list ready; /* reads that have ended and have their pages */
	struct xfer_ini *drainer; /* whose PROBEs are on their way */
	uint64_t stuck_ns; /* since when no page of an idle read has come out, 0: not at all */
	uint64_t quiet_ns; /* when a page came home last, or nothing was expected */
	bool moved; /* a page has come home since */
	uint64_t lost_ns; /* when PROBEs are lost that have not come back */
	uint64_t
		probe_ns; /* not before this is another round sent, unless the last one was of use */
	unsigned tries;
	uint32_t window, hits; /* fragments, and those in place */
	uint32_t pause; /* commands that are copied before the next try */
	uint32_t astray; /* the same, because the peer has not found the queue */
	struct xfer_place_stats stats;
	struct xfer_page pages[];
};

/* ---- Pages ---- */

/* The page is the caller's: nothing writes to it any more. */
static void
let_go(struct xfer_place *pl, struct xfer_page *page)
{
	page->read->posted &= ~(1ull << page->idx);
	page->read = NULL;
	pl->conf.ops->release(pl->conf.ctx, page);
}

static void
post_page(struct xfer_place *pl, struct xfer_placed *read, const struct xfer_page *what)
{
	struct xfer_page *page = pl->free;

	pl->free = page->next;
	pl->nb_free--;
	page->read = read;
	page->owner = what->owner;
	page->mem = what->mem;
	page->len = what->len;
	page->idx = what->idx;
	page->bounced = false;
	/* Freed meanwhile, the memory stays until the page has come out. */
	pl->conf.ops->hold(pl->conf.ctx, page);
	read->pages[page->idx] = page;
	read->posted |= 1ull << page->idx;
	pl->bytes += page->len;
	pl->conf.ops->post(pl->conf.ctx, page);
}

/* A page of an idle read is out. */
static void
move_on(struct xfer_place *pl, struct xfer_placed *read)
{
	pl->stuck_ns = 0;
	pl->probe_ns = 0;
	if (read->posted != 0)
		return;
	mpn_list_del(&read->idle);
	if (read->ended)
		mpn_list_add_tail(&pl->ready, &read->idle);
	pl->conf.ops->wake(pl->conf.ctx, read);
}

void
xfer_place_home(struct xfer_place *pl, struct xfer_page *page)
{
	struct xfer_placed *read = page->read;

	if (read != NULL) {
		if (page->bounced)
			pl->conf.ops->unbounce(pl->conf.ctx, page);
		let_go(pl, page);
		if (!mpn_list_empty(&read->idle))
			move_on(pl, read);
	}
	pl->bytes -= page->len;
	page->next = pl->free;
	pl->free = page;
	pl->nb_free++;
	pl->moved = true;
}

/* ---- Starting ---- */

uint32_t
xfer_place_expected(const struct xfer_place *pl)
{
	return pl->expected + (pl->drainer != NULL ? xfer_ini_draining(pl->drainer) : 0);
}

/* Is it worth it, for this command on this session? */
static bool
is_wanted(struct xfer_place *pl, const struct xfer_ini *ini, const struct xfer_cmd *cmd, bool eager)
{
	if (cmd->op != WIRE_READ || !pl->conf.ops->running(pl->conf.ctx) || !xfer_ini_has_bulk(ini))
		return false;
	/* A fragment with part of a block may be placed in parts. */
	if (xfer_ini_p(ini) % xfer_ini_geometry(ini)->block_size != 0)
		return false;
	if (mpn_unlikely(pl->astray > 0)) {
		pl->astray--;
		return false;
	}
	if (!eager && pl->pause > 0) {
		pl->pause--;
		return false;
	}
	return true;
}

/* Where the fragments belong. @return how many there are, 0: not all of them can be posted */
static uint32_t
find_pages(struct xfer_place *pl, struct xfer_placed *read, uint32_t len, struct xfer_page *pages)
{
	uint32_t p = xfer_ini_p(read->ini), off, nb = 0;

	for (off = 0; off < len; off += p, nb++) {
		pages[nb].len = MPN_MIN(p, len - off);
		pages[nb].idx = (uint16_t)nb;
		if (!pl->conf.ops->locate(pl->conf.ctx, read, off, &pages[nb]))
			return 0;
	}
	return nb;
}

void
xfer_placed_init(struct xfer_placed *read, struct xfer_page **pages)
{
	*read = (struct xfer_placed){.pages = pages};
	mpn_list_init(&read->idle);
}

enum xfer_place_answer
xfer_place_admit(struct xfer_place *pl, struct xfer_placed *read, struct xfer_ini *ini,
	struct xfer_cmd *cmd, bool eager)
{
	struct xfer_page pages[WIRE_EBD_MAX_FRAGS];
	uint32_t nb, i, pairs, expected, spare;

	/* It starts again: what was posted for it before must be out. */
	if (mpn_unlikely(read->posted != 0) && !XFER_MUTATE(place_restart))
		return XFER_PLACE_WAIT;
	read->ini = ini;
	read->cmd = cmd;
	read->eager = eager;
	cmd->flags &= (uint16_t)~WIRE_F_BULK;
	if (!is_wanted(pl, ini, cmd, eager))
		return XFER_PLACE_COPY;
	nb = find_pages(pl, read, cmd->len, pages);
	if (nb == 0 || nb > pl->conf.pairs)
		return XFER_PLACE_COPY;
	pairs = pl->conf.ops->pairs(pl->conf.ctx);
	expected = xfer_place_expected(pl);
	spare = pairs > expected ? MPN_MIN(pairs - expected, nb) : 0;
	/* Pages that make up for pairs too few belong in front of these: behind them, none would find its own. */
	if (pairs < expected || nb - spare > pl->conf.ops->room(pl->conf.ctx) ||
		nb - spare > pl->nb_free) {
		pl->stats.waits++;
		return XFER_PLACE_WAIT;
	}
	for (i = spare; i < nb; i++)
		post_page(pl, read, &pages[i]);
	if (pl->expected == 0)
		pl->largest = 0;
	pl->largest = MPN_MAX(pl->largest, pages[0].len);
	read->due = nb;
	read->ended = false;
	pl->expected += nb;
	pl->stats.reads++;
	cmd->flags |= WIRE_F_BULK;
	return XFER_PLACE_POSTED;
}

uint32_t
xfer_place_quantum(const struct xfer_place *pl, bool eager)
{
	if (!eager && pl->pause > 0)
		return UINT32_MAX;
	return MPN_MAX(pl->conf.pairs / SHARE, 1u);
}

/* ---- Receiving ---- */

/* Is little of it in place? Then it is left alone for a while. */
static void
count_fragment(struct xfer_place *pl, bool eager, bool hit)
{
	pl->hits += hit;
	if (++pl->window < WINDOW)
		return;
	if (pl->hits < WINDOW / 2 && !eager) {
		pl->pause = PAUSE;
		pl->stats.pauses++;
	}
	pl->window = 0;
	pl->hits = 0;
}

enum xfer_place_where
xfer_place_rx(struct xfer_place *pl, struct xfer_placed *read, uint32_t idx,
	const struct xfer_page *in, bool on_queue)
{
	struct xfer_page *page = read->posted >> idx & 1 ? read->pages[idx] : NULL;
	enum xfer_place_where where;

	read->due--;
	pl->expected--;
	if (mpn_likely(page != NULL && (page == in || (in != NULL && XFER_MUTATE(place_any))))) {
		let_go(pl, page);
		pl->stats.in_place++;
		where = XFER_PLACE_IN_PLACE;
	} else if (page != NULL && !XFER_MUTATE(place_no_bounce) && !XFER_MUTATE(place_let_go)) {
		page->bounced = true;
		pl->stats.bounced++;
		where = XFER_PLACE_BOUNCE;
	} else {
		if (page != NULL && XFER_MUTATE(place_let_go))
			let_go(pl, page);
		pl->stats.copied++;
		where = XFER_PLACE_ELSEWHERE;
	}
	if (mpn_unlikely(!on_queue)) {
		pl->astray = ASTRAY;
		pl->stats.astray++;
	}
	count_fragment(pl, read->eager, where == XFER_PLACE_IN_PLACE);
	return where;
}

bool
xfer_place_end(struct xfer_place *pl, struct xfer_placed *read, int status)
{
	pl->expected -= read->due;
	read->due = 0;
	if (mpn_likely(read->posted == 0) || XFER_MUTATE(place_early))
		return true;
	read->ended = true;
	read->status = status;
	if (mpn_list_empty(&read->idle))
		mpn_list_add_tail(&pl->idle, &read->idle);
	return false;
}

void
xfer_place_lost(struct xfer_place *pl, struct xfer_placed *read)
{
	if (read->due == 0)
		return;
	pl->expected -= read->due;
	read->due = 0;
	if (read->posted != 0 && mpn_list_empty(&read->idle))
		mpn_list_add_tail(&pl->idle, &read->idle);
}

void
xfer_place_forget(struct xfer_place *pl, const struct xfer_ini *ini)
{
	if (pl->drainer == ini)
		pl->drainer = NULL;
}

/* ---- Getting pages out ---- */

static void
finish_ready(struct xfer_place *pl)
{
	while (!mpn_list_empty(&pl->ready)) {
		struct xfer_placed *read = mpn_list_first(&pl->ready, struct xfer_placed, idle);

		mpn_list_del(&read->idle);
		pl->conf.ops->done(pl->conf.ctx, read, read->status);
	}
}

static uint32_t
count_posted(const struct xfer_place *pl)
{
	return xfer_place_pages(pl->conf.pairs) - pl->nb_free;
}

/* As many frames as there are pairs that none is expected for; after a while as there are at all. */
static void
drain(struct xfer_place *pl, uint64_t now_ns)
{
	uint32_t pairs = pl->conf.ops->pairs(pl->conf.ctx), nb;

	if (now_ns - pl->stuck_ns < STALL_NS)
		nb = pairs > pl->expected ? pairs - pl->expected : 0;
	else
		nb = pairs;
	if (nb == 0 || now_ns < pl->probe_ns)
		return;
	nb = MPN_MIN(nb, MAX_PROBES);
	pl->drainer = pl->conf.ops->probe(pl->conf.ctx, nb);
	if (pl->drainer != NULL)
		pl->stats.probes += nb;
	pl->probe_ns = now_ns + (PROBE_NS << pl->tries);
	pl->lost_ns = pl->probe_ns;
	pl->tries = MPN_MIN(pl->tries + 1, MAX_TRIES);
}

/* PROBEs that came back, or should have by now, are not expected any more. */
static bool
end_probes(struct xfer_place *pl, uint64_t now_ns)
{
	if (pl->drainer == NULL)
		return true;
	if (xfer_ini_draining(pl->drainer) > 0 && now_ns < pl->lost_ns)
		return false;
	(void)xfer_ini_drain(pl->drainer, 0);
	pl->drainer = NULL;
	return true;
}

/* Pages of reads that start again when the peer is back may be with it until then. */
static bool
is_somebody_waiting(const struct xfer_place *pl)
{
	const struct xfer_placed *read;
	struct mpn_list *node;

	mpn_list_for_each(node, &pl->idle) {
		read = mpn_container_of(node, struct xfer_placed, idle);
		if (read->ended || xfer_ini_get_state(read->ini) == XFER_INI_LIVE)
			return true;
	}
	return false;
}

/* Frames that are expected do not come, and pages posted may be the reason. */
static bool
is_quiet(struct xfer_place *pl, uint64_t now_ns)
{
	if (pl->moved || pl->expected == 0 || count_posted(pl) == 0) {
		pl->quiet_ns = now_ns;
		pl->moved = false;
	}
	return now_ns - pl->quiet_ns > QUIET_NS;
}

/* Pairs there must be: as many as frames are expected, and one that the largest of them fits in. */
static uint32_t
count_wanted(const struct xfer_place *pl)
{
	uint32_t nb = xfer_place_expected(pl), pairs;

	if (pl->expected == 0 || pl->bytes >= pl->largest || XFER_MUTATE(place_short))
		return nb;
	pairs = pl->conf.ops->pairs(pl->conf.ctx);
	/* Others than those posted are the NIC's. */
	return pairs > count_posted(pl) ? nb : MPN_MAX(nb, pairs + 1);
}

void
xfer_place_poll(struct xfer_place *pl, uint64_t now_ns)
{
	bool quiet = is_quiet(pl, now_ns) && !XFER_MUTATE(place_short), may_probe;

	finish_ready(pl);
	may_probe = end_probes(pl, now_ns);
	if (mpn_likely(mpn_list_empty(&pl->idle))) {
		pl->stuck_ns = 0;
		pl->tries = quiet ? pl->tries : 0;
	} else if (pl->stuck_ns == 0) {
		pl->stuck_ns = now_ns;
		pl->tries = 0;
	} else if (now_ns - pl->stuck_ns > RECALL_NS && is_somebody_waiting(pl)) {
		if (!XFER_MUTATE(place_no_drain))
			xfer_place_recall(pl);
	}
	if (may_probe && (quiet || !mpn_list_empty(&pl->idle)) && !XFER_MUTATE(place_no_drain))
		drain(pl, now_ns);
	pl->conf.ops->want(pl->conf.ctx, count_wanted(pl));
}

void
xfer_place_recall(struct xfer_place *pl)
{
	pl->stats.recalls++;
	pl->conf.ops->recall(pl->conf.ctx);
	finish_ready(pl);
}

uint64_t
xfer_place_deadline(const struct xfer_place *pl, uint64_t now_ns)
{
	if (!mpn_list_empty(&pl->idle) || !mpn_list_empty(&pl->ready) || pl->drainer != NULL)
		return now_ns + POLL_NS;
	if (pl->expected > 0 && count_posted(pl) > 0)
		return MPN_MAX(pl->quiet_ns + QUIET_NS, now_ns) + POLL_NS;
	return XFER_NO_DEADLINE;
}

/* ---- Life ---- */

uint32_t
xfer_place_pages(uint32_t pairs)
{
	return 2 * pairs;
}

size_t
xfer_place_size(const struct xfer_place_conf *conf)
{
	return sizeof(struct xfer_place) + xfer_place_pages(conf->pairs) * sizeof(struct xfer_page);
}

struct xfer_place *
xfer_place_init(void *mem, const struct xfer_place_conf *conf)
{
	struct xfer_place *pl = mem;

	memset(pl, 0, xfer_place_size(conf));
	pl->conf = *conf;
	pl->nb_free = xfer_place_pages(conf->pairs);
	mpn_list_init(&pl->idle);
	mpn_list_init(&pl->ready);
	for (uint32_t i = 0; i < pl->nb_free; i++) {
		pl->pages[i].bounce = conf->bounce + (size_t)i * conf->p_max;
		pl->pages[i].next = pl->free;
		pl->free = &pl->pages[i];
	}
	return pl;
}

/* ---- Looking ---- */

uint32_t
xfer_place_free(const struct xfer_place *pl)
{
	return pl->nb_free;
}

const struct xfer_place_stats *
xfer_place_stats(const struct xfer_place *pl)
{
	return &pl->stats;
}
