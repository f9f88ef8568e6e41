/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_ebd.h"
#include "perf.h"

#define SIZE (1024u * 1024u)
#define BS 4096u
#define BLOCKS (SIZE / BS)

/* ---- Runs ---- */

struct bench {
	char *mem;
	struct ebd_queue *q;
	struct perf_conf conf;
	struct perf_job_conf *job;
	struct perf_run *run;
	struct tool tool;
};

static void
bench_start(struct bench *b)
{
	b->run = perf_run_create(&b->tool, &b->conf);
	assert_non_null(b->run);
	assert_int_equal(perf_run_add(b->run, b->job, &b->q), 0);
}

static void
bench_init(struct bench *b, enum perf_rw rw, bool verify)
{
	fake_reset();
	memset(b, 0, sizeof(*b));
	b->mem = calloc(1, SIZE);
	b->q = fake_queue(b->mem, SIZE, 512, 5);
	b->conf.nb_jobs = 1;
	b->job = &b->conf.jobs[0];
	b->job->rw = rw;
	b->job->mix = 50;
	b->job->bs = BS;
	b->job->depth = 16;
	b->job->queues = 1;
	b->job->size = SIZE;
	b->job->seed = 11;
	b->job->verify = verify;
	b->job->ops = 5000;
	bench_start(b);
}

static void
bench_fini(struct bench *b)
{
	ebd_queue_close(b->q);
	perf_run_destroy(b->run);
	free(b->mem);
}

static const struct perf_result *
result(const struct bench *b)
{
	return perf_run_result(b->run, 0);
}

/* As the command does it. */
static int
measure(struct perf_run *run)
{
	int rc = perf_run_measure(run);

	return rc == 0 && !perf_run_total(run)->interrupted ? perf_run_read_back(run) : rc;
}

static void
test_number_of_requests_is_exact(void **state)
{
	const struct perf_result *r;
	struct bench b;

	bench_init(&b, PERF_RW_RANDREAD, false);
	r = result(&b);
	assert_int_equal(measure(b.run), 0);
	assert_int_equal(r->tally.ops[PERF_READ], 5000);
	assert_int_equal(r->tally.ops[PERF_WRITE], 0);
	assert_int_equal(r->tally.lat[PERF_READ].count, 5000);
	assert_int_equal(fake_counts(b.q)->reads, 5000);
	assert_int_equal(fake_counts(b.q)->in_flight_max, 16);
	assert_int_equal(fake_counts(b.q)->broken_rules, 0);
	bench_fini(&b);
}

static void
test_time_ends_the_run(void **state)
{
	const struct perf_result *r;
	struct bench b;

	bench_init(&b, PERF_RW_RANDREAD, false);
	b.job->ops = 0;
	b.conf.time_ns = 1000000; /* a poll takes 1000 */
	b.conf.warmup_ns = 500000;
	r = result(&b);
	assert_int_equal(measure(b.run), 0);
	assert_int_equal(r->tally.end_ns - r->tally.start_ns, 1000000);
	/* Three complete in a poll; those started before do not count. */
	assert_in_range(r->tally.ops[PERF_READ], 3000 - 16, 3000);
	assert_in_range(fake_counts(b.q)->reads, 4500, 4500 + 32);
	bench_fini(&b);
}

static void
test_full_queue_loses_no_request(void **state)
{
	struct bench b;

	bench_init(&b, PERF_RW_WRITE, true);
	fake_faults(b.q)->full_every = 5;
	b.job->ops = BLOCKS;
	assert_int_equal(measure(b.run), 0);
	assert_int_equal(result(&b)->tally.ops[PERF_WRITE], BLOCKS);
	/* Read back: all of them, once. */
	assert_int_equal(result(&b)->checked, BLOCKS);
	assert_int_equal(result(&b)->bad, 0);
	bench_fini(&b);
}

static bool
is_blank(const char *mem, size_t len)
{
	return mem[0] == 0 && memcmp(mem, mem + 1, len - 1) == 0;
}

static void
test_range_is_kept(void **state)
{
	struct perf_run *run;
	struct bench b;

	bench_init(&b, PERF_RW_WRITE, true);
	b.job->off = 4 * BS;
	b.job->size = 8 * BS;
	b.job->depth = 64; /* more than there are blocks */
	b.job->ops = 1000;
	run = perf_run_create(&b.tool, &b.conf);
	assert_int_equal(perf_run_add(run, b.job, &b.q), 0);
	assert_int_equal(measure(run), 0);
	assert_int_equal(perf_run_result(run, 0)->tally.ops[PERF_WRITE], 1000);
	assert_int_equal(perf_run_result(run, 0)->checked, 8);
	assert_int_equal(fake_counts(b.q)->in_flight_max, 8);
	assert_true(is_blank(b.mem, 4 * BS));
	assert_true(is_blank(b.mem + 12 * BS, SIZE - 12 * BS));
	assert_false(is_blank(b.mem + 11 * BS, BS));
	perf_run_destroy(run);
	bench_fini(&b);
}

