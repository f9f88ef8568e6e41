/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A flow: one ring of frames towards a personality and one back. Each ring has one producer and one
 * consumer.
 */

#include <errno.h>

#include <rte_errno.h>

#include "mpn_stage.h"
#include "nic_internal.h"

static struct rte_ring *
make_ring(const char *dir, uint32_t size, int socket_id)
{
	static atomic_uint next;
	char name[RTE_RING_NAMESIZE];

	(void)snprintf(name, sizeof(name), "mpn_flow%u_%s", atomic_fetch_add(&next, 1), dir);
	return rte_ring_create(
		name, size, socket_id, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

int
flow_init(struct mpn_flow *flow, uint32_t size, int socket_id)
{
	flow->size = size;
	flow->rx_mark = size - size / 8;
	flow->nb_stage = 0;
	flow->nb_kept = 0;
	flow->rx = make_ring("rx", size, socket_id);
	flow->tx = make_ring("tx", size, socket_id);
	if (flow->rx == NULL || flow->tx == NULL) {
		flow_fini(flow);
		return mpn_err(ENOMEM);
	}
	return 0;
}

void
flow_fini(struct mpn_flow *flow)
{
	if (flow->rx != NULL)
		(void)flow_drop_rx(flow);
	if (flow->tx != NULL)
		(void)flow_drop_tx(flow);
	rte_ring_free(flow->rx);
	rte_ring_free(flow->tx);
	flow->rx = NULL;
	flow->tx = NULL;
}

unsigned
flow_push_rx(struct mpn_flow *flow)
{
	unsigned used = rte_ring_count(flow->rx);
	unsigned room = used < flow->rx_mark ? flow->rx_mark - used : 0;
	unsigned want = MPN_MIN(flow->nb_stage, room);
	unsigned left = flow->nb_stage;

	if (want > 0)
		left -= rte_ring_sp_enqueue_burst(flow->rx, (void **)flow->stage, want, NULL);
	if (left > 0)
		rte_pktmbuf_free_bulk(&flow->stage[flow->nb_stage - left], left);
	flow->stats.rx_dropped += left;
	flow->nb_stage = 0;
	return left;
}

static unsigned
drop_ring(struct rte_ring *r)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n, all = 0;

	while ((n = rte_ring_sc_dequeue_burst(r, (void **)mbufs, MPN_BURST, NULL)) > 0) {
		rte_pktmbuf_free_bulk(mbufs, n);
		all += n;
	}
	return all;
}

unsigned
flow_drop_rx(struct mpn_flow *flow)
{
	unsigned n = drop_ring(flow->rx);

	flow->stats.rx_dropped += n;
	return n;
}

unsigned
flow_drop_tx(struct mpn_flow *flow)
{
	unsigned n = flow->nb_kept;

	rte_pktmbuf_free_bulk(flow->kept, n);
	flow->nb_kept = 0;
	n += drop_ring(flow->tx);
	flow->stats.tx_dropped += n;
	return n;
}

bool
flow_tx_waits(const struct mpn_flow *flow)
{
	return flow->nb_kept > 0 || !rte_ring_empty(flow->tx);
}

/* Frames the port did not take stay in kept[], in order, in front of the ring. */
static unsigned
offer_kept(struct mpn_nic *nic, struct mpn_flow *flow, unsigned max)
{
	unsigned want = MPN_MIN(flow->nb_kept, max);
	uint64_t bytes = 0;
	unsigned sent;
	uint32_t len[MPN_BURST];

	/* A frame is the port's once it has been taken: measure before. */
	for (unsigned i = 0; i < want; i++)
		len[i] = flow->kept[i]->pkt_len;
	MPN_STAGE_BEGIN(SEND);
	sent = rte_eth_tx_burst(nic->port_id, 0, flow->kept, (uint16_t)want);
	MPN_STAGE_END();
	for (unsigned i = 0; i < sent; i++)
		bytes += len[i];
	flow->nb_kept = (uint16_t)(flow->nb_kept - sent);
	if (flow->nb_kept > 0)
		memmove(flow->kept, &flow->kept[sent], flow->nb_kept * sizeof(flow->kept[0]));
	if (sent < want)
		nic->stats.tx_busy++;
	nic->stats.tx_frames += sent;
	nic->stats.tx_bytes += bytes;
	return sent;
}

unsigned
flow_send(struct mpn_nic *nic, struct mpn_flow *flow, unsigned max)
{
	if (flow->nb_kept < MPN_BURST)
		flow->nb_kept =
			(uint16_t)(flow->nb_kept + rte_ring_sc_dequeue_burst(flow->tx,
							   (void **)&flow->kept[flow->nb_kept],
							   MPN_BURST - flow->nb_kept, NULL));
	return flow->nb_kept > 0 ? offer_kept(nic, flow, max) : 0;
}

unsigned
mpn_flow_tx_room(struct mpn_personality *p)
{
	return personality_is_active(p) ? rte_ring_free_count(p->flow.tx) : 0;
}

unsigned
mpn_flow_tx(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n)
{
	unsigned taken = 0;
	uint64_t bytes = 0;

	if (mpn_likely(personality_is_active(p))) {
		unsigned room = rte_ring_free_count(p->flow.tx);

		taken = MPN_MIN(n, room);
		for (unsigned i = 0; i < taken; i++)
			bytes += mbufs[i]->pkt_len;
		taken = rte_ring_sp_enqueue_burst(p->flow.tx, (void **)mbufs, taken, NULL);
	}
	p->flow.stats.tx_frames += taken;
	p->flow.stats.tx_bytes += bytes;
	p->flow.stats.tx_full += n - taken;
	return taken;
}
