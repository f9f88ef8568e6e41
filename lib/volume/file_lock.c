/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* One server at a time may write an image. */

#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "file.h"
#include "mpn_log.h"
#include "mpn_proc.h"

#define STEP_NS 20000000
#define WAIT_NS 2000000000ull /* for a server that is about to end */

/* Is this line of /proc/locks one of flock(2) on the file? Some file systems have devices of their own there. */
static bool
is_lock_on(const char *line, const struct stat *st, int *pid)
{
	unsigned dev_major, dev_minor;
	unsigned long long inode;

	return sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%llu", pid, &dev_major, &dev_minor,
		       &inode) == 4 &&
	       inode == st->st_ino &&
	       (major(st->st_dev) == 0 ||
		       (dev_major == major(st->st_dev) && dev_minor == minor(st->st_dev)));
}

/* Who holds the lock. 0: it has gone, and the kernel still ends its writes, or it cannot be seen from here */
static pid_t
find_holder(int fd)
{
	FILE *f = fopen("/proc/locks", "re");
	pid_t holder = 0;
	struct stat st;
	char line[160];
	int pid;

	if (f == NULL)
		return 0;
	while (holder == 0 && fstat(fd, &st) == 0 && fgets(line, sizeof(line), f) != NULL) {
		if (is_lock_on(line, &st, &pid) && pid > 0)
			holder = pid;
	}
	(void)fclose(f);
	return holder;
}

static int
refuse(const char *path, pid_t holder)
{
	if (holder != 0)
		return mpn_log_err(EBUSY, "volume",
			"'%s': in use by another server, process %d, which holds the lock", path,
			(int)holder);
	return mpn_log_err(EBUSY, "volume",
		"'%s': in use by another server, in another container or killed in mid-write",
		path);
}

/*
 * Of a server that was killed the last writes may still be under way in the kernel; they hold the open file, and
 * with it the lock, until they are done. So the next server waits, and never serves a block that an old write
 * still changes: for a moment while the other one lives, longer while the kernel ends it.
 */
int
file_lock(int fd, const char *path, bool shared)
{
	const struct timespec step = {.tv_nsec = STEP_NS};
	uint64_t start = vol_now_ns(), waited;
	bool told = false;
	pid_t holder;

	while (flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return mpn_log_err(errno, "volume", "'%s': cannot lock: %m", path);
		waited = vol_now_ns() - start;
		if (waited >= WAIT_NS) {
			holder = find_holder(fd);
			if (waited >= MPN_PROC_END_MS * 1000000ull ||
				(holder != 0 && !mpn_proc_is_ending(holder)))
				return refuse(path, holder);
		}
		if (waited >= WAIT_NS && !told)
			mpn_log(MPN_LOG_WARN, "volume",
				"'%s': waits for the last writes of a server that was killed",
				path);
		told |= waited >= WAIT_NS;
		(void)nanosleep(&step, NULL);
	}
	return 0;
}
