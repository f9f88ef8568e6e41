/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Requests of a device: out of the rings, to the volume, back. */

#include <string.h>

#include "device_int.h"

#define BURST 32
#define TAKE_MAX 64 /* of one queue in one round: the others have a turn, too */

/* ---- Giving back ---- */

static void
release(struct device *d, struct request *req)
{
	req->queue->in_flight--;
	d->in_flight--;
	mpn_list_add_head(&d->free_requests, &req->node);
}

/* answer: a VIRTIO_BLK_S_ status, or negative: there is no place for one. */
static void
finish(struct device *d, struct request *req, int answer)
{
	struct queue *q = req->queue;
	unsigned queue = (unsigned)(q - d->queues);
	uint16_t head = req->chain.head;

	if (answer >= 0)
		*req->blk.status = (uint8_t)answer;
	if (d->log.ending != NULL)
		d->log.ending(d->log.arg, queue, head);
	split_give(&q->ring, head, answer >= 0 ? req->blk.written : 0);
	if (d->log.ended != NULL)
		d->log.ended(d->log.arg, queue, head, q->ring.next_used);
	q->dirty = true;
	release(d, req);
}

/* Nobody is told: it is still to be done. */
static void
keep_for_later(struct device *d, struct request *req)
{
	struct queue *q = req->queue;

	/* Those that were taken from the list make room: it never has more than were in flight. */
	q->nb_redo -= q->next_redo;
	memmove(q->redo, q->redo + q->next_redo, q->nb_redo * sizeof(*q->redo));
	q->next_redo = 0;
	q->redo[q->nb_redo++] = req->chain.head;
	release(d, req);
}

/* ---- To the volume and back ---- */

static void advance(struct device *d, struct request *req);

static void
on_part_done(struct ebd_io *io, int status, void *arg)
{
	struct part *p = arg;
	struct device *d = p->device;
	struct request *req = p->req;

	mpn_list_add_head(&d->free_parts, &p->node);
	if (d->abandoning && status == -ECANCELED)
		req->abandoned = true;
	if (req->status == 0)
		req->status = status;
	if (--req->parts > 0)
		return;
	mpn_list_del(&req->node);
	advance(d, req);
}

static struct part *
get_part(struct device *d, struct request *req)
{
	struct part *p;

	if (mpn_list_empty(&d->free_parts)) {
		mpn_list_add_tail(&d->waiting, &req->node);
		return NULL;
	}
	p = mpn_list_first(&d->free_parts, struct part, node);
	mpn_list_del(&p->node);
	p->req = req;
	return p;
}

static void
queue_part(struct device *d, struct part *p)
{
	ebd_io_set_callback(&p->io, on_part_done, p);
	p->req->parts++;
	mpn_list_add_tail(&d->unsent, &p->node);
}

static void
prepare(struct part *p)
{
	const struct blk_part *c = &p->cut;

	switch (p->req->blk.op) {
	case BLK_READ:
		ebd_prep_readv(&p->io, c->iov, c->iovcnt, c->off);
		break;
	case BLK_WRITE:
		ebd_prep_writev(&p->io, c->iov, c->iovcnt, c->off, c->flags);
		break;
	case BLK_DISCARD:
		ebd_prep_discard(&p->io, c->off, c->len);
		break;
	case BLK_ZERO:
		ebd_prep_write_zeroes(&p->io, c->off, c->len, c->flags);
		break;
	case BLK_FLUSH:
		ebd_prep_flush(&p->io);
		break;
	}
}

/* Make the parts there is room for. False: it waits for room. */
static bool
cut_request(struct device *d, struct request *req)
{
	struct part *p;
	int rc;

	while (!req->cut && req->status == 0) {
		p = get_part(d, req);
		if (p == NULL)
			return false;
		rc = blk_cut(&req->blk, d->limits.info.block_size, &p->cut);
		if (rc == 1) {
			prepare(p);
			queue_part(d, p);
			continue;
		}
		mpn_list_add_head(&d->free_parts, &p->node);
		req->status = rc;
		req->cut = true;
	}
	return true;
}

/* One step further, whatever is next: parts, a flush, the answer. */
static void
advance(struct device *d, struct request *req)
{
	struct part *p;

	if (!cut_request(d, req) || req->parts > 0)
		return;
	if (req->status == 0 && req->blk.flush_after) {
		p = get_part(d, req);
		if (p == NULL)
			return;
		req->blk.flush_after = false;
		ebd_prep_flush(&p->io);
		queue_part(d, p);
		return;
	}
	if (req->abandoned && d->keep) {
		keep_for_later(d, req);
		return;
	}
	if (req->status != 0)
		d->stats.errors++;
	finish(d, req, blk_status(req->status));
}

/* Parts have come back: those who wait may have them. */
static void
resume_waiting(struct device *d)
{
	struct request *req;

	while (!mpn_list_empty(&d->waiting) && !mpn_list_empty(&d->free_parts)) {
		req = mpn_list_first(&d->waiting, struct request, node);
		mpn_list_del(&req->node);
		advance(d, req);
	}
}

