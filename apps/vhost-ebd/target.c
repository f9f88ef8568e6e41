/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The loop: rings on one side, the volume on the other. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sodium.h>

#include "mpn_log.h"
#include "mpn_out.h"
#include "target_int.h"

/* Longer than a guest takes for its next request, shorter than anybody would call spinning. */
#define LINGER_NS 100000u
/* What a session that nobody uses needs: its probes answered, a lost peer noticed. */
#define NAP_MS 20
#define LOOK_NS 100000000u
/* Told to stop, what is in flight has so long. */
#define END_NS 2000000000ull
#define RETRY_NS 500000000u /* to open a volume that nobody opens */
#define FAIL_AFTER_MS 30000u /* as of a queue */
#define NSEC_PER_MSEC 1000000u

/* ---- The lock ---- */

void
target_lock(struct target *t)
{
	__atomic_fetch_add(&t->wanted, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&t->lock);
	__atomic_fetch_sub(&t->wanted, 1, __ATOMIC_SEQ_CST);
}

void
target_unlock(struct target *t)
{
	pthread_mutex_unlock(&t->lock);
}

/* A mutex is not fair: the loop would have it again before anybody else woke up. */
static void
lock_politely(struct target *t)
{
	while (__atomic_load_n(&t->wanted, __ATOMIC_SEQ_CST) > 0)
		(void)sched_yield();
	pthread_mutex_lock(&t->lock);
}

/* ---- The volume ---- */

/* Waiting for a server ends with the loop, and when rings are to be taken away. */
static int
look_for_stop(void *arg)
{
	const struct target *t = arg;

	return t->signals->stop || __atomic_load_n(&t->abandon, __ATOMIC_RELAXED) != 0 ? -EINTR : 0;
}

/*
 * The same for the same socket and volume: what a target that was killed has left under way at the
 * server is fenced off before its successor does it again.
 */
static void
set_identity(struct target *t)
{
	struct ebd_client_conf *client = &t->conf.volume.client;
	char host[256] = "", dir[4096] = "";
	crypto_generichash_state h;

	(void)gethostname(host, sizeof(host) - 1);
	if (t->conf.socket[0] != '/' && getcwd(dir, sizeof(dir)) == NULL)
		dir[0] = '\0';
	crypto_generichash_init(&h, NULL, 0, sizeof(client->client_uuid));
	crypto_generichash_update(&h, (const uint8_t *)host, strlen(host) + 1);
	crypto_generichash_update(&h, (const uint8_t *)dir, strlen(dir) + 1);
	crypto_generichash_update(&h, (const uint8_t *)t->conf.socket, strlen(t->conf.socket) + 1);
	crypto_generichash_update(&h, (const uint8_t *)t->conf.volume.queue.volume,
		strlen(t->conf.volume.queue.volume) + 1);
	crypto_generichash_final(&h, client->client_uuid, sizeof(client->client_uuid));
}

/* Requests wait for who opens the volume as long as for a server that has gone. */
static bool
may_wait(const struct target *t, int rc)
{
	uint64_t ms = t->conf.volume.queue.fail_after_ms;

	switch (rc) {
	case -EINTR: /* whoever interrupts knows what is to become of them */
		return true;
	case -ETIMEDOUT:
	case -EBUSY:
	case -ENOENT:
		ms = ms != 0 ? ms : FAIL_AFTER_MS;
		return ms == EBD_FOREVER || ebd_now_ns() - t->missing_ns < ms * NSEC_PER_MSEC;
	default:
		return false;
	}
}

static int
open_volume(struct target *t)
{
	struct ebd_queue *q = ebd_queue_open(t->client, &t->conf.volume.queue);
	int rc = q != NULL ? 0 : -errno;

	lock_politely(t);
	if (q != NULL)
		device_set_volume(t->device, q);
	else if (!may_wait(t, rc))
		device_fail_waiting(t->device, rc);
	target_unlock(t);
	return rc;
}

