/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The library's face of the network personality: what comes, what may be sent, what the port shows. */

#include <rte_ether.h>

#include "../nic/probe.h"
#include "mpn_net.h"
#include "nic_internal.h"

#define RING 64
#define IPV4 0x0800

struct ends {
	struct mpn_nic *nic[2];
	struct mpn_personality *p[2];
	struct net_device *dev[2];
};

/* The number of a frame whose type is that of a tag: its first bytes are the tag's and the type behind it. */
#define IN_VLAN(vid, type) rte_cpu_to_be_32((uint32_t)(vid) << 16 | (type))

static void
open_ends(struct ends *t)
{
	const struct net_conf conf = {.ring_len = RING};

	for (unsigned i = 0; i < 2; i++) {
		t->nic[i] = probe_nic("ring:net", i == 0, 1500);
		assert_non_null(t->nic[i]);
		assert_int_equal(mpn_personality_define(t->nic[i], "net", NULL, &t->p[i]), 0);
		assert_int_equal(mpn_personality_load(t->p[i], &conf), 0);
		assert_int_equal(mpn_personality_start(t->p[i]), 0);
		t->dev[i] = net_device_get(t->p[i]);
		assert_non_null(t->dev[i]);
	}
	probe_poll(t->nic, 2, 2);
}

static void
close_ends(struct ends *t)
{
	mpn_nic_destroy(t->nic[1]);
	mpn_nic_destroy(t->nic[0]);
}

static struct rte_mbuf *
make_frame(struct ends *t, unsigned from, uint16_t type, uint32_t number, uint32_t len)
{
	struct mpn_nic_info peer;
	struct rte_mbuf *m;

	mpn_nic_get_info(t->nic[!from], &peer);
	m = probe_frame(t->nic[from], peer.mac, type, number, len);
	assert_non_null(m);
	return m;
}

/* One frame through the interface of that end. @return frames taken */
static unsigned
send_frame(struct ends *t, unsigned from, uint16_t type, uint32_t number, uint32_t len)
{
	struct rte_mbuf *m = make_frame(t, from, type, number, len);
	unsigned sent = net_tx_burst(t->dev[from], &m, 1);

	if (sent == 0)
		rte_pktmbuf_free(m);
	return sent;
}

static unsigned
free_received(struct ends *t, unsigned end)
{
	struct rte_mbuf *mbufs[2 * RING];
	unsigned n = net_rx_burst(t->dev[end], mbufs, MPN_ARRAY_SIZE(mbufs));

	rte_pktmbuf_free_bulk(mbufs, n);
	return n;
}

static void
test_frames_come_whole_and_in_order(void **state)
{
	struct ends t;
	struct rte_mbuf *m;
	unsigned sent = 0, got = 0;
	uint32_t number;

	open_ends(&t);
	while (got < 1000) {
		while (sent < 1000 && sent - got < RING / 2 &&
			send_frame(&t, 0, IPV4, sent, 60 + sent % 1000) == 1)
			sent++;
		probe_poll(t.nic, 2, 2);
		while (net_rx_burst(t.dev[1], &m, 1) == 1) {
			memcpy(&number, rte_pktmbuf_mtod_offset(m, void *, RTE_ETHER_HDR_LEN), 4);
			assert_int_equal(number, got);
			assert_int_equal(m->pkt_len, 60 + got % 1000);
			rte_pktmbuf_free(m);
			got++;
		}
	}
	assert_int_equal(net_device_get_stats(t.dev[0])->tx_frames, 1000);
	assert_int_equal(net_device_get_stats(t.dev[1])->rx_frames, 1000);
	assert_int_equal(
		net_device_get_stats(t.dev[0])->tx_bytes, net_device_get_stats(t.dev[1])->rx_bytes);
	close_ends(&t);
}

