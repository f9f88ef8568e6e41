/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the parts of vhost_blk share. */

#ifndef VHOST_BLK_H
#define VHOST_BLK_H

#include "frontend.h"

/* Print one line. @return 1 */
int fail(const char *what);
/* Connect, and wait for somebody who listens. */
bool connect_soon(struct frontend *f);

int run_hostile(struct frontend *f);
int run_stall(struct frontend *f, bool forgetful);

#endif
