/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What personalities ask of the port beside frames for its station address. They ask where they run; the port
 * hears of it at the next look around, when everything stands still.
 */

#include <rte_ether.h>

#include "mpn_log.h"
#include "nic_internal.h"

#define MAC48 0xffffffffffffull
#define PROMISCUOUS (1ull << 48)
#define ALLMULTICAST (1ull << 49)

void
mpn_personality_want(struct mpn_personality *p, const struct mpn_wants *wants)
{
	uint64_t v = 0;

	memcpy(&v, wants->mac, sizeof(wants->mac));
	v |= wants->promiscuous ? PROMISCUOUS : 0;
	v |= wants->allmulticast ? ALLMULTICAST : 0;
	atomic_store_explicit(&p->wants, v, memory_order_relaxed);
}

static bool
has_mac(const struct mpn_nic *nic, uint64_t mac48)
{
	for (unsigned i = 0; i < nic->nb_more_macs; i++) {
		if (nic->more_macs[i] == mac48)
			return true;
	}
	return false;
}

/* A group is no station, and its own address it has. */
static void
add_mac(struct mpn_nic *nic, uint64_t mac48)
{
	if (mac48 != 0 && mac48 != nic->mac48 && (mac48 & 1) == 0 && !has_mac(nic, mac48))
		nic->more_macs[nic->nb_more_macs++] = mac48;
}

/* A port without an address of its own has no list either: the first one added would become it. */
static void
tell_mac(struct mpn_nic *nic, uint64_t mac48, bool on)
{
	struct rte_ether_addr mac, own;
	bool has_list =
		rte_eth_macaddr_get(nic->port_id, &own) == 0 && !rte_is_zero_ether_addr(&own);

	memcpy(mac.addr_bytes, &mac48, sizeof(mac.addr_bytes));
	if (!on && has_list && !rte_is_same_ether_addr(&mac, &own))
		(void)rte_eth_dev_mac_addr_remove(nic->port_id, &mac);
	else if (on && (!has_list || rte_eth_dev_mac_addr_add(nic->port_id, &mac, 0) < 0))
		nic->filters_by_cpu = true;
}

void
wants_tell_port(struct mpn_nic *nic)
{
	nic->filters_by_cpu = false;
	for (unsigned i = 0; i < nic->nb_more_macs; i++)
		tell_mac(nic, nic->more_macs[i], true);
}

void
wants_heed(struct mpn_nic *nic)
{
	uint64_t before[MPN_MAX_PERSONALITIES];
	unsigned nb = nic->nb_more_macs;
	bool promiscuous = nic->info.wants_promiscuous, all = nic->info.wants_allmulticast;
	uint64_t wants = 0;

	memcpy(before, nic->more_macs, sizeof(before));
	nic->nb_more_macs = 0;
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		uint64_t v = atomic_load_explicit(&nic->pers[i]->wants, memory_order_relaxed);

		if (!personality_is_active(nic->pers[i]))
			continue;
		wants |= v & ~MAC48;
		add_mac(nic, v & MAC48);
	}
	nic->info.wants_promiscuous = (wants & PROMISCUOUS) != 0;
	nic->info.wants_allmulticast = (wants & ALLMULTICAST) != 0;
	if (nb == nic->nb_more_macs &&
		memcmp(before, nic->more_macs, nb * sizeof(before[0])) == 0 &&
		promiscuous == nic->info.wants_promiscuous && all == nic->info.wants_allmulticast)
		return;
	if (!nic->running)
		return;
	for (unsigned i = 0; i < nb; i++) {
		if (!has_mac(nic, before[i]))
			tell_mac(nic, before[i], false);
	}
	nic_port_set_modes(nic);
}
