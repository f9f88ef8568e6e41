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

#define MARK_GAP_NS 1000

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
flow_init(struct mpn_flow *flow, uint32_t rx_size, uint32_t tx_size, bool data, int socket_id)
{
	flow->rx_size = rx_size;
	flow->tx_size = tx_size;
	flow->rx_mark = rx_size - rx_size / 8;
	flow->nb_stage = 0;
	memset(&flow->tx, 0, sizeof(flow->tx));
	memset(&flow->data, 0, sizeof(flow->data));
	flow_clear_stats(flow);
	flow->rx = make_ring("rx", rx_size, socket_id);
	flow->tx.ring = make_ring("tx", tx_size, socket_id);
	if (data)
		flow->data.ring = make_ring("data", tx_size, socket_id);
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
	(void)flow_drop_tx(flow, false);
	rte_ring_free(flow->rx);
	rte_ring_free(flow->tx.ring);
	rte_ring_free(flow->data.ring);
	flow->rx = NULL;
	flow->tx.ring = NULL;
	flow->data.ring = NULL;
	mpn_nic_pool_retire(flow->pool);
	flow->pool = NULL;
}

void
flow_clear_stats(struct mpn_flow *flow)
{
	memset(&flow->stats, 0, sizeof(flow->stats));
	flow->longest_tsc = 0;
	mpn_hist_reset(&flow->rx_delay);
	mpn_hist_reset(&flow->tx.delay);
	mpn_hist_reset(&flow->data.delay);
}

/* The round of the one who hands over may have begun later than that of the one who takes. */
static inline uint64_t
time_between(uint64_t since_ns, uint64_t now_ns)
{
	return now_ns > since_ns ? now_ns - since_ns : 0;
}

/* ---- Receive ---- */

/* Frames of the personality's own in place of the port's. @return how many there are, the first ones */
static unsigned
copy_frames(struct mpn_flow *flow, unsigned n)
{
	unsigned copied = 0;

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = flow->stage[i];
		struct rte_mbuf *copy = rte_pktmbuf_copy(m, flow->pool, 0, UINT32_MAX);

		rte_pktmbuf_free(m);
		if (copy != NULL)
			flow->stage[copied++] = copy;
	}
	flow->stats.rx_no_frames += n - copied;
	flow->stats.rx_dropped += n - copied;
	return copied;
}

unsigned
flow_push_rx(struct mpn_flow *flow, uint64_t now_ns)
{
	unsigned used = rte_ring_count(flow->rx);
	unsigned room = used < flow->rx_mark ? flow->rx_mark - used : 0;
	unsigned want = MPN_MIN(flow->nb_stage, room);
	unsigned left = flow->nb_stage - want;

	if (left > 0)
		rte_pktmbuf_free_bulk(&flow->stage[want], left);
	if (flow->pool != NULL)
		want = copy_frames(flow, want);
	if (want > 0)
		want = rte_ring_sp_enqueue_burst(flow->rx, (void **)flow->stage, want, NULL);
	if (used == 0)
		atomic_store_explicit(&flow->rx_since_ns, now_ns, memory_order_relaxed);
	flow->stats.rx_dropped += left;
	flow->stats.rx_full += left;
	flow->nb_stage = 0;
	return left;
}

unsigned
flow_pop_rx(struct mpn_flow *flow, struct rte_mbuf **mbufs, unsigned max, uint64_t now_ns)
{
	unsigned n = rte_ring_sc_dequeue_burst(flow->rx, (void **)mbufs, max, NULL);
	uint64_t bytes = 0;

	if (n == 0)
		return 0;
	for (unsigned i = 0; i < n; i++)
		bytes += mbufs[i]->pkt_len;
	flow->stats.rx_frames += n;
	flow->stats.rx_bytes += bytes;
	mpn_hist_add(&flow->rx_delay,
		time_between(
			atomic_load_explicit(&flow->rx_since_ns, memory_order_relaxed), now_ns));
	atomic_store_explicit(&flow->rx_since_ns, now_ns, memory_order_relaxed);
	return n;
}

