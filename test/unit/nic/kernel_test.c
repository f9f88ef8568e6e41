/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Links that end in the kernel, in a network namespace of the test's own. Needs root and iproute2.
 */

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"

static const char *skip_reason;

/* Run a command of the kernel's network set-up; it must work. */
static void
sh(const char *cmd)
{
	if (system(cmd) != 0)
		fail_msg("'%s' failed", cmd);
}

static void
skip_unless_possible(void)
{
	if (skip_reason == NULL)
		return;
	fprintf(stderr, "SKIPPED: %s\n", skip_reason);
	skip();
}

static void
wait_for_iface(const char *name)
{
	uint64_t deadline = mpn_now_ns() + 10000000000;

	while (if_nametoindex(name) == 0) {
		assert_true(mpn_now_ns() < deadline);
		(void)sched_yield();
	}
}

static void
end_peer(struct pair *t, pid_t pid)
{
	assert_int_equal(peer_end(pid, SIGTERM), 0);
	pair_close_one(t, 0);
}

static void
exchange_over_bridge(const char *mine)
{
	struct pair t = {0};
	uint8_t kernel_mac[6];
	pid_t pid;

	sh("ip link add br0 type bridge && ip link set br0 up");
	pid = peer_start("tap:mpnb", true);
	pair_open(&t, 0, mine, false, 0);
	wait_for_iface("mpnb");
	assert_true(t.info[0].may_corrupt);
	assert_false(t.info[0].point_to_point);
	sh("ip link set mpna master br0 && ip link set mpnb master br0");
	assert_true(pair_wait_link(&t, 0, true, 5000));
	/* The kernel has its own address: a frame to ours must come up. */
	pair_read_mac("mpna", kernel_mac);
	assert_memory_not_equal(kernel_mac, t.info[0].mac, 6);
	pair_echo_until_answered(&t, 0, 5000);
	pair_echo(&t, 0, 500, 60);
	pair_echo(&t, 0, 500, t.info[0].max_frame);
	end_peer(&t, pid);
	assert_int_equal(if_nametoindex("mpna"), 0);
	sh("ip link del br0");
}

/* Whether the kernel has what flow rules of a tap need, and takes them, or not: frames come. */
static void
test_taps_joined_by_a_bridge(void **state)
{
	skip_unless_possible();
	exchange_over_bridge("tap:mpna");
	exchange_over_bridge("tap:mpna,queues=2");
}

static void
exchange_over_veth(const char *mine, const char *peers, uint16_t mtu)
{
	struct pair t = {0};
	pid_t pid;

	pid = peer_start(peers, true);
	pair_open(&t, 0, mine, false, mtu);
	assert_int_equal(t.info[0].mtu, mtu);
	assert_true(pair_wait_link(&t, 0, true, 5000));
	pair_echo_until_answered(&t, 0, 5000);
	pair_echo(&t, 0, 500, 60);
	pair_echo(&t, 0, 500, t.info[0].max_frame);
	if (t.info[0].multi_segs)
		pair_echo_segments(&t, 0, 100, t.info[0].max_frame);
	end_peer(&t, pid);
}

static void
make_veth(unsigned mtu)
{
	char cmd[256];

	(void)snprintf(cmd, sizeof(cmd),
		"ip link add va mtu %u type veth peer name vb mtu %u && ip link set va up && "
		"ip link set vb up",
		mtu, mtu);
	sh(cmd);
}

static void
test_af_packet(void **state)
{
	skip_unless_possible();
	for (unsigned mtu = 1500; mtu <= 9000; mtu += 7500) {
		make_veth(mtu);
		exchange_over_veth("af_packet:va", "af_packet:vb", (uint16_t)mtu);
		sh("ip link show va | grep -qv PROMISC");
		sh("ip link del va");
	}
}

static void
expect_link(struct pair *t, bool up)
{
	assert_true(pair_wait_link(t, 0, up, 5000));
}

/* The carrier is the link's; an interface that is deleted takes the port with it, until it is made anew. */
static void
test_af_packet_carrier_and_removal(void **state)
{
	struct pair t = {0};

	skip_unless_possible();
	make_veth(1500);
	pair_open(&t, 0, "af_packet:va", false, 0);
	pair_open(&t, 1, "af_packet:vb", false, 0);
	pair_wait_up(&t, 5000);
	sh("ip link set vb down");
	expect_link(&t, false);
	sh("ip link set vb up");
	pair_wait_up(&t, 5000);
	pair_exchange_many(&t, 0, 1, 100, 60);
	probe_catch_log();
	sh("ip link del va");
	expect_link(&t, false);
	assert_int_equal(t.probe[0].events[MPN_NIC_REMOVED], 1);
	/* One that takes less is not what was there. */
	make_veth(1400);
	assert_false(pair_wait_link(&t, 0, true, 500));
	sh("ip link del va");
	make_veth(1500);
	pair_wait_up(&t, 5000);
	(void)probe_release_log();
	assert_int_equal(t.probe[0].events[MPN_NIC_RETURNED], 1);
	pair_exchange_many(&t, 0, 1, 100, 1514);
	pair_exchange_many(&t, 1, 0, 100, 1514);
	pair_close(&t);
	sh("ip link del va");
}