static void
test_reserved_types_are_refused(void **state)
{
	struct probe probe = {0};
	struct ends t;

	open_ends(&t);
	/* Anything, as long as nobody else has it. */
	assert_int_equal(send_frame(&t, 0, PROBE_TYPE, 0, 60), 1);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(free_received(&t, 1), 1);

	/* The probe takes it away from both directions of the network personality. */
	probe_start(t.nic[0], &probe);
	assert_int_equal(send_frame(&t, 0, PROBE_TYPE, 0, 60), 1);
	assert_int_equal(send_frame(&t, 1, PROBE_TYPE, 0, 60), 1);
	assert_int_equal(send_frame(&t, 1, IPV4, 0, 60), 1);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(free_received(&t, 1), 0);
	assert_int_equal(net_device_get_stats(t.dev[0])->tx_reserved, 1);
	assert_int_equal(free_received(&t, 0), 1);
	assert_int_equal(probe.frames, 1);

	/* Reserved as long as it is loaded, started or not; given back after that. */
	assert_int_equal(mpn_personality_stop(probe.p), 0);
	assert_int_equal(send_frame(&t, 0, PROBE_TYPE, 0, 60), 1);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(net_device_get_stats(t.dev[0])->tx_reserved, 2);
	assert_int_equal(mpn_personality_unload(probe.p), 0);
	assert_int_equal(send_frame(&t, 0, PROBE_TYPE, 0, 60), 1);
	assert_int_equal(send_frame(&t, 1, PROBE_TYPE, 0, 60), 1);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(net_device_get_stats(t.dev[0])->tx_reserved, 2);
	assert_int_equal(free_received(&t, 0), 1);
	assert_int_equal(free_received(&t, 1), 1);
	close_ends(&t);
}

static void
test_what_cannot_be_sent(void **state)
{
	struct ends t;
	struct rte_mbuf *m;
	const struct net_stats *stats;

	open_ends(&t);
	stats = net_device_get_stats(t.dev[0]);
	assert_int_equal(send_frame(&t, 0, IPV4, 0, 13), 1);
	assert_int_equal(send_frame(&t, 0, 46, 0, 60), 1); /* an 802.3 length */
	assert_int_equal(send_frame(&t, 0, IPV4, 0, 1515), 1);
	assert_int_equal(send_frame(&t, 0, RTE_ETHER_TYPE_VLAN, IN_VLAN(1, IPV4), 1519), 1);
	m = make_frame(&t, 0, IPV4, 0, 60);
	m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	assert_int_equal(net_tx_burst(t.dev[0], &m, 1), 1);
	m = make_frame(&t, 0, IPV4, 0, 60);
	m->ol_flags |= RTE_MBUF_F_TX_MACSEC;
	assert_int_equal(net_tx_burst(t.dev[0], &m, 1), 1);
	/* These two may. */
	assert_int_equal(send_frame(&t, 0, IPV4, 0, 1514), 1);
	assert_int_equal(send_frame(&t, 0, RTE_ETHER_TYPE_VLAN, IN_VLAN(1, IPV4), 1518), 1);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(stats->tx_malformed, 3);
	assert_int_equal(stats->tx_long, 2);
	assert_int_equal(stats->tx_unable, 1);
	assert_int_equal(stats->tx_frames, 2);
	assert_int_equal(free_received(&t, 1), 2);
	close_ends(&t);
}

/* The VLANs of others are not the host's to send in; the rest are, and come with their tags. */
static void
test_tagged_frames(void **state)
{
	struct probe probe = {0}, *arg = &probe;
	struct mpn_personality *p;
	const struct net_stats *stats;
	struct ends t;

	open_ends(&t);
	stats = net_device_get_stats(t.dev[0]);
	assert_int_equal(mpn_personality_define(t.nic[0], "probe", NULL, &p), 0);
	assert_int_equal(mpn_personality_set_vlan(p, &(struct mpn_vlan){.vid = 10}), 0);
	assert_int_equal(mpn_personality_load(p, &arg), 0);
	/* VLAN 10, even for a type that nobody claims there; two tags; a tag that is none. */
	assert_int_equal(send_frame(&t, 0, RTE_ETHER_TYPE_VLAN, IN_VLAN(10, PROBE_TYPE), 64), 1);
	assert_int_equal(send_frame(&t, 0, RTE_ETHER_TYPE_VLAN, IN_VLAN(10, IPV4), 64), 1);
	assert_int_equal(
		send_frame(&t, 0, RTE_ETHER_TYPE_VLAN, IN_VLAN(11, RTE_ETHER_TYPE_VLAN), 64), 1);
	assert_int_equal(send_frame(&t, 0, RTE_ETHER_TYPE_VLAN, IN_VLAN(4095, IPV4), 64), 1);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(stats->tx_reserved, 4);
	assert_int_equal(free_received(&t, 1), 0);
	/* Another VLAN, a priority tag, the type without a tag. */
	assert_int_equal(send_frame(&t, 0, RTE_ETHER_TYPE_VLAN, IN_VLAN(11, PROBE_TYPE), 64), 1);
	assert_int_equal(send_frame(&t, 0, RTE_ETHER_TYPE_VLAN, IN_VLAN(0, IPV4), 64), 1);
	assert_int_equal(send_frame(&t, 0, PROBE_TYPE, 0, 64), 1);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(stats->tx_reserved, 4);
	assert_int_equal(free_received(&t, 1), 3);
	close_ends(&t);
}

