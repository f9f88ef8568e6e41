/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Reads in place: where their data lands, and who gives up what when the caller goes. */

#include "load.h"

/* ---- As it should be ---- */

static void
test_reads_land_in_their_pages(void **state)
{
	static const struct {
		uint16_t mtu;
		uint32_t bs;
		unsigned depth;
		unsigned least; /* per cent */
	} rows[] = {{9000, 4 * KIB, 32, 95}, {9000, 4 * KIB, 64, 95}, {9000, 512, 64, 95},
		{9000, 64 * KIB, 8, 95}, {9000, 128 * KIB, 8, 95}, {4200, 4 * KIB, 32, 95},
		{4200, 64 * KIB, 32, 95},
		/* Three frames do not fill a ring of 32. */
		{9000, 20 * KIB, 32, 80},
		/* What is left of the ring is filled with pages that somebody must use up. */
		{9000, 4 * KIB, 16, 40}, {9000, 4 * KIB, 1, 3}};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		unsigned count = MPN_MIN(32 * KIB * KIB / rows[i].bs, 4000u), share;
		struct bed *b = load_make_bed(PAIRS, rows[i].mtu);
		struct load l;

		load_begin(&l, b, rows[i].bs, 0, 0);
		share = load_share_in_place(&l, rows[i].depth, count);
		if (share < rows[i].least)
			fail_msg("%u bytes, depth %u: %u %% in place", rows[i].bs, rows[i].depth,
				share);
		assert_int_equal(l.failed, 0);
		assert_int_equal(load_stats(b)->bounced, 0);
		assert_int_equal(load_stats(b)->probes + load_stats(b)->recalls, 0);
		load_end(&l);
		bed_destroy(b);
	}
}

/* What is not wholly in an arena, or larger than the ring, is copied, and nothing of it is posted. */
static void
test_other_memory_is_copied(void **state)
{
	struct bed *b = load_make_bed(16, 4200);
	uint8_t *arena = st_arena_alloc(b->nics[0], 64 * KIB, 0), *heap = malloc(64 * KIB);
	struct st_buffer bufs[] = {
		{.data = arena, .len = 2048}, {.data = arena + 8192, .len = 6144}};
	struct st_request req = {.bufs = bufs, .nb_bufs = 2, .op = WIRE_READ, .len = 8192};

	assert_int_equal(bed_rw(b, WIRE_READ, heap, 64 * KIB, 4096, 0), 0);
	assert_memory_equal(heap, b->disk + 4096, 64 * KIB);
	/* The first frame belongs in two places. */
	assert_int_equal(bed_run(b, &req), 0);
	assert_memory_equal(arena, b->disk, 2048);
	assert_memory_equal(arena + 8192, b->disk + 2048, 6144);
	assert_int_equal(load_stats(b)->reads + bed_copies(b, 0)->in_place, 0);
	/* Cut to a quarter of the ring each. */
	assert_int_equal(bed_rw(b, WIRE_READ, arena, 64 * KIB, 512, 0), 0);
	assert_memory_equal(arena, b->disk + 512, 64 * KIB);
	assert_int_equal(load_stats(b)->reads, 4);
	assert_true(bed_copies(b, 0)->in_place > 0);
	free(heap);
	st_arena_free(arena);
	bed_destroy(b);
}

/* A ring of 16 for 64 reads of four frames each: they wait, all of them get their turn. */
static void
test_small_ring_slows_down(void **state)
{
	struct bed *b = load_make_bed(16, 4200);
	struct load l;

	load_begin(&l, b, 16 * KIB, 0, 0);
	load_run(&l, 64, 1000);
	assert_int_equal(l.failed, 0);
	assert_true(load_stats(b)->waits > 0);
	assert_true(load_in_ring(b) <= 16);
	load_end(&l);
	bed_destroy(b);
}

static void
test_only_with_a_data_queue(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.virtio = true, .no_target = true});

	b->conf.placement = DEV_ST_PLACE_IN;
	assert_null(bed_open(b, "disk", NULL));
	assert_int_equal(errno, EOPNOTSUPP);
	bed_destroy(b);
}

/* Too few requests to fill the ring: hardly any would be in place, and auto stops trying for a while. */
static void
test_auto_leaves_it_where_it_does_not_pay(void **state)
{
	struct bed *b = bed_create(
		&(struct bed_conf){.virtio = true, .mapped = true, .place = PAIRS, .depth = 64});
	struct load l;
	uint64_t reads;

	load_begin(&l, b, 4 * KIB, 0, 0);
	load_run(&l, 2, 2000);
	assert_int_equal(load_stats(b)->pauses, 1);
	reads = load_stats(b)->reads;
	assert_true(reads < 1200);
	load_run(&l, 2, 2000);
	assert_int_equal(load_stats(b)->reads, reads);
	/* And tries again. */
	load_run(&l, 64, 20000);
	assert_true(load_stats(b)->reads > reads + 4000);
	load_assert_in_place_again(&l, 64);
	load_end(&l);
	bed_destroy(b);
}

