/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpn_err.h"
#include "mpn_proc.h"

#define PF_EXITING 0x4u /* of the kernel, in field 9 of /proc/PID/stat */

bool
mpn_proc_is_ending(pid_t pid)
{
	char path[32], line[1024], state = '?';
	unsigned long flags = 0;
	const char *rest, *last;
	FILE *f;

	if (pid <= 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return kill(pid, 0) != 0 && errno == ESRCH;
	rest = fgets(line, sizeof(line), f) != NULL ? strrchr(line, ')') : NULL;
	(void)fclose(f);
	if (rest == NULL)
		return true;
	if (sscanf(rest, ") %c %*d %*d %*d %*d %*d %lu", &state, &flags) != 2)
		return false;
	/* The last field is the status of a process that ends; one that is stopped has one, too. */
	last = strrchr(rest, ' ');
	return strchr("ZXx", state) != NULL || (flags & PF_EXITING) != 0 ||
	       (strtoul(last, NULL, 10) != 0 && strchr("Tt", state) == NULL);
}
