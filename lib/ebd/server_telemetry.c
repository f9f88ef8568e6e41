/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What telemetry can be asked about the server on a NIC. */

#include <errno.h>

#include "server_int.h"
#include "st_nic.h"
#include "telemetry.h"

static const struct ebd_server *
find_server(struct mpn_nic *nic)
{
	const struct st_nic *n = st_nic_find(nic);
	const struct st_target_conf *conf;

	if (n == NULL || n->target == NULL)
		return NULL;
	conf = st_target_get_conf(n->target);
	return conf->io_start == export_io_start ? conf->user : NULL;
}

static int
print_sessions(struct mpn_nic *nic, struct mpn_out *o)
{
	const struct ebd_server *s = find_server(nic);

	if (s == NULL)
		return -ENODEV;
	ebd_server_print_sessions(s, NULL, o);
	return 0;
}

static int
print_volumes(struct mpn_nic *nic, struct mpn_out *o)
{
	const struct ebd_server *s = find_server(nic);

	if (s == NULL)
		return -ENODEV;
	ebd_server_print_volumes(s, NULL, o);
	return 0;
}

__attribute__((constructor)) static void
register_commands(void)
{
	nic_telemetry_add("/mpnic/session",
		"Sessions of the server on a NIC. Parameters: NIC[,FIRST]", print_sessions);
	nic_telemetry_add("/mpnic/volume",
		"Volumes of the server on a NIC and their counters. Parameters: NIC[,FIRST]",
		print_volumes);
}
