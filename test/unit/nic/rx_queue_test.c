/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Queues of personalities: when there are rules, what becomes of them, and that the counters do not tell by
 * which way frames have come: classified in software, steered by a card, on a pair of queues that the peer chose.
 */

#include <stdio.h>
#include <unistd.h>

#include <rte_ether.h>

#include "card.h"
#include "mpn_fwd.h"
#include "mpn_log.h"
#include "nic_internal.h"
#include "probe.h"

#define FRAME 1514
#define NOBODY 0x9999

/* Four faces behind one port, and somebody who sends whatever he likes. */
struct bed {
	struct card *card;
	struct mpn_nic *nic[2]; /* 0: what is under test */
	struct probe plain, ten,
		twice; /* PROBE_TYPE without a tag, in VLAN 10, in 20 inside of 100 */
	struct probe loaded; /* PROBE_TYPE_2, not started */
	struct probe peer;
	struct mpn_nic_info info;
};

/* What was said about queues while a test listens. */
static char words[512];

static void
catch_words(enum mpn_log_level level, const char *topic, const char *line)
{
	if (strstr(line, "queue") != NULL)
		(void)snprintf(words, sizeof(words), "%s", line);
}

static void
fill_bed(struct bed *t)
{
	struct mpn_personality *p;

	(void)probe_add(t->nic[0], &t->plain, "plain", 0, 0);
	(void)probe_add(t->nic[0], &t->ten, "ten", 10, 0);
	(void)probe_add(t->nic[0], &t->twice, "twice", 20, 100);
	t->loaded.types[0] = PROBE_TYPE_2;
	t->loaded.nb_types = 1;
	p = probe_add(t->nic[0], &t->loaded, "loaded", 0, 0);
	assert_int_equal(mpn_personality_stop(p), 0);
	(void)probe_add(t->nic[1], &t->peer, "peer", 0, 0);
	mpn_nic_get_info(t->nic[0], &t->info);
}

static bool
both_up(void *arg)
{
	const struct bed *t = arg;
	struct mpn_nic_info info[2];

	for (unsigned i = 0; i < 2; i++)
		mpn_nic_get_info(t->nic[i], &info[i]);
	return info[0].link_up && info[1].link_up;
}

static void
open_card(struct bed *t, struct card *c)
{
	memset(t, 0, sizeof(*t));
	t->card = c;
	t->nic[1] = probe_nic(c->peer_link, true, 1500);
	t->nic[0] = probe_nic(c->link, false, 1500);
	assert_true(t->nic[0] != NULL && t->nic[1] != NULL);
	assert_true(probe_poll_until(t->nic, 2, both_up, t, 1000));
	fill_bed(t);
}

static void
close_bed(struct bed *t)
{
	mpn_nic_destroy(t->nic[0]);
	mpn_nic_destroy(t->nic[1]);
	if (t->card != NULL) {
		assert_int_equal(t->card->nb_rules, 0);
		card_destroy(t->card);
	}
	mpn_nic_pool_reap();
}

/* ---- The same frames, three ways ---- */

struct row {
	uint16_t tpid[3], tci[3]; /* tags; tpid 0: no more */
	uint16_t type;
	uint32_t len; /* without its tags */
	enum { FROM_PEER, FROM_US, FOR_OTHERS } station;
};