/* One cable after the other is pulled out: frames go over the one that is left, both ways. */
static void
test_bond_fails_over(void **state)
{
	static const char *const cables[] = {"va", "xb"};
	struct mpn_member_info info;
	struct pair t = {0};

	skip_unless_possible();
	make_veth(1500);
	sh("ip link add xa type veth peer name xb && ip link set xa up && ip link set xb up");
	pair_open(&t, 0, "bond:af_packet:va+af_packet:xa", false, 0);
	pair_open(&t, 1, "bond:af_packet:vb+af_packet:xb", false, 0);
	assert_int_equal(t.info[0].mtu, 1500);
	pair_wait_up(&t, 5000);
	pair_exchange_many(&t, 0, 1, 100, 1514);
	assert_int_equal(mpn_nic_get_member(t.nic[0], 0, &info), 0);
	assert_string_equal(info.link, "af_packet:va");
	assert_true(info.up && info.active);
	assert_int_equal(mpn_nic_get_member(t.nic[0], 2, &info), -ENOENT);
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(cables); i++) {
		uint64_t end = mpn_now_ns() + 1000000000;
		char cmd[64];

		memset(t.probe[0].events, 0, sizeof(t.probe[0].events));
		(void)snprintf(cmd, sizeof(cmd), "ip link set %s down", cables[i]);
		probe_catch_log();
		sh(cmd);
		while (mpn_now_ns() < end)
			probe_poll(t.nic, 2, 100);
		(void)probe_release_log();
		assert_int_equal(t.probe[0].events[MPN_NIC_MEMBER_DOWN], 1);
		assert_int_equal(t.probe[0].events[MPN_NIC_LINK_DOWN], 0);
		assert_int_equal(mpn_nic_get_member(t.nic[0], i, &info), 0);
		assert_true(!info.up && !info.active);
		assert_int_equal(mpn_nic_get_member(t.nic[0], !i, &info), 0);
		assert_true(info.up && info.active);
		pair_exchange_many(&t, 0, 1, 100, 1514);
		pair_exchange_many(&t, 1, 0, 100, 1514);
		(void)snprintf(cmd, sizeof(cmd), "ip link set %s up", cables[i]);
		sh(cmd);
		for (end = mpn_now_ns() + 1000000000; mpn_now_ns() < end;)
			probe_poll(t.nic, 2, 100);
		assert_int_equal(t.probe[0].events[MPN_NIC_MEMBER_UP], 1);
	}
	pair_close(&t);
	sh("ip link del va && ip link del xa");
}

static void
test_af_packet_errors(void **state)
{
	skip_unless_possible();
	make_veth(1500);
	probe_catch_log();
	errno = 0;
	assert_null(probe_nic("af_packet:va", false, 9000));
	assert_int_equal(errno, EINVAL);
	assert_non_null(strstr(probe_release_log(), "that of va is 1500"));
	probe_catch_log();
	errno = 0;
	assert_null(probe_nic("af_packet:nosuch", false, 0));
	assert_int_equal(errno, ENODEV);
	assert_non_null(strstr(probe_release_log(), "nosuch"));
	assert_int_equal(probe_log_lines(), 1);
	sh("ip link del va");
}

static int
start(void **state)
{
	if (geteuid() != 0)
		skip_reason = "needs root for a network namespace of its own";
	else if (unshare(CLONE_NEWNET) < 0)
		skip_reason = "the kernel gives no network namespace";
	else if (system("ip link set lo up") != 0)
		skip_reason = "needs ip (iproute2)";
	else if (access("/dev/net/tun", R_OK | W_OK) < 0)
		skip_reason = "no /dev/net/tun";
	return skip_reason != NULL ? 0 : probe_eal_start("tap:mpna", NULL);
}

static int
stop(void **state)
{
	mpn_eal_stop();
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_taps_joined_by_a_bridge, pair_clean),
		cmocka_unit_test_teardown(test_bond_fails_over, pair_clean),
		cmocka_unit_test_teardown(test_af_packet_carrier_and_removal, pair_clean),
		cmocka_unit_test_teardown(test_af_packet, pair_clean),
		cmocka_unit_test_teardown(test_af_packet_errors, pair_clean),
	};

	peer_init(argc, argv);
	return cmocka_run_group_tests_name("kernel links", tests, start, stop);
}
