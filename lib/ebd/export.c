/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * From a command of the target to requests of a volume, and what a volume cannot do itself:
 *
 *   FUA           on a volume without it: the write, then a flush
 *   WRITE_ZEROES  on a volume without it: zeroes are written, unless FAST forbids to
 */

#include <stdlib.h>
#include <string.h>

#include "server_int.h"

#define ZERO_BYTES EXPORT_MAX_BLOCK
#define ZERO_PIECES 16 /* a step of WRITE_ZEROES by hand is 1 MiB */
#define MAX_ZEROES (64u << 20) /* bytes a command may cover: bounds how long it takes */

/* The same page of zeroes, many times over. O_DIRECT wants it aligned. */
static uint8_t zeroes[ZERO_BYTES] __attribute__((aligned(4096)));
static struct iovec zero_iov[ZERO_PIECES + 1];

static void start(struct export_io *io);

/* ---- Descriptors ---- */

int
export_ios_init(struct ebd_server *s, unsigned nb)
{
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(zero_iov); i++)
		zero_iov[i] = (struct iovec){zeroes, ZERO_BYTES};
	s->nb_ios = nb;
	s->ios = calloc(nb, sizeof(*s->ios));
	if (s->ios == NULL)
		return -ENOMEM;
	for (i = 0; i < nb; i++) {
		s->ios[i].next = s->free_ios;
		s->free_ios = &s->ios[i];
	}
	return 0;
}

/* ---- Ending ---- */

static void
count(struct ebd_server *s, struct export *e, const struct xfer_io *x, int status)
{
	s->commands++;
	if (status != 0)
		e->errors++;
	if (x->op == WIRE_READ) {
		e->reads++;
		e->read_bytes += status == 0 ? x->len : 0;
	} else if (x->op == WIRE_WRITE) {
		e->writes++;
		e->write_bytes += status == 0 ? x->len : 0;
	} else {
		e->others++;
	}
}

static void
finish(struct export_io *io, int status)
{
	struct export *e = io->export;
	struct ebd_server *s = e->server;
	struct xfer_io *x = io->xfer;

	count(s, e, x, status);
	io->next = s->free_ios;
	s->free_ios = io;
	st_target_io_done(s->target, x, status);
}

/* ---- Steps ---- */

static void
flush(struct export_io *io)
{
	io->flush_after = false;
	io->export->by_hand++;
	io->vol.op = VOL_FLUSH;
	io->vol.flags = 0;
	io->vol.off = 0;
	io->vol.len = 0;
	io->vol.iov = NULL;
	io->vol.iovcnt = 0;
	start(io);
}

/* The next piece of zeroes. Blocks are at most EXPORT_MAX_BLOCK, which divides a piece. */
static void
write_zeroes(struct export_io *io)
{
	uint64_t n = MPN_MIN(io->zero_left, (uint64_t)ZERO_PIECES * ZERO_BYTES);
	unsigned whole = (unsigned)(n / ZERO_BYTES);
	uint32_t rest = (uint32_t)(n % ZERO_BYTES);

	io->vol.op = VOL_WRITE;
	io->vol.flags = 0;
	io->vol.off = io->zero_off;
	io->vol.len = n;
	if (whole > 0) {
		/* Whole pieces first; the rest is a step of its own. */
		io->vol.len = (uint64_t)whole * ZERO_BYTES;
		io->vol.iov = zero_iov;
		io->vol.iovcnt = (int)whole;
	} else {
		io->one = (struct iovec){zeroes, rest};
		io->vol.iov = &io->one;
		io->vol.iovcnt = 1;
	}
	io->zero_off += io->vol.len;
	io->zero_left -= io->vol.len;
	start(io);
}

static void
zero_by_hand(struct export_io *io)
{
	const struct vol_info *info = vol_get_info(io->export->volume);

	io->by_hand = true;
	io->export->by_hand++;
	io->zero_off = io->xfer->addr;
	io->zero_left = io->xfer->len;
	/* One flush at the end does for all pieces. */
	io->flush_after = io->xfer->flags & WIRE_F_FUA && info->caps & VOL_CAP_FLUSH;
	write_zeroes(io);
}

static void
step(struct export_io *io, int status)
{
	if (status == -EOPNOTSUPP && io->xfer->op == WIRE_WRITE_ZEROES && !io->by_hand &&
		!(io->xfer->flags & WIRE_F_FAST))
		zero_by_hand(io);
	else if (status == 0 && io->by_hand && io->zero_left > 0)
		write_zeroes(io);
	else if (status == 0 && io->flush_after)
		flush(io);
	else
		finish(io, status);
}

static void
step_done(struct vol_io *vol, int status)
{
	step(vol->user, status);
}

static void
start(struct export_io *io)
{
	int rc = vol_submit(io->export->volume, &io->vol);

	if (rc != 0)
		step(io, rc);
}

/* ---- Starting ---- */

