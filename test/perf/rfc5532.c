/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The table of RFC 5532 (4.2) on this system, and its LAWS table: what a reader pays for a byte when
 *
 *   conventional  the reply is put together in a buffer of the transport and copied to the application
 *   pull          the reply says where the data is, and the reader fetches it into the application's
 *                 buffer: a round trip more, as the prototype the RFC quotes
 *   push          the data goes to the application's buffer by itself: what mpnic does
 *   loan          the same, left in the frames it came in: no copy by a CPU of the reader at all
 *
 * Sequential reads of a volume larger than the caches into memory larger than the caches; --server is a
 * process of its own. Busy cycles are those of polls that found something, of submits and of the
 * application.
 *
 *	rfc5532 --link LINK [--quick]
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "ebd.h"

#define MAX_AHEAD 8
#define MAX_PARTS 4 /* loans of one read */
#define APP_BYTES (128u << 20)
#define CALL_BYTES 512 /* of the reply that tells where the data is */

enum way { CONVENTIONAL, PULL, PUSH, LOAN, WAYS };
static const char *const way_names[WAYS] = {"conventional", "pull", "push", "loan"};

struct reader;

struct one_read {
	struct ebd_io io[MAX_PARTS];
	struct reader *r;
	uint8_t *staging; /* the transport's */
	uint8_t *app;
	unsigned left; /* parts */
	uint32_t at; /* of the data in the read, for loans */
	bool called; /* pull: the first round trip is over */
};

struct reader {
	struct ebd_client *client;
	struct ebd_queue *q;
	struct ebd_info info;
	uint8_t *staging, *app;
	struct one_read reads[MAX_AHEAD];
	enum way way;
	uint32_t size;
	unsigned ahead;
	unsigned work_percent; /* of the data the application sums up, may be above 100 */
	bool stopping;
	unsigned running;
	uint64_t off, app_at;
	uint64_t sum; /* of the application */
	uint64_t bytes, app_copied;
	uint64_t app_cycles;
	int status;
};

struct cell {
	double mb_per_s, cycles, copies;
};

static void start(struct one_read *o);

/* The application: sums up so much of the data, several times when it is above all. */
static void
use(struct reader *r, const uint8_t *data, uint32_t len)
{
	uint64_t todo = (uint64_t)len * r->work_percent / 100, i, n;
	uint64_t begin = __rdtsc(), sum = 0, w;

	while (todo >= 8) {
		n = todo < len ? todo : len;
		for (i = 0; i + 8 <= n; i += 8) {
			memcpy(&w, data + i, 8);
			sum = (sum << 1 | sum >> 63) ^ w;
		}
		todo -= n;
	}
	r->sum += sum;
	r->app_cycles += __rdtsc() - begin;
}

static void
end_read(struct one_read *o)
{
	struct reader *r = o->r;

	if (r->way == CONVENTIONAL) {
		memcpy(o->app, o->staging, r->size);
		r->app_copied += r->size;
	}
	if (r->way != LOAN)
		use(r, o->app, r->size);
	r->bytes += r->size;
	r->running--;
	if (!r->stopping && r->status == 0)
		start(o);
}

static void
submit(struct one_read *o, struct ebd_io *io, ebd_cb cb)
{
	ebd_io_set_callback(io, cb, o);
	if (ebd_submit_burst(o->r->q, &io, 1) != 1)
		o->r->status = -1;
}

static void
on_part(struct ebd_io *io, int status, void *arg)
{
	struct one_read *o = arg;
	struct iovec iov[EBD_LOAN_PIECES];
	int i, n;

	if (status != 0)
		o->r->status = status;
	if (o->r->way == LOAN && status == 0) {
		n = ebd_loan_iov(io, iov, EBD_LOAN_PIECES);
		for (i = 0; i < n; i++)
			use(o->r, iov[i].iov_base, (uint32_t)iov[i].iov_len);
		ebd_loan_put(io);
	}
	if (--o->left == 0)
		end_read(o);
}

static void
fetch(struct one_read *o)
{
	struct reader *r = o->r;
	uint32_t part = r->way == LOAN ? r->info.max_transfer : r->size, at, len;
	unsigned i = 0;

	o->left = (r->size + part - 1) / part;
	for (at = 0; at < r->size; at += part, i++) {
		len = r->size - at < part ? r->size - at : part;
		if (r->way == LOAN)
			ebd_prep_read_loan(&o->io[i], len, r->off + at);
		else
			ebd_prep_read(&o->io[i], r->way == CONVENTIONAL ? o->staging : o->app, len,
				r->off + at);
		submit(o, &o->io[i], on_part);
	}
	r->off = r->off + 2ull * r->size <= r->info.size ? r->off + r->size : 0;
}

static void
on_called(struct ebd_io *io, int status, void *arg)
{
	if (status != 0)
		((struct one_read *)arg)->r->status = status;
	fetch(arg);
}

