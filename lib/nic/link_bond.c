/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * bond:LINK+LINK. Two links are one port of net_bonding. Which of them carries the frames of active-backup is
 * decided here: not all drivers tell the bond of their carrier, af_packet says up, always.
 */

#include <stdlib.h>
#include <string.h>

#include <rte_eth_bond.h>
#include <rte_eth_bond_8023ad.h>
#include <rte_ethdev.h>
#include <rte_version.h>

#include "link.h"
#include "mpn_log.h"

#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
#define add_port rte_eth_bond_member_add
#define get_lacp rte_eth_bond_8023ad_member_info
#define lacp_info rte_eth_bond_8023ad_member_info
#else
#define add_port rte_eth_bond_slave_add
#define get_lacp rte_eth_bond_8023ad_slave_info
#define lacp_info rte_eth_bond_8023ad_slave_info
#endif

#define POLL_MS 100
#define LACP_PERIOD_MS 1000
#define TAP_MTU 1500 /* what a tap has until it is told otherwise, and the bond tells nobody */

struct bond {
	bool aggregates; /* 802.3ad */
	struct link *member[LINK_MEMBERS];
	bool up[LINK_MEMBERS];
	bool active[LINK_MEMBERS]; /* carries frames */
};

static struct link *
open_member(struct link *l, const char *text, size_t len)
{
	struct link_spec spec;
	char one[LINK_ARG_LEN];

	(void)snprintf(one, sizeof(one), "%.*s", (int)len, text);
	if (link_parse(one, &spec) < 0)
		return NULL;
	/* The bond would hold on to the device the link takes out, and receives on its own queues. */
	if ((spec.kind->quirks & LINK_NO_MEMBER) != 0 || link_opt(&spec, "place", NULL) != NULL) {
		(void)mpn_log_err(EINVAL, "nic", "link '%s': '%s' cannot be part of a bond",
			l->spec.text, one);
		return NULL;
	}
	return link_open(&spec, &l->want, l->dirty);
}

static int
get_mode(const struct link *l, struct bond *b)
{
	const char *mode = link_opt(&l->spec, "mode", "active-backup");

	b->aggregates = strcmp(mode, "802.3ad") == 0;
	if (b->aggregates || strcmp(mode, "active-backup") == 0)
		return 0;
	return mpn_log_err(EINVAL, "nic", "link '%s': mode '%s': expected active-backup or 802.3ad",
		l->spec.text, mode);
}

/* The bond takes what both take, and puts what either receives into the same memory. */
static void
join_limits(struct link *l, const struct bond *b)
{
	l->max_mtu = LINK_MAX_MTU;
	for (unsigned i = 0; i < LINK_MEMBERS; i++) {
		const struct link *m = b->member[i];
		uint16_t mtu = m->spec.kind->open == tap_open ? TAP_MTU : m->max_mtu;

		if (mtu == 0 && rte_eth_dev_get_mtu(m->port_id, &mtu) < 0)
			mtu = TAP_MTU;
		l->max_mtu = MPN_MIN(l->max_mtu, mtu);
		l->frame_room = MPN_MAX(l->frame_room, m->frame_room);
	}
}

/*
 * A member whose driver does not tell of its carrier is out of the aggregate when its partner has not been
 * heard for so long: three seconds, as with LACP's short timeout, and not ninety.
 */
static int
set_lacp_times(uint16_t port_id)
{
	/* The driver wants the slow ones to be slower; the rest are its defaults. */
	struct rte_eth_bond_8023ad_conf conf = {
		.fast_periodic_ms = LACP_PERIOD_MS - 100,
		.slow_periodic_ms = LACP_PERIOD_MS,
		.short_timeout_ms = 3 * LACP_PERIOD_MS,
		.long_timeout_ms = 3 * LACP_PERIOD_MS + 100,
		.aggregate_wait_timeout_ms = 2000,
		.tx_period_ms = 500,
		.rx_marker_period_ms = 2000,
		.update_timeout_ms = 100,
	};

	return rte_eth_bond_8023ad_setup(port_id, &conf);
}

/* By its interface: as arguments of the device it takes no members before it is configured. */
static int
plug_bond(struct link *l, const struct bond *b)
{
	static atomic_uint next;
	int socket = rte_eth_dev_socket_id(b->member[0]->port_id);
	int port;

	(void)snprintf(
		l->dev_name, sizeof(l->dev_name), "net_bonding_mpn%u", atomic_fetch_add(&next, 1));
	port = rte_eth_bond_create(l->dev_name,
		b->aggregates ? BONDING_MODE_8023AD : BONDING_MODE_ACTIVE_BACKUP,
		(uint8_t)MPN_MAX(socket, 0));
	if (port < 0)
		return mpn_log_err(ENODEV, "nic", "link '%s': cannot make the bond", l->spec.text);
	l->port_id = (uint16_t)port;
	l->plugged = true;
	(void)rte_eth_bond_link_monitoring_set(l->port_id, POLL_MS);
	if (b->aggregates && set_lacp_times(l->port_id) < 0) {
		link_unplug(l);
		return mpn_log_err(EINVAL, "nic", "link '%s': cannot set up LACP", l->spec.text);
	}
	for (unsigned i = 0; i < LINK_MEMBERS; i++) {
		if (add_port(l->port_id, b->member[i]->port_id) == 0)
			continue;
		link_unplug(l);
		return mpn_log_err(EINVAL, "nic", "link '%s': '%s' cannot be part of a bond",
			l->spec.text, b->member[i]->spec.text);
	}
	return 0;
}

