/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Requests of the cow filter, each in runs of clusters that are treated alike, one run at a time:
 *
 *	READ     from the overlay what is there, from below what is not
 *	WRITE    clusters that are there, and whole new ones: to the overlay
 *	         a part of a new one: the whole cluster is read from below, changed, written
 *
 * Who puts a cluster in has it for itself: a write to a cluster that another request puts in waits, or
 * the older data of the one that copies would go over it.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cow.h"
#include "volume_util.h"

static void go_on(struct cow_slot *slot);

int
cow_io_init(struct cow_priv *p)
{
	unsigned i;

	mpn_list_init(&p->free);
	mpn_list_init(&p->blocked);
	mpn_list_init(&p->ended);
	mpn_list_init(&p->flush_wait);
	mpn_list_init(&p->flush_run);
	p->bounce_mem = mmap(NULL, (size_t)COW_DEPTH * p->cluster, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->bounce_mem == MAP_FAILED) {
		p->bounce_mem = NULL;
		return -ENOMEM;
	}
	for (i = 0; i < COW_DEPTH; i++) {
		p->slots[i].p = p;
		p->slots[i].bounce = p->bounce_mem + (size_t)i * p->cluster;
		mpn_list_add_tail(&p->free, &p->slots[i].node);
	}
	return 0;
}

void
cow_io_fini(struct cow_priv *p)
{
	if (p->bounce_mem != NULL)
		munmap(p->bounce_mem, (size_t)COW_DEPTH * p->cluster);
}

/* ---- Ending ---- */

static void
retry_blocked(struct cow_priv *p)
{
	struct mpn_list now;

	mpn_list_init(&now);
	mpn_list_splice_tail(&now, &p->blocked);
	while (!mpn_list_empty(&now)) {
		struct cow_slot *slot = mpn_list_first(&now, struct cow_slot, node);

		mpn_list_del(&slot->node);
		go_on(slot);
	}
}

void
cow_finish(struct cow_slot *slot, int status)
{
	struct cow_priv *p = slot->p;
	struct vol_io *io = slot->io;

	slot->io = NULL;
	mpn_list_add_head(&p->free, &slot->node);
	vol_complete(io, status);
}

/* What fails at once may do so in submit, from where nothing may be completed: poll does. */
static void
end(struct cow_slot *slot, int status)
{
	slot->nb = 0;
	slot->status = status;
	mpn_list_add_tail(&slot->p->ended, &slot->node);
}

/* ---- Runs ---- */

/* Somebody puts cluster c in. */
static bool
is_taken(const struct cow_priv *p, uint64_t c)
{
	unsigned i;

	for (i = 0; i < COW_DEPTH; i++) {
		const struct cow_slot *s = &p->slots[i];

		if (s->io != NULL && c - s->first < s->nb)
			return true;
	}
	return false;
}

static bool
covers(const struct cow_priv *p, const struct vol_io *io, uint64_t c)
{
	uint64_t start = c * p->cluster;
	uint64_t end_ = MPN_MIN(start + p->cluster, vol_get_info(p->self)->size);

	return io->off <= start && io->off + io->len >= end_;
}

/* Bytes from byte `done` on that are treated like the first of them. */
static uint64_t
find_run(const struct cow_slot *slot)
{
	const struct cow_priv *p = slot->p;
	const struct vol_io *io = slot->io;
	uint64_t pos = io->off + slot->done;
	uint64_t c = pos / p->cluster;
	bool has = cow_has(p, c);
	uint64_t end_ = (c + 1) * p->cluster;

	while (end_ < io->off + io->len) {
		c = end_ / p->cluster;
		if (cow_has(p, c) != has)
			break;
		if (io->op != VOL_READ && !has && (!covers(p, io, c) || is_taken(p, c)))
			break;
		end_ += p->cluster;
	}
	return MPN_MIN(end_, io->off + io->len) - pos;
}

static void sub_done(struct vol_io *sub, int status);

/* Send slot->sub, with op, range and memory filled in. */
static void
send(struct cow_slot *slot, struct volume *to)
{
	int rc;

	slot->sub.done = sub_done;
	slot->sub.user = slot;
	rc = vol_submit(to, &slot->sub);
	if (rc != 0)
		end(slot, rc);
}

static void
send_run(struct cow_slot *slot, bool has)
{
	struct cow_priv *p = slot->p;
	const struct vol_io *io = slot->io;
	bool to_over = has || io->op != VOL_READ;
	uint64_t pos = io->off + slot->done;
	bool puts_in = !has && io->op != VOL_READ;
	uint32_t block = vol_get_info(p->self)->block_size;
	uint64_t wanted = slot->run;
	int n = 0;

	slot->step = COW_RUN;
	/* New clusters go in as a whole; only the volume's last one may be a short one. */
	if (puts_in && wanted >= p->cluster)
		block = p->cluster;
	if (io->op == VOL_READ || io->op == VOL_WRITE) {
		n = vol_slice_io(io, slot->done, &slot->run, block, slot->iov, COW_IOV);
		if (n == 0 || (puts_in && wanted < p->cluster && slot->run != wanted)) {
			end(slot, -EINVAL);
			return;
		}
	}
	if (puts_in) {
		slot->first = pos / p->cluster;
		slot->nb = (slot->run + p->cluster - 1) / p->cluster;
	}
	slot->sub = (struct vol_io){.op = io->op == VOL_DISCARD ? VOL_WRITE_ZEROES : io->op,
		.flags = io->flags & (VOL_NOHOLE | VOL_FAST),
		.off = to_over ? p->data_off + pos : pos,
		.len = slot->run,
		.iov = n > 0 ? slot->iov : NULL,
		.iovcnt = n};
	send(slot, to_over ? p->over : vol_lower(p->self));
}

