/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "ebd.h"
#include "mpn_opt.h"

static const struct mpn_cmd commands[] = {
	{"serve", "--link LINK --volume NAME=SPEC ...", "serve volumes on links", cmd_serve},
	{"discover", "--link LINK", "list the volumes that servers offer", cmd_discover},
	{"info", "--link LINK VOLUME", "show what a volume is like", cmd_info},
	{"copy", "SRC DST", "copy between volumes, files and NBD exports", cmd_copy},
	{"perf", "--link LINK VOLUME", "measure a volume", cmd_perf},
	{"ctl", "--control PATH COMMAND", "tell a running server what to do", cmd_ctl},
};

int
main(int argc, char **argv)
{
	if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		printf("ebd (mpnic) %s\n", ebd_version());
		return 0;
	}
	return mpn_cmd_main(
		"ebd", "the Ethernet Block Device", commands, MPN_ARRAY_SIZE(commands), argc, argv);
}