void
bond_close(struct link *l)
{
	struct bond *b = l->priv;

	for (unsigned i = 0; i < LINK_MEMBERS; i++)
		link_close(b->member[i]);
	free(b);
	l->priv = NULL;
}

/* The member of active-backup that carries the frames gets the address of the bond: the driver insists. */
static int
check_address(const struct link *l, const struct link *m)
{
	struct rte_ether_addr mac;
	int rc = rte_eth_macaddr_get(m->port_id, &mac);

	if (rc == 0)
		rc = rte_eth_dev_default_mac_addr_set(m->port_id, &mac);
	if (rc == 0)
		return 0;
	return mpn_log_err(EINVAL, "nic",
		"link '%s': the address of '%s' cannot be set, as active-backup needs it to be "
		"(%s); expected mode=802.3ad",
		l->spec.text, m->spec.text, strerror(-rc));
}

static int
open_members(struct link *l, struct bond *b, const char *plus)
{
	int rc;

	b->member[0] = open_member(l, l->spec.arg, (size_t)(plus - l->spec.arg));
	if (b->member[0] != NULL)
		b->member[1] = open_member(l, plus + 1, strlen(plus + 1));
	if (b->member[1] == NULL)
		return -errno;
	for (unsigned i = 0; i < LINK_MEMBERS && !b->aggregates; i++) {
		rc = check_address(l, b->member[i]);
		if (rc < 0)
			return rc;
	}
	join_limits(l, b);
	return plug_bond(l, b);
}

int
bond_open(struct link *l)
{
	const char *plus = strchr(l->spec.arg, '+');
	struct bond *b;
	int rc = 0;

	if (plus == NULL)
		return mpn_log_err(
			EINVAL, "nic", "link '%s': expected bond:LINK+LINK", l->spec.text);
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return mpn_err(ENOMEM);
	l->priv = b;
	rc = get_mode(l, b);
	if (rc == 0)
		rc = open_members(l, b, plus);
	if (rc < 0)
		bond_close(l);
	l->sends_always = rc == 0 && b->aggregates;
	return rc;
}

/* ---- Which of them ---- */

static bool
member_is_up(struct link *m)
{
	if (m->spec.kind->is_up != NULL && !m->spec.kind->is_up(m))
		return false;
	return link_driver_is_up(m);
}

/*
 * The first one that has a link carries the frames. It does so again when it is back: only then do two bonds
 * that are joined by two cables agree, as a bond receives on no other, and one end may see what the other missed.
 */
static void
choose_active(struct link *l, const struct bond *b)
{
	const struct link *m = b->member[b->up[0] ? 0 : 1];

	if (rte_eth_bond_primary_get(l->port_id) == m->port_id)
		return;
	(void)rte_eth_bond_primary_set(l->port_id, m->port_id);
	(void)rte_eth_promiscuous_enable(m->port_id);
	mpn_log(MPN_LOG_INFO, "nic", "link '%s': frames go over '%s'", l->spec.text, m->spec.text);
}

/* Have the partners at both ends of its cable agreed to use it? */
static bool
is_distributing(const struct link *l, const struct link *m)
{
	const uint8_t both = STATE_COLLECTING | STATE_DISTRIBUTING;
	struct lacp_info info;

	return get_lacp(l->port_id, m->port_id, &info) == 0 && (info.actor_state & both) == both;
}

static bool
is_active(const struct link *l, const struct bond *b, unsigned n)
{
	const struct link *m = b->member[n];

	if (!b->up[n])
		return false;
	return b->aggregates ? is_distributing(l, m)
			     : rte_eth_bond_primary_get(l->port_id) == m->port_id;
}

/* Cables without a partner are no link: the driver would take no frame. */
bool
bond_is_up(struct link *l)
{
	struct bond *b = l->priv;
	unsigned nb_up = 0;
	bool any = false;

	for (unsigned i = 0; i < LINK_MEMBERS; i++) {
		b->up[i] = member_is_up(b->member[i]);
		nb_up += b->up[i];
	}
	if (nb_up > 0 && !b->aggregates)
		choose_active(l, b);
	for (unsigned i = 0; i < LINK_MEMBERS; i++) {
		b->active[i] = is_active(l, b, i);
		any |= b->active[i];
	}
	l->nb_up = nb_up;
	return any && link_driver_is_up(l);
}

bool
link_get_member(const struct link *l, unsigned n, struct mpn_member_info *info)
{
	const struct bond *b = l->priv;

	if (l->spec.kind->open != bond_open || n >= LINK_MEMBERS)
		return false;
	(void)snprintf(info->link, sizeof(info->link), "%s", b->member[n]->spec.text);
	info->up = b->up[n];
	info->active = b->active[n];
	return true;
}
