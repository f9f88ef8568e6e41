/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The device's end of a split virtqueue (virtio 1.2, 2.7). No sockets, no library: a ring is three
 * pointers, so that tests can be the guest. Everything the guest has written is hostile: each field is
 * read once, every index and address is checked, every walk is bounded.
 */

#ifndef SPLIT_RING_H
#define SPLIT_RING_H

#include <stdbool.h>

#include <linux/virtio_ring.h>

#include "guest.h"

#define SPLIT_RING_MAX 32768
#define CHAIN_SEGMENTS 126 /**< pieces of data in a request, as the guest is told */
/** Header and status, data, and pieces that lie in two regions. */
#define CHAIN_PIECES (CHAIN_SEGMENTS + 2 + 16)
#define CHAIN_TABLE_MAX 1024 /**< descriptors in an indirect table */

/** One ring. */
struct split_ring {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t size; /**< a power of 2 */
	bool event_idx; /**< VIRTIO_RING_F_EVENT_IDX was negotiated */
	bool indirect; /**< VIRTIO_RING_F_INDIRECT_DESC was negotiated */
	uint16_t next_avail; /**< the next entry to take */
	uint16_t next_used; /**< the next entry to fill */
	uint16_t called; /**< next_used when the guest was interrupted last */
	bool called_valid; /**< called means something */
};

/** A request: what the device reads, then what it writes. */
struct chain {
	uint16_t head;
	unsigned nb_out; /**< pieces the device reads */
	unsigned nb_in; /**< pieces the device writes, behind them */
	uint64_t out_len;
	uint64_t in_len;
	struct iovec iov[CHAIN_PIECES];
};

/**
 * Begin with what a ring looks like.
 * @return 0, or -EINVAL when size or alignment are not those of a ring
 */
int split_init(struct split_ring *r, void *desc, void *avail, void *used, uint32_t size,
	uint16_t next_avail, uint16_t next_used) MPN_MUST_CHECK;

/**
 * Take the next request the guest has made available.
 * @return 1 with its head, 0: there is none, -EPROTO: the guest's index is impossible, -ERANGE: the
 *   head is no descriptor (the entry has been taken)
 */
int split_take(struct split_ring *r, uint16_t *head) MPN_MUST_CHECK;

/**
 * Follow the descriptors from head.
 * @return 0; -EFAULT (an address that is not there), -ELOOP (it does not end), -EPROTO (a table in a
 *   table or of a wrong size, something to read behind something to write), -ERANGE (an index that is
 *   no descriptor), -E2BIG (more pieces or bytes than a request may have)
 */
int split_walk(const struct split_ring *r, const struct guest_memory *mem, uint16_t head,
	struct chain *c) MPN_MUST_CHECK;

/** Give a request back; written is how many bytes the device has put into it. */
void split_give(struct split_ring *r, uint16_t head, uint32_t written);

/** Does the guest want to be interrupted for what was given back since the last time it was asked? */
bool split_wants_call(struct split_ring *r) MPN_MUST_CHECK;

/** The guest need not tell about new requests: somebody looks. */
void split_stop_kicks(struct split_ring *r);
/** The guest is to tell. @return something has come in already, nobody will tell */
bool split_want_kicks(struct split_ring *r);

#endif
