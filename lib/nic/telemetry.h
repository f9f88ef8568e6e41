/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What DPDK's telemetry can be asked about NICs. Questions come on threads of DPDK's; they are answered
 * by the thread that polls the NIC, between two rounds: nothing of a NIC is ever looked at by another.
 * Not installed.
 */

#ifndef NIC_TELEMETRY_H
#define NIC_TELEMETRY_H

#include "mpn_nic.h"

/* Print what a NIC has to say into the open object. 0, or -errno: nothing to say. */
typedef int (*nic_telemetry_print)(struct mpn_nic *nic, struct mpn_out *o);

/* A command such as "/mpnic/link"; cmd and help must live for ever. From a constructor. */
void nic_telemetry_add(const char *cmd, const char *help, nic_telemetry_print print);

/* Set while a question waits: what mpn_nic_poll() looks at in every round. */
extern bool nic_telemetry_asked;

/* The NIC goes: whoever waits for its answer need not. */
void nic_telemetry_leave(const struct mpn_nic *nic);

/* The names of all NICs. @return how many there are */
unsigned nic_names(char (*names)[MPN_NAME_LEN], unsigned max);

#endif
