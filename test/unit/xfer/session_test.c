/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Sessions: opening, refusing, fencing, leases, credits, losing the peer and finding it again. */

#include "pair.h"

#define MS (XFER_NSEC_PER_SEC / 1000)

/* A target that lost its memory: same address, nothing known. */
static void
restart_target(struct pair *p)
{
	struct wire_geometry g = *xfer_ini_geometry(p->ini);

	p->tgt_conf.epoch++;
	p->tgt = xfer_tgt_init(memset(p->tgt, 0, xfer_tgt_size(&p->tgt_conf)), &p->tgt_conf);
	assert_int_equal(xfer_tgt_port_add(p->tgt, pair_tgt_mac, WIRE_EBD_P_LARGE), 0);
	assert_int_equal(xfer_tgt_export_add(p->tgt, &g), 0);
}

static void
run(struct pair *p, uint64_t ns)
{
	uint64_t end = p->now_ns + ns;

	while (p->now_ns < end)
		pair_advance(p, 5 * MS);
}

static void
open_tells_geometry_and_payload_unit(void **state)
{
	struct pair *p = pair_live(true);

	(void)state;
	assert_int_equal(xfer_ini_p(p->ini), PAIR_P);
	assert_int_equal(xfer_ini_quantum(p->ini), 64 * PAIR_P);
	assert_int_equal(xfer_ini_geometry(p->ini)->size, PAIR_VOLUME_SIZE);
	assert_memory_equal(xfer_ini_target(p->ini), pair_tgt_mac, 6);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), -EALREADY);
	pair_free(p);
}

#define SLOW_NS (400 * MS)
#define SLOW_FRAMES 256

/* Frames that are on their way one way, each for SLOW_NS. */
struct slow_way {
	struct pair_frame frames[SLOW_FRAMES];
	uint64_t due_ns[SLOW_FRAMES];
	unsigned head, tail;
};

static void
send_slowly(struct pair *p, struct slow_way *w, bool (*pull)(struct pair *p, struct pair_frame *f),
	void (*push)(struct pair *p, const struct pair_frame *f))
{
	while (pull(p, &w->frames[w->tail % SLOW_FRAMES])) {
		w->due_ns[w->tail++ % SLOW_FRAMES] = p->now_ns + SLOW_NS;
		assert_true(w->tail - w->head < SLOW_FRAMES);
	}
	while (w->head != w->tail && w->due_ns[w->head % SLOW_FRAMES] <= p->now_ns)
		push(p, &w->frames[w->head++ % SLOW_FRAMES]);
}

/* Its answers come when all tries of a state are over: patience must grow until they count. */
static void
a_slow_target_is_met(void **state)
{
	struct slow_way *there = calloc(1, sizeof(*there)), *back = calloc(1, sizeof(*back));
	struct pair *p = pair_new();
	uint64_t end;

	(void)state;
	assert_true(there != NULL && back != NULL);
	p->ini_conf.p_max = WIRE_EBD_P_LARGE;
	pair_start(p);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	end = p->now_ns + 30 * XFER_NSEC_PER_SEC;
	while (p->nb_opened == 0 && p->now_ns < end) {
		p->now_ns += 5 * MS;
		xfer_ini_tick(p->ini, p->now_ns);
		xfer_tgt_tick(p->tgt, p->now_ns);
		send_slowly(p, there, pair_pull_ini, pair_to_tgt);
		send_slowly(p, back, pair_pull_tgt, pair_to_ini);
	}
	assert_int_equal(p->nb_opened, 1);
	free(there);
	free(back);
	pair_free(p);
}

/* Frames above a size vanish, although both ends offer more: the probe finds what passes. */
static void
probe_finds_the_payload_unit_of_the_path(void **state)
{
	struct pair *p = pair_new();
	struct pair_frame f;
	int i;

	(void)state;
	p->ini_conf.p_max = WIRE_EBD_P_LARGE;
	pair_start(p);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	for (i = 0; i < 400 && p->nb_opened == 0; i++) {
		while (pair_pull_ini(p, &f)) {
			if (f.len <= WIRE_EBD_HDR_LEN + WIRE_EBD_P_PAGE)
				pair_to_tgt(p, &f);
		}
		while (pair_pull_tgt(p, &f))
			pair_to_ini(p, &f);
		p->now_ns += 5 * MS;
		xfer_ini_tick(p->ini, p->now_ns);
	}
	assert_int_equal(p->nb_opened, 1);
	assert_int_equal(xfer_ini_p(p->ini), WIRE_EBD_P_PAGE);
	pair_free(p);
}

