/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "copy.h"
#include "fake_ebd.h"

#define KIB 1024u
#define SIZE (1024 * KIB)
#define SEEDS 20

struct bench {
	char *src_mem;
	char *dst_mem;
	struct ebd_queue *src_q;
	struct ebd_queue *dst_q;
	struct copy_end src;
	struct copy_end dst;
	struct progress progress;
	struct copy_pipe pipe;
	char path[64];
};

/* Data with a stretch of zeroes in it. */
static void
fill(char *mem, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		mem[i] = (char)(i * 31 + i / 4096 + 1);
	if (len > 512 * KIB)
		memset(mem + 200 * KIB, 0, 150 * KIB);
}

static void
bench_init(struct bench *b, uint64_t seed)
{
	fake_reset();
	memset(b, 0, sizeof(*b));
	b->src_mem = malloc(SIZE);
	b->dst_mem = malloc(SIZE);
	fill(b->src_mem, SIZE);
	memset(b->dst_mem, 0xee, SIZE);
	b->src_q = fake_queue(b->src_mem, SIZE, 512, seed);
	b->dst_q = fake_queue(b->dst_mem, SIZE, 512, seed + 1000);
	copy_volume_init(&b->src, "ebd:src", b->src_q);
	copy_volume_init(&b->dst, "ebd:dst", b->dst_q);
	(void)snprintf(b->path, sizeof(b->path), "/tmp/copy_pipe_test.%d", getpid());
}

static void
bench_fini(struct bench *b)
{
	b->src.ops->close(&b->src);
	b->dst.ops->close(&b->dst);
	copy_pipe_fini(&b->pipe);
	(void)unlink(b->path);
	free(b->src_mem);
	free(b->dst_mem);
}

static int
run(struct bench *b, bool sparse, bool verify)
{
	static struct tool tool;
	struct copy_pipe *p = &b->pipe;

	copy_pipe_fini(p);
	memset(p, 0, sizeof(*p));
	p->tool = &tool;
	p->src = &b->src;
	p->dst = &b->dst;
	p->progress = &b->progress;
	p->request_size = 32 * KIB;
	p->depth = 8;
	p->sparse = sparse;
	p->verify = verify;
	assert_int_equal(copy_pipe_init(p), 0);
	progress_start(&b->progress, NULL, "", b->src.size, ebd_now_ns());
	return copy_pipe_run(p);
}

/* Replace an end of the bench by a file. */
static void
use_file_src(struct bench *b, const char *mem, size_t len)
{
	int fd = open(b->path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, mem, len, 0), len);
	close(fd);
	b->src.ops->close(&b->src);
	assert_int_equal(copy_file_open_src(&b->src, b->path), 0);
}

static void
use_file_dst(struct bench *b)
{
	b->dst.ops->close(&b->dst);
	assert_int_equal(copy_file_open_dst(&b->dst, b->path, b->src.size), 0);
}

static void
test_volume_to_volume(void **state)
{
	uint64_t seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		struct bench b;

		bench_init(&b, seed);
		assert_int_equal(run(&b, false, false), 0);
		assert_memory_equal(b.src_mem, b.dst_mem, SIZE);
		assert_int_equal(fake_counts(b.dst_q)->written_bytes, SIZE);
		assert_int_equal(fake_counts(b.dst_q)->broken_rules, 0);
		assert_int_equal(b.pipe.done_bytes, SIZE);
		assert_int_equal(copy_pipe_low(&b.pipe), SIZE);
		bench_fini(&b);
	}
}

static void
test_keeps_requests_in_flight(void **state)
{
	struct bench b;

	bench_init(&b, 1);
	assert_int_equal(run(&b, false, false), 0);
	assert_int_equal(fake_counts(b.src_q)->in_flight_max, 8);
	bench_fini(&b);
}

static void
test_zeroes_are_not_written(void **state)
{
	struct bench b;

	bench_init(&b, 3);
	assert_int_equal(run(&b, true, false), 0);
	assert_memory_equal(b.src_mem, b.dst_mem, SIZE);
	/* From 200 KiB on, 150 KiB, in requests of 32 KiB: whole ones are 224..320 KiB, and
	 * the end of the stretch has another 30 KiB, which is too little to ask for. */
	assert_int_equal(fake_counts(b.dst_q)->zeroes, 3);
	assert_int_equal(b.pipe.zero_bytes, 96 * KIB);
	assert_int_equal(fake_counts(b.dst_q)->written_bytes, SIZE - 96 * KIB);
	bench_fini(&b);
}

