/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The kernel's face: a tap of the host, so that its own IP stack works over the port. A frame is a system
 * call, as it is in net_tap of DPDK; other than that it may be as long as the port's MTU allows, has a
 * cable that is plugged in and out with the port's link, and needs no signals. While the host is silent it
 * is asked less and less often: others use this thread.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include <rte_errno.h>

#include "mpn_log.h"
#include "net_iface.h"
#include "net_int.h"
#include "net_merge.h"
#include "net_sum.h"
#include "nic_pool.h"

#define TAP_FRAMES 1023 /* that the host has sent and that have not left yet */
#define TAP_BURST 16 /* system calls in one round at most */
#define TAP_PIECES 64 /* of one frame */
/* A frame that is to be cut has up to 64 KiB, most of them in these. */
#define LARGE_ROOM 16384
#define LARGE_PIECES 4
/* Who cuts them here has few at a time. */
#define LARGE_FEW 6
#define LARGE_MANY 64
#define ASK_MIN_NS 1000
#define ASK_MAX_NS 50000

struct net_tap {
	struct net_iface iface;
	struct rte_mempool *pool;
	struct rte_mbuf *spare; /* for the next frame */
	bool vnet; /* the kernel and we say something in front of each frame */
	struct rte_mempool *large; /* NULL: no frame is longer than the port's */
	struct rte_mbuf *more[LARGE_PIECES]; /* behind the spare one */
	uint64_t next_ask_ns;
	uint64_t ask_gap_ns;
};

/* ---- The interface ---- */

static void
close_tap(struct net_device *dev)
{
	struct net_tap *tap = dev->tap;

	if (tap == NULL)
		return;
	net_follow_end(dev);
	net_iface_close(&tap->iface);
	rte_pktmbuf_free(tap->spare);
	rte_pktmbuf_free_bulk(tap->more, LARGE_PIECES);
	mpn_nic_pool_retire(tap->pool);
	mpn_nic_pool_retire(tap->large);
	free(tap);
	dev->tap = NULL;
	dev->pool = NULL;
}

/*
 * A port may keep what it has sent until it needs the descriptors again: with all frames there none could be read that
 * would be sent after them. So there are more than it has descriptors for.
 */
static int
make_pools(struct net_device *dev, const struct mpn_nic_info *info)
{
	struct net_tap *tap = dev->tap;
	unsigned pieces = LARGE_PIECES * LARGE_FEW;

	if (info->tx_tso)
		pieces = LARGE_PIECES * LARGE_MANY + info->nb_txd;
	tap->pool = net_iface_make_pool(info, MPN_MAX(TAP_FRAMES, 2u * info->nb_txd));
	if (tap->pool != NULL && tap->vnet)
		tap->large = net_iface_make_large_pool(info, pieces, LARGE_ROOM);
	return tap->pool == NULL || (tap->vnet && tap->large == NULL) ? -rte_errno : 0;
}

static int
make_interface(struct net_device *dev, const struct net_conf *conf)
{
	struct net_tap *tap = dev->tap;
	int rc = net_iface_make(
		&tap->iface, conf->tap, conf->offload != NET_OFFLOAD_OFF ? IFF_VNET_HDR : 0);

	if (rc < 0)
		return rc;
	tap->vnet = conf->offload != NET_OFFLOAD_OFF;
	rc = net_iface_set_offload(&tap->iface, tap->vnet);
	if (rc < 0 && conf->offload == NET_OFFLOAD_ON)
		return rc;
	dev->offers_sums = dev->offers_tso = tap->vnet && rc == 0;
	dev->merges = tap->vnet;
	return 0;
}

static int
open_tap(struct net_device *dev, const struct net_conf *conf)
{
	struct mpn_nic_info info;
	int rc;

	dev->tap = calloc(1, sizeof(*dev->tap));
	if (dev->tap == NULL)
		return mpn_err(ENOMEM);
	mpn_nic_get_info(dev->nic, &info);
	rc = make_interface(dev, conf);
	if (rc == 0)
		rc = make_pools(dev, &info);
	if (rc == 0)
		rc = net_iface_dress(&dev->tap->iface, &info);
	if (rc == 0) {
		dev->pool = dev->tap->pool;
		net_follow_begin(dev, &dev->tap->iface);
		memcpy(dev->name, dev->tap->iface.name, sizeof(dev->name));
		return 0;
	}
	close_tap(dev);
	return mpn_log_err(
		-rc, "net", "tap '%s': %s%s", conf->tap, strerror(-rc), net_iface_hint(rc));
}

/* ---- Frames ---- */

static unsigned
add_pieces(struct iovec *iov, unsigned n, const struct rte_mbuf *m)
{
	for (; m != NULL && n < TAP_PIECES; m = m->next)
		iov[n++] = (struct iovec){rte_pktmbuf_mtod(m, void *), m->data_len};
	return m == NULL ? n : 0;
}

/* What is behind the header. */
static unsigned
add_data(struct iovec *iov, unsigned n, const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	for (; m != NULL && len > 0 && n < TAP_PIECES; m = m->next) {
		uint32_t here = m->data_len;

		if (off < here) {
			uint32_t bytes = MPN_MIN(here - off, len);

			iov[n++] = (struct iovec){rte_pktmbuf_mtod_offset(m, void *, off), bytes};
			len -= bytes;
			off = 0;
		} else {
			off -= here;
		}
	}
	return len == 0 ? n : 0;
}