static const struct row rows[] = {
	{{0}, {0}, PROBE_TYPE, 64, FROM_PEER},
	{{0}, {0}, PROBE_TYPE, FRAME, FROM_PEER},
	{{0}, {0}, PROBE_TYPE, FRAME + 1, FROM_PEER},
	{{0}, {0}, PROBE_TYPE_2, 64, FROM_PEER},
	{{0}, {0}, NOBODY, 64, FROM_PEER},
	{{0}, {0}, 46, 64, FROM_PEER},
	{{0}, {0}, PROBE_TYPE, 64, FROM_US},
	{{0}, {0}, PROBE_TYPE, 64, FOR_OTHERS},
	{{0x8100}, {10}, PROBE_TYPE, 64, FROM_PEER},
	{{0x8100}, {10}, PROBE_TYPE, FRAME, FROM_PEER},
	{{0x8100}, {10}, PROBE_TYPE, FRAME + 1, FROM_PEER},
	{{0x8100}, {10}, PROBE_TYPE, 64, FROM_US},
	{{0x8100}, {10}, PROBE_TYPE, 64, FOR_OTHERS},
	{{0x8100}, {0xe000 | 10}, PROBE_TYPE, 64, FROM_PEER},
	{{0x8100}, {10}, NOBODY, 64, FROM_PEER},
	{{0x8100}, {10}, 46, 64, FROM_PEER},
	{{0x8100}, {0}, PROBE_TYPE, 64, FROM_PEER},
	{{0x8100}, {11}, PROBE_TYPE, 64, FROM_PEER},
	{{0x8100}, {0xfff}, PROBE_TYPE, 64, FROM_PEER},
	{{0x88a8, 0x8100}, {100, 20}, PROBE_TYPE, 64, FROM_PEER},
	{{0x88a8, 0x8100}, {100, 20}, PROBE_TYPE, FRAME, FROM_PEER},
	{{0x88a8, 0x8100}, {20, 100}, PROBE_TYPE, 64, FROM_PEER},
	{{0x8100, 0x8100}, {10, 10}, PROBE_TYPE, 64, FROM_PEER},
	{{0x8100, 0x8100, 0x8100}, {10, 10, 10}, PROBE_TYPE, 64, FROM_PEER},
	{{0x88a8, 0x8100, 0x8100}, {100, 20, 0}, PROBE_TYPE, 64, FROM_PEER},
};

static struct rte_mbuf *
make_frame(struct bed *t, const struct row *row)
{
	static const uint8_t other[6] = {0x02, 0, 0, 0, 0, 0x77};
	struct rte_mbuf *m = probe_frame(t->nic[1],
		row->station == FOR_OTHERS ? other : t->info.mac, row->type, 0, row->len);
	unsigned n = 0;

	assert_non_null(m);
	if (row->station == FROM_US)
		memcpy(rte_pktmbuf_mtod_offset(m, void *, 6), t->info.mac, 6);
	while (n < 3 && row->tpid[n] != 0)
		n++;
	while (n-- > 0) {
		uint16_t tag[2] = {rte_cpu_to_be_16(row->tpid[n]), rte_cpu_to_be_16(row->tci[n])};
		uint8_t *frame;

		assert_non_null(rte_pktmbuf_prepend(m, 4));
		frame = rte_pktmbuf_mtod(m, uint8_t *);
		memmove(frame, frame + 4, 12);
		memcpy(frame + 12, tag, sizeof(tag));
	}
	return m;
}

/* What is counted of frames that come. */
struct counts {
	struct mpn_nic_stats nic;
	uint64_t flows[4][5];
	uint64_t seen[4][3];
};

static void
read_counts(struct bed *t, struct counts *c)
{
	const struct probe *probes[] = {&t->plain, &t->ten, &t->twice, &t->loaded};

	c->nic = *mpn_nic_get_stats(t->nic[0]);
	/* How often was looked, and what left, is no matter of these frames. */
	c->nic.polls = c->nic.idle_polls = 0;
	c->nic.tx_frames = c->nic.tx_bytes = c->nic.tx_busy = c->nic.tx_link_down = 0;
	for (unsigned i = 0; i < 4; i++) {
		struct mpn_personality_info info;

		mpn_personality_get_info(mpn_personality_get(t->nic[0], i), &info);
		c->flows[i][0] = info.stats.rx_frames;
		c->flows[i][1] = info.stats.rx_bytes;
		c->flows[i][2] = info.stats.rx_dropped;
		c->flows[i][3] = info.stats.rx_full;
		c->flows[i][4] = info.stats.rx_stopped;
		c->seen[i][0] = probes[i]->frames;
		c->seen[i][1] = probes[i]->bytes;
		c->seen[i][2] = probes[i]->damaged;
	}
}

struct arrival {
	struct bed *bed;
	uint64_t frames;
};

static bool
has_arrived(void *arg)
{
	const struct arrival *a = arg;

	return mpn_nic_get_stats(a->bed->nic[0])->rx_frames >= a->frames;
}

