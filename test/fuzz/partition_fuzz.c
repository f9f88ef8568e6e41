/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Partition tables from a hostile disk: the input is its sectors, first those at the start, the last one
 * at the end. Whatever is found is inside the disk, and looking for it ends.
 */

#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "partition_table.h"

#define DISK_SECTORS 4096u
#define READS_MAX 4096 /* tables of 1024 entries, twice, in two sizes of sectors */

struct disk {
	const uint8_t *data;
	size_t size;
	unsigned nb_reads;
};

static int
read_input(void *ctx, uint64_t off, void *buf, size_t len)
{
	struct disk *d = ctx;
	uint64_t end = (uint64_t)DISK_SECTORS * 512;
	uint8_t *to = buf;
	size_t i;

	MUST(off <= end && len <= end - off);
	MUST(++d->nb_reads < 3 * READS_MAX);
	for (i = 0; i < len; i++) {
		uint64_t pos = off + i;

		/* The end of the disk is the end of the input. */
		if (pos >= end - 512 && d->size >= 512)
			pos = d->size - (end - pos);
		to[i] = pos < d->size ? d->data[pos] : 0;
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct part_list list;
	struct disk d = {.data = data, .size = size};
	const struct part_disk disk = {
		.size = (uint64_t)DISK_SECTORS * 512, .read = read_input, .ctx = &d};
	int rc = part_table_read(&disk, &list);
	unsigned i;

	MUST(rc == 0 || rc == -ENOENT || rc == -EBADMSG);
	for (i = 0; rc == 0 && i < list.nb; i++) {
		const struct part *p = &list.parts[i];

		MUST(p->number >= 1 && p->len > 0 && p->off > 0);
		MUST(p->off <= disk.size && p->len <= disk.size - p->off);
	}
	return 0;
}
