/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <rte_prefetch.h>

#include "bare_port.h"
#include "mpn_log.h"

#define POOL_CACHE 256
#define PREFETCH_AHEAD 4
#define PATIENCE 64

/* ---- Memory ---- */

static int
make_pool(struct bare_port *p, struct bare_stash *s, const char *what, size_t room)
{
	static unsigned serial;
	char name[RTE_MEMPOOL_NAMESIZE];
	/* In descriptors, in the ring of a peer in this process, in caches. */
	unsigned nb = 2 * p->nic->info.nb_txd + p->nic->info.nb_rxd + 2 * POOL_CACHE +
		      2 * BARE_STASH + 2 * MPN_BURST;

	(void)snprintf(name, sizeof(name), "bare_%s_%u", what,
		__atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED));
	s->pool = rte_pktmbuf_pool_create(
		name, nb, POOL_CACHE, 0, (uint16_t)room, p->nic->info.socket_id);
	if (s->pool == NULL)
		return mpn_log_err(ENOMEM, "nic", "%s: no memory for %u frames of %zu bytes: %s",
			p->nic->info.name, nb, room, rte_strerror(rte_errno));
	return 0;
}

static void
free_stash(struct bare_stash *s)
{
	if (s->pool == NULL)
		return;
	rte_pktmbuf_free_bulk(s->mbufs, s->nb);
	mpn_nic_pool_retire(s->pool);
	memset(s, 0, sizeof(*s));
}

bool
bare_unit_fits(const struct mpn_nic *nic, uint32_t unit)
{
	return unit >= BARE_EXT_MIN && unit % 64 == 0 && unit <= nic->info.max_frame &&
	       BARE_HDR_LEN + unit <= nic->info.max_frame;
}

int
bare_port_init(struct bare_port *p, struct mpn_nic *nic, uint32_t unit)
{
	int rc;

	memset(p, 0, sizeof(*p));
	if (!bare_unit_fits(nic, unit))
		return -EINVAL;
	p->nic = nic;
	p->nb_queues = 1;
	/* The other end of a ring may be the same thread: it waits for us. */
	p->patience = strcmp(nic->info.driver, "net_ring") == 0 ? 1 : PATIENCE;
	p->iova_is_va = rte_eal_iova_mode() == RTE_IOVA_VA;
	p->hello.type = rte_cpu_to_be_16(BARE_ETHERTYPE);
	memcpy(p->hello.src, nic->info.mac, sizeof(p->hello.src));
	rc = make_pool(p, &p->hdr, "hdr", RTE_PKTMBUF_HEADROOM + BARE_HDR_LEN + BARE_NAME_LEN);
	if (rc == 0 && nic->info.multi_segs)
		rc = make_pool(p, &p->ext, "ext", 0);
	if (rc == 0)
		rc = make_pool(p, &p->big, "big", RTE_PKTMBUF_HEADROOM + BARE_HDR_LEN + unit);
	if (rc < 0)
		bare_port_fini(p);
	return rc;
}

void
bare_port_fini(struct bare_port *p)
{
	unsigned q;

	for (q = 0; q < p->nb_queues; q++) {
		rte_pktmbuf_free_bulk(p->out[q].mbufs, p->out[q].nb);
		p->out[q].nb = 0;
	}
	free_stash(&p->hdr);
	free_stash(&p->ext);
	free_stash(&p->big);
}

int
bare_port_take(struct bare_port *p, struct nic_bypass *bypass)
{
	if (p->nic->bypass != NULL || p->nic->map != NULL)
		return -EBUSY;
	nic_set_bypass(p->nic, bypass);
	return 0;
}

void
bare_port_give(struct bare_port *p, struct nic_bypass *bypass)
{
	if (p->nic != NULL && p->nic->bypass == bypass)
		nic_set_bypass(p->nic, NULL);
}

/* ---- Receive ---- */

static inline bool
is_ours(const struct bare_port *p, const struct rte_mbuf *m)
{
	const struct bare_frame *f = bare_header(m);
	uint64_t dst;

	if (mpn_unlikely(m->data_len < BARE_HDR_LEN))
		return false;
	memcpy(&dst, f, sizeof(dst));
	dst &= 0xffffffffffff;
	return f->type == rte_cpu_to_be_16(BARE_ETHERTYPE) &&
	       (dst == p->nic->mac48 || (f->dst[0] & 1));
}

unsigned
bare_receive(struct bare_port *p, struct rte_mbuf **mbufs)
{
	unsigned n = 0, ours = 0, q, i;

	for (q = 0; q < p->nb_queues && n == 0; q++)
		n = rte_eth_rx_burst(p->nic->port_id, (uint16_t)q, mbufs, BARE_RX_BURST);
	for (i = 0; i < n && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (i = 0; i < n; i++) {
		struct rte_mbuf *m = mbufs[i];

		if (i + PREFETCH_AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + PREFETCH_AHEAD], void *));
		if (mpn_likely(is_ours(p, m))) {
			mbufs[ours++] = m;
			continue;
		}
		p->strangers = true;
		nic_take_burst(p->nic, &m, 1);
	}
	return ours;
}

