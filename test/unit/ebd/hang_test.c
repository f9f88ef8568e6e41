/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A volume whose back end hangs, with all that its clients can have under way: the others are served. */

#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "bench.h"

#define HUNG_QUEUES 4
#define HUNG_DEPTH 100 /* of each queue: more than a server has room for */
#define MANY 64
#define LARGE (256u << 10)

struct hung {
	struct ebd_queue *queues[HUNG_QUEUES];
	struct ebd_io ios[HUNG_QUEUES][HUNG_DEPTH];
	unsigned done;
};

static void
count_one(struct ebd_io *io, int status, void *arg)
{
	(*(unsigned *)arg)++;
}

static void
prepare(struct ebd_io *io, bool write, void *mem, size_t len, uint64_t off)
{
	if (write)
		ebd_prep_write(io, mem, len, off, 0);
	else
		ebd_prep_read(io, mem, len, off);
}

/* As much as the queues and the server take. */
static void
fill_up(struct bench *b, struct hung *h, bool write, void *mem)
{
	uint64_t end = ebd_now_ns() + XFER_NSEC_PER_SEC / 2;
	unsigned i, k;

	for (i = 0; i < HUNG_QUEUES; i++)
		h->queues[i] = bench_open(b, "hung");
	for (i = 0; i < HUNG_QUEUES; i++) {
		for (k = 0; k < HUNG_DEPTH; k++) {
			struct ebd_io *io = &h->ios[i][k];

			prepare(io, write, mem, LARGE, (uint64_t)(i * HUNG_DEPTH + k) % 64 * LARGE);
			ebd_io_set_callback(io, count_one, &h->done);
			assert_int_equal(ebd_submit_burst(h->queues[i], &io, 1), 1);
		}
	}
	while (ebd_now_ns() < end)
		(void)bench_poll(b, h->queues[0]);
	assert_int_equal(h->done, 0);
}

/* Many at a time, of the good volume. */
static void
must_serve(struct bench *b, struct ebd_queue *q, bool write, void *mem, size_t len)
{
	struct ebd_io ios[MANY];
	unsigned i, done = 0;

	for (i = 0; i < MANY; i++) {
		struct ebd_io *io = &ios[i];

		prepare(io, write, mem, len, i * len);
		ebd_io_set_callback(io, count_one, &done);
		assert_int_equal(ebd_submit_burst(q, &io, 1), 1);
	}
	bench_poll_until(b, q, done == MANY);
}

static void
one_that_hangs(bool write)
{
	struct bench *b = bench_create(NULL, NULL,
		(const char *const[]){
			"hung", "delay:all=3s:mem:64M", "good", "delay:all=1us:mem:64M", NULL});
	struct hung *h = calloc(1, sizeof(*h));
	void *mem = ebd_arena_alloc(b->client, 1 << 20);
	void *other = ebd_arena_alloc(b->client, 1 << 20);
	struct ebd_queue *q;
	unsigned i;

	assert_true(h != NULL && mem != NULL && other != NULL);
	fill_up(b, h, write, mem);
	q = bench_open(b, "good");
	must_serve(b, q, true, other, 4096);
	must_serve(b, q, false, other, 4096);
	must_serve(b, q, true, other, LARGE);
	must_serve(b, q, false, other, LARGE);
	assert_int_equal(h->done, 0);
	ebd_queue_close(q);
	bench_poll_until(b, h->queues[0], h->done > 0);
	for (i = 0; i < HUNG_QUEUES; i++)
		ebd_queue_close(h->queues[i]);
	assert_int_equal(ebd_arena_free(mem), 0);
	assert_int_equal(ebd_arena_free(other), 0);
	bench_destroy(b);
	free(h);
}

static void
writes_that_hang(void **state)
{
	one_that_hangs(true);
}

static void
reads_that_hang(void **state)
{
	one_that_hangs(false);
}

/* ---- A volume that is added, and whose back end does not answer ---- */

struct reader {
	struct ebd_queue *q;
	struct ebd_io io;
	void *mem;
	unsigned asked, done;
};

static int
read_meanwhile(void *arg)
{
	struct reader *r = arg;
	struct ebd_io *io = &r->io;

	if (r->asked == r->done) {
		ebd_prep_read(io, r->mem, 4096, 0);
		ebd_io_set_callback(io, count_one, &r->done);
		r->asked += ebd_submit_burst(r->q, &io, 1);
	}
	(void)ebd_poll(r->q, 0);
	return 0;
}

static void
others_are_served_while_one_is_added(void **state)
{
	char path[] = "/tmp/mpnic-hang-XXXXXX", spec[64];
	struct reader r = {0};
	const struct ebd_server_conf conf = {.background = read_meanwhile, .background_arg = &r};
	struct bench *b = bench_create(&conf, NULL, (const char *const[]){"good", "mem:1M", NULL});
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	(void)snprintf(spec, sizeof(spec), "file:%s", path);
	r.q = bench_open(b, "good");
	r.mem = ebd_arena_alloc(b->client, 4096);
	assert_non_null(r.mem);
	bench_hush();
	assert_int_equal(ebd_export_add(b->server, "late", spec), -EBUSY);
	assert_non_null(strstr(ebd_last_error(), "in use by another server"));
	bench_unhush();
	assert_true(r.done > 10);
	/* It comes when it can be had. */
	assert_int_equal(flock(fd, LOCK_UN), 0);
	assert_int_equal(ebd_export_add(b->server, "late", spec), 0);
	bench_poll_until(b, r.q, r.done == r.asked);
	ebd_queue_close(r.q);
	r.q = bench_open(b, "late");
	ebd_queue_close(r.q);
	assert_int_equal(ebd_arena_free(r.mem), 0);
	bench_destroy(b);
	close(fd);
	(void)unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_that_hang),
		cmocka_unit_test(reads_that_hang),
		cmocka_unit_test(others_are_served_while_one_is_added),
	};

	return cmocka_run_group_tests(tests, bench_start_eal, bench_stop_eal);
}
