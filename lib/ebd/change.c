/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Exports that change and go while the server runs. */

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

int
ebd_export_resize(struct ebd_server *s, const char *name)
{
	unsigned i;
	struct export *e = find_export(s, name, &i);
	int rc;

	if (e == NULL)
		return -ENOENT;
	rc = vol_refresh(e->volume);
	return rc != 0 ? rc : announce(s, e, i);
}

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

		if (!e->leaving || vol_get_stats(e->volume)->in_flight > 0)
			continue;
		if (s->target != NULL && xfer_tgt_export_busy(st_target_xfer(s->target), i))
			continue;
		/* Frames that were answered from a volume in memory may still be in a queue. */
		if (vol_map(e->volume, 0, e->geometry.block_size) != NULL && !st_memory_is_home())
			continue;
		ceiling_free(e);
		memset(&e->stand_in, 0, sizeof(e->stand_in));
		vol_close(e->volume);
		e->volume = NULL;
		e->leaving = false;
		s->nb_leaving--;
	}
}
