/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Frames that are well formed, but come when nobody expects them: dropped, counted, nothing changed. */

#include "pair.h"

struct record {
	struct pair_frame to_tgt[16];
	struct pair_frame to_ini[16];
	unsigned nb_to_tgt;
	unsigned nb_to_ini;
};

/* Open a session and keep every frame of it. */
static struct pair *
open_recorded(struct record *r)
{
	struct pair *p = pair_new();
	bool moved = true;

	memset(r, 0, sizeof(*r));
	pair_start(p);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	while (moved) {
		moved = false;
		while (pair_pull_ini(p, &r->to_tgt[r->nb_to_tgt])) {
			pair_to_tgt(p, &r->to_tgt[r->nb_to_tgt++]);
			moved = true;
		}
		while (pair_pull_tgt(p, &r->to_ini[r->nb_to_ini])) {
			pair_to_ini(p, &r->to_ini[r->nb_to_ini++]);
			moved = true;
		}
	}
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_LIVE);
	return p;
}

static const struct pair_frame *
find(const struct pair_frame *frames, unsigned n, uint8_t kind, uint8_t op)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		struct wire_ebd h = pair_header(&frames[i]);

		if (wire_ebd_kind(&h) == kind && h.op == op)
			return &frames[i];
	}
	fail_msg("no %s %s was sent", wire_kind_name(kind), wire_op_name(kind, op));
	return NULL;
}

static void
expect_drop(const struct xfer_stats *s, enum wire_drop cause, uint64_t count, uint64_t sum)
{
	if (s->drops[cause] != count + 1 || pair_sum_drops(s) != sum + 1)
		fail_msg("expected exactly one drop as %s", wire_drop_name(cause));
}

static void
to_ini_expect(struct pair *p, const struct pair_frame *f, enum wire_drop cause)
{
	const struct xfer_stats *s = xfer_ini_stats(p->ini);
	uint64_t count = s->drops[cause], sum = pair_sum_drops(s);

	pair_to_ini(p, f);
	expect_drop(s, cause, count, sum);
}

static void
to_tgt_expect(struct pair *p, const struct pair_frame *f, enum wire_drop cause)
{
	const struct xfer_stats *s = xfer_tgt_stats(p->tgt);
	uint64_t count = s->drops[cause], sum = pair_sum_drops(s);

	pair_to_tgt(p, f);
	expect_drop(s, cause, count, sum);
}

/* Copies of everything that opened the session come once more. */
static void
a_live_session_is_not_opened_again(void **state)
{
	static struct record r;
	struct pair *p = open_recorded(&r);
	uint32_t sid = xfer_ini_sid(p->ini);
	unsigned i;

	(void)state;
	for (i = 0; i < r.nb_to_ini; i++) {
		struct wire_ebd h = pair_header(&r.to_ini[i]);

		to_ini_expect(p, &r.to_ini[i],
			wire_ebd_kind(&h) == WIRE_PROBE ? WIRE_DROP_SID : WIRE_DROP_STATE);
	}
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_LIVE);
	assert_int_equal(xfer_ini_sid(p->ini), sid);
	assert_int_equal(p->nb_opened, 1);
	pair_free(p);
}

/* What opened an earlier session of this client, in the states where it would be taken. */
static void
answers_to_an_earlier_open_are_told_by_their_nonce(void **state)
{
	static struct record r;
	struct pair *p = open_recorded(&r);
	const struct pair_frame *challenge =
		find(r.to_ini, r.nb_to_ini, WIRE_CTRL, WIRE_CTRL_CHALLENGE);
	const struct pair_frame *opened = find(r.to_ini, r.nb_to_ini, WIRE_CTRL, WIRE_CTRL_OPENED);
	struct pair_frame f, refused = *challenge;
	struct wire_ebd h;

	(void)state;
	h = pair_header(&refused);
	h.op = WIRE_CTRL_REFUSED;
	h.plen = sizeof(struct wire_refused);
	refused.len = WIRE_EBD_HDR_LEN + h.plen;
	h.ack = (uint32_t)WIRE_ST_STALE << 16;
	pair_set_header(&refused, &h);

	xfer_ini_close(p->ini, p->now_ns);
	pair_settle(p);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	while (xfer_ini_get_state(p->ini) != XFER_INI_OPEN) {
		assert_true(pair_pull_ini(p, &f));
		pair_to_tgt(p, &f);
		while (pair_pull_tgt(p, &f))
			pair_to_ini(p, &f);
	}
	to_ini_expect(p, challenge, WIRE_DROP_NONCE);
	to_ini_expect(p, &refused, WIRE_DROP_NONCE);
	to_ini_expect(p, opened, WIRE_DROP_STATE);
	assert_true(pair_pull_ini(p, &f));
	pair_to_tgt(p, &f);
	assert_true(pair_pull_tgt(p, &f));
	pair_to_ini(p, &f);
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_PROOF);
	to_ini_expect(p, opened, WIRE_DROP_NONCE);
	to_ini_expect(p, &refused, WIRE_DROP_NONCE);
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_PROOF);
	pair_settle(p);
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_LIVE);
	pair_free(p);
}

