/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "app.h"

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	struct app *app = app_of(sh);
	struct mpn_out o;
	const char *volume;
	int rc = app_find_volume(sh, app_show_what(args), &volume);

	if (rc != 0)
		return rc;
	app_show_begin(&o, sh, args);
	if (app->server != NULL) {
		ebd_server_print_sessions(app->server, volume, &o);
	} else {
		mpn_out_array(&o, "sessions");
		mpn_out_close(&o);
	}
	return mpn_out_end(&o);
}

static const struct shell_cmd cmds[] = {
	{"show session [VOLUME|all] [json]", "who uses which volume", run_show},
};

const struct shell_section session_section = {
	.name = "session",
	.help = "sessions of clients",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
};
