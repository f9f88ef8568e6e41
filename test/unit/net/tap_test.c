/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The kernel's face of the network personality, in a network namespace of its own. */

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>

#include <rte_ether.h>

#include "../nic/probe.h"
#include "frames.h"
#include "mpn_net.h"

#define TYPE 0x88b7 /* nobody's */
#define RUN 16 /* frames that are handed over at once */

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

	/* The kernel may have sent something of its own before. */
	return net_device_get_stats(t->dev[0])->tx_bytes >= 1514;
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

/* ---- Checksums, and frames that are to be cut ---- */

static unsigned
receive_right(struct host *t, uint32_t *bytes)
{
	uint32_t seq, got;
	struct rte_mbuf *m;
	unsigned n = 0;
	uint8_t flags;

	while (net_rx_burst(t->dev[1], &m, 1) == 1) {
		const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

		/* The kernel sends things of its own, too. */
		if (frame[23] == 6 && frame[12] == 8 && frame[13] == 0) {
			assert_true(m->pkt_len <= 1514);
			if (!frame_is_right(frame, m->pkt_len, &seq, &got, &flags))
				fail_msg("%s is wrong", frame_fault);
			assert_int_equal(seq, *bytes);
			*bytes += got;
			n++;
		}
		rte_pktmbuf_free(m);
	}
	return n;
}

struct arrival {
	struct host *t;
	uint32_t bytes, want;
	unsigned frames;
};

static bool
have_come(void *arg)
{
	struct arrival *a = arg;

	a->frames += receive_right(a->t, &a->bytes);
	return a->bytes >= a->want;
}

static void
send_ip(struct host *t, const struct virtio_net_hdr *v, uint8_t *frame, uint32_t len)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	struct virtio_net_hdr hdr = *v;
	struct iovec iov[2] = {{&hdr, sizeof(hdr)}, {frame, len}};
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = iov, .msg_iovlen = 2};
	int one = 1;

	to.sll_ifindex = (int)if_nametoindex("utap0");
	assert_int_equal(setsockopt(t->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	assert_int_equal(sendmsg(t->fd, &msg, 0), (ssize_t)(sizeof(hdr) + len));
}

/* A program of the host may say the same to the kernel as its own TCP does. */
static void
test_a_long_frame_is_cut(void **state)
{
	static uint8_t frame[70000];
	struct frame_spec s = {.bytes = 60000, .partial = true};
	struct virtio_net_hdr v = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = 1000,
		.csum_start = 34,
		.csum_offset = 16};
	struct arrival a;
	struct host t;

	open_host(&t);
	for (unsigned i = 0; i < 4; i++) {
		struct mpn_nic_info peer;

		mpn_nic_get_info(t.nic[1], &peer);
		memcpy(s.dst, peer.mac, 6);
		v.hdr_len = (uint16_t)frame_head_len(&s);
		send_ip(&t, &v, frame, frame_write(&s, frame, sizeof(frame)));
		a = (struct arrival){.t = &t, .want = s.bytes};
		assert_true(probe_poll_until(t.nic, 2, have_come, &a, 5000));
		assert_int_equal(a.frames, 60);
	}
	assert_int_equal(net_device_get_stats(t.dev[0])->tx_segmented, 4);
	assert_int_equal(net_device_get_stats(t.dev[0])->tx_frames >= 240, 1);
	/* One that is not long, with its checksum alone. */
	s.bytes = 500;
	v.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	send_ip(&t, &v, frame, frame_write(&s, frame, sizeof(frame)));
	a = (struct arrival){.t = &t, .want = s.bytes};
	assert_true(probe_poll_until(t.nic, 2, have_come, &a, 5000));
	assert_true(net_device_get_stats(t.dev[0])->tx_summed >= 1);
	close_host(&t);
}

/* Stopped in the middle of one: what it had begun goes, or is forgotten, and nothing is lost for good. */
static void
test_stop_in_the_middle_of_a_long_frame(void **state)
{
	static uint8_t frame[70000];
	struct frame_spec s = {.bytes = 60000, .partial = true};
	struct virtio_net_hdr v = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = 500,
		.hdr_len = 54,
		.csum_start = 34,
		.csum_offset = 16};
	struct arrival a;
	struct host t;

	open_host(&t);
	memset(s.dst, 0xff, 6);
	send_ip(&t, &v, frame, frame_write(&s, frame, sizeof(frame)));
	a = (struct arrival){.t = &t, .want = 1};
	assert_true(probe_poll_until(t.nic, 2, have_come, &a, 5000));
	assert_int_equal(mpn_personality_stop(t.p[0]), 0);
	a.want = s.bytes;
	assert_true(probe_poll_until(&t.nic[1], 1, have_come, &a, 5000));
	assert_int_equal(mpn_personality_start(t.p[0]), 0);
	close_host(&t);
}

