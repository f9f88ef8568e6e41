/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "mpn_parse.h"
#include "perf.h"

#define NSEC_PER_SEC 1000000000ull
#define MAX_BS (32u << 20)
#define MAX_MEMORY (512u << 20) /* of all buffers */
#define MAX_TRACKED (1ull << 28) /* blocks that --verify can keep track of */
#define SLICE_NS (NSEC_PER_SEC) /* of a pair with the ceiling, each */
#define DEFAULT_TIME (5 * NSEC_PER_SEC)
#define DAY_NS (86400 * NSEC_PER_SEC)

static int
set_rw(void *cfg, const char *arg)
{
	static const char *const names[] = {
#define X(id, name) name,
		PERF_RW_LIST(X)
#undef X
			NULL};
	int i = mpn_parse_choice(arg, names);

	if (i < 0)
		return i;
	((struct perf_conf *)cfg)->rw = (enum perf_rw)i;
	return 0;
}

static int
set_mix(void *cfg, const char *arg)
{
	uint64_t n;

	if (mpn_parse_u64(arg, 0, 100, &n) != 0)
		return -EINVAL;
	((struct perf_conf *)cfg)->mix = (unsigned)n;
	return 0;
}

static int
set_bs(void *cfg, const char *arg)
{
	uint64_t n;

	if (mpn_parse_size(arg, 512, MAX_BS, &n) != 0 || n % 512 != 0)
		return -EINVAL;
	((struct perf_conf *)cfg)->bs = (uint32_t)n;
	return 0;
}

static int
set_depth(void *cfg, const char *arg)
{
	uint64_t n;

	if (mpn_parse_u64(arg, 1, PERF_DEPTH_MAX, &n) != 0)
		return -EINVAL;
	((struct perf_conf *)cfg)->depth = (unsigned)n;
	return 0;
}

static int
set_time(void *cfg, const char *arg)
{
	return mpn_parse_time_ns(
		arg, NSEC_PER_SEC / 1000, DAY_NS, &((struct perf_conf *)cfg)->time_ns);
}

static int
set_ops(void *cfg, const char *arg)
{
	return mpn_parse_u64(arg, 1, UINT64_MAX - 1, &((struct perf_conf *)cfg)->ops);
}

static int
set_warmup(void *cfg, const char *arg)
{
	return mpn_parse_time_ns(arg, 0, DAY_NS, &((struct perf_conf *)cfg)->warmup_ns);
}

static int
set_offset(void *cfg, const char *arg)
{
	return mpn_parse_size(arg, 0, UINT64_MAX / 2, &((struct perf_conf *)cfg)->off);
}

static int
set_size(void *cfg, const char *arg)
{
	return mpn_parse_size(arg, 512, UINT64_MAX / 2, &((struct perf_conf *)cfg)->size);
}

static int
set_seed(void *cfg, const char *arg)
{
	return mpn_parse_u64(arg, 0, UINT64_MAX, &((struct perf_conf *)cfg)->seed);
}

static int
set_period(void *cfg, const char *arg)
{
	return mpn_parse_time_ns(
		arg, NSEC_PER_SEC / 10, DAY_NS, &((struct perf_conf *)cfg)->period_ns);
}

static int
set_verify(void *cfg, const char *arg)
{
	((struct perf_conf *)cfg)->verify = true;
	return 0;
}

static int
set_memory(void *cfg, const char *arg)
{
	static const char *const names[] = {"arena", "heap", NULL};
	int i = mpn_parse_choice(arg, names);

	if (i < 0)
		return i;
	((struct perf_conf *)cfg)->heap = i == 1;
	return 0;
}

static int
set_ceiling(void *cfg, const char *arg)
{
	((struct tool_conf *)cfg)->ceiling = true;
	return 0;
}

