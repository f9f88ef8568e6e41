/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus.h>
#include <rte_devargs.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <rte_mempool.h>
#include <rte_memzone.h>
#include <rte_ring.h>

#include "dump_json.h"

/* Numbers of JSON have no room for all addresses. */
static void
print_address(struct mpn_out *o, const char *key, uint64_t address)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "0x%" PRIx64, address);
	mpn_out_str(o, key, text);
}

/* ---- Pools and rings ---- */

static void
print_mempool(struct rte_mempool *mp, void *arg)
{
	struct mpn_out *o = arg;
	unsigned available = rte_mempool_avail_count(mp);

	mpn_out_object(o, NULL);
	mpn_out_str(o, "name", mp->name);
	mpn_out_u64(o, "size", mp->size);
	mpn_out_u64(o, "populated", mp->populated_size);
	mpn_out_u64(o, "available", available);
	mpn_out_u64(o, "in_use", mp->size - available);
	mpn_out_u64(o, "cache_size", mp->cache_size);
	mpn_out_u64(o, "element_bytes", mp->elt_size);
	mpn_out_u64(o, "object_bytes", mp->header_size + mp->elt_size + mp->trailer_size);
	mpn_out_u64(o, "private_bytes", mp->private_data_size);
	mpn_out_u64(o, "memory_chunks", mp->nb_mem_chunks);
	mpn_out_i64(o, "numa_node", mp->socket_id);
	mpn_out_close(o);
}

void
dump_json_mempools(struct mpn_out *o)
{
	rte_mempool_walk(print_mempool, o);
}

/* A ring from rte_ring_create() is in a zone with its name. */
static void
print_ring(const struct rte_memzone *mz, void *arg)
{
	const size_t prefix = strlen(RTE_RING_MZ_PREFIX);
	const struct rte_ring *r = mz->addr;
	struct mpn_out *o = arg;

	if (strncmp(mz->name, RTE_RING_MZ_PREFIX, prefix) != 0 || r->memzone != mz)
		return;
	mpn_out_object(o, NULL);
	mpn_out_str(o, "name", r->name);
	mpn_out_u64(o, "size", rte_ring_get_size(r));
	mpn_out_u64(o, "capacity", rte_ring_get_capacity(r));
	mpn_out_u64(o, "used", rte_ring_count(r));
	mpn_out_u64(o, "free", rte_ring_free_count(r));
	mpn_out_bool(o, "one_producer", rte_ring_is_prod_single(r) != 0);
	mpn_out_bool(o, "one_consumer", rte_ring_is_cons_single(r) != 0);
	mpn_out_i64(o, "numa_node", mz->socket_id);
	mpn_out_close(o);
}

void
dump_json_rings(struct mpn_out *o)
{
	rte_memzone_walk(print_ring, o);
}

/* ---- Memory ---- */

static void
print_memzone(const struct rte_memzone *mz, void *arg)
{
	struct mpn_out *o = arg;

	mpn_out_object(o, NULL);
	mpn_out_str(o, "name", mz->name);
	mpn_out_u64(o, "bytes", mz->len);
	print_address(o, "address", mz->addr_64);
	print_address(o, "iova", mz->iova);
	mpn_out_u64(o, "page_bytes", mz->hugepage_sz);
	mpn_out_i64(o, "numa_node", mz->socket_id);
	mpn_out_close(o);
}

void
dump_json_memzones(struct mpn_out *o)
{
	rte_memzone_walk(print_memzone, o);
}

static int
print_area(const struct rte_memseg_list *msl, void *arg)
{
	struct mpn_out *o = arg;

	mpn_out_object(o, NULL);
	print_address(o, "address", msl->addr_64);
	mpn_out_u64(o, "reserved_bytes", msl->len);
	mpn_out_u64(o, "bytes", msl->memseg_arr.count * msl->page_sz);
	mpn_out_u64(o, "page_bytes", msl->page_sz);
	mpn_out_bool(o, "external", msl->external != 0);
	mpn_out_bool(o, "heap", msl->heap != 0);
	mpn_out_i64(o, "numa_node", msl->socket_id);
	mpn_out_close(o);
	return 0;
}

