/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * vhost:PATH serves, virtio:PATH uses it.
 *
 * The vhost side owns the socket, so a user is connected as soon as it asks. When the vhost side dies
 * virtio_user cannot connect again by itself: the NIC unplugs it and plugs a new one in as soon as
 * somebody serves the socket. The other arrangement (virtio_user owns the socket, vhost connects)
 * needs no new device, but its users wait for vhost's retries, one a second, and for ever when nobody
 * comes. Unplugging also gives back every frame the dead peer could still have read.
 */

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_alarm.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#include "eal_log.h"
#include "link.h"
#include "link_socket.h"
#include "mpn_log.h"
#include "mpn_parse.h"

#define ANSWER_MS 3000 /* a vhost server that has just started needs up to one second */
#define WAIT_MS 5000 /* for a server that is being started */
#define BUSY_MS 1000 /* for a user that is just going */
#define STEP_MS 10

struct side {
	int lock_fd;
	atomic_bool fence; /* the alarms set before have run */
	char mac[RTE_ETHER_ADDR_FMT_SIZE]; /* the same after each plugging */
};

static struct side *
get_side(struct link *l)
{
	if (l->priv == NULL) {
		l->priv = calloc(1, sizeof(struct side));
		if (l->priv != NULL)
			((struct side *)l->priv)->lock_fd = -1;
	}
	return l->priv;
}

static void
drop_side(struct link *l, enum sock_side side)
{
	struct side *s = l->priv;

	if (s != NULL)
		sock_unlock(l->spec.arg, side, s->lock_fd);
	free(s);
	l->priv = NULL;
}

/* ---- vhost: the server ---- */

/* Become the owner of the path: alone, and without what a dead owner has left. */
static int
claim_path(struct link *l)
{
	const char *path = l->spec.arg;
	struct side *s = get_side(l);
	int rc;

	if (s == NULL)
		return mpn_err(ENOMEM);
	s->lock_fd = sock_lock(path, SOCK_SERVER);
	if (s->lock_fd == -EBUSY)
		return mpn_log_err(
			EBUSY, "nic", "link '%s': another process serves it", l->spec.text);
	if (s->lock_fd < 0)
		return mpn_log_err(-s->lock_fd, "nic", "link '%s': cannot make %s.lock: %s",
			l->spec.text, path, strerror(-s->lock_fd));
	rc = sock_clear(path);
	if (rc < 0)
		return mpn_log_err(-rc, "nic", "link '%s': %s", l->spec.text,
			rc == -EADDRINUSE ? "another program serves it"
			: rc == -EEXIST   ? "the path is a file; expected a new name or a socket"
					  : strerror(-rc));
	return 0;
}

int
vhost_open(struct link *l)
{
	char args[LINK_ARG_LEN + 64];
	int rc;

	rc = claim_path(l);
	if (rc == 0) {
		(void)snprintf(args, sizeof(args), "iface=%s,queues=1,client=0", l->spec.arg);
		rc = link_plug(l, "net_vhost", args);
	}
	if (rc < 0)
		drop_side(l, SOCK_SERVER);
	return rc;
}

void
vhost_close(struct link *l)
{
	drop_side(l, SOCK_SERVER);
}

/* ---- virtio: the user ---- */

static int
plug_virtio(struct link *l)
{
	char args[LINK_ARG_LEN + 128];
	struct side *s = l->priv;
	struct sock_guard guard;
	int rc;

	(void)snprintf(args, sizeof(args),
		"path=%s,queues=1,queue_size=%u,mrg_rxbuf=1,in_order=0,server=0,mac=%s",
		l->spec.arg, l->want.nb_rxd, s->mac);
	sock_guard_begin(&guard, l->spec.arg, ANSWER_MS);
	rc = link_try_plug(l, "net_virtio_user", args);
	if (sock_guard_end(&guard) && rc < 0)
		rc = -ETIMEDOUT;
	return rc;
}

