/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* error and delay: which requests they take, and what they do with them. */

#include "harness.h"

static void
bad_arguments_say_why(void **state)
{
	must_refuse(EINVAL, "error: rate: '2': expected a rate", "error:rate=2:mem:1M");
	must_refuse(EINVAL, "error: rate: '101%'", "error:rate=101%%:mem:1M");
	must_refuse(EINVAL, "error: rate: '%'", "error:rate=%%:mem:1M");
	must_refuse(EINVAL, "error: rate: ''", "error:rate=:mem:1M");
	must_refuse(EINVAL, "error: rate: '1ms'", "error:rate=1ms:mem:1M");
	must_refuse(EINVAL, "error: ops: 'read+wipe'", "error:ops=read+wipe:mem:1M");
	must_refuse(EINVAL, "error: ops: 'read+'", "error:ops=read+:mem:1M");
	must_refuse(EINVAL, "error: errno: 'EBAD'", "error:errno=EBAD:mem:1M");
	must_refuse(EINVAL, "error: after: '-1'", "error:after=-1:mem:1M");
	must_refuse(EINVAL, "error: seed: 'x'", "error:seed=x:mem:1M");
	must_refuse(EINVAL, "error: speed: '1': expected rate=", "error:speed=1:mem:1M");
	must_refuse(EINVAL, "error: 'x': expected rate=", "error:x,rate=1%%:mem:1M");
	must_refuse(EINVAL, "delay: read: '5x': expected a time", "delay:read=5x:mem:1M");
	must_refuse(EINVAL, "delay: read: '61s'", "delay:read=61s:mem:1M");
	must_refuse(EINVAL, "delay: erase: '1s'", "delay:erase=1s:mem:1M");
	must_refuse(EINVAL, "delay: '1s'", "delay:1s,read=1s:mem:1M");
}

/* The first n reads of one block as a string of '.' and 'x' for those that failed. */
static void
read_pattern(const char *spec, enum vol_op op, int err, char *pattern, unsigned n)
{
	struct volume *v = must_open("%s", spec);
	char buf[512] = "";
	unsigned i;

	for (i = 0; i < n; i++) {
		int rc = run_io(v, op, 0, 0, buf, 512);

		assert_true(rc == 0 || rc == err);
		pattern[i] = rc == 0 ? '.' : 'x';
	}
	pattern[n] = '\0';
	vol_close(v);
}

static unsigned
count_failures(const char *pattern)
{
	unsigned n = 0;

	for (; *pattern != '\0'; pattern++)
		n += *pattern == 'x';
	return n;
}

static void
the_seed_decides_what_fails(void **state)
{
	char a[2001], b[2001], c[2001];

	read_pattern("error:rate=10%,seed=7:null:1M", VOL_READ, -EIO, a, 2000);
	read_pattern("error:rate=0.1,seed=7:mem:1M", VOL_WRITE, -EIO, b, 2000);
	read_pattern("error:rate=10%,seed=8:null:1M", VOL_READ, -EIO, c, 2000);
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	assert_in_range(count_failures(a), 150, 250);
	assert_in_range(count_failures(c), 150, 250);
}

static void
the_rate_has_its_ends(void **state)
{
	char p[1001];

	read_pattern("error:rate=0%:null:1M", VOL_READ, -EIO, p, 1000);
	assert_int_equal(count_failures(p), 0);
	read_pattern("error:rate=100%:null:1M", VOL_READ, -EIO, p, 1000);
	assert_int_equal(count_failures(p), 1000);
	read_pattern("error:rate=1:null:1M", VOL_READ, -EIO, p, 1000);
	assert_int_equal(count_failures(p), 1000);
	read_pattern("error:null:1M", VOL_READ, -EIO, p, 10);
	assert_int_equal(count_failures(p), 10);
	read_pattern("error:rate=0.5%:null:1M", VOL_READ, -EIO, p, 1000);
	assert_in_range(count_failures(p), 1, 15);
}

static void
after_lets_the_first_ones_through(void **state)
{
	char p[21];

	read_pattern("error:after=5:null:1M", VOL_READ, -EIO, p, 20);
	assert_string_equal(p, ".....xxxxxxxxxxxxxxx");
	/* Requests of other operations do not count. */
	read_pattern("error:after=5,ops=write:null:1M", VOL_READ, -EIO, p, 20);
	assert_int_equal(count_failures(p), 0);
}

static void
only_the_named_operations_fail(void **state)
{
	struct volume *v = must_open("error:ops=write+flush,errno=ENOSPC:mem:1M");
	char buf[512] = "abc";

	assert_int_equal(run_io(v, VOL_READ, 0, 0, buf, 512), 0);
	assert_int_equal(run_io(v, VOL_DISCARD, 0, 0, NULL, 512), 0);
	assert_int_equal(run_io(v, VOL_WRITE_ZEROES, 0, 0, NULL, 512), 0);
	assert_int_equal(run_io(v, VOL_FLUSH, 0, 0, NULL, 0), -ENOSPC);
	assert_int_equal(run_io(v, VOL_WRITE, 0, 0, buf, 512), -ENOSPC);
	assert_int_equal(vol_get_stats(v)->errors[VOL_WRITE], 1);
	assert_int_equal(vol_get_stats(v)->bytes[VOL_WRITE], 0);
	assert_int_equal(vol_get_stats(v)->errors[VOL_READ], 0);
	vol_close(v);
}

