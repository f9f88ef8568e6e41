/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Bonds of rings, in one process: what 802.3ad agrees on, and what is no member of a bond. */

#include "pair.h"

#define AGREE_MS 8000 /* LACP waits for two seconds before it uses a cable */
#define MISS_MS 8000 /* and for three until it misses a partner */

static void
expect_members(struct mpn_nic *nic, bool up, bool active)
{
	struct mpn_member_info info;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(mpn_nic_get_member(nic, i, &info), 0);
		assert_int_equal(info.up, up);
		assert_int_equal(info.active, active);
	}
}

static bool
both_active(void *arg)
{
	struct mpn_member_info info[2];

	for (unsigned i = 0; i < 2; i++)
		(void)mpn_nic_get_member(arg, i, &info[i]);
	return info[0].active && info[1].active;
}

static bool
link_is_down(void *arg)
{
	struct mpn_nic_info info;

	mpn_nic_get_info(arg, &info);
	return !info.link_up;
}

/* There is a link when somebody at the other end speaks LACP, and none when he falls silent. */
static void
test_lacp_agrees_and_misses(void **state)
{
	struct pair t = {0};

	pair_open(&t, 0, "bond:ring:a+ring:b,mode=802.3ad", false, 0);
	assert_false(pair_wait_link(&t, 0, true, 300));
	expect_members(t.nic[0], false, false);
	pair_open(&t, 1, "bond:ring:a+ring:b,mode=802.3ad", false, 0);
	pair_wait_up(&t, AGREE_MS);
	assert_true(probe_poll_until(t.nic, 2, both_active, t.nic[0], AGREE_MS));
	assert_true(probe_poll_until(t.nic, 2, both_active, t.nic[1], AGREE_MS));
	expect_members(t.nic[0], true, true);
	pair_exchange_many(&t, 0, 1, 200, 1514);
	pair_exchange_many(&t, 1, 0, 200, 60);
	assert_int_equal(mpn_nic_get_stats(t.nic[0])->rx_unclaimed, 0);
	/* The cables are in, and the other one does not poll any more. */
	assert_true(probe_poll_until(&t.nic[0], 1, link_is_down, t.nic[0], MISS_MS));
	expect_members(t.nic[0], true, false);
	assert_int_equal(t.probe[0].events[MPN_NIC_TX_STUCK], 0);
	assert_true(probe_send(&t.probe[0], NULL, 0, 60));
	probe_poll(&t.nic[0], 1, 2);
	assert_true(mpn_nic_get_stats(t.nic[0])->tx_link_down > 0);
	pair_wait_up(&t, AGREE_MS);
	pair_exchange_many(&t, 0, 1, 200, 1514);
	pair_close(&t);
}

static void
test_what_cannot_be_bonded(void **state)
{
	static const char *const links[][2] = {
		{"bond:ring:a+ring:b", "expected mode=802.3ad"},
		{"bond:ring:a", "expected bond:LINK+LINK"},
		{"bond:ring:a+", "unknown kind"},
		{"bond:ring:a+virtio:/tmp/x", "cannot be part of a bond"},
		{"bond:memif:/tmp/x+ring:a", "cannot be part of a bond"},
		{"bond:ring:a+ring:b,mode=round-robin", "expected active-backup or 802.3ad"},
	};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(links); i++) {
		probe_catch_log();
		errno = 0;
		assert_null(probe_nic(links[i][0], false, 0));
		assert_int_equal(errno, EINVAL);
		if (strstr(probe_release_log(), links[i][1]) == NULL)
			fail_msg("'%s' was refused without a word of '%s'", links[i][0],
				links[i][1]);
	}
}

static int
start(void **state)
{
	return probe_eal_start("ring:a", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_lacp_agrees_and_misses, pair_clean),
		cmocka_unit_test(test_what_cannot_be_bonded),
	};

	return cmocka_run_group_tests(tests, start, probe_eal_stop);
}
