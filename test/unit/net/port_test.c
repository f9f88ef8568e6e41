/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What a card can do is asked of it, and left to it: its frames come out at the other end as they were handed to
 * the card, with what it would have to do in their flags.
 */

#include "../nic/card.h"
#include "../nic/probe.h"
#include "frames.h"
#include "mpn_net.h"
#include "net_head.h"

#define SUMS (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define CUTS (RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | SUMS)
#define VERIFIES (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)

struct bed {
	struct card *card;
	struct mpn_nic *nic[2]; /* 0: the card's */
	struct mpn_personality *p[2];
	struct net_device *dev[2];
	struct rte_mempool *pool;
	struct mpn_nic_info info;
};

static bool
both_up(void *arg)
{
	const struct bed *t = arg;
	struct net_device_info info[2];

	for (unsigned i = 0; i < 2; i++)
		net_device_get_info(t->dev[i], &info[i]);
	return info[0].link_up && info[1].link_up;
}

static void
open_bed(struct bed *t, uint64_t tx_capa, uint64_t rx_capa, const char *driver, uint16_t vid)
{
	memset(t, 0, sizeof(*t));
	t->card = card_create_steering(1);
	t->card->tx_capa = tx_capa;
	t->card->port_capa = rx_capa;
	t->card->driver = driver;
	t->nic[0] = probe_nic(t->card->link, false, 1500);
	t->nic[1] = probe_nic(t->card->peer_link, true, 9000);
	for (unsigned i = 0; i < 2; i++) {
		assert_non_null(t->nic[i]);
		assert_int_equal(mpn_personality_define(t->nic[i], "net", NULL, &t->p[i]), 0);
		if (i == 0 && vid != 0)
			assert_int_equal(
				mpn_personality_set_vlan(t->p[i], &(struct mpn_vlan){.vid = vid}),
				0);
		assert_int_equal(mpn_personality_load(t->p[i], NULL), 0);
		t->dev[i] = net_device_get(t->p[i]);
		assert_int_equal(mpn_personality_start(t->p[i]), 0);
	}
	assert_true(probe_poll_until(t->nic, 2, both_up, t, 1000));
	mpn_nic_get_info(t->nic[0], &t->info);
	t->pool = rte_pktmbuf_pool_create(
		"long", 63, 0, 0, RTE_PKTMBUF_HEADROOM + 1500, (int)rte_socket_id());
	assert_non_null(t->pool);
}

static void
close_bed(struct bed *t)
{
	mpn_nic_destroy(t->nic[0]);
	mpn_nic_destroy(t->nic[1]);
	card_destroy(t->card);
	rte_mempool_free(t->pool);
}

/* One that asks for its checksum, or to be cut, with these flags. @return what came out; NULL: nothing */
static struct rte_mbuf *
pass_with(struct bed *t, struct frame_spec *s, uint16_t size, uint64_t flags)
{
	struct rte_mbuf *m = frame_make(s, t->pool, 1500), *got = NULL;

	assert_non_null(m);
	m->l2_len = 14;
	m->l3_len = s->v6 ? 40 : 20;
	m->l4_len = s->udp ? 8 : 20;
	m->tso_segsz = size;
	m->ol_flags = flags;
	assert_int_equal(net_tx_burst(t->dev[0], &m, 1), 1);
	for (unsigned i = 0; i < 100 && got == NULL; i++) {
		probe_poll(t->nic, 2, 1);
		if (net_rx_burst(t->dev[1], &got, 1) == 0)
			got = NULL;
	}
	return got;
}

static struct rte_mbuf *
pass(struct bed *t, struct frame_spec *s, uint16_t size)
{
	uint64_t flags = s->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;

	flags |= s->udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
	if (size != 0)
		flags |= RTE_MBUF_F_TX_TCP_SEG | (s->v6 ? 0 : RTE_MBUF_F_TX_IP_CKSUM);
	return pass_with(t, s, size, flags);
}

static void
check_head(const struct rte_mbuf *m, const struct frame_spec *s, uint16_t l2_len)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct net_head h;
	uint16_t sum;

	assert_int_equal(m->l2_len, l2_len);
	assert_int_equal(m->l3_len, s->v6 ? 40 : 20);
	assert_true(net_head_read(m, &h));
	assert_int_equal(h.l2_len, l2_len);
	memcpy(&sum, frame + net_head_sum_at(&h), sizeof(sum));
	assert_int_equal(sum, net_head_pseudo_sum(frame, &h, h.l4_len + h.data_len));
}

