/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What device.c (life, queues) and device_io.c (requests) share. */

#ifndef DEVICE_INT_H
#define DEVICE_INT_H

#include "device.h"

#define DEVICE_PARTS (DEVICE_REQUESTS + 256)

struct queue {
	struct split_ring ring;
	bool started;
	bool broken; /* its guest has lied about it */
	bool dirty; /* something was given back in this round */
	int call_fd;
	unsigned in_flight;
	uint16_t *redo; /* heads to take before those of the ring */
	unsigned nb_redo;
	unsigned next_redo;
};

struct request {
	struct mpn_list node; /* free, or waiting for parts */
	struct queue *queue;
	struct chain chain;
	struct blk_request blk;
	unsigned parts; /* in flight */
	int status; /* the first error */
	bool cut; /* all of it has become parts */
	bool abandoned;
};

struct part {
	struct ebd_io io;
	struct mpn_list node; /* free, or not submitted yet */
	struct device *device;
	struct request *req;
	struct blk_part cut;
};

struct device {
	struct ebd_queue *volume;
	struct blk_volume limits;
	struct guest_memory mem;
	struct device_log log;
	struct queue queues[DEVICE_QUEUES];
	unsigned in_flight;
	unsigned nb_queues; /* those behind have never been started */
	unsigned turn; /* the queue that comes first in this round */
	bool abandoning;
	bool keep; /* what is abandoned is done again */
	struct mpn_list free_requests;
	struct mpn_list free_parts;
	struct mpn_list waiting; /* requests that could not get a part */
	struct mpn_list unsent; /* parts, in order */
	struct device_stats stats;
	struct request *requests;
	struct part *parts;
};

/* Interrupt the guests that want it. */
void device_call_guests(struct device *d);

#endif