static void
fail_first(struct device *d, int status)
{
	struct part *p = mpn_list_first(&d->unsent, struct part, node);

	mpn_list_del(&p->node);
	on_part_done(&p->io, status, p);
}

void
device_fail_waiting(struct device *d, int status)
{
	while (!mpn_list_empty(&d->unsent) || !mpn_list_empty(&d->waiting)) {
		if (!mpn_list_empty(&d->unsent))
			fail_first(d, status);
		else
			resume_waiting(d);
	}
	device_call_guests(d);
}

/* What is in flight ends with -ECANCELED. */
static void
close_volume(struct device *d, bool keep)
{
	d->abandoning = true;
	d->keep = keep;
	if (d->volume != NULL)
		ebd_queue_close(d->volume);
	d->volume = NULL;
}

/* The queue is dead: with another one everything is done again. */
static void
lose_volume(struct device *d)
{
	close_volume(d, true);
	d->abandoning = false;
}

bool
device_wants_volume(const struct device *d)
{
	return d->volume == NULL && !mpn_list_empty(&d->unsent);
}

void
device_abandon(struct device *d, bool keep)
{
	close_volume(d, keep);
	device_fail_waiting(d, -ECANCELED);
	d->abandoning = false;
}

static unsigned
submit_burst(struct device *d)
{
	struct ebd_io *ios[BURST];
	struct mpn_list *node;
	unsigned n = 0, taken, i;
	int err;

	mpn_list_for_each(node, &d->unsent) {
		ios[n++] = &mpn_list_entry(node, struct part, node)->io;
		if (n == BURST)
			break;
	}
	taken = ebd_submit_burst(d->volume, ios, n);
	err = taken < n ? errno : 0;
	for (i = 0; i < taken; i++)
		mpn_list_del(d->unsent.next);
	if (err == ENODEV)
		lose_volume(d);
	else if (err != 0 && err != EAGAIN)
		fail_first(d, -err);
	return err == EAGAIN ? 0 : taken;
}

static void
submit(struct device *d)
{
	while (d->volume != NULL && !mpn_list_empty(&d->unsent)) {
		if (submit_burst(d) == 0)
			break;
	}
}

/* ---- Taking ---- */

static void
count(struct device *d, enum blk_op op)
{
	uint64_t *counters[] = {
		[BLK_READ] = &d->stats.reads,
		[BLK_WRITE] = &d->stats.writes,
		[BLK_FLUSH] = &d->stats.flushes,
		[BLK_DISCARD] = &d->stats.discards,
		[BLK_ZERO] = &d->stats.zeroes,
	};

	(*counters[op])++;
}

static void
begin(struct device *d, struct queue *q, uint16_t head)
{
	struct request *req = mpn_list_first(&d->free_requests, struct request, node);
	int rc;

	mpn_list_del(&req->node);
	req->queue = q;
	req->parts = 0;
	req->status = 0;
	req->cut = false;
	req->abandoned = false;
	q->in_flight++;
	d->in_flight++;
	if (d->log.begin != NULL)
		d->log.begin(d->log.arg, (unsigned)(q - d->queues), head);
	rc = split_walk(&q->ring, &d->mem, head, &req->chain);
	rc = blk_parse(&req->chain, rc, &d->limits, &req->blk);
	if (rc == -1) {
		count(d, req->blk.op);
		advance(d, req);
		return;
	}
	if (rc == -EPROTO)
		d->stats.bad_chains++;
	else
		d->stats.refused++;
	finish(d, req, rc == -EPROTO ? -1 : rc);
}

static int
next_head(struct device *d, struct queue *q, uint16_t *head)
{
	int rc;

	if (q->next_redo < q->nb_redo) {
		*head = q->redo[q->next_redo++];
		d->stats.redone++;
		return 1;
	}
	q->next_redo = 0;
	q->nb_redo = 0;
	rc = split_take(&q->ring, head);
	if (rc == -EPROTO) {
		q->broken = true;
		d->stats.broken_rings++;
		return 0;
	}
	return rc;
}

static unsigned
take(struct device *d, struct queue *q)
{
	uint16_t head;
	unsigned n;
	int rc;

	for (n = 0; n < TAKE_MAX && !mpn_list_empty(&d->free_requests); n++) {
		rc = next_head(d, q, &head);
		if (rc == 0)
			break;
		if (rc == 1)
			begin(d, q, head);
		else
			d->stats.bad_chains++;
	}
	return n;
}

unsigned
device_poll(struct device *d, bool take_new)
{
	unsigned i, work = 0;
	struct queue *q;
	int rc;

	for (i = 0; take_new && i < d->nb_queues; i++) {
		q = &d->queues[(d->turn + i) % d->nb_queues];
		if (q->started && !q->broken)
			work += take(d, q);
	}
	d->turn++;
	resume_waiting(d);
	submit(d);
	if (d->volume != NULL) {
		rc = ebd_poll(d->volume, 0);
		if (rc < 0)
			lose_volume(d);
		else
			work += (unsigned)rc;
	}
	device_call_guests(d);
	return work;
}
