/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#include "eal_log.h"
#include "link_side.h"
#include "mpn_log.h"
#include "mpn_parse.h"
#include "mpn_proc.h"

#define ANSWER_MS 3000 /* a vhost server that has just started needs up to one second */
#define BUSY_MS 1000 /* for a process that is just going */
#define STEP_MS 10

static struct link_side *
make_side(struct link *l, enum sock_side side, int type)
{
	struct link_side *s = calloc(1, sizeof(*s));
	struct rte_ether_addr mac;

	if (s == NULL)
		return mpn_err_null(ENOMEM);
	s->side = side;
	s->type = type;
	s->lock_fd = -1;
	rte_eth_random_addr(mac.addr_bytes);
	rte_ether_format_addr(s->mac, sizeof(s->mac), &mac);
	l->priv = s;
	return s;
}

static void
unlock(struct link *l)
{
	struct link_side *s = l->priv;

	sock_unlock(l->spec.arg, s->side, s->lock_fd);
	s->lock_fd = -1;
}

void
side_close(struct link *l)
{
	if (l->priv == NULL)
		return;
	unlock(l);
	free(l->priv);
	l->priv = NULL;
}

/* Drivers cut what does not fit, and would make a socket of another name. */
static int
check_path(const struct link *l)
{
	if (strlen(l->spec.arg) < SOCK_MAX_PATH)
		return 0;
	return mpn_log_err(EINVAL, "nic", "link '%s': expected a path of at most %d characters",
		l->spec.text, SOCK_MAX_PATH - 1);
}

/* ---- Waiting ---- */

/* Let time pass, and what else lives on this thread run. 0, or what makes it give up. */
static int
take_step(const struct link *l, const char *meanwhile)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	int rc = 0;

	/* A signal ends it early: the background looks at once what it was. */
	(void)nanosleep(&step, NULL);
	if (l->want.background != NULL)
		rc = l->want.background(l->want.background_arg);
	if (rc < 0)
		return mpn_log_err(
			-rc, "nic", "link '%s': interrupted while %s", l->spec.text, meanwhile);
	return 0;
}

/* How long a side may be taken, in ms: of a process that was killed, until the kernel has ended it. */
static uint64_t
busy_ms(const struct link *l, enum sock_side side)
{
	return mpn_proc_is_ending(sock_holder(l->spec.arg, side)) ? MPN_PROC_END_MS : BUSY_MS;
}

/* ": process 123", who has the side, or nothing. */
static const char *
name_holder(const struct link *l, enum sock_side side, char *text, size_t size)
{
	pid_t pid = sock_holder(l->spec.arg, side);

	text[0] = '\0';
	if (pid > 0)
		(void)snprintf(text, size, ": process %d", (int)pid);
	return text;
}

/* ---- The server ---- */

static int
try_claim(struct link *l)
{
	struct link_side *s = l->priv;

	s->lock_fd = sock_lock(l->spec.arg, SOCK_SERVER);
	return s->lock_fd < 0 ? s->lock_fd : sock_clear(l->spec.arg, s->type);
}

static int
refuse_claim(const struct link *l, int err)
{
	const struct link_side *s = l->priv;
	const char *link = l->spec.text;
	char holder[32];

	if (s->lock_fd == -EBUSY)
		return mpn_log_err(EBUSY, "nic", "link '%s': another process serves it%s", link,
			name_holder(l, SOCK_SERVER, holder, sizeof(holder)));
	if (s->lock_fd < 0)
		return mpn_log_err(-s->lock_fd, "nic", "link '%s': cannot make %s.lock: %s", link,
			l->spec.arg, strerror(-s->lock_fd));
	return mpn_log_err(-err, "nic", "link '%s': %s", link,
		err == -EADDRINUSE ? "another program serves it"
		: err == -EEXIST   ? "the path is taken by something that is no socket; "
				     "expected a new name"
				   : strerror(-err));
}

