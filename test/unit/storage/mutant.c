/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Puts a fault of st_mutant.h into a test program, and has it run the test that must catch it:
 *
 *	ST_MUTANT=NAME ST_TEST=NAME test_storage_mutant_SUBJECT
 *
 * With ST_MUTANT=list it prints the names.
 */

#include <stdio.h>
#include <string.h>

#include "bed.h"
#include "st_mutant.h"

enum st_mutant st_mutant;

static const char *const names[] = {"none",
#define X(name, text) #name,
	ST_MUTANT_LIST(X)
#undef X
};

__attribute__((constructor)) static void
choose_mutant(void)
{
	const char *name = getenv("ST_MUTANT"), *test = getenv("ST_TEST");
	unsigned i;

	if (name == NULL)
		return;
	if (strcmp(name, "list") == 0) {
		for (i = 1; i < ST_MUTANT_COUNT; i++)
			puts(names[i]);
		exit(0);
	}
	for (i = 0; i < ST_MUTANT_COUNT; i++) {
		if (strcmp(names[i], name) == 0)
			st_mutant = (enum st_mutant)i;
	}
	if (test != NULL)
		cmocka_set_test_filter(test);
}