/* ---- Dropping ---- */

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
	flow->stats.rx_stopped += n;
	return n;
}

/* Frames have left a lane. now_ns 0: they were dropped. */
static void
pass_marks(struct flow_lane *lane, unsigned n, uint64_t now_ns)
{
	unsigned head = atomic_load_explicit(&lane->mark_head, memory_order_relaxed);
	unsigned tail = atomic_load_explicit(&lane->mark_tail, memory_order_acquire);

	lane->nb_sent += n;
	for (; head != tail; head++) {
		const struct flow_mark *mark = &lane->marks[head % FLOW_MARKS];

		if ((int32_t)(mark->pos - lane->nb_sent) >= 0)
			break;
		lane->since_ns = mark->ns;
		if (now_ns != 0)
			mpn_hist_add(&lane->delay, time_between(mark->ns, now_ns));
	}
	atomic_store_explicit(&lane->mark_head, head, memory_order_release);
}

static unsigned
drop_lane(struct flow_lane *lane)
{
	unsigned n = lane->nb_kept;

	rte_pktmbuf_free_bulk(lane->kept, n);
	lane->nb_kept = 0;
	if (lane->ring != NULL)
		n += drop_ring(lane->ring);
	pass_marks(lane, n, 0);
	return n;
}

unsigned
flow_drop_tx(struct mpn_flow *flow, bool link_down)
{
	unsigned n = drop_lane(&flow->tx) + drop_lane(&flow->data);

	flow->stats.tx_dropped += n;
	if (link_down)
		flow->stats.tx_link_down += n;
	else
		flow->stats.tx_stopped += n;
	return n;
}

/* ---- Transmit ---- */

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

uint64_t
flow_lane_since(const struct flow_lane *lane)
{
	unsigned head = atomic_load_explicit(&lane->mark_head, memory_order_relaxed);
	unsigned tail = atomic_load_explicit(&lane->mark_tail, memory_order_acquire);
	const struct flow_mark *mark = &lane->marks[head % FLOW_MARKS];

	return head != tail && mark->pos == lane->nb_sent ? mark->ns : lane->since_ns;
}

unsigned
flow_lane_until(const struct flow_lane *lane, uint64_t ns)
{
	unsigned head = atomic_load_explicit(&lane->mark_head, memory_order_relaxed);
	unsigned tail = atomic_load_explicit(&lane->mark_tail, memory_order_acquire);

	for (; head != tail; head++) {
		const struct flow_mark *mark = &lane->marks[head % FLOW_MARKS];
		uint32_t n = mark->pos - lane->nb_sent;

		if (n >= MPN_BURST)
			break;
		if (mark->ns > ns)
			return n;
	}
	return MPN_BURST;
}

/* Frames the port did not take stay in kept[], in order, in front of the ring. */
static unsigned
offer_kept(struct mpn_nic *nic, struct flow_lane *lane, uint16_t queue, unsigned want)
{
	unsigned sent;

	MPN_STAGE_BEGIN(SEND);
	sent = rte_eth_tx_burst(nic->port_id, queue, lane->kept, (uint16_t)want);
	MPN_STAGE_END();
	lane->nb_kept = (uint16_t)(lane->nb_kept - sent);
	if (lane->nb_kept > 0)
		memmove(lane->kept, &lane->kept[sent], lane->nb_kept * sizeof(lane->kept[0]));
	if (sent < want)
		nic->stats.tx_busy++;
	nic->tx_offered = true;
	if (sent > 0)
		pass_marks(lane, sent, *nic->tx_clock);
	nic->stats.tx_frames += sent;
	/* And the tags that the port puts in. */
	if (mpn_unlikely(nic->port_inserts && lane->vlan.vid != 0 && lane->vlan.outer == 0))
		nic->stats.tx_bytes += (uint64_t)sent * RTE_VLAN_HLEN;
	return sent;
}

