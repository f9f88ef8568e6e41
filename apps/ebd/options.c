/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The setters of the options all commands share. */

#include <sched.h>
#include <string.h>

#include "mpn_parse.h"
#include "tool.h"

#define NSEC_PER_MSEC 1000000ull
#define DAY_NS (86400ull * 1000000000ull)

int
tool_set_help(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;

	conf->help = true;
	return 0;
}

int
tool_set_json(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;

	conf->json = true;
	return 0;
}

int
tool_set_verbose(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;

	conf->verbose = true;
	return 0;
}

int
tool_set_link(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;

	if (arg[0] == '\0')
		return -EINVAL;
	conf->link = arg;
	return 0;
}

int
tool_set_net(void *cfg, const char *arg)
{
	((struct tool_conf *)cfg)->net = arg;
	return arg[0] != '\0' ? 0 : -EINVAL;
}

int
tool_set_vlan(void *cfg, const char *arg)
{
	struct ebd_vlan *vlan = &((struct tool_conf *)cfg)->vlan;

	return mpn_parse_vlan(arg, &vlan->outer, &vlan->vid);
}

int
tool_set_net_vlan(void *cfg, const char *arg)
{
	struct ebd_vlan *vlan = &((struct tool_conf *)cfg)->net_vlan;

	return mpn_parse_vlan(arg, &vlan->outer, &vlan->vid);
}

int
tool_set_eal(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;

	conf->eal = arg;
	return 0;
}

int
tool_set_no_huge(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;

	conf->no_huge = true;
	return 0;
}

int
tool_set_mtu(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;
	uint64_t n;

	if (mpn_parse_u64(arg, TOOL_MTU_MIN, TOOL_MTU_MAX, &n) != 0)
		return -EINVAL;
	conf->mtu = (uint16_t)n;
	return 0;
}

int
tool_set_idle(void *cfg, const char *arg)
{
	static const char *const names[] = {"auto", "spin", "yield", "sleep", NULL};
	static const enum ebd_idle policies[] = {
		EBD_IDLE_AUTO, EBD_IDLE_SPIN, EBD_IDLE_YIELD, EBD_IDLE_SLEEP};
	struct tool_conf *conf = cfg;
	int i = mpn_parse_choice(arg, names);

	if (i < 0)
		return i;
	conf->idle = policies[i];
	return 0;
}

int
tool_set_lcore(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;
	cpu_set_t set;
	uint64_t n;

	if (mpn_parse_u64(arg, 0, CPU_SETSIZE - 1, &n) != 0)
		return -EINVAL;
	/* DPDK would answer with its own usage. */
	if (sched_getaffinity(0, sizeof(set), &set) == 0 && !CPU_ISSET(n, &set))
		return -EINVAL;
	conf->lcore = (int)n;
	return 0;
}

static int
parse_ms(const char *arg, uint64_t *ms)
{
	uint64_t ns;

	if (mpn_parse_time_ns(arg, NSEC_PER_MSEC, DAY_NS, &ns) != 0)
		return -EINVAL;
	*ms = ns / NSEC_PER_MSEC;
	return 0;
}

int
tool_set_connect_timeout(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;

	return parse_ms(arg, &conf->connect_timeout_ms);
}

int
tool_set_fail_after(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;

	if (strcmp(arg, "never") == 0) {
		conf->fail_after_ms = EBD_FOREVER;
		return 0;
	}
	return parse_ms(arg, &conf->fail_after_ms);
}

int
tool_set_target(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;

	return mpn_parse_mac(arg, conf->target_mac);
}

int
tool_set_client(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;

	return mpn_parse_uuid(arg, conf->client_uuid);
}

int
tool_set_crc(void *cfg, const char *arg)
{
	static const char *const names[] = {"off", "auto", "on", NULL};
	struct tool_conf *conf = cfg;
	int i = mpn_parse_choice(arg, names);

	if (i < 0)
		return i;
	conf->crc = i - 1;
	return 0;
}

int
tool_set_volume(void *cfg, const char *arg)
{
	struct tool_conf *conf = cfg;
	const char *eq = strchr(arg, '=');

	if (conf->nb_volumes == TOOL_MAX_VOLUMES)
		return -ENOSPC;
	if (strcmp(arg, "help") != 0 &&
		(eq == NULL || eq == arg || eq - arg >= EBD_NAME_LEN || eq[1] == '\0'))
		return -EINVAL;
	conf->volumes[conf->nb_volumes++] = arg;
	return 0;
}
