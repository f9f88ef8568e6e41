/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mpn_err.h"
#include "mpn_out.h"
#include "mpn_parse.h"
#include "perf.h"

static const char *const rw_names[] = {
#define X(id, name) name,
	PERF_RW_LIST(X)
#undef X
};
static const char *const dir_names[PERF_DIRS] = {"read", "write"};

/* The parts of all requests whose latency is shown: {part, name in JSON, heading}. */
static const struct {
	double part;
	const char *key;
	const char *heading;
} parts[] = {
	{0.50, "p50", "p50"},
	{0.90, "p90", "p90"},
	{0.99, "p99", "p99"},
	{0.999, "p99_9", "p99.9"},
};

static double
seconds(const struct perf_tally *t)
{
	return t->end_ns > t->start_ns ? (double)(t->end_ns - t->start_ns) / 1e9 : 0.0;
}

static double
rate(uint64_t n, double sec)
{
	return sec > 0 ? (double)n / sec : 0.0;
}

static double
average_ns(const struct mpn_hist *h)
{
	return h->count > 0 ? (double)h->sum / (double)h->count : 0.0;
}

static double
copies_per_byte(const struct ebd_stats *st)
{
	return st->payload_bytes > 0 ? (double)st->copied_bytes / (double)st->payload_bytes : 0.0;
}

char *
perf_format_live(const struct perf_tally *t, uint32_t bs, uint64_t errors, char *buf, size_t size)
{
	uint64_t ops = t->ops[PERF_READ] + t->ops[PERF_WRITE];
	const struct mpn_hist *h = t->ops[PERF_READ] > 0 ? &t->lat[PERF_READ] : &t->lat[PERF_WRITE];
	double iops = rate(ops, seconds(t));

	(void)snprintf(buf, size,
		"%.1f kIOPS  %.1f MB/s  p50 %.1f us  p99 %.1f us  errors %" PRIu64, iops / 1e3,
		iops * bs / 1e6, (double)mpn_hist_percentile(h, 0.5) / 1e3,
		(double)mpn_hist_percentile(h, 0.99) / 1e3, errors);
	return buf;
}

/* ---- JSON ---- */

static void
print_latency_json(struct mpn_out *o, const struct mpn_hist *h)
{
	unsigned i;

	mpn_out_object(o, "latency_ns");
	mpn_out_u64(o, "min", h->count > 0 ? h->min : 0);
	mpn_out_f64(o, "avg", average_ns(h), 1);
	for (i = 0; i < MPN_ARRAY_SIZE(parts); i++)
		mpn_out_u64(o, parts[i].key, mpn_hist_percentile(h, parts[i].part));
	mpn_out_u64(o, "max", h->max);
	mpn_out_close(o);
}

static int
print_json(const struct perf_conf *conf, const char *volume, const struct perf_result *r)
{
	double sec = seconds(&r->tally);
	uint64_t ops = r->tally.ops[PERF_READ] + r->tally.ops[PERF_WRITE];
	struct mpn_out o;
	unsigned dir;

	mpn_out_begin(&o, stdout, true);
	mpn_out_str(&o, "volume", volume);
	mpn_out_str(&o, "rw", rw_names[conf->rw]);
	mpn_out_u64(&o, "block_size", conf->bs);
	mpn_out_u64(&o, "depth", conf->depth);
	mpn_out_str(&o, "memory", conf->heap ? "heap" : "arena");
	mpn_out_u64(&o, "seed", conf->seed);
	mpn_out_f64(&o, "seconds", sec, 6);
	mpn_out_u64(&o, "ops", ops);
	mpn_out_f64(&o, "iops", rate(ops, sec), 1);
	mpn_out_f64(&o, "mb_per_s", rate(ops, sec) * conf->bs / 1e6, 1);
	for (dir = 0; dir < PERF_DIRS; dir++) {
		mpn_out_object(&o, dir_names[dir]);
		mpn_out_u64(&o, "ops", r->tally.ops[dir]);
		mpn_out_f64(&o, "iops", rate(r->tally.ops[dir], sec), 1);
		mpn_out_f64(&o, "mb_per_s", rate(r->tally.ops[dir], sec) * conf->bs / 1e6, 1);
		print_latency_json(&o, &r->tally.lat[dir]);
		mpn_out_close(&o);
	}
	mpn_out_u64(&o, "errors", r->errors);
	mpn_out_u64(&o, "frames", r->stats.tx_frames + r->stats.rx_frames);
	mpn_out_u64(&o, "retransmits", r->stats.retransmits);
	mpn_out_u64(&o, "drops", r->stats.drops);
	mpn_out_u64(&o, "reconnects", r->stats.reconnects);
	mpn_out_f64(&o, "copies_per_byte", copies_per_byte(&r->stats), 3);
	mpn_out_f64(&o, "cpu_user_s", (double)r->user_ns / 1e9, 3);
	mpn_out_f64(&o, "cpu_system_s", (double)r->system_ns / 1e9, 3);
	mpn_out_bool(&o, "interrupted", r->interrupted);
	if (conf->verify) {
		mpn_out_u64(&o, "verify_good", r->checked);
		mpn_out_u64(&o, "verify_blank", r->blank);
		mpn_out_u64(&o, "verify_bad", r->bad);
	}
	return mpn_out_end(&o);
}

