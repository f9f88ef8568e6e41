/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/** @file The options of the program, behind those of the EAL. */

#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "shell.h"

#define APP_MAX_LINKS 8
#define APP_MAX_LINES 32
#define APP_MAX_MAPS 16

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

struct app_conf {
	bool interactive;
	bool help;
	bool commands;
	bool version;
	bool verbose;
	const char *cmdline_file;
	const char *socket;
	const char *connect;
	uint64_t period_ns;
	int idle; /**< enum mpn_idle, -1: by the number of cores */
	const char *links[APP_MAX_LINKS];
	unsigned nb_links;
	const char *lines[APP_MAX_LINES]; /**< commands of -e */
	unsigned nb_lines;
	const char *maps[APP_MAX_MAPS];
	unsigned nb_maps;
};

/** @return -1: go on; else the exit status, after what was asked for, or what is wrong, was printed */
int parse_options(struct app_conf *conf, const struct shell_section *const *sections,
	const char *prog, int argc, char **argv);

#endif