/* A tag that the port has taken off is in the frame again when the host gets it. */
static void
test_tags_come_whole(void **state)
{
	struct rte_mbuf *m;
	struct ends t;
	uint8_t want[68];

	open_ends(&t);
	t.nic[1]->rx_flags = RTE_MBUF_F_RX_VLAN_STRIPPED;
	m = make_frame(&t, 0, RTE_ETHER_TYPE_VLAN, IN_VLAN(0x2000 | 11, IPV4), 68);
	memcpy(want, rte_pktmbuf_mtod(m, void *), sizeof(want));
	assert_int_equal(rte_vlan_strip(m), 0);
	assert_int_equal(mpn_flow_tx(t.p[0], &m, 1), 1);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(net_rx_burst(t.dev[1], &m, 1), 1);
	assert_int_equal(m->pkt_len, sizeof(want));
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), want, sizeof(want));
	assert_false(m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED);
	rte_pktmbuf_free(m);
	close_ends(&t);
}

/* In a VLAN of its own it is an interface like any other: the host sees no tags, and may send none. */
static void
test_host_in_a_vlan(void **state)
{
	struct ends t;

	open_ends(&t);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(mpn_personality_stop(t.p[i]), 0);
		assert_int_equal(mpn_personality_unload(t.p[i]), 0);
		assert_int_equal(
			mpn_personality_set_vlan(t.p[i], &(struct mpn_vlan){.vid = 10}), 0);
		assert_int_equal(mpn_personality_load(t.p[i], NULL), 0);
		assert_int_equal(mpn_personality_start(t.p[i]), 0);
		t.dev[i] = net_device_get(t.p[i]);
	}
	assert_int_equal(send_frame(&t, 0, IPV4, 0, 1514), 1);
	assert_int_equal(send_frame(&t, 0, RTE_ETHER_TYPE_VLAN, IN_VLAN(11, IPV4), 64), 1);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(mpn_nic_get_stats(t.nic[0])->tx_bytes, 1518);
	assert_int_equal(net_device_get_stats(t.dev[0])->tx_reserved, 1);
	assert_int_equal(net_device_get_stats(t.dev[1])->rx_bytes, 1514);
	assert_int_equal(free_received(&t, 1), 1);
	close_ends(&t);
}

/* Past the checks of the sender. */
static void
send_raw(struct ends *t, struct rte_mbuf *m)
{
	assert_int_equal(mpn_flow_tx(t->p[0], &m, 1), 1);
	probe_poll(t->nic, 2, 2);
}

