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
/* A yield of so long has given the core to somebody. */
#define GIVEN_NS 700u
/*
 * Where others want the core it is better to sleep while they make the answer than to come back again and again: a
 * round that finds nothing costs them two switches. What comes meanwhile is taken all at once. A sleep ends some 50 us
 * late, so that it delays an answer that takes this long by a half at most, and others by a quarter.
 */
#define NAP_ANSWER_NS 150000u
#define NAP_PART 8
#define NAP_MAX_NS 200000u

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
sleep_for(uint64_t ns)
{
	struct timespec ts = {.tv_nsec = (long)ns};

	(void)nanosleep(&ts, NULL);
}

static void
yield(struct mpn_idler *idler, uint64_t now_ns)
{
	(void)sched_yield();
	idler->wanted = mpn_now_ns() - now_ns >= GIVEN_NS;
}

/* In vain for longer than a switch takes. */
static void
give_way(struct mpn_idler *idler, uint64_t now_ns)
{
	uint64_t idle_ns = now_ns - idler->idle_since_ns;

	if (idler->wanted && idler->answer_ns >= NAP_ANSWER_NS) {
		idler->wanted = false;
		sleep_for(MPN_MIN(idler->answer_ns / NAP_PART, (uint64_t)NAP_MAX_NS));
	} else if (idle_ns < AWAKE_NS || idler->empty <= AWAKE_ROUNDS) {
		yield(idler, now_ns);
	} else {
		sleep_for(mpn_idle_pause_ns(idle_ns));
	}
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
	if (idler->empty++ == 0) {
		idler->idle_since_ns = now_ns;
		idler->wanted = false;
	}
	if (now_ns - idler->idle_since_ns < SPIN_NS)
		rte_pause();
	else if (idler->policy == MPN_IDLE_YIELD)
		(void)sched_yield();
	else
		give_way(idler, now_ns);
}

enum mpn_idle
mpn_idle_default(unsigned nb_pollers)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return MPN_IDLE_YIELD;
	return nb_pollers > (unsigned)CPU_COUNT(&cpus) ? MPN_IDLE_YIELD : MPN_IDLE_SPIN;
}
