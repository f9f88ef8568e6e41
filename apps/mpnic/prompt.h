/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/** @file The prompt: line editing, history and completion by librte_cmdline, commands by the shell. */

#ifndef PROMPT_H
#define PROMPT_H

#include "shell.h"

struct prompt;

/** Runs a line that was typed, and says what is wrong with it. */
typedef void (*prompt_run)(struct shell *sh, const char *line);
void prompt_run_here(struct shell *sh, const char *line);

/** Show a prompt on the terminal. @return NULL with errno ENOMEM */
struct prompt *prompt_open(struct shell *sh, prompt_run run);
/** Give the terminal back. NULL is allowed. */
void prompt_close(struct prompt *p);
/**
 * Take what was typed since the last call and run the lines that are complete. Never blocks.
 * @return false when the input has ended
 */
bool prompt_poll(struct prompt *p);

#endif
