/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The nbd back end's requests. A slot holds one, in pieces the server takes, one piece at a time:
 *
 *	submit -> PENDING -> SENT -> ANSWERED -> complete
 *	             ^         |         |
 *	             +---------+---------+  connection lost; more pieces
 *
 * libnbd calls answer() from any of its functions, so it only notes what came: poll does the rest.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "mpn_log.h"
#include "nbd.h"
#include "volume_util.h"

/* Pieces of memory of at least so many bytes are sent as they are. */
#define PIECE_BYTES (32u << 10)
/* Of an answer in front of its data; structured ones are not asked for. */
#define ANSWER_BYTES 16

int
nbd_io_init(struct nbd_priv *p)
{
	unsigned i;

	mpn_list_init(&p->free);
	mpn_list_init(&p->pending);
	mpn_list_init(&p->answered);
	mpn_list_init(&p->active);
	p->slots = calloc(NBD_DEPTH, sizeof(*p->slots));
	p->bounce_mem = mmap(NULL, NBD_BOUNCE * NBD_BOUNCE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->bounce_mem == MAP_FAILED)
		p->bounce_mem = NULL;
	if (p->slots == NULL || p->bounce_mem == NULL)
		return -ENOMEM;
	for (i = 0; i < NBD_BOUNCE; i++)
		p->bounce[i] = p->bounce_mem + i * NBD_BOUNCE_BYTES;
	p->nb_bounce = NBD_BOUNCE;
	for (i = 0; i < NBD_DEPTH; i++) {
		p->slots[i].p = p;
		mpn_list_add_tail(&p->free, &p->slots[i].node);
		mpn_list_init(&p->slots[i].age);
	}
	return 0;
}

void
nbd_io_fini(struct nbd_priv *p)
{
	free(p->slots);
	if (p->bounce_mem != NULL)
		munmap(p->bounce_mem, NBD_BOUNCE * NBD_BOUNCE_BYTES);
}

/* ---- Sending ---- */

/* libnbd takes one buffer a request: memory in small or uneven pieces goes through one of ours. */
static bool
needs_bounce(const struct volume *v, const struct vol_io *io)
{
	uint64_t left = io->len;
	int i;

	for (i = 0; i < io->iovcnt; i++) {
		size_t n = io->iov[i].iov_len;

		left -= n;
		if (n == 0)
			continue;
		if (left > 0 && (n < PIECE_BYTES || n % vol_get_info(v)->block_size != 0))
			return true;
		if (n % vol_get_info(v)->block_size != 0)
			return true;
	}
	return false;
}

/*
 * The first connection that has room for one more, else the one with the least to do; NULL when there is none.
 * A few busy ones cost both sides fewer wake-ups than many with little to do each.
 */
static struct nbd_conn *
choose_conn(struct nbd_priv *p)
{
	struct nbd_conn *best = NULL;
	unsigned i;

	for (i = 0; i < p->nb_conns; i++) {
		struct nbd_conn *c = &p->conns[i];

		if (c->h == NULL || mpn_unlikely(nbd_conn_is_old(p, c)))
			continue;
		if (c->in_flight < NBD_FILL)
			return c;
		if (best == NULL || c->in_flight < best->in_flight)
			best = c;
	}
	return best;
}

static void
set_answered(struct nbd_slot *slot, int err)
{
	slot->err = err;
	slot->state = NBD_ANSWERED;
	slot->conn = NULL;
	mpn_list_add_tail(&slot->p->answered, &slot->node);
}

static void
set_pending(struct nbd_slot *slot)
{
	slot->state = NBD_PENDING;
	slot->conn = NULL;
	mpn_list_add_tail(&slot->p->pending, &slot->node);
}

static int
answer(void *user, int *error)
{
	struct nbd_slot *slot = user;

	slot->conn->in_flight--;
	slot->conn->taken += ANSWER_BYTES;
	if (slot->io->op == VOL_READ)
		slot->conn->taken += slot->chunk;
	set_answered(slot, *error);
	return 1; /* libnbd may forget it */
}

