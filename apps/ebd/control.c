/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "control.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "access.h"
#include "ebd.h"
#include "mpn_err.h"
#include "mpn_parse.h"

struct command {
	const char *name;
	const char *arg; /* NULL: none */
	const char *help;
	int (*run)(struct control *c, const char *arg, struct mpn_out *o);
};

/* Say what is wrong with an argument. */
static int MPN_PRINTF(2, 3) refuse(struct control *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->reason, sizeof(c->reason), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Where a back end is waited for, other commands run meanwhile: what they say is not this one's reason. */
static int
run_add(struct control *c, const char *arg, struct mpn_out *o)
{
	const char *eq = strchr(arg, '=');
	char name[EBD_NAME_LEN];
	int rc;

	if (eq == NULL || eq == arg || (size_t)(eq - arg) >= sizeof(name))
		return refuse(c, "'%s': expected NAME=SPEC", arg);
	memcpy(name, arg, (size_t)(eq - arg));
	name[eq - arg] = '\0';
	rc = ebd_export_add(c->server, name, eq + 1);
	c->reason[0] = '\0';
	return rc;
}

static int
run_remove(struct control *c, const char *arg, struct mpn_out *o)
{
	return ebd_export_remove(c->server, arg);
}

/* NAME=CLIENT[,CLIENT...]; none of them is taken when one is wrong. */
static int
change_access(struct control *c, const char *arg,
	int (*change)(struct ebd_server *s, const char *name, const struct ebd_access *who))
{
	const char *eq = strchr(arg, '='), *cursor;
	char name[EBD_NAME_LEN], item[64];
	struct ebd_access who;
	int rc, pass;

	if (eq == NULL || eq == arg || eq[1] == '\0' || (size_t)(eq - arg) >= sizeof(name))
		return refuse(c, "'%s': expected NAME=CLIENT[,CLIENT...]", arg);
	memcpy(name, arg, (size_t)(eq - arg));
	name[eq - arg] = '\0';
	if (strcmp(eq + 1, "all") == 0)
		return change(c->server, name, NULL);
	for (pass = 0; pass < 2; pass++) {
		cursor = eq + 1;
		while ((rc = mpn_parse_item(&cursor, item, sizeof(item))) == 1) {
			if (access_parse(item, &who) != 0)
				return refuse(
					c, "'%s': expected a UUID, a MAC, UUID@MAC or all", item);
			rc = pass == 0 ? 0 : change(c->server, name, &who);
			if (rc < 0)
				return rc;
		}
		if (rc < 0)
			return refuse(c, "'%.64s': expected clients separated by ','", eq + 1);
	}
	return 0;
}

static int
run_allow(struct control *c, const char *arg, struct mpn_out *o)
{
	return change_access(c, arg, ebd_export_allow);
}

static int
run_deny(struct control *c, const char *arg, struct mpn_out *o)
{
	return change_access(c, arg, ebd_export_deny);
}

static int
run_resize(struct control *c, const char *arg, struct mpn_out *o)
{
	int rc = ebd_export_resize(c->server, arg);

	c->reason[0] = '\0';
	return rc;
}

static int
run_readonly(struct control *c, const char *arg, struct mpn_out *o)
{
	return ebd_export_set_readonly(c->server, arg);
}

static int
run_volumes(struct control *c, const char *arg, struct mpn_out *o)
{
	ebd_server_print_volumes(c->server, NULL, o);
	return 0;
}

static int
run_sessions(struct control *c, const char *arg, struct mpn_out *o)
{
	ebd_server_print_sessions(c->server, NULL, o);
	return 0;
}

static int
run_stop(struct control *c, const char *arg, struct mpn_out *o)
{
	c->stop = true;
	return 0;
}

static const struct command commands[] = {
	{"add", "NAME=SPEC", "export a volume", run_add},
	{"remove", "NAME", "export a volume no more: its sessions end", run_remove},
	{"resize", "NAME", "look at the size of a volume again; clients are told", run_resize},
	{"readonly", "NAME", "make a volume read-only; clients are told", run_readonly},
	{"allow", "NAME=CLIENT[,...]", "only these may use a volume; all: everybody", run_allow},
	{"deny", "NAME=CLIENT[,...]", "take clients from the list; all: everybody", run_deny},
	{"volumes", NULL, "volumes and their counters", run_volumes},
	{"sessions", NULL, "who is attached", run_sessions},
	{"stop", NULL, "answer what was accepted, and end", run_stop},
};

void
control_help(FILE *f)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(commands); i++) {
		const struct command *cmd = &commands[i];

		fprintf(f, "  %-8s %-17s %s\n", cmd->name, cmd->arg != NULL ? cmd->arg : "",
			cmd->help);
	}
}

