/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "history.h"
#include "shell.h"

#define MAX_LINES 1000

static char last[SHELL_LINE_LEN + 1];

/* Both are absolute, or they do not count (the XDG base directory specification). */
static int
find_file(char *path, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n = -1;

	if (state != NULL && state[0] == '/')
		n = snprintf(path, size, "%s/mpnic/history", state);
	else if (home != NULL && home[0] == '/')
		n = snprintf(path, size, "%s/.local/state/mpnic/history", home);
	return n >= 0 && (size_t)n < size ? 0 : -ENOENT;
}

/* The directories a file is in. */
static void
make_directories(const char *path)
{
	char dir[PATH_MAX];
	char *at;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	for (at = strchr(dir + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		(void)mkdir(dir, 0700);
		*at = '/';
	}
}

static FILE *
open_to_write(const char *path, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL && fd >= 0)
		(void)close(fd);
	return f;
}

static bool
read_line(FILE *f, char *line, size_t size)
{
	if (fgets(line, (int)size, f) == NULL)
		return false;
	line[strcspn(line, "\n")] = '\0';
	return true;
}

/* Another one may take the place of the file only when it is whole. */
static void
forget_half(const char *path, FILE *f)
{
	char line[SHELL_LINE_LEN + 1], other[PATH_MAX + 16];
	unsigned n = 0;
	FILE *out;
	bool ok;

	(void)snprintf(other, sizeof(other), "%s.%d", path, (int)getpid());
	out = open_to_write(other, O_EXCL);
	if (out == NULL)
		return;
	rewind(f);
	while (read_line(f, line, sizeof(line))) {
		if (++n > MAX_LINES / 2)
			fprintf(out, "%s\n", line);
	}
	ok = ferror(out) == 0;
	if (fclose(out) != 0 || !ok || rename(other, path) != 0)
		(void)unlink(other);
}

void
history_read(history_fn fn, void *arg)
{
	char path[PATH_MAX], line[SHELL_LINE_LEN + 1];
	unsigned n = 0;
	FILE *f;

	if (find_file(path, sizeof(path)) != 0)
		return;
	f = fopen(path, "re");
	if (f == NULL)
		return;
	while (read_line(f, line, sizeof(line))) {
		fn(arg, line);
		(void)snprintf(last, sizeof(last), "%s", line);
		n++;
	}
	if (n > MAX_LINES)
		forget_half(path, f);
	fclose(f);
}

void
history_keep(const char *line)
{
	char path[PATH_MAX];
	FILE *f;

	if (line[0] == '\0' || strcmp(line, last) == 0 || find_file(path, sizeof(path)) != 0)
		return;
	(void)snprintf(last, sizeof(last), "%s", line);
	f = open_to_write(path, O_APPEND);
	if (f == NULL && errno == ENOENT) {
		make_directories(path);
		f = open_to_write(path, O_APPEND);
	}
	if (f == NULL)
		return;
	fprintf(f, "%s\n", line);
	fclose(f);
}