/* The network held a copy of the PROOF; its session has been used and closed meanwhile. */
static void
a_late_copy_of_a_proof_opens_no_ghost(void **state)
{
	static struct record r;
	struct pair *p = open_recorded(&r);
	struct xfer_session_info info;
	struct pair_frame f;

	(void)state;
	xfer_ini_close(p->ini, p->now_ns);
	pair_settle(p);
	assert_int_equal(p->nb_closed, 1);
	to_tgt_expect(p, find(r.to_tgt, r.nb_to_tgt, WIRE_CTRL, WIRE_CTRL_PROOF), WIRE_DROP_NONCE);
	assert_false(pair_pull_tgt(p, &f));
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), -ENOENT);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	pair_settle(p);
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_LIVE);
	pair_free(p);
}

/* Nobody may answer for the target but the target. */
static void
another_station_cannot_end_a_session(void **state)
{
	static const uint8_t ops[] = {WIRE_CTRL_RESET, WIRE_CTRL_CLOSED, WIRE_CTRL_EVENT};
	static struct record r;
	struct pair *p = open_recorded(&r);
	struct pair_frame f = {.len = WIRE_EBD_HDR_LEN};
	struct wire_ebd h;
	size_t i;

	(void)state;
	for (i = 0; i < MPN_ARRAY_SIZE(ops); i++) {
		h = pair_header(find(r.to_ini, r.nb_to_ini, WIRE_CTRL, WIRE_CTRL_OPENED));
		h.op = ops[i];
		h.plen = ops[i] == WIRE_CTRL_EVENT ? sizeof(struct wire_geometry) : 0;
		f.len = WIRE_EBD_HDR_LEN + h.plen;
		h.src[5] ^= 0x40;
		pair_set_header(&f, &h);
		to_ini_expect(p, &f, WIRE_DROP_SRC_MAC);
		h.src[5] ^= 0x40;
		h.sid ^= 1u << 20;
		pair_set_header(&f, &h);
		to_ini_expect(p, &f, WIRE_DROP_SID);
	}
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_LIVE);
	assert_int_equal(p->nb_lost + p->nb_closed, 0);
	pair_free(p);
}

/* Answers are kept in a ring of bounded size: who floods the target gets no more than that. */
static void
a_flood_of_questions_finds_no_room(void **state)
{
	static struct record r;
	struct pair *p = open_recorded(&r);
	const struct xfer_stats *s = xfer_tgt_stats(p->tgt);
	const struct pair_frame *query = find(r.to_tgt, r.nb_to_tgt, WIRE_DISC, WIRE_DISC_QUERY);
	struct pair_frame f;
	unsigned i, answers = 0;
	struct pair_cmd *c;

	(void)state;
	for (i = 0; i < 1000; i++)
		pair_to_tgt(p, query);
	while (pair_pull_tgt(p, &f))
		answers++;
	assert_true(answers > 0 && answers < 1000);
	assert_int_equal(s->drops[WIRE_DROP_NO_ROOM], 1000 - answers);
	assert_int_equal(pair_sum_drops(s), 1000 - answers);
	c = pair_submit(p, 0, WIRE_READ, 0, 4096);
	pair_settle(p);
	assert_int_equal(c->status, 0);
	assert_int_equal(c->nb_done, 1);
	pair_free(p);
}

/* An acknowledgement of what was never sent would let the target forget what it must remember. */
static void
an_acknowledgement_ahead_of_all_is_not_believed(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *c = pair_submit(p, 0, WIRE_WRITE, 0, 512);
	struct pair_frame f, lie;
	struct wire_ebd h;

	(void)state;
	assert_true(pair_pull_ini(p, &f));
	lie = f;
	h = pair_header(&lie);
	h.ack += 1000;
	pair_set_header(&lie, &h);
	to_tgt_expect(p, &lie, WIRE_DROP_STATE);
	assert_int_equal(p->nb_started, 0);
	pair_to_tgt(p, &f);
	pair_settle(p);
	assert_int_equal(c->nb_done, 1);
	assert_int_equal(c->status, 0);
	pair_free(p);
}

static void
a_draining_target_takes_nothing_new(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *before, *after;
	struct pair_frame f;

	(void)state;
	p->hold_io = true;
	before = pair_submit(p, 0, WIRE_WRITE, 0, 512);
	pair_settle(p);
	xfer_tgt_drain(p->tgt);
	after = pair_submit(p, 1, WIRE_WRITE, 4096, 512);
	assert_true(pair_pull_ini(p, &f));
	to_tgt_expect(p, &f, WIRE_DROP_STATE);
	assert_int_equal(p->nb_started, 1);
	pair_finish_io(p, 0);
	pair_settle(p);
	assert_int_equal(before->nb_done, 1);
	assert_int_equal(before->status, 0);
	assert_int_equal(after->nb_done, 0);
	assert_int_equal(xfer_tgt_outstanding(p->tgt), 0);
	pair_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_live_session_is_not_opened_again),
		cmocka_unit_test(answers_to_an_earlier_open_are_told_by_their_nonce),
		cmocka_unit_test(a_late_copy_of_a_proof_opens_no_ghost),
		cmocka_unit_test(another_station_cannot_end_a_session),
		cmocka_unit_test(a_flood_of_questions_finds_no_room),
		cmocka_unit_test(an_acknowledgement_ahead_of_all_is_not_believed),
		cmocka_unit_test(a_draining_target_takes_nothing_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
