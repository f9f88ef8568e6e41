/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What the host may send: anything but the frame types of other personalities (the report, 2.3.1), and
 * what the port cannot send.
 */

#include <rte_ether.h>

#include "net_int.h"
#include "net_sum.h"

#define NET_MIN_TYPE 0x600 /* below it: the length of an 802.3 frame */

/* NULL: it may be sent. */
static uint64_t *
find_fault(struct net_device *dev, struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t max = dev->max_frame;
	uint16_t type;

	if (m->data_len < RTE_ETHER_HDR_LEN)
		return &dev->stats.tx_malformed;
	type = (uint16_t)(frame[12] << 8 | frame[13]);
	if (type < NET_MIN_TYPE)
		return &dev->stats.tx_malformed;
	if (type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ)
		max += RTE_VLAN_HLEN;
	if (!mpn_personality_has_frame(dev->pers, m))
		return &dev->stats.tx_reserved;
	if (m->pkt_len > max && !(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG))
		return &dev->stats.tx_long;
	if (mpn_unlikely(m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK)) {
		uint64_t *fault = net_sum_finish(dev, m);

		if (fault != NULL)
			return fault;
	}
	if (m->nb_segs > 1 && !dev->multi_segs && !(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) &&
		rte_pktmbuf_linearize(m) < 0)
		return &dev->stats.tx_unable;
	return NULL;
}

bool
net_check_tx(struct net_device *dev, struct rte_mbuf *m)
{
	uint64_t *fault = find_fault(dev, m);

	if (mpn_unlikely(fault != NULL)) {
		(*fault)++;
		rte_pktmbuf_free(m);
		return false;
	}
	if (mpn_unlikely((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) && !dev->port_cuts)) {
		dev->stats.tx_segmented++;
		net_gso_begin(&dev->gso, m);
		return false;
	}
	dev->stats.tx_frames++;
	dev->stats.tx_bytes += m->pkt_len;
	return true;
}
