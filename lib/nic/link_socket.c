/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "link_socket.h"

#define LOCK_SUFFIX ".lock"
#define NOTE_LEN 16 /* of the file for each side: the number of the process that has it */

int
sock_try(const char *path, int type)
{
	int fd = sock_connect_path(path, type);

	if (fd < 0)
		return fd;
	(void)close(fd);
	return 0;
}

/* ---- Locks ---- */

static int
open_lock_file(const char *path, enum sock_side side)
{
	char name[256];
	int fd;

	if ((size_t)snprintf(name, sizeof(name), "%s" LOCK_SUFFIX, path) >= sizeof(name))
		return -ENAMETOOLONG;
	fd = open(
		name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (side == SOCK_SERVER ? O_CREAT : 0), 0666);
	return fd < 0 ? -errno : fd;
}

/* The file may have been taken away by its last owner between our open and our lock. */
static bool
is_still_there(const char *path, int fd)
{
	char name[256];
	struct stat mine, there;

	(void)snprintf(name, sizeof(name), "%s" LOCK_SUFFIX, path);
	return fstat(fd, &mine) == 0 && lstat(name, &there) == 0 && mine.st_dev == there.st_dev &&
	       mine.st_ino == there.st_ino;
}

int
sock_look(const char *path)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SOCK_SERVER, .l_len = 1};
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	fd = open_lock_file(path, SOCK_CLIENT);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	rc = fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : 0;
	(void)close(fd);
	return rc < 0 ? rc : lock.l_type == F_UNLCK ? -ECONNREFUSED : 0;
}

/* For people, and for whoever is refused: it can tell whether that process is about to end. */
static void
note_holder(int fd, enum sock_side side)
{
	char note[NOTE_LEN + 1];

	(void)snprintf(note, sizeof(note), "%-*d\n", NOTE_LEN - 1, (int)getpid());
	if (pwrite(fd, note, NOTE_LEN, (off_t)side * NOTE_LEN) != NOTE_LEN)
		(void)ftruncate(fd, 0);
}

pid_t
sock_holder(const char *path, enum sock_side side)
{
	int fd = open_lock_file(path, SOCK_CLIENT);
	char note[NOTE_LEN + 1] = "";
	long pid = 0;

	if (fd < 0)
		return 0;
	if (pread(fd, note, NOTE_LEN, (off_t)side * NOTE_LEN) == NOTE_LEN)
		pid = strtol(note, NULL, 10);
	(void)close(fd);
	return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

int
sock_lock(const char *path, enum sock_side side)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = side, .l_len = 1};

	for (;;) {
		int fd = open_lock_file(path, side);

		if (fd < 0)
			return fd;
		if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
			(void)close(fd);
			return -EBUSY;
		}
		if (is_still_there(path, fd)) {
			note_holder(fd, side);
			return fd;
		}
		(void)close(fd);
	}
}

void
sock_unlock(const char *path, enum sock_side side, int fd)
{
	char name[256];

	if (fd < 0)
		return;
	(void)snprintf(name, sizeof(name), "%s" LOCK_SUFFIX, path);
	if (side == SOCK_SERVER)
		(void)unlink(name);
	(void)close(fd);
}

int
sock_clear(const char *path, int type)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (sock_try(path, type) != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(path) < 0 ? -errno : 0;
}

/* ---- The guard ---- */

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The peer may have named its socket from another directory: compare the last part. */
static bool
leads_to(int fd, const char *path)
{
	struct sockaddr_un un = {0};
	socklen_t len = sizeof(un);

	return getpeername(fd, (struct sockaddr *)&un, &len) == 0 && un.sun_family == AF_UNIX &&
	       len > offsetof(struct sockaddr_un, sun_path) &&
	       strncmp(base_name(un.sun_path), base_name(path), sizeof(un.sun_path)) == 0;
}

/* The descriptor is the driver's own: find it by where it leads. */
static void
hang_up(const char *path)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		int fd = (int)strtol(e->d_name, NULL, 10);

		if (e->d_name[0] != '.' && leads_to(fd, path))
			(void)shutdown(fd, SHUT_RDWR);
	}
	if (dir != NULL)
		(void)closedir(dir);
}

static void *
watch(void *arg)
{
	struct sock_guard *g = arg;
	struct timespec until;
	int rc = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += g->ms / 1000;
	until.tv_nsec += (long)(g->ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&g->lock);
	while (!g->done && rc == 0)
		rc = pthread_cond_timedwait(&g->wake, &g->lock, &until);
	if (!g->done) {
		g->fired = true;
		hang_up(g->path);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

void
sock_guard_begin(struct sock_guard *g, const char *path, unsigned ms)
{
	pthread_condattr_t attr;

	memset(g, 0, sizeof(*g));
	g->path = path;
	g->ms = ms;
	(void)pthread_mutex_init(&g->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&g->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	g->on = pthread_create(&g->thread, NULL, watch, g) == 0;
}

bool
sock_guard_end(struct sock_guard *g)
{
	pthread_mutex_lock(&g->lock);
	g->done = true;
	(void)pthread_cond_signal(&g->wake);
	pthread_mutex_unlock(&g->lock);
	if (g->on)
		(void)pthread_join(g->thread, NULL);
	(void)pthread_cond_destroy(&g->wake);
	(void)pthread_mutex_destroy(&g->lock);
	return g->fired;
}
