/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Reads whose data stays in the frames it came in: which frames are kept for a command, and which data
 * must be copied to a frame of our own all the same. What a frame is, only the caller knows. Not installed.
 */

#ifndef XFER_LOAN_H
#define XFER_LOAN_H

#include "xfer.h"

/* The frames of a command. xfer_lent_init() before it is submitted. */
struct xfer_lent {
	uint64_t kept; /* fragments whose frames are kept */
	uint32_t tag; /* they came for */
	uint32_t room; /* fragments that frames are reserved for */
	bool started; /* one has come */
	bool failed; /* a fragment could not be kept */
	void **frames; /* the caller's, room for WIRE_EBD_MAX_FRAGS */
};

struct xfer_loan_ops {
	/* Take the frame that is being received: all its data is the payload. NULL: it cannot be kept */
	void *(*take)(void *ctx, const void *payload);
	/* A frame of our own for len bytes: old, if it is one, else another with what old has, if any. NULL: none left */
	void *(*own)(void *ctx, void *old, uint32_t len);
	/* Copy payload to a frame of our own. */
	void (*put)(void *ctx, void *frame, uint32_t at, const void *payload, uint32_t len);
	void (*free)(void *ctx, void *frame);
};

void xfer_lent_init(struct xfer_lent *lent, void **frames, uint32_t room);
/* place() of struct xfer_ini_conf for such a command, in a session with payload unit p. */
void xfer_loan_place(const struct xfer_loan_ops *ops, void *ctx, struct xfer_lent *lent,
	const struct xfer_cmd *cmd, uint32_t p, uint32_t off, const void *payload, uint32_t len);
/*
 * The command has ended. @return 0: frames[] has all data, in order; else the frames have been freed, and
 * this is how it ended, -ENOBUFS when data could not be kept
 */
int xfer_loan_end(const struct xfer_loan_ops *ops, void *ctx, struct xfer_lent *lent, int status);

#endif
