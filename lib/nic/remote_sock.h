/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * How a process and the NIC's meet: over a UNIX socket of packets, which the kernel closes when one of them
 * dies, however it dies. The process says hello, the NIC answers with the shared memory or with a reason. After
 * that only "bye" is said there. Nothing here blocks.
 */

#ifndef REMOTE_SOCK_H
#define REMOTE_SOCK_H

#include <stdint.h>
#include <sys/types.h>

#include "mpn_err.h"

#define REMOTE_ABI 1 /* of what follows, and of struct remote_map's memory */
#define REMOTE_NAME_LEN 64
#define REMOTE_PROGRAM_LEN 16

/* The first two words of a message never change: so two ABIs can say that they do not understand each other. */
struct remote_hello {
	uint32_t magic;
	uint32_t abi;
	char program[REMOTE_PROGRAM_LEN];
};

struct remote_welcome {
	uint32_t magic;
	uint32_t abi;
	int32_t status; /* 0, or -errno: there is no memory with it */
	int32_t pid; /* -EBUSY: who has the place */
	uint32_t nb_cells;
	uint32_t room;
	uint16_t mtu;
	uint8_t mac[6];
	char nic[REMOTE_NAME_LEN];
	char personality[REMOTE_NAME_LEN];
};

/* What has happened at the other end. */
enum remote_news { REMOTE_NOTHING, REMOTE_SAID_BYE, REMOTE_CLOSED };

/*
 * Own the path, and listen: for this user's processes. *lock_fd holds the path.
 * @return the socket; -EADDRINUSE: somebody serves it, -EEXIST: not a socket, -errno
 */
int remote_listen(const char *path, int *lock_fd) MPN_MUST_CHECK;
void remote_unlisten(const char *path, int fd, int lock_fd);
int remote_say_hello(int fd) MPN_MUST_CHECK;
/* 0; -EAGAIN: not yet, -EPIPE: gone, -EPROTO: not one of ours, -EPROTONOSUPPORT: of another ABI */
int remote_read_hello(int fd, struct remote_hello *hello) MPN_MUST_CHECK;
/* magic and abi are filled in; mem_fd -1: none. */
int remote_say_welcome(int fd, struct remote_welcome *welcome, int mem_fd);
/* The same as for a hello; *mem_fd -1: none came. */
int remote_read_welcome(int fd, struct remote_welcome *welcome, int *mem_fd) MPN_MUST_CHECK;
void remote_say_bye(int fd);
enum remote_news remote_look(int fd);

#endif
