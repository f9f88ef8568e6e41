/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "owner.h"

#define BURST 32
/* Longer than a client takes for its next request, shorter than anybody would call spinning. */
#define LINGER_NS 100000u
/* What a session that nobody uses needs: its probes answered, a lost peer noticed. */
#define NAP_NS 20000000u

struct owner {
	struct client_opts opts;
	struct ebd_client *client;
	struct ebd_queue *queue; /* NULL: lost for good, opened again when somebody wants it */
	struct owner_request *todo, **todo_end; /* taken from the inbox, not submitted */
	unsigned in_flight;
	uint64_t busy_ns; /* when there was work last */
	uint32_t to_wake; /* lots of threads whose requests are done */
	pthread_t thread;
	sem_t started;
	int start_status;
	/* Shared with the threads that make requests. */
	struct owner_request *inbox; /* the newest first */
	bool asleep;
	bool stop;
	sem_t wake;
	uint32_t last_lot;
	uint32_t rounds; /* in which some were done: what all who wait sleep at */
};

/* ---- Handing over ---- */

static void
wake_owner(struct owner *w)
{
	/* Sequentially consistent with nap(): one of the two sees what the other has written. */
	if (__atomic_exchange_n(&w->asleep, false, __ATOMIC_SEQ_CST))
		(void)sem_post(&w->wake);
}

static long
futex(uint32_t *word, int op, uint32_t value, uint32_t lot)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, lot);
}

/*
 * Whoever waits has one of 32 lots: those of a round are woken by one call, when all its answers are there. Woken
 * one by one they would take the core from the thread that has the next answer.
 */
static void
wait_until_done(struct owner *w, struct owner_request *r)
{
	uint32_t round;

	for (;;) {
		round = __atomic_load_n(&w->rounds, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&r->done, __ATOMIC_SEQ_CST))
			return;
		(void)futex(&w->rounds, FUTEX_WAIT_BITSET, round, r->lot);
	}
}

static void
wake_done(struct owner *w)
{
	if (w->to_wake == 0)
		return;
	(void)__atomic_add_fetch(&w->rounds, 1, __ATOMIC_SEQ_CST);
	(void)futex(&w->rounds, FUTEX_WAKE_BITSET, INT_MAX, w->to_wake);
	w->to_wake = 0;
}

