/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Links that are devices already: pci:ADDR, dev:DEVARGS; and bond:LINK+LINK made of two others.
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
	if (read_place(l) < 0)
		return -EINVAL;
	l->can_replug = true;
	return take_existing(l, l->spec.arg) ? 0 : probe(l, l->spec.arg);
}

int
dev_open(struct link *l)
{
	char name[RTE_DEV_NAME_MAX_LEN];

	if (read_place(l) < 0)
		return -EINVAL;
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(l->spec.arg, ","), l->spec.arg);
	l->can_replug = true;
	return take_existing(l, name) ? 0 : probe(l, l->spec.arg);
}

/* ---- bond ---- */

#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
#define BOND_MEMBER "member"
#else
#define BOND_MEMBER "slave"
#endif

#define BOND_MEMBERS 2

struct bond {
	struct link *member[BOND_MEMBERS];
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
plug_bond(struct link *l, const struct bond *b)
{
	char name[BOND_MEMBERS][RTE_ETH_NAME_MAX_LEN];
	char args[BOND_MEMBERS * (RTE_ETH_NAME_MAX_LEN + 16) + 64];

	for (unsigned i = 0; i < BOND_MEMBERS; i++) {
		if (rte_eth_dev_get_name_by_port(b->member[i]->port_id, name[i]) < 0)
			return mpn_log_err(ENODEV, "nic", "link '%s': part %u has no name",
				l->spec.text, i + 1);
	}
	(void)snprintf(args, sizeof(args),
		"mode=1," BOND_MEMBER "=%s," BOND_MEMBER "=%s,lsc_poll_period_ms=100", name[0],
		name[1]);
	return link_plug(l, "net_bonding", args);
}

void
bond_close(struct link *l)
{
	struct bond *b = l->priv;

	for (unsigned i = 0; i < BOND_MEMBERS; i++)
		link_close(b->member[i]);
	free(b);
	l->priv = NULL;
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
	b->member[0] = open_member(l, l->spec.arg, (size_t)(plus - l->spec.arg));
	if (b->member[0] != NULL)
		b->member[1] = open_member(l, plus + 1, strlen(plus + 1));
	rc = b->member[1] != NULL ? plug_bond(l, b) : -errno;
	if (rc < 0)
		bond_close(l);
	return rc;
}
