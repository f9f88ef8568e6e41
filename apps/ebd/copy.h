/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * `ebd copy`: two ends, files or volumes, and a pipe of requests between them.
 *
 *	map -> slot: read from the source -> split in data and zeroes -> write to the destination -> free
 *
 * A volume's requests complete in ebd_poll(). A file's complete at once: reads and writes go through
 * the page cache, and a disk that makes them wait makes the link wait, too; the protocol bears that.
 */

#ifndef COPY_H
#define COPY_H

#include "copy_map.h"
#include "ebd.h"
#include "mpn_list.h"
#include "progress.h"
#include "tool.h"

struct copy_end;
struct copy_slot;

#define COPY_MAX_QUEUES 16
#define COPY_PENDING 1 /**< an end's answer: copy_slot_done() comes later */

/**
 * What an end can do. Each gives 0 (done), COPY_PENDING, -EAGAIN (full, try again in the next round)
 * or another -errno.
 */
struct copy_end_ops {
	/** May write to buf + len as well, up to the end of the block. */
	int (*read)(struct copy_end *e, struct copy_slot *s, char *buf, uint32_t len, uint64_t off);
	/** May take from buf + len as well, up to the end of the block. */
	int (*write)(struct copy_end *e, struct copy_slot *s, const char *buf, uint32_t len,
		uint64_t off);
	/** Make it read as zeroes. NULL: not possible. */
	int (*zero)(struct copy_end *e, struct copy_slot *s, uint64_t len, uint64_t off);
	/** Make everything written durable; waits. */
	int (*flush)(struct copy_end *e);
	void (*close)(struct copy_end *e);
};

struct copy_end {
	const struct copy_end_ops *ops;
	const char *name; /**< as the user wrote it */
	uint64_t size; /**< bytes */
	uint32_t block; /**< offsets are multiples of it */
	uint32_t min_zero; /**< fewer zeroes than this are better written */
	bool can_zero;
	bool can_flush;
	int fd; /**< of a file, else -1 */
	struct ebd_queue *q; /**< of a volume, else NULL */
	struct ebd_queue *more[COPY_MAX_QUEUES - 1]; /**< further queues to it */
	unsigned nb_more;
};

/** Open the file at path. @return 0 or -errno */
int copy_file_open_src(struct copy_end *e, const char *path);
/** Create or truncate the file at path, and give it size bytes. @return 0 or -errno */
int copy_file_open_dst(struct copy_end *e, const char *path, uint64_t size);
/** Open the file that an earlier copy has begun. @return 0 or -errno: -ESTALE, it has another size */
int copy_file_open_old(struct copy_end *e, const char *path, uint64_t size);
/** The end of an open queue. */
void copy_volume_init(struct copy_end *e, const char *name, struct ebd_queue *q);
/** Use one more queue to the same volume; at most COPY_MAX_QUEUES altogether. */
void copy_volume_add(struct copy_end *e, struct ebd_queue *q);
/** Run the completions of all queues of an end. @return how many, or -errno */
int copy_end_poll(struct copy_end *e);

/** Where a slot stands: what it has to do next. */
enum copy_step {
	COPY_READ, /**< read the source */
	COPY_STORE, /**< write the next run to the destination */
	COPY_CHECK, /**< verify: read the destination */
	COPY_COMPARE, /**< verify: compare both */
	COPY_FREE, /**< nothing: the piece is done */
	COPY_STEPS
};

/** One piece on its way. */
struct copy_slot {
	struct ebd_io io;
	struct mpn_list node; /**< of the pipe's free or ready list */
	struct copy_pipe *pipe;
	char *buf; /**< request_size bytes */
	char *check; /**< verify: another request_size bytes */
	struct copy_piece piece;
	uint64_t stored; /**< bytes of the piece the destination has */
	uint64_t run; /**< bytes under way to it */
	enum copy_step step;
	int status; /**< of the request that is done, 0 or -errno */
};

struct copy_pipe {
	struct tool *tool;
	struct copy_end *src;
	struct copy_end *dst;
	struct progress *progress;
	uint32_t request_size; /**< bytes; a multiple of the block of both ends */
	unsigned depth; /**< slots */
	bool sparse; /**< look for zeroes */
	bool verify; /**< compare instead of copying */
	struct tool *side; /**< runs the ends that are no volumes of the link, or NULL */
	uint64_t start; /**< everything below was copied before */
	struct copy_resume *resume; /**< where to note how far it is, or NULL */

	struct copy_map map;
	struct copy_slot *slots;
	char *memory;
	bool memory_is_arena;
	struct mpn_list free;
	struct mpn_list ready; /**< may do their next step */
	unsigned busy;
	uint64_t done_bytes;
	uint64_t zero_bytes; /**< of done_bytes: not moved because they are zeroes */
	int error; /**< first one, -errno */
	char error_text[256];
};

/**
 * Get a pipe ready; the fields above the blank line are set.
 * @return 0, -ENOMEM, -EINVAL (start is within a block)
 */
int copy_pipe_init(struct copy_pipe *p);
/** Nothing may be in flight: after success, or after the ends were closed. */
void copy_pipe_fini(struct copy_pipe *p);
/**
 * Copy or verify everything.
 * @return 0; -EINTR: a signal; else -errno with error_text set. Requests may still be in flight then.
 */
int copy_pipe_run(struct copy_pipe *p);
/** Everything below this offset is done. */
uint64_t copy_pipe_low(const struct copy_pipe *p);
/** A request that was COPY_PENDING is done. */
void copy_slot_done(struct copy_slot *s, int status);

/** Notes how far a copy has come, so that another one can go on there. */
struct copy_resume {
	const char *path;
	char head[2 * 4096]; /**< what it is a copy of */
	uint64_t next_ns; /**< when to note it next */
};

/**
 * What the file at path says. Nothing is remembered of a file that is not there.
 * @param off  receives where to go on
 * @return 0; -ESTALE: it belongs to another copy; another -errno
 */
int copy_resume_load(struct copy_resume *r, const char *path, const char *src, const char *dst,
	uint64_t size, uint64_t *off);
/** Note, if it is time to or now is said, that everything below off is in dst, for good. 0 or -errno */
int copy_resume_note(struct copy_resume *r, struct copy_end *dst, uint64_t off, bool now);
/** It is all done. */
void copy_resume_forget(struct copy_resume *r);

/** What came of a copy. */
struct copy_result {
	uint64_t bytes;
	uint64_t zero_bytes; /**< of bytes: not moved because they are zeroes */
	uint64_t copy_ns;
	uint64_t verify_ns;
	bool verified;
	struct ebd_stats stats; /**< of all queues, the copy only */
};

/** Add the counters of an end. */
void copy_result_add(struct copy_result *r, const struct copy_end *e);
/** Print it. @return 0 or -EIO */
int copy_result_print(const struct copy_result *r, bool json, const char *src, const char *dst);

#endif
