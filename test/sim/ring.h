/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The data queue of a node that receives in place, as nic_post.h has it on a virtio link. Its ring is
 * first in, first out: headers and pages in turn. A frame takes what comes next, as many pieces as it
 * needs, and is in them before anybody has looked at it:
 *
 *     | header | page of A | header | page of ours | header | page of B |
 *
 * The port fills its ring up, or not at all: with the pages that were posted, then with those of its own.
 */

#ifndef SIM_RING_H
#define SIM_RING_H

#include "xfer_place.h"

#define SIM_RING_PAIRS 64 /**< at most */
#define SIM_PIECES 40 /**< of a frame */

struct sim_frame;
struct sim_cmd;
struct world;

enum sim_piece_kind { SIM_HEADER, SIM_SPARE, SIM_POSTED };

struct sim_piece {
	enum sim_piece_kind kind;
	struct xfer_page *page; /**< posted ones */
	uint32_t op; /**< the oracle's number of the read it was posted for */
	uint32_t room;
	uint32_t len; /**< bytes of the frame in it */
};

struct sim_ring {
	uint32_t pairs;
	uint32_t spare_room; /**< bytes of a page of ours */
	bool running;
	struct sim_piece piece[2 * SIM_RING_PAIRS];
	uint32_t head;
	uint32_t nb; /**< pieces that no frame has taken */
	uint32_t nb_taken; /**< pieces in frames that have not been received */
	uint32_t nb_pages; /**< pages of all these */
	uint32_t want;
	struct xfer_page *wish[SIM_RING_PAIRS]; /**< posted, to go into the ring */
	uint32_t nb_wishes;
	/* What happened. */
	uint64_t resync; /**< refills of an odd number of pieces */
	uint64_t dropped; /**< frames that found no room */
};

/** Empty, and running. */
void ring_init(struct sim_ring *r, uint32_t pairs, uint32_t spare_room);
uint32_t ring_pairs(const struct sim_ring *r);
uint32_t ring_room(const struct sim_ring *r);
/** Behind the others. There is room. */
void ring_post(struct sim_ring *r, struct xfer_page *page);
/** The port fills it up, if there is reason to. */
void ring_fill(struct sim_ring *r);
/**
 * A frame arrives: it is written to where the ring says. Memory of a read that is over is nobody's to
 * write to. @return false: there is no room, it is lost
 */
bool ring_take(struct world *w, struct sim_ring *r, struct sim_frame *f);
/**
 * The port gives these to its NIC, linked by next. It fills its ring up as it does, before the NIC can
 * know that their pages are not in the ring any more.
 */
void ring_receive(struct sim_ring *r, const struct sim_frame *frames);
/** The port stops: what is in the ring comes out, home() is called for the pages posted. */
void ring_stop(struct sim_ring *r, void (*home)(void *ctx, struct xfer_page *page), void *ctx);

#endif
