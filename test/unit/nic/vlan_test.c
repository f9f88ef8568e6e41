/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* VLANs: who gets a frame, with what tags frames leave, and what is refused. */

#include <rte_ether.h>
#include <rte_mempool.h>

#include "nic_internal.h"
#include "probe.h"

#define MTU 1500
#define FRAME (MTU + RTE_ETHER_HDR_LEN)

/* Three faces behind one port, and somebody at the other end who sends whatever he likes. */
struct bed {
	struct mpn_nic *nic[2];
	struct probe plain; /* PROBE_TYPE without a tag */
	struct probe ten; /* PROBE_TYPE in VLAN 10 */
	struct probe twice; /* PROBE_TYPE in VLAN 20 inside of VLAN 100 */
	struct probe peer; /* the other end: all tagged frames, and PROBE_TYPE */
	const struct mpn_nic_stats *stats;
};

static void
open_bed(struct bed *t)
{
	const struct mpn_nic_conf conf = {.link = "ring:vlan", .mtu = MTU};

	memset(t, 0, sizeof(*t));
	for (unsigned i = 0; i < 2; i++) {
		t->nic[i] = mpn_nic_create(&conf);
		assert_non_null(t->nic[i]);
	}
	(void)probe_add(t->nic[0], &t->plain, "plain", 0, 0);
	(void)probe_add(t->nic[0], &t->ten, "ten", 10, 0);
	(void)probe_add(t->nic[0], &t->twice, "twice", 20, 100);
	t->peer.types[0] = RTE_ETHER_TYPE_VLAN;
	t->peer.types[1] = RTE_ETHER_TYPE_QINQ;
	t->peer.types[2] = PROBE_TYPE;
	t->peer.nb_types = 3;
	t->peer.hold = true;
	(void)probe_add(t->nic[1], &t->peer, "peer", 0, 0);
	probe_poll(t->nic, 2, 2);
	t->stats = mpn_nic_get_stats(t->nic[0]);
}

static void
drop_held(struct probe *probe)
{
	rte_pktmbuf_free_bulk(probe->held, probe->nb_held);
	probe->nb_held = 0;
}

static void
close_bed(struct bed *t)
{
	struct rte_mempool *pool = mpn_nic_rx_pool(t->nic[1]);

	drop_held(&t->peer);
	mpn_nic_destroy(t->nic[0]);
	assert_int_equal(rte_mempool_avail_count(pool), pool->size);
	mpn_nic_destroy(t->nic[1]);
}

/* Tags of a frame: pairs of type and what follows it, 0 at the end. */
struct tags {
	uint16_t tpid[4];
	uint16_t tci[4];
};

/* A frame of the other end's. len: without its tags. */
static struct rte_mbuf *
make_frame(struct bed *t, const struct tags *tags, uint16_t type, uint32_t len)
{
	struct rte_mbuf *m = probe_frame(t->nic[1], NULL, type, 0, len);
	unsigned n = 0;

	assert_non_null(m);
	while (n < 4 && tags->tpid[n] != 0)
		n++;
	for (unsigned i = n; i-- > 0;) {
		uint8_t *frame;

		assert_non_null(rte_pktmbuf_prepend(m, 4));
		frame = rte_pktmbuf_mtod(m, uint8_t *);
		memmove(frame, frame + 4, 12);
		frame[12] = (uint8_t)(tags->tpid[i] >> 8);
		frame[13] = (uint8_t)tags->tpid[i];
		frame[14] = (uint8_t)(tags->tci[i] >> 8);
		frame[15] = (uint8_t)tags->tci[i];
	}
	return m;
}

/* What a port does that takes the outer tag off. */
static void
take_off_by_port(struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

	if (m->data_len < 18 || !vlan_is_tpid((uint16_t)(frame[12] << 8 | frame[13])))
		return;
	m->vlan_tci = (uint16_t)(frame[14] << 8 | frame[15]);
	m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	memmove(frame + 4, frame, 12);
	assert_non_null(rte_pktmbuf_adj(m, 4));
}

static void
send_in(struct bed *t, struct rte_mbuf *m)
{
	assert_int_equal(mpn_flow_tx(t->peer.p, &m, 1), 1);
	probe_poll(t->nic, 2, 2);
}

/* ---- Who gets it ---- */

#define COUNTER(name) (offsetof(struct mpn_nic_stats, name))
#define TO_PLAIN COUNTER(polls)
#define TO_TEN COUNTER(idle_polls)
#define TO_TWICE COUNTER(tx_frames)