/* ---- Text ---- */

static void
print_row(const struct perf_conf *conf, const struct perf_tally *t, unsigned dir)
{
	const struct mpn_hist *h = &t->lat[dir];
	double iops = rate(t->ops[dir], seconds(t));
	unsigned i;

	printf("%-6s %10.0f %9.1f  %8.1f %8.1f", dir_names[dir], iops, iops * conf->bs / 1e6,
		(double)h->min / 1e3, average_ns(h) / 1e3);
	for (i = 0; i < MPN_ARRAY_SIZE(parts); i++)
		printf(" %8.1f", (double)mpn_hist_percentile(h, parts[i].part) / 1e3);
	printf(" %9.1f\n", (double)h->max / 1e3);
}

static void
print_table(const struct perf_conf *conf, const struct perf_tally *t)
{
	unsigned dir, i;

	printf("%-6s %10s %9s  %8s %8s", "", "IOPS", "MB/s", "min us", "avg");
	for (i = 0; i < MPN_ARRAY_SIZE(parts); i++)
		printf(" %8s", parts[i].heading);
	printf(" %9s\n", "max");
	for (dir = 0; dir < PERF_DIRS; dir++) {
		if (t->ops[dir] > 0)
			print_row(conf, t, dir);
	}
	if (t->ops[PERF_READ] + t->ops[PERF_WRITE] == 0)
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

static int
print_text(const struct perf_conf *conf, const char *volume, const struct perf_result *r)
{
	const struct perf_tally *t = &r->tally;
	uint64_t ops = t->ops[PERF_READ] + t->ops[PERF_WRITE];
	uint64_t cpu_ns = r->user_ns + r->system_ns;
	double sec = seconds(t);
	char bs[24];

	printf("%s: %s, %s, depth %u, %.3f s%s\n", volume, rw_names[conf->rw],
		mpn_format_size(bs, sizeof(bs), conf->bs), conf->depth, sec,
		r->interrupted ? " (interrupted)" : "");
	print_table(conf, t);
	printf("frames %" PRIu64 ", retransmits %" PRIu64 ", reconnects %" PRIu64
	       ", errors %" PRIu64 ", copies per byte %.2f\n",
		r->stats.tx_frames + r->stats.rx_frames, r->stats.retransmits, r->stats.reconnects,
		r->errors, copies_per_byte(&r->stats));
	printf("CPU: user %.2f s, system %.2f s, %.0f%% of a core, %.2f us per request\n",
		(double)r->user_ns / 1e9, (double)r->system_ns / 1e9,
		sec > 0 ? (double)cpu_ns / sec / 1e7 : 0.0,
		ops > 0 ? (double)cpu_ns / 1e3 / (double)ops : 0.0);
	if (conf->verify)
		print_verdict(r);
	return fflush(stdout) != 0 ? -EIO : 0;
}

/* ---- The ceiling ---- */

static void
print_spread_json(struct mpn_out *o, const char *key, const double *values, unsigned n)
{
	struct perf_spread s = perf_spread_of(values, n);

	mpn_out_object(o, key);
	mpn_out_f64(o, "median", s.median, 3);
	mpn_out_f64(o, "min", s.min, 3);
	mpn_out_f64(o, "max", s.max, 3);
	mpn_out_close(o);
}

static int
print_ceiling_json(const struct perf_conf *conf, const char *volume, const struct perf_ceiling *c)
{
	const struct perf_tally *tallies[2] = {&c->real, &c->bare};
	static const char *const names[2] = {"real", "ceiling"};
	struct mpn_out o;
	unsigned i, dir;

	mpn_out_begin(&o, stdout, true);
	mpn_out_str(&o, "volume", volume);
	mpn_out_str(&o, "rw", rw_names[conf->rw]);
	mpn_out_u64(&o, "block_size", conf->bs);
	mpn_out_u64(&o, "depth", conf->depth);
	mpn_out_u64(&o, "pairs", c->nb_pairs);
	mpn_out_f64(&o, "slice_s", (double)conf->time_ns / 1e9, 3);
	print_spread_json(&o, "iops_ratio", c->iops_ratio, c->nb_pairs);
	print_spread_json(&o, "p50_ratio", c->p50_ratio, c->nb_pairs);
	for (i = 0; i < 2; i++) {
		mpn_out_object(&o, names[i]);
		print_spread_json(&o, "iops", i == 0 ? c->real_iops : c->bare_iops, c->nb_pairs);
		for (dir = 0; dir < PERF_DIRS; dir++) {
			if (tallies[i]->ops[dir] == 0)
				continue;
			mpn_out_object(&o, dir_names[dir]);
			mpn_out_u64(&o, "ops", tallies[i]->ops[dir]);
			print_latency_json(&o, &tallies[i]->lat[dir]);
			mpn_out_close(&o);
		}
		mpn_out_close(&o);
	}
	mpn_out_u64(&o, "ceiling_lost", c->lost);
	mpn_out_u64(&o, "ceiling_bytes", c->working_set);
	mpn_out_f64(&o, "others_had_our_core", c->others, 4);
	return mpn_out_end(&o);
}

static int
print_ceiling_text(const struct perf_conf *conf, const char *volume, const struct perf_ceiling *c)
{
	struct perf_spread iops = perf_spread_of(c->iops_ratio, c->nb_pairs);
	struct perf_spread p50 = perf_spread_of(c->p50_ratio, c->nb_pairs);
	char bs[24];

	printf("%s: %s, %s, depth %u, %u times %.3f s each\n", volume, rw_names[conf->rw],
		mpn_format_size(bs, sizeof(bs), conf->bs), conf->depth, c->nb_pairs,
		(double)conf->time_ns / 1e9);
	if (c->nb_pairs > 0) {
		puts("with the protocol");
		print_table(conf, &c->real);
		puts("ceiling: the same frames without it");
		print_table(conf, &c->bare);
	}
	printf("IOPS to the ceiling's: %.3f (%.3f .. %.3f)\n", iops.median, iops.min, iops.max);
	printf("p50 to the ceiling's:  %.3f (%.3f .. %.3f)\n", p50.median, p50.min, p50.max);
	if (c->lost > 0)
		printf("the ceiling lost %" PRIu64 " commands and sent them again\n", c->lost);
	if (c->others >= PERF_NOISE)
		printf("note: others had our core for %.1f%% of the time: the numbers say little\n",
			c->others * 100);
	return fflush(stdout) != 0 ? -EIO : 0;
}

int
perf_ceiling_print(const struct perf_conf *conf, const char *volume, const struct perf_ceiling *c)
{
	return conf->tool.json ? print_ceiling_json(conf, volume, c)
			       : print_ceiling_text(conf, volume, c);
}

int
perf_print(const struct perf_conf *conf, const char *volume, const struct perf_result *r)
{
	return conf->tool.json ? print_json(conf, volume, r) : print_text(conf, volume, r);
}
