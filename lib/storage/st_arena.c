/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include "mpn_log.h"
#include "st_arena.h"
#include "st_mutant.h"

#define ARENA_ALIGN 4096

/* Memory that is in use, in order of address. */
struct registry {
	struct st_arena **live;
	uint32_t nb;
	uint32_t size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct registry arenas, lent;
/* Arenas that wait for their frames, and lent memory that does. */
static struct st_arena **waiting;
static uint32_t nb_waiting, waiting_size;
static struct st_arena *leaving;
/* Descriptors are used again but never freed: another thread's view may still look at one. */
static struct st_arena *unused;

uint32_t st_arena_generation = 1;

static void
ignore_last_frame(MPN_UNUSED void *addr, MPN_UNUSED void *opaque)
{
	/* Never runs: the arena itself holds one reference. */
}

static int
reserve(struct st_arena ***v, uint32_t *size, uint32_t nb)
{
	struct st_arena **bigger;
	uint32_t new_size;

	if (nb <= *size)
		return 0;
	new_size = *size == 0 ? 16 : *size * 2;
	bigger = realloc(*v, new_size * sizeof(*bigger));
	if (bigger == NULL)
		return -ENOMEM;
	*v = bigger;
	*size = new_size;
	return 0;
}

/* Index of the first arena of v that ends above addr; nb when there is none. */
static uint32_t
lower_bound(struct st_arena *const *v, uint32_t nb, uintptr_t addr)
{
	uint32_t lo = 0, hi = nb, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (v[mid]->base + v[mid]->bytes > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static void
changed(void)
{
	uint32_t next = st_arena_generation + 1;

	__atomic_store_n(&st_arena_generation, next == 0 ? 1 : next, __ATOMIC_RELEASE);
}

static bool
frames_are_home(const struct st_arena *a)
{
	return __atomic_load_n(&a->shinfo.refcnt, __ATOMIC_ACQUIRE) == 1;
}

static uint32_t
nb_users(const struct st_arena *a)
{
	return __atomic_load_n(&a->users, __ATOMIC_ACQUIRE);
}

/* A command under way may send again what it has sent, and that is a copy made then. */
static bool
is_out_of_use(const struct st_arena *a)
{
	return (frames_are_home(a) && (nb_users(a) == 0 || ST_MUTATE(users_ignored))) ||
	       ST_MUTATE(arena_early);
}

static unsigned
reap_locked(void)
{
	uint32_t i = 0;

	while (i < nb_waiting) {
		if (!is_out_of_use(waiting[i])) {
			i++;
			continue;
		}
		rte_free((void *)waiting[i]->base);
		waiting[i]->next = unused;
		unused = waiting[i];
		waiting[i] = waiting[--nb_waiting];
	}
	return nb_waiting;
}

unsigned
st_arena_reap(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = reap_locked();
	pthread_mutex_unlock(&lock);
	return n;
}

static struct st_arena *
get_descriptor(void)
{
	struct st_arena *a = unused;

	if (a == NULL)
		return calloc(1, sizeof(*a));
	unused = a->next;
	return a;
}

static int
insert(struct registry *r, uintptr_t base, size_t bytes)
{
	struct st_arena *a;
	uint32_t at;

	/* Room for the day it is freed, too: st_arena_free() cannot fail. */
	if (reserve(&r->live, &r->size, r->nb + 1) != 0 ||
		reserve(&waiting, &waiting_size, r->nb + 1 + nb_waiting) != 0)
		return -ENOMEM;
	a = get_descriptor();
	if (a == NULL)
		return -ENOMEM;
	a->base = base;
	a->bytes = bytes;
	a->users = 0;
	a->shinfo.free_cb = ignore_last_frame;
	rte_mbuf_ext_refcnt_set(&a->shinfo, 1);
	at = lower_bound(r->live, r->nb, base);
	memmove(&r->live[at + 1], &r->live[at], (r->nb - at) * sizeof(*r->live));
	r->live[at] = a;
	r->nb++;
	changed();
	return 0;
}

/* Take out what begins at mem. NULL: nothing does. */
static struct st_arena *
take_out(struct registry *r, const void *mem)
{
	uint32_t at = lower_bound(r->live, r->nb, (uintptr_t)mem);
	struct st_arena *a;

	if (at == r->nb || r->live[at]->base != (uintptr_t)mem)
		return NULL;
	a = r->live[at];
	r->nb--;
	memmove(&r->live[at], &r->live[at + 1], (r->nb - at) * sizeof(*r->live));
	changed();
	return a;
}

void *
st_arena_alloc_on(int socket_id, size_t bytes, size_t align)
{
	void *mem;
	int rc;

	if (align == 0)
		align = ARENA_ALIGN;
	if (bytes == 0 || (align & (align - 1)) != 0 || align > UINT32_MAX)
		return mpn_err_null(ENOMEM);
	(void)st_arena_reap();
	mem = rte_malloc_socket(NULL, bytes, (unsigned)align, socket_id);
	if (mem == NULL)
		return mpn_err_null(ENOMEM);
	pthread_mutex_lock(&lock);
	rc = insert(&arenas, (uintptr_t)mem, bytes);
	pthread_mutex_unlock(&lock);
	if (rc != 0) {
		rte_free(mem);
		return mpn_err_null(ENOMEM);
	}
	return mem;
}

void *
st_arena_alloc(struct mpn_nic *nic, size_t bytes, size_t align)
{
	struct mpn_nic_info info;

	mpn_nic_get_info(nic, &info);
	return st_arena_alloc_on(info.socket_id, bytes, align);
}

int
st_arena_free(void *mem)
{
	struct st_arena *a;
	uint32_t users = 0;
	size_t bytes = 0;

	if (mem == NULL)
		return 0;
	pthread_mutex_lock(&lock);
	a = take_out(&arenas, mem);
	if (a != NULL) {
		users = nb_users(a);
		bytes = a->bytes;
		waiting[nb_waiting++] = a;
		(void)reap_locked();
	}
	pthread_mutex_unlock(&lock);
	if (a == NULL)
		return mpn_log_err(ENOENT, "storage", "%p was freed and is no arena", mem);
	if (users == 0)
		return 0;
	return mpn_log_err(EBUSY, "storage",
		"an arena of %zu bytes at %p was freed with %u commands under way that read or "
		"write it: "
		"it stays until they have ended",
		bytes, mem, users);
}

bool
st_arena_owns(const void *mem, size_t len)
{
	uintptr_t base = (uintptr_t)mem;
	uint32_t at;
	bool owns;

	pthread_mutex_lock(&lock);
	at = lower_bound(arenas.live, arenas.nb, base);
	owns = at < arenas.nb && arenas.live[at]->base <= base &&
	       len <= arenas.live[at]->bytes - (base - arenas.live[at]->base);
	pthread_mutex_unlock(&lock);
	return owns;
}

/* ---- Lent memory ---- */

int
st_lent_register(void *mem, size_t bytes)
{
	uintptr_t base = (uintptr_t)mem;
	uint32_t at;
	int rc;

	if (bytes == 0 || base > UINTPTR_MAX - bytes)
		return -EINVAL;
	pthread_mutex_lock(&lock);
	at = lower_bound(lent.live, lent.nb, base);
	if (at < lent.nb && lent.live[at]->base < base + bytes)
		rc = -EEXIST;
	else
		rc = insert(&lent, base, bytes);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
st_lent_unregister(void *mem)
{
	struct st_arena **at, *a;
	uint32_t users = 0;
	int rc = -ENOENT;

	pthread_mutex_lock(&lock);
	a = take_out(&lent, mem);
	if (a != NULL) {
		users = nb_users(a);
		a->next = leaving;
		leaving = a;
	}
	for (at = &leaving; *at != NULL && (*at)->base != (uintptr_t)mem; at = &(*at)->next)
		;
	a = *at;
	if (a != NULL && !is_out_of_use(a)) {
		rc = -EBUSY;
	} else if (a != NULL) {
		*at = a->next;
		a->next = unused;
		unused = a;
		rc = 0;
	}
	pthread_mutex_unlock(&lock);
	/* Said once: the caller asks again until it is out of use. */
	if (users > 0)
		mpn_log(MPN_LOG_ERR, "storage",
			"memory at %p that was lent is taken back with %u writes from it under way",
			mem, users);
	return rc;
}

/* ---- Views ---- */

static void
refresh(struct st_arena_view *view)
{
	const struct registry *r = view->lent ? &lent : &arenas;
	struct st_arena **bigger;

	pthread_mutex_lock(&lock);
	view->last = NULL;
	view->nb = 0;
	if (view->size < r->nb) {
		bigger = realloc(view->arenas, r->size * sizeof(*bigger));
		if (bigger != NULL) {
			view->arenas = bigger;
			view->size = r->size;
		}
	}
	/* Without memory for the view everything is foreign: slower, never wrong. */
	if (view->size >= r->nb && r->nb > 0) {
		memcpy(view->arenas, r->live, r->nb * sizeof(*r->live));
		view->nb = r->nb;
	}
	view->generation = st_arena_generation;
	pthread_mutex_unlock(&lock);
}

struct st_arena *
st_arena_view_search(struct st_arena_view *view, uintptr_t base, size_t len)
{
	struct st_arena *a;
	uint32_t at;

	if (view->generation != __atomic_load_n(&st_arena_generation, __ATOMIC_ACQUIRE))
		refresh(view);
	at = lower_bound(view->arenas, view->nb, base);
	if (at == view->nb)
		return NULL;
	a = view->arenas[at];
	if (base < a->base || len > a->bytes - (base - a->base))
		return NULL;
	view->last = a;
	return a;
}

void
st_arena_view_fini(struct st_arena_view *view)
{
	free(view->arenas);
	memset(view, 0, sizeof(*view));
}
