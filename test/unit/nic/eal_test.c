/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The EAL: what is said when it does not start, and the files of it, of processes alive and dead. */

#include <dirent.h>
#include <fcntl.h>
#include <mntent.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "eal_files.h"
#include "nic_internal.h"
#include "probe.h"

#define RUNTIME_VAR "RUNTIME_DIRECTORY"

static char dir[] = "/tmp/mpnic-test-XXXXXX";

/* ---- Files ---- */

static char *
path_of(const char *fmt, ...)
{
	static char path[512];
	size_t used = (size_t)snprintf(path, sizeof(path), "%s/", dir);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(path + used, sizeof(path) - used, fmt, ap);
	va_end(ap);
	return path;
}

static void
make_file(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR, 0600);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

/* The run-time directory of a process with the usual files in it. */
static void
make_runtime(const char *name)
{
	assert_int_equal(mkdir(path_of("dpdk/%s", name), 0700), 0);
	make_file(path_of("dpdk/%s/config", name));
	make_file(path_of("dpdk/%s/fbarray_memzone", name));
}

static bool
is_there(const char *name)
{
	return access(path_of("dpdk/%s", name), F_OK) == 0;
}

static void
remove_runtime(const char *name)
{
	(void)unlink(path_of("dpdk/%s/config", name));
	(void)unlink(path_of("dpdk/%s/fbarray_memzone", name));
	assert_int_equal(rmdir(path_of("dpdk/%s", name)), 0);
}

/* The number of a process that has gone. */
static pid_t
dead_pid(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void
test_stale_runtime_directories_go(void **state)
{
	char dead[32], locked[32], alive[32];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd, ready[2];
	pid_t holder;

	assert_int_equal(setenv(RUNTIME_VAR, dir, 1), 0);
	assert_int_equal(eal_prepare_runtime_dir(), 0);
	assert_string_equal(getenv(RUNTIME_VAR), dir);
	(void)snprintf(dead, sizeof(dead), "mpnic-%d", (int)dead_pid());
	(void)snprintf(locked, sizeof(locked), "mpnic-%d", (int)dead_pid());
	(void)snprintf(alive, sizeof(alive), "mpnic-%d", (int)getppid());
	make_runtime(dead);
	make_runtime(alive);
	make_runtime("rte");
	make_runtime("mpnic-");
	make_runtime("mpnic-12x");
	make_runtime("mpnic-99999999999999999999");
	if (strcmp(dead, locked) != 0)
		make_runtime(locked);
	/* A process of another PID namespace: its number means nothing here, its lock does. */
	assert_int_equal(pipe(ready), 0);
	holder = fork();
	if (holder == 0) {
		fd = open(path_of("dpdk/%s/config", locked), O_RDWR);
		(void)!write(ready[1], fcntl(fd, F_SETLK, &lock) == 0 ? "y" : "n", 1);
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &(char){0}, 1), 1);
	eal_remove_stale_files();
	assert_false(is_there(dead));
	assert_true(is_there(locked));
	assert_true(is_there(alive));
	assert_true(is_there("rte"));
	assert_true(is_there("mpnic-"));
	assert_true(is_there("mpnic-12x"));
	assert_true(is_there("mpnic-99999999999999999999"));
	assert_int_equal(kill(holder, SIGKILL), 0);
	assert_int_equal(waitpid(holder, NULL, 0), holder);
	eal_remove_stale_files();
	assert_false(is_there(locked));
	remove_runtime(alive);
	remove_runtime("rte");
	remove_runtime("mpnic-");
	remove_runtime("mpnic-12x");
	remove_runtime("mpnic-99999999999999999999");
	eal_restore_runtime_dir();
	assert_string_equal(getenv(RUNTIME_VAR), dir);
	close(ready[0]);
	close(ready[1]);
}

static void
test_own_runtime_directory_goes(void **state)
{
	char own[32];

	assert_int_equal(eal_prepare_runtime_dir(), 0);
	(void)snprintf(own, sizeof(own), "mpnic-%d", (int)getpid());
	make_runtime(own);
	eal_remove_own_files();
	assert_false(is_there(own));
	eal_restore_runtime_dir();
}

static void
test_runtime_directory_that_cannot_be_used(void **state)
{
	probe_catch_log();
	assert_int_equal(setenv(RUNTIME_VAR, "/proc/nowhere", 1), 0);
	assert_int_equal(eal_prepare_runtime_dir(), -EACCES);
	assert_non_null(strstr(probe_release_log(), "RUNTIME_DIRECTORY is '/proc/nowhere'"));
	assert_int_equal(setenv(RUNTIME_VAR, dir, 1), 0);
}

/* A hugetlbfs where a test may make files, or NULL. */
static const char *
huge_mount(void)
{
	static char found[256];
	FILE *f = setmntent("/proc/mounts", "r");
	struct mntent *m;

	found[0] = '\0';
	while (f != NULL && found[0] == '\0' && (m = getmntent(f)) != NULL) {
		if (strcmp(m->mnt_type, "hugetlbfs") == 0 && access(m->mnt_dir, W_OK | X_OK) == 0)
			(void)snprintf(found, sizeof(found), "%s", m->mnt_dir);
	}
	if (f != NULL)
		(void)endmntent(f);
	return found[0] != '\0' ? found : NULL;
}

