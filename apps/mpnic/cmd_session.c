/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "app.h"

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	return app_show_server(sh, args, "sessions", ebd_server_print_sessions);
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
