/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * What `ebd copy` is told, and the two ends of a copy by their names:
 *
 *	ebd:VOLUME           a volume, on the link
 *	nbd:URI, nbd://...   an export of an NBD server: a volume of a server in this process, on a ring
 *	anything else        a file or a block device
 */

#ifndef COPY_ENDS_H
#define COPY_ENDS_H

#include "copy.h"
#include "tool.h"

struct copy_conf {
	struct tool_conf tool;
	uint32_t depth;
	uint32_t queues; /**< to each volume */
	uint32_t request_size;
	const char *resume; /**< path, or NULL */
	bool sparse;
	bool verify;
	bool flush;
	bool progress;
	bool no_progress;
};

/** What the ends live on. */
struct copy_tools {
	struct tool link; /**< for ebd: ends */
	struct tool side; /**< for nbd: ends */
	bool has_link;
	bool has_side;
	struct tool_conf side_conf;
	char ring[32];
	char volumes[2][4096 + 32]; /**< of the server in this process: "source=nbd:..." */
};

/** Bring up what the names need. @return TOOL_GO_ON, or the exit status after an error line */
int
copy_tools_open(struct copy_tools *ts, const struct copy_conf *conf, const char *const names[2]);
void copy_tools_close(struct copy_tools *ts);
/** The one that runs the pipe, and what it has to run beside, or NULL. */
struct tool *copy_tools_main(struct copy_tools *ts, struct tool **side);

/**
 * Open both ends; nothing is written before it is known that everything fits.
 * @param old  the destination is one that an earlier copy has begun
 * @return TOOL_GO_ON, or the exit status after an error line
 */
int copy_ends_open_src(struct copy_tools *ts, const struct copy_conf *conf, const char *name,
	struct copy_end *src);
int copy_ends_open_dst(struct copy_tools *ts, const struct copy_conf *conf, const char *name,
	const struct copy_end *src, bool old, struct copy_end *dst);
/** What the names alone say. */
int copy_ends_check(const struct copy_conf *conf, const char *const names[2]);

#endif
