/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Virtual devices of DPDK that are made and taken out while it runs (not installed).
 */

#ifndef VDEV_H
#define VDEV_H

#include <stddef.h>
#include <stdint.h>

#include "mpn_err.h"

/* Make one, with a name of its own, which is written to name, and find its port. Logs nothing. 0, -errno */
int vdev_plug(const char *driver, const char *args, char *name, size_t size,
	uint16_t *port_id) MPN_MUST_CHECK;
/* Close the port, which is stopped, and take its device out; nothing when somebody has closed it already. */
void vdev_unplug(uint16_t port_id);

#endif
