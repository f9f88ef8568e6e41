/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <netinet/in.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "net_head.h"

#define IP4_MIN 20
#define IP4_FRAGMENT 0x3fff /* its offset, and that more follow */
#define IP6_LEN 40
#define TCP_MIN 20
#define UDP_LEN 8
#define TCP_SUM_AT 16
#define UDP_SUM_AT 6

/* at, len: what is there of the first segment; *left: what there is of the frame, and then of the packet */
static bool
read_ip4(const uint8_t *at, uint32_t len, uint32_t *left, struct net_head *h)
{
	uint32_t head, total;

	if (len < IP4_MIN || at[0] >> 4 != 4)
		return false;
	head = (at[0] & 15u) * 4;
	total = net_read_be16(at + 2);
	if (head < IP4_MIN || head > len || total < head || total > *left)
		return false;
	if ((net_read_be16(at + 6) & IP4_FRAGMENT) != 0)
		return false;
	h->l3_len = (uint16_t)head;
	h->proto = at[9];
	*left = total - head;
	return true;
}

static bool
read_ip6(const uint8_t *at, uint32_t len, uint32_t *left, struct net_head *h)
{
	uint32_t behind;

	if (len < IP6_LEN || at[0] >> 4 != 6)
		return false;
	behind = net_read_be16(at + 4);
	if (behind > *left - IP6_LEN)
		return false;
	h->l3_len = IP6_LEN;
	h->proto = at[6];
	h->is_v6 = true;
	*left = behind;
	return true;
}

static bool
read_l4(const uint8_t *at, uint32_t len, uint32_t left, struct net_head *h)
{
	uint32_t head;

	if (h->proto == IPPROTO_TCP && len >= TCP_MIN)
		head = (at[12] >> 4) * 4u;
	else if (h->proto == IPPROTO_UDP && len >= UDP_LEN && net_read_be16(at + 4) == left)
		head = UDP_LEN;
	else
		return false;
	if ((h->proto == IPPROTO_TCP && head < TCP_MIN) || head > len || head > left)
		return false;
	h->l4_len = (uint16_t)head;
	h->len = (uint16_t)(h->l2_len + h->l3_len + head);
	h->data_len = left - head;
	return true;
}

bool
net_head_read(const struct rte_mbuf *m, struct net_head *h)
{
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t len = m->data_len, left;
	uint16_t type;

	*h = (struct net_head){.l2_len = RTE_ETHER_HDR_LEN};
	if (len < RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)
		return false;
	type = net_read_be16(at + 12);
	if (type == RTE_ETHER_TYPE_VLAN) {
		h->l2_len += RTE_VLAN_HLEN;
		type = net_read_be16(at + 16);
	}
	at += h->l2_len;
	len -= h->l2_len;
	left = m->pkt_len - h->l2_len;
	if (!(type == RTE_ETHER_TYPE_IPV4         ? read_ip4(at, len, &left, h)
		    : type == RTE_ETHER_TYPE_IPV6 ? read_ip6(at, len, &left, h)
						  : false))
		return false;
	return read_l4(at + h->l3_len, len - h->l3_len, left, h);
}

uint16_t
net_head_sum_at(const struct net_head *h)
{
	uint16_t at = h->proto == IPPROTO_TCP ? TCP_SUM_AT : UDP_SUM_AT;

	return (uint16_t)(h->l2_len + h->l3_len + at);
}

uint16_t
net_head_pseudo_sum(const uint8_t *frame, const struct net_head *h, uint32_t l4_bytes)
{
	const uint8_t *ip = frame + h->l2_len;
	uint8_t rest[8] = {0};
	uint32_t sum;

	net_write_be32(rest, l4_bytes);
	rest[7] = h->proto;
	sum = rte_raw_cksum(rest, sizeof(rest));
	sum += h->is_v6 ? rte_raw_cksum(ip + 8, 32) : rte_raw_cksum(ip + 12, 8);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

uint16_t
net_head_id(const uint8_t *frame, const struct net_head *h)
{
	return h->is_v6 ? 0 : net_read_be16(frame + h->l2_len + 4);
}

void
net_head_set_length(uint8_t *frame, const struct net_head *h, uint32_t l4_bytes, uint16_t id)
{
	uint8_t *ip = frame + h->l2_len;
	uint16_t sum;

	if (h->is_v6) {
		net_write_be16(ip + 4, (uint16_t)l4_bytes);
		return;
	}
	net_write_be16(ip + 2, (uint16_t)(h->l3_len + l4_bytes));
	net_write_be16(ip + 4, id);
	memset(ip + 10, 0, sizeof(sum));
	sum = (uint16_t)~rte_raw_cksum(ip, h->l3_len);
	memcpy(ip + 10, &sum, sizeof(sum));
}
