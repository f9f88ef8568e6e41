/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Requests of virtio-blk (virtio 1.2, 5.2.6): what a chain of descriptors asks for, whether it may, and
 * how it is cut into requests to the volume. A header is found by its length, not by descriptors:
 * guests merge and split them as they like.
 */

#ifndef BLK_H
#define BLK_H

#include <stdbool.h>

#include <linux/virtio_blk.h>

#include "ebd.h"
#include "split_ring.h"

#define BLK_SECTOR 512u
#define BLK_RANGES 16 /**< ranges in one discard or write-zeroes request */
#define BLK_PART_MAX (1u << 20) /**< bytes of one request to the volume */

/** What a request is checked against. */
struct blk_volume {
	struct ebd_info info;
	bool write_back; /**< the guest flushes; else what is answered must be durable */
	char serial[VIRTIO_BLK_ID_BYTES]; /**< for GET_ID; not terminated */
};

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_ZERO };

/** Bytes of the volume. */
struct blk_range {
	uint64_t off;
	uint64_t len;
	unsigned flags; /**< enum ebd_flag */
};

/** A request that was found to be in order. */
struct blk_request {
	enum blk_op op;
	uint8_t *status; /**< in the guest's memory */
	uint32_t written; /**< for the used ring */
	bool flush_after; /**< when all parts are done a flush has to follow */
	unsigned nb_ranges; /**< of ranges; reads and writes have one */
	struct blk_range ranges[BLK_RANGES];
	struct iovec *iov; /**< data of reads and writes, in the chain's iov */
	unsigned nb_iov;
	/* How far blk_cut() has come. */
	unsigned range;
	unsigned piece;
	uint64_t piece_off;
};

/** One request to the volume. */
struct blk_part {
	uint64_t off;
	uint64_t len;
	unsigned flags; /**< enum ebd_flag */
	int iovcnt;
	struct iovec iov[EBD_IOV_MAX];
};

/**
 * Understand a chain; its pieces are cut to the data.
 * @param status  what split_walk() said
 * @return -1: carry it out; a VIRTIO_BLK_S_ status: answer it with that; -EPROTO: it has no room for a
 *   status, it can only be given back
 */
int blk_parse(struct chain *c, int status, const struct blk_volume *v,
	struct blk_request *r) MPN_MUST_CHECK;

/**
 * The next part of a request.
 * @return 1, 0: that was all, -EINVAL: a block lies in more pieces than a request to the volume may have
 */
int blk_cut(struct blk_request *r, uint32_t block_size, struct blk_part *part) MPN_MUST_CHECK;

/** What the guest is told for 0 or -errno of the volume. */
uint8_t blk_status(int status);

/** The virtio and vhost-user features a device on this volume offers, less those of vhost-user itself. */
uint64_t blk_features(const struct ebd_info *info);
/** Fill the configuration space. */
void blk_config(
	struct virtio_blk_config *config, const struct ebd_info *info, uint16_t queues, bool wce);

#endif
