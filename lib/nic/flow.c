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
flow_init(struct mpn_flow *flow, uint32_t size, bool data, int socket_id)
{
	flow->size = size;
	flow->rx_mark = size - size / 8;
	flow->nb_stage = 0;
	flow->rx = make_ring("rx", size, socket_id);
	flow->tx.ring = make_ring("tx", size, socket_id);
	if (data)
		flow->data.ring = make_ring("data", size, socket_id);
	if (flow->rx == NULL || flow->tx.ring == NULL || (data && flow->data.ring == NULL)) {
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
	(void)flow_drop_tx(flow);
	rte_ring_free(flow->rx);
	rte_ring_free(flow->tx.ring);
	rte_ring_free(flow->data.ring);
	flow->rx = NULL;
	flow->tx.ring = NULL;
	flow->data.ring = NULL;
}

void
flow_clear_stats(struct mpn_flow *flow)
{
	memset(&flow->stats, 0, sizeof(flow->stats));
	mpn_hist_reset(&flow->tx.delay);
	mpn_hist_reset(&flow->data.delay);
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

static unsigned
drop_lane(struct flow_lane *lane)
{
	unsigned n = lane->nb_kept;

	rte_pktmbuf_free_bulk(lane->kept, n);
	lane->nb_kept = 0;
	lane->sample_left = 0;
	return lane->ring != NULL ? n + drop_ring(lane->ring) : n;
}

unsigned
flow_drop_tx(struct mpn_flow *flow)
{
	unsigned n = drop_lane(&flow->tx) + drop_lane(&flow->data);

	flow->stats.tx_dropped += n;
	return n;
}

unsigned
flow_lane_len(const struct flow_lane *lane)
{
	return lane->ring != NULL ? lane->nb_kept + rte_ring_count(lane->ring) : 0;
}

bool
flow_tx_waits(const struct mpn_flow *flow)
{
	return flow_lane_len(&flow->tx) > 0 || flow_lane_len(&flow->data) > 0;
}

static void
follow_sample(const struct mpn_nic *nic, struct flow_lane *lane, unsigned sent)
{
	if (sent < lane->sample_left) {
		lane->sample_left -= sent;
		return;
	}
	lane->sample_left = 0;
	mpn_hist_add(&lane->delay, nic->now_ns - lane->sample_ns);
}

/* Frames the port did not take stay in kept[], in order, in front of the ring. */
static unsigned
offer_kept(struct mpn_nic *nic, struct flow_lane *lane, uint16_t queue, unsigned max)
{
	unsigned want = MPN_MIN(lane->nb_kept, max);
	uint64_t bytes = 0;
	unsigned sent;
	uint32_t len[MPN_BURST];

	/* A frame is the port's once it has been taken: measure before. */
	for (unsigned i = 0; i < want; i++)
		len[i] = lane->kept[i]->pkt_len;
	MPN_STAGE_BEGIN(SEND);
	sent = rte_eth_tx_burst(nic->port_id, queue, lane->kept, (uint16_t)want);
	MPN_STAGE_END();
	for (unsigned i = 0; i < sent; i++)
		bytes += len[i];
	lane->nb_kept = (uint16_t)(lane->nb_kept - sent);
	if (lane->nb_kept > 0)
		memmove(lane->kept, &lane->kept[sent], lane->nb_kept * sizeof(lane->kept[0]));
	if (sent < want)
		nic->stats.tx_busy++;
	if (lane->sample_left > 0)
		follow_sample(nic, lane, sent);
	nic->stats.tx_frames += sent;
	nic->stats.tx_bytes += bytes;
	return sent;
}

static void
fill_kept(struct flow_lane *lane)
{
	if (lane->nb_kept < MPN_BURST)
		lane->nb_kept =
			(uint16_t)(lane->nb_kept + rte_ring_sc_dequeue_burst(lane->ring,
							   (void **)&lane->kept[lane->nb_kept],
							   MPN_BURST - lane->nb_kept, NULL));
}

unsigned
flow_send_bytes(struct mpn_nic *nic, struct flow_lane *lane, uint64_t *bytes, bool *full)
{
	uint64_t after[MPN_BURST + 1];
	unsigned n = 0, sent;

	fill_kept(lane);
	after[0] = *bytes;
	for (; n < lane->nb_kept && lane->kept[n]->pkt_len <= after[n]; n++)
		after[n + 1] = after[n] - lane->kept[n]->pkt_len;
	if (n == 0)
		return 0;
	sent = offer_kept(nic, lane, 0, n);
	*bytes = after[sent];
	*full = sent < n;
	return sent;
}

unsigned
flow_send(struct mpn_nic *nic, struct flow_lane *lane, uint16_t queue, unsigned max)
{
	fill_kept(lane);
	return lane->nb_kept > 0 ? offer_kept(nic, lane, queue, max) : 0;
}

/* ---- The personality's side ---- */

static unsigned
lane_room(const struct mpn_personality *p, const struct flow_lane *lane)
{
	return personality_is_active(p) ? rte_ring_free_count(lane->ring) : 0;
}

static unsigned
send_on(struct mpn_personality *p, struct flow_lane *lane, struct rte_mbuf **mbufs, unsigned n)
{
	unsigned taken = 0;
	uint64_t bytes = 0;

	if (mpn_likely(personality_is_active(p))) {
		unsigned room = rte_ring_free_count(lane->ring);

		taken = MPN_MIN(n, room);
		for (unsigned i = 0; i < taken; i++)
			bytes += mbufs[i]->pkt_len;
		taken = rte_ring_sp_enqueue_burst(lane->ring, (void **)mbufs, taken, NULL);
	}
	if (taken > 0 && lane->sample_left == 0) {
		lane->sample_left = flow_lane_len(lane) - taken + 1;
		lane->sample_ns = p->nic->now_ns;
	}
	p->flow.stats.tx_frames += taken;
	p->flow.stats.tx_bytes += bytes;
	p->flow.stats.tx_full += n - taken;
	return taken;
}

static struct flow_lane *
data_lane(struct mpn_personality *p)
{
	return p->flow.data.ring != NULL && nic_peer_has_data_queue(p->nic) ? &p->flow.data
									    : &p->flow.tx;
}

unsigned
mpn_flow_tx_room(struct mpn_personality *p)
{
	return lane_room(p, &p->flow.tx);
}

unsigned
mpn_flow_tx(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n)
{
	return send_on(p, &p->flow.tx, mbufs, n);
}

unsigned
mpn_flow_tx_data_room(struct mpn_personality *p)
{
	return lane_room(p, data_lane(p));
}

unsigned
mpn_flow_tx_data(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n)
{
	return send_on(p, data_lane(p), mbufs, n);
}