static const struct mpn_opt opts[] = {
	{"rw", 0, "LOAD", "read, write, randread, randwrite or randrw",
		"what to do; default: randread", set_rw},
	{"mix", 0, "PERCENT", "a number from 0 to 100", "part of reads in randrw; default: 70",
		set_mix},
	{"bs", 'b', "SIZE", "a multiple of 512 up to 32M, such as 4k",
		"bytes of a request; default: 4k", set_bs},
	{"depth", 'd', "N", "a number from 1 to 1024", "requests in flight; default: 32",
		set_depth},
	{"time", 't', "TIME", "a time from 1ms to 24h, such as 5s",
		"measure for so long; default: 5s, without --ops", set_time},
	{"ops", 'n', "N", "a number of requests", "measure so many requests", set_ops},
	{"warmup", 0, "TIME", "a time such as 1s", "run for so long before; default: 0",
		set_warmup},
	{"offset", 0, "SIZE", "a size such as 1G", "start of the range used; default: 0",
		set_offset},
	{"size", 0, "SIZE", "a size such as 1G",
		"length of the range used; default: to the end of the volume", set_size},
	{"seed", 0, "N", "a number", "of the random numbers; default: 1", set_seed},
	{"verify", 0, NULL, NULL, "write patterns, and check whatever is read", set_verify},
	{"memory", 0, "arena|heap", "arena or heap",
		"where the buffers are; default: arena, memory that needs no copy", set_memory},
	{"ceiling", 0, NULL, NULL,
		"in turns with the same frames without the protocol; the server needs --ceiling "
		"too",
		set_ceiling},
	{"stats-period", 0, "TIME", "a time such as 1s",
		"show a line this often; default: 1s on a terminal", set_period},
	TOOL_OPTS_QUEUE,
	TOOL_OPTS_CLIENT,
};

static const struct tool_usage usage = {
	.synopsis = "--link LINK [options] VOLUME",
	.text = "Measures a volume: requests per second, throughput, latency. A load with writes\n"
		"destroys what is on the volume. Ctrl-C prints the result so far.\n"
		"Exit status: 0 measured, 1 errors or bad content, 2 wrong command line.\n",
	.opts = opts,
	.nb_opts = MPN_ARRAY_SIZE(opts),
	.min_operands = 1,
	.max_operands = 1,
};

/* Fit the range to the volume. */
static int
fit_range(struct perf_conf *conf, const struct ebd_info *info)
{
	const struct tool_conf *tool = &conf->tool;

	if (conf->bs % info->block_size != 0)
		return tool_misuse(tool,
			"--bs: '%" PRIu32 "': expected a multiple of the block size, %" PRIu32,
			conf->bs, info->block_size);
	if (conf->off % info->block_size != 0)
		return tool_misuse(tool,
			"--offset: '%" PRIu64 "': expected a multiple of the block size, %" PRIu32,
			conf->off, info->block_size);
	if (conf->off >= info->size || conf->size > info->size - conf->off)
		return tool_misuse(tool,
			"--offset, --size: expected a range within the volume, %" PRIu64 " bytes",
			info->size);
	if (conf->size == 0)
		conf->size = info->size - conf->off;
	if (conf->size < conf->bs)
		return tool_misuse(tool,
			"--bs: '%" PRIu32 "': expected at most %" PRIu64 ", the bytes there are",
			conf->bs, conf->size);
	if (conf->verify && conf->size / conf->bs > MAX_TRACKED)
		return tool_misuse(tool,
			"--verify: keeps track of %llu blocks: expected a --size "
			"below that many times --bs",
			MAX_TRACKED);
	if (info->read_only && perf_rw_writes(conf->rw))
		return tool_fail(tool, "volume '%s' is read-only", info->name);
	return TOOL_GO_ON;
}

/* The exit status, and a line for what went wrong. */
static int
judge(const struct perf_conf *conf, const struct perf_result *r, int rc)
{
	int status = TOOL_OK;

	if (r->errors > 0)
		status = tool_fail(&conf->tool,
			"%" PRIu64 " requests failed, the first at byte %" PRIu64 ": %s", r->errors,
			r->first_error_off, strerror(-r->first_error));
	else if (rc < 0)
		status = tool_fail(&conf->tool, "the session is gone: %s", strerror(-rc));
	if (r->bad > 0)
		status = tool_fail(&conf->tool, "%" PRIu64 " blocks are not what was written: %s",
			r->bad, r->first_bad);
	return status;
}

