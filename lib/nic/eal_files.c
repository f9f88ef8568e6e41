/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <dirent.h>
#include <fcntl.h>
#include <mntent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eal_files.h"
#include "mpn_log.h"
#include "mpn_parse.h"

#define RUNTIME_VAR "RUNTIME_DIRECTORY" /* the EAL looks here first */

static char runtime_base[PATH_MAX]; /* the directory that holds dpdk/ */
static bool runtime_set; /* we put it into the environment */
/* The directory below /tmp that we made, locked while the EAL starts in it. */
static int private_fd = -1;

/* ---- Hugepages ---- */

static uint64_t
read_number(const char *path, const char *fmt)
{
	char line[128];
	uint64_t value = 0;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, fmt, &value) == 1)
			break;
	}
	(void)fclose(f);
	return value;
}

static uint64_t
mount_page_kib(const struct mntent *m)
{
	const char *opt = hasmntopt(m, "pagesize");
	char text[32];
	uint64_t bytes;

	if (opt == NULL || (opt = strchr(opt, '=')) == NULL)
		return read_number("/proc/meminfo", "Hugepagesize: %lu kB");
	(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(opt + 1, ","), opt + 1);
	return mpn_parse_size(text, 1024, UINT64_MAX, &bytes) < 0 ? 0 : bytes / 1024;
}

static bool
has_free_pages(uint64_t page_kib, uint32_t mib)
{
	char path[128];

	(void)snprintf(path, sizeof(path),
		"/sys/kernel/mm/hugepages/hugepages-%lukB/free_hugepages", page_kib);
	return read_number(path, "%lu") * page_kib / 1024 >= mib;
}

/* Call fn for each hugetlbfs we may write to, until it says true. */
static bool
for_each_huge_mount(bool (*fn)(const struct mntent *m, void *arg), void *arg)
{
	struct mntent one;
	char buf[4096];
	bool found = false;
	FILE *f = setmntent("/proc/mounts", "re");

	if (f == NULL)
		return false;
	while (!found && getmntent_r(f, &one, buf, sizeof(buf)) != NULL) {
		if (strcmp(one.mnt_type, "hugetlbfs") == 0 &&
			access(one.mnt_dir, R_OK | W_OK | X_OK) == 0)
			found = fn(&one, arg);
	}
	(void)endmntent(f);
	return found;
}

struct huge_want {
	uint32_t mib;
	char *dir;
	size_t size;
};

static bool
take_if_enough(const struct mntent *m, void *arg)
{
	struct huge_want *want = arg;

	return has_free_pages(mount_page_kib(m), want->mib) &&
	       mpn_copy_str(want->dir, want->size, m->mnt_dir) == 0;
}

bool
eal_find_hugepages(uint32_t mib, char *dir, size_t size)
{
	struct huge_want want = {mib, dir, size};

	return for_each_huge_mount(take_if_enough, &want);
}

/* ---- The run-time directory ---- */

/* Can the EAL make its directory BASE/dpdk/PREFIX? */
static bool
base_usable(const char *base)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/dpdk", base) >= sizeof(path))
		return false;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return false;
	return access(path, R_OK | W_OK | X_OK) == 0;
}

static bool
take_base(const char *base)
{
	return base != NULL && base[0] != '\0' && base_usable(base) &&
	       mpn_copy_str(runtime_base, sizeof(runtime_base), base) == 0;
}

static void
private_name(char *path, size_t size)
{
	(void)snprintf(path, size, "/tmp/mpnic-uid%u", (unsigned)getuid());
}

/*
 * /tmp belongs to everybody: take the directory only when it is really ours. Another process of ours
 * may be removing it at this moment: locked, it stays.
 */
static int
open_private(const char *path)
{
	struct stat st, there;

	for (;;) {
		int fd;

		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -1;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			return -1;
		if (fstat(fd, &st) < 0 || st.st_uid != getuid() || (st.st_mode & 077) != 0 ||
			flock(fd, LOCK_SH) < 0) {
			(void)close(fd);
			return -1;
		}
		if (lstat(path, &there) == 0 && there.st_ino == st.st_ino)
			return fd;
		(void)close(fd);
	}
}

static bool
take_private_tmp(void)
{
	char path[64];

	private_name(path, sizeof(path));
	private_fd = open_private(path);
	return private_fd >= 0 && take_base(path);
}

/* Unless somebody else is in it. */
static void
remove_private_tmp(void)
{
	char path[64], inner[80];
	int fd;

	private_name(path, sizeof(path));
	if (strcmp(runtime_base, path) != 0)
		return;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	(void)snprintf(inner, sizeof(inner), "%s/dpdk", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && rmdir(inner) == 0)
		(void)rmdir(path);
	(void)close(fd);
}