static void
test_verify_of_a_mixed_load(void **state)
{
	const struct perf_result *r;
	struct bench b;

	bench_init(&b, PERF_RW_RANDRW, true);
	r = result(&b);
	assert_int_equal(measure(b.run), 0);
	assert_int_equal(r->bad, 0);
	assert_int_equal(r->errors, 0);
	assert_true(r->blank > 0); /* read before they were written */
	assert_true(r->checked > 2000);
	assert_int_equal(fake_counts(b.q)->broken_rules, 0);
	bench_fini(&b);
}

static void
test_lost_write_is_found(void **state)
{
	struct bench b;
	unsigned nth;

	for (nth = 1; nth <= BLOCKS; nth += 25) {
		bench_init(&b, PERF_RW_WRITE, true);
		b.job->ops = BLOCKS;
		fake_faults(b.q)->lose_write = nth;
		assert_int_equal(measure(b.run), 0);
		assert_int_equal(result(&b)->bad, 1);
		assert_non_null(strstr(result(&b)->first_bad, "no pattern"));
		bench_fini(&b);
	}
}

/* A block that an earlier run wrote with the same generation is not taken for this run's. */
static void
test_lost_rewrite_is_found(void **state)
{
	struct perf_run *second;
	struct ebd_queue *q;
	struct bench b;

	bench_init(&b, PERF_RW_WRITE, true);
	b.job->ops = BLOCKS;
	assert_int_equal(measure(b.run), 0);
	q = fake_queue(b.mem, SIZE, 512, 9);
	fake_faults(q)->lose_write = 100;
	second = perf_run_create(&b.tool, &b.conf);
	assert_int_equal(perf_run_add(second, b.job, &q), 0);
	assert_int_equal(measure(second), 0);
	assert_int_equal(perf_run_result(second, 0)->bad, 1);
	assert_non_null(strstr(perf_run_result(second, 0)->first_bad, "another run"));
	ebd_queue_close(q);
	perf_run_destroy(second);
	bench_fini(&b);
}

static void
test_misplaced_read_is_found(void **state)
{
	struct bench b;

	bench_init(&b, PERF_RW_WRITE, true);
	b.job->ops = BLOCKS;
	fake_faults(b.q)->misplace_read = 50;
	assert_int_equal(measure(b.run), 0);
	assert_int_equal(result(&b)->bad, 1);
	assert_non_null(strstr(result(&b)->first_bad, "has what belongs to"));
	bench_fini(&b);
}

static void
test_error_is_counted_and_the_run_goes_on(void **state)
{
	const struct perf_result *r;
	struct bench b;

	bench_init(&b, PERF_RW_RANDWRITE, true);
	r = result(&b);
	fake_faults(b.q)->fail_nth = 100;
	fake_faults(b.q)->status = -EIO;
	assert_int_equal(measure(b.run), 0);
	assert_int_equal(r->errors, 1);
	assert_int_equal(r->first_error, -EIO);
	assert_int_equal(r->first_error_off % BS, 0);
	assert_int_equal(r->tally.ops[PERF_WRITE], 4999);
	assert_int_equal(r->bad, 0);
	bench_fini(&b);
}

static void
test_timeout_ends_the_run(void **state)
{
	struct bench b;

	bench_init(&b, PERF_RW_RANDREAD, false);
	fake_faults(b.q)->fail_nth = 100;
	fake_faults(b.q)->status = -ETIMEDOUT;
	assert_int_equal(measure(b.run), -ETIMEDOUT);
	assert_true(result(&b)->tally.ops[PERF_READ] < 200);
	bench_fini(&b);
}

static void
test_dead_session_ends_the_run(void **state)
{
	struct bench b;

	bench_init(&b, PERF_RW_RANDREAD, false);
	fake_faults(b.q)->dead_after = 100;
	assert_int_equal(measure(b.run), -ENODEV);
	bench_fini(&b);
}

