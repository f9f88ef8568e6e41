/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * From the host's side to the port's: what it hands over is checked, completed and cut where it must be. What
 * there is no room for yet is kept.
 */

#include "net_int.h"
#include "net_sum.h"

/* @return good frames, the first of mbufs; *found: work there was */
unsigned
net_take_tx(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns,
	unsigned *found)
{
	bool asked = false;
	unsigned good = 0;

	*found = 0;
	while (good < n) {
		struct rte_mbuf *m;

		if (mpn_unlikely(dev->gso.m != NULL)) {
			m = net_gso_next(&dev->gso, dev->pool);
			if (m == NULL)
				break;
			dev->stats.tx_frames++;
			dev->stats.tx_bytes += m->pkt_len;
			mbufs[good++] = m;
			continue;
		}
		if (dev->held_at == dev->nb_held) {
			if (asked)
				break;
			asked = true;
			dev->held_at = 0;
			dev->nb_held = dev->face->collect(dev, dev->held, n - good, now_ns);
			*found += dev->nb_held;
			continue;
		}
		m = dev->held[dev->held_at++];
		if (mpn_likely(net_check_tx(dev, m)))
			mbufs[good++] = m;
	}
	*found += good;
	return good;
}

bool
net_holds_tx(const struct net_device *dev)
{
	return dev->gso.m != NULL || dev->held_at < dev->nb_held;
}

void
net_drop_tx(struct net_device *dev)
{
	if (dev->gso.m != NULL)
		net_gso_drop(&dev->gso);
	rte_pktmbuf_free_bulk(&dev->held[dev->held_at], dev->nb_held - dev->held_at);
	dev->held_at = dev->nb_held = 0;
}
