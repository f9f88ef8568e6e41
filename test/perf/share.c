/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Several personalities on one port: one process serves a volume in memory and an echo, the other one reads
 * and probes, and prints what it got as "NAME VALUE" a line. Run by share.sh.
 *
 *	share serve LINK [option=value]...
 *	share load LINK [option=value]...
 *	share both ring:NAME [option=value]...	on one thread, where the machine's noise is everybody's alike
 */

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ebd.h"
#include "ebd_server.h"
#include "mpn_parse.h"
#include "share.h"

#define VOLUME_BYTES (256u << 20)
#define MAX_DEPTH 128 /* of one queue */
#define MAX_QUEUES 8
#define WINDOW_NS 100000000ull
#define WARM_UP_NS 300000000ull
#define NSEC_PER_SEC 1000000000ull

struct options {
	const char *link;
	const char *sched; /* of this end's NIC */
	const char *net; /* a tap of this name beside it */
	uint64_t echo, flood, junk, weight; /* weight: of storage; the flood's is 1 */
	uint64_t idle; /* junk, which is not sent */
	uint64_t size, depth, queues; /* of reads; depth 0: none */
	uint64_t rate, window; /* of the probe, questions a second, or on their way */
	uint64_t ms; /* to measure, */
	uint64_t least; /* and on until so many reads were done, or questions answered */
	uint64_t yield; /* where both ends share a core */
};

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	stop = sig;
}

/* ---- Options ---- */

static int
set_option(struct options *o, const char *word)
{
	const struct {
		const char *name;
		uint64_t *value;
	} numbers[] = {{"echo", &o->echo}, {"flood", &o->flood}, {"junk", &o->junk},
		{"weight", &o->weight}, {"size", &o->size}, {"depth", &o->depth},
		{"queues", &o->queues}, {"rate", &o->rate}, {"window", &o->window}, {"ms", &o->ms},
		{"least", &o->least}, {"idle", &o->idle}, {"yield", &o->yield}};
	const char *eq = strchr(word, '=');

	if (eq == NULL)
		return -EINVAL;
	if (strncmp(word, "sched=", 6) == 0 || strncmp(word, "net=", 4) == 0) {
		*(word[0] == 's' ? &o->sched : &o->net) = eq + 1;
		return 0;
	}
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(numbers); i++) {
		if (strncmp(word, numbers[i].name, (size_t)(eq - word)) == 0 &&
			numbers[i].name[eq - word] == '\0')
			return mpn_parse_size(eq + 1, 0, UINT32_MAX, numbers[i].value);
	}
	return -EINVAL;
}

static enum ebd_idle
idle_policy(const struct options *o)
{
	return o->yield != 0 ? EBD_IDLE_YIELD : EBD_IDLE_SPIN;
}

/* ---- Personalities beside storage ---- */

static int
set_up(struct mpn_nic *nic, const struct options *o)
{
	struct mpn_personality *storage = mpn_personality_find(nic, "storage");
	struct mpn_share share = {.weight = (uint32_t)o->weight, .cpu_weight = 3};

	if (nic == NULL || mpn_nic_set_scheduler(nic, o->sched) < 0)
		return -EINVAL;
	return mpn_personality_set_share(storage, &share);
}

static int
add_first(struct mpn_nic *nic, const char *kind, void *state)
{
	static const struct mpn_share share = {.weight = 1, .cpu_weight = 1, .priority = true};
	struct mpn_personality *p = share_add(nic, kind, state);

	return p != NULL ? mpn_personality_set_share(p, &share) : -ENOMEM;
}

static void
print_losses(struct mpn_nic *nic)
{
	struct share_losses l;

	share_get_losses(nic, "storage", &l);
	printf("storage_dropped %" PRIu64 "\nstorage_stopped %" PRIu64
	       "\nstorage_link_down %" PRIu64 "\n",
		l.queues, l.stopped, l.link_down);
}

/* ---- The server ---- */

static struct share_flood flood;
static struct share_junk server_junk;

static struct ebd_server *
open_server(const struct options *o)
{
	struct ebd_server *s =
		ebd_server_create(&(struct ebd_server_conf){.idle = idle_policy(o), .net = o->net});
	struct mpn_nic *nic;

	if (s == NULL || ebd_server_link_add(s, o->link) != 0 ||
		ebd_export_add(s, "mem", "mem:256M") != 0)
		return NULL;
	nic = mpn_nic_get(0);
	flood.on = o->flood != 0;
	server_junk.on = o->junk != 0;
	if (set_up(nic, o) < 0 || (o->echo != 0 && add_first(nic, "echo", NULL) < 0) ||
		(flood.on && share_add(nic, "flood", &flood) == NULL) ||
		((server_junk.on || o->idle != 0) && share_add(nic, "junk", &server_junk) == NULL))
		return NULL;
	return s;
}

