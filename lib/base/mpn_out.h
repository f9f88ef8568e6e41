/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * One description of a result, two forms: text for people ("name  value" lines, tables), JSON for
 * programs. The same calls make both, so that they cannot disagree. Writes to a FILE.
 */

#ifndef MPN_OUT_H
#define MPN_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "mpn_err.h"

#define MPN_OUT_DEPTH 8 /**< objects and arrays in each other */

/** A result on its way out; the caller's memory. */
struct mpn_out {
	FILE *f;
	bool json;
	/* private */
	uint8_t depth;
	bool comma[MPN_OUT_DEPTH];
	bool array[MPN_OUT_DEPTH];
	bool dash; /* the next line of text starts an element of an array */
};

/** Start a result; the outermost object is open afterwards. */
void mpn_out_begin(struct mpn_out *o, FILE *f, bool json);
/** Close the outermost object and flush. @return 0, or -EIO when writing failed. */
int mpn_out_end(struct mpn_out *o);

/** Open an object or array under key (NULL inside an array). Text: an indented heading. */
void mpn_out_object(struct mpn_out *o, const char *key);
void mpn_out_array(struct mpn_out *o, const char *key);
/** Close the innermost object or array. */
void mpn_out_close(struct mpn_out *o);

/** One value. Strings are escaped in JSON; control characters are shown as '?' in text. */
void mpn_out_str(struct mpn_out *o, const char *key, const char *value);
void mpn_out_u64(struct mpn_out *o, const char *key, uint64_t value);
void mpn_out_i64(struct mpn_out *o, const char *key, int64_t value);
/** Fixed-point with the given digits after the point. */
void mpn_out_f64(struct mpn_out *o, const char *key, double value, int digits);
void mpn_out_bool(struct mpn_out *o, const char *key, bool value);
/** As people write them: "02:00:00:00:00:01", "00112233-4455-6677-8899-aabbccddeeff". */
void mpn_out_mac(struct mpn_out *o, const char *key, const uint8_t mac[6]);
void mpn_out_uuid(struct mpn_out *o, const char *key, const uint8_t uuid[16]);
/** A time of day as "2026-01-31T12:00:00.123Z"; 0: "-", in JSON null. */
void mpn_out_time(struct mpn_out *o, const char *key, uint64_t unix_ns);

#endif
