/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <poll.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memif_relay.h"
#include "mpn_log.h"
#include "sock.h"

#define MESSAGE_ROOM 256 /* a message has 128 bytes */
#define ROUND 16 /* messages in one go */
#define DISCONNECT 8 /* the type of the one that says good-bye, its first 16 bits */
#define GREETING_MS 1000
#define DRIVER_DIR ".drv"
#define DRIVER_NAME "/s"

struct memif_relay {
	struct sock_place place; /* of the link */
	char dir[SOCK_MAX_PATH]; /* of the driver's socket; a client's has none */
	char args[SOCK_MAX_PATH + 64];
	struct sock_place driver_place;
	int listen_fd; /* a client: for the driver; a server: for clients; -1 */
	int peer; /* -1: there is none */
	int driver;
	bool server;
	bool met; /* the driver has sent something */
	bool lost;
};

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static struct memif_relay *
make_relay(const char *path, bool server)
{
	struct memif_relay *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return mpn_err_null(ENOMEM);
	r->listen_fd = r->peer = r->driver = -1;
	r->server = server;
	rc = sock_set_path(&r->place, path);
	if (rc == 0)
		return r;
	free(r);
	return mpn_err_null(-rc);
}

/* ---- A client ---- */

/* The driver's way in has no file, so none is left behind. Who else comes by it is sent away. */
static int
listen_to_driver(struct memif_relay *r)
{
	static atomic_uint made;
	char name[40];

	do {
		(void)snprintf(name, sizeof(name), "mpnic-memif-%d-%u", (int)getpid(),
			atomic_fetch_add(&made, 1));
		if (sock_set_abstract(&r->driver_place, name) < 0)
			return -ENAMETOOLONG;
		r->listen_fd = sock_listen(&r->driver_place, SOCK_SEQPACKET, 0);
	} while (r->listen_fd == -EADDRINUSE);
	(void)snprintf(r->args, sizeof(r->args), "role=client,socket=%s,socket-abstract=yes", name);
	return MPN_MIN(r->listen_fd, 0);
}

struct memif_relay *
memif_relay_use(const char *path)
{
	struct memif_relay *r = make_relay(path, false);
	int rc;

	if (r == NULL)
		return NULL;
	r->peer = rc = sock_connect(&r->place, SOCK_SEQPACKET);
	if (rc >= 0)
		rc = listen_to_driver(r);
	if (rc == 0)
		return r;
	memif_relay_close(r);
	return mpn_err_null(-rc);
}

/* ---- A server ---- */

