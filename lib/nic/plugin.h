/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Kinds of personalities that come as shared objects. They may be used by NICs of several threads. */

#ifndef PLUGIN_H
#define PLUGIN_H

#include "mpn_personality.h"

/*
 * The kind in the shared object at path (with a '/' in it), opened by the first who asks. NULL with errno
 * after a line that says why: ENOENT, ENOEXEC (no shared object, no personality, another ABI, it crashes),
 * EINVAL (a function is missing), ENOMEM.
 */
const struct mpn_personality_ops *plugin_get(const char *path);
/* Is it one of a shared object? */
bool plugin_has(const struct mpn_personality_ops *ops);
/* Give it back; closed by the last who does. Kinds that are no plugins are ignored. */
void plugin_put(const struct mpn_personality_ops *ops);

#endif
