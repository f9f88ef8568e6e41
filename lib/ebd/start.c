/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What client and server have in common: the EAL, a NIC with the storage personality, idling. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "ebd_int.h"
#include "mpn_net.h"

static void
end_eal_with_the_program(void)
{
	(void)atexit(mpn_eal_stop);
}

int
ebd_eal_start(const char *link, const char *extra, bool no_huge, uint32_t mem_mib, int lcore)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct mpn_eal_conf conf = {
		.prog = "ebd",
		.link = link,
		.extra = extra,
		.mem_mib = mem_mib,
		.lcore = lcore - 1,
		.no_huge = no_huge,
	};
	int rc;

	if (sodium_init() < 0)
		return mpn_log_err(EIO, "ebd", "no source of random numbers");
	rc = mpn_eal_start(&conf);
	/*
	 * The EAL can be started once in a process, so it stays when the last client has gone. Does
	 * nothing when the program has started it.
	 */
	if (rc == 0)
		(void)pthread_once(&once, end_eal_with_the_program);
	return rc;
}

static int
bring_up(struct mpn_nic *nic, const char *kind, const struct ebd_vlan *vlan, const void *args)
{
	struct mpn_personality *p;
	int rc = mpn_personality_define(nic, kind, NULL, &p);

	if (rc == 0)
		rc = mpn_personality_set_vlan(
			p, &(struct mpn_vlan){.vid = vlan->vid, .outer = vlan->outer});
	if (rc == 0)
		rc = mpn_personality_load(p, args);
	return rc == 0 ? mpn_personality_start(p) : rc;
}

struct mpn_nic *
ebd_nic_create(const struct mpn_nic_conf *conf, const struct ebd_faces *faces)
{
	struct mpn_nic *nic = mpn_nic_create(conf);
	int rc;

	if (nic == NULL)
		return NULL;
	rc = bring_up(nic, "storage", &faces->vlan, NULL);
	if (rc == 0 && faces->net != NULL)
		rc = bring_up(nic, "net", &faces->net_vlan, &(struct net_conf){.tap = faces->net});
	if (rc < 0) {
		mpn_nic_destroy(nic);
		return mpn_err_null(-rc);
	}
	return nic;
}

enum mpn_idle
ebd_idle_policy(enum ebd_idle idle)
{
	switch (idle) {
	case EBD_IDLE_SPIN:
		return MPN_IDLE_SPIN;
	case EBD_IDLE_YIELD:
		return MPN_IDLE_YIELD;
	case EBD_IDLE_SLEEP:
		return MPN_IDLE_SLEEP;
	default:
		/* This end and its peer. */
		return mpn_idle_default(2);
	}
}

uint64_t
ebd_now_ns(void)
{
	return mpn_now_ns();
}

void
ebd_link_help(FILE *f)
{
	const struct mpn_link_kind *kind;
	unsigned i;

	for (i = 0; (kind = mpn_link_kind(i)) != NULL; i++)
		fprintf(f, "  %-34s %s%s\n", kind->synopsis, kind->help,
			kind->needs_root ? " (needs root)" : "");
}
