/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdio.h>
#include <string.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "volume.h"
#include "volume_kinds.h"
#include "volume_private.h"

#define MAX_KINDS 32

/* A table and not constructors: a static link keeps what is named, and drops what is not. */
static const struct vol_ops *kinds[MAX_KINDS + 1] = {
	&vol_null_ops,
	&vol_mem_ops,
#ifdef MPN_HAVE_URING
	&vol_file_ops,
#endif
#ifdef MPN_HAVE_LIBNBD
	&vol_nbd_ops,
#endif
#ifdef MPN_HAVE_RBD
	&vol_rbd_ops,
#endif
	&vol_readonly_ops,
	&vol_cow_ops,
	&vol_partition_ops,
	&vol_slice_ops,
	&vol_error_ops,
	&vol_delay_ops,
};

/* Kinds that this build has not, and what they need. */
static const struct {
	const char *name;
	const char *library;
} absent[] = {
#ifndef MPN_HAVE_URING
	{"file", "liburing"},
#endif
#ifndef MPN_HAVE_LIBNBD
	{"nbd", "libnbd"},
#endif
#ifndef MPN_HAVE_RBD
	{"rbd", "librbd"},
#endif
	{NULL, NULL},
};

const struct vol_ops *
vol_kind(unsigned n)
{
	return n < MAX_KINDS ? kinds[n] : NULL;
}

int
vol_register(const struct vol_ops *ops)
{
	unsigned n;

	if (ops->name[0] == '\0' || strpbrk(ops->name, ":=,") != NULL)
		return mpn_err(EINVAL);
	for (n = 0; kinds[n] != NULL; n++) {
		if (strcmp(kinds[n]->name, ops->name) == 0)
			return mpn_err(EEXIST);
	}
	if (n == MAX_KINDS)
		return mpn_err(ENOSPC);
	kinds[n] = ops;
	return 0;
}

static const struct vol_ops *
refuse_kind(const char *spec, const char *name)
{
	struct mpn_nearest near;
	char list[256] = "";
	unsigned n;

	for (n = 0; absent[n].name != NULL; n++) {
		if (strcmp(name, absent[n].name) != 0)
			continue;
		(void)mpn_log_err(
			EINVAL, "volume", "'%s': built without %s", spec, absent[n].library);
		return NULL;
	}
	mpn_nearest_begin(&near, name);
	for (n = 0; kinds[n] != NULL; n++) {
		size_t used = strlen(list);

		mpn_nearest_try(&near, kinds[n]->name);
		(void)snprintf(list + used, sizeof(list) - used, "%s%s", n > 0 ? ", " : "",
			kinds[n]->name);
	}
	if (near.best != NULL)
		(void)mpn_log_err(EINVAL, "volume", "'%s': no such kind '%s', did you mean %s?",
			spec, name, near.best);
	else
		(void)mpn_log_err(EINVAL, "volume", "'%s': no such kind '%s', expected one of %s",
			spec, name, list);
	return NULL;
}

const struct vol_ops *
vol_find_kind(const char *spec, const char **args)
{
	size_t len = strcspn(spec, ":");
	char name[64];
	unsigned n;

	for (n = 0; kinds[n] != NULL; n++) {
		if (strlen(kinds[n]->name) != len || memcmp(kinds[n]->name, spec, len) != 0)
			continue;
		*args = spec[len] == ':' ? spec + len + 1 : spec + len;
		return kinds[n];
	}
	(void)snprintf(name, sizeof(name), "%.*s", (int)MPN_MIN(len, sizeof(name)), spec);
	return refuse_kind(spec, name);
}

const char *
vol_split_filter(const struct volume *v, const char *spec, char *args, size_t size)
{
	size_t len = strcspn(spec, ":");

	args[0] = '\0';
	if (memchr(spec, '=', len) != NULL) {
		if (len >= size) {
			(void)mpn_log_err(EINVAL, "volume", "%s: arguments longer than %zu bytes",
				v->ops->name, size - 1);
			return NULL;
		}
		memcpy(args, spec, len);
		args[len] = '\0';
		spec += len + (spec[len] == ':');
	}
	if (spec[0] != '\0')
		return spec;
	(void)mpn_log_err(EINVAL, "volume", "'%s': no volume below the filter, expected %s",
		v->spec, v->ops->synopsis);
	return NULL;
}

int
vol_bad_arg(const struct volume *v, const char *key, const char *value, const char *expect)
{
	return mpn_log_err(EINVAL, "volume", "%s: %s%s'%s': expected %s", v->ops->name, key,
		key[0] != '\0' ? ": " : "", value, expect);
}
