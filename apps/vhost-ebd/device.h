/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * A block device of a guest: what comes out of its rings becomes requests to a volume, and the answers go
 * back. The guest's own memory is what the volume reads into and writes from. One thread at a time; how
 * rings and memory get here is somebody else's business (target.h).
 */

#ifndef DEVICE_H
#define DEVICE_H

#include "blk.h"
#include "mpn_list.h"

#define DEVICE_QUEUES 16
#define DEVICE_REQUESTS 512 /**< in flight, of all queues */

/** What happened; {name, text} each. */
#define DEVICE_STATS_LIST(X) \
	X(reads, "requests to read") \
	X(writes, "requests to write") \
	X(flushes, "requests to flush") \
	X(discards, "requests to discard") \
	X(zeroes, "requests to write zeroes") \
	X(refused, "requests that were answered with an error at once, or with an id") \
	X(errors, "requests that failed at the volume") \
	X(bad_chains, "descriptors that make no request: given back without an answer") \
	X(broken_rings, "rings that were given up until they are set up again") \
	X(redone, "requests carried out again after a restart of either side") \
	X(calls, "interrupts of the guest")

struct device_stats {
#define X(name, text) uint64_t name;
	DEVICE_STATS_LIST(X)
#undef X
};

/** Where it is noted what is in flight, for who comes after a crash. NULL functions: nowhere. */
struct device_log {
	void (*begin)(void *arg, unsigned queue, uint16_t head);
	void (*ending)(void *arg, unsigned queue, uint16_t head); /**< before it is given back */
	void (*ended)(void *arg, unsigned queue, uint16_t head, uint16_t used_idx);
	void *arg;
};

/** A ring as it was set up. */
struct device_ring {
	void *desc, *avail, *used;
	uint32_t size;
	uint16_t next_avail, next_used;
	bool event_idx, indirect;
	int call_fd; /**< -1: the guest wants no interrupts; the device's from now on */
	const uint16_t *redo; /**< heads that were in flight when somebody crashed, in order */
	unsigned nb_redo;
};

struct device;

/** @return NULL with errno ENOMEM */
struct device *device_create(const struct device_log *log);
/** All queues must have been stopped. The volume is not closed. NULL is allowed. */
void device_destroy(struct device *d);

/** The memory of the guest; no queue may be started. */
void device_set_memory(struct device *d, const struct guest_memory *mem);
/** The volume, or NULL. */
void device_set_volume(struct device *d, struct ebd_queue *q);
struct ebd_queue *device_volume(const struct device *d);
/** What requests are checked against; info is read again by device_set_volume(). */
struct blk_volume *device_limits(struct device *d);

/** @return 0, -EINVAL (no such ring), -ENOMEM; call_fd has been closed then */
int
device_start_queue(struct device *d, unsigned queue, const struct device_ring *ring) MPN_MUST_CHECK;
/**
 * Let go of a ring. Nothing may be in flight.
 * @param forget  heads that wait for being done again are somebody else's now
 * @return it was started: the indices to go on with were stored
 */
bool device_stop_queue(
	struct device *d, unsigned queue, bool forget, uint16_t *next_avail, uint16_t *next_used);
bool device_is_started(const struct device *d, unsigned queue);
/** Another descriptor for interrupts, the device's from now on. */
void device_set_call(struct device *d, unsigned queue, int fd);

/**
 * One round.
 * @param take  take new requests, too
 * @return what there was to do
 */
unsigned device_poll(struct device *d, bool take);
/** Requests taken and not given back. */
unsigned device_in_flight(const struct device *d);
/** Requests wait for a volume: there is none, or it has been lost. */
bool device_wants_volume(const struct device *d);
/** No volume is coming: what waits for it fails. */
void device_fail_waiting(struct device *d, int status);
/**
 * End everything that is in flight now; the volume is closed for it.
 * @param keep  it is done again when the ring goes on (or by who reads the log); else it fails
 */
void device_abandon(struct device *d, bool keep);

/** Guests need not tell about new requests. */
void device_stop_kicks(struct device *d);
/** Guests are to tell. @return some have come in already */
bool device_want_kicks(struct device *d) MPN_MUST_CHECK;

const struct device_stats *device_get_stats(const struct device *d);

#endif
