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

/*
 * Before the first yield: what a switch to another program and back costs. Not a number of rounds: those of a
 * program that looks at more than one ring are long, and another one may be waiting for the core.
 */
#define SPIN_NS 3000u
/* Before the first sleep, both: who was kept from running for a while has not looked in vain yet. */
#define AWAKE_NS 1000000u
#define AWAKE_ROUNDS 64

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
	uint64_t now_ns;

	if (work > 0) {
		idler->empty = 0;
		return;
	}
	if (idler->policy == MPN_IDLE_SPIN) {
		idler->empty++;
		rte_pause();
		return;
	}
	now_ns = mpn_now_ns();
	if (idler->empty++ == 0)
		idler->idle_since_ns = now_ns;
	if (now_ns - idler->idle_since_ns < SPIN_NS)
		rte_pause();
	else if (idler->policy == MPN_IDLE_YIELD || idler->empty <= AWAKE_ROUNDS)
		(void)sched_yield();
	else
		sleep_step(now_ns - idler->idle_since_ns);
}

enum mpn_idle
mpn_idle_default(unsigned nb_pollers)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return MPN_IDLE_YIELD;
	return nb_pollers > (unsigned)CPU_COUNT(&cpus) ? MPN_IDLE_YIELD : MPN_IDLE_SPIN;
}
