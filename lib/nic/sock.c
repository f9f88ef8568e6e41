/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "sock.h"

#define BACKLOG 8

int
sock_set_path(struct sock_place *place, const char *path)
{
	size_t len = strlen(path);

	memset(place, 0, sizeof(*place));
	place->un.sun_family = AF_UNIX;
	place->len = sizeof(place->un);
	if (len == 0 || len >= sizeof(place->un.sun_path))
		return -ENAMETOOLONG;
	memcpy(place->un.sun_path, path, len);
	return 0;
}

int
sock_set_abstract(struct sock_place *place, const char *name)
{
	size_t len = strlen(name);

	memset(place, 0, sizeof(*place));
	place->un.sun_family = AF_UNIX;
	place->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
	if (place->len > sizeof(place->un))
		return -ENAMETOOLONG;
	memcpy(place->un.sun_path + 1, name, len);
	return 0;
}

static int
make_socket(int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* It did not come to what it was made for. @return -errno */
static int
give_up(int fd)
{
	int rc = -errno;

	(void)close(fd);
	return rc;
}

int
sock_listen(const struct sock_place *place, int type, mode_t mode)
{
	const char *path = place->un.sun_path;
	int fd = make_socket(type), rc;

	if (fd < 0)
		return fd;
	if (bind(fd, (const struct sockaddr *)&place->un, place->len) < 0)
		return give_up(fd);
	/* Until listen() nobody gets in. */
	if ((mode == 0 || chmod(path, mode) == 0) && listen(fd, BACKLOG) == 0)
		return fd;
	rc = give_up(fd);
	if (path[0] != '\0')
		(void)unlink(path);
	return rc;
}

int
sock_accept(int fd)
{
	int new_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	return new_fd < 0 ? -errno : new_fd;
}

int
sock_connect(const struct sock_place *place, int type)
{
	int fd = make_socket(type);

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&place->un, place->len) == 0)
		return fd;
	return give_up(fd);
}

int
sock_connect_path(const char *path, int type)
{
	struct sock_place place;
	int rc = sock_set_path(&place, path);

	return rc < 0 ? rc : sock_connect(&place, type);
}

pid_t
sock_peer(int fd)
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 ? cred.pid : 0;
}