/* A peer that sends on the one queue it knows of: reads are left alone soon, and go on. */
static void
test_peer_without_the_queue(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct load l;

	load_begin(&l, b, 4 * KIB, 0, 0);
	(void)load_share_in_place(&l, 32, 64);
	b->dev->ini->conf.probe_ns = 200000;
	atomic_store(&b->nics[1]->link->data_up, false);
	load_run(&l, 32, 4000);
	assert_int_equal(l.failed, 0);
	assert_true(load_stats(b)->astray > 0);
	assert_true(load_stats(b)->probes < 1000);
	assert_true(load_stats(b)->reads < 2000);
	atomic_store(&b->nics[1]->link->data_up, true);
	load_assert_in_place_again(&l, 32);
	load_end(&l);
	bed_destroy(b);
}

/* ---- The caller goes ---- */

static void
test_close_brings_pages_home(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct load l;

	load_begin(&l, b, 4 * KIB, 0, 0);
	(void)load_share_in_place(&l, 32, 64);
	load_hold(&l, 16);
	dev_st_shutdown(b->dev);
	bed_poll_until(b, dev_st_is_closed(b->dev));
	assert_int_equal(l.done, 64 + 16);
	assert_int_equal(l.failed, 16);
	assert_int_equal(load_posted(b), 0);
	bed_release(b);
	for (unsigned i = 0; i < 100; i++)
		bed_poll(b);
	load_end(&l);
	bed_destroy(b);
}

static void
test_unload_brings_pages_home(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct load l;

	load_begin(&l, b, 4 * KIB, 0, 0);
	(void)load_share_in_place(&l, 32, 64);
	load_hold(&l, 16);
	assert_int_equal(mpn_personality_stop(b->pers[0]), 0);
	assert_int_equal(l.done, 64 + 16);
	assert_int_equal(l.failed, 16);
	assert_int_equal(mpn_personality_unload(b->pers[0]), 0);
	bed_release(b);
	for (unsigned i = 0; i < 100; i++)
		bed_poll(b);
	load_end(&l);
	bed_destroy(b);
}

/* The NIC goes at once, nobody polls any more. */
static void
test_nic_goes_with_pages_posted(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct load l;

	load_begin(&l, b, 4 * KIB, 0, 0);
	(void)load_share_in_place(&l, 32, 64);
	load_hold(&l, 16);
	mpn_nic_destroy(b->nics[0]);
	assert_int_equal(l.done, 64 + 16);
	assert_int_equal(l.failed, 16);
	b->nics[0] = NULL;
	dev_st_close(b->dev);
	b->dev = NULL;
	bed_release(b);
	load_end(&l);
	mpn_nic_destroy(b->nics[1]);
	b->nics[1] = NULL;
	st_target_destroy(b->target);
	b->target = NULL;
	bed_destroy(b);
}

/* An arena that is freed under its reads stays until they are home. */
static void
test_freed_arena_waits_for_its_pages(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct load l;

	load_begin(&l, b, 4 * KIB, 0, 0);
	(void)load_share_in_place(&l, 32, 64);
	load_hold(&l, 16);
	assert_int_equal(st_arena_free(l.mem), -EBUSY);
	assert_int_equal(st_arena_reap(), 1);
	bed_release(b);
	bed_poll_until(b, l.done == 64 + 16);
	b->on_complete = NULL;
	assert_int_equal(st_arena_reap(), 0);
	bed_destroy(b);
}

/* The last look at an address: a caller who turns his buffers over under way gets an error, not the data. */
static void
test_buffers_that_change_under_way(void **state)
{
#ifdef NDEBUG
	skip();
#else
	struct bed *b = load_make_bed(PAIRS, 9000);
	unsigned changed = 0;
	struct load l;

	load_begin(&l, b, 4 * KIB, 0, 0);
	(void)load_share_in_place(&l, 32, 64);
	load_hold(&l, 32);
	for (uint32_t i = 0; i < b->dev->nb_cmds; i++) {
		struct st_cmd *cmd = &b->dev->cmds[i];

		if (cmd->req == NULL || cmd->placed.posted == 0 || changed == 3)
			continue;
		cmd->req->bufs[0].data = (uint8_t *)cmd->req->bufs[0].data + 512;
		changed++;
	}
	assert_int_equal(changed, 3);
	bed_release(b);
	bed_poll_until(b, l.done == 64 + 32);
	assert_int_equal(st_place_misplaced(b->st[0]), changed);
	assert_int_equal(l.failed, changed);
	assert_int_equal(load_posted(b), 0);
	load_assert_in_place_again(&l, 32);
	assert_int_equal(st_place_misplaced(b->st[0]), changed);
	load_end(&l);
	bed_destroy(b);
#endif
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_land_in_their_pages),
		cmocka_unit_test(test_other_memory_is_copied),
		cmocka_unit_test(test_small_ring_slows_down),
		cmocka_unit_test(test_only_with_a_data_queue),
		cmocka_unit_test(test_auto_leaves_it_where_it_does_not_pay),
		cmocka_unit_test(test_peer_without_the_queue),
		cmocka_unit_test(test_close_brings_pages_home),
		cmocka_unit_test(test_unload_brings_pages_home),
		cmocka_unit_test(test_nic_goes_with_pages_posted),
		cmocka_unit_test(test_freed_arena_waits_for_its_pages),
		cmocka_unit_test(test_buffers_that_change_under_way),
	};

	return cmocka_run_group_tests_name("reads in place", tests, bed_start_eal, bed_stop_eal);
}
