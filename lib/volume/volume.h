/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Back ends of the server behind one table of functions, and filters stacked on them. Asynchronous:
 * submit never blocks and never completes from inside; poll runs the completions. A volume belongs
 * to one thread.
 *
 * A volume is named on the command line:
 *
 *	SPEC    = BACKEND[:ARGS] | FILTER:[ARGS:]SPEC
 *
 * for example `file:disk.img`, `mem:1G`, `delay:read=5ms:mem:64M`, `readonly:file:a.img`. It reads in
 * one way only: a kind's name ends at the first ':'; the arguments of a filter are all key=value, so
 * that a next part (up to ':') with a '=' is arguments and one without is the next kind; a back end
 * has all the rest. Arguments are separated by ','. So a path may hold ':' as it is, and ',' when it
 * is doubled: `file:a,,b.img,direct=off` is the file "a,b.img".
 *
 * A request wanders down the stack unchanged: a filter holds it, ends it, or passes it on. It has one
 * holder at a time, so that a request needs no memory of its own in any filter:
 *
 *	vol_submit()  check -> [delay: hold until due] -> [error: end it?] -> [file: io_uring]
 *	vol_poll()    done() <------- count in each volume it went through <--- vol_complete()
 */

#ifndef MPN_VOLUME_H
#define MPN_VOLUME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "mpn_list.h"
#include "mpn_out.h"

#define VOL_MAX_STACK 8 /**< filters above a back end */
#define VOL_ARG_LEN 4096 /**< bytes of one argument, with its terminating zero */

enum vol_op {
	VOL_READ,
	VOL_WRITE,
	VOL_FLUSH, /**< writes completed before it was submitted are durable after it */
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
	uint64_t off; /**< bytes; a multiple of the block size; ignored by FLUSH */
	uint64_t len; /**< bytes; a multiple of the block size, not 0; ignored by FLUSH */
	const struct iovec *iov; /**< READ, WRITE: len bytes of memory, valid until done() */
	int iovcnt;
	/** 0 or -errno; runs only from vol_poll(), may submit again, may not poll or close. */
	void (*done)(struct vol_io *io, int status);
	void *user;

	/* The volume's. */
	struct volume *owner; /**< who holds it: a filter or the back end */
	struct volume *top; /**< to whom it was submitted */
	struct mpn_list node; /**< of a list of the holder */
	uint64_t priv[2]; /**< the holder's; lost when it passes the request on */
};

enum vol_cap {
	VOL_CAP_READONLY = 0x01,
	VOL_CAP_FLUSH = 0x02, /**< has a volatile cache: FLUSH means something (it always works) */
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
	uint8_t uuid[16]; /**< stays the same across restarts where the contents do */
};

/** Counters every volume has, kept by the layer and not by the back ends. */
struct vol_stats {
	uint64_t ops[VOL_OPS]; /**< completed, well or not */
	uint64_t bytes[VOL_OPS]; /**< of those completed well */
	uint64_t errors[VOL_OPS]; /**< completed with an error */
	uint32_t in_flight; /**< submitted and not completed */
	uint32_t in_flight_max;
	uint64_t waits; /**< requests that found the back end full */
	uint64_t syncs; /**< times the back end asked the medium to make data durable */
	uint64_t bounced_bytes; /**< went through a buffer of the back end for their alignment */
};

struct volume;

enum vol_open_flag {
	VOL_OPEN_RDONLY = 0x1, /**< nobody will write: open the medium for reading only */
};

/** A kind of volume or filter. */
struct vol_ops {
	const char *name; /**< without ':' and '=' */
	const char *synopsis; /**< "file:PATH[,direct=on|off|auto][,size=SIZE]" */
	const char *help;
	bool filter;
	size_t priv_size; /**< zeroed memory at vol_priv() */
	/**
	 * Parse spec (what follows "name:"), open, fill info. Logs one line and gives -errno on failure;
	 * then close() is not called. A filter splits spec by vol_split_filter() and ends with
	 * vol_open_lower().
	 */
	int (*open)(struct volume *v, const char *spec);
	/** Nothing is in flight any more. May be NULL. The layer closes the lower volume. */
	void (*close)(struct volume *v);
	/**
	 * Start io, which the layer has checked (range, alignment, read-only, capability). 0, or -EAGAIN:
	 * full now; the layer keeps it and tries again at the next poll. Never completes from inside.
	 */
	int (*submit)(struct volume *v, struct vol_io *io);
	/** Run completions by vol_complete(). @return how many. NULL: a filter that holds nothing. */
	unsigned (*poll)(struct volume *v);
	/**
	 * Memory of [off, off + len) that stays valid and is the volume itself, or NULL. Only for volumes
	 * that are memory. The caller may read from it, and write to it when the volume is not read-only.
	 * The function may be NULL.
	 */
	void *(*map)(struct volume *v, uint64_t off, uint64_t len);
	/**
	 * Nanoseconds until poll() has work although nothing arrives at fd(); UINT64_MAX: never. Only
	 * called with something in flight. May be NULL (never).
	 */
	uint64_t (*next_ns)(struct volume *v);
	/** A descriptor that is readable when poll() has completions, or -1. May be NULL (-1). */
	int (*fd)(struct volume *v);
	/**
	 * The bytes the medium has by now. May block, and runs on any thread, beside the other functions but for
	 * open and close: it changes nothing. 0 or -errno after a log line; NULL: the size stays. A filter whose
	 * size is that of the volume below has vol_find_lower_size().
	 */
	int (*find_size)(struct volume *v, uint64_t *size);
	/** Print what is special about this kind into the open object of o. May be NULL. */
	void (*print)(const struct volume *v, struct mpn_out *o);
};

