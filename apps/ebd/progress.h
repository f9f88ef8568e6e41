/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/** @file How far a long job is: a bar on a terminal, a line each second elsewhere. */

#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
	FILE *f; /**< NULL: quiet */
	bool terminal;
	const char *label;
	uint64_t total; /**< bytes */
	uint64_t start_ns;
	uint64_t shown_ns; /**< when the last line was shown */
	uint64_t done; /**< bytes at the last call */
	uint64_t moved_ns; /**< when done last grew */
};

/** Start a job. */
void
progress_start(struct progress *p, FILE *f, const char *label, uint64_t total, uint64_t now_ns);
/** Show how far it is, if it is time to. */
void progress_update(struct progress *p, uint64_t done, uint64_t now_ns);
/** The job has ended; leaves an empty line on a terminal. */
void progress_stop(struct progress *p, uint64_t now_ns);
/** The line as text: percent, amount, speed, time to go. @return buf */
char *progress_format(const struct progress *p, char *buf, size_t size, uint64_t now_ns);

#endif
