/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The kernel's face without a system call a frame: a ring shared with vhost-net, on whose other side a
 * thread of the kernel carries frames to and from an interface. DPDK's virtio-user is this side of it.
 *
 *	net_vhost -- port of virtio-user == ring == vhost-net -- queue 0 --.
 *	    '------- a queue of our own, switched off ----------------------'-- interface
 *
 * The queue of our own carries no frames. It makes the interface and keeps hold of it: by it the cable is
 * plugged in and out, even when somebody has moved the interface to another network namespace.
 */

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include "eal_log.h"
#include "mpn_log.h"
#include "net_iface.h"
#include "net_int.h"
#include "net_sum.h"
#include "nic_pool.h"
#include "vdev.h"

#define QUEUE_SIZE 1024
/* The kernel has a queue of its own behind the one, and frames of the port's are in the other. */
#define RX_DESCS 512
#define TX_DESCS 256
/* What it has taken is freed at the next burst, not when the ring is nearly full: it is the port's memory. */
#define TX_FREE_THRESH (QUEUE_SIZE - 4)
/* As many are on their way as wait to be filled. */
#define FRAMES (2 * RX_DESCS - 1)
#define SEGMENTS 511
#define TAKES \
	(RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_LRO)
#define FLUSH_SILENCE_NS 200000
#define FLUSH_MAX_NS 5000000
#define FRAME_OVERHEAD (RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN)
#define NO_PORT RTE_MAX_ETHPORTS
/* In arguments of a device they mean something. */
#define ARG_SIGNS ",=[]()\"' "

struct net_vhost {
	struct net_iface iface;
	struct rte_mempool *pool; /* that the kernel fills */
	/* For what is cut: else frames that wait for it could have all the memory that it takes. */
	struct rte_mempool *segments;
	uint16_t port_id;
	bool offload; /* the kernel leaves checksums and long frames to us */
	bool started;
};

/* ---- The device ---- */

