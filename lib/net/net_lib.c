/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The library's face: a ring to the program and one back, each with one producer and one consumer.
 * What waits in them extends the flows, so that the port's memory has been reckoned with it.
 */

#include "mpn_log.h"
#include "net_int.h"

static struct rte_ring *
make_ring(const char *dir, uint32_t len, int socket_id)
{
	static atomic_uint next;
	char name[RTE_RING_NAMESIZE];

	(void)snprintf(name, sizeof(name), "mpn_net%u_%s", atomic_fetch_add(&next, 1), dir);
	return rte_ring_create(
		name, len, socket_id, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

static void
drain_ring(struct rte_ring *r)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n;

	while ((n = rte_ring_sc_dequeue_burst(r, (void **)mbufs, MPN_BURST, NULL)) > 0)
		rte_pktmbuf_free_bulk(mbufs, n);
}

static void
flush(struct net_device *dev)
{
	if (dev->rx != NULL)
		drain_ring(dev->rx);
	if (dev->tx != NULL)
		drain_ring(dev->tx);
}

static void
close_rings(struct net_device *dev)
{
	flush(dev);
	rte_ring_free(dev->rx);
	rte_ring_free(dev->tx);
	dev->rx = NULL;
	dev->tx = NULL;
}

static int
open_rings(struct net_device *dev, const struct net_conf *conf)
{
	struct mpn_nic_info info;

	mpn_nic_get_info(dev->nic, &info);
	dev->ring_len = conf->ring_len != 0 ? conf->ring_len : NET_DEFAULT_RING;
	if (!rte_is_power_of_2(dev->ring_len) || dev->ring_len < 8 || dev->ring_len > NET_MAX_RING)
		return mpn_log_err(EINVAL, "net",
			"rings of %u frames: expected a power of two from 8 to %u", dev->ring_len,
			NET_MAX_RING);
	dev->rx = make_ring("rx", dev->ring_len, info.socket_id);
	dev->tx = make_ring("tx", dev->ring_len, info.socket_id);
	dev->offers_sums = true;
	dev->offers_tso = dev->port_cuts;
	if (dev->rx != NULL && dev->tx != NULL)
		return 0;
	close_rings(dev);
	return mpn_err(ENOMEM);
}

static unsigned
deliver(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n)
{
	return rte_ring_sp_enqueue_burst(dev->rx, (void **)mbufs, n, NULL);
}

static unsigned
collect(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	return rte_ring_sc_dequeue_burst(dev->tx, (void **)mbufs, n, NULL);
}

static bool
waits(const struct net_device *dev)
{
	return rte_ring_count(dev->tx) > 0;
}

const struct net_face net_lib_face = {
	.name = "library",
	.open = open_rings,
	.close = close_rings,
	.deliver = deliver,
	.collect = collect,
	.waits = waits,
	.flush = flush,
};

/* ---- The program's side ---- */

unsigned
net_rx_burst(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n)
{
	if (mpn_unlikely(
		    dev->rx == NULL || !atomic_load_explicit(&dev->open, memory_order_acquire)))
		return 0;
	return rte_ring_sc_dequeue_burst(dev->rx, (void **)mbufs, n, NULL);
}

unsigned
net_tx_burst(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n)
{
	if (mpn_unlikely(
		    dev->tx == NULL || !atomic_load_explicit(&dev->open, memory_order_acquire)))
		return 0;
	return rte_ring_sp_enqueue_burst(dev->tx, (void **)mbufs, n, NULL);
}
