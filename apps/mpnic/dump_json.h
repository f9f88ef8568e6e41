/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * What DPDK knows about itself, as elements of an open array. The text of `dump` is DPDK's own; these are the same
 * things for programs.
 */

#ifndef DUMP_JSON_H
#define DUMP_JSON_H

#include "mpn_out.h"

void dump_json_mempools(struct mpn_out *o);
void dump_json_rings(struct mpn_out *o);
void dump_json_memzones(struct mpn_out *o);
/** Areas of memory that are reserved, and how much of each is there. */
void dump_json_memory(struct mpn_out *o);
void dump_json_heap(struct mpn_out *o);
void dump_json_devargs(struct mpn_out *o);
void dump_json_lcores(struct mpn_out *o);
void dump_json_log_types(struct mpn_out *o);

#endif
