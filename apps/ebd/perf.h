/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * `ebd perf`: loads on volumes, and what came of them.
 *
 *	run -> job (a load on a volume) -> lane (a queue of it) -> slot (a request, its buffer)
 *
 * All jobs of a run go on at the same time, on one thread.
 */

#ifndef PERF_H
#define PERF_H

#include "ebd.h"
#include "mpn_hist.h"
#include "perf_load.h"
#include "tool.h"

#define PERF_DEPTH_MAX 1024 /* of a queue */
#define PERF_QUEUES_MAX 64 /* of a job */
#define PERF_JOBS_MAX 16

/* How the data of reads is to get to its buffer. */
#define PERF_PLACE_LIST(X) \
	X(AUTO, "auto") \
	X(COPY, "copy") \
	X(LOAN, "loan") \
	X(IN_PLACE, "in-place")

enum perf_placement {
#define X(id, name) PERF_PLACE_##id,
	PERF_PLACE_LIST(X)
#undef X
};

/* One load on one volume: an operand of the command line, or a section of a job file. */
struct perf_job_conf {
	char name[EBD_NAME_LEN];
	char volume[EBD_NAME_LEN];
	enum perf_rw rw;
	unsigned mix; /* percent of reads in rw and randrw */
	uint32_t bs; /* bytes of a request */
	unsigned depth; /* requests in flight, of each queue */
	unsigned queues;
	uint64_t ops; /* requests of all queues; 0: until the time is over */
	uint64_t rate; /* requests a second of all queues; 0: as fast as they go */
	uint64_t off; /* of the range, bytes */
	uint64_t size; /* of the range, bytes; 0: to the end of the volume */
	uint64_t seed;
	double zipf; /* 0: all blocks alike */
	bool verify;
	enum perf_placement placement;
	bool heap; /* buffers from the heap, not from an arena */
};

struct perf_conf {
	struct tool_conf tool;
	struct perf_job_conf job; /* what options of the command line say */
	struct perf_job_conf jobs[PERF_JOBS_MAX];
	unsigned nb_jobs;
	const char *jobfile;
	const char *histogram; /* file for all latencies */
	uint64_t time_ns; /* 0: until all jobs have done their ops */
	uint64_t warmup_ns;
	uint64_t period_ns; /* of the live line, 0: each second, on a terminal only */
};

enum perf_dir { PERF_READ, PERF_WRITE, PERF_DIRS };

/* What completed in a span of time. */
struct perf_tally {
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t ops[PERF_DIRS];
	uint64_t bytes[PERF_DIRS];
	struct mpn_hist lat[PERF_DIRS]; /* ns */
};

struct perf_result {
	struct perf_tally tally;
	uint64_t errors;
	int first_error; /* -errno */
	uint64_t first_error_off;
	uint64_t checked; /* blocks read whose content was judged */
	uint64_t blank; /* blocks read that no run has written: nothing to judge by */
	uint64_t bad;
	char first_bad[128];
	struct ebd_stats stats; /* of the measured span */
};

/* What is known of the run as a whole. */
struct perf_total {
	struct perf_result all; /* of all jobs */
	uint64_t user_ns; /* CPU time of the measured span */
	uint64_t system_ns;
	double others; /* part of the span in which others had our core */
	bool interrupted;
};

struct perf_run;

/* Nothing to do yet. NULL with errno ENOMEM. */
struct perf_run *perf_run_create(struct tool *t, const struct perf_conf *conf);
void perf_run_destroy(struct perf_run *r);
/*
 * Add a job; jc->size is set, and jc stays. Its jc->queues queues are the caller's; all of them belong
 * to one client. 0 or -ENOMEM.
 */
int
perf_run_add(struct perf_run *r, const struct perf_job_conf *jc, struct ebd_queue *const *queues);
/* Other queues for the n-th job, when nothing is in flight. */
void perf_run_set_queues(struct perf_run *r, unsigned n, struct ebd_queue *const *queues);
/*
 * Run the load, again and again if wanted. When it is broken off, requests are still in flight
 * afterwards: close the queues before perf_run_destroy().
 * @return 0, or -errno when a session has gone: the result covers the time before that
 */
int perf_run_measure(struct perf_run *r);
/* Read what was written by jobs that verify, once. As perf_run_measure(). */
int perf_run_read_back(struct perf_run *r);
/* The result of the n-th job. */
const struct perf_result *perf_run_result(const struct perf_run *r, unsigned n);
/* All of them together. */
const struct perf_total *perf_run_total(struct perf_run *r);

/* Start to count. */
void perf_tally_reset(struct perf_tally *t, uint64_t now_ns);
/* Add what src has counted; the span of dst is left as it is. */
void perf_tally_add(struct perf_tally *dst, const struct perf_tally *src);
uint64_t perf_tally_ops(const struct perf_tally *t);
/* Time for which others had our core since this process was started, ns; 0: not known. */
uint64_t perf_waited_ns(void);

/*
 * Read jobs from a file into conf->jobs; conf->job has what they start with.
 * @return TOOL_GO_ON, or the exit status after an error line
 */
int perf_jobfile_read(
	struct perf_conf *conf, const char *path, const struct mpn_opt *opts, size_t nb_opts);

/* ---- The ceiling ---- */

#define PERF_PAIRS_MIN 5
#define PERF_PAIRS_MAX 1000
#define PERF_NOISE 0.02 /* others that have our core for more than this disturb */

/* The load and its ceiling, in pairs of slices that follow each other. */
struct perf_ceiling {
	struct tool *tool;
	unsigned nb_pairs;
	double real_iops[PERF_PAIRS_MAX];
	double bare_iops[PERF_PAIRS_MAX];
	double iops_ratio[PERF_PAIRS_MAX]; /* real to bare */
	double p50_ratio[PERF_PAIRS_MAX];
	struct perf_tally real; /* all slices; end_ns is their time */
	struct perf_tally bare;
	struct perf_tally slice;
	uint64_t lost; /* commands of the ceiling that were sent again */
	uint64_t working_set; /* bytes the ceiling reads from */
	double others; /* part of the time in which others had our core */
};

struct perf_spread {
	double median, min, max;
};
struct perf_spread perf_spread_of(const double *values, unsigned n);

/*
 * Measure so many pairs of the only job of the run, conf->time_ns a slice. 0 or -errno; broken off:
 * the pairs there are.
 */
int perf_ceiling_measure(struct perf_ceiling *c, struct perf_run *run, const struct perf_conf *conf,
	unsigned nb_pairs);
/* Print it. 0 or -EIO. */
int perf_ceiling_print(const struct perf_conf *conf, const struct perf_ceiling *c);

/* ---- Reports ---- */

extern const char *const perf_rw_names[];
extern const char *const perf_placement_names[];

/* One line on how it goes. @return buf */
char *perf_format_live(const struct perf_tally *t, uint64_t errors, char *buf, size_t size);
/* Print everything. 0 or -EIO. */
int perf_print(const struct perf_conf *conf, struct perf_run *r);
/* Write all latencies: a line a bucket. 0 or -errno. */
int perf_histogram_write(const struct perf_conf *conf, struct perf_run *r);

#endif
