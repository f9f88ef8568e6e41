/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy.h"

#define ZERO_GRAN 4096 /* zeroes are looked for in blocks of at least so many bytes */
#define HOLE_MAX (32ull << 20) /* of a hole handled at once, so that progress is seen */

/* ---- Memory ---- */

int
copy_pipe_init(struct copy_pipe *p)
{
	size_t per_slot = (size_t)p->request_size * (p->verify ? 2 : 1);
	unsigned i;

	mpn_list_init(&p->free);
	mpn_list_init(&p->ready);
	p->slots = calloc(p->depth, sizeof(*p->slots));
	if (p->tool->client != NULL)
		p->memory = ebd_arena_alloc(p->tool->client, per_slot * p->depth);
	p->memory_is_arena = p->memory != NULL;
	/* Other memory does as well, at the price of a copy. */
	if (p->memory == NULL)
		p->memory = aligned_alloc(4096, (per_slot * p->depth + 4095) / 4096 * 4096);
	if (p->slots == NULL || p->memory == NULL) {
		copy_pipe_fini(p);
		return -ENOMEM;
	}
	for (i = 0; i < p->depth; i++) {
		struct copy_slot *s = &p->slots[i];

		s->pipe = p;
		s->buf = p->memory + per_slot * i;
		s->check = p->verify ? s->buf + p->request_size : NULL;
		s->step = COPY_FREE;
		mpn_list_add_tail(&p->free, &s->node);
	}
	if (p->start % MPN_MAX(p->src->block, p->dst->block) != 0 && p->start != p->src->size) {
		copy_pipe_fini(p);
		return -EINVAL;
	}
	copy_map_init(&p->map, p->sparse && !p->verify ? p->src->fd : -1, p->src->size,
		MPN_MAX(p->dst->block, ZERO_GRAN));
	p->map.off = p->start;
	p->done_bytes = p->start;
	return 0;
}

void
copy_pipe_fini(struct copy_pipe *p)
{
	if (p->memory_is_arena)
		ebd_arena_free(p->memory);
	else
		free(p->memory);
	free(p->slots);
	p->memory = NULL;
	p->slots = NULL;
}

uint64_t
copy_pipe_low(const struct copy_pipe *p)
{
	uint64_t low = p->map.off;
	unsigned i;

	for (i = 0; i < p->depth; i++) {
		const struct copy_slot *s = &p->slots[i];

		if (s->step != COPY_FREE)
			low = MPN_MIN(low, s->piece.off);
	}
	return low;
}

/* ---- Steps of a slot ---- */

static void MPN_PRINTF(3, 4) fail(struct copy_pipe *p, int error, const char *fmt, ...)
{
	va_list ap;

	if (p->error != 0)
		return;
	p->error = error;
	va_start(ap, fmt);
	(void)vsnprintf(p->error_text, sizeof(p->error_text), fmt, ap);
	va_end(ap);
}

static int
do_read(struct copy_pipe *p, struct copy_slot *s)
{
	if (s->piece.hole)
		return 0;
	return p->src->ops->read(p->src, s, s->buf, (uint32_t)s->piece.len, s->piece.off);
}

/* The last block of a volume may be longer than what is left of a file: fill it up with zeroes. */
static void
pad_block(const struct copy_pipe *p, struct copy_slot *s)
{
	uint32_t over = (uint32_t)(s->run % p->dst->block);

	if (over != 0)
		memset(s->buf + s->stored + s->run, 0, p->dst->block - over);
}

static int
do_store(struct copy_pipe *p, struct copy_slot *s)
{
	uint64_t off = s->piece.off + s->stored;
	uint64_t left = s->piece.len - s->stored;
	bool zero = s->piece.hole;
	int rc;

	s->run = left;
	if (p->sparse && !zero)
		s->run = copy_run(s->buf + s->stored, (uint32_t)left,
			MPN_MAX(p->dst->block, ZERO_GRAN), p->dst->min_zero, &zero);
	if (!zero) {
		pad_block(p, s);
		return p->dst->ops->write(p->dst, s, s->buf + s->stored, (uint32_t)s->run, off);
	}
	rc = p->dst->ops->zero(p->dst, s, s->run, off);
	if (rc >= 0)
		p->zero_bytes += s->run;
	return rc;
}

static int
do_check(struct copy_pipe *p, struct copy_slot *s)
{
	return p->dst->ops->read(p->dst, s, s->check, (uint32_t)s->piece.len, s->piece.off);
}

static int
do_compare(struct copy_pipe *p, struct copy_slot *s)
{
	uint64_t i;

	if (memcmp(s->buf, s->check, s->piece.len) == 0)
		return 0;
	for (i = 0; s->buf[i] == s->check[i]; i++)
		;
	fail(p, -EILSEQ, "%s and %s differ at byte %" PRIu64, p->src->name, p->dst->name,
		s->piece.off + i);
	return -EILSEQ;
}

