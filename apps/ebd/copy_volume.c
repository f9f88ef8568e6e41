/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The end of a copy that is a volume. */

#include <errno.h>
#include <string.h>

#include "copy.h"

/* Asking for zeroes is a request of its own: fewer than these go along with the data around them. */
#define VOLUME_MIN_ZERO (32u << 10)

static void
on_done(struct ebd_io *io, int status, void *arg)
{
	copy_slot_done(arg, status);
}

static int
submit(struct copy_end *e, struct copy_slot *s)
{
	struct ebd_io *io = &s->io;
	unsigned i = e->nb_more > 0 ? (unsigned)(s - s->pipe->slots) % (e->nb_more + 1) : 0;

	ebd_io_set_callback(io, on_done, s);
	return ebd_submit_burst(i == 0 ? e->q : e->more[i - 1], &io, 1) == 1 ? COPY_PENDING
									     : -errno;
}

static uint32_t
round_up(const struct copy_end *e, uint32_t len)
{
	return (len + e->block - 1) / e->block * e->block;
}

static int
volume_read(struct copy_end *e, struct copy_slot *s, char *buf, uint32_t len, uint64_t off)
{
	ebd_prep_read(&s->io, buf, round_up(e, len), off);
	return submit(e, s);
}

static int
volume_write(struct copy_end *e, struct copy_slot *s, const char *buf, uint32_t len, uint64_t off)
{
	ebd_prep_write(&s->io, buf, round_up(e, len), off, 0);
	return submit(e, s);
}

static int
volume_zero(struct copy_end *e, struct copy_slot *s, uint64_t len, uint64_t off)
{
	ebd_prep_write_zeroes(&s->io, off, (len + e->block - 1) / e->block * e->block, 0);
	return submit(e, s);
}

static int
volume_flush(struct copy_end *e)
{
	return ebd_flush(e->q);
}

static void
volume_close(struct copy_end *e)
{
	while (e->nb_more > 0)
		ebd_queue_close(e->more[--e->nb_more]);
	ebd_queue_close(e->q);
	e->q = NULL;
}

static const struct copy_end_ops volume_ops = {
	.read = volume_read,
	.write = volume_write,
	.zero = volume_zero,
	.flush = volume_flush,
	.close = volume_close,
};

void
copy_volume_init(struct copy_end *e, const char *name, struct ebd_queue *q)
{
	struct ebd_info info;

	ebd_queue_info(q, &info);
	memset(e, 0, sizeof(*e));
	e->ops = &volume_ops;
	e->name = name;
	e->size = info.size;
	e->block = info.block_size;
	e->min_zero = VOLUME_MIN_ZERO;
	e->can_zero = info.can_write_zeroes;
	e->can_flush = info.can_flush;
	e->fd = -1;
	e->q = q;
}

void
copy_volume_add(struct copy_end *e, struct ebd_queue *q)
{
	e->more[e->nb_more++] = q;
}

int
copy_end_poll(struct copy_end *e)
{
	int n = e->q != NULL ? ebd_poll(e->q, 0) : 0, rc;
	unsigned i;

	for (i = 0; i < e->nb_more && n >= 0; i++) {
		rc = ebd_poll(e->more[i], 0);
		n = rc < 0 ? rc : n + rc;
	}
	return n;
}
