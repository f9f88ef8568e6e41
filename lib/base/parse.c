/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "mpn_parse.h"

#define VLAN_MAX 4094

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* Take digits from *s on. -EINVAL when there is none, -ERANGE above 64 bits. */
static int
take_digits(const char **s, unsigned base, uint64_t *out)
{
	const char *p = *s;
	uint64_t v = 0;
	bool over = false;

	for (; (unsigned)digit_value(*p) < base; p++) {
		over |= __builtin_mul_overflow(v, (uint64_t)base, &v);
		over |= __builtin_add_overflow(v, (uint64_t)digit_value(*p), &v);
	}
	if (p == *s)
		return -EINVAL;
	*s = p;
	*out = v;
	return over ? -ERANGE : 0;
}

static int
store_bounded(unsigned __int128 v, uint64_t min, uint64_t max, uint64_t *out)
{
	if (v < min || v > max)
		return -ERANGE;
	*out = (uint64_t)v;
	return 0;
}

int
mpn_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	unsigned base = 10;
	uint64_t v = 0;
	int rc;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	rc = take_digits(&s, base, &v);
	if (rc == -EINVAL || *s != '\0')
		return -EINVAL;
	return rc != 0 ? rc : store_bounded(v, min, max, out);
}

/* The power of two that a suffix stands for, or -EINVAL. */
static int
size_shift(const char *suffix)
{
	static const char units[] = "kmgt";
	const char *u;

	if (*suffix == '\0')
		return 0;
	u = strchr(units, *suffix | 0x20);
	if (u == NULL || *u == '\0')
		return -EINVAL;
	suffix++;
	if (*suffix != '\0' && strcasecmp(suffix, "b") != 0 && strcasecmp(suffix, "ib") != 0)
		return -EINVAL;
	return 10 * (int)(u - units + 1);
}

int
mpn_parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	int shift;
	int rc;

	rc = take_digits(&s, 10, &v);
	if (rc == -EINVAL)
		return rc;
	shift = size_shift(s);
	if (shift < 0)
		return shift;
	return rc != 0 ? rc : store_bounded((unsigned __int128)v << shift, min, max, out);
}

static uint64_t
time_unit_ns(const char *suffix)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"", 1000000000},
		{"s", 1000000000},
		{"ms", 1000000},
		{"us", 1000},
		{"ns", 1},
		{"m", 60000000000},
	};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(units); i++) {
		if (strcmp(suffix, units[i].name) == 0)
			return units[i].ns;
	}
	return 0;
}

int
mpn_parse_time_ns(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t whole = 0;
	uint64_t frac = 0;
	uint64_t scale = 1;
	uint64_t unit;
	int rc;

	rc = take_digits(&s, 10, &whole);
	if (rc == -EINVAL)
		return rc;
	if (*s == '.') {
		s++;
		if (*s < '0' || *s > '9')
			return -EINVAL;
		/* Twelve digits are finer than a nanosecond of any unit; the rest is cut. */
		for (; *s >= '0' && *s <= '9'; s++) {
			if (scale == 1000000000000)
				continue;
			frac = frac * 10 + (uint64_t)(*s - '0');
			scale *= 10;
		}
	}
	unit = time_unit_ns(s);
	if (unit == 0)
		return -EINVAL;
	if (rc != 0)
		return rc;
	return store_bounded(
		(unsigned __int128)whole * unit + (unsigned __int128)frac * unit / scale, min, max,
		out);
}

int
mpn_parse_bool(const char *s, bool *out)
{
	static const char *const names[] = {
		"off", "on", "no", "yes", "false", "true", "0", "1", NULL};
	int i = mpn_parse_choice(s, names);

	if (i < 0)
		return i;
	*out = i % 2 == 1;
	return 0;
}

int
mpn_parse_vlan(const char *s, uint16_t *outer, uint16_t *vid)
{
	const char *dot = strchr(s, '.');
	uint64_t out = 0, in;
	char first[8];

	if (dot != NULL) {
		if ((size_t)(dot - s) >= sizeof(first))
			return -EINVAL;
		memcpy(first, s, (size_t)(dot - s));
		first[dot - s] = '\0';
		if (mpn_parse_u64(first, 1, VLAN_MAX, &out) != 0)
			return -EINVAL;
	}
	if (mpn_parse_u64(dot != NULL ? dot + 1 : s, 1, VLAN_MAX, &in) != 0)
		return -EINVAL;
	*outer = (uint16_t)out;
	*vid = (uint16_t)in;
	return 0;
}