/* Requests have no volume any more. */
static void
reopen_volume(struct target *t)
{
	uint64_t now_ns = ebd_now_ns();

	if (t->missing_ns == 0)
		t->missing_ns = now_ns;
	if (now_ns < t->retry_ns)
		return;
	if (open_volume(t) == 0 || !device_wants_volume(t->device)) {
		t->missing_ns = 0;
		t->retry_ns = 0;
	} else {
		t->retry_ns = ebd_now_ns() + RETRY_NS;
	}
}

static bool
is_other(const struct ebd_info *a, const struct ebd_info *b)
{
	return a->size != b->size || a->read_only != b->read_only;
}

/* Volumes grow, and are made read-only, while they are in use. */
static void
look_at_volume(struct target *t, uint64_t now_ns)
{
	struct ebd_queue *q = device_volume(t->device);
	struct ebd_info info;

	if (q == NULL || now_ns < t->look_ns)
		return;
	t->look_ns = now_ns + LOOK_NS;
	ebd_queue_info(q, &info);
	if (!is_other(&info, &device_limits(t->device)->info))
		return;
	device_set_volume(t->device, q);
	target_config_changed(t);
	mpn_log(MPN_LOG_INFO, "vhost", "%s: the volume has %llu bytes now%s", t->conf.socket,
		(unsigned long long)info.size, info.read_only ? ", read-only" : "");
}

/* ---- Life ---- */

static int
open_fds(struct target *t)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = DEVICE_QUEUES};

	t->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (t->wake_fd < 0 || t->epoll_fd < 0 ||
		epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->wake_fd, &ev) != 0)
		return -errno;
	return 0;
}

static int
start(struct target *t)
{
	const char *serial = t->conf.serial != NULL ? t->conf.serial : t->conf.volume.queue.volume;
	struct blk_volume *limits;
	struct device_log log;
	int rc = open_fds(t);

	if (rc != 0)
		return rc;
	target_get_log(t, &log);
	t->device = device_create(&log);
	if (t->device == NULL)
		return -ENOMEM;
	limits = device_limits(t->device);
	memcpy(limits->serial, serial, MPN_MIN(strlen(serial), sizeof(limits->serial)));
	t->client = ebd_client_create(&t->conf.volume.client);
	if (t->client == NULL)
		return -errno;
	rc = open_volume(t);
	return rc == 0 ? target_offer(t) : rc;
}

static void
init_target(struct target *t, const struct target_conf *conf, struct target_signals *signals)
{
	pthread_condattr_t attr;
	unsigned i;

	t->conf = *conf;
	t->signals = signals;
	t->conf.queues = MPN_MAX(conf->queues, 1);
	if (t->conf.volume.client.idle == EBD_IDLE_AUTO)
		t->conf.volume.client.idle = EBD_IDLE_SLEEP;
	t->conf.volume.client.background = look_for_stop;
	t->conf.volume.client.background_arg = t;
	t->wake_fd = -1;
	t->epoll_fd = -1;
	t->vid = -1;
	mpn_list_init(&t->mappings);
	mpn_list_init(&t->old_mappings);
	for (i = 0; i < DEVICE_QUEUES; i++)
		t->kick_fds[i] = -1;
	set_identity(t);
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&t->quiet, &attr);
	(void)pthread_condattr_destroy(&attr);
}

struct target *
target_create(const struct target_conf *conf, struct target_signals *signals)
{
	struct target *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return mpn_err_null(ENOMEM);
	init_target(t, conf, signals);
	rc = start(t);
	if (rc == 0)
		return t;
	target_destroy(t);
	return mpn_err_null(-rc);
}

