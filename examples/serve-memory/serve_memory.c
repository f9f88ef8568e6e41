/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A server in a program of your own: one volume in memory, until Ctrl-C.
 *
 *	serve_memory vhost:ebd0.sock 64M
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpnic/ebd.h>
#include <mpnic/ebd_server.h>

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	stop = sig;
}

static void
serve(struct ebd_server *s)
{
	while (!stop)
		ebd_server_idle(s, ebd_server_poll(s));
	/* What was accepted is answered before the end. */
	ebd_server_drain(s);
	while (!ebd_server_quiet(s))
		ebd_server_poll(s);
}

int
main(int argc, char **argv)
{
	struct ebd_server *s;
	char spec[64];

	if (argc != 3) {
		printf("usage: %s LINK SIZE\n", argv[0]);
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	snprintf(spec, sizeof(spec), "mem:%s", argv[2]);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	/* The peer of a vhost link may go away while it is written to. */
	signal(SIGPIPE, SIG_IGN);
	s = ebd_server_create(&(struct ebd_server_conf){.idle = EBD_IDLE_SLEEP});
	if (s == NULL || ebd_server_link_add(s, argv[1]) != 0 ||
		ebd_export_add(s, "memory", spec) != 0) {
		fprintf(stderr, "%s\n", ebd_last_error());
		ebd_server_destroy(s);
		return EXIT_FAILURE;
	}
	puts("ready");
	fflush(stdout);
	serve(s);
	ebd_server_destroy(s);
	return EXIT_SUCCESS;
}