static void
write_args(char *args, size_t size, const char *path, const char *iface, const uint8_t mac[6])
{
	(void)snprintf(args, size,
		"path=%s,iface=%s,queues=1,cq=0,queue_size=%d,mrg_rxbuf=1,in_order=0,"
		"mac=%02x:%02x:%02x:%02x:%02x:%02x",
		path, iface, QUEUE_SIZE, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/*
 * The driver does not say so when the kernel refuses it, which would be a network without frames. The last
 * that it does is to choose the header of the frames.
 */
static bool
is_running(const struct net_iface *iface)
{
	int size = 0;

	return ioctl(iface->fd, TUNGETVNETHDRSZ, &size) == 0 &&
	       size == sizeof(struct virtio_net_hdr_mrg_rxbuf);
}

struct net_vhost_way net_vhost_way = {
	.path = "/dev/vhost-net",
	.driver = "net_virtio_user",
	.write_args = write_args,
	.is_running = is_running,
};

/* Ours alone: whoever looks for ports does not find it. */
static int
claim_port(uint16_t port_id)
{
	struct rte_eth_dev_owner owner = {.name = "mpnic net"};
	int rc = rte_eth_dev_owner_new(&owner.id);

	return rc < 0 ? rc : rte_eth_dev_owner_set(port_id, &owner);
}

static int
set_queues_up(struct net_vhost *v, int socket_id)
{
	struct rte_eth_dev_info info;
	struct rte_eth_txconf tx;
	int rc = rte_eth_dev_info_get(v->port_id, &info);

	if (rc < 0)
		return rc;
	tx = info.default_txconf;
	tx.tx_free_thresh = TX_FREE_THRESH;
	rc = rte_eth_rx_queue_setup(
		v->port_id, 0, RX_DESCS, (unsigned)socket_id, &info.default_rxconf, v->pool);
	return rc < 0 ? rc
		      : rte_eth_tx_queue_setup(v->port_id, 0, TX_DESCS, (unsigned)socket_id, &tx);
}

/* What the kernel may leave to us is what the driver calls receive offloads. */
static int
choose_offload(struct net_vhost *v, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf,
	enum net_offload_use use)
{
	bool can = (info->rx_offload_capa & TAKES) == TAKES;

	v->offload = use != NET_OFFLOAD_OFF && can;
	if (v->offload)
		conf->rxmode.offloads = TAKES;
	return use == NET_OFFLOAD_ON && !can ? -EOPNOTSUPP : 0;
}

/* What the driver says it can take bounds its own checks only: longer frames pass, each in one piece. */
static int
start_port(struct net_vhost *v, const struct mpn_nic_info *nic, enum net_offload_use use)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(v->port_id, &info);

	if (rc < 0)
		return rc;
	conf.rxmode.mtu = RTE_MIN(nic->mtu, info.max_mtu);
	conf.rxmode.mtu = RTE_MIN(conf.rxmode.mtu, info.max_rx_pktlen - FRAME_OVERHEAD);
	rc = choose_offload(v, &info, &conf, use);
	if (rc == 0)
		rc = rte_eth_dev_configure(v->port_id, 1, 1, &conf);
	if (rc == 0)
		rc = set_queues_up(v, nic->socket_id);
	if (rc == 0)
		rc = rte_eth_dev_start(v->port_id);
	v->started = rc == 0;
	return rc;
}

static int
plug_port(struct net_vhost *v, const struct mpn_nic_info *nic, enum net_offload_use use)
{
	char args[256], name[RTE_DEV_NAME_MAX_LEN];
	int rc;

	net_vhost_way.write_args(args, sizeof(args), net_vhost_way.path, v->iface.name, nic->mac);
	rc = vdev_plug(net_vhost_way.driver, args, name, sizeof(name), &v->port_id);
	if (rc == 0)
		rc = claim_port(v->port_id);
	if (rc == 0)
		rc = start_port(v, nic, use);
	if (rc == 0 && !net_vhost_way.is_running(&v->iface))
		rc = -EIO;
	/* Drivers say this of whatever went wrong. */
	return rc == -1 ? -EIO : rc;
}

/* ---- The interface ---- */

/*
 * A queue of ours that the kernel gives no frames: the one that virtio-user opens next gets them all. Of an
 * interface that is there already we would share its frames with whoever has it open.
 */
static int
make_interface(struct net_vhost *v, const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_DETACH_QUEUE};
	int rc = net_iface_make(&v->iface, name, IFF_VNET_HDR | IFF_MULTI_QUEUE | IFF_TUN_EXCL);

	if (rc < 0)
		return rc;
	if (strpbrk(v->iface.name, ARG_SIGNS) != NULL)
		return -EINVAL;
	return ioctl(v->iface.fd, TUNSETQUEUE, &ifr) < 0 ? -errno : 0;
}

