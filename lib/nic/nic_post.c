/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A mempool whose order is known. The port takes all mbufs its ring has room for at once, in the order
 * of the ring, or none. Each is dressed as a header or as a page in the moment it is handed out:
 *
 *   header   buf_addr | headroom | NIC_POST_HEADER bytes |     room of the element itself
 *   page          ... | <- bytes of the page -> |              buf_addr is BEFORE_PAGE below the page
 *
 * virtio puts its own header in front of the data: what follows in a second mbuf starts that much before
 * the headroom's end, so BEFORE_PAGE is the headroom less that.
 *
 * A card with buffer split takes mbufs as it uses them up, headers from an ordinary pool and pages from this
 * one, which begin at buf_addr.
 */

#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "nic_internal.h"
#include "nic_post.h"

#define OPS_NAME "mpn_post"
#define VIRTIO_HDR 12 /* struct virtio_net_hdr_mrg_rxbuf */
#define BEFORE_PAGE (RTE_PKTMBUF_HEADROOM - VIRTIO_HDR)
#define HEADER_ROOM (RTE_PKTMBUF_HEADROOM + NIC_POST_HEADER)
/* Frames that were received and are not freed yet: a burst in the flow, one in work, one on its way. */
#define IN_HANDS (4 * MPN_BURST)

enum use { USE_NONE, USE_HEADER, USE_SPARE, USE_POSTED };

/* In the private area of an mbuf: what it is dressed as. */
struct dress {
	void *page;
	void *cookie;
	uint8_t use; /* enum use */
	bool in_ring; /* a page the port has not given back */
};

struct wish {
	void *page;
	void *cookie;
	uint32_t bytes;
};

struct nic_post {
	struct rte_mempool *pool;
	struct rte_mempool *headers; /* with buffer split; else NULL, and pool has them too */
	unsigned pairs;
	uint32_t before; /* bytes of an mbuf in front of its page */
	uint32_t least; /* bytes a page must have */
	uint32_t page_bytes;
	uint32_t page_stride;
	uint8_t *pages; /* ours */
	bool ready; /* the mbufs are initialized */
	bool running;
	bool retired;
	void *owner;
	nic_post_home_cb home;
	unsigned nb_ring; /* pages in the ring */
	unsigned want; /* there must be so many */
	unsigned first_wish;
	unsigned nb_wishes;
	struct wish wishes[NIC_POST_MAX_PAIRS];
	unsigned nb_free;
	unsigned nb_free_pages;
	struct nic_post_stats stats;
	struct rte_mbuf **free; /* mbufs that are dressed as nothing */
	void **free_pages;
};

static inline struct dress *
dress_of(struct rte_mbuf *m)
{
	return (struct dress *)(m + 1);
}

/* ---- Handing out ---- */

static void
dress_header(struct rte_mbuf *m)
{
	struct dress *d = dress_of(m);

	m->buf_addr = (uint8_t *)d + sizeof(*d);
	m->buf_iova = rte_mempool_virt2iova(m) + sizeof(*m) + sizeof(*d);
	m->buf_len = HEADER_ROOM;
	d->use = USE_HEADER;
}

static void
dress_page(struct nic_post *post, struct rte_mbuf *m, const struct wish *wish, enum use use)
{
	struct dress *d = dress_of(m);

	m->buf_addr = (uint8_t *)wish->page - post->before;
	m->buf_iova = (rte_eal_iova_mode() == RTE_IOVA_VA ? (rte_iova_t)(uintptr_t)wish->page
							  : rte_mem_virt2iova(wish->page)) -
		      post->before;
	m->buf_len = (uint16_t)(post->before + wish->bytes);
	*d = (struct dress){wish->page, wish->cookie, (uint8_t)use, true};
	post->nb_ring++;
}

