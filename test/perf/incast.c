/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Many writers, one server: with grants, and with everything let in at once. In virtual time: all links
 * have 10 Gbit/s and 5 us, the switch's port to the server has a queue of 512 KiB.
 *
 *	incast [--quick | --check]
 *
 * --check: does the server hold no more than the staging buffers of doc/architecture.md, however many
 * write, and more where that rule is taken out?
 */

#include <stdio.h>
#include <string.h>

#include "vnet.h"

static const unsigned writers[] = {1, 2, 4, 8, 16, 32, 64};
#define NB_STEPS (sizeof(writers) / sizeof(writers[0]))
#define MODES 3
#define STAGES 64 /* large staging buffers of a server, see ebd_server_create() */
#define STAGE_BYTES (128 << 10)
#define WRITE_BYTES (64 << 10)

#define PUSHED 2 /* of them */

static const char *const names[MODES] = {"granted, 256", "granted, 32", "pushed"};
static const uint32_t grants[MODES] = {256, 32, 1u << 30};
static struct vnet_result results[MODES][NB_STEPS];

static int
measure(uint64_t run_ns)
{
	unsigned mode, i;

	for (mode = 0; mode < MODES; mode++) {
		for (i = 0; i < NB_STEPS; i++) {
			struct vnet_conf conf = {
				.nb_ini = writers[i],
				.depth = 16,
				.len = WRITE_BYTES,
				.write = true,
				.gbps = 10,
				.delay_ns = 5000,
				.queue_bytes = 512 << 10,
				.grant_frames = grants[mode],
				.max_bufs = mode == PUSHED ? 0 : STAGES,
				.disk_ns = 50000,
				.seed = 7,
				.run_ns = run_ns,
			};

			if (vnet_run(&conf, &results[mode][i]) < 0)
				return -1;
		}
	}
	return 0;
}

static int
check(void)
{
	const uint64_t bound = (uint64_t)STAGES * STAGE_BYTES,
		       held = (uint64_t)STAGES * WRITE_BYTES;
	int bad = 0;

	for (unsigned mode = 0; mode < MODES; mode++) {
		for (unsigned i = 0; i < NB_STEPS; i++) {
			uint64_t got = results[mode][i].bufs_max;
			/* Enough of them have all buffers in use, and the rest waits. */
			bool full = writers[i] >= 16;
			bool good = mode == PUSHED
					    ? !full || got > 2 * held
					    : got <= held && got <= bound && (!full || got == held);

			if (good)
				continue;
			printf("%s, %u writers: the server held %llu bytes; the staging buffers "
			       "have %llu\n",
				names[mode], writers[i], (unsigned long long)got,
				(unsigned long long)bound);
			bad = 1;
		}
	}
	return bad;
}

int
main(int argc, char **argv)
{
	bool checks = argc > 1 && strcmp(argv[1], "--check") == 0;
	bool quick = checks || (argc > 1 && strcmp(argv[1], "--quick") == 0);
	unsigned mode, i;

	if (measure(quick ? 50000000 : 500000000) < 0) {
		fputs("incast: a run did not open its sessions\n", stderr);
		return 1;
	}
	if (checks)
		return check();
	printf("In virtual time, from a seed: the real engines, links of 10 Gbit/s and 5 us, a "
	       "switch that queues 512 "
	       "KiB towards\nthe server; writes of 64 KiB in frames of 8 KiB, 16 by each writer at "
	       "a time; 50 us in "
	       "the back end. *Granted*: so many\nframes are granted at a time, and there are %u "
	       "staging buffers "
	       "(256 is what a server with 1024 descriptors has; 32 is\nwhat the queue of this "
	       "switch holds). "
	       "*Pushed*: the same engines, where every write is let in at once and gets "
	       "memory\nas it asks. MB/s, "
	       "p99 in us, most data held by the server in KiB, frames lost, least writer to the "
	       "average:\n\n"
	       "| writers |",
		STAGES);
	for (mode = 0; mode < MODES; mode++)
		printf(" %s: MB/s | p99 | KiB | lost | least |", names[mode]);
	puts("\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
	for (i = 0; i < NB_STEPS; i++) {
		printf("| %u |", writers[i]);
		for (mode = 0; mode < MODES; mode++) {
			const struct vnet_result *r = &results[mode][i];

			printf(" %.0f | %.0f | %llu | %llu | %.2f |", r->mb_per_s,
				(double)mpn_hist_percentile(&r->lat, 0.99) / 1e3,
				(unsigned long long)(r->bufs_max >> 10),
				(unsigned long long)r->lost, r->fairness);
		}
		puts("");
	}
	puts("\n@plot incast_memory memory of the server by writers\ntitle data the server holds "
	     "at most\n"
	     "xlog writers\ny KiB");
	for (mode = 0; mode < MODES; mode++) {
		printf("series %s\n", names[mode]);
		for (i = 0; i < NB_STEPS; i++)
			printf("%u %llu\n", writers[i],
				(unsigned long long)(results[mode][i].bufs_max >> 10));
	}
	puts("@end\n\n@plot incast_goodput goodput by writers\ntitle goodput\nxlog writers\ny "
	     "MB/s");
	for (mode = 0; mode < MODES; mode++) {
		printf("series %s\n", names[mode]);
		for (i = 0; i < NB_STEPS; i++)
			printf("%u %.1f\n", writers[i], results[mode][i].mb_per_s);
	}
	puts("@end");
	return 0;
}
