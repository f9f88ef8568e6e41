/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * A socket beside a poll loop, where a running program answers questions. Nothing here blocks the loop.
 */

#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <stdbool.h>
#include <stdio.h>

#define ENDPOINT_QUESTION 4608 /**< bytes of a question with its end */

struct endpoint;

/** Who answers: a question with its end; what goes out. */
typedef void (*endpoint_answer)(void *ctx, const char *text, FILE *out);

struct endpoint_conf {
	/** Path of a UNIX socket, to which only its owner may connect; or a port of the loopback interface */
	const char *address;
	const char *end; /**< what ends a question: "\n" or "\r\n\r\n" */
	bool many; /**< a connection may ask again; else it ends with its answer */
	endpoint_answer answer;
	void *ctx;
};

/** Listen. @return NULL with errno */
struct endpoint *endpoint_open(const struct endpoint_conf *conf);
/** Take, answer and end connections; at most a few system calls. NULL is allowed. */
void endpoint_poll(struct endpoint *e);
void endpoint_close(struct endpoint *e);

#endif