static uint32_t
find_flags(const struct vol_io *io)
{
	uint32_t flags = 0;

	if ((io->flags & VOL_FUA) != 0)
		flags |= LIBNBD_CMD_FLAG_FUA;
	if ((io->flags & VOL_NOHOLE) != 0)
		flags |= LIBNBD_CMD_FLAG_NO_HOLE;
	if ((io->flags & VOL_FAST) != 0)
		flags |= LIBNBD_CMD_FLAG_FAST_ZERO;
	return flags;
}

/* The memory of the next piece, whose length becomes slot->chunk. */
static void *
choose_memory(struct nbd_slot *slot)
{
	const struct vol_io *io = slot->io;
	uint64_t left = MPN_MIN(io->len - slot->done, slot->p->max_chunk);
	size_t n;
	void *mem;

	if (slot->bounce != NULL) {
		slot->chunk = MPN_MIN(left, (uint64_t)NBD_BOUNCE_BYTES);
		if (io->op == VOL_WRITE)
			vol_copy_io(io, slot->done, slot->bounce, slot->chunk, false);
		return slot->bounce;
	}
	mem = vol_io_piece(io, slot->done, &n);
	slot->chunk = MPN_MIN(left, (uint64_t)n);
	return mem;
}

static int64_t
give_to_libnbd(struct nbd_slot *slot, struct nbd_handle *h)
{
	const struct vol_io *io = slot->io;
	nbd_completion_callback cb = {.callback = answer, .user_data = slot};
	uint64_t off = io->off + slot->done;
	uint32_t flags = find_flags(io);
	void *mem = NULL;

	if (io->op == VOL_READ || io->op == VOL_WRITE)
		mem = choose_memory(slot);
	else
		slot->chunk = MPN_MIN(io->len - slot->done, (uint64_t)NBD_RANGE_BYTES);
	switch (io->op) {
	case VOL_READ:
		return nbd_aio_pread(h, mem, slot->chunk, off, cb, flags);
	case VOL_WRITE:
		return nbd_aio_pwrite(h, mem, slot->chunk, off, cb, flags);
	case VOL_FLUSH:
		return nbd_aio_flush(h, cb, flags);
	case VOL_DISCARD:
		return nbd_aio_trim(h, slot->chunk, off, cb, flags);
	default:
		return nbd_aio_zero(h, slot->chunk, off, cb, flags);
	}
}

static bool
is_behind_end(const struct nbd_slot *slot, const struct nbd_conn *c)
{
	const struct vol_io *io = slot->io;

	return io->op != VOL_FLUSH && (io->off > c->size || io->len > c->size - io->off);
}

/* Send the slot's next piece. It is on no list. */
static void
send_slot(struct nbd_slot *slot)
{
	struct nbd_priv *p = slot->p;
	struct nbd_conn *c = choose_conn(p);

	if (c == NULL) {
		set_pending(slot);
		return;
	}
	if (mpn_unlikely(is_behind_end(slot, c))) {
		set_answered(slot, EIO);
		return;
	}
	/* Before the call: libnbd may answer from inside, when the connection ends there. */
	slot->state = NBD_SENT;
	slot->conn = c;
	c->in_flight++;
	if (give_to_libnbd(slot, c->h) == -1 && slot->state == NBD_SENT) {
		c->in_flight--;
		set_answered(slot, nbd_conn_is_ready(c) ? nbd_get_errno() : ENOTCONN);
		return;
	}
	nbd_conn_update_events(p, c);
}

