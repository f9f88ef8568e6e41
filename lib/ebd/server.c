/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The server: links, exports, the loop. */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <sodium.h>

#include "mpn_map.h"
#include "server_int.h"
#include "st_arena.h"
#include "st_nic.h"

#define NB_SMALL 512
#define NB_LARGE 64
#define MIN_GRANT_FRAMES 64u
#define LEAVE_NS (XFER_NSEC_PER_SEC / 10) /* for links that take no frames any more */
#define DRAIN_NS (5 * XFER_NSEC_PER_SEC)

/* ---- Life ---- */

static int
start_eal(struct ebd_server *s, const char *link)
{
	return ebd_eal_start(link, s->eal, s->conf.no_huge, s->conf.mem_mib, s->conf.lcore);
}

static int
take_conf(struct ebd_server *s, const struct ebd_server_conf *conf)
{
	struct ebd_server_conf *c = &s->conf;

	*c = *conf;
	/* These are the caller's memory. */
	c->eal = NULL;
	c->first_link = NULL;
	if (c->max_sessions == 0)
		c->max_sessions = 64;
	if (c->max_depth == 0)
		c->max_depth = 128;
	if (c->lease_ms == 0)
		c->lease_ms = 30000;
	if (c->max_sessions > 1024)
		return mpn_log_err(
			EINVAL, "ebd", "max_sessions %u: expected at most 1024", c->max_sessions);
	if (c->max_depth > EBD_DEPTH_MAX)
		return mpn_log_err(EINVAL, "ebd", "max_depth %u: expected at most %d", c->max_depth,
			EBD_DEPTH_MAX);
	if (conf->eal == NULL)
		return 0;
	s->eal = strdup(conf->eal);
	return s->eal != NULL ? 0 : mpn_err(ENOMEM);
}

struct ebd_server *
ebd_server_create(const struct ebd_server_conf *conf)
{
	struct ebd_server *s = calloc(1, sizeof(*s));
	struct timespec ts;
	int rc;

	if (s == NULL)
		return mpn_err_null(ENOMEM);
	rc = take_conf(s, conf);
	if (rc == 0 && conf->first_link != NULL)
		rc = start_eal(s, conf->first_link);
	if (rc == 0)
		rc = export_ios_init(s, MPN_MIN((unsigned)s->conf.max_sessions * s->conf.max_depth,
						(unsigned)SERVER_MAX_IOS));
	if (rc < 0) {
		free(s->eal);
		free(s);
		return mpn_err_null(-rc);
	}
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	s->epoch = (uint64_t)ts.tv_sec * XFER_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
	return s;
}

/* ---- On another lcore ---- */

/* All is answered: tell the clients, as long as their links take frames. */
static void
leave(struct ebd_server *s)
{
	struct xfer_tgt *x = st_target_xfer(s->target);
	uint64_t now_ns = mpn_now_ns();

	if (xfer_tgt_outstanding(x) > 0)
		return;
	if (s->leave_ns == 0)
		s->leave_ns = now_ns;
	s->told = xfer_tgt_leave(x, now_ns) || now_ns - s->leave_ns > LEAVE_NS;
}

/* What the server does beside polling its links. */
static unsigned
run_server(void *arg)
{
	struct ebd_server *s = arg;
	unsigned work = server_run_volumes(s);

	if (mpn_unlikely(s->draining && !s->told && s->target != NULL))
		leave(s);
	if (mpn_unlikely(s->nb_leaving > 0))
		export_end_leaving(s);
	if (mpn_unlikely(s->nb_errands > 0))
		server_end_errands(s, false);
	if (mpn_unlikely(s->wait_first != NULL))
		work += export_run_waiting(s);
	return work;
}

/* The storage personality of a NIC, when it serves. */
static struct mpn_personality *
serving(const struct ebd_server *s, const struct server_nic *sn)
{
	const struct st_nic *n = st_nic_find(sn->nic);

	return n != NULL && n->target == s->target ? n->pers : NULL;
}

