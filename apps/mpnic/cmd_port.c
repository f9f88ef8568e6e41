/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include "app.h"
#include "mpn_parse.h"

static void
print_injected(struct mpn_out *o, const struct mpn_nic *nic)
{
	mpn_out_array(o, "injected_faults");
	for (unsigned i = 0; i < MPN_FAULTS; i++) {
		if (mpn_nic_injected(nic, (enum mpn_nic_fault)i))
			mpn_out_str(o, NULL, mpn_nic_fault_name(i));
	}
	mpn_out_close(o);
}

static int
print_port(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct mpn_nic_stats *st = mpn_nic_get_stats(nic);
	struct mpn_out *o = arg;
	struct mpn_nic_info info;

	mpn_nic_get_info(nic, &info);
	mpn_out_object(o, NULL);
	mpn_out_str(o, "name", info.name);
	mpn_out_str(o, "link", info.link);
	mpn_out_str(o, "driver", info.driver);
	mpn_out_u64(o, "port_id", info.port_id);
	mpn_out_mac(o, "mac", info.mac);
	mpn_out_bool(o, "link_up", info.link_up);
	mpn_out_bool(o, "removed", info.removed);
	mpn_out_u64(o, "mtu", info.mtu);
	mpn_out_u64(o, "rx_descriptors", info.nb_rxd);
	mpn_out_u64(o, "tx_descriptors", info.nb_txd);
	mpn_out_i64(o, "numa_node", info.socket_id);
	mpn_out_str(o, "scheduler", mpn_nic_scheduler(nic));
	mpn_out_u64(o, "watchdog_ns", mpn_nic_watchdog(nic));
	mpn_out_str(o, "held_by", info.held_by);
	mpn_out_u64(o, "held_ns", info.held_ns);
	mpn_out_str(o, "process_of", info.process_of);
	mpn_out_bool(o, "promiscuous", info.promiscuous || info.wants_promiscuous);
	mpn_out_bool(o, "allmulticast", info.allmulticast || info.wants_allmulticast);
	mpn_out_bool(o, "multi_segs", info.multi_segs);
	mpn_out_bool(o, "strips_vlan", info.strips_vlan);
	mpn_out_bool(o, "inserts_vlan", info.inserts_vlan);
	mpn_out_bool(o, "tx_checksum", info.tx_checksum);
	mpn_out_bool(o, "tx_tso", info.tx_tso);
	mpn_out_bool(o, "rx_checksum", info.rx_checksum);
	mpn_out_bool(o, "point_to_point", info.point_to_point);
	mpn_out_bool(o, "may_corrupt", info.may_corrupt);
	mpn_out_object(o, "counters");
#define X(name, text) mpn_out_u64(o, #name, st->name);
	MPN_NIC_COUNTER_LIST(X)
#undef X
	mpn_out_close(o);
	mpn_nic_print_members(nic, o);
	mpn_nic_print_events(nic, o);
	print_injected(o, nic);
	mpn_out_close(o);
	return 0;
}

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	return app_show_nics(sh, args, "ports", print_port);
}

/* ---- set ---- */

struct mode {
	void (*set)(struct mpn_nic *nic, bool on);
	bool on;
};

static int
set_mode(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct mode *mode = arg;

	mode->set(nic, mode->on);
	return 0;
}

static int
run_mode(struct shell *sh, const struct shell_args *args, void (*set)(struct mpn_nic *nic, bool on))
{
	struct mode mode = {.set = set};

	if (mpn_parse_bool(args->word[1], &mode.on) < 0)
		return shell_refuse(sh, args->word[1], "expected on or off");
	return app_for_each_nic(sh, args->word[0], set_mode, &mode);
}

static int
run_promisc(struct shell *sh, const struct shell_args *args)
{
	return run_mode(sh, args, mpn_nic_set_promiscuous);
}

static int
run_allmulti(struct shell *sh, const struct shell_args *args)
{
	return run_mode(sh, args, mpn_nic_set_allmulticast);
}

static void
save_modes(struct shell *sh, struct mpn_nic *nic, const struct mpn_nic_info *info)
{
	if (info->promiscuous)
		fprintf(sh->out, "set promisc %s on\n", info->name);
	if (info->allmulticast)
		fprintf(sh->out, "set allmulti %s on\n", info->name);
	for (unsigned i = 0; i < MPN_FAULTS; i++) {
		if (mpn_nic_injected(nic, (enum mpn_nic_fault)i))
			fprintf(sh->out, "set fault %s %s on\n", info->name, mpn_nic_fault_name(i));
	}
}

static void
save(struct shell *sh)
{
	app_save_nics(sh, save_modes);
}

/* ---- Faults ---- */

struct injection {
	enum mpn_nic_fault fault;
	bool on;
};

static int
inject(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct injection *want = arg;
	int rc = mpn_nic_inject(nic, want->fault, want->on);

	return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : 0;
}

static void
read_injected(struct mpn_nic *nic, const void *arg, void *old)
{
	*(bool *)old = mpn_nic_injected(nic, ((const struct injection *)arg)->fault);
}

static void
restore_injected(struct mpn_nic *nic, void *arg, const void *old)
{
	(void)mpn_nic_inject(nic, ((const struct injection *)arg)->fault, *(const bool *)old);
}

/* @return 0 or -EINVAL after shell_refuse() */
static int
parse_fault(struct shell *sh, const char *word, enum mpn_nic_fault *fault)
{
	char names[SHELL_EXPECT_LEN - 32] = "";
	size_t used = 0;

	for (unsigned i = 0; i < MPN_FAULTS; i++) {
		*fault = (enum mpn_nic_fault)i;
		if (strcmp(mpn_nic_fault_name(i), word) == 0)
			return 0;
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
			i > 0 ? ", " : "", mpn_nic_fault_name(i));
	}
	return shell_refuse(sh, word, "no such fault: expected %s", names);
}

static int
run_fault(struct shell *sh, const struct shell_args *args)
{
	static const struct app_setter setter = {
		sizeof(bool), read_injected, inject, restore_injected};
	struct injection want;

	if (parse_fault(sh, args->word[1], &want.fault) < 0)
		return -EINVAL;
	if (mpn_parse_bool(args->word[2], &want.on) < 0)
		return shell_refuse(sh, args->word[2], "expected on or off");
	return app_set_nics(sh, args->word[0], &setter, &want);
}

static const struct shell_cmd cmds[] = {
	{"show port [NIC|all] [json]", "what the port of a NIC is like, and its counters",
		run_show},
	{"set promisc NIC|all ON", "on or off: give the network personality others' frames, too",
		run_promisc, "set promisc net_ring0 on"},
	{"set allmulti NIC|all ON", "on or off: ask the port for the frames of all groups",
		run_allmulti, "set allmulti all on"},
	{"set fault NIC|all FAULT ON",
		"make the port have a fault, to see what follows: link-down, removed, no-mbufs, "
		"tx-stuck",
		run_fault, "set fault net_ring0 tx-stuck on"},
};

const struct shell_section port_section = {
	.name = "port",
	.help = "NICs and their ports",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
	.save = save,
};