static const struct command *
find_command(const char *name)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* "add, remove, ... or stop" */
static void
list_commands(char *list, size_t size)
{
	size_t i, used = 0;

	for (i = 0; i < MPN_ARRAY_SIZE(commands) && used < size; i++)
		used += (size_t)snprintf(list + used, size - used, "%s%s",
			i == 0                             ? ""
			: i + 1 < MPN_ARRAY_SIZE(commands) ? ", "
							   : " or ",
			commands[i].name);
}

/* Cut a line into a command and one argument, which may hold blanks. @return the argument */
static char *
cut_line(char *line)
{
	char *end = line + strlen(line);
	char *arg;

	while (end > line && strchr(" \t\r\n", end[-1]) != NULL)
		*--end = '\0';
	arg = line + strcspn(line, " \t");
	if (*arg != '\0')
		*arg++ = '\0';
	return arg + strspn(arg, " \t");
}

int
control_run(struct control *c, const char *line, char *reason, size_t size, struct mpn_out *o)
{
	const struct command *cmd;
	char copy[CONTROL_LINE], list[128];
	char *arg;
	int rc;

	line += strspn(line, " \t\r\n");
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	if (strlen(line) >= sizeof(copy)) {
		(void)snprintf(reason, size, "a line of more than %d bytes", CONTROL_LINE - 1);
		return -EINVAL;
	}
	memcpy(copy, line, strlen(line) + 1);
	arg = cut_line(copy);
	cmd = find_command(copy);
	if (cmd == NULL) {
		list_commands(list, sizeof(list));
		(void)snprintf(reason, size, "'%.32s': expected %s", copy, list);
		return -EINVAL;
	}
	if ((cmd->arg != NULL) != (arg[0] != '\0')) {
		(void)snprintf(reason, size, "%s: expected %s", cmd->name,
			cmd->arg != NULL ? cmd->arg : "nothing after it");
		return -EINVAL;
	}
	c->reason[0] = '\0';
	rc = cmd->run(c, arg, o);
	if (rc < 0)
		(void)snprintf(reason, size, "%s: %s", cmd->name,
			c->reason[0] != '\0'          ? c->reason
			: ebd_last_error()[0] != '\0' ? ebd_last_error()
						      : strerror(-rc));
	return rc;
}

int
control_run_file(struct control *c, const char *prog, const char *path)
{
	FILE *f = fopen(path, "re");
	FILE *null = fopen("/dev/null", "we");
	char line[CONTROL_LINE + 1], reason[512];
	unsigned number = 0;
	struct mpn_out o;
	int rc = 0;

	if (f == NULL || null == NULL) {
		rc = -errno;
		fprintf(stderr, "%s: '%s': %s\n", prog, path, strerror(errno));
	} else {
		mpn_out_begin(&o, null, true);
	}
	while (rc == 0 && fgets(line, sizeof(line), f) != NULL) {
		number++;
		rc = control_run(c, line, reason, sizeof(reason), &o);
		if (rc < 0)
			fprintf(stderr, "%s: %s:%u: %s\n", prog, path, number, reason);
	}
	if (f != NULL)
		fclose(f);
	if (null != NULL)
		fclose(null);
	return rc;
}

void
control_answer(void *ctx, const char *text, FILE *out)
{
	char reason[512];
	struct mpn_out o;
	int rc;

	mpn_out_begin(&o, out, true);
	rc = control_run(ctx, text, reason, sizeof(reason), &o);
	mpn_out_bool(&o, "ok", rc >= 0);
	if (rc < 0)
		mpn_out_str(&o, "error", reason);
	(void)mpn_out_end(&o);
}