/* All that serve are on one lcore. NULL: one has been unloaded. */
static int
move(void *arg, const struct mpn_personality *p, int lcore)
{
	struct ebd_server *s = arg;
	bool away = p != NULL && lcore >= 0;
	unsigned i;

	for (i = 0; i < s->nb_nics; i++) {
		const struct mpn_personality *other = serving(s, &s->nics[i]);

		if (other == NULL || other == p)
			continue;
		if (p != NULL && mpn_personality_lcore(other) != lcore)
			return mpn_log_err(EBUSY, "ebd",
				"a server is on one lcore with the storage of all its links");
		away |= mpn_personality_lcore(other) >= 0;
	}
	s->away = away;
	return 0;
}

/* Serve on the NIC. 0, or -errno after a logged line. */
static int
stand_beside(struct ebd_server *s, struct mpn_nic *nic)
{
	const struct mpn_beside beside = {.run = run_server, .move = move, .arg = s};
	struct st_nic *n = st_nic_running(nic);
	struct mpn_nic_info info;
	int rc;

	mpn_nic_get_info(nic, &info);
	rc = n != NULL ? move(s, n->pers, mpn_personality_lcore(n->pers)) : 0;
	if (rc < 0)
		return rc;
	mpn_nic_hold(nic);
	rc = st_target_attach(s->target, nic);
	if (rc == 0)
		mpn_personality_set_beside(n->pers, &beside);
	else
		(void)move(s, NULL, -1);
	mpn_nic_release(nic);
	return rc == 0 ? 0
		       : mpn_log_err(-rc, "ebd", "link '%s': cannot serve on it: %s", info.link,
				 strerror(-rc));
}

/* Everything is on this thread, for good. */
static void
bring_home(struct ebd_server *s)
{
	unsigned i;

	for (i = 0; i < s->nb_nics; i++) {
		struct mpn_personality *p = serving(s, &s->nics[i]);

		mpn_nic_hold(s->nics[i].nic);
		if (p != NULL)
			mpn_personality_set_beside(p, NULL);
	}
	s->away = false;
}

/* ---- Links ---- */

/* The NIC tells how much may come in at a time. */
static int
make_target(struct ebd_server *s, const struct mpn_nic_info *info)
{
	struct st_target_conf conf = {
		.nb_small = NB_SMALL,
		.nb_large = NB_LARGE,
		.user = s,
		.map = export_map,
		.io_start = export_io_start,
		.may_use = access_may_use,
	};
	unsigned i;
	int rc;

	xfer_tgt_conf_default(&conf.xfer);
	randombytes_buf(s->uuid, sizeof(s->uuid));
	memcpy(conf.xfer.uuid, s->uuid, sizeof(conf.xfer.uuid));
	conf.xfer.epoch = s->epoch;
	conf.xfer.max_sessions = s->conf.max_sessions;
	conf.xfer.max_exports = SERVER_MAX_EXPORTS;
	conf.xfer.max_depth = s->conf.max_depth;
	conf.xfer.lease_ns = s->conf.lease_ms * 1000000ull;
	/* Commands that have credit find a descriptor, too: none waits for those of another volume. */
	conf.xfer.credits = MPN_MIN(MPN_MAX(info->nb_rxd / 2u, 1u), s->nb_ios);
	conf.xfer.grant_frames = MPN_MAX(info->nb_rxd / 4u, MIN_GRANT_FRAMES);
	s->target = st_target_create(&conf, info->socket_id);
	if (s->target == NULL)
		return mpn_log_err(errno, "ebd", "no memory for %u sessions", s->conf.max_sessions);
	for (i = 0; i < s->nb_exports; i++) {
		rc = xfer_tgt_export_add(st_target_xfer(s->target), &s->exports[i]->geometry);
		if (rc < 0)
			return mpn_log_err(-rc, "ebd", "volume '%s' cannot be exported: %s",
				s->exports[i]->geometry.name, strerror(-rc));
	}
	return 0;
}

