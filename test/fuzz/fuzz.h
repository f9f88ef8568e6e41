/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What a fuzz target is: one function, called by libFuzzer or by fuzz_main.c. */

#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** What must hold for every input: unlike assert() it is there in every build. */
#define MUST(condition) ((condition) ? (void)0 : __builtin_trap())

#endif
