/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/** @file The options of `ebd perf`. */

#ifndef PERF_OPTIONS_H
#define PERF_OPTIONS_H

#include "perf.h"

extern const struct tool_usage perf_usage;
/** So many of its options describe a job: they are the keys of a job file, too. They come first. */
extern const size_t perf_nb_job_opts;

/** What holds without options. */
void perf_conf_init(struct perf_conf *conf);

#endif
