/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>

#include "clock.h"

void
clock_reset(struct sim_clock *c, uint64_t now)
{
	c->now = now;
	c->seq = 0;
	c->n = 0;
}

void
clock_free(struct sim_clock *c)
{
	free(c->heap);
	c->heap = NULL;
	c->cap = 0;
}

static bool
is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void
clock_at(struct sim_clock *c, uint64_t at, sim_event_fn fn, void *arg, uint64_t aux)
{
	struct sim_event ev = {at < c->now ? c->now : at, c->seq++, fn, arg, aux};
	uint32_t i, up;

	if (c->n == c->cap) {
		c->cap = c->cap == 0 ? 1024 : c->cap * 2;
		c->heap = realloc(c->heap, c->cap * sizeof(*c->heap));
		if (c->heap == NULL)
			abort();
	}
	for (i = c->n++; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!is_before(&ev, &c->heap[up]))
			break;
		c->heap[i] = c->heap[up];
	}
	c->heap[i] = ev;
}

bool
clock_next(struct sim_clock *c, struct sim_event *ev)
{
	struct sim_event last;
	uint32_t i, child;

	if (c->n == 0)
		return false;
	*ev = c->heap[0];
	c->now = ev->at;
	last = c->heap[--c->n];
	for (i = 0; (child = 2 * i + 1) < c->n; i = child) {
		if (child + 1 < c->n && is_before(&c->heap[child + 1], &c->heap[child]))
			child++;
		if (!is_before(&c->heap[child], &last))
			break;
		c->heap[i] = c->heap[child];
	}
	c->heap[i] = last;
	return true;
}