/* A tap that hears of no offloads: each frame by itself, and complete. */
static void
test_without_offloads(void **state)
{
	struct ethtool_value tx = {.cmd = ETHTOOL_GTXCSUM}, tso = {.cmd = ETHTOOL_GTSO};
	struct ifreq ifr = {.ifr_name = "utap0"};
	struct net_device_info info;
	struct host t;

	for (unsigned on = 0; on < 2; on++) {
		load_net(&t, 0,
			on ? "tap=utap0,vhost=off,offload=on" : "tap=utap0,vhost=off,offload=off");
		t.fd = socket(AF_INET, SOCK_DGRAM, 0);
		ifr.ifr_data = (void *)&tx;
		assert_int_equal(ioctl(t.fd, SIOCETHTOOL, &ifr), 0);
		ifr.ifr_data = (void *)&tso;
		assert_int_equal(ioctl(t.fd, SIOCETHTOOL, &ifr), 0);
		assert_int_equal(tx.data, on);
		assert_int_equal(tso.data, on);
		net_device_get_info(t.dev[0], &info);
		assert_int_equal(info.offers_tso, on);
		assert_int_equal(info.offers_checksum, on);
		close(t.fd);
		mpn_nic_destroy(t.nic[0]);
	}
}

/* Frames of one connection are one to the host, with its header before it. */
static void
test_frames_are_merged(void **state)
{
	static uint8_t got[70000];
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	struct frame_spec s = {.bytes = 1000};
	struct pollfd pfd = {.events = POLLIN};
	struct mpn_nic_info own;
	struct virtio_net_hdr v;
	struct rte_mbuf *mbufs[RUN];
	uint32_t seq, bytes;
	struct host t;
	uint8_t flags;
	int one = 1;

	open_host(&t);
	mpn_nic_get_info(t.nic[0], &own);
	memcpy(s.dst, own.mac, 6);
	at.sll_ifindex = (int)if_nametoindex("utap0");
	assert_int_equal(setsockopt(t.fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(t.fd, (struct sockaddr *)&at, sizeof(at)), 0);
	for (unsigned i = 0; i < RUN; i++, s.seq += 1000) {
		uint8_t frame[1514];
		uint32_t len = frame_write(&s, frame, sizeof(frame));

		mbufs[i] = probe_frame(t.nic[1], own.mac, TYPE, 0, len);
		memcpy(rte_pktmbuf_mtod(mbufs[i], void *), frame, len);
	}
	assert_int_equal(net_tx_burst(t.dev[1], mbufs, RUN), RUN);
	probe_poll(t.nic, 2, 4);
	pfd.fd = t.fd;
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(recv(t.fd, got, sizeof(got), 0), sizeof(v) + 54 + RUN * 1000);
	memcpy(&v, got, sizeof(v));
	assert_int_equal(v.gso_size, 1000);
	assert_int_equal(v.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_true(!frame_is_right(got + sizeof(v), 54 + RUN * 1000, &seq, &bytes, &flags));
	assert_string_equal(frame_fault, "its checksum"); /* it is the kernel's to fill in */
	assert_int_equal(net_device_get_stats(t.dev[0])->rx_frames, RUN);
	assert_int_equal(net_device_get_stats(t.dev[0])->rx_merged, RUN - 1);
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

/* ---- What the host does to its interface ---- */

static bool
host_is_promiscuous(void *arg)
{
	const struct host *t = arg;
	struct net_device_info info;

	net_device_get_info(t->dev[0], &info);
	return info.promiscuous;
}

static bool
host_is_modest(void *arg)
{
	return !host_is_promiscuous(arg);
}

static void
change(struct host *t, unsigned long request, struct ifreq *ifr)
{
	(void)snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "utap0");
	assert_int_equal(ioctl(t->fd, request, ifr), 0);
}

static void
change_flags(struct host *t, short set, short clear)
{
	struct ifreq ifr = {0};

	change(t, SIOCGIFFLAGS, &ifr);
	ifr.ifr_flags = (short)((ifr.ifr_flags | set) & ~clear);
	change(t, SIOCSIFFLAGS, &ifr);
}

/* Frames to a station until one comes, or none has come for so long. */
static bool
reaches(struct host *t, const uint8_t *mac, unsigned ms)
{
	uint64_t end = mpn_now_ns() + ms * 1000000ull;
	uint8_t frame[2000];
	bool came = false;

	while (!came && mpn_now_ns() < end) {
		struct rte_mbuf *m = probe_frame(t->nic[1], mac, TYPE, 7, 100);

		if (net_tx_burst(t->dev[1], &m, 1) == 0)
			rte_pktmbuf_free(m);
		probe_poll(t->nic, 2, 2);
		came = recv(t->fd, frame, sizeof(frame), MSG_DONTWAIT) == 100 &&
		       memcmp(frame, mac, 6) == 0;
	}
	while (recv(t->fd, frame, sizeof(frame), MSG_DONTWAIT) > 0)
		;
	return came;
}

static void
test_the_port_follows_the_host(void **state)
{
	static const uint8_t other[6] = {2, 0, 0, 0, 0, 9}, third[6] = {2, 0, 0, 0, 0, 10},
			     group[6] = {0x33, 0x33, 0, 0, 0, 1};
	struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};
	struct probe probe = {0};
	struct ifreq ifr = {0};
	struct mpn_nic_info own;
	struct host t;

	open_host(&t);
	probe_start(t.nic[0], &probe);
	mpn_nic_get_info(t.nic[0], &own);
	assert_true(reaches(&t, own.mac, 5000));
	assert_true(reaches(&t, group, 5000));
	assert_false(reaches(&t, other, 300));
	/* Another address, beside the port's own, which storage goes on with. */
	ifr.ifr_hwaddr.sa_family = 1;
	memcpy(ifr.ifr_hwaddr.sa_data, other, 6);
	change(&t, SIOCSIFHWADDR, &ifr);
	assert_true(reaches(&t, other, 5000));
	assert_false(reaches(&t, third, 300));
	{
		struct rte_mbuf *m = probe_frame(t.nic[1], other, PROBE_TYPE, 0, 60);
		struct rte_mbuf *to_us = probe_frame(t.nic[1], own.mac, PROBE_TYPE, 0, 60);

		assert_int_equal(mpn_flow_tx(t.p[1], &m, 1), 1);
		assert_int_equal(mpn_flow_tx(t.p[1], &to_us, 1), 1);
		probe_poll(t.nic, 2, 3);
		assert_int_equal(probe.frames, 1);
	}
	/* Everybody's frames: for a program that captures, and because somebody says so. */
	all.mr_ifindex = (int)if_nametoindex("utap0");
	assert_int_equal(setsockopt(t.fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)), 0);
	assert_true(probe_poll_until(t.nic, 2, host_is_promiscuous, &t, 5000));
	assert_true(reaches(&t, third, 5000));
	assert_int_equal(
		setsockopt(t.fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &all, sizeof(all)), 0);
	assert_true(probe_poll_until(t.nic, 2, host_is_modest, &t, 5000));
	assert_false(reaches(&t, third, 300));
	change_flags(&t, IFF_PROMISC, 0);
	assert_true(reaches(&t, third, 5000));
	/* Not while it is down. */
	change_flags(&t, 0, IFF_UP);
	assert_true(probe_poll_until(t.nic, 2, host_is_modest, &t, 5000));
	change_flags(&t, IFF_UP, 0);
	assert_true(reaches(&t, third, 5000));
	/* Stopped it wants nothing. */
	assert_int_equal(mpn_personality_stop(t.p[0]), 0);
	assert_true(probe_poll_until(t.nic, 2, host_is_modest, &t, 5000));
	close_host(&t);
}

