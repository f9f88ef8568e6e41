/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The one way payload is moved by our code. Everything that is not moved here is moved by the link,
 * or not at all, so that copies per byte is a counter and not an opinion.
 */

#ifndef ST_COPY_H
#define ST_COPY_H

#include "dev_st.h"

/* Move n bytes of payload and count them. The two ranges do not overlap. */
void
st_copy(struct st_copy_stats *stats, enum st_copy_site site, void *dst, const void *src, size_t n);

/* sum += stats */
void st_copy_add(struct st_copy_stats *sum, const struct st_copy_stats *stats);
/* Bytes by fate and by site, as an object "payload_bytes". */
void st_copy_print(const struct st_copy_stats *stats, struct mpn_out *o);

/* Name and text of a site, for those who print. */
const char *st_copy_site_name(enum st_copy_site site);
const char *st_copy_site_text(enum st_copy_site site);

#endif