static int
add_nic(struct ebd_server *s, struct mpn_nic *nic, bool ours)
{
	struct mpn_nic_info info;
	struct server_nic *sn;
	int rc = 0;

	mpn_nic_get_info(nic, &info);
	if (s->nb_nics == MPN_ARRAY_SIZE(s->nics))
		return mpn_log_err(ENOSPC, "ebd", "link '%s': a server has at most %zu links",
			info.link, MPN_ARRAY_SIZE(s->nics));
	if (s->target == NULL)
		rc = make_target(s, &info);
	if (rc < 0) {
		st_target_destroy(s->target);
		s->target = NULL;
		return rc;
	}
	sn = &s->nics[s->nb_nics];
	*sn = (struct server_nic){s, nic, ours};
	rc = s->conf.ceiling ? ceiling_add(sn) : 0;
	if (rc < 0)
		return rc;
	rc = stand_beside(s, nic);
	if (rc < 0) {
		ceiling_remove(sn);
		return rc;
	}
	s->nb_nics++;
	return 0;
}

int
ebd_server_link_add(struct ebd_server *s, const char *link)
{
	const struct mpn_nic_conf conf = {
		.link = link,
		.server = true,
		.mtu = s->conf.mtu,
		.background = s->conf.background,
		.background_arg = s->conf.background_arg,
	};
	/* Interfaces have different names: the first link gets it. */
	const struct ebd_faces faces = {.vlan = s->conf.vlan,
		.net = s->nb_nics == 0 ? s->conf.net : NULL,
		.net_vlan = s->conf.net_vlan};
	struct mpn_nic *nic;
	int rc;

	rc = start_eal(s, link);
	if (rc < 0)
		return rc;
	nic = ebd_nic_create(&conf, &faces);
	if (nic == NULL)
		return -errno;
	rc = add_nic(s, nic, true);
	if (rc < 0)
		mpn_nic_destroy(nic);
	return rc < 0 ? mpn_err(-rc) : 0;
}

/* Its personality has been unloaded, and loaded again. */
static int
add_again(struct ebd_server *s, struct mpn_nic *nic)
{
	const struct st_nic *n = st_nic_find(nic);

	if (n != NULL && n->target == s->target)
		return mpn_err(EEXIST);
	return stand_beside(s, nic);
}

int
ebd_server_nic_add(struct ebd_server *s, struct mpn_nic *nic)
{
	unsigned i;

	for (i = 0; i < s->nb_nics; i++) {
		if (s->nics[i].nic == nic)
			return add_again(s, nic);
	}
	if (sodium_init() < 0)
		return mpn_log_err(EIO, "ebd", "no source of random numbers");
	return add_nic(s, nic, false);
}

/* ---- Exports ---- */

/* As xfer_tgt_export_add() does: the two have the same indices. */
static unsigned
find_place(const struct ebd_server *s)
{
	unsigned i;

	for (i = 0; i < s->nb_exports && s->exports[i]->volume != NULL; i++)
		;
	return i;
}

static int
check_name(const struct ebd_server *s, const char *name)
{
	const unsigned char *p = (const unsigned char *)name;
	unsigned i;

	for (i = 0; p[i] > ' ' && p[i] != 0x7f; i++)
		;
	if (i == 0 || p[i] != '\0' || i >= EBD_NAME_LEN)
		return mpn_log_err(EINVAL, "ebd",
			"volume '%s': expected a name of 1 to %d characters without blanks", name,
			EBD_NAME_LEN - 1);
	for (i = 0; i < s->nb_exports; i++) {
		if (strcmp(s->exports[i]->geometry.name, name) == 0)
			return mpn_log_err(
				EEXIST, "ebd", "volume '%s': there is one of this name", name);
	}
	if (find_place(s) == SERVER_MAX_EXPORTS)
		return mpn_log_err(ENOSPC, "ebd", "volume '%s': a server has at most %d volumes",
			name, SERVER_MAX_EXPORTS);
	return 0;
}

