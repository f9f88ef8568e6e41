/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Commands: every operation, exactly once, repair of losses, order of writes, bounds of memory. */

#include "pair.h"

#define MS (XFER_NSEC_PER_SEC / 1000)

static void
send_ini(struct pair *p)
{
	struct pair_frame f;

	while (pair_pull_ini(p, &f))
		pair_to_tgt(p, &f);
}

static void
send_tgt(struct pair *p)
{
	struct pair_frame f;

	while (pair_pull_tgt(p, &f))
		pair_to_ini(p, &f);
}

static void
assert_volume(struct pair *p, uint64_t addr, const void *data, size_t len)
{
	assert_memory_equal(p->volume + addr, data, len);
}

static void
every_operation_ends_well(void **state)
{
	static const uint8_t zero[8192];
	struct pair *p = pair_live(true);
	struct wire_geometry g;
	struct pair_cmd *c;

	(void)state;
	c = pair_submit(p, 0, WIRE_WRITE, 4096, 512); /* in the command */
	pair_settle(p);
	assert_int_equal(c->status, 0);
	assert_volume(p, 4096, c->data, 512);

	c = pair_submit(
		p, 1, WIRE_WRITE, 65536, 64 * PAIR_P / 512 * 512); /* granted, all of a quantum */
	pair_settle(p);
	assert_int_equal(c->status, 0);
	assert_volume(p, 65536, c->data, c->cmd.len);

	c = pair_submit(p, 2, WIRE_READ, 65536, 64 * PAIR_P / 512 * 512);
	pair_settle(p);
	assert_int_equal(c->status, 0);
	assert_volume(p, 65536, c->data, c->cmd.len);
	pair_check_guards(c);

	c = pair_submit(p, 3, WIRE_FLUSH, 0, 0);
	pair_settle(p);
	assert_int_equal(c->status, 0);

	c = pair_submit(p, 4, WIRE_WRITE_ZEROES, 65536, 8192);
	pair_settle(p);
	assert_int_equal(c->status, 0);
	assert_volume(p, 65536, zero, 8192);

	c = pair_submit(p, 5, WIRE_DISCARD, 0, PAIR_VOLUME_SIZE);
	pair_settle(p);
	assert_int_equal(c->status, 0);
	assert_volume(p, 4096, zero, 512);

	c = pair_submit(p, 6, WIRE_IDENTIFY, 0, sizeof(g));
	pair_settle(p);
	assert_int_equal(c->status, 0);
	memcpy(&g, c->data, sizeof(g));
	assert_int_equal(g.size, PAIR_VOLUME_SIZE);
	assert_string_equal(g.name, "disk0");
	assert_int_equal(p->nb_bufs, 0);
	assert_int_equal(xfer_tgt_outstanding(p->tgt), 0);
	assert_int_equal(pair_sum_drops(xfer_ini_stats(p->ini)), 0);
	assert_int_equal(pair_sum_drops(xfer_tgt_stats(p->tgt)), 0);
	pair_free(p);
}

static void
bad_ranges_get_an_errno_each(void **state)
{
	static const struct {
		uint8_t op;
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{WIRE_READ, PAIR_VOLUME_SIZE, 512},
		{WIRE_READ, PAIR_VOLUME_SIZE - 512, 1024},
		{WIRE_READ, UINT64_MAX - 511, 512},
		{WIRE_READ, 1, 512},
		{WIRE_READ, 0, 100},
		{WIRE_WRITE, PAIR_VOLUME_SIZE, 512},
		{WIRE_WRITE, UINT64_MAX & ~511ull, 4096},
		{WIRE_DISCARD, PAIR_VOLUME_SIZE - 512, 1024},
		{WIRE_WRITE_ZEROES, 7, 512},
	};
	struct pair *p = pair_live(false);
	struct pair_cmd *c;
	size_t i;

	(void)state;
	for (i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		c = pair_submit(p, 0, bad[i].op, bad[i].addr, bad[i].len);
		pair_settle(p);
		assert_int_equal(c->nb_done, 1);
		assert_int_equal(c->status, -EINVAL);
	}
	assert_int_equal(p->nb_started, 0);
	assert_int_equal(p->nb_bufs, 0);
	pair_free(p);
}

