/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The ceiling: the memory that client and server give to lib/nic's bare.h. */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "server_int.h"
#include "st_arena.h"
#include "st_nic.h"
#include "wire_ebd.h"

#define KIND_NAME "bare"
#define NSEC_PER_MSEC 1000000ull
#define STAND_IN_MAX (1ull << 30)
#define STAND_IN_MIN (1ull << 20)

/* ---- The client ---- */

static int
check_conf(const struct ebd_ceiling_conf *conf)
{
	if (conf->volume == NULL || strlen(conf->volume) >= EBD_NAME_LEN)
		return mpn_log_err(EINVAL, "ebd", "ceiling: expected the name of a volume");
	if (conf->bs == 0 || conf->bs % 512 != 0 || conf->depth == 0 ||
		conf->depth > BARE_DEPTH_MAX || conf->read_percent > 100)
		return mpn_log_err(EINVAL, "ebd",
			"ceiling: %u bytes, depth %u, %u %% reads: expected a multiple of 512, 1 "
			"to %d, at most 100",
			conf->bs, conf->depth, conf->read_percent, BARE_DEPTH_MAX);
	if (conf->time_ns < NSEC_PER_MSEC || conf->time_ns > EBD_CEILING_MAX_NS)
		return mpn_log_err(EINVAL, "ebd", "ceiling: expected a time from 1 ms to %llu s",
			EBD_CEILING_MAX_NS / (1000 * NSEC_PER_MSEC));
	return 0;
}

/* What writes are sent from. */
static int
make_memory(struct ebd_client *c, const struct ebd_ceiling_conf *conf, struct bare_memory *mem)
{
	struct st_nic *n = st_nic_find(c->nic);
	struct st_arena *arena;

	memset(mem, 0, sizeof(*mem));
	if (conf->read_percent == 100)
		return 0;
	mem->bytes = (uint64_t)conf->bs * conf->depth;
	mem->base = st_arena_alloc(c->nic, mem->bytes, 0);
	if (mem->base == NULL)
		return mpn_log_err(ENOMEM, "ebd", "ceiling: no memory for %u writes", conf->depth);
	memset(mem->base, 0x5a, mem->bytes);
	arena = n != NULL ? st_arena_find(&n->arenas, mem->base, mem->bytes) : NULL;
	mem->ref = arena != NULL ? &arena->shinfo : NULL;
	return 0;
}

static int
run_load(struct ebd_client *c, const struct bare_load_conf *lc, struct ebd_ceiling_result *result)
{
	struct bare_load *l = bare_load_create(c->nic, lc);
	const struct bare_load_result *r;
	int status = 0, rc = 0;

	if (l == NULL)
		return -errno;
	while (rc == 0 && !bare_load_over(l, &status))
		rc = ebd_client_wait_round(c);
	r = bare_load_result(l);
	*result = (struct ebd_ceiling_result){
		.reads = r->reads,
		.writes = r->writes,
		.ns = r->ns,
		.lost = r->lost,
		.bytes = r->bytes,
	};
	bare_load_destroy(l);
	return rc < 0 ? rc : status;
}

static void
explain(const struct ebd_client *c, const struct ebd_ceiling_conf *conf, int rc)
{
	if (rc == -ETIMEDOUT)
		(void)mpn_log_err(ETIMEDOUT, "ebd",
			"ceiling of volume '%s': nobody on link '%s' answers: the server must be "
			"started with --ceiling",
			conf->volume, c->link);
	else
		(void)mpn_log_err(
			-rc, "ebd", "ceiling of volume '%s': %s", conf->volume, strerror(-rc));
}

int
ebd_ceiling_run(struct ebd_client *c, const struct ebd_ceiling_conf *conf,
	struct ebd_ceiling_result *result)
{
	struct bare_load_conf lc = {0};
	struct mpn_nic_info info;
	int rc;

