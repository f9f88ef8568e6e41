/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mpn_err.h"
#include "perf.h"

#define NSEC_PER_SEC 1000000000ull

/* One request and its buffer. */
struct perf_slot {
	struct ebd_io io;
	struct perf_run *run;
	char *buf;
	struct perf_op op;
	uint64_t start_ns;
	bool counted; /* belongs to the measured span */
};

enum phase {
	PHASE_WARMUP,
	PHASE_MEASURE,
	PHASE_DRAIN, /* nothing new; what is in flight ends */
	PHASE_READ_BACK,
};

struct perf_run {
	struct tool *tool;
	const struct perf_conf *conf;
	struct ebd_queue *q;
	struct perf_load load;
	struct perf_track track;
	struct perf_slot *slots;
	char *memory;
	enum phase phase;
	uint64_t phase_end_ns; /* UINT64_MAX: not by time */
	uint64_t ops_left; /* to be started in this phase */
	unsigned in_flight;
	unsigned nb_idle;
	unsigned nb_ready; /* prepared, not taken by the queue yet */
	struct perf_slot *idle[PERF_DEPTH_MAX];
	struct ebd_io *ready[PERF_DEPTH_MAX];
	bool live; /* show a line each period */
	bool terminal;
	uint64_t live_ns; /* when the next line is due */
	struct perf_tally period; /* since the last line */
	struct perf_result result;
	struct ebd_stats base_stats;
	struct rusage base_usage;
};

/* ---- Set-up ---- */

static void
fill_random(char *buf, size_t len, uint64_t seed)
{
	uint64_t x = seed | 1;
	size_t i;

	for (i = 0; i + sizeof(x) <= len; i += sizeof(x)) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(buf + i, &x, sizeof(x));
	}
}

static int
alloc_memory(struct perf_run *r)
{
	size_t bytes = (size_t)r->conf->bs * r->conf->depth;

	r->slots = calloc(r->conf->depth, sizeof(*r->slots));
	if (r->conf->heap)
		r->memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
	else
		r->memory = ebd_arena_alloc(r->tool->client, bytes);
	if (r->slots == NULL || r->memory == NULL)
		return -ENOMEM;
	/* Touches every page, too. */
	fill_random(r->memory, bytes, r->conf->seed);
	return 0;
}

struct perf_run *
perf_run_create(struct tool *t, const struct perf_conf *conf, struct ebd_queue *q)
{
	struct perf_run *r = calloc(1, sizeof(*r));
	uint64_t nb_blocks = conf->size / conf->bs;
	unsigned i;

	if (r == NULL)
		return mpn_err_null(ENOMEM);
	r->tool = t;
	r->conf = conf;
	r->q = q;
	if (alloc_memory(r) != 0 ||
		(conf->verify && perf_track_init(&r->track, nb_blocks,
					 ebd_now_ns() ^ (uint64_t)getpid() << 40) != 0)) {
		perf_run_destroy(r);
		return mpn_err_null(ENOMEM);
	}
	perf_load_init(&r->load, conf->rw, conf->mix, nb_blocks, conf->seed,
		conf->verify ? &r->track : NULL);
	for (i = 0; i < conf->depth; i++) {
		r->slots[i].run = r;
		r->slots[i].buf = r->memory + (size_t)conf->bs * i;
		r->idle[r->nb_idle++] = &r->slots[i];
	}
	r->terminal = isatty(STDERR_FILENO);
	r->live = conf->period_ns != 0 || r->terminal;
	return r;
}

void
perf_run_destroy(struct perf_run *r)
{
	if (r == NULL)
		return;
	if (r->conf->heap)
		free(r->memory);
	else
		ebd_arena_free(r->memory);
	perf_track_fini(&r->track);
	free(r->slots);
	free(r);
}

const struct perf_result *
perf_run_result(const struct perf_run *r)
{
	return &r->result;
}

/* ---- Requests ---- */

void
perf_tally_reset(struct perf_tally *t, uint64_t now_ns)
{
	t->start_ns = now_ns;
	t->ops[PERF_READ] = 0;
	t->ops[PERF_WRITE] = 0;
	mpn_hist_reset(&t->lat[PERF_READ]);
	mpn_hist_reset(&t->lat[PERF_WRITE]);
}

static void
count(struct perf_tally *t, const struct perf_slot *s, uint64_t now_ns)
{
	enum perf_dir dir = s->op.write ? PERF_WRITE : PERF_READ;

	t->ops[dir]++;
	t->end_ns = now_ns;
	mpn_hist_add(&t->lat[dir], now_ns - s->start_ns);
}

