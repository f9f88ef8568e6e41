/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The kernel's face of the network personality, in a network namespace of its own. */

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>

#include <rte_ether.h>

#include "../nic/probe.h"
#include "mpn_net.h"

#define TYPE 0x88b7 /* nobody's */

struct host {
	struct mpn_nic *nic[2]; /* the host's, and a program's at the other end */
	struct mpn_personality *p[2];
	struct net_device *dev[2];
	int fd; /* of the host, on the tap */
};

static void
load_net(struct host *t, unsigned end, const char *options)
{
	t->nic[end] = probe_nic("ring:tap", end == 0, 1500);
	assert_non_null(t->nic[end]);
	assert_int_equal(mpn_personality_define(t->nic[end], "net", NULL, &t->p[end]), 0);
	assert_int_equal(mpn_personality_load_text(t->p[end], options), 0);
	t->dev[end] = net_device_get(t->p[end]);
}

static bool
has_carrier(const char *name)
{
	struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
	struct ifreq ifr = {.ifr_data = (void *)&link};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);
	return link.data != 0;
}

static void
open_host(struct host *t)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(TYPE)};

	load_net(t, 0, "tap=utap0,vhost=off");
	load_net(t, 1, "ring=64");
	assert_int_equal(mpn_personality_start(t->p[0]), 0);
	assert_int_equal(mpn_personality_start(t->p[1]), 0);
	probe_poll(t->nic, 2, 2);
	t->fd = socket(AF_PACKET, SOCK_RAW, htons(TYPE));
	assert_true(t->fd >= 0);
	at.sll_ifindex = (int)if_nametoindex("utap0");
	assert_int_not_equal(at.sll_ifindex, 0);
	assert_int_equal(bind(t->fd, (struct sockaddr *)&at, sizeof(at)), 0);
}

static void
close_host(struct host *t)
{
	close(t->fd);
	mpn_nic_destroy(t->nic[1]);
	mpn_nic_destroy(t->nic[0]);
	assert_int_equal(if_nametoindex("utap0"), 0);
}

static void
make_raw(struct host *t, uint8_t *frame, uint16_t type, size_t len)
{
	struct mpn_nic_info peer, own;

	mpn_nic_get_info(t->nic[0], &own);
	mpn_nic_get_info(t->nic[1], &peer);
	memset(frame, 0x5a, len);
	memcpy(frame, peer.mac, 6);
	memcpy(frame + 6, own.mac, 6);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
}

static bool
has_sent(void *arg)
{
	const struct host *t = arg;

	return net_device_get_stats(t->dev[0])->tx_frames > 0;
}

static bool
has_refused(void *arg)
{
	const struct host *t = arg;

	return net_device_get_stats(t->dev[0])->tx_reserved > 0;
}

static void
test_from_the_host(void **state)
{
	struct probe probe = {0};
	uint8_t frame[1514];
	struct rte_mbuf *m;
	struct host t;
	unsigned got = 0;

	open_host(&t);
	probe_start(t.nic[0], &probe);
	make_raw(&t, frame, TYPE, sizeof(frame));
	assert_int_equal(send(t.fd, frame, sizeof(frame), 0), sizeof(frame));
	assert_true(probe_poll_until(t.nic, 2, has_sent, &t, 5000));
	probe_poll(t.nic, 2, 2);
	/* The kernel sends things of its own, too. */
	while (net_rx_burst(t.dev[1], &m, 1) == 1) {
		if (m->pkt_len == sizeof(frame)) {
			assert_memory_equal(rte_pktmbuf_mtod(m, void *), frame, sizeof(frame));
			got++;
		}
		rte_pktmbuf_free(m);
	}
	assert_int_equal(got, 1);
	make_raw(&t, frame, PROBE_TYPE, 60);
	assert_int_equal(send(t.fd, frame, 60, 0), 60);
	assert_true(probe_poll_until(t.nic, 2, has_refused, &t, 5000));
	/* The bursts of the library's face are not for a tap. */
	m = probe_frame(t.nic[0], NULL, TYPE, 0, 60);
	assert_int_equal(net_tx_burst(t.dev[0], &m, 1), 0);
	assert_int_equal(net_rx_burst(t.dev[0], &m, 1), 0);
	rte_pktmbuf_free(m);
	close_host(&t);
}

