/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * From the TX flows to the port: one row of schedulers[] per policy.
 */

#include <inttypes.h>
#include <string.h>

#include "mpn_log.h"
#include "mpn_map.h"
#include "mpn_stage.h"
#include "nic_internal.h"

/* Few unsent descriptors: a deep ring below would undo any order made here. */
static bool
queue_has_room(const struct mpn_nic *nic, uint16_t queue)
{
	if (mpn_unlikely(nic->faults & FAULT_BIT(MPN_FAULT_TX_STUCK)))
		return false;
	return !nic->has_tx_status ||
	       rte_eth_tx_descriptor_status(nic->port_id, queue,
		       (uint16_t)(nic->info.nb_txd - nic->conf.tx_cap)) != RTE_ETH_TX_DESC_FULL;
}

/*
 * What has a queue of its own, which may be full when the other is not. What waits for a peer that had
 * such a queue goes to its successor as all else does.
 */
static unsigned
send_data(struct mpn_nic *nic, uint64_t now_ns)
{
	uint16_t queue = nic_peer_has_data_queue(nic) ? NIC_DATA_QUEUE : 0;
	unsigned sent = 0;
	bool full;

	for (unsigned i = 0; i < nic->nb_pers; i++) {
		struct mpn_personality *p = nic->pers[i];
		uint64_t allowed = rate_allows(p, &p->flow.data, now_ns), left = allowed;

		if (allowed == 0)
			continue;
		sent += flow_send(nic, &p->flow.data, queue, MPN_BURST, &left, &full);
		rate_leave(p, allowed, left);
	}
	return sent;
}

static const struct sched_ops *const schedulers[] = {&sched_fifo, &sched_prio_drr};

const struct sched_ops *
sched_find(const char *name)
{
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(schedulers); i++) {
		if (strcmp(schedulers[i]->name, name) == 0)
			return schedulers[i];
	}
	return mpn_err_null(ENOENT);
}

const char *
mpn_sched_name(unsigned n)
{
	return n < MPN_ARRAY_SIZE(schedulers) ? schedulers[n]->name : NULL;
}

const char *
mpn_nic_scheduler(const struct mpn_nic *nic)
{
	return nic->sched->name;
}

int
mpn_nic_set_scheduler(struct mpn_nic *nic, const char *name)
{
	const struct sched_ops *sched = sched_find(name);

	if (sched == NULL)
		return mpn_log_err(ENOENT, "nic", "no scheduler '%s'", name);
	mpn_nic_hold(nic);
	nic->sched = sched;
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		nic->pers[i]->deficit = 0;
		nic->pers[i]->in_turn = false;
		nic->pers[i]->credit = 0;
		nic->pers[i]->flow.nb_round = 0;
	}
	sched_set_pace(nic);
	mpn_nic_release(nic);
	return 0;
}

int
mpn_personality_set_share(struct mpn_personality *p, const struct mpn_share *share)
{
	uint32_t weights[] = {share->weight, share->cpu_weight};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(weights); i++) {
		if (weights[i] < 1 || weights[i] > MPN_MAX_WEIGHT)
			return mpn_log_err(EINVAL, "nic",
				"personality '%s': weight %u: expected 1 to %u", p->name,
				weights[i], MPN_MAX_WEIGHT);
	}
	if (share->tx_rate != 0 && (share->tx_rate < MPN_MIN_RATE || share->tx_rate > MPN_MAX_RATE))
		return mpn_log_err(EINVAL, "nic",
			"personality '%s': TX rate %" PRIu64 ": expected %d to %llu bytes a second",
			p->name, share->tx_rate, MPN_MIN_RATE, (unsigned long long)MPN_MAX_RATE);
	mpn_nic_hold(p->nic);
	p->share = *share;
	sched_set_pace(p->nic);
	mpn_nic_release(p->nic);
	return 0;
}

static bool
anything_waits(const struct mpn_nic *nic)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		const struct mpn_flow *flow = &nic->pers[i]->flow;

		if (flow_tx_waits(flow))
			return true;
	}
	return false;
}

/* Without a link there is nobody to send to: frames are lost as on any Ethernet, not kept for a
 * stranger who comes next. */
static void
drop_all(struct mpn_nic *nic)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		struct mpn_flow *flow = &nic->pers[i]->flow;

		if (flow->tx.ring != NULL)
			nic->stats.tx_link_down += flow_drop_tx(flow, true);
	}
}

/* How often frames waited although the port would have taken them. */
static void
count_limited(struct mpn_nic *nic)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		struct mpn_personality *p = nic->pers[i];

		if (mpn_unlikely(p->share.tx_rate != 0) && flow_lane_len(&p->flow.tx) > 0 &&
			p->rate.bytes < flow_head_len(nic, &p->flow.tx))
			p->flow.stats.tx_limited++;
	}
}

static void
end_stuck(struct mpn_nic *nic)
{
	if (mpn_likely(!nic->tx_stuck))
		return;
	nic->tx_stuck = false;
	nic_event(nic, MPN_NIC_TX_MOVES);
}

/* Has the port taken nothing for long of what it was offered? */
static void
check_stuck(struct mpn_nic *nic, unsigned sent, uint64_t now_ns)
{
	if (sent > 0 || !nic->tx_offered) {
		nic->tx_waiting_since_ns = 0;
		end_stuck(nic);
		return;
	}
	if (nic->tx_waiting_since_ns == 0)
		nic->tx_waiting_since_ns = now_ns;
	if (mpn_likely(nic->tx_stuck ||
		       now_ns - nic->tx_waiting_since_ns <= NIC_TX_STUCK_MS * 1000000ull))
		return;
	nic->tx_stuck = true;
	nic_event(nic, MPN_NIC_TX_STUCK);
}

/* 802.3ad sends frames of its own from there: with no link, too, as that is how it gets one. */
static inline void
let_driver_send(struct mpn_nic *nic)
{
	if (mpn_unlikely(nic->sends_always && nic->running))
		(void)rte_eth_tx_burst(nic->port_id, 0, NULL, 0);
}

unsigned
nic_transmit(struct mpn_nic *nic, uint64_t now_ns)
{
	unsigned sent = 0;

	nic->tx_offered = false;
	if (!anything_waits(nic)) {
		check_stuck(nic, 0, now_ns);
		let_driver_send(nic);
		return 0;
	}
	if (mpn_unlikely(!nic->link_up)) {
		let_driver_send(nic);
		drop_all(nic);
		return 0;
	}
	MPN_STAGE_BEGIN(SCHEDULE);
	if (queue_has_room(nic, 0))
		sent = nic->sched->run(nic, now_ns);
	else
		nic->tx_offered = true;
	if (nic->data_tx && queue_has_room(nic, NIC_DATA_QUEUE))
		sent += send_data(nic, now_ns);
	MPN_STAGE_END();
	count_limited(nic);
	check_stuck(nic, sent, now_ns);
	return sent;
}

unsigned
nic_transmit_priority(struct mpn_nic *nic, uint64_t now_ns)
{
	bool full = false;

	if (mpn_unlikely(!nic->link_up) || !queue_has_room(nic, 0))
		return 0;
	return drr_send_priority(nic, now_ns, &full);
}
