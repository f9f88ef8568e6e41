/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpn_err.h"
#include "st_arena.h"
#include "st_mutant.h"
#include "st_stage.h"

static pthread_mutex_t retired_lock = PTHREAD_MUTEX_INITIALIZER;
static struct st_stage_pool *retired;

/* The last holder let go: the engine on its thread, or whoever freed the last frame on another. */
static void
recycle(struct st_stage *stage)
{
	struct st_stage_pool *pool = stage->pool;

	if (stage->lent) {
		stage->lent = false;
		__atomic_fetch_sub(&pool->nb_lent, 1, __ATOMIC_RELAXED);
	}
	rte_mbuf_ext_refcnt_set(&stage->shinfo, 1);
	(void)rte_ring_mp_enqueue(pool->free, stage);
}

static void
last_frame_freed(MPN_UNUSED void *addr, void *opaque)
{
	recycle(opaque);
}

bool
st_stage_owns(const struct rte_mbuf_ext_shared_info *shinfo)
{
	return shinfo->free_cb == last_frame_freed;
}

static void
free_pool(struct st_stage_pool *pool)
{
	rte_ring_free(pool->free);
	st_arena_free(pool->memory);
	free(pool->stages);
	free(pool);
}

struct st_stage_pool *
st_stage_pool_create(uint32_t nb, uint32_t bytes, int socket_id)
{
	static unsigned serial;
	struct st_stage_pool *pool = calloc(1, sizeof(*pool));
	char name[RTE_RING_NAMESIZE];
	struct st_stage *s;
	uint32_t i;

	if (pool == NULL)
		return mpn_err_null(ENOMEM);
	pool->nb = nb;
	pool->bytes = bytes;
	snprintf(
		name, sizeof(name), "st_stage%u", __atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED));
	pool->free = rte_ring_create(name, nb, socket_id, RING_F_SC_DEQ | RING_F_EXACT_SZ);
	pool->stages = calloc(nb, sizeof(*pool->stages));
	pool->memory = st_arena_alloc_on(socket_id, (size_t)nb * bytes, 0);
	if (pool->free == NULL || pool->stages == NULL || pool->memory == NULL) {
		free_pool(pool);
		return mpn_err_null(ENOMEM);
	}
	for (i = 0; i < nb; i++) {
		s = &pool->stages[i];
		s->data = (uint8_t *)pool->memory + (size_t)i * bytes;
		s->pool = pool;
		s->shinfo.free_cb = last_frame_freed;
		s->shinfo.fcb_opaque = s;
		recycle(s);
	}
	return pool;
}

uint32_t
st_stage_used(const struct st_stage_pool *pool)
{
	return pool->nb - rte_ring_count(pool->free);
}

void
st_stage_pool_retire(struct st_stage_pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&retired_lock);
	pool->next = retired;
	retired = pool;
	pthread_mutex_unlock(&retired_lock);
	st_stage_pool_reap();
}

void
st_stage_pool_reap(void)
{
	struct st_stage_pool **at, *pool;

	pthread_mutex_lock(&retired_lock);
	for (at = &retired; (pool = *at) != NULL;) {
		if (st_stage_used(pool) != 0) {
			at = &pool->next;
			continue;
		}
		*at = pool->next;
		free_pool(pool);
	}
	pthread_mutex_unlock(&retired_lock);
}

struct st_stage *
st_stage_get(struct st_stage_pool *pool)
{
	void *stage;

	return rte_ring_sc_dequeue(pool->free, &stage) == 0 ? stage : NULL;
}

void
st_stage_put(struct st_stage *stage)
{
	if (__atomic_sub_fetch(&stage->shinfo.refcnt, 1, __ATOMIC_ACQ_REL) == 0 ||
		ST_MUTATE(stage_early))
		recycle(stage);
}
