/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Frame pools of a NIC, for the personalities of this library (not installed).
 */

#ifndef NIC_POOL_H
#define NIC_POOL_H

#include "mpn_nic.h"

/* The pool received frames come from. Data room: a whole frame of info.max_frame after the headroom. */
struct rte_mempool *mpn_nic_rx_pool(const struct mpn_nic *nic);

/* Frames that a pool has beside what it needs: for the caches of other lcores, of which at most max use it. */
uint32_t nic_pool_spare(unsigned max);

/*
 * Free a pool whose frames may still be on their way (in the ring of a peer, in descriptors of a
 * port): now when all are back, else as soon as they are, at the latest in mpn_eal_stop().
 */
void mpn_nic_pool_retire(struct rte_mempool *pool);
/* Free the retired pools whose frames have come back. */
void mpn_nic_pool_reap(void);

#endif
