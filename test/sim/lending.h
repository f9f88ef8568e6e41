/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Reads that are lent: lib/xfer decides which frames are kept (xfer_loan.h), users hold them for a while,
 * and a quota bounds how many a node can spare.
 */

#ifndef SIM_LENDING_H
#define SIM_LENDING_H

#include "xfer_loan.h"

#define SIM_LOANS 512 /**< that the users of an initiator hold at a time */

struct sim_frame;
struct sim_ini;
struct sim_cmd;

/** What a user holds. */
struct sim_loan {
	void *frames[WIRE_EBD_MAX_FRAGS];
	uint32_t nb; /**< frames, 0: free */
	uint32_t reserved;
	uint32_t op; /**< the oracle's number */
	uint64_t seal;
};

struct sim_lender {
	uint32_t quota; /**< frames */
	uint32_t reserved;
	uint32_t kept; /**< at most what is reserved */
	struct sim_loan loan[SIM_LOANS];
};

/** Sums over all initiators. */
struct sim_lending {
	uint64_t loans; /**< held */
	uint64_t frames; /**< of these */
	uint64_t refused; /**< the quota was used up: the data was copied */
	uint64_t copied; /**< parts of fragments copied to frames of a node's own */
	uint64_t failed; /**< no frame was left for these */
};

void lending_start(struct sim_ini *ini);
/** Frames are reserved for a read that is about to be submitted, if there are any. */
void lending_prepare(struct sim_cmd *c);
void lending_cancel(struct sim_cmd *c);
void lending_place(struct sim_cmd *c, uint32_t off, const void *payload, uint32_t len);
/** The read has ended: its data for the judge, and the frames for its user. @return how it ended */
int lending_end(struct sim_cmd *c, int status);
/** The node is killed. */
void lending_died(struct sim_ini *ini);
/** Nothing may be left. */
void lending_check(struct sim_ini *ini);

#endif
