/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mpn_parse.h"
#include "options.h"
#include "prompt.h"
#include "remote.h"

#define HEAD_LEN 32
#define ANSWER_MAX (64u << 20)

/* ---- The program that is asked ---- */

static void
answer(void *ctx, const char *line, FILE *out)
{
	struct shell *sh = ctx;
	FILE *before = sh->out;
	char why[SHELL_ERROR_LEN];
	char *text = NULL;
	size_t size = 0;
	int rc;

	sh->out = open_memstream(&text, &size);
	if (sh->out == NULL) {
		sh->out = before;
		return;
	}
	rc = shell_run(sh, line);
	if (rc != 0)
		fprintf(sh->out, "%s\n", shell_error(sh, why, sizeof(why)));
	if (fclose(sh->out) == 0) {
		fprintf(out, "%s %zu\n", rc == 0 ? "ok" : "error", size);
		(void)fwrite(text, 1, size, out);
	}
	free(text);
	sh->out = before;
}

struct endpoint *
remote_open(struct shell *sh, const char *path)
{
	return endpoint_open(&(struct endpoint_conf){
		.address = path,
		.end = "\n",
		.many = true,
		.answer = answer,
		.ctx = sh,
	});
}

/* ---- The program that asks ---- */

struct remote {
	struct shell sh; /* for completion: it runs nothing */
	char type[SHELL_WORD_LEN]; /* of the argument that was asked about last */
	char *values; /* the answer */
	FILE *from;
	int fd;
	bool ended;
};

static int
connect_to(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, rc;

	if (mpn_copy_str(sun.sun_path, sizeof(sun.sun_path), path) != 0)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int
send_line(int fd, const char *line)
{
	char text[SHELL_LINE_LEN + 1];
	int n = snprintf(text, sizeof(text), "%s\n", line);
	const char *at = text;

	if (n >= (int)sizeof(text) || strchr(text, '\n') != text + n - 1)
		return -EMSGSIZE;
	while (n > 0) {
		ssize_t sent = send(fd, at, (size_t)n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		at += sent;
		n -= (int)sent;
	}
	return 0;
}

/* "ok 17": the bytes that follow. 0, -EPIPE: the other end has gone; -EPROTO */
static int
read_head(FILE *from, bool *ok, uint64_t *bytes)
{
	char head[HEAD_LEN];
	char *number;

	if (fgets(head, sizeof(head), from) == NULL)
		return -EPIPE;
	head[strcspn(head, "\n")] = '\0';
	number = strchr(head, ' ');
	if (number == NULL)
		return -EPROTO;
	*number++ = '\0';
	*ok = strcmp(head, "ok") == 0;
	if (!*ok && strcmp(head, "error") != 0)
		return -EPROTO;
	return mpn_parse_u64(number, 0, ANSWER_MAX, bytes) == 0 ? 0 : -EPROTO;
}

/* @return 1: it was done; 0: it was refused; or -errno */
static int
ask(struct remote *r, const char *line, FILE *out, FILE *err)
{
	uint64_t left = 0;
	bool ok = false;
	char buf[4096];
	int rc = send_line(r->fd, line);

	if (rc == 0)
		rc = read_head(r->from, &ok, &left);
	while (rc == 0 && left > 0) {
		size_t n = fread(buf, 1, MPN_MIN(sizeof(buf), left), r->from);

		if (n == 0)
			return -EPIPE;
		(void)fwrite(buf, 1, n, ok ? out : err);
		left -= n;
	}
	fflush(ok ? out : err);
	return rc == 0 ? ok : rc;
}

static int
lose(struct remote *r, int rc)
{
	fprintf(stderr, "mpnic: --connect: %s\n",
		rc == -EPIPE ? "the other end has closed the connection" : strerror(-rc));
	r->ended = true;
	return EXIT_FAILED;
}

static void
run_typed(struct shell *sh, const char *line)
{
	struct remote *r = mpn_container_of(sh, struct remote, sh);
	int rc;

	/* It ends this prompt, not the other program. */
	if (strcmp(line, "quit") == 0) {
		r->ended = true;
		return;
	}
	rc = line[strspn(line, " \t\r\n")] != '\0' ? ask(r, line, sh->out, sh->out) : 0;
	if (rc < 0)
		(void)lose(r, rc);
}

/* Ask once for each argument that is completed. @return false: it cannot be known */
static bool
fetch_values(struct remote *r, const char *type)
{
	char line[SHELL_WORD_LEN + 16];
	size_t size = 0;
	FILE *text, *nowhere;
	bool ok;

	free(r->values);
	r->values = NULL;
	(void)snprintf(r->type, sizeof(r->type), "%s", type);
	(void)snprintf(line, sizeof(line), "show values %s", type);
	text = open_memstream(&r->values, &size);
	nowhere = fopen("/dev/null", "we");
	ok = text != NULL && nowhere != NULL && ask(r, line, text, nowhere) == 1;
	if (nowhere != NULL)
		fclose(nowhere);
	if (text != NULL)
		ok &= fclose(text) == 0;
	return ok;
}

/* The elements stand on lines of their own: "  - net_ring0". */
static bool
get_value(void *ctx, const char *type, unsigned n, char *buf, size_t size)
{
	struct remote *r = ctx;
	const char *at;

	if ((n == 0 || strcmp(type, r->type) != 0) && !fetch_values(r, type))
		return false;
	at = r->values;
	while (at != NULL && (at = strstr(at, "- ")) != NULL) {
		size_t len = strcspn(at += 2, "\n");

		if (n-- == 0)
			return len < size && snprintf(buf, size, "%.*s", (int)len, at) >= 0;
	}
	return false;
}

static int
use_prompt(struct remote *r)
{
	struct pollfd fds[] = {
		{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = r->fd, .events = POLLIN}};
	struct prompt *prompt = prompt_open(&r->sh, run_typed);
	int status = EXIT_OK;

	if (prompt == NULL)
		return EXIT_FAILED;
	while (!r->ended && (poll(fds, 2, -1) >= 0 || errno == EINTR)) {
		/* It says nothing without a question: it has gone. */
		if (fds[1].revents != 0)
			status = lose(r, -EPIPE);
		else if (!prompt_poll(prompt))
			break;
	}
	prompt_close(prompt);
	return status;
}

int
remote_use(const struct shell_section *const *sections, const char *path, const char *const *lines,
	unsigned nb_lines)
{
	struct remote r = {.sh = {.sections = sections, .values = get_value, .out = stdout}};
	int status = EXIT_OK, rc;
	unsigned i;

	r.sh.ctx = &r;
	signal(SIGPIPE, SIG_IGN);
	r.fd = connect_to(path);
	r.from = r.fd >= 0 ? fdopen(r.fd, "r") : NULL;
	if (r.from == NULL) {
		fprintf(stderr, "mpnic: --connect: '%s': nobody answers: %s\n", path,
			strerror(r.fd < 0 ? -r.fd : errno));
		return EXIT_FAILED;
	}
	for (i = 0; i < nb_lines && status == EXIT_OK; i++) {
		rc = ask(&r, lines[i], stdout, stderr);
		if (rc < 0)
			status = lose(&r, rc);
		else if (rc == 0)
			status = EXIT_FAILED;
	}
	if (nb_lines == 0)
		status = use_prompt(&r);
	free(r.values);
	fclose(r.from);
	return status;
}