void
dump_json_memory(struct mpn_out *o)
{
	(void)rte_memseg_list_walk(print_area, o);
}

static void
print_heap(struct mpn_out *o, int socket)
{
	struct rte_malloc_socket_stats st;

	if (socket < 0 || rte_malloc_get_socket_stats(socket, &st) < 0)
		return;
	mpn_out_object(o, NULL);
	mpn_out_i64(o, "numa_node", socket);
	mpn_out_u64(o, "bytes", st.heap_totalsz_bytes);
	mpn_out_u64(o, "allocated_bytes", st.heap_allocsz_bytes);
	mpn_out_u64(o, "free_bytes", st.heap_freesz_bytes);
	mpn_out_u64(o, "largest_free_bytes", st.greatest_free_size);
	mpn_out_u64(o, "allocated_elements", st.alloc_count);
	mpn_out_u64(o, "free_elements", st.free_count);
	mpn_out_close(o);
}

void
dump_json_heap(struct mpn_out *o)
{
	for (unsigned i = 0; i < rte_socket_count(); i++)
		print_heap(o, rte_socket_id_by_idx(i));
}

/* ---- Devices, lcores, logs ---- */

void
dump_json_devargs(struct mpn_out *o)
{
	const struct rte_devargs *da;

	RTE_EAL_DEVARGS_FOREACH(NULL, da)
	{
		mpn_out_object(o, NULL);
		mpn_out_str(o, "bus", da->bus != NULL ? rte_bus_name(da->bus) : "");
		mpn_out_str(o, "name", da->name);
		mpn_out_str(o, "args", da->args != NULL ? da->args : "");
		mpn_out_close(o);
	}
}

static const char *
role_name(unsigned lcore)
{
	static const struct {
		enum rte_lcore_role_t role;
		const char *name;
	} roles[] = {{ROLE_RTE, "poll"}, {ROLE_SERVICE, "service"}, {ROLE_NON_EAL, "registered"}};

	for (unsigned i = 0; i < RTE_DIM(roles); i++) {
		if (rte_lcore_has_role(lcore, roles[i].role))
			return roles[i].name;
	}
	return "off";
}

static int
print_lcore(unsigned lcore, void *arg)
{
	rte_cpuset_t set = rte_lcore_cpuset(lcore);
	struct mpn_out *o = arg;

	mpn_out_object(o, NULL);
	mpn_out_u64(o, "lcore", lcore);
	mpn_out_str(o, "role", role_name(lcore));
	mpn_out_bool(o, "main", lcore == rte_get_main_lcore());
	mpn_out_i64(o, "numa_node", (int)rte_lcore_to_socket_id(lcore));
	mpn_out_array(o, "cpus");
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &set))
			mpn_out_u64(o, NULL, cpu);
	}
	mpn_out_close(o);
	mpn_out_close(o);
	return 0;
}

void
dump_json_lcores(struct mpn_out *o)
{
	(void)rte_lcore_iterate(print_lcore, o);
}

static void
print_log_type(struct mpn_out *o, const char *name)
{
	static const char *const levels[] = {"disabled", "emergency", "alert", "critical", "error",
		"warning", "notice", "info", "debug"};
	/* One that is there already keeps its number. */
	int type = rte_log_register(name);
	int level = type >= 0 ? rte_log_get_level((uint32_t)type) : -1;

	mpn_out_object(o, NULL);
	mpn_out_str(o, "name", name);
	mpn_out_str(o, "level",
		level >= 0 && (size_t)level < RTE_DIM(levels) ? levels[level] : "unknown");
	mpn_out_close(o);
}

void
dump_json_log_types(struct mpn_out *o)
{
	char *text = NULL, *rest, *line;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return;
	rte_log_list_types(f, "");
	if (fclose(f) == 0) {
		rest = text;
		while ((line = strsep(&rest, "\n")) != NULL) {
			if (line[0] != '\0')
				print_log_type(o, line);
		}
	}
	free(text);
}