static void
submit_refuses_what_no_frame_can_say(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *c = &p->cmds[0];

	(void)state;
	c->cmd.op = WIRE_READ;
	c->cmd.len = 0;
	assert_int_equal(xfer_ini_submit(p->ini, &c->cmd, p->now_ns), -EINVAL);
	c->cmd.len = xfer_ini_quantum(p->ini) + 1;
	assert_int_equal(xfer_ini_submit(p->ini, &c->cmd, p->now_ns), -EINVAL);
	c->cmd.op = WIRE_ABORT;
	c->cmd.len = 512;
	assert_int_equal(xfer_ini_submit(p->ini, &c->cmd, p->now_ns), -EINVAL);
	assert_int_equal(xfer_ini_outstanding(p->ini), 0);
	pair_free(p);
}

static void
back_end_errors_reach_their_request_only(void **state)
{
	static const int errs[] = {-EIO, -ENOSPC, -EROFS, -EOPNOTSUPP};
	struct pair *p = pair_live(false);
	struct pair_cmd *c;
	size_t i;

	(void)state;
	for (i = 0; i < MPN_ARRAY_SIZE(errs); i++) {
		p->hold_io = true;
		c = pair_submit(p, 0, WIRE_WRITE, 0, 512);
		pair_settle(p);
		pair_finish_io(p, errs[i]);
		p->hold_io = false;
		(void)pair_submit(p, 1, WIRE_READ, 8192, 512);
		pair_settle(p);
		assert_int_equal(c->status, errs[i]);
		assert_int_equal(p->cmds[1].status, 0);
	}
	assert_int_equal(p->nb_bufs, 0);
	pair_free(p);
}

/*
 * The case that stateless link-layer storage gets wrong: a copy of write A is delayed in the network,
 * its retransmission is answered, write B to the same block is answered, then the copy arrives.
 */
static void
delayed_copy_of_an_old_write_changes_nothing(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_frame old_a;
	struct pair_cmd *b;
	int rounds;

	(void)state;
	(void)pair_submit(p, 0, WIRE_WRITE, 4096, 512);
	assert_true(pair_pull_ini(p, &old_a)); /* the network keeps it */
	for (rounds = 0; p->cmds[0].nb_done == 0 && rounds < 100; rounds++)
		pair_advance(p, 5 * MS);
	assert_int_equal(p->cmds[0].status, 0);

	b = pair_submit(p, 1, WIRE_WRITE, 4096, 512);
	pair_settle(p);
	assert_int_equal(b->status, 0);
	pair_to_tgt(p, &old_a);
	pair_settle(p);
	assert_volume(p, 4096, b->data, 512);
	assert_int_equal(p->nb_started, 2);

	/* Also when the slot of A holds a newer command, and when everything is acknowledged. */
	for (rounds = 0; rounds < 20; rounds++) {
		(void)pair_submit(p, 2, WIRE_FLUSH, 0, 0);
		pair_settle(p);
		pair_to_tgt(p, &old_a);
		pair_settle(p);
		assert_volume(p, 4096, b->data, 512);
	}
	pair_free(p);
}

static void
a_copy_of_a_running_command_is_told_so(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *c;
	struct pair_frame cmd, f;

	(void)state;
	p->hold_io = true;
	c = pair_submit(p, 0, WIRE_WRITE, 0, 512);
	assert_true(pair_pull_ini(p, &cmd));
	pair_to_tgt(p, &cmd);
	pair_to_tgt(p, &cmd);
	assert_int_equal(p->nb_started, 1);
	assert_true(pair_pull_tgt(p, &f));
	assert_int_equal(pair_header(&f).ack >> 16, WIRE_ST_RUNNING);
	pair_to_ini(p, &f);
	assert_int_equal(c->nb_done, 0);
	pair_finish_io(p, 0);
	send_tgt(p);
	assert_int_equal(c->nb_done, 1);

	/* Of a finished one: answered again, not executed again. */
	pair_to_tgt(p, &cmd);
	assert_int_equal(p->nb_started, 1);
	assert_true(pair_pull_tgt(p, &f));
	assert_int_equal(pair_header(&f).ack >> 16, WIRE_ST_OK);
	pair_to_ini(p, &f);
	assert_int_equal(c->nb_done, 1);
	pair_free(p);
}

/* A slow disk is not a dead peer. */
static void
a_slow_command_is_waited_for(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *c;
	int i;

	(void)state;
	p->hold_io = true;
	c = pair_submit(p, 0, WIRE_FLUSH, 0, 0);
	pair_settle(p);
	for (i = 0; i < 60 * 200; i++)
		pair_advance(p, 5 * MS);
	assert_int_equal(c->nb_done, 0);
	assert_int_equal(p->nb_lost, 0);
	assert_int_equal(p->nb_started, 1);
	pair_finish_io(p, 0);
	pair_settle(p);
	assert_int_equal(c->status, 0);
	pair_free(p);
}

