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
#define SIM_CASE_LIST(X) \
	X(plain, "one initiator, no faults, all commands") \
	X(late_copy, "an old copy of a write comes after a newer one: the newer stays") \
	X(late_copy_grant, "the same for a write whose data was granted") \
	X(late_copy_unanswered, "the same, when the initiator died before its write was answered") \
	X(late_copy_tgt, "the same, when the target was started again in between") \
	X(late_copy_ini, "the same, when the initiator was started again in between") \
	X(late_copy_both, "the same, when both were") \
	X(late_copy_wrap, "the same, when the slot's generation has come round") \
	X(takeover, "a client that was suspended wakes up after another start of it has opened") \
	X(drop_masks, "every subset of the first 12 frames is lost: open, write, read, flush") \
	X(single_strikes, "every frame of an exchange of 64 is lost, doubled, or swapped") \
	X(double_strikes, "every two of them") \
	X(attacks, \
		"frames that are forged, late or come twice, whatever way data gets to its user") \
	X(in_place, "without faults nearly all data is received where it belongs") \
	X(small_ring, "a ring for fewer fragments than reads have: it slows down") \
	X(blackout, "nothing goes through for 2 s of every 7, then for 5 s of every 7") \
	X(silent_target, "the target falls silent for good: commands time out, and close ends") \
	X(no_stall, "without faults nothing waits for a timer, whatever the parameters") \
	X(one_credit, "with one command in flight nothing waits for a timer") \
	X(sessions64, "64 sessions: memory as computed, and idle ones cost nothing")

#define X(name, text) void case_##name(struct world *w);
SIM_CASE_LIST(X)
#undef X

/** Data gets to the users in this way; payload units are pages. */
void case_set_mode(struct sim_conf *c, enum sim_mode mode, uint32_t pairs);
/** Start over by w->conf without faults, and wait until all initiators are live. */
void case_open(struct world *w);
/** Submit a command of the first initiator. */
struct sim_cmd *case_submit(struct world *w, unsigned ini, uint8_t op, uint32_t sector, uint32_t n);
/** Wait until nothing is in flight. False (and a failure) when that takes longer than this. */
bool case_wait(struct world *w, uint64_t ns);
/** Submit, wait, and expect success. */
void case_io(struct world *w, unsigned ini, uint8_t op, uint32_t sector, uint32_t n);

bool case_exists(const char *name);
void cases_list(void);
/** Run one case, or all when name is NULL. @return exit status */
int cases_run(struct world *w, const char *name);

#endif
