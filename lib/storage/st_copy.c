/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include "mpn_stage.h"
#include "st_copy.h"

static const char *const site_names[] = {
#define X(name, text) #name,
	ST_COPY_SITE_LIST(X)
#undef X
};

static const char *const site_texts[] = {
#define X(name, text) text,
	ST_COPY_SITE_LIST(X)
#undef X
};

const char *
st_copy_site_name(enum st_copy_site site)
{
	return (unsigned)site < ST_COPY_SITES ? site_names[site] : "?";
}

const char *
st_copy_site_text(enum st_copy_site site)
{
	return (unsigned)site < ST_COPY_SITES ? site_texts[site] : "?";
}

/*
 * The C library's memcpy, which picks the widest registers when the program starts: rte_memcpy is
 * bound to what the compiler was told, SSE in a distribution's build.
 */
void
st_copy(struct st_copy_stats *stats, enum st_copy_site site, void *dst, const void *src, size_t n)
{
	MPN_STAGE_BEGIN(PLACEMENT);
	memcpy(dst, src, n);
	MPN_STAGE_END();
	stats->site_bytes[site] += n;
	stats->site_count[site]++;
	/* Bytes that moved before, or that need not have: a second copy of the same payload. */
	if (site == ST_COPY_tx_retx || site == ST_COPY_rx_linear || site == ST_COPY_rx_bounce)
		stats->bounced += n;
	else
		stats->copied += n;
}

void
st_copy_add(struct st_copy_stats *sum, const struct st_copy_stats *stats)
{
	unsigned i;

#define X(name, text) sum->name += stats->name;
	ST_BYTES_LIST(X)
#undef X
	for (i = 0; i < ST_COPY_SITES; i++) {
		sum->site_bytes[i] += stats->site_bytes[i];
		sum->site_count[i] += stats->site_count[i];
	}
}

void
st_copy_print(const struct st_copy_stats *stats, struct mpn_out *o)
{
	unsigned i;

	mpn_out_object(o, "payload_bytes");
#define X(name, text) mpn_out_u64(o, #name, stats->name);
	ST_BYTES_LIST(X)
#undef X
	for (i = 0; i < ST_COPY_SITES; i++)
		mpn_out_u64(o, site_names[i], stats->site_bytes[i]);
	mpn_out_close(o);
}
