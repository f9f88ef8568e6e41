/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the tests of lib/base share: cmocka's includes and a catcher for what is written to stderr. */

#ifndef TEST_UTIL_H
#define TEST_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct catcher {
	FILE *old;
	char *text;
	size_t len;
};

static inline void
catch_stderr(struct catcher *c)
{
	memset(c, 0, sizeof(*c));
	c->old = stderr;
	stderr = open_memstream(&c->text, &c->len);
	assert_non_null(stderr);
}

/* Back to the terminal; c->text holds what was written, to be freed by the caller. */
static inline void
release_stderr(struct catcher *c)
{
	fclose(stderr);
	stderr = c->old;
}

#endif
