/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Options and commands as tables: the parser, the help text and the completion come from one row.
 */

#ifndef MPN_OPT_H
#define MPN_OPT_H

#include <stdint.h>
#include <stdio.h>

#include "mpn_err.h"

/**
 * One option "--name ARG". set() stores arg (NULL for a flag) into cfg and returns 0 or -errno; it
 * never prints. The error line then reads: "PROG: --name: 'arg': expected EXPECT".
 */
struct mpn_opt {
	const char *name; /**< long name, without dashes */
	char letter; /**< short form, or 0 */
	const char *arg; /**< name of the argument in the help ("SIZE"), NULL for a flag */
	const char *expect; /**< what would be right, in words ("a size such as 4k") */
	const char *help; /**< one line, with the default */
	int (*set)(void *cfg, const char *arg);
};

/** One subcommand of a tool. */
struct mpn_cmd {
	const char *name;
	const char *synopsis; /**< what follows the name in the help */
	const char *help; /**< one line */
	int (*run)(int argc, char **argv); /**< argv[0] is the name; gives the exit status */
};

/**
 * Parse argv[1..] by the table: "--name VALUE", "--name=VALUE", "-n VALUE", "-nVALUE", flags "-abc".
 * Options and operands may be mixed; "--" ends the options; "-" is an operand. Errors are one line on
 * stderr, prefixed by prog, naming option, value and what would be right; an unknown option names the
 * nearest one.
 *
 * @param operands  receives pointers to the operands in order; room for argc
 * @return number of operands, or -EINVAL after the error line
 */
int mpn_opt_parse(const char *prog, const struct mpn_opt *opts, size_t nb_opts, int argc,
	char **argv, void *cfg, const char **operands) MPN_MUST_CHECK;

/** Print the options, aligned, one a line. */
void mpn_opt_help(FILE *f, const struct mpn_opt *opts, size_t nb_opts);

/**
 * Run the command argv[1] names. With --help, -h or help: the list of commands on stdout. "help NAME"
 * runs "NAME --help".
 * @return the exit status of the command; 2 for an unknown one, after a line that names the nearest,
 *   and without one, after the list on stderr
 */
int mpn_cmd_main(const char *prog, const char *summary, const struct mpn_cmd *cmds, size_t nb_cmds,
	int argc, char **argv);

#endif
