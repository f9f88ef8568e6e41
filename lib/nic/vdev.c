/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdatomic.h>
#include <stdio.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "vdev.h"

int
vdev_plug(const char *driver, const char *args, char *name, size_t size, uint16_t *port_id)
{
	static atomic_uint next;
	int rc;

	(void)snprintf(name, size, "%s_mpn%u", driver, atomic_fetch_add(&next, 1));
	rc = rte_eal_hotplug_add("vdev", name, args);
	if (rc < 0)
		return rc;
	rc = rte_eth_dev_get_port_by_name(name, port_id);
	if (rc < 0) {
		(void)rte_eal_hotplug_remove("vdev", name);
		return -ENODEV;
	}
	return 0;
}

void
vdev_unplug(uint16_t port_id)
{
	struct rte_eth_dev_info info;

	if (!rte_eth_dev_is_valid_port(port_id) || rte_eth_dev_info_get(port_id, &info) < 0)
		return;
	(void)rte_eth_dev_close(port_id);
	(void)rte_dev_remove(info.device);
}
