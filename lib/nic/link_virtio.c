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
 *
 * A user with place=PAIRS has a second pair of queues and receives on it what its peer sends as bulk
 * data. The vhost side always can; that the user has enabled the queue is an event of the driver's. A
 * peer of one queue never uses the second one, and one without multiple queues keeps the user at one.
 */

#include <stdio.h>
#include <sys/socket.h>

#include <rte_eth_vhost.h>
#include <rte_ethdev.h>
#include <rte_pause.h>
#include <rte_vhost.h>

#include "link_side.h"
#include "mpn_log.h"
#include "nic_internal.h"

#define USER_RX_RING 0 /* a user receives on it what is sent on the first queue */
/* A user that posts nothing so long gives back in batches, of no more than this, or is not running. */
#define STILL_NS 50000
#define MAX_BATCH 64
#define ASLEEP_NS 1000000

/* On a thread of the driver's. Each event is told once. */
static int
note_queue_state(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct link *l = arg;
	struct rte_eth_vhost_queue_event ev;

	while (rte_eth_vhost_get_queue_event(port_id, &ev) == 0) {
		if (ev.queue_id == NIC_DATA_QUEUE && !ev.rx)
			atomic_store_explicit(&l->data_up, ev.enable, memory_order_relaxed);
	}
	return 0;
}

/*
 * A user has come, or went. The queues of one that went are not reported; those of the next one come after
 * this. The driver frees what it has of a user when this returns: nobody may be looking at it any more.
 */
static int
note_user(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct link *l = arg;
	struct rte_eth_link state = {0};

	if (rte_eth_link_get_nowait(port_id, &state) < 0)
		return 0;
	if (state.link_status == RTE_ETH_LINK_UP) {
		(void)atomic_fetch_add(&l->user.nb, 1);
		atomic_store(&l->user.vid, rte_eth_vhost_get_vid_from_port_id(port_id));
		return 0;
	}
	atomic_store_explicit(&l->data_up, false, memory_order_relaxed);
	atomic_store(&l->user.vid, -1);
	while (atomic_load(&l->user.looks))
		rte_pause();
	return 0;
}

/* What it posted, at this look, modulo 65536; *n: how many of them are free. Of another user nothing is known. */
static uint16_t
look_at_ring(struct link_user *u, unsigned *n)
{
	unsigned nb = atomic_load(&u->nb);
	uint16_t seen, posted = 0;
	int vid;

	*n = 0;
	atomic_store(&u->looks, true);
	vid = atomic_load(&u->vid);
	if (vid >= 0) {
		*n = rte_vhost_avail_entries(vid, USER_RX_RING);
		(void)rte_vhost_get_vring_base(vid, USER_RX_RING, &seen, &posted);
	}
	atomic_store_explicit(&u->looks, false, memory_order_release);
	posted = (uint16_t)(posted + *n);
	if (vid < 0 || nb != u->looked_at) {
		u->most = 0;
		u->ignored = 0;
		u->batch = MAX_BATCH;
		u->posted = posted;
	}
	u->looked_at = nb;
	return posted;
}

/*
 * What is not free is unsent: a user fills its ring up again as it takes frames out. One that does so in
 * batches, or does not run just now, only seems to leave them: when it has posted nothing for a while they are
 * not counted until it does. (How many are free says nothing of that: where we send as fast as it takes they are
 * always as many.) One that sleeps should not wake up to a full ring: a batch more, and then little.
 */
unsigned
vhost_unsent(struct link *l, uint64_t now_ns)
{
	struct link_user *u = &l->user;
	unsigned unsent, n;
	uint16_t posted = look_at_ring(u, &n);

	u->most = MPN_MAX(u->most, n);
	unsent = u->most - n;
	if (posted != u->posted) {
		/* The least that it has posted at a time, of late. */
		u->batch = MPN_MIN((uint16_t)(posted - u->posted), u->batch + 1u);
		u->ignored = 0;
	}
	if (posted != u->posted || n != u->free) {
		u->since_ns = now_ns;
	} else if (now_ns - u->since_ns >= (u->ignored < u->batch ? STILL_NS : ASLEEP_NS)) {
		u->since_ns = now_ns;
		u->ignored = unsent;
	}
	u->posted = posted;
	u->free = n;
	return unsent > u->ignored ? unsent - u->ignored : 0;
}

static int
plug_vhost(struct link *l, int (*plug)(struct link *l, const char *driver, const char *args))
{
	char args[LINK_ARG_LEN + 64];
	int rc;

	atomic_store(&l->user.vid, -1);
	(void)snprintf(args, sizeof(args), "iface=%s,queues=2,client=0", l->spec.arg);
	rc = plug(l, "net_vhost", args);
	if (rc < 0)
		return rc;
	(void)rte_eth_dev_callback_register(
		l->port_id, RTE_ETH_EVENT_QUEUE_STATE, note_queue_state, l);
	(void)rte_eth_dev_callback_register(l->port_id, RTE_ETH_EVENT_INTR_LSC, note_user, l);
	return 0;
}

int
vhost_open(struct link *l)
{
	int rc = side_serve(l, SOCK_STREAM);

	if (rc < 0)
		return rc;
	rc = plug_vhost(l, link_plug);
	if (rc < 0) {
		side_close(l);
		return rc;
	}
	l->data_tx = true;
	l->can_replug = true;
	return 0;
}

int
vhost_replug(struct link *l)
{
	return plug_vhost(l, link_try_plug);
}

void
vhost_unplug(struct link *l)
{
	(void)rte_eth_dev_callback_unregister(
		l->port_id, RTE_ETH_EVENT_QUEUE_STATE, note_queue_state, l);
	(void)rte_eth_dev_callback_unregister(l->port_id, RTE_ETH_EVENT_INTR_LSC, note_user, l);
	atomic_store_explicit(&l->data_up, false, memory_order_relaxed);
	link_unplug(l);
}

static int
plug_virtio(struct link *l)
{
	const struct link_side *s = l->priv;
	char args[LINK_ARG_LEN + 160];
	unsigned queues = l->place > 0 ? 2 : 1;

	(void)snprintf(args, sizeof(args),
		"path=%s,queues=%u,cq=%u,queue_size=%u,mrg_rxbuf=1,in_order=0,server=0,mac=%s",
		l->spec.arg, queues, queues - 1, l->want.nb_rxd, s->mac);
	return link_try_plug(l, "net_virtio_user", args);
}

int
virtio_open(struct link *l)
{
	int rc = link_read_place(l, MPN_MIN(l->want.nb_rxd / 2u, NIC_POST_MAX_PAIRS));

	if (rc < 0)
		return rc;
	return side_use(l, SOCK_STREAM, plug_virtio);
}
