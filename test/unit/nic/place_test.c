/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The data queue between vhost and virtio: frames in two pieces, and pages of the caller's. */

#include <unistd.h>

#include "nic_internal.h"
#include "pages.h"
#include "pair.h"

#define PAIRS 32
#define BYTES 4096
#define NB_PAGES 256

static char dir[] = "/tmp/mpnic-test-XXXXXX";
static char serve[64], use[128], use_plain[64];

static void
open_pair(struct pair *t)
{
	pair_open(t, 0, serve, true, 0);
	pair_open(t, 1, use, false, 0);
	pair_wait_up(t, 2000);
}

static bool
send_data(struct pair *t, uint32_t number, uint32_t len)
{
	struct rte_mbuf *m = probe_frame(t->nic[0], t->info[1].mac, PROBE_TYPE, number, len);

	if (mpn_flow_tx_data(t->probe[0].p, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

static void
expect(struct pair *t, uint64_t frames)
{
	uint64_t deadline = mpn_now_ns() + 5000000000ull;

	while (t->probe[1].frames < frames && mpn_now_ns() < deadline)
		probe_poll(t->nic, 2, 1);
	assert_int_equal(t->probe[1].frames, frames);
	assert_int_equal(t->probe[1].damaged, 0);
}

static void
open_pair_with_queue(struct pair *t)
{
	uint64_t deadline = mpn_now_ns() + 2000000000ull;

	open_pair(t);
	/* The driver tells of the queue a moment after the link. */
	while (!nic_peer_has_data_queue(t->nic[0]) && mpn_now_ns() < deadline)
		probe_poll(t->nic, 2, 1);
	assert_true(nic_peer_has_data_queue(t->nic[0]));
	assert_non_null(mpn_nic_post(t->nic[1]));
	assert_null(mpn_nic_post(t->nic[0]));
}

/* ---- Pages of the test ---- */

static void
own_pages(struct pair *t)
{
	pages_open(mpn_nic_post(t->nic[1]), NB_PAGES, BYTES);
	/* What the port took before it had an owner goes first. */
	t->probe[1].hold = true;
}

static void
post(struct pair *t, unsigned first, unsigned n)
{
	pages_post(mpn_nic_post(t->nic[1]), first, n);
	mpn_nic_post_flush(t->nic[1]);
}

/* Use up the pages of the library that are in the ring already. */
static unsigned
use_spares(struct pair *t)
{
	unsigned n = nic_post_pairs(mpn_nic_post(t->nic[1]));

	for (unsigned i = 0; i < n; i++)
		assert_true(send_data(t, 1000 + i, 100));
	expect(t, t->probe[1].frames + n);
	free_held(&t->probe[1]);
	assert_int_equal(nic_post_pairs(mpn_nic_post(t->nic[1])), 0);
	return n;
}

static const void *
payload(const struct rte_mbuf *m)
{
	return m->next != NULL ? rte_pktmbuf_mtod(m->next, const void *) : NULL;
}

/* ---- Tests ---- */

static void
test_frames_in_two_pieces(void **state)
{
	static const uint32_t sizes[] = {65, 66, 576, 1514, 4160, 8256, 9014};
	struct pair t = {0};
	uint64_t frames = 0;

	open_pair_with_queue(&t);
	t.probe[1].hold = true;
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(sizes); i++) {
		assert_true(send_data(&t, i, sizes[i]));
		expect(&t, ++frames);
		assert_int_equal(t.probe[1].held[0]->nb_segs, 2);
		assert_int_equal(t.probe[1].held[0]->data_len, NIC_POST_HEADER);
		assert_int_equal(t.probe[1].held[0]->next->data_len, sizes[i] - NIC_POST_HEADER);
		assert_true(nic_post_owns(mpn_nic_post(t.nic[1]), t.probe[1].held[0]->next));
		free_held(&t.probe[1]);
	}
	t.probe[1].hold = false;
	for (unsigned i = 0; i < 20000; i++) {
		while (!send_data(&t, i, 65 + i % 8900))
			probe_poll(t.nic, 2, 1);
		probe_poll(t.nic, 2, i % 8 == 0);
	}
	expect(&t, frames + 20000);
	assert_int_equal(t.probe[1].out_of_order, 1); /* numbers began again */
	/* The other queue, and the other direction, are as they were. */
	t.probe[1].segmented = 0;
	pair_exchange_sizes(&t, 1, 0);
	t.probe[1].out_of_order = 0;
	pair_exchange_many(&t, 0, 1, 1000, 4160);
	pair_close(&t);
}

static void
test_payload_lands_in_its_page(void **state)
{
	struct pair t = {0};
	struct nic_post_stats stats;
	unsigned in_place = 0, n = 0;
	uint64_t frames;

	open_pair_with_queue(&t);
	own_pages(&t);
	(void)use_spares(&t);
	frames = t.probe[1].frames;
	for (unsigned first = 0; first < NB_PAGES; first += PAIRS) {
		post(&t, first, PAIRS);
		assert_int_equal(nic_post_room(mpn_nic_post(t.nic[1])), 0);
		assert_false(nic_post_page(mpn_nic_post(t.nic[1]), page(0), BYTES, NULL));
		for (unsigned i = 0; i < PAIRS; i++, n++)
			assert_true(send_data(&t, n, NIC_POST_HEADER + BYTES - n % 3));
		expect(&t, frames + n);
		for (unsigned i = 0; i < PAIRS; i++)
			in_place += payload(t.probe[1].held[i]) == page(first + i);
		/* Nobody hears of a page before its frame has been freed. */
		assert_int_equal(pages.nb_home, first);
		free_held(&t.probe[1]);
		assert_int_equal(pages.nb_home, first + PAIRS);
	}
	assert_int_equal(in_place, NB_PAGES);
	assert_fences();
	stats = *nic_post_stats(mpn_nic_post(t.nic[1]));
	assert_int_equal(stats.posted, NB_PAGES);
	assert_int_equal(stats.resync, 0);
	pair_close(&t);
	pages_close();
}

/* Frames wait for pages; the other queue goes on. */
static void
test_no_page_no_frame(void **state)
{
	struct pair t = {0};
	uint64_t frames;

	open_pair_with_queue(&t);
	own_pages(&t);
	(void)use_spares(&t);
	frames = t.probe[1].frames;
	for (unsigned i = 0; i < 100; i++)
		assert_true(send_data(&t, i, 2000));
	probe_poll(t.nic, 2, 2000);
	assert_int_equal(t.probe[1].frames, frames);
	assert_true(probe_send(&t.probe[0], t.info[1].mac, 7, 60));
	expect(&t, frames + 1);
	assert_null(t.probe[1].held[0]->next);
	/* Where a pair is wanted there always is one. */
	nic_post_want(mpn_nic_post(t.nic[1]), 1);
	expect(&t, frames + 101);
	free_held(&t.probe[1]);
	pair_close(&t);
	pages_close();
}

/*
 * A peer that sends what no frame should be: only a header, or more than the page takes. The bytes are
 * whole all the same, fences stand, and pages and frames find each other again.
 */
static void
test_frames_find_their_pages_again(void **state)
{
	static const uint32_t odd[] = {
		60, 64, NIC_POST_HEADER + BYTES + 1, NIC_POST_HEADER + BYTES + 1, 60, 9014, 64};
	struct pair t = {0};
	struct nic_post *p;
	uint64_t frames;
	unsigned n = 0;

	open_pair_with_queue(&t);
	p = mpn_nic_post(t.nic[1]);
	own_pages(&t);
	(void)use_spares(&t);
	frames = t.probe[1].frames;
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(odd); i++) {
		unsigned room = nic_post_room(p);

		post(&t, n, room);
		n += room;
		assert_true(send_data(&t, i, odd[i]));
		expect(&t, ++frames);
		free_held(&t.probe[1]);
		probe_poll(t.nic, 2, 10);
	}
	assert_fences();
	assert_true(nic_post_stats(p)->resync > 0);
	/* Use up what is in the ring, then all is as at first. */
	while (nic_post_pairs(p) > 0) {
		assert_true(send_data(&t, n, 100));
		expect(&t, ++frames);
		free_held(&t.probe[1]);
	}
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pages.home[i], 1);
	assert_true(n + 2 * PAIRS <= NB_PAGES);
	post(&t, n, PAIRS);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_true(send_data(&t, i, NIC_POST_HEADER + BYTES));
	expect(&t, frames + PAIRS);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_ptr_equal(payload(t.probe[1].held[i]), page(n + i));
	free_held(&t.probe[1]);
	assert_fences();
	pair_close(&t);
	pages_close();
}

