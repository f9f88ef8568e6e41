/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "cases.h"

static const struct sim_case cases[] = {
#define X(name, text) {#name, text, case_##name},
	SIM_CASE_LIST(X)
#undef X
};

bool
case_exists(const char *name)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(cases); i++) {
		if (strcmp(cases[i].name, name) == 0)
			return true;
	}
	return false;
}

void
cases_list(void)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(cases); i++)
		printf("  %-20s %s\n", cases[i].name, cases[i].text);
}

int
cases_run(struct world *w, const char *name)
{
	unsigned failed = 0;
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(cases); i++) {
		if (name != NULL && strcmp(cases[i].name, name) != 0)
			continue;
		cases[i].run(w);
		if (w->failure.failed) {
			printf("FAILED: %s: %s (%s): %s\n", cases[i].name,
				sim_criterion_ids[w->failure.criterion],
				sim_criterion_names[w->failure.criterion], w->failure.text);
			failed++;
		} else {
			printf("ok: %s: %s\n", cases[i].name, cases[i].text);
		}
	}
	return failed > 0;
}

void
case_plain(struct world *w)
{
	struct sim_result r;

	sim_run(w, 1, 2000, 0, NULL, 0, &r);
	CASE_CHECK(w, r.outcomes[0] == w->load.ended && r.outcomes[0] >= 2000);
}
