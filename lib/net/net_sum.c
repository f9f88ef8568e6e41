/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <netinet/in.h>

#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_net.h>

#include "net_sum.h"

#define ASKS \
	(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6 | \
		RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_SEG)
#define TCP_SUM_AT 16
#define UDP_SUM_AT 6
#define SUM_LEN 2

/* The sum from start to the end of the frame, put at a place in its first segment. */
static bool
fill_in(struct rte_mbuf *m, uint32_t start, uint32_t at)
{
	uint16_t sum;

	if (start >= m->pkt_len || at + SUM_LEN > m->data_len ||
		rte_raw_cksum_mbuf(m, start, m->pkt_len - start, &sum) < 0)
		return false;
	sum = (uint16_t)~sum;
	/* Zero would be none at all in UDP, and means the same elsewhere. */
	if (sum == 0)
		sum = UINT16_MAX;
	memcpy(rte_pktmbuf_mtod_offset(m, void *, at), &sum, sizeof(sum));
	return true;
}

/* size: payload of a segment; 0: it is not to be cut */
static void
set_flags(struct rte_mbuf *m, const struct net_head *h, uint16_t size)
{
	m->l2_len = h->l2_len;
	m->l3_len = h->l3_len;
	m->l4_len = h->l4_len;
	m->tso_segsz = size;
	m->ol_flags |= h->is_v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	m->ol_flags |= h->proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	if (size != 0)
		m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | (h->is_v6 ? 0 : RTE_MBUF_F_TX_IP_CKSUM);
}

/* A segment that is one already has only its checksum to be filled in. */
static bool
take_segments(struct rte_mbuf *m, uint16_t size)
{
	struct net_head h;

	if (size == 0 || !net_head_read(m, &h) || h.proto != IPPROTO_TCP ||
		h.len + h.data_len != m->pkt_len)
		return false;
	set_flags(m, &h, h.data_len > size ? size : 0);
	return true;
}

bool
net_sum_take(struct net_device *dev, struct rte_mbuf *m, const struct virtio_net_hdr *v)
{
	uint32_t start = v->csum_start, at = start + v->csum_offset;
	uint8_t type = v->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	struct net_head h;

	m->ol_flags = 0;
	if (type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6)
		return (v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0 &&
		       take_segments(m, v->gso_size);
	if (type != VIRTIO_NET_HDR_GSO_NONE)
		return false;
	if (!(v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return true;
	if (dev->port_sums && net_head_read(m, &h) && start == (uint32_t)h.l2_len + h.l3_len &&
		at == net_head_sum_at(&h) && h.len + h.data_len == m->pkt_len) {
		set_flags(m, &h, 0);
		return true;
	}
	/* Whatever protocol it is: the sum is everywhere the same. */
	dev->stats.tx_summed++;
	return start >= RTE_ETHER_HDR_LEN && fill_in(m, start, at);
}

/* Headers that only the driver of the port understands: it knows where they end. */
static bool
fill_in_unknown(struct rte_mbuf *m)
{
	struct rte_net_hdr_lens lens;
	uint32_t type = rte_net_get_ptype(m, &lens, RTE_PTYPE_ALL_MASK) & RTE_PTYPE_L4_MASK;
	uint32_t start = (uint32_t)lens.l2_len + lens.l3_len;

	if (type != RTE_PTYPE_L4_TCP && type != RTE_PTYPE_L4_UDP)
		return false;
	return fill_in(m, start, start + (type == RTE_PTYPE_L4_TCP ? TCP_SUM_AT : UDP_SUM_AT));
}

bool
net_sum_take_flags(struct net_device *dev, struct rte_mbuf *m)
{
	uint64_t flags = m->ol_flags;
	struct net_head h;

	m->ol_flags = 0;
	if (mpn_likely((flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_NONE))
		return (flags & RTE_MBUF_F_RX_LRO) == 0;
	if (flags & RTE_MBUF_F_RX_LRO)
		return take_segments(m, m->tso_segsz);
	if (net_head_read(m, &h) && h.len + h.data_len == m->pkt_len) {
		set_flags(m, &h, 0);
		return true;
	}
	dev->stats.tx_summed++;
	return fill_in_unknown(m);
}

/* As its flags say, and its headers. */
static bool
is_described(const struct rte_mbuf *m, const struct net_head *h)
{
	uint64_t sum = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	bool cuts = (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0;

	if (m->l2_len != h->l2_len || m->l3_len != h->l3_len ||
		h->len + h->data_len != m->pkt_len ||
		(m->ol_flags & (h->is_v6 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6)) != 0)
		return false;
	if (cuts)
		return h->proto == IPPROTO_TCP && m->l4_len == h->l4_len && m->tso_segsz != 0;
	return sum == (h->proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
}

static void
put_pseudo_sum(struct rte_mbuf *m, const struct net_head *h)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint16_t sum = net_head_pseudo_sum(frame, h, h->l4_len + h->data_len);

	memcpy(frame + net_head_sum_at(h), &sum, sizeof(sum));
}

static uint64_t *
leave_to_port(struct net_device *dev, struct rte_mbuf *m)
{
	if (rte_eth_tx_prepare(dev->port_id, 0, &m, 1) != 1)
		return &dev->stats.tx_unable;
	dev->stats.tx_offloaded++;
	return NULL;
}

uint64_t *
net_sum_finish(struct net_device *dev, struct rte_mbuf *m)
{
	uint64_t asks = m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK;
	struct net_head h;
	bool cuts = (asks & RTE_MBUF_F_TX_TCP_SEG) != 0;

	if ((asks & ~ASKS) != 0 || !RTE_MBUF_DIRECT(m) || rte_mbuf_refcnt_read(m) != 1)
		return &dev->stats.tx_unable;
	if (!net_head_read(m, &h) || !is_described(m, &h))
		return &dev->stats.tx_malformed;
	if (cuts && (uint32_t)h.len + m->tso_segsz > dev->max_frame + h.l2_len - RTE_ETHER_HDR_LEN)
		return &dev->stats.tx_long;
	put_pseudo_sum(m, &h);
	if (cuts ? dev->port_cuts : dev->port_sums)
		return leave_to_port(dev, m);
	if (cuts)
		return dev->pool != NULL ? NULL : &dev->stats.tx_unable;
	if (asks & RTE_MBUF_F_TX_IP_CKSUM)
		net_head_set_length(rte_pktmbuf_mtod(m, uint8_t *), &h, h.l4_len + h.data_len,
			net_head_id(rte_pktmbuf_mtod(m, const uint8_t *), &h));
	m->ol_flags &= ~(uint64_t)RTE_MBUF_F_TX_OFFLOAD_MASK;
	dev->stats.tx_summed++;
	return fill_in(m, (uint32_t)h.l2_len + h.l3_len, net_head_sum_at(&h))
		       ? NULL
		       : &dev->stats.tx_malformed;
}

bool
net_sum_is_right(const struct rte_mbuf *m, const struct net_head *h)
{
	uint32_t l4_bytes = h->l4_len + h->data_len, sum;
	uint16_t raw;

	if (rte_raw_cksum_mbuf(m, (uint32_t)h->l2_len + h->l3_len, l4_bytes, &raw) < 0)
		return false;
	sum = raw +
	      (uint32_t)net_head_pseudo_sum(rte_pktmbuf_mtod(m, const uint8_t *), h, l4_bytes);
	return ((sum & 0xffff) + (sum >> 16)) == 0xffff;
}
