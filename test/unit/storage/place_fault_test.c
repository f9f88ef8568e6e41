/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Reads in place when all is not as it should be: nothing that a peer sends, or does not send, makes the
 * library write to memory it has handed back, or hand back what is not whole.
 */

#include "load.h"

#define SHORT_RING 16 /* pairs, the fewest there may be */

/* ---- In another order, or not at all ---- */

static void
release_backwards(struct bed *b)
{
	for (unsigned i = 0; i < b->nb_held / 2; i++) {
		struct xfer_io *io = b->held[i];

		b->held[i] = b->held[b->nb_held - 1 - i];
		b->held[b->nb_held - 1 - i] = io;
	}
	bed_release(b);
}

static void
test_answers_in_another_order(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct load l;

	load_begin(&l, b, 16 * KIB, 0, 0);
	for (unsigned round = 0; round < 20; round++) {
		b->hold = true;
		l.left = 14;
		for (unsigned i = 0; i < 14; i++)
			load_start_read(&l);
		bed_poll_until(b, b->nb_held == 14);
		release_backwards(b);
		bed_poll_until(b, l.done == 14 * (round + 1));
	}
	assert_int_equal(l.failed, 0);
	assert_true(load_stats(b)->bounced > 0);
	assert_int_equal(load_stats(b)->recalls, 0);
	load_assert_in_place_again(&l, 32);
	load_end(&l);
	bed_destroy(b);
}

/* A read, and short ones behind it that are answered first: they take its page, and leave theirs to it. */
static void
run_mixed(struct bed *b, uint8_t *mem, unsigned nb)
{
	struct st_request reqs[SHORT_RING] = {0};
	struct st_buffer bufs[SHORT_RING];
	unsigned want = b->completions + nb, i;
	struct xfer_io *first;

	b->hold = true;
	for (i = 0; i < nb; i++) {
		uint32_t len = i == 0 ? 8 * KIB : 512;

		bufs[i] = (struct st_buffer){.data = mem + i * 8 * KIB, .len = len};
		reqs[i] = (struct st_request){.bufs = &bufs[i],
			.nb_bufs = 1,
			.op = WIRE_READ,
			.addr = i * 8 * KIB,
			.len = len};
		bed_xmit(b, &reqs[i]);
	}
	bed_poll_until(b, b->nb_held == nb);
	first = b->held[0];
	b->held[0] = b->held[nb - 1];
	b->held[nb - 1] = first;
	bed_release(b);
	bed_poll_until(b, b->completions == want);
	for (i = 0; i < nb; i++) {
		assert_int_equal(reqs[i].status, 0);
		assert_memory_equal(bufs[i].data, b->disk + reqs[i].addr, reqs[i].len);
	}
}

static void
test_long_frames_behind_short_pages(void **state)
{
	struct bed *b = load_make_bed(SHORT_RING, 9000);
	uint8_t *mem = st_arena_alloc(b->nics[0], SHORT_RING * 8 * KIB, 0);

	b->dev->ini->conf.probe_ns = 200000;
	for (unsigned round = 0; round < 20; round++)
		run_mixed(b, mem, SHORT_RING);
	assert_true(load_stats(b)->bounced > 0);
	assert_int_equal(load_stats(b)->recalls, 0);
	assert_int_equal(load_posted(b), 0);
	st_arena_free(mem);
	bed_destroy(b);
}

/* Reads that fail have no frames: PROBEs bring their pages out. */
static void
test_pages_of_failed_reads_come_out(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct load l;

	load_begin(&l, b, 4 * KIB, 0, 0);
	(void)load_share_in_place(&l, 32, 64);
	b->status = -EIO;
	load_run(&l, 32, 64);
	assert_int_equal(l.failed, 64);
	assert_true(load_stats(b)->probes > 0);
	assert_int_equal(load_stats(b)->recalls, 0);
	b->status = 0;
	load_assert_in_place_again(&l, 32);
	load_end(&l);
	bed_destroy(b);
}

static void
test_pages_of_aborted_reads_come_out(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct load l;

	load_begin(&l, b, 4 * KIB, 0, 0);
	(void)load_share_in_place(&l, 32, 64);
	b->hold = true;
	l.left = 32;
	for (unsigned i = 0; i < 32; i++)
		load_start_read(&l);
	bed_poll_until(b, b->nb_held == 32);
	assert_true(load_posted(b) > 0);
	for (unsigned i = 0; i < BUFFERS; i++) {
		if (l.reqs[i].pending > 0)
			dev_st_abort(b->dev, &l.reqs[i]);
	}
	/* The back end has them: they end when it is done, cancelled or read. */
	for (unsigned i = 0; i < 100; i++)
		bed_poll(b);
	bed_release(b);
	bed_poll_until(b, l.done == 96);
	assert_int_equal(load_posted(b), 0);
	load_assert_in_place_again(&l, 32);
	load_end(&l);
	bed_destroy(b);
}