static void
test_signal_keeps_the_result(void **state)
{
	const struct perf_result *r;
	struct bench b;

	bench_init(&b, PERF_RW_RANDREAD, false);
	r = result(&b);
	fake_faults(b.q)->interrupt_after = 1000;
	assert_int_equal(measure(b.run), 0);
	assert_true(perf_run_total(b.run)->interrupted);
	assert_in_range(r->tally.ops[PERF_READ], 999, 1003);
	assert_true(r->tally.end_ns > r->tally.start_ns);
	bench_fini(&b);
}

/* ---- Jobs, queues, rates ---- */

static void
test_jobs_run_side_by_side(void **state)
{
	const struct perf_total *total;
	struct ebd_queue *queues[3];
	struct bench b;
	unsigned i;

	bench_init(&b, PERF_RW_RANDREAD, false);
	b.conf.nb_jobs = 2;
	b.conf.jobs[1] = b.conf.jobs[0];
	b.conf.jobs[1].rw = PERF_RW_WRITE;
	b.conf.jobs[1].queues = 3;
	b.conf.jobs[1].depth = 4;
	b.conf.jobs[1].bs = 512;
	b.conf.jobs[1].ops = 900;
	b.conf.jobs[1].verify = true;
	b.conf.jobs[1].off = 0;
	for (i = 0; i < 3; i++)
		queues[i] = fake_queue(b.mem, SIZE, 512, i);
	assert_int_equal(perf_run_add(b.run, &b.conf.jobs[1], queues), 0);
	assert_int_equal(measure(b.run), 0);
	assert_int_equal(perf_run_result(b.run, 0)->tally.ops[PERF_READ], 5000);
	assert_int_equal(perf_run_result(b.run, 1)->tally.ops[PERF_WRITE], 900);
	/* Sequential over all queues: each block once. */
	assert_int_equal(perf_run_result(b.run, 1)->checked, 900);
	total = perf_run_total(b.run);
	assert_int_equal(perf_tally_ops(&total->all.tally), 5900);
	assert_int_equal(total->all.tally.bytes[PERF_READ], 5000ull * BS);
	assert_int_equal(total->all.tally.bytes[PERF_WRITE], 900ull * 512);
	assert_int_equal(total->all.tally.lat[PERF_READ].count, 5000);
	for (i = 0; i < 3; i++) {
		assert_true(fake_counts(queues[i])->writes > 200);
		assert_true(fake_counts(queues[i])->in_flight_max <= 4);
		assert_int_equal(fake_counts(queues[i])->broken_rules, 0);
		ebd_queue_close(queues[i]);
	}
	bench_fini(&b);
}

/* What one session wrote is read through another one; a write that never got there is found. */
static void
test_read_back_through_other_queues(void **state)
{
	struct ebd_queue *other;
	struct bench b;

	bench_init(&b, PERF_RW_WRITE, true);
	b.job->ops = BLOCKS;
	fake_faults(b.q)->lose_write = 77;
	assert_int_equal(perf_run_measure(b.run), 0);
	other = fake_queue(b.mem, SIZE, 512, 1);
	perf_run_set_queues(b.run, 0, &other);
	assert_int_equal(perf_run_read_back(b.run), 0);
	assert_int_equal(fake_counts(other)->reads, BLOCKS);
	assert_int_equal(fake_counts(b.q)->reads, 0);
	assert_int_equal(result(&b)->checked, BLOCKS - 1);
	assert_int_equal(result(&b)->bad, 1);
	ebd_queue_close(other);
	bench_fini(&b);
}

static void
test_rate_is_kept(void **state)
{
	struct bench b;

	bench_init(&b, PERF_RW_RANDREAD, false);
	b.job->ops = 0;
	b.job->rate = 100000; /* one in ten polls; three complete in one */
	b.conf.time_ns = 50000000;
	assert_int_equal(measure(b.run), 0);
	assert_in_range(result(&b)->tally.ops[PERF_READ], 4990, 5000);
	bench_fini(&b);
}

/* Lent pieces are judged as one block, and all of them are given back (or the sanitizers say so). */
static void
test_loans_are_checked_and_given_back(void **state)
{
	struct bench b;

	bench_init(&b, PERF_RW_WRITE, true);
	b.job->ops = BLOCKS;
	b.job->placement = PERF_PLACE_LOAN;
	fake_faults(b.q)->misplace_read = 50;
	assert_int_equal(measure(b.run), 0);
	assert_int_equal(result(&b)->checked, BLOCKS - 1);
	assert_int_equal(result(&b)->bad, 1);
	bench_fini(&b);
}

