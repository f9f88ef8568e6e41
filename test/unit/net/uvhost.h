/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The face of vhost-net, in a network namespace of its own. The interface is the kernel's; the kernel that
 * carries its frames is a vhost port of this process, whose NIC stands for the host:
 *
 *	peer (library's face) == ring == nic (the face) == vhost == host (library's face)
 */

#ifndef UVHOST_H
#define UVHOST_H

#include "../nic/probe.h"
#include "mpn_net.h"
#include "net_int.h"

#define UVHOST_IFACE "uvhost0"

enum { NIC, PEER, HOST, NICS };

struct uvhost {
	struct mpn_nic *nic[NICS];
	struct mpn_personality *p[NICS];
	struct net_device *dev[NICS];
};

/* The way to vhost-net as the library has it; until uvhost_close() a test may change net_vhost_way. */
extern struct net_vhost_way uvhost_real_way;
/* What tells the driver of the vhost port instead. */
void uvhost_write_args(
	char *args, size_t size, const char *path, const char *iface, const uint8_t mac[6]);

/* One of them loads its network personality; its NIC is made before the first time. */
int uvhost_try_load(struct uvhost *t, unsigned which, const char *options);
void uvhost_load(struct uvhost *t, unsigned which, const char *options);
/* All of them, connected. */
void uvhost_open(struct uvhost *t);
void uvhost_close(struct uvhost *t);

/* In a namespace of its own; where it cannot be, the reason is printed. */
bool uvhost_can_run(void);
int uvhost_start(void **state);

#endif
