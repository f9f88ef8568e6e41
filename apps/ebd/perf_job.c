/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf_job.h"

#define NSEC_PER_SEC 1000000000ull

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
init_lane(struct perf_lane *lane, struct perf_job *j, struct ebd_queue *q)
{
	const struct perf_job_conf *conf = j->conf;
	size_t bytes = (size_t)conf->bs * conf->depth;
	unsigned i;

	lane->job = j;
	lane->q = q;
	lane->slots = calloc(conf->depth, sizeof(*lane->slots));
	lane->idle = calloc(conf->depth, sizeof(*lane->idle));
	lane->ready = calloc(conf->depth, sizeof(*lane->ready));
	if (conf->heap)
		lane->memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
	else
		lane->memory = ebd_arena_alloc(j->client, bytes);
	if (lane->slots == NULL || lane->idle == NULL || lane->ready == NULL ||
		lane->memory == NULL)
		return -ENOMEM;
	/* Touches every page, too. */
	fill_random(lane->memory, bytes, conf->seed + (uint64_t)(lane - j->lanes));
	for (i = 0; i < conf->depth; i++) {
		lane->slots[i].lane = lane;
		lane->slots[i].buf = lane->memory + (size_t)conf->bs * i;
		lane->idle[lane->nb_idle++] = &lane->slots[i];
	}
	return 0;
}

int
perf_job_init(struct perf_job *j, const struct perf_job_conf *conf, struct ebd_client *client,
	struct ebd_queue *const *queues)
{
	uint64_t nb_blocks = conf->size / conf->bs;
	unsigned i;
	int rc = 0;

	memset(j, 0, sizeof(*j));
	j->conf = conf;
	j->client = client;
	j->nb_lanes = conf->queues;
	for (i = 0; i < j->nb_lanes && rc == 0; i++)
		rc = init_lane(&j->lanes[i], j, queues[i]);
	if (rc == 0 && conf->verify)
		rc = perf_track_init(&j->track, nb_blocks, ebd_now_ns() ^ (uint64_t)getpid() << 40);
	if (rc < 0)
		return rc;
	perf_load_init(&j->load, conf->rw, conf->mix, nb_blocks, conf->seed,
		conf->verify ? &j->track : NULL);
	perf_load_set_zipf(&j->load, conf->zipf);
	return 0;
}

void
perf_job_fini(struct perf_job *j)
{
	unsigned i;

	for (i = 0; i < j->nb_lanes; i++) {
		struct perf_lane *lane = &j->lanes[i];

		if (j->conf->heap)
			free(lane->memory);
		else
			ebd_arena_free(lane->memory);
		free(lane->slots);
		free(lane->idle);
		free(lane->ready);
	}
	perf_track_fini(&j->track);
}

/* ---- Requests ---- */

static void
count(struct perf_tally *t, const struct perf_slot *s, uint64_t now_ns)
{
	enum perf_dir dir = s->op.write ? PERF_WRITE : PERF_READ;

	t->ops[dir]++;
	t->bytes[dir] += s->lane->job->conf->bs;
	t->end_ns = now_ns;
	mpn_hist_add(&t->lat[dir], now_ns - s->start_ns);
}

static uint64_t
offset_of(const struct perf_slot *s)
{
	const struct perf_job_conf *conf = s->lane->job->conf;

	return conf->off + s->op.block * conf->bs;
}

static bool
is_loan(const struct perf_slot *s)
{
	return !s->op.write && s->lane->job->conf->placement == PERF_PLACE_LOAN;
}

