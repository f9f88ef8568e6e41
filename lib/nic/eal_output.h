/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What the EAL prints while it starts, past its log: its whole usage on stdout for a wrong flag,
 * getopt's complaint and a last word on stderr. One line of it says what is wrong.
 */

#ifndef EAL_OUTPUT_H
#define EAL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* stdout and stderr of the process. */
struct eal_output {
	int saved[2];
	int kept[2]; /* -1: not caught */
};

/* From now on what goes to stdout and stderr is kept. */
void eal_output_begin(struct eal_output *o);
/*
 * Give stdout and stderr back. show: hand out what was kept, too. Else why receives the first line of
 * stderr that tells more than that it failed, without the name of the program; "" when there is none.
 */
void eal_output_end(struct eal_output *o, bool show, char *why, size_t size);

#endif
