/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Reads in place: lib/xfer's own decisions (xfer_place.h) around the ring of a node.
 */

#ifndef SIM_PLACING_H
#define SIM_PLACING_H

#include "ring.h"

struct sim_ini;

/** How the data of a read gets to its user. */
enum sim_way { SIM_COPIED, SIM_PLACED, SIM_LENT };

/** {name, text}: the ways of a run's reads */
#define SIM_MODE_LIST(X) \
	X(copy, "all are copied") \
	X(in_place, "all are received where they belong, if that can be") \
	X(loan, "all are lent in the frames they came in") \
	X(mixed, "each in a way of its own")

enum sim_mode {
#define X(name, text) SIM_MODE_##name,
	SIM_MODE_LIST(X)
#undef X
		SIM_MODES
};

extern const char *const sim_mode_names[SIM_MODES];
extern const char *const sim_mode_texts[SIM_MODES];

/** The node starts, stops, and is forgotten. */
void placing_start(struct sim_ini *ini);
void placing_end(struct sim_ini *ini);
void placing_free(struct sim_ini *ini);
/** Callbacks of the engine, for reads in this way. */
bool placing_admit(void *ctx, struct xfer_cmd *cmd);
void placing_place(
	struct sim_ini *ini, struct sim_cmd *c, uint32_t off, const void *payload, uint32_t len);
/** The session is lost. */
void placing_lost(struct sim_ini *ini);
/** A frame has come on the data queue. @return false: it found no room there */
bool placing_take(struct sim_ini *ini, struct sim_frame *f);
/** Frames are received: first all that have come, linked by next, then each in turn, between the others. */
void placing_receive(struct sim_ini *ini, struct sim_frame *frames);
void placing_begin(struct sim_ini *ini, struct sim_frame *f, struct xfer_rx *rx);
void placing_finish(struct sim_ini *ini, struct sim_frame *f);
/** Before frames are pulled, and before they leave. */
void placing_poll(struct sim_ini *ini);
void placing_flush(struct sim_ini *ini);
/** When it has something to do. */
uint64_t placing_deadline(const struct sim_ini *ini);
/** Nothing of it may be left. */
void placing_check(struct sim_ini *ini);

#endif
