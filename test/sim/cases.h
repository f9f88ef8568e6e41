/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Named cases: exact scripts of what the network does, where a seed would find them only by luck.
 */

#ifndef SIM_CASES_H
#define SIM_CASES_H

#include "world.h"

/** A case fails by sim_fail(), through CASE_CHECK or what the oracle sees. */
struct sim_case {
	const char *name;
	const char *text;
	void (*run)(struct world *w);
};

#define CASE_CHECK(w, cond) \
	do { \
		if (!(cond)) \
			sim_fail( \
				w, CR_completion, "%s:%d: not so: %s", __FILE__, __LINE__, #cond); \
	} while (0)

/** {name, text} */
#define SIM_CASE_LIST(X) X(plain, "one initiator, no faults, all commands")

#define X(name, text) void case_##name(struct world *w);
SIM_CASE_LIST(X)
#undef X

bool case_exists(const char *name);
void cases_list(void);
/** Run one case, or all when name is NULL. @return exit status */
int cases_run(struct world *w, const char *name);

#endif
