/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Partition tables, GPT and MBR, read from a disk that may hold anything. No state, no heap. */

#ifndef VOLUME_PARTITION_TABLE_H
#define VOLUME_PARTITION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PART_MAX 128 /* partitions looked at: what GPT has as a rule */

/* How to read the disk. */
struct part_disk {
	uint64_t size; /* bytes */
	/* Read [off, off + len), which is inside the disk. 0 or -errno. */
	int (*read)(void *ctx, uint64_t off, void *buf, size_t len);
	void *ctx;
};

struct part {
	uint64_t off; /* bytes */
	uint64_t len;
	unsigned number; /* from 1 on; logical ones of MBR from 5 on */
};

struct part_list {
	const char *kind; /* "GPT" or "MBR" */
	unsigned nb;
	struct part parts[PART_MAX];
};

/*
 * Find all partitions that are whole and inside the disk.
 * 0; -ENOENT: no table; -EBADMSG: a table that contradicts itself; or what reading gave
 */
int part_table_read(const struct part_disk *d, struct part_list *list);

#endif
