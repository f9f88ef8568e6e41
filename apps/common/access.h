/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#ifndef ACCESS_H
#define ACCESS_H

#include "ebd_server.h"
#include "mpn_err.h"

/** A client as people name it: "UUID", "MAC" or "UUID@MAC", which both must be right. 0 or -EINVAL */
int access_parse(const char *text, struct ebd_access *who) MPN_MUST_CHECK;

#endif
