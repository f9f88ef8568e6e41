/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Test modes of a port: what arrives does not reach the personalities, and goes where the mode says. */

#include "mpn_fwd.h"
#include "nic_internal.h"
#include "pair.h"

#define ROUNDS 50

static void
set(struct mpn_nic *nic, const char *mode, struct mpn_nic *peer, uint32_t bytes)
{
	const struct mpn_fwd_conf conf = {.mode = mode, .peer = peer, .frame_bytes = bytes};

	assert_int_equal(mpn_nic_set_fwd(nic, &conf), 0);
}

static void
poll_nics(struct mpn_nic *a, struct mpn_nic *b)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		(void)mpn_nic_poll(a);
		(void)mpn_nic_poll(b);
	}
}

static void
open_pair(struct pair *t, const char *link)
{
	pair_open(t, 0, link, true, 1500);
	pair_open(t, 1, link, false, 1500);
	pair_wait_up(t, 5000);
}

/* Send so many frames from the probe of end 0 to the station of end 1. */
static void
send_some(struct pair *t, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_true(probe_send(&t->probe[0], t->info[1].mac, i, 100));
	poll_nics(t->nic[0], t->nic[1]);
}

static void
test_echo_sends_back_and_gives_the_port_back(void **state)
{
	struct mpn_fwd_info info;
	struct pair t = {0};

	open_pair(&t, "ring:fwd_echo");
	set(t.nic[1], "echo", NULL, 0);
	send_some(&t, 10);
	assert_int_equal(t.probe[1].frames, 0);
	assert_int_equal(t.probe[0].frames, 10);
	mpn_nic_get_fwd(t.nic[1], &info);
	assert_string_equal(info.mode, "echo");
	assert_int_equal(info.rx_frames, 10);
	assert_int_equal(info.tx_frames, 10);
	assert_int_equal(info.tx_dropped, 0);
	assert_int_equal(mpn_nic_set_fwd(t.nic[1], NULL), 0);
	mpn_nic_get_fwd(t.nic[1], &info);
	assert_null(info.mode);
	pair_exchange_many(&t, 0, 1, 100, 200);
	pair_close(&t);
}

static void
test_rxonly_drops(void **state)
{
	struct mpn_fwd_info info;
	struct pair t = {0};

	open_pair(&t, "ring:fwd_rx");
	set(t.nic[1], "rxonly", NULL, 0);
	send_some(&t, 10);
	assert_int_equal(t.probe[0].frames + t.probe[1].frames, 0);
	mpn_nic_get_fwd(t.nic[1], &info);
	assert_int_equal(info.rx_frames, 10);
	assert_int_equal(info.tx_frames, 0);
	assert_int_equal(mpn_nic_get_stats(t.nic[1])->rx_frames, 10);
	pair_close(&t);
}

static void
test_txonly_sends_frames_of_the_size(void **state)
{
	struct mpn_fwd_info tx, rx;
	struct pair t = {0};

	open_pair(&t, "ring:fwd_tx");
	set(t.nic[1], "rxonly", NULL, 0);
	set(t.nic[0], "txonly", NULL, 1000);
	poll_nics(t.nic[0], t.nic[1]);
	mpn_nic_get_fwd(t.nic[0], &tx);
	mpn_nic_get_fwd(t.nic[1], &rx);
	assert_true(tx.tx_frames >= MPN_BURST);
	assert_int_equal(rx.rx_frames, tx.tx_frames);
	assert_int_equal(mpn_nic_get_stats(t.nic[1])->rx_bytes, 1000 * rx.rx_frames);
	/* Another size begins anew. */
	set(t.nic[0], "txonly", NULL, 0);
	mpn_nic_get_fwd(t.nic[0], &tx);
	assert_int_equal(tx.tx_frames, 0);
	assert_int_equal(tx.frame_bytes, MPN_FWD_MIN_FRAME);
	pair_close(&t);
}

/* nic 0 of one pair -> nic 1 == io => nic 0 of the other -> its nic 1 */
static void
test_io_carries_frames_to_the_peer(void **state)
{
	struct pair t = {0}, u = {0};
	struct mpn_fwd_info info;

	open_pair(&t, "ring:fwd_a");
	open_pair(&u, "ring:fwd_b");
	set(t.nic[1], "io", u.nic[0], 0);
	/* For the station at the far end. */
	for (unsigned i = 0; i < 10; i++)
		assert_true(probe_send(&t.probe[0], u.info[1].mac, i, 100));
	poll_nics(t.nic[0], t.nic[1]);
	poll_nics(u.nic[0], u.nic[1]);
	assert_int_equal(u.probe[1].frames, 10);
	assert_int_equal(u.probe[1].out_of_order + u.probe[1].damaged, 0);
	/* The peer goes: frames are dropped, and counted. */
	pair_close(&u);
	send_some(&t, 5);
	mpn_nic_get_fwd(t.nic[1], &info);
	assert_null(info.peer);
	assert_int_equal(info.tx_frames, 10);
	assert_int_equal(info.tx_dropped, 5);
	pair_close(&t);
}

static void
test_what_cannot_be_is_refused(void **state)
{
	struct mpn_nic *nic = probe_nic("ring:fwd_bad", true, 1500);
	struct nic_bypass somebody = {0};
	struct mpn_fwd_info info;

	assert_non_null(nic);
	set(nic, "rxonly", NULL, 0);
	assert_int_equal(mpn_nic_set_fwd(nic, &(struct mpn_fwd_conf){.mode = "fly"}), -ENOENT);
	assert_int_equal(mpn_nic_set_fwd(nic, &(struct mpn_fwd_conf){.mode = "io"}), -EINVAL);
	assert_int_equal(
		mpn_nic_set_fwd(nic, &(struct mpn_fwd_conf){.mode = "txonly", .frame_bytes = 59}),
		-EINVAL);
	assert_int_equal(
		mpn_nic_set_fwd(nic, &(struct mpn_fwd_conf){.mode = "txonly", .frame_bytes = 1515}),
		-EINVAL);
	/* What there was goes on. */
	mpn_nic_get_fwd(nic, &info);
	assert_string_equal(info.mode, "rxonly");
	assert_int_equal(mpn_nic_set_fwd(nic, NULL), 0);
	nic->bypass = &somebody;
	assert_int_equal(mpn_nic_set_fwd(nic, &(struct mpn_fwd_conf){.mode = "echo"}), -EBUSY);
	nic->bypass = NULL;
	mpn_nic_destroy(nic);
}

static int
start_eal(void **state)
{
	return probe_eal_start("ring:fwd", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_echo_sends_back_and_gives_the_port_back, pair_clean),
		cmocka_unit_test_teardown(test_rxonly_drops, pair_clean),
		cmocka_unit_test_teardown(test_txonly_sends_frames_of_the_size, pair_clean),
		cmocka_unit_test_teardown(test_io_carries_frames_to_the_peer, pair_clean),
		cmocka_unit_test_teardown(test_what_cannot_be_is_refused, pair_clean),
	};

	return cmocka_run_group_tests_name("test modes", tests, start_eal, probe_eal_stop);
}
