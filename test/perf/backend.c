/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Random reads of 4 KiB, by one thread, of a back end alone and of what lies under it:
 *
 *	backend volume SPEC SECONDS DEPTH		a volume of lib/volume, without a server
 *	backend libnbd URI SECONDS DEPTH CONNECTIONS	libnbd and nothing else
 *
 * Prints "iops N".
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpn_parse.h"
#include "volume.h"
#ifdef MPN_HAVE_LIBNBD
#include <libnbd.h>
#endif

#define BLOCK 4096u
#define MAX_DEPTH 256
#define MAX_CONNS 16

static uint64_t rng = 88172645463325252ull;
static uint64_t done;
static uint8_t memory[MAX_DEPTH][BLOCK] __attribute__((aligned(BLOCK)));

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "backend: %s: %s\n", what, why);
	return 1;
}

static uint64_t
random_offset(uint64_t size)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % (size / BLOCK) * BLOCK;
}

static void
say(uint64_t begin_ns)
{
	printf("iops %llu\n", (unsigned long long)(done * 1000000000u / (vol_now_ns() - begin_ns)));
}

/* ---- A volume ---- */

struct reading {
	struct vol_io io;
	struct iovec iov;
};

static struct volume *volume;
static int first_error;
/* Nothing is under way at the end: nbdkit 1.32 may stop at an assertion when a client leaves before its answers. */
static bool ending;
static unsigned nb_ended;

static void
read_again(struct vol_io *io, int status)
{
	done++;
	if (status != 0)
		first_error = status;
	if (ending) {
		nb_ended++;
		return;
	}
	io->off = random_offset(vol_get_info(volume)->size);
	status = vol_submit(volume, io);
	if (status != 0)
		first_error = status;
}

/* Wait as a server that has nothing else to do. */
static void
wait_for_volume(void)
{
	struct pollfd fd = {vol_fd(volume), POLLIN, 0};
	uint64_t next_ns = vol_next_ns(volume);

	if (next_ns > 0)
		(void)poll(&fd, 1, next_ns > 100000000 ? 100 : 1);
}

static int
run_volume(const char *spec, uint64_t seconds, unsigned depth)
{
	static struct reading readings[MAX_DEPTH];
	uint64_t begin;
	unsigned i;

	if (vol_open_spec(spec, &volume) != 0)
		return fail(spec, "cannot be opened");
	for (i = 0; i < depth; i++) {
		struct reading *r = &readings[i];

		r->iov = (struct iovec){memory[i], BLOCK};
		r->io = (struct vol_io){.op = VOL_READ,
			.off = random_offset(vol_get_info(volume)->size),
			.len = BLOCK,
			.iov = &r->iov,
			.iovcnt = 1,
			.done = read_again};
		if (vol_submit(volume, &r->io) != 0)
			return fail(spec, "takes no reads");
	}
	begin = vol_now_ns();
	while (vol_now_ns() - begin < seconds * 1000000000u && first_error == 0) {
		if (vol_poll(volume) == 0)
			wait_for_volume();
	}
	if (first_error != 0)
		return fail(spec, strerror(-first_error));
	say(begin);
	ending = true;
	while (nb_ended < depth) {
		if (vol_poll(volume) == 0)
			wait_for_volume();
	}
	vol_close(volume);
	return 0;
}

/* ---- libnbd ---- */

#ifdef MPN_HAVE_LIBNBD

static struct connection {
	struct nbd_handle *h;
	unsigned free[MAX_DEPTH]; /* slots to be used */
	unsigned nb_free;
} conns[MAX_CONNS];

static struct slot {
	struct connection *conn;
	unsigned index;
} slots[MAX_DEPTH];

static int
note_done(void *user, int *error)
{
	struct slot *s = user;

	if (*error != 0)
		first_error = -*error;
	done++;
	s->conn->free[s->conn->nb_free++] = s->index;
	return 1;
}

