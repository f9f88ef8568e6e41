/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Make a failing run small: fewer operations, fewer kinds of faults, fewer strikes of them. The
 * result is a command line that fails in the same way.
 */

#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "world.h"

/** A run, as the command line describes it. */
struct sim_recipe {
	uint64_t seed;
	uint32_t ops;
	uint32_t faults; /**< mask, or SIM_FAULT_SWARM */
	uint8_t mode; /**< enum sim_mode, SIM_MODES: the seed's */
	uint64_t *skip; /**< strikes left out */
	uint32_t skip_bits;
};

void recipe_run(struct world *w, const struct sim_recipe *r, struct sim_result *result);
/** Shrink r in place; r->skip is allocated when needed. @return runs it took */
unsigned recipe_shrink(struct world *w, struct sim_recipe *r, enum sim_criterion criterion);
/** The command line that replays it. */
void recipe_print(const struct sim_recipe *r, FILE *f);
/** "3,7-12" into r->skip. @return 0 or -EINVAL */
int recipe_parse_skip(struct sim_recipe *r, const char *list);

#endif
