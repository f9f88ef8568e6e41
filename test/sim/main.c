/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The simulator's command line. */

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "cases.h"
#include "mpn_opt.h"
#include "mpn_parse.h"
#include "shrink.h"

#define RING 20000
#define SHOW_EVENTS 60
#define DEFAULT_OPS 2000
#define MAX_OPS (ORACLE_MAX_OPS - 8192)

struct options {
	uint64_t first;
	uint64_t last;
	struct sim_recipe recipe;
	const char *only; /**< case to run */
	bool cases;
	bool trace;
	bool twice;
	bool shrink;
	bool quiet;
	uint64_t events; /**< to show after a failure */
};

/* Sums over all seeds. */
struct totals {
	uint64_t seeds, ops, events, checks, virtual_ns, heal_max_ns, slowest_ns;
	uint64_t hits[SIM_F_COUNT];
	uint64_t outcomes[3];
	struct xfer_stats stats;
	struct sim_placing placing;
	struct sim_lending lending;
};

/* ---- Options ---- */

static int
set_seed(void *cfg, const char *arg)
{
	struct options *o = cfg;
	int ret = mpn_parse_u64(arg, 0, UINT64_MAX - 1, &o->first);

	o->last = o->first;
	return ret;
}

static int
set_seeds(void *cfg, const char *arg)
{
	struct options *o = cfg;
	char first[32];
	size_t n = strcspn(arg, "-");

	if (arg[n] != '-' || n >= sizeof(first))
		return -EINVAL;
	memcpy(first, arg, n);
	first[n] = '\0';
	if (mpn_parse_u64(first, 0, UINT64_MAX - 1, &o->first) != 0)
		return -EINVAL;
	return mpn_parse_u64(arg + n + 1, o->first, UINT64_MAX - 1, &o->last);
}

static int
set_ops(void *cfg, const char *arg)
{
	uint64_t n;
	int ret = mpn_parse_u64(arg, 1, MAX_OPS, &n);

	if (ret == 0)
		((struct options *)cfg)->recipe.ops = (uint32_t)n;
	return ret;
}

static int
set_faults(void *cfg, const char *arg)
{
	return sim_faults_parse(arg, &((struct options *)cfg)->recipe.faults);
}

static int
set_placement(void *cfg, const char *arg)
{
	struct options *o = cfg;
	uint8_t m;

	for (m = 0; m < SIM_MODES && strcmp(arg, sim_mode_names[m]) != 0; m++)
		;
	o->recipe.mode = m;
	return m < SIM_MODES ? 0 : -EINVAL;
}

static int
set_skip(void *cfg, const char *arg)
{
	return recipe_parse_skip(&((struct options *)cfg)->recipe, arg);
}

static int
set_case(void *cfg, const char *arg)
{
	struct options *o = cfg;

	o->cases = true;
	o->only = arg;
	return case_exists(arg) ? 0 : -EINVAL;
}

static int
set_events(void *cfg, const char *arg)
{
	return mpn_parse_u64(arg, 0, RING, &((struct options *)cfg)->events);
}

#define FLAG(name) \
	static int set_##name(void *cfg, const char *arg) \
	{ \
		((struct options *)cfg)->name = true; \
		return 0; \
	}
FLAG(cases)
FLAG(trace)
FLAG(twice)
FLAG(shrink)
FLAG(quiet)

static const struct mpn_opt opts[] = {
	{"seed", 's', "N", "a number", "run this seed (default 1)", set_seed},
	{"seeds", 0, "A-B", "two numbers, the first not above the second", "run these seeds",
		set_seeds},
	{"ops", 'n', "N", "1 to 122880", "commands per seed (default 2000)", set_ops},
	{"faults", 'f', "LIST", "names of faults, or all, none, swarm",
		"faults that may strike (default swarm: each with probability 1/2)", set_faults},
	{"placement", 'p', "MODE", "copy, in_place, loan or mixed",
		"how read data gets to its users (default: each seed has its own)", set_placement},
	{"skip", 0, "LIST", "numbers and ranges such as 3,7-12", "leave out these strikes",
		set_skip},
	{"trace", 't', NULL, NULL, "print every event", set_trace},
	{"twice", '2', NULL, NULL, "run each seed twice and compare the traces", set_twice},
	{"shrink", 0, NULL, NULL, "make a failing run small", set_shrink},
	{"events", 'e', "N", "0 to 20000", "events shown after a failure (default 60)", set_events},
	{"cases", 0, NULL, NULL, "run the named cases", set_cases},
	{"case", 'c', "NAME", "the name of a case", "run one of them", set_case},
	{"quiet", 'q', NULL, NULL, "no summary", set_quiet},
	{"help", 'h', NULL, NULL, "show this", NULL},
};

