/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Volumes are opened in a thread of their own while the server goes on: one whose back end does not answer, or
 * whose image another server has, delays nobody but who asked for it.
 */

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "server_int.h"
#include "st_arena.h"
#include "st_nic.h"

struct opening {
	const char *spec;
	struct volume *volume;
	int rc;
	char error[512]; /* of the thread that opened it */
	bool done;
};

/* ---- Memory of volumes ---- */

static void *
alloc_volume_memory(size_t bytes, MPN_UNUSED void *ctx)
{
	void *mem = st_arena_alloc_on(-1, bytes, 0);

	if (mem != NULL)
		return mem;
	/* More than the EAL has: frames from it are copied then. */
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mem != MAP_FAILED ? mem : NULL;
}

static void
free_volume_memory(void *mem, size_t bytes, MPN_UNUSED void *ctx)
{
	if (st_arena_owns(mem, bytes))
		st_arena_free(mem);
	else
		(void)munmap(mem, bytes);
}

/* Drivers that read frames by CPU can do so anywhere; others need memory of the EAL. */
static bool
wants_eal_memory(const struct ebd_server *s)
{
	const struct st_nic *n;
	unsigned i;

	for (i = 0; i < s->nb_nics; i++) {
		n = st_nic_find(s->nics[i].nic);
		if (n != NULL && !n->info.tx_any_memory && n->multi_segs)
			return true;
	}
	return false;
}

static int
open_with_eal_memory(const char *spec, struct volume **v)
{
	int rc;

	vol_mem_set_allocator(alloc_volume_memory, free_volume_memory, NULL);
	rc = vol_open_spec(spec, v);
	vol_mem_set_allocator(NULL, NULL, NULL);
	return rc;
}

/* ---- Meanwhile ---- */

static void *
open_it(void *arg)
{
	struct opening *o = arg;

	o->rc = vol_open_spec(o->spec, &o->volume);
	if (o->rc < 0)
		(void)snprintf(o->error, sizeof(o->error), "%s", mpn_log_last_error());
	__atomic_store_n(&o->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Signals are for the program's own threads. */
static int
start_thread(pthread_t *thread, struct opening *o)
{
	sigset_t all, before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(thread, NULL, open_it, o);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static void
serve_round(struct ebd_server *s)
{
	unsigned work = ebd_server_poll(s);

	if (s->conf.background != NULL)
		(void)s->conf.background(s->conf.background_arg);
	ebd_server_idle(s, work);
}

static int
open_meanwhile(struct ebd_server *s, const char *spec, struct volume **v)
{
	struct opening o = {.spec = spec};
	pthread_t thread;
	int rc;

	rc = start_thread(&thread, &o);
	if (rc != 0)
		return mpn_log_err(rc, "ebd", "'%s': no thread to open it: %s", spec, strerror(rc));
	s->opening = true;
	while (!__atomic_load_n(&o.done, __ATOMIC_ACQUIRE))
		serve_round(s);
	s->opening = false;
	(void)pthread_join(thread, NULL);
	*v = o.volume;
	if (o.rc < 0)
		mpn_log_adopt_error(o.error);
	return o.rc < 0 ? mpn_err(-o.rc) : 0;
}

int
server_open_volume(struct ebd_server *s, const char *spec, struct volume **v)
{
	if (s->opening)
		return mpn_log_err(EBUSY, "ebd", "'%s': another volume is being opened", spec);
	if (wants_eal_memory(s) && strstr(spec, "mem:") != NULL)
		return open_with_eal_memory(spec, v);
	return s->polled ? open_meanwhile(s, spec, v) : vol_open_spec(spec, v);
}
