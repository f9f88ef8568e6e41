/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The content of blocks that `ebd perf --verify` writes. Every sector of 512 bytes says where it
 * belongs, which run wrote it and when; the rest of it follows from that:
 *
 *	0 magic   8 volume offset   16 run   24 generation   32 filler words
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mpn_err.h"
#include "perf_load.h"

#define SECTOR 512
#define MAGIC 0x4d504e4943564659ull /* "MPNICVFY" */
#define WORDS (SECTOR / sizeof(uint64_t))
#define HEADER_WORDS 4

static void
fill_sector(uint64_t *w, uint64_t off, uint64_t run, uint64_t gen)
{
	uint64_t filler = (off ^ run) * 0x9e3779b97f4a7c15ull + gen;
	unsigned i;

	w[0] = MAGIC;
	w[1] = off;
	w[2] = run;
	w[3] = gen;
	for (i = HEADER_WORDS; i < WORDS; i++)
		w[i] = filler += 0xbf58476d1ce4e5b9ull;
}

void
perf_pattern_fill(void *buf, size_t len, uint64_t off, uint64_t run, uint32_t gen)
{
	uint64_t sector[WORDS];
	size_t pos;

	for (pos = 0; pos < len; pos += SECTOR) {
		fill_sector(sector, off + pos, run, gen);
		memcpy((char *)buf + pos, sector, SECTOR);
	}
}

/* Say what is wrong with the sector at off, which is not what it should be. */
static void
explain(const uint64_t *have, const uint64_t *want, char *why, size_t size)
{
	if (have[0] != MAGIC)
		(void)snprintf(why, size, "byte %" PRIu64 ": no pattern", want[1]);
	else if (have[1] != want[1])
		(void)snprintf(why, size, "byte %" PRIu64 ": has what belongs to byte %" PRIu64,
			want[1], have[1]);
	else if (have[2] != want[2])
		(void)snprintf(why, size, "byte %" PRIu64 ": written by another run", want[1]);
	else if (have[3] != want[3])
		(void)snprintf(why, size,
			"byte %" PRIu64 ": generation %" PRIu64 ", expected %" PRIu64, want[1],
			have[3], want[3]);
	else
		(void)snprintf(why, size, "byte %" PRIu64 ": damaged", want[1]);
}

enum perf_content
perf_pattern_check(const void *buf, size_t len, uint64_t off, uint64_t run, uint32_t gen, char *why,
	size_t why_size)
{
	uint64_t have[WORDS], want[WORDS];
	uint64_t want_gen = gen;
	size_t pos;

	memcpy(have, buf, SECTOR);
	if (gen == 0) {
		/* Nothing is known: whoever wrote it must have written all of it. */
		if (have[0] != MAGIC)
			return PERF_BLANK;
		run = have[2];
		want_gen = have[3];
	}
	for (pos = 0; pos < len; pos += SECTOR) {
		memcpy(have, (const char *)buf + pos, SECTOR);
		fill_sector(want, off + pos, run, want_gen);
		if (memcmp(have, want, SECTOR) != 0) {
			explain(have, want, why, why_size);
			return PERF_BAD;
		}
	}
	return PERF_GOOD;
}
