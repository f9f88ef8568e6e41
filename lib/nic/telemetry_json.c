/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <rte_telemetry.h>

#include "mpn_parse.h"
#include "telemetry_json.h"

#define ROOM 12000 /* bytes of elements in an answer: there is more around them */
#define PAGED_DEPTH 2 /* arrays in deeper objects are whole */

struct reader {
	const char *at;
	unsigned first;
	size_t room;
};

static void
skip_blanks(struct reader *r)
{
	r->at += strspn(r->at, " \t\n,:");
}

/* The string at the reader, as much of it as there is room for; escapes of control characters: '?'. */
static void
read_string(struct reader *r, char buf[RTE_TEL_MAX_STRING_LEN])
{
	size_t n = 0;
	char c;

	r->at++;
	while (*r->at != '"' && *r->at != '\0') {
		c = *r->at++;
		if (c == '\\' && *r->at != '\0') {
			c = *r->at++;
			if (c == 'u')
				r->at += strnlen(r->at, 4);
			if (strchr("\"\\/", c) == NULL)
				c = '?';
		}
		if (n < RTE_TEL_MAX_STRING_LEN - 1)
			buf[n++] = c;
	}
	buf[n] = '\0';
	if (*r->at != '\0')
		r->at++;
}

static void
skip_value(struct reader *r)
{
	char text[RTE_TEL_MAX_STRING_LEN];
	unsigned depth = 0;

	do {
		skip_blanks(r);
		if (*r->at == '"') {
			read_string(r, text);
		} else if (strchr("{[", *r->at) != NULL && *r->at != '\0') {
			depth++;
			r->at++;
		} else if (strchr("}]", *r->at) != NULL && *r->at != '\0') {
			depth--;
			r->at++;
		} else {
			r->at += strcspn(r->at, ",:]}\n ");
		}
	} while (depth > 0 && *r->at != '\0');
}

static void
add_scalar(struct reader *r, struct rte_tel_data *d, const char *key)
{
	char text[RTE_TEL_MAX_STRING_LEN];
	size_t n = strcspn(r->at, ",]}\n ");
	uint64_t u;

	(void)snprintf(text, sizeof(text), "%.*s", (int)n, r->at);
	r->at += n;
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		(void)rte_tel_data_add_dict_u64(d, key, text[0] == 't');
	else if (mpn_parse_u64(text, 0, UINT64_MAX, &u) == 0)
		(void)rte_tel_data_add_dict_u64(d, key, u);
	else
		(void)rte_tel_data_add_dict_string(d, key, text);
}

static int fill(struct reader *r, struct rte_tel_data *d, unsigned depth);

static int
add_value(struct reader *r, struct rte_tel_data *d, const char *key, unsigned depth)
{
	char text[RTE_TEL_MAX_STRING_LEN];
	struct rte_tel_data *child;
	int rc;

	if (*r->at == '"') {
		read_string(r, text);
		(void)rte_tel_data_add_dict_string(d, key, text);
		return 0;
	}
	if (*r->at != '{' && *r->at != '[') {
		add_scalar(r, d, key);
		return 0;
	}
	child = rte_tel_data_alloc();
	if (child == NULL)
		return -ENOMEM;
	rte_tel_data_start_dict(child);
	rc = fill(r, child, depth + 1);
	/* A container that was added goes with its parent. */
	if (rte_tel_data_add_dict_container(d, key, child, 0) != 0)
		rte_tel_data_free(child);
	return rc;
}

/* An element of an array. @return whether it is in this answer */
static bool
is_wanted(struct reader *r, struct rte_tel_data *d, unsigned i, unsigned depth, bool *full)
{
	struct reader end = *r;
	size_t len;

	if (depth > PAGED_DEPTH)
		return true;
	if (i < r->first || *full)
		return false;
	skip_value(&end);
	len = (size_t)(end.at - r->at);
	if (len > r->room && i > r->first) {
		(void)rte_tel_data_add_dict_u64(d, "next", i);
		*full = true;
		return false;
	}
	r->room -= MPN_MIN(r->room, len);
	return true;
}

/* What is in an object or an array. */
static int
fill(struct reader *r, struct rte_tel_data *d, unsigned depth)
{
	char key[RTE_TEL_MAX_STRING_LEN];
	bool array = *r->at == '[', full = false;
	unsigned i;
	int rc = 0;

	r->at++;
	for (i = 0; rc == 0; i++) {
		skip_blanks(r);
		if (*r->at == '}' || *r->at == ']' || *r->at == '\0')
			break;
		if (array) {
			(void)snprintf(key, sizeof(key), "%u", i);
			if (!is_wanted(r, d, i, depth, &full)) {
				skip_value(r);
				continue;
			}
		} else {
			read_string(r, key);
			skip_blanks(r);
		}
		rc = add_value(r, d, key, depth);
	}
	if (*r->at != '\0')
		r->at++;
	return rc;
}

int
telemetry_from_json(struct rte_tel_data *d, const char *json, unsigned first)
{
	struct reader r = {.at = json, .first = first, .room = ROOM};

	rte_tel_data_start_dict(d);
	skip_blanks(&r);
	return *r.at == '{' ? fill(&r, d, 0) : -EINVAL;
}
