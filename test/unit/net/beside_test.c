/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The network personality and the storage personality on one port: neither loses anything to the other. */

#include <rte_ether.h>

#include "../storage/bed.h"
#include "mpn_net.h"
#include "nic_pool.h"

#define ROUNDS 200
#define LEN 16384

struct both {
	struct bed *bed;
	struct mpn_personality *p[2];
	struct net_device *dev[2];
	uint64_t sent[2], got[2];
};

static void
load_net(struct both *t, unsigned side)
{
	assert_int_equal(mpn_personality_define(t->bed->nics[side], "net", NULL, &t->p[side]), 0);
	assert_int_equal(mpn_personality_load(t->p[side], NULL), 0);
	assert_int_equal(mpn_personality_start(t->p[side]), 0);
	t->dev[side] = net_device_get(t->p[side]);
}

static void
unload_net(struct both *t, unsigned side)
{
	assert_int_equal(mpn_personality_stop(t->p[side]), 0);
	assert_int_equal(mpn_personality_unload(t->p[side]), 0);
	assert_int_equal(mpn_personality_undefine(t->p[side]), 0);
}

/* A frame of each kind: an ordinary one, and one that pretends to be storage. */
static void
send_some(struct both *t, unsigned side)
{
	static const uint16_t types[] = {RTE_ETHER_TYPE_IPV4, WIRE_EBD_TO_TARGET};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(types); i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(mpn_nic_rx_pool(t->bed->nics[side]));
		uint8_t *frame;

		assert_non_null(m);
		frame = (uint8_t *)rte_pktmbuf_append(m, 60);
		memset(frame, 0xff, 60);
		frame[6] = 2;
		frame[12] = (uint8_t)(types[i] >> 8);
		frame[13] = (uint8_t)types[i];
		assert_int_equal(net_tx_burst(t->dev[side], &m, 1), 1);
	}
	t->sent[side]++;
}

static void
receive_all(struct both *t, unsigned side)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n;

	while ((n = net_rx_burst(t->dev[side], mbufs, MPN_BURST)) > 0) {
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(mbufs[i]->pkt_len, 60);
			assert_int_equal(rte_pktmbuf_mtod(mbufs[i], uint8_t *)[12], 8);
		}
		rte_pktmbuf_free_bulk(mbufs, n);
		t->got[side] += n;
	}
}

static void
run_both(const struct bed_conf *conf)
{
	static uint8_t data[LEN], back[LEN];
	struct both t = {.bed = bed_create(conf)};

	load_net(&t, 0);
	load_net(&t, 1);
	for (unsigned r = 0; r < ROUNDS; r++) {
		uint64_t at = (uint64_t)(r % 100) * LEN;

		send_some(&t, 0);
		send_some(&t, 1);
		bed_fill(data, sizeof(data), r);
		assert_int_equal(bed_rw(t.bed, WIRE_WRITE, data, LEN, at, 0), 0);
		assert_int_equal(bed_rw(t.bed, WIRE_READ, back, LEN, at, 0), 0);
		assert_memory_equal(back, data, LEN);
		receive_all(&t, 0);
		receive_all(&t, 1);
	}
	bed_poll_until(t.bed, (receive_all(&t, 0), receive_all(&t, 1),
				      t.got[0] == t.sent[1] && t.got[1] == t.sent[0]));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(net_device_get_stats(t.dev[i])->tx_reserved, ROUNDS);
		assert_int_equal(net_device_get_stats(t.dev[i])->rx_dropped, 0);
		assert_int_equal(mpn_nic_get_stats(t.bed->nics[i])->rx_flow_full, 0);
		unload_net(&t, i);
	}
	bed_destroy(t.bed);
}

static void
test_over_a_ring(void **state)
{
	run_both(&(struct bed_conf){0});
}

static void
test_over_virtio(void **state)
{
	run_both(&(struct bed_conf){.virtio = true});
}

/* Coming and going while requests are in flight. */
static void
test_it_comes_and_goes(void **state)
{
	static uint8_t data[LEN], back[LEN];
	struct both t = {.bed = bed_create(&(struct bed_conf){0})};

	for (unsigned r = 0; r < 50; r++) {
		load_net(&t, r % 2);
		bed_fill(data, sizeof(data), r);
		assert_int_equal(bed_rw(t.bed, WIRE_WRITE, data, LEN, 0, 0), 0);
		send_some(&t, r % 2);
		unload_net(&t, r % 2);
		assert_int_equal(bed_rw(t.bed, WIRE_READ, back, LEN, 0, 0), 0);
		assert_memory_equal(back, data, LEN);
	}
	bed_destroy(t.bed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_over_a_ring),
		cmocka_unit_test(test_over_virtio),
		cmocka_unit_test(test_it_comes_and_goes),
	};

	return cmocka_run_group_tests_name(
		"network beside storage", tests, bed_start_eal, bed_stop_eal);
}
