/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Back ends of the server behind one table of functions, and filters stacked on them. Asynchronous:
 * submit never blocks and never completes from inside; poll runs the completions. A volume belongs
 * to one thread.
 *
 * A volume is named on the command line: `NAME=[FILTER:[args:]]...BACKEND[:args]`, for example
 * `disk0=file:disk.img`, `scratch=mem:1G`, `slow=delay:read=5ms:mem:64M`, `ro=readonly:file:a.img`.
 */

#ifndef MPN_VOLUME_H
#define MPN_VOLUME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "mpn_list.h"
#include "mpn_out.h"

enum vol_op {
	VOL_READ,
	VOL_WRITE,
	VOL_FLUSH, /**< writes completed before it are durable after it */
	VOL_DISCARD,
	VOL_WRITE_ZEROES,
	VOL_OPS
};

enum vol_flag {
	VOL_FUA = 0x1, /**< WRITE, WRITE_ZEROES: durable at completion */
	VOL_NOHOLE = 0x2, /**< WRITE_ZEROES: keep the blocks allocated */
	VOL_FAST = 0x4, /**< WRITE_ZEROES: -EOPNOTSUPP rather than writing zeroes by hand */
};

/** One request, in the caller's memory until done() ran. */
struct vol_io {
	/* Set by the caller. */
	enum vol_op op;
	unsigned flags; /**< enum vol_flag */
	uint64_t off; /**< bytes; a multiple of the block size */
	uint64_t len; /**< bytes; a multiple of the block size */
	const struct iovec *iov; /**< READ, WRITE: len bytes of memory, valid until done() */
	int iovcnt;
	void (*done)(struct vol_io *io, int status); /**< 0 or -errno; only from vol_poll() */
	void *user;

	/* The volume's. */
	struct volume *owner;
	struct mpn_list node;
	uint64_t priv[8]; /**< for the back end; a filter must save what it needs elsewhere */
};

enum vol_cap {
	VOL_CAP_READONLY = 0x01,
	VOL_CAP_FLUSH = 0x02, /**< has a volatile cache: FLUSH means something */
	VOL_CAP_FUA = 0x04,
	VOL_CAP_DISCARD = 0x08,
	VOL_CAP_WRITE_ZEROES = 0x10,
	VOL_CAP_ZERO_AFTER_DISCARD = 0x20,
	VOL_CAP_ROTATIONAL = 0x40,
};

/** What a volume is like. */
struct vol_info {
	uint64_t size; /**< bytes */
	uint32_t block_size; /**< bytes, a power of two, at least 512 */
	uint32_t phys_block; /**< best write size in bytes */
	uint32_t discard_gran; /**< bytes */
	uint32_t caps; /**< enum vol_cap */
	uint8_t uuid[16]; /**< stays the same across restarts where the back end has one */
};

/** Counters every volume has, kept by the layer and not by the back ends. */
struct vol_stats {
	uint64_t ops[VOL_OPS];
	uint64_t bytes[VOL_OPS];
	uint64_t errors[VOL_OPS];
	uint32_t in_flight;
	uint32_t in_flight_max;
};

struct volume;

/**
 * A kind of volume or filter. A filter's open() finds the rest of the specification in spec and opens
 * its lower volume with vol_open_spec().
 */
struct vol_ops {
	const char *name;
	const char *synopsis; /**< "file:PATH[,direct=on|off|auto][,size=SIZE]" */
	const char *help;
	bool filter;
	size_t priv_size; /**< zeroed memory at vol_priv() */
	/** Parse spec (what follows "name:"), open, fill info. Logs one line and gives -errno on failure. */
	int (*open)(struct volume *v, const char *spec);
	/** Nothing is in flight any more. */
	void (*close)(struct volume *v);
	/**
	 * Start io, which the layer has checked (range, alignment, read-only, capability). 0, or -EAGAIN:
	 * full now; the layer keeps it and tries again at the next poll. Never completes from inside.
	 */
	int (*submit)(struct volume *v, struct vol_io *io);
	/** Run completions by vol_complete(). @return how many */
	unsigned (*poll)(struct volume *v);
	/**
	 * Memory of [off, off + len) that stays valid and is the volume itself, or NULL. Only for volumes
	 * that are memory. The caller may read from it, and write to it when the volume is not read-only.
	 */
	void *(*map)(struct volume *v, uint64_t off, uint64_t len);
	/** Nanoseconds until poll() has work although nothing arrives (a delay filter); UINT64_MAX: never. */
	uint64_t (*next_ns)(struct volume *v);
	/** A descriptor that is readable when poll() has work (io_uring's eventfd), or -1. */
	int (*fd)(struct volume *v);
};

/** Register a kind; called by constructors. Names are unique. */
void vol_register(const struct vol_ops *ops);
/** The n-th registered kind, NULL at the end. */
const struct vol_ops *vol_kind(unsigned n);

/**
 * Open a volume by specification ("mem:1G").
 * @param v receives the volume
 * @return 0; -EINVAL (specification; one line was logged that says what would be right), -ENOENT,
 *   -EACCES, -EBUSY (the image is in use by another server), ... of the back end, also logged
 */
int vol_open_spec(const char *spec, struct volume **v) MPN_MUST_CHECK;
/** Close; nothing may be in flight. */
void vol_close(struct volume *v);

/**
 * Start io. It is checked first: range, alignment, read-only, capability.
 * @return 0: done() will run exactly once, from vol_poll(); else done() never runs: -EINVAL, -EROFS,
 *   -EOPNOTSUPP
 */
int vol_submit(struct volume *v, struct vol_io *io) MPN_MUST_CHECK;
/** Run completions; no system call when nothing is in flight. @return how many ran */
unsigned vol_poll(struct volume *v);
/** See vol_ops.map. */
void *vol_map(struct volume *v, uint64_t off, uint64_t len);
uint64_t vol_next_ns(struct volume *v);
int vol_fd(struct volume *v);

const struct vol_info *vol_get_info(const struct volume *v);
const struct vol_stats *vol_get_stats(const struct volume *v);
/** The specification it was opened with. */
const char *vol_spec(const struct volume *v);

/* For back ends. */
struct vol_info *vol_info_rw(struct volume *v);
void *vol_priv(struct volume *v);
/** io is done; from poll() only. */
void vol_complete(struct vol_io *io, int status);

#endif
