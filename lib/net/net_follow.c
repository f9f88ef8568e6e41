/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The port follows the host's interface where that takes nothing from others, and the interface follows the port
 * where it does: the port has one MTU and one cable for all.
 */

#include <string.h>

#include <rte_ether.h>

#include "mpn_log.h"
#include "net_int.h"

#define LOOK_NS 100000000ull

void
net_follow_begin(struct net_device *dev, const struct net_iface *iface)
{
	net_watch_open(&dev->watch, iface);
	dev->follows = true;
	dev->next_look_ns = 0;
}

void
net_follow_end(struct net_device *dev)
{
	if (dev->follows)
		net_watch_close(&dev->watch);
	dev->follows = false;
}

/* Groups are the host's to choose from: it has the list, and a port with one would tell nobody what it has left out. */
static void
ask_port(struct net_device *dev)
{
	const struct net_host *host = &dev->watch.host;
	struct mpn_wants wants = {
		.promiscuous = host->up && host->promiscuous, .allmulticast = host->up};

	if (memcmp(host->mac, dev->mac, sizeof(host->mac)) != 0)
		memcpy(wants.mac, host->mac, sizeof(wants.mac));
	mpn_personality_want(dev->pers, &wants);
}

void
net_follow(struct net_device *dev, uint64_t now_ns)
{
	uint32_t mtu = dev->max_frame - RTE_ETHER_HDR_LEN;

	dev->next_look_ns = now_ns + LOOK_NS;
	if (!net_watch_read(&dev->watch))
		return;
	ask_port(dev);
	if (dev->watch.host.mtu <= mtu)
		return;
	mpn_log(MPN_LOG_WARN, "net", "%s: its MTU cannot be %u: the port's is %u", dev->name,
		dev->watch.host.mtu, mtu);
	net_watch_set_mtu(&dev->watch, mtu);
}
