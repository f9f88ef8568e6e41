/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The data queue of a network card: what it is asked for, what it is given, and who has which page when. */

#include "card.h"
#include "nic_internal.h"
#include "pages.h"
#include "pair.h"

#define PAIRS 32
#define BYTES 8192
#define NB_PAGES 96
#define DATA 0x80000000u /* in the number of a frame that is data */

/* Frames of the probe with the highest bit in their number. */
static const struct nic_steer steer = {.ethertype = PROBE_TYPE, .offset = 3, .bits = 0x80};

/* The card is end 0. */
static struct nic_post *
open_card(struct pair *t, struct card *c)
{
	struct nic_post *post;

	pair_open(t, 1, c->peer_link, true, 0);
	pair_open(t, 0, c->link, false, 0);
	pair_wait_up(t, 1000);
	post = mpn_nic_post(t->nic[0]);
	assert_non_null(post);
	assert_int_equal(mpn_nic_post_steer(t->nic[0], &steer), 0);
	pages_open(post, NB_PAGES, BYTES);
	t->probe[0].hold = true;
	return post;
}

static void
close_card(struct pair *t, struct card *c)
{
	free_held(&t->probe[0]);
	pair_close(t);
	card_destroy(c);
	mpn_nic_pool_reap();
	pages_close();
}

static void
send_one(struct pair *t, uint32_t number, uint32_t len)
{
	assert_true(probe_send(&t->probe[1], t->info[0].mac, number, len));
}

static void
expect(struct pair *t, uint64_t frames)
{
	uint64_t deadline = mpn_now_ns() + 5000000000ull;

	while (t->probe[0].frames < frames && mpn_now_ns() < deadline)
		probe_poll(t->nic, 2, 1);
	assert_int_equal(t->probe[0].frames, frames);
	assert_int_equal(t->probe[0].damaged, 0);
}

/* Use up so many pairs. */
static void
use_pairs(struct pair *t, unsigned n)
{
	uint64_t before = t->probe[0].frames;

	for (unsigned i = 0; i < n; i++)
		send_one(t, DATA + i, 100);
	expect(t, before + n);
	free_held(&t->probe[0]);
}

/* ---- Tests ---- */

static void
assert_refused(const struct card *c, const char *words)
{
	probe_catch_log();
	errno = 0;
	assert_null(probe_nic(c->link, false, 0));
	assert_int_equal(errno, EOPNOTSUPP);
	if (strstr(probe_release_log(), words) == NULL)
		fail_msg("no word of '%s'", words);
}

static void
test_cards_that_cannot(void **state)
{
	struct card *c = card_create(PAIRS);

	c->port_capa = c->queue_capa = RTE_ETH_RX_OFFLOAD_SCATTER;
	assert_refused(c, "it has no buffer split");
	c->port_capa = c->queue_capa = RTE_ETH_RX_OFFLOAD_BUFFER_SPLIT;
	c->seg_capa.multi_pools = 0;
	assert_refused(c, "cannot use two pools");
	c->seg_capa = (struct rte_eth_rxseg_capa){.multi_pools = 1, .max_nseg = 1};
	assert_refused(c, "cannot use two pools");
	c->seg_capa.max_nseg = 4;
	c->max_rx_queues = 1;
	assert_refused(c, "one receive queue");
	c->max_rx_queues = 2;
	c->driver = "mlx5_pci";
	assert_refused(c, "(mlx5_pci): its driver receives only into");
	assert_int_equal(c->starts, 0);
	card_destroy(c);
}

static void
test_what_the_card_is_told(void **state)
{
	static const struct {
		uint16_t mtu;
		uint32_t page;
	} rows[] = {{0, 8192}, {4200, 4096}, {1500, 1024}};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		struct card *c = card_create(PAIRS);
		struct mpn_nic *nic;

		/* A card whose offload is for all queues or none. */
		if (i == 1)
			c->queue_capa = 0;
		nic = probe_nic(c->link, false, rows[i].mtu);
		assert_non_null(nic);
		assert_int_equal(c->nb_rx_queues, 2);
		assert_int_equal(c->nb_desc, 2 * PAIRS);
		assert_int_equal(c->seg_len[0], NIC_POST_HEADER);
		assert_int_equal(c->seg_len[1], rows[i].page);
		assert_int_equal(nic_post_least(mpn_nic_post(nic)), rows[i].page);
		assert_ptr_equal(c->pools[0], nic_post_headers(mpn_nic_post(nic)));
		assert_ptr_equal(c->pools[1], nic_post_pool(mpn_nic_post(nic)));
		assert_int_equal(c->port_offloads, i == 1 ? c->port_capa : 0);
		/* Full from the start, and with nobody to steer for there is no rule. */
		assert_int_equal(nic_post_pairs(mpn_nic_post(nic)), c->nb_pairs);
		assert_int_equal(c->nb_rules, 0);
		mpn_nic_destroy(nic);
		card_destroy(c);
		mpn_nic_pool_reap();
	}
}