static uint64_t
offset_of(const struct perf_run *r, const struct perf_slot *s)
{
	return r->conf->off + s->op.block * r->conf->bs;
}

static void
check_content(struct perf_run *r, const struct perf_slot *s)
{
	struct perf_result *res = &r->result;
	char why[sizeof(res->first_bad)];

	switch (perf_pattern_check(
		s->buf, r->conf->bs, offset_of(r, s), r->track.run, s->op.gen, why, sizeof(why))) {
	case PERF_BLANK:
		res->blank++;
		return;
	case PERF_BAD:
		if (res->bad++ == 0)
			memcpy(res->first_bad, why, sizeof(why));
		return;
	case PERF_GOOD:
		res->checked++;
		return;
	}
}

static void
count_error(struct perf_run *r, const struct perf_slot *s, int status)
{
	if (r->result.errors++ > 0)
		return;
	r->result.first_error = status;
	r->result.first_error_off = offset_of(r, s);
}

static void
on_done(struct ebd_io *io, int status, void *arg)
{
	struct perf_slot *s = arg;
	struct perf_run *r = s->run;
	uint64_t now_ns = ebd_now_ns();

	r->in_flight--;
	if (status != 0) {
		/* What is cancelled at the end of a broken run says nothing new. */
		if (status != -ECANCELED)
			count_error(r, s, status);
	} else {
		if (r->load.track != NULL && !s->op.write)
			check_content(r, s);
		if (s->counted && r->phase == PHASE_MEASURE)
			count(&r->result.tally, s, now_ns);
		if (r->live)
			count(&r->period, s, now_ns);
	}
	perf_load_done(&r->load, &s->op, status == 0);
	r->idle[r->nb_idle++] = s;
}

static void
prepare(struct perf_run *r, struct perf_slot *s)
{
	uint64_t off = offset_of(r, s);

	if (!s->op.write) {
		ebd_prep_read(&s->io, s->buf, r->conf->bs, off);
	} else {
		if (r->load.track != NULL)
			perf_pattern_fill(s->buf, r->conf->bs, off, r->track.run, s->op.gen);
		ebd_prep_write(&s->io, s->buf, r->conf->bs, off, 0);
	}
	ebd_io_set_callback(&s->io, on_done, s);
	s->counted = r->phase == PHASE_MEASURE;
	r->ready[r->nb_ready++] = &s->io;
}

/* Submit as much as the load and the queue allow. @return requests taken, or -errno */
static int
submit(struct perf_run *r)
{
	uint64_t now_ns;
	unsigned i, n;
	int refused;

	while (r->nb_idle > 0 && r->ops_left > 0) {
		struct perf_slot *s = r->idle[r->nb_idle - 1];

		if (!perf_load_next(&r->load, &s->op)) {
			if (r->phase == PHASE_READ_BACK)
				r->ops_left = 0;
			break;
		}
		r->nb_idle--;
		r->ops_left--;
		prepare(r, s);
	}
	if (r->nb_ready == 0)
		return 0;
	now_ns = ebd_now_ns();
	for (i = 0; i < r->nb_ready; i++)
		mpn_container_of(r->ready[i], struct perf_slot, io)->start_ns = now_ns;
	n = ebd_submit_burst(r->q, r->ready, r->nb_ready);
	refused = n < r->nb_ready && errno != EAGAIN ? errno : 0;
	r->in_flight += n;
	r->nb_ready -= n;
	memmove(r->ready, r->ready + n, r->nb_ready * sizeof(r->ready[0]));
	return refused != 0 ? -refused : (int)n;
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

	r->phase = PHASE_MEASURE;
	r->phase_end_ns = conf->time_ns != 0 ? now_ns + conf->time_ns : UINT64_MAX;
	r->ops_left = conf->ops != 0 ? conf->ops : UINT64_MAX;
	ebd_queue_stats(r->q, &r->base_stats);
	(void)getrusage(RUSAGE_SELF, &r->base_usage);
	perf_tally_reset(&r->result.tally, now_ns);
	perf_tally_reset(&r->period, now_ns);
	r->result.tally.end_ns = now_ns;
}

static void
stop_measuring(struct perf_run *r, uint64_t now_ns)
{
	struct perf_result *res = &r->result;
	struct ebd_stats st;
	struct rusage ru;

	if (r->phase_end_ns != UINT64_MAX || res->interrupted)
		res->tally.end_ns = now_ns;
	ebd_queue_stats(r->q, &st);
	(void)getrusage(RUSAGE_SELF, &ru);
#define SINCE(member) res->stats.member = st.member - r->base_stats.member
	SINCE(tx_frames);
	SINCE(rx_frames);
	SINCE(retransmits);
	SINCE(drops);
	SINCE(reconnects);
	SINCE(payload_bytes);
	SINCE(copied_bytes);
	SINCE(in_place_bytes);
	SINCE(loaned_bytes);
#undef SINCE
	res->stats.srtt_ns = st.srtt_ns;
	res->user_ns = timeval_ns(&ru.ru_utime) - timeval_ns(&r->base_usage.ru_utime);
	res->system_ns = timeval_ns(&ru.ru_stime) - timeval_ns(&r->base_usage.ru_stime);
}