int
owner_run(struct owner *w, struct owner_request *r)
{
	r->done = false;
	r->lot = 1u << (__atomic_fetch_add(&w->last_lot, 1, __ATOMIC_RELAXED) % 32);
	r->next = __atomic_load_n(&w->inbox, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(
		&w->inbox, &r->next, r, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	wake_owner(w);
	wait_until_done(w, r);
	return r->status;
}

/* The request may be gone as soon as it is said to be done. */
static void
finish(struct owner *w, struct owner_request *r, int status)
{
	w->to_wake |= r->lot;
	r->status = status;
	__atomic_store_n(&r->done, true, __ATOMIC_SEQ_CST);
}

/* Move what has come in to the end of what is to do, in order. */
static void
empty_inbox(struct owner *w)
{
	struct owner_request *r, *next, *list = NULL, *last;

	if (__atomic_load_n(&w->inbox, __ATOMIC_RELAXED) == NULL)
		return;
	r = __atomic_exchange_n(&w->inbox, NULL, __ATOMIC_ACQUIRE);
	for (last = r; r != NULL; r = next) {
		next = r->next;
		r->next = list;
		list = r;
	}
	*w->todo_end = list;
	if (last != NULL)
		w->todo_end = &last->next;
}

/* Sleep until a request comes, at most NAP_NS. */
static void
nap(struct owner *w)
{
	struct timespec until;

	__atomic_store_n(&w->asleep, true, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&w->inbox, __ATOMIC_SEQ_CST) == NULL &&
		!__atomic_load_n(&w->stop, __ATOMIC_SEQ_CST)) {
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += NAP_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		(void)sem_clockwait(&w->wake, CLOCK_MONOTONIC, &until);
	}
	__atomic_store_n(&w->asleep, false, __ATOMIC_SEQ_CST);
}

/* ---- Requests ---- */

static struct owner_request *
take_todo(struct owner *w)
{
	struct owner_request *r = w->todo;

	w->todo = r->next;
	if (w->todo == NULL)
		w->todo_end = &w->todo;
	return r;
}

static void
fail_todo(struct owner *w, int status)
{
	while (w->todo != NULL)
		finish(w, take_todo(w), status);
}

static void
on_done(struct ebd_io *io, int status, void *arg)
{
	struct owner *w = arg;

	w->in_flight--;
	finish(w, mpn_container_of(io, struct owner_request, io), status);
}

static void
prepare(struct owner *w, struct owner_request *r)
{
	switch (r->op) {
	case OWNER_READ:
		ebd_prep_read(&r->io, r->buf, r->len, r->off);
		break;
	case OWNER_WRITE:
		ebd_prep_write(&r->io, r->buf, r->len, r->off, r->flags);
		break;
	case OWNER_FLUSH:
		ebd_prep_flush(&r->io);
		break;
	case OWNER_DISCARD:
		ebd_prep_discard(&r->io, r->off, r->len);
		break;
	default:
		ebd_prep_write_zeroes(&r->io, r->off, r->len, r->flags);
		break;
	}
	ebd_io_set_callback(&r->io, on_done, w);
}

/* The requests at the head of the list that go to the volume, prepared. */
static unsigned
collect_burst(struct owner *w, struct ebd_io **ios)
{
	struct owner_request *r;
	unsigned n = 0;

	for (r = w->todo; r != NULL && n < BURST && r->op != OWNER_INFO; r = r->next) {
		prepare(w, r);
		ios[n++] = &r->io;
	}
	return n;
}

static void
lose_queue(struct owner *w)
{
	ebd_queue_close(w->queue);
	w->queue = NULL;
}

/* Submit what is to do, as much as the queue takes. @return requests that went somewhere */
static unsigned
submit(struct owner *w)
{
	struct ebd_io *ios[BURST];
	unsigned n, taken, i, work = 0;
	int err;

	while (w->todo != NULL) {
		if (w->todo->op == OWNER_INFO) {
			ebd_queue_info(w->queue, w->todo->info);
			finish(w, take_todo(w), 0);
			work++;
			continue;
		}
		n = collect_burst(w, ios);
		taken = ebd_submit_burst(w->queue, ios, n);
		err = taken < n ? errno : 0;
		for (i = 0; i < taken; i++)
			(void)take_todo(w);
		w->in_flight += taken;
		work += taken;
		if (err == EAGAIN)
			break;
		if (err == ENODEV) {
			lose_queue(w);
			break;
		}
		if (err != 0) {
			finish(w, take_todo(w), -err);
			work++;
		}
	}
	return work;
}

/* ---- The thread ---- */

/* Waiting for a server ends with the thread. */
static int
look_for_stop(void *arg)
{
	struct owner *w = arg;

	return __atomic_load_n(&w->stop, __ATOMIC_RELAXED) ? -EINTR : 0;
}

static void
open_again(struct owner *w)
{
	w->queue = ebd_queue_open(w->client, &w->opts.queue);
	if (w->queue == NULL)
		fail_todo(w, -errno);
}

/* One round. @return what there was to do */
static unsigned
run_round(struct owner *w)
{
	unsigned work = 0;
	int rc;

	empty_inbox(w);
	if (w->queue == NULL && w->todo != NULL)
		open_again(w);
	if (w->queue == NULL)
		return 0;
	work += submit(w);
	if (w->queue == NULL)
		return work;
	rc = ebd_poll(w->queue, 0);
	if (rc < 0)
		lose_queue(w);
	else
		work += (unsigned)rc;
	return work;
}

static void
rest(struct owner *w, unsigned work)
{
	uint64_t now = ebd_now_ns();

	wake_done(w);
	if (work > 0)
		w->busy_ns = now;
	if (w->in_flight == 0 && w->todo == NULL && w->opts.client.idle != EBD_IDLE_SPIN &&
		now - w->busy_ns > LINGER_NS)
		nap(w);
	else
		ebd_client_idle(w->client, work);
}

static void *
run(void *arg)
{
	struct owner *w = arg;

	w->client = ebd_client_create(&w->opts.client);
	if (w->client != NULL)
		w->queue = ebd_queue_open(w->client, &w->opts.queue);
	w->start_status = w->queue != NULL ? 0 : -errno;
	(void)sem_post(&w->started);
	while (w->start_status == 0 && !__atomic_load_n(&w->stop, __ATOMIC_RELAXED))
		rest(w, run_round(w));
	ebd_client_destroy(w->client);
	wake_done(w);
	return NULL;
}

static void
init_owner(struct owner *w, const struct client_opts *opts)
{
	w->opts = *opts;
	if (w->opts.client.idle == EBD_IDLE_AUTO)
		w->opts.client.idle = EBD_IDLE_SLEEP;
	w->opts.client.background = look_for_stop;
	w->opts.client.background_arg = w;
	w->todo_end = &w->todo;
	(void)sem_init(&w->started, 0, 0);
	(void)sem_init(&w->wake, 0, 0);
}

/* Signals are for the program's own threads, not for this one and those DPDK starts from it. */
static int
start_thread(struct owner *w)
{
	sigset_t all, before;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&w->thread, NULL, run, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static void
free_owner(struct owner *w)
{
	(void)sem_destroy(&w->started);
	(void)sem_destroy(&w->wake);
	free(w);
}

struct owner *
owner_start(const struct client_opts *opts)
{
	struct owner *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return mpn_err_null(ENOMEM);
	init_owner(w, opts);
	rc = start_thread(w);
	if (rc != 0) {
		free_owner(w);
		return mpn_err_null(rc);
	}
	while (sem_wait(&w->started) != 0)
		;
	rc = w->start_status;
	if (rc < 0) {
		(void)pthread_join(w->thread, NULL);
		free_owner(w);
		return mpn_err_null(-rc);
	}
	return w;
}

void
owner_stop(struct owner *w)
{
	if (w == NULL)
		return;
	__atomic_store_n(&w->stop, true, __ATOMIC_SEQ_CST);
	wake_owner(w);
	(void)pthread_join(w->thread, NULL);
	free_owner(w);
}
