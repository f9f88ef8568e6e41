/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The disk behind the target: what a reader sees now, what would survive a power cut, and the
 * requests under way. A sector's value is the number of the write that made it.
 */

#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "rng.h"
#include "xfer.h"

#define SIM_MAX_SECTORS 4096
#define SIM_MAX_DREQ 1024
#define SIM_ZERO 0 /**< value of a sector that reads as zeroes */

struct world;

/** A request under way. */
struct sim_dreq {
	struct xfer_io *io;
	uint32_t incarnation; /**< of the target that asked */
	uint32_t sector;
	uint32_t n;
	uint32_t op; /**< the oracle's number of the write; 0 for others */
	uint32_t flush_upto; /**< FLUSH: changes before this one become durable */
	uint64_t started; /**< the oracle's stamp */
	int status;
	uint8_t kind; /**< enum wire_cmd_op */
	bool busy;
	bool fua;
	bool early; /**< takes effect when it starts, else when it ends */
};

/** A sector changed and not flushed since. */
struct sim_change {
	uint32_t sector;
	uint32_t value;
};

struct sim_disk {
	struct rng rng;
	uint32_t now[SIM_MAX_SECTORS];
	uint32_t durable[SIM_MAX_SECTORS];
	uint32_t durable_at[SIM_MAX_SECTORS]; /**< changes before this one cannot replace it */
	struct sim_change *changes; /**< number changes_base is the first one */
	uint32_t changes_base;
	uint32_t nb_changes;
	uint32_t changes_cap;
	struct sim_dreq req[SIM_MAX_DREQ];
	uint16_t free[SIM_MAX_DREQ];
	uint32_t nb_free;
};

void disk_reset(struct world *w);
void disk_free(struct sim_disk *d);
/** The target's io_start. */
void disk_start(struct world *w, struct xfer_io *io);
/** The target was killed: each request under way takes effect now, or never will. */
void disk_kill(struct world *w);
/** The power fails: of what was not flushed, each sector survives or not. disk_kill() comes first. */
void disk_power_cut(struct world *w);
uint32_t disk_in_flight(const struct sim_disk *d);

#endif