static void
test_a_card_that_can_is_left_to_it(void **state)
{
	const struct net_stats *stats;
	struct bed t;

	open_bed(&t, CUTS, VERIFIES, "net_card", 0);
	assert_true(t.info.tx_checksum && t.info.tx_tso && t.info.rx_checksum);
	assert_int_equal(t.card->tx_offloads & CUTS, CUTS);
	assert_int_equal(t.card->port_offloads, VERIFIES);
	stats = net_device_get_stats(t.dev[0]);
	for (unsigned i = 0; i < 6; i++) {
		struct frame_spec s = {
			.v6 = i & 1, .udp = i >= 4, .bytes = i < 2 ? 7000 : 500, .partial = true};
		struct rte_mbuf *m;
		uint16_t size = i < 2 ? 1400 : 0;

		memset(s.dst, 0xff, sizeof(s.dst));
		m = pass(&t, &s, size);
		assert_non_null(m);
		assert_int_equal(m->pkt_len, frame_head_len(&s) + s.bytes);
		assert_int_equal((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0, size != 0);
		assert_int_equal(m->tso_segsz, size);
		assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_L4_MASK,
			s.udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM);
		check_head(m, &s, 14);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(stats->tx_offloaded, 6);
	assert_int_equal(stats->tx_frames, 6);
	assert_int_equal(stats->tx_summed + stats->tx_segmented, 0);
	close_bed(&t);
}

/* The tag is put in after the flags were set: they go with the headers. */
static void
test_a_tag_moves_what_the_card_fills_in(void **state)
{
	struct frame_spec s = {.bytes = 500, .partial = true};
	struct rte_mbuf *m;
	struct bed t;

	open_bed(&t, SUMS, 0, "net_card", 7);
	assert_true(t.info.tx_checksum && !t.info.tx_tso && !t.info.rx_checksum);
	memset(s.dst, 0xff, sizeof(s.dst));
	m = pass(&t, &s, 0);
	assert_non_null(m);
	assert_int_equal(m->pkt_len, frame_head_len(&s) + s.bytes + 4);
	check_head(m, &s, 18);
	rte_pktmbuf_free(m);
	close_bed(&t);
}

/* Who asks for segments need not ask for checksums besides. */
static void
test_a_tag_moves_what_the_card_cuts(void **state)
{
	struct frame_spec s = {.bytes = 7000, .partial = true};
	struct rte_mbuf *m;
	struct bed t;

	open_bed(&t, CUTS, 0, "net_card", 7);
	assert_true(t.info.tx_tso);
	memset(s.dst, 0xff, sizeof(s.dst));
	m = pass_with(
		&t, &s, 1400, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_SEG);
	assert_non_null(m);
	check_head(m, &s, 18);
	rte_pktmbuf_free(m);
	close_bed(&t);
}

static void
find_large(struct rte_mempool *mp, void *arg)
{
	if (strncmp(mp->name, "mpn_large", 9) == 0)
		*(uint32_t *)arg = mp->size;
}

/* A card that keeps what it has sent in all its descriptors leaves memory for the next long frame. */
static void
test_there_is_more_than_a_card_keeps(void **state)
{
	struct card *c = card_create_steering(1);
	struct mpn_personality *p;
	struct mpn_nic_info info;
	struct mpn_nic *nic;
	uint32_t size = 0;
	int rc;

	c->tx_capa = CUTS;
	c->driver = "net_card";
	nic = probe_nic(c->link, false, 1500);
	assert_non_null(nic);
	mpn_nic_get_info(nic, &info);
	assert_true(info.tx_tso);
	assert_int_equal(mpn_personality_define(nic, "net", NULL, &p), 0);
	rc = mpn_personality_load_text(p, "tap=mpnport,vhost=off");
	rte_mempool_walk(find_large, &size);
	mpn_nic_destroy(nic);
	card_destroy(c);
	/* No root, no tap. */
	if (rc == -EPERM || rc == -EACCES || rc == -ENOENT)
		skip();
	assert_int_equal(rc, 0);
	/* Those that wait to be filled, and one frame. */
	assert_true(size >= info.nb_txd + 8u);
}

/* One that has half of it, and one whose offload is this CPU's work: the frame is complete before it gets there. */
static void
test_a_card_that_cannot_gets_complete_frames(void **state)
{
	static const struct {
		uint64_t tx, rx;
		const char *driver;
	} rows[] = {
		{0, 0, "net_card"},
		{RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO,
			RTE_ETH_RX_OFFLOAD_TCP_CKSUM, "net_card"},
		{CUTS, VERIFIES, "net_virtio_user"},
		{CUTS, VERIFIES, "net_vhost"},
		{CUTS, VERIFIES, "net_bonding"},
	};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		struct frame_spec s = {.bytes = 500, .partial = true};
		uint32_t seq, bytes;
		struct rte_mbuf *m;
		uint8_t flags;
		struct bed t;

		open_bed(&t, rows[i].tx, rows[i].rx, rows[i].driver, 0);
		assert_false(t.info.tx_checksum || t.info.tx_tso || t.info.rx_checksum);
		assert_int_equal(t.card->tx_offloads & CUTS, 0);
		assert_int_equal(t.card->port_offloads, 0);
		memset(s.dst, 0xff, sizeof(s.dst));
		m = pass(&t, &s, 0);
		assert_non_null(m);
		assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK, 0);
		assert_true(frame_is_right(
			rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len, &seq, &bytes, &flags));
		rte_pktmbuf_free(m);
		/* A program is told that it cannot be cut, and finds it counted. */
		s.bytes = 7000;
		assert_null(pass(&t, &s, 1400));
		assert_int_equal(net_device_get_stats(t.dev[0])->tx_unable, 1);
		close_bed(&t);
	}
}

static int
start_eal(void **state)
{
	return probe_eal_start("ring:port", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_card_that_can_is_left_to_it),
		cmocka_unit_test(test_a_tag_moves_what_the_card_fills_in),
		cmocka_unit_test(test_a_tag_moves_what_the_card_cuts),
		cmocka_unit_test(test_there_is_more_than_a_card_keeps),
		cmocka_unit_test(test_a_card_that_cannot_gets_complete_frames),
	};

	return cmocka_run_group_tests_name("net_port", tests, start_eal, probe_eal_stop);
}
