/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdio.h>
#include <string.h>

#include "mpn_log.h"

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static void
sink_stderr(enum mpn_log_level level, const char *topic, const char *line)
{
	fprintf(stderr, "mpnic: %s: %s: %s\n", topic, level_names[level], line);
}

static mpn_log_sink current_sink = sink_stderr;
static enum mpn_log_level current_level = MPN_LOG_WARN;
static _Thread_local char last_error[512];

void
mpn_log_set_sink(mpn_log_sink sink)
{
	current_sink = sink != NULL ? sink : sink_stderr;
}

void
mpn_log_set_level(enum mpn_log_level level)
{
	current_level = level;
}

static void
vlog(enum mpn_log_level level, const char *topic, const char *fmt, va_list ap)
{
	char line[512];

	if (level > current_level && level != MPN_LOG_ERR)
		return;
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	if (level == MPN_LOG_ERR)
		memcpy(last_error, line, sizeof(last_error));
	if (level <= current_level)
		current_sink(level, topic, line);
}

void
mpn_log(enum mpn_log_level level, const char *topic, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(level, topic, fmt, ap);
	va_end(ap);
}

int
mpn_log_err(int e, const char *topic, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vlog(MPN_LOG_ERR, topic, fmt, ap);
	va_end(ap);
	return mpn_err(e);
}

const char *
mpn_log_last_error(void)
{
	return last_error;
}

void
mpn_log_adopt_error(const char *line)
{
	(void)snprintf(last_error, sizeof(last_error), "%s", line);
}