/* Read a cluster that is about to be changed in part. */
static void
start_copy(struct cow_slot *slot, uint64_t c)
{
	struct cow_priv *p = slot->p;
	uint64_t start = c * p->cluster;
	uint64_t len = MPN_MIN((uint64_t)p->cluster, vol_get_info(p->self)->size - start);

	if ((slot->io->flags & VOL_FAST) != 0) {
		end(slot, -EOPNOTSUPP);
		return;
	}
	slot->step = COW_COPY_READ;
	slot->first = c;
	slot->nb = 1;
	slot->iov[0] = (struct iovec){slot->bounce, len};
	slot->sub = (struct vol_io){
		.op = VOL_READ, .off = start, .len = len, .iov = slot->iov, .iovcnt = 1};
	send(slot, vol_lower(p->self));
}

static void
write_copy(struct cow_slot *slot)
{
	struct cow_priv *p = slot->p;
	const struct vol_io *io = slot->io;
	uint64_t pos = io->off + slot->done;
	char *at = slot->bounce + pos % p->cluster;
	uint64_t len = slot->iov[0].iov_len;

	if (io->op == VOL_WRITE)
		vol_copy_io(io, slot->done, at, slot->run, false);
	else
		memset(at, 0, slot->run);
	p->copied_up++;
	slot->step = COW_COPY_WRITE;
	slot->sub = (struct vol_io){.op = VOL_WRITE,
		.off = p->data_off + slot->first * p->cluster,
		.len = len,
		.iov = slot->iov,
		.iovcnt = 1};
	send(slot, p->over);
}

/* Start the next run. The slot is on no list. */
static void
go_on(struct cow_slot *slot)
{
	struct cow_priv *p = slot->p;
	const struct vol_io *io = slot->io;
	uint64_t c = (io->off + slot->done) / p->cluster;
	bool has = cow_has(p, c);

	if (!has && io->op != VOL_READ && is_taken(p, c)) {
		mpn_list_add_tail(&p->blocked, &slot->node);
		return;
	}
	slot->run = find_run(slot);
	if (has || io->op == VOL_READ || covers(p, io, c)) {
		send_run(slot, has);
		return;
	}
	slot->run = MPN_MIN(slot->run, (c + 1) * p->cluster - (io->off + slot->done));
	start_copy(slot, c);
}

static void
sub_done(struct vol_io *sub, int status)
{
	struct cow_slot *slot = sub->user;
	struct cow_priv *p = slot->p;
	bool put_in = slot->nb > 0;

	if (status == 0 && slot->step == COW_COPY_READ) {
		write_copy(slot);
		return;
	}
	if (put_in && status == 0)
		cow_map_set(p, slot->first, slot->nb);
	slot->nb = 0;
	slot->done += slot->run;
	if (status != 0 || slot->done == slot->io->len)
		cow_finish(slot, status);
	else
		go_on(slot);
	if (put_in)
		retry_blocked(p);
}

/* ---- The layer's calls ---- */

int
cow_submit(struct volume *v, struct vol_io *io)
{
	struct cow_priv *p = vol_priv(v);
	struct cow_slot *slot;

	if (mpn_list_empty(&p->free))
		return -EAGAIN;
	slot = mpn_list_first(&p->free, struct cow_slot, node);
	mpn_list_del(&slot->node);
	slot->io = io;
	slot->done = 0;
	slot->nb = 0;
	if (io->op != VOL_FLUSH) {
		go_on(slot);
		return 0;
	}
	vol_count_sync(v);
	cow_flush(p, slot);
	return 0;
}

unsigned
cow_poll(struct volume *v)
{
	struct cow_priv *p = vol_priv(v);
	struct mpn_list now;
	unsigned n = 0;

	mpn_list_init(&now);
	mpn_list_splice_tail(&now, &p->ended);
	while (!mpn_list_empty(&now)) {
		struct cow_slot *slot = mpn_list_first(&now, struct cow_slot, node);

		mpn_list_del(&slot->node);
		cow_finish(slot, slot->status);
		n++;
	}
	/* What failed may have had a cluster for itself. */
	if (n > 0)
		retry_blocked(p);
	return n + vol_poll(p->over);
}

uint64_t
cow_next_ns(struct volume *v)
{
	struct cow_priv *p = vol_priv(v);

	return mpn_list_empty(&p->ended) ? vol_next_ns(p->over) : 0;
}
