/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The map of the overlay, and the flush that makes it durable. cow.h says why this order is right. */

#include <stdlib.h>
#include <string.h>

#include "cow.h"
#include "mpn_log.h"
#include "volume_util.h"

enum { FLUSH_DATA, FLUSH_WRITE_MAP, FLUSH_MAP };

static uint64_t
nb_blocks(const struct cow_priv *p)
{
	return p->map_bytes / COW_BLOCK;
}

int
cow_map_load(struct cow_priv *p)
{
	uint64_t off;
	int rc;

	p->map = aligned_alloc(COW_BLOCK, p->map_bytes);
	p->stable = aligned_alloc(COW_BLOCK, p->map_bytes);
	p->dirty = calloc(nb_blocks(p), 1);
	p->writing = calloc(nb_blocks(p), 1);
	if (p->map == NULL || p->stable == NULL || p->dirty == NULL || p->writing == NULL)
		return -ENOMEM;
	for (off = 0; off < p->map_bytes; off += COW_BLOCK) {
		rc = vol_run(p->over, VOL_READ, COW_BLOCK + off, p->map + off, COW_BLOCK);
		if (rc != 0)
			return rc;
	}
	memcpy(p->stable, p->map, p->map_bytes);
	return 0;
}

void
cow_map_free(struct cow_priv *p)
{
	free(p->map);
	free(p->stable);
	free(p->dirty);
	free(p->writing);
}

void
cow_map_set(struct cow_priv *p, uint64_t first, uint64_t nb)
{
	for (; nb > 0; first++, nb--) {
		if (cow_has(p, first))
			continue;
		p->map[first / 8] |= (uint8_t)(1u << first % 8);
		p->dirty[first / 8 / COW_BLOCK] = 1;
	}
}

/* ---- Flush: one at a time, for all that wait when it starts ---- */

static void flush_next(struct cow_priv *p, int status);

static void
flush_step_done(struct vol_io *io, int status)
{
	flush_next(io->user, status);
}

static void
submit_flush_io(struct cow_priv *p, enum vol_op op, uint64_t off, void *mem, uint64_t len)
{
	int rc;

	p->flush_iov = (struct iovec){mem, len};
	p->flush_io = (struct vol_io){.op = op,
		.off = off,
		.len = len,
		.iov = mem != NULL ? &p->flush_iov : NULL,
		.iovcnt = mem != NULL,
		.done = flush_step_done,
		.user = p};
	rc = vol_submit(p->over, &p->flush_io);
	if (rc != 0)
		flush_next(p, rc);
}

/* Take over the bits that are set now; later ones belong to the next flush. */
static void
start_flush(struct cow_priv *p)
{
	uint64_t b;

	p->flushing = true;
	mpn_list_splice_tail(&p->flush_run, &p->flush_wait);
	for (b = 0; b < nb_blocks(p); b++) {
		p->writing[b] |= p->dirty[b];
		if (p->dirty[b] != 0)
			memcpy(p->stable + b * COW_BLOCK, p->map + b * COW_BLOCK, COW_BLOCK);
		p->dirty[b] = 0;
	}
	p->flush_block = 0;
	p->flush_step = FLUSH_DATA;
	submit_flush_io(p, VOL_FLUSH, 0, NULL, 0);
}

static void
end_flush(struct cow_priv *p, int status)
{
	struct mpn_list now;

	/* After a failure the blocks stay marked, and the next flush writes them. */
	if (status == 0)
		memset(p->writing, 0, nb_blocks(p));
	p->flushing = false;
	mpn_list_init(&now);
	mpn_list_splice_tail(&now, &p->flush_run);
	while (!mpn_list_empty(&now)) {
		struct cow_slot *slot = mpn_list_first(&now, struct cow_slot, node);

		mpn_list_del(&slot->node);
		cow_finish(slot, status);
	}
	if (!p->flushing && !mpn_list_empty(&p->flush_wait))
		start_flush(p);
}

/* The next block of the map to be written, nb_blocks() at the end. */
static uint64_t
find_block(const struct cow_priv *p)
{
	uint64_t b = p->flush_block;

	while (b < nb_blocks(p) && p->writing[b] == 0)
		b++;
	return b;
}

static void
flush_next(struct cow_priv *p, int status)
{
	uint64_t b = find_block(p);

	if (status != 0 || p->flush_step == FLUSH_MAP) {
		end_flush(p, status);
		return;
	}
	if (b < nb_blocks(p)) {
		p->flush_step = FLUSH_WRITE_MAP;
		p->flush_block = b + 1;
		submit_flush_io(p, VOL_WRITE, COW_BLOCK + b * COW_BLOCK, p->stable + b * COW_BLOCK,
			COW_BLOCK);
		return;
	}
	if (p->flush_step == FLUSH_DATA) {
		end_flush(p, 0);
		return;
	}
	p->flush_step = FLUSH_MAP;
	submit_flush_io(p, VOL_FLUSH, 0, NULL, 0);
}

void
cow_flush(struct cow_priv *p, struct cow_slot *slot)
{
	mpn_list_add_tail(&p->flush_wait, &slot->node);
	if (!p->flushing)
		start_flush(p);
}
