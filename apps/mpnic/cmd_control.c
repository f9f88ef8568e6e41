/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "mpn_map.h"
#include "mpn_parse.h"

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
clear_stats(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	mpn_nic_clear_stats(nic);
	return 0;
}

static int
run_clear_stats(struct shell *sh, const struct shell_args *args)
{
	return app_for_each_nic(sh, app_show_what(args), clear_stats, NULL);
}

static int
run_help(struct shell *sh, const struct shell_args *args)
{
	const char *section = app_show_what(args);

	return shell_help(sh, strcmp(section, "all") != 0 ? section : NULL, app_wants_json(args));
}

static int
run_config(struct shell *sh, const struct shell_args *args)
{
	return shell_show_config(sh, app_wants_json(args));
}

static int
run_values(struct shell *sh, const struct shell_args *args)
{
	return shell_show_values(sh, args->word[0], app_wants_json(args));
}

/* ---- The program ---- */

static const char *const idle_names[] = {"spin", "yield", "sleep", NULL};

static int
run_idle(struct shell *sh, const struct shell_args *args)
{
	struct app *app = app_of(sh);
	int i = mpn_parse_choice(args->word[0], idle_names);

	if (i < 0)
		return shell_refuse(sh, args->word[0], "expected spin, yield or sleep");
	app->idle = (enum mpn_idle)i;
	mpn_map_set_idle(app->idle);
	if (app->running)
		mpn_idler_init(&app->idler, app->idle);
	return 0;
}

static int
run_period(struct shell *sh, const struct shell_args *args)
{
	struct app *app = app_of(sh);
	uint64_t ns = 0;

	if (strcmp(args->word[0], "off") != 0 && app_parse_period(args->word[0], &ns) < 0)
		return shell_refuse(sh, args->word[0], "expected %s, or off", APP_PERIOD_EXPECTED);
	app->period_ns = ns;
	app->rates_ns = mpn_now_ns() + ns;
	return 0;
}

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	const struct app *app = app_of(sh);
	struct mpn_out o;
	unsigned i;

	app_show_begin(&o, sh, args);
	mpn_out_str(&o, "version", ebd_version());
	mpn_out_u64(&o, "pid", (uint64_t)getpid());
	mpn_out_f64(&o, "uptime_s", (double)(mpn_now_ns() - app->started_ns) / 1e9, 1);
	mpn_out_bool(&o, "polling", app->running);
	mpn_out_str(&o, "idle", idle_names[app->idle]);
	mpn_out_f64(&o, "stats_period_s", (double)app->period_ns / 1e9, 1);
	mpn_out_bool(&o, "hugepages", mpn_eal_has_hugepages());
	mpn_out_array(&o, "nics");
	for (i = 0; mpn_nic_get(i) != NULL; i++) {
		struct mpn_nic_info info;

		mpn_nic_get_info(mpn_nic_get(i), &info);
		mpn_out_str(&o, NULL, info.name);
	}
	mpn_out_close(&o);
	return mpn_out_end(&o);
}

static void
save(struct shell *sh)
{
	const struct app *app = app_of(sh);

	/* When all else is as it was. */
	app_save_personalities(sh, app_save_started);
	if (app->idle != app->default_idle)
		fprintf(sh->out, "set idle %s\n", idle_names[app->idle]);
	if (app->period_ns % 1000000 != 0)
		fprintf(sh->out, "set stats-period %" PRIu64 "ns\n", app->period_ns);
	else if (app->period_ns != 0)
		fprintf(sh->out, "set stats-period %" PRIu64 "ms\n", app->period_ns / 1000000);
	if (app->running)
		fprintf(sh->out, "start\n");
}

static int
run_quit(struct shell *sh, const struct shell_args *args)
{
	app_of(sh)->quit = true;
	return 0;
}

static const struct shell_cmd cmds[] = {
	{"start", "poll all NICs, and the volumes", run_start, "start"},
	{"stop", "poll nothing", run_stop},
	{"show config [json]", "the commands that recreate the state", run_config},
	{"show values TYPE [json]", "what an argument can be now, by its word in help, such as NIC",
		run_values},
	{"show program [json]", "what the program itself does", run_show},
	{"set idle POLICY", "spin, yield or sleep while nothing arrives", run_idle,
		"set idle yield"},
	{"set stats-period TIME|off", "print the rates of all ports and personalities this often",
		run_period, "set stats-period 5m"},
	{"clear stats [NIC|all]", "set the counters of NICs and flows to zero", run_clear_stats},
	{"help [SECTION|all] [json]", "list the commands", run_help},
	{"quit", "end the program", run_quit},
};

const struct shell_section control_section = {
	.name = "control",
	.help = "the program as a whole",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
	.save = save,
};
