/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the exports of a target share: one whose back end hangs leaves some of it to the others. */

#include "pair.h"

static void
a_share_leaves_some(void **state)
{
	uint32_t left = 1000, has = 0, n, i;

	(void)state;
	assert_int_equal(xfer_tgt_share(0, 0), 0);
	assert_int_equal(xfer_tgt_share(0, 32), 24);
	assert_int_equal(xfer_tgt_share(20, 12), 4);
	assert_int_equal(xfer_tgt_share(24, 8), 0);
	assert_int_equal(xfer_tgt_share(32, 0), 0);
	assert_int_equal(xfer_tgt_share(UINT32_MAX, UINT32_MAX), 2147483647);
	/* Whoever comes last gets something, too. */
	for (i = 0; i < 4; i++) {
		n = xfer_tgt_share(0, left);
		left -= n;
		has += n;
	}
	assert_int_equal(has, 996);
}

static void
set_client(struct pair *p, uint8_t who, const char *volume)
{
	memset(p->ini_conf.client_uuid, who, sizeof(p->ini_conf.client_uuid));
	memset(p->ini_conf.volume, 0, sizeof(p->ini_conf.volume));
	memcpy(p->ini_conf.volume, volume, strlen(volume));
	p->ini = xfer_ini_init(memset(p->ini, 0, xfer_ini_size(&p->ini_conf)), &p->ini_conf);
	assert_non_null(p->ini);
	p->refused = 0;
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	pair_settle(p);
}

/* Clients that are killed one after the other, each with a command in a back end that hangs. */
static void
sessions_of_a_volume_that_hangs_are_bounded(void **state)
{
	struct pair *p = pair_new();
	unsigned n;

	(void)state;
	p->tgt_conf.max_sessions = 8;
	p->hold_io = true;
	pair_start(p);
	for (n = 0; n < 8; n++) {
		set_client(p, (uint8_t)(n + 1), "disk0");
		if (p->refused != 0)
			break;
		(void)pair_submit(p, n, WIRE_READ, 0, 512);
		pair_settle(p);
		/* Its lease ends. */
		p->now_ns += 2 * p->tgt_conf.lease_ns;
		xfer_tgt_tick(p->tgt, p->now_ns);
	}
	assert_int_equal(p->refused, -EAGAIN);
	assert_int_equal(n, 6);
	assert_int_equal(p->nb_held, 6);
	/* There is room for clients of the other volume, */
	set_client(p, 100, "ro");
	assert_int_equal(p->refused, 0);
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_LIVE);
	/* and for those of this one when it goes on. */
	pair_finish_io(p, 0);
	set_client(p, 101, "disk0");
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_LIVE);
	pair_free(p);
}

/* What a session has left in the back end counts on. */
static void
credits_of_a_volume_that_hangs_are_bounded(void **state)
{
	struct pair *p = pair_new();
	struct xfer_session_info info;
	unsigned n, i, sum = 0;

	(void)state;
	p->tgt_conf.max_sessions = 16;
	p->tgt_conf.credits = 16;
	p->hold_io = true;
	pair_start(p);
	for (n = 0; n < 3; n++) {
		set_client(p, (uint8_t)(n + 1), "disk0");
		assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), 0);
		sum += info.credits;
		for (i = 0; i < info.credits; i++)
			(void)pair_submit(p, i, WIRE_READ, i * 512, 512);
		pair_settle(p);
		p->now_ns += 2 * p->tgt_conf.lease_ns;
		xfer_tgt_tick(p->tgt, p->now_ns);
	}
	/* 8 at first, what is left of three quarters of 16, and one that everybody has. */
	assert_int_equal(sum, 8 + 4 + 1);
	set_client(p, 100, "ro");
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), 0);
	assert_int_equal(info.credits, 2);
	pair_finish_io(p, 0);
	set_client(p, 101, "disk0");
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), 0);
	assert_int_equal(info.credits, 8);
	pair_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_share_leaves_some),
		cmocka_unit_test(sessions_of_a_volume_that_hangs_are_bounded),
		cmocka_unit_test(credits_of_a_volume_that_hangs_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
