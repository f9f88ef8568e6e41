/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* file: what it opens and what it refuses. */

#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void
bad_arguments_say_why(void **state)
{
	const char *path = make_file("image", 1 << 20, 0);

	must_refuse(EINVAL, "file:PATH[,direct=on|off|auto]", "file");
	must_refuse(EINVAL, "file:PATH[,direct=on|off|auto]", "file:");
	must_refuse(
		EINVAL, "direct: 'maybe': expected on, off or auto", "file:%s,direct=maybe", path);
	must_refuse(EINVAL, "size: '1X'", "file:%s,size=1X", path);
	must_refuse(EINVAL, "size: '1000'", "file:%s,size=1000", path);
	must_refuse(
		EINVAL, "cache: 'on': expected direct=, size= or lock=", "file:%s,cache=on", path);
	must_refuse(EINVAL, "'b.img': expected direct=, size= or lock=", "file:%s,b.img", path);
	must_refuse(EINVAL, "images are never cut", "file:%s,size=4k", path);
	must_refuse(EINVAL, "no size below a readonly filter", "readonly:file:%s,size=2M", path);
}

static void
what_is_no_image_is_refused(void **state)
{
	const char *empty = make_file("empty", 0, 0);
	const char *fifo = test_path("fifo");
	const char *none = test_path("none");

	must_refuse(ENOENT, "no such file; size=SIZE would make one", "file:%s", none);
	must_refuse(ENOENT, "no such directory", "file:%s/none/none,size=1M", none);
	must_refuse(EISDIR, "a directory", "file:/tmp");
	must_refuse(EINVAL, "less than a block", "file:%s", empty);
	must_refuse(ENOTDIR, "cannot open", "file:%s/x", empty);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	must_refuse(EINVAL, "neither a regular file nor a block device", "file:%s", fifo);
	must_refuse(EINVAL, "neither a regular file nor a block device", "file:/dev/null");
}

/* Root may write anything: the check runs in a child that is nobody. */
static int
open_as_nobody(const char *path)
{
	struct volume *v;
	char spec[300];
	int rc;

	if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		return 1;
	(void)snprintf(spec, sizeof(spec), "file:%s", path);
	rc = vol_open_spec(spec, &v);
	if (rc != -EACCES || strstr(log_line(), "no permission to write") == NULL)
		return 2;
	(void)snprintf(spec, sizeof(spec), "readonly:file:%s", path);
	if (vol_open_spec(spec, &v) != 0)
		return 3;
	if ((vol_get_info(v)->caps & VOL_CAP_READONLY) == 0)
		return 4;
	vol_close(v);
	return 0;
}

static void
no_permission_is_not_read_only(void **state)
{
	const char *path = make_file("locked", 4096, 'l');
	int status;
	pid_t pid;

	assert_int_equal(chmod(test_path("."), 0755), 0);
	assert_int_equal(chmod(path, 0444), 0);
	pid = fork();
	if (pid == 0)
		_exit(open_as_nobody(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
sizes_are_made_and_rounded(void **state)
{
	const char *path = test_path("sized");
	struct volume *v = must_open("file:%s,size=1M", path);
	struct stat st;

	assert_int_equal(vol_get_info(v)->size, 1 << 20);
	must_write(v, 0, 0, 512, 's');
	vol_close(v);
	v = must_open("file:%s,size=3M", path);
	assert_int_equal(vol_get_info(v)->size, 3 << 20);
	must_read(v, 0, 512, 's');
	must_read(v, 2 << 20, 4096, 0);
	vol_close(v);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 3 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);

	path = make_file("odd", 5000, 'o');
	v = must_open("file:%s", path);
	assert_int_equal(log_count(), 1);
	assert_non_null(strstr(log_line(), "its last 392 bytes are not served"));
	assert_int_equal(vol_get_info(v)->size, 4608);
	must_read(v, 0, 4608, 'o');
	must_write(v, 0, 4096, 512, 'p');
	vol_close(v);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 5000);
}

static void
paths_may_hold_anything(void **state)
{
	static const char *const names[][2] = {{"a:b", "a:b"}, {"c,d", "c,,d"}, {"e=f", "e=f"},
		{"g,direct=on", "g,,direct=on"}, {"h ", "h "}, {",", ",,"}};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(names); i++) {
		const char *path = make_file(names[i][0], 4096, 'a' + (int)i);
		struct volume *v = must_open("readonly:file:%s,direct=off", test_path(names[i][1]));

		must_read(v, 0, 4096, 'a' + (int)i);
		vol_close(v);
		assert_int_equal(unlink(path), 0);
	}
}

