/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The virtual clock: a heap of events in order of (time, order of scheduling). Time jumps from
 * event to event.
 */

#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct world;

typedef void (*sim_event_fn)(struct world *w, void *arg, uint64_t aux);

struct sim_event {
	uint64_t at; /**< ns */
	uint64_t seq;
	sim_event_fn fn;
	void *arg;
	uint64_t aux;
};

struct sim_clock {
	uint64_t now; /**< ns */
	uint64_t seq;
	struct sim_event *heap;
	uint32_t n;
	uint32_t cap;
};

/** Forget all events and set the time. The heap's memory is kept. */
void clock_reset(struct sim_clock *c, uint64_t now);
void clock_free(struct sim_clock *c);
/** Run fn(world, arg, aux) at a time that is not in the past. */
void clock_at(struct sim_clock *c, uint64_t at, sim_event_fn fn, void *arg, uint64_t aux);
/** Take the next event and set the time to it. @return false when there is none */
bool clock_next(struct sim_clock *c, struct sim_event *ev);

#endif
