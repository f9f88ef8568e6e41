/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A NIC gets a map, or another one: all that may be wrong is looked for before anything changes. */

#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "fwd.h"
#include "map.h"
#include "mpn_log.h"
#include "mpn_map.h"
#include "worker.h"

/* ---- Is it possible? ---- */

static int
check_stage(struct mpn_nic *nic, const char *stage)
{
	char names[256] = "rx, tx";
	size_t used = strlen(names);

	if (map_is_port_stage(stage) || mpn_personality_find(nic, stage) != NULL ||
		personality_kind_exists(stage))
		return 0;
	for (unsigned i = 0; i < nic->nb_pers && used < sizeof(names); i++)
		used += (size_t)snprintf(
			names + used, sizeof(names) - used, ", %s", nic->pers[i]->name);
	return mpn_log_err(ENOENT, "nic",
		"map: '%s': no such stage: expected one of %s, or a kind of personality", stage,
		names);
}

static int
check_lcore(const struct map_entry *e)
{
	if (!rte_lcore_has_role(e->lcore, ROLE_RTE))
		return mpn_log_err(ENODEV, "nic",
			"map: '%s=%u': there is no such lcore: -l or --lcores say which there are",
			e->stage, e->lcore);
	if (e->lcore == rte_get_main_lcore())
		return mpn_log_err(EBUSY, "nic",
			"map: '%s=%u': this is the main lcore, which has what the map does not "
			"name: leave '%s' out",
			e->stage, e->lcore, e->stage);
	if (!worker_is_free(e->lcore))
		return mpn_log_err(EBUSY, "nic", "map: '%s=%u': the lcore runs something else",
			e->stage, e->lcore);
	return 0;
}

/* Who receives in place uses the ring of the port. */
static int
check_place(const struct mpn_nic *nic, const struct map_text *map)
{
	int rx = map_lcore_of(map, "rx");
	bool ok = rx == map_lcore_of(map, "tx");

	if (!nic->data_rx)
		return 0;
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		if (nic->pers[i]->ops->kind == MPN_PERS_SOLICITED)
			ok &= map_lcore_of(map, nic->pers[i]->name) == rx;
	}
	return ok ? 0
		  : mpn_log_err(EOPNOTSUPP, "nic",
			    "map: %s receives in place: rx, tx and storage must be on one lcore",
			    nic->info.name);
}

static int
check_personality(const struct mpn_personality *p, const struct map_text *map)
{
	if (p->nb_pins == 0 || map_is_port_stage(p->name) || map_lcore_of(map, p->name) == MAP_HOME)
		return 0;
	return mpn_log_err(EBUSY, "nic",
		"map: '%s': it is used by calls of the program's own thread", p->name);
}

static int
check_stages(struct mpn_nic *nic, const struct map_text *map)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < map->nb; i++)
		rc = check_stage(nic, map->entry[i].stage);
	return rc;
}

static int
check_map(struct mpn_nic *nic, const struct map_text *map)
{
	int rc = 0;

	if (worker_is_me() || nic->in_poll)
		return mpn_log_err(EBUSY, "nic", "%s: no map from inside a poll", nic->info.name);
	if (map->nb > 0 && nic->bypass != NULL)
		return mpn_log_err(EBUSY, "nic",
			"map: something else has the port of %s: set fwd off", nic->info.name);
	if (map->nb > 0 && nic_fwd_sender(nic) != NULL)
		return mpn_log_err(EBUSY, "nic",
			"map: the test mode of %s sends on %s: set fwd off",
			nic_fwd_sender(nic)->info.name, nic->info.name);
	for (unsigned i = 0; rc == 0 && i < map->nb; i++)
		rc = check_lcore(&map->entry[i]);
	for (unsigned i = 0; rc == 0 && i < nic->nb_pers; i++)
		rc = check_personality(nic->pers[i], map);
	return rc == 0 ? check_place(nic, map) : rc;
}

/* ---- Lcores ---- */

static bool
has_lcore(const struct nic_map *map, unsigned lcore)
{
	for (unsigned i = 0; i < map->nb_away; i++) {
		if (map->away[i].lcore == lcore)
			return true;
	}
	return false;
}

static void
put_workers(struct nic_map *map)
{
	for (unsigned i = 0; i < map->nb_away; i++) {
		struct worker *w = map->away[i].worker;

		worker_remove(w, &map->away[i].part);
		worker_release(w);
		worker_put(w);
	}
	map->nb_away = 0;
}

/* One for each lcore, that stands still. */
static int
get_workers(struct nic_map *map)
{
	for (unsigned i = 0; i < map->text.nb; i++) {
		struct map_part *part = &map->away[map->nb_away];
		int rc;

		if (has_lcore(map, map->text.entry[i].lcore))
			continue;
		part->lcore = map->text.entry[i].lcore;
		part->worker = worker_get(part->lcore);
		if (part->worker == NULL)
			return mpn_log_err(
				EBUSY, "nic", "map: lcore %u cannot be had", part->lcore);
		worker_hold(part->worker);
		map->nb_away++;
		rc = worker_add(part->worker, &part->part);
		if (rc < 0)
			return mpn_log_err(ENOSPC, "nic", "map: lcore %u has too many NICs already",
				part->lcore);
	}
	return 0;
}

static void
free_map(struct nic_map *map)
{
	if (map == NULL)
		return;
	put_workers(map);
	free(map);
}