static bool
mtu_is_back(void *arg)
{
	struct ifreq ifr = {0};

	change(arg, SIOCGIFMTU, &ifr);
	return ifr.ifr_mtu == 1500;
}

/* Smaller is the host's business, larger the port cannot. */
static void
test_the_mtu_follows_the_port(void **state)
{
	struct ifreq ifr = {.ifr_mtu = 1300};
	struct host t;

	open_host(&t);
	probe_catch_log();
	change(&t, SIOCSIFMTU, &ifr);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t end = mpn_now_ns() + 110000000;

		while (mpn_now_ns() < end)
			probe_poll(t.nic, 2, 1);
	}
	change(&t, SIOCGIFMTU, &ifr);
	assert_int_equal(ifr.ifr_mtu, 1300);
	ifr.ifr_mtu = 9000;
	change(&t, SIOCSIFMTU, &ifr);
	assert_true(probe_poll_until(t.nic, 2, mtu_is_back, &t, 5000));
	assert_non_null(strstr(probe_release_log(), "utap0: its MTU cannot be 9000"));
	assert_int_equal(probe_log_lines(), 1);
	close_host(&t);
}

static void
test_wrong_options(void **state)
{
	static const char *const wrong[] = {"tap=", "tap=a/b", "tap=much_too_long_for_it", "ring=0",
		"ring=4096", "ring=100", "rings=8", "x", "tap=utap0,", "tap=..", "offload=on",
		"tap=utap0,offload=", "tap=utap0,offload=yes"};
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
		cmocka_unit_test(test_a_long_frame_is_cut),
		cmocka_unit_test(test_stop_in_the_middle_of_a_long_frame),
		cmocka_unit_test(test_without_offloads),
		cmocka_unit_test(test_frames_are_merged),
		cmocka_unit_test(test_to_the_host),
		cmocka_unit_test(test_the_cable_follows_the_link),
		cmocka_unit_test(test_the_port_follows_the_host),
		cmocka_unit_test(test_the_mtu_follows_the_port),
		cmocka_unit_test(test_wrong_options),
	};

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
		fprintf(stderr, "skipped: needs root and /dev/net/tun\n");
		return 77;
	}
	return cmocka_run_group_tests_name("tap", tests, start_eal, probe_eal_stop);
}