int
nbd_submit(struct volume *v, struct vol_io *io)
{
	struct nbd_priv *p = vol_priv(v);
	bool moves = io->op == VOL_READ || io->op == VOL_WRITE;
	bool bounce = moves && needs_bounce(v, io);
	struct nbd_slot *slot;

	if (mpn_list_empty(&p->free) || (bounce && p->nb_bounce == 0))
		return -EAGAIN;
	slot = mpn_list_first(&p->free, struct nbd_slot, node);
	mpn_list_del(&slot->node);
	slot->io = io;
	slot->done = 0;
	slot->chunk = 0;
	slot->deadline_ns = UINT64_MAX;
	if (p->fail_after_ns != UINT64_MAX)
		slot->deadline_ns = vol_now_ns() + p->fail_after_ns;
	slot->bounce = NULL;
	if (bounce) {
		slot->bounce = p->bounce[--p->nb_bounce];
		vol_count_bounced(v, io->len);
	}
	mpn_list_add_tail(&p->active, &slot->age);
	if (io->op == VOL_FLUSH || (io->flags & VOL_FUA) != 0)
		vol_count_sync(v);
	if ((io->flags & VOL_FAST) != 0 && !p->fast_zero)
		set_answered(slot, EOPNOTSUPP);
	else
		send_slot(slot);
	return 0;
}

/* ---- Ending ---- */

static void
finish(struct nbd_slot *slot, int status)
{
	struct nbd_priv *p = slot->p;
	struct vol_io *io = slot->io;

	if (slot->bounce != NULL)
		p->bounce[p->nb_bounce++] = slot->bounce;
	slot->state = NBD_FREE;
	mpn_list_del(&slot->age);
	mpn_list_add_head(&p->free, &slot->node);
	vol_complete(io, status);
}

/* A connection is over: what it has not answered is sent again. */
static void
lose_conn(struct nbd_priv *p, struct nbd_conn *c)
{
	struct mpn_list *node;

	if (p->nb_ready == 1)
		mpn_log(MPN_LOG_WARN, "volume", "'%s': connection lost, trying again", p->uri);
	/* First: libnbd writes to our memory no more after it. */
	nbd_conn_close(p, c);
	mpn_list_for_each(node, &p->active) {
		struct nbd_slot *slot = mpn_list_entry(node, struct nbd_slot, age);

		if (slot->state != NBD_SENT || slot->conn != c)
			continue;
		p->resent++;
		set_pending(slot);
	}
	c->in_flight = 0;
}

static unsigned
fail_late(struct nbd_priv *p, uint64_t now_ns)
{
	unsigned n = 0;

	while (!mpn_list_empty(&p->active)) {
		struct nbd_slot *slot = mpn_list_first(&p->active, struct nbd_slot, age);

		if (mpn_likely(slot->deadline_ns > now_ns))
			break;
		if (slot->state == NBD_SENT)
			lose_conn(p, slot->conn);
		mpn_list_del(&slot->node);
		finish(slot, -ETIMEDOUT);
		n++;
	}
	return n;
}

static int
find_status(const struct nbd_slot *slot)
{
	switch (slot->err) {
	case EPERM: /* an export that became read-only */
		return -EROFS;
	case EOVERFLOW:
	case ERANGE:
		return -EIO;
	case ENOTSUP:
		return -EOPNOTSUPP;
	default:
		return -slot->err;
	}
}

/* @return 1 when the request is complete */
static unsigned
end_piece(struct nbd_slot *slot)
{
	const struct vol_io *io = slot->io;

	if (slot->err == ENOTCONN || slot->err == ESHUTDOWN) {
		slot->p->resent++;
		set_pending(slot);
		return 0;
	}
	if (slot->err != 0) {
		finish(slot, find_status(slot));
		return 1;
	}
	if (io->op != VOL_FLUSH) {
		if (slot->bounce != NULL && io->op == VOL_READ)
			vol_copy_io(io, slot->done, slot->bounce, slot->chunk, true);
		slot->done += slot->chunk;
		if (slot->done < io->len) {
			send_slot(slot);
			return 0;
		}
	}
	finish(slot, 0);
	return 1;
}

