/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <pthread.h>
#include <stdlib.h>

#include <rte_mempool.h>

#include "nic_internal.h"

#define MAX_RETIRED 256

/* Pools whose NIC has gone but not all their frames. Any thread may end a NIC. */
static pthread_mutex_t retired_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rte_mempool *retired[MAX_RETIRED];
static unsigned nb_retired;

struct rte_mempool *
mpn_nic_rx_pool(const struct mpn_nic *nic)
{
	return nic->rx_pool;
}

static bool
free_if_full(struct rte_mempool *pool)
{
	if (rte_mempool_avail_count(pool) != pool->size)
		return false;
	rte_mempool_free(pool);
	return true;
}

void
mpn_nic_pool_retire(struct rte_mempool *pool)
{
	if (pool == NULL || free_if_full(pool))
		return;
	pthread_mutex_lock(&retired_lock);
	/* With the table full the pool is lost until the EAL ends: that frees all its memory. */
	if (nb_retired < MAX_RETIRED)
		retired[nb_retired++] = pool;
	pthread_mutex_unlock(&retired_lock);
}

void
mpn_nic_pool_reap(void)
{
	unsigned kept = 0;

	pthread_mutex_lock(&retired_lock);
	for (unsigned i = 0; i < nb_retired; i++) {
		if (!free_if_full(retired[i]))
			retired[kept++] = retired[i];
	}
	nb_retired = kept;
	pthread_mutex_unlock(&retired_lock);
}
