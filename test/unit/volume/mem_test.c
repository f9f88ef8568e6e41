/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "harness.h"

#include <sys/stat.h>

static void
bad_arguments_say_why(void **state)
{
	const char *empty = make_file("empty", 0, 0);
	const char *big = make_file("big", 8192, 'b');

	must_refuse(EINVAL, "mem:SIZE[,file=PATH]", "mem");
	must_refuse(EINVAL, "mem:SIZE[,file=PATH]", "mem:");
	must_refuse(EINVAL, "'1X': expected a size", "mem:1X");
	must_refuse(EINVAL, "'0': expected a size", "mem:0");
	must_refuse(EINVAL, "'1000': expected a size", "mem:1000");
	must_refuse(EINVAL, "size: '1M'", "mem:size=1M");
	must_refuse(EINVAL, "file: ''", "mem:1M,file=");
	must_refuse(EINVAL, "file that fits", "mem:4k,file=%s", big);
	must_refuse(EINVAL, "not empty", "mem:file=%s", empty);
	must_refuse(EINVAL, "regular file", "mem:1M,file=/");
	assert_int_equal(mkfifo(test_path("fifo"), 0600), 0);
	must_refuse(EINVAL, "regular file", "mem:1M,file=%s", test_path("fifo"));
	must_refuse(ENOENT, "No such file", "mem:1M,file=%s.none", big);
	must_refuse(ENOMEM, "cannot have", "mem:4000000T");
}

static void
a_file_gives_the_first_contents(void **state)
{
	const char *path = make_file("first", 5000, 'f');
	struct volume *v = must_open("mem:1M,file=%s", path);
	char tail[512];

	must_read(v, 0, 4608, 'f');
	assert_int_equal(run_io(v, VOL_READ, 0, 4608, tail, 512), 0);
	assert_int_equal(tail[5000 - 4608 - 1], 'f');
	assert_int_equal(tail[5000 - 4608], 0);
	must_read(v, 5120, (1 << 20) - 5120, 0);
	must_write(v, 0, 0, 512, 'w');
	vol_close(v);

	/* Nothing goes back to the file; without a size the volume is as large as the file. */
	v = must_open("mem:file=%s", path);
	assert_int_equal(vol_get_info(v)->size, 5120);
	must_read(v, 0, 4608, 'f');
	vol_close(v);
}

static void
map_is_the_volume_itself(void **state)
{
	struct volume *v = must_open("mem:1M");
	uint64_t size = vol_get_info(v)->size;
	char *p = vol_map(v, 4096, 8192);

	assert_non_null(p);
	assert_ptr_equal(vol_map(v, 0, size), p - 4096);
	memset(p, 'm', 8192);
	must_read(v, 4096, 8192, 'm');
	must_write(v, 0, 8192, 512, 'w');
	assert_int_equal(p[4096], 'w');

	/* A caller may hand in the volume's own memory, also overlapping. */
	assert_int_equal(run_io(v, VOL_WRITE, 0, 4096, p, 512), 0);
	assert_int_equal(run_io(v, VOL_READ, 0, 4096, p + 100, 512), 0);
	assert_int_equal(p[99 + 512], 'm');

	assert_null(vol_map(v, size, 1));
	assert_null(vol_map(v, size - 1, 2));
	assert_null(vol_map(v, UINT64_MAX, 2));
	assert_null(vol_map(v, 1, UINT64_MAX));
	assert_ptr_equal(vol_map(v, size, 0), p - 4096 + size);
	vol_close(v);
}

static void
filters_decide_about_map(void **state)
{
	struct volume *v = must_open("readonly:mem:1M");

	assert_non_null(vol_map(v, 0, 4096));
	vol_close(v);
	/* Requests must go through these two. */
	v = must_open("readonly:delay:read=1us:mem:1M");
	assert_null(vol_map(v, 0, 4096));
	vol_close(v);
	v = must_open("error:rate=1%%:mem:1M");
	assert_null(vol_map(v, 0, 4096));
	vol_close(v);
	v = must_open("null:1M");
	assert_null(vol_map(v, 0, 4096));
	vol_close(v);
}

struct heap {
	unsigned allocated, freed;
	void *mem;
	size_t bytes;
};

