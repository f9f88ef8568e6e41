/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What telemetry can be asked about the storage personality of a NIC. */

#include <errno.h>

#include "st_device.h"
#include "telemetry.h"

static int
print_payload(struct mpn_nic *nic, struct mpn_out *o)
{
	const struct st_nic *n = st_nic_find(nic);
	struct st_copy_stats sum;
	unsigned i;

	if (n == NULL || dev_st_nic_copy_stats(nic, &sum) < 0)
		return -ENODEV;
	st_copy_print(&sum, o);
	mpn_out_array(o, "queues");
	for (i = 0; i < n->nb_devices; i++) {
		const struct net_st_device *dev = n->devices[i];

		if (dev == NULL)
			continue;
		mpn_out_object(o, NULL);
		mpn_out_str(o, "volume", dev_st_geometry(dev)->name);
		mpn_out_u64(o, "index", i);
		st_copy_print(dev_st_copy_stats(dev), o);
		mpn_out_close(o);
	}
	mpn_out_close(o);
	return 0;
}

__attribute__((constructor)) static void
register_commands(void)
{
	nic_telemetry_add("/mpnic/payload",
		"Payload bytes of a NIC and of its queues: by fate and by site. Parameters: "
		"NIC[,FIRST]",
		print_payload);
}
