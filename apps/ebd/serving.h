/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Bringing up a server: for `ebd serve`, and for the server that lives inside a client's process on
 * links whose two ends cannot be in two processes.
 */

#ifndef SERVING_H
#define SERVING_H

#include "ebd_server.h"
#include "tool.h"

/** Fill in what conf says about the process. */
void serving_conf_init(struct ebd_server_conf *sc, const struct tool_conf *conf);

/**
 * Create a server, serve on all links, export conf->volumes.
 * @param status  receives the exit status after an error line
 * @return NULL on failure
 */
struct ebd_server *serving_start(const struct tool_conf *conf, const struct ebd_server_conf *sc,
	const char *const *links, unsigned nb_links, int *status);

#endif
