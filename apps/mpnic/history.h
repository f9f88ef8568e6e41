/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The lines that were typed, kept from one start to the next as shells do: in mpnic/history below
 * $XDG_STATE_HOME, or ~/.local/state. What cannot be kept is not, without a word.
 */

#ifndef HISTORY_H
#define HISTORY_H

/** Is called with each line that is remembered, the oldest first. */
typedef void (*history_fn)(void *arg, const char *line);

/** Read what was kept. Of a file that has become long the older half is forgotten. */
void history_read(history_fn fn, void *arg);
/** Keep a line, unless it is empty or the last one again. */
void history_keep(const char *line);

#endif
