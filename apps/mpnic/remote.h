/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Commands over a UNIX socket. A question is a line; its answer is "ok N" or "error N" on a line, and N
 * bytes: what the command printed, or why it was refused. A connection may ask many times.
 */

#ifndef REMOTE_H
#define REMOTE_H

#include "endpoint.h"
#include "shell.h"

/** Take commands at path. @return NULL with errno */
struct endpoint *remote_open(struct shell *sh, const char *path);

/**
 * Run lines in the program that listens at path, or, without any, those that are typed.
 * @return the exit status
 */
int remote_use(const struct shell_section *const *sections, const char *path,
	const char *const *lines, unsigned nb_lines);

#endif
