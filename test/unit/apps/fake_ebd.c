/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_ebd.h"
#include "tool.h"

#define MAX_IN_FLIGHT 64
#define POLL_NS 1000 /* what one round takes */

enum fake_op { OP_READ, OP_WRITE, OP_ZERO, OP_DISCARD, OP_FLUSH };

struct fake_io {
	enum fake_op op;
	void *buf;
	void *lent; /* freed when it is given back */
	const struct iovec *iov; /* instead of buf */
	int iovcnt;
	uint64_t len;
	uint64_t off;
	ebd_cb cb;
	void *arg;
	bool busy;
};
_Static_assert(sizeof(struct fake_io) <= sizeof(struct ebd_io), "does not fit");

struct ebd_queue {
	char *mem;
	struct ebd_info info;
	uint64_t rng;
	struct fake_faults faults;
	struct fake_counts counts;
	unsigned nb_requests;
	unsigned nb_submits;
	unsigned nb_done;
	struct ebd_io *in_flight[MAX_IN_FLIGHT];
	unsigned nb_in_flight;
};

static uint64_t clock_ns;
static bool interrupted;

void
fake_reset(void)
{
	clock_ns = 1000000000;
	interrupted = false;
}

struct ebd_queue *
fake_queue(void *mem, uint64_t size, uint32_t block, uint64_t seed)
{
	struct ebd_queue *q = calloc(1, sizeof(*q));

	q->mem = mem;
	q->rng = seed * 2 + 1;
	q->info.size = size;
	q->info.block_size = block;
	q->info.can_flush = true;
	q->info.can_write_zeroes = true;
	return q;
}

struct fake_faults *
fake_faults(struct ebd_queue *q)
{
	return &q->faults;
}

const struct fake_counts *
fake_counts(const struct ebd_queue *q)
{
	return &q->counts;
}

/* ---- What the tool has around it ---- */

bool
tool_interrupted(void)
{
	return interrupted;
}

unsigned
tool_poll_server(struct tool *t)
{
	return 0;
}

/* ---- ebd.h ---- */

uint64_t
ebd_now_ns(void)
{
	return clock_ns;
}

void
ebd_client_idle(struct ebd_client *c, unsigned work)
{
}

void *
ebd_arena_alloc(struct ebd_client *c, size_t bytes)
{
	return aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
}

int
ebd_arena_free(void *mem)
{
	free(mem);
	return 0;
}

static void
prep(struct ebd_io *io, enum fake_op op, void *buf, uint64_t len, uint64_t off)
{
	struct fake_io *f = (struct fake_io *)io;

	f->op = op;
	f->buf = buf;
	f->iov = NULL;
	f->iovcnt = 0;
	f->len = len;
	f->off = off;
}

static void
prep_pieces(struct ebd_io *io, enum fake_op op, const struct iovec *iov, int iovcnt, uint64_t off)
{
	struct fake_io *f = (struct fake_io *)io;
	int i;

	prep(io, op, NULL, 0, off);
	f->iov = iov;
	f->iovcnt = iovcnt;
	for (i = 0; i < iovcnt; i++)
		f->len += iov[i].iov_len;
}

void
ebd_prep_readv(struct ebd_io *io, const struct iovec *iov, int iovcnt, uint64_t off)
{
	prep_pieces(io, OP_READ, iov, iovcnt, off);
}

void
ebd_prep_writev(
	struct ebd_io *io, const struct iovec *iov, int iovcnt, uint64_t off, unsigned flags)
{
	prep_pieces(io, OP_WRITE, iov, iovcnt, off);
}

void
ebd_prep_flush(struct ebd_io *io)
{
	prep(io, OP_FLUSH, NULL, 0, 0);
}

void
ebd_prep_discard(struct ebd_io *io, uint64_t off, uint64_t len)
{
	prep(io, OP_DISCARD, NULL, len, off);
}

void
ebd_prep_read(struct ebd_io *io, void *buf, size_t len, uint64_t off)
{
	prep(io, OP_READ, buf, len, off);
}

void
ebd_prep_read_loan(struct ebd_io *io, size_t len, uint64_t off)
{
	prep(io, OP_READ, malloc(len), len, off);
	((struct fake_io *)io)->lent = ((struct fake_io *)io)->buf;
}

int
ebd_loan_iov(const struct ebd_io *io, struct iovec *iov, int max)
{
	const struct fake_io *f = (const struct fake_io *)io;

	/* In two pieces. */
	iov[0] = (struct iovec){f->lent, f->len / 2};
	iov[1] = (struct iovec){(char *)f->lent + f->len / 2, f->len - f->len / 2};
	return 2;
}

void
ebd_loan_put(struct ebd_io *io)
{
	free(((struct fake_io *)io)->lent);
	((struct fake_io *)io)->lent = NULL;
}

void
ebd_prep_write(struct ebd_io *io, const void *buf, size_t len, uint64_t off, unsigned flags)
{
	prep(io, OP_WRITE, (void *)(uintptr_t)buf, len, off);
}

void
ebd_prep_write_zeroes(struct ebd_io *io, uint64_t off, uint64_t len, unsigned flags)
{
	prep(io, OP_ZERO, NULL, len, off);
}

void
ebd_io_set_callback(struct ebd_io *io, ebd_cb cb, void *arg)
{
	struct fake_io *f = (struct fake_io *)io;

	f->cb = cb;
	f->arg = arg;
}