static void
print_help(void)
{
	unsigned k;

	printf("usage: sim [OPTION]...\n\n");
	mpn_opt_help(stdout, opts, MPN_ARRAY_SIZE(opts));
	printf("\nfaults:\n");
	for (k = 0; k < SIM_F_COUNT; k++)
		printf("  %-12s %s\n", sim_fault_names[k], sim_fault_texts[k]);
	printf("\nplacement:\n");
	for (k = 0; k < SIM_MODES; k++)
		printf("  %-12s %s\n", sim_mode_names[k], sim_mode_texts[k]);
	printf("\ncases:\n");
	cases_list();
}

/* ---- Reports ---- */

static void
add_result(struct totals *t, const struct sim_result *r)
{
	unsigned i;

	t->seeds++;
	t->ops += r->ops;
	t->events += r->events;
	t->checks += r->checks;
	t->virtual_ns += r->virtual_ns;
	t->heal_max_ns = MPN_MAX(t->heal_max_ns, r->heal_ns);
	t->slowest_ns = MPN_MAX(t->slowest_ns, r->slowest_ns);
	for (i = 0; i < SIM_F_COUNT; i++)
		t->hits[i] += r->hits[i];
	for (i = 0; i < 3; i++)
		t->outcomes[i] += r->outcomes[i];
	world_add_stats(&t->stats, &r->stats);
#define X(name, text) t->placing.place.name += r->placing.place.name;
	XFER_PLACE_LIST(X)
#undef X
	t->placing.resync += r->placing.resync;
	t->placing.dropped += r->placing.dropped;
	t->lending.loans += r->lending.loans;
	t->lending.frames += r->lending.frames;
	t->lending.refused += r->lending.refused;
	t->lending.copied += r->lending.copied;
	t->lending.failed += r->lending.failed;
}

static void
print_totals(const struct totals *t, double seconds)
{
	unsigned i;

	printf("%" PRIu64 " seeds, %" PRIu64 " commands (%" PRIu64 " ended well, %" PRIu64
	       " cancelled, %" PRIu64 " failed), %" PRIu64 " sectors judged\n",
		t->seeds, t->ops, t->outcomes[0], t->outcomes[1], t->outcomes[2], t->checks);
	printf("%.1f s, %.1f us a command; %" PRIu64 " events, %.0f s of virtual time, healed "
	       "within %.1f s, slowest command %.3f s\n",
		seconds, seconds * 1e6 / (double)(t->ops ? t->ops : 1), t->events,
		(double)t->virtual_ns / 1e9, (double)t->heal_max_ns / 1e9,
		(double)t->slowest_ns / 1e9);
	printf("faults that struck:\n");
	for (i = 0; i < SIM_F_COUNT; i++)
		printf("  %-14s %12" PRIu64 "  %s\n", sim_fault_names[i], t->hits[i],
			sim_fault_texts[i]);
	printf("counters of both ends:\n");
#define X(name, text) printf("  %-14s %12" PRIu64 "  %s\n", #name, t->stats.name, text);
	XFER_COUNTER_LIST(X)
#undef X
	printf("reads in place:\n");
#define X(name, text) printf("  %-14s %12" PRIu64 "  %s\n", #name, t->placing.place.name, text);
	XFER_PLACE_LIST(X)
#undef X
	printf("  %-14s %12" PRIu64 "  refills that began with a header of their own\n", "resync",
		t->placing.resync);
	printf("  %-14s %12" PRIu64 "  frames that found no room in the ring\n", "dropped",
		t->placing.dropped);
	printf("loans:\n");
	printf("  %" PRIu64 " of %" PRIu64 " frames, %" PRIu64 " refused by the quota, %" PRIu64
	       " copies, %" PRIu64 " without a frame\n",
		t->lending.loans, t->lending.frames, t->lending.refused, t->lending.copied,
		t->lending.failed);
	printf("frames dropped:\n");
	for (i = 0; i < WIRE_DROP_COUNT; i++) {
		if (t->stats.drops[i] > 0)
			printf("  %-14s %12" PRIu64 "  %s\n", wire_drop_name((enum wire_drop)i),
				t->stats.drops[i], wire_drop_text((enum wire_drop)i));
	}
}