int
eal_prepare_runtime_dir(void)
{
	const char *given = getenv(RUNTIME_VAR);
	const char *usual = given != NULL   ? given
			    : getuid() == 0 ? "/var/run"
					    : getenv("XDG_RUNTIME_DIR");

	if (take_base(usual))
		return 0;
	if (given != NULL)
		return mpn_log_err(EACCES, "nic",
			"no directory for DPDK's run-time files: " RUNTIME_VAR
			" is '%s': expected a directory of yours",
			given);
	if (!take_private_tmp())
		return mpn_log_err(EACCES, "nic",
			"no directory for DPDK's run-time files: neither %s nor /tmp/mpnic-uid%u "
			"can be used; set XDG_RUNTIME_DIR to a directory of yours",
			usual != NULL ? usual : "XDG_RUNTIME_DIR (not set)", (unsigned)getuid());
	runtime_set = setenv(RUNTIME_VAR, runtime_base, 1) == 0;
	return 0;
}

void
eal_restore_runtime_dir(void)
{
	if (runtime_set)
		(void)unsetenv(RUNTIME_VAR);
	runtime_set = false;
	if (private_fd >= 0)
		(void)close(private_fd);
	private_fd = -1;
}

/* ---- Removing ---- */

/* The process id in "mpnic-PID" or "mpnic-PIDmap_N"; 0: not a name of ours. */
static pid_t
pid_of_name(const char *name)
{
	size_t len = strlen(EAL_PREFIX);
	char digits[16];
	uint64_t pid;
	size_t n;

	if (strncmp(name, EAL_PREFIX, len) != 0)
		return 0;
	n = strspn(name + len, "0123456789");
	if (n == 0 || n >= sizeof(digits))
		return 0;
	if (name[len + n] != '\0' && strncmp(name + len + n, "map_", 4) != 0)
		return 0;
	memcpy(digits, name + len, n);
	digits[n] = '\0';
	return mpn_parse_u64(digits, 1, INT_MAX, &pid) < 0 ? 0 : (pid_t)pid;
}

static bool
process_is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

/* A process of another PID namespace may use the directory: it holds a lock on the config file. */
static bool
config_is_locked(int dir_fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = openat(dir_fd, "config", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool locked;

	if (fd < 0)
		return false;
	locked = fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
	(void)close(fd);
	return locked;
}

/* Remove a directory of plain files and sockets. */
static void
remove_dir(int parent_fd, const char *name, bool even_locked)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *e;
	DIR *dir;

	if (fd < 0)
		return;
	if ((!even_locked && config_is_locked(fd)) || (dir = fdopendir(fd)) == NULL) {
		(void)close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		(void)unlinkat(fd, e->d_name, 0);
	(void)closedir(dir);
	(void)unlinkat(parent_fd, name, AT_REMOVEDIR);
}

static DIR *
open_runtime_dirs(void)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/dpdk", runtime_base) >= sizeof(path))
		return NULL;
	return opendir(path);
}

/* The EAL holds a shared lock on the hugepage files it uses. */
static void
remove_huge_file(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(dir_fd, name, 0);
	(void)close(fd);
}

/* pid 0: of all processes that are gone. */
static bool
remove_huge_files(const struct mntent *m, void *arg)
{
	pid_t of = *(const pid_t *)arg;
	DIR *dir = opendir(m->mnt_dir);
	struct dirent *e;

	if (dir == NULL)
		return false;
	while ((e = readdir(dir)) != NULL) {
		pid_t pid = pid_of_name(e->d_name);

		if (pid != 0 && (of != 0 ? pid == of : process_is_gone(pid)))
			remove_huge_file(dirfd(dir), e->d_name);
	}
	(void)closedir(dir);
	return false;
}

void
eal_remove_stale_files(void)
{
	DIR *dir = open_runtime_dirs();
	struct dirent *e;
	pid_t all = 0;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		pid_t pid = pid_of_name(e->d_name);

		if (pid != 0 && process_is_gone(pid))
			remove_dir(dirfd(dir), e->d_name, false);
	}
	if (dir != NULL)
		(void)closedir(dir);
	(void)for_each_huge_mount(remove_huge_files, &all);
}

void
eal_remove_own_files(void)
{
	char name[32];
	pid_t pid = getpid();
	DIR *dir = open_runtime_dirs();

	(void)snprintf(name, sizeof(name), EAL_PREFIX "%d", (int)pid);
	if (dir != NULL) {
		remove_dir(dirfd(dir), name, true);
		(void)closedir(dir);
	}
	(void)for_each_huge_mount(remove_huge_files, &pid);
	remove_private_tmp();
}
