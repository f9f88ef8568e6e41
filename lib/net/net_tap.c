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

#include <rte_errno.h>

#include "mpn_log.h"
#include "net_iface.h"
#include "net_int.h"
#include "nic_pool.h"

#define TAP_FRAMES 1023 /* that the host has sent and that have not left yet */
#define TAP_BURST 16 /* system calls in one round at most */
#define TAP_PIECES 64 /* of one frame */
#define ASK_MIN_NS 1000
#define ASK_MAX_NS 50000

struct net_tap {
	struct net_iface iface;
	struct rte_mempool *pool;
	struct rte_mbuf *spare; /* for the next frame */
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
	net_iface_close(&tap->iface);
	rte_pktmbuf_free(tap->spare);
	mpn_nic_pool_retire(tap->pool);
	free(tap);
	dev->tap = NULL;
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
	rc = net_iface_make(&dev->tap->iface, conf->tap, 0);
	if (rc == 0) {
		dev->tap->pool = net_iface_make_pool(&info, TAP_FRAMES);
		if (dev->tap->pool == NULL)
			rc = -rte_errno;
	}
	if (rc == 0)
		rc = net_iface_dress(&dev->tap->iface, &info);
	if (rc == 0) {
		memcpy(dev->name, dev->tap->iface.name, sizeof(dev->name));
		return 0;
	}
	close_tap(dev);
	return mpn_log_err(
		-rc, "net", "tap '%s': %s%s", conf->tap, strerror(-rc), net_iface_hint(rc));
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
	return writev(tap->iface.fd, iov, n) > 0;
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
	len = read(tap->iface.fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));
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
