/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* file: data, on ext4 or whatever /tmp is, on a tmpfs that fills up, on a loop device. */

#include "harness.h"

#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Values of direct= that work here. */
static const char *const modes[] = {"off", "auto", "on"};

static size_t
nb_modes(void)
{
	if (has_direct())
		return 3;
	print_message("SKIPPED in part: no O_DIRECT in /tmp\n");
	return 2;
}

static void
durability_is_asked_for(void **state)
{
	size_t n = nb_modes();
	size_t i;

	for (i = 0; i < n; i++) {
		struct volume *v = must_open("readonly:file:%s", make_file("durable", 1 << 20, 0));

		/* Nothing to make durable: no write, and none of it reaches the counters. */
		must_read(v, 0, 4096, 0);
		assert_int_equal(vol_get_stats(v)->syncs, 0);
		vol_close(v);
		v = must_open("delay:read=1us:file:%s,direct=%s", test_path("durable"), modes[i]);
		must_write(v, 0, 0, 4096, 'd');
		assert_int_equal(vol_get_stats(v)->syncs, 0);
		must_write(v, VOL_FUA, 0, 4096, 'e');
		assert_int_equal(vol_get_stats(v)->syncs, 1);
		assert_int_equal(run_io(v, VOL_FLUSH, 0, 0, NULL, 0), 0);
		assert_int_equal(vol_get_stats(v)->syncs, 2);
		assert_int_equal(run_io(v, VOL_WRITE_ZEROES, VOL_FUA, 0, NULL, 4096), 0);
		assert_int_equal(vol_get_stats(v)->syncs, 3);
		assert_int_equal(run_io(v, VOL_DISCARD, 0, 0, NULL, 4096), 0);
		assert_int_equal(vol_get_stats(v)->syncs, 3);
		vol_close(v);
	}
}

static void
badly_aligned_memory_is_bounced(void **state)
{
	const char *path = make_file("bounce", 2 << 20, 'b');
	uint64_t len = 1 << 20; /* several bounce buffers long */
	uint8_t *mem = aligned_alloc(4096, len + 4096);
	struct volume *v;

	if (!has_direct()) {
		free(mem);
		SKIP_BECAUSE("no O_DIRECT in /tmp");
	}
	v = must_open("file:%s,direct=on", path);
	memset(mem, 0, len + 4096);
	assert_int_equal(run_io(v, VOL_READ, 0, 4096, mem, len), 0);
	assert_int_equal(vol_get_stats(v)->bounced_bytes, 0);
	assert_int_equal(mem[len - 1], 'b');
	assert_int_equal(mem[len], 0);
	assert_int_equal(run_io(v, VOL_READ, 0, 4096, mem + 1, len), 0);
	assert_int_equal(vol_get_stats(v)->bounced_bytes, len);
	assert_int_equal(mem[len], 'b');
	assert_int_equal(mem[len + 1], 0);
	memset(mem, 'w', len + 4096);
	assert_int_equal(run_io(v, VOL_WRITE, VOL_FUA, 0, mem + 3, len), 0);
	assert_int_equal(vol_get_stats(v)->bounced_bytes, 2 * len);
	vol_close(v);
	v = must_open("file:%s,direct=off", path);
	must_read(v, 0, len, 'w');
	must_read(v, len, len, 'b');
	assert_int_equal(run_io(v, VOL_READ, 0, 512, mem + 1, 512), 0);
	assert_int_equal(vol_get_stats(v)->bounced_bytes, 0);
	vol_close(v);
	free(mem);
}

/* More misaligned requests than bounce buffers, more requests than slots: all of them end. */
static unsigned nb_done;

static void
count_done(struct vol_io *io, int status)
{
	assert_int_equal(status, 0);
	nb_done++;
}

