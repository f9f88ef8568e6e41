/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The client: one end of a link, and what can be found behind it. */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "ebd_discover.h"
#include "ebd_int.h"
#include "st_arena.h"

#define DEFAULT_TIMEOUT_MS 5000

/*
 * Above that of every start before, here and in earlier processes. Starts are told apart by whole
 * steps, what is below counts how often a session was opened again.
 */
static uint64_t
make_nonce(void)
{
	static uint64_t last;
	const uint64_t step = 1ull << XFER_NONCE_TRY_BITS;
	struct timespec ts;
	uint64_t now, before, next;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	now = ((uint64_t)ts.tv_sec * XFER_NSEC_PER_SEC + (uint64_t)ts.tv_nsec) & ~(step - 1);
	before = __atomic_load_n(&last, __ATOMIC_RELAXED);
	do {
		next = now > before ? now : before + step;
	} while (!__atomic_compare_exchange_n(
		&last, &before, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return next;
}

static void
set_identity(struct ebd_client *c)
{
	if (sodium_is_zero(c->conf.client_uuid, sizeof(c->conf.client_uuid)))
		randombytes_buf(c->uuid, sizeof(c->uuid));
	else
		memcpy(c->uuid, c->conf.client_uuid, sizeof(c->uuid));
	c->nonce = make_nonce();
}

static struct mpn_nic *
make_nic(const struct ebd_client *c, const char *link)
{
	const struct mpn_nic_conf conf = {
		.link = link,
		.mtu = c->conf.mtu,
		.nb_keep = c->conf.loan_frames,
		.wait_ms = c->conf.connect_timeout_ms,
		.background = c->conf.background,
		.background_arg = c->conf.background_arg,
	};
	const struct ebd_faces faces = {
		.vlan = c->conf.vlan, .net = c->conf.net, .net_vlan = c->conf.net_vlan};

	return ebd_nic_create(&conf, &faces);
}

struct ebd_client *
ebd_client_create(const struct ebd_client_conf *conf)
{
	struct ebd_client *c;
	enum mpn_idle idle;

	if (conf->link == NULL) {
		(void)mpn_log_err(EINVAL, "ebd", "a client needs a link");
		return NULL;
	}
	if (ebd_eal_start(conf->link, conf->eal, conf->no_huge, 0, conf->lcore) < 0)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return mpn_err_null(ENOMEM);
	c->conf = *conf;
	c->conf.link = NULL; /* the caller's memory */
	c->conf.eal = NULL;
	if (c->conf.connect_timeout_ms == 0)
		c->conf.connect_timeout_ms = DEFAULT_TIMEOUT_MS;
	(void)snprintf(c->link, sizeof(c->link), "%s", conf->link);
	mpn_list_init(&c->queues);
	c->event_fd = -1;
	set_identity(c);
	idle = ebd_idle_policy(conf->idle);
	mpn_idler_init(&c->idler, idle);
	/* A peer that shares the core answers when the scheduler lets it. */
	c->shared_core = idle != MPN_IDLE_SPIN || conf->background != NULL;
	c->nic = make_nic(c, conf->link);
	if (c->nic == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

void
ebd_client_destroy(struct ebd_client *c)
{
	if (c == NULL)
		return;
	while (!mpn_list_empty(&c->queues))
		ebd_queue_close(mpn_list_first(&c->queues, struct ebd_queue, node));
	ebd_client_close_fd(c);
	mpn_nic_destroy(c->nic);
	free(c);
}

/* The shortest of the queues that wait for something; 0: none does. */
static uint64_t
find_answer_ns(const struct ebd_client *c)
{
	uint64_t shortest = UINT64_MAX;
	struct mpn_list *node;

	mpn_list_for_each(node, &c->queues) {
		const struct ebd_queue *q = mpn_list_entry(node, struct ebd_queue, node);

		if (q->dev != NULL && dev_st_get_current_queue_len(q->dev) > 0)
			shortest = MPN_MIN(shortest, dev_st_srtt_ns(q->dev));
	}
	return shortest != UINT64_MAX ? shortest : 0;
}

void
ebd_client_idle(struct ebd_client *c, unsigned work)
{
	if (work == 0 && c->idler.policy == MPN_IDLE_SLEEP)
		c->idler.answer_ns = find_answer_ns(c);
	mpn_idler_round(&c->idler, work);
}

int
ebd_client_wait_round(struct ebd_client *c)
{
	unsigned work = mpn_nic_poll(c->nic);
	int rc = 0;

	if (c->conf.background != NULL) {
		c->in_callback = true;
		rc = c->conf.background(c->conf.background_arg);
		c->in_callback = false;
		if (rc > 0)
			work += (unsigned)rc;
	}
	ebd_client_idle(c, work);
	return rc < 0 ? rc : 0;
}

bool
ebd_client_is_busy(const struct ebd_client *c, const char *what)
{
	if (c->in_callback)
		(void)mpn_log_err(EDEADLK, "ebd", "%s: not from inside a callback", what);
	return c->in_callback;
}

void *
ebd_arena_alloc(struct ebd_client *c, size_t bytes)
{
	return st_arena_alloc(c->nic, bytes, 0);
}

int
ebd_arena_free(void *mem)
{
	return st_arena_free(mem);
}

int
ebd_mem_register(void *mem, size_t bytes)
{
	return st_lent_register(mem, bytes);
}

int
ebd_mem_unregister(void *mem)
{
	return st_lent_unregister(mem);
}
