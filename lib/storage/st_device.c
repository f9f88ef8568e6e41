/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The device: its life, its contracts, its turn in the poll loop. */

#include <sched.h>
#include <string.h>
#include <time.h>

#include <rte_malloc.h>
#include <sodium.h>

#include "mpn_parse.h"
#include "st_device.h"
#include "st_place.h"

#define DEFAULT_DEPTH 32
#define DEFAULT_QUEUE_LEN 1024
/* A peer on the same core answers when the scheduler lets it, a time slice or more later. */
#define SHARED_CORE_RTO_NS 20000000ull
#define SHARED_CORE_PROBE_NS 5000000ull
/* Frames a device sends before the next one has its turn. */
#define SEND_BUDGET 64
/* Seconds that pass for an engine nobody polls any more, so that it ends what it has. */
#define LAST_SECONDS 16

/* ---- Events of the engine ---- */

static void
on_event(void *ctx, enum xfer_ini_event ev, int status)
{
	struct net_st_device *dev = ctx;

	if (ev == XFER_EV_OPENED)
		dev->opened = true;
	else if (ev == XFER_EV_REFUSED && xfer_ini_get_state(dev->ini) == XFER_INI_IDLE)
		dev->dead = status;
	else if (ev == XFER_EV_CLOSED)
		dev->dead = -ECANCELED;
	else if (ev == XFER_EV_LOST && dev->nic != NULL && dev->nic->place != NULL)
		st_place_lost(dev);
	if (dev->event != NULL)
		dev->event(dev, ev, status);
}

/* ---- Opening ---- */

static uint64_t
now_as_nonce(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return ((uint64_t)ts.tv_sec * XFER_NSEC_PER_SEC + (uint64_t)ts.tv_nsec) &
	       ~((1ull << XFER_NONCE_TRY_BITS) - 1);
}

