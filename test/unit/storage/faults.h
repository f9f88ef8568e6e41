/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A bad wire between a NIC and its personality: frames that arrive are lost, doubled and late, in an
 * order that a seed decides. A frame that is late is a copy of its own: it has left its sender, as a
 * frame in a switch has.
 */

#ifndef FAULTS_H
#define FAULTS_H

#include "mpn_personality.h"

struct faults;

/* What happens to how many of 1000 frames. */
struct faults_conf {
	uint64_t seed;
	uint16_t loss;
	uint16_t copies; /* arrive twice, the second time late */
	uint16_t late;
	uint32_t max_late_us;
	/* Sees every frame that arrives, also those that are then lost. NULL: nobody looks. */
	void (*look)(void *arg, const struct rte_mbuf *m);
	void *arg;
};

struct faults_stats {
	uint64_t seen, lost, copied, late;
};

/* From now on frames to p go through the faults; p must be loaded. */
struct faults *faults_insert(struct mpn_personality *p, const struct faults_conf *conf);
/* The wire is good again; what is late arrives now. */
void faults_remove(struct faults *f);
const struct faults_stats *faults_stats(const struct faults *f);

#endif
