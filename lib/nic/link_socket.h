/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Links over a UNIX socket: who owns it, who uses it, and nobody waits for ever.
 */

#ifndef LINK_SOCKET_H
#define LINK_SOCKET_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "sock.h"

/* The two sides of a socket; each is one process at a time. */
enum sock_side { SOCK_SERVER, SOCK_CLIENT };

/* Is somebody listening? 0, -ENOENT, -ECONNREFUSED (a dead one's), -EACCES, ... */
int sock_try(const char *path, int type);

/*
 * The same without connecting: by the lock of its server. A socket of a program that knows no such lock
 * counts as served. 0, -ENOENT, -ECONNREFUSED, -ENOTSOCK, -EACCES
 */
int sock_look(const char *path);

/*
 * Take a side of the socket, through a lock on the file PATH.lock, and write there who has it. The server makes
 * the file; a client that finds none talks to a program that does not know about it, and may (-ENOENT).
 * @return a file descriptor that holds the lock; -EBUSY: another process has it; -errno
 */
int sock_lock(const char *path, enum sock_side side);
/* Who has a side that was found taken. 0: it cannot be said */
pid_t sock_holder(const char *path, enum sock_side side);
/* Give it up; the server takes the file away with it. */
void sock_unlock(const char *path, enum sock_side side, int fd);

/* Remove the socket of a server that is dead. 0, -EADDRINUSE: it lives, -EEXIST: not a socket */
int sock_clear(const char *path, int type);

/*
 * Drivers talk to the peer with blocking reads. Between begin and end a peer that does not answer is
 * hung up on after ms milliseconds.
 */
struct sock_guard {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	const char *path;
	unsigned ms;
	bool on;
	bool done;
	bool fired;
};
void sock_guard_begin(struct sock_guard *g, const char *path, unsigned ms);
/* @return true: it was hung up on */
bool sock_guard_end(struct sock_guard *g);

#endif
