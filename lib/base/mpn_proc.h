/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Other processes, as far as whoever waits for one must know them. */

#ifndef MPN_PROC_H
#define MPN_PROC_H

#include <stdbool.h>
#include <sys/types.h>

/* How long a process that was killed is waited for: the kernel ends first what it has under way on a disk. */
#define MPN_PROC_END_MS 30000

/*
 * Is the process gone, or on its way? One that was killed keeps its files and locks until the kernel is done with
 * what it had under way. Without a /proc nobody is.
 */
bool mpn_proc_is_ending(pid_t pid);

#endif