static void
more_requests_than_the_ring_takes(void **state)
{
	enum { COUNT = 700 };
	static struct vol_io ios[COUNT];
	static struct iovec iov[COUNT];
	struct volume *v = must_open("file:%s,size=1M", test_path("many"));
	char *mem = aligned_alloc(4096, 4096 * (COUNT + 1));
	unsigned i;

	nb_done = 0;
	for (i = 0; i < COUNT; i++) {
		iov[i] = (struct iovec){mem + 4096 * i + i % 2, 4096};
		ios[i] = (struct vol_io){.op = VOL_READ,
			.off = 4096 * (i % 256),
			.len = 4096,
			.iov = &iov[i],
			.iovcnt = 1,
			.done = count_done};
		assert_int_equal(vol_submit(v, &ios[i]), 0);
	}
	assert_true(vol_get_stats(v)->waits > 0);
	assert_int_equal(vol_get_stats(v)->in_flight, COUNT);
	while (nb_done < COUNT)
		wait_and_poll(v);
	vol_close(v);
	free(mem);
}

static void
many_pieces_of_memory(void **state)
{
	enum { PIECES = 100 };
	struct volume *v = must_open("file:%s,size=1M", test_path("pieces"));
	struct iovec iov[PIECES];
	uint8_t *mem = aligned_alloc(4096, 512 * 2 * PIECES);
	struct vol_io io = {.op = VOL_WRITE,
		.len = 512 * PIECES,
		.iov = iov,
		.iovcnt = PIECES,
		.done = count_done};
	unsigned i;

	for (i = 0; i < PIECES; i++) {
		iov[i] = (struct iovec){mem + 1024 * i, 512};
		memset(iov[i].iov_base, (int)i, 512);
	}
	nb_done = 0;
	assert_int_equal(vol_submit(v, &io), 0);
	while (nb_done == 0)
		wait_and_poll(v);
	for (i = 0; i < PIECES; i++)
		must_read(v, 512 * i, 512, (int)i);
	vol_close(v);
	free(mem);
}

/* An image cut by somebody else: its requests fail, the volume lives on. */
static void
a_file_that_became_shorter(void **state)
{
	char *buf = aligned_alloc(4096, 64 << 10);
	size_t n = nb_modes();
	size_t i;

	for (i = 0; i < n; i++) {
		const char *path = make_file("cut", 128 << 10, 'c');
		struct volume *v = must_open("file:%s,direct=%s", path, modes[i]);

		assert_int_equal(truncate(path, 4096), 0);
		assert_int_equal(run_io(v, VOL_READ, 0, 0, buf, 64 << 10), -EIO);
		assert_int_equal(run_io(v, VOL_READ, 0, 64 << 10, buf, 4096), -EIO);
		assert_non_null(strstr(log_line(), "has shrunk to 4096 bytes"));
		must_read(v, 0, 4096, 'c');
		must_write(v, 0, 64 << 10, 4096, 'd');
		must_read(v, 64 << 10, 4096, 'd');
		vol_close(v);
	}
	free(buf);
}