/* One by one: the port has taken none for want of room. data: on the queue for data. */
static void
run_rows(struct bed *t, bool data, struct counts *c)
{
	memset(c, 0, sizeof(*c));
	mpn_nic_clear_stats(t->nic[0]);
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		struct rte_mbuf *m = make_frame(t, &rows[i]);
		struct arrival a = {t, i + 1};

		assert_int_equal((data ? mpn_flow_tx_data : mpn_flow_tx)(t->peer.p, &m, 1), 1);
		if (!probe_poll_until(t->nic, 2, has_arrived, &a, 5000))
			fail_msg("row %u has not arrived", i);
	}
	probe_poll(t->nic, 2, 4);
	read_counts(t, c);
	assert_int_equal(c->nic.rx_frames, MPN_ARRAY_SIZE(rows));
}

static void
assert_alike(const struct counts *a, const struct counts *b)
{
	assert_memory_equal(&a->nic, &b->nic, sizeof(a->nic));
	assert_memory_equal(a->flows, b->flows, sizeof(a->flows));
	assert_memory_equal(a->seen, b->seen, sizeof(a->seen));
}

static void
count_on_card(struct card *c, struct counts *counts)
{
	struct bed t;

	open_card(&t, c);
	run_rows(&t, false, counts);
	close_bed(&t);
}

static bool
peer_has_data(void *arg)
{
	const struct bed *t = arg;

	return both_up(arg) && nic_peer_has_data_queue(t->nic[1]);
}

/* The peer, vhost, sends on the pair of queues that the two have for data. */
static void
count_on_virtio(struct counts *counts)
{
	char dir[] = "/tmp/mpnic-queue-XXXXXX", vhost[64], virtio[64];
	struct bed t = {0};

	assert_non_null(mkdtemp(dir));
	(void)snprintf(vhost, sizeof(vhost), "vhost:%s/s", dir);
	(void)snprintf(virtio, sizeof(virtio), "virtio:%s/s,place=32", dir);
	t.nic[1] = probe_nic(vhost, true, 1500);
	t.nic[0] = probe_nic(virtio, false, 1500);
	assert_true(t.nic[0] != NULL && t.nic[1] != NULL);
	assert_true(probe_poll_until(t.nic, 2, peer_has_data, &t, 5000));
	fill_bed(&t);
	run_rows(&t, true, counts);
	close_bed(&t);
	(void)rmdir(dir);
}

static void
test_three_ways_count_alike(void **state)
{
	struct counts software, steered, wrong, agreed;
	struct card *c;

	c = card_create_steering(0);
	count_on_card(c, &software);
	assert_int_equal(software.seen[0][0], 3);
	assert_int_equal(software.seen[1][0], 3);
	assert_int_equal(software.seen[2][0], 2);
	assert_int_equal(software.nic.rx_own_source, 2);
	assert_int_equal(software.nic.rx_not_ours, 2);
	assert_int_equal(software.nic.rx_long, 2);
	assert_int_equal(software.nic.rx_length, 2);
	assert_int_equal(software.nic.rx_stopped, 1);
	assert_int_equal(software.nic.rx_vlan_bad, 3);
	count_on_card(card_create_steering(4), &steered);
	assert_alike(&software, &steered);
	/* A card that steers wrongly: where a frame waits is not whose it is. */
	c = card_create_steering(4);
	c->steers_wrong = true;
	count_on_card(c, &wrong);
	assert_alike(&software, &wrong);
	count_on_virtio(&agreed);
	assert_alike(&software, &agreed);
}

/* ---- When there are rules ---- */

static uint8_t
queue_of(const struct probe *probe)
{
	struct mpn_personality_info info;

	mpn_personality_get_info(probe->p, &info);
	return info.rx_queue;
}

static void
send_one(struct bed *t, unsigned row)
{
	struct rte_mbuf *m = make_frame(t, &rows[row]);

	assert_int_equal(mpn_flow_tx(t->peer.p, &m, 1), 1);
	probe_poll(t->nic, 2, 3);
}

#define ROW_PLAIN 0
#define ROW_TEN 8

