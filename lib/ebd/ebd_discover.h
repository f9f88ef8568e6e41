/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Collecting what targets say about themselves. Not installed. */

#ifndef EBD_DISCOVER_H
#define EBD_DISCOVER_H

#include "ebd_int.h"
#include "st_discover.h"

struct ebd_collector {
	struct st_discover *discover;
	struct ebd_advert *adverts; /* each volume of each target once */
	unsigned nb;
	unsigned size;
	unsigned answers; /* frames' worth of volumes, targets without any too */
	uint64_t last_ns; /* of the last new answer */
	uint64_t next_ask_ns;
	bool no_memory;
};

/* 0, or -errno after a log line. */
int ebd_collector_init(struct ebd_collector *k, struct ebd_client *c);
/* Ask again when it is time to. Call it in every round. */
void ebd_collector_round(struct ebd_collector *k);
/* Has everybody had time to answer? */
bool ebd_collector_is_complete(const struct ebd_collector *k);
bool ebd_collector_has(const struct ebd_collector *k, const char *volume);
void ebd_collector_fini(struct ebd_collector *k);

#endif
