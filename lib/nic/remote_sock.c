/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "link_socket.h"
#include "remote_sock.h"
#include "sock.h"

#define MAGIC_HELLO 0x4d504e48
#define MAGIC_WELCOME 0x4d504e57
#define MAGIC_BYE 0x4d504e42

/* ---- The place ---- */

int
remote_listen(const char *path, int *lock_fd)
{
	struct sock_place place;
	int fd = sock_set_path(&place, path);

	if (fd < 0)
		return fd;
	*lock_fd = sock_lock(path, SOCK_SERVER);
	if (*lock_fd < 0)
		return *lock_fd == -EBUSY ? -EADDRINUSE : *lock_fd;
	fd = sock_clear(path, SOCK_SEQPACKET);
	if (fd == 0)
		fd = sock_listen(&place, SOCK_SEQPACKET, S_IRUSR | S_IWUSR);
	if (fd < 0)
		sock_unlock(path, SOCK_SERVER, *lock_fd);
	return fd;
}

void
remote_unlisten(const char *path, int fd, int lock_fd)
{
	(void)close(fd);
	(void)unlink(path);
	sock_unlock(path, SOCK_SERVER, lock_fd);
}

/* ---- Messages ---- */

/* @return 0; -EAGAIN, -EPIPE, -EPROTO, -EPROTONOSUPPORT */
static int
check_message(ssize_t n, size_t size, const uint32_t *words, uint32_t magic)
{
	if (n == 0)
		return -EPIPE;
	if (n < 0)
		return errno == EINTR ? -EAGAIN : errno == ECONNRESET ? -EPIPE : -errno;
	if ((size_t)n < 2 * sizeof(words[0]) || words[0] != magic)
		return -EPROTO;
	if (words[1] != REMOTE_ABI)
		return -EPROTONOSUPPORT;
	return (size_t)n == size ? 0 : -EPROTO;
}

static int
send_all(int fd, const void *data, size_t size, int mem_fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (mem_fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &mem_fd, sizeof(mem_fd));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size ? 0 : -EPIPE;
}

int
remote_say_hello(int fd)
{
	struct remote_hello hello = {.magic = MAGIC_HELLO, .abi = REMOTE_ABI};

	(void)snprintf(hello.program, sizeof(hello.program), "%s", program_invocation_short_name);
	return send_all(fd, &hello, sizeof(hello), -1);
}

int
remote_read_hello(int fd, struct remote_hello *hello)
{
	ssize_t n = recv(fd, hello, sizeof(*hello), MSG_DONTWAIT);

	hello->program[sizeof(hello->program) - 1] = '\0';
	return check_message(n, sizeof(*hello), &hello->magic, MAGIC_HELLO);
}

int
remote_say_welcome(int fd, struct remote_welcome *welcome, int mem_fd)
{
	welcome->magic = MAGIC_WELCOME;
	welcome->abi = REMOTE_ABI;
	return send_all(fd, welcome, sizeof(*welcome), mem_fd);
}

static int
received_fd(struct msghdr *msg)
{
	const struct cmsghdr *head = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
		head->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

int
remote_read_welcome(int fd, struct remote_welcome *welcome, int *mem_fd)
{
	struct iovec iov = {.iov_base = welcome, .iov_len = sizeof(*welcome)};
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int rc = check_message(n, sizeof(*welcome), &welcome->magic, MAGIC_WELCOME);

	*mem_fd = n > 0 ? received_fd(&msg) : -1;
	if (rc == 0 && welcome->status == 0 && *mem_fd < 0)
		rc = -EPROTO;
	if ((rc < 0 || welcome->status < 0) && *mem_fd >= 0) {
		(void)close(*mem_fd);
		*mem_fd = -1;
	}
	if (rc == 0) {
		welcome->nic[sizeof(welcome->nic) - 1] = '\0';
		welcome->personality[sizeof(welcome->personality) - 1] = '\0';
	}
	return rc;
}

void
remote_say_bye(int fd)
{
	uint32_t bye = MAGIC_BYE;

	(void)send_all(fd, &bye, sizeof(bye), -1);
}

enum remote_news
remote_look(int fd)
{
	uint32_t word = 0;
	ssize_t n = recv(fd, &word, sizeof(word), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return REMOTE_NOTHING;
	return n == sizeof(word) && word == MAGIC_BYE ? REMOTE_SAID_BYE : REMOTE_CLOSED;
}
