/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * What a running server can be told: the same commands in a configuration file, one a line, and over a
 * socket, one a connection. Nothing here blocks the server's loop.
 */

#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <stdio.h>

#include "ebd_server.h"
#include "endpoint.h"
#include "mpn_out.h"

#define CONTROL_LINE ENDPOINT_QUESTION /* bytes of a command with its end */

/** What commands change. */
struct control {
	struct ebd_server *server;
	bool stop; /**< "stop" was asked for */
	char reason[256]; /**< why a command was refused */
};

/**
 * Run one command line. Blank lines and those that start with '#' do nothing.
 * @param reason  receives one line when it fails
 * @param o  an open object that receives the result
 * @return 0 or -errno
 */
int control_run(struct control *c, const char *line, char *reason, size_t size, struct mpn_out *o);
/** Print the commands, one a line. */
void control_help(FILE *f);
/** Run all lines of a file. Gives -errno after it has printed FILE:LINE: and the reason on stderr. */
int control_run_file(struct control *c, const char *prog, const char *path);

/** An endpoint_answer() for commands; ctx is a struct control. */
void control_answer(void *ctx, const char *text, FILE *out);
/** An endpoint_answer() for HTTP: counters as OpenMetrics; ctx is a struct ebd_server. */
void metrics_answer(void *ctx, const char *text, FILE *out);

/** Tell systemd, if it asked for it: "READY=1". */
void notify_systemd(const char *state);

#endif
