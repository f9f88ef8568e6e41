/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "app.h"
#include "mpn_parse.h"

#define MAX_WATCHDOG_NS (60 * 1000000000ull)

typedef void (*print_one)(const struct mpn_personality *p, struct mpn_out *o);

static void
print_object(struct mpn_out *o, const char *nic, struct mpn_personality *p, print_one print)
{
	struct mpn_personality_info info;

	mpn_personality_get_info(p, &info);
	mpn_out_object(o, NULL);
	mpn_out_str(o, "nic", nic);
	mpn_out_str(o, "personality", info.name);
	print(p, o);
	mpn_out_close(o);
}

static void
print_flow(struct mpn_out *o, const char *nic, struct mpn_personality *p)
{
	print_object(o, nic, p, mpn_personality_print_flow);
}

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	return app_show_personalities(sh, args, "flows", print_flow);
}

static void
print_delays(struct mpn_out *o, const char *nic, struct mpn_personality *p)
{
	print_object(o, nic, p, mpn_personality_print_delays);
}

static int
run_delay(struct shell *sh, const struct shell_args *args)
{
	return app_show_personalities(sh, args, "delays", print_delays);
}

/* ---- Who gets what of the port ---- */

static int
set_scheduler(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	int rc = mpn_nic_set_scheduler(nic, arg);

	return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : 0;
}

static int
run_scheduler(struct shell *sh, const struct shell_args *args)
{
	const char *name = args->word[1];
	char names[64] = "";
	size_t used = 0;

	for (unsigned i = 0; mpn_sched_name(i) != NULL && used < sizeof(names); i++) {
		if (strcmp(mpn_sched_name(i), name) == 0)
			return app_for_each_nic(sh, args->word[0], set_scheduler,
				(void *)(uintptr_t)(const void *)name);
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
			i > 0 ? ", " : "", mpn_sched_name(i));
	}
	return shell_refuse(sh, name, "no such scheduler: expected %s", names);
}

/* A change to what one personality gets. */
struct change {
	const char *name;
	void (*apply)(struct mpn_share *share, uint64_t value);
	uint64_t value;
};

static void
apply_weight(struct mpn_share *share, uint64_t value)
{
	share->weight = (uint32_t)value;
}

static void
apply_cpu_weight(struct mpn_share *share, uint64_t value)
{
	share->cpu_weight = (uint32_t)value;
}

static void
apply_priority(struct mpn_share *share, uint64_t value)
{
	share->priority = value != 0;
}

static void
apply_rate(struct mpn_share *share, uint64_t value)
{
	share->tx_rate = value;
}

/* None is changed when one is not there. */
static int
check_name(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const char *const *name = arg;

	if (mpn_personality_find(nic, *name) != NULL)
		return 0;
	return shell_refuse(sh, *name, "no such personality: see show personality");
}

static int
set_share(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct change *change = arg;
	struct mpn_personality *p = mpn_personality_find(nic, change->name);
	struct mpn_personality_info info;
	int rc;

	mpn_personality_get_info(p, &info);
	change->apply(&info.share, change->value);
	rc = mpn_personality_set_share(p, &info.share);
	return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : 0;
}

static int
change_shares(struct shell *sh, const char *nic, struct change *change)
{
	int rc = app_for_each_nic(sh, nic, check_name, &change->name);

	return rc == 0 ? app_for_each_nic(sh, nic, set_share, change) : rc;
}

static int
change_weight(struct shell *sh, const struct shell_args *args,
	void (*apply)(struct mpn_share *share, uint64_t value))
{
	struct change change = {.name = args->word[1], .apply = apply};

	if (mpn_parse_u64(args->word[2], 1, MPN_MAX_WEIGHT, &change.value) < 0)
		return shell_refuse(
			sh, args->word[2], "expected a number from 1 to %d", MPN_MAX_WEIGHT);
	return change_shares(sh, args->word[0], &change);
}

static int
run_weight(struct shell *sh, const struct shell_args *args)
{
	return change_weight(sh, args, apply_weight);
}

static int
run_cpu_weight(struct shell *sh, const struct shell_args *args)
{
	return change_weight(sh, args, apply_cpu_weight);
}

static int
run_priority(struct shell *sh, const struct shell_args *args)
{
	struct change change = {.name = args->word[1], .apply = apply_priority};
	bool on;

	if (mpn_parse_bool(args->word[2], &on) < 0)
		return shell_refuse(sh, args->word[2], "expected on or off");
	change.value = on;
	return change_shares(sh, args->word[0], &change);
}

static int
run_rate(struct shell *sh, const struct shell_args *args)
{
	struct change change = {.name = args->word[1], .apply = apply_rate};

	if (mpn_parse_size(args->word[2], 0, MPN_MAX_RATE, &change.value) < 0 ||
		(change.value > 0 && change.value < MPN_MIN_RATE))
		return shell_refuse(sh, args->word[2],
			"expected bytes a second from %d to %llu, or 0: no limit", MPN_MIN_RATE,
			(unsigned long long)MPN_MAX_RATE);
	return change_shares(sh, args->word[0], &change);
}

/* ---- What it may hold ---- */

struct limits {
	const char *name;
	struct mpn_limits limits;
};

static int
set_limits(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct limits *l = arg;
	int rc = mpn_personality_set_limits(mpn_personality_find(nic, l->name), &l->limits);

	return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : 0;
}

