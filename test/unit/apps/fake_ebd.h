/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The client library of ebd.h over a piece of memory, for tests of what is built on it: requests
 * complete in ebd_poll() in an order that a seed decides, the clock moves with each poll, and requests
 * can be made to go wrong.
 */

#ifndef FAKE_EBD_H
#define FAKE_EBD_H

#include "ebd.h"

/** What happens to the n-th request of a kind, counted from 1. 0: nothing. */
struct fake_faults {
	unsigned fail_nth; /**< this request ends with status */
	int status;
	unsigned lose_write; /**< this write is answered and never done */
	unsigned misplace_read; /**< this read gets what is one block further on */
	unsigned full_every; /**< each n-th submit finds the queue full */
	unsigned dead_after; /**< after so many completions the queue is dead */
	bool hang; /**< nothing completes */
	unsigned interrupt_after; /**< after so many completions a signal comes */
};

struct fake_counts {
	unsigned reads, writes, zeroes, discards, flushes;
	uint64_t written_bytes;
	unsigned in_flight_max;
	unsigned broken_rules; /**< requests out of range, misaligned, or submitted twice */
};

/** A volume of size bytes at mem. At most 64 requests are in flight at a time. */
struct ebd_queue *fake_queue(void *mem, uint64_t size, uint32_t block, uint64_t seed);
struct fake_faults *fake_faults(struct ebd_queue *q);
const struct fake_counts *fake_counts(const struct ebd_queue *q);
/** Forget signals and set the clock back; before each test. */
void fake_reset(void);

#endif
