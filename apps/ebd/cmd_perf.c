/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "perf.h"
#include "perf_options.h"

#define NSEC_PER_SEC 1000000000ull
#define MAX_MEMORY (512u << 20) /* of all buffers */
#define MAX_TRACKED (1ull << 28) /* blocks that --verify can keep track of */
#define SLICE_NS (NSEC_PER_SEC) /* of a pair with the ceiling, each */
#define DEFAULT_TIME (5 * NSEC_PER_SEC)

/* ---- Queues ---- */

struct perf_queues {
	struct ebd_queue *q[PERF_JOBS_MAX][PERF_QUEUES_MAX];
};

static void
close_queues(const struct perf_conf *conf, struct perf_queues *queues)
{
	unsigned i, k;

	for (i = 0; i < conf->nb_jobs; i++) {
		for (k = 0; k < conf->jobs[i].queues; k++) {
			ebd_queue_close(queues->q[i][k]);
			queues->q[i][k] = NULL;
		}
	}
}

static void
fill_queue_conf(struct ebd_queue_conf *qc, const struct perf_job_conf *job)
{
	static const enum ebd_placement placements[] = {
		[PERF_PLACE_COPY] = EBD_PLACE_COPY,
		[PERF_PLACE_LOAN] = EBD_PLACE_COPY,
		[PERF_PLACE_IN_PLACE] = EBD_PLACE_IN_PLACE,
		[PERF_PLACE_AUTO] = EBD_PLACE_AUTO,
	};

	*qc = (struct ebd_queue_conf){
		.volume = job->volume,
		.depth = (uint16_t)MPN_MIN(job->depth, EBD_DEPTH_MAX),
		.max_queued = job->depth,
		.placement = placements[job->placement],
	};
}

static int
open_queues(struct tool *t, const struct perf_conf *conf, struct perf_queues *queues)
{
	unsigned i, k;
	int status;

	for (i = 0; i < conf->nb_jobs; i++) {
		const struct perf_job_conf *job = &conf->jobs[i];
		struct ebd_queue_conf qc;

		fill_queue_conf(&qc, job);
		for (k = 0; k < job->queues; k++) {
			queues->q[i][k] = tool_queue_open(t, &qc, &status);
			if (queues->q[i][k] == NULL)
				return status;
		}
	}
	return TOOL_GO_ON;
}

/* ---- Fitting to the volumes ---- */

static int
fit_range(const struct tool_conf *tool, struct perf_job_conf *job, const struct ebd_info *info)
{
	if (job->bs % info->block_size != 0)
		return tool_misuse(tool,
			"--bs: '%" PRIu32 "': expected a multiple of the block size, %" PRIu32,
			job->bs, info->block_size);
	if (job->off % info->block_size != 0)
		return tool_misuse(tool,
			"--offset: '%" PRIu64 "': expected a multiple of the block size, %" PRIu32,
			job->off, info->block_size);
	if (job->off >= info->size || job->size > info->size - job->off)
		return tool_misuse(tool,
			"--offset, --size: expected a range within the volume, %" PRIu64 " bytes",
			info->size);
	if (job->size == 0)
		job->size = info->size - job->off;
	if (job->size < job->bs)
		return tool_misuse(tool,
			"--bs: '%" PRIu32 "': expected at most %" PRIu64 ", the bytes there are",
			job->bs, job->size);
	if (job->placement == PERF_PLACE_LOAN && job->bs > info->max_transfer)
		return tool_misuse(tool,
			"--placement loan: '%" PRIu32 "': expected --bs of at most %" PRIu32
			", what one command moves",
			job->bs, info->max_transfer);
	if (job->verify && job->size / job->bs > MAX_TRACKED)
		return tool_misuse(tool,
			"--verify: keeps track of %llu blocks: expected a --size "
			"below that many times --bs",
			MAX_TRACKED);
	if (info->read_only && perf_rw_writes(job->rw))
		return tool_fail(tool, "volume '%s' is read-only", info->name);
	return TOOL_GO_ON;
}

static bool
overlap(const struct perf_job_conf *a, const struct perf_job_conf *b)
{
	return strcmp(a->volume, b->volume) == 0 && a->off < b->off + b->size &&
	       b->off < a->off + a->size;
}

