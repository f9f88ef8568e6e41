/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A map as people type it: "rx=1,tx=1,storage=2". */

#include <string.h>

#include "map.h"
#include "mpn_log.h"
#include "mpn_map.h"
#include "mpn_parse.h"

static int
add_entry(struct map_text *map, const char *stage, const char *value)
{
	struct map_entry *e = &map->entry[map->nb];
	uint64_t lcore = 0;

	if (stage[0] == '\0' || value[0] == '\0')
		return mpn_log_err(EINVAL, "nic",
			"map: '%s%s': expected STAGE=LCORE[,STAGE=LCORE]...", stage,
			stage[0] != '\0' ? "=" : value);
	if (mpn_parse_u64(value, 0, RTE_MAX_LCORE - 1, &lcore) < 0)
		return mpn_log_err(EINVAL, "nic",
			"map: '%s=%s': expected the number of an lcore, 0 to %d", stage, value,
			RTE_MAX_LCORE - 1);
	if (map_lcore_of(map, stage) != MAP_HOME)
		return mpn_log_err(EINVAL, "nic", "map: stage '%s' is there twice", stage);
	if (map->nb == MAP_MAX_STAGES)
		return mpn_log_err(
			EINVAL, "nic", "map: expected at most %d stages", MAP_MAX_STAGES);
	(void)snprintf(e->stage, sizeof(e->stage), "%s", stage);
	e->lcore = (unsigned)lcore;
	map->nb++;
	return 0;
}

int
map_parse(const char *text, struct map_text *map)
{
	char stage[MPN_NAME_LEN], value[MPN_NAME_LEN];
	const char *cursor = text;
	int rc;

	map->nb = 0;
	while ((rc = mpn_parse_kv(&cursor, stage, sizeof(stage), value, sizeof(value))) == 1) {
		rc = add_entry(map, stage, value);
		if (rc < 0)
			return rc;
	}
	return rc == 0 ? 0
		       : mpn_log_err(EINVAL, "nic", "map: expected names of at most %d characters",
				 MPN_NAME_LEN - 1);
}

int
mpn_map_check(const char *map)
{
	struct map_text text;

	return map_parse(map, &text);
}

int
map_lcore_of(const struct map_text *map, const char *stage)
{
	for (unsigned i = 0; i < map->nb; i++) {
		if (strcmp(map->entry[i].stage, stage) == 0)
			return (int)map->entry[i].lcore;
	}
	return MAP_HOME;
}

bool
map_is_port_stage(const char *stage)
{
	return strcmp(stage, "rx") == 0 || strcmp(stage, "tx") == 0;
}

void
map_drop(struct map_text *map, const char *stage)
{
	for (unsigned i = 0; i < map->nb; i++) {
		if (strcmp(map->entry[i].stage, stage) != 0)
			continue;
		map->nb--;
		memmove(&map->entry[i], &map->entry[i + 1], (map->nb - i) * sizeof(map->entry[0]));
		return;
	}
}

char *
mpn_nic_get_map(const struct mpn_nic *nic, char *buf, size_t size)
{
	const struct map_text *map = nic->map != NULL ? &nic->map->text : NULL;
	size_t used = 0;

	if (size > 0)
		buf[0] = '\0';
	for (unsigned i = 0; map != NULL && i < map->nb && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s=%u", i > 0 ? "," : "",
			map->entry[i].stage, map->entry[i].lcore);
	return buf;
}
