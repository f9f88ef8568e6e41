/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "mpn_err.h"
#include "mpn_parse.h"
#include "progress.h"

#define NSEC_PER_SEC 1000000000ull
#define BAR_LEN 20
#define STALL_NS (2 * NSEC_PER_SEC) /* nothing has moved for so long: say so */

void
progress_start(struct progress *p, FILE *f, const char *label, uint64_t total, uint64_t now_ns)
{
	memset(p, 0, sizeof(*p));
	p->f = f;
	p->terminal = f != NULL && isatty(fileno(f));
	p->label = label;
	p->total = total;
	p->start_ns = now_ns;
	p->shown_ns = now_ns;
	p->moved_ns = now_ns;
}

static void
format_time_left(const struct progress *p, char *buf, size_t size, uint64_t now_ns)
{
	double rate = (double)p->done / (double)(now_ns - p->start_ns + 1);
	uint64_t sec;

	if (now_ns - p->moved_ns >= STALL_NS) {
		(void)snprintf(buf, size, "waiting for the server");
		return;
	}
	if (p->done == 0) {
		(void)snprintf(buf, size, "ETA -:--");
		return;
	}
	sec = (uint64_t)((double)(p->total - p->done) / rate / 1e9 + 0.5);
	if (sec >= 3600)
		(void)snprintf(buf, size, "ETA %" PRIu64 ":%02" PRIu64 ":%02" PRIu64, sec / 3600,
			sec / 60 % 60, sec % 60);
	else
		(void)snprintf(buf, size, "ETA %" PRIu64 ":%02" PRIu64, sec / 60, sec % 60);
}

char *
progress_format(const struct progress *p, char *buf, size_t size, uint64_t now_ns)
{
	double part = p->total > 0 ? (double)p->done / (double)p->total : 1.0;
	double sec = (double)(now_ns - p->start_ns) / 1e9;
	int full = (int)(part * BAR_LEN);
	char bar[BAR_LEN + 1], done[24], total[24], left[32];

	memset(bar, '-', BAR_LEN);
	memset(bar, '#', (size_t)MPN_MIN(full, BAR_LEN));
	bar[BAR_LEN] = '\0';
	format_time_left(p, left, sizeof(left), now_ns);
	(void)snprintf(buf, size, "%s [%s] %3d%%  %s / %s  %.0f MB/s  %s", p->label, bar,
		(int)(part * 100), mpn_format_size(done, sizeof(done), p->done),
		mpn_format_size(total, sizeof(total), p->total),
		sec > 0 ? (double)p->done / sec / 1e6 : 0.0, left);
	return buf;
}

void
progress_update(struct progress *p, uint64_t done, uint64_t now_ns)
{
	uint64_t period_ns = p->terminal ? NSEC_PER_SEC / 10 : NSEC_PER_SEC;
	char line[160];

	if (done != p->done) {
		p->done = done;
		p->moved_ns = now_ns;
	}
	if (p->f == NULL || now_ns - p->shown_ns < period_ns)
		return;
	p->shown_ns = now_ns;
	progress_format(p, line, sizeof(line), now_ns);
	fprintf(p->f, p->terminal ? "\r\033[K%s" : "%s\n", line);
	fflush(p->f);
}

void
progress_stop(struct progress *p, uint64_t now_ns)
{
	if (p->f == NULL)
		return;
	if (p->terminal) {
		fputs("\r\033[K", p->f);
	} else {
		char line[160];

		fprintf(p->f, "%s\n", progress_format(p, line, sizeof(line), now_ns));
	}
	fflush(p->f);
}
