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

/* ---- A volume whose size, or whose end, is waited for ---- */

static bool stuck; /* atomic */

/* Not for ever: who waits for it on the server's thread is to fail, and not to hang. */
static int
wait_while_stuck(void)
{
	uint64_t end = ebd_now_ns() + 5 * XFER_NSEC_PER_SEC;
	struct mpn_idler idler;

	mpn_idler_init(&idler, MPN_IDLE_SLEEP);
	while (__atomic_load_n(&stuck, __ATOMIC_ACQUIRE)) {
		if (ebd_now_ns() > end)
			return -ETIMEDOUT;
		mpn_idler_round(&idler, 0);
	}
	return 0;
}

static int
stuck_open(struct volume *v, const char *spec)
{
	char args[64];

	spec = vol_split_filter(v, spec, args, sizeof(args));
	if (spec != NULL && args[0] != '\0')
		(void)wait_while_stuck();
	return spec != NULL ? vol_open_lower(v, spec, 0) : -errno;
}

static int
stuck_submit(struct volume *v, struct vol_io *io)
{
	vol_pass(v, io);
	return 0;
}

static int
stuck_find_size(struct volume *v, uint64_t *size)
{
	*size = vol_get_info(v)->size / 2;
	return wait_while_stuck();
}

static bool closed_late; /* atomic */

static void
stuck_close(struct volume *v)
{
	__atomic_store_n(&closed_late, wait_while_stuck() == 0, __ATOMIC_RELEASE);
}

static const struct vol_ops stuck_ops = {
	.name = "stuck",
	.synopsis = "stuck:SPEC",
	.help = "as slow as its test wants",
	.filter = true,
	.open = stuck_open,
	.close = stuck_close,
	.submit = stuck_submit,
	.find_size = stuck_find_size,
};

struct stuck_bench {
	struct reader r; /* first: what read_meanwhile() has */
	struct bench *b;
	unsigned enough; /* reads after which it is stuck no more */
	bool removes;
	bool gives_up;
};

static int
free_it_later(void *arg)
{
	struct stuck_bench *t = arg;

	(void)read_meanwhile(&t->r);
	if (t->r.done < t->enough)
		return 0;
	if (t->gives_up)
		return -ECANCELED;
	if (t->removes)
		assert_int_equal(ebd_export_remove(t->b->server, "hung"), 0);
	t->removes = false;
	__atomic_store_n(&stuck, false, __ATOMIC_RELEASE);
	return 0;
}

static void
begin_stuck(struct stuck_bench *t)
{
	const struct ebd_server_conf conf = {.background = free_it_later, .background_arg = t};

	t->b = bench_create(&conf, NULL,
		(const char *const[]){
			"hung", "stuck:delay:all=1us:mem:1M", "good", "mem:1M", NULL});
	t->r.q = bench_open(t->b, "good");
	t->r.mem = ebd_arena_alloc(t->b->client, 4096);
	assert_non_null(t->r.mem);
	t->enough = 20;
	__atomic_store_n(&stuck, true, __ATOMIC_RELEASE);
}

static void
end_stuck(struct stuck_bench *t)
{
	bench_poll_until(t->b, t->r.q, t->r.done == t->r.asked);
	ebd_queue_close(t->r.q);
	assert_int_equal(ebd_arena_free(t->r.mem), 0);
	bench_destroy(t->b);
}

static uint64_t
nb_closing(struct bench *b)
{
	struct ebd_server_stats st;

	ebd_server_get_stats(b->server, &st);
	return st.closing;
}

static void
others_are_served_while_a_size_is_asked_for(void **state)
{
	struct stuck_bench t = {0};
	struct ebd_export_info info;

	begin_stuck(&t);
	assert_int_equal(ebd_export_resize(t.b->server, "hung"), 0);
	assert_true(t.r.done >= t.enough);
	assert_int_equal(ebd_export_get(t.b->server, 0, &info), 0);
	assert_int_equal(info.size, 1 << 19);
	end_stuck(&t);
}

static void
one_may_go_while_its_size_is_asked_for(void **state)
{
	struct stuck_bench t = {.removes = true};

	begin_stuck(&t);
	bench_hush();
	assert_int_equal(ebd_export_resize(t.b->server, "hung"), -ENOENT);
	bench_unhush();
	bench_poll_until(t.b, t.r.q, nb_closing(t.b) == 0);
	end_stuck(&t);
}

