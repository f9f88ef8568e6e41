/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Reads in place over a network card with buffer split, from the device to the disk and back. */

#include "../nic/card.h"
#include "load.h"

static struct bed *
make_bed(struct card *c, uint16_t mtu)
{
	return bed_create(&(struct bed_conf){.mtu = mtu,
		.mapped = true,
		.links = {c->link, c->peer_link},
		.depth = 64,
		.fail_after_ns = 300 * XFER_NSEC_PER_SEC / 1000,
		.placement = DEV_ST_PLACE_IN});
}

static void
end_bed(struct bed *b, struct card *c)
{
	bed_destroy(b);
	card_destroy(c);
	mpn_nic_pool_reap();
}

static void
test_reads_land_in_their_pages(void **state)
{
	static const struct {
		uint16_t mtu;
		uint16_t pairs;
		uint32_t bs;
		unsigned depth;
		unsigned least; /* per cent */
		unsigned descs; /* of a frame */
	} rows[] = {{9000, 32, 64 * KIB, 32, 95, 2}, {9000, 32, 128 * KIB, 16, 95, 2},
		{4200, 32, 64 * KIB, 32, 95, 2}, {4200, 16, 16 * KIB, 32, 95, 2},
		{9000, 16, 8 * KIB, 64, 95, 2}, {4200, 16, 4 * KIB, 64, 95, 2},
		/* A ring of twice the size. */
		{4200, 32, 64 * KIB, 32, 60, 1},
		/* No more frames than the ring has pairs: none. */
		{4200, 32, 4 * KIB, 64, 0, 2},
		/* Frames shorter than a page: none. */
		{9000, 16, 4 * KIB, 64, 0, 2}, {9000, 16, 12 * KIB, 16, 0, 2}};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		struct card *c = card_create(rows[i].pairs);
		unsigned count = MPN_MIN(32 * KIB * KIB / rows[i].bs, 4000u), share;
		struct bed *b;
		struct load l;

		c->descs_per_frame = rows[i].descs;
		b = make_bed(c, rows[i].mtu);
		load_begin(&l, b, rows[i].bs, 0, 0);
		/* On a busy machine frames are asked for twice, which costs turns of the ring. */
		share = load_share_in_place(&l, rows[i].depth, count);
		for (unsigned k = 0; k < 3 && share < rows[i].least; k++)
			share = load_share_in_place(&l, rows[i].depth, count);
		if (share < rows[i].least || (rows[i].least == 0 && share > 0))
			fail_msg("%u bytes, depth %u, MTU %u: %u %% in place", rows[i].bs,
				rows[i].depth, rows[i].mtu, share);
		assert_int_equal(l.failed, 0);
		assert_int_equal(load_stats(b)->astray, 0);
		assert_int_equal(c->too_long, 0);
		load_end(&l);
		end_bed(b, c);
	}
}

/* Frames that the wire loses: pages and frames part, and find each other again. */
static void
test_lost_frames(void **state)
{
	struct card *c = card_create(16);
	struct bed *b = make_bed(c, 4200);
	struct load l;

	load_begin(&l, b, 16 * KIB, 0, 0);
	b->dev->ini->conf.probe_ns = 200000;
	c->lose_every = 97;
	load_run(&l, 32, 3000);
	c->lose_every = 0;
	assert_int_equal(l.failed, 0);
	assert_true(load_stats(b)->bounced + load_stats(b)->copied > 0);
	b->dev->ini->conf.probe_ns = 10 * XFER_NSEC_PER_SEC;
	for (unsigned round = 0; load_share_in_place(&l, 32, 500) < 95; round++)
		assert_true(round < 20);
	load_end(&l);
	end_bed(b, c);
}

/* The target does not answer any more: the requests fail, and no page stays with the card. */
static void
test_pages_are_recalled(void **state)
{
	struct card *c = card_create(16);
	struct bed *b = make_bed(c, 4200);
	struct load l;
	unsigned starts = c->starts;

	load_begin(&l, b, 4 * KIB, 0, 0);
	(void)load_share_in_place(&l, 64, 500);
	load_hold(&l, 24);
	c->lose_every = 1;
	bed_poll_until(b, l.failed == 24);
	assert_int_equal(load_posted(b), 0);
	assert_true(load_stats(b)->recalls > 0);
	assert_true(c->starts > starts && c->nb_rules == 1);
	c->lose_every = 0;
	bed_release(b);
	bed_poll_until(b, b->opened);
	for (unsigned round = 0; load_share_in_place(&l, 64, 500) < 95; round++)
		assert_true(round < 20);
	load_end(&l);
	end_bed(b, c);
}

/* Without a rule for data the personality does not come up: reads in place were asked for. */
static void
test_without_steering(void **state)
{
	struct card *c = card_create(16);
	struct mpn_nic_conf conf = {.link = c->link};
	struct mpn_nic *nic;
	struct mpn_personality *p;

	c->no_rules = true;
	nic = mpn_nic_create(&conf);
	assert_non_null(nic);
	assert_int_equal(mpn_personality_define(nic, "storage", NULL, &p), 0);
	assert_int_equal(mpn_personality_load(p, NULL), -EOPNOTSUPP);
	c->no_rules = false;
	assert_int_equal(mpn_personality_load(p, NULL), 0);
	mpn_nic_destroy(nic);
	card_destroy(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_land_in_their_pages),
		cmocka_unit_test(test_lost_frames),
		cmocka_unit_test(test_pages_are_recalled),
		cmocka_unit_test(test_without_steering),
	};

	return cmocka_run_group_tests_name("buffer split", tests, bed_start_eal, bed_stop_eal);
}
