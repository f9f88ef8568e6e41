/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <string.h>

#include "app.h"
#include "mpn_parse.h"

static void
print_flow(struct mpn_out *o, const char *nic, struct mpn_personality *p)
{
	struct mpn_personality_info info;

	mpn_personality_get_info(p, &info);
	mpn_out_object(o, NULL);
	mpn_out_str(o, "nic", nic);
	mpn_out_str(o, "personality", info.name);
	mpn_out_u64(o, "size", info.flow_size);
	mpn_out_u64(o, "rx_waiting", info.rx_len);
	mpn_out_u64(o, "tx_waiting", info.tx_len);
#define X(name, text) mpn_out_u64(o, #name, info.stats.name);
	MPN_FLOW_COUNTER_LIST(X)
#undef X
	mpn_out_u64(o, "weight", info.share.weight);
	mpn_out_bool(o, "priority", info.share.priority);
	mpn_out_u64(o, "tx_delay_p50_ns", info.tx_delay_p50_ns);
	mpn_out_u64(o, "tx_delay_p99_ns", info.tx_delay_p99_ns);
	mpn_out_u64(o, "tx_delay_max_ns", info.tx_delay_max_ns);
	mpn_out_close(o);
}

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	return app_show_personalities(sh, args, "flows", print_flow);
}

/* ---- Who gets what of the port ---- */

static int
set_scheduler(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	char names[64] = "";
	size_t used = 0;

	if (mpn_nic_set_scheduler(nic, arg) == 0)
		return 0;
	(void)app_reason(-ENOENT);
	for (unsigned i = 0; mpn_sched_name(i) != NULL && used < sizeof(names); i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
			i > 0 ? ", " : "", mpn_sched_name(i));
	return shell_refuse(sh, arg, "no such scheduler: expected %s", names);
}

static int
run_scheduler(struct shell *sh, const struct shell_args *args)
{
	return app_for_each_nic(
		sh, args->word[0], set_scheduler, (void *)(uintptr_t)(const void *)args->word[1]);
}

/* A change to what one personality gets. */
struct change {
	const char *name;
	uint64_t weight; /* 0: leave it */
	int priority; /* -1: leave it */
};

/* None is changed when one is not there. */
static int
check_share(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct change *change = arg;

	if (mpn_personality_find(nic, change->name) != NULL)
		return 0;
	return shell_refuse(sh, change->name, "no such personality: see show personality");
}

static int
set_share(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct change *change = arg;
	struct mpn_personality *p = mpn_personality_find(nic, change->name);
	struct mpn_personality_info info;
	int rc;

	mpn_personality_get_info(p, &info);
	if (change->weight != 0)
		info.share.weight = (uint32_t)change->weight;
	if (change->priority >= 0)
		info.share.priority = change->priority != 0;
	rc = mpn_personality_set_share(p, &info.share);
	return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : 0;
}

static int
change_shares(struct shell *sh, const char *nic, struct change *change)
{
	int rc = app_for_each_nic(sh, nic, check_share, change);

	return rc == 0 ? app_for_each_nic(sh, nic, set_share, change) : rc;
}

static int
run_weight(struct shell *sh, const struct shell_args *args)
{
	struct change change = {.name = args->word[1], .priority = -1};

	if (mpn_parse_u64(args->word[2], 1, MPN_MAX_WEIGHT, &change.weight) < 0)
		return shell_refuse(
			sh, args->word[2], "expected a number from 1 to %d", MPN_MAX_WEIGHT);
	return change_shares(sh, args->word[0], &change);
}

static int
run_priority(struct shell *sh, const struct shell_args *args)
{
	struct change change = {.name = args->word[1]};
	bool on;

	if (mpn_parse_bool(args->word[2], &on) < 0)
		return shell_refuse(sh, args->word[2], "expected on or off");
	change.priority = on;
	return change_shares(sh, args->word[0], &change);
}

static void
save_scheduler(struct shell *sh, struct mpn_nic *nic, const struct mpn_nic_info *info)
{
	if (strcmp(mpn_nic_scheduler(nic), mpn_sched_name(0)) != 0)
		fprintf(sh->out, "set scheduler %s %s\n", info->name, mpn_nic_scheduler(nic));
}

static void
save_share(struct shell *sh, const char *nic, const struct mpn_personality_info *info)
{
	if (info->share.weight != 1)
		fprintf(sh->out, "set weight %s %s %u\n", nic, info->name, info->share.weight);
	if (info->share.priority)
		fprintf(sh->out, "set priority %s %s on\n", nic, info->name);
}

static void
save(struct shell *sh)
{
	app_save_nics(sh, save_scheduler);
	app_save_personalities(sh, save_share);
}

static const struct shell_cmd cmds[] = {
	{"show flow [NIC|all] [json]", "the RX and TX flows of a NIC's personalities", run_show},
	{"set scheduler NIC|all SCHEDULER", "fifo or prio-drr: who sends next", run_scheduler,
		"set scheduler net_ring0 prio-drr"},
	{"set weight NIC|all PERSONALITY N", "under prio-drr: its part of the bytes, 1 to 1000",
		run_weight, "set weight net_ring0 net 3"},
	{"set priority NIC|all PERSONALITY ON", "under prio-drr: on sends before the others",
		run_priority, "set priority all storage on"},
};

const struct shell_section flow_section = {
	.name = "flow",
	.help = "the rings between NICs and personalities",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
	.save = save,
};