static void
unknown_volume_is_not_found(void **state)
{
	struct pair *p = pair_new();

	(void)state;
	memcpy(p->ini_conf.volume, "nope", sizeof("nope"));
	memcpy(p->ini_conf.target, pair_tgt_mac, 6);
	pair_start(p);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	run(p, XFER_NSEC_PER_SEC);
	assert_int_equal(p->nb_opened, 0);
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_DISCOVER);
	pair_free(p);
}

static void
a_stranger_costs_no_session(void **state)
{
	struct pair *p = pair_live(false);
	struct xfer_session_info info;
	struct wire_open o = {.nonce = 7, .p = PAIR_P, .depth = 8, .volume = "disk0"};
	struct wire_ebd h = {
		.ethertype = WIRE_EBD_TO_TARGET,
		.ver_kind = wire_ebd_ver_kind(WIRE_CTRL),
		.op = WIRE_CTRL_OPEN,
		.plen = sizeof(o),
		.flags = WIRE_F_CRC,
	};
	struct pair_frame f, out;
	unsigned i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		memcpy(h.src, &i, sizeof(i));
		memcpy(o.client_uuid, &i, sizeof(i));
		memcpy(f.bytes + WIRE_EBD_HDR_LEN, &o, sizeof(o));
		f.len = WIRE_EBD_HDR_LEN + (uint32_t)sizeof(o);
		pair_set_header(&f, &h);
		pair_to_tgt(p, &f);
		if (i % 2)
			while (pair_pull_tgt(p, &out))
				;
	}
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), 0);
	assert_int_equal(xfer_tgt_session_info(p->tgt, 1, p->now_ns, &info), -ENOENT);
	pair_free(p);
}

/* Take the PROOF of an opening session, for tests that meddle with it. */
static void
capture_proof(struct pair *p, struct pair_frame *proof)
{
	struct pair_frame f;
	int i;

	for (i = 0; i < 100; i++) {
		while (pair_pull_ini(p, &f)) {
			if (pair_header(&f).ver_kind == wire_ebd_ver_kind(WIRE_CTRL) &&
				pair_header(&f).op == WIRE_CTRL_PROOF) {
				*proof = f;
				return;
			}
			pair_to_tgt(p, &f);
		}
		while (pair_pull_tgt(p, &f))
			pair_to_ini(p, &f);
	}
	fail_msg("no PROOF was sent");
}

static void
a_forged_or_late_proof_opens_nothing(void **state)
{
	struct pair *p = pair_new();
	const struct xfer_stats *stats;
	struct xfer_session_info info;
	struct pair_frame proof, f;
	struct wire_ebd h;

	(void)state;
	pair_start(p);
	stats = xfer_tgt_stats(p->tgt);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	capture_proof(p, &proof);

	f = proof; /* another volume than was challenged */
	f.bytes[WIRE_EBD_HDR_LEN + offsetof(struct wire_open, volume)] = 'r';
	f.bytes[WIRE_EBD_HDR_LEN + offsetof(struct wire_open, volume) + 1] = 'o';
	memset(f.bytes + WIRE_EBD_HDR_LEN + offsetof(struct wire_open, volume) + 2, 0, 4);
	h = pair_header(&f);
	pair_set_header(&f, &h);
	pair_to_tgt(p, &f);
	assert_int_equal(stats->drops[WIRE_DROP_COOKIE], 1);

	f = proof; /* another station than was challenged */
	h = pair_header(&f);
	h.src[5] ^= 1;
	pair_set_header(&f, &h);
	pair_to_tgt(p, &f);
	assert_int_equal(stats->drops[WIRE_DROP_COOKIE], 2);

	p->now_ns += 11 * XFER_NSEC_PER_SEC;
	pair_to_tgt(p, &proof);
	assert_int_equal(stats->drops[WIRE_DROP_COOKIE], 3);
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), -ENOENT);
	pair_free(p);
}

