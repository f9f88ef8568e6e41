/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * From the port to the RX flows, by VLAN and frame type alone. What nobody takes, and what no station may send, is
 * dropped here, before anything else has touched it; each cause has its counter.
 */

#include <rte_ether.h>
#include <rte_prefetch.h>

#include "mpn_stage.h"
#include "nic_internal.h"

#define MAC48 0xffffffffffffull
#define PREFETCH_AHEAD 4

/* The personality that has claimed the frame, or NULL with its cause counted. */
static inline struct mpn_personality *
admit(struct mpn_nic *nic, uint8_t claim, bool ours)
{
	struct mpn_personality *p = nic->pers[claim - 1];

	if (mpn_unlikely(!ours && !p->takes_rest)) {
		nic->stats.rx_not_ours++;
		return NULL;
	}
	if (mpn_unlikely(!personality_is_active(p))) {
		nic->stats.rx_stopped++;
		p->flow.stats.rx_dropped++;
		p->flow.stats.rx_stopped++;
		return NULL;
	}
	return p;
}

static struct mpn_personality *
count_unclaimed(struct mpn_nic *nic, uint16_t type)
{
	if (type < NIC_ETHERTYPE_MIN)
		nic->stats.rx_length++;
	else
		nic->stats.rx_unclaimed++;
	return NULL;
}

/* Of a VLAN that nobody has: the traditional interface gets it as it came, if there is one. */
static struct mpn_personality *
pass_tagged(struct mpn_nic *nic, struct rte_mbuf **m, const struct vlan_tags *tags, bool ours)
{
	struct mpn_personality *p;

	if (nic->trunk[tags->tpid] == 0) {
		nic->stats.rx_vlan_unmapped++;
		return NULL;
	}
	p = admit(nic, nic->trunk[tags->tpid], ours);
	if (p == NULL || tags->nb_inside > 0)
		return p;
	if (vlan_put_back(m, nic->rx_pool))
		return p;
	nic_count_no_mem(nic);
	return NULL;
}

/* A tagged frame. Its counters do not tell whether the port has taken the tag off or we do. */
static struct mpn_personality *
classify_tagged(struct mpn_nic *nic, struct rte_mbuf **m, bool ours)
{
	struct mpn_personality *p;
	struct vlan_tags tags;
	const uint8_t *claims;

	vlan_read(*m, (*m)->ol_flags & nic->rx_flags, &tags);
	if ((*m)->pkt_len > nic->info.max_frame + tags.nb_inside * RTE_VLAN_HLEN) {
		nic->stats.rx_long++;
		return NULL;
	}
	if (tags.bad) {
		nic->stats.rx_vlan_bad++;
		return NULL;
	}
	claims = claims_of(nic, &tags);
	if (claims == NULL && tags.nb == 1)
		return pass_tagged(nic, m, &tags, ours);
	if (claims == NULL) {
		nic->stats.rx_vlan_nested++;
		return NULL;
	}
	if (claims[tags.type] == 0)
		return count_unclaimed(nic, tags.type);
	p = admit(nic, claims[tags.type], ours);
	if (p == NULL || vlan_take_off(m, tags.nb_inside, nic->rx_pool))
		return p;
	nic_count_no_mem(nic);
	return NULL;
}

/* For another station: somebody wants all of them, or is that one. */
static bool
takes_others(const struct mpn_nic *nic, uint64_t dst)
{
	if (nic->info.promiscuous || nic->info.wants_promiscuous)
		return true;
	for (unsigned i = 0; i < nic->nb_more_macs; i++) {
		if (nic->more_macs[i] == dst)
			return true;
	}
	return false;
}

/*
 * The personality a frame is for, or NULL with its cause counted. A frame that is tagged, and shared with
 * others, is replaced by a copy.
 */
