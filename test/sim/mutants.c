/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Does the simulator bite? The engine is run with one fault after the other built in (see
 * xfer_mutant.h), and each must be caught within a few seeds.
 *
 *	sim_mutants [NAME]...
 */

#include <inttypes.h>
#include <stdlib.h>

#include "world.h"
#include "xfer_mutant.h"

#define OPS 2000
#define SEEDS 500
#define SEEDS_NONE 100 /* of the engine as it is: the simulator itself has many more */

enum xfer_mutant xfer_mutant;

static const struct {
	const char *name;
	const char *text;
} mutants[] = {{"none", "the engine as it is"},
#define X(name, text) {#name, text},
	XFER_MUTANT_LIST(X)
#undef X
};

/* Faults in how data gets to its user are looked for where it gets there in that way. */
static uint8_t
mode_of(const char *name)
{
	if (strncmp(name, "place_", strlen("place_")) == 0)
		return SIM_MODE_in_place;
	if (strncmp(name, "loan_", strlen("loan_")) == 0)
		return SIM_MODE_loan;
	return strcmp(name, "none") == 0 ? SIM_MODES : SIM_MODE_copy;
}

/* @return was it as it should be: a mutant caught, the engine itself not? */
static bool
run_mutant(struct world *w, unsigned m)
{
	uint64_t seeds = m == XFER_MUTANT_none ? SEEDS_NONE : SEEDS, seed;
	struct sim_result r = {0};

	xfer_mutant = (enum xfer_mutant)m;
	w->mode = mode_of(mutants[m].name);
	for (seed = 1; seed <= seeds && !r.failed; seed++)
		sim_run(w, seed, OPS, SIM_FAULT_SWARM, NULL, 0, &r);
	if (r.failed)
		printf("%-16s caught by %-3s (%s) in seed %" PRIu64 ": %s\n  %s\n", mutants[m].name,
			sim_criterion_ids[r.failure.criterion],
			sim_criterion_names[r.failure.criterion], seed - 1, mutants[m].text,
			r.failure.text);
	else
		printf("%-16s %s in %" PRIu64 " seeds: %s\n", mutants[m].name,
			m == XFER_MUTANT_none ? "passes" : "NOT CAUGHT", seeds, mutants[m].text);
	return r.failed == (m != XFER_MUTANT_none);
}

static bool
is_wanted(int argc, char **argv, const char *name)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], name) == 0)
			return true;
	}
	return argc < 2;
}

int
main(int argc, char **argv)
{
	struct world *w = world_create();
	unsigned m, ran = 0, wrong = 0;

	for (m = 0; m < MPN_ARRAY_SIZE(mutants); m++) {
		if (!is_wanted(argc, argv, mutants[m].name))
			continue;
		ran++;
		wrong += !run_mutant(w, m);
	}
	world_destroy(w);
	if (ran == 0)
		fprintf(stderr, "sim_mutants: '%s': no such mutant\n", argv[1]);
	return ran == 0 ? 2 : wrong > 0;
}
