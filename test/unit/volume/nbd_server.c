/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "nbd_server.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_FD 3 /* of what systemd calls socket activation */

static pid_t server = -1;

bool
nbd_server_exists(void)
{
	return access("/usr/bin/nbdkit", X_OK) == 0;
}

const char *
nbd_server_socket(void)
{
	static char path[108]; /* as in struct sockaddr_un */

	(void)snprintf(path, sizeof(path), "%s", test_path("nbd.sock"));
	return path;
}

static int
listen_on_socket(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path, nbd_server_socket(), sizeof(sun.sun_path));
	(void)unlink(sun.sun_path);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static void
become_server(int fd, char *args)
{
	char name[] = "nbdkit", foreground[] = "-f";
	char *argv[32] = {name, foreground};
	char pid[16];
	unsigned n = 2;
	char *rest;
	char *arg;

	for (arg = strtok_r(args, " ", &rest); arg != NULL && n < 31;
		arg = strtok_r(NULL, " ", &rest))
		argv[n++] = arg;
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd == FIRST_FD)
		(void)fcntl(fd, F_SETFD, 0);
	else
		(void)dup2(fd, FIRST_FD);
	(void)setenv("LISTEN_FDS", "1", 1);
	(void)setenv("LISTEN_PID", pid, 1);
	execv("/usr/bin/nbdkit", argv);
	_exit(127);
}

void
nbd_server_start(const char *args)
{
	int fd = listen_on_socket();
	char copy[512];

	assert_int_equal(server, -1);
	(void)snprintf(copy, sizeof(copy), "%s", args);
	server = fork();
	assert_true(server >= 0);
	if (server == 0)
		become_server(fd, copy);
	close(fd);
}

void
nbd_server_signal(int signal)
{
	int status;

	assert_int_equal(kill(server, signal), 0);
	/* Its threads go on for a moment otherwise. */
	if (signal == SIGSTOP)
		assert_int_equal(waitpid(server, &status, WUNTRACED), server);
}

void
nbd_server_stop(void)
{
	if (server < 0)
		return;
	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
	server = -1;
	(void)unlink(nbd_server_socket());
}