static inline struct mpn_personality *
classify(struct mpn_nic *nic, struct rte_mbuf **mbuf)
{
	const struct rte_mbuf *m = *mbuf;
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint64_t dst, src;
	bool ours;
	uint16_t type;
	uint8_t claim;

	if (mpn_unlikely(m->data_len < RTE_ETHER_HDR_LEN)) {
		nic->stats.rx_runt++;
		return NULL;
	}
	memcpy(&dst, frame, sizeof(dst));
	dst &= MAC48;
	/* The first bit on the wire marks group addresses, broadcast among them. */
	ours = dst == nic->mac48 || (frame[0] & 1);
	if (mpn_unlikely(!ours && !takes_others(nic, dst))) {
		nic->stats.rx_not_ours++;
		return NULL;
	}
	/* A load that begins two bytes before it ends with the type: it stays in the header. */
	memcpy(&src, frame + 4, sizeof(src));
	src >>= 16;
	if (mpn_unlikely(src == nic->mac48)) {
		nic->stats.rx_own_source++;
		return NULL;
	}
	type = (uint16_t)(frame[12] << 8 | frame[13]);
	if (mpn_unlikely(m->pkt_len > nic->info.max_frame && !vlan_is_tpid(type))) {
		nic->stats.rx_long++;
		return NULL;
	}
	claim = nic->claims[type];
	/* Types of tags claim nothing. A frame whose tag the port has taken off is still a tagged one. */
	if (mpn_unlikely(claim == 0 || (m->ol_flags & nic->rx_flags))) {
		if (claim == 0 && !vlan_is_tpid(type) && !(m->ol_flags & nic->rx_flags))
			return count_unclaimed(nic, type);
		return classify_tagged(nic, mbuf, ours);
	}
	return admit(nic, claim, ours);
}

static void
push_flows(struct mpn_nic *nic)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		struct mpn_flow *flow = &nic->pers[i]->flow;

		if (flow->nb_stage == 0)
			continue;
		flow->nb_round = (uint16_t)(flow->nb_round + flow->nb_stage);
		nic->stats.rx_flow_full += flow_push_rx(flow, *nic->rx_clock);
	}
}

/* Bytes of tags that the port has taken off. */
static uint64_t
count_taken_off(const struct mpn_nic *nic, struct rte_mbuf *const *mbufs, unsigned n)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += mbufs[i]->ol_flags & nic->rx_flags ? RTE_VLAN_HLEN : 0;
	return bytes;
}

void
nic_take_burst(struct mpn_nic *nic, struct rte_mbuf **mbufs, unsigned n)
{
	struct rte_mbuf *drop[MPN_BURST];
	unsigned nb_drop = 0;
	uint64_t bytes = mpn_likely(nic->rx_flags == 0) ? 0 : count_taken_off(nic, mbufs, n);

	for (unsigned i = 0; i < n && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (unsigned i = 0; i < n; i++) {
		struct mpn_personality *p;

		if (i + PREFETCH_AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + PREFETCH_AHEAD], void *));
		bytes += mbufs[i]->pkt_len;
		p = classify(nic, &mbufs[i]);
		if (p != NULL)
			p->flow.stage[p->flow.nb_stage++] = mbufs[i];
		else
			drop[nb_drop++] = mbufs[i];
	}
	nic->stats.rx_frames += n;
	nic->stats.rx_bytes += bytes;
	if (nb_drop > 0)
		rte_pktmbuf_free_bulk(drop, nb_drop);
	MPN_STAGE_BEGIN(FLOW);
	push_flows(nic);
	MPN_STAGE_END();
}

/* Each frame is two descriptors. Receiving posts what the personality wants posted. */
static unsigned
receive_data(struct mpn_nic *nic)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n;

	{
		MPN_STAGE_BEGIN(POLL);
		n = rte_eth_rx_burst(
			nic->port_id, NIC_DATA_QUEUE, mbufs, (uint16_t)(2 * nic->pace.rx));
		if (n == 0)
			MPN_STAGE_WAS(OTHER);
		MPN_STAGE_END();
	}
	if (n > 0) {
		MPN_STAGE_BEGIN(CLASSIFY);
		nic_post_received(nic->post, mbufs, n);
		nic_take_burst(nic, mbufs, n);
		MPN_STAGE_END();
	}
	return n;
}

static inline unsigned
receive_queue(struct mpn_nic *nic, uint16_t queue)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n;

	{
		MPN_STAGE_BEGIN(POLL);
		n = rte_eth_rx_burst(nic->port_id, queue, mbufs, nic->pace.rx);
		if (n == 0)
			MPN_STAGE_WAS(OTHER);
		MPN_STAGE_END();
	}
	if (n > 0) {
		MPN_STAGE_BEGIN(CLASSIFY);
		nic_take_burst(nic, mbufs, n);
		MPN_STAGE_END();
	}
	return n;
}

/* As much from each queue: who is flooded on his own takes nothing from the others. */
unsigned
nic_receive(struct mpn_nic *nic)
{
	unsigned n = receive_queue(nic, 0);

	for (uint16_t q = 1; mpn_unlikely(q <= nic->nb_own_queues); q++)
		n += receive_queue(nic, q);
	return mpn_likely(!nic->data_rx) ? n : n + receive_data(nic);
}
