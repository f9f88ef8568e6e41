/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "perf_job.h"

#define NSEC_PER_SEC 1000000000ull
#define PATIENCE 8 /* rounds of the link that may find nothing */

struct perf_run {
	struct tool *tool;
	const struct perf_conf *conf;
	struct perf_job *jobs[PERF_JOBS_MAX];
	unsigned nb_jobs;
	unsigned next_poll; /* the job whose queue is polled next */
	uint64_t phase_end_ns; /* UINT64_MAX: not by time */
	uint64_t completed; /* requests that have ended */
	bool live; /* show a line each period */
	bool terminal;
	uint64_t live_ns; /* when the next line is due */
	struct perf_tally period; /* since the last line */
	struct perf_total total;
	struct rusage base_usage;
	uint64_t base_waited_ns;
	uint64_t base_ns;
};

uint64_t
perf_waited_ns(void)
{
	unsigned long long ran, waited = 0;
	FILE *f = fopen("/proc/self/schedstat", "r");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu %llu", &ran, &waited) != 2)
		waited = 0;
	(void)fclose(f);
	return waited;
}

/* ---- Life ---- */

struct perf_run *
perf_run_create(struct tool *t, const struct perf_conf *conf)
{
	struct perf_run *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return mpn_err_null(ENOMEM);
	r->tool = t;
	r->conf = conf;
	r->terminal = isatty(STDERR_FILENO);
	r->live = conf->period_ns != 0 || r->terminal;
	return r;
}

void
perf_run_destroy(struct perf_run *r)
{
	unsigned i;

	if (r == NULL)
		return;
	for (i = 0; i < r->nb_jobs; i++) {
		perf_job_fini(r->jobs[i]);
		free(r->jobs[i]);
	}
	free(r);
}

int
perf_run_add(struct perf_run *r, const struct perf_job_conf *jc, struct ebd_queue *const *queues)
{
	struct perf_job *j = calloc(1, sizeof(*j));
	int rc;

	if (j == NULL)
		return -ENOMEM;
	rc = perf_job_init(j, jc, r->tool->client, queues);
	if (rc < 0) {
		perf_job_fini(j);
		free(j);
		return rc;
	}
	j->completed = &r->completed;
	j->period = r->live ? &r->period : NULL;
	r->jobs[r->nb_jobs++] = j;
	return 0;
}

void
perf_run_set_queues(struct perf_run *r, unsigned n, struct ebd_queue *const *queues)
{
	unsigned i;

	for (i = 0; i < r->jobs[n]->nb_lanes; i++)
		r->jobs[n]->lanes[i].q = queues[i];
}

/* ---- Results ---- */

const struct perf_result *
perf_run_result(const struct perf_run *r, unsigned n)
{
	return &r->jobs[n]->result;
}

static void
add_result(struct perf_result *sum, const struct perf_result *res)
{
	unsigned i;

	if (sum->errors == 0) {
		sum->first_error = res->first_error;
		sum->first_error_off = res->first_error_off;
	}
	if (sum->bad == 0)
		memcpy(sum->first_bad, res->first_bad, sizeof(sum->first_bad));
	sum->errors += res->errors;
	sum->checked += res->checked;
	sum->blank += res->blank;
	sum->bad += res->bad;
	sum->stats.tx_frames += res->stats.tx_frames;
	sum->stats.rx_frames += res->stats.rx_frames;
	sum->stats.retransmits += res->stats.retransmits;
	sum->stats.drops += res->stats.drops;
	sum->stats.reconnects += res->stats.reconnects;
	sum->stats.payload_bytes += res->stats.payload_bytes;
	sum->stats.copied_bytes += res->stats.copied_bytes;
	sum->stats.bounced_bytes += res->stats.bounced_bytes;
	for (i = 0; i < EBD_COPY_SITES; i++)
		sum->stats.site_bytes[i] += res->stats.site_bytes[i];
	sum->stats.in_place_bytes += res->stats.in_place_bytes;
	sum->stats.loaned_bytes += res->stats.loaned_bytes;
	sum->stats.srtt_ns = MPN_MAX(sum->stats.srtt_ns, res->stats.srtt_ns);
	perf_tally_add(&sum->tally, &res->tally);
}

