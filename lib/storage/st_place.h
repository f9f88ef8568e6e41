/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Reads whose data is received where it belongs, on links with a data queue. The pages of a read are
 * posted before its command leaves; the queue is first in, first out, so that the N-th frame finds the
 * N-th page, the right one as long as the target answers in order. Everything else costs a copy:
 *
 *   a frame in      whose own page is    becomes
 *   its own page                         in place
 *   another page    out of the ring      copied
 *   another page    in the ring          bounced: kept here, copied when the page has come out
 *
 * A page in the ring can be written to by any frame. It belongs to the library until it has come out,
 * whatever became of its request, which is not completed before.
 */

#ifndef ST_PLACE_H
#define ST_PLACE_H

#include "st_nic.h"

struct st_cmd;

/* What became of the fragments of reads that had pages posted: {name, text}. */
#define ST_PLACE_LIST(X) \
	X(reads, "commands whose data was asked for on the data queue") \
	X(in_place, "fragments received where they belong") \
	X(copied, "fragments received elsewhere, their own page out of the ring or not in it") \
	X(bounced, "fragments received elsewhere, their own page in the ring") \
	X(astray, "fragments received on another queue: the next reads are copied") \
	X(waits, "times a read waited for room in the ring") \
	X(pauses, "times so little was in place that reads were copied for a while") \
	X(probes, "frames asked for to bring pages out of the ring") \
	X(recalls, "times the port was taken out to bring pages home")

struct st_place_stats {
#define X(name, text) uint64_t name;
	ST_PLACE_LIST(X)
#undef X
};

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

const struct st_place_stats *st_place_stats(const struct st_nic *n);
void st_place_print(const struct st_nic *n, struct mpn_out *o);

#endif
