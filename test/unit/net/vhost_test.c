/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The face of vhost-net, in a network namespace of its own. The interface is the kernel's; the kernel that
 * carries its frames is a vhost port of this process, whose NIC stands for the host:
 *
 *	peer (library's face) == ring == nic (the face) == vhost == host (library's face)
 */

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>

#include <rte_ethdev.h>

#include "../nic/probe.h"
#include "mpn_net.h"
#include "net_int.h"
#include "nic_pool.h"

#define TYPE 0x88b7 /* nobody's */
#define IFACE "uvhost0"
#define RING 128

enum { NIC, PEER, HOST, NICS };

struct bench {
	struct mpn_nic *nic[NICS];
	struct mpn_personality *p[NICS];
	struct net_device *dev[NICS];
};

static char sock[64];
static struct net_vhost_way real_way;
static int queue_fd;

/* ---- What stands for the kernel ---- */

static void
write_args(char *args, size_t size, const char *path, const char *iface, const uint8_t mac[6])
{
	(void)snprintf(
		args, size, "path=%s,queues=1,cq=0,queue_size=1024,mrg_rxbuf=1,in_order=0", sock);
}

/* As virtio-user does: without a queue that is switched on an interface has no cable. */
static void
open_queue(char *args, size_t size, const char *path, const char *iface, const uint8_t mac[6])
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE};

	queue_fd = open("/dev/net/tun", O_RDWR);
	assert_true(queue_fd >= 0);
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface);
	assert_int_equal(ioctl(queue_fd, TUNSETIFF, &ifr), 0);
	write_args(args, size, path, iface, mac);
}

static void
write_nonsense(char *args, size_t size, const char *path, const char *iface, const uint8_t mac[6])
{
	(void)snprintf(args, size, "nonsense=%s", iface);
}

static bool
is_running(const struct net_iface *iface)
{
	return true;
}

static bool
is_not_running(const struct net_iface *iface)
{
	return false;
}

/* ---- The bench ---- */

static int
try_load(struct bench *t, unsigned which, const char *options)
{
	static const char *const links[] = {[NIC] = "ring:vh", [PEER] = "ring:vh"};
	char link[80];

	(void)snprintf(link, sizeof(link), "vhost:%s", sock);
	if (t->nic[which] == NULL) {
		t->nic[which] = probe_nic(which == HOST ? link : links[which], which != PEER, 1500);
		assert_non_null(t->nic[which]);
		assert_int_equal(
			mpn_personality_define(t->nic[which], "net", NULL, &t->p[which]), 0);
	}
	return mpn_personality_load_text(t->p[which], options);
}

static void
load_net(struct bench *t, unsigned which, const char *options)
{
	assert_int_equal(try_load(t, which, options), 0);
	t->dev[which] = net_device_get(t->p[which]);
	assert_non_null(t->dev[which]);
}

static bool
is_connected(void *arg)
{
	const struct bench *t = arg;
	struct mpn_nic_info info;

	mpn_nic_get_info(t->nic[HOST], &info);
	return info.link_up && t->dev[NIC]->link_up;
}

static void
open_bench(struct bench *t)
{
	memset(t, 0, sizeof(*t));
	load_net(t, HOST, "ring=128");
	load_net(t, PEER, "ring=128");
	load_net(t, NIC, "tap=" IFACE ",vhost=on");
	assert_string_equal(t->dev[NIC]->face->name, "vhost");
	for (unsigned i = 0; i < NICS; i++)
		assert_int_equal(mpn_personality_start(t->p[i]), 0);
	assert_true(probe_poll_until(t->nic, NICS, is_connected, t, 5000));
}

static void
close_bench(struct bench *t)
{
	for (unsigned i = 0; i < NICS; i++) {
		if (t->nic[i] != NULL)
			mpn_nic_destroy(t->nic[i]);
	}
	assert_int_equal(if_nametoindex(IFACE), 0);
	net_vhost_way.path = "/dev/null";
	net_vhost_way.write_args = write_args;
	net_vhost_way.is_running = is_running;
}

