/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/** @file A job of `ebd perf` while it runs. */

#ifndef PERF_JOB_H
#define PERF_JOB_H

#include "perf.h"

struct perf_lane;

/* One request and its buffer. */
struct perf_slot {
	struct ebd_io io;
	struct perf_lane *lane;
	char *buf;
	struct perf_op op;
	uint64_t start_ns;
	bool counted; /* belongs to the measured span */
};

/* A queue of a job. */
struct perf_lane {
	struct perf_job *job;
	struct ebd_queue *q;
	struct perf_slot *slots;
	char *memory;
	unsigned in_flight;
	unsigned nb_idle;
	unsigned nb_ready; /* prepared, not taken by the queue yet */
	struct perf_slot **idle;
	struct ebd_io **ready;
	struct ebd_stats base_stats;
};

struct perf_job {
	const struct perf_job_conf *conf;
	struct ebd_client *client;
	struct perf_load load;
	struct perf_track track;
	struct perf_lane lanes[PERF_QUEUES_MAX];
	unsigned nb_lanes;
	unsigned next_poll; /* the lane that is polled next */
	bool measuring; /* what is started now counts */
	bool counting; /* what ends now may count */
	uint64_t ops_left; /* to be started in this phase */
	uint64_t rate_start_ns; /* what the rate is reckoned from */
	uint64_t rate_started;
	uint64_t *completed; /* requests of the run that have ended */
	struct perf_tally *period; /* of the live line, NULL: none */
	struct perf_result result;
};

/* conf and queues stay. 0 or -ENOMEM; perf_job_fini() is allowed after both. */
int perf_job_init(struct perf_job *j, const struct perf_job_conf *conf, struct ebd_client *client,
	struct ebd_queue *const *queues);
void perf_job_fini(struct perf_job *j);
/* Submit as much as load, rate and queues allow. @return requests taken, or -errno */
int perf_job_submit(struct perf_job *j, uint64_t now_ns);
/* Requests taken by queues and not ended. */
unsigned perf_job_in_flight(const struct perf_job *j);
/* Nothing to start, nothing under way? */
bool perf_job_is_done(const struct perf_job *j);
/* Give up what was prepared only; start nothing more. */
void perf_job_hold(struct perf_job *j);
/* The measured span begins, and ends. */
void perf_job_begin(struct perf_job *j, uint64_t now_ns);
void perf_job_end(struct perf_job *j, uint64_t now_ns, bool by_time);

#endif
