/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What people type: results are within their bounds, and written on success only. */

#include <string.h>

#include "fuzz.h"
#include "mpn_parse.h"

#define UNTOUCHED 0x5a5a5a5a5a5a5a5aull
#define MIN 3
#define MAX 100000000000000ull

static void
check_number(int rc, uint64_t v)
{
	MUST(rc == 0 || rc == -EINVAL || rc == -ERANGE);
	MUST(rc == 0 ? v >= MIN && v <= MAX : v == UNTOUCHED);
}

static void
check_numbers(const char *s)
{
	static int (*const parsers[])(const char *, uint64_t, uint64_t, uint64_t *) = {
		mpn_parse_u64, mpn_parse_size, mpn_parse_time_ns};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(parsers); i++) {
		uint64_t v = UNTOUCHED;
		char text[16];
		int rc = parsers[i](s, MIN, MAX, &v);

		check_number(rc, v);
		MUST(strlen(mpn_format_size(text, sizeof(text), v)) < sizeof(text));
	}
}

/* Every item is no longer than what it was made of, and the walk ends. */
static void
check_lists(const char *s)
{
	char key[8], value[16];
	const char *cursor = s;
	size_t rounds;
	int rc;

	for (rounds = 0; (rc = mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value))) == 1;
		rounds++) {
		MUST(cursor > s && cursor <= s + strlen(s));
		MUST(rounds <= strlen(s));
		MUST(memchr(key, 0, sizeof(key)) != NULL);
		MUST(memchr(value, 0, sizeof(value)) != NULL);
	}
	MUST(rc == -ENAMETOOLONG || (rc == 0 && *cursor == '\0'));
	for (cursor = s; mpn_parse_item(&cursor, value, sizeof(value)) == 1;)
		MUST(strlen(value) < sizeof(value));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mpn_nearest near;
	char s[256];
	uint8_t mac[6];
	bool b;

	if (size >= sizeof(s))
		return 0;
	memcpy(s, data, size);
	s[size] = '\0';
	check_numbers(s);
	check_lists(s);
	(void)!mpn_parse_bool(s, &b);
	(void)!mpn_parse_mac(s, mac);
	mpn_nearest_begin(&near, s);
	mpn_nearest_try(&near, "max-sessions");
	mpn_nearest_try(&near, "link");
	return 0;
}
