/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The thread that owns the client. nbdkit's threads hand their requests over and sleep until they
 * are done:
 *
 *	nbdkit threads --push--> inbox (a list, no lock) --> owner thread: submit, poll --> wake all that are done
 *
 * The owner polls while requests are under way, and a moment longer. Then it sleeps, and wakes up now
 * and then to look after the session.
 */

#ifndef OWNER_H
#define OWNER_H

#include <semaphore.h>

#include "client_opts.h"

enum owner_op {
	OWNER_READ,
	OWNER_WRITE,
	OWNER_FLUSH,
	OWNER_DISCARD,
	OWNER_ZERO,
	OWNER_INFO, /**< say what the volume is like now */
};

/** One request; lives on the stack of the thread that waits for it. */
struct owner_request {
	struct owner_request *next;
	enum owner_op op;
	unsigned flags; /**< enum ebd_flag */
	void *buf;
	size_t len;
	uint64_t off;
	struct ebd_info *info; /**< of OWNER_INFO */
	int status;
	uint32_t lot; /**< of those who are woken together */
	bool done; /**< by the owner; nothing of it is touched after that */
	struct ebd_io io;
};

struct owner;

/**
 * Start the thread; it starts the EAL and opens the volume.
 * @return NULL with errno when that fails; a line has been logged
 */
struct owner *owner_start(const struct client_opts *opts);

/** Close the volume and end the thread. Nobody may wait for a request. NULL is allowed. */
void owner_stop(struct owner *w);

/** Have a request done. Any thread. @return 0 or -errno */
int owner_run(struct owner *w, struct owner_request *r) MPN_MUST_CHECK;

#endif
