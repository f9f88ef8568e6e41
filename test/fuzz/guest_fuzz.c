/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A guest's memory, rings and requests in it: the input is what the guest has written, from address 0 on, in two
 * regions. Whatever is found lies in the guest's memory and on the volume, and all walks end.
 */

#include <stdlib.h>
#include <string.h>

#include "blk.h"
#include "fuzz.h"

#define RING 16
#define REGION 4096u
#define AVAIL_AT 256
#define USED_AT 320
#define VOLUME (1u << 20)
#define ROUNDS 64

static struct guest_memory mem;

/* Does a piece lie in one region? It is written to or read, so that a checker of memory sees it, too. */
static void
touch(const struct iovec *v, bool write)
{
	unsigned long sum = 0;
	bool inside = false;
	uint8_t *at = v->iov_base;
	unsigned i;
	size_t n;

	for (i = 0; i < mem.nb; i++) {
		const struct guest_region *r = &mem.regions[i];

		inside |= at >= r->va && at < r->va + r->size &&
			  v->iov_len <= (size_t)(r->va + r->size - at);
	}
	MUST(inside && v->iov_len > 0);
	if (write)
		memset(at, 0x5a, v->iov_len);
	for (n = 0; n < v->iov_len; n++)
		sum += at[n];
	MUST(sum != 1ul << 60);
}

static void
carry_out(struct blk_request *r, const struct blk_volume *v)
{
	struct blk_part part;
	uint64_t total = 0;
	int rc, i;

	while ((rc = blk_cut(r, v->info.block_size, &part)) == 1) {
		MUST(part.len > 0 && part.len % v->info.block_size == 0);
		MUST(part.off <= VOLUME && part.len <= VOLUME - part.off);
		MUST(part.iovcnt >= 0 && part.iovcnt <= EBD_IOV_MAX);
		for (i = 0; i < part.iovcnt; i++)
			touch(&part.iov[i], r->op == BLK_READ);
		total += part.len;
		MUST(total <= (uint64_t)VOLUME * BLK_RANGES);
	}
	MUST(rc == 0 || rc == -EINVAL);
}

static void
serve(struct split_ring *ring)
{
	const struct blk_volume v = {.info = {.size = VOLUME,
					     .block_size = 512,
					     .can_flush = true,
					     .can_discard = true,
					     .can_write_zeroes = true}};
	static struct chain c;
	struct blk_request r;
	uint16_t head;
	unsigned round;
	int rc;

	for (round = 0; round < ROUNDS; round++) {
		rc = split_take(ring, &head);
		if (rc != 1 && rc != -ERANGE)
			return;
		if (rc == -ERANGE)
			continue;
		rc = split_walk(ring, &mem, head, &c);
		MUST(c.nb_out + c.nb_in <= CHAIN_PIECES);
		rc = blk_parse(&c, rc, &v, &r);
		MUST(rc == -EPROTO || (rc >= -1 && rc <= VIRTIO_BLK_S_UNSUPP));
		if (rc == -1)
			carry_out(&r, &v);
		if (rc != -EPROTO)
			*r.status = (uint8_t)MPN_MAX(rc, 0);
		split_give(ring, head, rc == -EPROTO ? 0 : r.written);
		if (!split_wants_call(ring))
			split_stop_kicks(ring);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct split_ring ring;
	uint8_t *region[2];
	unsigned i;

	/* Each by itself: what leaves one is seen. */
	for (i = 0; i < 2; i++) {
		size_t n = size > i * REGION ? MPN_MIN(size - i * REGION, (size_t)REGION) : 0;

		region[i] = aligned_alloc(REGION, REGION);
		MUST(region[i] != NULL);
		memset(region[i], 0, REGION);
		if (n > 0)
			memcpy(region[i], data + i * REGION, n);
		mem.regions[i] = (struct guest_region){i * REGION, REGION, region[i]};
	}
	mem.nb = 2;
	MUST(split_init(&ring, region[0], region[0] + AVAIL_AT, region[0] + USED_AT, RING, 0, 0) ==
		0);
	ring.indirect = true;
	ring.event_idx = size % 2;
	serve(&ring);
	free(region[0]);
	free(region[1]);
	return 0;
}
