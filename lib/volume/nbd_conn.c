/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Connections to an NBD server. They are made in a thread of their own, one at a time, so that the
 * poll loop waits neither for a name server nor for TLS:
 *
 *	lost -> [maker thread: look up, connect, shake hands] -> adopted by poll
 *	  ^                        | refused                        |
 *	  +---- 100 ms ... 2 s ----+             <----- it ends ----+
 */

#include <string.h>
#include <sys/epoll.h>

#include "mpn_log.h"
#include "nbd.h"
#include "volume_util.h"

#define CONNECT_NS 10000000000 /* for all of it, the handshake too */
#define STEP_MS 50
#define BACKOFF_MIN_NS 100000000
#define BACKOFF_MAX_NS 2000000000
#define MAKER_LOOK_NS 2000000 /* how often to look whether the thread is done */

bool
nbd_conn_is_ready(const struct nbd_conn *c)
{
	return c->h != NULL && nbd_aio_is_dead(c->h) != 1 && nbd_aio_is_closed(c->h) != 1;
}

bool
nbd_conn_is_old(const struct nbd_priv *p, const struct nbd_conn *c)
{
	return c->made != __atomic_load_n(&p->newest, __ATOMIC_RELAXED);
}

static int
fail_connect(struct nbd_maker *m, struct nbd_handle *h, int err, const char *reason)
{
	m->err = err > 0 ? err : EIO;
	(void)snprintf(m->reason, sizeof(m->reason), "%s", reason != NULL ? reason : "no memory");
	if (h != NULL)
		nbd_close(h);
	return -1;
}

/* Shake hands until it is ready, refused, told to stop, or too late. */
static int
shake_hands(struct nbd_maker *m, struct nbd_handle *h, const char *uri)
{
	uint64_t end_ns = vol_now_ns() + CONNECT_NS;

	/* An answer in one piece is read with half as many system calls as one in chunks. */
	if (nbd_set_uri_allow_local_file(h, true) != 0 || nbd_set_pread_initialize(h, false) != 0 ||
		nbd_set_request_structured_replies(h, false) != 0 ||
		nbd_aio_connect_uri(h, uri) != 0)
		return fail_connect(m, h, nbd_get_errno(), nbd_get_error());
	while (nbd_aio_is_ready(h) != 1) {
		if (nbd_aio_is_dead(h) == 1 || nbd_aio_is_closed(h) == 1)
			return fail_connect(m, h, ECONNREFUSED, "the server ended the handshake");
		if (__atomic_load_n(&m->stop, __ATOMIC_RELAXED) != 0 || vol_now_ns() > end_ns)
			return fail_connect(m, h, ETIMEDOUT, "no answer");
		if (nbd_poll(h, STEP_MS) == -1)
			return fail_connect(m, h, nbd_get_errno(), nbd_get_error());
	}
	return 0;
}

static void
connect_to(struct nbd_maker *m, const char *uri)
{
	struct nbd_handle *h = nbd_create();

	m->h = NULL;
	if (h == NULL)
		(void)fail_connect(m, h, ENOMEM, NULL);
	else if (shake_hands(m, h, uri) == 0)
		m->h = h;
}

static void *
make_connection(void *arg)
{
	struct nbd_priv *p = arg;

	connect_to(&p->maker, p->uri);
	__atomic_store_n(&p->maker.done, 1, __ATOMIC_RELEASE);
	return NULL;
}

struct nbd_handle *
nbd_connect_now(struct nbd_priv *p)
{
	(void)make_connection(p);
	return p->maker.h;
}

/* What a new connection is told; those there are know what they were told. */
int
nbd_find_size(struct volume *v, uint64_t *size)
{
	struct nbd_priv *p = vol_priv(v);
	const struct vol_info *info = vol_get_info(v);
	struct nbd_maker m = {0};
	int64_t bytes;

	connect_to(&m, p->uri);
	if (m.h == NULL)
		return mpn_log_err(
			m.err, "volume", "'%s': cannot get its size: %s", p->uri, m.reason);
	bytes = nbd_get_size(m.h);
	(void)nbd_aio_disconnect(m.h, 0);
	nbd_close(m.h);
	if (bytes < 0)
		return mpn_log_err(EIO, "volume", "'%s': tells no size", p->uri);
	*size = (uint64_t)bytes;
	if ((*size & ~(uint64_t)(info->block_size - 1)) != info->size)
		(void)__atomic_add_fetch(&p->newest, 1, __ATOMIC_RELEASE);
	return 0;
}

/* ---- From here on in the poll loop ---- */

static uint32_t
wanted_events(struct nbd_handle *h)
{
	return (nbd_aio_get_direction(h) & LIBNBD_AIO_DIRECTION_WRITE) != 0 ? EPOLLIN | EPOLLOUT
									    : EPOLLIN;
}

void
nbd_conn_adopt(struct nbd_priv *p, struct nbd_conn *c, struct nbd_handle *h)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	c->h = h;
	c->fd = nbd_aio_get_fd(h);
	c->events = EPOLLIN;
	c->in_flight = 0;
	c->tls = nbd_get_tls_negotiated(h) != 0;
	c->size = (uint64_t)nbd_get_size(h);
	c->made = p->maker.made;
	p->nb_ready++;
	p->backoff_ns = BACKOFF_MIN_NS;
	(void)epoll_ctl(p->epfd, EPOLL_CTL_ADD, c->fd, &ev);
}

