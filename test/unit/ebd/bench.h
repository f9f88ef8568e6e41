/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the tests of lib/ebd share: a server and a client in one process, joined by a ring. */

#ifndef BENCH_H
#define BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ebd_int.h"
#include "server_int.h"
#include "st_arena.h"

#define BENCH_MAX_VOLUMES 8

struct bench {
	char link[32]; /* a ring of its own, so that a test that fails leaves it to nobody */
	struct ebd_server *server;
	struct ebd_client *client;
	struct ebd_server_conf server_conf;
	struct ebd_client_conf client_conf;
	struct mpn_nic *own_nic; /* the server's, polled by the test */
	bool server_sleeps; /* the background does not poll it */
	int give_up; /* what the background tells the waiting call */
	unsigned rounds;
};

int bench_start_eal(void **state);
int bench_stop_eal(void **state);

/* volumes: name, spec, name, spec, ..., NULL. No server when it is NULL. */
struct bench *bench_create(const struct ebd_server_conf *sc, const struct ebd_client_conf *cc,
	const char *const *volumes);
void bench_destroy(struct bench *b);
void bench_start_server(struct bench *b, const char *const *volumes);
void bench_stop_server(struct bench *b);
struct ebd_queue *bench_open(struct bench *b, const char *volume);

/* One round of queue and server. @return what ebd_poll() gave */
int bench_poll(struct bench *b, struct ebd_queue *q);
/* Rounds without the clock mattering, until the condition holds; ten seconds at most. */
#define bench_poll_until(b, q, cond) \
	do { \
		uint64_t bench_end = ebd_now_ns() + 10 * XFER_NSEC_PER_SEC; \
		while (!(cond)) { \
			(void)bench_poll(b, q); \
			if (ebd_now_ns() > bench_end) \
				fail_msg("never: %s", #cond); \
		} \
	} while (0)

void bench_fill(void *mem, size_t len, uint32_t seed);

/* Log lines are expected: keep them off the screen. */
void bench_hush(void);
void bench_unhush(void);

#endif
