/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A device's life, and its queues. */

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "device_int.h"

/* ---- Life ---- */

struct device *
device_create(const struct device_log *log)
{
	struct device *d = calloc(1, sizeof(*d));
	unsigned i;

	if (d == NULL)
		return mpn_err_null(ENOMEM);
	d->requests = calloc(DEVICE_REQUESTS, sizeof(*d->requests));
	d->parts = calloc(DEVICE_PARTS, sizeof(*d->parts));
	if (d->requests == NULL || d->parts == NULL) {
		device_destroy(d);
		return mpn_err_null(ENOMEM);
	}
	if (log != NULL)
		d->log = *log;
	mpn_list_init(&d->free_requests);
	mpn_list_init(&d->free_parts);
	mpn_list_init(&d->waiting);
	mpn_list_init(&d->unsent);
	for (i = 0; i < DEVICE_REQUESTS; i++)
		mpn_list_add_tail(&d->free_requests, &d->requests[i].node);
	for (i = 0; i < DEVICE_PARTS; i++) {
		d->parts[i].device = d;
		mpn_list_add_tail(&d->free_parts, &d->parts[i].node);
	}
	for (i = 0; i < DEVICE_QUEUES; i++)
		d->queues[i].call_fd = -1;
	return d;
}

void
device_destroy(struct device *d)
{
	if (d == NULL)
		return;
	free(d->requests);
	free(d->parts);
	free(d);
}

void
device_set_memory(struct device *d, const struct guest_memory *mem)
{
	d->mem = *mem;
}

void
device_set_volume(struct device *d, struct ebd_queue *q)
{
	d->volume = q;
	if (q != NULL)
		ebd_queue_info(q, &d->limits.info);
}

struct ebd_queue *
device_volume(const struct device *d)
{
	return d->volume;
}

struct blk_volume *
device_limits(struct device *d)
{
	return &d->limits;
}

unsigned
device_in_flight(const struct device *d)
{
	return d->in_flight;
}

const struct device_stats *
device_get_stats(const struct device *d)
{
	return &d->stats;
}

/* ---- Queues ---- */

bool
device_is_started(const struct device *d, unsigned queue)
{
	return queue < DEVICE_QUEUES && d->queues[queue].started;
}

void
device_set_call(struct device *d, unsigned queue, int fd)
{
	struct queue *q = &d->queues[queue];

	if (q->call_fd >= 0)
		close(q->call_fd);
	q->call_fd = fd;
}

/* Room for what the log has, and for all that may be abandoned later. */
static int
fill_redo(struct queue *q, const struct device_ring *ring)
{
	unsigned left = q->nb_redo - q->next_redo, i;
	uint16_t *redo;

	redo = malloc((left + ring->nb_redo + DEVICE_REQUESTS) * sizeof(*redo));
	if (redo == NULL)
		return -ENOMEM;
	if (left > 0)
		memcpy(redo, q->redo + q->next_redo, left * sizeof(*redo));
	free(q->redo);
	q->redo = redo;
	q->nb_redo = left;
	q->next_redo = 0;
	for (i = 0; i < ring->nb_redo; i++) {
		if (ring->redo[i] < ring->size)
			q->redo[q->nb_redo++] = ring->redo[i];
	}
	return 0;
}

int
device_start_queue(struct device *d, unsigned queue, const struct device_ring *ring)
{
	struct queue *q = &d->queues[queue];
	int rc;

	rc = split_init(&q->ring, ring->desc, ring->avail, ring->used, ring->size, ring->next_avail,
		ring->next_used);
	if (rc == 0)
		rc = fill_redo(q, ring);
	if (rc != 0) {
		if (ring->call_fd >= 0)
			close(ring->call_fd);
		return rc;
	}
	q->ring.event_idx = ring->event_idx;
	q->ring.indirect = ring->indirect;
	q->broken = false;
	q->dirty = false;
	device_set_call(d, queue, ring->call_fd);
	split_stop_kicks(&q->ring);
	d->nb_queues = MPN_MAX(d->nb_queues, queue + 1);
	q->started = true;
	return 0;
}

bool
device_stop_queue(
	struct device *d, unsigned queue, bool forget, uint16_t *next_avail, uint16_t *next_used)
{
	struct queue *q = &d->queues[queue];
	bool was = q->started;

	*next_avail = q->ring.next_avail;
	*next_used = q->ring.next_used;
	if (forget) {
		*next_avail = (uint16_t)(*next_avail - (q->nb_redo - q->next_redo));
		free(q->redo);
		q->redo = NULL;
		q->nb_redo = 0;
		q->next_redo = 0;
	}
	if (!was)
		return false;
	/* Nobody looks any more: if the guest does something, it is for who comes next. */
	(void)split_want_kicks(&q->ring);
	device_set_call(d, queue, -1);
	q->started = false;
	return true;
}

void
device_stop_kicks(struct device *d)
{
	unsigned i;

	for (i = 0; i < d->nb_queues; i++) {
		if (d->queues[i].started)
			split_stop_kicks(&d->queues[i].ring);
	}
}

bool
device_want_kicks(struct device *d)
{
	struct queue *q;
	bool busy = false;
	unsigned i;

	for (i = 0; i < d->nb_queues; i++) {
		q = &d->queues[i];
		if (q->started && !q->broken)
			busy |= split_want_kicks(&q->ring) || q->next_redo < q->nb_redo;
	}
	return busy;
}

/* Interrupt the guests that want it. */
void
device_call_guests(struct device *d)
{
	struct queue *q;
	unsigned i;

	for (i = 0; i < d->nb_queues; i++) {
		q = &d->queues[i];
		if (!q->dirty)
			continue;
		q->dirty = false;
		if (split_wants_call(&q->ring) && q->call_fd >= 0) {
			(void)eventfd_write(q->call_fd, 1);
			d->stats.calls++;
		}
	}
}