/* The peer dies with pages posted: all of them are home when the link is down, and nothing writes there. */
static void
test_pages_come_home_from_a_dead_peer(void **state)
{
	struct pair t = {0};

	open_pair_with_queue(&t);
	own_pages(&t);
	(void)use_spares(&t);
	post(&t, 0, PAIRS);
	pair_close_one(&t, 0);
	assert_true(pair_wait_link(&t, 1, false, 2000));
	assert_int_equal(pages.nb_home, PAIRS);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_true(pages.home[i] == 1 && page_is_untouched(i));
	/* And with a new one it goes on. */
	pair_open(&t, 0, serve, true, 0);
	pair_wait_up(&t, 5000);
	while (!nic_peer_has_data_queue(t.nic[0]))
		probe_poll(t.nic, 2, 1);
	post(&t, PAIRS, PAIRS);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_true(send_data(&t, i, NIC_POST_HEADER + BYTES));
	expect(&t, t.probe[1].frames + PAIRS);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_ptr_equal(payload(t.probe[1].held[i]), page(PAIRS + i));
	free_held(&t.probe[1]);
	assert_fences();
	pair_close(&t);
	assert_int_equal(pages.nb_home, 2 * PAIRS);
	pages_close();
}

/* Somebody keeps frames: the queue stands still, the other does not, and it goes on with those freed. */
static void
test_kept_frames_slow_it_down(void **state)
{
	struct pair t = {0};
	unsigned held;

	open_pair_with_queue(&t);
	t.probe[1].hold = true;
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(send_data(&t, i, 4000));
		probe_poll(t.nic, 2, 2);
	}
	held = t.probe[1].nb_held;
	assert_in_range(held, PAIRS, 999);
	assert_true(probe_send(&t.probe[0], t.info[1].mac, 1, 60));
	expect(&t, held + 1);
	t.probe[1].hold = false;
	free_held(&t.probe[1]);
	expect(&t, 1001);
	pair_close(&t);
}

