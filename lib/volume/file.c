/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* file: a disk image or a block device. */

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file.h"
#include "mpn_log.h"
#include "mpn_parse.h"
#include "volume_kinds.h"
#include "volume_util.h"

enum direct_mode { DIRECT_OFF, DIRECT_ON, DIRECT_AUTO };

struct file_args {
	char path[VOL_ARG_LEN];
	enum direct_mode direct;
	uint64_t size; /* 0: not given */
	bool readonly;
	bool shared; /* others may write, too: for slices of one image */
};

static int
parse_args(const struct volume *v, const char *spec, struct file_args *a)
{
	static const char *const modes[] = {"off", "on", "auto", NULL};
	static const char *const locks[] = {"exclusive", "shared", NULL};
	char key[16], value[64];
	int rc;

	a->direct = DIRECT_AUTO;
	a->size = 0;
	a->shared = false;
	a->readonly = (vol_open_flags(v) & VOL_OPEN_RDONLY) != 0;
	if (mpn_parse_item(&spec, a->path, sizeof(a->path)) != 1 || a->path[0] == '\0')
		return vol_bad_arg(v, "", spec,
			"file:PATH[,direct=on|off|auto][,size=SIZE][,lock=exclusive|shared]");
	while ((rc = mpn_parse_kv(&spec, key, sizeof(key), value, sizeof(value))) == 1) {
		if (strcmp(key, "direct") == 0) {
			int mode = mpn_parse_choice(value, modes);

			if (mode < 0)
				return vol_bad_arg(v, key, value, "on, off or auto");
			a->direct = (enum direct_mode)mode;
		} else if (strcmp(key, "size") == 0) {
			if (mpn_parse_size(value, 512, INT64_MAX, &a->size) != 0 ||
				a->size % 512 != 0)
				return vol_bad_arg(
					v, key, value, "a size such as 1G, a multiple of 512");
		} else if (strcmp(key, "lock") == 0) {
			int lock = mpn_parse_choice(value, locks);

			if (lock < 0)
				return vol_bad_arg(v, key, value, "exclusive or shared");
			a->shared = lock == 1;
		} else {
			return vol_bad_arg(v, key, value,
				"direct=, size= or lock= after the path (a ',' in a path is "
				"doubled)");
		}
	}
	if (rc != 0)
		return vol_bad_arg(
			v, "", spec, "direct=on|off|auto, size=SIZE or lock=exclusive|shared");
	if (a->size != 0 && a->readonly)
		return vol_bad_arg(v, "size", a->path, "no size below a readonly filter");
	return 0;
}

static int
refuse_open(const struct file_args *a, int err)
{
	if (err == ENOENT && a->size != 0)
		return mpn_log_err(err, "volume", "'%s': there is no such directory", a->path);
	if (err == ENOENT)
		return mpn_log_err(
			err, "volume", "'%s': no such file; size=SIZE would make one", a->path);
	if (!a->readonly && (err == EACCES || err == EROFS || err == EPERM))
		return mpn_log_err(err, "volume",
			"'%s': no permission to write; readonly:file:... needs none", a->path);
	return mpn_log_err(err, "volume", "'%s': cannot open: %s", a->path, strerror(err));
}

