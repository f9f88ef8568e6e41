/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What a run prints for programs. */

#include <stdio.h>

#include "format.h"
#include "mpn_out.h"
#include "perf_report.h"

static void
print_latency(struct mpn_out *o, const struct mpn_hist *h)
{
	unsigned i;

	mpn_out_object(o, "latency_ns");
	mpn_out_u64(o, "min", h->count > 0 ? h->min : 0);
	mpn_out_f64(o, "avg", perf_average_ns(h), 1);
	for (i = 0; i < PERF_NB_PARTS; i++)
		mpn_out_u64(o, perf_parts[i].key, mpn_hist_percentile(h, perf_parts[i].part));
	mpn_out_u64(o, "max", h->max);
	mpn_out_close(o);
}

static void
print_job_conf(struct mpn_out *o, const struct perf_job_conf *job)
{
	mpn_out_str(o, "volume", job->volume);
	mpn_out_str(o, "rw", perf_rw_names[job->rw]);
	if (perf_rw_is_mixed(job->rw))
		mpn_out_u64(o, "rwmix_read", job->mix);
	mpn_out_u64(o, "block_size", job->bs);
	mpn_out_u64(o, "depth", job->depth);
	mpn_out_u64(o, "queues", job->queues);
	mpn_out_str(o, "placement", perf_placement_names[job->placement]);
	mpn_out_str(o, "memory", job->heap ? "heap" : "arena");
	mpn_out_u64(o, "seed", job->seed);
	if (job->zipf > 0)
		mpn_out_f64(o, "zipf", job->zipf, 3);
	if (job->rate > 0)
		mpn_out_u64(o, "rate", job->rate);
}

static void
print_tally(struct mpn_out *o, const struct perf_tally *t)
{
	double sec = perf_seconds(t);
	unsigned dir;

	mpn_out_f64(o, "seconds", sec, 6);
	mpn_out_u64(o, "ops", perf_tally_ops(t));
	mpn_out_f64(o, "iops", perf_rate(perf_tally_ops(t), sec), 1);
	mpn_out_f64(
		o, "mb_per_s", perf_rate(t->bytes[PERF_READ] + t->bytes[PERF_WRITE], sec) / 1e6, 1);
	for (dir = 0; dir < PERF_DIRS; dir++) {
		mpn_out_object(o, perf_dir_names[dir]);
		mpn_out_u64(o, "ops", t->ops[dir]);
		mpn_out_f64(o, "iops", perf_rate(t->ops[dir], sec), 1);
		mpn_out_f64(o, "mb_per_s", perf_rate(t->bytes[dir], sec) / 1e6, 1);
		print_latency(o, &t->lat[dir]);
		mpn_out_close(o);
	}
}

static void
print_stats(struct mpn_out *o, const struct perf_result *r, bool verify)
{
	mpn_out_u64(o, "errors", r->errors);
	mpn_out_u64(o, "frames", r->stats.tx_frames + r->stats.rx_frames);
	mpn_out_u64(o, "retransmits", r->stats.retransmits);
	mpn_out_u64(o, "drops", r->stats.drops);
	mpn_out_u64(o, "reconnects", r->stats.reconnects);
	if (!verify)
		return;
	mpn_out_u64(o, "verify_good", r->checked);
	mpn_out_u64(o, "verify_blank", r->blank);
	mpn_out_u64(o, "verify_bad", r->bad);
}

static void
print_total(struct mpn_out *o, const struct perf_total *total)
{
	const struct ebd_stats *st = &total->all.stats;

	format_payload(o, st);
	mpn_out_f64(o, "copies_per_byte", perf_copies_per_byte(st), 3);
	mpn_out_f64(o, "cpu_user_s", (double)total->user_ns / 1e9, 3);
	mpn_out_f64(o, "cpu_system_s", (double)total->system_ns / 1e9, 3);
	mpn_out_f64(o, "others_had_our_core", total->others, 4);
	mpn_out_bool(o, "interrupted", total->interrupted);
}

int
perf_print_json(const struct perf_conf *conf, struct perf_run *r)
{
	const struct perf_total *total = perf_run_total(r);
	bool verify = false;
	struct mpn_out o;
	unsigned i;

	mpn_out_begin(&o, stdout, true);
	for (i = 0; i < conf->nb_jobs; i++)
		verify = verify || conf->jobs[i].verify;
	if (conf->nb_jobs == 1)
		print_job_conf(&o, &conf->jobs[0]);
	print_tally(&o, &total->all.tally);
	print_stats(&o, &total->all, verify);
	print_total(&o, total);
	if (conf->nb_jobs > 1) {
		mpn_out_array(&o, "jobs");
		for (i = 0; i < conf->nb_jobs; i++) {
			mpn_out_object(&o, NULL);
			mpn_out_str(&o, "name", conf->jobs[i].name);
			print_job_conf(&o, &conf->jobs[i]);
			print_tally(&o, &perf_run_result(r, i)->tally);
			print_stats(&o, perf_run_result(r, i), conf->jobs[i].verify);
			format_payload(&o, &perf_run_result(r, i)->stats);
			mpn_out_close(&o);
		}
		mpn_out_close(&o);
	}
	return mpn_out_end(&o);
}

/* ---- The ceiling ---- */

static void
print_spread(struct mpn_out *o, const char *key, const double *values, unsigned n)
{
	struct perf_spread s = perf_spread_of(values, n);

	mpn_out_object(o, key);
	mpn_out_f64(o, "median", s.median, 3);
	mpn_out_f64(o, "min", s.min, 3);
	mpn_out_f64(o, "max", s.max, 3);
	mpn_out_close(o);
}

static void
print_half(struct mpn_out *o, const char *key, const struct perf_tally *t, const double *iops,
	unsigned nb_pairs)
{
	unsigned dir;

	mpn_out_object(o, key);
	print_spread(o, "iops", iops, nb_pairs);
	for (dir = 0; dir < PERF_DIRS; dir++) {
		if (t->ops[dir] == 0)
			continue;
		mpn_out_object(o, perf_dir_names[dir]);
		mpn_out_u64(o, "ops", t->ops[dir]);
		print_latency(o, &t->lat[dir]);
		mpn_out_close(o);
	}
	mpn_out_close(o);
}

int
perf_ceiling_print_json(const struct perf_conf *conf, const struct perf_ceiling *c)
{
	struct mpn_out o;

	mpn_out_begin(&o, stdout, true);
	print_job_conf(&o, &conf->jobs[0]);
	mpn_out_u64(&o, "pairs", c->nb_pairs);
	mpn_out_f64(&o, "slice_s", (double)conf->time_ns / 1e9, 3);
	print_spread(&o, "iops_ratio", c->iops_ratio, c->nb_pairs);
	print_spread(&o, "p50_ratio", c->p50_ratio, c->nb_pairs);
	print_half(&o, "real", &c->real, c->real_iops, c->nb_pairs);
	print_half(&o, "ceiling", &c->bare, c->bare_iops, c->nb_pairs);
	mpn_out_u64(&o, "ceiling_lost", c->lost);
	mpn_out_u64(&o, "ceiling_bytes", c->working_set);
	mpn_out_f64(&o, "others_had_our_core", c->others, 4);
	return mpn_out_end(&o);
}
