/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What a NIC looks at between bursts, ten times a second and when a driver says so: is the link up, the
 * device there, is there memory, do frames leave. It finds a lost peer again.
 */

#include <errno.h>

#include "nic_internal.h"

#define TICK_NS (NIC_CHECK_MS * 1000000ull)

void
nic_lose_link(struct mpn_nic *nic)
{
	if (!nic->link_up)
		return;
	nic->link_up = false;
	nic->info.link_up = false;
	nic_event(nic, MPN_NIC_LINK_DOWN);
}

static bool
is_link_up(struct mpn_nic *nic)
{
	return nic->running && !mpn_nic_injected(nic, MPN_FAULT_LINK_DOWN) && nic_port_link_up(nic);
}

/* A bond with one member less still has a link. */
static void
tell_members(struct mpn_nic *nic)
{
	unsigned before = nic->nb_members_up;

	nic->nb_members_up = nic->link->nb_up;
	nic_event(nic, nic->nb_members_up < before ? MPN_NIC_MEMBER_DOWN : MPN_NIC_MEMBER_UP);
}

void
nic_check_link(struct mpn_nic *nic)
{
	bool up;

	(void)atomic_exchange_explicit(&nic->link_dirty, false, memory_order_acquire);
	up = is_link_up(nic);
	if (mpn_unlikely(nic->link->nb_up != nic->nb_members_up))
		tell_members(nic);
	if (mpn_unlikely(nic->link->wants_restart) && nic->running)
		nic_port_restart(nic);
	/* When there is no device any more that is what is told, in the next round. */
	if (up == nic->link_up || atomic_load_explicit(&nic->link->gone, memory_order_acquire))
		return;
	/* No frame of ours is read by the dead peer any more when the personalities hear of it. */
	if (!up && nic->running && nic->link->needs_replug)
		nic_port_lose(nic);
	nic->link_up = up;
	nic->info.link_up = up;
	if (up)
		sched_meet_link(nic);
	nic_event(nic, up ? MPN_NIC_LINK_UP : MPN_NIC_LINK_DOWN);
}

/* By how much a counter of the port has grown since the last look; that of a new port begins at 0. */
static uint64_t
growth(uint64_t count, uint64_t *seen)
{
	uint64_t n = count >= *seen ? count - *seen : count;

	*seen = count;
	return n;
}

/* What the port has dropped since the last look, and whether it was for want of memory. */
static void
check_port(struct mpn_nic *nic)
{
	struct rte_eth_stats stats;
	bool missed;

	if (mpn_nic_injected(nic, MPN_FAULT_NO_MBUFS))
		fault_drain_pool(nic);
	if (rte_eth_stats_get(nic->port_id, &stats) < 0)
		return;
	nic->stats.rx_port_missed += growth(stats.imissed, &nic->seen_missed);
	nic->stats.rx_port_errors += growth(stats.ierrors, &nic->seen_errors);
	/* A data queue that gets nothing, because nothing is to be posted, counts as well: it is no loss. */
	missed = (stats.rx_nombuf > nic->rx_nombuf && !nic->data_rx) ||
		 rte_mempool_empty(nic->rx_pool);
	nic->rx_nombuf = stats.rx_nombuf;
	if (missed != nic->no_mbufs)
		nic_event(nic, missed ? MPN_NIC_NO_MBUFS : MPN_NIC_MBUFS_BACK);
	nic->no_mbufs = missed;
}

/* ---- The device ---- */

static bool
is_gone(const struct mpn_nic *nic)
{
	return mpn_nic_injected(nic, MPN_FAULT_REMOVED) ||
	       atomic_load_explicit(&nic->link->gone, memory_order_acquire) ||
	       (nic->running && rte_eth_dev_is_removed(nic->port_id) == 1);
}

/* It is taken out, where it can be put in again; else the port stands still. */
static void
check_removed(struct mpn_nic *nic, uint64_t now_ns)
{
	if (nic->info.removed || !is_gone(nic))
		return;
	if (nic->running && (nic->link->can_replug || !mpn_nic_injected(nic, MPN_FAULT_REMOVED)))
		nic_port_lose(nic);
	else if (nic->running)
		nic_port_stop(nic);
	nic->running = false;
	nic->info.removed = true;
	nic->next_revive_ns = now_ns + TICK_NS;
	nic_event(nic, MPN_NIC_REMOVED);
	nic_lose_link(nic);
}

static int
revive(struct mpn_nic *nic)
{
	if (nic->link->port_id != RTE_MAX_ETHPORTS)
		return nic_port_start(nic);
	return nic->link->can_replug ? nic_port_revive(nic) : -ENODEV;
}

