/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The two sides of a link over a UNIX socket: one serves, one uses what is served, waits for it, and
 * finds it again.
 */

#ifndef LINK_SIDE_H
#define LINK_SIDE_H

#include "link.h"
#include "link_socket.h"

/* A row's l->priv. */
struct link_side {
	enum sock_side side;
	int type; /* of the socket: SOCK_STREAM, SOCK_SEQPACKET */
	int lock_fd;
	atomic_int fence; /* the interrupt thread's number once it has done what it had to do */
	char mac[18]; /* our station address, the same after each plugging */
	int (*plug)(struct link *l); /* as a user: make the port; logs nothing */
	void *priv; /* of the kind */
	uint64_t next_look_ns; /* at it */
};

/* Become the owner of the path: alone, and without what a dead owner has left. */
int side_serve(struct link *l, int type) MPN_MUST_CHECK;
/* Use what is served: wait for a server that is being started, plug. */
int side_use(struct link *l, int type, int (*plug)(struct link *l)) MPN_MUST_CHECK;
/* One attempt to find the server again. Never waits, except for its answer. */
int side_replug(struct link *l) MPN_MUST_CHECK;
/* Wait until the interrupt thread has done what it had to do. */
void side_settle(struct link *l);
/* Take the device out; the path is free for others. */
void side_unplug(struct link *l);
void side_close(struct link *l);

#endif