static void
a_repeated_proof_gets_the_same_session(void **state)
{
	struct pair *p = pair_new();
	struct pair_frame proof, first, second;
	struct xfer_session_info info;

	(void)state;
	pair_start(p);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	capture_proof(p, &proof);
	pair_to_tgt(p, &proof);
	assert_true(pair_pull_tgt(p, &first));
	pair_to_tgt(p, &proof);
	assert_true(pair_pull_tgt(p, &second));
	assert_int_equal(pair_header(&first).sid, pair_header(&second).sid);
	assert_int_equal(xfer_tgt_session_info(p->tgt, 1, p->now_ns, &info), -ENOENT);
	pair_free(p);
}

/* Connect a second initiator like the first one, with another nonce; p->ini is the second then. */
static struct xfer_ini *
second_start(struct pair *p, uint64_t nonce)
{
	struct xfer_ini *first = p->ini;
	size_t size;

	p->ini_conf.nonce = nonce;
	size = (xfer_ini_size(&p->ini_conf) + 63) & ~(size_t)63;
	p->ini = xfer_ini_init(aligned_alloc(64, size), &p->ini_conf);
	assert_non_null(p->ini);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	return first;
}

static void
a_newer_session_fences_the_older(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *c;
	struct xfer_ini *first;
	struct pair_frame late;
	struct wire_ebd h;

	(void)state;
	/* A write of the first session is in the back end, another one still in the network. */
	p->hold_io = true;
	c = pair_submit(p, 0, WIRE_WRITE, 0, 512);
	pair_settle(p);
	assert_int_equal(p->nb_held, 1);
	(void)pair_submit(p, 1, WIRE_WRITE, 4096, 512);
	assert_true(pair_pull_ini(p, &late));

	first = second_start(p, 1000);
	pair_settle(p);
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_PROOF);
	assert_int_equal(p->nb_opened, 1);

	/* Not before the old write has left the back end is the new session opened. */
	pair_finish_io(p, 0);
	pair_settle(p);
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_LIVE);
	assert_int_equal(xfer_tgt_stats(p->tgt)->fenced, 1);

	/* And the late one never gets there. */
	pair_to_tgt(p, &late);
	assert_int_equal(p->nb_held, 0);
	assert_int_equal(p->nb_started, 1);
	assert_int_equal(xfer_tgt_stats(p->tgt)->drops[WIRE_DROP_SID], 1);
	assert_true(pair_pull_tgt(p, &late));
	h = pair_header(&late);
	assert_int_equal(h.op, WIRE_CTRL_RESET);

	/* The first client learns that it is out. */
	free(p->ini);
	p->ini = first;
	pair_to_ini(p, &late);
	assert_int_equal(p->nb_lost, 1);
	pair_settle(p);
	assert_int_equal(p->refused, -ESTALE);
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_IDLE);
	assert_int_equal(c->nb_done, 1);
	assert_int_equal(c->status, -ESTALE);
	pair_free(p);
}

static void
lost_target_is_found_again_and_work_goes_on(void **state)
{
	struct pair *p = pair_live(true);
	struct pair_cmd *w, *r;
	struct pair_frame f;

	(void)state;
	w = pair_submit(p, 0, WIRE_WRITE, 65536, 8192);
	r = pair_submit(p, 1, WIRE_READ, 0, 4096);
	while (pair_pull_ini(p, &f))
		; /* lost with the target */
	restart_target(p);
	run(p, 2 * XFER_NSEC_PER_SEC);
	assert_int_equal(p->nb_lost, 1);
	assert_int_equal(p->nb_opened, 2);
	assert_int_equal(w->status, 0);
	assert_int_equal(r->status, 0);
	assert_memory_equal(w->data, p->volume + 65536, 8192);
	assert_memory_equal(r->data, p->volume, 4096);
	pair_free(p);
}

