/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What DPDK has to say about itself: in its own words, or as JSON.
 */

#include <errno.h>
#include <string.h>

#include <rte_devargs.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <rte_mempool.h>
#include <rte_memzone.h>
#include <rte_ring.h>

#include "app.h"
#include "dump_json.h"

static void
dump_heap(FILE *f)
{
	rte_malloc_dump_stats(f, NULL);
}

static const struct {
	const char *name, *key;
	void (*dump)(FILE *f);
	void (*json)(struct mpn_out *o);
} dumps[] = {
	{"mempools", "mempools", rte_mempool_list_dump, dump_json_mempools},
	{"rings", "rings", rte_ring_list_dump, dump_json_rings},
	{"memzones", "memzones", rte_memzone_dump, dump_json_memzones},
	{"memory", "memory", rte_dump_physmem_layout, dump_json_memory},
	{"heap", "heap", dump_heap, dump_json_heap},
	{"devargs", "devargs", rte_devargs_dump, dump_json_devargs},
	{"lcores", "lcores", rte_lcore_dump, dump_json_lcores},
	{"log-types", "log_types", rte_log_dump, dump_json_log_types},
};

const char *
app_dump_name(unsigned n)
{
	return n < MPN_ARRAY_SIZE(dumps) ? dumps[n].name : NULL;
}

static int
dump(struct shell *sh, const struct shell_args *args, unsigned i)
{
	struct mpn_out o;

	if (!app_wants_json(args)) {
		dumps[i].dump(sh->out);
		return 0;
	}
	app_show_begin(&o, sh, args);
	mpn_out_array(&o, dumps[i].key);
	dumps[i].json(&o);
	mpn_out_close(&o);
	return mpn_out_end(&o);
}

static int
run_dump(struct shell *sh, const struct shell_args *args)
{
	char names[SHELL_EXPECT_LEN] = "";
	size_t used = 0;
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(dumps); i++) {
		if (strcmp(dumps[i].name, args->word[0]) == 0)
			return dump(sh, args, i);
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
			i > 0 ? ", " : "", dumps[i].name);
	}
	return shell_refuse(sh, args->word[0], "expected %s", names);
}

static const struct shell_cmd cmds[] = {
	{"dump WHAT [json]",
		"mempools, rings, memzones, memory, heap, devargs, lcores or log-types", run_dump},
};

const struct shell_section dump_section = {
	.name = "dump",
	.help = "what DPDK says about itself",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
};
