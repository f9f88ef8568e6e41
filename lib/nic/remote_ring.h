/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The memory that a NIC shares with the process of a personality: a page of positions, and two rings of cells,
 * one for each direction, with one producer and one consumer. A frame is copied into its cell and out of it, so
 * neither process ever holds anything of the other's: whatever one of them does, or does no more, the other
 * has lost frames at worst. All that the other one has written is checked before it is used, and read once.
 *
 *	| positions of both | cell | cell | ... towards the process | cell | cell | ... towards the NIC |
 */

#ifndef REMOTE_RING_H
#define REMOTE_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "mpn_err.h"

struct rte_mbuf;

#define REMOTE_MIN_CELLS 8
#define REMOTE_MAX_CELLS 65536

/* Who is who. */
enum remote_end { REMOTE_NIC, REMOTE_PROCESS };

/* What one end writes, and nobody else. Positions count frames and wrap around. */
struct remote_side {
	_Alignas(64) atomic_uint sent; /* frames it has put into its ring */
	atomic_uint taken; /* frames it has taken out of the other one */
	atomic_uint beats; /* rounds of its poll loop */
	atomic_uint up; /* there is a link, as the NIC knows it */
};

/* One direction, as one end sees it. */
struct remote_ring {
	uint8_t *cells;
	uint32_t nb_cells; /* a power of two */
	uint32_t cell_bytes;
	uint32_t room; /* bytes of the longest frame */
	uint32_t pos; /* of the next frame: what this end has done, whatever the memory says */
	atomic_uint *mine;
	const atomic_uint *theirs;
};

struct remote_map {
	void *base; /* NULL: none */
	size_t bytes;
	int fd; /* of the memory; -1: not kept */
	struct remote_side *mine;
	struct remote_side *theirs;
	struct remote_ring in;
	struct remote_ring out;
};

/* Make the memory, for frames of up to room bytes, as the NIC's end. It cannot be made smaller. 0 or -errno */
int remote_map_make(struct remote_map *m, uint32_t nb_cells, uint32_t room) MPN_MUST_CHECK;
/* Use what the NIC has made; fd is the map's afterwards. 0; -EPROTO: it is not what was agreed on; -errno */
int remote_map_take(struct remote_map *m, int fd, uint32_t nb_cells, uint32_t room) MPN_MUST_CHECK;
void remote_map_drop(struct remote_map *m);

/* Frames the ring has room for; frames that wait in it. -EPROTO: the positions make no sense */
int remote_ring_room(const struct remote_ring *r);
int remote_ring_waiting(const struct remote_ring *r);
/* Copy a frame of at most room bytes into the next cell. There is room. */
void remote_ring_put(struct remote_ring *r, const struct rte_mbuf *m);
/* Copy the next frame into an empty mbuf that has the room. One waits. 0; -EPROTO: its length makes no sense */
int remote_ring_get(struct remote_ring *r, struct rte_mbuf *m) MPN_MUST_CHECK;
/* Forget what waits. */
void remote_ring_skip(struct remote_ring *r);
/* Let the other end see what was put, or taken. */
void remote_ring_publish(struct remote_ring *r);

#endif
