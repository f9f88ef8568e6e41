/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Calls of code that may crash. Not installed. */

#ifndef GUARD_H
#define GUARD_H

/*
 * Call fn. When it crashes, by a bad address, an illegal instruction, a division by zero, an endless recursion, or
 * giving up, that ends the call and not the program; what it held, memory and locks, stays as it was.
 * @return 0 with what fn returned in *rc; or the signal
 */
int guard_call(int (*fn)(void *arg), void *arg, int *rc);

#endif