static int
measure_ceiling(struct tool *t, struct perf_run *run, struct perf_conf *conf, const char *volume)
{
	struct perf_ceiling *c = calloc(1, sizeof(*c));
	uint64_t nb = (conf->time_ns + SLICE_NS - 1) / SLICE_NS;
	int status, rc;

	if (c == NULL)
		return tool_fail(&conf->tool, "out of memory");
	nb = nb < PERF_PAIRS_MIN ? PERF_PAIRS_MIN : nb > PERF_PAIRS_MAX ? PERF_PAIRS_MAX : nb;
	conf->time_ns /= nb;
	c->tool = t;
	rc = perf_ceiling_measure(c, run, conf, volume, (unsigned)nb);
	status = judge(conf, perf_run_result(run), 0);
	if (rc < 0 && status == TOOL_OK)
		status = tool_fail(&conf->tool, "%s", tool_reason(-rc));
	if (rc == 0 && perf_ceiling_print(conf, volume, c) != 0)
		status = tool_fail(&conf->tool, "cannot write the result");
	free(c);
	return status;
}

static int
measure(struct tool *t, struct perf_conf *conf, const char *volume)
{
	struct ebd_info info;
	struct perf_run *run;
	struct ebd_queue *q;
	int status, rc;

	q = tool_queue_open(
		t, volume, (uint16_t)MPN_MIN(conf->depth, EBD_DEPTH_MAX), conf->depth, &status);
	if (q == NULL)
		return status;
	ebd_queue_info(q, &info);
	status = fit_range(conf, &info);
	if (status != TOOL_GO_ON) {
		ebd_queue_close(q);
		return status;
	}
	run = perf_run_create(t, conf, q);
	if (run == NULL) {
		ebd_queue_close(q);
		return tool_fail(&conf->tool, "%u buffers of %" PRIu32 " bytes: out of memory",
			conf->depth, conf->bs);
	}
	if (conf->tool.ceiling) {
		status = measure_ceiling(t, run, conf, volume);
		ebd_queue_close(q);
	} else {
		rc = perf_run_measure(run);
		ebd_queue_close(q);
		status = judge(conf, perf_run_result(run), rc);
		if (perf_print(conf, volume, perf_run_result(run)) != 0)
			status = tool_fail(&conf->tool, "cannot write the result");
	}
	perf_run_destroy(run);
	return status;
}

static int
check_conf(struct perf_conf *conf)
{
	if (conf->time_ns == 0 && conf->ops == 0)
		conf->time_ns = DEFAULT_TIME;
	if (conf->tool.ceiling && (conf->ops != 0 || conf->verify))
		return tool_misuse(
			&conf->tool, "--ceiling: expected neither --ops nor --verify with it");
	if ((uint64_t)conf->bs * conf->depth > MAX_MEMORY)
		return tool_misuse(&conf->tool,
			"--bs times --depth: %" PRIu64 " bytes: expected at most %u",
			(uint64_t)conf->bs * conf->depth, MAX_MEMORY);
	return TOOL_GO_ON;
}

int
cmd_perf(int argc, char **argv)
{
	struct perf_conf conf = {
		.tool = {.prog = "ebd perf", .lcore = -1},
		.rw = PERF_RW_RANDREAD,
		.mix = 70,
		.bs = 4096,
		.depth = 32,
		.seed = 1,
	};
	const char *operands[TOOL_MAX_OPERANDS] = {NULL};
	struct tool t;
	int status;

	status = tool_parse(&conf.tool, &usage, argc, argv, operands);
	if (status == TOOL_GO_ON)
		status = check_conf(&conf);
	if (status == TOOL_GO_ON)
		status = tool_open(&t, &conf.tool);
	if (status != TOOL_GO_ON)
		return status;
	status = measure(&t, &conf, operands[0]);
	tool_close(&t);
	return status;
}