static void
test_a_card_that_takes_no_rule(void **state)
{
	struct card *c = card_create(PAIRS);
	struct mpn_nic *nic = probe_nic(c->link, false, 0);

	assert_non_null(nic);
	c->no_rules = true;
	probe_catch_log();
	assert_int_equal(mpn_nic_post_steer(nic, &steer), -EOPNOTSUPP);
	assert_non_null(strstr(probe_release_log(),
		"(type 0x88b5, bits 0x80 of byte 17): no patterns of bytes; leave place out"));
	mpn_nic_destroy(nic);
	card_destroy(c);
}

static void
test_frames_are_steered(void **state)
{
	struct pair t = {0};
	struct card *c = card_create(PAIRS);
	struct nic_post *post = open_card(&t, c);
	uint64_t split;

	send_one(&t, 1, 4000);
	expect(&t, 1);
	assert_int_equal(t.probe[0].held[0]->nb_segs, 1);
	assert_false(nic_post_owns(post, t.probe[0].held[0]));
	send_one(&t, DATA + 2, 4000);
	send_one(&t, DATA + 3, NIC_POST_HEADER + BYTES);
	expect(&t, 3);
	for (unsigned i = 1; i < 3; i++) {
		assert_int_equal(t.probe[0].held[i]->nb_segs, 2);
		assert_int_equal(t.probe[0].held[i]->data_len, NIC_POST_HEADER);
		assert_true(nic_post_owns(post, t.probe[0].held[i]));
		assert_true(nic_post_owns(post, t.probe[0].held[i]->next));
		assert_null(nic_post_cookie(post, t.probe[0].held[i]->next));
	}
	/* The ring has what it had: each pair has been replaced. */
	assert_int_equal(nic_post_pairs(post), c->nb_pairs);
	free_held(&t.probe[0]);
	split = c->split;
	for (unsigned i = 0; i < 5000; i++) {
		send_one(&t, (i % 3 != 0 ? DATA : 0) + i, 66 + i % 8000);
		while (t.probe[0].frames < 4 + i)
			probe_poll(t.nic, 2, 1);
		free_held(&t.probe[0]);
	}
	assert_int_equal(c->split - split, 5000 - 1667);
	assert_int_equal(t.probe[0].damaged, 0);
	assert_int_equal(nic_post_stats(post)->resync, 0);
	close_card(&t, c);
}

static void
test_payload_lands_in_its_page(void **state)
{
	struct pair t = {0};
	struct card *c = card_create(PAIRS);
	struct nic_post *post = open_card(&t, c);
	uint64_t frames;

	/* As many may be posted as place says, behind a ring that is full. */
	pages_post(post, 0, PAIRS);
	assert_int_equal(nic_post_room(post), 0);
	assert_false(nic_post_page(post, page(PAIRS), BYTES, NULL));
	assert_int_equal(nic_post_pairs(post), c->nb_pairs + PAIRS);
	use_pairs(&t, c->nb_pairs);
	assert_int_equal(nic_post_room(post), PAIRS);
	for (unsigned first = 0; first < NB_PAGES; first += PAIRS) {
		if (first + PAIRS < NB_PAGES)
			pages_post(post, first + PAIRS, PAIRS);
		frames = t.probe[0].frames;
		for (unsigned i = 0; i < PAIRS; i++)
			send_one(&t, DATA + first + i, NIC_POST_HEADER + BYTES - i % 3);
		expect(&t, frames + PAIRS);
		for (unsigned i = 0; i < PAIRS; i++) {
			struct rte_mbuf *m = t.probe[0].held[i];

			assert_ptr_equal(rte_pktmbuf_mtod(m->next, void *), page(first + i));
			assert_int_equal((uintptr_t)nic_post_cookie(post, m->next), first + i);
		}
		/* Nobody hears of a page before its frame has been freed. */
		assert_int_equal(pages.nb_home, first);
		free_held(&t.probe[0]);
		assert_int_equal(pages.nb_home, first + PAIRS);
	}
	for (unsigned i = 0; i < NB_PAGES; i++)
		assert_int_equal(pages.home[i], 1);
	assert_fences();
	close_card(&t, c);
}

/* The card writes as much as its ring was told: what is smaller must never get there. */
static void
test_small_pages_are_refused(void **state)
{
	struct pair t = {0};
	struct card *c = card_create(PAIRS);
	struct nic_post *post = open_card(&t, c);

	assert_false(nic_post_page(post, page(0), BYTES - 1, NULL));
	assert_int_equal(nic_post_pairs(post), c->nb_pairs);
	close_card(&t, c);
}