static void
test_to_the_host(void **state)
{
	struct pollfd pfd = {.events = POLLIN};
	struct mpn_nic_info info;
	struct rte_mbuf *m;
	uint8_t frame[2000];
	struct host t;

	open_host(&t);
	mpn_nic_get_info(t.nic[0], &info);
	m = probe_frame(t.nic[1], info.mac, TYPE, 7, 1514);
	assert_int_equal(net_tx_burst(t.dev[1], &m, 1), 1);
	probe_poll(t.nic, 2, 4);
	pfd.fd = t.fd;
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(recv(t.fd, frame, sizeof(frame), 0), 1514);
	assert_int_equal(frame[14], 7);
	assert_int_equal(net_device_get_stats(t.dev[0])->rx_dropped, 0);
	close_host(&t);
}

static void
test_the_cable_follows_the_link(void **state)
{
	struct ifreq ifr = {.ifr_name = "utap0"};
	struct mpn_nic_info info;
	struct host t;

	open_host(&t);
	assert_true(has_carrier("utap0"));
	mpn_nic_get_info(t.nic[0], &info);
	assert_int_equal(ioctl(t.fd, SIOCGIFHWADDR, &ifr), 0);
	assert_memory_equal(ifr.ifr_hwaddr.sa_data, info.mac, 6);
	assert_int_equal(ioctl(t.fd, SIOCGIFMTU, &ifr), 0);
	assert_int_equal(ifr.ifr_mtu, 1500);
	mpn_nic_destroy(t.nic[1]);
	probe_poll(t.nic, 1, 2);
	assert_false(has_carrier("utap0"));
	load_net(&t, 1, "");
	probe_poll(t.nic, 2, 2);
	assert_true(has_carrier("utap0"));
	assert_int_equal(mpn_personality_stop(t.p[0]), 0);
	assert_false(has_carrier("utap0"));
	assert_int_equal(mpn_personality_start(t.p[0]), 0);
	assert_true(has_carrier("utap0"));
	close_host(&t);
}

static void
test_wrong_options(void **state)
{
	static const char *const wrong[] = {"tap=", "tap=a/b", "tap=much_too_long_for_it", "ring=0",
		"ring=4096", "ring=100", "rings=8", "x", "tap=utap0,", "tap=.."};
	struct mpn_nic *nic = probe_nic("ring:tap", true, 1500);
	struct probe probe = {0}, *args = &probe;
	struct mpn_personality *p, *q;

	assert_int_equal(mpn_personality_define(nic, "net", NULL, &p), 0);
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(wrong); i++) {
		probe_catch_log();
		if (i == 8) /* a comma at the end is ignored */
			assert_int_equal(mpn_personality_load_text(p, wrong[i]), 0);
		else
			assert_int_equal(mpn_personality_load_text(p, wrong[i]), -EINVAL);
		(void)probe_release_log();
		assert_int_equal(probe_log_lines(), i != 8);
		if (i == 8)
			assert_int_equal(mpn_personality_unload(p), 0);
		assert_int_equal(mpn_personality_state(p), MPN_PERS_DEFINED);
	}
	/* And a kind that has none. */
	assert_int_equal(mpn_personality_load_text(p, "tap=utap0"), 0);
	assert_int_equal(mpn_personality_define(nic, "probe", NULL, &q), 0);
	probe_catch_log();
	assert_int_equal(mpn_personality_load_text(q, "a=b"), -EINVAL);
	assert_non_null(strstr(probe_release_log(), "takes no options"));
	assert_int_equal(mpn_personality_load(q, &args), 0);
	mpn_nic_destroy(nic);
}

static int
start_eal(void **state)
{
	return probe_eal_start("ring:tap", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_the_host),
		cmocka_unit_test(test_to_the_host),
		cmocka_unit_test(test_the_cable_follows_the_link),
		cmocka_unit_test(test_wrong_options),
	};

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
		fprintf(stderr, "skipped: needs root and /dev/net/tun\n");
		return 77;
	}
	return cmocka_run_group_tests_name("tap", tests, start_eal, probe_eal_stop);
}
