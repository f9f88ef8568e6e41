/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mpn_parse.h"
#include "perf_options.h"

#define NSEC_PER_SEC 1000000000ull
#define MAX_BS (32u << 20)
#define MAX_RATE 1000000000ull
#define DAY_NS (86400 * NSEC_PER_SEC)

void
perf_conf_init(struct perf_conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	conf->tool.prog = "ebd perf";
	conf->tool.lcore = -1;
	conf->job.rw = PERF_RW_RANDREAD;
	conf->job.mix = 70;
	conf->job.bs = 4096;
	conf->job.depth = 32;
	conf->job.queues = 1;
	conf->job.seed = 1;
}

static struct perf_job_conf *
job_of(void *cfg)
{
	return &((struct perf_conf *)cfg)->job;
}

static int
set_unsigned(const char *arg, uint64_t min, uint64_t max, unsigned *out)
{
	uint64_t n;

	if (mpn_parse_u64(arg, min, max, &n) != 0)
		return -EINVAL;
	*out = (unsigned)n;
	return 0;
}

static int
set_rw(void *cfg, const char *arg)
{
	int i = mpn_parse_choice(arg, perf_rw_names);

	if (i < 0)
		return i;
	job_of(cfg)->rw = (enum perf_rw)i;
	return 0;
}

static int
set_mix(void *cfg, const char *arg)
{
	return set_unsigned(arg, 0, 100, &job_of(cfg)->mix);
}

static int
set_bs(void *cfg, const char *arg)
{
	uint64_t n;

	if (mpn_parse_size(arg, 512, MAX_BS, &n) != 0 || n % 512 != 0)
		return -EINVAL;
	job_of(cfg)->bs = (uint32_t)n;
	return 0;
}

static int
set_depth(void *cfg, const char *arg)
{
	return set_unsigned(arg, 1, PERF_DEPTH_MAX, &job_of(cfg)->depth);
}

static int
set_queues(void *cfg, const char *arg)
{
	return set_unsigned(arg, 1, PERF_QUEUES_MAX, &job_of(cfg)->queues);
}

static int
set_ops(void *cfg, const char *arg)
{
	return mpn_parse_u64(arg, 1, UINT64_MAX - 1, &job_of(cfg)->ops);
}

static int
set_rate(void *cfg, const char *arg)
{
	return mpn_parse_u64(arg, 1, MAX_RATE, &job_of(cfg)->rate);
}

static int
set_offset(void *cfg, const char *arg)
{
	return mpn_parse_size(arg, 0, UINT64_MAX / 2, &job_of(cfg)->off);
}

static int
set_size(void *cfg, const char *arg)
{
	return mpn_parse_size(arg, 512, UINT64_MAX / 2, &job_of(cfg)->size);
}

static int
set_seed(void *cfg, const char *arg)
{
	return mpn_parse_u64(arg, 0, UINT64_MAX, &job_of(cfg)->seed);
}

static int
set_zipf(void *cfg, const char *arg)
{
	char *end;
	double theta;

	if (arg[0] < '0' || arg[0] > '9')
		return -EINVAL;
	theta = strtod(arg, &end);
	if (*end != '\0' || !(theta > 0.001 && theta < 0.999))
		return -EINVAL;
	job_of(cfg)->zipf = theta;
	return 0;
}

static int
set_verify(void *cfg, const char *arg)
{
	job_of(cfg)->verify = true;
	return 0;
}

static int
set_memory(void *cfg, const char *arg)
{
	static const char *const names[] = {"arena", "heap", NULL};
	int i = mpn_parse_choice(arg, names);

	if (i < 0)
		return i;
	job_of(cfg)->heap = i == 1;
	return 0;
}

static int
set_placement(void *cfg, const char *arg)
{
	int i = mpn_parse_choice(arg, perf_placement_names);

	if (i < 0)
		return i;
	job_of(cfg)->placement = (enum perf_placement)i;
	return 0;
}

static int
set_time(void *cfg, const char *arg)
{
	return mpn_parse_time_ns(
		arg, NSEC_PER_SEC / 1000, DAY_NS, &((struct perf_conf *)cfg)->time_ns);
}

static int
set_warmup(void *cfg, const char *arg)
{
	return mpn_parse_time_ns(arg, 0, DAY_NS, &((struct perf_conf *)cfg)->warmup_ns);
}

