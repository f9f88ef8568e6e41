/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * What a written sector holds: {magic, sector number, write, client, CRC} and 480 bytes that
 * follow from them, so that a single wrong bit, a sector of another place and a mixture of two
 * writes are all told from a value that was written.
 */

#ifndef SIM_SECTOR_H
#define SIM_SECTOR_H

#include <stdint.h>

#define SIM_SECTOR 512u
#define SIM_SECTOR_WORDS (SIM_SECTOR / 8)

enum sector_value {
	SECTOR_WRITTEN, /**< by the write *id */
	SECTOR_ZERO,
	SECTOR_BAD, /**< no write made this */
};

/** Fill n sectors, the first of them number `sector`, with the value of a write. */
void sector_fill(void *buf, uint32_t sector, uint32_t n, uint32_t id, uint32_t client);
/** What is in this sector, which was read as number `sector`? */
enum sector_value sector_read(const void *buf, uint32_t sector, uint32_t *id);

#endif