/* The pieces of a loan in one, for the check. */
static void
gather(const struct perf_slot *s)
{
	struct iovec iov[EBD_LOAN_PIECES];
	int i, n = ebd_loan_iov(&s->io, iov, EBD_LOAN_PIECES);
	char *at = s->buf;

	for (i = 0; i < n; i++) {
		memcpy(at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
}

static void
check_content(struct perf_job *j, const struct perf_slot *s)
{
	struct perf_result *res = &j->result;
	char why[sizeof(res->first_bad)];

	if (is_loan(s))
		gather(s);

	switch (perf_pattern_check(
		s->buf, j->conf->bs, offset_of(s), j->track.run, s->op.gen, why, sizeof(why))) {
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
count_error(struct perf_job *j, const struct perf_slot *s, int status)
{
	if (j->result.errors++ > 0)
		return;
	j->result.first_error = status;
	j->result.first_error_off = offset_of(s);
}

static void
on_done(struct ebd_io *io, int status, void *arg)
{
	struct perf_slot *s = arg;
	struct perf_lane *lane = s->lane;
	struct perf_job *j = lane->job;
	uint64_t now_ns = ebd_now_ns();

	lane->in_flight--;
	(*j->completed)++;
	if (status != 0) {
		/* What is cancelled at the end of a broken run says nothing new. */
		if (status != -ECANCELED)
			count_error(j, s, status);
	} else {
		if (j->load.track != NULL && !s->op.write)
			check_content(j, s);
		if (is_loan(s))
			ebd_loan_put(io);
		if (s->counted && j->counting)
			count(&j->result.tally, s, now_ns);
		if (j->period != NULL)
			count(j->period, s, now_ns);
	}
	perf_load_done(&j->load, &s->op, status == 0);
	lane->idle[lane->nb_idle++] = s;
}

static void
prepare(struct perf_lane *lane, struct perf_slot *s)
{
	struct perf_job *j = lane->job;
	uint64_t off = offset_of(s);

	if (is_loan(s)) {
		ebd_prep_read_loan(&s->io, j->conf->bs, off);
	} else if (!s->op.write) {
		ebd_prep_read(&s->io, s->buf, j->conf->bs, off);
	} else {
		if (j->load.track != NULL)
			perf_pattern_fill(s->buf, j->conf->bs, off, j->track.run, s->op.gen);
		ebd_prep_write(&s->io, s->buf, j->conf->bs, off, 0);
	}
	ebd_io_set_callback(&s->io, on_done, s);
	s->counted = j->measuring;
	lane->ready[lane->nb_ready++] = &s->io;
}

/* Requests the rate allows now. */
static uint64_t
allowed(const struct perf_job *j, uint64_t now_ns)
{
	uint64_t due;

	if (j->conf->rate == 0 || j->load.read_back)
		return UINT64_MAX;
	due = (uint64_t)((unsigned __int128)(now_ns - j->rate_start_ns) * j->conf->rate /
			 NSEC_PER_SEC);
	return due > j->rate_started ? due - j->rate_started : 0;
}

/* Prepare what load and rate allow. */
static void
fill_lane(struct perf_lane *lane, uint64_t *may)
{
	struct perf_job *j = lane->job;

	while (lane->nb_idle > 0 && j->ops_left > 0 && *may > 0) {
		struct perf_slot *s = lane->idle[lane->nb_idle - 1];

		if (!perf_load_next(&j->load, &s->op)) {
			if (j->load.read_back)
				j->ops_left = 0;
			break;
		}
		lane->nb_idle--;
		j->ops_left--;
		j->rate_started++;
		(*may)--;
		prepare(lane, s);
	}
}

static int
submit_lane(struct perf_lane *lane)
{
	uint64_t now_ns;
	unsigned i, n;
	int refused;

	if (lane->nb_ready == 0)
		return 0;
	now_ns = ebd_now_ns();
	for (i = 0; i < lane->nb_ready; i++)
		mpn_container_of(lane->ready[i], struct perf_slot, io)->start_ns = now_ns;
	n = ebd_submit_burst(lane->q, lane->ready, lane->nb_ready);
	/* ENOBUFS: others have what could be lent; it comes back. */
	refused = n < lane->nb_ready && errno != EAGAIN && errno != ENOBUFS ? errno : 0;
	lane->in_flight += n;
	lane->nb_ready -= n;
	if (n > 0 && lane->nb_ready > 0)
		memmove(lane->ready, lane->ready + n, lane->nb_ready * sizeof(lane->ready[0]));
	return refused != 0 ? -refused : (int)n;
}

int
perf_job_submit(struct perf_job *j, uint64_t now_ns)
{
	uint64_t may = allowed(j, now_ns);
	unsigned i;
	int n, all = 0;

	for (i = 0; i < j->nb_lanes; i++) {
		fill_lane(&j->lanes[i], &may);
		n = submit_lane(&j->lanes[i]);
		if (n < 0)
			return n;
		all += n;
	}
	return all;
}

unsigned
perf_job_in_flight(const struct perf_job *j)
{
	unsigned i, n = 0;

	for (i = 0; i < j->nb_lanes; i++)
		n += j->lanes[i].in_flight;
	return n;
}

bool
perf_job_is_done(const struct perf_job *j)
{
	unsigned i;

	if (j->ops_left > 0)
		return false;
	for (i = 0; i < j->nb_lanes; i++) {
		if (j->lanes[i].in_flight > 0 || j->lanes[i].nb_ready > 0)
			return false;
	}
	return true;
}

void
perf_job_hold(struct perf_job *j)
{
	unsigned i, k;

	j->ops_left = 0;
	j->counting = false;
	for (i = 0; i < j->nb_lanes; i++) {
		struct perf_lane *lane = &j->lanes[i];

		for (k = 0; k < lane->nb_ready; k++) {
			struct perf_slot *s =
				mpn_container_of(lane->ready[k], struct perf_slot, io);

			/* Its block keeps its old content, but that is not known here any more. */
			perf_load_done(&j->load, &s->op, false);
			lane->idle[lane->nb_idle++] = s;
		}
		lane->nb_ready = 0;
	}
}

/* ---- The measured span ---- */

void
perf_job_begin(struct perf_job *j, uint64_t now_ns)
{
	unsigned i;

	j->measuring = true;
	j->counting = true;
	j->ops_left = j->conf->ops != 0 ? j->conf->ops : UINT64_MAX;
	j->rate_start_ns = now_ns;
	j->rate_started = 0;
	for (i = 0; i < j->nb_lanes; i++)
		ebd_queue_stats(j->lanes[i].q, &j->lanes[i].base_stats);
	memset(&j->result.stats, 0, sizeof(j->result.stats));
	perf_tally_reset(&j->result.tally, now_ns);
	j->result.tally.end_ns = now_ns;
}

static void
add_stats(struct ebd_stats *sum, const struct ebd_stats *from, const struct ebd_stats *to)
{
#define SINCE(member) (to->member - from->member)
	unsigned i;

	sum->tx_frames += SINCE(tx_frames);
	sum->rx_frames += SINCE(rx_frames);
	sum->retransmits += SINCE(retransmits);
	sum->drops += SINCE(drops);
	sum->reconnects += SINCE(reconnects);
	sum->payload_bytes += SINCE(payload_bytes);
	sum->copied_bytes += SINCE(copied_bytes);
	sum->bounced_bytes += SINCE(bounced_bytes);
	for (i = 0; i < EBD_COPY_SITES; i++)
		sum->site_bytes[i] += SINCE(site_bytes[i]);
	sum->in_place_bytes += SINCE(in_place_bytes);
	sum->loaned_bytes += SINCE(loaned_bytes);
#undef SINCE
	sum->srtt_ns = MPN_MAX(sum->srtt_ns, to->srtt_ns);
}

void
perf_job_end(struct perf_job *j, uint64_t now_ns, bool by_time)
{
	struct ebd_stats st;
	unsigned i;

	j->measuring = false;
	j->counting = false;
	if (by_time)
		j->result.tally.end_ns = now_ns;
	for (i = 0; i < j->nb_lanes; i++) {
		ebd_queue_stats(j->lanes[i].q, &st);
		add_stats(&j->result.stats, &j->lanes[i].base_stats, &st);
	}
}