static void
a_failed_write_has_no_effect(void **state)
{
	struct volume *v = must_open("error:ops=write:mem:1M");
	char buf[512];

	memset(buf, 'x', sizeof(buf));
	assert_int_equal(run_io(v, VOL_WRITE, 0, 0, buf, 512), -EIO);
	must_read(v, 0, 512, 0);
	vol_close(v);
}

/* ---- delay, on a clock of the test's own ---- */

static uint64_t clock_ns;

static uint64_t
test_clock(void)
{
	return clock_ns;
}

static char done_text[64];

static void
note_done(struct vol_io *io, int status)
{
	size_t used = strlen(done_text);

	assert_int_equal(status, 0);
	(void)snprintf(done_text + used, sizeof(done_text) - used, "%s@%llu ", vol_op_name(io->op),
		(unsigned long long)clock_ns);
}

static char block[512];
static const struct iovec one_block = {block, sizeof(block)};

static struct vol_io
prepare(enum vol_op op)
{
	bool moves = op == VOL_READ || op == VOL_WRITE;

	return (struct vol_io){
		.op = op,
		.len = 512,
		.iov = moves ? &one_block : NULL,
		.iovcnt = moves,
		.done = note_done,
	};
}

static void
requests_wait_their_time(void **state)
{
	struct vol_io read = prepare(VOL_READ), write = prepare(VOL_WRITE),
		      again = prepare(VOL_READ), flush = prepare(VOL_FLUSH);
	struct volume *v;

	vol_set_clock(test_clock);
	clock_ns = 1000;
	done_text[0] = '\0';
	v = must_open("delay:read=500ns,write=200ns:mem:1M");
	assert_true(vol_next_ns(v) == UINT64_MAX);
	assert_int_equal(vol_submit(v, &read), 0);
	assert_int_equal(vol_next_ns(v), 500);
	clock_ns = 1100;
	assert_int_equal(vol_submit(v, &write), 0);
	assert_int_equal(vol_submit(v, &again), 0);
	assert_int_equal(vol_next_ns(v), 200);
	/* What is not to wait goes on at once. */
	assert_int_equal(vol_submit(v, &flush), 0);
	assert_int_equal(vol_next_ns(v), 0);
	assert_int_equal(vol_poll(v), 1);
	assert_int_equal(vol_next_ns(v), 200);

	clock_ns = 1299;
	assert_int_equal(vol_poll(v), 0);
	assert_int_equal(vol_next_ns(v), 1);
	clock_ns = 1300;
	assert_int_equal(vol_poll(v), 1);
	assert_int_equal(vol_next_ns(v), 200);
	clock_ns = 5000;
	assert_int_equal(vol_next_ns(v), 0);
	assert_int_equal(vol_poll(v), 2);
	assert_string_equal(done_text, "flush@1100 write@1300 read@5000 read@5000 ");
	assert_true(vol_next_ns(v) == UINT64_MAX);
	vol_close(v);
	vol_set_clock(NULL);
}

static void
delays_add_up(void **state)
{
	struct vol_io zeroes = prepare(VOL_WRITE_ZEROES);
	struct volume *v;

	vol_set_clock(test_clock);
	clock_ns = 0;
	done_text[0] = '\0';
	v = must_open("delay:all=100ns,read=1s:delay:write-zeroes=50ns:mem:1M");
	assert_int_equal(vol_submit(v, &zeroes), 0);
	clock_ns = 100;
	assert_int_equal(vol_poll(v), 0);
	assert_int_equal(vol_next_ns(v), 50);
	clock_ns = 150;
	assert_int_equal(vol_poll(v), 1);
	assert_string_equal(done_text, "write-zeroes@150 ");
	vol_close(v);
	vol_set_clock(NULL);
}

static void
the_real_clock_runs(void **state)
{
	struct volume *v = must_open("delay:all=2ms:mem:1M");
	uint64_t start = vol_now_ns();

	must_write(v, 0, 0, 512, 'x');
	assert_true(vol_now_ns() - start >= 2000000);
	vol_close(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_arguments_say_why),
		cmocka_unit_test(the_seed_decides_what_fails),
		cmocka_unit_test(the_rate_has_its_ends),
		cmocka_unit_test(after_lets_the_first_ones_through),
		cmocka_unit_test(only_the_named_operations_fail),
		cmocka_unit_test(a_failed_write_has_no_effect),
		cmocka_unit_test(requests_wait_their_time),
		cmocka_unit_test(delays_add_up),
		cmocka_unit_test(the_real_clock_runs),
	};

	return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