static void
start(struct one_read *o)
{
	struct reader *r = o->r;

	r->running++;
	o->app = r->app + r->app_at;
	r->app_at = r->app_at + 2ull * r->size <= APP_BYTES ? r->app_at + r->size : 0;
	if (r->way == PULL) {
		ebd_prep_read(&o->io[0], o->staging, CALL_BYTES, r->off);
		submit(o, &o->io[0], on_called);
		return;
	}
	fetch(o);
}

/* Read for so long. */
static struct cell
measure(struct reader *r, enum way way, uint32_t size, unsigned ahead, uint64_t ns)
{
	struct ebd_stats before, after;
	uint64_t begin_ns = ebd_now_ns(), busy = 0, frames, t;
	struct cell c;
	unsigned i;

	r->way = way;
	r->size = size;
	r->ahead = ahead;
	r->bytes = r->app_copied = r->app_cycles = 0;
	r->stopping = false;
	ebd_queue_stats(r->q, &before);
	frames = before.rx_frames;
	t = __rdtsc();
	for (i = 0; i < ahead; i++)
		start(&r->reads[i]);
	busy += __rdtsc() - t;
	while (r->running > 0 && r->status == 0) {
		int n;

		t = __rdtsc();
		n = ebd_poll(r->q, 0);
		t = __rdtsc() - t;
		/* Most polls that move data end no request. */
		ebd_queue_stats(r->q, &after);
		if (n > 0 || after.rx_frames != frames)
			busy += t;
		frames = after.rx_frames;
		if (n < 0)
			r->status = n;
		r->stopping = ebd_now_ns() - begin_ns >= ns;
	}
	ebd_queue_stats(r->q, &after);
	c.mb_per_s = (double)r->bytes * 1e3 / (double)(ebd_now_ns() - begin_ns);
	c.cycles = r->bytes > 0 ? (double)busy / (double)r->bytes : 0;
	c.copies = r->bytes > 0 ? ((double)(after.copied_bytes - before.copied_bytes) +
					  (double)r->app_copied) /
					  (double)r->bytes
				: 0;
	return c;
}

static int
order(const void *a, const void *b)
{
	double x = ((const struct cell *)a)->cycles, y = ((const struct cell *)b)->cycles;

	return x < y ? -1 : x > y;
}

/* All ways in turns; of each the run with the median cost. */
static void
measure_all(struct reader *r, uint32_t size, unsigned ahead, unsigned rounds, uint64_t ns,
	struct cell out[WAYS])
{
	static struct cell runs[WAYS][32];
	unsigned i, k;

	for (i = 0; i < rounds; i++) {
		for (k = 0; k < WAYS; k++)
			runs[k][i] = measure(r, (enum way)k, size, ahead, ns);
	}
	for (k = 0; k < WAYS; k++) {
		qsort(runs[k], rounds, sizeof(runs[k][0]), order);
		out[k] = runs[k][rounds / 2];
	}
}

#define NB_SIZES 3
#define NB_AHEADS 4

static const uint32_t sizes[NB_SIZES] = {2048, 16384, 262144};
static struct cell cells[NB_SIZES][NB_AHEADS][WAYS];

static double
value(const struct cell *c, unsigned what)
{
	return what == 0 ? c->mb_per_s : what == 1 ? c->cycles : c->copies;
}

static void
print_part(const char *what, unsigned member, int digits)
{
	unsigned i, k, way;

	printf("\n%s:\n\n| read | ahead | conventional | pull | push | loan | push to conventional "
	       "| "
	       "loan to conventional |\n|---:|---:|---:|---:|---:|---:|---:|---:|\n",
		what);
	for (i = 0; i < NB_SIZES; i++) {
		for (k = 0; k < NB_AHEADS; k++) {
			const struct cell *c = cells[i][k];
			double base = value(&c[CONVENTIONAL], member);

			printf("| %u KiB | %u |", sizes[i] / 1024, 1u << k);
			for (way = 0; way < WAYS; way++)
				printf(" %.*f |", digits, value(&c[way], member));
			printf(" %.2f | %.2f |\n", base > 0 ? value(&c[PUSH], member) / base : 0,
				base > 0 ? value(&c[LOAN], member) / base : 0);
		}
	}
}

static void
print_table(struct reader *r, unsigned rounds, uint64_t ns)
{
	unsigned i, k, way;

	for (i = 0; i < NB_SIZES; i++) {
		for (k = 0; k < NB_AHEADS; k++)
			measure_all(r, sizes[i], 1u << k, rounds, ns, cells[i][k]);
	}
	print_part("MB/s", 0, 0);
	print_part("Busy cycles of the reader, a byte", 1, 3);
	print_part("Copies a byte by the reader's CPU", 2, 2);
	puts("\nThe prototype that RFC 5532 quotes needed 0.90, 0.70 and 0.60 of the conventional "
	     "way's cycles "
	     "a byte at 2,\n16 and 256 KiB; it pulled.\n\n@plot rfc5532 busy cycles a byte by size "
	     "of the "
	     "read\ntitle busy cycles a byte, 4 reads ahead\nxlog bytes of a read\nylog cycles a "
	     "byte");
	for (way = 0; way < WAYS; way++) {
		printf("series %s\n", way_names[way]);
		for (i = 0; i < NB_SIZES; i++)
			printf("%u %.4f\n", sizes[i], cells[i][2][way].cycles);
	}
	puts("@end");
}