/* One command stuck in the back end: all the other slots go on, for as long as it takes. */
static void
a_slow_command_blocks_no_other(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *slow, *c;
	unsigned i;

	(void)state;
	p->hold_io = true;
	slow = pair_submit(p, 0, WIRE_FLUSH, 0, 0);
	pair_settle(p);
	p->hold_io = false;
	for (i = 0; i < 5000; i++) {
		c = pair_submit(p, 1, WIRE_READ, 0, 512);
		pair_settle(p);
		assert_int_equal(c->status, 0);
	}
	assert_int_equal(slow->nb_done, 0);
	pair_finish_io(p, 0);
	pair_settle(p);
	assert_int_equal(slow->status, 0);
	pair_free(p);
}

/* Drop frame number n of the exchange; all the rest arrives. */
static void
run_with_one_loss(uint8_t op, unsigned n)
{
	struct pair *p = pair_live(true);
	struct pair_cmd *c = pair_submit(p, 0, op, 0, 10 * PAIR_P / 512 * 512);
	struct pair_frame f;
	unsigned count = 0, rounds;
	bool moved;

	for (rounds = 0; c->nb_done == 0 && rounds < 200; rounds++) {
		do {
			moved = false;
			while (pair_pull_ini(p, &f)) {
				moved = true;
				if (count++ != n)
					pair_to_tgt(p, &f);
			}
			while (pair_pull_tgt(p, &f)) {
				moved = true;
				if (count++ != n)
					pair_to_ini(p, &f);
			}
		} while (moved);
		p->now_ns += MS;
		xfer_ini_tick(p->ini, p->now_ns);
	}
	assert_int_equal(c->nb_done, 1);
	assert_int_equal(c->status, 0);
	assert_true(rounds < 10); /* found at once or by the tail probe, not by a slow timer */
	assert_volume(p, 0, c->data, c->cmd.len);
	assert_int_equal(p->nb_bufs, 0);
	pair_free(p);
}

static void
any_single_loss_is_repaired_quickly(void **state)
{
	unsigned n;

	(void)state;
	for (n = 0; n < 14; n++) {
		run_with_one_loss(WIRE_READ, n);
		run_with_one_loss(WIRE_WRITE, n);
	}
}

static void
overlapping_writes_keep_their_order(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *a, *b, *other;

	(void)state;
	p->hold_io = true;
	a = pair_submit(p, 0, WIRE_WRITE, 4096, 1024);
	other = pair_submit(p, 1, WIRE_WRITE, 8192, 1024);
	b = pair_submit(p, 2, WIRE_WRITE, 4608, 1024);
	pair_settle(p);
	assert_int_equal(p->nb_held, 2); /* b waits for a */
	pair_finish_io(p, 0);
	pair_settle(p);
	assert_int_equal(p->nb_held, 1);
	pair_finish_io(p, 0);
	pair_settle(p);
	assert_int_equal(a->status, 0);
	assert_int_equal(b->status, 0);
	assert_int_equal(other->status, 0);
	assert_volume(p, 4096, a->data, 512);
	assert_volume(p, 4608, b->data, 1024);

	/* A discard of everything waits for all, and all wait for it. */
	a = pair_submit(p, 0, WIRE_WRITE, 0, 512);
	b = pair_submit(p, 1, WIRE_DISCARD, 0, PAIR_VOLUME_SIZE);
	other = pair_submit(p, 2, WIRE_WRITE, 99 * 512, 512);
	pair_settle(p);
	assert_int_equal(p->nb_held, 1);
	pair_finish_io(p, 0);
	pair_settle(p);
	assert_int_equal(p->nb_held, 1);
	pair_finish_io(p, 0);
	pair_settle(p);
	pair_finish_io(p, 0);
	pair_settle(p);
	assert_int_equal(other->status, 0);
	pair_free(p);
}

static void
writes_wait_for_memory_and_then_ask_for_their_data(void **state)
{
	struct pair *p = pair_live(false);
	unsigned i;

	(void)state;
	p->max_bufs = 1;
	p->hold_io = true;
	for (i = 0; i < 6; i++)
		(void)pair_submit(p, i, WIRE_WRITE, i * 65536, i % 2 ? 512 : 8192);
	pair_settle(p);
	assert_int_equal(p->nb_bufs, 1);
	for (i = 0; i < 6; i++) {
		assert_int_equal(p->nb_held, 1);
		pair_finish_io(p, 0);
		pair_settle(p);
	}
	for (i = 0; i < 6; i++) {
		assert_int_equal(p->cmds[i].status, 0);
		assert_volume(p, i * 65536, p->cmds[i].data, p->cmds[i].cmd.len);
	}
	assert_int_equal(p->nb_bufs, 0);
	pair_free(p);
}