const struct perf_total *
perf_run_total(struct perf_run *r)
{
	struct perf_result *all = &r->total.all;
	uint64_t end_ns = 0;
	unsigned i;

	memset(all, 0, sizeof(*all));
	perf_tally_reset(&all->tally, r->base_ns);
	for (i = 0; i < r->nb_jobs; i++) {
		add_result(all, &r->jobs[i]->result);
		end_ns = MPN_MAX(end_ns, r->jobs[i]->result.tally.end_ns);
	}
	all->tally.end_ns = end_ns;
	return &r->total;
}

/* ---- Phases ---- */

static uint64_t
timeval_ns(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * NSEC_PER_SEC + (uint64_t)tv->tv_usec * 1000;
}

static void
start_measuring(struct perf_run *r, uint64_t now_ns)
{
	const struct perf_conf *conf = r->conf;
	unsigned i;

	r->phase_end_ns = conf->time_ns != 0 ? now_ns + conf->time_ns : UINT64_MAX;
	r->total.interrupted = false;
	for (i = 0; i < r->nb_jobs; i++)
		perf_job_begin(r->jobs[i], now_ns);
	perf_tally_reset(&r->period, now_ns);
	r->base_waited_ns = perf_waited_ns();
	(void)getrusage(RUSAGE_SELF, &r->base_usage);
	r->base_ns = now_ns;
}

static void
stop_measuring(struct perf_run *r, uint64_t now_ns)
{
	bool by_time = r->phase_end_ns != UINT64_MAX || r->total.interrupted;
	struct rusage ru;
	unsigned i;

	for (i = 0; i < r->nb_jobs; i++)
		perf_job_end(r->jobs[i], now_ns,
			by_time && (r->jobs[i]->conf->ops == 0 || r->total.interrupted ||
					   !perf_job_is_done(r->jobs[i])));
	(void)getrusage(RUSAGE_SELF, &ru);
	r->total.user_ns = timeval_ns(&ru.ru_utime) - timeval_ns(&r->base_usage.ru_utime);
	r->total.system_ns = timeval_ns(&ru.ru_stime) - timeval_ns(&r->base_usage.ru_stime);
	if (now_ns > r->base_ns)
		r->total.others = (double)(perf_waited_ns() - r->base_waited_ns) /
				  (double)(now_ns - r->base_ns);
}

/* Is the phase over? In flight: a measured number of requests counts all of them. */
static bool
phase_over(const struct perf_run *r, uint64_t now_ns)
{
	unsigned i;

	if (now_ns >= r->phase_end_ns)
		return true;
	for (i = 0; i < r->nb_jobs; i++) {
		if (!perf_job_is_done(r->jobs[i]))
			return false;
	}
	return true;
}

static void
show_live(struct perf_run *r, uint64_t now_ns)
{
	uint64_t errors = 0;
	char line[160];
	unsigned i;

	if (!r->live || now_ns < r->live_ns)
		return;
	if (r->live_ns != 0) {
		for (i = 0; i < r->nb_jobs; i++)
			errors += r->jobs[i]->result.errors;
		r->period.end_ns = now_ns;
		fprintf(stderr, r->terminal ? "\r\033[K%s" : "%s\n",
			perf_format_live(&r->period, errors, line, sizeof(line)));
	}
	perf_tally_reset(&r->period, now_ns);
	r->live_ns = now_ns + (r->conf->period_ns != 0 ? r->conf->period_ns : NSEC_PER_SEC);
}

/* One round of the link, asked of another queue each time: each may have died. */
static int
poll_next(struct perf_run *r)
{
	struct perf_job *j = r->jobs[r->next_poll];
	struct perf_lane *lane = &j->lanes[j->next_poll];

	if (++r->next_poll >= r->nb_jobs)
		r->next_poll = 0;
	if (++j->next_poll >= j->nb_lanes)
		j->next_poll = 0;
	return ebd_poll(lane->q, 0);
}

/* Rounds of the link until something has come: what else there is to do would only make the answer wait. */
static int
poll_link(struct perf_run *r)
{
	unsigned left = r->tool->server != NULL ? 1 : PATIENCE;
	uint64_t before = r->completed;
	int rc;

	do
		rc = poll_next(r);
	while (rc >= 0 && r->completed == before && --left > 0);
	return rc < 0 ? rc : (int)(r->completed - before);
}

