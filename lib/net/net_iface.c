/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <fcntl.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_arp.h>
#include <linux/if_tun.h>

#include <rte_ether.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "net_iface.h"

#define TUN_DEVICE "/dev/net/tun"
#define POOL_CACHE 32
/* A driver asks for room for tags and for a header of its own; and what is too long is seen. */
#define POOL_SLACK 64

int
net_iface_check_name(const char *name)
{
	if (name[0] != '\0' && strlen(name) < IF_NAMESIZE && strchr(name, '/') == NULL)
		return 0;
	return mpn_log_err(EINVAL, "net",
		"tap '%s': expected the name of an interface, at most %d characters", name,
		IF_NAMESIZE - 1);
}

int
net_iface_make(struct net_iface *iface, const char *name, int flags)
{
	struct ifreq ifr = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags)};

	iface->fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (iface->fd < 0)
		return -errno;
	if (mpn_copy_str(ifr.ifr_name, sizeof(ifr.ifr_name), name) < 0)
		return -EINVAL;
	if (ioctl(iface->fd, TUNSETIFF, &ifr) < 0) {
		int err = errno;

		/* That is how it says that it is another kind of interface. */
		return err == EINVAL && if_nametoindex(name) != 0 ? -EBUSY : -err;
	}
	memcpy(iface->name, ifr.ifr_name, sizeof(iface->name));
	net_iface_set_link(iface, false);
	return 0;
}

void
net_iface_close(struct net_iface *iface)
{
	if (iface->fd < 0)
		return;
	/* One that stays, because somebody else has made it, has whole frames for whoever comes next. */
	(void)ioctl(iface->fd, TUNSETOFFLOAD, 0ul);
	(void)close(iface->fd);
	iface->fd = -1;
}

int
net_iface_dress(const struct net_iface *iface, const struct mpn_nic_info *info)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {0};
	int rc = 0;

	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, iface->name, sizeof(ifr.ifr_name));
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, info->mac, sizeof(info->mac));
	if (ioctl(fd, SIOCSIFHWADDR, &ifr) < 0)
		rc = -errno;
	ifr.ifr_mtu = info->mtu;
	if (rc == 0 && ioctl(fd, SIOCSIFMTU, &ifr) < 0)
		rc = -errno;
	if (rc == 0 && ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		rc = -errno;
	ifr.ifr_flags |= IFF_UP;
	if (rc == 0 && ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		rc = -errno;
	(void)close(fd);
	return rc;
}

void
net_iface_set_link(const struct net_iface *iface, bool up)
{
	int in = up;

	(void)ioctl(iface->fd, TUNSETCARRIER, &in);
}

struct rte_mempool *
net_iface_make_pool(const struct mpn_nic_info *info, unsigned frames)
{
	static atomic_uint next;
	char name[RTE_MEMPOOL_NAMESIZE];
	uint32_t room = RTE_PKTMBUF_HEADROOM + info->max_frame + POOL_SLACK;

	(void)snprintf(name, sizeof(name), "mpn_tap%u", atomic_fetch_add(&next, 1));
	return rte_pktmbuf_pool_create(name, frames, POOL_CACHE, 0,
		(uint16_t)RTE_ALIGN_CEIL(room, RTE_CACHE_LINE_SIZE), info->socket_id);
}

struct rte_mempool *
net_iface_make_large_pool(const struct mpn_nic_info *info, unsigned pieces, uint16_t room)
{
	static atomic_uint next;
	char name[RTE_MEMPOOL_NAMESIZE];

	(void)snprintf(name, sizeof(name), "mpn_large%u", atomic_fetch_add(&next, 1));
	return rte_pktmbuf_pool_create(
		name, pieces, 0, 0, (uint16_t)(RTE_PKTMBUF_HEADROOM + room), info->socket_id);
}

int
net_iface_set_offload(const struct net_iface *iface, bool on)
{
	unsigned long what = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

	return ioctl(iface->fd, TUNSETOFFLOAD, on ? what : 0ul) < 0 ? -errno : 0;
}

const char *
net_iface_hint(int rc)
{
	return rc == -EPERM || rc == -EACCES ? ": needs root (CAP_NET_ADMIN)" : "";
}