static void
test_what_is_dropped_on_the_way_in(void **state)
{
	static const uint8_t other[6] = {2, 0, 0, 0, 0, 9};
	const struct mpn_nic_stats *stats;
	struct rte_mbuf *m;
	struct mpn_nic_info info;
	struct ends t;

	open_ends(&t);
	stats = mpn_nic_get_stats(t.nic[1]);
	mpn_nic_get_info(t.nic[1], &info);
	send_raw(&t, make_frame(&t, 0, 46, 0, 60));
	assert_int_equal(stats->rx_length, 1);
	send_raw(&t, make_frame(&t, 0, IPV4, 0, 1515));
	assert_int_equal(stats->rx_long, 1);
	send_raw(&t, make_frame(&t, 0, RTE_ETHER_TYPE_VLAN, IN_VLAN(1, IPV4), 1519));
	assert_int_equal(stats->rx_long, 2);
	send_raw(&t, make_frame(&t, 0, IPV4, 0, 13));
	assert_int_equal(stats->rx_runt, 1);
	m = make_frame(&t, 0, IPV4, 0, 60);
	memcpy(rte_pktmbuf_mtod_offset(m, void *, 6), info.mac, 6);
	send_raw(&t, m);
	assert_int_equal(stats->rx_own_source, 1);
	send_raw(&t, probe_frame(t.nic[0], other, IPV4, 0, 60));
	assert_int_equal(stats->rx_not_ours, 1);
	assert_int_equal(free_received(&t, 1), 0);
	assert_int_equal(stats->rx_unclaimed, 0);
	close_ends(&t);
}

static void
test_promiscuous(void **state)
{
	static const uint8_t other[6] = {2, 0, 0, 0, 0, 9};
	struct probe probe = {0};
	struct net_device_info info;
	struct ends t;

	open_ends(&t);
	probe_start(t.nic[1], &probe);
	mpn_nic_set_promiscuous(t.nic[1], true);
	mpn_nic_set_allmulticast(t.nic[1], true);
	net_device_get_info(t.dev[1], &info);
	assert_true(info.promiscuous);
	assert_true(info.allmulticast);
	assert_int_equal(rte_eth_promiscuous_get(t.nic[1]->port_id), 1);
	assert_int_equal(rte_eth_allmulticast_get(t.nic[1]->port_id), 1);
	/* Others' frames are for the network personality alone. */
	send_raw(&t, probe_frame(t.nic[0], other, IPV4, 0, 60));
	send_raw(&t, probe_frame(t.nic[0], other, PROBE_TYPE, 0, 60));
	assert_int_equal(free_received(&t, 1), 1);
	assert_int_equal(probe.frames, 0);
	assert_int_equal(mpn_nic_get_stats(t.nic[1])->rx_not_ours, 1);

	mpn_nic_set_promiscuous(t.nic[1], false);
	mpn_nic_set_allmulticast(t.nic[1], false);
	assert_int_equal(rte_eth_promiscuous_get(t.nic[1]->port_id), 0);
	send_raw(&t, probe_frame(t.nic[0], other, IPV4, 0, 60));
	assert_int_equal(free_received(&t, 1), 0);
	close_ends(&t);
}

static void
test_a_host_that_does_not_take_them(void **state)
{
	struct ends t;
	struct rte_mbuf *m;

	open_ends(&t);
	for (unsigned i = 0; i < RING + 10; i++) {
		assert_int_equal(send_frame(&t, 0, IPV4, i, 60), 1);
		probe_poll(t.nic, 2, 2);
	}
	assert_int_equal(net_device_get_stats(t.dev[1])->rx_frames, RING);
	assert_int_equal(net_device_get_stats(t.dev[1])->rx_dropped, 10);
	/* And a NIC that does not take his: they stay his. */
	for (unsigned i = 0; i < RING; i++)
		assert_int_equal(send_frame(&t, 1, IPV4, i, 60), 1);
	m = make_frame(&t, 1, IPV4, 0, 60);
	assert_int_equal(net_tx_burst(t.dev[1], &m, 1), 0);
	rte_pktmbuf_free(m);
	assert_int_equal(free_received(&t, 1), RING);
	close_ends(&t);
}

static void
test_stop_sends_what_was_taken(void **state)
{
	struct ends t;

	open_ends(&t);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(send_frame(&t, 0, IPV4, i, 60), 1);
	assert_int_equal(mpn_personality_stop(t.p[0]), 0);
	assert_int_equal(send_frame(&t, 0, IPV4, 0, 60), 0);
	assert_int_equal(free_received(&t, 0), 0);
	probe_poll(t.nic, 2, 8);
	assert_int_equal(free_received(&t, 1), 40);
	assert_int_equal(mpn_personality_start(t.p[0]), 0);
	assert_int_equal(send_frame(&t, 0, IPV4, 0, 60), 1);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(free_received(&t, 1), 1);
	close_ends(&t);
}