static bool
send_frame(struct bench *t, unsigned from, uint32_t number, uint32_t len)
{
	struct rte_mbuf *m = probe_frame(t->nic[from], NULL, TYPE, number, len);

	assert_non_null(m);
	if (net_tx_burst(t->dev[from], &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

static unsigned
free_received(struct bench *t, unsigned which)
{
	struct rte_mbuf *mbufs[RING];
	unsigned n = net_rx_burst(t->dev[which], mbufs, RING);

	rte_pktmbuf_free_bulk(mbufs, n);
	return n;
}

/* ---- Frames ---- */

static uint32_t
length_of(uint32_t number)
{
	return 60 + number % 1455;
}

static void
check_frame(struct bench *t, unsigned from, const struct rte_mbuf *m, uint32_t number)
{
	struct rte_mbuf *sent = probe_frame(t->nic[from], NULL, TYPE, number, length_of(number));
	uint8_t frame[1514];

	assert_int_equal(m->pkt_len, length_of(number));
	assert_memory_equal(rte_pktmbuf_read(m, 0, m->pkt_len, frame),
		rte_pktmbuf_mtod(sent, void *), m->pkt_len);
	rte_pktmbuf_free(sent);
}

/* The kernel sends frames of its own when an interface comes up, but not to this one. */
static void
carry(struct bench *t, unsigned from, unsigned to, uint32_t frames)
{
	uint32_t sent = 0, got = 0;
	struct rte_mbuf *m;

	for (unsigned rounds = 0; got < frames && rounds < 1000000; rounds++) {
		while (sent < frames && sent - got < RING / 2 &&
			send_frame(t, from, sent, length_of(sent)))
			sent++;
		probe_poll(t->nic, NICS, 1);
		while (net_rx_burst(t->dev[to], &m, 1) == 1) {
			check_frame(t, from, m, got++);
			rte_pktmbuf_free(m);
		}
	}
	assert_int_equal(got, frames);
}

static void
test_frames_come_whole_and_in_order(void **state)
{
	const struct net_stats *stats;
	struct bench t;

	open_bench(&t);
	carry(&t, PEER, HOST, 3000);
	carry(&t, HOST, PEER, 3000);
	stats = net_device_get_stats(t.dev[NIC]);
	assert_int_equal(stats->rx_frames, 3000);
	assert_int_equal(stats->tx_frames, 3000);
	assert_int_equal(stats->rx_dropped, 0);
	assert_int_equal(stats->rx_bytes, stats->tx_bytes);
	close_bench(&t);
}

/* Frames the host does not take are lost and counted; not one is when the personality is unloaded. */
static void
test_a_host_that_takes_nothing(void **state)
{
	struct rte_mempool *pool;
	const struct net_stats *stats;
	unsigned before;
	struct bench t;

	open_bench(&t);
	pool = mpn_nic_rx_pool(t.nic[PEER]);
	before = rte_mempool_in_use_count(pool);
	for (uint32_t i = 0; i < 2000; i++) {
		assert_true(send_frame(&t, PEER, i, 60));
		probe_poll(t.nic, HOST, 2);
	}
	stats = net_device_get_stats(t.dev[NIC]);
	assert_int_equal(stats->rx_frames + stats->rx_dropped, 2000);
	/* The port's memory is not all the host's. */
	assert_in_range(stats->rx_frames, 64, 256);
	assert_in_range(rte_mempool_in_use_count(pool), before, before + 256);
	assert_int_equal(mpn_personality_stop(t.p[NIC]), 0);
	assert_int_equal(mpn_personality_unload(t.p[NIC]), 0);
	assert_int_equal(rte_mempool_in_use_count(pool), before);
	close_bench(&t);
}

/* The ring is empty again as soon as the host goes on. */
static void
test_a_host_that_was_late(void **state)
{
	const struct net_stats *stats;
	struct bench t;

	open_bench(&t);
	for (uint32_t i = 0; i < 300; i++) {
		assert_true(send_frame(&t, PEER, i, 60));
		probe_poll(t.nic, HOST, 2);
	}
	stats = net_device_get_stats(t.dev[NIC]);
	assert_true(stats->rx_dropped > 0);
	for (unsigned i = 0; i < 100; i++) {
		probe_poll(t.nic, NICS, 2);
		(void)free_received(&t, HOST);
	}
	carry(&t, PEER, HOST, 300);
	close_bench(&t);
}

static void
test_what_waits_at_start_is_old(void **state)
{
	struct bench t;

	open_bench(&t);
	assert_int_equal(mpn_personality_stop(t.p[NIC]), 0);
	for (uint32_t i = 0; i < 20; i++)
		assert_true(send_frame(&t, HOST, i, 60));
	probe_poll(t.nic, NICS, 4);
	assert_int_equal(mpn_personality_start(t.p[NIC]), 0);
	probe_poll(t.nic, NICS, 4);
	assert_int_equal(free_received(&t, PEER), 0);
	carry(&t, HOST, PEER, 10);
	close_bench(&t);
}

/* vhost-net could not read it. */
static void
test_memory_that_is_not_dpdks(void **state)
{
	static struct rte_mbuf_ext_shared_info info;
	static uint8_t outside[2048];
	struct rte_mbuf *m, *head;
	struct bench t;

	open_bench(&t);
	for (unsigned round = 0; round < 2; round++) {
		m = probe_frame(t.nic[PEER], NULL, TYPE, 0, length_of(0));
		memcpy(outside, rte_pktmbuf_mtod(m, void *), m->pkt_len);
		rte_pktmbuf_reset(m);
		info.free_cb = NULL;
		rte_mbuf_ext_refcnt_set(&info, 2); /* one more: nobody calls it */
		rte_pktmbuf_attach_extbuf(m, outside, RTE_BAD_IOVA, sizeof(outside), &info);
		m->data_len = (uint16_t)length_of(0);
		m->pkt_len = length_of(0);
		if (round == 1) { /* in its last segment */
			head = rte_pktmbuf_alloc(mpn_nic_rx_pool(t.nic[PEER]));
			memcpy(rte_pktmbuf_append(head, 20), outside, 20);
			rte_pktmbuf_adj(m, 20);
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
			m = head;
		}
		assert_int_equal(net_tx_burst(t.dev[PEER], &m, 1), 1);
		probe_poll(t.nic, HOST, 4);
		/* It has been copied, and is free. */
		assert_int_equal(rte_mbuf_ext_refcnt_read(&info), 1);
		memset(outside, 0, sizeof(outside));
		probe_poll(t.nic, NICS, 4);
		assert_int_equal(net_rx_burst(t.dev[HOST], &m, 1), 1);
		check_frame(&t, PEER, m, 0);
		rte_pktmbuf_free(m);
	}
	close_bench(&t);
}

static void
count_pool(struct rte_mempool *pool, void *arg)
{
	*(unsigned *)arg += strncmp(pool->name, "mpn_tap", 7) == 0;
}

static unsigned
count_pools(void)
{
	unsigned n = 0;

	rte_mempool_walk(count_pool, &n);
	return n;
}

/* A frame is somewhere else when the personality is unloaded: its memory goes when it comes back. */
static void
test_frames_that_are_late(void **state)
{
	struct rte_mbuf *m;
	struct bench t;

	open_bench(&t);
	assert_true(send_frame(&t, HOST, 0, 60));
	probe_poll(t.nic, NICS, 4);
	assert_int_equal(net_rx_burst(t.dev[PEER], &m, 1), 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(mpn_personality_stop(t.p[NIC]), 0);
		assert_int_equal(mpn_personality_unload(t.p[NIC]), 0);
		assert_int_equal(count_pools(), 1);
		load_net(&t, NIC, "tap=" IFACE ",vhost=on");
		assert_int_equal(count_pools(), i == 0 ? 2 : 1);
		assert_int_equal(mpn_personality_start(t.p[NIC]), 0);
		if (i == 0)
			rte_pktmbuf_free(m);
	}
	close_bench(&t);
}

/* ---- The interface ---- */

static bool
has_carrier(void)
{
	struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
	struct ifreq ifr = {.ifr_name = IFACE, .ifr_data = (void *)&link};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);
	return link.data != 0;
}

static void
test_the_interface_is_the_ports(void **state)
{
	struct ifreq ifr = {.ifr_name = IFACE};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct mpn_nic_info info;
	struct bench t;

	net_vhost_way.write_args = open_queue;
	open_bench(&t);
	mpn_nic_get_info(t.nic[NIC], &info);
	assert_int_equal(ioctl(fd, SIOCGIFHWADDR, &ifr), 0);
	assert_memory_equal(ifr.ifr_hwaddr.sa_data, info.mac, 6);
	assert_int_equal(ioctl(fd, SIOCGIFMTU, &ifr), 0);
	assert_int_equal(ifr.ifr_mtu, 1500);
	close(fd);
	assert_true(has_carrier());
	mpn_nic_destroy(t.nic[PEER]);
	t.nic[PEER] = NULL;
	probe_poll(&t.nic[NIC], 1, 2);
	assert_false(has_carrier());
	load_net(&t, PEER, "");
	probe_poll(t.nic, NICS, 2);
	assert_true(has_carrier());
	assert_int_equal(mpn_personality_stop(t.p[NIC]), 0);
	assert_false(has_carrier());
	assert_int_equal(mpn_personality_start(t.p[NIC]), 0);
	assert_true(has_carrier());
	close(queue_fd);
	close_bench(&t);
}

/* Nobody else finds its port among those that are free, and it goes with the personality. */
static void
test_the_port_is_hidden(void **state)
{
	unsigned before, found = 0;
	struct bench t;
	uint16_t port;

	open_bench(&t);
	before = rte_eth_dev_count_total();
	RTE_ETH_FOREACH_DEV(port)
		found++;
	assert_int_equal(found, 0);
	assert_int_equal(mpn_personality_stop(t.p[NIC]), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(mpn_personality_unload(t.p[NIC]), 0);
		assert_int_equal(rte_eth_dev_count_total(), before - 1);
		assert_int_equal(if_nametoindex(IFACE), 0);
		load_net(&t, NIC, "tap=" IFACE ",vhost=on");
		assert_int_equal(rte_eth_dev_count_total(), before);
	}
	close_bench(&t);
}

/* ---- Which face ---- */

static const char *
get_face(struct bench *t, const char *options)
{
	struct net_device *dev;
	const char *name;

	assert_int_equal(try_load(t, NIC, options), 0);
	dev = net_device_get(t->p[NIC]);
	name = dev->face->name;
	assert_int_equal(mpn_personality_unload(t->p[NIC]), 0);
	return name;
}

/* It is refused where it is asked for, with one line, and nothing is left; else a plain tap does. */
static void
check_refused(struct bench *t, int rc, const char *why)
{
	unsigned ports = rte_eth_dev_count_total();

	probe_catch_log();
	assert_int_equal(try_load(t, NIC, "tap=" IFACE ",vhost=on"), rc);
	assert_non_null(strstr(probe_release_log(), why));
	assert_int_equal(probe_log_lines(), 1);
	assert_int_equal(rte_eth_dev_count_total(), ports);
	assert_int_equal(if_nametoindex(IFACE), 0);
	assert_string_equal(get_face(t, "tap=" IFACE), "tap");
	assert_string_equal(get_face(t, "tap=" IFACE ",vhost=auto"), "tap");
	assert_int_equal(rte_eth_dev_count_total(), ports);
	assert_int_equal(if_nametoindex(IFACE), 0);
}

static void
test_a_kernel_without_it(void **state)
{
	struct bench t = {0};

	load_net(&t, HOST, "");
	assert_string_equal(get_face(&t, "tap=" IFACE), "vhost");
	assert_string_equal(get_face(&t, "vhost=auto,tap=" IFACE), "vhost");
	assert_string_equal(get_face(&t, "tap=" IFACE ",vhost=off"), "tap");
	net_vhost_way.path = "/dev/no-such-device";
	check_refused(&t, -ENOENT, "vhost=on: /dev/no-such-device: No such file");
	assert_string_equal(get_face(&t, "tap=" IFACE ",vhost=off"), "tap");
	assert_string_equal(get_face(&t, "vhost=auto"), "library");
	close_bench(&t);
}

static void
test_a_driver_that_refuses(void **state)
{
	struct bench t = {0};

	load_net(&t, HOST, "");
	assert_string_equal(get_face(&t, "tap=" IFACE), "vhost");
	net_vhost_way.is_running = is_not_running;
	check_refused(&t, -EIO, "an interface of vhost-net");
	net_vhost_way.write_args = write_nonsense;
	check_refused(&t, -EIO, "an interface of vhost-net");
	/* As it is without vhost-net, of which /dev/null knows nothing. */
	net_vhost_way.write_args = real_way.write_args;
	check_refused(&t, -EIO, "an interface of vhost-net");
	close_bench(&t);
}

/* Two that share an interface would each get some of its frames. */
static void
test_a_name_that_is_taken(void **state)
{
	struct bench t = {0};

	load_net(&t, HOST, "");
	load_net(&t, PEER, "tap=" IFACE ",vhost=off");
	probe_catch_log();
	assert_int_equal(try_load(&t, NIC, "tap=" IFACE ",vhost=on"), -EBUSY);
	assert_int_equal(try_load(&t, NIC, "tap=" IFACE), -EBUSY);
	assert_int_equal(try_load(&t, NIC, "tap=lo"), -EBUSY);
	(void)probe_release_log();
	assert_int_equal(mpn_personality_unload(t.p[PEER]), 0);
	load_net(&t, NIC, "tap=" IFACE ",vhost=on");
	probe_catch_log();
	assert_int_equal(try_load(&t, PEER, "tap=" IFACE ",vhost=on"), -EBUSY);
	assert_int_equal(try_load(&t, PEER, "tap=" IFACE ",vhost=off"), -EBUSY);
	(void)probe_release_log();
	close_bench(&t);
}

static void
test_wrong_options(void **state)
{
	static const char *const wrong[] = {"vhost=on", "tap=" IFACE ",vhost=", "vhost=yes",
		"tap=" IFACE ",vhost=ON", "tap=" IFACE ",vhost", "tap=a/b,vhost=on"};
	struct net_conf conf = {.tap = "a,b=c", .vhost = NET_VHOST_ON};
	struct bench t = {0};

	load_net(&t, HOST, "");
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(wrong); i++) {
		probe_catch_log();
		assert_int_equal(try_load(&t, NIC, wrong[i]), -EINVAL);
		(void)probe_release_log();
		assert_int_equal(probe_log_lines(), 1);
		assert_int_equal(mpn_personality_state(t.p[NIC]), MPN_PERS_DEFINED);
	}
	/* An interface may be called so, but the driver could not be told. */
	probe_catch_log();
	assert_int_equal(mpn_personality_load(t.p[NIC], &conf), -EINVAL);
	(void)probe_release_log();
	conf.vhost = NET_VHOST_AUTO;
	assert_int_equal(mpn_personality_load(t.p[NIC], &conf), 0);
	assert_string_equal(net_device_get(t.p[NIC])->face->name, "tap");
	assert_string_equal(net_device_get(t.p[NIC])->name, "a,b=c");
	assert_int_equal(mpn_personality_unload(t.p[NIC]), 0);
	/* The kernel completes the name. */
	conf = (struct net_conf){.tap = "uv%d", .vhost = NET_VHOST_ON};
	assert_int_equal(mpn_personality_load(t.p[NIC], &conf), 0);
	assert_string_equal(net_device_get(t.p[NIC])->name, "uv0");
	assert_int_not_equal(if_nametoindex("uv0"), 0);
	close_bench(&t);
}

static int
start(void **state)
{
	(void)snprintf(sock, sizeof(sock), "/tmp/mpn-uvhost-%d.sock", (int)getpid());
	real_way = net_vhost_way;
	net_vhost_way = (struct net_vhost_way){
		.path = "/dev/null",
		.driver = real_way.driver,
		.write_args = write_args,
		.is_running = is_running,
	};
	return probe_eal_start("ring:vh", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_come_whole_and_in_order),
		cmocka_unit_test(test_a_host_that_takes_nothing),
		cmocka_unit_test(test_a_host_that_was_late),
		cmocka_unit_test(test_what_waits_at_start_is_old),
		cmocka_unit_test(test_memory_that_is_not_dpdks),
		cmocka_unit_test(test_frames_that_are_late),
		cmocka_unit_test(test_the_interface_is_the_ports),
		cmocka_unit_test(test_the_port_is_hidden),
		cmocka_unit_test(test_a_kernel_without_it),
		cmocka_unit_test(test_a_driver_that_refuses),
		cmocka_unit_test(test_a_name_that_is_taken),
		cmocka_unit_test(test_wrong_options),
	};

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
		fprintf(stderr, "skipped: needs root and /dev/net/tun\n");
		return 77;
	}
	return cmocka_run_group_tests_name("vhost", tests, start, probe_eal_stop);
}
