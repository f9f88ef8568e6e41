/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The placement check: a frame that is right but for one thing. Exactly the counter of that thing
 * rises, nothing is placed, and the command goes on as if the frame had never come.
 */

#include "pair.h"

#define READ_LEN 4096u /* three fragments at P 1408: 1408, 1408, 1280 */

/* One thing wrong with a frame. seal: also give it the right checksum, so that only the lie is left. */
struct lie {
	const char *name;
	void (*tell)(struct pair_frame *f, struct wire_ebd *h);
	enum wire_drop expect;
	bool crc_only; /* makes sense only in a session with checksums */
	bool raw; /* the lie changed the bytes itself: leave the header alone */
};

#define LIE(fn, ...) \
	static void fn(struct pair_frame *f, struct wire_ebd *h) \
	{ \
		(void)f; \
		(void)h; \
		__VA_ARGS__; \
	}

LIE(cut_header, f->len = 63)
LIE(cut_all, f->len = 0)
LIE(cut_payload, f->len -= 1)
LIE(pad, f->len += 1)
LIE(version_0, h->ver_kind &= 0x0f)
LIE(version_2, h->ver_kind = (uint8_t)(2 << 4 | (h->ver_kind & 0x0f)))
LIE(kind_15, h->ver_kind |= 0x0f)
LIE(op_0, h->op = 0)
LIE(op_99, h->op = 99)
LIE(unknown_flag, h->flags |= 0x8000)
LIE(auth_flag, h->flags |= WIRE_F_AUTH)
LIE(foreign_mac, h->src[5] ^= 0x40)
LIE(sid_flip, h->sid ^= 1u << 20)
LIE(sid_zero, h->sid = 0)
LIE(slot_below, h->tag -= 101u << 16)
LIE(slot_above, h->tag += 8u << 16)
LIE(slot_idle, h->tag += 1u << 16)
LIE(old_generation, h->tag = (h->tag & 0xffff0000u) | ((h->tag - 1) & 0xffffu))
LIE(next_generation, h->tag = (h->tag & 0xffff0000u) | ((h->tag + 1) & 0xffffu))
LIE(cseq_plus, h->cseq += 1)
LIE(cseq_far, h->cseq += 0x40000000u)
LIE(cseq_acked, h->cseq -= 1)
LIE(addr_plus, h->addr += 512)
LIE(addr_wrap, h->addr = UINT64_MAX)
LIE(off_odd, h->off += 1)
LIE(off_end, h->off = 3 * PAIR_P)
LIE(off_huge, h->off = UINT32_MAX / PAIR_P * PAIR_P)
LIE(plen_short, h->plen -= 1; f->len -= 1)
LIE(plen_long, h->plen += 1; f->len += 1)
LIE(plen_last, h->plen = 1280; f->len = WIRE_EBD_HDR_LEN + 1280)
LIE(as_write, h->op = WIRE_WRITE)
LIE(as_read, h->op = WIRE_READ)
LIE(as_flush, h->op = WIRE_FLUSH)
LIE(flip_payload, f->bytes[WIRE_EBD_HDR_LEN + 5] ^= 1)
LIE(flip_crc, f->bytes[61] ^= 1)
LIE(no_crc, h->flags &= (uint16_t)~WIRE_F_CRC)

/* Tell every lie to one end about frame f (whose header is right), then the truth. */
static void
tell_lies(struct pair *p, const struct lie *lies, size_t nb_lies, const struct pair_frame *truth,
	bool crc, bool to_ini)
{
	const struct xfer_stats *stats = to_ini ? xfer_ini_stats(p->ini) : xfer_tgt_stats(p->tgt);
	const int *placed = to_ini ? &p->nb_placed_ini : &p->nb_placed_tgt;
	struct pair_frame f;
	struct wire_ebd h;
	uint64_t sum, count;
	size_t i;
	int before;

	for (i = 0; i < nb_lies; i++) {
		if (lies[i].crc_only && !crc)
			continue;
		f = *truth;
		h = pair_header(&f);
		lies[i].tell(&f, &h);
		if (!lies[i].raw)
			pair_set_header(&f, &h);
		sum = pair_sum_drops(stats);
		count = stats->drops[lies[i].expect];
		before = *placed;
		if (to_ini)
			pair_to_ini(p, &f);
		else
			pair_to_tgt(p, &f);
		if (stats->drops[lies[i].expect] != count + 1 || pair_sum_drops(stats) != sum + 1)
			fail_msg("%s: expected exactly one drop as %s", lies[i].name,
				wire_drop_name(lies[i].expect));
		assert_int_equal(*placed, before);
	}
}

