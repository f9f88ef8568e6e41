/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A worker is an lcore that polls parts of NICs, and stands still between two rounds when it is asked to: in a
 * round it reads one word that others write. It is away while it has nothing to do, too, so that who
 * asks does not wait for one that sleeps.
 */

#include <pthread.h>
#include <sched.h>

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "map.h"
#include "mpn_map.h"
#include "worker.h"

#define MAX_PARTS 32
/* Rounds with work after which another one may have a core that is shared. */
#define YIELD_ROUNDS 16

struct worker {
	/* by those who want it to stand still */
	_Alignas(RTE_CACHE_LINE_SIZE) atomic_uint holds;
	atomic_bool quit;
	atomic_bool shares; /* its cores with more pollers than there are cores */
	/* by the worker */
	_Alignas(RTE_CACHE_LINE_SIZE) atomic_bool away;
	unsigned busy; /* rounds since the core was given away */
	struct mpn_idler idler;
	/* while it is away */
	unsigned nb_parts;
	struct nic_part *parts[MAX_PARTS];
	/* under the lock */
	unsigned lcore;
	unsigned refs;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct worker workers[RTE_MAX_LCORE];
static atomic_int idle_policy = MPN_IDLE_SPIN;
static _Thread_local const struct worker *me;

void
mpn_map_set_idle(enum mpn_idle policy)
{
	atomic_store_explicit(&idle_policy, (int)policy, memory_order_relaxed);
}

bool
worker_is_me(void)
{
	return me != NULL;
}

/* ---- The lcore ---- */

static void
leave(struct worker *w)
{
	atomic_store_explicit(&w->away, true, memory_order_release);
}

/* Of the two that say "I am back" and "stand still" one at least sees what the other has said. */
static void
come_back(struct worker *w)
{
	struct mpn_idler idler;

	for (;;) {
		atomic_store_explicit(&w->away, false, memory_order_seq_cst);
		if (atomic_load_explicit(&w->holds, memory_order_seq_cst) == 0)
			return;
		leave(w);
		mpn_idler_init(&idler, MPN_IDLE_SLEEP);
		while (atomic_load_explicit(&w->holds, memory_order_acquire) != 0)
			mpn_idler_round(&idler, 0);
	}
}

/* Nothing to do. */
static void
rest(struct worker *w)
{
	int policy = atomic_load_explicit(&idle_policy, memory_order_relaxed);

	if (policy == MPN_IDLE_SPIN && atomic_load_explicit(&w->shares, memory_order_relaxed))
		policy = MPN_IDLE_YIELD;
	w->idler.policy = (enum mpn_idle)policy;
	leave(w);
	mpn_idler_round(&w->idler, 0);
	come_back(w);
}

static void
go_on(struct worker *w, unsigned work)
{
	mpn_idler_round(&w->idler, work);
	if (++w->busy < YIELD_ROUNDS || !atomic_load_explicit(&w->shares, memory_order_relaxed))
		return;
	w->busy = 0;
	leave(w);
	(void)sched_yield();
	come_back(w);
}

static int
work_on(void *arg)
{
	struct worker *w = arg;

	me = w;
	mpn_idler_init(&w->idler, MPN_IDLE_SPIN);
	come_back(w);
	while (!atomic_load_explicit(&w->quit, memory_order_relaxed)) {
		unsigned work = 0;

		for (unsigned i = 0; i < w->nb_parts; i++)
			work += nic_part_round(w->parts[i]);
		if (work == 0)
			rest(w);
		else
			go_on(w, work);
		if (mpn_unlikely(atomic_load_explicit(&w->holds, memory_order_relaxed) != 0)) {
			leave(w);
			come_back(w);
		}
	}
	leave(w);
	me = NULL;
	return 0;
}

/* ---- From start to end ---- */

static unsigned
count_pollers(const rte_cpuset_t *cpus)
{
	rte_cpuset_t both, main_cpus = rte_lcore_cpuset(rte_get_main_lcore());
	unsigned n;

	CPU_AND(&both, cpus, &main_cpus);
	n = CPU_COUNT(&both) > 0;
	for (unsigned i = 0; i < RTE_MAX_LCORE; i++) {
		rte_cpuset_t its = rte_lcore_cpuset(i);

		CPU_AND(&both, cpus, &its);
		n += workers[i].refs > 0 && CPU_COUNT(&both) > 0;
	}
	return n;
}

/* Who shares its cores with whom has changed. */
static void
look_at_cores(void)
{
	for (unsigned i = 0; i < RTE_MAX_LCORE; i++) {
		rte_cpuset_t cpus;

		if (workers[i].refs == 0)
			continue;
		cpus = rte_lcore_cpuset(i);
		atomic_store_explicit(&workers[i].shares,
			count_pollers(&cpus) > (unsigned)CPU_COUNT(&cpus), memory_order_relaxed);
	}
}

static int
start(struct worker *w, unsigned lcore)
{
	w->lcore = lcore;
	w->nb_parts = 0;
	w->busy = 0;
	atomic_store(&w->holds, 0);
	atomic_store(&w->quit, false);
	atomic_store(&w->away, true);
	return rte_eal_remote_launch(work_on, w, lcore);
}

bool
worker_is_free(unsigned lcore)
{
	bool is_free;

	pthread_mutex_lock(&lock);
	is_free = workers[lcore].refs > 0 || rte_eal_get_lcore_state(lcore) == WAIT;
	pthread_mutex_unlock(&lock);
	return is_free;
}

struct worker *
worker_get(unsigned lcore)
{
	struct worker *w = &workers[lcore];
	bool ok = true;

	pthread_mutex_lock(&lock);
	if (w->refs == 0)
		ok = start(w, lcore) == 0;
	if (ok)
		w->refs++;
	look_at_cores();
	pthread_mutex_unlock(&lock);
	return ok ? w : mpn_err_null(EBUSY);
}

void
worker_put(struct worker *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&lock);
	if (--w->refs == 0) {
		atomic_store(&w->quit, true);
		(void)rte_eal_wait_lcore(w->lcore);
	}
	look_at_cores();
	pthread_mutex_unlock(&lock);
}

/* ---- Standing still ---- */

void
worker_hold(struct worker *w)
{
	unsigned spins = 0;

	(void)atomic_fetch_add_explicit(&w->holds, 1, memory_order_seq_cst);
	while (!atomic_load_explicit(&w->away, memory_order_seq_cst)) {
		if (++spins % 64 != 0)
			rte_pause();
		else
			(void)sched_yield();
	}
}

void
worker_release(struct worker *w)
{
	(void)atomic_fetch_sub_explicit(&w->holds, 1, memory_order_release);
}

int
worker_add(struct worker *w, struct nic_part *part)
{
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (w->nb_parts < MAX_PARTS)
		w->parts[w->nb_parts++] = part;
	else
		rc = mpn_err(ENOSPC);
	pthread_mutex_unlock(&lock);
	return rc;
}

void
worker_remove(struct worker *w, const struct nic_part *part)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < w->nb_parts; i++) {
		if (w->parts[i] == part)
			w->parts[i--] = w->parts[--w->nb_parts];
	}
	pthread_mutex_unlock(&lock);
}
