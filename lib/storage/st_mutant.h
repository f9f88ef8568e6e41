/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Faults that can be put into the handling of buffers and frames on purpose, as xfer_mutant.h has them
 * for the engine: each must be caught by a test, by name. They exist only in the test programs that are
 * built with ST_MUTANTS; everywhere else ST_MUTATE() is 0 and the compiler takes the fault out.
 */

#ifndef ST_MUTANT_H
#define ST_MUTANT_H

/* {name, what is wrong then} */
#define ST_MUTANT_LIST(X) \
	X(retx_by_ref, "frames that were sent before go by reference again") \
	X(no_revoke, "frames of commands that end without an answer stay valid") \
	X(lend_volume, "memory of a volume is lent") \
	X(kept_early, "the frames of a write are freed before the back end is done") \
	X(arena_early, "an arena is freed under its frames") \
	X(page_unheld, "an arena is freed under its pages in the ring") \
	X(users_ignored, "memory goes although a command under way may send it again") \
	X(stage_early, "a staging buffer is used again under its frames")

#ifdef ST_MUTANTS
enum st_mutant {
	ST_MUTANT_none,
#define X(name, text) ST_MUTANT_##name,
	ST_MUTANT_LIST(X)
#undef X
		ST_MUTANT_COUNT
};

extern enum st_mutant st_mutant;

#define ST_MUTATE(name) (st_mutant == ST_MUTANT_##name)
#else
#define ST_MUTATE(name) 0
#endif

#endif
