/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A guest's end of a split ring, for tests: memory in two regions whose guest addresses touch each other
 * and whose pages do not, one ring, and descriptors written one by one.
 */

#ifndef GUEST_RING_H
#define GUEST_RING_H

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "split_ring.h"

#define RING_SIZE 16
#define REGION 65536u
#define GPA 0x100000ull /* of the first region; the second follows it */
#define DATA (GPA + 0x4000) /* free for data */
#define SEAM (GPA + REGION) /* where the second begins */

struct guest_ring {
	uint8_t *pages; /* second region, something that is nobody's, first region */
	struct guest_memory mem;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct split_ring ring;
	uint16_t nb; /* descriptors written */
};

static inline void *
guest_at(struct guest_ring *g, uint64_t gpa)
{
	return gpa < SEAM ? g->pages + 2 * REGION + (gpa - GPA) : g->pages + (gpa - SEAM);
}

static inline void
guest_ring_init(struct guest_ring *g)
{
	memset(g, 0, sizeof(*g));
	g->pages = aligned_alloc(4096, 3 * REGION);
	memset(g->pages, 0, 3 * REGION);
	g->mem.nb = 2;
	g->mem.regions[0] = (struct guest_region){GPA, REGION, g->pages + 2 * REGION};
	g->mem.regions[1] = (struct guest_region){SEAM, REGION, g->pages};
	g->desc = guest_at(g, GPA);
	g->avail = guest_at(g, GPA + 0x1000);
	g->used = guest_at(g, GPA + 0x2000);
	if (split_init(&g->ring, g->desc, g->avail, g->used, RING_SIZE, 0, 0) != 0)
		abort();
	g->ring.indirect = true;
}

static inline void
guest_ring_fini(struct guest_ring *g)
{
	free(g->pages);
}

/* Write a descriptor. The next one is the one behind it. */
static inline void
put_desc(struct guest_ring *g, uint64_t addr, uint32_t len, uint16_t flags)
{
	struct vring_desc *d = &g->desc[g->nb++ % RING_SIZE];

	d->addr = htole64(addr);
	d->len = htole32(len);
	d->flags = htole16(flags);
	d->next = htole16(g->nb);
}

static inline void
make_available(struct guest_ring *g, uint16_t head)
{
	uint16_t idx = le16toh(g->avail->idx);

	g->avail->ring[idx % RING_SIZE] = htole16(head);
	g->avail->idx = htole16((uint16_t)(idx + 1));
}

#endif
