/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Keep requests in flight: submit, poll, submit again from the callback. Adds up the bytes of a volume.
 *
 *	async_reads virtio:ebd0.sock disk0
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpnic/ebd.h>

#define DEPTH 32
#define CHUNK (64u << 10)

/* The library's part of a request is embedded in ours. */
struct request {
	struct ebd_io io;
	struct sum *sum;
	unsigned char *buf;
	size_t len;
};

struct sum {
	struct ebd_queue *q;
	uint64_t size;
	uint64_t next; /* where the next request starts */
	uint64_t total;
	int error;
	struct request req[DEPTH];
};

static void on_read(struct ebd_io *io, int status, void *arg);

static void
submit_next(struct request *r)
{
	struct sum *s = r->sum;
	struct ebd_io *io = &r->io;

	if (s->next == s->size || s->error != 0)
		return;
	r->len = s->size - s->next < CHUNK ? s->size - s->next : CHUNK;
	ebd_prep_read(io, r->buf, r->len, s->next);
	ebd_io_set_callback(io, on_read, r);
	s->next += r->len;
	if (ebd_submit_burst(s->q, &io, 1) != 1)
		s->error = -errno;
}

/* Runs inside ebd_poll(), once for each request that was taken. */
static void
on_read(struct ebd_io *io, int status, void *arg)
{
	struct request *r = arg;
	size_t i;

	(void)io;
	if (status != 0)
		r->sum->error = status;
	for (i = 0; status == 0 && i < r->len; i++)
		r->sum->total += r->buf[i];
	submit_next(r);
}

static int
add_up(struct ebd_client *c, struct sum *s)
{
	unsigned char *arena = ebd_arena_alloc(c, (size_t)DEPTH * CHUNK);
	unsigned i;
	int n;

	if (arena == NULL)
		return -ENOMEM;
	for (i = 0; i < DEPTH; i++) {
		s->req[i].sum = s;
		s->req[i].buf = arena + (size_t)i * CHUNK;
		submit_next(&s->req[i]);
	}
	while (ebd_in_flight(s->q) > 0) {
		n = ebd_poll(s->q, 0);
		if (n < 0)
			s->error = n;
		ebd_client_idle(c, n > 0 ? (unsigned)n : 0);
	}
	ebd_arena_free(arena);
	return s->error;
}

int
main(int argc, char **argv)
{
	static struct sum sum;
	struct ebd_client *c;
	struct ebd_info info;
	int rc;

	if (argc != 3) {
		printf("usage: %s LINK VOLUME\n", argv[0]);
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	c = ebd_client_create(&(struct ebd_client_conf){.link = argv[1]});
	sum.q = c != NULL ? ebd_queue_open(c, &(struct ebd_queue_conf){.volume = argv[2]}) : NULL;
	if (sum.q == NULL) {
		fprintf(stderr, "%s\n", ebd_last_error());
		return EXIT_FAILURE;
	}
	ebd_queue_info(sum.q, &info);
	sum.size = info.size;
	rc = add_up(c, &sum);
	printf(rc == 0 ? "%" PRIu64 "\n" : "failed after %" PRIu64 "\n", sum.total);
	ebd_client_destroy(c);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
