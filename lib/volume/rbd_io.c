/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The rbd back end's requests. librbd completes in threads of its own; they push what is done on a list
 * without a lock, and poll takes the whole list:
 *
 *	submit -> rbd_aio_...() .....> end_request(), a thread of librbd: push, wake
 *	vol_complete() <- poll: take all <------+
 */

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mpn_log.h"
#include "rbd.h"
#include "volume_util.h"

int
rbd_io_init(struct rbd_priv *p)
{
	unsigned i;

	p->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->slots = calloc(RBD_DEPTH, sizeof(*p->slots));
	if (p->slots == NULL || p->eventfd < 0)
		return -ENOMEM;
	for (i = 0; i < RBD_DEPTH; i++) {
		p->slots[i].p = p;
		p->slots[i].next = p->free;
		p->free = &p->slots[i];
	}
	return 0;
}

void
rbd_io_fini(struct rbd_priv *p)
{
	if (p->eventfd >= 0)
		close(p->eventfd);
	free(p->slots);
}

/* ---- In threads of librbd, and for requests that end at once ---- */

static void
push_done(struct rbd_slot *slot)
{
	struct rbd_priv *p = slot->p;
	/* Once it is pushed, slot and p may be gone: what is needed then is read before. */
	int fd = p->eventfd;
	bool wake = __atomic_load_n(&p->wants_fd, __ATOMIC_RELAXED) != 0;
	struct rbd_slot *head = __atomic_load_n(&p->done, __ATOMIC_RELAXED);
	uint64_t one = 1;

	do {
		slot->next = head;
	} while (!__atomic_compare_exchange_n(
		&p->done, &head, slot, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	/* Whoever finds the list empty wakes; a counter that is full has woken already. */
	if (head == NULL && wake && write(fd, &one, sizeof(one)) < 0)
		return;
}

static void
end_request(rbd_completion_t c, void *arg)
{
	struct rbd_slot *slot = arg;

	slot->result = rbd_aio_get_return_value(c);
	rbd_aio_release(c);
	push_done(slot);
}

/* ---- In the poll loop ---- */

static int
start_request(struct rbd_priv *p, struct vol_io *io, rbd_completion_t c)
{
	switch (io->op) {
	case VOL_READ:
		if (io->iovcnt == 1)
			return rbd_aio_read(p->image, io->off, io->len, io->iov->iov_base, c);
		return rbd_aio_readv(p->image, io->iov, io->iovcnt, io->off, c);
	case VOL_WRITE:
		if (io->iovcnt == 1)
			return rbd_aio_write(p->image, io->off, io->len, io->iov->iov_base, c);
		return rbd_aio_writev(p->image, io->iov, io->iovcnt, io->off, c);
	case VOL_FLUSH:
		return rbd_aio_flush(p->image, c);
	case VOL_DISCARD:
		return rbd_aio_discard(p->image, io->off, io->len, c);
	default:
		return rbd_aio_write_zeroes(p->image, io->off, io->len, c,
			(io->flags & VOL_NOHOLE) != 0 ? RBD_WRITE_ZEROES_FLAG_THICK_PROVISION : 0,
			0);
	}
}

int
rbd_submit(struct volume *v, struct vol_io *io)
{
	struct rbd_priv *p = vol_priv(v);
	struct rbd_slot *slot = p->free;
	rbd_completion_t c;
	int rc;

	if (slot == NULL || rbd_aio_create_completion(slot, end_request, &c) != 0)
		return -EAGAIN;
	p->free = slot->next;
	slot->io = io;
	if (io->op == VOL_FLUSH)
		vol_count_sync(v);
	/* Zeroes that take up room are written by somebody. */
	if ((io->flags & VOL_FAST) != 0 && (io->flags & VOL_NOHOLE) != 0)
		rc = -EOPNOTSUPP;
	else
		rc = start_request(p, io, c);
	if (rc < 0) {
		rbd_aio_release(c);
		slot->result = rc;
		push_done(slot);
	}
	return 0;
}

/* Reads give bytes, all others 0. An image that has shrunk gives less, or takes the request for wrong. */
static int
find_status(const struct rbd_slot *slot)
{
	int64_t result = slot->result;

	if (result >= 0)
		return slot->io->op == VOL_READ && (uint64_t)result < slot->io->len ? -EIO : 0;
	switch (-result) {
	case EINVAL:
	case ESHUTDOWN: /* another server has taken the image over and shut this one out */
		return -EIO;
	case EDQUOT:
		return -ENOSPC;
	default:
		return (int)result;
	}
}

/* ---- The image has changed ---- */

static void *
look_at_size(void *arg)
{
	struct rbd_priv *p = arg;

	p->look.rc = rbd_get_size(p->image, &p->look.size);
	__atomic_store_n(&p->look.done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void
start_look(struct rbd_priv *p)
{
	cpu_set_t saved;

	__atomic_store_n(&p->changed, 0, __ATOMIC_RELAXED);
	p->look.done = 0;
	vol_threads_begin(&saved);
	p->look.running = pthread_create(&p->look.thread, NULL, look_at_size, p) == 0;
	vol_threads_end(&saved);
}

static void
end_look(struct volume *v)
{
	struct rbd_priv *p = vol_priv(v);

	(void)pthread_join(p->look.thread, NULL);
	p->look.running = false;
	if (p->look.rc == 0 && p->look.size < vol_get_info(v)->size)
		mpn_log(MPN_LOG_WARN, "volume",
			"'%s': has shrunk to %llu bytes: what is behind them fails", p->name,
			(unsigned long long)p->look.size);
}

static void
tend_look(struct volume *v)
{
	struct rbd_priv *p = vol_priv(v);

	if (!p->look.running)
		start_look(p);
	else if (__atomic_load_n(&p->look.done, __ATOMIC_ACQUIRE) != 0)
		end_look(v);
}

void
rbd_io_stop(struct rbd_priv *p)
{
	if (!p->look.running)
		return;
	(void)pthread_join(p->look.thread, NULL);
	p->look.running = false;
}

/* ---- What is done ---- */

/* All that is done, oldest first. */
static struct rbd_slot *
take_done(struct rbd_priv *p)
{
	struct rbd_slot *head = __atomic_exchange_n(&p->done, NULL, __ATOMIC_ACQUIRE);
	struct rbd_slot *list = NULL;

	while (head != NULL) {
		struct rbd_slot *next = head->next;

		head->next = list;
		list = head;
		head = next;
	}
	return list;
}

unsigned
rbd_poll_volume(struct volume *v)
{
	struct rbd_priv *p = vol_priv(v);
	struct rbd_slot *slot;
	uint64_t count;
	unsigned n = 0;

	if (mpn_unlikely(__atomic_load_n(&p->changed, __ATOMIC_RELAXED) != 0 || p->look.running))
		tend_look(v);
	/* Before the list is looked at: what is pushed afterwards wakes again. */
	if (__atomic_load_n(&p->wants_fd, __ATOMIC_RELAXED) != 0 &&
		read(p->eventfd, &count, sizeof(count)) < 0)
		count = 0;
	if (__atomic_load_n(&p->done, __ATOMIC_RELAXED) == NULL)
		return 0;
	slot = take_done(p);
	while (slot != NULL) {
		struct rbd_slot *next = slot->next;
		struct vol_io *io = slot->io;
		int status = find_status(slot);

		slot->next = p->free;
		p->free = slot;
		vol_complete(io, status);
		slot = next;
		n++;
	}
	return n;
}

uint64_t
rbd_next_ns(struct volume *v)
{
	struct rbd_priv *p = vol_priv(v);

	return __atomic_load_n(&p->done, __ATOMIC_ACQUIRE) != NULL ? 0 : UINT64_MAX;
}

int
rbd_fd(struct volume *v)
{
	struct rbd_priv *p = vol_priv(v);
	uint64_t one = 1;

	/* Nobody makes system calls for a descriptor that nobody waits at. */
	if (__atomic_exchange_n(&p->wants_fd, 1, __ATOMIC_SEQ_CST) == 0 &&
		write(p->eventfd, &one, sizeof(one)) < 0)
		return -1;
	return p->eventfd;
}
