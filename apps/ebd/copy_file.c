/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The end of a copy that is a file or a block device. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"

#define FILE_BLOCK 4096 /* holes of file systems come in pages */

static int
file_read(struct copy_end *e, struct copy_slot *s, char *buf, uint32_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n = pread(e->fd, buf, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA; /* the file has become shorter */
		buf += n;
		off += (uint64_t)n;
		len -= (uint32_t)n;
	}
	return 0;
}

static int
file_write(struct copy_end *e, struct copy_slot *s, const char *buf, uint32_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n = pwrite(e->fd, buf, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		off += (uint64_t)n;
		len -= (uint32_t)n;
	}
	return 0;
}

/* A file that was created empty and then given its size is all hole: nothing to do. */
static int
file_zero_fresh(struct copy_end *e, struct copy_slot *s, uint64_t len, uint64_t off)
{
	return 0;
}

static int
file_zero_device(struct copy_end *e, struct copy_slot *s, uint64_t len, uint64_t off)
{
	static const char zeroes[65536];

	if (fallocate(e->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) ==
		0)
		return 0;
	while (len > 0) {
		uint32_t n = (uint32_t)MPN_MIN(len, sizeof(zeroes));
		int rc = file_write(e, s, zeroes, n, off);

		if (rc != 0)
			return rc;
		off += n;
		len -= n;
	}
	return 0;
}

static int
file_flush(struct copy_end *e)
{
	return fsync(e->fd) != 0 ? -errno : 0;
}

static void
file_close(struct copy_end *e)
{
	if (e->fd >= 0)
		(void)close(e->fd);
	e->fd = -1;
}

/* What an earlier copy has left may be there already: make it a hole. */
static int
file_zero_old(struct copy_end *e, struct copy_slot *s, uint64_t len, uint64_t off)
{
	if (fallocate(e->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) ==
		0)
		return 0;
	return file_zero_device(e, s, len, off);
}

static const struct copy_end_ops old_ops = {
	.read = file_read,
	.write = file_write,
	.zero = file_zero_old,
	.flush = file_flush,
	.close = file_close,
};

static const struct copy_end_ops fresh_ops = {
	.read = file_read,
	.write = file_write,
	.zero = file_zero_fresh,
	.flush = file_flush,
	.close = file_close,
};

static const struct copy_end_ops device_ops = {
	.read = file_read,
	.write = file_write,
	.zero = file_zero_device,
	.flush = file_flush,
	.close = file_close,
};

static void
init_end(struct copy_end *e, const char *path, int fd, const struct copy_end_ops *ops)
{
	memset(e, 0, sizeof(*e));
	e->ops = ops;
	e->name = path;
	e->block = 1;
	e->min_zero = FILE_BLOCK;
	e->can_zero = true;
	e->fd = fd;
}

static int
file_fail(struct copy_end *e, int err)
{
	file_close(e);
	return -err;
}

int
copy_file_open_src(struct copy_end *e, const char *path)
{
	struct stat st;
	off_t size;

	init_end(e, path, open(path, O_RDONLY | O_CLOEXEC), &device_ops);
	if (e->fd < 0)
		return -errno;
	if (fstat(e->fd, &st) != 0)
		return file_fail(e, errno);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return file_fail(e, S_ISDIR(st.st_mode) ? EISDIR : ESPIPE);
	size = lseek(e->fd, 0, SEEK_END);
	if (size < 0)
		return file_fail(e, errno);
	e->size = (uint64_t)size;
	(void)posix_fadvise(e->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

static int
open_dst(struct copy_end *e, const char *path, uint64_t size, bool old)
{
	struct stat st;
	off_t end;

	init_end(e, path, open(path, O_RDWR | (old ? 0 : O_CREAT) | O_CLOEXEC, 0666),
		old ? &old_ops : &fresh_ops);
	if (e->fd < 0)
		return -errno;
	if (fstat(e->fd, &st) != 0)
		return file_fail(e, errno);
	e->can_flush = true;
	if (S_ISREG(st.st_mode)) {
		if (old && (uint64_t)st.st_size != size)
			return file_fail(e, ESTALE);
		if (!old && (ftruncate(e->fd, 0) != 0 || ftruncate(e->fd, (off_t)size) != 0))
			return file_fail(e, errno);
		e->size = size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return file_fail(e, S_ISDIR(st.st_mode) ? EISDIR : ESPIPE);
	end = lseek(e->fd, 0, SEEK_END);
	if (end < 0)
		return file_fail(e, errno);
	e->ops = &device_ops;
	e->size = (uint64_t)end;
	return 0;
}

int
copy_file_open_dst(struct copy_end *e, const char *path, uint64_t size)
{
	return open_dst(e, path, size, false);
}

int
copy_file_open_old(struct copy_end *e, const char *path, uint64_t size)
{
	return open_dst(e, path, size, true);
}
