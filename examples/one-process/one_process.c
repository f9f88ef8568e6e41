/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Server and client on one thread, joined by a ring: a test bench that needs nothing. The client's
 * background function is what keeps the server going while the client waits.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpnic/ebd.h>
#include <mpnic/ebd_server.h>

#define LINK "ring:bench"

static int
poll_server(void *arg)
{
	return (int)ebd_server_poll(arg);
}

/* Write a text, read it back. */
static int
write_and_read(struct ebd_queue *q)
{
	static const char text[512] = "the receiver asks, so it knows where each frame goes";
	char back[512];
	ssize_t n;

	n = ebd_pwrite(q, text, sizeof(text), 4096, EBD_FUA);
	if (n == sizeof(text))
		n = ebd_pread(q, back, sizeof(back), 4096);
	if (n != sizeof(back)) {
		fprintf(stderr, "%s\n", strerror((int)-n));
		return EXIT_FAILURE;
	}
	puts(back);
	return memcmp(text, back, sizeof(text)) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
run(struct ebd_server *s)
{
	struct ebd_client_conf conf = {
		.link = LINK, .background = poll_server, .background_arg = s};
	struct ebd_client *c = ebd_client_create(&conf);
	struct ebd_queue *q = NULL;
	int status = EXIT_FAILURE;

	if (c != NULL)
		q = ebd_queue_open(c, &(struct ebd_queue_conf){.volume = "memory"});
	if (q != NULL)
		status = write_and_read(q);
	else
		fprintf(stderr, "%s\n", ebd_last_error());
	ebd_client_destroy(c);
	return status;
}

int
main(int argc, char **argv)
{
	struct ebd_server *s;
	int status = EXIT_FAILURE;

	if (argc > 1) {
		printf("usage: %s\n", argv[0]);
		return strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	s = ebd_server_create(&(struct ebd_server_conf){.first_link = LINK});
	if (s != NULL && ebd_server_link_add(s, LINK) == 0 &&
		ebd_export_add(s, "memory", "mem:1M") == 0)
		status = run(s);
	else
		fprintf(stderr, "%s\n", ebd_last_error());
	ebd_server_destroy(s);
	return status;
}