struct row {
	struct tags tags;
	uint16_t type;
	uint32_t len;
	size_t counter; /* of the drop, or whose it is */
};

static const struct row rows[] = {
	{{{0}}, PROBE_TYPE, 64, TO_PLAIN},
	{{{0x8100}, {10}}, PROBE_TYPE, 64, TO_TEN},
	/* Priority and drop eligibility make no VLAN. */
	{{{0x8100}, {0xf000 | 10}}, PROBE_TYPE, 64, TO_TEN},
	{{{0x88a8}, {10}}, PROBE_TYPE, 64, TO_TEN},
	{{{0x8100}, {0}}, PROBE_TYPE, 64, TO_PLAIN},
	{{{0x8100}, {0xe000}}, PROBE_TYPE, 64, TO_PLAIN},
	{{{0x88a8, 0x8100}, {100, 20}}, PROBE_TYPE, 64, TO_TWICE},
	{{{0x8100, 0x8100}, {100, 20}}, PROBE_TYPE, 64, TO_TWICE},
	{{{0x8100}, {10}}, PROBE_TYPE, FRAME, TO_TEN},
	{{{0x88a8, 0x8100}, {100, 20}}, PROBE_TYPE, FRAME, TO_TWICE},
	{{{0x8100}, {10}}, PROBE_TYPE, FRAME + 1, COUNTER(rx_long)},
	{{{0x88a8, 0x8100}, {100, 20}}, PROBE_TYPE, FRAME + 1, COUNTER(rx_long)},
	{{{0x8100}, {0xfff}}, PROBE_TYPE, FRAME + 5, COUNTER(rx_long)},
	{{{0x8100}, {11}}, PROBE_TYPE, 64, COUNTER(rx_vlan_unmapped)},
	{{{0x8100}, {100}}, PROBE_TYPE, 64, COUNTER(rx_vlan_unmapped)},
	{{{0x8100}, {20}}, PROBE_TYPE, 64, COUNTER(rx_vlan_unmapped)},
	{{{0x8100}, {10}}, PROBE_TYPE_2, 64, COUNTER(rx_unclaimed)},
	{{{0x8100}, {0}}, PROBE_TYPE_2, 64, COUNTER(rx_unclaimed)},
	{{{0x8100}, {10}}, 46, 64, COUNTER(rx_length)},
	{{{0x8100}, {0}}, 46, 64, COUNTER(rx_length)},
	{{{0x88a8, 0x8100}, {20, 100}}, PROBE_TYPE, 64, COUNTER(rx_vlan_nested)},
	{{{0x8100, 0x8100}, {10, 10}}, PROBE_TYPE, 64, COUNTER(rx_vlan_nested)},
	{{{0x8100, 0x8100}, {0, 10}}, PROBE_TYPE, 64, COUNTER(rx_vlan_nested)},
	{{{0x8100, 0x8100}, {10, 0}}, PROBE_TYPE, 64, COUNTER(rx_vlan_nested)},
	{{{0x8100}, {0xfff}}, PROBE_TYPE, 64, COUNTER(rx_vlan_bad)},
	{{{0x88a8, 0x8100}, {100, 0xfff}}, PROBE_TYPE, 64, COUNTER(rx_vlan_bad)},
	{{{0x8100, 0x8100, 0x8100}, {10, 10, 10}}, PROBE_TYPE, 64, COUNTER(rx_vlan_bad)},
	{{{0x88a8, 0x8100, 0x8100}, {100, 20, 0}}, PROBE_TYPE, 64, COUNTER(rx_vlan_bad)},
	{{{0x8100}, {10}}, 0x8100, 14, COUNTER(rx_vlan_bad)},
	{{{0x8100, 0x8100}, {100, 20}}, 0x8100, 14, COUNTER(rx_vlan_bad)},
	{{{0}}, 0x8100, 14, COUNTER(rx_vlan_bad)},
	{{{0}}, 0x8100, 17, COUNTER(rx_vlan_bad)},
	{{{0}}, 0x8100, 13, COUNTER(rx_runt)},
};

static uint64_t
read_counter(const struct bed *t, size_t counter)
{
	uint64_t value;

	if (counter == TO_PLAIN)
		return t->plain.frames;
	if (counter == TO_TEN)
		return t->ten.frames;
	if (counter == TO_TWICE)
		return t->twice.frames;
	memcpy(&value, (const char *)t->stats + counter, sizeof(value));
	return value;
}