/* The contract of submit, as ebd.h has it. */
static int
check(struct ebd_queue *q, const struct fake_io *f)
{
	bool wrong = f->busy || (f->len == 0 && f->op != OP_FLUSH) || f->iovcnt > EBD_IOV_MAX ||
		     f->off % q->info.block_size != 0 || f->len % q->info.block_size != 0 ||
		     f->off > q->info.size || f->len > q->info.size - f->off;

	if (!wrong)
		return 0;
	q->counts.broken_rules++;
	return EINVAL;
}

unsigned
ebd_submit_burst(struct ebd_queue *q, struct ebd_io **ios, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		struct fake_io *f = (struct fake_io *)ios[i];

		q->nb_submits++;
		errno = check(q, f);
		if (errno != 0)
			return i;
		if (q->nb_in_flight == MAX_IN_FLIGHT ||
			(q->faults.full_every != 0 && q->nb_submits % q->faults.full_every == 0)) {
			errno = EAGAIN;
			return i;
		}
		f->busy = true;
		q->in_flight[q->nb_in_flight++] = ios[i];
		q->counts.in_flight_max = MPN_MAX(q->counts.in_flight_max, q->nb_in_flight);
	}
	return n;
}

/* Between the caller's memory and the volume's. */
static void
move(const struct fake_io *f, char *mem, bool write)
{
	const struct iovec one = {f->buf, f->len}, *iov = f->iov != NULL ? f->iov : &one;
	int i, n = f->iov != NULL ? f->iovcnt : 1;

	for (i = 0; i < n; i++) {
		if (write)
			memcpy(mem, iov[i].iov_base, iov[i].iov_len);
		else
			memcpy(iov[i].iov_base, mem, iov[i].iov_len);
		mem += iov[i].iov_len;
	}
}

static void
do_read(struct ebd_queue *q, const struct fake_io *f)
{
	uint64_t off = f->off;

	if (++q->counts.reads == q->faults.misplace_read)
		off = off + f->len < q->info.size ? off + f->len : 0;
	move(f, q->mem + off, false);
}

static void
do_write(struct ebd_queue *q, const struct fake_io *f)
{
	q->counts.written_bytes += f->len;
	if (++q->counts.writes != q->faults.lose_write)
		move(f, q->mem + f->off, true);
}

static int
execute(struct ebd_queue *q, const struct fake_io *f)
{
	if (++q->nb_requests == q->faults.fail_nth)
		return q->faults.status;
	switch (f->op) {
	case OP_READ:
		do_read(q, f);
		break;
	case OP_WRITE:
		do_write(q, f);
		break;
	case OP_ZERO:
		q->counts.zeroes++;
		memset(q->mem + f->off, 0, f->len);
		break;
	case OP_DISCARD:
		q->counts.discards++;
		break;
	case OP_FLUSH:
		q->counts.flushes++;
		break;
	}
	return 0;
}

static void
complete_one(struct ebd_queue *q, bool cancel)
{
	struct ebd_io *io;
	struct fake_io *f;
	unsigned i;

	q->rng ^= q->rng << 13;
	q->rng ^= q->rng >> 7;
	q->rng ^= q->rng << 17;
	i = (unsigned)(q->rng % q->nb_in_flight);
	io = q->in_flight[i];
	q->in_flight[i] = q->in_flight[--q->nb_in_flight];
	f = (struct fake_io *)io;
	f->busy = false;
	f->cb(io, cancel ? -ECANCELED : execute(q, f), f->arg);
	q->nb_done++;
	if (q->nb_done == q->faults.interrupt_after)
		interrupted = true;
}

int
ebd_poll(struct ebd_queue *q, unsigned max)
{
	unsigned n = 0;

	clock_ns += POLL_NS;
	if (q->faults.hang)
		return 0;
	if (q->faults.dead_after != 0 && q->nb_done >= q->faults.dead_after)
		return -ENODEV;
	while (q->nb_in_flight > 0 && n < 3) {
		complete_one(q, false);
		n++;
	}
	return (int)n;
}

int
ebd_flush(struct ebd_queue *q)
{
	q->counts.flushes++;
	return 0;
}

void
ebd_queue_close(struct ebd_queue *q)
{
	while (q->nb_in_flight > 0)
		complete_one(q, true);
	free(q);
}

void
ebd_queue_info(const struct ebd_queue *q, struct ebd_info *info)
{
	*info = q->info;
}

void
ebd_queue_stats(const struct ebd_queue *q, struct ebd_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->reads = q->counts.reads;
	stats->writes = q->counts.writes;
}

int
ebd_ceiling_run(struct ebd_client *c, const struct ebd_ceiling_conf *conf,
	struct ebd_ceiling_result *result)
{
	/* Twice as fast as a request a microsecond, with a latency of its own. */
	memset(result, 0, sizeof(*result));
	result->ns = conf->time_ns;
	result->reads = conf->read_percent > 0 ? conf->time_ns / 500 : 0;
	result->writes = conf->read_percent > 0 ? 0 : conf->time_ns / 500;
	conf->done(conf->read_percent == 0, 500, conf->arg);
	clock_ns += conf->time_ns;
	return interrupted ? -EINTR : 0;
}

const char *
ebd_copy_site(unsigned n)
{
	return n == 0 ? "rx_place" : NULL;
}