int
ebd_export_add(struct ebd_server *s, const char *name, const char *spec)
{
	struct export *e;
	unsigned i;
	int rc;

	rc = check_name(s, name);
	if (rc < 0)
		return rc;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return mpn_err(ENOMEM);
	e->server = s;
	rc = server_open_volume(s, spec, &e->volume);
	if (rc < 0) {
		free(e);
		return rc;
	}
	export_fill_geometry(e, name);
	/* Others may have come and gone meanwhile. */
	rc = check_name(s, name);
	if (rc == 0 && e->geometry.block_size > EXPORT_MAX_BLOCK)
		rc = mpn_log_err(EINVAL, "ebd",
			"volume '%s': blocks of %u bytes: expected at most %u", name,
			e->geometry.block_size, EXPORT_MAX_BLOCK);
	if (rc == 0 && s->target != NULL)
		rc = xfer_tgt_export_add(st_target_xfer(s->target), &e->geometry);
	if (rc < 0) {
		server_close_volume(s, e->volume);
		free(e);
		return rc;
	}
	i = find_place(s);
	if (i == s->nb_exports)
		s->nb_exports++;
	else
		free(s->exports[i]);
	s->exports[i] = e;
	return 0;
}

/* ---- The loop ---- */

unsigned
ebd_server_poll(struct ebd_server *s)
{
	unsigned work = 0, i;

	s->polled = true;
	for (i = 0; i < s->nb_nics; i++) {
		if (s->nics[i].ours)
			work += mpn_nic_poll(s->nics[i].nic);
	}
	return mpn_likely(!s->away) ? work + run_server(s) : work;
}

void
ebd_server_idle(struct ebd_server *s, unsigned work)
{
	if (mpn_unlikely(!s->idler_ready)) {
		mpn_idler_init(&s->idler, ebd_idle_policy(s->conf.idle));
		s->idler_ready = true;
	}
	if (work == 0 && s->idler.policy == MPN_IDLE_SLEEP)
		s->idler.answer_ns = ebd_server_answer_ns(s);
	mpn_idler_round(&s->idler, work);
}

void
ebd_server_drain(struct ebd_server *s)
{
	s->draining = true;
	if (s->target != NULL)
		xfer_tgt_drain(st_target_xfer(s->target));
}

bool
ebd_server_quiet(const struct ebd_server *s)
{
	return s->target == NULL ||
	       (s->told && xfer_tgt_outstanding(st_target_xfer(s->target)) == 0);
}

/* ---- The end ---- */

/* Let what was accepted end, then wait for the volumes in any case: they write to our memory. */
static void
end_commands(struct ebd_server *s)
{
	uint64_t deadline = mpn_now_ns() + DRAIN_NS;
	struct mpn_idler idler;

	ebd_server_drain(s);
	mpn_idler_init(&idler, MPN_IDLE_SLEEP);
	while ((!ebd_server_quiet(s) && mpn_now_ns() < deadline) || server_in_volumes(s) > 0)
		mpn_idler_round(&idler, ebd_server_poll(s));
}

/* The NIC is the program's, and goes on. */
static void
leave_nic(struct server_nic *sn)
{
	ceiling_remove(sn);
	mpn_nic_release(sn->nic);
}

void
ebd_server_destroy(struct ebd_server *s)
{
	unsigned i;

	if (s == NULL)
		return;
	bring_home(s);
	if (s->target != NULL)
		end_commands(s);
	for (i = 0; i < s->nb_nics; i++) {
		if (s->nics[i].ours)
			mpn_nic_destroy(s->nics[i].nic);
		else
			leave_nic(&s->nics[i]);
	}
	st_target_destroy(s->target);
	/* What looks at them first; then all at once: each may take its time. */
	server_end_errands(s, true);
	for (i = 0; i < s->nb_exports; i++) {
		if (s->exports[i]->volume != NULL)
			server_close_volume(s, s->exports[i]->volume);
		ceiling_free(s->exports[i]);
		free(s->exports[i]);
	}
	server_end_errands(s, true);
	access_free(s);
	free(s->ios);
	free(s->eal);
	free(s);
}
