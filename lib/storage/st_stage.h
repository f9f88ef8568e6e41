/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Staging buffers of a target: memory for the data of commands on volumes that are not memory
 * themselves. Two sizes, all made at the start. A buffer is free again when the engine has put it
 * back and the last frame that refers to it has been freed, on whatever thread that happens.
 */

#ifndef ST_STAGE_H
#define ST_STAGE_H

#include <rte_mbuf.h>
#include <rte_ring.h>

#define ST_STAGE_SMALL 8192u
#define ST_STAGE_LARGE (128u << 10)

struct st_stage_pool;

struct st_stage {
	void *data;
	struct st_stage_pool *pool;
	struct rte_mbuf_ext_shared_info shinfo; /* refcnt: 1 for the engine, and the frames */
	bool lent; /* frames may refer to it */
};

struct st_stage_pool {
	struct rte_ring *free;
	struct st_stage *stages;
	void *memory;
	uint32_t nb;
	uint32_t bytes; /* of a buffer */
	uint32_t nb_lent; /* atomic: any thread may free the last frame */
	struct st_stage_pool *next; /* of the retired ones */
};

/* NULL with errno ENOMEM. */
struct st_stage_pool *st_stage_pool_create(uint32_t nb, uint32_t bytes, int socket_id);
/* Free the pool, now or when the last frame that refers to a buffer has gone. NULL is allowed. */
void st_stage_pool_retire(struct st_stage_pool *pool);
/* Free the retired pools whose frames have gone. */
void st_stage_pool_reap(void);

/* NULL: none is free. */
struct st_stage *st_stage_get(struct st_stage_pool *pool);
/* The engine has no more use for it. */
void st_stage_put(struct st_stage *stage);
/* True when it counts the frames on a staging buffer: memory that nobody writes to meanwhile. */
bool st_stage_owns(const struct rte_mbuf_ext_shared_info *shinfo);
/* Buffers in use now. */
uint32_t st_stage_used(const struct st_stage_pool *pool);

/*
 * The count for a frame that is to refer to the buffer, or NULL: copy. Half of the buffers at most are
 * lent to frames, because nobody knows when a driver lets go of them; the other half comes back as
 * soon as the engine is done, so that the server never waits for a driver.
 */
static inline struct rte_mbuf_ext_shared_info *
st_stage_lend(struct st_stage *stage)
{
	uint32_t *nb_lent = &stage->pool->nb_lent;

	if (!stage->lent) {
		if (__atomic_load_n(nb_lent, __ATOMIC_RELAXED) >= stage->pool->nb / 2)
			return NULL;
		stage->lent = true;
		__atomic_fetch_add(nb_lent, 1, __ATOMIC_RELAXED);
	}
	return &stage->shinfo;
}

#endif