/**
 * Register a kind beside the built-in ones; before any volume is opened.
 * @return 0; -EEXIST (name), -EINVAL (name), -ENOSPC
 */
int vol_register(const struct vol_ops *ops);
/** The n-th kind, NULL at the end. */
const struct vol_ops *vol_kind(unsigned n);

/**
 * Open a volume by specification ("mem:1G").
 * @param v receives the volume
 * @return 0; -EINVAL (specification; one line was logged that says what would be right), -ENOENT,
 *   -EACCES, -EBUSY (the image is in use by another server), ... of the back end, also logged
 */
int vol_open_spec(const char *spec, struct volume **v) MPN_MUST_CHECK;
/** Close; nothing may be in flight. NULL is allowed. */
void vol_close(struct volume *v);

/**
 * Start io. It is checked first: range, alignment, read-only, capability, memory of len bytes.
 * @return 0: done() will run exactly once, from vol_poll(); else done() never runs: -EINVAL, -EROFS,
 *   -EOPNOTSUPP
 */
int vol_submit(struct volume *v, struct vol_io *io) MPN_MUST_CHECK;
/** Run completions; no system call when nothing is in flight. @return how many ran */
unsigned vol_poll(struct volume *v);
/**
 * The medium may have another size by now: find out. May block, and may be called on another thread than the
 * volume's, which goes on.
 * @param size receives bytes, for vol_set_size()
 * @return 0; -EOPNOTSUPP (this kind, or a filter on it, keeps its size), or what the back end gave;
 *   also logged
 */
int vol_find_size(struct volume *v, uint64_t *size) MPN_MUST_CHECK;
/**
 * Take over what vol_find_size() has found, in whole blocks. What is in flight behind a new end fails.
 * @return 0; -EINVAL (not one block, logged): nothing has changed
 */
int vol_set_size(struct volume *v, uint64_t size) MPN_MUST_CHECK;
/** From now on nobody writes. */
void vol_set_readonly(struct volume *v);
/** See vol_ops.map. NULL also when the range is outside the volume. */
void *vol_map(struct volume *v, uint64_t off, uint64_t len);
/** Nanoseconds until vol_poll() has work although nothing arrives at vol_fd(); UINT64_MAX: never. */
uint64_t vol_next_ns(struct volume *v);
/** A descriptor that is readable when vol_poll() has completions; -1: there is none. */
int vol_fd(struct volume *v);

const struct vol_info *vol_get_info(const struct volume *v);
const struct vol_stats *vol_get_stats(const struct volume *v);
/** The specification it was opened with. */
const char *vol_spec(const struct volume *v);
/** "read", "write", "flush", "discard", "write-zeroes" */
const char *vol_op_name(enum vol_op op);
/** Describe the volume, its properties and counters in the open object of o. */
void vol_print(const struct volume *v, struct mpn_out *o);

/**
 * Where `mem` volumes opened from now on take their memory. alloc() gives bytes of memory, aligned to
 * 4096 at least, or NULL with errno; it need not be zeroed. free() takes it back. The default (NULL,
 * NULL) is an anonymous mapping in huge pages where the kernel has them. A program that sends frames
 * from mapped volumes gives an allocator of memory its NIC can reach.
 */
void vol_mem_set_allocator(void *(*alloc)(size_t bytes, void *ctx),
	void (*free_)(void *mem, size_t bytes, void *ctx), void *ctx);

/** The clock of filters, in ns, monotonic. NULL: CLOCK_MONOTONIC. Tests set their own. */
void vol_set_clock(uint64_t (*now_ns)(void));

/* ---- For back ends and filters ---- */

struct vol_info *vol_info_rw(struct volume *v);
void *vol_priv(struct volume *v);
const void *vol_priv_const(const struct volume *v);
/** enum vol_open_flag that hold for v: those of the filters above it. */
unsigned vol_open_flags(const struct volume *v);
/** io is done; from poll() only. */
void vol_complete(struct vol_io *io, int status);
uint64_t vol_now_ns(void);
/** Count in v and the filters above it: see struct vol_stats. */
void vol_count_sync(struct volume *v);
void vol_count_bounced(struct volume *v, uint64_t bytes);

/**
 * A filter's spec: copy its arguments ("" without any) to args.
 * @return the specification of the lower volume; NULL with errno EINVAL after a log line
 */
const char *vol_split_filter(const struct volume *v, const char *spec, char *args, size_t size);
/** Open v's lower volume and take over its info. flags: enum vol_open_flag to add. Logs. */
int vol_open_lower(struct volume *v, const char *spec, unsigned flags) MPN_MUST_CHECK;
struct volume *vol_lower(const struct volume *v);
/** See vol_ops.find_size. */
int vol_find_lower_size(struct volume *v, uint64_t *size) MPN_MUST_CHECK;
/** Hand a request that v holds on to the lower volume; from submit() or poll(). */
void vol_pass(struct volume *v, struct vol_io *io);
/** Log that value is wrong for v's argument key and what would be right; gives -EINVAL. */
int vol_bad_arg(const struct volume *v, const char *key, const char *value, const char *expect);

#endif
