/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * `ebd perf`: a load of equal requests on one volume, and what came of it.
 *
 *	load (which block next) -> slot (request, buffer) -> queue -> tally (counts, latencies)
 */

#ifndef PERF_H
#define PERF_H

#include "ebd.h"
#include "mpn_hist.h"
#include "perf_load.h"
#include "tool.h"

#define PERF_DEPTH_MAX 1024

struct perf_conf {
	struct tool_conf tool;
	enum perf_rw rw;
	unsigned mix; /* percent of reads in randrw */
	uint32_t bs; /* bytes of a request */
	unsigned depth; /* requests in flight */
	uint64_t time_ns; /* 0: until ops are done */
	uint64_t ops; /* 0: until the time is over */
	uint64_t warmup_ns;
	uint64_t off; /* of the range, bytes */
	uint64_t size; /* of the range, bytes; 0: to the end of the volume */
	uint64_t seed;
	uint64_t period_ns; /* of the live line, 0: each second, on a terminal only */
	bool verify;
	bool heap; /* buffers from the heap, not from an arena */
};

enum perf_dir { PERF_READ, PERF_WRITE, PERF_DIRS };

/* What completed in a span of time. */
struct perf_tally {
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t ops[PERF_DIRS];
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
	uint64_t user_ns; /* CPU time of the measured span */
	uint64_t system_ns;
	bool interrupted;
};

struct perf_run;

/*
 * Get memory and buffers ready for a load on q; conf->size is set. NULL with errno ENOMEM.
 */
struct perf_run *perf_run_create(struct tool *t, const struct perf_conf *conf, struct ebd_queue *q);
/* After the queue was closed. */
void perf_run_destroy(struct perf_run *r);
/*
 * Run the load, and with verify read back what it wrote. When it is broken off, requests are still in
 * flight afterwards.
 * @return 0, or -errno when the session has gone: the result covers the time before that
 */
int perf_run_measure(struct perf_run *r);
const struct perf_result *perf_run_result(const struct perf_run *r);

/* Start to count. */
void perf_tally_reset(struct perf_tally *t, uint64_t now_ns);

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

/* Measure so many pairs, conf->time_ns a slice. 0 or -errno; broken off: the pairs there are. */
int perf_ceiling_measure(struct perf_ceiling *c, struct perf_run *run, const struct perf_conf *conf,
	const char *volume, unsigned nb_pairs);
/* Print it. 0 or -EIO. */
int
perf_ceiling_print(const struct perf_conf *conf, const char *volume, const struct perf_ceiling *c);

/* One line on how it goes. @return buf */
char *
perf_format_live(const struct perf_tally *t, uint32_t bs, uint64_t errors, char *buf, size_t size);
/* Print everything. 0 or -EIO. */
int perf_print(const struct perf_conf *conf, const char *volume, const struct perf_result *r);

#endif
