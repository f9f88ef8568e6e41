/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Received frames that are kept instead of copied: loans to the caller, writes of a target. How many frames of a NIC may
 * be kept is bounded, because its receive ring lives on the same pool.
 */

#ifndef ST_LOAN_H
#define ST_LOAN_H

#include <rte_mbuf.h>

#include "dev_st.h"

struct st_nic;
struct st_cmd;

/* What a NIC can spare. Lives until the last frame is back, longer than the NIC if need be. */
struct st_budget {
	uint32_t max; /* frames */
	uint32_t out; /* frames that are kept, or reserved for a request that is under way */
	bool orphan; /* the NIC is gone */
};

struct st_budget *st_budget_create(uint32_t max);
/* Take nb frames, give them back. False: too many are out. */
bool st_budget_take(struct st_budget *b, uint32_t nb);
void st_budget_give(struct st_budget *b, uint32_t nb);
/* The NIC goes. NULL is allowed. */
void st_budget_leave(struct st_budget *b);

/*
 * Take the payload of the frame that is being received out of it: an mbuf whose data is the payload.
 * NULL: it cannot be kept (it was put in one piece, somebody else refers to it, or it is memory that
 * its owner may change).
 */
struct rte_mbuf *st_rx_keep(struct st_nic *n, const void *payload);

/* Reserve the frames of a loan. -ENOBUFS: too many are out. */
int st_loan_reserve(struct net_st_device *dev, struct st_request *req);
/* Payload for a loan: st_cmd_place() for it. */
void st_loan_place(struct st_cmd *cmd, uint32_t off, const void *payload, uint32_t len);
/* The command of a loan has ended: what was kept becomes the request's, or goes back. */
int st_loan_finish(struct st_cmd *cmd, struct st_request *req, int status);

#endif
