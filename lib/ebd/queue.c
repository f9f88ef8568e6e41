/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Queues: a session each, from open to close. */

#include <stdlib.h>
#include <string.h>

#include "ebd_discover.h"
#include "st_copy.h"

/* When the session is still not open after this, find out whether anybody has the volume. */
#define DOUBT_NS (200ull * 1000 * 1000)

static void
on_event(struct net_st_device *dev, enum xfer_ini_event ev, int status)
{
	struct ebd_queue *q = dev_st_user(dev);

	switch (ev) {
	case XFER_EV_OPENED:
		q->opened = true;
		q->refused = 0;
		break;
	case XFER_EV_LOST:
		q->stats.reconnects++;
		break;
	case XFER_EV_REFUSED:
		q->refused = status;
		if (!dev_st_is_open(dev) && status != -EAGAIN)
			q->dead = status;
		break;
	case XFER_EV_CLOSED:
		q->dead = -ECANCELED;
		break;
	case XFER_EV_CHANGED:
		if (q->changed != NULL)
			q->changed(q, q->changed_arg);
		break;
	default:
		break;
	}
}

static const enum dev_st_placement placements[] = {
	[EBD_PLACE_AUTO] = DEV_ST_PLACE_AUTO,
	[EBD_PLACE_COPY] = DEV_ST_PLACE_COPY,
	[EBD_PLACE_IN_PLACE] = DEV_ST_PLACE_IN,
};

static int
check_conf(const struct ebd_queue_conf *conf)
{
	if (conf->volume == NULL || conf->volume[0] == '\0')
		return mpn_log_err(EINVAL, "ebd", "a queue needs the name of a volume");
	if (strlen(conf->volume) >= EBD_NAME_LEN)
		return mpn_log_err(EINVAL, "ebd",
			"volume '%s': expected a name of at most %d bytes", conf->volume,
			EBD_NAME_LEN - 1);
	if (conf->depth > EBD_DEPTH_MAX)
		return mpn_log_err(EINVAL, "ebd", "volume '%s': depth %u: expected at most %d",
			conf->volume, conf->depth, EBD_DEPTH_MAX);
	if ((unsigned)conf->placement >= MPN_ARRAY_SIZE(placements))
		return mpn_log_err(EINVAL, "ebd", "volume '%s': placement %d: expected 0 to %zu",
			conf->volume, (int)conf->placement, MPN_ARRAY_SIZE(placements) - 1);
	return 0;
}

static uint64_t
ms_to_ns(uint64_t ms)
{
	return ms > UINT64_MAX / 1000000 ? UINT64_MAX : ms * 1000000;
}

static int
open_device(struct ebd_queue *q, const struct ebd_queue_conf *conf)
{
	struct ebd_client *c = q->client;
	struct dev_st_conf dc = {
		.volume = conf->volume,
		.nonce = c->nonce,
		.depth = conf->depth,
		.queue = c->next_queue,
		.max_queue_len = conf->max_queued,
		.fail_after_ns = ms_to_ns(conf->fail_after_ms),
		.shared_core = c->shared_core,
		.crc = conf->crc > 0   ? 1
		       : conf->crc < 0 ? 0
				       : -1,
		.placement = placements[conf->placement],
		.user = q,
		.event = on_event,
	};

	memcpy(dc.client_uuid, c->uuid, sizeof(dc.client_uuid));
	memcpy(dc.target, conf->target_mac, sizeof(dc.target));
	q->dev = dev_st_open(c->nic, &dc);
	if (q->dev == NULL && errno == EOPNOTSUPP)
		return mpn_log_err(EOPNOTSUPP, "ebd",
			"link '%s': nothing is received in place there: expected one with a data "
			"queue, virtio:PATH,place=PAIRS",
			c->link);
	if (q->dev == NULL)
		return mpn_log_err(errno, "ebd", "volume '%s': cannot open a queue: %s",
			conf->volume, strerror(errno));
	c->next_queue++;
	(void)dev_st_register_completion_callback(q->dev, 0, ebd_io_buffer_done);
	return 0;
}

/*
 * Wait until the session is open. Targets that do not have the volume keep silent, so that silence
 * can mean two things; asking for all volumes tells which.
 */
static int
wait_open(struct ebd_queue *q, const struct ebd_queue_conf *conf)
{
	uint64_t start = mpn_now_ns();
	uint64_t deadline = start + ms_to_ns(q->client->conf.connect_timeout_ms);
	struct ebd_collector k = {0};
	int rc = 0;

	while (rc == 0 && !q->opened && q->dead == 0 && mpn_now_ns() < deadline) {
		if (k.discover == NULL && mpn_now_ns() - start >= DOUBT_NS)
			rc = ebd_collector_init(&k, q->client);
		if (k.discover != NULL)
			ebd_collector_round(&k);
		if (rc == 0)
			rc = ebd_client_wait_round(q->client);
		if (ebd_collector_is_complete(&k) && !ebd_collector_has(&k, conf->volume))
			break;
	}
	if (q->opened)
		rc = 0;
	else if (rc < 0)
		(void)mpn_log_err(-rc, "ebd", "volume '%s': interrupted", conf->volume);
	else if (q->refused != 0 || q->dead != 0)
		rc = q->refused != 0 ? q->refused : q->dead;
	else
		rc = k.answers == 0                        ? -ETIMEDOUT
		     : ebd_collector_has(&k, conf->volume) ? -EBUSY
							   : -ENOENT;
	ebd_collector_fini(&k);
	return rc == -EAGAIN ? -EBUSY : rc;
}