static const struct {
	const char *doing; /* for error lines */
	int (*run)(struct copy_pipe *p, struct copy_slot *s);
} steps[COPY_STEPS] = {
	[COPY_READ] = {"reading", do_read},
	[COPY_STORE] = {"writing", do_store},
	[COPY_CHECK] = {"reading back", do_check},
	[COPY_COMPARE] = {"comparing", do_compare},
};

/* The step is done: choose the next one. */
static void
leave_step(struct copy_pipe *p, struct copy_slot *s)
{
	switch (s->step) {
	case COPY_READ:
		s->step = p->verify ? COPY_CHECK : COPY_STORE;
		return;
	case COPY_STORE:
		s->stored += s->run;
		p->done_bytes += s->run;
		s->step = s->stored < s->piece.len ? COPY_STORE : COPY_FREE;
		return;
	case COPY_CHECK:
		s->step = COPY_COMPARE;
		return;
	default:
		p->done_bytes += s->piece.len;
		s->step = COPY_FREE;
		return;
	}
}

static void
fail_slot(struct copy_pipe *p, const struct copy_slot *s, int error)
{
	const struct copy_end *e = s->step == COPY_READ ? p->src : p->dst;

	fail(p, error, "%s %s at byte %" PRIu64 ": %s", steps[s->step].doing, e->name,
		s->piece.off + s->stored,
		error == -ENODATA ? "the file has become shorter" : strerror(-error));
}

/* Go on with a slot until it has to wait. The slot is on no list. */
static void
advance(struct copy_pipe *p, struct copy_slot *s)
{
	while (s->step != COPY_FREE) {
		int rc = steps[s->step].run(p, s);

		if (rc == COPY_PENDING)
			return;
		if (rc == -EAGAIN) {
			mpn_list_add_tail(&p->ready, &s->node);
			return;
		}
		if (rc != 0) {
			fail_slot(p, s, rc);
			return;
		}
		leave_step(p, s);
	}
	p->busy--;
	mpn_list_add_tail(&p->free, &s->node);
}

void
copy_slot_done(struct copy_slot *s, int status)
{
	struct copy_pipe *p = s->pipe;

	s->status = status;
	if (status != 0) {
		fail_slot(p, s, status);
		return;
	}
	leave_step(p, s);
	mpn_list_add_tail(&p->ready, &s->node);
}

/* ---- Rounds ---- */

static struct copy_slot *
take_first(struct mpn_list *list)
{
	struct mpn_list *node = list->next;

	mpn_list_del(node);
	return mpn_list_entry(node, struct copy_slot, node);
}

/* Put free slots to work on the next pieces. */
static unsigned
start_slots(struct copy_pipe *p)
{
	unsigned n = 0;

	while (p->error == 0 && !mpn_list_empty(&p->free)) {
		struct copy_piece piece;
		struct copy_slot *s;

		if (!copy_map_next(&p->map, p->request_size, HOLE_MAX, &piece))
			break;
		s = take_first(&p->free);
		s->piece = piece;
		s->stored = 0;
		s->step = COPY_READ;
		p->busy++;
		advance(p, s);
		n++;
	}
	return n;
}

/* Go on with the slots that were ready when the round began: those that find a full queue wait. */
static unsigned
run_ready(struct copy_pipe *p)
{
	struct mpn_list now;
	unsigned n = 0;

	mpn_list_init(&now);
	mpn_list_splice_tail(&now, &p->ready);
	while (!mpn_list_empty(&now)) {
		struct copy_slot *s = take_first(&now);

		advance(p, s);
		n++;
	}
	return n;
}

static unsigned
poll_end(struct copy_pipe *p, struct copy_end *e)
{
	int n;

	n = copy_end_poll(e);
	if (n < 0)
		fail(p, n, "%s: the session is gone: %s", e->name, strerror(-n));
	return n > 0 ? (unsigned)n : 0;
}

int
copy_pipe_run(struct copy_pipe *p)
{
	while (p->done_bytes < p->src->size) {
		unsigned work = tool_poll_server(p->tool);

		if (p->side != NULL)
			work += tool_poll_server(p->side);
		work += start_slots(p);
		work += run_ready(p);
		work += poll_end(p, p->src);
		work += poll_end(p, p->dst);
		if (p->error != 0)
			return p->error;
		if (tool_interrupted())
			return -EINTR;
		if (p->resume != NULL)
			(void)copy_resume_note(p->resume, p->dst, copy_pipe_low(p), false);
		progress_update(p->progress, p->done_bytes, ebd_now_ns());
		if (p->tool->client != NULL)
			ebd_client_idle(p->tool->client, work);
	}
	return 0;
}
