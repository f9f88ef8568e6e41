/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * One client per link and process, for all jobs that name that link: a point-to-point link serves one
 * peer. A client belongs to one thread at a time, so jobs that share one take turns by its lock.
 */

#ifndef SHARED_CLIENT_H
#define SHARED_CLIENT_H

#include <pthread.h>

#include "ebd.h"

struct shared_client {
	struct ebd_client *client;
	pthread_mutex_t lock; /**< held around every call with the client, its queues and memory */
	char *link;
	unsigned users;
	struct shared_client *next;
};

/**
 * The client of conf->link; made with conf when it is the first.
 * @return NULL with errno; ebd_last_error() says it in a sentence
 */
struct shared_client *shared_client_get(const struct ebd_client_conf *conf);
/** The last one to put it back ends it. NULL is allowed. */
void shared_client_put(struct shared_client *s);

#endif
