/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Personalities that put load on a port, and measure what others leave them. */

#ifndef SHARE_H
#define SHARE_H

#include "mpn_hist.h"
#include "mpn_personality.h"

/* Asks every gap_ns, or keeps window questions on their way; the other end's "echo" answers. */
struct share_probe {
	uint64_t gap_ns;
	unsigned window;
	bool on;
	/* happened */
	uint64_t asked, answered, refused;
	struct mpn_hist rtt;
};

/* Sends as much as it is allowed to; the other end's "sink" counts. */
struct share_flood {
	bool on;
};

struct share_sink {
	uint64_t bytes;
};

/* Sends a frame that nobody takes for each that others send. */
struct share_junk {
	bool on;
	uint64_t sent;
};

/* Define, load and start one of them: "echo", "probe", "flood", "sink", "junk". NULL: said why */
struct mpn_personality *share_add(struct mpn_nic *nic, const char *kind, void *state);
/* Frames of a personality that were dropped: */
struct share_losses {
	uint64_t queues; /* there was no room for them, or no memory */
	uint64_t stopped; /* it was not started */
	uint64_t link_down; /* there was nobody to send them to */
};

void share_get_losses(struct mpn_nic *nic, const char *name, struct share_losses *losses);

#endif
