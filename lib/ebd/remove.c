/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Exports that go while the server runs. */

#include <string.h>

#include "server_int.h"
#include "st_nic.h"

int
ebd_export_remove(struct ebd_server *s, const char *name)
{
	struct export *e;
	unsigned i;

	for (i = 0; i < s->nb_exports; i++) {
		if (strcmp(s->exports[i]->geometry.name, name) == 0)
			break;
	}
	if (name[0] == '\0' || i == s->nb_exports)
		return mpn_log_err(ENOENT, "ebd", "volume '%s': there is none of this name", name);
	e = s->exports[i];
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
