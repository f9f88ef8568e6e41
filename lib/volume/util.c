/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "volume_util.h"

/* ---- Memory in pieces ---- */

void
vol_copy_io(const struct vol_io *io, uint64_t off, void *buf, size_t len, bool to_caller)
{
	char *pos = buf;
	int i;

	for (i = 0; i < io->iovcnt && len > 0; i++) {
		size_t n = io->iov[i].iov_len;
		char *mem = io->iov[i].iov_base;

		if (off >= n) {
			off -= n;
			continue;
		}
		n = MPN_MIN(n - (size_t)off, len);
		if (to_caller)
			memcpy(mem + off, pos, n);
		else
			memcpy(pos, mem + off, n);
		off = 0;
		pos += n;
		len -= n;
	}
}

void *
vol_io_piece(const struct vol_io *io, uint64_t off, size_t *len)
{
	int i;

	for (i = 0; i < io->iovcnt; i++) {
		if (off < io->iov[i].iov_len) {
			*len = io->iov[i].iov_len - (size_t)off;
			return (char *)io->iov[i].iov_base + off;
		}
		off -= io->iov[i].iov_len;
	}
	*len = 0;
	return NULL;
}

int
vol_slice_io(const struct vol_io *io, uint64_t off, uint64_t *len, uint32_t block,
	struct iovec *iov, int max)
{
	uint64_t have = 0;
	int n = 0;

	while (have < *len && n < max) {
		size_t piece;

		iov[n].iov_base = vol_io_piece(io, off + have, &piece);
		iov[n].iov_len = MPN_MIN((uint64_t)piece, *len - have);
		have += iov[n++].iov_len;
	}
	/* Give back what is no whole block. */
	while (have % block != 0) {
		uint64_t rest = MPN_MIN(have % block, (uint64_t)iov[n - 1].iov_len);

		have -= rest;
		iov[n - 1].iov_len -= rest;
		n -= iov[n - 1].iov_len == 0;
	}
	*len = have;
	return n;
}

/* ---- One request ---- */

struct one_io {
	struct vol_io io;
	bool done;
	int status;
};

static void
note_done(struct vol_io *io, int status)
{
	struct one_io *one = io->user;

	one->done = true;
	one->status = status;
}

int
vol_run(struct volume *v, enum vol_op op, uint64_t off, void *buf, uint64_t len)
{
	struct iovec iov = {buf, len};
	struct one_io one = {.io = {.op = op,
				     .off = off,
				     .len = len,
				     .iov = buf != NULL ? &iov : NULL,
				     .iovcnt = buf != NULL,
				     .done = note_done}};
	int rc;

	one.io.user = &one;
	rc = vol_submit(v, &one.io);
	while (rc == 0 && !one.done) {
		struct pollfd pfd = {.fd = vol_fd(v), .events = POLLIN};
		uint64_t wait_ns = vol_next_ns(v);

		if (wait_ns > 0)
			(void)poll(&pfd, pfd.fd >= 0, wait_ns < 10000000 ? 1 : 10);
		(void)vol_poll(v);
	}
	return rc != 0 ? rc : one.status;
}

/* ---- Identities ---- */

void
vol_hash_begin(struct vol_hash *h)
{
	h->h = (unsigned __int128)0x6c62272e07bb0142 << 64 | 0x62b821756295c58d;
}

void
vol_hash_add(struct vol_hash *h, const void *data, size_t len)
{
	const unsigned __int128 prime = (unsigned __int128)1 << 88 | 0x13b;
	const uint8_t *b = data;
	size_t i;

	for (i = 0; i < len; i++)
		h->h = (h->h ^ b[i]) * prime;
}

void
vol_hash_machine(struct vol_hash *h)
{
	char machine[64];
	ssize_t n;
	int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	n = read(fd, machine, sizeof(machine));
	close(fd);
	if (n > 0)
		vol_hash_add(h, machine, (size_t)n);
}

void
vol_hash_end(const struct vol_hash *h, uint8_t uuid[16])
{
	memcpy(uuid, &h->h, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

/* ---- Threads ---- */

static cpu_set_t cores_at_start;
static bool has_cores;

/* Before main(), and so before anybody binds the main thread to a core. */
__attribute__((constructor)) static void
note_cores(void)
{
	has_cores = sched_getaffinity(0, sizeof(cores_at_start), &cores_at_start) == 0;
}

void
vol_threads_begin(cpu_set_t *saved)
{
	if (pthread_getaffinity_np(pthread_self(), sizeof(*saved), saved) != 0)
		CPU_ZERO(saved);
	else if (has_cores)
		(void)pthread_setaffinity_np(
			pthread_self(), sizeof(cores_at_start), &cores_at_start);
}

void
vol_threads_end(const cpu_set_t *saved)
{
	if (CPU_COUNT(saved) > 0)
		(void)pthread_setaffinity_np(pthread_self(), sizeof(*saved), saved);
}
