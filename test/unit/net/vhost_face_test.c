/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The interface of the host that vhost-net carries, and which face a personality gets. */

#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>

#include <rte_ethdev.h>

#include "uvhost.h"

static int queue_fd;

/* ---- What stands for the kernel ---- */

/* As virtio-user does: without a queue that is switched on an interface has no cable. */
static void
open_queue(char *args, size_t size, const char *path, const char *iface, const uint8_t mac[6])
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE};

	queue_fd = open("/dev/net/tun", O_RDWR);
	assert_true(queue_fd >= 0);
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface);
	assert_int_equal(ioctl(queue_fd, TUNSETIFF, &ifr), 0);
	uvhost_write_args(args, size, path, iface, mac);
}

static void
write_nonsense(char *args, size_t size, const char *path, const char *iface, const uint8_t mac[6])
{
	(void)snprintf(args, size, "nonsense=%s", iface);
}

static bool
is_not_running(const struct net_iface *iface)
{
	return false;
}

/* ---- The interface ---- */

static bool
has_carrier(void)
{
	struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
	struct ifreq ifr = {.ifr_name = UVHOST_IFACE, .ifr_data = (void *)&link};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);
	return link.data != 0;
}

static void
test_the_interface_is_the_ports(void **state)
{
	struct ifreq ifr = {.ifr_name = UVHOST_IFACE};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct mpn_nic_info info;
	struct uvhost t;

	net_vhost_way.write_args = open_queue;
	uvhost_open(&t);
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
	uvhost_load(&t, PEER, "");
	probe_poll(t.nic, NICS, 2);
	assert_true(has_carrier());
	assert_int_equal(mpn_personality_stop(t.p[NIC]), 0);
	assert_false(has_carrier());
	assert_int_equal(mpn_personality_start(t.p[NIC]), 0);
	assert_true(has_carrier());
	close(queue_fd);
	uvhost_close(&t);
}

/* Nobody else finds its port among those that are free, and it goes with the personality. */
static void
test_the_port_is_hidden(void **state)
{
	unsigned before, found = 0;
	struct uvhost t;
	uint16_t port;

	uvhost_open(&t);
	before = rte_eth_dev_count_total();
	RTE_ETH_FOREACH_DEV(port)
		found++;
	assert_int_equal(found, 0);
	assert_int_equal(mpn_personality_stop(t.p[NIC]), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(mpn_personality_unload(t.p[NIC]), 0);
		assert_int_equal(rte_eth_dev_count_total(), before - 1);
		assert_int_equal(if_nametoindex(UVHOST_IFACE), 0);
		uvhost_load(&t, NIC, "tap=" UVHOST_IFACE ",vhost=on");
		assert_int_equal(rte_eth_dev_count_total(), before);
	}
	uvhost_close(&t);
}

/* ---- Which face ---- */

static const char *
get_face(struct uvhost *t, const char *options)
{
	struct net_device *dev;
	const char *name;

	assert_int_equal(uvhost_try_load(t, NIC, options), 0);
	dev = net_device_get(t->p[NIC]);
	name = dev->face->name;
	assert_int_equal(mpn_personality_unload(t->p[NIC]), 0);
	return name;
}

/* It is refused where it is asked for, with one line, and nothing is left; else a plain tap does. */
static void
check_refused(struct uvhost *t, int rc, const char *why)
{
	unsigned ports = rte_eth_dev_count_total();

	probe_catch_log();
	assert_int_equal(uvhost_try_load(t, NIC, "tap=" UVHOST_IFACE ",vhost=on"), rc);
	assert_non_null(strstr(probe_release_log(), why));
	assert_int_equal(probe_log_lines(), 1);
	assert_int_equal(rte_eth_dev_count_total(), ports);
	assert_int_equal(if_nametoindex(UVHOST_IFACE), 0);
	assert_string_equal(get_face(t, "tap=" UVHOST_IFACE), "tap");
	assert_string_equal(get_face(t, "tap=" UVHOST_IFACE ",vhost=auto"), "tap");
	assert_int_equal(rte_eth_dev_count_total(), ports);
	assert_int_equal(if_nametoindex(UVHOST_IFACE), 0);
}