static const struct lie data_lies[] = {
	{"cut header", cut_header, WIRE_DROP_TRUNCATED, .raw = true},
	{"nothing", cut_all, WIRE_DROP_TRUNCATED, .raw = true},
	{"cut payload", cut_payload, WIRE_DROP_TRUNCATED, .raw = true},
	{"padded", pad, WIRE_DROP_PADDED, .raw = true},
	{"version 0", version_0, WIRE_DROP_VERSION},
	{"version 2", version_2, WIRE_DROP_VERSION},
	{"kind 15", kind_15, WIRE_DROP_KIND},
	{"op 0", op_0, WIRE_DROP_OP},
	{"op 99", op_99, WIRE_DROP_OP},
	{"unknown flag", unknown_flag, WIRE_DROP_FLAGS},
	{"auth flag", auth_flag, WIRE_DROP_FLAGS},
	{"foreign mac", foreign_mac, WIRE_DROP_SRC_MAC},
	{"sid", sid_flip, WIRE_DROP_SID},
	{"sid 0", sid_zero, WIRE_DROP_SID},
	{"slot below", slot_below, WIRE_DROP_SLOT},
	{"slot above", slot_above, WIRE_DROP_SLOT},
	{"old generation", old_generation, WIRE_DROP_GENERATION},
	{"next generation", next_generation, WIRE_DROP_GENERATION},
	{"idle slot", slot_idle, WIRE_DROP_GENERATION},
	{"cseq + 1", cseq_plus, WIRE_DROP_CSEQ},
	{"cseq - 1", cseq_acked, WIRE_DROP_CSEQ},
	{"addr", addr_plus, WIRE_DROP_ADDR},
	{"addr wraps", addr_wrap, WIRE_DROP_ADDR},
	{"off odd", off_odd, WIRE_DROP_OFF},
	{"off at the end", off_end, WIRE_DROP_OFF},
	{"off huge", off_huge, WIRE_DROP_OFF},
	{"plen short", plen_short, WIRE_DROP_PLEN},
	{"plen long", plen_long, WIRE_DROP_PLEN},
	{"plen of another fragment", plen_last, WIRE_DROP_PLEN},
	{"a write's", as_write, WIRE_DROP_DIRECTION},
	{"a flush's", as_flush, WIRE_DROP_DIRECTION},
	{"flipped payload", flip_payload, WIRE_DROP_CRC, .crc_only = true, .raw = true},
	{"flipped checksum", flip_crc, WIRE_DROP_CRC, .crc_only = true, .raw = true},
	{"no checksum", no_crc, WIRE_DROP_CRC, .crc_only = true},
};

static void
check_read_data(bool crc)
{
	struct pair *p = pair_live(crc);
	struct pair_cmd *c = pair_submit(p, 0, WIRE_READ, 8192, READ_LEN);
	const struct xfer_stats *stats = xfer_ini_stats(p->ini);
	struct pair_frame f, data[3];
	unsigned i;

	assert_true(pair_pull_ini(p, &f));
	pair_to_tgt(p, &f);
	for (i = 0; i < 3; i++)
		assert_true(pair_pull_tgt(p, &data[i]));
	tell_lies(p, data_lies, MPN_ARRAY_SIZE(data_lies), &data[0], crc, true);
	assert_int_equal(c->nb_done, 0);

	pair_to_ini(p, &data[0]);
	assert_int_equal(p->nb_placed_ini, 1);
	pair_to_ini(p, &data[0]);
	assert_int_equal(stats->drops[WIRE_DROP_DUPLICATE], 1);
	pair_to_ini(p, &data[2]);
	pair_to_ini(p, &data[1]);
	assert_int_equal(p->nb_placed_ini, 3);
	assert_int_equal(c->nb_done, 1);
	assert_int_equal(c->status, 0);
	assert_memory_equal(c->data, p->volume + 8192, READ_LEN);
	pair_check_guards(c);

	/* The tag died with the command. */
	memset(c->data, 0, READ_LEN);
	pair_to_ini(p, &data[1]);
	assert_int_equal(stats->drops[WIRE_DROP_DEAD], 1);
	assert_int_equal(p->nb_placed_ini, 3);
	pair_free(p);
}

