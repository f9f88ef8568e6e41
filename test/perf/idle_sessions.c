/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What do idle sessions cost? Random 4 KiB reads on one session, with and without 63 others that are
 * open and silent, in turns, client and server on one thread over a ring. One thread does all the work,
 * so that the time of a request is the work of both ends and no scheduler comes between.
 *
 *	idle_sessions [--check]
 *
 * The fastest round of each kind is what the work costs; slower ones had to share the machine.
 * --check: exit 1 when the ratio of the fastest rounds is below 0.90.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebd.h"
#include "ebd_server.h"

#define NB_IDLE 63
#define DEPTH 32
#define BLOCK 4096
#define VOLUME_BLOCKS 8192
#define ROUNDS 7
#define READS 200000

struct load {
	struct ebd_server *server;
	struct ebd_queue *queue;
	struct ebd_io ios[DEPTH];
	char *mem;
	uint64_t random;
	unsigned left; /* requests to be submitted */
	unsigned running;
	int status;
};

static int
poll_server(void *arg)
{
	return (int)ebd_server_poll(arg);
}

static void
submit(struct load *l, struct ebd_io *io, ebd_cb cb)
{
	uint64_t block;

	if (l->left == 0)
		return;
	l->random = l->random * 6364136223846793005ull + 1442695040888963407ull;
	block = (l->random >> 33) % VOLUME_BLOCKS;
	ebd_prep_read(io, l->mem + (size_t)(io - l->ios) * BLOCK, BLOCK, block * BLOCK);
	ebd_io_set_callback(io, cb, l);
	if (ebd_submit_burst(l->queue, &io, 1) != 1) {
		l->status = -errno;
		l->left = 0;
		return;
	}
	l->left--;
	l->running++;
}

static void
on_read(struct ebd_io *io, int status, void *arg)
{
	struct load *l = arg;

	l->running--;
	if (status != 0) {
		l->status = status;
		l->left = 0;
	}
	submit(l, io, on_read);
}

/* @return nanoseconds per read, 0 when one failed */
static double
measure(struct load *l)
{
	uint64_t start = ebd_now_ns();
	unsigned i;

	l->left = READS;
	for (i = 0; i < DEPTH; i++)
		submit(l, &l->ios[i], on_read);
	while (l->running > 0) {
		(void)ebd_poll(l->queue, 0);
		(void)ebd_server_poll(l->server);
	}
	return l->status == 0 ? (double)(ebd_now_ns() - start) / READS : 0;
}

static int
run(struct load *l, struct ebd_client *c, double *ratio)
{
	struct ebd_queue *idle[NB_IDLE];
	struct ebd_queue_conf conf = {.volume = "v", .depth = DEPTH};
	double alone, crowded, best_alone = 1e18, best_crowded = 1e18;
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		alone = measure(l);
		for (i = 0; i < NB_IDLE; i++) {
			idle[i] = ebd_queue_open(c, &conf);
			if (idle[i] == NULL)
				return -errno;
		}
		crowded = measure(l);
		for (i = 0; i < NB_IDLE; i++)
			ebd_queue_close(idle[i]);
		if (alone == 0 || crowded == 0)
			return l->status;
		printf("alone %.0f ns, with %d idle sessions %.0f ns a read: ratio %.3f\n", alone,
			NB_IDLE, crowded, alone / crowded);
		best_alone = alone < best_alone ? alone : best_alone;
		best_crowded = crowded < best_crowded ? crowded : best_crowded;
	}
	*ratio = best_alone / best_crowded;
	return 0;
}

int
main(int argc, char **argv)
{
	struct ebd_server_conf sc = {.max_sessions = NB_IDLE + 1, .first_link = "ring:idle"};
	struct ebd_client_conf cc = {.link = "ring:idle", .background = poll_server};
	struct load *l = calloc(1, sizeof(*l));
	struct ebd_client *c = NULL;
	double ratio = 0;
	int rc = 1;

	if (l == NULL)
		return 1;
	l->server = ebd_server_create(&sc);
	if (l->server == NULL || ebd_export_add(l->server, "v", "mem:32M") != 0 ||
		ebd_server_link_add(l->server, "ring:idle") != 0)
		goto out;
	cc.background_arg = l->server;
	c = ebd_client_create(&cc);
	if (c == NULL)
		goto out;
	l->mem = ebd_arena_alloc(c, (size_t)DEPTH * BLOCK);
	l->queue = ebd_queue_open(c, &(struct ebd_queue_conf){.volume = "v", .depth = DEPTH});
	if (l->mem == NULL || l->queue == NULL || run(l, c, &ratio) != 0)
		goto out;
	printf("throughput with %d idle sessions against none: %.3f\n", NB_IDLE, ratio);
	rc = argc > 1 && strcmp(argv[1], "--check") == 0 && ratio < 0.9;
out:
	if (rc != 0 && ebd_last_error()[0] != '\0')
		fprintf(stderr, "idle_sessions: %s\n", ebd_last_error());
	ebd_arena_free(l->mem);
	ebd_client_destroy(c);
	ebd_server_destroy(l->server);
	free(l);
	return rc;
}
