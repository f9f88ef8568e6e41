/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "app.h"

static int
run_start(struct shell *sh, const struct shell_args *args)
{
	struct app *app = app_of(sh);

	if (app->running)
		return shell_fail(sh, -EALREADY, "the NICs are polled already");
	app_start(app);
	return 0;
}

static int
run_stop(struct shell *sh, const struct shell_args *args)
{
	struct app *app = app_of(sh);

	if (!app->running)
		return shell_fail(sh, -EALREADY, "the NICs are not polled");
	app_stop(app);
	return 0;
}

static int
run_clear_stats(struct shell *sh, const struct shell_args *args)
{
	struct mpn_nic *nic;
	unsigned i;

	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++)
		mpn_nic_clear_stats(nic);
	return 0;
}

static int
run_help(struct shell *sh, const struct shell_args *args)
{
	return shell_help(sh, args->word[0]);
}

static int
run_quit(struct shell *sh, const struct shell_args *args)
{
	app_of(sh)->quit = true;
	return 0;
}

static const struct shell_cmd cmds[] = {
	{"start", "poll all NICs, and the volumes", run_start},
	{"stop", "poll nothing", run_stop},
	{"clear stats", "set the counters of all NICs to zero", run_clear_stats},
	{"help [SECTION]", "list the commands", run_help},
	{"quit", "end the program", run_quit},
};

const struct shell_section control_section = {
	.name = "control",
	.help = "the program as a whole",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
};