static uint64_t
allocated_bytes(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void
holes_are_punched_or_not(void **state)
{
	const char *path = make_file("holes", 4 << 20, 'h');
	struct volume *v = must_open("file:%s", path);
	uint64_t full;

	if ((vol_get_info(v)->caps & VOL_CAP_ZERO_AFTER_DISCARD) == 0) {
		vol_close(v);
		SKIP_BECAUSE("the file system of /tmp has no holes");
	}
	assert_int_equal(run_io(v, VOL_FLUSH, 0, 0, NULL, 0), 0);
	full = allocated_bytes(path);
	assert_int_equal(run_io(v, VOL_WRITE_ZEROES, VOL_NOHOLE, 0, NULL, 1 << 20), 0);
	must_read(v, 0, 1 << 20, 0);
	assert_true(allocated_bytes(path) >= full);
	assert_int_equal(run_io(v, VOL_DISCARD, 0, 1 << 20, NULL, 1 << 20), 0);
	assert_true(allocated_bytes(path) <= full - (1 << 20));
	assert_int_equal(run_io(v, VOL_WRITE_ZEROES, 0, 2 << 20, NULL, 1 << 20), 0);
	assert_true(allocated_bytes(path) <= full - (2 << 20));
	must_read(v, 0, 3 << 20, 0);
	must_read(v, 3 << 20, 1 << 20, 'h');
	vol_close(v);
}

/* ---- File systems of the tests' own: a small one that fills up, one without ZERO_RANGE ---- */

static const char *
mount_tmpfs(const char *options)
{
	const char *dir = test_path("mnt");

	(void)mkdir(dir, 0700);
	return mount("tmpfs", dir, "tmpfs", 0, options) == 0 ? dir : NULL;
}

static void
a_full_disk_fails_that_request_only(void **state)
{
	const char *dir = mount_tmpfs("size=1m");
	uint64_t len = 256 << 10;
	char *buf = aligned_alloc(4096, len);
	struct volume *v;
	unsigned i, failed = 0;

	if (dir == NULL) {
		free(buf);
		SKIP_BECAUSE("cannot mount a tmpfs: not root");
	}
	memset(buf, 'f', len);
	v = must_open("file:%s/image,size=4M,direct=off", dir);
	for (i = 0; i < 8; i++) {
		int rc = run_io(v, VOL_WRITE, 0, i * len, buf, len);

		assert_true(rc == 0 || rc == -ENOSPC);
		failed += rc != 0;
	}
	assert_true(failed >= 4);
	assert_int_equal(vol_get_stats(v)->errors[VOL_WRITE], failed);
	must_read(v, 0, len, 'f');
	/* Room again. */
	assert_int_equal(run_io(v, VOL_DISCARD, 0, 0, NULL, 4 << 20), 0);
	assert_int_equal(run_io(v, VOL_WRITE, 0, 3 << 20, buf, len), 0);
	vol_close(v);
	free(buf);
	assert_int_equal(umount(dir), 0);
}

static void
zeroes_are_written_by_hand(void **state)
{
	const char *dir = mount_tmpfs("size=16m");
	struct volume *v;

	if (dir == NULL)
		SKIP_BECAUSE("cannot mount a tmpfs: not root");
	v = must_open("file:%s/image,size=8M", dir);
	must_write(v, 0, 0, 8 << 20, 'z');
	/* tmpfs has holes and no ZERO_RANGE: the kernel does the first, we do the second. */
	assert_int_equal(
		run_io(v, VOL_WRITE_ZEROES, VOL_FAST | VOL_NOHOLE, 0, NULL, 4096), -EOPNOTSUPP);
	must_read(v, 0, 4096, 'z');
	assert_int_equal(run_io(v, VOL_WRITE_ZEROES, VOL_FAST, 0, NULL, 4096), 0);
	assert_int_equal(run_io(v, VOL_WRITE_ZEROES, VOL_NOHOLE | VOL_FUA, 4096, NULL, 6 << 20), 0);
	must_read(v, 0, (6 << 20) + 4096, 0);
	must_read(v, (6 << 20) + 4096, 4096, 'z');
	assert_true(allocated_bytes(test_path("mnt/image")) >= (8 << 20) - 4096);
	vol_close(v);
	assert_int_equal(umount(dir), 0);
}

/* ---- A block device ---- */

static int
run_command(char *out, size_t size, const char *fmt, ...)
{
	char cmd[512];
	va_list ap;
	FILE *p;

	va_start(ap, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	p = popen(cmd, "r");
	if (p == NULL)
		return -1;
	if (out != NULL && fgets(out, (int)size, p) != NULL)
		out[strcspn(out, "\n")] = '\0';
	return pclose(p);
}

static char dev[64]; /* the loop device in use */

/* Flush requests that reached the device: field 16 of its stat file. */
static unsigned long
device_flushes(void)
{
	unsigned long flushes = 0;
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/sys/block/%s/stat", dev + strlen("/dev/"));
	f = fopen(path, "r");
	if (f != NULL) {
		if (fscanf(f, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %lu",
			    &flushes) != 1)
			flushes = 0;
		fclose(f);
	}
	return flushes;
}

static void
check_device(struct volume *v)
{
	unsigned long before = device_flushes();

	assert_int_equal(vol_get_info(v)->size, 4 << 20);
	must_read(v, 0, 4096, 'b');
	must_write(v, 0, 4096, 8192, 'w');
	assert_int_equal(device_flushes(), before);
	assert_int_equal(run_io(v, VOL_FLUSH, 0, 0, NULL, 0), 0);
	assert_true(device_flushes() > before);
	before = device_flushes();
	must_write(v, VOL_FUA, 8192, 512, 'x');
	assert_true(device_flushes() > before);
	must_read(v, 4096, 4096, 'w');
	assert_int_equal(run_io(v, VOL_WRITE_ZEROES, 0, 4096, NULL, 4096), 0);
	must_read(v, 4096, 4096, 0);
	assert_int_equal(run_io(v, VOL_DISCARD, 0, 1 << 20, NULL, 1 << 20), 0);
	must_read(v, 3 << 20, 4096, 'b');
}

static void
a_block_device_is_an_image(void **state)
{
	const char *path = make_file("disk", 4 << 20, 'b');
	size_t i;

	if (run_command(dev, sizeof(dev), "losetup --show -f '%s' 2>/dev/null", path) != 0 ||
		dev[0] != '/')
		SKIP_BECAUSE("no loop device: not root, or no loop driver");
	for (i = 0; i < MPN_ARRAY_SIZE(modes); i++) {
		struct volume *v;

		must_refuse(EINVAL, "a block device has its own size", "file:%s,size=8M", dev);
		v = must_open("file:%s,direct=%s", dev, modes[i]);
		check_device(v);
		vol_close(v);
	}
	assert_int_equal(run_command(NULL, 0, "losetup -d %s", dev), 0);
	dev[0] = '\0';
}

/* ---- No system calls but the one that hands requests over ---- */

static void
note_flag(struct vol_io *io, int status)
{
	*(int *)io->user = status == 0 ? 1 : -1;
}

/*
 * In a child, after seccomp took away every system call but read, write and exit: any other kills it.
 * A request that was handed over before is still completed.
 */
static void
poll_without_system_calls(const char *spec)
{
	char *buf = aligned_alloc(4096, 4096);
	struct iovec iov = {buf, 4096};
	int done = 0;
	struct vol_io io = {.op = VOL_READ,
		.len = 4096,
		.iov = &iov,
		.iovcnt = 1,
		.done = note_flag,
		.user = &done};
	struct volume *v;
	unsigned i;

	(void)alarm(20);
	if (vol_open_spec(spec, &v) != 0 || vol_submit(v, &io) != 0)
		_exit(1);
	(void)vol_poll(v);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
		_exit(77);
	while (done == 0)
		(void)vol_poll(v);
	for (i = 0; i < 100000; i++)
		(void)vol_poll(v);
	/* Submitting only fills an entry. */
	if (vol_submit(v, &io) != 0)
		done = 0;
	/* exit_group(), as _exit() would do it, is not allowed either. */
	syscall(SYS_exit, done == 1 ? 0 : 3);
}

static void
polls_make_no_system_calls(void **state)
{
	size_t n = nb_modes();
	size_t i;

	for (i = 0; i < n; i++) {
		const char *path = make_file("quiet", 1 << 20, 'q');
		char spec[300];
		int status;
		pid_t pid;

		(void)snprintf(
			spec, sizeof(spec), "error:rate=0%%:file:%s,direct=%s", path, modes[i]);
		pid = fork();
		if (pid == 0)
			poll_without_system_calls(spec);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			SKIP_BECAUSE("no seccomp in this kernel");
		if (WIFSIGNALED(status))
			fail_msg("direct=%s: killed by signal %d", modes[i], WTERMSIG(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static int
teardown(void **state)
{
	/* After a failed test. */
	(void)umount2(test_path("mnt"), MNT_DETACH);
	if (dev[0] != '\0')
		(void)run_command(NULL, 0, "losetup -d %s", dev);
	return harness_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durability_is_asked_for),
		cmocka_unit_test(badly_aligned_memory_is_bounced),
		cmocka_unit_test(more_requests_than_the_ring_takes),
		cmocka_unit_test(many_pieces_of_memory),
		cmocka_unit_test(a_file_that_became_shorter),
		cmocka_unit_test(holes_are_punched_or_not),
		cmocka_unit_test(a_full_disk_fails_that_request_only),
		cmocka_unit_test(zeroes_are_written_by_hand),
		cmocka_unit_test(a_block_device_is_an_image),
		cmocka_unit_test(polls_make_no_system_calls),
	};

	return cmocka_run_group_tests(tests, harness_setup, teardown);
}
