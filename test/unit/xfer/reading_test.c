/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A read whose lost fragments are read again after the volume has changed: each block is all old or
 * all new, whichever fragments are lost.
 */

#include "pair.h"

#define BLOCK 512u
#define LEN (16 * BLOCK) /* six fragments at P 1408 */
#define FRAGS 6
#define OLD 0x11
#define NEW 0x22

static void
fill(struct pair *p, uint8_t byte)
{
	memset(p->volume + LEN, byte, LEN);
}

/* Pull the fragments the target has to send. @return how many */
static unsigned
pull_data(struct pair *p, struct pair_frame *data)
{
	unsigned n = 0;

	while (pair_pull_tgt(p, &data[n]))
		n++;
	return n;
}

static unsigned
count_new(const struct pair_cmd *c)
{
	unsigned b, i, nb_new = 0;

	for (b = 0; b < LEN / BLOCK; b++) {
		for (i = 1; i < BLOCK; i++) {
			if (c->data[b * BLOCK + i] != c->data[b * BLOCK])
				fail_msg("block %u is torn", b);
		}
		nb_new += c->data[b * BLOCK] == NEW;
	}
	return nb_new;
}

/* All fragments but these arrive; then the volume changes. @return the command */
static struct pair_cmd *
lose(struct pair *p, unsigned lost, struct pair_frame *data)
{
	struct pair_cmd *c;
	struct pair_frame f;
	unsigned i;

	fill(p, OLD);
	c = pair_submit(p, 0, WIRE_READ, LEN, LEN);
	assert_true(pair_pull_ini(p, &f));
	pair_to_tgt(p, &f);
	assert_int_equal(pull_data(p, data), FRAGS);
	for (i = 0; i < FRAGS; i++) {
		if (!(lost >> i & 1))
			pair_to_ini(p, &data[i]);
	}
	fill(p, NEW);
	return c;
}

static void
no_block_is_torn_whatever_is_lost(void **state)
{
	struct pair_frame data[FRAGS + 1];
	unsigned lost, i;

	(void)state;
	for (lost = 1; lost < 1u << FRAGS; lost++) {
		struct pair *p = pair_live(true);
		struct pair_cmd *c = lose(p, lost, data);

		for (i = 0; i < 20 && c->nb_done == 0; i++)
			pair_advance(p, XFER_NSEC_PER_SEC / 1000);
		assert_int_equal(c->nb_done, 1);
		assert_int_equal(c->status, 0);
		pair_check_guards(c);
		assert_true(count_new(c) >= 1);
		if (lost == 1) /* fragment 0 has parts of the first three blocks */
			assert_int_equal(count_new(c), 3);
		pair_free(p);
	}
}

/* Old fragments come after new ones, and new ones are lost again. */
static void
late_fragments_of_an_earlier_reading_are_dropped(void **state)
{
	struct pair *p = pair_live(true);
	const struct xfer_stats *s = xfer_ini_stats(p->ini);
	struct pair_frame old[FRAGS + 1], again[FRAGS + 1], f;
	struct pair_cmd *c = lose(p, 1u << 1 | 1u << 4, old);
	unsigned n;

	(void)state;
	assert_true(pair_pull_ini(p, &f));
	assert_int_equal(pair_header(&f).ver_kind & 0xf, WIRE_NAK);
	pair_to_tgt(p, &f);
	n = pull_data(p, again);
	assert_true(n >= 3);
	assert_int_equal(pair_header(&again[0]).ack & 0xffff, 1);
	pair_to_ini(p, &again[0]);
	pair_to_ini(p, &old[1]);
	assert_int_equal(s->drops[WIRE_DROP_STALE], 1);
	assert_int_equal(c->nb_done, 0);
	fill(p, OLD);
	for (n = 0; n < 50 && c->nb_done == 0; n++)
		pair_advance(p, XFER_NSEC_PER_SEC / 1000);
	assert_int_equal(c->nb_done, 1);
	assert_int_equal(c->status, 0);
	(void)count_new(c);
	pair_check_guards(c);
	pair_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_block_is_torn_whatever_is_lost),
		cmocka_unit_test(late_fragments_of_an_earlier_reading_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
