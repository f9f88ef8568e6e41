/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The memory of a guest, and addresses in it. A guest may write anything anywhere at any time: an
 * address is a claim to be checked, and what is read is read once, into memory of our own.
 */

#ifndef GUEST_H
#define GUEST_H

#include <stdint.h>
#include <sys/uio.h>

#include "mpn_err.h"

#define GUEST_REGIONS 8 /**< as many as vhost-user passes in one message */

/** One range of guest-physical addresses and where it is mapped here. */
struct guest_region {
	uint64_t gpa;
	uint64_t size;
	uint8_t *va;
};

/** All there is. Regions do not overlap. */
struct guest_memory {
	unsigned nb;
	struct guest_region regions[GUEST_REGIONS];
};

/** Pieces of guest memory in order, found by guest_map(). */
struct guest_pieces {
	struct iovec *iov;
	unsigned nb;
	unsigned max;
};

/**
 * Append [gpa, gpa + len) to the pieces; it may lie in several regions. What continues the piece before
 * becomes part of it.
 * @return 0, -EFAULT (some of it is not there), -E2BIG (more pieces than there is room for)
 */
int guest_map(const struct guest_memory *mem, uint64_t gpa, uint64_t len,
	struct guest_pieces *pieces) MPN_MUST_CHECK;

/** Read len bytes at gpa, each once. @return 0 or -EFAULT */
int
guest_read(const struct guest_memory *mem, uint64_t gpa, void *dst, uint64_t len) MPN_MUST_CHECK;

/** Read up to len bytes from the pieces, starting at their byte off. @return bytes read */
size_t guest_gather(const struct iovec *iov, unsigned nb, uint64_t off, void *dst, size_t len);
/** Write up to len bytes to the pieces, starting at their first byte. @return bytes written */
size_t guest_scatter(const struct iovec *iov, unsigned nb, const void *src, size_t len);

#endif