static int
set_period(void *cfg, const char *arg)
{
	return mpn_parse_time_ns(
		arg, NSEC_PER_SEC / 10, DAY_NS, &((struct perf_conf *)cfg)->period_ns);
}

static int
set_jobfile(void *cfg, const char *arg)
{
	((struct perf_conf *)cfg)->jobfile = arg;
	return arg[0] != '\0' ? 0 : -EINVAL;
}

static int
set_histogram(void *cfg, const char *arg)
{
	((struct perf_conf *)cfg)->histogram = arg;
	return arg[0] != '\0' ? 0 : -EINVAL;
}

static int
set_ceiling(void *cfg, const char *arg)
{
	((struct tool_conf *)cfg)->ceiling = true;
	return 0;
}

#define JOB_OPTS \
	{"rw", 0, "LOAD", "read, write, rw, randread, randwrite or randrw", \
		"what to do; default: randread", set_rw}, \
		{"rwmix-read", 0, "PERCENT", "a number from 0 to 100", \
			"part of reads in rw and randrw; default: 70", set_mix}, \
		{"bs", 'b', "SIZE", "a multiple of 512 up to 32M, such as 4k", \
			"bytes of a request; default: 4k", set_bs}, \
		{"depth", 'd', "N", "a number from 1 to 1024", \
			"requests in flight, of each queue; default: 32", set_depth}, \
		{"queues", 'q', "N", "a number from 1 to 64", \
			"sessions to each volume; default: 1", set_queues}, \
		{"ops", 'n', "N", "a number of requests", "end after so many requests", set_ops}, \
		{"rate", 0, "N", "a number of requests a second up to 1000000000", \
			"start at most so many requests a second; default: no limit", set_rate}, \
		{"offset", 0, "SIZE", "a size such as 1G", "start of the range used; default: 0", \
			set_offset}, \
		{"size", 0, "SIZE", "a size such as 1G", \
			"length of the range used; default: to the end of the volume", set_size}, \
		{"seed", 0, "N", "a number", "of the random numbers; default: 1", set_seed}, \
		{"zipf", 0, "THETA", "a number above 0.001 and below 0.999, such as 0.9", \
			"random blocks by Zipf's law; default: all blocks alike", set_zipf}, \
		{"verify", 0, NULL, NULL, \
			"write patterns, check whatever is read, read back all that was written", \
			set_verify}, \
		{"memory", 0, "arena|heap", "arena or heap", \
			"where the buffers are; default: arena, memory that needs no copy", \
			set_memory}, \
		{"placement", 0, "HOW", "auto, copy, loan or in-place", \
			"of what is read: auto is in-place where the link can, else copy", \
			set_placement},

#define RUN_OPTS \
	{"time", 't', "TIME", "a time from 1ms to 24h, such as 5s", \
		"measure for so long; default: 5s, without --ops", set_time}, \
		{"warmup", 0, "TIME", "a time such as 1s", "run for so long before; default: 0", \
			set_warmup}, \
		{"jobfile", 0, "FILE", "the name of a file", \
			"jobs: [NAME], then volume = NAME, rw = randread, ... a line", \
			set_jobfile}, \
		{"histogram", 0, "FILE", "the name of a file, - for the output", \
			"write all latencies: a line a bucket", set_histogram}, \
		{"ceiling", 0, NULL, NULL, \
			"in turns with the same frames without the protocol; the server needs " \
			"--ceiling too", \
			set_ceiling}, \
		{"stats-period", 0, "TIME", "a time such as 1s", \
			"show a line this often; default: 1s on a terminal", set_period},

static const struct mpn_opt opts[] = {JOB_OPTS RUN_OPTS TOOL_OPTS_QUEUE, TOOL_OPTS_CLIENT};

const size_t perf_nb_job_opts = MPN_ARRAY_SIZE(((struct mpn_opt[]){JOB_OPTS}));

const struct tool_usage perf_usage = {
	.synopsis = "--link LINK [options] VOLUME...",
	.text = "Measures volumes: requests per second, throughput, latency. Each VOLUME is a job "
		"of\n"
		"its own, all at the same time; so is each section of a --jobfile. A load with\n"
		"writes destroys what is on the volume. Ctrl-C prints the result so far.\n"
		"Exit status: 0 measured, 1 errors or bad content, 2 wrong command line.\n",
	.opts = opts,
	.nb_opts = MPN_ARRAY_SIZE(opts),
	.max_operands = TOOL_MAX_OPERANDS,
};