/* Open the image; *st says what it is. */
static int
open_image(const struct file_args *a, struct stat *st)
{
	int flags = (a->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	int fd;

	/* Look first: opening a FIFO would block, opening a device may do things. */
	if (stat(a->path, st) == 0) {
		if (S_ISDIR(st->st_mode))
			return mpn_log_err(
				EISDIR, "volume", "'%s': a directory, not an image", a->path);
		if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
			return mpn_log_err(EINVAL, "volume",
				"'%s': neither a regular file nor a block device", a->path);
	} else if (errno != ENOENT || a->size == 0) {
		return refuse_open(a, errno);
	}
	if (a->size != 0)
		flags |= O_CREAT;
	fd = open(a->path, flags, 0666);
	if (fd < 0 || fstat(fd, st) != 0) {
		int err = errno;

		if (fd >= 0)
			close(fd);
		return refuse_open(a, err);
	}
	return fd;
}

/* The size of the image, made as large as asked for. */
static int
find_size(int fd, const struct file_args *a, const struct stat *st, uint64_t *size)
{
	struct stat now;

	if (S_ISBLK(st->st_mode)) {
		if (a->size != 0)
			return mpn_log_err(
				EINVAL, "volume", "'%s': a block device has its own size", a->path);
		if (ioctl(fd, BLKGETSIZE64, size) != 0)
			return mpn_log_err(
				errno, "volume", "'%s': cannot get its size: %m", a->path);
		return 0;
	}
	/* Under the lock: the server before us may have made it larger. */
	if (fstat(fd, &now) != 0)
		return mpn_log_err(errno, "volume", "'%s': cannot get its size: %m", a->path);
	*size = (uint64_t)now.st_size;
	if (a->size == 0 || a->size == *size)
		return 0;
	if (a->size < *size)
		return mpn_log_err(EINVAL, "volume",
			"'%s': has %llu bytes already, more than size=; images are never cut",
			a->path, (unsigned long long)*size);
	if (ftruncate(fd, (off_t)a->size) != 0)
		return mpn_log_err(errno, "volume", "'%s': cannot make it larger: %m", a->path);
	*size = a->size;
	return 0;
}

/* Read one block with O_DIRECT: true when the file takes this alignment. */
static bool
probe_direct(int fd, uint32_t align)
{
	char *buf = aligned_alloc(4096, 8192);
	ssize_t n;

	if (buf == NULL)
		return false;
	n = pread(fd, buf + align % 4096, align, align);
	free(buf);
	return n >= 0;
}

/* Alignment that O_DIRECT on fd asks for; false when there is no O_DIRECT. */
static bool
find_direct_align(struct file_priv *p)
{
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (statx(p->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
		(stx.stx_mask & STATX_DIOALIGN) != 0) {
		p->mem_align = stx.stx_dio_mem_align;
		p->off_align = stx.stx_dio_offset_align;
		return p->off_align != 0;
	}
#endif
	for (p->off_align = 512; p->off_align <= 4096; p->off_align *= 8) {
		p->mem_align = p->off_align;
		if (probe_direct(p->fd, p->off_align))
			return true;
	}
	return false;
}

/* Turn O_DIRECT on where it is wanted and possible. block_size may grow for it. */
static int
choose_direct(struct file_priv *p, const struct file_args *a, uint32_t *block_size)
{
	int flags = fcntl(p->fd, F_GETFL);

	if (a->direct == DIRECT_OFF)
		return 0;
	p->direct = flags >= 0 && fcntl(p->fd, F_SETFL, flags | O_DIRECT) == 0 &&
		    find_direct_align(p) && p->mem_align <= FILE_BOUNCE_ALIGN &&
		    p->off_align <= FILE_BOUNCE_ALIGN;
	/* Larger blocks could make an image unusable for whoever made it: only when told to. */
	if (p->direct && p->off_align > *block_size) {
		if (a->direct == DIRECT_ON)
			*block_size = p->off_align;
		else
			p->direct = false;
	}
	if (p->direct)
		return 0;
	if (a->direct == DIRECT_ON)
		return mpn_log_err(EINVAL, "volume",
			"'%s': direct=on: its file system has no O_DIRECT; use direct=auto",
			a->path);
	if (flags >= 0 && fcntl(p->fd, F_SETFL, flags) != 0)
		return mpn_log_err(errno, "volume", "'%s': cannot leave O_DIRECT: %m", a->path);
	return 0;
}

/*
 * An identity that stays as long as the image does: of the machine, the inode and its birth.
 * The device number stands in where there is no birth time: it may change when the machine starts.
 */
static void
make_uuid(const struct file_priv *p, const struct stat *st, uint8_t uuid[16])
{
	struct vol_hash h;
	struct statx stx;

	vol_hash_begin(&h);
	vol_hash_machine(&h);
	if (p->block_device) {
		vol_hash_add(&h, &st->st_rdev, sizeof(st->st_rdev));
	} else {
		vol_hash_add(&h, &st->st_ino, sizeof(st->st_ino));
		if (statx(p->fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) == 0 &&
			(stx.stx_mask & STATX_BTIME) != 0) {
			vol_hash_add(&h, &stx.stx_btime.tv_sec, sizeof(stx.stx_btime.tv_sec));
			vol_hash_add(&h, &stx.stx_btime.tv_nsec, sizeof(stx.stx_btime.tv_nsec));
		} else {
			vol_hash_add(&h, &st->st_dev, sizeof(st->st_dev));
		}
	}
	vol_hash_end(&h, uuid);
}

/* Whether the disk below has a seek time. Partitions have their queue one level up. */
static bool
is_rotational(dev_t dev)
{
	static const char *const forms[] = {"/sys/dev/block/%u:%u/queue/rotational",
		"/sys/dev/block/%u:%u/../queue/rotational"};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(forms); i++) {
		char path[80];
		char c = '0';
		int fd;

		(void)snprintf(path, sizeof(path), forms[i], major(dev), minor(dev));
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, &c, 1) != 1)
			c = '0';
		close(fd);
		return c == '1';
	}
	return false;
}

