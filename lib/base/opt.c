/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdbool.h>
#include <string.h>

#include "mpn_opt.h"
#include "mpn_parse.h"

struct parse_state {
	const char *prog;
	const struct mpn_opt *opts;
	size_t nb_opts;
	int argc;
	char **argv;
	int next; /* index of the first argument not looked at */
	void *cfg;
};

static int
refuse_unknown(const struct parse_state *ps, const char *name, size_t len)
{
	struct mpn_nearest near;
	char typed[64];
	size_t i;

	(void)snprintf(typed, sizeof(typed), "%.*s", (int)MPN_MIN(len, sizeof(typed)), name);
	mpn_nearest_begin(&near, typed);
	for (i = 0; i < ps->nb_opts; i++)
		mpn_nearest_try(&near, ps->opts[i].name);
	if (near.best != NULL)
		fprintf(stderr, "%s: --%s: no such option, did you mean --%s?\n", ps->prog, typed,
			near.best);
	else
		fprintf(stderr, "%s: --%s: no such option, see %s --help\n", ps->prog, typed,
			ps->prog);
	return mpn_err(EINVAL);
}

/* Give the value to the option; shown is how it was written ("--size", "-s"). */
static int
apply_option(
	const struct parse_state *ps, const struct mpn_opt *opt, const char *shown, const char *arg)
{
	if (opt->set(ps->cfg, arg) == 0)
		return 0;
	if (arg == NULL)
		fprintf(stderr, "%s: %s: not possible here%s%s\n", ps->prog, shown,
			opt->expect != NULL ? ": expected " : "",
			opt->expect != NULL ? opt->expect : "");
	else
		fprintf(stderr, "%s: %s: '%s': expected %s\n", ps->prog, shown, arg,
			opt->expect != NULL ? opt->expect : opt->arg);
	return mpn_err(EINVAL);
}

/* The option's value: inline_arg, or the next argument. */
static int
take_value(struct parse_state *ps, const struct mpn_opt *opt, const char *shown,
	const char *inline_arg, const char **arg)
{
	*arg = inline_arg;
	if (opt->arg == NULL) {
		if (inline_arg == NULL)
			return 0;
		fprintf(stderr, "%s: %s: '%s': expected no value\n", ps->prog, shown, inline_arg);
		return mpn_err(EINVAL);
	}
	if (inline_arg != NULL)
		return 0;
	if (ps->next < ps->argc) {
		*arg = ps->argv[ps->next++];
		return 0;
	}
	fprintf(stderr, "%s: %s: needs %s: expected %s\n", ps->prog, shown, opt->arg,
		opt->expect != NULL ? opt->expect : "a value");
	return mpn_err(EINVAL);
}

/* "--name", "--name=VALUE" or "--name VALUE"; word is what follows the dashes. */
static int
parse_long(struct parse_state *ps, const char *word)
{
	size_t len = strcspn(word, "=");
	char shown[64];
	const char *arg;
	size_t i;
	int rc;

	for (i = 0; i < ps->nb_opts; i++) {
		const struct mpn_opt *opt = &ps->opts[i];

		if (strlen(opt->name) != len || memcmp(opt->name, word, len) != 0)
			continue;
		(void)snprintf(shown, sizeof(shown), "--%s", opt->name);
		rc = take_value(ps, opt, shown, word[len] == '=' ? word + len + 1 : NULL, &arg);
		return rc != 0 ? rc : apply_option(ps, opt, shown, arg);
	}
	return refuse_unknown(ps, word, len);
}

/* "-x", "-xyz" (flags), "-xVALUE" or "-x VALUE"; letters is what follows the dash. */
static int
parse_short(struct parse_state *ps, const char *letters)
{
	while (*letters != '\0') {
		const struct mpn_opt *opt = NULL;
		const char *arg = NULL;
		char shown[3] = {'-', *letters++, '\0'};
		size_t i;

		for (i = 0; i < ps->nb_opts && opt == NULL; i++) {
			if (ps->opts[i].letter == shown[1])
				opt = &ps->opts[i];
		}
		if (opt == NULL) {
			fprintf(stderr, "%s: %s: no such option, see %s --help\n", ps->prog, shown,
				ps->prog);
			return mpn_err(EINVAL);
		}
		if (opt->arg != NULL) {
			int rc =
				take_value(ps, opt, shown, *letters != '\0' ? letters : NULL, &arg);

			if (rc != 0)
				return rc;
			letters = "";
		}
		if (apply_option(ps, opt, shown, arg) != 0)
			return -EINVAL;
	}
	return 0;
}

