/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Requests: prepared, submitted, completed; and their synchronous twins. */

#include <string.h>

#include "ebd_int.h"
#include "mpn_stage.h"

/* How long a synchronous call that was interrupted waits for its request to be taken back. */
#define ABORT_NS (500ull * 1000 * 1000)

static const struct {
	unsigned flag;
	uint16_t wire;
} flags_to_wire[] = {
	{EBD_FUA, WIRE_F_FUA},
	{EBD_NOHOLE, WIRE_F_NOHOLE},
	{EBD_FAST, WIRE_F_FAST},
};

/* ---- Preparing ---- */

static struct io *
prepare(struct ebd_io *opaque, uint8_t op, uint64_t off, unsigned flags)
{
	struct io *io = (struct io *)opaque;
	unsigned i;

	memset(&io->req, 0, sizeof(io->req));
	io->req.op = op;
	io->req.addr = off;
	io->iov = NULL;
	io->iovcnt = 0;
	io->has_one = false;
	io->cb = NULL;
	io->arg = NULL;
	for (i = 0; i < MPN_ARRAY_SIZE(flags_to_wire); i++) {
		if (flags & flags_to_wire[i].flag)
			io->req.flags |= flags_to_wire[i].wire;
		flags &= ~flags_to_wire[i].flag;
	}
	io->bad_flags = flags != 0;
	return io;
}

void
ebd_prep_readv(struct ebd_io *io, const struct iovec *iov, int iovcnt, uint64_t off)
{
	struct io *i = prepare(io, WIRE_READ, off, 0);

	i->iov = iov;
	i->iovcnt = iovcnt;
}

void
ebd_prep_writev(
	struct ebd_io *io, const struct iovec *iov, int iovcnt, uint64_t off, unsigned flags)
{
	struct io *i = prepare(io, WIRE_WRITE, off, flags);

	i->iov = iov;
	i->iovcnt = iovcnt;
}

void
ebd_prep_read_loan(struct ebd_io *io, size_t len, uint64_t off)
{
	struct io *i = prepare(io, WIRE_READ, off, 0);

	i->req.len = len;
	i->req.loan = true;
}

int
ebd_loan_iov(const struct ebd_io *io, struct iovec *iov, int max)
{
	return dev_st_loan_iov(&((const struct io *)io)->req, iov, max);
}

void
ebd_loan_put(struct ebd_io *io)
{
	dev_st_loan_put(&((struct io *)io)->req);
}

static void
set_one(struct io *io, const void *buf, size_t len)
{
	io->one.iov_base = (void *)(uintptr_t)buf;
	io->one.iov_len = len;
	io->iovcnt = 1;
	io->has_one = true;
}

void
ebd_prep_read(struct ebd_io *io, void *buf, size_t len, uint64_t off)
{
	set_one(prepare(io, WIRE_READ, off, 0), buf, len);
}

void
ebd_prep_write(struct ebd_io *io, const void *buf, size_t len, uint64_t off, unsigned flags)
{
	set_one(prepare(io, WIRE_WRITE, off, flags), buf, len);
}

void
ebd_prep_flush(struct ebd_io *io)
{
	(void)prepare(io, WIRE_FLUSH, 0, 0);
}

void
ebd_prep_discard(struct ebd_io *io, uint64_t off, uint64_t len)
{
	prepare(io, WIRE_DISCARD, off, 0)->req.len = len;
}

void
ebd_prep_write_zeroes(struct ebd_io *io, uint64_t off, uint64_t len, unsigned flags)
{
	prepare(io, WIRE_WRITE_ZEROES, off, flags)->req.len = len;
}

void
ebd_io_set_callback(struct ebd_io *opaque, ebd_cb cb, void *arg)
{
	struct io *io = (struct io *)opaque;

	io->cb = cb;
	io->arg = arg;
}

/* ---- Submitting ---- */

/* The pieces of memory as buffers; those of length 0 need no completion. */
static int
fill_buffers(struct io *io)
{
	const struct iovec *iov = io->has_one ? &io->one : io->iov;
	struct st_request *req = &io->req;
	int i;

	req->bufs = NULL;
	req->nb_bufs = 0;
	if (req->loan || (req->op != WIRE_READ && req->op != WIRE_WRITE))
		return 0;
	if (iov == NULL || io->iovcnt < 1 || io->iovcnt > EBD_IOV_MAX)
		return -EINVAL;
	req->len = 0;
	req->bufs = io->bufs;
	for (i = 0; i < io->iovcnt; i++) {
		if (iov[i].iov_len == 0)
			continue;
		if (iov[i].iov_len > UINT32_MAX)
			return -EINVAL;
		io->bufs[req->nb_bufs].data = iov[i].iov_base;
		io->bufs[req->nb_bufs++].len = (uint32_t)iov[i].iov_len;
		req->len += iov[i].iov_len;
	}
	return 0;
}

/* 0, or the errno of ebd_submit_burst(). */
static int
submit_one(struct ebd_queue *q, struct io *io)
{
	int rc;

	if (io->bad_flags)
		return EINVAL;
	rc = fill_buffers(io);
	if (rc < 0)
		return -rc;
	io->queue = q;
	io->left = io->req.nb_bufs;
	rc = dev_st_queue_xmit(q->dev, &io->req);
	if (mpn_likely(rc == 0))
		return 0;
	if (rc == 1)
		return EAGAIN;
	return rc == -ENOTCONN || rc == -ESTALE ? ENODEV : -rc;
}