static struct wish
take_wish(struct nic_post *post)
{
	struct wish wish = post->wishes[post->first_wish];

	post->first_wish = (post->first_wish + 1) % NIC_POST_MAX_PAIRS;
	post->nb_wishes--;
	return wish;
}

/* What was posted first, or a page of ours. */
static void
dress_next(struct nic_post *post, struct rte_mbuf *page)
{
	struct wish wish;

	if (post->nb_wishes > 0) {
		wish = take_wish(post);
		dress_page(post, page, &wish, USE_POSTED);
		post->stats.posted++;
		return;
	}
	wish = (struct wish){
		.page = post->free_pages[--post->nb_free_pages], .bytes = post->page_bytes};
	dress_page(post, page, &wish, USE_SPARE);
	post->stats.spare++;
}

bool
nic_post_due(const struct nic_post *post)
{
	return post->running && post->headers == NULL &&
	       (post->home == NULL || post->nb_wishes > 0 || post->nb_ring < post->want);
}

/* With buffer split: pages alone. Without one the port drops the frame it has and keeps its ring full. */
static int
hand_out_pages(struct nic_post *post, void **objs, unsigned n)
{
	unsigned spare = n > post->nb_wishes ? n - post->nb_wishes : 0;

	if (!post->running || n > post->nb_free || spare > post->nb_free_pages)
		return -ENOBUFS;
	for (unsigned k = 0; k < n; k++) {
		objs[k] = post->free[--post->nb_free];
		dress_next(post, objs[k]);
	}
	return 0;
}

/*
 * The port wants n, all or none. After an odd number a frame has taken only a header, or one more: then
 * a header comes twice, so that behind it frames begin with headers again.
 */
static int
hand_out(struct rte_mempool *pool, void **objs, unsigned n)
{
	struct nic_post *post = pool->pool_config;
	unsigned nb_pairs = n / 2, spare, i = 0;

	if (post->headers != NULL)
		return hand_out_pages(post, objs, n);
	spare = nb_pairs > post->nb_wishes ? nb_pairs - post->nb_wishes : 0;
	if (!nic_post_due(post) || n > post->nb_free || spare > post->nb_free_pages)
		return -ENOBUFS;
	for (unsigned k = 0; k < n; k++)
		objs[k] = post->free[--post->nb_free];
	if (n % 2 != 0) {
		dress_header(objs[i++]);
		post->stats.resync++;
	}
	for (; i < n; i += 2) {
		dress_header(objs[i]);
		dress_next(post, objs[i + 1]);
	}
	return 0;
}

/* ---- Taking back ---- */

static void
undress(struct nic_post *post, struct rte_mbuf *m)
{
	struct dress d = *dress_of(m);

	memset(dress_of(m), 0, sizeof(d));
	if (d.in_ring)
		post->nb_ring--;
	if (d.use == USE_SPARE)
		post->free_pages[post->nb_free_pages++] = d.page;
	else if (d.use == USE_POSTED && post->home != NULL)
		post->home(post->owner, d.cookie);
}

static int
take_back(struct rte_mempool *pool, void *const *objs, unsigned n)
{
	struct nic_post *post = pool->pool_config;

	for (unsigned i = 0; i < n; i++) {
		if (mpn_likely(post->ready))
			undress(post, objs[i]);
		post->free[post->nb_free++] = objs[i];
	}
	return 0;
}

static unsigned
count_free(const struct rte_mempool *pool)
{
	const struct nic_post *post = pool->pool_config;

	return post->nb_free;
}

static int
check_config(struct rte_mempool *pool)
{
	return pool->pool_config != NULL ? 0 : -EINVAL;
}

static void
free_post(struct nic_post *post)
{
	rte_free(post->pages);
	free(post->free_pages);
	free(post->free);
	free(post);
}

/* A pool that failed before it had operations of its own is freed by those that come first: maybe these. */
static void
end_pool(struct rte_mempool *pool)
{
	struct nic_post *post = pool->pool_config;

	if (post != NULL && post->retired)
		free_post(post);
}