/* One attempt: be the user of the socket, if somebody serves it. */
static int
try_virtio(struct link *l)
{
	struct side *s = l->priv;
	int rc;

	rc = sock_try(l->spec.arg);
	if (rc < 0)
		return rc;
	if (s->lock_fd < 0)
		s->lock_fd = sock_lock(l->spec.arg, SOCK_CLIENT);
	if (s->lock_fd < 0 && s->lock_fd != -ENOENT)
		return s->lock_fd;
	rc = plug_virtio(l);
	if (rc < 0) {
		sock_unlock(l->spec.arg, SOCK_CLIENT, s->lock_fd);
		s->lock_fd = -1;
	}
	return rc;
}

static bool
may_change(int err, unsigned waited_ms, uint64_t wait_ms)
{
	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -EAGAIN:
		return waited_ms < wait_ms;
	case -EBUSY:
		return waited_ms < BUSY_MS;
	default:
		return false;
	}
}

static int
report(struct link *l, int err, uint64_t wait_ms)
{
	if (err == -ENOENT || err == -ECONNREFUSED || err == -EAGAIN)
		return mpn_log_err(ETIMEDOUT, "nic",
			"link '%s': nobody serves it (waited %lu ms): %s", l->spec.text, wait_ms,
			strerror(-err));
	if (err == -EBUSY)
		return mpn_log_err(
			EBUSY, "nic", "link '%s': another process uses it", l->spec.text);
	if (err == -ETIMEDOUT)
		return mpn_log_err(ETIMEDOUT, "nic",
			"link '%s': its server does not answer the vhost handshake", l->spec.text);
	return mpn_log_err(-err, "nic", "link '%s': %s", l->spec.text, strerror(-err));
}

static void
choose_address(struct side *s)
{
	struct rte_ether_addr mac;

	rte_eth_random_addr(mac.addr_bytes);
	rte_ether_format_addr(s->mac, sizeof(s->mac), &mac);
}

int
virtio_open(struct link *l)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	uint64_t wait_ns = WAIT_MS * 1000000ull;
	const char *wait = link_opt(&l->spec, "wait", NULL);
	unsigned waited = 0;
	int rc;

	if (wait != NULL && mpn_parse_time_ns(wait, 0, 86400000000000ull, &wait_ns) < 0)
		return mpn_log_err(EINVAL, "nic",
			"link '%s': wait '%s': expected a time such as 5s", l->spec.text, wait);
	if (get_side(l) == NULL)
		return mpn_err(ENOMEM);
	choose_address(l->priv);
	while ((rc = try_virtio(l)) < 0 && may_change(rc, waited, wait_ns / 1000000)) {
		(void)nanosleep(&step, NULL);
		waited += STEP_MS;
	}
	if (rc < 0) {
		drop_side(l, SOCK_CLIENT);
		return report(l, rc, wait_ns / 1000000);
	}
	return 0;
}

void
virtio_close(struct link *l)
{
	drop_side(l, SOCK_CLIENT);
}

static void
note_fence(void *arg)
{
	atomic_store_explicit((atomic_bool *)arg, true, memory_order_release);
}

/*
 * A lost connection has made the driver set an alarm that will look at the device. Alarms run in
 * order: once ours has run, so has that one.
 */
static void
wait_for_alarms(struct side *s)
{
	uint64_t deadline = mpn_now_ns() + ANSWER_MS * 1000000ull;

	atomic_store(&s->fence, false);
	if (rte_eal_alarm_set(1, note_fence, &s->fence) < 0)
		return;
	while (!atomic_load_explicit(&s->fence, memory_order_acquire) && mpn_now_ns() < deadline)
		(void)sched_yield();
	(void)rte_eal_alarm_cancel(note_fence, &s->fence);
}

void
virtio_unplug(struct link *l)
{
	struct side *s = l->priv;
	struct sock_guard guard;

	wait_for_alarms(s);
	/* The driver asks the peer for the state of its rings. */
	eal_log_quiet(true);
	sock_guard_begin(&guard, l->spec.arg, ANSWER_MS);
	link_unplug(l);
	(void)sock_guard_end(&guard);
	eal_log_quiet(false);
	sock_unlock(l->spec.arg, SOCK_CLIENT, s->lock_fd);
	s->lock_fd = -1;
}

int
virtio_replug(struct link *l)
{
	int rc;

	eal_log_quiet(true);
	rc = try_virtio(l);
	eal_log_quiet(false);
	return rc;
}
