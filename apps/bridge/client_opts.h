/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * What a user says to a bridge about the volume it opens: "link=virtio:ebd0.sock", "volume=disk0", ...
 * The same names mean the same in every bridge.
 */

#ifndef CLIENT_OPTS_H
#define CLIENT_OPTS_H

#include "ebd.h"
#include "mpn_opt.h"

/** The options, parsed. Strings stay the caller's. */
struct client_opts {
	struct ebd_client_conf client;
	struct ebd_queue_conf queue;
};

/** One row per option; their set() takes a struct client_opts. */
extern const struct mpn_opt client_opts_table[];
extern const size_t client_opts_count;

/** The row of an option, or NULL. */
const struct mpn_opt *client_opts_find(const char *name);

/** 0, or -EINVAL when link or volume is missing; error receives the sentence. */
int client_opts_check(const struct client_opts *o, char *error, size_t size) MPN_MUST_CHECK;

#endif
