/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A listening socket that is polled beside the server's loop: a question comes in, an answer goes out.
 * Whoever asks may be anybody: questions are bounded, slow ones are ended when their place is wanted, and
 * nothing waits.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "endpoint.h"
#include "mpn_err.h"
#include "mpn_parse.h"

#define PEERS 8

struct peer {
	int fd; /* -1: free */
	size_t have; /* bytes of the question, and of those behind it */
	char question[ENDPOINT_QUESTION];
	char *answer; /* NULL: it is still asking */
	bool busy; /* its answer is being made, which may take long: others are polled from there */
	size_t len, sent;
};

struct endpoint {
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "" for a port */
	struct endpoint_conf conf;
	unsigned next; /* whose place is taken when there is none */
	struct peer peers[PEERS];
};

static int
bind_path(int fd, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct stat st;
	mode_t mask;
	int rc;

	if (mpn_copy_str(sun.sun_path, sizeof(sun.sun_path), path) != 0)
		return mpn_err(ENAMETOOLONG);
	/* Left by one that was killed: nobody answers there. Others are not taken away. */
	if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
			return mpn_err(EADDRINUSE);
		(void)unlink(path);
	}
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	(void)umask(mask);
	return rc;
}

static int
bind_port(int fd, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&sin, sizeof(sin));
}

struct endpoint *
endpoint_open(const struct endpoint_conf *conf)
{
	struct endpoint *e = calloc(1, sizeof(*e));
	const char *address = conf->address;
	uint64_t port = 0;
	bool is_port = mpn_parse_u64(address, 1, UINT16_MAX, &port) == 0;
	unsigned i;
	int err;

	if (e == NULL)
		return NULL;
	for (i = 0; i < PEERS; i++)
		e->peers[i].fd = -1;
	e->conf = *conf;
	e->fd = socket(is_port ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (e->fd >= 0 &&
		(is_port ? bind_port(e->fd, (uint16_t)port) : bind_path(e->fd, address)) == 0 &&
		listen(e->fd, PEERS) == 0) {
		if (!is_port)
			(void)snprintf(e->path, sizeof(e->path), "%s", address);
		return e;
	}
	err = errno;
	if (e->fd >= 0)
		close(e->fd);
	free(e);
	return mpn_err_null(err);
}

static void
drop_peer(struct peer *p)
{
	close(p->fd);
	free(p->answer);
	p->fd = -1;
	p->answer = NULL;
}

static bool
are_all_busy(const struct endpoint *e)
{
	unsigned i;

	for (i = 0; i < PEERS && e->peers[i].busy; i++)
		;
	return i == PEERS;
}

/* Whose place a new one takes. */
static unsigned
find_place(struct endpoint *e)
{
	unsigned i;

	do
		i = e->next++ % PEERS;
	while (e->peers[i].busy);
	return i;
}

static void
take_peers(struct endpoint *e)
{
	unsigned i;
	int fd;

	while (!are_all_busy(e) &&
		(fd = accept4(e->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		for (i = 0; i < PEERS && e->peers[i].fd >= 0; i++)
			;
		if (i == PEERS) {
			i = find_place(e);
			drop_peer(&e->peers[i]);
		}
		e->peers[i].fd = fd;
		e->peers[i].have = 0;
		e->peers[i].question[0] = '\0';
	}
}

/* @return false: no memory */
static bool
make_answer(struct endpoint *e, struct peer *p)
{
	FILE *f = open_memstream(&p->answer, &p->len);

	p->sent = 0;
	if (f == NULL)
		return false;
	p->busy = true;
	e->conf.answer(e->conf.ctx, p->question, f);
	p->busy = false;
	if (fclose(f) == 0)
		return true;
	free(p->answer);
	p->answer = NULL;
	return false;
}

/* Answer the first question that is whole, and keep what follows it. @return whether it goes on */
static bool
answer_next(struct endpoint *e, struct peer *p)
{
	char *end = strstr(p->question, e->conf.end), cut;
	size_t len;
	bool ok;

	if (end == NULL)
		return p->have < sizeof(p->question) - 1;
	if (!e->conf.many)
		return make_answer(e, p);
	end += strlen(e->conf.end);
	len = (size_t)(end - p->question);
	cut = *end;
	*end = '\0';
	ok = make_answer(e, p);
	*end = cut;
	p->have -= len;
	memmove(p->question, end, p->have + 1);
	return ok;
}

/* @return whether it goes on */
static bool
read_question(struct endpoint *e, struct peer *p)
{
	ssize_t n = recv(p->fd, p->question + p->have, sizeof(p->question) - 1 - p->have, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	p->have += (size_t)n;
	p->question[p->have] = '\0';
	/* A zero would hide what follows it. */
	if (strlen(p->question) != p->have)
		return false;
	return answer_next(e, p);
}

/* @return whether it goes on */
static bool
send_answer(struct endpoint *e, struct peer *p)
{
	ssize_t n = send(p->fd, p->answer + p->sent, p->len - p->sent, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	p->sent += (size_t)n;
	if (p->sent < p->len)
		return true;
	free(p->answer);
	p->answer = NULL;
	return e->conf.many && answer_next(e, p);
}

void
endpoint_poll(struct endpoint *e)
{
	unsigned i;

	if (e == NULL)
		return;
	take_peers(e);
	for (i = 0; i < PEERS; i++) {
		struct peer *p = &e->peers[i];

		if (p->fd < 0 || p->busy)
			continue;
		if (!(p->answer != NULL ? send_answer(e, p) : read_question(e, p)))
			drop_peer(p);
	}
}

void
endpoint_close(struct endpoint *e)
{
	unsigned i;

	if (e == NULL)
		return;
	for (i = 0; i < PEERS; i++) {
		if (e->peers[i].fd < 0)
			continue;
		/* Whoever asked it to stop gets an answer. */
		if (e->peers[i].answer != NULL)
			(void)send_answer(e, &e->peers[i]);
		drop_peer(&e->peers[i]);
	}
	close(e->fd);
	if (e->path[0] != '\0')
		(void)unlink(e->path);
	free(e);
}
