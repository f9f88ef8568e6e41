/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What is left of a link that loses frames: the protocol as it is, which asks again for exactly what is
 * missing, and the same engines on a link that is made reliable below them by going back to the gap.
 * In virtual time: 40 Gbit/s, 5 us one way.
 *
 *	loss [--quick]
 */

#include <stdio.h>
#include <string.h>

#include "vnet.h"

static const double losses[] = {0, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2};
#define NB_LOSSES (sizeof(losses) / sizeof(losses[0]))

#define REPAIRS 3

static struct vnet_result results[2][REPAIRS][NB_LOSSES]; /* write, repair, loss */

static int
measure(uint64_t run_ns)
{
	unsigned write, how, i;

	for (write = 0; write < 2; write++) {
		for (how = 0; how < REPAIRS; how++) {
			for (i = 0; i < NB_LOSSES; i++) {
				struct vnet_conf conf = {
					.nb_ini = 1,
					.depth = 32,
					.len = 65536,
					.write = write,
					.loss = losses[i],
					.repair = (enum vnet_repair)how,
					.gbps = 40,
					.delay_ns = 5000,
					.grant_frames = 256,
					.max_bufs = 64,
					.disk_ns = 10000,
					.seed = 1 + i,
					.run_ns = run_ns,
				};

				if (vnet_run(&conf, &results[write][how][i]) < 0)
					return -1;
			}
		}
	}
	return 0;
}

static const char *const names[REPAIRS] = {
	"what is missing", "from the gap on, at a complaint", "from the gap on, after 5 ms"};

static void
print_table(unsigned write)
{
	unsigned i, how;

	printf("\n%s of 64 KiB, depth 32. MB/s, part of lossless, p99 in us, frames sent "
	       "again:\n\n| loss |",
		write ? "Writes" : "Reads");
	for (how = 0; how < REPAIRS; how++)
		printf(" %s | | | |", names[how]);
	puts(" ratio to the second | to the third |\n"
	     "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
	for (i = 0; i < NB_LOSSES; i++) {
		printf("| %g |", losses[i]);
		for (how = 0; how < REPAIRS; how++) {
			const struct vnet_result *r = &results[write][how][i];

			printf(" %.0f | %.2f | %.0f | %llu |", r->mb_per_s,
				r->mb_per_s / results[write][how][0].mb_per_s,
				(double)mpn_hist_percentile(&r->lat, 0.99) / 1e3,
				(unsigned long long)(r->repeated + r->retransmits));
		}
		for (how = 1; how < REPAIRS; how++)
			printf(" %.2f |", results[write][how][i].mb_per_s > 0
						  ? results[write][0][i].mb_per_s /
							    results[write][how][i].mb_per_s
						  : 0);
		puts("");
	}
}

static void
print_plot(void)
{
	unsigned write, how, i;

	puts("\n@plot loss goodput by loss\ntitle goodput of 64 KiB requests, depth 32, 40 Gbit/s\n"
	     "xlog part of all frames that is lost\ny MB/s");
	for (write = 0; write < 2; write++) {
		for (how = 0; how < REPAIRS; how++) {
			printf("series %s, %s\n", write ? "W" : "R", names[how]);
			for (i = 1; i < NB_LOSSES; i++)
				printf("%g %.1f\n", losses[i], results[write][how][i].mb_per_s);
		}
	}
	puts("@end");
}

int
main(int argc, char **argv)
{
	bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;

	if (measure(quick ? 100000000 : 1000000000) < 0) {
		fputs("loss: a run did not open its session\n", stderr);
		return 1;
	}
	puts("In virtual time, from a seed: the real engines on a link of 10 Gbit/s and 5 us one "
	     "way, payload units "
	     "of 8 KiB.\nEach frame is lost with the given probability, in both directions, "
	     "requests and answers "
	     "alike. The first columns are\nthe protocol as it is. The others are the ablation: "
	     "the same engines "
	     "above a link that delivers in order, where the\nreceiver throws away what follows a "
	     "gap and the sender "
	     "starts again there, either when the receiver complains (which\nis never lost, as are "
	     "acknowledgements), or when no acknowledgement has come for 5 ms, as in eRPC. With so "
	     "short a\nlink a "
	     "complaint comes back after two frames: that going back is dear is a matter of how "
	     "long it takes to "
	     "know.");
	print_table(0);
	print_table(1);
	print_plot();
	return 0;
}
