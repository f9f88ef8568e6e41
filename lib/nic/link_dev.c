/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Links that are devices already: pci:ADDR, dev:DEVARGS.
 */

#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_version.h>

#include "eal_log.h"
#include "link.h"
#include "mpn_log.h"
#include "nic_post.h"

#define PCI_QUEUES "2" /* storage and one more; each costs its memory */

/* ---- pci, dev ---- */

/* The port of a device that has been probed. */
static int
find_port(struct link *l, const char *devargs)
{
	struct rte_dev_iterator it;
	uint16_t port_id;

	RTE_ETH_FOREACH_MATCHING_DEV(port_id, devargs, &it)
	{
		l->port_id = port_id;
		rte_eth_iterator_cleanup(&it);
		return 0;
	}
	return -ENODEV;
}

static int
probe(struct link *l, const char *devargs)
{
	int rc = rte_dev_probe(devargs);

	/* That is how it says that no bus knows the name. */
	if (rc == -EFAULT || rc == -ENODEV)
		return mpn_log_err(
			ENODEV, "nic", "link '%s': DPDK knows no such device", l->spec.text);
	if (rc < 0)
		return mpn_log_err(-rc, "nic", "link '%s': no driver takes the device: %s",
			l->spec.text, strerror(-rc));
	rc = find_port(l, devargs);
	if (rc < 0)
		return mpn_log_err(
			ENODEV, "nic", "link '%s': the device has no Ethernet port", l->spec.text);
	l->plugged = true;
	return 0;
}

/* A port the EAL or the program has made: used, and left where it is. */
static bool
take_existing(struct link *l, const char *name)
{
	return rte_eth_dev_get_port_by_name(name, &l->port_id) == 0;
}

/* What the card has to offer for it is looked at with its port. */
static int
read_place(struct link *l)
{
	int rc = link_read_place(l, NIC_POST_MAX_PAIRS);

	l->split = rc == 0 && l->place > 0;
	return rc;
}

/* Is it there again? What the bus and the driver say meanwhile is the same each time. */
int
dev_replug(struct link *l)
{
	char name[RTE_DEV_NAME_MAX_LEN];
	int rc;

	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(l->spec.arg, ","), l->spec.arg);
	if (take_existing(l, name))
		return 0;
	eal_log_quiet(true);
	rc = rte_dev_probe(l->spec.arg);
	if (rc == 0)
		rc = find_port(l, l->spec.arg);
	eal_log_quiet(false);
	l->plugged = rc == 0;
	return rc;
}

int
pci_open(struct link *l)
{
	if (!link_is_pci_address(l->spec.arg))
		return mpn_log_err(EINVAL, "nic",
			"link '%s': '%s': expected an address such as 0000:03:00.0", l->spec.text,
			l->spec.arg);
	if (read_place(l) < 0 || link_read_queues(l, PCI_QUEUES) < 0)
		return -EINVAL;
	l->can_replug = true;
	return take_existing(l, l->spec.arg) ? 0 : probe(l, l->spec.arg);
}

int
dev_open(struct link *l)
{
	char name[RTE_DEV_NAME_MAX_LEN];

	if (read_place(l) < 0 || link_read_queues(l, "0") < 0)
		return -EINVAL;
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(l->spec.arg, ","), l->spec.arg);
	l->can_replug = true;
	return take_existing(l, name) ? 0 : probe(l, l->spec.arg);
}