static int
serve(const struct options *o)
{
	struct ebd_server *s = open_server(o);

	if (s == NULL)
		return -EIO;
	printf("pid %d\nready\n", (int)getpid());
	fflush(stdout);
	while (!stop)
		ebd_server_idle(s, ebd_server_poll(s));
	print_losses(mpn_nic_get(0));
	ebd_server_destroy(s);
	return 0;
}

/* ---- The load ---- */

struct request {
	struct ebd_io io;
	struct load *load;
	struct ebd_queue *q;
	unsigned char *buf;
};

struct load {
	const struct options *o;
	struct ebd_server *server; /* on this thread; NULL: elsewhere */
	struct mpn_personality *storage;
	struct ebd_queue *q[MAX_QUEUES];
	uint64_t random;
	uint64_t done, errors;
	bool ending;
	struct request req[MAX_QUEUES * MAX_DEPTH];
};

static void on_read(struct ebd_io *io, int status, void *arg);

static void
submit(struct request *r)
{
	struct load *l = r->load;
	struct ebd_io *io = &r->io;

	l->random = l->random * 6364136223846793005ull + 1442695040888963407ull;
	ebd_prep_read(io, r->buf, l->o->size,
		(l->random >> 33) % (VOLUME_BYTES / l->o->size) * l->o->size);
	ebd_io_set_callback(io, on_read, r);
	l->errors += ebd_submit_burst(r->q, &io, 1) != 1;
}

static void
on_read(struct ebd_io *io, int status, void *arg)
{
	struct request *r = arg;
	struct load *l = r->load;

	l->errors += status != 0;
	l->done++;
	if (!l->ending)
		submit(r);
}

static int
begin(struct load *l, struct ebd_client *c)
{
	const struct ebd_queue_conf conf = {
		.volume = "mem", .depth = (unsigned)MPN_MAX(l->o->depth, 1u)};
	unsigned char *arena = ebd_arena_alloc(c, (size_t)(l->o->queues * conf.depth) * l->o->size);

	if (arena == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < l->o->queues; i++) {
		l->q[i] = ebd_queue_open(c, &conf);
		if (l->q[i] == NULL)
			return -errno;
	}
	for (unsigned i = 0; i < l->o->queues * l->o->depth; i++) {
		l->req[i].load = l;
		l->req[i].q = l->q[i % l->o->queues];
		l->req[i].buf = arena + (size_t)i * l->o->size;
		submit(&l->req[i]);
	}
	return 0;
}

static void
print_window(uint64_t storage, uint64_t sink, uint64_t weight)
{
	double a = (double)storage / (double)weight, b = (double)sink;

	printf("window %" PRIu64 " %" PRIu64 " %.4f\n", storage, sink,
		a + b > 0 ? (a + b) * (a + b) / (2 * (a * a + b * b)) : 0);
}

static void
run_until(struct load *l, uint64_t end_ns)
{
	while (!stop && mpn_now_ns() < end_ns) {
		uint64_t done = l->done;

		for (unsigned i = 0; i < l->o->queues; i++)
			l->errors += ebd_poll(l->q[i], 0) < 0;
		if (l->o->yield != 0 && l->done == done)
			(void)sched_yield();
		if (l->server != NULL)
			(void)ebd_server_poll(l->server);
	}
}

static unsigned
in_flight(const struct load *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->o->queues; i++)
		n += ebd_in_flight(l->q[i]);
	return n;
}

/* Of storage, on the wire. */
static uint64_t
received(const struct load *l)
{
	struct mpn_personality_info info;

	mpn_personality_get_info(l->storage, &info);
	return info.stats.rx_bytes;
}

/* How far all of them are. */
struct progress {
	uint64_t done, answered, sunk;
};

static struct progress
look(const struct load *l, const struct share_probe *probe, const struct share_sink *sink)
{
	return (struct progress){l->done, probe->answered, sink->bytes};
}

/* Has each that was asked for got ahead? */
static bool
has_enough(const struct options *o, const struct progress *from, const struct progress *to)
{
	bool reads = o->depth != 0, asks = o->rate != 0 || o->window != 0;

	return (!reads || to->done - from->done >= o->least) &&
	       (!asks || to->answered - from->answered >= o->least) &&
	       (o->flood == 0 || to->sunk - from->sunk >= o->least);
}

