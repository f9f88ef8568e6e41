/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Reads in place (see xfer_place.h) of a NIC: the ring is that of nic_post.h, pages are memory of
 * arenas, and any device of the NIC brings them out.
 */

#ifndef ST_PLACE_H
#define ST_PLACE_H

#include "st_nic.h"

struct xfer_place_stats;

/* Of a NIC whose link has a data queue: sets n->place. 0, -ENOMEM, or why data cannot be steered there */
int st_place_init(struct st_nic *n) MPN_MUST_CHECK;
/* No device has a request any more. NULL is allowed. */
void st_place_fini(struct st_nic *n);

/* Callbacks of the engine: may a command start, where does its data go? */
bool st_place_admit(void *ctx, struct xfer_cmd *xfer);
void
st_place_data(void *ctx, struct xfer_cmd *xfer, uint32_t off, const void *payload, uint32_t len);
/* The session was lost: the commands of the device start again in the next one. */
void st_place_lost(struct net_st_device *dev);
/* The device goes. */
void st_place_forget(struct net_st_device *dev);

/* After receiving: complete what has its pages, see to it that the rest gets them. */
void st_place_poll(struct st_nic *n, uint64_t now_ns);
/* Every page comes home now, and what waited for one is completed. */
void st_place_recall(struct st_nic *n);
/* Bytes a read command of the device had better not exceed, so that several have room in the ring. */
uint32_t st_place_quantum(const struct net_st_device *dev);

const struct xfer_place_stats *st_place_stats(const struct st_nic *n);
/* Fragments whose address was not the caller's: their reads failed. In builds with assertions. */
uint64_t st_place_misplaced(const struct st_nic *n);
void st_place_print(const struct st_nic *n, struct mpn_out *o);

#endif