/* Header-only and oversized frames that match the rule: pages stay in order, or stay where they are. */
static void
test_frames_of_no_use(void **state)
{
	struct pair t = {0};
	struct card *c = card_create(PAIRS);
	struct nic_post *post = open_card(&t, c);
	uint64_t frames;

	pages_post(post, 0, PAIRS);
	use_pairs(&t, c->nb_pairs);
	frames = t.probe[0].frames;
	send_one(&t, DATA, NIC_POST_HEADER);
	send_one(&t, DATA + 1, NIC_POST_HEADER + BYTES + 1);
	send_one(&t, DATA + 2, 60);
	expect(&t, frames + 2);
	assert_int_equal(c->too_long, 1);
	assert_int_equal(t.probe[0].held[0]->nb_segs, 1);
	free_held(&t.probe[0]);
	assert_int_equal(pages.nb_home, 0);
	/* Those two pages wait for another turn of the ring. */
	use_pairs(&t, c->nb_pairs - 2);
	assert_int_equal(pages.nb_home, PAIRS - 2);
	use_pairs(&t, 2);
	assert_int_equal(pages.nb_home, PAIRS);
	assert_int_equal(pages.home[0] + pages.home[2], 2);
	close_card(&t, c);
}

/* Somebody keeps frames until no page is left: frames are lost, the ring is not. */
static void
test_kept_frames_cost_frames(void **state)
{
	struct pair t = {0};
	struct card *c = card_create(PAIRS);
	struct nic_post *post = open_card(&t, c);
	unsigned held;

	for (unsigned i = 0; i < 500; i++) {
		send_one(&t, DATA + i, 2000);
		probe_poll(t.nic, 2, 2);
	}
	held = t.probe[0].nb_held;
	assert_in_range(held, 64, 499);
	assert_int_equal(c->dropped, 500 - held);
	assert_int_equal(nic_post_pairs(post), c->nb_pairs);
	send_one(&t, 1, 60);
	expect(&t, held + 1);
	free_held(&t.probe[0]);
	use_pairs(&t, 100);
	close_card(&t, c);
}

/* Whatever is posted comes home at once; then it goes on, with the rule. */
static void
test_recall(void **state)
{
	struct pair t = {0};
	struct card *c = card_create(PAIRS);
	struct nic_post *post = open_card(&t, c);

	pages_post(post, 0, PAIRS);
	use_pairs(&t, c->nb_pairs / 2);
	assert_int_equal(pages.nb_home, 0);
	mpn_nic_post_recall(t.nic[0]);
	assert_int_equal(pages.nb_home, PAIRS);
	for (unsigned i = 0; i < PAIRS; i++) {
		assert_int_equal(pages.home[i], 1);
		for (unsigned k = 0; k < BYTES; k++)
			assert_int_equal(page(i)[k], 0xa5);
	}
	assert_int_equal(c->starts, 2);
	assert_int_equal(t.probe[0].events[MPN_NIC_LINK_DOWN], 1);
	assert_true(pair_wait_link(&t, 0, true, 1000));
	assert_true(c->nb_rules == 1);
	pages_post(post, PAIRS, PAIRS);
	use_pairs(&t, c->nb_pairs + PAIRS);
	assert_int_equal(pages.nb_home, 2 * PAIRS);
	/* Stopped, nothing is posted any more; what was in the ring is there until it is set up again. */
	mpn_nic_stop(t.nic[0]);
	assert_false(nic_post_running(post));
	assert_int_equal(c->nb_rules, 0);
	assert_int_equal(mpn_nic_start(t.nic[0]), 0);
	assert_true(c->nb_rules == 1);
	assert_true(pair_wait_link(&t, 0, true, 1000));
	use_pairs(&t, 10);
	close_card(&t, c);
}

static void
test_bad_place(void **state)
{
	static const char *const bad[] = {"x", "15", "513", ""};
	char link[128];

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		(void)snprintf(link, sizeof(link), "dev:net_null0,place=%s,size=64", bad[i]);
		probe_catch_log();
		errno = 0;
		assert_null(probe_nic(link, false, 0));
		assert_int_equal(errno, EINVAL);
		assert_non_null(strstr(probe_release_log(), "expected 16 to 512, or 0"));
	}
	probe_catch_log();
	assert_null(probe_nic("bond:dev:net_null0,place=32+dev:net_null1", false, 0));
	assert_non_null(strstr(probe_release_log(), "cannot be part of a bond"));
	/* What a device that is there can do is looked at. */
	probe_catch_log();
	assert_null(probe_nic("dev:net_null9,place=32", false, 0));
	assert_non_null(strstr(probe_release_log(), "(net_null): it has no buffer split"));
}

static int
start(void **state)
{
	return probe_eal_start("ring:x", NULL);
}

static int
stop(void **state)
{
	mpn_eal_stop();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_cards_that_cannot, pair_clean),
		cmocka_unit_test_teardown(test_what_the_card_is_told, pair_clean),
		cmocka_unit_test_teardown(test_a_card_that_takes_no_rule, pair_clean),
		cmocka_unit_test_teardown(test_frames_are_steered, pair_clean),
		cmocka_unit_test_teardown(test_payload_lands_in_its_page, pair_clean),
		cmocka_unit_test_teardown(test_small_pages_are_refused, pair_clean),
		cmocka_unit_test_teardown(test_frames_of_no_use, pair_clean),
		cmocka_unit_test_teardown(test_kept_frames_cost_frames, pair_clean),
		cmocka_unit_test_teardown(test_recall, pair_clean),
		cmocka_unit_test_teardown(test_bad_place, pair_clean),
	};

	return cmocka_run_group_tests_name("data queue of a card", tests, start, stop);
}
