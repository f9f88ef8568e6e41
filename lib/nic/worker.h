/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The lcores of maps: each polls the parts of NICs that it was given. Not installed. */

#ifndef WORKER_H
#define WORKER_H

#include "nic_internal.h"

struct worker;

/* The one of an lcore; it starts with the first who wants it, and ends with the last. NULL: errno is EBUSY */
struct worker *worker_get(unsigned lcore);
void worker_put(struct worker *w);
/* Could it be had? */
bool worker_is_free(unsigned lcore);

/* Between two rounds until released; from any thread but a worker's, several at a time. */
void worker_hold(struct worker *w);
void worker_release(struct worker *w);

/* While it is held: what it polls. 0 or -ENOSPC */
int worker_add(struct worker *w, struct nic_part *part) MPN_MUST_CHECK;
void worker_remove(struct worker *w, const struct nic_part *part);

/* Is the calling thread one of them, inside a round? */
bool worker_is_me(void);

#endif
