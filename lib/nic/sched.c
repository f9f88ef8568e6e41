/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * From the TX flows to the port: one row of schedulers[] per policy.
 */

#include <string.h>

#include "mpn_log.h"
#include "mpn_stage.h"
#include "nic_internal.h"

/* Few unsent descriptors: a deep ring below would undo any order made here. */
static bool
queue_has_room(const struct mpn_nic *nic, uint16_t queue)
{
	return !nic->has_tx_status ||
	       rte_eth_tx_descriptor_status(nic->port_id, queue,
		       (uint16_t)(nic->info.nb_txd - nic->conf.tx_cap)) != RTE_ETH_TX_DESC_FULL;
}

/*
 * The report's best effort: a burst of each flow in turn, the first of a round moving on, until the
 * port is full.
 */
static unsigned
run_fifo(struct mpn_nic *nic, uint64_t now_ns)
{
	unsigned first = nic->next_tx < nic->nb_pers ? nic->next_tx : 0;
	unsigned sent = 0;

	for (unsigned k = 0; k < nic->nb_pers; k++) {
		unsigned i = first + k < nic->nb_pers ? first + k : first + k - nic->nb_pers;
		struct flow_lane *lane = &nic->pers[i]->flow.tx;

		if (lane->ring == NULL)
			continue;
		sent += flow_send(nic, lane, 0, MPN_BURST);
		/* The port is full, and this flow is the first to get the next room. */
		if (lane->nb_kept > 0) {
			nic->next_tx = (uint8_t)i;
			return sent;
		}
	}
	nic->next_tx = (uint8_t)(first + 1 < nic->nb_pers ? first + 1 : 0);
	return sent;
}

/*
 * What has a queue of its own, which may be full when the other is not. What waits for a peer that had
 * such a queue goes to its successor as all else does.
 */
static unsigned
send_data(struct mpn_nic *nic)
{
	uint16_t queue = nic_peer_has_data_queue(nic) ? NIC_DATA_QUEUE : 0;
	unsigned sent = 0;

	for (unsigned i = 0; i < nic->nb_pers; i++) {
		struct flow_lane *lane = &nic->pers[i]->flow.data;

		if (flow_lane_len(lane) > 0)
			sent += flow_send(nic, lane, queue, MPN_BURST);
	}
	return sent;
}

static const struct sched_ops sched_fifo = {.name = "fifo", .run = run_fifo};
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
	nic->sched = sched;
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		nic->pers[i]->deficit = 0;
		nic->pers[i]->in_turn = false;
	}
	return 0;
}

int
mpn_personality_set_share(struct mpn_personality *p, const struct mpn_share *share)
{
	if (share->weight < 1 || share->weight > MPN_MAX_WEIGHT)
		return mpn_log_err(EINVAL, "nic", "personality '%s': weight %u: expected 1 to %u",
			p->name, share->weight, MPN_MAX_WEIGHT);
	p->share = *share;
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
			nic->stats.tx_link_down += flow_drop_tx(flow);
	}
}

unsigned
nic_transmit(struct mpn_nic *nic, uint64_t now_ns)
{
	unsigned sent;

	if (!anything_waits(nic)) {
		nic->tx_waiting_since_ns = 0;
		nic->tx_stuck = false;
		return 0;
	}
	if (mpn_unlikely(!nic->link_up)) {
		drop_all(nic);
		return 0;
	}
	MPN_STAGE_BEGIN(SCHEDULE);
	sent = queue_has_room(nic, 0) ? nic->sched->run(nic, now_ns) : 0;
	if (nic->data_tx && queue_has_room(nic, NIC_DATA_QUEUE))
		sent += send_data(nic);
	MPN_STAGE_END();
	if (sent > 0 || nic->tx_waiting_since_ns == 0) {
		nic->tx_waiting_since_ns = now_ns;
		nic->tx_stuck = sent > 0 ? false : nic->tx_stuck;
	}
	if (mpn_unlikely(!nic->tx_stuck &&
			 now_ns - nic->tx_waiting_since_ns > NIC_TX_STUCK_MS * 1000000ull)) {
		nic->tx_stuck = true;
		nic_event(nic, MPN_NIC_TX_STUCK);
	}
	return sent;
}