static int
submit_free(struct connection *c)
{
	uint64_t size = (uint64_t)nbd_get_size(c->h);

	while (c->nb_free > 0 && !ending) {
		struct slot *s = &slots[c->free[--c->nb_free]];
		nbd_completion_callback cb = {.callback = note_done, .user_data = s};

		if (nbd_aio_pread(c->h, memory[s->index], BLOCK, random_offset(size), cb, 0) < 0)
			return -1;
	}
	return 0;
}

/* One wait for all connections, then what each has to do. */
static int
run_round(unsigned nb_conns)
{
	struct pollfd fds[MAX_CONNS];
	unsigned i;

	for (i = 0; i < nb_conns; i++) {
		unsigned dir = nbd_aio_get_direction(conns[i].h);

		fds[i].fd = nbd_aio_get_fd(conns[i].h);
		fds[i].events = (short)((dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
					(dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
	}
	if (poll(fds, nb_conns, 1000) < 0 && errno != EINTR)
		return -1;
	for (i = 0; i < nb_conns; i++) {
		struct nbd_handle *h = conns[i].h;

		if ((fds[i].revents & POLLIN) != 0 && nbd_aio_notify_read(h) < 0)
			return -1;
		if ((fds[i].revents & POLLOUT) != 0 &&
			(nbd_aio_get_direction(h) & LIBNBD_AIO_DIRECTION_WRITE) != 0 &&
			nbd_aio_notify_write(h) < 0)
			return -1;
		if (submit_free(&conns[i]) < 0)
			return -1;
	}
	return 0;
}

static int
run_libnbd(const char *uri, uint64_t seconds, unsigned depth, unsigned nb_conns)
{
	uint64_t begin;
	unsigned i;

	for (i = 0; i < nb_conns; i++) {
		struct connection *c = &conns[i];

		c->h = nbd_create();
		if (c->h == NULL || nbd_set_pread_initialize(c->h, false) < 0 ||
			nbd_connect_uri(c->h, uri) < 0)
			return fail(uri, nbd_get_error());
	}
	for (i = 0; i < depth; i++) {
		struct connection *c = &conns[i % nb_conns];

		slots[i] = (struct slot){c, i};
		c->free[c->nb_free++] = i;
	}
	begin = vol_now_ns();
	for (i = 0; i < nb_conns; i++) {
		if (submit_free(&conns[i]) < 0)
			return fail(uri, nbd_get_error());
	}
	while (vol_now_ns() - begin < seconds * 1000000000u) {
		if (run_round(nb_conns) < 0)
			return fail(uri, nbd_get_error());
		if (first_error != 0)
			return fail(uri, strerror(-first_error));
	}
	say(begin);
	ending = true;
	for (i = 0; i < nb_conns; i++) {
		while (nbd_aio_in_flight(conns[i].h) > 0) {
			if (run_round(nb_conns) < 0)
				return fail(uri, nbd_get_error());
		}
	}
	for (i = 0; i < nb_conns; i++) {
		(void)nbd_shutdown(conns[i].h, 0);
		nbd_close(conns[i].h);
	}
	return 0;
}

#else

static int
run_libnbd(const char *uri, uint64_t seconds, unsigned depth, unsigned nb_conns)
{
	return fail(uri, "built without libnbd");
}

#endif

int
main(int argc, char **argv)
{
	uint64_t seconds, depth, nb_conns = 1;

	if (argc < 5 || mpn_parse_u64(argv[3], 1, 3600, &seconds) != 0 ||
		mpn_parse_u64(argv[4], 1, MAX_DEPTH, &depth) != 0 ||
		(argc > 5 && mpn_parse_u64(argv[5], 1, MAX_CONNS, &nb_conns) != 0)) {
		fprintf(stderr,
			"usage: backend volume|libnbd SPEC|URI SECONDS DEPTH [CONNECTIONS]\n");
		return 2;
	}
	if (strcmp(argv[1], "volume") == 0)
		return run_volume(argv[2], seconds, (unsigned)depth);
	if (strcmp(argv[1], "libnbd") == 0)
		return run_libnbd(argv[2], seconds, (unsigned)depth, (unsigned)nb_conns);
	return fail(argv[1], "expected volume or libnbd");
}