static void
test_stale_hugepage_files_go(void **state)
{
	const char *mount = huge_mount();
	char dead[300], used[300], foreign[300];
	int fd;

	if (mount == NULL) {
		fprintf(stderr, "SKIPPED: no hugetlbfs that this user may write to\n");
		skip();
	}
	(void)snprintf(dead, sizeof(dead), "%s/mpnic-%dmap_0", mount, (int)dead_pid());
	(void)snprintf(used, sizeof(used), "%s/mpnic-%dmap_1", mount, (int)dead_pid());
	(void)snprintf(foreign, sizeof(foreign), "%s/mpnic-%dxmap_0", mount, (int)dead_pid());
	make_file(foreign);
	/* Another process that starts now may remove the dead one first: it is gone all the same. */
	make_file(dead);
	fd = open(used, O_CREAT | O_RDWR, 0600);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	eal_remove_stale_files();
	assert_int_equal(access(dead, F_OK), -1);
	assert_int_equal(access(used, F_OK), 0);
	assert_int_equal(access(foreign, F_OK), 0);
	close(fd);
	eal_remove_stale_files();
	assert_int_equal(access(used, F_OK), -1);
	assert_int_equal(unlink(foreign), 0);
}

static void
test_more_hugepages_than_there_are(void **state)
{
	char found[256];

	assert_false(eal_find_hugepages(UINT32_MAX, found, sizeof(found)));
	/* A name that does not fit is none. */
	assert_false(eal_find_hugepages(0, found, 1));
	if (huge_mount() != NULL) {
		assert_true(eal_find_hugepages(0, found, sizeof(found)));
		assert_int_equal(access(found, W_OK), 0);
	}
}

/* ---- Starting ---- */

/*
 * In a child, because a start that failed cannot be repeated: is what is logged one line with the
 * reason in it, and does nothing go to stdout?
 */
static int
start_in_child(const char *flags, const char *reason)
{
	const struct mpn_eal_conf conf = {.extra = flags, .lcore = -1, .no_huge = true};
	int fd = open(dir, O_TMPFILE | O_RDWR, 0600);
	const char *line;
	int rc, again;

	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return 1;
	probe_catch_log();
	rc = mpn_eal_start(&conf);
	line = probe_release_log();
	(void)fflush(stdout);
	if (rc >= 0 || errno != -rc || strstr(line, reason) == NULL || probe_log_lines() != 1 ||
		eal_is_running() || lseek(fd, 0, SEEK_END) != 0) {
		fprintf(stderr, "'%s': %d, %u lines, '%s'\n", flags, rc, probe_log_lines(), line);
		return 1;
	}
	probe_catch_log();
	again = mpn_eal_start(&(struct mpn_eal_conf){.lcore = -1, .no_huge = true});
	line = probe_release_log();
	if (rc != -E2BIG && (again != -EALREADY || strstr(line, "failed before") == NULL)) {
		fprintf(stderr, "again: %d, '%s'\n", again, line);
		return 1;
	}
	return 0;
}

static void
start_wrongly(const char *flags, const char *reason)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(start_in_child(flags, reason));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* One line with the reason, and not the EAL's whole usage on a stdout that is not the library's. */
static void
test_wrong_flags_are_one_line(void **state)
{
	char many[1024] = "";

	start_wrongly("--bogus", "with '--bogus': unrecognized option '--bogus'");
	start_wrongly("-l 4095", "with '-l 4095': ");
	start_wrongly("--vdev", "option '--vdev' requires an argument");
	for (unsigned i = 0; i < 200; i++)
		(void)snprintf(many + 2 * i, sizeof(many) - 2 * i, "x ");
	start_wrongly(many, "too many EAL arguments");
	assert_false(eal_is_running());
}

static void
test_time_goes_on(void **state)
{
	uint64_t before = mpn_now_ns(), after;

	if (probe_eal_start("ring:x", NULL) != 0)
		fail_msg("the EAL does not start");
	after = mpn_now_ns();
	assert_true(after > before);
	assert_true(after - before < 60000000000ull);
	for (unsigned i = 0; i < 1000; i++) {
		before = after;
		after = mpn_now_ns();
		assert_true(after >= before);
	}
}

/* Started once more it is the same one; ended, it does not start again and leaves nothing. */
static void
test_start_twice_and_after_the_end(void **state)
{
	const struct mpn_eal_conf conf = {.lcore = -1, .no_huge = true};
	DIR *d;
	struct dirent *e;

	assert_int_equal(mpn_eal_start(&conf), 0);
	assert_true(eal_is_running());
	mpn_eal_stop();
	mpn_eal_stop();
	assert_false(eal_is_running());
	d = opendir(path_of("dpdk"));
	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		assert_int_equal(e->d_name[0], '.');
	closedir(d);
	probe_catch_log();
	assert_int_equal(mpn_eal_start(&conf), -EALREADY);
	assert_non_null(strstr(probe_release_log(), "was ended in this process before"));
	assert_null(mpn_nic_create(&(struct mpn_nic_conf){.link = "ring:x"}));
}

static int
start(void **state)
{
	return mkdtemp(dir) != NULL && setenv(RUNTIME_VAR, dir, 1) == 0 ? 0 : -1;
}

static int
stop(void **state)
{
	(void)rmdir(path_of("dpdk"));
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stale_runtime_directories_go),
		cmocka_unit_test(test_own_runtime_directory_goes),
		cmocka_unit_test(test_runtime_directory_that_cannot_be_used),
		cmocka_unit_test(test_stale_hugepage_files_go),
		cmocka_unit_test(test_more_hugepages_than_there_are),
		cmocka_unit_test(test_wrong_flags_are_one_line),
		cmocka_unit_test(test_time_goes_on),
		cmocka_unit_test(test_start_twice_and_after_the_end),
	};

	return cmocka_run_group_tests_name("EAL", tests, start, stop);
}
