/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Volumes are opened in a thread of their own while the server goes on: one whose back end does not answer, or
 * whose image another server has, delays nobody but who asked for it.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "server_int.h"
#include "st_arena.h"
#include "st_nic.h"

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

struct opening {
	struct errand errand; /* first: it is freed as one */
	struct volume *volume;
	char spec[];
};

static int
open_it(struct errand *e)
{
	struct opening *o = (struct opening *)e;

	return vol_open_spec(o->spec, &o->volume);
}

static void
close_it_again(struct errand *e)
{
	vol_close(((struct opening *)e)->volume);
}

static int
open_meanwhile(struct ebd_server *s, const char *spec, struct volume **v)
{
	size_t len = strlen(spec) + 1;
	struct opening *o = calloc(1, sizeof(*o) + len);
	int rc;

	if (o == NULL)
		return mpn_err(ENOMEM);
	o->errand.run = open_it;
	o->errand.undo = close_it_again;
	memcpy(o->spec, spec, len);
	rc = server_run_meanwhile(s, &o->errand, spec);
	if (rc < 0)
		return rc;
	*v = o->volume;
	free(o);
	return 0;
}

int
server_open_volume(struct ebd_server *s, const char *spec, struct volume **v)
{
	if (s->waiting)
		return mpn_log_err(EBUSY, "ebd", "'%s': another volume is being waited for", spec);
	if (wants_eal_memory(s) && strstr(spec, "mem:") != NULL)
		return open_with_eal_memory(spec, v);
	return s->polled ? open_meanwhile(s, spec, v) : vol_open_spec(spec, v);
}