/* Is the phase over? In flight: a measured number of requests counts all of them. */
static bool
phase_over(const struct perf_run *r, uint64_t now_ns)
{
	if (now_ns >= r->phase_end_ns)
		return true;
	return r->ops_left == 0 && r->in_flight == 0 && r->nb_ready == 0;
}

static void
show_live(struct perf_run *r, uint64_t now_ns)
{
	char line[160];

	if (!r->live || now_ns < r->live_ns)
		return;
	if (r->live_ns != 0) {
		r->period.end_ns = now_ns;
		fprintf(stderr, r->terminal ? "\r\033[K%s" : "%s\n",
			perf_format_live(
				&r->period, r->conf->bs, r->result.errors, line, sizeof(line)));
	}
	perf_tally_reset(&r->period, now_ns);
	r->live_ns = now_ns + (r->conf->period_ns != 0 ? r->conf->period_ns : NSEC_PER_SEC);
}

/* Rounds until the phase is over. @return 0, -EINTR, or -errno when the session has gone */
static int
run_phase(struct perf_run *r)
{
	uint64_t now_ns;

	do {
		unsigned work = tool_poll_server(r->tool);
		int n = submit(r);

		if (n < 0)
			return n;
		work += (unsigned)n;
		n = ebd_poll(r->q, 0);
		if (n < 0)
			return n;
		work += (unsigned)n;
		if (r->result.first_error == -ETIMEDOUT || r->result.first_error == -ESTALE)
			return r->result.first_error;
		if (tool_interrupted())
			return -EINTR;
		now_ns = ebd_now_ns();
		show_live(r, now_ns);
		ebd_client_idle(r->tool->client, work);
	} while (!phase_over(r, now_ns));
	return 0;
}

/* Let what is in flight end; what was prepared only is given up. */
static int
drain(struct perf_run *r)
{
	unsigned i;
	int rc = 0;

	for (i = 0; i < r->nb_ready; i++) {
		struct perf_slot *s = mpn_container_of(r->ready[i], struct perf_slot, io);

		/* Its block keeps its old content, but that is not known here any more. */
		perf_load_done(&r->load, &s->op, false);
		r->idle[r->nb_idle++] = s;
	}
	r->nb_ready = 0;
	r->phase = PHASE_DRAIN; /* late completions are not counted */
	while (r->in_flight > 0 && rc >= 0 && !tool_interrupted()) {
		unsigned work = tool_poll_server(r->tool);

		rc = ebd_poll(r->q, 0);
		ebd_client_idle(r->tool->client, work + (rc > 0 ? (unsigned)rc : 0));
	}
	return rc < 0 ? rc : 0;
}

static int
read_back(struct perf_run *r)
{
	perf_load_read_back(&r->load);
	r->phase = PHASE_READ_BACK;
	r->phase_end_ns = UINT64_MAX;
	r->ops_left = UINT64_MAX;
	return run_phase(r);
}

/* Everything between the start and what is left to be cancelled. */
static int
run_phases(struct perf_run *r)
{
	int rc = 0;

	if (r->conf->warmup_ns > 0) {
		r->phase = PHASE_WARMUP;
		r->phase_end_ns = ebd_now_ns() + r->conf->warmup_ns;
		r->ops_left = UINT64_MAX;
		rc = run_phase(r);
	}
	start_measuring(r, ebd_now_ns());
	if (rc == 0)
		rc = run_phase(r);
	r->result.interrupted = rc == -EINTR;
	stop_measuring(r, ebd_now_ns());
	if (rc == 0)
		rc = drain(r);
	if (rc == 0 && r->conf->verify && perf_rw_writes(r->conf->rw))
		rc = read_back(r);
	return rc;
}

int
perf_run_measure(struct perf_run *r)
{
	int rc;

	perf_tally_reset(&r->period, ebd_now_ns());
	rc = run_phases(r);
	/* Whatever is still in flight is cancelled when the queue is closed. */
	r->phase = PHASE_DRAIN;
	if (r->live && r->terminal)
		fputs("\r\033[K", stderr);
	if (rc != -EINTR)
		return rc;
	r->result.interrupted = true;
	return 0;
}
