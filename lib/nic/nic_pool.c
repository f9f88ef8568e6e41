/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <pthread.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>

#include "nic_internal.h"

#define MAX_RETIRED 256

/* Pools whose NIC has gone but not all their frames. Any thread may end a NIC. */
static pthread_mutex_t retired_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rte_mempool *retired[MAX_RETIRED];
static unsigned nb_retired;

/* What caches flush at, see rte_mempool.h. */
#define CACHE_MAX (NIC_POOL_CACHE + NIC_POOL_CACHE / 2)

uint32_t
nic_pool_spare(unsigned max)
{
	unsigned lcores = rte_lcore_count();

	return lcores > 1 ? MPN_MIN(lcores - 1, max) * CACHE_MAX : 0;
}

struct rte_mempool *
mpn_nic_rx_pool(const struct mpn_nic *nic)
{
	return nic->rx_pool;
}

/*
 * An element, of which the first begins on a page:
 *
 *	mempool's header | mbuf | private | headroom | NIC_SECTOR_OFF | payload ...
 *	sector ...                                                    | sector ...
 */
#define OBJ_HEADER RTE_ALIGN_CEIL(sizeof(struct rte_mempool_objhdr), RTE_MEMPOOL_ALIGN)
#define BEFORE_PAYLOAD \
	(OBJ_HEADER + sizeof(struct rte_mbuf) + RTE_PKTMBUF_HEADROOM + NIC_SECTOR_OFF)
#define PRIVATE (RTE_ALIGN_CEIL(BEFORE_PAYLOAD, NIC_SECTOR) - BEFORE_PAYLOAD)
#define BEFORE_ROOM (OBJ_HEADER + sizeof(struct rte_mbuf) + PRIVATE)

/* Whole sectors for each element, an odd number so that they do not meet in few sets of the caches. */
static uint32_t
round_room(uint32_t room)
{
	uint32_t sectors = (uint32_t)(BEFORE_ROOM + room + NIC_SECTOR - 1) / NIC_SECTOR;

	return (sectors | 1) * NIC_SECTOR - (uint32_t)BEFORE_ROOM;
}

static struct rte_mempool *
create_aligned(const char *name, uint32_t nb, uint16_t room, int socket_id)
{
	struct rte_pktmbuf_pool_private priv = {
		.mbuf_data_room_size = room, .mbuf_priv_size = PRIVATE};
	struct rte_mempool *pool = rte_mempool_create_empty(name, nb,
		(unsigned)(sizeof(struct rte_mbuf) + PRIVATE + room), NIC_POOL_CACHE, sizeof(priv),
		socket_id, RTE_MEMPOOL_F_NO_SPREAD);
	int rc;

	if (pool == NULL)
		return NULL;
	rc = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (rc == 0) {
		rte_pktmbuf_pool_init(pool, &priv);
		rc = rte_mempool_populate_default(pool);
	}
	if (rc < 0) {
		rte_mempool_free(pool);
		rte_errno = -rc;
		return NULL;
	}
	(void)rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

struct rte_mempool *
nic_pool_create_rx(const char *name, uint32_t nb, uint16_t room, int socket_id)
{
	uint32_t rounded = round_room(room);

	if (room < NIC_PAGE || rounded > UINT16_MAX)
		return rte_pktmbuf_pool_create(name, nb, NIC_POOL_CACHE, 0, room, socket_id);
	return create_aligned(name, nb, (uint16_t)rounded, socket_id);
}

struct rte_mempool *
nic_pool_create_own(const struct mpn_nic *nic, uint32_t nb)
{
	static atomic_uint next;
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool;

	(void)snprintf(name, sizeof(name), "mpn_own%u", atomic_fetch_add(&next, 1));
	pool = rte_pktmbuf_pool_create(
		name, nb, 0, 0, rte_pktmbuf_data_room_size(nic->rx_pool), nic->info.socket_id);
	return pool != NULL ? pool : mpn_err_null(rte_errno);
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