static unsigned
end_answered(struct nbd_priv *p)
{
	struct mpn_list now;
	unsigned n = 0;

	/* What the callbacks submit is for the next poll. */
	mpn_list_init(&now);
	mpn_list_splice_tail(&now, &p->answered);
	while (!mpn_list_empty(&now)) {
		struct nbd_slot *slot = mpn_list_first(&now, struct nbd_slot, node);

		mpn_list_del(&slot->node);
		n += end_piece(slot);
	}
	return n;
}

static void
send_pending(struct nbd_priv *p)
{
	while (!mpn_list_empty(&p->pending) && choose_conn(p) != NULL) {
		struct nbd_slot *slot = mpn_list_first(&p->pending, struct nbd_slot, node);

		mpn_list_del(&slot->node);
		send_slot(slot);
	}
}

/* One answer or one piece of a request a call. Only nbd_poll() knows what TLS has read already. */
static void
poll_conn(struct nbd_conn *c)
{
	unsigned left = 2 * NBD_DEPTH;

	while (left-- > 0 && nbd_conn_is_ready(c) && nbd_poll(c->h, 0) == 1)
		;
}

/*
 * How many bytes are there to be read is asked once for all answers among them: libnbd may not be told to
 * read where nothing is. It reads one answer a call. 0: not known.
 */
static size_t
find_bytes(const struct nbd_conn *c)
{
	int bytes = 0;

	return !c->tls && ioctl(c->fd, FIONREAD, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

static void
move_conn(struct nbd_conn *c, uint32_t events)
{
	size_t bytes = events == EPOLLIN ? find_bytes(c) : 0;
	unsigned before;

	if (bytes == 0) {
		poll_conn(c);
		return;
	}
	c->taken = 0;
	do {
		before = c->in_flight;
		(void)nbd_aio_notify_read(c->h);
	} while (c->in_flight < before && c->taken < bytes);
}

static void
move_all(struct nbd_priv *p)
{
	struct epoll_event evs[NBD_MAX_CONNS];
	int n = epoll_wait(p->epfd, evs, NBD_MAX_CONNS, 0);
	int i;

	for (i = 0; i < n; i++) {
		struct nbd_conn *c = evs[i].data.ptr;

		if (c->h == NULL)
			continue;
		move_conn(c, evs[i].events);
		if (nbd_conn_is_ready(c))
			nbd_conn_update_events(p, c);
	}
}

static void
drop_dead(struct nbd_priv *p)
{
	unsigned i;

	for (i = 0; i < p->nb_conns; i++) {
		if (p->conns[i].h != NULL && !nbd_conn_is_ready(&p->conns[i]))
			lose_conn(p, &p->conns[i]);
	}
}

unsigned
nbd_poll_volume(struct volume *v)
{
	struct nbd_priv *p = vol_priv(v);
	uint64_t now_ns = vol_now_ns();
	unsigned n;

	move_all(p);
	drop_dead(p);
	nbd_conn_tend(v, now_ns);
	n = end_answered(p);
	send_pending(p);
	return n + fail_late(p, now_ns);
}

uint64_t
nbd_next_ns(struct volume *v)
{
	struct nbd_priv *p = vol_priv(v);
	uint64_t now_ns = vol_now_ns();
	uint64_t next = nbd_conn_next_ns(p, now_ns);

	if (!mpn_list_empty(&p->answered))
		return 0;
	if (!mpn_list_empty(&p->active)) {
		const struct nbd_slot *slot = mpn_list_first(&p->active, struct nbd_slot, age);

		if (slot->deadline_ns != UINT64_MAX)
			next = MPN_MIN(
				next, slot->deadline_ns > now_ns ? slot->deadline_ns - now_ns : 0);
	}
	return next;
}

int
nbd_fd(struct volume *v)
{
	return ((struct nbd_priv *)vol_priv(v))->epfd;
}
