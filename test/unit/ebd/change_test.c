/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Volumes that grow, shrink, become read-only, go and come while a client is attached. */

#include <stdio.h>
#include <unistd.h>

#include "bench.h"

static unsigned nb_changes;

static void
count_change(struct ebd_queue *q, void *arg)
{
	assert_ptr_equal(arg, &nb_changes);
	nb_changes++;
}

static struct ebd_queue *
open_queue(struct bench *b, const char *volume)
{
	const struct ebd_queue_conf conf = {.volume = volume,
		.fail_after_ms = 200,
		.changed = count_change,
		.changed_arg = &nb_changes};
	struct ebd_queue *q = ebd_queue_open(b->client, &conf);

	assert_non_null(q);
	nb_changes = 0;
	return q;
}

static uint64_t
size_of(struct ebd_queue *q)
{
	struct ebd_info info;

	ebd_queue_info(q, &info);
	return info.size;
}

static bool
is_readonly(struct ebd_queue *q)
{
	struct ebd_info info;

	ebd_queue_info(q, &info);
	return info.read_only;
}

static void
clients_learn_a_new_size(void **state)
{
	char path[] = "/tmp/mpnic-change-XXXXXX", spec[64];
	static uint8_t mem[4096];
	struct ebd_queue *q;
	struct bench *b;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	(void)snprintf(spec, sizeof(spec), "delay:read=1us:file:%s", path);
	b = bench_create(NULL, NULL, (const char *const[]){"disk", spec, "mem", "mem:1M", NULL});
	q = open_queue(b, "disk");
	assert_int_equal(ebd_pwrite(q, mem, 4096, 1 << 20, 0), -EINVAL);
	assert_int_equal(ftruncate(fd, 2 << 20), 0);
	assert_int_equal(ebd_export_resize(b->server, "disk"), 0);
	bench_poll_until(b, q, size_of(q) == 2 << 20);
	/* It was sent three times, and is news once. */
	assert_int_equal(ebd_pwrite(q, mem, 4096, (2 << 20) - 4096, 0), 4096);
	assert_int_equal(ftruncate(fd, 1 << 19), 0);
	assert_int_equal(ebd_export_resize(b->server, "disk"), 0);
	bench_poll_until(b, q, size_of(q) == 1 << 19);
	assert_int_equal(nb_changes, 2);
	bench_hush();
	assert_int_equal(ebd_export_resize(b->server, "mem"), -EOPNOTSUPP);
	assert_int_equal(ebd_export_resize(b->server, "none"), -ENOENT);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ebd_export_resize(b->server, "disk"), -EINVAL);
	bench_unhush();
	ebd_queue_close(q);
	bench_destroy(b);
	close(fd);
	(void)unlink(path);
}

static void
clients_learn_that_it_is_readonly(void **state)
{
	struct bench *b = bench_create(NULL, NULL, (const char *const[]){"disk", "mem:1M", NULL});
	struct ebd_queue *q = open_queue(b, "disk");
	static uint8_t mem[65536];

	assert_false(is_readonly(q));
	assert_int_equal(ebd_pwrite(q, mem, sizeof(mem), 0, 0), sizeof(mem));
	assert_int_equal(ebd_export_set_readonly(b->server, "disk"), 0);
	bench_poll_until(b, q, is_readonly(q));
	assert_int_equal(nb_changes, 1);
	assert_int_equal(ebd_pwrite(q, mem, sizeof(mem), 0, 0), -EROFS);
	/* What was written before can still be made durable. */
	assert_int_equal(ebd_flush(q), 0);
	assert_int_equal(ebd_pread(q, mem, sizeof(mem), 0), sizeof(mem));
	ebd_queue_close(q);
	bench_destroy(b);
}

static void
volumes_go_and_come(void **state)
{
	struct bench *b = bench_create(
		NULL, NULL, (const char *const[]){"disk", "mem:1M", "other", "mem:1M", NULL});
	struct ebd_queue *q = open_queue(b, "disk"), *other = open_queue(b, "other");
	struct ebd_export_info info;
	static uint8_t mem[4096];
	unsigned i;

	assert_int_equal(ebd_pwrite(q, mem, sizeof(mem), 0, 0), sizeof(mem));
	assert_int_equal(ebd_export_remove(b->server, "disk"), 0);
	assert_true(ebd_pread(q, mem, sizeof(mem), 0) < 0);
	assert_int_equal(ebd_pread(other, mem, sizeof(mem), 0), sizeof(mem));
	assert_int_equal(ebd_export_get(b->server, 0, &info), 0);
	assert_string_equal(info.name, "other");
	assert_int_equal(ebd_export_get(b->server, 1, &info), -ENOENT);
	bench_hush();
	assert_int_equal(ebd_export_remove(b->server, "disk"), -ENOENT);
	assert_int_equal(ebd_export_remove(b->server, ""), -ENOENT);
	bench_unhush();
	ebd_queue_close(q);
	bench_poll_until(b, other, b->server->nb_leaving == 0);
	/* Places are used again. */
	for (i = 0; i < 3 * SERVER_MAX_EXPORTS; i++) {
		assert_int_equal(ebd_export_add(b->server, "new", "mem:64K"), 0);
		assert_int_equal(ebd_export_remove(b->server, "new"), 0);
		bench_poll_until(b, other, b->server->nb_leaving == 0);
	}
	assert_int_equal(ebd_export_add(b->server, "disk", "mem:2M"), 0);
	q = open_queue(b, "disk");
	assert_int_equal(size_of(q), 2 << 20);
	assert_int_equal(ebd_pread(q, mem, sizeof(mem), 0), sizeof(mem));
	ebd_queue_close(q);
	ebd_queue_close(other);
	bench_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_learn_a_new_size),
		cmocka_unit_test(clients_learn_that_it_is_readonly),
		cmocka_unit_test(volumes_go_and_come),
	};

	return cmocka_run_group_tests(tests, bench_start_eal, bench_stop_eal);
}