static void
test_queues_come_and_go(void **state)
{
	struct card *c = card_create_steering(2);
	struct bed t;

	open_card(&t, c);
	assert_int_equal(c->nb_rx_queues, 3);
	assert_int_equal(c->nb_rules, 2);
	assert_int_equal(queue_of(&t.plain), 1);
	assert_int_equal(queue_of(&t.ten), 2);
	/* There are two: the third one is told apart in software. */
	assert_int_equal(queue_of(&t.twice), 0);
	send_one(&t, ROW_PLAIN);
	send_one(&t, ROW_TEN);
	assert_int_equal(c->queues[1].frames, 1);
	assert_int_equal(c->queues[2].frames, 1);
	/* What is free again is the next one's. */
	assert_int_equal(mpn_personality_stop(t.plain.p), 0);
	assert_int_equal(queue_of(&t.plain), 0);
	assert_int_equal(c->nb_rules, 1);
	assert_int_equal(mpn_personality_start(t.loaded.p), 0);
	assert_int_equal(queue_of(&t.loaded), 1);
	assert_int_equal(mpn_personality_start(t.plain.p), 0);
	assert_int_equal(queue_of(&t.plain), 0);
	send_one(&t, ROW_PLAIN);
	assert_int_equal(t.plain.frames, 2);
	assert_int_equal(c->queues[1].frames, 1);
	/* A port that was stopped, or gone, has forgotten them. */
	mpn_nic_stop(t.nic[0]);
	assert_int_equal(c->nb_rules, 0);
	assert_int_equal(mpn_nic_start(t.nic[0]), 0);
	assert_int_equal(c->nb_rules, 2);
	assert_int_equal(mpn_personality_unload(t.ten.p), -EPERM);
	assert_int_equal(c->nb_rules, 2);
	close_bed(&t);
}

/* Who has the port for himself has all of its frames. */
static void
test_forwarding_gets_all(void **state)
{
	const struct mpn_fwd_conf rxonly = {.mode = "rxonly"};
	struct card *c = card_create_steering(2);
	struct mpn_fwd_info info;
	struct bed t;

	open_card(&t, c);
	assert_int_equal(mpn_nic_set_fwd(t.nic[0], &rxonly), 0);
	assert_int_equal(c->nb_rules, 0);
	send_one(&t, ROW_PLAIN);
	send_one(&t, ROW_TEN);
	mpn_nic_get_fwd(t.nic[0], &info);
	assert_int_equal(info.rx_frames, 2);
	assert_int_equal(mpn_nic_set_fwd(t.nic[0], NULL), 0);
	assert_int_equal(c->nb_rules, 2);
	send_one(&t, ROW_TEN);
	assert_int_equal(t.ten.frames, 1);
	assert_int_equal(c->queues[2].frames, 1);
	close_bed(&t);
}

/* No rules at all: one queue, as ever. None for tags: those in a VLAN come on the first one. */
static void
test_cards_that_cannot(void **state)
{
	struct card *c = card_create_steering(2);
	struct bed t;

	c->no_rules = true;
	mpn_log_set_sink(catch_words);
	open_card(&t, c);
	mpn_log_set_sink(NULL);
	assert_non_null(strstr(words, "one receive queue for all"));
	assert_int_equal(c->nb_rx_queues, 1);
	assert_int_equal(queue_of(&t.plain), 0);
	send_one(&t, ROW_PLAIN);
	assert_int_equal(t.plain.frames, 1);
	close_bed(&t);

	c = card_create_steering(4);
	c->no_vlan_rules = true;
	open_card(&t, c);
	assert_int_equal(c->nb_rules, 1);
	assert_int_equal(queue_of(&t.plain), 1);
	assert_int_equal(queue_of(&t.ten), 0);
	assert_int_equal(mpn_personality_stop(t.ten.p), 0);
	mpn_log_set_sink(catch_words);
	assert_int_equal(mpn_personality_start(t.ten.p), 0);
	mpn_log_set_sink(NULL);
	assert_non_null(strstr(words, "no patterns of tags"));
	send_one(&t, ROW_TEN);
	assert_int_equal(t.ten.frames, 1);
	close_bed(&t);

	c = card_create_steering(4);
	c->max_rx_queues = 1;
	open_card(&t, c);
	assert_int_equal(c->nb_rx_queues, 1);
	close_bed(&t);
}

static bool
has_looked(void *arg)
{
	const struct bed *t = arg;

	return mpn_nic_get_stats(t->nic[0])->rx_port_missed == t->card->dropped;
}