/* All that has been dropped or handed on. */
static uint64_t
count_all(const struct bed *t)
{
	const struct mpn_nic_stats *s = t->stats;

	return t->plain.frames + t->ten.frames + t->twice.frames + s->rx_unclaimed + s->rx_length +
	       s->rx_long + s->rx_own_source + s->rx_stopped + s->rx_runt + s->rx_not_ours +
	       s->rx_flow_full + s->rx_vlan_unmapped + s->rx_vlan_nested + s->rx_vlan_bad +
	       s->vlan_no_mem;
}

static void
run_rows(struct bed *t, bool by_port)
{
	uint64_t bytes = 0;

	t->nic[0]->rx_flags = by_port ? RTE_MBUF_F_RX_VLAN_STRIPPED : 0;
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct rte_mbuf *m = make_frame(t, &row->tags, row->type, row->len);
		uint64_t before = read_counter(t, row->counter);

		bytes += m->pkt_len;
		if (by_port)
			take_off_by_port(m);
		send_in(t, m);
		if (read_counter(t, row->counter) != before + 1 || count_all(t) != i + 1)
			fail_msg("row %u has not been counted, or not alone", i);
	}
	assert_int_equal(t->stats->rx_frames, MPN_ARRAY_SIZE(rows));
	assert_int_equal(t->stats->rx_bytes, bytes);
	assert_int_equal(t->plain.damaged + t->ten.damaged + t->twice.damaged, 0);
}

static void
test_who_gets_it(void **state)
{
	struct bed t;

	open_bed(&t);
	run_rows(&t, false);
	assert_int_equal(t.ten.bytes, 3 * 64 + FRAME);
	assert_int_equal(t.twice.bytes, 2 * 64 + FRAME);
	close_bed(&t);
}

/* Whether the port takes tags off or we do: the counters are the same. */
static void
test_port_and_software_count_alike(void **state)
{
	struct mpn_nic_stats stats[2];
	uint64_t flows[2][3][3];

	for (unsigned by_port = 0; by_port < 2; by_port++) {
		struct mpn_personality_info info;
		struct bed t;

		open_bed(&t);
		mpn_nic_clear_stats(t.nic[0]);
		run_rows(&t, by_port != 0);
		stats[by_port] = *t.stats;
		for (unsigned i = 0; i < 3; i++) {
			mpn_personality_get_info(mpn_personality_get(t.nic[0], i), &info);
			flows[by_port][i][0] = info.stats.rx_frames;
			flows[by_port][i][1] = info.stats.rx_bytes;
			flows[by_port][i][2] = info.stats.rx_dropped;
		}
		close_bed(&t);
	}
	assert_memory_equal(&stats[0], &stats[1], sizeof(stats[0]));
	assert_memory_equal(flows[0], flows[1], sizeof(flows[0]));
}

/* A port that was not asked to take tags off has not: what a frame carries of its sender's is not its word. */
static void
test_flags_of_others_mean_nothing(void **state)
{
	static const struct tags none;
	struct rte_mbuf *m;
	struct bed t;

	open_bed(&t);
	m = make_frame(&t, &none, PROBE_TYPE, 64);
	m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	m->vlan_tci = 10;
	send_in(&t, m);
	assert_int_equal(t.plain.frames, 1);
	assert_int_equal(t.ten.frames, 0);
	close_bed(&t);
}

/* Others see the bytes, too: they must not change under their eyes. */
static void
test_shared_frames_are_copied(void **state)
{
	static const struct tags ten = {{0x8100}, {10}};
	struct rte_mbuf *m;
	uint8_t before[68];
	struct bed t;

	open_bed(&t);
	m = make_frame(&t, &ten, PROBE_TYPE, 64);
	memcpy(before, rte_pktmbuf_mtod(m, void *), sizeof(before));
	rte_mbuf_refcnt_update(m, 1);
	send_in(&t, m);
	assert_int_equal(t.ten.frames, 1);
	assert_int_equal(t.ten.damaged, 0);
	assert_int_equal(rte_mbuf_refcnt_read(m), 1);
	assert_int_equal(m->pkt_len, sizeof(before));
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), before, sizeof(before));
	rte_pktmbuf_free(m);
	close_bed(&t);
}

