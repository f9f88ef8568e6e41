/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mpn_err.h"
#include "perf_load.h"

/* ---- Track ---- */

int
perf_track_init(struct perf_track *t, uint64_t nb_blocks, uint64_t run)
{
	memset(t, 0, sizeof(*t));
	t->nb_blocks = nb_blocks;
	t->run = run;
	t->next_gen = 1;
	t->gens = calloc(nb_blocks, sizeof(*t->gens));
	t->busy = calloc(nb_blocks / 64 + 1, sizeof(*t->busy));
	if (t->gens != NULL && t->busy != NULL)
		return 0;
	perf_track_fini(t);
	return -ENOMEM;
}

void
perf_track_fini(struct perf_track *t)
{
	free(t->gens);
	free(t->busy);
	memset(t, 0, sizeof(*t));
}

static bool
is_busy(const struct perf_track *t, uint64_t block)
{
	return (t->busy[block / 64] >> (block % 64)) & 1;
}

static void
flip_busy(struct perf_track *t, uint64_t block)
{
	t->busy[block / 64] ^= 1ull << (block % 64);
}

static uint32_t
take_gen(struct perf_track *t)
{
	uint32_t gen = t->next_gen++;

	if (t->next_gen == 0)
		t->next_gen = 1; /* 0 says: not known */
	return gen;
}

/* ---- Load ---- */

void
perf_load_init(struct perf_load *l, enum perf_rw rw, unsigned mix, uint64_t nb_blocks,
	uint64_t seed, struct perf_track *track)
{
	memset(l, 0, sizeof(*l));
	l->rw = rw;
	l->mix = mix;
	l->nb_blocks = nb_blocks;
	l->rng = seed;
	l->track = track;
}

void
perf_load_set_zipf(struct perf_load *l, double theta)
{
	if (theta > 0)
		perf_zipf_init(&l->zipf, l->nb_blocks, theta);
}

void
perf_load_read_back(struct perf_load *l)
{
	l->read_back = true;
	l->next = 0;
}

/* splitmix64: every seed is as good as another. */
static uint64_t
draw(struct perf_load *l)
{
	uint64_t z = (l->rng += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* A number below limit. */
static uint64_t
draw_below(struct perf_load *l, uint64_t limit)
{
	return (uint64_t)(((unsigned __int128)draw(l) * limit) >> 64);
}

/* The first block from start on that has no request in flight, round the end. */
static bool
find_idle(const struct perf_load *l, uint64_t start, uint64_t *block)
{
	uint64_t i, at = start;

	for (i = 0; i < l->nb_blocks; i++) {
		if (!is_busy(l->track, at)) {
			*block = at;
			return true;
		}
		at = at + 1 < l->nb_blocks ? at + 1 : 0;
	}
	return false;
}

static bool
choose_block(struct perf_load *l, uint64_t *block)
{
	bool sequential = !perf_rw_is_random(l->rw);

	*block = sequential          ? l->next
		 : l->zipf.theta > 0 ? perf_zipf_draw(&l->zipf, draw(l))
				     : draw_below(l, l->nb_blocks);
	if (l->track != NULL && !find_idle(l, *block, block))
		return false;
	if (sequential)
		l->next = *block + 1 < l->nb_blocks ? *block + 1 : 0;
	return true;
}

static bool
choose_written(struct perf_load *l, uint64_t *block)
{
	while (l->next < l->nb_blocks && l->track->gens[l->next] == 0)
		l->next++;
	*block = l->next;
	return l->next++ < l->nb_blocks;
}

static bool
choose_write(struct perf_load *l)
{
	if (l->read_back)
		return false;
	if (perf_rw_is_mixed(l->rw))
		return draw_below(l, 100) >= l->mix;
	return perf_rw_writes(l->rw);
}

bool
perf_load_next(struct perf_load *l, struct perf_op *op)
{
	if (!(l->read_back ? choose_written(l, &op->block) : choose_block(l, &op->block)))
		return false;
	op->write = choose_write(l);
	op->gen = 0;
	if (l->track == NULL)
		return true;
	op->gen = op->write ? take_gen(l->track) : l->track->gens[op->block];
	flip_busy(l->track, op->block);
	return true;
}

void
perf_load_done(struct perf_load *l, const struct perf_op *op, bool ok)
{
	if (l->track == NULL)
		return;
	flip_busy(l->track, op->block);
	/* A write that failed has left nobody knows what. */
	if (op->write)
		l->track->gens[op->block] = ok ? op->gen : 0;
}
