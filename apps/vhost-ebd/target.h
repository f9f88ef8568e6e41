/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The vhost-user end: a socket that one guest's QEMU connects to, and the loop that serves it. DPDK's
 * vhost library speaks the protocol, on a thread of its own; what that thread is told about rings and
 * memory becomes true between two rounds of the loop, when nothing is in flight.
 */

#ifndef TARGET_H
#define TARGET_H

#include "client_opts.h"

/** What a user says. Strings stay the caller's. */
struct target_conf {
	struct client_opts volume;
	const char *socket; /**< path */
	const char *serial; /**< what the guest sees as the disk's; NULL: the volume's name */
	uint16_t queues; /**< at most; 0: 1 */
};

/** Looked at in each round, on the loop's thread. */
struct target_signals {
	bool stop; /**< end, in good order */
	bool report; /**< print the counters to stdout; set back then */
};

struct target;

/**
 * Open the volume and offer it at the socket.
 * @param signals  stay the caller's; a signal handler may set them and write to target_wake_fd()
 * @return NULL with errno after a logged line
 */
struct target *target_create(const struct target_conf *conf, struct target_signals *signals);
/** Serve until told to stop. @return 0 or -errno after a logged line */
int target_run(struct target *t);
/** NULL is allowed. */
void target_destroy(struct target *t);
/** An eventfd: whoever adds to it has the loop look around. */
int target_wake_fd(const struct target *t);

#endif
