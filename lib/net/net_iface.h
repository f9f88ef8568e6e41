/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * An interface of the host's kernel that is there as long as somebody has it open: what the kernel's faces
 * have in common.
 */

#ifndef NET_IFACE_H
#define NET_IFACE_H

#include <net/if.h>
#include <stdbool.h>

#include <rte_mbuf.h>

#include "mpn_nic.h"

struct net_iface {
	int fd; /* of the tun driver, below 0: none */
	char name[IF_NAMESIZE];
};

/* May an interface be called so? Logs when not. 0, -EINVAL */
int net_iface_check_name(const char *name) MPN_MUST_CHECK;

/*
 * Make it: flags beside IFF_TAP and IFF_NO_PI. The kernel may complete the name. Its cable is out. Logs
 * nothing. 0, -errno: -EBUSY, the name is somebody's; net_iface_close() in both cases
 */
int net_iface_make(struct net_iface *iface, const char *name, int flags) MPN_MUST_CHECK;
void net_iface_close(struct net_iface *iface);

/* It looks as the port does, and is up. Logs nothing. 0, -errno */
int net_iface_dress(const struct net_iface *iface, const struct mpn_nic_info *info) MPN_MUST_CHECK;

/*
 * Its cable is plugged in, or pulled out, in whatever network namespace the interface is by now. Older
 * kernels have no such call: there it is always plugged in.
 */
void net_iface_set_link(const struct net_iface *iface, bool up);

/* Frames that are read from it, each in one piece. NULL with rte_errno set */
struct rte_mempool *net_iface_make_pool(const struct mpn_nic_info *info, unsigned frames);

/* Pieces of frames that are longer than the port's. NULL with rte_errno set */
struct rte_mempool *
net_iface_make_large_pool(const struct mpn_nic_info *info, unsigned pieces, uint16_t room);

/*
 * May the kernel hand frames over whose checksum is not filled in, and that are still to be cut? It asks for
 * IFF_VNET_HDR. An interface that somebody else has made keeps what it was told last. 0, -errno: an old kernel
 */
int net_iface_set_offload(const struct net_iface *iface, bool on) MPN_MUST_CHECK;

/* What to say of a failure. */
const char *net_iface_hint(int rc);

#endif
