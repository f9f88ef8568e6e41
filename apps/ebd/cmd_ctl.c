/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "commands.h"
#include "control.h"
#include "mpn_parse.h"
#include "tool.h"

struct ctl_conf {
	struct tool_conf tool;
	const char *path;
};

static int
set_path(void *cfg, const char *arg)
{
	((struct ctl_conf *)cfg)->path = arg;
	return arg[0] != '\0' ? 0 : -EINVAL;
}

static const struct mpn_opt opts[] = {
	{"control", 'c', "PATH", "the path that ebd serve --control was given",
		"the socket of the server", set_path},
	{"help", 'h', NULL, NULL, "print this", tool_set_help},
};

static const struct tool_usage usage = {
	.synopsis = "--control PATH COMMAND [ARGUMENT]",
	.text = "Tells a running server what to do, and prints its answer as JSON:\n"
		"  add NAME=SPEC  export a volume\n"
		"  remove NAME    export a volume no more: its sessions end\n"
		"  resize NAME    look at the size of a volume again; clients are told\n"
		"  readonly NAME  make a volume read-only; clients are told\n"
		"  allow NAME=CLIENT[,CLIENT...]\n"
		"                 only these clients may use a volume, others do not see it;\n"
		"                 a CLIENT is a UUID, a MAC or UUID@MAC; all: everybody\n"
		"  deny NAME=CLIENT[,CLIENT...]\n"
		"                 take clients from the list again; all: everybody\n"
		"  volumes        volumes and their counters\n"
		"  sessions       who is attached\n"
		"  stop           answer what was accepted, and end\n",
	.opts = opts,
	.nb_opts = MPN_ARRAY_SIZE(opts),
	.min_operands = 1,
	.max_operands = 2,
};

static int
ask(int fd, const char *line)
{
	char buf[4096], last[64] = "";
	bool ok = false;
	ssize_t n;

	if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		return -errno;
	while ((n = recv(fd, buf, sizeof(buf) - 1, 0)) > 0) {
		char both[sizeof(last) + sizeof(buf)];

		buf[n] = '\0';
		fputs(buf, stdout);
		/* The verdict may be cut in two. */
		(void)snprintf(both, sizeof(both), "%s%s", last, buf);
		ok |= strstr(both, "\"ok\": true") != NULL;
		(void)snprintf(last, sizeof(last), "%s",
			both + (strlen(both) > 32 ? strlen(both) - 32 : 0));
	}
	if (n < 0)
		return -errno;
	return ok;
}

int
cmd_ctl(int argc, char **argv)
{
	/* It needs no link, and says so to the parser. */
	struct ctl_conf conf = {.tool = {.prog = "ebd ctl", .link = ""}};
	const char *operands[TOOL_MAX_OPERANDS] = {NULL};
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	char line[CONTROL_LINE];
	int status, fd, rc, n;

	status = tool_parse(&conf.tool, &usage, argc, argv, operands);
	if (status != TOOL_GO_ON)
		return status;
	if (conf.path == NULL)
		return tool_misuse(
			&conf.tool, "--control: is missing: expected %s", opts[0].expect);
	n = snprintf(
		line, sizeof(line), "%s %s\n", operands[0], operands[1] != NULL ? operands[1] : "");
	if (n >= (int)sizeof(line) || strchr(line, '\n') != line + n - 1)
		return tool_misuse(&conf.tool, "'%.32s...': expected one line of at most %d bytes",
			operands[0], CONTROL_LINE - 1);
	if (mpn_copy_str(sun.sun_path, sizeof(sun.sun_path), conf.path) != 0)
		return tool_misuse(&conf.tool, "--control: '%s': is too long", conf.path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0) {
		rc = errno;
		if (fd >= 0)
			close(fd);
		return tool_fail(
			&conf.tool, "'%s': no server answers: %s", conf.path, strerror(rc));
	}
	rc = ask(fd, line);
	close(fd);
	if (rc < 0)
		return tool_fail(&conf.tool, "'%s': %s", conf.path, strerror(-rc));
	return rc > 0 ? TOOL_OK : TOOL_FAILED;
}
