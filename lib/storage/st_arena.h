/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Arenas: memory frames may refer to. Each counts the frames that do, so that it outlives them
 * whenever the driver lets go of them: st_arena_free() of an arena with frames under way only marks
 * it, and the memory goes back when the last frame is freed.
 *
 * Who sends looks an address up in a view of its own, which is refreshed when the set of arenas has
 * changed (a control-path event): no lock and no walk on the data path.
 *
 * Lent memory is the same without the memory: who lent it takes it back himself, when no frame refers to
 * it any more.
 */

#ifndef ST_ARENA_H
#define ST_ARENA_H

#include <rte_mbuf.h>

#include "dev_st.h"

struct st_arena {
	uintptr_t base;
	size_t bytes;
	struct rte_mbuf_ext_shared_info shinfo; /* refcnt: 1 and the frames that refer to it */
	uint32_t
		users; /* commands under way that sent from it by reference, or posted pages of it */
	struct st_arena *next; /* of the unused ones */
};

/* One thread's view of the arenas, or of lent memory, in order of address. */
struct st_arena_view {
	bool lent;
	uint32_t generation; /* 0: never filled */
	uint32_t nb;
	uint32_t size;
	struct st_arena **arenas;
	struct st_arena *last; /* the one found last */
};

extern uint32_t st_arena_generation;

void st_arena_view_fini(struct st_arena_view *view);
struct st_arena *st_arena_view_search(struct st_arena_view *view, uintptr_t base, size_t len);

/* The arena [mem, mem + len) lies in, or NULL. */
static inline struct st_arena *
st_arena_find(struct st_arena_view *view, const void *mem, size_t len)
{
	uintptr_t base = (uintptr_t)mem;

	if (mpn_likely(
		    view->generation == __atomic_load_n(&st_arena_generation, __ATOMIC_ACQUIRE) &&
		    view->last != NULL && base - view->last->base < view->last->bytes &&
		    len <= view->last->bytes - (base - view->last->base)))
		return view->last;
	return st_arena_view_search(view, base, len);
}

/* st_arena_alloc() on a NUMA node (-1: any) rather than a NIC's. NULL with errno ENOMEM. */
void *st_arena_alloc_on(int socket_id, size_t bytes, size_t align);

/*
 * Memory of the caller's that frames may refer to on links whose driver reads it by CPU: found by views
 * with lent set. See ebd_mem_register().
 */
int st_lent_register(void *mem, size_t bytes) MPN_MUST_CHECK;
int st_lent_unregister(void *mem) MPN_MUST_CHECK;

/* Give memory of freed arenas back whose frames have come home. @return arenas still waiting */
unsigned st_arena_reap(void);

#endif
