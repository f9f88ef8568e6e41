/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "eal_output.h"
#include "mpn_err.h"

static const int fds[2] = {STDOUT_FILENO, STDERR_FILENO};

void
eal_output_begin(struct eal_output *o)
{
	(void)fflush(stdout);
	for (unsigned i = 0; i < 2; i++) {
		o->saved[i] = -1;
		o->kept[i] = memfd_create("eal-output", MFD_CLOEXEC);
		if (o->kept[i] >= 0)
			o->saved[i] = dup(fds[i]);
		if (o->saved[i] >= 0)
			(void)dup2(o->kept[i], fds[i]);
	}
}

static void
hand_out(int from, int to)
{
	char buf[4096];
	ssize_t n;

	(void)lseek(from, 0, SEEK_SET);
	while ((n = read(from, buf, sizeof(buf))) > 0) {
		if (write(to, buf, (size_t)n) != n)
			break;
	}
}

/* "PROG: unrecognized option '--x'" tells; "EAL: FATAL: ..." does not. */
static void
find_reason(int fd, char *why, size_t size)
{
	char text[1024];
	ssize_t n;
	char *line, *next;

	(void)lseek(fd, 0, SEEK_SET);
	n = read(fd, text, sizeof(text) - 1);
	text[MPN_MAX(n, 0)] = '\0';
	for (line = text; *line != '\0'; line = next) {
		size_t len = strcspn(line, "\n");
		const char *colon = memchr(line, ':', len);

		next = line + len + (line[len] == '\n');
		if (colon == NULL || strncmp(line, "EAL: ", 5) == 0)
			continue;
		colon += 1 + strspn(colon + 1, " ");
		(void)snprintf(why, size, "%.*s", (int)(line + len - colon), colon);
		return;
	}
}

void
eal_output_end(struct eal_output *o, bool show, char *why, size_t size)
{
	(void)fflush(stdout);
	why[0] = '\0';
	for (unsigned i = 0; i < 2; i++) {
		if (o->saved[i] >= 0) {
			(void)dup2(o->saved[i], fds[i]);
			(void)close(o->saved[i]);
			if (show)
				hand_out(o->kept[i], fds[i]);
			else if (fds[i] == STDERR_FILENO)
				find_reason(o->kept[i], why, size);
		}
		if (o->kept[i] >= 0)
			(void)close(o->kept[i]);
	}
}