static uint32_t
find_caps(struct file_priv *p, const struct file_args *a, const struct stat *st, uint64_t size)
{
	uint32_t caps = 0;

	if (is_rotational(p->block_device ? st->st_rdev : st->st_dev))
		caps |= VOL_CAP_ROTATIONAL;
	if (a->readonly)
		return caps | VOL_CAP_READONLY;
	caps |= VOL_CAP_FLUSH | VOL_CAP_FUA | VOL_CAP_WRITE_ZEROES;
	if (p->block_device)
		return caps | VOL_CAP_DISCARD;
	/* A hole behind the end changes nothing, and tells whether there can be holes. */
	p->no_punch = fallocate(p->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)((size + 4095) & ~4095ull), 4096) != 0;
	if (!p->no_punch)
		caps |= VOL_CAP_DISCARD | VOL_CAP_ZERO_AFTER_DISCARD;
	return caps;
}

static uint32_t
clamp_block(uint64_t bytes, uint32_t least)
{
	uint32_t block = least;

	while (block < bytes && block < 1u << 20)
		block *= 2;
	return block;
}

/* What the open and locked image is like. */
static int
fill_info(struct file_priv *p, const struct file_args *a, const struct stat *st,
	struct vol_info *info)
{
	uint64_t size;
	int sector = 512;
	int rc;

	rc = find_size(p->fd, a, st, &size);
	if (rc != 0)
		return rc;
	if (p->block_device && (ioctl(p->fd, BLKSSZGET, &sector) != 0 || sector < 512))
		sector = 512;
	info->block_size = (uint32_t)sector;
	rc = choose_direct(p, a, &info->block_size);
	if (rc != 0)
		return rc;
	info->size = size & ~(uint64_t)(info->block_size - 1);
	if (info->size == 0)
		return mpn_log_err(EINVAL, "volume",
			"'%s': has %llu bytes, less than a block; size=SIZE makes it larger",
			a->path, (unsigned long long)size);
	if (info->size != size)
		mpn_log(MPN_LOG_WARN, "volume",
			"'%s': its last %llu bytes are not served: not a whole block of %u",
			a->path, (unsigned long long)(size - info->size), info->block_size);
	info->phys_block = clamp_block((uint64_t)st->st_blksize, info->block_size);
	info->discard_gran = info->phys_block;
	info->caps = find_caps(p, a, st, size);
	make_uuid(p, st, info->uuid);
	return 0;
}

static int
file_open(struct volume *v, const char *spec)
{
	struct file_priv *p = vol_priv(v);
	struct file_args a;
	struct stat st;
	int rc;

	rc = parse_args(v, spec, &a);
	if (rc != 0)
		return rc;
	p->fd = open_image(&a, &st);
	if (p->fd < 0)
		return p->fd;
	p->block_device = S_ISBLK(st.st_mode);
	rc = file_lock(p->fd, a.path, a.readonly || a.shared);
	if (rc == 0)
		rc = fill_info(p, &a, &st, vol_info_rw(v));
	if (rc == 0)
		rc = file_io_init(p, a.path);
	if (rc != 0)
		close(p->fd);
	return rc;
}

static int
file_find_size(struct volume *v, uint64_t *size)
{
	const struct file_priv *p = vol_priv(v);
	struct stat st;

	if (p->block_device ? ioctl(p->fd, BLKGETSIZE64, size) != 0 : fstat(p->fd, &st) != 0)
		return mpn_log_err(errno, "volume", "'%s': cannot get its size: %m", vol_spec(v));
	if (!p->block_device)
		*size = (uint64_t)st.st_size;
	return 0;
}

static void
file_close(struct volume *v)
{
	struct file_priv *p = vol_priv(v);

	file_io_fini(p);
	close(p->fd);
}

const struct vol_ops vol_file_ops = {
	.name = "file",
	.synopsis = "file:PATH[,direct=on|off|auto][,size=SIZE][,lock=exclusive|shared]",
	.help = "a disk image or block device, through io_uring",
	.priv_size = sizeof(struct file_priv),
	.open = file_open,
	.close = file_close,
	.submit = file_submit,
	.poll = file_poll,
	.next_ns = file_next_ns,
	.fd = file_fd,
	.find_size = file_find_size,
};
