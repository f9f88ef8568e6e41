/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What a poller does with a round that found nothing.
 */

#include <sched.h>
#include <string.h>
#include <time.h>

#include <rte_pause.h>

#include "mpn_nic.h"

#define SPIN_ROUNDS 64 /* before the first yield */
#define AWAKE_NS 1000000u /* before the first sleep */

/* How long to sleep after how long a silence: the longer it has lasted, the longer it may last. */
static const struct {
	uint64_t idle_ns;
	uint32_t sleep_ns;
} steps[] = {
	{1000000000u, 1000000},
	{100000000u, 250000},
	{0, 50000},
};

void
mpn_idler_init(struct mpn_idler *idler, enum mpn_idle policy)
{
	memset(idler, 0, sizeof(*idler));
	idler->policy = policy;
}

uint32_t
mpn_idle_pause_ns(uint64_t silent_ns)
{
	unsigned i = 0;

	while (silent_ns < steps[i].idle_ns)
		i++;
	return steps[i].sleep_ns;
}

static void
sleep_step(uint64_t idle_ns)
{
	struct timespec ts = {.tv_nsec = mpn_idle_pause_ns(idle_ns)};

	if (idle_ns < AWAKE_NS)
		(void)sched_yield();
	else
		(void)nanosleep(&ts, NULL);
}

void
mpn_idler_round(struct mpn_idler *idler, unsigned work)
{
	if (work > 0) {
		idler->empty = 0;
		return;
	}
	if (idler->empty++ < SPIN_ROUNDS || idler->policy == MPN_IDLE_SPIN) {
		rte_pause();
		return;
	}
	if (idler->policy == MPN_IDLE_YIELD) {
		(void)sched_yield();
		return;
	}
	if (idler->empty == SPIN_ROUNDS + 1)
		idler->idle_since_ns = mpn_now_ns();
	sleep_step(mpn_now_ns() - idler->idle_since_ns);
}

enum mpn_idle
mpn_idle_default(unsigned nb_pollers)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return MPN_IDLE_YIELD;
	return nb_pollers > (unsigned)CPU_COUNT(&cpus) ? MPN_IDLE_YIELD : MPN_IDLE_SPIN;
}
