/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/** @file What the reports of `ebd perf` share. */

#ifndef PERF_REPORT_H
#define PERF_REPORT_H

#include "perf.h"

/** A part of all requests whose latency is shown. */
struct perf_part {
	double part;
	const char *key; /**< in JSON */
	const char *heading;
};
#define PERF_NB_PARTS 5
extern const struct perf_part perf_parts[PERF_NB_PARTS];
extern const char *const perf_dir_names[PERF_DIRS];

/* Numbers of a tally. */
double perf_seconds(const struct perf_tally *t);
double perf_rate(uint64_t n, double seconds);
double perf_average_ns(const struct mpn_hist *h);
double perf_copies_per_byte(const struct ebd_stats *st);

int perf_print_json(const struct perf_conf *conf, struct perf_run *r);
int perf_ceiling_print_json(const struct perf_conf *conf, const struct perf_ceiling *c);

#endif
