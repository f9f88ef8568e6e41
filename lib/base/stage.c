/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "mpn_stage.h"

#ifdef MPN_STAGES

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_THREADS 64

_Thread_local struct mpn_stages *mpn_stages_mine;
static struct mpn_stages threads[MAX_THREADS];
static unsigned nb_threads;

struct mpn_stages *
mpn_stages_get(void)
{
	unsigned i = __atomic_fetch_add(&nb_threads, 1, __ATOMIC_RELAXED);

	/* More threads than that share the last one: a build for measuring. */
	mpn_stages_mine = &threads[i < MAX_THREADS ? i : MAX_THREADS - 1];
	mpn_stages_mine->since_tsc = __builtin_ia32_rdtsc();
	return mpn_stages_mine;
}

__attribute__((destructor)) static void
write_stages(void)
{
	static const char *const texts[] = {
#define X(id, text) text,
		MPN_STAGE_LIST(X)
#undef X
	};
	const char *path = getenv("MPNIC_STAGES");
	FILE *f = path != NULL ? fopen(path, "w") : NULL;
	unsigned i, k;

	if (f == NULL)
		return;
	for (i = 0; i < MPN_STAGES_NB; i++) {
		uint64_t cycles = 0, entered = 0;

		for (k = 0; k < MAX_THREADS; k++) {
			cycles += threads[k].cycles[i];
			entered += threads[k].entered[i];
		}
		fprintf(f, "%" PRIu64 " %" PRIu64 " %s\n", cycles, entered, texts[i]);
	}
	(void)fclose(f);
}

#endif
