/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/** @file Which block is asked for next, and what must be in it. */

#ifndef PERF_LOAD_H
#define PERF_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERF_RW_LIST(X) \
	X(READ, "read") \
	X(WRITE, "write") \
	X(RW, "rw") \
	X(RANDREAD, "randread") \
	X(RANDWRITE, "randwrite") \
	X(RANDRW, "randrw")

enum perf_rw {
#define X(id, name) PERF_RW_##id,
	PERF_RW_LIST(X)
#undef X
};

static inline bool
perf_rw_writes(enum perf_rw rw)
{
	return rw != PERF_RW_READ && rw != PERF_RW_RANDREAD;
}

static inline bool
perf_rw_is_mixed(enum perf_rw rw)
{
	return rw == PERF_RW_RW || rw == PERF_RW_RANDRW;
}

static inline bool
perf_rw_is_random(enum perf_rw rw)
{
	return rw >= PERF_RW_RANDREAD;
}

/**
 * What every block was last written with, for --verify. A block has one request in flight at most, so
 * what a read must find is known exactly.
 */
struct perf_track {
	uint64_t nb_blocks;
	uint64_t run; /**< tells the writes of this run from those of an earlier one */
	uint32_t next_gen;
	uint32_t *gens; /**< of each block; 0: not known */
	uint64_t *busy; /**< one bit a block */
};

/** @return 0 or -ENOMEM */
int perf_track_init(struct perf_track *t, uint64_t nb_blocks, uint64_t run);
void perf_track_fini(struct perf_track *t);

/** One request: a block of the range. */
struct perf_op {
	uint64_t block;
	uint32_t gen; /**< to be written, or that must be found; 0: not known */
	bool write;
};

/**
 * Zipf's law: the i-th most popular of n blocks is asked for in proportion to 1 / i^theta. (Gray et al.,
 * Quickly Generating Billion-Record Synthetic Databases, 1994.)
 */
struct perf_zipf {
	double theta; /**< 0: all blocks alike */
	double alpha, zeta, eta, second;
	uint64_t n;
	uint64_t step; /**< spreads the popular blocks over the range */
};

/** theta: above 0 and below 1. */
void perf_zipf_init(struct perf_zipf *z, uint64_t n, double theta);
/** The block for a random number. */
uint64_t perf_zipf_draw(const struct perf_zipf *z, uint64_t random);

struct perf_load {
	enum perf_rw rw;
	unsigned mix; /**< percent of reads in rw and randrw */
	uint64_t nb_blocks;
	struct perf_zipf zipf;
	uint64_t next; /**< block of a sequential load */
	uint64_t rng;
	struct perf_track *track; /**< NULL: do not keep track */
	bool read_back; /**< read what was written, once, in order */
};

/** theta 0: no block is more popular than others; else see struct perf_zipf. */
void perf_load_set_zipf(struct perf_load *l, double theta);
void perf_load_init(struct perf_load *l, enum perf_rw rw, unsigned mix, uint64_t nb_blocks,
	uint64_t seed, struct perf_track *track);
/** From now on read every block that was written, once. */
void perf_load_read_back(struct perf_load *l);
/** The next request. @return false: none now (all blocks are busy) or, reading back, no more */
bool perf_load_next(struct perf_load *l, struct perf_op *op);
/** A request of the load is done, or was not started after all (ok is false then). */
void perf_load_done(struct perf_load *l, const struct perf_op *op, bool ok);

/* ---- The content of blocks ---- */

/** What a block was found to be. */
enum perf_content {
	PERF_GOOD, /**< as a run has written it, complete */
	PERF_BLANK, /**< no run has written it */
	PERF_BAD,
};

/** Fill len bytes (a multiple of 512) for volume offset off. */
void perf_pattern_fill(void *buf, size_t len, uint64_t off, uint64_t run, uint32_t gen);
/**
 * Judge what was read from off. gen: what it must be, or 0: any complete pattern, or none at all.
 * @param why  receives a sentence when it is bad
 */
enum perf_content perf_pattern_check(const void *buf, size_t len, uint64_t off, uint64_t run,
	uint32_t gen, char *why, size_t why_size);

#endif