/* However many write at once: granted and not yet here are never more fragments than configured. */
static void
grants_are_bounded(void **state)
{
	struct pair *p = pair_new();
	struct pair_frame f;
	unsigned i, granted = 0;
	struct wire_ebd h;

	(void)state;
	p->tgt_conf.grant_frames = 48;
	pair_start(p);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	pair_settle(p);
	for (i = 0; i < 8; i++)
		(void)pair_submit(p, i, WIRE_WRITE, i * 98304, 64 * PAIR_P / 512 * 512);
	send_ini(p);
	while (pair_pull_tgt(p, &f)) {
		h = pair_header(&f);
		assert_int_equal(wire_ebd_kind(&h), WIRE_GRANT);
		granted += wire_nb_frags(h.ack, PAIR_P);
		pair_to_ini(p, &f);
	}
	assert_int_equal(granted, 48);
	pair_settle(p);
	for (i = 0; i < 8; i++) {
		assert_int_equal(p->cmds[i].status, 0);
		assert_volume(p, i * 98304, p->cmds[i].data, p->cmds[i].cmd.len);
	}
	pair_free(p);
}

static void
abort_of_a_waiting_command(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *c = pair_submit(p, 0, WIRE_WRITE, 0, 512);

	(void)state;
	xfer_ini_abort(p->ini, &c->cmd, p->now_ns);
	assert_int_equal(c->nb_done, 0); /* not from inside */
	xfer_ini_tick(p->ini, p->now_ns);
	assert_int_equal(c->nb_done, 1);
	assert_int_equal(c->status, -ECANCELED);
	pair_settle(p);
	assert_int_equal(p->nb_started, 0);
	pair_free(p);
}

static void
abort_that_overtakes_its_command(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *c = pair_submit(p, 0, WIRE_WRITE, 0, 512);
	struct pair_frame late;

	(void)state;
	assert_true(pair_pull_ini(p, &late));
	xfer_ini_abort(p->ini, &c->cmd, p->now_ns);
	pair_settle(p);
	assert_int_equal(c->status, -ECANCELED);
	pair_to_tgt(p, &late);
	pair_settle(p);
	assert_int_equal(p->nb_started, 0);
	pair_free(p);
}

static void
abort_that_comes_too_late(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *c;

	(void)state;
	p->hold_io = true;
	c = pair_submit(p, 0, WIRE_WRITE, 0, 512);
	pair_settle(p);
	xfer_ini_abort(p->ini, &c->cmd, p->now_ns);
	pair_settle(p);
	assert_int_equal(c->nb_done, 0);
	pair_finish_io(p, 0);
	pair_settle(p);
	assert_int_equal(c->nb_done, 1);
	assert_int_equal(c->status, 0);
	assert_volume(p, 0, c->data, 512);
	pair_free(p);
}

static void
unknown_operations_are_answered(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_frame f;
	struct wire_ebd h;

	(void)state;
	(void)pair_submit(p, 0, WIRE_FLUSH, 0, 0);
	assert_true(pair_pull_ini(p, &f));
	h = pair_header(&f);
	h.op = WIRE_MESSAGE;
	pair_set_header(&f, &h);
	pair_to_tgt(p, &f);
	assert_true(pair_pull_tgt(p, &f));
	assert_int_equal(pair_header(&f).ack >> 16, WIRE_ST_NOTSUP);
	pair_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_ends_well),
		cmocka_unit_test(bad_ranges_get_an_errno_each),
		cmocka_unit_test(submit_refuses_what_no_frame_can_say),
		cmocka_unit_test(back_end_errors_reach_their_request_only),
		cmocka_unit_test(delayed_copy_of_an_old_write_changes_nothing),
		cmocka_unit_test(a_copy_of_a_running_command_is_told_so),
		cmocka_unit_test(a_slow_command_is_waited_for),
		cmocka_unit_test(a_slow_command_blocks_no_other),
		cmocka_unit_test(any_single_loss_is_repaired_quickly),
		cmocka_unit_test(overlapping_writes_keep_their_order),
		cmocka_unit_test(writes_wait_for_memory_and_then_ask_for_their_data),
		cmocka_unit_test(grants_are_bounded),
		cmocka_unit_test(abort_of_a_waiting_command),
		cmocka_unit_test(abort_that_overtakes_its_command),
		cmocka_unit_test(abort_that_comes_too_late),
		cmocka_unit_test(unknown_operations_are_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
