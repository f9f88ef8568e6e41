/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * How much a round may do, and how much may wait below the scheduler, where nobody can change the order any
 * more. A frame waits for the end of the round it comes in, at both ends, and for all that is in the port.
 * Alone, a personality has long rounds and a port as deep as it is: that is cheapest. Under prio-drr several
 * have shorter ones, and few frames of theirs wait below. While one with priority sends or receives, rounds
 * are as short as a few frames: that costs the others some of what they could do, so it ends when the one with
 * priority falls silent.
 *
 * Received is half of MPN_BURST, so that the first answers leave while the rest waits: with a queue depth of 32
 * a burst of 32 made both ends work in turns, each waiting for the other.
 */

#include "nic_internal.h"

static const struct sched_pace alone = {.rx = MPN_BURST / 2, .run = MPN_BURST, .tx = 4 * MPN_BURST};
static const struct sched_pace shared = {
	.rx = MPN_BURST / 2, .run = MPN_BURST, .tx = MPN_BURST, .unsent = MPN_BURST};
/* No more is received than a turn takes: what waits in a flow would be dropped in the end. */
static const struct sched_pace brisk = {.rx = 4, .run = 4, .tx = 4, .unsent = 4};

/* Frames that personalities with priority have sent and received. */
static uint64_t
count_priority(const struct mpn_nic *nic)
{
	uint64_t frames = 0;

	for (unsigned i = 0; i < nic->nb_pers; i++) {
		const struct mpn_personality *p = nic->pers[i];

		if (p->share.priority && personality_is_active(p))
			frames += p->flow.stats.rx_frames + p->flow.stats.tx_frames;
	}
	return frames;
}

void
sched_set_pace(struct mpn_nic *nic)
{
	unsigned active = 0;

	for (unsigned i = 0; i < nic->nb_pers; i++)
		active += personality_is_active(nic->pers[i]);
	if (nic->sched != &sched_prio_drr || active < 2)
		nic->pace = alone;
	else
		nic->pace = nic->priority_moves ? brisk : shared;
	nic->pace.unsent = (uint16_t)MPN_MIN(nic->pace.unsent, nic->conf.tx_cap);
	/* As much comes on a data queue as on the first one, and both are one personality's. */
	if (nic->data_rx)
		nic->pace.run = (uint16_t)MPN_MIN(2 * nic->pace.rx, MPN_BURST);
}

void
sched_watch_pace(struct mpn_nic *nic)
{
	uint64_t frames = count_priority(nic);
	bool moves = frames != nic->priority_frames;

	nic->priority_frames = frames;
	if (moves == nic->priority_moves)
		return;
	nic->priority_moves = moves;
	sched_set_pace(nic);
}

/*
 * Of what waits in the port, a queue, the frames that had no priority. Those that had it are bounded by
 * their bucket, and must not keep the others out for as long as it is not empty.
 */
static unsigned
without_priority(const struct mpn_nic *nic, unsigned unsent)
{
	uint64_t last = unsent < 64 ? (1ull << unsent) - 1 : UINT64_MAX;

	return unsent - (unsigned)__builtin_popcountll(nic->sent_first & last);
}

void
sched_meet_link(struct mpn_nic *nic)
{
	if (nic->link->spec.kind->unsent != NULL)
		(void)nic->link->spec.kind->unsent(nic->link, mpn_now_ns());
}

unsigned
sched_room(struct mpn_nic *nic, uint64_t now_ns)
{
	unsigned (*ask)(struct link * l, uint64_t now_ns) = nic->link->spec.kind->unsent;
	unsigned unsent;

	if (nic->pace.unsent == 0 || ask == NULL)
		return nic->pace.tx;
	unsent = without_priority(nic, ask(nic->link, now_ns));
	return unsent < nic->pace.unsent ? MPN_MIN(nic->pace.unsent - unsent, nic->pace.tx) : 0;
}