static const struct rte_mempool_ops post_ops = {
	.name = OPS_NAME,
	.alloc = check_config,
	.free = end_pool,
	.enqueue = take_back,
	.dequeue = hand_out,
	.get_count = count_free,
};
RTE_MEMPOOL_REGISTER_OPS(post_ops)

/* ---- Life ---- */

static void
init_mbuf(struct rte_mempool *pool, void *arg, void *obj, unsigned index)
{
	memset(dress_of(obj), 0, sizeof(struct dress));
	rte_pktmbuf_init(pool, arg, obj, index);
}

/* Each mbuf has room bytes of its own. */
static int
make_pool(struct nic_post *post, const char *name, unsigned nb, uint16_t room, int socket_id)
{
	struct rte_pktmbuf_pool_private priv = {
		.mbuf_data_room_size = room, .mbuf_priv_size = sizeof(struct dress)};
	struct rte_pktmbuf_pool_private *told;
	int rc;

	post->pool = rte_mempool_create_empty(name, nb,
		sizeof(struct rte_mbuf) + (uint32_t)sizeof(struct dress) + room, 0, sizeof(priv),
		socket_id, 0);
	if (post->pool == NULL)
		return -rte_errno;
	rc = rte_mempool_set_ops_byname(post->pool, OPS_NAME, post);
	if (rc < 0)
		return rc;
	rte_pktmbuf_pool_init(post->pool, &priv);
	rc = rte_mempool_populate_default(post->pool);
	if (rc < 0)
		return rc;
	(void)rte_mempool_obj_iter(post->pool, init_mbuf, NULL);
	/* What the driver is told a frame finds: the header's room, if any, and the page's. */
	told = rte_mempool_get_priv(post->pool);
	told->mbuf_data_room_size = (uint16_t)(room + post->page_bytes);
	post->ready = true;
	return 0;
}

static int
make_pages(struct nic_post *post, unsigned nb, int socket_id)
{
	post->page_stride = RTE_ALIGN_CEIL(post->page_bytes, RTE_CACHE_LINE_SIZE);
	post->free_pages = calloc(nb, sizeof(*post->free_pages));
	post->pages = rte_malloc_socket(NULL, (size_t)nb * post->page_stride, NIC_PAGE, socket_id);
	if (post->free_pages == NULL || post->pages == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < nb; i++)
		post->free_pages[post->nb_free_pages++] =
			post->pages + (size_t)i * post->page_stride;
	return 0;
}

static struct nic_post *
abandon(struct nic_post *post, int rc)
{
	rte_mempool_free(post->pool);
	rte_mempool_free(post->headers);
	free_post(post);
	return mpn_err_null(-rc);
}

static struct nic_post *
start_post(unsigned pairs, unsigned nb_mbufs, uint32_t page_bytes)
{
	struct nic_post *post = calloc(1, sizeof(*post));

	if (post == NULL)
		return NULL;
	post->pairs = pairs;
	post->page_bytes = page_bytes;
	post->free = calloc(nb_mbufs, sizeof(*post->free));
	if (post->free == NULL) {
		free(post);
		return NULL;
	}
	return post;
}

struct nic_post *
nic_post_create(const char *name, unsigned pairs, uint32_t page_bytes, int socket_id)
{
	unsigned nb = 2 * (pairs + IN_HANDS);
	struct nic_post *post = start_post(pairs, nb, page_bytes);
	int rc;

	if (post == NULL)
		return mpn_err_null(ENOMEM);
	post->before = BEFORE_PAGE;
	rc = make_pages(post, pairs + IN_HANDS, socket_id);
	if (rc == 0)
		rc = make_pool(post, name, nb, HEADER_ROOM, socket_id);
	return rc < 0 ? abandon(post, rc) : post;
}

