/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * UNIX sockets that do not block: how they are made and reached, and who is at the other end. All that gives a
 * descriptor gives -errno when there is none.
 */

#ifndef SOCK_H
#define SOCK_H

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

#include "mpn_err.h"

/* Of a path, with its terminating zero. */
enum { SOCK_MAX_PATH = sizeof(((struct sockaddr_un *)0)->sun_path) };

/* A place to meet: a path, or (sock_set_abstract()) a name that has no file. */
struct sock_place {
	struct sockaddr_un un;
	socklen_t len;
};

/* 0, -ENAMETOOLONG */
int sock_set_path(struct sock_place *place, const char *path) MPN_MUST_CHECK;
int sock_set_abstract(struct sock_place *place, const char *name) MPN_MUST_CHECK;

/*
 * Listen there. type: SOCK_STREAM, SOCK_SEQPACKET; mode: who may come, from before the first one can; 0: as the umask
 * says. @return -EADDRINUSE, ...
 */
int sock_listen(const struct sock_place *place, int type, mode_t mode) MPN_MUST_CHECK;
/* Somebody who has come. @return -EAGAIN: nobody */
int sock_accept(int fd);
/* @return -ENOENT, -ECONNREFUSED: nobody listens; -EAGAIN: too many wait; -EACCES, ... */
int sock_connect(const struct sock_place *place, int type) MPN_MUST_CHECK;
int sock_connect_path(const char *path, int type) MPN_MUST_CHECK;
/* The process at the other end, as the kernel knows it; 0: it does not say. */
pid_t sock_peer(int fd);

#endif
