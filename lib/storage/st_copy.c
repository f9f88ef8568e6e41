/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

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
	memcpy(dst, src, n);
	stats->site_bytes[site] += n;
	stats->site_count[site]++;
	/* Bytes that moved before, or that need not have: a second copy of the same payload. */
	if (site == ST_COPY_tx_retx || site == ST_COPY_rx_linear)
		stats->bounced += n;
	else
		stats->copied += n;
}
