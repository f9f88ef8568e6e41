/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Bounded parsing of what people type. Every function takes the whole string or nothing and
 * returns 0 or -EINVAL (not of this form) or -ERANGE (outside the bounds). *out is written on
 * success only.
 */

#ifndef MPN_PARSE_H
#define MPN_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "mpn_err.h"

/** Decimal or 0x hexadecimal, within [min, max]. */
int mpn_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out) MPN_MUST_CHECK;

/** Decimal bytes with an optional suffix k, M, G, T (powers of 1024; either case; "KiB" and "KB" as k). */
int mpn_parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *out) MPN_MUST_CHECK;

/** A time with a suffix ns, us, ms, s, m; no suffix: seconds. Fractions allowed ("1.5s"). In ns, rounded down. */
int mpn_parse_time_ns(const char *s, uint64_t min, uint64_t max, uint64_t *out) MPN_MUST_CHECK;

/** on|off, yes|no, true|false, 1|0. */
int mpn_parse_bool(const char *s, bool *out) MPN_MUST_CHECK;

/** Six bytes as "aa:bb:cc:dd:ee:ff". */
int mpn_parse_mac(const char *s, uint8_t out[6]) MPN_MUST_CHECK;
/** Parse a VLAN id from 1 to 4094, "10", or two of them, "100.10"; outer is 0 without the first one. */
int mpn_parse_vlan(const char *s, uint16_t *outer, uint16_t *vid) MPN_MUST_CHECK;

/** Sixteen bytes as "00112233-4455-6677-8899-aabbccddeeff"; the '-' may be left out. */
int mpn_parse_uuid(const char *s, uint8_t out[16]) MPN_MUST_CHECK;

/** Index of s in names (NULL-terminated array), or -EINVAL. */
int mpn_parse_choice(const char *s, const char *const *names) MPN_MUST_CHECK;

/**
 * Copy s to dst with its terminating zero.
 * @return 0, or -ENAMETOOLONG with dst an empty string.
 */
int mpn_copy_str(char *dst, size_t size, const char *s) MPN_MUST_CHECK;

/**
 * Take the next item of a comma-separated list; a doubled comma stands for one in the item. *cursor
 * starts at the list and moves. A comma at the end is ignored.
 * @return 1 for an item, 0 at the end, -ENAMETOOLONG (the cursor stays)
 */
int mpn_parse_item(const char **cursor, char *item, size_t size) MPN_MUST_CHECK;

/** As mpn_parse_item(), the item being "key=value" or a bare "value" (then key is empty). */
int mpn_parse_kv(const char **cursor, char *key, size_t key_size, char *value,
	size_t value_size) MPN_MUST_CHECK;

/** "1.5 GiB", "4 KiB", "17 B" into buf, rounded to a tenth. @return buf */
char *mpn_format_size(char *buf, size_t size, uint64_t bytes);

/**
 * The name that somebody probably meant who typed another one: begin, try all names, take best
 * (NULL when none is near enough to be worth proposing).
 */
struct mpn_nearest {
	const char *typed;
	const char *best;
	unsigned distance; /**< edits from typed to best; anything nearer replaces it */
};

void mpn_nearest_begin(struct mpn_nearest *n, const char *typed);
void mpn_nearest_try(struct mpn_nearest *n, const char *name);

#endif