/* Without memory for the copy the frame is lost, and counted. */
static void
test_no_memory_for_a_copy(void **state)
{
	static const struct tags ten = {{0x8100}, {10}};
	struct rte_mempool *pool;
	struct rte_mbuf **all;
	struct rte_mbuf *m;
	unsigned nb = 0;
	struct bed t;

	open_bed(&t);
	pool = mpn_nic_rx_pool(t.nic[0]);
	m = make_frame(&t, &ten, PROBE_TYPE, 64);
	rte_mbuf_refcnt_update(m, 1);
	all = calloc(pool->size, sizeof(*all));
	assert_non_null(all);
	while (nb < pool->size && (all[nb] = rte_pktmbuf_alloc(pool)) != NULL)
		nb++;
	send_in(&t, m);
	assert_int_equal(t.ten.frames, 0);
	assert_int_equal(t.stats->vlan_no_mem, 1);
	assert_int_equal(rte_mbuf_refcnt_read(m), 1);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free_bulk(all, nb);
	free(all);
	close_bed(&t);
}

/* ---- What leaves ---- */

static void
check_sent(struct bed *t, unsigned i, const struct tags *tags, uint32_t len)
{
	struct rte_mbuf *want = make_frame(t, tags, PROBE_TYPE, len);
	struct rte_mbuf *got = t->peer.held[i];

	/* Sender and number differ, nothing else. */
	memcpy(rte_pktmbuf_mtod_offset(want, uint8_t *, 6),
		rte_pktmbuf_mtod_offset(got, uint8_t *, 6), 6);
	assert_int_equal(got->pkt_len, want->pkt_len);
	assert_int_equal(got->data_len, want->data_len);
	assert_memory_equal(rte_pktmbuf_mtod(got, uint8_t *), rte_pktmbuf_mtod(want, uint8_t *),
		want->data_len);
	rte_pktmbuf_free(want);
}

static void
test_tags_are_put_in(void **state)
{
	static const struct tags none, ten = {{0x8100}, {10}};
	struct probe peer = {0};
	struct bed t;

	open_bed(&t);
	assert_true(probe_send(&t.plain, NULL, 0, 64));
	assert_true(probe_send(&t.ten, NULL, 0, 64));
	assert_true(probe_send(&t.ten, NULL, 0, FRAME));
	probe_poll(t.nic, 2, 2);
	assert_int_equal(t.peer.nb_held, 3);
	assert_int_equal(mpn_nic_get_stats(t.nic[0])->tx_bytes, 2 * 64 + 4 + FRAME + 4);
	check_sent(&t, 0, &none, 64);
	check_sent(&t, 1, &ten, 64);
	check_sent(&t, 2, &ten, FRAME);
	drop_held(&t.peer);
	/* The other end takes two tags only where it has asked for them. */
	assert_true(probe_send(&t.twice, NULL, 0, FRAME));
	probe_poll(t.nic, 2, 2);
	assert_int_equal(mpn_nic_get_stats(t.nic[1])->rx_vlan_nested, 1);
	peer.hold = true;
	(void)probe_add(t.nic[1], &peer, "peer in two", 20, 100);
	assert_true(probe_send(&t.twice, NULL, 0, FRAME));
	probe_poll(t.nic, 2, 2);
	assert_int_equal(peer.nb_held, 1);
	assert_int_equal(peer.held[0]->pkt_len, FRAME);
	drop_held(&peer);
	close_bed(&t);
}

/* A port that does it is told, and counts the same bytes. */
static void
test_port_puts_tags_in(void **state)
{
	static const struct tags none;
	struct bed t;

	open_bed(&t);
	t.nic[0]->port_inserts = true;
	assert_true(probe_send(&t.ten, NULL, 0, 64));
	assert_true(probe_send(&t.plain, NULL, 0, 64));
	assert_true(probe_send(&t.twice, NULL, 0, 64));
	probe_poll(t.nic, 2, 2);
	assert_int_equal(t.peer.nb_held, 2);
	for (unsigned i = 0; i < 2; i++) {
		bool asked = (t.peer.held[i]->ol_flags & RTE_MBUF_F_TX_VLAN) != 0;

		check_sent(&t, i, &none, 64);
		assert_int_equal(asked, i == 1);
		if (asked)
			assert_int_equal(t.peer.held[i]->vlan_tci, 10);
	}
	/* Two tags are our work: the other end has seen both. */
	assert_int_equal(mpn_nic_get_stats(t.nic[1])->rx_vlan_nested, 1);
	assert_int_equal(mpn_nic_get_stats(t.nic[0])->tx_bytes, 3 * 64 + 4 + 8);
	close_bed(&t);
}

