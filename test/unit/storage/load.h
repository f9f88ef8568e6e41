/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Reads of one size over and over, into memory that is watched. */

#ifndef LOAD_H
#define LOAD_H

#include "bed.h"
#include "ini.h"
#include "nic_internal.h"
#include "st_device.h"
#include "st_place.h"

#define KIB 1024u
#define PAIRS 32
#define BUFFERS 96

/*
 * Reads of one size. A buffer has fences around it; when it has been given back the test writes to it,
 * and it rests until all others have had their turn: nobody else may have written to it by then.
 */
struct load {
	struct bed *b;
	uint32_t bs;
	unsigned left; /* reads to be started */
	unsigned done;
	unsigned failed;
	unsigned resting[BUFFERS];
	unsigned first, nb;
	uint8_t *mem;
	struct st_request reqs[BUFFERS];
	struct st_buffer bufs[BUFFERS];
};

/* A NIC with a data queue of so many pairs and its server. */
struct bed *load_make_bed(unsigned pairs, uint16_t mtu);
/* Start count reads of bs bytes, depth at a time. */
void load_begin(struct load *l, struct bed *b, uint32_t bs, unsigned depth, unsigned count);
void load_start_read(struct load *l);
/* Another round over the same memory, to its end. */
void load_run(struct load *l, unsigned depth, unsigned count);
/* Have so many reads open in the back end. */
void load_hold(struct load *l, unsigned nb);
/* Nothing of the memory has been written to since it was given back, nor around it. */
void load_end(struct load *l);

const struct xfer_place_stats *load_stats(struct bed *b);
unsigned load_in_ring(struct bed *b);
/* Pages of requests in the ring, or on their way back. */
unsigned load_posted(struct bed *b);
/* Run; per cent of the bytes that were received in place. */
unsigned load_share_in_place(struct load *l, unsigned depth, unsigned count);
/* Whatever it was, it passes. */
void load_assert_in_place_again(struct load *l, unsigned depth);

#endif