static void
read_limits(struct mpn_nic *nic, const void *arg, void *old)
{
	const struct limits *l = arg;
	struct mpn_personality_info info;

	mpn_personality_get_info(mpn_personality_find(nic, l->name), &info);
	memcpy(old, &info.limits, sizeof(info.limits));
}

static void
restore_limits(struct mpn_nic *nic, void *arg, const void *old)
{
	const struct limits *l = arg;

	(void)!mpn_personality_set_limits(mpn_personality_find(nic, l->name), old);
}

static int
run_limits(struct shell *sh, const struct shell_args *args)
{
	static const struct app_setter setter = {
		sizeof(struct mpn_limits), read_limits, set_limits, restore_limits};
	struct limits l = {.name = args->word[1]};
	uint32_t *const values[] = {&l.limits.rx_len, &l.limits.tx_len, &l.limits.rx_frames};
	uint64_t n;
	int rc;

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(values); i++) {
		if (mpn_parse_u64(args->word[2 + i], 0, UINT32_MAX, &n) < 0)
			return shell_refuse(sh, args->word[2 + i],
				"expected a number of frames, or 0: as the NIC has it");
		*values[i] = (uint32_t)n;
	}
	rc = app_for_each_nic(sh, args->word[0], check_name, &l.name);
	return rc == 0 ? app_set_nics(sh, args->word[0], &setter, &l) : rc;
}

static int
set_watchdog(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	mpn_nic_set_watchdog(nic, *(const uint64_t *)arg);
	return 0;
}

static int
run_watchdog(struct shell *sh, const struct shell_args *args)
{
	uint64_t ns;

	if (mpn_parse_time_ns(args->word[1], 0, MAX_WATCHDOG_NS, &ns) < 0)
		return shell_refuse(
			sh, args->word[1], "expected a time up to 1m, such as 50ms, or 0: off");
	return app_for_each_nic(sh, args->word[0], set_watchdog, &ns);
}

/* ---- Saving the state ---- */

static void
save_scheduler(struct shell *sh, struct mpn_nic *nic, const struct mpn_nic_info *info)
{
	if (strcmp(mpn_nic_scheduler(nic), mpn_sched_name(0)) != 0)
		fprintf(sh->out, "set scheduler %s %s\n", info->name, mpn_nic_scheduler(nic));
	if (mpn_nic_watchdog(nic) != MPN_WATCHDOG_NS)
		fprintf(sh->out, "set watchdog %s %" PRIu64 "ns\n", info->name,
			mpn_nic_watchdog(nic));
}

static void
save_share(struct shell *sh, const char *nic, const struct mpn_personality_info *info)
{
	const struct mpn_share *share = &info->share;

	if (share->weight != 1)
		fprintf(sh->out, "set weight %s %s %u\n", nic, info->name, share->weight);
	if (share->cpu_weight != info->default_cpu_weight)
		fprintf(sh->out, "set cpu-weight %s %s %u\n", nic, info->name, share->cpu_weight);
	if (share->priority)
		fprintf(sh->out, "set priority %s %s on\n", nic, info->name);
	if (share->tx_rate != 0)
		fprintf(sh->out, "set rate %s %s %" PRIu64 "\n", nic, info->name, share->tx_rate);
}

void
app_save_limits(struct shell *sh, const char *nic, const struct mpn_personality_info *info)
{
	const struct mpn_limits *l = &info->limits;

	if (l->rx_len != 0 || l->tx_len != 0 || l->rx_frames != 0)
		fprintf(sh->out, "set limits %s %s %u %u %u\n", nic, info->name, l->rx_len,
			l->tx_len, l->rx_frames);
}

static void
save(struct shell *sh)
{
	app_save_nics(sh, save_scheduler);
	app_save_personalities(sh, save_share);
}

static const struct shell_cmd cmds[] = {
	{"show flow [NIC|all] [json]", "the RX and TX flows of a NIC's personalities", run_show},
	{"show delay [NIC|all] [json]", "how long frames waited in them, as histograms", run_delay},
	{"set scheduler NIC|all SCHEDULER", "fifo or prio-drr: who runs and sends next",
		run_scheduler, "set scheduler net_ring0 prio-drr"},
	{"set weight NIC|all PERSONALITY N", "under prio-drr: its part of the bytes, 1 to 1000",
		run_weight, "set weight net_ring0 net 3"},
	{"set cpu-weight NIC|all PERSONALITY N",
		"under prio-drr: its part of the CPU's cycles, 1 to 1000", run_cpu_weight,
		"set cpu-weight net_ring0 storage 5"},
	{"set priority NIC|all PERSONALITY ON",
		"under prio-drr: on runs and sends before the others", run_priority,
		"set priority all storage on"},
	{"set rate NIC|all PERSONALITY BYTES", "bytes a second it may send, as 10M; 0: no limit",
		run_rate, "set rate net_ring0 net 10M"},
	{"set limits NIC|all PERSONALITY RX TX FRAMES",
		"before load: length of its flows, and frames of a pool of its own; 0: the NIC's",
		run_limits, "set limits net_ring0 net 64 128 32"},
	{"set watchdog NIC|all TIME", "tell who holds the thread longer, as 50ms; 0: off",
		run_watchdog, "set watchdog net_ring0 5ms"},
};

const struct shell_section flow_section = {
	.name = "flow",
	.help = "the rings between NICs and personalities",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
	.save = save,
};