void
nbd_conn_close(struct nbd_priv *p, struct nbd_conn *c)
{
	if (c->h == NULL)
		return;
	/*
	 * libnbd closes the socket when the connection ends, which takes it out of the set; its number
	 * may be that of a newer connection by now.
	 */
	if (nbd_aio_get_fd(c->h) == c->fd)
		(void)epoll_ctl(p->epfd, EPOLL_CTL_DEL, c->fd, NULL);
	nbd_close(c->h);
	c->h = NULL;
	p->nb_ready--;
}

void
nbd_conn_update_events(struct nbd_priv *p, struct nbd_conn *c)
{
	struct epoll_event ev = {.events = wanted_events(c->h), .data.ptr = c};

	if (ev.events == c->events)
		return;
	if (epoll_ctl(p->epfd, EPOLL_CTL_MOD, c->fd, &ev) == 0)
		c->events = ev.events;
}

static struct nbd_conn *
find_lost(struct nbd_priv *p)
{
	unsigned i;

	for (i = 0; i < p->nb_conns; i++) {
		if (p->conns[i].h == NULL)
			return &p->conns[i];
	}
	return NULL;
}

static void
start_maker(struct nbd_priv *p, uint64_t now_ns)
{
	struct nbd_maker *m = &p->maker;
	cpu_set_t saved;

	m->done = 0;
	m->stop = 0;
	m->made = __atomic_load_n(&p->newest, __ATOMIC_ACQUIRE);
	vol_threads_begin(&saved);
	m->running = pthread_create(&m->thread, NULL, make_connection, p) == 0;
	vol_threads_end(&saved);
	if (!m->running)
		p->retry_ns = now_ns + BACKOFF_MAX_NS;
}

static void
take_connection(struct volume *v, uint64_t now_ns)
{
	struct nbd_priv *p = vol_priv(v);
	struct nbd_maker *m = &p->maker;
	struct nbd_conn *c = find_lost(p);

	(void)pthread_join(m->thread, NULL);
	m->running = false;
	if (m->h == NULL) {
		p->retry_ns = now_ns + p->backoff_ns;
		p->backoff_ns = MPN_MIN(p->backoff_ns * 2, (uint64_t)BACKOFF_MAX_NS);
		return;
	}
	nbd_conn_adopt(p, c, m->h);
	m->h = NULL;
	p->reconnects++;
	if (p->nb_ready == 1)
		mpn_log(MPN_LOG_WARN, "volume", "'%s': connected again", p->uri);
	if (c->size < vol_get_info(v)->size)
		mpn_log(MPN_LOG_WARN, "volume",
			"'%s': has shrunk to %llu bytes: what is behind them fails", p->uri,
			(unsigned long long)c->size);
}

static bool
has_old(const struct nbd_priv *p)
{
	unsigned i;

	for (i = 0; i < p->nb_conns; i++) {
		if (p->conns[i].h != NULL && nbd_conn_is_old(p, &p->conns[i]))
			return true;
	}
	return false;
}

/* Those that were told another size, once they have answered all. */
static void
end_old(struct nbd_priv *p)
{
	unsigned i;

	for (i = 0; i < p->nb_conns; i++) {
		struct nbd_conn *c = &p->conns[i];

		if (c->h == NULL || !nbd_conn_is_old(p, c) || c->in_flight > 0)
			continue;
		(void)nbd_aio_disconnect(c->h, 0);
		nbd_conn_close(p, c);
	}
}

void
nbd_conn_tend(struct volume *v, uint64_t now_ns)
{
	struct nbd_priv *p = vol_priv(v);
	struct nbd_maker *m = &p->maker;
	uint32_t newest = __atomic_load_n(&p->newest, __ATOMIC_RELAXED);

	if (mpn_unlikely(p->ended != newest)) {
		end_old(p);
		p->ended = has_old(p) ? p->ended : newest;
	}
	if (m->running) {
		if (__atomic_load_n(&m->done, __ATOMIC_ACQUIRE) != 0)
			take_connection(v, now_ns);
		return;
	}
	if (mpn_unlikely(p->nb_ready < p->nb_conns) && now_ns >= p->retry_ns)
		start_maker(p, now_ns);
}

uint64_t
nbd_conn_next_ns(const struct nbd_priv *p, uint64_t now_ns)
{
	if (p->maker.running)
		return MAKER_LOOK_NS;
	if (p->nb_ready == p->nb_conns)
		return UINT64_MAX;
	return p->retry_ns > now_ns ? p->retry_ns - now_ns : 0;
}

void
nbd_conn_stop(struct nbd_priv *p)
{
	struct nbd_maker *m = &p->maker;

	if (!m->running)
		return;
	__atomic_store_n(&m->stop, 1, __ATOMIC_RELAXED);
	(void)pthread_join(m->thread, NULL);
	m->running = false;
	if (m->h != NULL)
		nbd_close(m->h);
}
