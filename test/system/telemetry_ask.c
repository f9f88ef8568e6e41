/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * One question for DPDK's telemetry, without python:
 *
 *	telemetry_ask SOCKET COMMAND
 */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_LEN 16384

int
main(int argc, char **argv)
{
	static char answer[ANSWER_LEN + 1];
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	ssize_t n;
	int fd;

	if (argc != 3 || strlen(argv[1]) >= sizeof(addr.sun_path)) {
		fprintf(stderr, "usage: telemetry_ask SOCKET COMMAND\n");
		return 2;
	}
	memcpy(addr.sun_path, argv[1], strlen(argv[1]));
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		perror(argv[1]);
		return 1;
	}
	/* It starts with a word about itself. */
	if (read(fd, answer, ANSWER_LEN) <= 0 || write(fd, argv[2], strlen(argv[2])) < 0) {
		perror(argv[2]);
		return 1;
	}
	n = read(fd, answer, ANSWER_LEN);
	if (n <= 0) {
		perror(argv[2]);
		return 1;
	}
	answer[n] = '\0';
	puts(answer);
	return close(fd) < 0;
}
