/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What target_vhost.c (messages) does with rings: target_rings.c. All of it under the lock. */

#ifndef TARGET_VHOST_H
#define TARGET_VHOST_H

#include "target_int.h"

/* Take rings away from the loop, when nothing is in flight; forget: the connection is gone. */
void target_stop_rings(struct target *t, bool forget);
void target_stop_ring(struct target *t, unsigned i);
/* For good, as far as this connection goes: what is not done is in the log, or fails. */
void target_end_ring(struct target *t, unsigned i);
/* Give those to the loop that are complete and that it does not have. */
void target_start_rings(struct target *t);

/* The memory table was set: learn it. offsets: of the regions, in their files. */
void target_load_memory(struct target *t, const uint64_t *offsets, uint32_t nb);
void target_forget_memory(struct target *t);
/* Is all of a ring, as it was described, in the memory? */
bool target_ring_is_there(const struct target *t, unsigned i);
void target_replace_call(struct target *t, unsigned i);
/* Features were negotiated, or the guest has chosen a cache mode. */
void target_set_cache_mode(struct target *t, uint64_t features);

#endif