static void
test_mixed_sequential_load(void **state)
{
	struct bench b;

	bench_init(&b, PERF_RW_RW, true);
	assert_int_equal(measure(b.run), 0);
	assert_in_range(result(&b)->tally.ops[PERF_READ], 2300, 2700);
	assert_int_equal(perf_tally_ops(&result(&b)->tally), 5000);
	assert_int_equal(result(&b)->bad, 0);
	bench_fini(&b);
}

/* Where the ends of buckets lie is what a histogram file tells. */
static void
test_histogram_has_every_request(void **state)
{
	char path[] = "/tmp/mpnic_hist.XXXXXX", job[64], dir[16];
	unsigned long long upper, n, all = 0, last = 0;
	double part = 0;
	struct bench b;
	int fd = mkstemp(path);
	char line[200];
	FILE *f;

	assert_true(fd >= 0);
	bench_init(&b, PERF_RW_RANDREAD, false);
	memcpy(b.job->name, "first", 6);
	b.conf.histogram = path;
	assert_int_equal(measure(b.run), 0);
	assert_int_equal(perf_histogram_write(&b.conf, b.run), 0);
	f = fdopen(fd, "r");
	assert_non_null(fgets(line, sizeof(line), f));
	assert_int_equal(line[0], '#');
	while (fscanf(f, "%63s %15s %llu %llu %lf", job, dir, &upper, &n, &part) == 5) {
		assert_string_equal(job, "first");
		assert_string_equal(dir, "read");
		assert_true(upper > last);
		last = upper;
		all += n;
	}
	fclose(f);
	unlink(path);
	assert_int_equal(all, 5000);
	assert_true(part == 1.0);
	assert_int_equal(last, result(&b)->tally.lat[PERF_READ].max);
	bench_fini(&b);
}

/* ---- The ceiling ---- */

static void
test_spread(void **state)
{
	const double odd[] = {3, 1, 2}, even[] = {4, 1, 2, 3};
	struct perf_spread s = perf_spread_of(odd, 3);

	assert_true(s.median == 2 && s.min == 1 && s.max == 3);
	s = perf_spread_of(even, 4);
	assert_true(s.median == 2.5 && s.min == 1 && s.max == 4);
	s = perf_spread_of(odd, 0);
	assert_true(s.median == 0 && s.min == 0 && s.max == 0);
}

static void
test_load_and_ceiling_in_turns(void **state)
{
	struct perf_ceiling *c = calloc(1, sizeof(*c));
	struct bench b;
	unsigned i;

	bench_init(&b, PERF_RW_RANDREAD, false);
	b.job->ops = 0;
	b.conf.time_ns = 1000000;
	c->tool = &b.tool;
	assert_int_equal(perf_ceiling_measure(c, b.run, &b.conf, 7), 0);
	assert_int_equal(c->nb_pairs, 7);
	/* The fake ceiling: two requests a microsecond, of half a microsecond each. */
	assert_int_equal(c->bare.ops[PERF_READ], 7 * 2000);
	assert_int_equal(c->bare.end_ns, 7 * b.conf.time_ns);
	assert_true(c->real.ops[PERF_READ] > 0);
	for (i = 0; i < 7; i++) {
		assert_true(c->bare_iops[i] == 2e6);
		assert_true(c->iops_ratio[i] == c->real_iops[i] / 2e6);
		assert_true(c->p50_ratio[i] > 1);
	}
	free(c);
	bench_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number_of_requests_is_exact),
		cmocka_unit_test(test_time_ends_the_run),
		cmocka_unit_test(test_full_queue_loses_no_request),
		cmocka_unit_test(test_range_is_kept),
		cmocka_unit_test(test_verify_of_a_mixed_load),
		cmocka_unit_test(test_lost_write_is_found),
		cmocka_unit_test(test_lost_rewrite_is_found),
		cmocka_unit_test(test_misplaced_read_is_found),
		cmocka_unit_test(test_error_is_counted_and_the_run_goes_on),
		cmocka_unit_test(test_timeout_ends_the_run),
		cmocka_unit_test(test_dead_session_ends_the_run),
		cmocka_unit_test(test_signal_keeps_the_result),
		cmocka_unit_test(test_jobs_run_side_by_side),
		cmocka_unit_test(test_read_back_through_other_queues),
		cmocka_unit_test(test_rate_is_kept),
		cmocka_unit_test(test_loans_are_checked_and_given_back),
		cmocka_unit_test(test_mixed_sequential_load),
		cmocka_unit_test(test_histogram_has_every_request),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_load_and_ceiling_in_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
