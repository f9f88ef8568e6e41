/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * What can go wrong, as one table. Each seed switches each kind on with probability one half and
 * draws how often it strikes ("swarm": a fault that is always there hides those behind it).
 */

#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <stddef.h>

#include "rng.h"

/**
 * {name, least and greatest probability in parts per million of what it is drawn for, text}.
 * Equal bounds of RNG_PPM: a property of the whole run.
 */
#define SIM_FAULT_LIST(X) \
	X(loss, 1000, 300000, "a frame vanishes") \
	X(burst, 200, 10000, "2 to 8 frames in a row vanish") \
	X(dup, 1000, 500000, "a frame arrives twice") \
	X(reorder, 10000, 500000, "a frame takes longer: exponential, up to 10 round trips") \
	X(corrupt, 100, 50000, "1 to 8 bits of a frame flip") \
	X(truncate, 100, 20000, "a frame loses its end") \
	X(pad, 100, 20000, "a frame grows") \
	X(misdeliver, 100, 10000, "a frame reaches somebody else") \
	X(stale, 500, 20000, "a copy of a frame arrives again up to a minute later") \
	X(partition, 200, 5000, "a node is cut off for 1 ms to 2 s") \
	X(oneway, 200, 5000, "a node is cut off in one direction") \
	X(queue, RNG_PPM, RNG_PPM, \
		"a switch port holds no more than 2 to 64 frames of 1500 bytes") \
	X(mtu, 100, 3000, "frames above the smallest MTU vanish for a while") \
	X(smallpath, RNG_PPM, RNG_PPM, "the path carries less than the MTU of the ends says") \
	X(nobuf, 500, 10000, "the target's pool is empty for 1 to 50 ms") \
	X(tgt_kill, 500, 5000, "the target is killed and starts again") \
	X(drain, 200, 2000, "the target is drained, then stopped, and starts again") \
	X(power, 250, 2500, "the target loses power: what was not flushed is lost or not") \
	X(ini_kill, 250, 2500, "an initiator is killed and starts again") \
	X(hang, 200, 2000, "a node does nothing for a while") \
	X(eio, 500, 50000, "a disk request fails") \
	X(slow, 1000, 50000, "a disk request takes 1 ms to 2 s") \
	X(abort, 2000, 50000, "a command is aborted") \
	X(close, 100, 2000, "a session is closed and opened again") \
	X(timeout, RNG_PPM, RNG_PPM, "commands fail when the peer is gone for long") \
	X(wrap, RNG_PPM, RNG_PPM, "clocks and sequence numbers are about to wrap") \
	X(astray, 200, 2000, "the target does not find the queue for bulk data for 1 to 50 ms")

enum sim_fault {
#define X(name, lo, hi, text) SIM_F_##name,
	SIM_FAULT_LIST(X)
#undef X
		SIM_F_COUNT
};

#define SIM_FAULT_ALL ((1u << SIM_F_COUNT) - 1)
#define SIM_FAULT_SWARM UINT32_MAX /**< each kind with probability one half */

struct sim_faults {
	uint32_t on; /**< bit per kind: takes part in this run */
	bool active; /**< false after the network was healed */
	uint32_t fired; /**< strikes so far; the number of a strike names it for --skip */
	const uint64_t *skip; /**< bitmap of strikes that are left out, or NULL */
	uint32_t skip_bits;
	uint32_t ppm[SIM_F_COUNT];
	uint64_t hits[SIM_F_COUNT];
	struct rng rng[SIM_F_COUNT];
};

extern const char *const sim_fault_names[SIM_F_COUNT];
extern const char *const sim_fault_texts[SIM_F_COUNT];

/** Draw the run's kinds (mask, or SIM_FAULT_SWARM) and probabilities from the seed. */
void sim_faults_init(struct sim_faults *f, uint64_t seed, uint32_t mask);
/** Does a fault of this kind strike now? Counts it when it does. */
bool sim_fault_strikes(struct sim_faults *f, enum sim_fault kind);
/** Is the kind part of this run (healed or not)? */
static inline bool
sim_fault_on(const struct sim_faults *f, enum sim_fault kind)
{
	return f->on >> kind & 1;
}

/** "loss,dup", "all", "none" or "swarm". @return 0 or -EINVAL */
int sim_faults_parse(const char *list, uint32_t *mask);
/** The list that gives this mask. @return buf */
char *sim_faults_format(char *buf, size_t size, uint32_t mask);

#endif
