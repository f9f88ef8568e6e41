/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include <rte_ip.h>

#include "net_gso.h"

#define TCP_SEQ 4
#define TCP_FLAGS 13
#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80
#define TCP_SUM 16

void
net_gso_begin(struct net_gso *g, struct rte_mbuf *m)
{
	*g = (struct net_gso){.m = m, .size = m->tso_segsz};
	if (!net_head_read(m, &g->h))
		net_gso_drop(g);
}

void
net_gso_drop(struct net_gso *g)
{
	rte_pktmbuf_free(g->m);
	g->m = NULL;
}

static void
copy_bytes(uint8_t *to, const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	const void *from = rte_pktmbuf_read(m, off, len, to);

	if (from != NULL && from != to)
		memcpy(to, from, len);
}

/* RFC 3168, 6.1.2: that the window was reduced is said once. What ends, ends with the last one. */
static uint8_t
flags_of(const struct net_gso *g, uint8_t flags, bool is_last)
{
	if (g->nb > 0)
		flags &= (uint8_t)~TCP_CWR;
	if (!is_last)
		flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	return flags;
}

static void
write_head(const struct net_gso *g, uint8_t *frame, uint32_t bytes)
{
	const struct net_head *h = &g->h;
	uint8_t *tcp = frame + h->l2_len + h->l3_len;
	uint32_t l4_bytes = h->l4_len + bytes, sum;

	net_head_set_length(frame, h, l4_bytes, (uint16_t)(net_head_id(frame, h) + g->nb));
	net_write_be32(tcp + TCP_SEQ, net_read_be32(tcp + TCP_SEQ) + g->done);
	tcp[TCP_FLAGS] = flags_of(g, tcp[TCP_FLAGS], g->done + bytes == h->data_len);
	memset(tcp + TCP_SUM, 0, 2);
	sum = net_head_pseudo_sum(frame, h, l4_bytes) + (uint32_t)rte_raw_cksum(tcp, l4_bytes);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum;
	memcpy(tcp + TCP_SUM, &(uint16_t){(uint16_t)sum}, 2);
}

struct rte_mbuf *
net_gso_next(struct net_gso *g, struct rte_mempool *pool)
{
	uint32_t bytes = RTE_MIN(g->size, g->h.data_len - g->done);
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *frame;

	if (m == NULL)
		return NULL;
	frame = (uint8_t *)(void *)rte_pktmbuf_append(m, (uint16_t)(g->h.len + bytes));
	if (frame == NULL) {
		rte_pktmbuf_free(m);
		net_gso_drop(g);
		return NULL;
	}
	copy_bytes(frame, g->m, 0, g->h.len);
	copy_bytes(frame + g->h.len, g->m, g->h.len + g->done, bytes);
	write_head(g, frame, bytes);
	g->done += bytes;
	g->nb++;
	if (g->done == g->h.data_len)
		net_gso_drop(g);
	return m;
}
