/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <rte_malloc.h>

#include "nic_pool.h"
#include "st_mutant.h"
#include "st_nic.h"
#include "st_span.h"

/*
 * For a volume's own memory on links whose driver reads it by CPU: any memory will do, and it stays
 * until after the last NIC has gone, so nobody needs to know how many frames refer to it.
 */
static void
ignore_last_frame(MPN_UNUSED void *addr, MPN_UNUSED void *opaque)
{
}
static struct rte_mbuf_ext_shared_info uncounted = {.free_cb = ignore_last_frame, .refcnt = 1};

/* ---- Life ---- */

static void *
take_memory(struct st_spans *s, uint32_t nb, size_t bytes, int socket_id)
{
	s->memory += (uint64_t)nb * bytes;
	return rte_zmalloc_socket(NULL, nb * bytes, RTE_CACHE_LINE_SIZE, socket_id);
}

int
st_spans_init(struct st_spans *s, const struct st_spans_conf *c, int socket_id)
{
	uint32_t i;

	s->small = st_stage_pool_create(c->nb_small, ST_STAGE_SMALL, socket_id);
	s->large = st_stage_pool_create(c->nb_large, ST_STAGE_LARGE, socket_id);
	s->memory +=
		(uint64_t)c->nb_small * ST_STAGE_SMALL + (uint64_t)c->nb_large * ST_STAGE_LARGE;
	s->spans = take_memory(s, c->nb_spans, sizeof(*s->spans), socket_id);
	s->kepts = take_memory(s, c->nb_kept, sizeof(*s->kepts), socket_id);
	s->nb_small = take_memory(s, c->max_exports, sizeof(*s->nb_small), socket_id);
	s->nb_large = take_memory(s, c->max_exports, sizeof(*s->nb_large), socket_id);
	if (s->small == NULL || s->large == NULL || s->spans == NULL || s->kepts == NULL ||
		s->nb_small == NULL || s->nb_large == NULL)
		return -ENOMEM;
	for (i = 0; i < c->nb_spans; i++) {
		s->spans[i].next = s->free;
		s->free = &s->spans[i];
	}
	for (i = 0; i < c->nb_kept; i++) {
		s->kepts[i].next = s->free_kepts;
		s->free_kepts = &s->kepts[i];
	}
	return 0;
}

void
st_spans_fini(struct st_spans *s)
{
	st_stage_pool_retire(s->small);
	st_stage_pool_retire(s->large);
	rte_free(s->spans);
	rte_free(s->kepts);
	rte_free(s->nb_small);
	rte_free(s->nb_large);
}

uint64_t
st_spans_staging(const struct st_spans *s)
{
	return (uint64_t)st_stage_used(s->small) * ST_STAGE_SMALL +
	       (uint64_t)st_stage_used(s->large) * ST_STAGE_LARGE;
}

/* ---- Kept frames ---- */

static struct st_kept *
get_kept(struct st_spans *s, struct st_nic *n, const struct xfer_io *io)
{
	uint32_t p = xfer_io_p(io), nb = wire_nb_frags(io->len, p);
	struct st_kept *k = s->free_kepts;

	/* Pieces that are no whole sectors would be copied on their way to the disk. */
	if (io->op != WIRE_WRITE || n == NULL || !n->info.own_frames || k == NULL ||
		p % WIRE_EBD_P_PAGE != 0 || !st_budget_take(n->budget, nb))
		return NULL;
	s->free_kepts = k->next;
	k->budget = n->budget;
	k->p = p;
	k->nb = nb;
	k->have = 0;
	k->failed = false;
	return k;
}

static void
free_kept_frames(struct st_kept *k)
{
	for (; k->have != 0; k->have &= k->have - 1)
		rte_pktmbuf_free(k->mbufs[__builtin_ctz(k->have)]);
}

static void
put_kept(struct st_spans *s, struct st_kept *k)
{
	free_kept_frames(k);
	st_budget_give(k->budget, k->nb);
	k->next = s->free_kepts;
	s->free_kepts = k;
}

/* A frame of our own for what came in one that cannot be kept; its data is aligned like theirs. */
static struct rte_mbuf *
copy_frame(struct st_nic *n, const void *payload, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(mpn_nic_rx_pool(n->nic));

	if (m == NULL)
		return NULL;
	m->data_off += WIRE_EBD_HDR_LEN;
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	st_copy(&n->copy, ST_COPY_rx_store, rte_pktmbuf_mtod(m, void *), payload, len);
	return m;
}

