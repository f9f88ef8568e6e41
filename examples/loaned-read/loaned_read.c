/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Read without a copy: look at the data where it arrived, then give it back. Adds up the bytes of a volume.
 *
 *	loaned_read virtio:ebd0.sock disk0
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpnic/ebd.h>

#define DEPTH 32

struct sum {
	struct ebd_queue *q;
	struct ebd_info info;
	uint64_t next; /* where the next request starts */
	uint64_t total;
	int error;
	struct ebd_io ios[DEPTH];
};

static void on_read(struct ebd_io *io, int status, void *arg);

static void
submit_next(struct sum *s, struct ebd_io *io)
{
	/* A loan is one transfer at most. */
	size_t len = s->info.size - s->next < s->info.max_transfer ? s->info.size - s->next
								   : s->info.max_transfer;

	if (len == 0 || s->error != 0)
		return;
	ebd_prep_read_loan(io, len, s->next);
	ebd_io_set_callback(io, on_read, s);
	s->next += len;
	if (ebd_submit_burst(s->q, &io, 1) != 1)
		s->error = -errno;
}

static void
on_read(struct ebd_io *io, int status, void *arg)
{
	struct iovec iov[EBD_LOAN_PIECES];
	struct sum *s = arg;
	const unsigned char *p;
	int nb, i;
	size_t k;

	if (status != 0) {
		s->error = status;
		return;
	}
	nb = ebd_loan_iov(io, iov, EBD_LOAN_PIECES);
	for (i = 0; i < nb; i++) {
		p = iov[i].iov_base;
		for (k = 0; k < iov[i].iov_len; k++)
			s->total += p[k];
	}
	ebd_loan_put(io);
	submit_next(s, io);
}

int
main(int argc, char **argv)
{
	static struct sum s;
	struct ebd_client *c;
	unsigned i;
	int n;

	if (argc != 3) {
		printf("usage: %s LINK VOLUME\n", argv[0]);
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	c = ebd_client_create(&(struct ebd_client_conf){.link = argv[1], .loan_frames = 1024});
	s.q = c != NULL ? ebd_queue_open(c, &(struct ebd_queue_conf){.volume = argv[2]}) : NULL;
	if (s.q == NULL) {
		fprintf(stderr, "%s\n", ebd_last_error());
		return EXIT_FAILURE;
	}
	ebd_queue_info(s.q, &s.info);
	for (i = 0; i < DEPTH; i++)
		submit_next(&s, &s.ios[i]);
	while (ebd_in_flight(s.q) > 0) {
		n = ebd_poll(s.q, 0);
		if (n < 0)
			s.error = n;
		ebd_client_idle(c, n > 0 ? (unsigned)n : 0);
	}
	if (s.error != 0)
		fprintf(stderr, "failed: %s\n", strerror(-s.error));
	else
		printf("%" PRIu64 "\n", s.total);
	ebd_client_destroy(c);
	return s.error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