static void
test_it_shows_what_the_port_is(void **state)
{
	struct net_device_info info;
	struct mpn_nic_info nic;
	struct ends t;

	open_ends(&t);
	net_device_get_info(t.dev[0], &info);
	mpn_nic_get_info(t.nic[0], &nic);
	assert_memory_equal(info.mac, nic.mac, sizeof(nic.mac));
	assert_int_equal(info.mtu, 1500);
	assert_int_equal(info.ring_len, RING);
	assert_true(info.link_up);
	mpn_nic_destroy(t.nic[1]);
	probe_poll(t.nic, 1, 2);
	net_device_get_info(t.dev[0], &info);
	assert_false(info.link_up);
	t.nic[1] = probe_nic("ring:net", false, 1500);
	probe_poll(t.nic, 2, 2);
	net_device_get_info(t.dev[0], &info);
	assert_true(info.link_up);
	/* No link without a personality that runs. */
	assert_int_equal(mpn_personality_stop(t.p[0]), 0);
	net_device_get_info(t.dev[0], &info);
	assert_false(info.link_up);
	close_ends(&t);
}

static void
test_what_cannot_be_loaded(void **state)
{
	struct mpn_nic *nic = probe_nic("ring:net", true, 1500);
	struct mpn_personality *p, *q, *r;
	struct mpn_personality_info info;
	struct probe probe = {0}, *args = &probe;

	assert_int_equal(mpn_personality_define(nic, "net", "first", &p), 0);
	assert_int_equal(mpn_personality_define(nic, "net", "second", &q), 0);
	assert_int_equal(mpn_personality_define(nic, "probe", NULL, &r), 0);
	assert_null(net_device_get(p));
	assert_int_equal(mpn_personality_load(p, NULL), 0);
	assert_non_null(net_device_get(p));
	mpn_personality_get_info(p, &info);
	assert_true(info.takes_rest);
	probe_catch_log();
	assert_int_equal(mpn_personality_load(q, NULL), -EADDRINUSE);
	assert_non_null(strstr(probe_release_log(), "belong to 'first' already"));
	/* All is as it was. */
	mpn_personality_get_info(q, &info);
	assert_false(info.takes_rest);
	assert_true(mpn_personality_has_type(p, IPV4));
	assert_false(mpn_personality_has_type(q, IPV4));
	assert_int_equal(mpn_personality_unload(p), 0);
	assert_false(mpn_personality_has_type(p, IPV4));
	probe_catch_log();
	assert_int_equal(mpn_personality_load(q, &(struct net_conf){.ring_len = 100}), -EINVAL);
	assert_non_null(strstr(probe_release_log(), "expected a power of two"));
	assert_int_equal(mpn_personality_load(q, NULL), 0);
	assert_int_equal(mpn_personality_load(r, &args), 0);
	assert_null(net_device_get(r));
	assert_int_equal(mpn_personality_take_rest(r), -EINVAL);
	mpn_nic_destroy(nic);
}

static int
start_eal(void **state)
{
	return probe_eal_start("ring:net", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_come_whole_and_in_order),
		cmocka_unit_test(test_reserved_types_are_refused),
		cmocka_unit_test(test_what_cannot_be_sent),
		cmocka_unit_test(test_tagged_frames),
		cmocka_unit_test(test_tags_come_whole),
		cmocka_unit_test(test_host_in_a_vlan),
		cmocka_unit_test(test_what_is_dropped_on_the_way_in),
		cmocka_unit_test(test_promiscuous),
		cmocka_unit_test(test_a_host_that_does_not_take_them),
		cmocka_unit_test(test_stop_sends_what_was_taken),
		cmocka_unit_test(test_it_shows_what_the_port_is),
		cmocka_unit_test(test_what_cannot_be_loaded),
	};

	return cmocka_run_group_tests_name("network device", tests, start_eal, probe_eal_stop);
}
