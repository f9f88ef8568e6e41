/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#ifndef EAL_LOG_H
#define EAL_LOG_H

#include <stdbool.h>

/* What DPDK says on this thread is of no interest: an attempt that may fail. */
void eal_log_quiet(bool on);

#endif
