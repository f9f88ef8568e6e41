/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Exports that change and go while the server runs. */

#include <stdlib.h>
#include <string.h>

#include "server_int.h"
#include "st_nic.h"

static struct export *
find_export(struct ebd_server *s, const char *name, unsigned *index)
{
	unsigned i;

	for (i = 0; i < s->nb_exports && name[0] != '\0'; i++) {
		if (strcmp(s->exports[i]->geometry.name, name) == 0) {
			*index = i;
			return s->exports[i];
		}
	}
	(void)mpn_log_err(ENOENT, "ebd", "volume '%s': there is none of this name", name);
	return NULL;
}

/* Tell the clients what the volume is like now. */
static int
announce(struct ebd_server *s, struct export *e, unsigned index)
{
	char name[WIRE_EBD_NAME_LEN];

	memcpy(name, e->geometry.name, sizeof(name));
	export_fill_geometry(e, name);
	if (s->target == NULL)
		return 0;
	return xfer_tgt_export_change(
		st_target_xfer(s->target), index, e->geometry.size, e->geometry.flags);
}

/* ---- A new size ---- */

struct sizing {
	struct errand errand; /* first: it is freed as one */
	struct export *export;
	uint64_t size;
};

static int
find_size(struct errand *e)
{
	struct sizing *z = (struct sizing *)e;

	return vol_find_size(z->export->volume, &z->size);
}

static void
look_no_more(struct errand *e)
{
	(void)__atomic_sub_fetch(&((struct sizing *)e)->export->nb_looks, 1, __ATOMIC_RELEASE);
}

static int
find_size_meanwhile(struct ebd_server *s, struct export *e, uint64_t *size)
{
	struct sizing *z = calloc(1, sizeof(*z));
	int rc;

	if (z == NULL)
		return mpn_err(ENOMEM);
	z->errand.run = find_size;
	z->errand.undo = look_no_more;
	z->export = e;
	(void)__atomic_add_fetch(&e->nb_looks, 1, __ATOMIC_RELAXED);
	rc = server_run_meanwhile(s, &z->errand, e->geometry.name);
	if (rc < 0)
		return rc;
	*size = z->size;
	look_no_more(&z->errand);
	free(z);
	return 0;
}

int
ebd_export_resize(struct ebd_server *s, const char *name)
{
	unsigned i;
	struct export *e = find_export(s, name, &i);
	uint64_t size;
	int rc;

	if (e == NULL)
		return -ENOENT;
	rc = s->polled ? find_size_meanwhile(s, e, &size) : vol_find_size(e->volume, &size);
	if (rc != 0)
		return rc;
	/* It may have been removed meanwhile. */
	if (e->leaving)
		return mpn_log_err(ENOENT, "ebd", "volume '%s': is no more", name);
	rc = vol_set_size(e->volume, size);
	return rc != 0 ? rc : announce(s, e, i);
}

/* ---- Others ---- */

int
ebd_export_set_readonly(struct ebd_server *s, const char *name)
{
	unsigned i;
	struct export *e = find_export(s, name, &i);

	if (e == NULL)
		return -ENOENT;
	vol_set_readonly(e->volume);
	return announce(s, e, i);
}

int
ebd_export_remove(struct ebd_server *s, const char *name)
{
	unsigned i;
	struct export *e = find_export(s, name, &i);

	if (e == NULL)
		return -ENOENT;
	if (s->target != NULL)
		(void)xfer_tgt_export_remove(st_target_xfer(s->target), i, mpn_now_ns());
	memset(e->geometry.name, 0, sizeof(e->geometry.name));
	e->leaving = true;
	s->nb_leaving++;
	return 0;
}

void
export_end_leaving(struct ebd_server *s)
{
	unsigned i;

	for (i = 0; i < s->nb_exports; i++) {
		struct export *e = s->exports[i];

		if (!e->leaving || __atomic_load_n(&e->nb_looks, __ATOMIC_ACQUIRE) > 0 ||
			vol_get_stats(e->volume)->in_flight > 0)
			continue;
		if (s->target != NULL && xfer_tgt_export_busy(st_target_xfer(s->target), i))
			continue;
		/* Frames that were answered from a volume in memory may still be in a queue. */
		if (vol_map(e->volume, 0, e->geometry.block_size) != NULL && !st_memory_is_home())
			continue;
		ceiling_free(e);
		memset(&e->stand_in, 0, sizeof(e->stand_in));
		server_close_volume(s, e->volume);
		e->volume = NULL;
		e->leaving = false;
		s->nb_leaving--;
	}
}