int
mpn_opt_parse(const char *prog, const struct mpn_opt *opts, size_t nb_opts, int argc, char **argv,
	void *cfg, const char **operands)
{
	struct parse_state ps = {
		.prog = prog,
		.opts = opts,
		.nb_opts = nb_opts,
		.argc = argc,
		.argv = argv,
		.next = 1,
		.cfg = cfg,
	};
	bool options_end = false;
	int nb_operands = 0;

	while (ps.next < argc) {
		const char *word = argv[ps.next++];
		int rc = 0;

		if (options_end || word[0] != '-' || word[1] == '\0')
			operands[nb_operands++] = word;
		else if (word[1] != '-')
			rc = parse_short(&ps, word + 1);
		else if (word[2] == '\0')
			options_end = true;
		else
			rc = parse_long(&ps, word + 2);
		if (rc != 0)
			return rc;
	}
	return nb_operands;
}

/* "-x, --name ARG" into buf; @return its length. */
static int
format_option(char *buf, size_t size, const struct mpn_opt *opt)
{
	char letter[5] = "    ";

	if (opt->letter != '\0')
		(void)snprintf(letter, sizeof(letter), "-%c, ", opt->letter);
	return snprintf(buf, size, "%s--%s%s%s", letter, opt->name, opt->arg != NULL ? " " : "",
		opt->arg != NULL ? opt->arg : "");
}

void
mpn_opt_help(FILE *f, const struct mpn_opt *opts, size_t nb_opts)
{
	char buf[80];
	int width = 0;
	size_t i;

	for (i = 0; i < nb_opts; i++) {
		int len = format_option(buf, sizeof(buf), &opts[i]);

		width = MPN_MAX(width, len);
	}
	for (i = 0; i < nb_opts; i++) {
		(void)format_option(buf, sizeof(buf), &opts[i]);
		fprintf(f, "  %-*s  %s\n", width, buf, opts[i].help);
	}
}

static void
list_commands(FILE *f, const char *prog, const char *summary, const struct mpn_cmd *cmds, size_t n)
{
	int width = 0;
	size_t i;

	fprintf(f, "%s: %s\n\nusage: %s COMMAND [OPTIONS]\n\n", prog, summary, prog);
	for (i = 0; i < n; i++)
		width = MPN_MAX(width, (int)strlen(cmds[i].name));
	for (i = 0; i < n; i++)
		fprintf(f, "  %-*s  %s\n", width, cmds[i].name, cmds[i].help);
	fprintf(f, "\n%s COMMAND --help says more about one of them.\n", prog);
}

static const struct mpn_cmd *
find_command(const char *prog, const struct mpn_cmd *cmds, size_t n, const char *name)
{
	struct mpn_nearest near;
	size_t i;

	mpn_nearest_begin(&near, name);
	for (i = 0; i < n; i++) {
		if (strcmp(cmds[i].name, name) == 0)
			return &cmds[i];
		mpn_nearest_try(&near, cmds[i].name);
	}
	if (near.best != NULL)
		fprintf(stderr, "%s: '%s': no such command, did you mean %s?\n", prog, name,
			near.best);
	else
		fprintf(stderr, "%s: '%s': no such command, see %s --help\n", prog, name, prog);
	return NULL;
}

int
mpn_cmd_main(const char *prog, const char *summary, const struct mpn_cmd *cmds, size_t nb_cmds,
	int argc, char **argv)
{
	const struct mpn_cmd *cmd;
	bool help;

	if (argc < 2) {
		list_commands(stderr, prog, summary, cmds, nb_cmds);
		return 2;
	}
	help = strcmp(argv[1], "help") == 0;
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (help && argc == 2)) {
		list_commands(stdout, prog, summary, cmds, nb_cmds);
		return 0;
	}
	cmd = find_command(prog, cmds, nb_cmds, argv[help ? 2 : 1]);
	if (cmd == NULL)
		return 2;
	if (help) {
		char option[] = "--help";
		char *args[] = {argv[2], option, NULL};

		return cmd->run(2, args);
	}
	return cmd->run(argc - 1, argv + 1);
}