static void
measure(struct load *l, struct share_probe *probe, const struct share_sink *sink)
{
	uint64_t begin_ns = mpn_now_ns(), end_ns = begin_ns + l->o->ms * 1000000;
	struct progress from = look(l, probe, sink), to = from;
	double seconds;

	mpn_hist_reset(&probe->rtt);
	printf("pid %d\nmeasuring\n", (int)getpid());
	fflush(stdout);
	while (!stop && (mpn_now_ns() + WINDOW_NS <= end_ns || !has_enough(l->o, &from, &to))) {
		uint64_t storage = received(l), other = sink->bytes;

		run_until(l, mpn_now_ns() + WINDOW_NS);
		if (l->o->flood != 0)
			print_window(received(l) - storage, sink->bytes - other, l->o->weight);
		to = look(l, probe, sink);
	}
	seconds = (double)(mpn_now_ns() - begin_ns) / 1e9;
	printf("reads_per_s %.0f\n", (double)(to.done - from.done) / seconds);
	printf("answers_per_s %.0f\n", (double)(to.answered - from.answered) / seconds);
	printf("rtt_p50_ns %" PRIu64 "\nrtt_p99_ns %" PRIu64 "\nrtt_max_ns %" PRIu64 "\n",
		mpn_hist_percentile(&probe->rtt, 0.5), mpn_hist_percentile(&probe->rtt, 0.99),
		probe->rtt.max);
}

static int
poll_server(void *arg)
{
	return arg != NULL ? (int)ebd_server_poll(arg) : 0;
}

static int
add_load(struct mpn_nic *nic, const struct options *o, struct share_probe *probe,
	struct share_sink *sink, struct share_junk *junk)
{
	probe->gap_ns = o->rate != 0 ? NSEC_PER_SEC / o->rate : 0;
	probe->window = (unsigned)o->window;
	probe->on = true;
	junk->on = o->junk != 0;
	if (set_up(nic, o) < 0 ||
		((o->rate != 0 || o->window != 0) && add_first(nic, "probe", probe) < 0) ||
		(o->flood != 0 && share_add(nic, "sink", sink) == NULL) ||
		((junk->on || o->idle != 0) && share_add(nic, "junk", junk) == NULL))
		return -EIO;
	return 0;
}

static int
load_link(const struct options *o, struct ebd_server *server)
{
	static struct load load;
	static struct share_probe probe;
	struct share_sink sink = {0};
	struct share_junk junk = {0};
	const struct ebd_client_conf conf = {.link = o->link,
		.idle = idle_policy(o),
		.net = server == NULL ? o->net : NULL,
		.background = poll_server,
		.background_arg = server,
		.connect_timeout_ms = 30000};
	struct ebd_client *c = ebd_client_create(&conf);
	struct mpn_nic *nic = mpn_nic_get(server != NULL ? 1 : 0);

	load.o = o;
	load.server = server;
	if (c == NULL || add_load(nic, o, &probe, &sink, &junk) < 0)
		return -EIO;
	load.storage = mpn_personality_find(nic, "storage");
	if (begin(&load, c) < 0)
		return -EIO;
	run_until(&load, mpn_now_ns() + WARM_UP_NS);
	measure(&load, &probe, &sink);
	load.ending = true;
	probe.on = false;
	while (!stop && in_flight(&load) > 0)
		run_until(&load, mpn_now_ns() + 1000);
	printf("errors %" PRIu64 "\n", load.errors);
	print_losses(nic);
	ebd_client_destroy(c);
	return 0;
}

static int
run_both(const struct options *o)
{
	struct ebd_server *s = open_server(o);
	int rc = s != NULL ? load_link(o, s) : -EIO;

	ebd_server_destroy(s);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o = {.sched = "fifo", .weight = 3, .size = 4096, .queues = 1, .ms = 2000};
	static const char *const modes[] = {"serve", "load", "both", NULL};
	int mode = argc > 2 ? mpn_parse_choice(argv[1], modes) : -1, rc = 0;

	for (int i = 3; i < argc && rc == 0; i++)
		rc = set_option(&o, argv[i]);
	if (mode < 0 || rc < 0 || o.depth > MAX_DEPTH || o.queues == 0 || o.queues > MAX_QUEUES ||
		o.size == 0 || o.weight == 0) {
		fprintf(stderr, "usage: %s serve|load|both LINK [option=value]...\n", argv[0]);
		return 2;
	}
	o.link = argv[2];
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	rc = mode == 0 ? serve(&o) : mode == 1 ? load_link(&o, NULL) : run_both(&o);
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", strerror(-rc), ebd_last_error());
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