static void *
heap_alloc(size_t bytes, void *ctx)
{
	struct heap *h = ctx;

	h->allocated++;
	h->bytes = bytes;
	h->mem = aligned_alloc(4096, bytes);
	memset(h->mem, 0xee, bytes);
	return h->mem;
}

static void
heap_free(void *mem, size_t bytes, void *ctx)
{
	struct heap *h = ctx;

	assert_ptr_equal(mem, h->mem);
	assert_int_equal(bytes, h->bytes);
	h->freed++;
	free(mem);
}

static void *
heap_is_empty(size_t bytes, void *ctx)
{
	errno = ENOMEM;
	return NULL;
}

/* Zeroes appear in a large range, at edges that are not pages, and not outside of it. */
static void
check_large_zeroes(struct volume *v)
{
	static const enum vol_op ops[] = {VOL_DISCARD, VOL_WRITE_ZEROES};
	const uint64_t size = vol_get_info(v)->size;
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(ops); i++) {
		memset(vol_map(v, 0, size), 'd', size);
		assert_int_equal(run_io(v, ops[i], 0, 512, NULL, size - 1536), 0);
		must_read(v, 0, 512, 'd');
		must_read(v, 512, size - 1536, 0);
		must_read(v, size - 1024, 1024, 'd');
	}
}

static void
memory_comes_from_the_allocator(void **state)
{
	struct heap h = {0};
	struct volume *v;

	vol_mem_set_allocator(heap_alloc, heap_free, &h);
	v = must_open("mem:8M");
	vol_mem_set_allocator(NULL, NULL, NULL);
	assert_int_equal(h.allocated, 1);
	assert_ptr_equal(vol_map(v, 0, 1), h.mem);
	must_read(v, 0, 8 << 20, 0);
	check_large_zeroes(v);
	assert_int_equal(h.freed, 0);
	vol_close(v);
	assert_int_equal(h.freed, 1);

	/* The default is back. */
	v = must_open("mem:1M");
	assert_int_equal(h.allocated, 1);
	vol_close(v);

	vol_mem_set_allocator(heap_is_empty, heap_free, NULL);
	must_refuse(ENOMEM, "cannot have 1048576 bytes", "mem:1M");
	vol_mem_set_allocator(NULL, NULL, NULL);
}

static void
large_ranges_become_zero(void **state)
{
	struct volume *v = must_open("mem:80M");

	check_large_zeroes(v);
	vol_close(v);
}

static unsigned nb_done;
static enum vol_op first_done;

static void
note_first(struct vol_io *io, int status)
{
	assert_int_equal(status, 0);
	if (nb_done++ == 0)
		first_done = io->op;
}

static void
a_large_discard_does_not_block_others(void **state)
{
	struct volume *v = must_open("mem:256M");
	char buf[512];
	struct iovec iov = {buf, 512};
	struct vol_io discard = {.op = VOL_DISCARD, .len = 256 << 20, .done = note_first};
	struct vol_io read = {
		.op = VOL_READ, .len = 512, .iov = &iov, .iovcnt = 1, .done = note_first};

	nb_done = 0;
	assert_int_equal(vol_submit(v, &discard), 0);
	assert_int_equal(vol_submit(v, &read), 0);
	while (nb_done < 2)
		wait_and_poll(v);
	assert_int_equal(first_done, VOL_READ);
	vol_close(v);
}

static void
each_memory_is_another_volume(void **state)
{
	struct volume *a = must_open("mem:1M");
	struct volume *b = must_open("mem:1M");
	struct volume *c = must_open("null:1M");
	struct volume *d = must_open("null:1M");

	assert_memory_not_equal(vol_get_info(a)->uuid, vol_get_info(b)->uuid, 16);
	assert_memory_equal(vol_get_info(c)->uuid, vol_get_info(d)->uuid, 16);
	vol_close(a);
	vol_close(b);
	vol_close(c);
	vol_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_arguments_say_why),
		cmocka_unit_test(a_file_gives_the_first_contents),
		cmocka_unit_test(map_is_the_volume_itself),
		cmocka_unit_test(filters_decide_about_map),
		cmocka_unit_test(memory_comes_from_the_allocator),
		cmocka_unit_test(large_ranges_become_zero),
		cmocka_unit_test(a_large_discard_does_not_block_others),
		cmocka_unit_test(each_memory_is_another_volume),
	};

	return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