static int
check_device(void)
{
	int fd = open(net_vhost_way.path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

/* The driver tells in several lines what ends as one of ours. */
static int
set_up(struct net_vhost *v, const struct net_conf *conf, const struct mpn_nic_info *nic)
{
	int rc = make_interface(v, conf->tap);

	if (rc < 0)
		return rc;
	v->pool = net_iface_make_pool(nic, FRAMES);
	v->segments = net_iface_make_pool(nic, SEGMENTS);
	if (v->pool == NULL || v->segments == NULL)
		return -rte_errno;
	eal_log_quiet(true);
	rc = plug_port(v, nic, conf->offload);
	eal_log_quiet(false);
	return rc < 0 ? rc : net_iface_dress(&v->iface, nic);
}

static void
close_vhost(struct net_device *dev)
{
	struct net_vhost *v = dev->vhost;

	if (v == NULL)
		return;
	if (v->started)
		(void)rte_eth_dev_stop(v->port_id);
	if (v->port_id != NO_PORT)
		vdev_unplug(v->port_id);
	net_follow_end(dev);
	net_iface_close(&v->iface);
	mpn_nic_pool_retire(v->pool);
	mpn_nic_pool_retire(v->segments);
	free(v);
	dev->vhost = NULL;
	dev->pool = NULL;
	dev->offers_sums = dev->offers_tso = false;
}

/* Where it is not asked for by name a plain tap does as well. */
static int
refuse(const struct net_conf *conf, int rc, const char *what)
{
	if (conf->vhost == NET_VHOST_ON)
		return mpn_log_err(-rc, "net", "tap '%s': vhost=on: %s: %s%s", conf->tap, what,
			strerror(-rc), net_iface_hint(rc));
	mpn_log(MPN_LOG_INFO, "net", "tap '%s': a plain tap: %s: %s", conf->tap, what,
		strerror(-rc));
	return rc;
}

static int
open_vhost(struct net_device *dev, const struct net_conf *conf)
{
	struct mpn_nic_info info;
	int rc = check_device();

	if (rc < 0)
		return refuse(conf, rc, net_vhost_way.path);
	dev->vhost = calloc(1, sizeof(*dev->vhost));
	if (dev->vhost == NULL)
		return mpn_err(ENOMEM);
	dev->vhost->iface.fd = -1;
	dev->vhost->port_id = NO_PORT;
	mpn_nic_get_info(dev->nic, &info);
	rc = set_up(dev->vhost, conf, &info);
	if (rc == 0) {
		dev->pool = dev->vhost->segments;
		dev->offers_sums = dev->offers_tso = dev->vhost->offload;
		memcpy(dev->name, dev->vhost->iface.name, sizeof(dev->name));
		net_follow_begin(dev, &dev->vhost->iface);
		return 0;
	}
	close_vhost(dev);
	return refuse(conf, rc, "an interface of vhost-net");
}

/* ---- Frames ---- */

/* vhost-net reads DPDK's memory and no other. */
static bool
is_elsewhere(const struct rte_mbuf *m)
{
	for (; m != NULL; m = m->next) {
		if (mpn_unlikely(RTE_MBUF_HAS_EXTBUF(m)))
			return true;
	}
	return false;
}

/* @return frames at the beginning that it can read; one that there is no memory for is not among them */
static unsigned
bring_near(struct net_vhost *v, struct rte_mbuf **mbufs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *copy;

		if (mpn_likely(!is_elsewhere(mbufs[i])))
			continue;
		copy = rte_pktmbuf_copy(mbufs[i], v->pool, 0, UINT32_MAX);
		if (copy == NULL)
			return i;
		rte_pktmbuf_free(mbufs[i]);
		mbufs[i] = copy;
	}
	return n;
}

static unsigned
deliver(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n)
{
	n = bring_near(dev->vhost, mbufs, n);
	return rte_eth_tx_burst(dev->vhost->port_id, 0, mbufs, (uint16_t)n);
}

static unsigned
collect(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	unsigned good = 0;

	if (n == 0)
		return 0;
	n = rte_eth_rx_burst(dev->vhost->port_id, 0, mbufs, (uint16_t)n);
	for (unsigned i = 0; i < n; i++) {
		if (mpn_likely(net_sum_take_flags(dev, mbufs[i]))) {
			mbufs[good++] = mbufs[i];
			continue;
		}
		dev->stats.tx_malformed++;
		rte_pktmbuf_free(mbufs[i]);
	}
	return good;
}

/* What was not collected is the kernel's still, as with a tap. */
static bool
waits(const struct net_device *dev)
{
	return false;
}

/*
 * What was sent before the personality ran was not sent to this network. The kernel has a queue behind the
 * ring: as soon as there is room its thread brings more.
 */
static void
flush(struct net_device *dev)
{
	uint64_t now = mpn_now_ns();
	uint64_t end = now + FLUSH_MAX_NS, silent = now + FLUSH_SILENCE_NS;
	struct rte_mbuf *mbufs[MPN_BURST];

	for (; now < end && now < silent; now = mpn_now_ns()) {
		unsigned n = collect(dev, mbufs, MPN_BURST, now);

		rte_pktmbuf_free_bulk(mbufs, n);
		if (n > 0)
			silent = now + FLUSH_SILENCE_NS;
	}
}

static void
set_link(struct net_device *dev, bool up)
{
	net_iface_set_link(&dev->vhost->iface, up);
}

const struct net_face net_vhost_face = {
	.name = "vhost",
	.open = open_vhost,
	.close = close_vhost,
	.deliver = deliver,
	.collect = collect,
	.waits = waits,
	.flush = flush,
	.set_link = set_link,
};
