/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The file back end in three parts: file.c opens the image and finds out what it is like, file_lock.c keeps
 * others from it, file_io.c moves data through io_uring.
 */

#ifndef VOLUME_FILE_H
#define VOLUME_FILE_H

#include <liburing.h>

#include "volume.h"

#define FILE_DEPTH 256 /* requests in the kernel at a time */
#define FILE_IOV 16 /* pieces of memory handed over at a time */
#define FILE_BOUNCE 16 /* requests of badly aligned memory at a time */
#define FILE_BOUNCE_BYTES (128u << 10)
#define FILE_BOUNCE_ALIGN 4096

struct file_slot;

struct file_priv {
	/*
	 * The only descriptor: all I/O goes through it and it carries the lock. It is O_DIRECT or it is
	 * not, for all requests: O_DIRECT beside buffered writes to one file is what open(2) warns of.
	 */
	int fd;
	bool direct;
	bool block_device;
	uint32_t mem_align; /* O_DIRECT: of memory and of the length of each piece */
	uint32_t off_align; /* O_DIRECT: of offsets */

	/* Learnt from EOPNOTSUPP. */
	bool no_punch;
	bool no_zero_range;
	bool no_dsync;
	uint64_t told_end; /* where it was said to end when it had become shorter, plus 1 */

	struct io_uring ring;
	struct file_slot *slots;
	struct file_slot *free_slots;
	char *bounce_mem;
	char *bounce[FILE_BOUNCE]; /* the free ones */
	unsigned nb_bounce;
	char *zeroes; /* FILE_BOUNCE_BYTES that stay zero */
};

/* Lock the image, for as long as fd is open. 0 or -errno after a log line. */
int file_lock(int fd, const char *path, bool shared);

/* Ring, slots, buffers. 0 or -errno after a log line. */
int file_io_init(struct file_priv *p, const char *path);
void file_io_fini(struct file_priv *p);

int file_submit(struct volume *v, struct vol_io *io);
unsigned file_poll(struct volume *v);
uint64_t file_next_ns(struct volume *v);
int file_fd(struct volume *v);

#endif