/*
 * The model: o cycles of overhead (p protocol, c copies) and a of the application for a byte;
 * whatever takes away o makes the reader (a + o) / a times as fast.
 */
static void
print_laws(struct reader *r, unsigned rounds, uint64_t ns)
{
	struct cell plain[WAYS], with[WAYS];
	double p, c, a, app;

	r->work_percent = 0;
	measure_all(r, 262144, 4, rounds, ns, plain);
	p = plain[LOAN].cycles;
	c = plain[CONVENTIONAL].cycles - p;
	/* What one pass of the application costs, to make it half of everything. */
	r->work_percent = 100;
	measure_all(r, 262144, 4, 1, ns, with);
	app = (double)r->app_cycles / (double)r->bytes;
	r->work_percent = app > 0 ? (unsigned)((p + c) / app * 100) : 100;
	measure_all(r, 262144, 4, rounds, ns, with);
	a = (double)r->app_cycles / (double)r->bytes;
	printf("\nLAWS, 256 KiB, 4 ahead. In cycles a byte: protocol %.3f, copies %.3f, and an "
	       "application "
	       "that was made\nas heavy as both: %.3f (%.0f : %.0f : %.0f of 100; the RFC takes 20 "
	       ": 30 : "
	       "50).\n\n| | predicted | measured | RFC 5532 |\n|---|---:|---:|---:|\n"
	       "| nothing is taken away | 1.00 | 1.00 | 1.00 |\n"
	       "| the protocol goes to the NIC | %.2f | no such NIC here | 1.25 |\n"
	       "| the copies go | %.2f | %.2f | |\n"
	       "| both go | %.2f | no such NIC here | 2.00 |\n",
		p, c, a, 100 * p / (p + c + a), 100 * c / (p + c + a), 100 * a / (p + c + a),
		(p + c + a) / (c + a), (p + c + a) / (p + a),
		with[CONVENTIONAL].cycles / with[LOAN].cycles, (p + c + a) / a);
	r->work_percent = 0;
}

static int
set_up(struct reader *r, const char *link)
{
	struct ebd_client_conf cc = {.link = link, .idle = EBD_IDLE_SPIN, .loan_frames = 1024};
	unsigned i;

	r->client = ebd_client_create(&cc);
	if (r->client == NULL)
		return -1;
	r->q = ebd_queue_open(r->client, &(struct ebd_queue_conf){.volume = "mem"});
	r->staging = ebd_arena_alloc(r->client, MAX_AHEAD * 262144);
	r->app = ebd_arena_alloc(r->client, APP_BYTES);
	if (r->q == NULL || r->staging == NULL || r->app == NULL)
		return -1;
	memset(r->app, 1, APP_BYTES);
	memset(r->staging, 1, MAX_AHEAD * 262144);
	ebd_queue_info(r->q, &r->info);
	for (i = 0; i < MAX_AHEAD; i++) {
		r->reads[i].r = r;
		r->reads[i].staging = r->staging + (size_t)i * 262144;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	bool quick = argc > 3 && strcmp(argv[3], "--quick") == 0;
	static struct reader r;
	unsigned rounds = quick ? 3 : 9;
	uint64_t ns = quick ? 30000000 : 150000000;

	if (argc < 3 || strcmp(argv[1], "--link") != 0) {
		fputs("rfc5532: expected --link LINK [--quick]\n", stderr);
		return 2;
	}
	if (set_up(&r, argv[2]) == 0) {
		printf("A volume of %.0f MiB, application memory of %u MiB; one core a side, "
		       "frames of %u "
		       "bytes. The median of %u\nruns in turns. Cycles are the reader's, of polls "
		       "that "
		       "found something and of the application (`%s`, `%s`,\n`%s`, `%s`: see "
		       "test/perf/rfc5532.c).\n\n",
			(double)r.info.size / 1048576, APP_BYTES >> 20, r.info.payload_unit, rounds,
			way_names[0], way_names[1], way_names[2], way_names[3]);
		print_table(&r, rounds, ns);
		print_laws(&r, rounds, ns);
	} else {
		r.status = -1;
	}
	if (r.status != 0)
		fprintf(stderr, "rfc5532: %s\n", ebd_last_error());
	ebd_queue_close(r.q);
	ebd_arena_free(r.staging);
	ebd_arena_free(r.app);
	ebd_client_destroy(r.client);
	return r.status != 0;
}