static void
keep_events(struct world *w, bool live)
{
	if (w->trace.ring == NULL)
		w->trace.ring = calloc(RING, sizeof(*w->trace.ring));
	if (w->trace.ring == NULL)
		abort();
	w->trace.ring_size = RING;
	w->trace.live = live;
}

static void
print_failure(const struct sim_recipe *r, const struct sim_failure *f)
{
	printf("FAILED seed %" PRIu64 " at %.3f us: %s (%s: %s)\n  %s\n  replay: ", r->seed,
		(double)f->at / 1000, sim_criterion_ids[f->criterion],
		sim_criterion_names[f->criterion], sim_criterion_texts[f->criterion], f->text);
	recipe_print(r, stdout);
}

/* Run it again, small if wanted, and show how it came to that. */
static void
report_failure(struct world *w, const struct options *o, const struct sim_recipe *r,
	const struct sim_failure *f)
{
	struct sim_recipe small = *r;
	struct sim_result result;

	print_failure(r, f);
	if (o->shrink) {
		printf("shrunk in %u runs:\n", recipe_shrink(w, &small, f->criterion));
		recipe_run(w, &small, &result);
		print_failure(&small, &result.failure);
	}
	if (o->events > 0) {
		keep_events(w, false);
		recipe_run(w, &small, &result);
		printf("the last events:\n");
		trace_print(&w->trace, stdout, (uint32_t)o->events);
		free(w->trace.ring);
		w->trace.ring = NULL;
	}
	if (small.skip != r->skip)
		free(small.skip);
}

/* ---- Seeds ---- */

/* @return did the seed pass? */
static bool
run_seed(struct world *w, const struct options *o, uint64_t seed, struct totals *t)
{
	struct sim_recipe r = o->recipe;
	struct sim_result first, second;

	r.seed = seed;
	recipe_run(w, &r, &first);
	add_result(t, &first);
	if (first.failed) {
		report_failure(w, o, &r, &first.failure);
		return false;
	}
	if (!o->twice)
		return true;
	recipe_run(w, &r, &second);
	if (second.hash == first.hash && second.events == first.events)
		return true;
	printf("FAILED seed %" PRIu64 ": two runs differ: %016" PRIx64 " and %016" PRIx64 "\n",
		seed, first.hash, second.hash);
	return false;
}

static int
run_seeds(struct world *w, const struct options *o)
{
	clock_t start = clock();
	struct totals t = {0};
	uint64_t seed, failed = 0;

	if (o->trace)
		keep_events(w, true);
	for (seed = o->first; seed <= o->last; seed++)
		failed += !run_seed(w, o, seed, &t);
	if (!o->quiet)
		print_totals(&t, (double)(clock() - start) / CLOCKS_PER_SEC);
	if (failed > 0)
		printf("%" PRIu64 " of %" PRIu64 " seeds FAILED\n", failed, t.seeds);
	return failed > 0;
}

int
main(int argc, char **argv)
{
	struct options o = {.first = 1, .last = 1, .events = SHOW_EVENTS};
	const char *operands[16];
	struct world *w;
	int ret;

	o.recipe.ops = DEFAULT_OPS;
	o.recipe.faults = SIM_FAULT_SWARM;
	o.recipe.mode = SIM_MODES;
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_help();
		return 0;
	}
	if (argc > (int)MPN_ARRAY_SIZE(operands))
		return 2;
	ret = mpn_opt_parse("sim", opts, MPN_ARRAY_SIZE(opts) - 1, argc, argv, &o, operands);
	if (ret != 0) {
		if (ret > 0)
			fprintf(stderr, "sim: '%s': expected no operand\n", operands[0]);
		return 2;
	}
	w = world_create();
	if (o.cases) {
		if (o.trace)
			keep_events(w, true);
		ret = cases_run(w, o.only);
	} else {
		ret = run_seeds(w, &o);
	}
	world_destroy(w);
	free(o.recipe.skip);
	return ret;
}