/* ---- Send ---- */

static inline struct rte_mbuf *
take(struct bare_stash *s)
{
	if (mpn_unlikely(s->nb == 0)) {
		if (rte_pktmbuf_alloc_bulk(s->pool, s->mbufs, BARE_STASH / 2) != 0)
			return NULL;
		s->nb = BARE_STASH / 2;
	}
	return s->mbufs[--s->nb];
}

static inline struct bare_frame *
put_header(struct bare_port *p, struct rte_mbuf *m, enum bare_kind kind)
{
	struct bare_frame *f = rte_pktmbuf_mtod(m, struct bare_frame *);

	*f = p->hello;
	f->kind = kind;
	m->data_len = BARE_HDR_LEN;
	m->pkt_len = BARE_HDR_LEN;
	return f;
}

struct bare_frame *
bare_make(struct bare_port *p, enum bare_kind kind)
{
	struct rte_mbuf *m = take(&p->hdr);

	if (mpn_unlikely(m == NULL))
		return NULL;
	p->out[0].mbufs[p->out[0].nb++] = m;
	return put_header(p, m, kind);
}

static struct bare_frame *
make_copy(struct bare_port *p, enum bare_kind kind, const uint8_t *data, uint32_t len)
{
	struct bare_out *out = &p->out[p->nb_queues - 1];
	struct rte_mbuf *m = take(&p->big);
	struct bare_frame *f;

	if (mpn_unlikely(m == NULL))
		return NULL;
	f = put_header(p, m, kind);
	memcpy(f + 1, data, len);
	m->data_len = (uint16_t)(BARE_HDR_LEN + len);
	m->pkt_len = m->data_len;
	out->mbufs[out->nb++] = m;
	return f;
}

/* The address a device reads the payload at, 0: it is not in one piece there. */
static rte_iova_t
device_address(const struct bare_port *p, const uint8_t *data, uint32_t len)
{
	rte_iova_t first, last;

	if (mpn_likely(p->iova_is_va))
		return (rte_iova_t)(uintptr_t)data;
	first = rte_mem_virt2iova(data);
	last = rte_mem_virt2iova(data + len - 1);
	return first == RTE_BAD_IOVA || last - first != len - 1 ? 0 : first;
}

struct bare_frame *
bare_make_data(struct bare_port *p, enum bare_kind kind, const struct bare_memory *mem, uint64_t at,
	uint32_t len)
{
	struct bare_out *out = &p->out[p->nb_queues - 1];
	uint8_t *data = mem->base + at;
	struct rte_mbuf *m, *payload;
	rte_iova_t iova;

	if (len < BARE_EXT_MIN || mem->ref == NULL || p->ext.pool == NULL)
		return make_copy(p, kind, data, len);
	iova = device_address(p, data, len);
	if (mpn_unlikely(iova == 0))
		return make_copy(p, kind, data, len);
	m = take(&p->hdr);
	payload = m != NULL ? take(&p->ext) : NULL;
	if (mpn_unlikely(payload == NULL)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	__atomic_fetch_add(&mem->ref->refcnt, 1, __ATOMIC_RELAXED);
	rte_pktmbuf_attach_extbuf(payload, data, iova, (uint16_t)len, mem->ref);
	payload->data_len = (uint16_t)len;
	m->next = payload;
	m->nb_segs = 2;
	out->mbufs[out->nb++] = m;
	(void)put_header(p, m, kind);
	m->pkt_len = BARE_HDR_LEN + len;
	return rte_pktmbuf_mtod(m, struct bare_frame *);
}

void
bare_send_control(struct mpn_nic *nic, const uint8_t dst[6], const struct bare_frame *f,
	const char payload[BARE_NAME_LEN])
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(nic->rx_pool);
	struct bare_frame *at;

	if (m == NULL)
		return;
	at = (struct bare_frame *)rte_pktmbuf_append(m, BARE_HDR_LEN + BARE_NAME_LEN);
	*at = *f;
	memcpy(at->dst, dst, sizeof(at->dst));
	memcpy(at->src, nic->info.mac, sizeof(at->src));
	at->type = rte_cpu_to_be_16(BARE_ETHERTYPE);
	memset(at + 1, 0, BARE_NAME_LEN);
	if (payload != NULL)
		memcpy(at + 1, payload, BARE_NAME_LEN);
	if (rte_eth_tx_burst(nic->port_id, 0, &m, 1) == 0)
		rte_pktmbuf_free(m);
}

unsigned
bare_send(struct bare_port *p)
{
	unsigned all = 0, q;

	for (q = 0; q < p->nb_queues; q++) {
		struct bare_out *out = &p->out[q];
		unsigned n;

		if (out->nb == 0)
			continue;
		n = rte_eth_tx_burst(p->nic->port_id, (uint16_t)q, out->mbufs, (uint16_t)out->nb);
		out->nb -= n;
		if (out->nb > 0 && n > 0)
			memmove(out->mbufs, out->mbufs + n, out->nb * sizeof(out->mbufs[0]));
		all += n;
	}
	return all;
}