static bool
tag_frame(struct mpn_nic *nic, const struct mpn_vlan *vlan, struct rte_mbuf **m)
{
	if (!nic->port_inserts || vlan->outer != 0)
		return vlan_put_in(m, vlan, nic->rx_pool);
	(*m)->ol_flags |= RTE_MBUF_F_TX_VLAN;
	(*m)->vlan_tci = vlan->vid;
	return true;
}

/* Those there is no memory for are lost. @return how many there are still */
static unsigned
tag_frames(struct mpn_nic *nic, struct flow_lane *lane, struct rte_mbuf **mbufs, unsigned n)
{
	unsigned good = 0;

	for (unsigned i = 0; i < n; i++) {
		if (mpn_likely(tag_frame(nic, &lane->vlan, &mbufs[i]))) {
			mbufs[good++] = mbufs[i];
			continue;
		}
		rte_pktmbuf_free(mbufs[i]);
		nic_count_no_mem(nic);
		pass_marks(lane, 1, 0);
	}
	return good;
}

static void
fill_kept(struct mpn_nic *nic, struct flow_lane *lane)
{
	struct rte_mbuf **end = &lane->kept[lane->nb_kept];
	unsigned n;

	if (lane->nb_kept == MPN_BURST)
		return;
	n = rte_ring_sc_dequeue_burst(lane->ring, (void **)end, MPN_BURST - lane->nb_kept, NULL);
	if (mpn_unlikely(vlan_is_set(&lane->vlan)))
		n = tag_frames(nic, lane, end, n);
	lane->nb_kept = (uint16_t)(lane->nb_kept + n);
}

uint32_t
flow_head_len(struct mpn_nic *nic, struct flow_lane *lane)
{
	fill_kept(nic, lane);
	return lane->nb_kept > 0 ? lane->kept[0]->pkt_len : 0;
}

unsigned
flow_send(struct mpn_nic *nic, struct flow_lane *lane, uint16_t queue, unsigned max,
	uint64_t *bytes, bool *full)
{
	uint64_t after[MPN_BURST + 1];
	unsigned n = 0, sent;

	fill_kept(nic, lane);
	max = MPN_MIN(max, lane->nb_kept);
	/* A frame is the port's once it has been taken: measure before. */
	after[0] = *bytes;
	for (; n < max && lane->kept[n]->pkt_len <= after[n]; n++)
		after[n + 1] = after[n] - lane->kept[n]->pkt_len;
	if (n == 0)
		return 0;
	sent = offer_kept(nic, lane, queue, n);
	nic->stats.tx_bytes += *bytes - after[sent];
	*bytes = after[sent];
	*full = sent < n;
	return sent;
}

/* ---- The personality's side ---- */

static unsigned
lane_room(const struct mpn_personality *p, const struct flow_lane *lane)
{
	return personality_is_active(p) ? rte_ring_free_count(lane->ring) : 0;
}

/*
 * At most one mark in a microsecond, and none when all are in use: frames without a mark of their own count as
 * those before them.
 */
static void
mark_arrival(struct flow_lane *lane, unsigned n, uint64_t now_ns)
{
	unsigned head, tail = atomic_load_explicit(&lane->mark_tail, memory_order_relaxed);

	if (now_ns - lane->mark_ns >= MARK_GAP_NS) {
		head = atomic_load_explicit(&lane->mark_head, memory_order_acquire);
		if (mpn_likely(tail - head < FLOW_MARKS)) {
			lane->marks[tail % FLOW_MARKS] = (struct flow_mark){now_ns, lane->nb_taken};
			lane->mark_ns = now_ns;
			atomic_store_explicit(&lane->mark_tail, tail + 1, memory_order_release);
		}
	}
	lane->nb_taken += n;
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
		/* There is room, and a mark is there before its frames are. */
		if (taken > 0)
			mark_arrival(lane, taken, *p->clock);
		(void)rte_ring_sp_enqueue_burst(lane->ring, (void **)mbufs, taken, NULL);
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