/* A request that says that its session is of no use any more. */
static int
find_end(const struct perf_run *r)
{
	unsigned i;

	for (i = 0; i < r->nb_jobs; i++) {
		int e = r->jobs[i]->result.first_error;

		if (e == -ETIMEDOUT || e == -ESTALE)
			return e;
	}
	return 0;
}

/* Rounds until the phase is over. @return 0, -EINTR, or -errno when a session has gone */
static int
run_phase(struct perf_run *r)
{
	uint64_t now_ns = ebd_now_ns();
	unsigned work, i;
	int n;

	do {
		work = tool_poll_server(r->tool);
		for (i = 0; i < r->nb_jobs; i++) {
			n = perf_job_submit(r->jobs[i], now_ns);
			if (n < 0)
				return n;
			work += (unsigned)n;
		}
		n = poll_link(r);
		if (n < 0)
			return n;
		work += (unsigned)n;
		n = find_end(r);
		if (n < 0)
			return n;
		if (tool_interrupted())
			return -EINTR;
		now_ns = ebd_now_ns();
		show_live(r, now_ns);
		ebd_client_idle(r->tool->client, work);
	} while (!phase_over(r, now_ns));
	return 0;
}

/* Let what is in flight end; what was prepared only is given up. Nothing of it is counted. */
static int
drain(struct perf_run *r)
{
	unsigned i, left;
	int rc = 0;

	for (i = 0; i < r->nb_jobs; i++)
		perf_job_hold(r->jobs[i]);
	do {
		unsigned work = tool_poll_server(r->tool);

		for (i = 0, left = 0; i < r->nb_jobs; i++)
			left += perf_job_in_flight(r->jobs[i]);
		if (left == 0)
			break;
		rc = poll_next(r);
		ebd_client_idle(r->tool->client, work + (rc > 0 ? (unsigned)rc : 0));
	} while (rc >= 0 && !tool_interrupted());
	return rc < 0 ? rc : tool_interrupted() ? -EINTR : 0;
}

static int
warm_up(struct perf_run *r)
{
	uint64_t now_ns = ebd_now_ns();
	unsigned i;

	r->phase_end_ns = now_ns + r->conf->warmup_ns;
	for (i = 0; i < r->nb_jobs; i++) {
		r->jobs[i]->ops_left = UINT64_MAX;
		r->jobs[i]->rate_start_ns = now_ns;
		r->jobs[i]->rate_started = 0;
	}
	return run_phase(r);
}

/* What a run says when it was broken off by a signal. */
static int
end_run(struct perf_run *r, int rc)
{
	unsigned i;

	/* Whatever is still in flight is cancelled when the queues are closed. */
	for (i = 0; i < r->nb_jobs; i++)
		perf_job_hold(r->jobs[i]);
	if (r->live && r->terminal)
		fputs("\r\033[K", stderr);
	if (rc != -EINTR)
		return rc;
	r->total.interrupted = true;
	return 0;
}

int
perf_run_measure(struct perf_run *r)
{
	int rc = 0;

	perf_tally_reset(&r->period, ebd_now_ns());
	if (r->conf->warmup_ns > 0)
		rc = warm_up(r);
	start_measuring(r, ebd_now_ns());
	if (rc == 0)
		rc = run_phase(r);
	r->total.interrupted = rc == -EINTR;
	stop_measuring(r, ebd_now_ns());
	if (rc == 0)
		rc = drain(r);
	return end_run(r, rc);
}

int
perf_run_read_back(struct perf_run *r)
{
	bool any = false;
	unsigned i;

	for (i = 0; i < r->nb_jobs; i++) {
		const struct perf_job_conf *conf = r->jobs[i]->conf;

		if (!conf->verify || !perf_rw_writes(conf->rw))
			continue;
		any = true;
		perf_load_read_back(&r->jobs[i]->load);
		r->jobs[i]->ops_left = UINT64_MAX;
	}
	r->phase_end_ns = UINT64_MAX;
	return any ? end_run(r, run_phase(r)) : 0;
}