/* Who writes where another one checks would be taken for damage. */
static int
check_overlaps(const struct perf_conf *conf)
{
	unsigned i, k;

	for (i = 0; i < conf->nb_jobs; i++) {
		for (k = 0; k < conf->nb_jobs; k++) {
			const struct perf_job_conf *a = &conf->jobs[i], *b = &conf->jobs[k];

			if (i != k && a->verify && perf_rw_writes(b->rw) && overlap(a, b))
				return tool_misuse(&conf->tool,
					"--verify: job '%s' writes where job '%s' checks: expected "
					"ranges apart, by --offset and --size",
					b->name, a->name);
		}
	}
	return TOOL_GO_ON;
}

static int
fit_jobs(struct perf_conf *conf, const struct perf_queues *queues)
{
	struct ebd_info info;
	unsigned i;
	int status;

	for (i = 0; i < conf->nb_jobs; i++) {
		ebd_queue_info(queues->q[i][0], &info);
		status = fit_range(&conf->tool, &conf->jobs[i], &info);
		if (status != TOOL_GO_ON)
			return status;
	}
	return check_overlaps(conf);
}

/* ---- Measuring ---- */

/* The exit status, and a line for what went wrong. */
static int
judge(const struct perf_conf *conf, const struct perf_total *total, int rc)
{
	const struct perf_result *r = &total->all;
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
measure_ceiling(struct tool *t, struct perf_run *run, struct perf_conf *conf)
{
	struct perf_ceiling *c = calloc(1, sizeof(*c));
	uint64_t nb = (conf->time_ns + SLICE_NS - 1) / SLICE_NS;
	int status, rc;

	if (c == NULL)
		return tool_fail(&conf->tool, "out of memory");
	nb = nb < PERF_PAIRS_MIN ? PERF_PAIRS_MIN : nb > PERF_PAIRS_MAX ? PERF_PAIRS_MAX : nb;
	conf->time_ns /= nb;
	c->tool = t;
	rc = perf_ceiling_measure(c, run, conf, (unsigned)nb);
	status = judge(conf, perf_run_total(run), 0);
	if (rc < 0 && status == TOOL_OK)
		status = tool_fail(&conf->tool, "%s", tool_reason(-rc));
	if (rc == 0 && perf_ceiling_print(conf, c) != 0)
		status = tool_fail(&conf->tool, "cannot write the result");
	free(c);
	return status;
}

/* Through sessions of their own: what was answered must be there for others, too. */
static int
read_back(struct tool *t, struct perf_run *run, const struct perf_conf *conf,
	struct perf_queues *queues, int *status)
{
	unsigned i;

	close_queues(conf, queues);
	*status = open_queues(t, conf, queues);
	if (*status != TOOL_GO_ON)
		return 0;
	for (i = 0; i < conf->nb_jobs; i++)
		perf_run_set_queues(run, i, queues->q[i]);
	return perf_run_read_back(run);
}

static bool
verifies_writes(const struct perf_conf *conf)
{
	unsigned i;

	for (i = 0; i < conf->nb_jobs; i++) {
		if (conf->jobs[i].verify && perf_rw_writes(conf->jobs[i].rw))
			return true;
	}
	return false;
}

static int
measure_load(
	struct tool *t, struct perf_run *run, struct perf_conf *conf, struct perf_queues *queues)
{
	int rc = perf_run_measure(run), status = TOOL_GO_ON, verdict;

	if (rc == 0 && !perf_run_total(run)->interrupted && verifies_writes(conf))
		rc = read_back(t, run, conf, queues, &status);
	close_queues(conf, queues);
	verdict = judge(conf, perf_run_total(run), rc);
	if (perf_print(conf, run) != 0)
		verdict = tool_fail(&conf->tool, "cannot write the result");
	rc = conf->histogram != NULL ? perf_histogram_write(conf, run) : 0;
	if (rc < 0)
		verdict = tool_fail(
			&conf->tool, "--histogram: '%s': %s", conf->histogram, strerror(-rc));
	return status != TOOL_GO_ON ? status : verdict;
}

static int
run_jobs(struct tool *t, struct perf_conf *conf, struct perf_queues *queues)
{
	struct perf_run *run = perf_run_create(t, conf);
	unsigned i;
	int status, rc = run != NULL ? 0 : -ENOMEM;

	for (i = 0; i < conf->nb_jobs && rc == 0; i++)
		rc = perf_run_add(run, &conf->jobs[i], queues->q[i]);
	if (rc < 0)
		status = tool_fail(&conf->tool, "no memory for the buffers of all requests");
	else if (conf->tool.ceiling)
		status = measure_ceiling(t, run, conf);
	else
		status = measure_load(t, run, conf, queues);
	/* What a signal has left in flight uses the buffers. */
	close_queues(conf, queues);
	perf_run_destroy(run);
	return status;
}

static int
measure(struct tool *t, struct perf_conf *conf)
{
	struct perf_queues *queues = calloc(1, sizeof(*queues));
	int status;

	if (queues == NULL)
		return tool_fail(&conf->tool, "out of memory");
	status = open_queues(t, conf, queues);
	if (status == TOOL_GO_ON)
		status = fit_jobs(conf, queues);
	if (status == TOOL_GO_ON)
		status = run_jobs(t, conf, queues);
	close_queues(conf, queues);
	free(queues);
	return status;
}

/* ---- The command line ---- */

/* Each operand is a job; so is each section of a job file. */
static int
collect_jobs(struct perf_conf *conf, const char *const *operands)
{
	if (conf->jobfile != NULL && operands[0] != NULL)
		return tool_misuse(&conf->tool,
			"'%s': expected no VOLUME beside --jobfile: its jobs name theirs",
			operands[0]);
	if (conf->jobfile != NULL)
		return perf_jobfile_read(conf, conf->jobfile, perf_usage.opts, perf_nb_job_opts);
	if (operands[0] == NULL)
		return tool_misuse(&conf->tool, "something is missing: expected %s %s",
			conf->tool.prog, perf_usage.synopsis);
	for (; conf->nb_jobs < TOOL_MAX_OPERANDS && operands[conf->nb_jobs] != NULL;
		conf->nb_jobs++) {
		struct perf_job_conf *job = &conf->jobs[conf->nb_jobs];
		const char *volume = operands[conf->nb_jobs];

		*job = conf->job;
		if (volume[0] == '\0' || strlen(volume) >= sizeof(job->volume))
			return tool_misuse(&conf->tool,
				"'%s': expected the name of a volume, 1 to 63 characters", volume);
		memcpy(job->volume, volume, strlen(volume) + 1);
		memcpy(job->name, volume, strlen(volume) + 1);
	}
	return TOOL_GO_ON;
}

static int
check_ceiling(const struct perf_conf *conf)
{
	const struct perf_job_conf *job = &conf->jobs[0];

	if (!conf->tool.ceiling)
		return TOOL_GO_ON;
	if (conf->nb_jobs > 1)
		return tool_misuse(&conf->tool, "--ceiling: expected one volume");
	if (job->ops != 0 || job->verify || job->zipf > 0 || job->rate != 0)
		return tool_misuse(&conf->tool,
			"--ceiling: expected no --ops, --verify, --zipf or --rate with it");
	if (job->depth * job->queues > PERF_DEPTH_MAX)
		return tool_misuse(&conf->tool,
			"--ceiling: --depth times --queues: %u: expected at most %d",
			job->depth * job->queues, PERF_DEPTH_MAX);
	return TOOL_GO_ON;
}

static int
check_conf(struct perf_conf *conf)
{
	uint64_t bytes = 0;
	bool by_ops = true;
	unsigned i;

	for (i = 0; i < conf->nb_jobs; i++) {
		struct perf_job_conf *job = &conf->jobs[i];

		if (job->placement == PERF_PLACE_IN_PLACE && job->heap)
			return tool_misuse(&conf->tool,
				"--placement in-place: expected --memory arena with it");
		/* What is not in an arena is copied on every link. */
		if (job->placement == PERF_PLACE_COPY)
			job->heap = true;
		bytes += (uint64_t)job->bs * job->depth * job->queues;
		by_ops = by_ops && job->ops != 0;
	}
	if (bytes > MAX_MEMORY)
		return tool_misuse(&conf->tool,
			"--bs times --depth times --queues: %" PRIu64 " bytes: expected at most %u",
			bytes, MAX_MEMORY);
	if (conf->time_ns == 0 && !by_ops)
		conf->time_ns = DEFAULT_TIME;
	return check_ceiling(conf);
}

int
cmd_perf(int argc, char **argv)
{
	struct perf_conf *conf = calloc(1, sizeof(*conf));
	const char *operands[TOOL_MAX_OPERANDS] = {NULL};
	struct tool t;
	int status;

	if (conf == NULL)
		return TOOL_FAILED;
	perf_conf_init(conf);
	status = tool_parse(&conf->tool, &perf_usage, argc, argv, operands);
	if (status == TOOL_GO_ON)
		status = collect_jobs(conf, operands);
	if (status == TOOL_GO_ON)
		status = check_conf(conf);
	if (status == TOOL_GO_ON)
		status = tool_open(&t, &conf->tool);
	if (status == TOOL_GO_ON) {
		status = measure(&t, conf);
		tool_close(&t);
	}
	free(conf);
	return status;
}
