/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Which lcore runs what.
 */

#include <string.h>

#include "app.h"
#include "mpn_log.h"
#include "mpn_map.h"
#include "mpn_parse.h"

/* ---- --map ---- */

/* "NIC:MAP"; a NIC's name may have colons in it. */
static const char *
split(const char *text, char *nic, size_t size)
{
	size_t len = strcspn(text, "=");

	while (len > 0 && text[len] != ':')
		len--;
	if (len == 0 || len >= size)
		return NULL;
	memcpy(nic, text, len);
	nic[len] = '\0';
	return text + len + 1;
}

int
app_check_map(const char *text)
{
	char name[MPN_NAME_LEN];
	const char *map = split(text, name, sizeof(name));

	return map != NULL && map[0] != '\0' && mpn_map_check(map) == 0 ? 0 : -EINVAL;
}

/* What the commands of the start may still want: NICs that they attach. */
static const char *const *start_maps;
static unsigned nb_start_maps;
static uint32_t used_maps; /* 1 << each that has found its NIC */

/* Several of one NIC are one map. @return its length, 0: there is none */
static size_t
join_maps(const char *nic, char *buf, size_t size)
{
	char name[MPN_NAME_LEN];
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < nb_start_maps; i++) {
		const char *map = split(start_maps[i], name, sizeof(name));

		if (strcmp(name, nic) != 0)
			continue;
		used_maps |= 1u << i;
		if (used < size)
			used += (size_t)snprintf(
				buf + used, size - used, "%s%s", used > 0 ? "," : "", map);
	}
	return used;
}

int
app_plan_map(struct mpn_nic *nic)
{
	char map[MPN_MAP_LEN];
	struct mpn_nic_info info;
	size_t len;

	mpn_nic_get_info(nic, &info);
	len = join_maps(info.name, map, sizeof(map));
	if (len >= sizeof(map))
		return mpn_log_err(E2BIG, "mpnic", "--map: '%s': expected at most %zu characters",
			info.name, sizeof(map) - 1);
	return len > 0 ? mpn_nic_plan_map(nic, map) : 0;
}

int
app_plan_maps(const char *const *maps, unsigned nb)
{
	struct mpn_nic *nic;
	int rc = 0;

	start_maps = maps;
	nb_start_maps = nb;
	for (unsigned i = 0; rc == 0 && (nic = mpn_nic_get(i)) != NULL; i++)
		rc = app_plan_map(nic);
	return rc;
}

int
app_check_maps(void)
{
	char name[MPN_NAME_LEN];
	struct mpn_nic *nic;
	int rc = 0;

	for (unsigned i = 0; i < nb_start_maps; i++) {
		(void)split(start_maps[i], name, sizeof(name));
		if (!(used_maps & (1u << i)))
			return mpn_log_err(ENOENT, "mpnic", "--map: '%s': no such NIC", name);
	}
	nb_start_maps = 0;
	for (unsigned i = 0; rc == 0 && (nic = mpn_nic_get(i)) != NULL; i++)
		rc = mpn_nic_check_map(nic);
	return rc;
}

void
app_end_maps(void)
{
	struct mpn_nic *nic;
	unsigned i;

	for (i = 0; (nic = mpn_nic_get(i)) != NULL; i++)
		(void)!mpn_nic_set_map(nic, NULL);
}

/* ---- Commands ---- */

static int
set_map(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	int rc = mpn_nic_set_map(nic, arg);

	return rc < 0 ? shell_fail(sh, rc, "%s", app_reason(rc)) : 0;
}

static void
read_map(struct mpn_nic *nic, const void *arg, void *old)
{
	(void)mpn_nic_get_map(nic, old, MPN_MAP_LEN);
}

static void
restore_map(struct mpn_nic *nic, void *arg, const void *old)
{
	(void)!mpn_nic_plan_map(nic, old);
}

static int
run_map(struct shell *sh, const struct shell_args *args)
{
	static const struct app_setter setter = {MPN_MAP_LEN, read_map, set_map, restore_map};
	const char *map = args->word[1];

	return app_set_nics(sh, args->word[0], &setter,
		strcmp(map, "off") != 0 ? (void *)(uintptr_t)(const void *)map : NULL);
}

static int
print_map(struct shell *sh, struct mpn_nic *nic, void *arg)
{
	struct mpn_out *o = arg;
	struct mpn_nic_info info;

	mpn_nic_get_info(nic, &info);
	mpn_out_object(o, NULL);
	mpn_out_str(o, "nic", info.name);
	mpn_nic_print_map(nic, o);
	mpn_out_close(o);
	return 0;
}

static int
run_show(struct shell *sh, const struct shell_args *args)
{
	return app_show_nics(sh, args, "maps", print_map);
}

static void
save_map(struct shell *sh, struct mpn_nic *nic, const struct mpn_nic_info *info)
{
	char text[MPN_MAP_LEN];

	if (mpn_nic_get_map(nic, text, sizeof(text))[0] != '\0')
		fprintf(sh->out, "set map %s %s\n", info->name, text);
}

static void
save(struct shell *sh)
{
	app_save_nics(sh, save_map);
}

static const struct shell_cmd cmds[] = {
	{"show map [NIC|all] [json]", "which lcore runs what of a NIC, and how busy it is",
		run_show},
	{"set map NIC|all MAP|off",
		"STAGE=LCORE,...: poll rx, tx and personalities on lcores of their own; off: all "
		"here",
		run_map, "set map net_ring0 rx=1,tx=1,storage=2"},
};

const struct shell_section map_section = {
	.name = "map",
	.help = "stages of NICs on several lcores",
	.cmds = cmds,
	.nb_cmds = MPN_ARRAY_SIZE(cmds),
	.save = save,
};
