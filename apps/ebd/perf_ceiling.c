/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The load and its ceiling in turns: A B A B ... What disturbs one slice disturbs its neighbour too, so
 * the ratios of neighbours say more than the ratio of two long runs.
 */

#include <errno.h>
#include <string.h>

#include "perf.h"

/* Also its time, which end_ns of a sum is. */
static void
add_slice(struct perf_tally *sum, const struct perf_tally *t)
{
	sum->end_ns += t->end_ns - t->start_ns;
	perf_tally_add(sum, t);
}

static double
iops_of(const struct perf_tally *t)
{
	uint64_t ns = t->end_ns - t->start_ns;

	return ns > 0 ? (double)perf_tally_ops(t) * 1e9 / (double)ns : 0.0;
}

/* Of reads if there are any. */
static double
p50_of(const struct perf_tally *t)
{
	return (double)mpn_hist_percentile(
		&t->lat[t->ops[PERF_READ] > 0 ? PERF_READ : PERF_WRITE], 0.5);
}

static void
on_bare_done(bool write, uint64_t latency_ns, void *arg)
{
	mpn_hist_add(&((struct perf_tally *)arg)->lat[write ? PERF_WRITE : PERF_READ], latency_ns);
}

/* A slice without the protocol. */
static int
run_bare(struct perf_ceiling *c, const struct perf_conf *conf, unsigned i)
{
	const struct perf_job_conf *job = &conf->jobs[0];
	struct ebd_ceiling_result r;
	struct ebd_ceiling_conf cc = {
		.volume = job->volume,
		.off = job->off,
		.size = job->size,
		.bs = job->bs,
		.depth = job->depth * job->queues,
		.read_percent = perf_rw_is_mixed(job->rw) ? job->mix
				: perf_rw_writes(job->rw) ? 0
							  : 100,
		.random = perf_rw_is_random(job->rw),
		.seed = job->seed + i,
		.time_ns = conf->time_ns,
		.done = on_bare_done,
		.arg = &c->slice,
	};
	int rc;

	memcpy(cc.target_mac, conf->tool.target_mac, sizeof(cc.target_mac));
	perf_tally_reset(&c->slice, 0);
	rc = ebd_ceiling_run(c->tool->client, &cc, &r);
	if (rc < 0)
		return rc;
	c->slice.end_ns = r.ns;
	c->slice.bytes[PERF_READ] = r.reads * job->bs;
	c->slice.bytes[PERF_WRITE] = r.writes * job->bs;
	c->slice.ops[PERF_READ] = r.reads;
	c->slice.ops[PERF_WRITE] = r.writes;
	c->lost += r.lost;
	c->working_set = r.bytes;
	return 0;
}

static void
add_pair(struct perf_ceiling *c, const struct perf_tally *real)
{
	unsigned i = c->nb_pairs++;

	c->real_iops[i] = iops_of(real);
	c->bare_iops[i] = iops_of(&c->slice);
	c->iops_ratio[i] = c->bare_iops[i] > 0 ? c->real_iops[i] / c->bare_iops[i] : 0.0;
	c->p50_ratio[i] = p50_of(&c->slice) > 0 ? p50_of(real) / p50_of(&c->slice) : 0.0;
	add_slice(&c->real, real);
	add_slice(&c->bare, &c->slice);
}

int
perf_ceiling_measure(struct perf_ceiling *c, struct perf_run *run, const struct perf_conf *conf,
	unsigned nb_pairs)
{
	uint64_t start_ns = ebd_now_ns(), waited = perf_waited_ns();
	unsigned i;
	int rc = 0;

	perf_tally_reset(&c->real, 0);
	perf_tally_reset(&c->bare, 0);
	c->real.end_ns = c->bare.end_ns = 0;
	for (i = 0; i < nb_pairs && rc == 0; i++) {
		rc = perf_run_measure(run);
		if (rc < 0 || perf_run_total(run)->interrupted)
			break;
		rc = run_bare(c, conf, i);
		if (rc == 0)
			add_pair(c, &perf_run_result(run, 0)->tally);
	}
	if (ebd_now_ns() > start_ns)
		c->others = (double)(perf_waited_ns() - waited) / (double)(ebd_now_ns() - start_ns);
	return rc == -EINTR ? 0 : rc;
}