struct nic_post *
nic_post_create_split(
	const char *name, unsigned pairs, unsigned ring, uint32_t page_bytes, int socket_id)
{
	char headers[RTE_MEMPOOL_NAMESIZE];
	unsigned nb = ring + IN_HANDS;
	struct nic_post *post = start_post(pairs, nb, page_bytes);
	int rc;

	if (post == NULL)
		return mpn_err_null(ENOMEM);
	post->least = page_bytes;
	(void)snprintf(headers, sizeof(headers), "%s_h", name);
	post->headers = rte_pktmbuf_pool_create(headers, nb, 0, 0, HEADER_ROOM, socket_id);
	rc = post->headers != NULL ? make_pages(post, nb, socket_id) : -rte_errno;
	if (rc == 0)
		rc = make_pool(post, name, nb, 0, socket_id);
	return rc < 0 ? abandon(post, rc) : post;
}

void
nic_post_retire(struct nic_post *post)
{
	if (post == NULL)
		return;
	nic_post_set_owner(post, NULL, NULL);
	post->running = false;
	post->retired = true;
	mpn_nic_pool_retire(post->headers);
	mpn_nic_pool_retire(post->pool);
}

void
nic_post_run(struct nic_post *post, bool running)
{
	post->running = running;
	while (!running && post->nb_wishes > 0) {
		struct wish wish = take_wish(post);

		if (post->home != NULL)
			post->home(post->owner, wish.cookie);
	}
}

bool
nic_post_running(const struct nic_post *post)
{
	return post->running;
}

struct rte_mempool *
nic_post_pool(const struct nic_post *post)
{
	return post->pool;
}

struct rte_mempool *
nic_post_headers(const struct nic_post *post)
{
	return post->headers;
}

void *
nic_post_cookie(const struct nic_post *post, struct rte_mbuf *seg)
{
	if (seg->pool != post->pool || dress_of(seg)->use != USE_POSTED)
		return NULL;
	return dress_of(seg)->cookie;
}

bool
nic_post_owns(const struct nic_post *post, const struct rte_mbuf *seg)
{
	return post != NULL &&
	       (seg->pool == post->pool || (post->headers != NULL && seg->pool == post->headers));
}

void
nic_post_received(struct nic_post *post, struct rte_mbuf *const *mbufs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (struct rte_mbuf *s = mbufs[i]; s != NULL; s = s->next) {
			struct dress *d = dress_of(s);

			if (post->headers != NULL && s->pool != post->pool)
				continue;
			post->nb_ring -= d->in_ring;
			d->in_ring = false;
		}
	}
}

/* ---- The owner ---- */

void
nic_post_set_owner(struct nic_post *post, void *owner, nic_post_home_cb home)
{
	post->owner = owner;
	post->home = home;
	post->want = 0;
	post->nb_wishes = 0;
}

uint32_t
nic_post_least(const struct nic_post *post)
{
	return post->least;
}

unsigned
nic_post_size(const struct nic_post *post)
{
	return post->pairs;
}

unsigned
nic_post_pairs(const struct nic_post *post)
{
	return post->nb_ring + post->nb_wishes;
}

unsigned
nic_post_room(const struct nic_post *post)
{
	unsigned used = post->headers != NULL ? post->nb_wishes : nic_post_pairs(post);

	return used < post->pairs ? post->pairs - used : 0;
}

bool
nic_post_page(struct nic_post *post, void *page, uint32_t bytes, void *cookie)
{
	if (nic_post_room(post) == 0 || bytes < post->least || bytes > UINT16_MAX - post->before)
		return false;
	post->wishes[(post->first_wish + post->nb_wishes++) % NIC_POST_MAX_PAIRS] =
		(struct wish){page, cookie, bytes};
	return true;
}

void
nic_post_want(struct nic_post *post, unsigned pairs)
{
	post->want = MPN_MIN(pairs, post->pairs);
}

const struct nic_post_stats *
nic_post_stats(const struct nic_post *post)
{
	return &post->stats;
}
