/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include "uvhost.h"

static char sock[64];
struct net_vhost_way uvhost_real_way;

void
uvhost_write_args(
	char *args, size_t size, const char *path, const char *iface, const uint8_t mac[6])
{
	(void)snprintf(
		args, size, "path=%s,queues=1,cq=0,queue_size=1024,mrg_rxbuf=1,in_order=0", sock);
}

static bool
is_running(const struct net_iface *iface)
{
	return true;
}

int
uvhost_try_load(struct uvhost *t, unsigned which, const char *options)
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

void
uvhost_load(struct uvhost *t, unsigned which, const char *options)
{
	assert_int_equal(uvhost_try_load(t, which, options), 0);
	t->dev[which] = net_device_get(t->p[which]);
	assert_non_null(t->dev[which]);
}

static bool
is_connected(void *arg)
{
	const struct uvhost *t = arg;
	struct mpn_nic_info info;

	mpn_nic_get_info(t->nic[HOST], &info);
	return info.link_up && t->dev[NIC]->link_up;
}

void
uvhost_open(struct uvhost *t)
{
	memset(t, 0, sizeof(*t));
	uvhost_load(t, HOST, "ring=128");
	uvhost_load(t, PEER, "ring=128");
	uvhost_load(t, NIC, "tap=" UVHOST_IFACE ",vhost=on");
	assert_string_equal(t->dev[NIC]->face->name, "vhost");
	for (unsigned i = 0; i < NICS; i++)
		assert_int_equal(mpn_personality_start(t->p[i]), 0);
	assert_true(probe_poll_until(t->nic, NICS, is_connected, t, 5000));
}

void
uvhost_close(struct uvhost *t)
{
	for (unsigned i = 0; i < NICS; i++) {
		if (t->nic[i] != NULL)
			mpn_nic_destroy(t->nic[i]);
	}
	assert_int_equal(if_nametoindex(UVHOST_IFACE), 0);
	net_vhost_way.path = "/dev/null";
	net_vhost_way.write_args = uvhost_write_args;
	net_vhost_way.is_running = is_running;
}

bool
uvhost_can_run(void)
{
	if (unshare(CLONE_NEWNET) == 0 && access("/dev/net/tun", R_OK | W_OK) == 0)
		return true;
	fprintf(stderr, "skipped: needs root and /dev/net/tun\n");
	return false;
}

int
uvhost_start(void **state)
{
	(void)snprintf(sock, sizeof(sock), "/tmp/mpn-uvhost-%d.sock", (int)getpid());
	uvhost_real_way = net_vhost_way;
	net_vhost_way = (struct net_vhost_way){
		.path = "/dev/null",
		.driver = uvhost_real_way.driver,
		.write_args = uvhost_write_args,
		.is_running = is_running,
	};
	return probe_eal_start("ring:vh", NULL);
}
