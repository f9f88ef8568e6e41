/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The kernel's face: a tap of the host, so that its own IP stack works over the port. A frame is a system
 * call, as it is in net_tap of DPDK; other than that it may be as long as the port's MTU allows, has a
 * cable that is plugged in and out with the port's link, and needs no signals. While the host is silent it
 * is asked less and less often: others use this thread.
 */

#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_arp.h>
#include <linux/if_tun.h>

#include <rte_errno.h>
#include <rte_ether.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "net_int.h"
#include "nic_pool.h"

#define TUN_DEVICE "/dev/net/tun"
#define TAP_FRAMES 1023 /* that the host has sent and that have not left yet */
#define TAP_CACHE 32
#define TAP_BURST 16 /* system calls in one round at most */
#define TAP_PIECES 64 /* of one frame */
#define ASK_MIN_NS 1000
#define ASK_MAX_NS 50000

struct net_tap {
	int fd;
	struct rte_mempool *pool;
	struct rte_mbuf *spare; /* for the next frame */
	uint64_t next_ask_ns;
	uint64_t ask_gap_ns;
};

/* ---- The interface ---- */

static int
make_interface(struct net_tap *tap, struct ifreq *ifr)
{
	tap->fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return -errno;
	ifr->ifr_flags = IFF_TAP | IFF_NO_PI;
	return ioctl(tap->fd, TUNSETIFF, ifr) < 0 ? -errno : 0;
}

/* What it shows is the port's; the cable is out until the personality starts. */
static int
dress_interface(struct net_tap *tap, const struct ifreq *named, const struct mpn_nic_info *info)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = *named;
	int out = 0, rc = 0;

	if (fd < 0)
		return -errno;
	(void)ioctl(tap->fd, TUNSETCARRIER, &out);
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

static int
make_pool(struct net_tap *tap, const struct mpn_nic_info *info)
{
	static atomic_uint next;
	char name[RTE_MEMPOOL_NAMESIZE];
	/* One byte more than may be sent: what is too long is seen. */
	uint32_t room = RTE_PKTMBUF_HEADROOM + info->max_frame + RTE_VLAN_HLEN + 1;

	(void)snprintf(name, sizeof(name), "mpn_tap%u", atomic_fetch_add(&next, 1));
	tap->pool = rte_pktmbuf_pool_create(name, TAP_FRAMES, TAP_CACHE, 0,
		(uint16_t)RTE_ALIGN_CEIL(room, RTE_CACHE_LINE_SIZE), info->socket_id);
	return tap->pool != NULL ? 0 : -rte_errno;
}

static void
close_tap(struct net_device *dev)
{
	struct net_tap *tap = dev->tap;

	if (tap == NULL)
		return;
	if (tap->fd >= 0)
		(void)close(tap->fd);
	rte_pktmbuf_free(tap->spare);
	mpn_nic_pool_retire(tap->pool);
	free(tap);
	dev->tap = NULL;
}

static int
open_tap(struct net_device *dev, const struct net_conf *conf)
{
	struct ifreq ifr = {0};
	struct mpn_nic_info info;
	int rc;

	if (strchr(conf->tap, '/') != NULL ||
		mpn_copy_str(ifr.ifr_name, sizeof(ifr.ifr_name), conf->tap) < 0)
		return mpn_log_err(EINVAL, "net",
			"tap '%s': expected the name of an interface, at most %d characters",
			conf->tap, IFNAMSIZ - 1);
	dev->tap = calloc(1, sizeof(*dev->tap));
	if (dev->tap == NULL)
		return mpn_err(ENOMEM);
	mpn_nic_get_info(dev->nic, &info);
	rc = make_interface(dev->tap, &ifr);
	if (rc == 0)
		rc = make_pool(dev->tap, &info);
	if (rc == 0)
		rc = dress_interface(dev->tap, &ifr, &info);
	if (rc == 0)
		return 0;
	close_tap(dev);
	return mpn_log_err(-rc, "net", "tap '%s': %s%s", conf->tap, strerror(-rc),
		rc == -EPERM || rc == -EACCES ? ": needs root (CAP_NET_ADMIN)" : "");
}

/* ---- Frames ---- */

static bool
write_frame(const struct net_tap *tap, const struct rte_mbuf *m)
{
	struct iovec iov[TAP_PIECES];
	int n = 0;

	if (m->nb_segs > TAP_PIECES)
		return false;
	for (; m != NULL; m = m->next)
		iov[n++] = (struct iovec){rte_pktmbuf_mtod(m, void *), m->data_len};
	return writev(tap->fd, iov, n) > 0;
}

static unsigned
deliver(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n)
{
	unsigned taken = 0;

	while (taken < n && write_frame(dev->tap, mbufs[taken]))
		taken++;
	rte_pktmbuf_free_bulk(mbufs, taken);
	/* Who is spoken to is likely to answer. */
	if (taken > 0) {
		dev->tap->ask_gap_ns = 0;
		dev->tap->next_ask_ns = 0;
	}
	return taken;
}

/* NULL: nothing there, or no memory: it stays with the kernel. */
static struct rte_mbuf *
read_frame(struct net_tap *tap)
{
	struct rte_mbuf *m = tap->spare != NULL ? tap->spare : rte_pktmbuf_alloc(tap->pool);
	ssize_t len;

	tap->spare = NULL;
	if (m == NULL)
		return NULL;
	len = read(tap->fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));
	if (len <= 0) {
		tap->spare = m;
		return NULL;
	}
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	return m;
}

static unsigned
collect(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct net_tap *tap = dev->tap;
	unsigned got = 0;

	if (mpn_likely(now_ns < tap->next_ask_ns))
		return 0;
	n = MPN_MIN(n, TAP_BURST);
	while (got < n && (mbufs[got] = read_frame(tap)) != NULL)
		got++;
	if (got > 0)
		tap->ask_gap_ns = 0;
	else if (n > 0)
		tap->ask_gap_ns = MPN_MIN(MPN_MAX(2 * tap->ask_gap_ns, ASK_MIN_NS), ASK_MAX_NS);
	tap->next_ask_ns = now_ns + tap->ask_gap_ns;
	return got;
}

/* What the kernel has not handed over yet is the kernel's. */
static bool
waits(const struct net_device *dev)
{
	return false;
}

/* What was sent before the personality ran was not sent to this network. */
static void
flush(struct net_device *dev)
{
	struct rte_mbuf *m;

	for (unsigned i = 0; i < TAP_FRAMES && (m = read_frame(dev->tap)) != NULL; i++)
		rte_pktmbuf_free(m);
}

/* Older kernels have no such call: there it is always plugged in. */
static void
set_link(struct net_device *dev, bool up)
{
	int in = up;

	(void)ioctl(dev->tap->fd, TUNSETCARRIER, &in);
}

const struct net_face net_tap_face = {
	.name = "tap",
	.open = open_tap,
	.close = close_tap,
	.deliver = deliver,
	.collect = collect,
	.waits = waits,
	.flush = flush,
	.set_link = set_link,
};