static void
read_data_is_placed_only_when_all_is_right(void **state)
{
	(void)state;
	check_read_data(false);
}

static void
read_data_with_checksums(void **state)
{
	(void)state;
	check_read_data(true);
}

static const struct lie write_lies[] = {
	{"cut header", cut_header, WIRE_DROP_TRUNCATED, .raw = true},
	{"cut payload", cut_payload, WIRE_DROP_TRUNCATED, .raw = true},
	{"padded", pad, WIRE_DROP_PADDED, .raw = true},
	{"version 2", version_2, WIRE_DROP_VERSION},
	{"kind 15", kind_15, WIRE_DROP_KIND},
	{"op 0", op_0, WIRE_DROP_OP},
	{"unknown flag", unknown_flag, WIRE_DROP_FLAGS},
	{"foreign mac", foreign_mac, WIRE_DROP_SRC_MAC},
	{"sid", sid_flip, WIRE_DROP_SID},
	{"old generation", old_generation, WIRE_DROP_GENERATION},
	{"another slot", slot_idle, WIRE_DROP_DEAD},
	{"slot below", slot_below, WIRE_DROP_SLOT},
	{"slot above", slot_above, WIRE_DROP_SLOT},
	{"cseq + 1", cseq_plus, WIRE_DROP_DEAD},
	{"cseq far", cseq_far, WIRE_DROP_CREDIT},
	{"cseq acknowledged", cseq_acked, WIRE_DROP_STALE},
	{"addr", addr_plus, WIRE_DROP_ADDR},
	{"off odd", off_odd, WIRE_DROP_OFF},
	{"off at the end", off_end, WIRE_DROP_OFF},
	{"off huge", off_huge, WIRE_DROP_OFF},
	{"plen short", plen_short, WIRE_DROP_PLEN},
	{"plen long", plen_long, WIRE_DROP_PLEN},
	{"a read's", as_read, WIRE_DROP_DIRECTION},
	{"flipped payload", flip_payload, WIRE_DROP_CRC, .crc_only = true, .raw = true},
	{"no checksum", no_crc, WIRE_DROP_CRC, .crc_only = true},
};

static void
check_write_data(bool crc)
{
	struct pair *p = pair_live(crc);
	struct pair_cmd *c = pair_submit(p, 0, WIRE_WRITE, 8192, READ_LEN);
	const struct xfer_stats *stats = xfer_tgt_stats(p->tgt);
	struct pair_frame f, data[3];
	uint8_t before[READ_LEN];
	unsigned i;

	memcpy(before, p->volume + 8192, sizeof(before));
	assert_true(pair_pull_ini(p, &f));
	assert_int_equal(pair_header(&f).plen, 0);
	pair_to_tgt(p, &f);
	assert_true(pair_pull_tgt(p, &f));
	assert_int_equal(wire_ebd_kind(&(struct wire_ebd){.ver_kind = f.bytes[14]}), WIRE_GRANT);
	pair_to_ini(p, &f);
	for (i = 0; i < 3; i++)
		assert_true(pair_pull_ini(p, &data[i]));
	tell_lies(p, write_lies, MPN_ARRAY_SIZE(write_lies), &data[0], crc, false);

	pair_to_tgt(p, &data[0]);
	pair_to_tgt(p, &data[0]);
	assert_int_equal(stats->drops[WIRE_DROP_DUPLICATE], 1);
	pair_to_tgt(p, &data[2]);
	assert_memory_equal(before, p->volume + 8192, READ_LEN);
	pair_to_tgt(p, &data[1]);
	assert_memory_equal(c->data, p->volume + 8192, READ_LEN);
	pair_settle(p);
	assert_int_equal(c->nb_done, 1);
	assert_int_equal(c->status, 0);
	assert_int_equal(p->nb_bufs, 0);
	pair_free(p);
}