/* ---- Hostile frames ---- */

/* A live command, the n-th of them. NULL: there are not so many. */
static struct xfer_cmd *
live_cmd(struct bed *b, unsigned n)
{
	struct mpn_list *node;

	mpn_list_for_each(node, &b->dev->ini->active) {
		if (n-- == 0)
			return mpn_container_of(node, struct xfer_cmd, node);
	}
	return NULL;
}

static struct wire_ebd
data_header(struct bed *b, const struct xfer_cmd *cmd)
{
	struct wire_ebd h = {
		.ethertype = WIRE_EBD_TO_INITIATOR,
		.ver_kind = wire_ebd_ver_kind(WIRE_DATA),
		.op = WIRE_READ,
		.sid = xfer_ini_sid(b->dev->ini),
		.flags = WIRE_F_BULK | WIRE_F_LAST,
		.plen = 4096,
		.limit = b->dev->ini->limit,
	};

	memcpy(h.dst, b->st[0]->info.mac, sizeof(h.dst));
	memcpy(h.src, b->st[1]->info.mac, sizeof(h.src));
	if (cmd != NULL) {
		h.tag = cmd->tag;
		h.cseq = cmd->cseq;
		h.addr = cmd->addr;
	}
	return h;
}

/* To the client's data queue, with a payload of bytes 0x66. */
static void
inject(struct bed *b, const struct wire_ebd *h, uint32_t payload)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(mpn_nic_rx_pool(b->nics[1]));
	char *at;

	assert_non_null(m);
	at = rte_pktmbuf_append(m, (uint16_t)(WIRE_EBD_HDR_LEN + payload));
	assert_non_null(at);
	memset(at, 0x66, WIRE_EBD_HDR_LEN + payload);
	wire_ebd_store(at, h);
	if (mpn_flow_tx_data(b->pers[1], &m, 1) == 0)
		rte_pktmbuf_free(m);
}

/* A frame that no page may be given up for. Those that name a live command are wrong in one thing. */
static void
attack(struct bed *b, unsigned kind)
{
	const struct xfer_cmd *cmd = live_cmd(b, kind % 5);
	struct wire_ebd h = data_header(b, cmd);

	if (cmd == NULL)
		return;
	switch (kind % 8) {
	case 0: /* late: the tag has died */
		h.tag--;
		break;
	case 1: /* for another's page */
		h.addr += 4096;
		break;
	case 2:
		h.sid ^= 1;
		break;
	case 3: /* a fragment it does not have */
		h.off = 8192;
		break;
	case 4:
		h.cseq++;
		break;
	case 5: /* no header of ours at all */
		h.ver_kind = 0xff;
		break;
	case 6: /* nothing but a header */
		h.plen = 0;
		break;
	default: /* more than a page */
		h.plen = 8192;
		break;
	}
	inject(b, &h, h.plen);
}

static void
test_hostile_frames_hit_nothing(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct load l;

	load_begin(&l, b, 4 * KIB, 0, 0);
	l.left = 6000;
	for (unsigned i = 0; i < 40; i++)
		load_start_read(&l);
	for (unsigned kind = 0; l.done < 6000; kind++) {
		attack(b, kind);
		bed_poll(b);
	}
	assert_int_equal(l.failed, 0);
	assert_true(load_stats(b)->bounced + load_stats(b)->copied > 0);
	/* Headers alone shift what comes behind them by a piece. */
	assert_true(bed_site(b, 0, ST_COPY_rx_linear) > 0);
	assert_int_equal(load_stats(b)->recalls, 0);
	load_assert_in_place_again(&l, 32);
	load_end(&l);
	bed_destroy(b);
}

/* Each frame comes twice; the second one takes the place of another's. */
static void
test_frames_that_come_twice(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	const struct xfer_cmd *cmd;
	struct wire_ebd h;
	struct load l;

	load_begin(&l, b, 4 * KIB, 0, 0);
	for (unsigned round = 0; round < 50; round++) {
		b->hold = true;
		l.left = 20;
		for (unsigned i = 0; i < 20; i++)
			load_start_read(&l);
		bed_poll_until(b, b->nb_held == 20);
		cmd = live_cmd(b, round % 20);
		h = data_header(b, cmd);
		bed_release(b);
		/* Behind those of the target, in the same queue: of a command that has ended by then. */
		mpn_nic_poll(b->nics[1]);
		inject(b, &h, h.plen);
		bed_poll_until(b, l.done == 20 * (round + 1));
	}
	assert_int_equal(l.failed, 0);
	assert_true(xfer_ini_stats(b->dev->ini)->drops[WIRE_DROP_DEAD] > 0);
	load_end(&l);
	bed_destroy(b);
}

/*
 * The data of a whole command comes twice while the ring is full and stays so: reads are in step with
 * their pages again when the ring has turned once.
 */