int
mpn_parse_mac(const char *s, uint8_t out[6])
{
	uint8_t mac[6];
	int i;

	for (i = 0; i < 6; i++, s += 3) {
		int high = digit_value(s[0]);
		int low = high < 16 ? digit_value(s[1]) : 99;

		if (low >= 16 || s[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(out, mac, sizeof(mac));
	return 0;
}

int
mpn_parse_uuid(const char *s, uint8_t out[16])
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	bool dashes = strchr(s, '-') != NULL;
	uint8_t uuid[16] = {0};
	unsigned n = 0;
	size_t i;

	for (i = 0; shape[i] != '\0'; i++) {
		if (shape[i] == '-') {
			if (dashes && *s++ != '-')
				return -EINVAL;
			continue;
		}
		if (digit_value(*s) >= 16)
			return -EINVAL;
		uuid[n / 2] |= (uint8_t)(digit_value(*s++) << (n % 2 == 0 ? 4 : 0));
		n++;
	}
	if (*s != '\0')
		return -EINVAL;
	memcpy(out, uuid, sizeof(uuid));
	return 0;
}

int
mpn_parse_choice(const char *s, const char *const *names)
{
	int i;

	for (i = 0; names[i] != NULL; i++) {
		if (strcmp(s, names[i]) == 0)
			return i;
	}
	return -EINVAL;
}

static int
copy_bytes(char *dst, size_t size, const char *s, size_t len)
{
	if (size == 0)
		return -ENAMETOOLONG;
	if (len >= size) {
		dst[0] = '\0';
		return -ENAMETOOLONG;
	}
	memcpy(dst, s, len);
	dst[len] = '\0';
	return 0;
}

int
mpn_copy_str(char *dst, size_t size, const char *s)
{
	return copy_bytes(dst, size, s, strlen(s));
}

/* Length of the item at s as it is written: up to a comma that is not doubled. */
static size_t
item_len(const char *s)
{
	size_t len = 0;

	for (;;) {
		len += strcspn(s + len, ",");
		if (s[len] == '\0' || s[len + 1] != ',')
			return len;
		len += 2;
	}
}

/* Copy len written bytes to dst, each doubled comma as one. */
static int
copy_item(char *dst, size_t size, const char *s, size_t len)
{
	size_t used = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (used + 1 >= size) {
			if (size > 0)
				dst[0] = '\0';
			return -ENAMETOOLONG;
		}
		dst[used++] = s[i];
		if (s[i] == ',')
			i++;
	}
	return copy_bytes(dst + used, size - used, "", 0);
}

int
mpn_parse_item(const char **cursor, char *item, size_t size)
{
	const char *s = *cursor;
	size_t len = item_len(s);

	if (*s == '\0')
		return 0;
	if (copy_item(item, size, s, len) != 0)
		return -ENAMETOOLONG;
	*cursor = s[len] == ',' ? s + len + 1 : s + len;
	return 1;
}

int
mpn_parse_kv(const char **cursor, char *key, size_t key_size, char *value, size_t value_size)
{
	const char *s = *cursor;
	const char *eq = memchr(s, '=', item_len(s));
	size_t key_len = eq != NULL ? (size_t)(eq - s) : 0;
	const char *rest = eq != NULL ? eq + 1 : s;
	int rc;

	if (*s == '\0')
		return 0;
	if (copy_item(key, key_size, s, key_len) != 0)
		return -ENAMETOOLONG;
	if (*rest == '\0' || (rest[0] == ',' && rest[1] != ',')) {
		*cursor = *rest == ',' ? rest + 1 : rest;
		return copy_bytes(value, value_size, "", 0) == 0 ? 1 : -ENAMETOOLONG;
	}
	rc = mpn_parse_item(&rest, value, value_size);
	if (rc == 1)
		*cursor = rest;
	return rc;
}

char *
mpn_format_size(char *buf, size_t size, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t tenths = bytes * 10;
	unsigned u = 0;

	while (u + 1 < MPN_ARRAY_SIZE(units) && bytes >> (10 * (u + 1)) != 0)
		u++;
	if (u > 0) {
		uint64_t below = bytes & ((1ull << (10 * u)) - 1);

		tenths = (bytes >> (10 * u)) * 10;
		tenths += (uint64_t)(((unsigned __int128)below * 10 + (1ull << (10 * u - 1))) >>
				     (10 * u));
		/* 1023.96 KiB rounds up to the next unit. */
		if (tenths == 10240 && u + 1 < MPN_ARRAY_SIZE(units)) {
			tenths = 10;
			u++;
		}
	}
	if (tenths % 10 == 0)
		(void)snprintf(buf, size, "%llu %s", (unsigned long long)tenths / 10, units[u]);
	else
		(void)snprintf(buf, size, "%llu.%u %s", (unsigned long long)tenths / 10,
			(unsigned)(tenths % 10), units[u]);
	return buf;
}

/*
 * Edits (insert, delete, replace, swap of neighbours) that turn a into b: the restricted
 * Damerau-Levenshtein distance, for names of up to MAX_NAME characters.
 */
#define MAX_NAME 47

static unsigned
edit_distance(const char *a, size_t la, const char *b, size_t lb)
{
	unsigned d[3][MAX_NAME + 1];
	size_t i, j;

	for (j = 0; j <= lb; j++)
		d[0][j] = (unsigned)j;
	for (i = 1; i <= la; i++) {
		unsigned *row = d[i % 3];
		const unsigned *up = d[(i - 1) % 3];

		row[0] = (unsigned)i;
		for (j = 1; j <= lb; j++) {
			unsigned v = up[j - 1] + (a[i - 1] != b[j - 1]);

			v = MPN_MIN(v, up[j] + 1);
			v = MPN_MIN(v, row[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				v = MPN_MIN(v, d[(i - 2) % 3][j - 2] + 1);
			row[j] = v;
		}
	}
	return d[la % 3][lb];
}

void
mpn_nearest_begin(struct mpn_nearest *n, const char *typed)
{
	size_t len = strlen(typed);

	n->typed = typed;
	n->best = NULL;
	/* One slip in three characters; more is another word. */
	n->distance = (unsigned)MPN_MIN(len, (size_t)MAX_NAME) / 3 + 2;
	if (len < 3)
		n->distance = 2;
}

void
mpn_nearest_try(struct mpn_nearest *n, const char *name)
{
	size_t lt = strlen(n->typed);
	size_t ln = strlen(name);
	unsigned d;

	if (lt == 0 || lt > MAX_NAME || ln > MAX_NAME)
		return;
	/* The start of a name is as good as one slip. */
	if (lt >= 2 && strncmp(n->typed, name, lt) == 0)
		d = lt != ln;
	else
		d = edit_distance(n->typed, lt, name, ln);
	if (d >= n->distance || d >= MPN_MAX(lt, ln))
		return;
	n->distance = d;
	n->best = name;
}