static void
explain(const struct ebd_client *c, const char *volume, const struct ebd_queue *q, int rc)
{
	if (rc == -ETIMEDOUT)
		(void)mpn_log_err(ETIMEDOUT, "ebd", "volume '%s': nobody answered on link '%s'",
			volume, c->link);
	else if (rc == -ENOENT)
		(void)mpn_log_err(
			ENOENT, "ebd", "volume '%s': nobody on link '%s' has it", volume, c->link);
	else if (rc == -EBUSY && q->refused == 0)
		(void)mpn_log_err(EBUSY, "ebd",
			"volume '%s': the target has not opened it in time: it waits for what this "
			"client's last session has under way there",
			volume);
	else if (rc == -EBUSY)
		(void)mpn_log_err(EBUSY, "ebd",
			"volume '%s': the target has no session free, or is about to end", volume);
	else
		(void)mpn_log_err(-rc, "ebd", "volume '%s': the target does not open it: %s",
			volume, strerror(-rc));
}

struct ebd_queue *
ebd_queue_open(struct ebd_client *c, const struct ebd_queue_conf *conf)
{
	struct ebd_queue *q;
	int rc;

	if (ebd_client_is_busy(c, "ebd_queue_open"))
		return NULL;
	if (check_conf(conf) < 0)
		return NULL;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return mpn_err_null(ENOMEM);
	q->client = c;
	q->changed = conf->changed;
	q->changed_arg = conf->changed_arg;
	mpn_list_add_tail(&c->queues, &q->node);
	rc = open_device(q, conf);
	if (rc == 0) {
		rc = wait_open(q, conf);
		if (rc < 0)
			explain(c, conf->volume, q, rc);
	}
	if (rc < 0) {
		ebd_queue_close(q);
		return mpn_err_null(-rc);
	}
	return q;
}

void
ebd_queue_close(struct ebd_queue *q)
{
	if (q == NULL || ebd_client_is_busy(q->client, "ebd_queue_close"))
		return;
	q->closing = true;
	if (q->dev != NULL) {
		dev_st_shutdown(q->dev);
		while (!dev_st_is_closed(q->dev))
			(void)ebd_client_wait_round(q->client);
		dev_st_close(q->dev);
	}
	mpn_list_del(&q->node);
	free(q);
}

void
ebd_queue_info(const struct ebd_queue *q, struct ebd_info *info)
{
	const struct wire_geometry *g = dev_st_geometry(q->dev);

	memset(info, 0, sizeof(*info));
	memcpy(info->name, g->name, sizeof(info->name));
	memcpy(info->uuid, g->uuid, sizeof(info->uuid));
	info->size = g->size;
	info->block_size = g->block_size;
	info->phys_block = g->phys_block;
	info->discard_gran = g->discard_gran;
	info->max_transfer = dev_st_max_transfer(q->dev);
	info->payload_unit = dev_st_payload_unit(q->dev);
	info->depth = dev_st_depth(q->dev);
	info->read_only = (g->flags & WIRE_VOL_READONLY) != 0;
	info->can_flush = (g->flags & WIRE_VOL_FLUSH) != 0;
	info->can_fua = (g->flags & WIRE_VOL_FUA) != 0;
	info->can_discard = (g->flags & WIRE_VOL_DISCARD) != 0;
	info->can_write_zeroes = (g->flags & WIRE_VOL_WRITE_ZEROES) != 0;
	info->rotational = (g->flags & WIRE_VOL_ROTATIONAL) != 0;
	info->crc = dev_st_has_crc(q->dev);
	memcpy(info->target_mac, dev_st_target(q->dev), sizeof(info->target_mac));
}

void
ebd_queue_stats(const struct ebd_queue *q, struct ebd_stats *stats)
{
	const struct st_copy_stats *copy = dev_st_copy_stats(q->dev);
	const struct xfer_stats *x = dev_st_xfer_stats(q->dev);
	unsigned i;

	*stats = q->stats;
	stats->tx_frames = x->tx_frames;
	stats->rx_frames = x->rx_frames;
	stats->retransmits = x->retransmits;
	for (i = 0; i < WIRE_DROP_COUNT; i++)
		stats->drops += x->drops[i];
	stats->srtt_ns = dev_st_srtt_ns(q->dev);
	stats->payload_bytes = copy->wire;
	stats->copied_bytes = copy->copied + copy->bounced;
	stats->bounced_bytes = copy->bounced;
	for (i = 0; i < ST_COPY_SITES; i++)
		stats->site_bytes[i] = copy->site_bytes[i];
	stats->in_place_bytes = copy->in_place;
	stats->loaned_bytes = copy->loaned;
}

static_assert((int)ST_COPY_SITES <= EBD_COPY_SITES, "struct ebd_stats has room for every site");

const char *
ebd_copy_site(unsigned n)
{
	return n < ST_COPY_SITES ? st_copy_site_name((enum st_copy_site)n) : NULL;
}
