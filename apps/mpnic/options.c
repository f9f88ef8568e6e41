/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "mpn_opt.h"
#include "mpn_parse.h"
#include "options.h"

static int
set_interactive(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->interactive = true;
	return 0;
}

static int
set_help(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->help = true;
	return 0;
}

static int
set_version(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->version = true;
	return 0;
}

static int
set_verbose(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->verbose = true;
	return 0;
}

static int
set_cmdline_file(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->cmdline_file = arg;
	return arg[0] != '\0' ? 0 : -EINVAL;
}

static int
set_period(void *cfg, const char *arg)
{
	return app_parse_period(arg, &((struct app_conf *)cfg)->period_ns);
}

static int
set_idle(void *cfg, const char *arg)
{
	static const char *const names[] = {"spin", "yield", "sleep", NULL};
	int i = mpn_parse_choice(arg, names);

	if (i < 0)
		return i;
	((struct app_conf *)cfg)->idle = i;
	return 0;
}

static int
add_link(void *cfg, const char *arg)
{
	struct app_conf *conf = cfg;

	if (conf->nb_links == APP_MAX_LINKS ||
		(strcmp(arg, "help") != 0 && mpn_link_kind_of(arg) == NULL))
		return -EINVAL;
	conf->links[conf->nb_links++] = arg;
	return 0;
}

static int
add_line(void *cfg, const char *arg)
{
	struct app_conf *conf = cfg;

	if (conf->nb_lines == APP_MAX_LINES)
		return -EINVAL;
	conf->lines[conf->nb_lines++] = arg;
	return 0;
}

static int
add_map(void *cfg, const char *arg)
{
	struct app_conf *conf = cfg;

	if (conf->nb_maps == APP_MAX_MAPS || app_check_map(arg) < 0)
		return -EINVAL;
	conf->maps[conf->nb_maps++] = arg;
	return 0;
}

static int
set_socket(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->socket = arg;
	/* A number would be a port, where everybody on this machine may connect. */
	return arg[0] != '\0' && arg[strspn(arg, "0123456789")] != '\0' ? 0 : -EINVAL;
}

static int
set_connect(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->connect = arg;
	return arg[0] != '\0' ? 0 : -EINVAL;
}

static int
set_commands(void *cfg, const char *arg)
{
	((struct app_conf *)cfg)->commands = true;
	return 0;
}

static const struct mpn_opt opts[] = {
	{"interactive", 'i', NULL, NULL, "show a prompt; polling begins with the command start",
		set_interactive},
	{"cmdline-file", 0, "FILE", "the name of a file", "run the commands in it first",
		set_cmdline_file},
	{"exec", 'e', "COMMAND", "at most 32 commands",
		"run it; may be repeated; without -i and --socket that is all", add_line},
	{"socket", 0, "PATH", "a path that is not a number",
		"take commands there, from its owner only", set_socket},
	{"connect", 0, "PATH", "the path that --socket was given",
		"run commands in the program that listens there, with -e or at a prompt",
		set_connect},
	{"stats-period", 0, "TIME", APP_PERIOD_EXPECTED,
		"print the rates of every port and personality this often", set_period},
	{"link", 'l', "LINK", "at most 8 links such as vhost:ebd0.sock, or help",
		"make a NIC on this link; may be repeated; --link help lists the kinds", add_link},
	{"map", 0, "NIC:STAGE=LCORE,...", "a map such as nic0:rx=1,tx=1,storage=2",
		"poll stages (rx, tx, personalities by their names, also of NICs and personalities "
		"that the commands of the start make) on lcores of their own; may be repeated",
		add_map},
	{"idle", 0, "spin|yield|sleep", "spin, yield or sleep",
		"while nothing arrives; default: sleep on two cores or one, else spin", set_idle},
	{"verbose", 0, NULL, NULL, "print what DPDK and its drivers have to say", set_verbose},
	{"commands", 0, NULL, NULL, "list the commands", set_commands},
	{"version", 'V', NULL, NULL, "print the version", set_version},
	{"help", 'h', NULL, NULL, "print this", set_help},
};

static void
print_usage(const char *prog)
{
	printf("usage: %s [EAL options] -- [options]\n\n"
	       "Shows the faces of multi-personality NICs, at a prompt. Every Ethernet port that "
	       "the EAL\n"
	       "finds becomes a NIC, and every --link. Without -i they are polled until SIGINT or "
	       "SIGTERM.\n"
	       "With --connect it runs commands in another mpnic, and needs no EAL options.\n\n"
	       "options:\n",
		prog);
	mpn_opt_help(stdout, opts, MPN_ARRAY_SIZE(opts));
}

static void
print_links(void)
{
	const struct mpn_link_kind *kind;
	unsigned i;

	for (i = 0; (kind = mpn_link_kind(i)) != NULL; i++)
		printf("%-40s %s%s\n", kind->synopsis, kind->help,
			kind->needs_root ? " (needs root)" : "");
}

/* What is asked for beside everything else. @return -1: nothing */
static int
tell(const struct app_conf *conf, const struct shell_section *const *sections, const char *prog)
{
	struct shell sh = {.sections = sections, .out = stdout};
	unsigned i;

	if (conf->help) {
		print_usage(prog);
		return EXIT_OK;
	}
	if (conf->version) {
		printf("mpnic %s\n", ebd_version());
		return EXIT_OK;
	}
	if (conf->commands) {
		(void)shell_help(&sh, NULL, false);
		return EXIT_OK;
	}
	for (i = 0; i < conf->nb_links; i++) {
		if (strcmp(conf->links[i], "help") == 0) {
			print_links();
			return EXIT_OK;
		}
	}
	return -1;
}

int
parse_options(struct app_conf *conf, const struct shell_section *const *sections, const char *prog,
	int argc, char **argv)
{
	const char **words = calloc((size_t)argc + 1, sizeof(*words));
	int n;

	if (words == NULL)
		return EXIT_FAILED;
	n = mpn_opt_parse("mpnic", opts, MPN_ARRAY_SIZE(opts), argc, argv, conf, words);
	if (n > 0)
		fprintf(stderr, "mpnic: '%s': expected an option, see mpnic -- --help\n", words[0]);
	free(words);
	if (n != 0)
		return EXIT_USAGE;
	return tell(conf, sections, prog);
}
