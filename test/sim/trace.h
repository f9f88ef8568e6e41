/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Every event goes into one hash, so that two runs of a seed can be compared by one number. The
 * events themselves are kept only when somebody wants to see them: a failed seed is run again for
 * that, which gives the same events.
 */

#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/** {name, what a, b, c are} */
#define SIM_TRACE_LIST(X) \
	X(SEND, "frame sent") \
	X(ARRIVE, "frame arrives") \
	X(LOST, "frame lost: a = enum sim_fault") \
	X(FAULT, "a = enum sim_fault, b, c = what of") \
	X(SUBMIT, "a = op id, b = operation, c = sector << 32 | sectors") \
	X(DONE, "a = op id, b = status") \
	X(ABORT, "a = op id") \
	X(EXEC, "a = op id or 0, b = operation, c = sector << 32 | sectors") \
	X(EXECUTED, "a = op id or 0, b = status") \
	X(SESSION, "a = enum xfer_ini_event, b = status, c = session id") \
	X(UP, "node starts: a = incarnation") \
	X(DOWN, "node dies: a = incarnation") \
	X(CLOSE, "session closed by its user") \
	X(PHASE, "a = number of the phase") \
	X(MODE, "how data gets to the users: a = enum sim_mode, b = pairs of the ring") \
	X(RECALL, "the port is taken out: a = pairs in its ring")

enum sim_trace_kind {
#define X(name, text) TR_##name,
	SIM_TRACE_LIST(X)
#undef X
};

struct sim_record {
	uint64_t at;
	uint64_t a, b, c;
	uint8_t kind;
	uint8_t from, to; /**< nodes; `to` for frames */
	uint32_t len; /**< of a frame, else 0 */
	uint8_t hdr[64];
};

struct sim_trace {
	uint64_t hash;
	uint64_t count;
	struct sim_record *ring; /**< NULL: the hash only */
	uint32_t ring_size;
	bool live; /**< print events as they happen */
};

void trace_keep(struct sim_trace *t, const struct sim_record *r);
/** The last n events, oldest first. */
void trace_print(const struct sim_trace *t, FILE *f, uint32_t n);

static inline void
trace_mix(struct sim_trace *t, uint64_t x)
{
	t->hash = (t->hash ^ x) * 0x9e3779b97f4a7c15ull;
	t->hash ^= t->hash >> 29;
}

static inline void
trace_event(struct sim_trace *t, uint64_t at, enum sim_trace_kind kind, uint8_t node, uint64_t a,
	uint64_t b, uint64_t c)
{
	t->count++;
	trace_mix(t, at);
	trace_mix(t, (uint64_t)kind << 56 | (uint64_t)node << 48 | a);
	trace_mix(t, b);
	trace_mix(t, c);
	if (t->ring != NULL) {
		struct sim_record r = {at, a, b, c, (uint8_t)kind, node, node, 0, {0}};

		trace_keep(t, &r);
	}
}

static inline void
trace_frame(struct sim_trace *t, uint64_t at, enum sim_trace_kind kind, uint8_t from, uint8_t to,
	uint64_t why, const void *hdr, uint32_t len)
{
	uint64_t word;
	unsigned i;

	t->count++;
	trace_mix(t, at);
	trace_mix(t, (uint64_t)kind << 56 | (uint64_t)from << 48 | (uint64_t)to << 40 | len);
	/* Session, tag, offset, flags, sequence number, acknowledgement and checksum say it all. */
	for (i = 8; i + 8 <= 64 && i + 8 <= len; i += 8) {
		memcpy(&word, (const uint8_t *)hdr + i, 8);
		trace_mix(t, word);
	}
	if (t->ring != NULL) {
		struct sim_record r = {at, why, 0, 0, (uint8_t)kind, from, to, len, {0}};

		memcpy(r.hdr, hdr, len < 64 ? len : 64);
		trace_keep(t, &r);
	}
}

#endif