static void
others_are_served_while_one_ends(void **state)
{
	struct stuck_bench t = {0};

	begin_stuck(&t);
	assert_int_equal(ebd_export_remove(t.b->server, "hung"), 0);
	assert_int_equal(nb_closing(t.b), 1);
	while (t.r.done < t.enough) {
		(void)read_meanwhile(&t.r);
		(void)bench_poll(t.b, t.r.q);
	}
	assert_int_equal(nb_closing(t.b), 1);
	/* Its name is free again. */
	t.enough = UINT32_MAX;
	assert_int_equal(ebd_export_add(t.b->server, "hung", "mem:1M"), 0);
	assert_int_equal(nb_closing(t.b), 1);
	__atomic_store_n(&stuck, false, __ATOMIC_RELEASE);
	bench_poll_until(t.b, t.r.q, nb_closing(t.b) == 0);
	assert_true(__atomic_load_n(&closed_late, __ATOMIC_ACQUIRE));
	end_stuck(&t);
}

/* Who waits no more hears so at once. What came of it is taken back when it is there. */
static void
one_that_is_not_waited_for(void **state)
{
	struct stuck_bench t = {.gives_up = true};

	begin_stuck(&t);
	bench_hush();
	assert_int_equal(ebd_export_resize(t.b->server, "hung"), -ECANCELED);
	assert_int_equal(ebd_export_resize(t.b->server, "hung"), -ECANCELED);
	bench_unhush();
	assert_int_equal(nb_closing(t.b), 2);
	assert_int_equal(ebd_export_remove(t.b->server, "hung"), 0);
	/* It is looked at by two, and must not be closed. */
	t.enough += 100;
	while (t.r.done < t.enough) {
		(void)read_meanwhile(&t.r);
		(void)bench_poll(t.b, t.r.q);
	}
	assert_int_equal(nb_closing(t.b), 3);
	__atomic_store_n(&stuck, false, __ATOMIC_RELEASE);
	bench_poll_until(t.b, t.r.q, nb_closing(t.b) == 0);
	/* One that opens after all. */
	__atomic_store_n(&stuck, true, __ATOMIC_RELEASE);
	bench_hush();
	assert_int_equal(ebd_export_add(t.b->server, "late", "stuck:late=1:mem:1M"), -ECANCELED);
	bench_unhush();
	__atomic_store_n(&closed_late, false, __ATOMIC_RELEASE);
	__atomic_store_n(&stuck, false, __ATOMIC_RELEASE);
	bench_poll_until(t.b, t.r.q, nb_closing(t.b) == 0);
	assert_true(__atomic_load_n(&closed_late, __ATOMIC_ACQUIRE));
	end_stuck(&t);
}

/* The end of a server waits for what is still there. */
static void
a_server_ends_with_its_volumes(void **state)
{
	struct stuck_bench t = {0};

	begin_stuck(&t);
	assert_int_equal(ebd_export_remove(t.b->server, "hung"), 0);
	while (t.r.done < t.enough) {
		(void)read_meanwhile(&t.r);
		(void)bench_poll(t.b, t.r.q);
	}
	__atomic_store_n(&closed_late, false, __ATOMIC_RELEASE);
	__atomic_store_n(&stuck, false, __ATOMIC_RELEASE);
	end_stuck(&t);
	assert_true(__atomic_load_n(&closed_late, __ATOMIC_ACQUIRE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_that_hang),
		cmocka_unit_test(reads_that_hang),
		cmocka_unit_test(others_are_served_while_one_is_added),
		cmocka_unit_test(others_are_served_while_a_size_is_asked_for),
		cmocka_unit_test(one_may_go_while_its_size_is_asked_for),
		cmocka_unit_test(others_are_served_while_one_ends),
		cmocka_unit_test(one_that_is_not_waited_for),
		cmocka_unit_test(a_server_ends_with_its_volumes),
	};

	if (vol_register(&stuck_ops) != 0)
		return 1;

	return cmocka_run_group_tests(tests, bench_start_eal, bench_stop_eal);
}
