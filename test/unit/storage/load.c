/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "load.h"

#define FENCE 64
#define FENCED 0x5a
#define GIVEN_BACK 0x77

static uint8_t *
buffer(const struct load *l, unsigned i)
{
	return l->mem + i * (l->bs + 2 * FENCE) + FENCE;
}

static void
assert_all(const uint8_t *at, uint32_t len, uint8_t value)
{
	assert_int_equal(at[0], value);
	assert_memory_equal(at, at + 1, len - 1);
}

static void
give_rest(struct load *l, unsigned i)
{
	memset(buffer(l, i), GIVEN_BACK, l->bs);
	l->resting[(l->first + l->nb++) % BUFFERS] = i;
}

void
load_start_read(struct load *l)
{
	unsigned nb = (unsigned)(l->b->size / l->bs), i = l->resting[l->first];

	l->first = (l->first + 1) % BUFFERS;
	l->nb--;
	l->left--;
	assert_all(buffer(l, i), l->bs, GIVEN_BACK);
	l->bufs[i] = (struct st_buffer){.data = buffer(l, i), .len = l->bs};
	l->reqs[i] = (struct st_request){.bufs = &l->bufs[i],
		.nb_bufs = 1,
		.op = WIRE_READ,
		.addr = (uint64_t)(l->left * 7919u % nb) * l->bs,
		.len = l->bs,
		.user = (void *)(uintptr_t)i};
	bed_xmit(l->b, &l->reqs[i]);
}

static void
end_read(struct bed *b, struct st_request *req, struct st_buffer *buf)
{
	struct load *l = b->arg;

	l->done++;
	if (req->status != 0)
		l->failed++;
	else
		assert_memory_equal(buf->data, b->disk + req->addr, req->len);
	give_rest(l, (unsigned)(uintptr_t)req->user);
	if (l->left > 0)
		load_start_read(l);
}

void
load_begin(struct load *l, struct bed *b, uint32_t bs, unsigned depth, unsigned count)
{
	size_t bytes = BUFFERS * (size_t)(bs + 2 * FENCE);

	*l = (struct load){.b = b, .bs = bs, .left = count};
	l->mem = st_arena_alloc(b->nics[0], bytes, 0);
	assert_non_null(l->mem);
	memset(l->mem, FENCED, bytes);
	for (unsigned i = 0; i < BUFFERS; i++)
		give_rest(l, i);
	b->arg = l;
	b->on_complete = end_read;
	for (unsigned i = 0; i < depth && l->left > 0; i++)
		load_start_read(l);
}

/* Another round over the same memory. */
void
load_run(struct load *l, unsigned depth, unsigned count)
{
	unsigned want = l->done + count;

	l->left = count;
	for (unsigned i = 0; i < depth && l->left > 0; i++)
		load_start_read(l);
	bed_poll_until(l->b, l->done == want);
}

void
load_end(struct load *l)
{
	for (unsigned i = 0; i < BUFFERS; i++) {
		assert_all(buffer(l, i) - FENCE, FENCE, FENCED);
		assert_all(buffer(l, i), l->bs, GIVEN_BACK);
		assert_all(buffer(l, i) + l->bs, FENCE, FENCED);
	}
	st_arena_free(l->mem);
	l->b->on_complete = NULL;
}

struct bed *
load_make_bed(unsigned pairs, uint16_t mtu)
{
	struct bed *b = bed_create(&(struct bed_conf){.mtu = mtu,
		.virtio = true,
		.mapped = true,
		.place = pairs,
		.depth = 64,
		.fail_after_ns = 300 * XFER_NSEC_PER_SEC / 1000,
		.placement = DEV_ST_PLACE_IN});

	/* The driver tells of the queue a moment after the link. */
	bed_poll_until(b, nic_peer_has_data_queue(b->nics[1]));
	return b;
}

const struct xfer_place_stats *
load_stats(struct bed *b)
{
	return st_place_stats(b->st[0]);
}

unsigned
load_in_ring(struct bed *b)
{
	return nic_post_pairs(mpn_nic_post(b->nics[0]));
}

/* Pages of requests in the ring, or on their way back. */
unsigned
load_posted(struct bed *b)
{
	unsigned nb = 0;

	for (uint32_t i = 0; i < b->dev->nb_cmds; i++)
		nb += (unsigned)__builtin_popcountll(b->dev->cmds[i].placed.posted);
	return nb;
}

/* In per cent of count reads. */
unsigned
load_share_in_place(struct load *l, unsigned depth, unsigned count)
{
	struct st_copy_stats before = *bed_copies(l->b, 0), after;

	load_run(l, depth, count);
	after = *bed_copies(l->b, 0);
	assert_int_equal(after.wire - before.wire, (uint64_t)count * l->bs);
	assert_int_equal(after.in_place - before.in_place + after.copied - before.copied,
		(uint64_t)count * l->bs);
	assert_int_equal(load_posted(l->b), 0);
	return (unsigned)((after.in_place - before.in_place) * 100 / ((uint64_t)count * l->bs));
}

/* Whatever it was, it passes. */
void
load_assert_in_place_again(struct load *l, unsigned depth)
{
	struct mpn_nic_info info[2];

	/* The link may have been taken down. */
	bed_poll_until(l->b, (mpn_nic_get_info(l->b->nics[0], &info[0]),
				     mpn_nic_get_info(l->b->nics[1], &info[1]),
				     info[0].link_up && info[1].link_up &&
					     nic_peer_has_data_queue(l->b->nics[1])));
	l->b->dev->ini->conf.probe_ns = 10 * XFER_NSEC_PER_SEC;
	for (unsigned round = 0; round < 20; round++) {
		if (load_share_in_place(l, depth, 1000) >= 95)
			return;
	}
	fail_msg("reads are still copied");
}

void
load_hold(struct load *l, unsigned nb)
{
	l->b->hold = true;
	l->left = nb;
	for (unsigned i = 0; i < nb; i++)
		load_start_read(l);
	bed_poll_until(l->b, l->b->nb_held == nb);
	assert_true(load_posted(l->b) > 0);
}