static void
one_writer_or_many_readers(void **state)
{
	const char *path = make_file("shared", 4096, 'r');
	struct volume *a = must_open("file:%s", path);
	struct volume *b;
	uint64_t start = vol_now_ns();

	must_refuse(EBUSY, "in use by another server", "file:%s", path);
	assert_in_range(vol_now_ns() - start, 1900000000ull, 4000000000ull);
	must_refuse(EBUSY, "in use by another server", "delay:all=1s:readonly:file:%s", path);
	vol_close(a);

	a = must_open("readonly:file:%s", path);
	b = must_open("readonly:file:%s", path);
	must_read(a, 0, 4096, 'r');
	must_read(b, 0, 4096, 'r');
	assert_memory_equal(vol_get_info(a)->uuid, vol_get_info(b)->uuid, 16);
	vol_close(a);
	must_refuse(EBUSY, "in use by another server", "file:%s", path);
	vol_close(b);
	vol_close(must_open("file:%s", path));
}

static void
slices_share_an_image(void **state)
{
	const char *path = make_file("slices", 8192, 'r');
	struct volume *a = must_open("slice:size=4K:file:%s,lock=shared", path);
	struct volume *b = must_open("slice:off=4K:file:%s,lock=shared", path);

	must_write(a, 0, 0, 4096, 'a');
	must_write(b, 0, 0, 4096, 'b');
	must_refuse(EBUSY, "in use by another server", "file:%s", path);
	must_refuse(EINVAL, "exclusive or shared", "file:%s,lock=no", path);
	vol_close(a);
	vol_close(b);
	a = must_open("file:%s,lock=exclusive", path);
	must_read(a, 0, 4096, 'a');
	must_read(a, 4096, 4096, 'b');
	vol_close(a);
}

/* Whether the process has the file open and sleeps: then it was refused the lock, and waits. */
static bool
waits_with_open(pid_t pid, const char *path)
{
	char name[64], target[300], state = '?';
	bool found = false;
	struct dirent *e;
	FILE *f;
	DIR *d;

	(void)snprintf(name, sizeof(name), "/proc/%d/fd", (int)pid);
	d = opendir(name);
	while (d != NULL && (e = readdir(d)) != NULL) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = '\0';
		found |= strcmp(target, path) == 0;
	}
	if (d != NULL)
		closedir(d);
	(void)snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	f = fopen(name, "r");
	if (f != NULL) {
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = '?';
		fclose(f);
	}
	return found && state == 'S';
}

