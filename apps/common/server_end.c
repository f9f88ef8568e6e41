/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpn_err.h"
#include "server_end.h"

#define PATIENCE_S 5

static char last_words[128];

/* write() and _exit() are all that a handler may call. */
static void
give_up(MPN_UNUSED int sig)
{
	if (write(STDERR_FILENO, last_words, strlen(last_words)) < 0)
		_exit(EXIT_FAILURE);
	_exit(EXIT_FAILURE);
}

void
server_end(struct ebd_server *s, const char *prog)
{
	if (s == NULL)
		return;
	(void)snprintf(last_words, sizeof(last_words), "%s: a volume was not closed after %d s\n",
		prog, PATIENCE_S);
	(void)signal(SIGALRM, give_up);
	(void)alarm(PATIENCE_S);
	ebd_server_destroy(s);
	(void)alarm(0);
}