/* @return how many frames went as one, 0: the kernel does not take it */
static unsigned
write_frames(struct net_device *dev, struct rte_mbuf *const *mbufs, unsigned n)
{
	struct iovec iov[TAP_PIECES];
	struct net_merge g;
	unsigned nb = 0, k = 1;

	if (dev->tap->vnet) {
		k = net_merge_next(&g, mbufs, n, dev->port_verifies);
		iov[nb++] = (struct iovec){&g.hdr, sizeof(g.hdr)};
	}
	if (!dev->tap->vnet || g.head_len == 0) {
		nb = add_pieces(iov, nb, mbufs[0]);
	} else {
		iov[nb++] = (struct iovec){g.head, g.head_len};
		for (unsigned i = 0; i < k && nb > 0; i++)
			nb = add_data(iov, nb, mbufs[i], g.head_len, g.data_len[i]);
	}
	if (nb == 0 || writev(dev->tap->iface.fd, iov, (int)nb) <= 0)
		return 0;
	dev->stats.rx_merged += k - 1;
	dev->stats.rx_verified += k == 1 && dev->tap->vnet && g.head_len != 0;
	return k;
}

static unsigned
deliver(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n)
{
	unsigned taken = 0, k;

	while (taken < n && (k = write_frames(dev, &mbufs[taken], n - taken)) > 0)
		taken += k;
	rte_pktmbuf_free_bulk(mbufs, taken);
	/* Who is spoken to is likely to answer. */
	if (taken > 0) {
		dev->tap->ask_gap_ns = 0;
		dev->tap->next_ask_ns = 0;
	}
	return taken;
}

static bool
have_room(struct net_tap *tap)
{
	if (tap->spare == NULL)
		tap->spare = rte_pktmbuf_alloc(tap->pool);
	if (tap->spare == NULL)
		return false;
	for (unsigned i = 0; tap->large != NULL && i < LARGE_PIECES; i++) {
		if (tap->more[i] == NULL)
			tap->more[i] = rte_pktmbuf_alloc(tap->large);
		if (tap->more[i] == NULL)
			return false;
	}
	return true;
}

/* So many bytes have come, into as many mbufs as that takes. */
static struct rte_mbuf *
take_spare(struct net_tap *tap, uint32_t len)
{
	struct rte_mbuf *m = tap->spare, *last = m;
	uint32_t room = rte_pktmbuf_tailroom(m), here = MPN_MIN(len, room);

	tap->spare = NULL;
	m->data_len = (uint16_t)here;
	m->pkt_len = len;
	for (unsigned i = 0; i < LARGE_PIECES && here < len; i++) {
		struct rte_mbuf *next = tap->more[i];
		uint32_t bytes = MPN_MIN(len - here, rte_pktmbuf_tailroom(next));

		next->data_len = (uint16_t)bytes;
		here += bytes;
		last->next = next;
		last = next;
		m->nb_segs++;
		tap->more[i] = NULL;
	}
	return m;
}

/* 1: a frame; 0: nothing there, or no memory: it stays with the kernel; -1: one that made no sense */
static int
read_frame(struct net_device *dev, struct rte_mbuf **mbuf)
{
	struct net_tap *tap = dev->tap;
	struct virtio_net_hdr hdr = {0};
	struct iovec iov[2 + LARGE_PIECES];
	int nb = 0;
	ssize_t len;

	if (!have_room(tap))
		return 0;
	if (tap->vnet)
		iov[nb++] = (struct iovec){&hdr, sizeof(hdr)};
	iov[nb++] = (struct iovec){
		rte_pktmbuf_mtod(tap->spare, void *), rte_pktmbuf_tailroom(tap->spare)};
	for (unsigned i = 0; tap->large != NULL && i < LARGE_PIECES; i++)
		iov[nb++] = (struct iovec){
			rte_pktmbuf_mtod(tap->more[i], void *), rte_pktmbuf_tailroom(tap->more[i])};
	len = readv(tap->iface.fd, iov, nb);
	if (tap->vnet)
		len -= (ssize_t)sizeof(hdr);
	if (len <= 0)
		return 0;
	*mbuf = take_spare(tap, (uint32_t)len);
	if (!tap->vnet || mpn_likely(net_sum_take(dev, *mbuf, &hdr)))
		return 1;
	dev->stats.tx_malformed++;
	rte_pktmbuf_free(*mbuf);
	return -1;
}

static unsigned
collect(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct net_tap *tap = dev->tap;
	unsigned got = 0, asked;
	int rc = 1;

	if (mpn_likely(now_ns < tap->next_ask_ns))
		return 0;
	n = MPN_MIN(n, TAP_BURST);
	for (asked = 0; asked < n && rc != 0; asked++) {
		rc = read_frame(dev, &mbufs[got]);
		got += rc > 0;
	}
	if (got > 0 || rc < 0)
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
	int rc = 1;

	for (unsigned i = 0; i < TAP_FRAMES && rc != 0; i++) {
		rc = read_frame(dev, &m);
		if (rc > 0)
			rte_pktmbuf_free(m);
	}
}

static void
set_link(struct net_device *dev, bool up)
{
	net_iface_set_link(&dev->tap->iface, up);
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