static void
write_data_is_placed_only_when_all_is_right(void **state)
{
	(void)state;
	check_write_data(false);
}

static void
write_data_with_checksums(void **state)
{
	(void)state;
	check_write_data(true);
}

/* Data nobody asked for: the target has no memory yet, so nothing is granted. */
static void
write_data_without_a_grant(void **state)
{
	struct pair *p = pair_live(false);
	struct pair_cmd *c = pair_submit(p, 0, WIRE_WRITE, 0, READ_LEN);
	const struct xfer_stats *stats = xfer_tgt_stats(p->tgt);
	struct pair_frame f;
	struct wire_ebd h;

	(void)state;
	p->max_bufs = 0;
	assert_true(pair_pull_ini(p, &f));
	pair_to_tgt(p, &f);
	assert_false(pair_pull_tgt(p, &f));
	h = pair_header(&f);
	assert_true(pair_pull_ini(p, &f) == false);

	/* Forge the first fragment out of what is known of the command. */
	xfer_ini_tick(p->ini, p->now_ns);
	memset(&f, 0, sizeof(f));
	h = (struct wire_ebd){
		.ethertype = WIRE_EBD_TO_TARGET,
		.ver_kind = wire_ebd_ver_kind(WIRE_DATA),
		.op = WIRE_WRITE,
		.sid = xfer_ini_sid(p->ini),
		.tag = c->cmd.tag,
		.cseq = c->cmd.cseq,
		.ack = c->cmd.cseq - 1,
		.plen = PAIR_P,
	};
	memcpy(h.src, pair_ini_mac, sizeof(h.src));
	memcpy(h.dst, pair_tgt_mac, sizeof(h.dst));
	f.len = WIRE_EBD_HDR_LEN + PAIR_P;
	pair_set_header(&f, &h);
	pair_to_tgt(p, &f);
	assert_int_equal(stats->drops[WIRE_DROP_NO_GRANT], 1);
	assert_int_equal(p->nb_placed_tgt, 0);

	p->max_bufs = -1;
	pair_advance(p, XFER_NSEC_PER_SEC / 5);
	pair_settle(p);
	assert_int_equal(c->nb_done, 1);
	assert_int_equal(c->status, 0);
	pair_free(p);
}

/* What a target may not send, and what an initiator may not. */
static void
frames_of_the_other_direction(void **state)
{
	static const enum wire_ebd_kind to_ini[] = {WIRE_CMD};
	static const enum wire_ebd_kind to_tgt[] = {WIRE_RSP, WIRE_GRANT};
	struct pair *p = pair_live(false);
	struct pair_cmd *c = pair_submit(p, 0, WIRE_FLUSH, 0, 0);
	struct pair_frame f;
	struct wire_ebd h;
	size_t i;

	(void)state;
	assert_true(pair_pull_ini(p, &f));
	h = pair_header(&f);
	for (i = 0; i < MPN_ARRAY_SIZE(to_ini); i++) {
		h.ver_kind = wire_ebd_ver_kind(to_ini[i]);
		pair_set_header(&f, &h);
		pair_to_ini(p, &f);
		assert_int_equal(xfer_ini_stats(p->ini)->drops[WIRE_DROP_KIND], i + 1);
	}
	for (i = 0; i < MPN_ARRAY_SIZE(to_tgt); i++) {
		h.ver_kind = wire_ebd_ver_kind(to_tgt[i]);
		pair_set_header(&f, &h);
		pair_to_tgt(p, &f);
		assert_int_equal(xfer_tgt_stats(p->tgt)->drops[WIRE_DROP_KIND], i + 1);
	}
	assert_int_equal(c->nb_done, 0);
	pair_advance(p, XFER_NSEC_PER_SEC / 10);
	assert_int_equal(c->nb_done, 1);
	pair_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_data_is_placed_only_when_all_is_right),
		cmocka_unit_test(read_data_with_checksums),
		cmocka_unit_test(write_data_is_placed_only_when_all_is_right),
		cmocka_unit_test(write_data_with_checksums),
		cmocka_unit_test(write_data_without_a_grant),
		cmocka_unit_test(frames_of_the_other_direction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