/* A user without the queue gets everything on the one it has, also after one that had two. */
static void
test_peers_of_one_queue(void **state)
{
	struct pair t = {0};

	open_pair_with_queue(&t);
	pair_close_one(&t, 1);
	assert_true(pair_wait_link(&t, 0, false, 2000));
	pair_open(&t, 1, use_plain, false, 0);
	pair_wait_up(&t, 2000);
	assert_null(mpn_nic_post(t.nic[1]));
	for (unsigned i = 0; i < 500; i++) {
		assert_true(send_data(&t, i, 4000));
		probe_poll(t.nic, 2, 1);
	}
	expect(&t, 500);
	assert_int_equal(t.probe[1].segmented, 0);
	assert_int_equal(t.probe[1].out_of_order, 0);
	pair_close(&t);
}

static void
test_bad_place(void **state)
{
	static const char *const bad[] = {"x", "-1", "15", "129", "99999999999999999999", ""};
	char link[160];

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		(void)snprintf(link, sizeof(link), "%s,place=%s", use_plain, bad[i]);
		probe_catch_log();
		errno = 0;
		assert_null(probe_nic(link, false, 0));
		assert_int_equal(errno, EINVAL);
		assert_non_null(strstr(probe_release_log(), "expected 16 to 128, or 0"));
	}
}

/* DPDK frees a pool that it could not make with the operations of whoever is the first: not always its own. */
static void
test_a_pool_that_was_not_made(void **state)
{
	struct rte_mempool *pool =
		rte_mempool_create_empty("unmade", 16, 64, 0, 0, SOCKET_ID_ANY, 0);

	assert_non_null(pool);
	assert_int_equal(rte_mempool_set_ops_byname(pool, "mpn_post", NULL), 0);
	assert_int_equal(rte_mempool_populate_default(pool), -EINVAL);
	rte_mempool_free(pool);
	assert_null(rte_mempool_lookup("unmade"));
}

static int
start(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(serve, sizeof(serve), "vhost:%s/s.sock", dir);
	(void)snprintf(use_plain, sizeof(use_plain), "virtio:%s/s.sock", dir);
	(void)snprintf(use, sizeof(use), "%s,place=%d", use_plain, PAIRS);
	return probe_eal_start(serve, NULL);
}

static int
stop(void **state)
{
	mpn_eal_stop();
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_frames_in_two_pieces, pair_clean),
		cmocka_unit_test_teardown(test_payload_lands_in_its_page, pair_clean),
		cmocka_unit_test_teardown(test_no_page_no_frame, pair_clean),
		cmocka_unit_test_teardown(test_frames_find_their_pages_again, pair_clean),
		cmocka_unit_test_teardown(test_pages_come_home_from_a_dead_peer, pair_clean),
		cmocka_unit_test_teardown(test_kept_frames_slow_it_down, pair_clean),
		cmocka_unit_test_teardown(test_peers_of_one_queue, pair_clean),
		cmocka_unit_test_teardown(test_bad_place, pair_clean),
		cmocka_unit_test(test_a_pool_that_was_not_made),
	};

	return cmocka_run_group_tests_name("data queue", tests, start, stop);
}
