/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Merged are only frames that could be told apart by nothing but where their data belongs: the same addresses,
 * ports, acknowledgement, window and options, one behind the other, and each with right checksums, because the
 * kernel takes those of the whole for granted. So the kernel could cut the whole into the same frames again. (As
 * Menon and Zwaenepoel have it: Optimizing TCP Receive Performance, 2008.)
 */

#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "mpn_nic.h"
#include "net_merge.h"
#include "net_sum.h"

#define IP_MAX 65535
#define IP4_NO_OPTIONS 20
#define IP4_DF 0x40
#define TCP_SEQ 4
#define TCP_ACK_NR 8
#define TCP_FLAGS 13
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_WINDOW 14
#define TCP_SUM 16
#define TCP_URGENT 18

struct run {
	const uint8_t *first;
	struct net_head h;
	uint32_t bytes; /* payload so far */
	uint16_t size; /* of the first one */
	unsigned nb;
	bool ends; /* nothing may follow */
};

static const uint8_t *
bytes_of(const struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, const uint8_t *);
}

static const uint8_t *
tcp_of(const uint8_t *frame, const struct net_head *h)
{
	return frame + h->l2_len + h->l3_len;
}

/* Data, and nothing out of the ordinary. */
static bool
is_plain(const struct rte_mbuf *m, const struct net_head *h)
{
	return h->proto == IPPROTO_TCP && h->data_len > 0 && m->nb_segs == 1 &&
	       (tcp_of(bytes_of(m), h)[TCP_FLAGS] & ~TCP_PSH) == TCP_ACK &&
	       (h->is_v6 || h->l3_len == IP4_NO_OPTIONS);
}

static bool
has_same_ip(const struct run *r, const uint8_t *frame)
{
	const uint8_t *a = r->first + r->h.l2_len, *b = frame + r->h.l2_len;

	if (memcmp(r->first, frame, r->h.l2_len) != 0)
		return false;
	if (r->h.is_v6)
		return memcmp(a, b, 4) == 0 && memcmp(a + 6, b + 6, 34) == 0;
	/* Who does not forbid fragments counts his packets. */
	return memcmp(a, b, 2) == 0 && memcmp(a + 6, b + 6, 4) == 0 &&
	       memcmp(a + 12, b + 12, 8) == 0 &&
	       ((a[6] & IP4_DF) != 0 ||
		       net_read_be16(b + 4) == (uint16_t)(net_read_be16(a + 4) + r->nb));
}

static bool
has_same_tcp(const struct run *r, const uint8_t *frame)
{
	const uint8_t *a = tcp_of(r->first, &r->h), *b = tcp_of(frame, &r->h);

	return memcmp(a, b, TCP_SEQ) == 0 &&
	       net_read_be32(b + TCP_SEQ) == net_read_be32(a + TCP_SEQ) + r->bytes &&
	       memcmp(a + TCP_ACK_NR, b + TCP_ACK_NR, TCP_FLAGS - TCP_ACK_NR) == 0 &&
	       memcmp(a + TCP_WINDOW, b + TCP_WINDOW, TCP_SUM - TCP_WINDOW) == 0 &&
	       memcmp(a + TCP_URGENT, b + TCP_URGENT, r->h.l4_len - TCP_URGENT) == 0;
}