static void
test_full_queue_delays_and_loses_nothing(void **state)
{
	uint64_t seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		struct bench b;

		bench_init(&b, seed);
		fake_faults(b.src_q)->full_every = 3;
		fake_faults(b.dst_q)->full_every = 2;
		assert_int_equal(run(&b, true, false), 0);
		assert_memory_equal(b.src_mem, b.dst_mem, SIZE);
		assert_int_equal(fake_counts(b.dst_q)->broken_rules, 0);
		bench_fini(&b);
	}
}

static void
test_volume_to_file_leaves_holes(void **state)
{
	struct bench b;
	struct stat st;
	char *back = malloc(SIZE);

	bench_init(&b, 5);
	use_file_dst(&b);
	assert_int_equal(run(&b, true, false), 0);
	assert_int_equal(pread(b.dst.fd, back, SIZE, 0), SIZE);
	assert_memory_equal(back, b.src_mem, SIZE);
	assert_int_equal(b.dst.ops->flush(&b.dst), 0);
	assert_int_equal(fstat(b.dst.fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	/* 148 KiB of the 150 are whole pages; 4 KiB less when a file system keeps a map. */
	assert_true(st.st_blocks * 512 <= SIZE - 144 * KIB);
	free(back);
	bench_fini(&b);
}

/* A file that was there before must not shine through the holes. */
static void
test_old_content_of_a_file_is_gone(void **state)
{
	struct bench b;
	char *old = malloc(2 * SIZE), *back = malloc(SIZE);
	struct stat st;
	int fd;

	bench_init(&b, 6);
	memset(old, 'o', 2 * SIZE);
	fd = open(b.path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(pwrite(fd, old, 2 * SIZE, 0), 2 * SIZE);
	close(fd);
	use_file_dst(&b);
	assert_int_equal(run(&b, true, false), 0);
	assert_int_equal(fstat(b.dst.fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_int_equal(pread(b.dst.fd, back, SIZE, 0), SIZE);
	assert_memory_equal(back, b.src_mem, SIZE);
	free(old);
	free(back);
	bench_fini(&b);
}

/* The file ends within a block of the volume: the block is filled up, what follows stays. */
static void
test_file_to_volume_with_a_tail(void **state)
{
	const size_t len = 300 * KIB + 77;
	struct bench b;
	size_t i;

	bench_init(&b, 7);
	b.src_mem[len - 1] = 'z';
	use_file_src(&b, b.src_mem, len);
	assert_int_equal(run(&b, true, false), 0);
	assert_memory_equal(b.dst_mem, b.src_mem, len);
	for (i = len; i < 300 * KIB + 512; i++)
		assert_int_equal(b.dst_mem[i], 0);
	assert_int_equal((uint8_t)b.dst_mem[300 * KIB + 512], 0xee);
	assert_int_equal(run(&b, true, true), 0);
	assert_int_equal(fake_counts(b.dst_q)->broken_rules, 0);
	bench_fini(&b);
}

static void
test_hole_of_a_file_becomes_zeroes(void **state)
{
	struct bench b;

	bench_init(&b, 8);
	memset(b.src_mem + 100 * KIB, 0, SIZE - 200 * KIB);
	use_file_src(&b, b.src_mem, 100 * KIB);
	assert_int_equal(truncate(b.path, SIZE - 100 * KIB), 0);
	b.src.ops->close(&b.src);
	assert_int_equal(copy_file_open_src(&b.src, b.path), 0);
	if (lseek(b.src.fd, 0, SEEK_HOLE) >= (off_t)b.src.size)
		skip();
	assert_int_equal(run(&b, true, false), 0);
	assert_memory_equal(b.dst_mem, b.src_mem, SIZE - 100 * KIB);
	assert_int_equal(fake_counts(b.dst_q)->zeroes, 1);
	assert_int_equal((uint8_t)b.dst_mem[SIZE - 100 * KIB], 0xee);
	bench_fini(&b);
}

static void
test_empty_file(void **state)
{
	struct bench b;

	bench_init(&b, 9);
	use_file_src(&b, "", 0);
	assert_int_equal(run(&b, true, false), 0);
	assert_int_equal(b.pipe.done_bytes, 0);
	bench_fini(&b);
}

static void
test_verify_finds_the_byte(void **state)
{
	static const uint32_t at[] = {0, 1, 511, 100000, SIZE - 1};
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(at); i++) {
		struct bench b;
		char text[64];

		bench_init(&b, i + 1);
		assert_int_equal(run(&b, false, false), 0);
		assert_int_equal(run(&b, false, true), 0);
		b.dst_mem[at[i]] ^= 0x40;
		assert_int_equal(run(&b, false, true), -EILSEQ);
		(void)snprintf(text, sizeof(text), "differ at byte %u", at[i]);
		assert_non_null(strstr(b.pipe.error_text, text));
		bench_fini(&b);
	}
}

static void
test_failed_write_says_where(void **state)
{
	uint64_t seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		struct bench b;
		uint64_t low;

		bench_init(&b, seed);
		fake_faults(b.dst_q)->fail_nth = 17;
		fake_faults(b.dst_q)->status = -ENOSPC;
		assert_int_equal(run(&b, false, false), -ENOSPC);
		assert_non_null(strstr(b.pipe.error_text, "writing ebd:dst at byte "));
		assert_non_null(strstr(b.pipe.error_text, strerror(ENOSPC)));
		/* What is said to be done is done, and nothing after it is claimed. */
		low = copy_pipe_low(&b.pipe);
		assert_memory_equal(b.dst_mem, b.src_mem, low);
		assert_true(low <= b.pipe.done_bytes);
		assert_true(b.pipe.done_bytes < SIZE);
		bench_fini(&b);
	}
}

static void
test_failed_read_names_the_source(void **state)
{
	struct bench b;

	bench_init(&b, 2);
	fake_faults(b.src_q)->fail_nth = 1;
	fake_faults(b.src_q)->status = -EIO;
	assert_int_equal(run(&b, false, false), -EIO);
	assert_non_null(strstr(b.pipe.error_text, "reading ebd:src at byte "));
	bench_fini(&b);
}

static void
test_dead_session_ends_the_copy(void **state)
{
	struct bench b;

	bench_init(&b, 2);
	fake_faults(b.dst_q)->dead_after = 5;
	assert_int_equal(run(&b, false, false), -ENODEV);
	assert_non_null(strstr(b.pipe.error_text, "ebd:dst"));
	bench_fini(&b);
}

static void
test_signal_ends_the_copy(void **state)
{
	struct bench b;

	bench_init(&b, 4);
	fake_faults(b.src_q)->interrupt_after = 11;
	assert_int_equal(run(&b, false, false), -EINTR);
	assert_memory_equal(b.dst_mem, b.src_mem, copy_pipe_low(&b.pipe));
	bench_fini(&b);
}

static void
test_file_that_shrinks(void **state)
{
	struct bench b;

	bench_init(&b, 4);
	use_file_src(&b, b.src_mem, SIZE);
	assert_int_equal(truncate(b.path, SIZE / 2), 0);
	assert_int_equal(run(&b, false, false), -ENODATA);
	assert_non_null(strstr(b.pipe.error_text, "shorter"));
	bench_fini(&b);
}

static void
test_what_is_no_file(void **state)
{
	struct copy_end e;

	assert_int_equal(copy_file_open_src(&e, "/tmp"), -EISDIR);
	assert_int_equal(copy_file_open_src(&e, "/dev/null"), -ESPIPE);
	assert_int_equal(copy_file_open_src(&e, "/tmp/no-such-file-here"), -ENOENT);
	assert_int_equal(copy_file_open_dst(&e, "/tmp", 4096), -EISDIR);
}

static void
test_progress_line(void **state)
{
	struct progress p;
	char line[160];

	progress_start(&p, NULL, "copy", 1000000000, 0);
	progress_update(&p, 250000000, 1000000000);
	progress_format(&p, line, sizeof(line), 1000000000);
	assert_string_equal(line, "copy [#####---------------]  25%  238.4 MiB / 953.7 MiB"
				  "  250 MB/s  ETA 0:03");
	progress_format(&p, line, sizeof(line), 4000000000);
	assert_non_null(strstr(line, "waiting for the server"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_volume_to_volume),
		cmocka_unit_test(test_keeps_requests_in_flight),
		cmocka_unit_test(test_zeroes_are_not_written),
		cmocka_unit_test(test_full_queue_delays_and_loses_nothing),
		cmocka_unit_test(test_volume_to_file_leaves_holes),
		cmocka_unit_test(test_old_content_of_a_file_is_gone),
		cmocka_unit_test(test_file_to_volume_with_a_tail),
		cmocka_unit_test(test_hole_of_a_file_becomes_zeroes),
		cmocka_unit_test(test_empty_file),
		cmocka_unit_test(test_verify_finds_the_byte),
		cmocka_unit_test(test_failed_write_says_where),
		cmocka_unit_test(test_failed_read_names_the_source),
		cmocka_unit_test(test_dead_session_ends_the_copy),
		cmocka_unit_test(test_signal_ends_the_copy),
		cmocka_unit_test(test_file_that_shrinks),
		cmocka_unit_test(test_what_is_no_file),
		cmocka_unit_test(test_progress_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
