/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The descriptor for event loops of the program's own. */

#include <fcntl.h>
#include <poll.h>

#include "bench.h"

static const char *const volumes[] = {"disk", "mem:1M", NULL};

static bool
is_readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

/* Poll until a round finds nothing: then the timer can be set. */
static void
arm(struct bench *b, struct ebd_queue *q)
{
	uint64_t end = ebd_now_ns() + 10 * XFER_NSEC_PER_SEC;
	int rc;

	while ((rc = ebd_queue_arm(q)) == 1) {
		assert_true(ebd_now_ns() < end);
		(void)bench_poll(b, q);
	}
	assert_int_equal(rc, 0);
}

static void
test_readable_when_a_poll_is_due(void **state)
{
	struct bench *b = bench_create(NULL, NULL, volumes);
	struct ebd_queue *q = bench_open(b, "disk"), *other = bench_open(b, "disk");
	int fd;

	assert_int_equal(ebd_queue_arm(q), -EBADF);
	fd = ebd_queue_fd(q);
	assert_true(fd >= 0);
	assert_int_equal(ebd_queue_fd(q), fd);
	assert_int_equal(ebd_queue_fd(other), fd);
	assert_false(is_readable(fd, 0));
	arm(b, q);
	assert_true(is_readable(fd, 10000));
	/* Until it is armed again, whatever happens in between. */
	(void)bench_poll(b, q);
	assert_true(is_readable(fd, 0));
	ebd_queue_close(other);
	arm(b, q);
	assert_true(is_readable(fd, 10000));
	bench_destroy(b);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void
note_status(struct ebd_io *io, int status, void *arg)
{
	*(int *)arg = status;
}

/* A loop that never polls but when it is told to gets everything done. */
static void
test_requests_end_in_a_loop_of_waits(void **state)
{
	struct bench *b = bench_create(NULL, NULL, volumes);
	struct ebd_queue *q = bench_open(b, "disk");
	int fd = ebd_queue_fd(q), status;
	struct ebd_io io, *ios[1] = {&io};
	char buf[4096];

	for (unsigned i = 0; i < 100; i++) {
		status = 1;
		ebd_prep_read(&io, buf, sizeof(buf), 4096 * i);
		ebd_io_set_callback(&io, note_status, &status);
		assert_int_equal(ebd_submit_burst(q, ios, 1), 1);
		while (status == 1) {
			if (ebd_queue_arm(q) == 0)
				assert_true(is_readable(fd, 10000));
			(void)bench_poll(b, q);
		}
		assert_int_equal(status, 0);
	}
	bench_destroy(b);
}

/* After a round that found something the caller is sent back for more. */
static void
test_work_wants_another_round(void **state)
{
	struct bench *b = bench_create(NULL, NULL, volumes);
	struct ebd_queue *q = bench_open(b, "disk");
	int status = 1;
	struct ebd_io io, *ios[1] = {&io};
	char buf[512];

	assert_true(ebd_queue_fd(q) >= 0);
	arm(b, q);
	assert_int_equal(ebd_queue_arm(q), 0);
	ebd_prep_read(&io, buf, sizeof(buf), 0);
	ebd_io_set_callback(&io, note_status, &status);
	assert_int_equal(ebd_submit_burst(q, ios, 1), 1);
	bench_poll_until(b, q, status == 0);
	assert_int_equal(ebd_queue_arm(q), 1);
	bench_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readable_when_a_poll_is_due),
		cmocka_unit_test(test_requests_end_in_a_loop_of_waits),
		cmocka_unit_test(test_work_wants_another_round),
	};

	return cmocka_run_group_tests_name(
		"descriptors for event loops", tests, bench_start_eal, bench_stop_eal);
}
