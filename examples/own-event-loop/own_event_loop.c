/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A program that waits for several things with epoll, the volume being one of them: it reads offsets
 * from stdin, one a line, and prints the first eight bytes of each block.
 *
 *	echo 4096 | own-event-loop virtio:ebd0.sock disk0
 */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <mpnic/ebd.h>

#define BLOCK 4096

struct request {
	struct ebd_io io;
	uint64_t off;
	unsigned char data[BLOCK];
};

static void
on_read(struct ebd_io *io, int status, void *arg)
{
	struct request *r = arg;

	(void)io;
	if (status != 0)
		printf("%" PRIu64 ": %s\n", r->off, strerror(-status));
	else
		printf("%" PRIu64 ": %02x %02x %02x %02x %02x %02x %02x %02x\n", r->off, r->data[0],
			r->data[1], r->data[2], r->data[3], r->data[4], r->data[5], r->data[6],
			r->data[7]);
	free(r);
}

static void
ask(struct ebd_queue *q, uint64_t off)
{
	struct request *r = calloc(1, sizeof(*r));
	struct ebd_io *io;

	if (r == NULL)
		return;
	io = &r->io;
	r->off = off;
	ebd_prep_read(io, r->data, BLOCK, off);
	ebd_io_set_callback(io, on_read, r);
	if (ebd_submit_burst(q, &io, 1) == 0)
		on_read(io, -errno, r); /* not taken: nobody else says so */
}

/* What stdin has. A line that comes in two parts is two lines here. false: that was all. */
static bool
read_stdin(struct ebd_queue *q)
{
	char text[4096], *save, *line;
	ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		ask(q, strtoull(line, NULL, 0));
	return n > 0;
}

static int
run(struct ebd_queue *q)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int ep = epoll_create1(EPOLL_CLOEXEC), n = 0;
	bool more = true;

	ev.data.fd = STDIN_FILENO;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, STDIN_FILENO, &ev) < 0)
		return -errno;
	ev.data.fd = ebd_queue_fd(q);
	if (epoll_ctl(ep, EPOLL_CTL_ADD, ev.data.fd, &ev) < 0)
		return -errno;
	while (n >= 0 && (more || ebd_in_flight(q) > 0)) {
		/* One event at a time; the volume is polled whatever it is. */
		if (ebd_queue_arm(q) == 0 && epoll_wait(ep, &ev, 1, -1) == 1 &&
			ev.data.fd == STDIN_FILENO && !(more = read_stdin(q)))
			(void)epoll_ctl(ep, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
		n = ebd_poll(q, 0);
	}
	(void)close(ep);
	return n < 0 ? n : 0;
}

int
main(int argc, char **argv)
{
	struct ebd_client *c;
	struct ebd_queue *q;
	int rc;

	if (argc != 3) {
		printf("usage: %s LINK VOLUME <OFFSETS\n", argv[0]);
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	c = ebd_client_create(&(struct ebd_client_conf){.link = argv[1]});
	q = c != NULL ? ebd_queue_open(c, &(struct ebd_queue_conf){.volume = argv[2]}) : NULL;
	if (q == NULL) {
		fprintf(stderr, "%s\n", ebd_last_error());
		return EXIT_FAILURE;
	}
	rc = run(q);
	if (rc < 0)
		fprintf(stderr, "%s\n", strerror(-rc));
	ebd_client_destroy(c);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