static void
gone_for_too_long_is_timed_out(void **state)
{
	struct pair *p = pair_new();
	struct pair_cmd *c;
	struct pair_frame f;
	int i;

	(void)state;
	p->ini_conf.fail_after_ns = 3 * XFER_NSEC_PER_SEC;
	pair_start(p);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	pair_settle(p);
	c = pair_submit(p, 0, WIRE_READ, 0, 512);
	for (i = 0; i < 1000 && c->nb_done == 0; i++) {
		while (pair_pull_ini(p, &f))
			;
		p->now_ns += 5 * MS;
		xfer_ini_tick(p->ini, p->now_ns);
	}
	assert_int_equal(c->nb_done, 1);
	assert_int_equal(c->status, -ETIMEDOUT);
	assert_in_range(i * 5, 3000, 4500);

	/* And when it comes back, everything goes on. */
	run(p, 3 * XFER_NSEC_PER_SEC);
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_LIVE);
	c = pair_submit(p, 0, WIRE_READ, 0, 512);
	pair_settle(p);
	assert_int_equal(c->status, 0);
	pair_free(p);
}

static void
silent_session_is_collected(void **state)
{
	struct pair *p = pair_live(false);
	struct xfer_session_info info;

	(void)state;
	p->now_ns += 29 * XFER_NSEC_PER_SEC;
	xfer_tgt_tick(p->tgt, p->now_ns);
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), 0);
	p->now_ns += 2 * XFER_NSEC_PER_SEC;
	xfer_tgt_tick(p->tgt, p->now_ns);
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), -ENOENT);
	assert_int_equal(xfer_tgt_stats(p->tgt)->collected, 1);
	pair_free(p);
}

static void
idle_session_is_kept_alive_by_probes(void **state)
{
	struct pair *p = pair_live(false);
	struct xfer_session_info info;

	(void)state;
	run(p, 100 * XFER_NSEC_PER_SEC);
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), 0);
	assert_int_equal(p->nb_lost, 0);
	assert_in_range(xfer_tgt_stats(p->tgt)->probes, 90, 110);
	pair_free(p);
}

static void
close_ends_everything(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *c;
	struct xfer_session_info info;

	(void)state;
	p->hold_io = true;
	c = pair_submit(p, 0, WIRE_WRITE, 0, 512);
	pair_settle(p);
	xfer_ini_close(p->ini, p->now_ns);
	pair_settle(p);
	assert_int_equal(p->nb_closed, 0); /* the write is in the back end */
	assert_int_equal(c->nb_done, 0);
	pair_finish_io(p, 0);
	pair_settle(p);
	assert_int_equal(p->nb_closed, 1);
	assert_int_equal(c->nb_done, 1);
	assert_int_equal(c->status, -ECANCELED);
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), -ENOENT);
	assert_int_equal(xfer_ini_submit(p->ini, &c->cmd, p->now_ns), -ENOTCONN);
	pair_free(p);
}

static void
close_without_a_peer_ends_in_bounded_time(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_frame f;
	int i;

	(void)state;
	xfer_ini_close(p->ini, p->now_ns);
	for (i = 0; i < 1000 && p->nb_closed == 0; i++) {
		while (pair_pull_ini(p, &f))
			;
		p->now_ns += 5 * MS;
		xfer_ini_tick(p->ini, p->now_ns);
	}
	assert_int_equal(p->nb_closed, 1);
	assert_in_range(i * 5, 1, 4000);
	pair_free(p);
}

static void
credits_grow_with_use_and_bound_the_sum(void **state)
{
	struct pair *p = pair_new();
	struct xfer_session_info info;
	unsigned i;

	(void)state;
	p->tgt_conf.credits = 12;
	p->ini_conf.depth = 16;
	pair_start(p);
	assert_int_equal(xfer_tgt_export_remove(p->tgt, 1, p->now_ns), 0);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	pair_settle(p);
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), 0);
	assert_int_equal(info.credits, 8);
	p->hold_io = true;
	for (i = 0; i < PAIR_CMDS; i++)
		(void)pair_submit(p, i, WIRE_READ, i * 512, 512);
	pair_settle(p);
	assert_int_equal(p->nb_held, 8); /* what the first limit allowed */
	pair_finish_io(p, 0);
	pair_settle(p);
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), 0);
	assert_int_equal(info.credits, 12);
	pair_finish_io(p, 0);
	pair_settle(p);
	for (i = 0; i < PAIR_CMDS; i++)
		assert_int_equal(p->cmds[i].status, 0);
	p->now_ns += 2 * XFER_NSEC_PER_SEC;
	xfer_tgt_tick(p->tgt, p->now_ns);
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), 0);
	assert_int_equal(info.credits, 8);
	pair_free(p);
}