static bool
is_zero(const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

static int
fill_ini_conf(struct net_st_device *dev, const struct dev_st_conf *conf, struct xfer_ini_conf *x)
{
	const struct st_nic *n = dev->nic;

	xfer_ini_conf_default(x);
	if (conf->volume == NULL || conf->depth > XFER_MAX_DEPTH ||
		mpn_copy_str(x->volume, sizeof(x->volume), conf->volume) < 0)
		return -EINVAL;
	if (is_zero(conf->client_uuid, sizeof(conf->client_uuid)))
		randombytes_buf(x->client_uuid, sizeof(x->client_uuid));
	else
		memcpy(x->client_uuid, conf->client_uuid, sizeof(x->client_uuid));
	x->nonce = conf->nonce != 0 ? conf->nonce : now_as_nonce();
	memcpy(x->mac, n->info.mac, sizeof(x->mac));
	memcpy(x->target, conf->target, sizeof(x->target));
	x->ethertype_to_target = rte_be_to_cpu_16(n->ethertype_to_target);
	x->ethertype_to_initiator = rte_be_to_cpu_16(n->ethertype_to_initiator);
	x->p_max = n->p_max;
	x->depth = conf->depth != 0 ? conf->depth : DEFAULT_DEPTH;
	x->slot_base = (uint16_t)(dev->index * XFER_MAX_DEPTH);
	x->queue = conf->queue;
	/* A link that is memory cannot change a bit: checksums would only cost. */
	if (conf->crc > 0 || (conf->crc < 0 && n->info.may_corrupt))
		x->features |= WIRE_FEAT_CRC;
	x->rx_frames = MPN_MAX(n->info.nb_rxd / 2u, (uint32_t)WIRE_EBD_MAX_FRAGS);
	if (conf->shared_core) {
		x->rto_min_ns = SHARED_CORE_RTO_NS;
		x->probe_ns = SHARED_CORE_PROBE_NS;
	}
	if (conf->fail_after_ns != 0)
		x->fail_after_ns = conf->fail_after_ns == UINT64_MAX ? 0 : conf->fail_after_ns;
	x->place = st_cmd_place;
	dev->places = n->place != NULL && dev->placement != DEV_ST_PLACE_COPY;
	if (dev->places) {
		x->features |= WIRE_FEAT_BULK;
		x->place = st_place_data;
		x->admit = st_place_admit;
	}
	x->event = on_event;
	x->ctx = dev;
	return 0;
}

static int
find_index(struct st_nic *n)
{
	int i;

	for (i = 0; i < ST_MAX_DEVICES; i++) {
		if (n->devices[i] == NULL)
			return i;
	}
	return -ENOSPC;
}

static void
free_device(struct net_st_device *dev)
{
	rte_free(dev->ini);
	rte_free(dev->cmds);
	rte_free(dev);
}

static int
make_engine(struct net_st_device *dev, const struct dev_st_conf *conf)
{
	struct xfer_ini_conf x;
	uint32_t i;
	void *mem;
	int rc;

	rc = fill_ini_conf(dev, conf, &x);
	if (rc < 0)
		return rc;
	/* Twice the depth: the engine always has the next ones at hand. */
	dev->nb_cmds = 2u * x.depth;
	dev->cmds = rte_zmalloc_socket(NULL, dev->nb_cmds * sizeof(*dev->cmds), RTE_CACHE_LINE_SIZE,
		dev->nic->info.socket_id);
	mem = rte_zmalloc_socket(
		NULL, xfer_ini_size(&x), RTE_CACHE_LINE_SIZE, dev->nic->info.socket_id);
	if (dev->cmds == NULL || mem == NULL) {
		rte_free(mem);
		return -ENOMEM;
	}
	for (i = 0; i < dev->nb_cmds; i++) {
		dev->cmds[i].dev = dev;
		xfer_placed_init(&dev->cmds[i].placed, dev->cmds[i].pages);
		dev->cmds[i].next = dev->free_cmds;
		dev->free_cmds = &dev->cmds[i];
	}
	dev->ini = xfer_ini_init(mem, &x);
	if (dev->ini == NULL) {
		rte_free(mem);
		return -EINVAL;
	}
	return 0;
}

struct net_st_device *
dev_st_open(struct mpn_nic *nic, const struct dev_st_conf *conf)
{
	struct st_nic *n = st_nic_running(nic);
	struct net_st_device *dev;
	int index, rc;

	if (n == NULL)
		return mpn_err_null(ENODEV);
	if (conf->placement == DEV_ST_PLACE_IN && n->place == NULL)
		return mpn_err_null(EOPNOTSUPP);
	index = find_index(n);
	if (index < 0)
		return mpn_err_null(-index);
	/* Its queue is this thread's. */
	rc = mpn_personality_pin(n->pers);
	if (rc < 0)
		return mpn_err_null(-rc);
	dev = rte_zmalloc_socket(NULL, sizeof(*dev), RTE_CACHE_LINE_SIZE, n->info.socket_id);
	if (dev == NULL) {
		mpn_personality_unpin(n->pers);
		return mpn_err_null(ENOMEM);
	}
	dev->nic = n;
	dev->index = (uint16_t)index;
	dev->ethertype = rte_be_to_cpu_16(n->ethertype_to_initiator);
	dev->max_queued = conf->max_queue_len != 0 ? conf->max_queue_len : DEFAULT_QUEUE_LEN;
	dev->user = conf->user;
	dev->placement = (uint8_t)conf->placement;
	dev->event = conf->event;
	mpn_list_init(&dev->fifo);
	rc = make_engine(dev, conf);
	if (rc == 0)
		rc = xfer_ini_open(dev->ini, mpn_now_ns());
	if (rc < 0) {
		mpn_personality_unpin(n->pers);
		free_device(dev);
		return mpn_err_null(-rc);
	}
	n->devices[index] = dev;
	n->wake_ns[index] = 0;
	n->nb_devices = (uint16_t)MPN_MAX(n->nb_devices, index + 1);
	return dev;
}

/* ---- Closing ---- */

void
dev_st_shutdown(struct net_st_device *dev)
{
	if (dev->closing)
		return;
	dev->closing = true;
	st_device_wake(dev);
	st_requests_fail(dev, -ECANCELED);
	xfer_ini_close(dev->ini, mpn_now_ns());
}

bool
dev_st_is_closed(const struct net_st_device *dev)
{
	return xfer_ini_get_state(dev->ini) == XFER_INI_IDLE && dev->nb_queued == 0;
}

void
st_device_cancel(struct net_st_device *dev, uint64_t now_ns)
{
	unsigned i;

	dev_st_shutdown(dev);
	for (i = 1; i <= LAST_SECONDS && !dev_st_is_closed(dev); i++)
		xfer_ini_tick(dev->ini, now_ns + i * XFER_NSEC_PER_SEC);
}

void
st_device_orphan(struct net_st_device *dev)
{
	st_device_cancel(dev, mpn_now_ns());
	/* Nobody polls any more, so that no frame brings the pages out that it may wait for. */
	if (dev->nb_queued > 0 && dev->nic->place != NULL)
		st_place_recall(dev->nic);
	st_place_forget(dev);
	dev->nic = NULL;
}

void
dev_st_close(struct net_st_device *dev)
{
	struct st_nic *n;

	if (dev == NULL)
		return;
	dev_st_shutdown(dev);
	/* The engine repeats its CLOSE a few times, for about a second, then it is closed. */
	while (!dev_st_is_closed(dev) && dev->nic != NULL) {
		if (mpn_nic_poll(dev->nic->nic) == 0)
			(void)sched_yield();
		xfer_ini_tick(dev->ini, mpn_now_ns());
	}
	n = dev->nic;
	if (n != NULL) {
		st_copy_add(&n->copy, &dev->copy);
		st_place_forget(dev);
		n->devices[dev->index] = NULL;
		mpn_personality_unpin(n->pers);
		while (n->nb_devices > 0 && n->devices[n->nb_devices - 1] == NULL)
			n->nb_devices--;
	}
	free_device(dev);
}

/* ---- Requests ---- */

int
dev_st_queue_xmit(struct net_st_device *dev, struct st_request *req)
{
	int rc;

	if (mpn_unlikely(dev->dead != 0))
		return dev->dead == -ESTALE ? -ESTALE : -ENOTCONN;
	if (mpn_unlikely(!dev->opened || dev->closing || dev->nic == NULL || dev->nic->stopping))
		return -ENOTCONN;
	if (mpn_unlikely(dev->completion == NULL))
		return -EINVAL;
	rc = st_request_check(dev, req);
	if (mpn_unlikely(rc != 0))
		return rc;
	req->lent_from = NULL;
	if (mpn_unlikely(dev->nb_queued >= dev->max_queued)) {
		dev->was_full = true;
		return 1;
	}
	if (req->loan) {
		rc = st_loan_reserve(dev, req);
		if (mpn_unlikely(rc != 0))
			return rc;
	}
	st_request_queue(dev, req);
	return 0;
}

void
dev_st_abort(struct net_st_device *dev, struct st_request *req)
{
	st_request_abort(dev, req, mpn_now_ns());
}

int
dev_st_get_max_queue_len(const struct net_st_device *dev)
{
	return (int)dev->max_queued;
}

int
dev_st_get_current_queue_len(const struct net_st_device *dev)
{
	return (int)dev->nb_queued;
}

void
dev_st_register_queue_callback(struct net_st_device *dev, dev_st_queue_callback fn)
{
	dev->space = fn;
}

int
dev_st_register_completion_callback(
	struct net_st_device *dev, uint16_t ethertype, dev_st_completion_callback fn)
{
	if (ethertype != 0 && ethertype != dev->ethertype)
		return -EINVAL;
	dev->completion = fn;
	return 0;
}

/* ---- In the poll loop ---- */

void
st_device_rx(struct net_st_device *dev, const struct xfer_rx *rx, uint64_t now_ns)
{
	st_device_wake(dev);
	xfer_ini_rx(dev->ini, rx, now_ns);
}

static void
tell_space(struct net_st_device *dev)
{
	dev->was_full = false;
	if (dev->space != NULL)
		dev->space(dev, (int)(dev->max_queued - dev->nb_queued));
}

unsigned
st_device_poll(struct net_st_device *dev, uint64_t now_ns)
{
	unsigned sent = 0;
	int rc;

	if (now_ns >= xfer_ini_deadline(dev->ini))
		xfer_ini_tick(dev->ini, now_ns);
	rc = st_requests_cut(dev, now_ns);
	if (mpn_unlikely(rc != 0))
		st_requests_fail(dev, dev->dead != 0 ? dev->dead : rc);
	while (sent < SEND_BUDGET && xfer_ini_wants_tx(dev->ini) && st_cmd_send(dev, now_ns))
		sent++;
	if (mpn_unlikely(dev->was_full && dev->nb_queued < dev->max_queued))
		tell_space(dev);
	/* Nothing to do before the next timer, unless a request or a frame comes: many sessions may idle. */
	if (sent == 0 && dev->nb_queued == 0 && dev->nic->frames.room > 0 &&
		xfer_ini_get_state(dev->ini) == XFER_INI_LIVE)
		dev->nic->wake_ns[dev->index] = xfer_ini_deadline(dev->ini);
	return sent;
}

bool
st_device_quiet(const struct net_st_device *dev)
{
	return dev->nb_queued == 0;
}

/* ---- Looking ---- */

const struct st_copy_stats *
dev_st_copy_stats(const struct net_st_device *dev)
{
	return &dev->copy;
}

void *
dev_st_user(const struct net_st_device *dev)
{
	return dev->user;
}

const struct wire_geometry *
dev_st_geometry(const struct net_st_device *dev)
{
	return xfer_ini_geometry(dev->ini);
}

bool
dev_st_is_open(const struct net_st_device *dev)
{
	return dev->opened && dev->dead == 0 && !dev->closing;
}

const struct xfer_stats *
dev_st_xfer_stats(const struct net_st_device *dev)
{
	return xfer_ini_stats(dev->ini);
}

uint64_t
dev_st_srtt_ns(const struct net_st_device *dev)
{
	return xfer_ini_srtt_ns(dev->ini);
}

uint32_t
dev_st_payload_unit(const struct net_st_device *dev)
{
	return xfer_ini_p(dev->ini);
}

uint32_t
dev_st_max_transfer(const struct net_st_device *dev)
{
	return st_max_transfer(dev);
}

uint32_t
dev_st_depth(const struct net_st_device *dev)
{
	return xfer_ini_depth(dev->ini);
}

bool
dev_st_has_crc(const struct net_st_device *dev)
{
	return xfer_ini_has_crc(dev->ini);
}

const uint8_t *
dev_st_target(const struct net_st_device *dev)
{
	return xfer_ini_target(dev->ini);
}

void
st_device_print(const struct net_st_device *dev, struct mpn_out *o)
{
	const struct xfer_stats *s = xfer_ini_stats(dev->ini);

	mpn_out_object(o, NULL);
	mpn_out_str(o, "volume", xfer_ini_geometry(dev->ini)->name);
	mpn_out_str(o, "state", xfer_ini_state_name(xfer_ini_get_state(dev->ini)));
	mpn_out_u64(o, "requests", dev->nb_queued);
	mpn_out_u64(o, "payload_unit", xfer_ini_p(dev->ini));
	mpn_out_u64(o, "srtt_ns", xfer_ini_srtt_ns(dev->ini));
#define X(name, text) mpn_out_u64(o, #name, s->name);
	XFER_COUNTER_LIST(X)
#undef X
	st_copy_print(&dev->copy, o);
	mpn_out_close(o);
}