static const struct {
	enum vol_op op;
	bool data;
	bool known;
} ops[] = {
	[WIRE_READ] = {VOL_READ, true, true},
	[WIRE_WRITE] = {VOL_WRITE, true, true},
	[WIRE_FLUSH] = {VOL_FLUSH, false, true},
	[WIRE_DISCARD] = {VOL_DISCARD, false, true},
	[WIRE_WRITE_ZEROES] = {VOL_WRITE_ZEROES, false, true},
};

static unsigned
vol_flags(struct export_io *io)
{
	const struct vol_info *info = vol_get_info(io->export->volume);
	uint16_t wire = io->xfer->flags;
	unsigned flags = 0;

	if (wire & WIRE_F_FUA) {
		if (info->caps & VOL_CAP_FUA)
			flags |= VOL_FUA;
		else
			io->flush_after = (info->caps & VOL_CAP_FLUSH) != 0;
	}
	if (io->xfer->op == WIRE_WRITE_ZEROES) {
		flags |= wire & WIRE_F_NOHOLE ? VOL_NOHOLE : 0;
		flags |= wire & WIRE_F_FAST ? VOL_FAST : 0;
	}
	return flags;
}

static void
begin(struct ebd_server *s, struct xfer_io *x, const struct st_target_data *data)
{
	struct export_io *io = s->free_ios;

	s->free_ios = io->next;
	io->xfer = x;
	io->export = s->exports[x->export_index];
	io->by_hand = false;
	io->flush_after = false;
	io->vol.done = step_done;
	io->vol.user = io;
	if (x->op >= MPN_ARRAY_SIZE(ops) || !ops[x->op].known) {
		finish(io, -EOPNOTSUPP);
		return;
	}
	io->vol.op = ops[x->op].op;
	io->vol.flags = vol_flags(io);
	if (data->mapped) {
		/* As above, but for the flush that may be asked for. */
		step(io, 0);
		return;
	}
	io->vol.off = x->addr;
	io->vol.len = x->len;
	io->vol.iov = data->iov;
	io->vol.iovcnt = data->iovcnt;
	if (data->base != NULL) {
		io->one = (struct iovec){data->base, x->len};
		io->vol.iov = &io->one;
		io->vol.iovcnt = 1;
	}
	start(io);
}

void
export_io_start(void *user, struct xfer_io *x, const struct st_target_data *data)
{
	struct ebd_server *s = user;

	/* The data is, or is to be, in the volume's own memory: nothing is left to do. */
	if (data->mapped && !(x->flags & WIRE_F_FUA)) {
		count(s, s->exports[x->export_index], x, 0);
		st_target_io_done(s->target, x, 0);
		return;
	}
	if (mpn_likely(s->free_ios != NULL && s->wait_first == NULL)) {
		begin(s, x, data);
		return;
	}
	s->exports[x->export_index]->waits++;
	x->priv = NULL;
	if (s->wait_first == NULL)
		s->wait_first = x;
	else
		s->wait_last->priv = x;
	s->wait_last = x;
}

/* From the poll loop, not from finish(): a chain of commands that end at once must not nest. */
unsigned
export_run_waiting(struct ebd_server *s)
{
	unsigned n = 0;
	struct xfer_io *x;
	struct st_target_data data;

	while ((x = s->wait_first) != NULL && s->free_ios != NULL) {
		s->wait_first = x->priv;
		st_target_get_data(x, &data);
		begin(s, x, &data);
		n++;
	}
	return n;
}

void *
export_map(void *user, const struct xfer_io *x)
{
	struct ebd_server *s = user;

	return vol_map(s->exports[x->export_index]->volume, x->addr, x->len);
}

/* ---- What a volume is like ---- */

static const struct {
	uint32_t cap;
	uint32_t flag;
} cap_flags[] = {
	{VOL_CAP_READONLY, WIRE_VOL_READONLY},
	{VOL_CAP_FLUSH, WIRE_VOL_FLUSH},
	{VOL_CAP_DISCARD, WIRE_VOL_DISCARD},
	{VOL_CAP_ZERO_AFTER_DISCARD, WIRE_VOL_ZERO_AFTER_DISCARD},
	{VOL_CAP_ROTATIONAL, WIRE_VOL_ROTATIONAL},
};

void
export_fill_geometry(struct export *e, const char *name)
{
	const struct vol_info *info = vol_get_info(e->volume);
	struct wire_geometry *g = &e->geometry;
	unsigned i;

	memset(g, 0, sizeof(*g));
	g->size = info->size;
	g->block_size = info->block_size;
	g->phys_block = info->phys_block;
	g->max_transfer = WIRE_EBD_MAX_QUANTUM;
	g->max_zeroes = MAX_ZEROES;
	g->discard_gran = info->discard_gran;
	/* What a volume lacks of these is done by hand. */
	g->flags = WIRE_VOL_FUA;
	if (!(info->caps & VOL_CAP_READONLY))
		g->flags |= WIRE_VOL_WRITE_ZEROES;
	for (i = 0; i < MPN_ARRAY_SIZE(cap_flags); i++) {
		if (info->caps & cap_flags[i].cap)
			g->flags |= cap_flags[i].flag;
	}
	memcpy(g->uuid, info->uuid, sizeof(g->uuid));
	(void)snprintf(g->name, sizeof(g->name), "%s", name);
}
