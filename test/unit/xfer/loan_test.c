/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Which frames are kept for a loan, with frames that are nothing but numbered memory. */

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>

#include <cmocka.h>

#include "xfer_loan.h"

#define P WIRE_EBD_P_SMALL
#define NB_FRAMES 16

struct frame {
	bool out; /* somebody has it */
	bool own;
	uint8_t data[P];
};

struct bed {
	struct frame frames[NB_FRAMES];
	struct frame *rx; /* being received; NULL: it cannot be kept */
	bool none_left;
	unsigned nb_copies;
	void *kept[WIRE_EBD_MAX_FRAGS];
	struct xfer_lent lent;
	struct xfer_cmd cmd;
};

static struct frame *
get_frame(struct bed *b, bool own)
{
	for (unsigned i = 0; i < NB_FRAMES; i++) {
		if (!b->frames[i].out) {
			b->frames[i].out = true;
			b->frames[i].own = own;
			return &b->frames[i];
		}
	}
	fail_msg("out of frames");
	return NULL;
}

static unsigned
count_out(const struct bed *b)
{
	unsigned nb = 0;

	for (unsigned i = 0; i < NB_FRAMES; i++)
		nb += b->frames[i].out;
	return nb;
}

static void *
take(void *ctx, const void *payload)
{
	struct bed *b = ctx;
	struct frame *f = b->rx;

	b->rx = NULL;
	return f;
}

static void *
own(void *ctx, void *old, uint32_t len)
{
	struct bed *b = ctx;
	struct frame *from = old, *f;

	if (from != NULL && from->own)
		return from;
	if (b->none_left)
		return NULL;
	f = get_frame(b, true);
	if (from != NULL)
		memcpy(f->data, from->data, len);
	return f;
}

static void
put(void *ctx, void *frame, uint32_t at, const void *payload, uint32_t len)
{
	struct bed *b = ctx;

	assert_true(((struct frame *)frame)->own);
	b->nb_copies++;
	memcpy(((struct frame *)frame)->data + at, payload, len);
}

static void
free_frame(void *ctx, void *frame)
{
	struct frame *f = frame;

	assert_true(f->out);
	f->out = false;
}

static const struct xfer_loan_ops ops = {take, own, put, free_frame};

/* A read of three fragments with room for so many, for which nothing has come. */
static struct bed *
make_bed(uint32_t room)
{
	struct bed *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->cmd = (struct xfer_cmd){.op = WIRE_READ, .len = 3 * P - 128, .tag = 7};
	xfer_lent_init(&b->lent, b->kept, room);
	return b;
}

static void
end_bed(struct bed *b)
{
	assert_int_equal(count_out(b), 0);
	free(b);
}

/* Bytes [off, off + len) come, all of them c; in a frame that can be kept, or not. */
static void
receive(struct bed *b, uint32_t p, uint32_t off, uint32_t len, int c, bool can_be_kept)
{
	struct frame *f = get_frame(b, false);

	memset(f->data, c, sizeof(f->data));
	b->rx = can_be_kept ? f : NULL;
	xfer_loan_place(&ops, b, &b->lent, &b->cmd, p, off, f->data, len);
	if (!can_be_kept || b->rx != NULL)
		free_frame(b, f);
}

static void
assert_lent(struct bed *b, unsigned idx, uint32_t at, uint32_t len, int c)
{
	const struct frame *f = b->kept[idx];

	assert_true(f->out);
	for (uint32_t i = at; i < at + len; i++)
		assert_int_equal(f->data[i], c);
}

static void
give_back(struct bed *b, unsigned nb)
{
	for (unsigned i = 0; i < nb; i++)
		free_frame(b, b->kept[i]);
}

static void
test_frames_are_kept_in_order(void **state)
{
	struct bed *b = make_bed(3);

	receive(b, P, 2 * P, P - 128, 'c', true);
	receive(b, P, 0, P, 'a', true);
	receive(b, P, P, P, 'b', false);
	assert_int_equal(xfer_loan_end(&ops, b, &b->lent, 0), 0);
	assert_lent(b, 0, 0, P, 'a');
	assert_lent(b, 1, 0, P, 'b');
	assert_lent(b, 2, 0, P - 128, 'c');
	assert_int_equal(b->nb_copies, 1);
	give_back(b, 3);
	end_bed(b);
}

/* What a later reading has of a fragment goes to a frame of our own, and the rest stays. */
static void
test_parts_of_a_later_reading(void **state)
{
	struct bed *b = make_bed(3);

	for (unsigned i = 0; i < 3; i++)
		receive(b, P, i * P, i < 2 ? P : P - 128, 'a', true);
	receive(b, P, P, 128, 'b', true);
	receive(b, P, P + 640, 512, 'c', true);
	assert_int_equal(xfer_loan_end(&ops, b, &b->lent, 0), 0);
	assert_lent(b, 1, 0, 128, 'b');
	assert_lent(b, 1, 128, 512, 'a');
	assert_lent(b, 1, 640, 512, 'c');
	assert_lent(b, 1, 1152, P - 1152, 'a');
	assert_int_equal(b->nb_copies, 2);
	give_back(b, 3);
	end_bed(b);
}

static void
test_another_session_starts_afresh(void **state)
{
	struct bed *b = make_bed(3);

	receive(b, P, 0, P, 'x', true);
	receive(b, P, P, P, 'x', true);
	b->cmd.tag++;
	for (unsigned i = 0; i < 3; i++)
		receive(b, P, i * P, i < 2 ? P : P - 128, 'a', true);
	assert_int_equal(count_out(b), 3);
	assert_int_equal(xfer_loan_end(&ops, b, &b->lent, 0), 0);
	assert_lent(b, 0, 0, P, 'a');
	give_back(b, 3);
	end_bed(b);
}

/* Its fragments are smaller, and more of them than frames were reserved: none is kept. */
static void
test_smaller_fragments_than_reserved(void **state)
{
	struct bed *b = make_bed(1);

	receive(b, WIRE_EBD_P_PAGE, 0, P, 'x', true);
	/* Not all of a fragment of that size: it went to a frame of our own. */
	assert_int_equal(count_out(b), 1);
	b->cmd.tag++;
	for (unsigned i = 0; i < 3; i++)
		receive(b, P, i * P, i < 2 ? P : P - 128, 'a', true);
	assert_int_equal(count_out(b), 0);
	assert_int_equal(xfer_loan_end(&ops, b, &b->lent, 0), -ENOBUFS);
	end_bed(b);
}

static void
test_no_frame_is_left(void **state)
{
	struct bed *b = make_bed(3);

	receive(b, P, 0, P, 'a', true);
	b->none_left = true;
	receive(b, P, P, P, 'b', false);
	b->none_left = false;
	receive(b, P, 2 * P, P - 128, 'c', true);
	assert_int_equal(xfer_loan_end(&ops, b, &b->lent, 0), -ENOBUFS);
	end_bed(b);
}

static void
test_what_fails_is_not_lent(void **state)
{
	struct bed *b = make_bed(3);

	receive(b, P, 0, P, 'a', true);
	assert_int_equal(xfer_loan_end(&ops, b, &b->lent, -EIO), -EIO);
	end_bed(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_are_kept_in_order),
		cmocka_unit_test(test_parts_of_a_later_reading),
		cmocka_unit_test(test_another_session_starts_afresh),
		cmocka_unit_test(test_smaller_fragments_than_reserved),
		cmocka_unit_test(test_no_frame_is_left),
		cmocka_unit_test(test_what_fails_is_not_lent),
	};

	return cmocka_run_group_tests_name("frames of a loan", tests, NULL, NULL);
}