/* Have a child do something with the image, and go on as soon as it says that it has begun. */
static pid_t
start_child(void (*work)(const char *image, int ready), const char *image)
{
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		work(image, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

/* In a child: hold the lock until the parent has tried to have it, and then end. */
static void
hold_until_wanted(const char *path, int ready)
{
	int fd = open(path, O_RDWR);

	(void)alarm(20);
	if (flock(fd, LOCK_EX) != 0 || write(ready, "x", 1) != 1)
		_exit(1);
	while (!waits_with_open(getppid(), path))
		(void)sched_yield();
	_exit(0);
}

/* A server that is about to end still holds the lock; the next one gets it without an error. */
static void
the_next_server_waits_for_the_lock(void **state)
{
	const char *path = make_file("handover", 4096, 'h');
	pid_t pid = start_child(hold_until_wanted, path);

	vol_close(must_open("file:%s", path));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Who lives and has the image is named, and not waited for. */
static void
who_has_the_image_is_named(void **state)
{
	const char *path = make_file("named", 4096, 'n');
	int fd = open(path, O_RDWR);
	char text[64];

	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	(void)snprintf(text, sizeof(text), "process %d, which holds the lock", (int)getpid());
	must_refuse(EBUSY, text, "file:%s", path);
	close(fd);
}

/* In a child: lock the image in the name of a process that has gone, let go after a while. */
static void
hold_for_the_dead(const char *path, int ready)
{
	int fd = open(path, O_RDWR);
	pid_t pid = fork();

	if (pid == 0)
		_exit(flock(fd, LOCK_EX) == 0 ? 0 : 1);
	if (waitpid(pid, NULL, 0) != pid || write(ready, "x", 1) != 1)
		_exit(1);
	(void)poll(NULL, 0, 3000); /* ms */
	_exit(0);
}

/* As after a kill, when the kernel still has writes of the server under way: longer than for who lives. */
static void
the_writes_of_the_dead_are_waited_for(void **state)
{
	const char *path = make_file("dead", 4096, 'd');
	pid_t pid = start_child(hold_for_the_dead, path);
	int status;

	vol_close(must_open("file:%s", path));
	assert_non_null(strstr(log_line(), "waits for the last writes"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
ignore_done(struct vol_io *io, int status)
{
}

/* In a child: keep the kernel busy with writes to the image until somebody kills us. */
static void
write_until_killed(const char *spec, int ready)
{
	enum { COUNT = 64, LEN = 256 << 10 };
	static struct vol_io ios[COUNT];
	struct iovec iov = {aligned_alloc(4096, LEN), LEN};
	struct volume *v;
	unsigned i, k;

	(void)alarm(20);
	if (vol_open_spec(spec, &v) != 0)
		_exit(1);
	memset(iov.iov_base, 'k', LEN);
	for (k = 0;; k++) {
		for (i = 0; i < COUNT; i++) {
			ios[i] = (struct vol_io){.op = VOL_WRITE,
				.flags = VOL_FUA,
				.off = (uint64_t)LEN * i,
				.len = LEN,
				.iov = &iov,
				.iovcnt = 1,
				.done = ignore_done};
			if (vol_submit(v, &ios[i]) != 0)
				_exit(1);
		}
		(void)vol_poll(v);
		if (k == 0 && write(ready, "x", 1) != 1)
			_exit(1);
		while (vol_get_stats(v)->in_flight > 0)
			(void)vol_poll(v);
	}
}

/* A server killed in mid-write leaves nothing that keeps the next one out, or writes behind it. */
static void
a_killed_server_lets_go(void **state)
{
	const char *path = test_path("killed");
	char spec[300];
	unsigned round;

	(void)snprintf(spec, sizeof(spec), "file:%s,size=16M", path);
	for (round = 0; round < 3; round++) {
		pid_t pid = start_child(write_until_killed, spec);
		struct volume *v;
		int status;

		assert_int_equal(kill(pid, SIGKILL), 0);
		v = must_open("file:%s,size=16M", path);
		must_write(v, 0, 0, 16 << 20, 'n');
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		must_read(v, 0, 16 << 20, 'n');
		vol_close(v);
	}
}

static void
the_uuid_is_the_images(void **state)
{
	const char *one = make_file("one", 4096, 0);
	const char *two = make_file("two", 4096, 0);
	uint8_t uuid[16];
	struct volume *v = must_open("file:%s", one);

	memcpy(uuid, vol_get_info(v)->uuid, 16);
	assert_int_equal(uuid[6] >> 4, 8);
	assert_int_equal(uuid[8] >> 6, 2);
	must_write(v, 0, 0, 512, 'x');
	vol_close(v);
	v = must_open("delay:read=1us:file:%s,direct=off", one);
	assert_memory_equal(vol_get_info(v)->uuid, uuid, 16);
	vol_close(v);
	v = must_open("file:%s", two);
	assert_memory_not_equal(vol_get_info(v)->uuid, uuid, 16);
	vol_close(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_arguments_say_why),
		cmocka_unit_test(what_is_no_image_is_refused),
		cmocka_unit_test(no_permission_is_not_read_only),
		cmocka_unit_test(sizes_are_made_and_rounded),
		cmocka_unit_test(paths_may_hold_anything),
		cmocka_unit_test(one_writer_or_many_readers),
		cmocka_unit_test(slices_share_an_image),
		cmocka_unit_test(the_next_server_waits_for_the_lock),
		cmocka_unit_test(who_has_the_image_is_named),
		cmocka_unit_test(the_writes_of_the_dead_are_waited_for),
		cmocka_unit_test(a_killed_server_lets_go),
		cmocka_unit_test(the_uuid_is_the_images),
	};

	return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
