/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What can be asked of a server. */

#include <stdio.h>
#include <string.h>

#include "server_int.h"

int
ebd_export_get(const struct ebd_server *s, unsigned n, struct ebd_export_info *info)
{
	const struct wire_geometry *g;
	unsigned i;

	for (i = 0; i < s->nb_exports; i++) {
		if (s->exports[i]->geometry.name[0] != '\0' && n-- == 0)
			break;
	}
	if (i == s->nb_exports)
		return -ENOENT;
	g = &s->exports[i]->geometry;
	memset(info, 0, sizeof(*info));
	memcpy(info->name, g->name, sizeof(info->name));
	info->size = g->size;
	info->block_size = g->block_size;
	info->read_only = (g->flags & WIRE_VOL_READONLY) != 0;
	return 0;
}

void
ebd_volume_help(FILE *f)
{
	const struct vol_ops *kind;
	unsigned i;

	for (i = 0; (kind = vol_kind(i)) != NULL; i++)
		fprintf(f, "  %-44s %s\n", kind->synopsis, kind->help);
}

static unsigned
count_sessions(const struct ebd_server *s)
{
	struct xfer_session_info info;
	unsigned n = 0;

	while (xfer_tgt_session_info(st_target_xfer(s->target), n, mpn_now_ns(), &info) == 0)
		n++;
	return n;
}

void
ebd_server_get_stats(const struct ebd_server *s, struct ebd_server_stats *stats)
{
	const struct xfer_stats *x;
	unsigned i;

	memset(stats, 0, sizeof(*stats));
	stats->commands = s->commands;
	stats->closing = s->nb_leaving + s->nb_errands;
	for (i = 0; i < s->nb_exports; i++) {
		stats->read_bytes += s->exports[i]->read_bytes;
		stats->write_bytes += s->exports[i]->write_bytes;
		stats->errors += s->exports[i]->errors;
	}
	if (s->target == NULL)
		return;
	x = xfer_tgt_stats(st_target_xfer(s->target));
	stats->sessions = count_sessions(s);
	stats->rx_frames = x->rx_frames;
	stats->tx_frames = x->tx_frames;
	stats->retransmits = x->retransmits;
	for (i = 0; i < WIRE_DROP_COUNT; i++)
		stats->drops += x->drops[i];
	stats->copied_bytes = st_target_copied(s->target);
	st_target_staging(s->target, &stats->buffers, &stats->buffers_max);
	stats->memory = sizeof(*s) + s->nb_ios * sizeof(*s->ios) + st_target_memory(s->target);
}

static void
print_session(const struct ebd_server *s, const struct xfer_session_info *info, struct mpn_out *o)
{
	struct mpn_nic_info nic = {0};

	if (info->port < s->nb_nics)
		mpn_nic_get_info(s->nics[info->port].nic, &nic);
	mpn_out_object(o, NULL);
	mpn_out_u64(o, "sid", info->sid);
	mpn_out_str(o, "volume", s->exports[info->export_index]->geometry.name);
	mpn_out_uuid(o, "client", info->client_uuid);
	mpn_out_mac(o, "mac", info->mac);
	mpn_out_str(o, "link", nic.link);
	mpn_out_u64(o, "queue", info->queue);
	mpn_out_u64(o, "payload_unit", info->p);
	mpn_out_u64(o, "depth", info->depth);
	mpn_out_u64(o, "credits", info->credits);
	mpn_out_u64(o, "outstanding", info->outstanding);
	mpn_out_u64(o, "idle_ms", info->idle_ns / 1000000);
	mpn_out_u64(o, "commands", info->commands);
	mpn_out_close(o);
}

static bool
is_wanted(const struct ebd_server *s, uint32_t index, const char *volume)
{
	return volume == NULL || strcmp(s->exports[index]->geometry.name, volume) == 0;
}

void
ebd_server_print_sessions(const struct ebd_server *s, const char *volume, struct mpn_out *o)
{
	struct xfer_session_info info;
	unsigned n;

	mpn_out_array(o, "sessions");
	for (n = 0; s->target != NULL &&
		    xfer_tgt_session_info(st_target_xfer(s->target), n, mpn_now_ns(), &info) == 0;
		n++) {
		if (is_wanted(s, info.export_index, volume))
			print_session(s, &info, o);
	}
	mpn_out_close(o);
}

static void
print_volume(const struct ebd_server *s, const struct export *e, struct mpn_out *o)
{
	mpn_out_object(o, NULL);
	mpn_out_str(o, "name", e->geometry.name);
#define X(name, text) mpn_out_u64(o, #name, e->name);
	EXPORT_COUNTER_LIST(X)
#undef X
	access_print(s, e->geometry.name, o);
	mpn_out_object(o, "volume");
	vol_print(e->volume, o);
	mpn_out_close(o);
	mpn_out_close(o);
}

void
ebd_server_print_volumes(const struct ebd_server *s, const char *volume, struct mpn_out *o)
{
	unsigned i;

	mpn_out_array(o, "volumes");
	for (i = 0; i < s->nb_exports; i++) {
		if (s->exports[i]->volume != NULL && is_wanted(s, i, volume))
			print_volume(s, s->exports[i], o);
	}
	mpn_out_close(o);
}
