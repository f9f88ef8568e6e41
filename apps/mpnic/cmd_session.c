/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "app.h"

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	struct app *app = app_of(sh);
	struct app_show show;

	app_show_begin(&show, sh, args);
	if (app->server != NULL) {
		ebd_server_print_sessions(app->server, &show.out);
	} else {
		mpn_out_array(&show.out, "sessions");
		mpn_out_close(&show.out);
	}
	return app_show_end(&show);
}

static const struct shell_cmd cmds[] = {
	{"show session all [json]", "who uses which volume", run_show},
};

const struct shell_section session_section = {
	.name = "session",
	.help = "sessions of clients",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
};