static bool
is_verified(const struct rte_mbuf *m, bool port_verifies)
{
	/* Of a tunnel it speaks of the headers inside. */
	return port_verifies && (m->packet_type & RTE_PTYPE_TUNNEL_MASK) == 0 &&
	       (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

/* The whole gets a header of IPv4 with a checksum of its own: what was wrong in one would not be seen any more. */
static bool
has_right_ip(const struct rte_mbuf *m, const struct net_head *h)
{
	return h->is_v6 || rte_raw_cksum(bytes_of(m) + h->l2_len, h->l3_len) == UINT16_MAX;
}

static bool
is_right(const struct rte_mbuf *m, const struct net_head *h, bool port_verifies)
{
	return has_right_ip(m, h) && (is_verified(m, port_verifies) || net_sum_is_right(m, h));
}

static bool
continues(const struct run *r, const struct rte_mbuf *m, const struct net_head *h)
{
	const uint8_t *frame = bytes_of(m);

	return is_plain(m, h) && h->is_v6 == r->h.is_v6 && h->l2_len == r->h.l2_len &&
	       h->l3_len == r->h.l3_len && h->l4_len == r->h.l4_len && h->data_len <= r->size &&
	       (uint32_t)h->l3_len + h->l4_len + r->bytes + h->data_len <= IP_MAX &&
	       has_same_ip(r, frame) && has_same_tcp(r, frame);
}

/* What follows a short one, or one that was pushed, begins anew. */
static void
add(struct run *r, struct net_merge *g, const struct rte_mbuf *m, const struct net_head *h)
{
	g->data_len[r->nb++] = h->data_len;
	r->bytes += h->data_len;
	r->ends = h->data_len < r->size || (tcp_of(bytes_of(m), h)[TCP_FLAGS] & TCP_PSH) != 0;
}

/* The checksum of the pseudo header in the place of its own: that is how the kernel knows that it was verified. */
static void
write_head(struct net_merge *g, const struct run *r, const struct rte_mbuf *last)
{
	const struct net_head *h = &r->h;
	uint32_t l4_bytes = h->l4_len + r->bytes;
	uint16_t sum, at = net_head_sum_at(h);

	memcpy(g->head, r->first, h->len);
	g->head_len = h->len;
	if (r->nb > 1) {
		net_head_set_length(g->head, h, l4_bytes, net_head_id(g->head, h));
		g->head[h->l2_len + h->l3_len + TCP_FLAGS] |=
			tcp_of(bytes_of(last), h)[TCP_FLAGS] & TCP_PSH;
		g->hdr.gso_type = h->is_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		g->hdr.gso_size = r->size;
		g->hdr.hdr_len = h->len;
	}
	sum = net_head_pseudo_sum(g->head, h, l4_bytes);
	memcpy(g->head + at, &sum, sizeof(sum));
	g->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	g->hdr.csum_start = (uint16_t)(h->l2_len + h->l3_len);
	g->hdr.csum_offset = (uint16_t)(at - g->hdr.csum_start);
}

/* UDP may go without one. */
static bool
has_sum(const uint8_t *frame, const struct net_head *h)
{
	return h->proto == IPPROTO_TCP || net_read_be16(frame + net_head_sum_at(h)) != 0;
}

unsigned
net_merge_next(struct net_merge *g, struct rte_mbuf *const *mbufs, unsigned n, bool port_verifies)
{
	struct run r = {.first = bytes_of(mbufs[0])};
	struct net_head h;

	g->hdr = (struct virtio_net_hdr){0};
	g->head_len = 0;
	if (!net_head_read(mbufs[0], &r.h))
		return 1;
	if (is_plain(mbufs[0], &r.h) && r.h.data_len <= UINT16_MAX) {
		r.size = (uint16_t)r.h.data_len;
		add(&r, g, mbufs[0], &r.h);
	}
	while (r.nb > 0 && r.nb < n && r.nb < MPN_BURST && !r.ends) {
		const struct rte_mbuf *m = mbufs[r.nb];

		if (!net_head_read(m, &h) || !continues(&r, m, &h) ||
			(r.nb == 1 && !is_right(mbufs[0], &r.h, port_verifies)) ||
			!is_right(m, &h, port_verifies))
			break;
		add(&r, g, m, &h);
	}
	if (r.nb > 1) {
		write_head(g, &r, mbufs[r.nb - 1]);
		return r.nb;
	}
	if (is_verified(mbufs[0], port_verifies) && has_sum(r.first, &r.h)) {
		r.nb = 1;
		r.bytes = g->data_len[0] = r.h.data_len;
		write_head(g, &r, mbufs[0]);
	}
	return 1;
}