/* Who is flooded loses his own frames in the port, which counts them, and not those of others. */
static void
flood(unsigned queues, uint64_t expected)
{
	struct card *c = card_create_steering(queues);
	struct bed t;

	open_card(&t, c);
	for (unsigned i = 0; i < 2 * CARD_QUEUE_LEN; i++) {
		struct rte_mbuf *m = make_frame(&t, &rows[ROW_PLAIN]);

		assert_int_equal(mpn_flow_tx(t.peer.p, &m, 1), 1);
		probe_poll(&t.nic[1], 1, 1);
	}
	for (unsigned i = 0; i < 10; i++) {
		struct rte_mbuf *m = make_frame(&t, &rows[ROW_TEN]);

		assert_int_equal(mpn_flow_tx(t.peer.p, &m, 1), 1);
		probe_poll(&t.nic[1], 1, 1);
	}
	probe_poll(t.nic, 2, 2 * CARD_QUEUE_LEN);
	assert_int_equal(t.ten.frames, expected);
	assert_int_equal(t.plain.frames, CARD_QUEUE_LEN);
	assert_int_equal(c->dropped, CARD_QUEUE_LEN + 10 - expected);
	assert_true(probe_poll_until(t.nic, 2, has_looked, &t, 5000));
	/* Once. */
	mpn_nic_clear_stats(t.nic[0]);
	probe_poll(t.nic, 2, 1);
	t.nic[0]->next_check_ns = 0;
	probe_poll(t.nic, 2, 1);
	assert_int_equal(mpn_nic_get_stats(t.nic[0])->rx_port_missed, 0);
	close_bed(&t);
}

static void
test_floods_stay_where_they_belong(void **state)
{
	flood(0, 0);
	flood(2, 10);
}

/* With the cable out nothing is received, on any queue. */
static void
test_cable_is_out_on_all_queues(void **state)
{
	struct card *c = card_create_steering(2);
	struct bed t;

	open_card(&t, c);
	assert_int_equal(mpn_nic_inject(t.nic[0], MPN_FAULT_LINK_DOWN, true), 0);
	send_one(&t, ROW_PLAIN);
	send_one(&t, ROW_TEN);
	assert_int_equal(t.plain.frames + t.ten.frames, 0);
	assert_int_equal(c->queues[1].nb + c->queues[2].nb, 0);
	assert_int_equal(mpn_nic_inject(t.nic[0], MPN_FAULT_LINK_DOWN, false), 0);
	send_one(&t, ROW_TEN);
	assert_int_equal(t.ten.frames, 1);
	/* The device goes, and comes back: so do the rules. */
	assert_int_equal(mpn_nic_inject(t.nic[0], MPN_FAULT_REMOVED, true), 0);
	probe_poll(t.nic, 2, 2);
	assert_int_equal(c->nb_rules, 0);
	assert_int_equal(mpn_nic_inject(t.nic[0], MPN_FAULT_REMOVED, false), 0);
	assert_true(probe_poll_until(t.nic, 2, both_up, &t, 5000));
	assert_int_equal(c->nb_rules, 2);
	close_bed(&t);
}

static void
test_wrong_numbers(void **state)
{
	static const char *const links[] = {
		"dev:net_ring_x,queues=9", "dev:net_ring_x,queues=-1", "tap:x,queues=two"};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(links); i++) {
		probe_catch_log();
		errno = 0;
		assert_null(probe_nic(links[i], false, 0));
		assert_int_equal(errno, EINVAL);
		assert_non_null(strstr(probe_release_log(), "expected 0 to 8"));
	}
}

static int
start(void **state)
{
	return probe_eal_start("ring:queue", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_ways_count_alike),
		cmocka_unit_test(test_queues_come_and_go),
		cmocka_unit_test(test_forwarding_gets_all),
		cmocka_unit_test(test_cards_that_cannot),
		cmocka_unit_test(test_floods_stay_where_they_belong),
		cmocka_unit_test(test_cable_is_out_on_all_queues),
		cmocka_unit_test(test_wrong_numbers),
	};

	return cmocka_run_group_tests(tests, start, probe_eal_stop);
}