	memset(result, 0, sizeof(*result));
	if (ebd_client_is_busy(c, "ebd_ceiling_run"))
		return -EDEADLK;
	rc = check_conf(conf);
	if (rc < 0)
		return rc;
	mpn_nic_get_info(c->nic, &info);
	lc = (struct bare_load_conf){
		.volume = conf->volume,
		.off = conf->off,
		.size = conf->size,
		.bs = conf->bs,
		.depth = conf->depth,
		.unit = wire_p_of_mtu(info.mtu),
		.read_percent = conf->read_percent,
		.random = conf->random,
		.seed = conf->seed,
		.time_ns = conf->time_ns,
		.connect_ns = c->conf.connect_timeout_ms * NSEC_PER_MSEC,
		.done = conf->done,
		.arg = conf->arg,
	};
	memcpy(lc.target, conf->target_mac, sizeof(lc.target));
	rc = make_memory(c, conf, &lc.memory);
	if (rc == 0) {
		rc = run_load(c, &lc, result);
		if (rc < 0)
			explain(c, conf, rc);
	}
	st_arena_free(lc.memory.base);
	return rc;
}

/* ---- The server ---- */

static void *
touch(void *mem, uint64_t bytes)
{
	/* Pages that nobody has written to are all one and the same. */
	if (mem != NULL)
		memset(mem, 0xa5, bytes);
	return mem;
}

/* Memory as large as the volume, or as there is. */
static int
make_stand_in(struct server_nic *sn, struct export *e)
{
	struct bare_memory *mem = &e->stand_in;
	uint64_t bytes = MPN_MIN(e->geometry.size, STAND_IN_MAX);
	struct mpn_nic_info info;

	mpn_nic_get_info(sn->nic, &info);
	while (mem->base == NULL && bytes > 0) {
		mem->base = touch(st_arena_alloc_on(info.socket_id, bytes, 0), bytes);
		mem->bytes = bytes;
		bytes = bytes > STAND_IN_MIN ? bytes / 2 : 0;
	}
	return mem->base != NULL ? 0 : -ENOMEM;
}

static int
map_memory(void *user, const char *volume, struct bare_memory *mem)
{
	struct server_nic *sn = user;
	struct ebd_server *s = sn->server;
	struct st_nic *n = st_nic_find(sn->nic);
	struct export *e = NULL;
	unsigned i;
	int rc;

	for (i = 0; i < s->nb_exports && e == NULL; i++) {
		if (strcmp(s->exports[i]->geometry.name, volume) == 0)
			e = s->exports[i];
	}
	/* It asks nobody who he is: what is not for all is not for it. */
	if (e == NULL || n == NULL || access_is_listed(s, volume))
		return -ENOENT;
	mem->bytes = e->geometry.size;
	mem->read_only = (e->geometry.flags & WIRE_VOL_READONLY) != 0;
	mem->base = vol_map(e->volume, 0, mem->bytes);
	if (mem->base == NULL) {
		rc = e->stand_in.base != NULL ? 0 : make_stand_in(sn, e);
		if (rc < 0)
			return rc;
		*mem = e->stand_in;
		mem->read_only = false;
	}
	mem->ref = st_memory_ref(n, mem->base, mem->bytes);
	return 0;
}

int
ceiling_add(struct server_nic *sn)
{
	struct bare_serve_conf conf = {.user = sn, .map = map_memory};
	struct mpn_personality *p;
	int rc;

	rc = mpn_personality_define(sn->nic, KIND_NAME, NULL, &p);
	if (rc < 0)
		return rc;
	rc = mpn_personality_load(p, &conf);
	if (rc == 0)
		rc = mpn_personality_start(p);
	if (rc < 0)
		ceiling_remove(sn);
	return rc;
}

void
ceiling_remove(struct server_nic *sn)
{
	struct mpn_personality *p = mpn_personality_find(sn->nic, KIND_NAME);

	if (!sn->server->conf.ceiling || p == NULL)
		return;
	if (mpn_personality_state(p) == MPN_PERS_STARTED)
		(void)mpn_personality_stop(p);
	if (mpn_personality_state(p) == MPN_PERS_LOADED)
		(void)mpn_personality_unload(p);
	(void)mpn_personality_undefine(p);
}

void
ceiling_free(struct export *e)
{
	st_arena_free(e->stand_in.base);
}