/* No room in front of it, or seen by others: the tag goes into a copy. */
static void
test_tags_need_room(void **state)
{
	static const struct tags ten = {{0x8100}, {10}};
	struct rte_mbuf *m[2];
	struct bed t;

	open_bed(&t);
	for (unsigned i = 0; i < 2; i++)
		m[i] = probe_frame(t.nic[0], NULL, PROBE_TYPE, 0, 64);
	rte_mbuf_refcnt_update(m[0], 1);
	m[1]->data_off = 2;
	memmove(rte_pktmbuf_mtod(m[1], char *),
		rte_pktmbuf_mtod_offset(m[1], char *, RTE_PKTMBUF_HEADROOM - 2), 64);
	assert_int_equal(mpn_flow_tx(t.ten.p, m, 2), 2);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(t.peer.nb_held, 2);
	check_sent(&t, 0, &ten, 64);
	check_sent(&t, 1, &ten, 64);
	assert_int_equal(rte_mbuf_refcnt_read(m[0]), 1);
	assert_int_equal(m[0]->pkt_len, 64);
	rte_pktmbuf_free(m[0]);
	close_bed(&t);
}

static void
test_segments_stay_where_they_are(void **state)
{
	struct bed t;

	open_bed(&t);
	assert_true(probe_send_segments(&t.ten, NULL, 0, 600));
	probe_poll(t.nic, 2, 2);
	assert_int_equal(t.peer.nb_held, 1);
	assert_int_equal(t.peer.held[0]->nb_segs, 3);
	assert_int_equal(t.peer.held[0]->data_len, RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN);
	assert_int_equal(t.peer.held[0]->pkt_len, 604);
	close_bed(&t);
}

/* ---- Life ---- */

/* When it goes the VLAN is nobody's; when it comes back it has it again. Others are not disturbed. */
static void
test_vlans_come_and_go(void **state)
{
	static const struct tags ten = {{0x8100}, {10}}, twice = {{0x88a8, 0x8100}, {100, 20}};
	struct probe *arg;
	struct bed t;

	open_bed(&t);
	arg = &t.ten;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(mpn_personality_stop(t.ten.p), 0);
		send_in(&t, make_frame(&t, &ten, PROBE_TYPE, 64));
		assert_int_equal(t.stats->rx_stopped, i + 1);
		assert_int_equal(mpn_personality_unload(t.ten.p), 0);
		send_in(&t, make_frame(&t, &ten, PROBE_TYPE, 64));
		assert_int_equal(t.stats->rx_vlan_unmapped, i + 1);
		send_in(&t, make_frame(&t, &twice, PROBE_TYPE, 64));
		assert_int_equal(t.twice.frames, i + 1);
		assert_int_equal(mpn_personality_load(t.ten.p, &arg), 0);
		assert_int_equal(mpn_personality_start(t.ten.p), 0);
		send_in(&t, make_frame(&t, &ten, PROBE_TYPE, 64));
		assert_int_equal(t.ten.frames, i + 1);
	}
	/* One that was defined before the others goes: theirs are still theirs. */
	assert_int_equal(mpn_personality_stop(t.plain.p), 0);
	assert_int_equal(mpn_personality_unload(t.plain.p), 0);
	assert_int_equal(mpn_personality_undefine(t.plain.p), 0);
	send_in(&t, make_frame(&t, &ten, PROBE_TYPE, 64));
	send_in(&t, make_frame(&t, &twice, PROBE_TYPE, 64));
	assert_int_equal(t.ten.frames, 4);
	assert_int_equal(t.twice.frames, 4);
	close_bed(&t);
}

static int
start_eal(void **state)
{
	return probe_eal_start("ring:vlan", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_gets_it),
		cmocka_unit_test(test_port_and_software_count_alike),
		cmocka_unit_test(test_flags_of_others_mean_nothing),
		cmocka_unit_test(test_shared_frames_are_copied),
		cmocka_unit_test(test_no_memory_for_a_copy),
		cmocka_unit_test(test_tags_are_put_in),
		cmocka_unit_test(test_port_puts_tags_in),
		cmocka_unit_test(test_tags_need_room),
		cmocka_unit_test(test_segments_stay_where_they_are),
		cmocka_unit_test(test_vlans_come_and_go),
	};

	return cmocka_run_group_tests_name("VLANs", tests, start_eal, probe_eal_stop);
}
