/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/** @file Where a source has nothing but zeroes: holes of files, zeroes in memory. */

#ifndef COPY_MAP_H
#define COPY_MAP_H

#include <stdbool.h>
#include <stdint.h>

/** Walks a file from its beginning in pieces that are data or hole. */
struct copy_map {
	int fd; /**< -1: everything is data */
	uint64_t size; /**< bytes */
	uint32_t align; /**< pieces start at multiples of it */
	uint64_t off; /**< of the next piece */
	uint64_t end; /**< of the extent off is in */
	bool hole; /**< the kind of that extent */
};

void copy_map_init(struct copy_map *m, int fd, uint64_t size, uint32_t align);

struct copy_piece {
	uint64_t off;
	uint64_t len;
	bool hole;
};

/**
 * The next piece: at most max_data bytes of data (a multiple of align), or max_hole bytes of hole. A
 * block that is partly hole counts as data.
 * @return false at the end
 */
bool
copy_map_next(struct copy_map *m, uint32_t max_data, uint64_t max_hole, struct copy_piece *piece);

/**
 * The run at the beginning of buf: zeroes, if at least min_zero bytes of them (or everything) start
 * there; else data up to the next such run. Looked at in blocks of gran bytes.
 * @return its length, 1..len
 */
uint32_t copy_run(const void *buf, uint32_t len, uint32_t gran, uint32_t min_zero, bool *zero);

#endif