/* A server that was killed a moment ago may still be there. */
static int
claim_path(struct link *l)
{
	uint64_t start = mpn_now_ns();
	int rc, err;

	while ((err = try_claim(l)) < 0) {
		if ((err != -EBUSY && err != -EADDRINUSE) ||
			mpn_now_ns() - start >= busy_ms(l, SOCK_SERVER) * 1000000)
			return refuse_claim(l, err);
		unlock(l);
		rc = take_step(l, "another process served it");
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
side_serve(struct link *l, int type)
{
	struct link_side *s;
	int rc = check_path(l);

	if (rc < 0)
		return rc;
	s = make_side(l, SOCK_SERVER, type);
	if (s == NULL)
		return -ENOMEM;
	rc = claim_path(l);
	if (rc < 0)
		side_close(l);
	return rc;
}

/* ---- The user ---- */

/* One attempt: be the user of the socket, if somebody serves it. */
static int
try_plug(struct link *l)
{
	struct link_side *s = l->priv;
	struct sock_guard guard;
	int rc;

	/* A memif server dies of a user that connects and hangs up: look, do not touch. */
	rc = s->type == SOCK_SEQPACKET ? sock_look(l->spec.arg) : sock_try(l->spec.arg, s->type);
	if (rc < 0)
		return rc;
	s->lock_fd = sock_lock(l->spec.arg, SOCK_CLIENT);
	if (s->lock_fd < 0 && s->lock_fd != -ENOENT)
		return s->lock_fd;
	sock_guard_begin(&guard, l->spec.arg, ANSWER_MS);
	rc = s->plug(l);
	if (sock_guard_end(&guard) && rc < 0)
		rc = -ETIMEDOUT;
	if (rc < 0)
		unlock(l);
	return rc;
}

static bool
is_not_there(int err)
{
	return err == -ENOENT || err == -ECONNREFUSED || err == -EAGAIN;
}

static int
report(struct link *l, int err, uint64_t wait_ms)
{
	const char *link = l->spec.text;
	char holder[32];

	if (is_not_there(err))
		return mpn_log_err(ETIMEDOUT, "nic",
			"link '%s': nobody serves it (waited %lu ms): %s", link, wait_ms,
			strerror(-err));
	if (err == -EBUSY)
		return mpn_log_err(EBUSY, "nic", "link '%s': another process uses it%s", link,
			name_holder(l, SOCK_CLIENT, holder, sizeof(holder)));
	if (err == -ETIMEDOUT)
		return mpn_log_err(ETIMEDOUT, "nic", "link '%s': its server does not answer", link);
	return mpn_log_err(-err, "nic", "link '%s': %s", link, strerror(-err));
}

static int
get_wait(const struct link *l, uint64_t *ms)
{
	const char *wait = link_opt(&l->spec, "wait", NULL);
	uint64_t ns;

	*ms = l->want.wait_ms;
	if (wait == NULL)
		return 0;
	if (mpn_parse_time_ns(wait, 0, 86400000000000ull, &ns) < 0)
		return mpn_log_err(EINVAL, "nic",
			"link '%s': wait '%s': expected a time such as 5s", l->spec.text, wait);
	*ms = ns / 1000000;
	return 0;
}

/* How long an error may last, in ms: the server may be starting, the last user may be going. */
static uint64_t
patience(const struct link *l, int err, uint64_t wait)
{
	return is_not_there(err) ? wait : err == -EBUSY ? busy_ms(l, SOCK_CLIENT) : 0;
}

/* Try until it works, the error lasts too long, or the background wants to give up. */
static int
wait_for_server(struct link *l, uint64_t wait_ms)
{
	uint64_t start = mpn_now_ns();
	int rc, err;

	while ((err = try_plug(l)) < 0) {
		if (mpn_now_ns() - start >= patience(l, err, wait_ms) * 1000000)
			return report(l, err, wait_ms);
		rc = take_step(l, "nobody served it");
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
side_use(struct link *l, int type, int (*plug)(struct link *l))
{
	struct link_side *s;
	uint64_t wait_ms;
	int rc = check_path(l);

	if (rc < 0)
		return rc;
	s = make_side(l, SOCK_CLIENT, type);
	if (s == NULL)
		return -ENOMEM;
	s->plug = plug;
	l->needs_replug = true;
	l->can_replug = true;
	rc = get_wait(l, &wait_ms);
	if (rc == 0)
		rc = wait_for_server(l, wait_ms);
	if (rc < 0)
		side_close(l);
	return rc;
}

int
side_replug(struct link *l)
{
	int rc;

	eal_log_quiet(true);
	rc = try_plug(l);
	eal_log_quiet(false);
	return rc;
}

/* ---- Unplugging ---- */

static void
note_fence(void *arg)
{
	atomic_store_explicit((atomic_int *)arg, gettid(), memory_order_release);
}

/* Does the thread sleep? Then it waits for the next interrupt: it sleeps nowhere else. */
static bool
is_asleep(int tid)
{
	char path[64], stat[256] = "";
	const char *state;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true; /* there is no telling */
	n = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	state = n > 0 ? strrchr(stat, ')') : NULL;
	return state == NULL || strncmp(state, ") S", 3) == 0;
}

/*
 * The interrupt thread may still be busy with the loss of the connection, now or in an alarm the driver
 * has set. It does one thing after the other: once an alarm of ours has run, so has that. After each
 * interrupt it looks at all handles again, and net_memif frees the one of its listening socket without
 * taking it off that list: so wait until it sleeps, too.
 */
void
side_settle(struct link *l)
{
	struct link_side *s = l->priv;
	uint64_t deadline = mpn_now_ns() + ANSWER_MS * 1000000ull;
	int tid;

	atomic_store(&s->fence, 0);
	if (rte_eal_alarm_set(1, note_fence, &s->fence) < 0)
		return;
	do {
		(void)sched_yield();
		tid = atomic_load_explicit(&s->fence, memory_order_acquire);
	} while ((tid == 0 || !is_asleep(tid)) && mpn_now_ns() < deadline);
	(void)rte_eal_alarm_cancel(note_fence, &s->fence);
}

void
side_unplug(struct link *l)
{
	struct sock_guard guard;

	side_settle(l);
	/* virtio_user asks its peer for the state of the rings. */
	eal_log_quiet(true);
	sock_guard_begin(&guard, l->spec.arg, ANSWER_MS);
	link_unplug(l);
	(void)sock_guard_end(&guard);
	eal_log_quiet(false);
	unlock(l);
}
