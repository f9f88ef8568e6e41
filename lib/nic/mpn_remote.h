/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Personalities in another process. In the process of the NIC a personality of the kind "remote" has their
 * frame types; the other process opens the link `remote:PATH` and gets a NIC with the address, MTU and link
 * state of the true one, on which any personality runs as it would there. The two share rings of copied
 * frames and nothing else: a process that ends or hangs at any moment takes its own frames with it, and the next
 * one that comes gets new memory.
 */

#ifndef MPN_REMOTE_H
#define MPN_REMOTE_H

#include "mpn_nic.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MPN_REMOTE_RING 512 /**< frames in each direction, when nothing else is said */
#define MPN_REMOTE_HANG_NS 2000000000ull /**< a process that does not poll for so long hangs */

/** Where the process of a remote personality stands. */
enum mpn_remote_state {
	MPN_REMOTE_WAITING, /**< for a process to come */
	MPN_REMOTE_ATTACHED, /**< there is one */
	MPN_REMOTE_FAILED, /**< it has died, or hangs; for the next one */
	MPN_REMOTE_STATES
};

/** Counters of a remote personality: {name, text}. */
#define MPN_REMOTE_COUNTER_LIST(X) \
	X(to_frames, "frames handed to the process") \
	X(to_bytes, "their bytes") \
	X(from_frames, "frames taken from it") \
	X(from_bytes, "their bytes") \
	X(no_process, "dropped: there was no process") \
	X(to_full, "dropped: the process did not take them fast enough") \
	X(lost, "frames a process that failed had not taken") \
	X(refused, "frames of the process dropped: their type is another's, or not claimed") \
	X(no_frames, "rounds in which there was no memory for frames of the process") \
	X(attached, "processes that came") \
	X(detached, "processes that left") \
	X(died, "processes that ended without a word") \
	X(hung, "processes given up because they did not poll") \
	X(broken, "processes given up because what they wrote made no sense") \
	X(turned_away, "processes turned away: the place was taken, or another ABI")

/** Counters of a remote personality. */
struct mpn_remote_stats {
#define X(name, text) uint64_t name;
	MPN_REMOTE_COUNTER_LIST(X)
#undef X
};

/** How to load a personality of the kind "remote". */
struct mpn_remote_conf {
	const char *socket; /**< the path where the process comes in; whoever may write to it can */
	uint16_t types[4]; /**< frame types of the process */
	unsigned nb_types; /**< 0: every one that no other personality claims */
	uint32_t ring_len; /**< frames in each direction, a power of two; 0: MPN_REMOTE_RING */
	uint64_t hang_ns; /**< 0: MPN_REMOTE_HANG_NS; UINT64_MAX: it may stand still for ever */
	/** Its process has come, left, or failed. Where the personality runs, see mpn_map.h; may be NULL. */
	void (*changed)(struct mpn_personality *p, enum mpn_remote_state state, void *arg);
	void *changed_arg;
};

/** What is known of the process of a remote personality. */
struct mpn_remote_info {
	enum mpn_remote_state state;
	int pid; /**< of the process that is there, or was last; 0: none, or it is not known */
	char program[16]; /**< its name */
	char socket[108];
	uint32_t ring_len;
	uint64_t hang_ns;
	int error; /**< FAILED: -EPIPE it died, -ETIMEDOUT it hung, -EPROTO what it wrote made no sense */
	struct mpn_remote_stats stats;
};

/** "waiting", "attached", "failed" */
const char *mpn_remote_state_name(enum mpn_remote_state state);
/** Look at a loaded personality of the kind "remote". 0; -ENODEV: it is not one. On the NIC's thread. */
int mpn_remote_get_info(struct mpn_personality *p, struct mpn_remote_info *info);

#ifdef __cplusplus
}
#endif

#endif