void
target_destroy(struct target *t)
{
	if (t == NULL)
		return;
	if (t->device != NULL) {
		target_withdraw(t);
		if (device_volume(t->device) != NULL)
			ebd_queue_close(device_volume(t->device));
	}
	ebd_client_destroy(t->client);
	device_destroy(t->device);
	free(t->memory);
	(void)mapping_sweep(&t->mappings);
	(void)mapping_sweep(&t->old_mappings);
	if (t->wake_fd >= 0)
		close(t->wake_fd);
	if (t->epoll_fd >= 0)
		close(t->epoll_fd);
	(void)pthread_cond_destroy(&t->quiet);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

int
target_wake_fd(const struct target *t)
{
	return t->wake_fd;
}

/* ---- The loop ---- */

/* One round. @return what there was to do */
static unsigned
run_round(struct target *t, bool take)
{
	unsigned work;
	bool wants;

	lock_politely(t);
	work = device_poll(t->device, take && !t->draining);
	if (t->abandon != ABANDON_NOTHING) {
		device_abandon(t->device, t->abandon == ABANDON_KEEP);
		t->abandon = ABANDON_NOTHING;
	}
	if (t->draining && device_in_flight(t->device) == 0)
		(void)pthread_cond_signal(&t->quiet);
	look_at_volume(t, ebd_now_ns());
	if (!mpn_list_empty(&t->old_mappings))
		(void)mapping_sweep(&t->old_mappings);
	wants = device_wants_volume(t->device);
	target_unlock(t);
	if (wants)
		reopen_volume(t);
	return work;
}

/* Sleep until a guest has something, at most NAP_MS. */
static void
nap(struct target *t)
{
	struct epoll_event evs[DEVICE_QUEUES + 1];
	eventfd_t value;
	bool busy;
	int i, n;

	lock_politely(t);
	busy = device_want_kicks(t->device);
	target_unlock(t);
	n = busy ? 0 : epoll_wait(t->epoll_fd, evs, MPN_ARRAY_SIZE(evs), NAP_MS);
	lock_politely(t);
	for (i = 0; i < n; i++) {
		int fd =
			evs[i].data.u32 < DEVICE_QUEUES ? t->kick_fds[evs[i].data.u32] : t->wake_fd;

		if (fd >= 0)
			(void)eventfd_read(fd, &value);
	}
	device_stop_kicks(t->device);
	target_unlock(t);
}

static void
rest(struct target *t, unsigned work)
{
	uint64_t now_ns = ebd_now_ns();

	if (work > 0)
		t->busy_ns = now_ns;
	if (device_in_flight(t->device) == 0 && t->conf.volume.client.idle != EBD_IDLE_SPIN &&
		now_ns - t->busy_ns > LINGER_NS)
		nap(t);
	else
		ebd_client_idle(t->client, work);
}

static void
print_counters(struct target *t)
{
	const struct device_stats *s = device_get_stats(t->device);
	struct ebd_stats v = {0};
	struct mpn_out o;

	mpn_out_begin(&o, stdout, false);
#define X(name, text) mpn_out_u64(&o, #name, s->name);
	DEVICE_STATS_LIST(X)
#undef X
	if (device_volume(t->device) != NULL)
		ebd_queue_stats(device_volume(t->device), &v);
	mpn_out_u64(&o, "payload_bytes", v.payload_bytes);
	mpn_out_u64(&o, "copied_bytes", v.copied_bytes);
	mpn_out_u64(&o, "in_place_bytes", v.in_place_bytes);
	mpn_out_u64(&o, "retransmits", v.retransmits);
	mpn_out_u64(&o, "reconnects", v.reconnects);
	mpn_out_u64(&o, "in_flight", device_in_flight(t->device));
	(void)mpn_out_end(&o);
}

/* Guests are told what is done; what is not, their side knows of and gives to the next target. */
static void
finish(struct target *t)
{
	uint64_t end_ns = ebd_now_ns() + END_NS;

	/* Nobody opens a volume now. */
	while (device_in_flight(t->device) > 0 && !device_wants_volume(t->device) &&
		ebd_now_ns() < end_ns)
		ebd_client_idle(t->client, run_round(t, false));
	lock_politely(t);
	device_abandon(t->device, true);
	(void)pthread_cond_signal(&t->quiet);
	target_unlock(t);
}

int
target_run(struct target *t)
{
	while (!t->signals->stop) {
		unsigned work = run_round(t, true);

		if (t->signals->report) {
			t->signals->report = false;
			print_counters(t);
		}
		rest(t, work);
	}
	finish(t);
	return 0;
}
