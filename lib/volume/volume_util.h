/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What several back ends need: memory in pieces, identities, threads of libraries below. */

#ifndef VOLUME_UTIL_H
#define VOLUME_UTIL_H

#include <sched.h>

#include "volume.h"

/**
 * Copy len bytes between buf and the memory of io from its byte off on; for libraries that want one
 * buffer. to_caller: from buf to io.
 */
void vol_copy_io(const struct vol_io *io, uint64_t off, void *buf, size_t len, bool to_caller);
/**
 * The memory of io from byte off on that is in one piece.
 * @param len receives its length in bytes, 0 at the end
 */
void *vol_io_piece(const struct vol_io *io, uint64_t off, size_t *len);

/**
 * Describe [off, off + *len) of io's memory in iov, which has room for max pieces; *len becomes smaller
 * when they do not suffice, and stays a multiple of block. @return number of pieces, 0: not one block
 */
int vol_slice_io(const struct vol_io *io, uint64_t off, uint64_t *len, uint32_t block,
	struct iovec *iov, int max);
/** Run one request to its end; for opening only. 0 or -errno. */
int vol_run(struct volume *v, enum vol_op op, uint64_t off, void *buf, uint64_t len) MPN_MUST_CHECK;

/** An identity that is made of what makes a volume what it is: FNV-1a, 128 bits. */
struct vol_hash {
	unsigned __int128 h;
};
void vol_hash_begin(struct vol_hash *h);
void vol_hash_add(struct vol_hash *h, const void *data, size_t len);
/** What tells this machine from others. */
void vol_hash_machine(struct vol_hash *h);
/** RFC 9562: version 8, custom. */
void vol_hash_end(const struct vol_hash *h, uint8_t uuid[16]);

/**
 * Threads inherit the cores of the one that makes them: those of a library must not end up on the one
 * core that the caller polls on. Between the two calls the calling thread may use what the process had
 * at its start.
 */
void vol_threads_begin(cpu_set_t *saved);
void vol_threads_end(const cpu_set_t *saved);

#endif
