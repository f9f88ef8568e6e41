/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Faults that can be put into the engine on purpose, to see that the simulator finds them: a test that
 * cannot fail says nothing. They exist only in the test program that is built with XFER_MUTANTS;
 * everywhere else XFER_MUTATE() is 0 and the compiler takes the fault out.
 */

#ifndef XFER_MUTANT_H
#define XFER_MUTANT_H

/* {name, what is wrong then} */
#define XFER_MUTANT_LIST(X) \
	X(no_filter, "the target executes copies of a command again") \
	X(no_stale, "the target takes commands from before the slot's last one") \
	X(early_rsp, "the target answers a write before it is done") \
	X(early_flush, "the target answers a flush without executing it") \
	X(no_fua, "the target forgets FUA") \
	X(any_tag, "the initiator takes data for whatever command has the slot") \
	X(no_crc, "nobody looks at checksums") \
	X(window, "the target gives one credit more than it may") \
	X(no_fence, "a new session leaves the client's older ones alive") \
	X(early_open, "a new session does not wait for the older one's commands") \
	X(abort_lies, "the target promises to cancel what it executes") \
	X(no_order, "the initiator does not order overlapping writes") \
	X(mixed_reads, "the initiator mixes fragments of several readings") \
	X(twice_placed, "the initiator places copies of a fragment") \
	X(no_retry, "the initiator sends nothing again") \
	X(no_retx, "the initiator does not say what it sends again") \
	X(lost_buf, "the target keeps the memory of cancelled commands") \
	X(place_early, "reads end while pages of theirs are in the ring") \
	X(place_restart, "reads start again while pages of theirs are in the ring") \
	X(place_no_bounce, "data goes to pages that are still in the ring") \
	X(place_let_go, "pages count as out of the ring when their data came elsewhere") \
	X(place_short, "frames that do not fit in the ring are not cared for") \
	X(place_any, "data in whatever page counts as in place") \
	X(place_no_drain, "nobody brings pages out of the ring") \
	X(loan_quota, "a command that starts again may keep more frames than were reserved") \
	X(loan_parts, "a frame is kept of which only a part counts") \
	X(loan_leak, "frames of loans that failed are kept")

#ifdef XFER_MUTANTS
enum xfer_mutant {
	XFER_MUTANT_none,
#define X(name, text) XFER_MUTANT_##name,
	XFER_MUTANT_LIST(X)
#undef X
		XFER_MUTANT_COUNT
};

extern enum xfer_mutant xfer_mutant;

#define XFER_MUTATE(name) (xfer_mutant == XFER_MUTANT_##name)
#else
#define XFER_MUTATE(name) 0
#endif

#endif
