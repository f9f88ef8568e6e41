/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Commands as tables: the parser, its error lines, help and completion come from the same row.
 *
 * The syntax of a command is a line of words. Small letters are typed as they stand, capital letters
 * name an argument, brackets make the last words optional:
 *
 *	"show port NIC|all [json]"
 */

#ifndef SHELL_H
#define SHELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mpn_err.h"

#define SHELL_LINE_LEN 1024
#define SHELL_MAX_WORDS 16
#define SHELL_WORD_LEN 256
#define SHELL_EXPECT_LEN 256
#define SHELL_ERROR_LEN (SHELL_WORD_LEN + SHELL_EXPECT_LEN + 8)

struct shell;

/** The words of a line that were typed for arguments and optional words, in order; NULL: not given. */
struct shell_args {
	const char *word[SHELL_MAX_WORDS];
	unsigned n;
};

struct shell_cmd {
	const char *syntax;
	const char *help; /**< one line */
	/** 0, or -errno; shell_refuse() and shell_fail() say more. */
	int (*run)(struct shell *sh, const struct shell_args *args);
	/**
	 * Of a command that changes what `show config` prints: a line that does, in the state that
	 * test/system/config.sh makes. NULL: there is nothing to save of what the command does.
	 */
	const char *example;
};

/** The commands about one thing. */
struct shell_section {
	const char *name;
	const char *help;
	const struct shell_cmd *cmds;
	unsigned nb_cmds;
	/** Print the commands that make the present state from that of a start; NULL: there is none. */
	void (*save)(struct shell *sh);
};

/**
 * The n-th value an argument can have now, for completion: type is its word in the syntax up to '|'
 * ("NIC"). @return false when there are no more
 */
typedef bool (*shell_values)(void *ctx, const char *type, unsigned n, char *buf, size_t size);

struct shell {
	const struct shell_section *const *sections; /**< ends with NULL */
	shell_values values;
	void *ctx;
	void (*hold)(bool on); /**< around a command; NULL: nothing to hold */
	FILE *out;
	char bad_word[SHELL_WORD_LEN]; /**< of the line that was refused */
	char reason[SHELL_EXPECT_LEN]; /**< why it was */
};

/** Refuse an argument. @return -EINVAL */
int shell_refuse(struct shell *sh, const char *word, const char *fmt, ...) MPN_PRINTF(3, 4);
/** Say why a command failed. @return rc */
int shell_fail(struct shell *sh, int rc, const char *fmt, ...) MPN_PRINTF(3, 4);

/**
 * Run one line. Empty lines and what follows a '#' are ignored.
 * @return 0, or -errno with bad_word and reason set
 */
int shell_run(struct shell *sh, const char *line);
/** "'WORD': REASON" of the last failure into buf. @return buf */
char *shell_error(const struct shell *sh, char *buf, size_t size);
/**
 * Run the lines of a file until one fails; that is said on stderr with file and line.
 * @return 0 or -errno
 */
int shell_run_file(struct shell *sh, const char *path);

/** List the commands of all sections (NULL), or of one. @return 0, or -errno */
int shell_help(struct shell *sh, const char *section, bool json);
/** Print what an argument can be now, by its word in a syntax ("NIC"). @return 0, or -errno */
int shell_show_values(struct shell *sh, const char *type, bool json);
/** Print the commands that recreate the state: what the sections save, in their order. 0 or -errno */
int shell_show_config(struct shell *sh, bool json);

/* ---- For completion ---- */

/** The n-th command of all sections, NULL at the end. */
const struct shell_cmd *shell_cmd_at(const struct shell *sh, unsigned n);

/** One word of a syntax. */
struct shell_token {
	char text[SHELL_WORD_LEN]; /**< without brackets */
	bool argument; /**< stands for a value */
	bool optional;
};

/** Take a syntax apart. @return number of tokens, at most SHELL_MAX_WORDS */
unsigned shell_tokens(const char *syntax, struct shell_token tokens[SHELL_MAX_WORDS]);
/** Does a typed word fit a token? Any word fits an argument. */
bool shell_fits(const struct shell_token *t, const char *word);
/** The n-th word that could be typed for the token. @return false when there are no more */
bool shell_choice(
	const struct shell *sh, const struct shell_token *t, unsigned n, char *buf, size_t size);

#endif