/*
 * A driver that cannot find its peer again gets a new port: at once when the link has gone down, and
 * when a new one has not come up in a second (the peer was busy, or died in the handshake). So does a
 * device that was removed.
 */
static void
follow_peer(struct mpn_nic *nic, uint64_t now_ns)
{
	if (nic->running && !nic->link_up && now_ns > nic->next_revive_ns) {
		nic_port_lose(nic);
		nic->next_revive_ns = now_ns + TICK_NS;
	}
	if (nic->running || now_ns < nic->next_revive_ns)
		return;
	nic->next_revive_ns = now_ns + TICK_NS;
	if (revive(nic) < 0)
		return;
	nic->running = true;
	rx_queue_give_all(nic);
	nic->rx_nombuf = 0;
	nic->next_revive_ns = now_ns + NIC_CONNECT_MS * 1000000ull;
	if (nic->info.removed) {
		nic->info.removed = false;
		nic_event(nic, MPN_NIC_RETURNED);
	}
}

static bool
looks_for_peer(const struct mpn_nic *nic)
{
	return nic->started && !nic->link_up &&
	       (nic->faults & (FAULT_BIT(MPN_FAULT_REMOVED) | FAULT_BIT(MPN_FAULT_LINK_DOWN))) ==
		       0 &&
	       (nic->link->needs_replug || nic->info.removed);
}

/* ---- The personalities ---- */

/* Frames wait for a second and none has left, while those of others do: else it is no fault of this one. */
static void
check_tx(struct mpn_personality *p, bool nic_sends)
{
	struct flow_watch *w = &p->flow.watch;
	uint32_t sent = p->flow.tx.nb_sent + p->flow.data.nb_sent;
	const struct mpn_nic *nic = p->nic;
	/* A rate of its own may be as low as somebody wants it. */
	bool moves = sent != w->sent || p->share.tx_rate != 0 || !flow_tx_waits(&p->flow);

	w->sent = sent;
	/* Looks, and not time: a program may do something else between two polls. */
	w->nb_still = moves || !nic->link_up || nic->tx_stuck ? 0 : w->nb_still + nic_sends;
	if (!nic_sends)
		return;
	if (w->nb_still == NIC_TX_STUCK_MS / NIC_CHECK_MS)
		mpn_personality_error(p, -EAGAIN, "none of its frames has left for a second");
}

/* Has a counter begun to grow since the last look? */
static bool
begins(uint64_t count, uint64_t *seen, bool *grows)
{
	bool grew = *grows;

	*grows = count > *seen;
	*seen = count;
	return *grows && !grew;
}

/* It may take its frames too slowly, or keep what it was given so that there is none left for what arrives. */
static void
check_rx(struct mpn_personality *p)
{
	struct flow_watch *w = &p->flow.watch;

	if (begins(p->flow.stats.rx_full, &w->rx_full, &w->is_rx_full))
		mpn_personality_error(
			p, -ENOBUFS, "it takes its frames too slowly, some are dropped");
	if (begins(p->flow.stats.rx_no_frames, &w->rx_no_frames, &w->has_no_frames))
		mpn_personality_error(
			p, -ENOMEM, "all frames of its own are in use, some are dropped");
}

static void
check_personalities(struct mpn_nic *nic)
{
	bool sends = nic->stats.tx_frames != nic->seen_tx_frames;

	nic->seen_tx_frames = nic->stats.tx_frames;
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		if (!personality_is_active(nic->pers[i]))
			continue;
		check_rx(nic->pers[i]);
		check_tx(nic->pers[i], sends);
	}
}

void
watch_start(struct mpn_personality *p)
{
	p->flow.watch = (struct flow_watch){
		.rx_full = p->flow.stats.rx_full,
		.rx_no_frames = p->flow.stats.rx_no_frames,
		.sent = p->flow.tx.nb_sent + p->flow.data.nb_sent,
	};
}

void
nic_watch(struct mpn_nic *nic, uint64_t now_ns)
{
	check_removed(nic, now_ns);
	if (looks_for_peer(nic))
		follow_peer(nic, now_ns);
	nic_check_link(nic);
	for (unsigned i = 0; i < nic->nb_pers; i++)
		personality_tell_news(nic->pers[i]);
	if (now_ns < nic->next_check_ns)
		return;
	nic->next_check_ns = now_ns + TICK_NS;
	check_personalities(nic);
	wants_heed(nic);
	sched_watch_pace(nic);
	if (nic->running)
		check_port(nic);
}