/* Each fragment is placed once: the engine sees to it. */
static void
keep(struct st_kept *k, struct st_nic *n, uint32_t off, const void *payload, uint32_t len)
{
	struct rte_mbuf *m = st_rx_keep(n, payload);
	uint32_t idx = off / k->p;

	if (mpn_likely(m != NULL))
		n->copy.loaned += len;
	else
		m = copy_frame(n, payload, len);
	if (mpn_unlikely(m == NULL)) {
		k->failed = true;
		return;
	}
	k->mbufs[idx] = m;
	k->have |= 1u << idx;
	k->iov[idx] = (struct iovec){rte_pktmbuf_mtod(m, void *), len};
}

/* ---- Spans ---- */

/* What counts the buffers of the pool that an export has. */
static uint32_t *
count_of(struct st_spans *s, const struct st_stage_pool *pool, uint32_t export_index)
{
	return &(pool == s->small ? s->nb_small : s->nb_large)[export_index];
}

static bool
get_stage(struct st_spans *s, struct st_span *span, const struct xfer_io *io, bool shared)
{
	struct st_stage_pool *pool = io->len <= ST_STAGE_SMALL ? s->small : s->large;
	uint32_t *has = count_of(s, pool, io->export_index);

	if (shared && xfer_tgt_share(*has, pool->nb - st_stage_used(pool)) == 0)
		return false;
	span->stage = st_stage_get(pool);
	if (span->stage == NULL)
		return false;
	(*has)++;
	span->export_index = io->export_index;
	span->base = span->stage->data;
	s->staging_max = MPN_MAX(s->staging_max, st_spans_staging(s));
	return true;
}

struct st_span *
st_span_get(
	struct st_spans *s, struct st_nic *n, const struct xfer_io *io, void *mapped, bool shared)
{
	struct st_span *span = s->free;

	if (span == NULL)
		return NULL;
	span->base = mapped;
	span->stage = NULL;
	span->kept = NULL;
	if (mapped == NULL) {
		span->kept = get_kept(s, n, io);
		if (span->kept == NULL && !get_stage(s, span, io, shared))
			return NULL;
	}
	s->free = span->next;
	return span;
}

void
st_span_put(struct st_spans *s, struct st_span *span)
{
	if (span->stage != NULL) {
		(*count_of(s, span->stage->pool, span->export_index))--;
		st_stage_put(span->stage);
	}
	if (span->kept != NULL)
		put_kept(s, span->kept);
	span->next = s->free;
	s->free = span;
}

void
st_span_place(
	struct st_span *span, struct st_nic *n, uint32_t off, const void *payload, uint32_t len)
{
	n->copy.wire += len;
	if (span->kept != NULL)
		keep(span->kept, n, off, payload, len);
	else
		st_copy(&n->copy, ST_COPY_rx_store, span->base + off, payload, len);
}

int
st_span_status(const struct st_span *span)
{
	return span->kept != NULL && span->kept->failed ? -ENOMEM : 0;
}

void
st_span_data(struct st_span *span, struct st_target_data *data)
{
	*data = (struct st_target_data){0};
	if (span == NULL)
		return;
	data->base = span->base;
	data->mapped = span->stage == NULL && span->kept == NULL;
	if (span->kept != NULL) {
		data->iov = span->kept->iov;
		data->iovcnt = (int)span->kept->nb;
		if (ST_MUTATE(kept_early))
			free_kept_frames(span->kept);
	}
}

struct rte_mbuf_ext_shared_info *
st_memory_ref(struct st_nic *n, const void *mem, size_t len)
{
	struct st_arena *arena;

	if (n->info.tx_any_memory)
		return &uncounted;
	arena = st_arena_find(&n->arenas, mem, len);
	return arena != NULL ? &arena->shinfo : NULL;
}

bool
st_memory_is_home(void)
{
	return __atomic_load_n(&uncounted.refcnt, __ATOMIC_ACQUIRE) == 1;
}

struct rte_mbuf_ext_shared_info *
st_span_ref(struct st_span *span, struct st_nic *n, uint32_t off, uint32_t len)
{
	if (span->stage != NULL)
		return st_stage_lend(span->stage);
	return st_memory_ref(n, span->base + off, len);
}
