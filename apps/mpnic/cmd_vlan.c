/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <string.h>

#include "app.h"
#include "mpn_parse.h"

#define VLAN_TEXT 12 /* "4094.4094" */

/* "10", "100.10", or "" */
static void
format_vlan(const struct mpn_vlan *vlan, char text[VLAN_TEXT])
{
	text[0] = '\0';
	if (vlan->outer != 0)
		(void)snprintf(text, VLAN_TEXT, "%u.%u", vlan->outer % 4096u, vlan->vid % 4096u);
	else if (vlan->vid != 0)
		(void)snprintf(text, VLAN_TEXT, "%u", vlan->vid);
}

static void
print_vlan(struct mpn_out *o, const char *nic, struct mpn_personality *p)
{
	struct mpn_personality_info info;
	char type[8];

	mpn_personality_get_info(p, &info);
	mpn_out_object(o, NULL);
	mpn_out_str(o, "nic", nic);
	mpn_personality_print_vlan(p, o);
	mpn_out_str(o, "personality", info.name);
	mpn_out_str(o, "state", mpn_pers_state_name(info.state));
	mpn_out_array(o, "ethertypes");
	for (unsigned i = 0; i < info.nb_ethertypes; i++) {
		(void)snprintf(type, sizeof(type), "0x%04x", info.ethertypes[i]);
		mpn_out_str(o, NULL, type);
	}
	mpn_out_close(o);
	mpn_out_bool(o, "takes_rest", info.takes_rest);
	mpn_out_u64(o, "rx_frames", info.stats.rx_frames);
	mpn_out_u64(o, "rx_bytes", info.stats.rx_bytes);
	mpn_out_u64(o, "tx_frames", info.stats.tx_frames);
	mpn_out_u64(o, "tx_bytes", info.stats.tx_bytes);
	mpn_out_close(o);
}

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	return app_show_personalities(sh, args, "vlans", print_vlan);
}

/* ---- Who has which ---- */

struct change {
	struct mpn_vlan vlan;
	const char *text; /* as it was typed */
	const char *name; /* of the personality */
};

/* Looked at on all NICs before one changes: then it cannot fail. */
static int
check_state(struct shell *sh, const struct mpn_personality_info *info)
{
	if (info->state == MPN_PERS_DEFINED)
		return 0;
	return shell_refuse(sh, info->name, "its VLAN cannot change: it is %s, unload it first",
		mpn_pers_state_name(info->state));
}

static int
check_add(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct change *change = arg;
	struct mpn_personality *p = mpn_personality_find(nic, change->name);
	struct mpn_personality_info info;
	char has[VLAN_TEXT];

	if (p == NULL)
		return shell_refuse(sh, change->name, "no such personality: see show personality");
	mpn_personality_get_info(p, &info);
	format_vlan(&info.vlan, has);
	if (info.vlan.vid != 0)
		return shell_refuse(
			sh, change->name, "it has VLAN %s already, and can have but one", has);
	return check_state(sh, &info);
}

static int
set_vlan(struct shell *sh, struct mpn_personality *p, const struct mpn_vlan *vlan)
{
	int rc = mpn_personality_set_vlan(p, vlan);

	return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : 0;
}

static int
add(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct change *change = arg;

	return set_vlan(sh, mpn_personality_find(nic, change->name), &change->vlan);
}

/* The next one that has the VLAN, from the i-th on. */
static struct mpn_personality *
find_in_vlan(struct mpn_nic *nic, const struct mpn_vlan *vlan, unsigned *i)
{
	struct mpn_personality *p;

	while ((p = mpn_personality_get(nic, (*i)++)) != NULL) {
		struct mpn_personality_info info;

		mpn_personality_get_info(p, &info);
		if (info.vlan.vid == vlan->vid && info.vlan.outer == vlan->outer)
			return p;
	}
	return NULL;
}

static int
check_del(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct change *change = arg;
	struct mpn_personality *p;
	bool found = false;
	unsigned i = 0;
	int rc = 0;

	while (rc == 0 && (p = find_in_vlan(nic, &change->vlan, &i)) != NULL) {
		struct mpn_personality_info info;

		mpn_personality_get_info(p, &info);
		rc = check_state(sh, &info);
		found = true;
	}
	return found ? rc : shell_refuse(sh, change->text, "no personality has this VLAN");
}

static int
del(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	const struct change *change = arg;
	struct mpn_personality *p;
	unsigned i = 0;
	int rc = 0;

	while (rc == 0 && (p = find_in_vlan(nic, &change->vlan, &i)) != NULL)
		rc = set_vlan(sh, p, NULL);
	return rc;
}

static int
run_change(struct shell *sh, const struct shell_args *args,
	int (*check)(struct shell *sh, struct mpn_nic *nic, void *arg),
	int (*fn)(struct shell *sh, struct mpn_nic *nic, void *arg))
{
	struct change change = {.text = args->word[1], .name = args->n > 2 ? args->word[2] : NULL};
	int rc;

	if (mpn_parse_vlan(change.text, &change.vlan.outer, &change.vlan.vid) < 0)
		return shell_refuse(sh, change.text,
			"expected a number from 1 to 4094, or two of them such as 100.10");
	rc = app_for_each_nic(sh, args->word[0], check, &change);
	return rc == 0 ? app_for_each_nic(sh, args->word[0], fn, &change) : rc;
}

static int
run_add(struct shell *sh, const struct shell_args *args)
{
	return run_change(sh, args, check_add, add);
}

static int
run_del(struct shell *sh, const struct shell_args *args)
{
	return run_change(sh, args, check_del, del);
}

void
app_save_vlan(struct shell *sh, const char *nic, const struct mpn_personality_info *info)
{
	char vlan[VLAN_TEXT];

	format_vlan(&info->vlan, vlan);
	if (info->vlan.vid != 0)
		fprintf(sh->out, "vlan add %s %s %s\n", nic, vlan, info->name);
}

static const struct shell_cmd cmds[] = {
	{"show vlan [NIC|all] [json]", "which personality has which VLAN", run_show},
	{"vlan add NIC|all VID PERSONALITY",
		"its frames are those of this VLAN, before it is loaded; OUTER.VID: with two tags",
		run_add, "vlan add net_ring0 100.10 net"},
	{"vlan del NIC|all VID", "its personalities have frames without a tag again", run_del,
		"vlan del net_ring1 30"},
};

const struct shell_section vlan_section = {
	.name = "vlan",
	.help = "VLANs of personalities",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
};