/* A directory that nobody else looks into; one that a dead server left is as good. */
static int
make_dir(const struct memif_relay *r)
{
	struct stat st;

	if (mkdir(r->dir, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (lstat(r->dir, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) == 0 ? 0
											: -EEXIST;
}

/*
 * The driver knows sockets by the text of their path, those of servers that have ended, too: write it in a way it has
 * not met yet, with more slashes before the last part. 0, -ENAMETOOLONG
 */
static int
name_driver_place(struct memif_relay *r, char path[SOCK_MAX_PATH])
{
	static atomic_uint served;
	char slashes[SOCK_MAX_PATH] = "";
	unsigned more = atomic_fetch_add(&served, 1);

	if (more >= sizeof(slashes))
		return -ENAMETOOLONG;
	memset(slashes, '/', more);
	if (snprintf(r->dir, sizeof(r->dir), "%s" DRIVER_DIR, r->place.un.sun_path) >=
			(int)sizeof(r->dir) ||
		snprintf(path, SOCK_MAX_PATH, "%s%s" DRIVER_NAME, r->dir, slashes) >= SOCK_MAX_PATH)
		return -ENAMETOOLONG;
	return sock_set_path(&r->driver_place, path);
}

struct memif_relay *
memif_relay_serve(const char *path)
{
	struct memif_relay *r = make_relay(path, true);
	char driver_path[SOCK_MAX_PATH];
	int rc;

	if (r == NULL)
		return NULL;
	rc = name_driver_place(r, driver_path);
	if (rc == 0)
		rc = make_dir(r);
	if (rc < 0) {
		r->dir[0] = '\0';
		memif_relay_close(r);
		return mpn_err_null(-rc);
	}
	(void)unlink(driver_path);
	(void)snprintf(
		r->args, sizeof(r->args), "role=server,socket=%s,socket-abstract=no", driver_path);
	r->listen_fd = sock_listen(&r->place, SOCK_SEQPACKET, 0);
	if (r->listen_fd >= 0)
		return r;
	rc = r->listen_fd;
	memif_relay_close(r);
	return mpn_err_null(-rc);
}

/* ---- Both ---- */

const char *
memif_relay_args(const struct memif_relay *r)
{
	return r->args;
}

static unsigned
accept_driver(struct memif_relay *r)
{
	int fd = sock_accept(r->listen_fd);

	if (fd < 0)
		return 0;
	if (r->driver >= 0 || sock_peer(fd) != getpid()) {
		(void)close(fd);
		return 0;
	}
	r->driver = fd;
	return 1;
}

/* One at a time: a second client is sent away. */
static unsigned
accept_peer(struct memif_relay *r)
{
	int fd = sock_accept(r->listen_fd);

	if (fd < 0)
		return 0;
	if (r->peer >= 0 || r->driver >= 0) {
		(void)close(fd);
		return 0;
	}
	r->driver = sock_connect(&r->driver_place, SOCK_SEQPACKET);
	if (r->driver < 0) {
		(void)close(fd);
		return 0;
	}
	r->peer = fd;
	r->met = false;
	return 1;
}

static void
close_passed(struct msghdr *mh)
{
	struct cmsghdr *c;
	size_t i, n;
	int fd;

	for (c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			(void)close(fd);
		}
	}
}

static bool
is_good_bye(const uint8_t *message, ssize_t len)
{
	return len >= 2 && message[0] == DISCONNECT && message[1] == 0;
}

/*
 * Carry one message, with the descriptor that may come with it. The driver is not told good-bye: it would not wait.
 * 1; 0: there is none; -errno: an end has gone
 */
static int
carry(int from, int to, bool to_driver)
{
	alignas(struct cmsghdr) char ctl[CMSG_SPACE(4 * sizeof(int))];
	uint8_t buf[MESSAGE_ROOM];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr mh = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ctl,
		.msg_controllen = sizeof(ctl)};
	ssize_t len = recvmsg(from, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int rc = 1;

	if (len < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (len == 0)
		return -EPIPE;
	iov.iov_len = (size_t)len;
	if (mh.msg_controllen == 0)
		mh.msg_control = NULL;
	if ((mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
		rc = -EPROTO;
	else if (to_driver && is_good_bye(buf, len))
		rc = -EPIPE;
	else if (sendmsg(to, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		rc = -errno;
	close_passed(&mh);
	return rc;
}

static unsigned
carry_all(struct memif_relay *r)
{
	unsigned n = 0;
	int rc = 1;

	while (n < ROUND && (rc = carry(r->driver, r->peer, false)) > 0) {
		r->met = true;
		n++;
	}
	if (rc >= 0)
		rc = 1;
	while (n < ROUND && rc > 0 && (rc = carry(r->peer, r->driver, true)) > 0)
		n++;
	r->lost = rc < 0;
	return n + r->lost;
}

unsigned
memif_relay_poll(struct memif_relay *r)
{
	unsigned n;

	if (r->lost)
		return 0;
	n = r->listen_fd < 0 ? 0 : r->server ? accept_peer(r) : accept_driver(r);
	if (r->peer >= 0 && r->driver >= 0)
		n += carry_all(r);
	return n;
}

bool
memif_relay_is_up(const struct memif_relay *r)
{
	return !r->lost && r->peer >= 0 && r->driver >= 0;
}

bool
memif_relay_is_lost(const struct memif_relay *r)
{
	return r->lost;
}

void
memif_relay_reset(struct memif_relay *r)
{
	struct pollfd p = {.fd = r->driver, .events = POLLIN};

	/* It cannot bear one who has gone before it has greeted him. */
	if (r->server && r->driver >= 0 && !r->met)
		(void)poll(&p, 1, GREETING_MS);
	close_fd(&r->driver);
	close_fd(&r->peer);
	r->lost = false;
}

void
memif_relay_close(struct memif_relay *r)
{
	if (r == NULL)
		return;
	if (r->peer >= 0 && r->driver >= 0) {
		while (carry(r->driver, r->peer, false) > 0)
			;
	}
	memif_relay_reset(r);
	if (r->server && r->listen_fd >= 0)
		(void)unlink(r->place.un.sun_path);
	close_fd(&r->listen_fd);
	if (r->dir[0] != '\0') {
		(void)unlink(r->driver_place.un.sun_path);
		(void)rmdir(r->dir);
	}
	free(r);
}