static void
test_a_full_ring_is_in_step_again(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct xfer_place_stats before;
	const struct xfer_cmd *cmd;
	struct wire_ebd h;
	struct load l;

	load_begin(&l, b, 64 * KIB, 0, 0);
	l.left = 1000;
	for (unsigned i = 0; i < 16; i++)
		load_start_read(&l);
	b->hold = true;
	bed_poll_until(b, b->nb_held > 0);
	cmd = live_cmd(b, 0);
	h = data_header(b, cmd);
	bed_release(b);
	mpn_nic_poll(b->nics[1]);
	for (unsigned i = 0; i < 8; i++)
		inject(b, &h, h.plen);
	bed_poll_until(b, l.done >= 100);
	before = *load_stats(b);
	assert_true(before.copied + before.bounced > 0);
	bed_poll_until(b, l.done == 1000);
	assert_int_equal(l.failed, 0);
	assert_true(load_stats(b)->in_place - before.in_place >
		    20 * (load_stats(b)->copied + load_stats(b)->bounced - before.copied -
				 before.bounced));
	load_end(&l);
	bed_destroy(b);
}

/* ---- The peer goes ---- */

/* It does not answer any more, and the link stays up: reads fail in time, and their pages come home. */
static void
test_silent_peer(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	uint64_t start;
	struct load l;

	b->dev->ini->conf.probe_ns = 200000;
	load_begin(&l, b, 4 * KIB, 0, 0);
	(void)load_share_in_place(&l, 32, 64);
	load_hold(&l, 16);
	start = mpn_now_ns();
	while (l.done < 64 + 16 && mpn_now_ns() - start < 10 * XFER_NSEC_PER_SEC)
		(void)mpn_nic_poll(b->nics[0]);
	assert_int_equal(l.done, 64 + 16);
	assert_int_equal(l.failed, 16);
	/* 500 ms until the peer counts as dead, 300 as configured, 500 for the PROBEs. */
	assert_true(mpn_now_ns() - start < 8 * XFER_NSEC_PER_SEC);
	assert_int_equal(load_stats(b)->recalls, 1);
	assert_int_equal(load_posted(b), 0);
	/* It was asleep. What it sends now finds nothing of ours. */
	bed_release(b);
	bed_poll_until(
		b, dev_st_is_open(b->dev) && xfer_ini_get_state(b->dev->ini) == XFER_INI_LIVE);
	load_assert_in_place_again(&l, 32);
	load_end(&l);
	bed_destroy(b);
}

static void
test_peer_dies_with_pages_posted(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct load l;
	uint64_t start;

	load_begin(&l, b, 4 * KIB, 0, 0);
	(void)load_share_in_place(&l, 32, 64);
	load_hold(&l, 16);
	mpn_nic_destroy(b->nics[1]);
	start = mpn_now_ns();
	while (l.done < 64 + 16 && mpn_now_ns() - start < 10 * XFER_NSEC_PER_SEC)
		(void)mpn_nic_poll(b->nics[0]);
	assert_int_equal(l.failed, 16);
	assert_int_equal(load_stats(b)->recalls, 0);
	assert_int_equal(load_posted(b), 0);
	assert_int_equal(load_in_ring(b), 0);
	load_end(&l);
	dev_st_close(b->dev);
	b->dev = NULL;
	b->nics[1] = NULL;
	bed_release(b);
	st_target_destroy(b->target);
	b->target = NULL;
	bed_destroy(b);
}

/* The target has forgotten the session: reads start again, behind the pages posted for them before. */
static void
test_session_is_lost(void **state)
{
	struct bed *b = load_make_bed(PAIRS, 9000);
	struct load l;

	load_begin(&l, b, 16 * KIB, 0, 0);
	(void)load_share_in_place(&l, 8, 64);
	load_hold(&l, 12);
	ini_reopen(b->dev->ini, mpn_now_ns());
	bed_release(b);
	bed_poll_until(b, l.done == 64 + 12);
	assert_int_equal(l.failed, 0);
	assert_int_equal(load_stats(b)->recalls, 0);
	load_assert_in_place_again(&l, 20);
	load_end(&l);
	bed_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_in_another_order),
		cmocka_unit_test(test_long_frames_behind_short_pages),
		cmocka_unit_test(test_pages_of_failed_reads_come_out),
		cmocka_unit_test(test_pages_of_aborted_reads_come_out),
		cmocka_unit_test(test_hostile_frames_hit_nothing),
		cmocka_unit_test(test_frames_that_come_twice),
		cmocka_unit_test(test_a_full_ring_is_in_step_again),
		cmocka_unit_test(test_silent_peer),
		cmocka_unit_test(test_peer_dies_with_pages_posted),
		cmocka_unit_test(test_session_is_lost),
	};

	return cmocka_run_group_tests_name(
		"reads in place, with faults", tests, bed_start_eal, bed_stop_eal);
}