unsigned
ebd_submit_burst(struct ebd_queue *q, struct ebd_io **ios, unsigned n)
{
	unsigned i;
	int err;

	MPN_STAGE_BEGIN(SUBMIT);
	for (i = 0; i < n; i++) {
		err = submit_one(q, (struct io *)ios[i]);
		if (mpn_unlikely(err != 0)) {
			errno = err;
			break;
		}
	}
	MPN_STAGE_END();
	return i;
}

/* ---- Completing ---- */

static void
count(struct ebd_queue *q, const struct st_request *req, int status)
{
	struct ebd_stats *s = &q->stats;

	q->callbacks++;
	if (status != 0)
		s->errors++;
	if (req->op == WIRE_READ) {
		s->reads++;
		s->read_bytes += status == 0 ? req->len : 0;
	} else if (req->op == WIRE_WRITE) {
		s->writes++;
		s->write_bytes += status == 0 ? req->len : 0;
	} else {
		s->others++;
	}
}

void
ebd_io_buffer_done(struct net_st_device *dev, struct st_request *req, struct st_buffer *buf)
{
	struct io *io = mpn_container_of(req, struct io, req);
	struct ebd_client *c = io->queue->client;
	bool before = c->in_callback;
	int status;

	if (buf != NULL && --io->left > 0)
		return;
	status = req->status;
	count(io->queue, req, status);
	if (io->cb == NULL)
		return;
	c->in_callback = true;
	io->cb((struct ebd_io *)io, status, io->arg);
	c->in_callback = before;
}
static_assert(offsetof(struct io, req) == 0, "a request is where its ebd_io is");

int
ebd_poll(struct ebd_queue *q, unsigned max)
{
	unsigned before = q->callbacks;

	if (mpn_unlikely(q->client->in_callback))
		return 0;
	(void)mpn_nic_poll(q->client->nic);
	if (mpn_likely(q->callbacks != before))
		return (int)(q->callbacks - before);
	return q->dead != 0 && dev_st_get_current_queue_len(q->dev) == 0 ? -ENODEV : 0;
}

unsigned
ebd_in_flight(const struct ebd_queue *q)
{
	return (unsigned)dev_st_get_current_queue_len(q->dev);
}

/* ---- Synchronous twins ---- */

struct waiter {
	bool done;
	int status;
};

static void
wake(struct ebd_io *io, int status, void *arg)
{
	struct waiter *w = arg;

	w->status = status;
	w->done = true;
}

/*
 * The request is on the caller's stack and its data is the caller's: it must have ended before the
 * call does. First it is taken back; when the target does not answer, the whole queue is closed.
 */
static void
take_back(struct ebd_queue *q, struct io *io, const struct waiter *w)
{
	uint64_t deadline = mpn_now_ns() + ABORT_NS;

	dev_st_abort(q->dev, &io->req);
	while (!w->done) {
		(void)ebd_client_wait_round(q->client);
		if (mpn_now_ns() >= deadline)
			dev_st_shutdown(q->dev);
	}
}

static int
run_sync(struct ebd_queue *q, struct ebd_io *io)
{
	struct waiter w = {0};
	int rc = 0;

	if (ebd_client_is_busy(q->client, "synchronous request"))
		return -EDEADLK;
	ebd_io_set_callback(io, wake, &w);
	while (ebd_submit_burst(q, &io, 1) == 0) {
		if (errno != EAGAIN)
			return -errno;
		rc = ebd_client_wait_round(q->client);
		if (rc < 0)
			return rc;
	}
	while (!w.done && rc == 0)
		rc = ebd_client_wait_round(q->client);
	if (!w.done)
		take_back(q, (struct io *)io, &w);
	/* What it came to in spite of all counts. */
	return rc < 0 && w.status != 0 ? rc : w.status;
}

ssize_t
ebd_pread(struct ebd_queue *q, void *buf, size_t len, uint64_t off)
{
	struct ebd_io io;
	int rc;

	ebd_prep_read(&io, buf, len, off);
	rc = len > 0 ? run_sync(q, &io) : 0;
	return rc < 0 ? rc : (ssize_t)len;
}

ssize_t
ebd_pwrite(struct ebd_queue *q, const void *buf, size_t len, uint64_t off, unsigned flags)
{
	struct ebd_io io;
	int rc;

	ebd_prep_write(&io, buf, len, off, flags);
	rc = len > 0 ? run_sync(q, &io) : 0;
	return rc < 0 ? rc : (ssize_t)len;
}

int
ebd_flush(struct ebd_queue *q)
{
	struct ebd_io io;

	ebd_prep_flush(&io);
	return run_sync(q, &io);
}

int
ebd_discard(struct ebd_queue *q, uint64_t off, uint64_t len)
{
	struct ebd_io io;

	ebd_prep_discard(&io, off, len);
	return run_sync(q, &io);
}

int
ebd_write_zeroes(struct ebd_queue *q, uint64_t off, uint64_t len, unsigned flags)
{
	struct ebd_io io;

	ebd_prep_write_zeroes(&io, off, len, flags);
	return run_sync(q, &io);
}
