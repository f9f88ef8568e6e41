/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Specifications of volumes: whatever opens, works. Built without the file back end, which would make
 * files of any name and size; mem takes its first contents from nowhere for the same reason.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "mpn_log.h"
#include "volume.h"

#define MAX_MEM (64u << 10)

static unsigned nb_lines;
static uint64_t clock_ns;

static void
count_line(enum mpn_log_level level, const char *topic, const char *line)
{
	nb_lines++;
}

static uint64_t
read_clock(void)
{
	return clock_ns;
}

static void *
alloc_little(size_t bytes, void *ctx)
{
	errno = ENOMEM;
	return bytes <= MAX_MEM ? aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095) : NULL;
}

static void
free_little(void *mem, size_t bytes, void *ctx)
{
	free(mem);
}

static void
note_done(struct vol_io *io, int status)
{
	MUST(status <= 0);
	++*(unsigned *)io->user;
}

/* One request of each operation ends, exactly once. */
static void
use_volume(struct volume *v)
{
	static char block[65536];
	const struct vol_info *info = vol_get_info(v);
	const struct iovec iov = {block, info->block_size};
	struct vol_io ios[VOL_OPS];
	unsigned taken = 0, done = 0, rounds, op;

	for (op = 0; op < VOL_OPS; op++) {
		ios[op] = (struct vol_io){
			.op = (enum vol_op)op,
			.off = info->size - info->block_size,
			.len = info->block_size,
			.iov = &iov,
			.iovcnt = 1,
			.done = note_done,
			.user = &done,
		};
		taken += vol_submit(v, &ios[op]) == 0;
	}
	/* Eight delay filters hold a request for at most eight minutes. */
	for (rounds = 0; done < taken && rounds < 100; rounds++) {
		uint64_t wait = vol_next_ns(v);

		MUST(wait != UINT64_MAX);
		clock_ns += wait;
		(void)vol_poll(v);
	}
	MUST(done == taken);
	MUST(vol_get_stats(v)->in_flight == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct volume *v;
	char spec[512];
	int rc;

	if (size >= sizeof(spec))
		return 0;
	memcpy(spec, data, size);
	spec[size] = '\0';
	if (strstr(spec, "file") != NULL)
		return 0;
	mpn_log_set_sink(count_line);
	vol_set_clock(read_clock);
	vol_mem_set_allocator(alloc_little, free_little, NULL);
	nb_lines = 0;
	rc = vol_open_spec(spec, &v);
	MUST(rc <= 0);
	/* One line for an error, none without. */
	MUST(nb_lines == (rc != 0));
	MUST((v != NULL) == (rc == 0));
	if (v == NULL)
		return 0;
	use_volume(v);
	vol_close(v);
	return 0;
}