/*
 * Commands that end as they come are never many at a time: it is the client that waits for credit.
 * With 8 credits for ever, writes to a volume in memory never got to more than a quarter of depth 32.
 */
static void
credits_grow_for_commands_that_end_at_once(void **state)
{
	struct pair *p = pair_new();
	struct xfer_session_info info;
	unsigned i, round;

	(void)state;
	p->ini_conf.depth = 16;
	pair_start(p);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	pair_settle(p);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < PAIR_CMDS; i++)
			(void)pair_submit(p, i, WIRE_WRITE, i * 512, 512);
		pair_settle(p);
	}
	assert_int_equal(xfer_tgt_session_info(p->tgt, 0, p->now_ns, &info), 0);
	assert_int_equal(info.credits, 16);
	pair_free(p);
}

static void
a_target_that_leaves_says_so(void **state)
{
	struct pair *p = pair_live(true);
	struct pair_frame f;

	(void)state;
	assert_false(xfer_tgt_leave(p->tgt, p->now_ns));
	p->hold_io = true;
	(void)pair_submit(p, 0, WIRE_WRITE, 0, 512);
	pair_settle(p);
	xfer_tgt_drain(p->tgt);
	/* Not before everything is answered, and the answers are out. */
	assert_false(xfer_tgt_leave(p->tgt, p->now_ns));
	pair_finish_io(p, 0);
	assert_false(xfer_tgt_leave(p->tgt, p->now_ns));
	pair_settle(p);
	assert_int_equal(p->cmds[0].nb_done, 1);
	assert_int_equal(p->cmds[0].status, 0);
	assert_int_equal(p->nb_lost, 0);
	assert_false(xfer_tgt_leave(p->tgt, p->now_ns));
	assert_true(pair_pull_tgt(p, &f));
	assert_int_equal(pair_header(&f).op, WIRE_CTRL_RESET);
	assert_true(xfer_tgt_leave(p->tgt, p->now_ns));
	/* No time goes by until it is news at the other end. */
	pair_to_ini(p, &f);
	assert_int_equal(p->nb_lost, 1);
	assert_int_not_equal(xfer_ini_get_state(p->ini), XFER_INI_LIVE);
	pair_free(p);
}

static void
sessions_are_bounded(void **state)
{
	struct pair *p = pair_new();
	struct xfer_ini *inis[5];
	unsigned i;

	(void)state;
	pair_start(p);
	free(p->ini);
	for (i = 0; i < MPN_ARRAY_SIZE(inis); i++) {
		p->ini_conf.client_uuid[0] = (uint8_t)i;
		(void)second_start(p, 1);
		inis[i] = p->ini;
		pair_settle(p);
		assert_int_equal(xfer_ini_get_state(p->ini),
			i < p->tgt_conf.max_sessions ? XFER_INI_LIVE : XFER_INI_PROOF);
	}
	assert_int_equal(p->refused, -EAGAIN);
	for (i = 0; i + 1 < MPN_ARRAY_SIZE(inis); i++)
		free(inis[i]);
	pair_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_tells_geometry_and_payload_unit),
		cmocka_unit_test(a_slow_target_is_met),
		cmocka_unit_test(probe_finds_the_payload_unit_of_the_path),
		cmocka_unit_test(unknown_volume_is_not_found),
		cmocka_unit_test(a_stranger_costs_no_session),
		cmocka_unit_test(a_forged_or_late_proof_opens_nothing),
		cmocka_unit_test(a_repeated_proof_gets_the_same_session),
		cmocka_unit_test(a_newer_session_fences_the_older),
		cmocka_unit_test(lost_target_is_found_again_and_work_goes_on),
		cmocka_unit_test(gone_for_too_long_is_timed_out),
		cmocka_unit_test(silent_session_is_collected),
		cmocka_unit_test(idle_session_is_kept_alive_by_probes),
		cmocka_unit_test(close_ends_everything),
		cmocka_unit_test(close_without_a_peer_ends_in_bounded_time),
		cmocka_unit_test(credits_grow_with_use_and_bound_the_sum),
		cmocka_unit_test(credits_grow_for_commands_that_end_at_once),
		cmocka_unit_test(a_target_that_leaves_says_so),
		cmocka_unit_test(sessions_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
