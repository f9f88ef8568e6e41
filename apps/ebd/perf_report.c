/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What a run prints for people. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mpn_parse.h"
#include "perf_report.h"

/* ---- Text ---- */

static void
print_row(const struct perf_tally *t, unsigned dir, double sec)
{
	const struct mpn_hist *h = &t->lat[dir];
	unsigned i;

	printf("%-6s %10.0f %9.1f  %8.1f %8.1f", perf_dir_names[dir], perf_rate(t->ops[dir], sec),
		perf_rate(t->bytes[dir], sec) / 1e6, (double)h->min / 1e3,
		perf_average_ns(h) / 1e3);
	for (i = 0; i < PERF_NB_PARTS; i++)
		printf(" %8.1f", (double)mpn_hist_percentile(h, perf_parts[i].part) / 1e3);
	printf(" %9.1f\n", (double)h->max / 1e3);
}

static void
print_table(const struct perf_tally *t)
{
	double sec = perf_seconds(t);
	unsigned dir, i;

	printf("%-6s %10s %9s  %8s %8s", "", "IOPS", "MB/s", "min us", "avg");
	for (i = 0; i < PERF_NB_PARTS; i++)
		printf(" %8s", perf_parts[i].heading);
	printf(" %9s\n", "max");
	for (dir = 0; dir < PERF_DIRS; dir++) {
		if (t->ops[dir] > 0)
			print_row(t, dir, sec);
	}
	if (perf_tally_ops(t) == 0)
		puts("nothing was completed in the measured time");
}

static void
print_verdict(const struct perf_result *r)
{
	printf("verify: %" PRIu64 " blocks good, %" PRIu64 " bad", r->checked, r->bad);
	if (r->blank > 0)
		printf(", %" PRIu64 " without a pattern to judge by", r->blank);
	printf("\n");
	if (r->bad > 0)
		printf("first bad block: %s\n", r->first_bad);
}

/* "disk0: randread, 4 KiB, depth 32, 2 queues", without an end of line. */
static void
print_heading(const struct perf_job_conf *job)
{
	char bs[24];

	if (strcmp(job->name, job->volume) != 0)
		printf("%s on ", job->name);
	printf("%s: %s, %s, depth %u", job->volume, perf_rw_names[job->rw],
		mpn_format_size(bs, sizeof(bs), job->bs), job->depth);
	if (job->queues > 1)
		printf(", %u queues", job->queues);
	if (job->zipf > 0)
		printf(", zipf %.3g", job->zipf);
	if (job->rate > 0)
		printf(", at most %" PRIu64 " a second", job->rate);
}

static void
print_jobs(const struct perf_conf *conf, struct perf_run *r)
{
	unsigned i;

	for (i = 0; i < conf->nb_jobs; i++) {
		const struct perf_result *res = perf_run_result(r, i);

		print_heading(&conf->jobs[i]);
		printf(", %.3f s%s\n", perf_seconds(&res->tally),
			perf_run_total(r)->interrupted ? " (interrupted)" : "");
		print_table(&res->tally);
		if (conf->jobs[i].verify)
			print_verdict(res);
	}
}

/* What became of the payload; what is in none of these was sent by reference. */
static void
print_payload(const struct ebd_stats *st)
{
	double all = st->payload_bytes > 0 ? (double)st->payload_bytes / 100 : 1;

	printf("payload %.1f MB: in place %.1f%%, on loan %.1f%%, copied %.1f%%\n",
		(double)st->payload_bytes / 1e6, (double)st->in_place_bytes / all,
		(double)st->loaned_bytes / all, (double)st->copied_bytes / all);
}

static void
print_noise(double others)
{
	if (others >= PERF_NOISE)
		printf("note: others had our core for %.1f%% of the time: the numbers say little\n",
			others * 100);
}