static void
test_a_kernel_without_it(void **state)
{
	struct uvhost t = {0};

	uvhost_load(&t, HOST, "");
	assert_string_equal(get_face(&t, "tap=" UVHOST_IFACE), "vhost");
	assert_string_equal(get_face(&t, "vhost=auto,tap=" UVHOST_IFACE), "vhost");
	assert_string_equal(get_face(&t, "tap=" UVHOST_IFACE ",vhost=off"), "tap");
	net_vhost_way.path = "/dev/no-such-device";
	check_refused(&t, -ENOENT, "vhost=on: /dev/no-such-device: No such file");
	assert_string_equal(get_face(&t, "tap=" UVHOST_IFACE ",vhost=off"), "tap");
	assert_string_equal(get_face(&t, "vhost=auto"), "library");
	uvhost_close(&t);
}

static void
test_a_driver_that_refuses(void **state)
{
	struct uvhost t = {0};

	uvhost_load(&t, HOST, "");
	assert_string_equal(get_face(&t, "tap=" UVHOST_IFACE), "vhost");
	net_vhost_way.is_running = is_not_running;
	check_refused(&t, -EIO, "an interface of vhost-net");
	net_vhost_way.write_args = write_nonsense;
	check_refused(&t, -EIO, "an interface of vhost-net");
	/* As it is without vhost-net, of which /dev/null knows nothing. */
	net_vhost_way.write_args = uvhost_real_way.write_args;
	check_refused(&t, -EIO, "an interface of vhost-net");
	uvhost_close(&t);
}

/* Two that share an interface would each get some of its frames. */
static void
test_a_name_that_is_taken(void **state)
{
	struct uvhost t = {0};

	uvhost_load(&t, HOST, "");
	uvhost_load(&t, PEER, "tap=" UVHOST_IFACE ",vhost=off");
	probe_catch_log();
	assert_int_equal(uvhost_try_load(&t, NIC, "tap=" UVHOST_IFACE ",vhost=on"), -EBUSY);
	assert_int_equal(uvhost_try_load(&t, NIC, "tap=" UVHOST_IFACE), -EBUSY);
	assert_int_equal(uvhost_try_load(&t, NIC, "tap=lo"), -EBUSY);
	(void)probe_release_log();
	assert_int_equal(mpn_personality_unload(t.p[PEER]), 0);
	uvhost_load(&t, NIC, "tap=" UVHOST_IFACE ",vhost=on");
	probe_catch_log();
	assert_int_equal(uvhost_try_load(&t, PEER, "tap=" UVHOST_IFACE ",vhost=on"), -EBUSY);
	assert_int_equal(uvhost_try_load(&t, PEER, "tap=" UVHOST_IFACE ",vhost=off"), -EBUSY);
	(void)probe_release_log();
	uvhost_close(&t);
}

static void
test_wrong_options(void **state)
{
	static const char *const wrong[] = {"vhost=on", "tap=" UVHOST_IFACE ",vhost=", "vhost=yes",
		"tap=" UVHOST_IFACE ",vhost=ON", "tap=" UVHOST_IFACE ",vhost", "tap=a/b,vhost=on"};
	struct net_conf conf = {.tap = "a,b=c", .vhost = NET_VHOST_ON};
	struct uvhost t = {0};

	uvhost_load(&t, HOST, "");
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(wrong); i++) {
		probe_catch_log();
		assert_int_equal(uvhost_try_load(&t, NIC, wrong[i]), -EINVAL);
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
	uvhost_close(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_interface_is_the_ports),
		cmocka_unit_test(test_the_port_is_hidden),
		cmocka_unit_test(test_a_kernel_without_it),
		cmocka_unit_test(test_a_driver_that_refuses),
		cmocka_unit_test(test_a_name_that_is_taken),
		cmocka_unit_test(test_wrong_options),
	};

	if (!uvhost_can_run())
		return 77;
	return cmocka_run_group_tests_name("vhost_face", tests, uvhost_start, probe_eal_stop);
}
