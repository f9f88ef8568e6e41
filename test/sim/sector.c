/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include "sector.h"
#include "wire_ebd.h"

#define MAGIC 0x726f746365534d4dull
#define STEP 0x9e3779b97f4a7c15ull

static void
make(uint64_t w[SIM_SECTOR_WORDS], uint32_t sector, uint32_t id, uint32_t client)
{
	uint64_t x;
	unsigned i;

	w[0] = MAGIC;
	w[1] = sector;
	w[2] = (uint64_t)client << 32 | id;
	w[3] = wire_crc_end(wire_crc_add(~0u, w, 24));
	x = (w[3] << 32 | id) * STEP;
	for (i = 4; i < SIM_SECTOR_WORDS; i++)
		w[i] = x + i * STEP;
}

void
sector_fill(void *buf, uint32_t sector, uint32_t n, uint32_t id, uint32_t client)
{
	uint64_t w[SIM_SECTOR_WORDS];
	uint32_t i;

	for (i = 0; i < n; i++) {
		make(w, sector + i, id, client);
		memcpy((uint8_t *)buf + i * SIM_SECTOR, w, sizeof(w));
	}
}

enum sector_value
sector_read(const void *buf, uint32_t sector, uint32_t *id)
{
	uint64_t want[SIM_SECTOR_WORDS], head[4], any = 0, word;
	unsigned i;

	memcpy(head, buf, sizeof(head));
	if (head[0] == 0) {
		for (i = 0; i < SIM_SECTOR_WORDS; i++) {
			memcpy(&word, (const uint8_t *)buf + i * 8, sizeof(word));
			any |= word;
		}
		return any == 0 ? SECTOR_ZERO : SECTOR_BAD;
	}
	make(want, sector, (uint32_t)head[2], (uint32_t)(head[2] >> 32));
	if (memcmp(buf, want, sizeof(want)) != 0)
		return SECTOR_BAD;
	*id = (uint32_t)head[2];
	return SECTOR_WRITTEN;
}