static int
print_text(const struct perf_conf *conf, struct perf_run *run)
{
	const struct perf_total *total = perf_run_total(run);
	const struct perf_result *all = &total->all;
	uint64_t ops = perf_tally_ops(&all->tally);
	uint64_t cpu_ns = total->user_ns + total->system_ns;
	double sec = perf_seconds(&all->tally);

	print_jobs(conf, run);
	if (conf->nb_jobs > 1) {
		puts("all jobs");
		print_table(&all->tally);
	}
	printf("frames %" PRIu64 ", retransmits %" PRIu64 ", reconnects %" PRIu64
	       ", errors %" PRIu64 ", copies per byte %.2f\n",
		all->stats.tx_frames + all->stats.rx_frames, all->stats.retransmits,
		all->stats.reconnects, all->errors, perf_copies_per_byte(&all->stats));
	print_payload(&all->stats);
	printf("CPU: user %.2f s, system %.2f s, %.0f%% of a core, %.2f us per request\n",
		(double)total->user_ns / 1e9, (double)total->system_ns / 1e9,
		sec > 0 ? (double)cpu_ns / sec / 1e7 : 0.0,
		ops > 0 ? (double)cpu_ns / 1e3 / (double)ops : 0.0);
	print_noise(total->others);
	return fflush(stdout) != 0 ? -EIO : 0;
}

int
perf_print(const struct perf_conf *conf, struct perf_run *r)
{
	return conf->tool.json ? perf_print_json(conf, r) : print_text(conf, r);
}

/* ---- The ceiling ---- */

/* A sum of slices has its time in end_ns. */
static void
print_sum(const struct perf_tally *sum)
{
	struct perf_tally t = *sum;

	t.start_ns = 0;
	print_table(&t);
}

static int
print_ceiling_text(const struct perf_conf *conf, const struct perf_ceiling *c)
{
	struct perf_spread iops = perf_spread_of(c->iops_ratio, c->nb_pairs);
	struct perf_spread p50 = perf_spread_of(c->p50_ratio, c->nb_pairs);

	print_heading(&conf->jobs[0]);
	printf(", %u times %.3f s each\n", c->nb_pairs, (double)conf->time_ns / 1e9);
	if (c->nb_pairs > 0) {
		puts("with the protocol");
		print_sum(&c->real);
		puts("ceiling: the same frames without it");
		print_sum(&c->bare);
	}
	printf("IOPS to the ceiling's: %.3f (%.3f .. %.3f)\n", iops.median, iops.min, iops.max);
	printf("p50 to the ceiling's:  %.3f (%.3f .. %.3f)\n", p50.median, p50.min, p50.max);
	if (c->lost > 0)
		printf("the ceiling lost %" PRIu64 " commands and sent them again\n", c->lost);
	print_noise(c->others);
	return fflush(stdout) != 0 ? -EIO : 0;
}

int
perf_ceiling_print(const struct perf_conf *conf, const struct perf_ceiling *c)
{
	return conf->tool.json ? perf_ceiling_print_json(conf, c) : print_ceiling_text(conf, c);
}

/* ---- All latencies ---- */

static void
write_buckets(FILE *f, const char *job, const char *dir, const struct mpn_hist *h)
{
	uint64_t below = 0;
	unsigned i;

	for (i = 0; i < MPN_HIST_BUCKETS; i++) {
		if (h->bucket[i] == 0)
			continue;
		below += h->bucket[i];
		fprintf(f, "%s %s %" PRIu64 " %" PRIu64 " %.6f\n", job, dir,
			MPN_MIN(mpn_hist_upper(i), h->max), h->bucket[i],
			(double)below / (double)h->count);
	}
}

int
perf_histogram_write(const struct perf_conf *conf, struct perf_run *r)
{
	bool to_stdout = strcmp(conf->histogram, "-") == 0;
	FILE *f = to_stdout ? stdout : fopen(conf->histogram, "w");
	unsigned i, dir;
	int rc = 0;

	if (f == NULL)
		return -errno;
	fputs("# job direction up_to_ns requests part_up_to_here\n", f);
	for (i = 0; i < conf->nb_jobs; i++) {
		const struct perf_tally *t = &perf_run_result(r, i)->tally;

		for (dir = 0; dir < PERF_DIRS; dir++)
			write_buckets(f, conf->jobs[i].name, perf_dir_names[dir], &t->lat[dir]);
	}
	if (fflush(f) != 0)
		rc = -errno;
	if (!to_stdout && fclose(f) != 0 && rc == 0)
		rc = -errno;
	return rc;
}
