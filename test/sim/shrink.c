/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <inttypes.h>
#include <stdlib.h>

#include "shrink.h"

#define MAX_RUNS 2000
#define MAX_STRIKES (1u << 20)

struct shrinker {
	struct world *w;
	struct sim_recipe *r;
	enum sim_criterion criterion;
	struct sim_result last;
	unsigned runs;
};

void
recipe_run(struct world *w, const struct sim_recipe *r, struct sim_result *result)
{
	w->mode = r->mode;
	sim_run(w, r->seed, r->ops, r->faults, r->skip, r->skip_bits, result);
}

static bool
still_fails(struct shrinker *s)
{
	struct sim_result result;

	s->runs++;
	recipe_run(s->w, s->r, &result);
	if (!result.failed || result.failure.criterion != s->criterion)
		return false;
	s->last = result;
	return true;
}

static void
shrink_ops(struct shrinker *s)
{
	uint32_t good = 0, bad = s->r->ops, mid;

	/* What was submitted before it failed is an upper bound. */
	if (s->last.ops < bad) {
		s->r->ops = s->last.ops;
		if (still_fails(s))
			bad = s->r->ops;
	}
	while (bad - good > 1 + bad / 32 && s->runs < MAX_RUNS) {
		mid = good + (bad - good) / 2;
		s->r->ops = mid;
		if (still_fails(s))
			bad = mid;
		else
			good = mid;
	}
	s->r->ops = bad;
}

static void
shrink_kinds(struct shrinker *s)
{
	unsigned k;

	for (k = 0; k < SIM_F_COUNT && s->runs < MAX_RUNS; k++) {
		if (!(s->r->faults >> k & 1))
			continue;
		s->r->faults &= ~(1u << k);
		if (!still_fails(s))
			s->r->faults |= 1u << k;
	}
}

static void
set_skip(struct sim_recipe *r, uint32_t from, uint32_t to, const uint64_t *before)
{
	uint32_t i;

	for (i = from; i < to; i++) {
		if (before != NULL && !(before[i / 64] >> i % 64 & 1))
			r->skip[i / 64] &= ~(1ull << i % 64);
		else
			r->skip[i / 64] |= 1ull << i % 64;
	}
}

/* Delta debugging: leave out ever smaller pieces of what struck. */
static void
shrink_strikes(struct shrinker *s)
{
	uint32_t n = MPN_MIN(s->last.strikes, MAX_STRIKES), words = (n + 63) / 64, chunk, at;
	uint64_t *before;

	if (n == 0 || s->r->skip != NULL)
		return;
	s->r->skip = calloc(words, sizeof(uint64_t));
	before = calloc(words, sizeof(uint64_t));
	if (s->r->skip == NULL || before == NULL)
		abort();
	s->r->skip_bits = n;
	for (chunk = n; chunk > 0; chunk /= 2) {
		for (at = 0; at < n && s->runs < MAX_RUNS; at += chunk) {
			memcpy(before, s->r->skip, words * sizeof(uint64_t));
			set_skip(s->r, at, MPN_MIN(at + chunk, n), NULL);
			if (memcmp(before, s->r->skip, words * sizeof(uint64_t)) != 0 &&
				!still_fails(s))
				set_skip(s->r, at, MPN_MIN(at + chunk, n), before);
		}
	}
	free(before);
}

unsigned
recipe_shrink(struct world *w, struct sim_recipe *r, enum sim_criterion criterion)
{
	struct shrinker s = {.w = w, .r = r, .criterion = criterion};

	if (!still_fails(&s))
		return s.runs;
	if (r->faults == SIM_FAULT_SWARM)
		r->faults = s.last.faults;
	shrink_ops(&s);
	shrink_kinds(&s);
	shrink_ops(&s);
	shrink_strikes(&s);
	return s.runs;
}

/* ---- Command line ---- */

static bool
is_skipped(const struct sim_recipe *r, uint32_t i)
{
	return i < r->skip_bits && r->skip[i / 64] >> i % 64 & 1;
}

void
recipe_print(const struct sim_recipe *r, FILE *f)
{
	char list[512];
	uint32_t i, end;
	const char *sep = " --skip ";

	fprintf(f, "sim --seed %" PRIu64 " --ops %u --faults %s", r->seed, r->ops,
		sim_faults_format(list, sizeof(list), r->faults));
	if (r->mode < SIM_MODES)
		fprintf(f, " --placement %s", sim_mode_names[r->mode]);
	for (i = 0; i < r->skip_bits; i = end + 1) {
		for (end = i; is_skipped(r, end); end++)
			;
		if (end == i)
			continue;
		fprintf(f, "%s%u", sep, i);
		if (end - 1 > i)
			fprintf(f, "-%u", end - 1);
		sep = ",";
	}
	fputc('\n', f);
}

int
recipe_parse_skip(struct sim_recipe *r, const char *list)
{
	unsigned long from, to;
	char *end;

	r->skip = calloc(MAX_STRIKES / 64, sizeof(uint64_t));
	if (r->skip == NULL)
		abort();
	r->skip_bits = MAX_STRIKES;
	while (*list != '\0') {
		from = to = strtoul(list, &end, 10);
		if (end == list)
			return -EINVAL;
		if (*end == '-') {
			list = end + 1;
			to = strtoul(list, &end, 10);
			if (end == list)
				return -EINVAL;
		}
		if (to >= MAX_STRIKES || from > to || (*end != '\0' && *end != ','))
			return -EINVAL;
		set_skip(r, (uint32_t)from, (uint32_t)to + 1, NULL);
		list = *end == ',' ? end + 1 : end;
	}
	return 0;
}
