/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A file descriptor for programs with an event loop of their own. Drivers of virtual links have no
 * interrupts that could be used from here: net_virtio_user's would talk to the peer on DPDK's interrupt
 * thread while this one uses the port. So it is a timer, at the pace at which an idle poller sleeps.
 */

#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ebd_int.h"

int
ebd_queue_fd(struct ebd_queue *q)
{
	struct ebd_client *c = q->client;

	if (c->event_fd < 0)
		c->event_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (c->event_fd < 0)
		return mpn_log_err(errno, "ebd", "link '%s': cannot make a timer: %s", c->link,
			strerror(errno));
	return c->event_fd;
}

/* Has a poll since the last time found something? Then the silence starts anew. */
static bool
was_busy(struct ebd_client *c)
{
	const struct mpn_nic_stats *s = mpn_nic_get_stats(c->nic);
	uint64_t busy = s->polls - s->idle_polls;

	if (c->busy_polls == busy)
		return false;
	c->busy_polls = busy;
	c->silent_since_ns = mpn_now_ns();
	return true;
}

int
ebd_queue_arm(struct ebd_queue *q)
{
	struct ebd_client *c = q->client;
	struct itimerspec when = {0};

	if (c->event_fd < 0)
		return mpn_err(EBADF);
	if (was_busy(c))
		return 1;
	when.it_value.tv_nsec = (long)mpn_idle_pause_ns(mpn_now_ns() - c->silent_since_ns);
	/* This takes back that the timer has run out, too: nobody has to read it. */
	return timerfd_settime(c->event_fd, 0, &when, NULL) < 0 ? -errno : 0;
}

void
ebd_client_close_fd(struct ebd_client *c)
{
	if (c->event_fd >= 0)
		(void)close(c->event_fd);
	c->event_fd = -1;
}
