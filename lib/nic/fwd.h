/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#ifndef FWD_H
#define FWD_H

#include "mpn_fwd.h"
#include "nic_internal.h"

/* The NIC is about to go: end its mode, and be no peer of others. */
void nic_fwd_forget(struct mpn_nic *nic);
/* One whose test mode sends on the NIC's port, NULL: there is none. */
struct mpn_nic *nic_fwd_sender(const struct mpn_nic *nic);

#endif
