/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A result of mpn_out.h as an answer of DPDK's telemetry. Not installed. */

#ifndef NIC_TELEMETRY_JSON_H
#define NIC_TELEMETRY_JSON_H

#include "mpn_err.h"

struct rte_tel_data;

/*
 * An answer from JSON that mpn_out_begin() and what follows have written. Telemetry has objects only:
 * the elements of an array are named by their number, from first on in arrays of the outermost object or
 * of one in it. Answers are short (16 KiB): where elements are left out, "next" tells what to ask for
 * next as first. Fixed-point numbers are strings, true and false are 1 and 0. 0 or -errno
 */
int telemetry_from_json(struct rte_tel_data *d, const char *json, unsigned first) MPN_MUST_CHECK;

#endif