static struct nic_map *
make_map(struct mpn_nic *nic, const struct map_text *text)
{
	/* The thread of each part writes to it all the time. */
	struct nic_map *map = aligned_alloc(_Alignof(struct nic_map), sizeof(*map));
	uint64_t tsc = rte_rdtsc();
	int rc;

	if (map == NULL)
		return mpn_err_null(ENOMEM);
	memset(map, 0, sizeof(*map));
	map->text = *text;
	for (unsigned i = 0; i < MAP_MAX_STAGES; i++) {
		map->away[i].part.nic = nic;
		map->away[i].part.since_tsc = tsc;
	}
	map->home.since_tsc = tsc;
	rc = get_workers(map);
	if (rc == 0)
		return map;
	free_map(map);
	return mpn_err_null(-rc);
}

/* ---- What runs beside personalities ---- */

static int
move_one(struct mpn_personality *p, int lcore)
{
	const struct mpn_beside *b = &p->beside;

	return b->move != NULL && lcore != p->lcore ? b->move(b->arg, p, lcore) : 0;
}

/* All that are asked agree, or none has moved. */
static int
move_besides(struct mpn_nic *nic, const struct map_text *text)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		struct mpn_personality *p = nic->pers[i];
		int rc = move_one(p, map_lcore_of(text, p->name));

		if (rc == 0)
			continue;
		while (i-- > 0) {
			const struct mpn_beside *b = &nic->pers[i]->beside;

			if (b->move != NULL)
				(void)b->move(b->arg, nic->pers[i], nic->pers[i]->lcore);
		}
		return rc;
	}
	return 0;
}

void
mpn_personality_set_beside(struct mpn_personality *p, const struct mpn_beside *beside)
{
	mpn_nic_hold(p->nic);
	if (beside != NULL)
		p->beside = *beside;
	else
		memset(&p->beside, 0, sizeof(p->beside));
	mpn_nic_release(p->nic);
}

int
mpn_personality_lcore(const struct mpn_personality *p)
{
	return p->lcore;
}

int
mpn_personality_pin(struct mpn_personality *p)
{
	if (p->lcore != MAP_HOME)
		return mpn_log_err(EBUSY, "nic",
			"personality '%s' runs on lcore %d, and this thread is another one",
			p->name, p->lcore);
	p->nb_pins++;
	return 0;
}

void
mpn_personality_unpin(struct mpn_personality *p)
{
	p->nb_pins--;
}

/* ---- The map ---- */

static int
set_map(struct mpn_nic *nic, const struct map_text *text)
{
	struct nic_map *old = nic->map, *new = NULL;
	int rc = check_map(nic, text);

	if (rc < 0)
		return rc;
	mpn_nic_hold(nic);
	if (text->nb > 0) {
		new = make_map(nic, text);
		rc = new != NULL ? 0 : -errno;
	}
	if (rc == 0)
		rc = move_besides(nic, text);
	if (rc == 0) {
		nic->map = new;
		nic_map_rebuild(nic);
	}
	free_map(rc == 0 ? old : new);
	mpn_nic_release(nic);
	return rc;
}

int
mpn_nic_set_map(struct mpn_nic *nic, const char *map)
{
	struct map_text text;
	int rc = map_parse(map != NULL ? map : "", &text);

	if (rc == 0)
		rc = check_stages(nic, &text);
	return rc == 0 ? set_map(nic, &text) : rc;
}

int
mpn_nic_plan_map(struct mpn_nic *nic, const char *map)
{
	struct map_text text;
	int rc = map_parse(map != NULL ? map : "", &text);

	return rc == 0 ? set_map(nic, &text) : rc;
}

int
mpn_nic_check_map(struct mpn_nic *nic)
{
	return nic->map != NULL ? check_stages(nic, &nic->map->text) : 0;
}

/* ---- Looking ---- */

static void
print_part(struct mpn_out *o, const struct nic_part *part, int lcore)
{
	uint64_t all = rte_rdtsc() - part->since_tsc;

	mpn_out_object(o, NULL);
	mpn_out_i64(o, "lcore", lcore);
	mpn_out_bool(o, "own_thread", part == &part->nic->all || part == &part->nic->map->home);
	mpn_out_array(o, "stages");
	if (part->rx)
		mpn_out_str(o, NULL, "rx");
	if (part->tx)
		mpn_out_str(o, NULL, "tx");
	for (unsigned i = 0; i < part->nb_pers; i++)
		mpn_out_str(o, NULL, part->pers[i]->name);
	mpn_out_close(o);
	mpn_out_u64(o, "rounds", part->rounds);
	mpn_out_u64(o, "idle_rounds", part->idle_rounds);
	if (part != &part->nic->all)
		mpn_out_f64(o, "busy_percent",
			all > 0 ? 100.0 * (double)part->busy_tsc / (double)all : 0, 1);
	mpn_out_close(o);
}

void
mpn_nic_print_map(struct mpn_nic *nic, struct mpn_out *o)
{
	const struct nic_map *map = nic->map;

	mpn_nic_hold(nic);
	mpn_out_bool(o, "spread", map != NULL);
	mpn_out_array(o, "lcores");
	if (map == NULL) {
		nic->all.rounds = nic->stats.polls;
		nic->all.idle_rounds = nic->stats.idle_polls;
		print_part(o, &nic->all, (int)rte_lcore_id());
	} else {
		print_part(o, &map->home, (int)rte_lcore_id());
		for (unsigned i = 0; i < map->nb_away; i++)
			print_part(o, &map->away[i].part, (int)map->away[i].lcore);
	}
	mpn_out_close(o);
	mpn_nic_release(nic);
}
