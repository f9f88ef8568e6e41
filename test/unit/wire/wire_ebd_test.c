/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "wire_ebd.h"

/* ---- Layout ---- */

#define AT(type, field, off, len) \
	{ \
#type "." #field, offsetof(struct type, field), sizeof(((struct type *)0)->field), \
			off, len \
	}

/* The wire format by hand: what doc/wire-format.md says, not what the compiler makes of the header. */
static const struct {
	const char *name;
	size_t off, len;
	size_t want_off, want_len;
} fields[] = {
	AT(wire_ebd, dst, 0, 6),
	AT(wire_ebd, src, 6, 6),
	AT(wire_ebd, ethertype, 12, 2),
	AT(wire_ebd, ver_kind, 14, 1),
	AT(wire_ebd, op, 15, 1),
	AT(wire_ebd, sid, 16, 4),
	AT(wire_ebd, tag, 20, 4),
	AT(wire_ebd, addr, 24, 8),
	AT(wire_ebd, off, 32, 4),
	AT(wire_ebd, plen, 36, 2),
	AT(wire_ebd, flags, 38, 2),
	AT(wire_ebd, cseq, 40, 4),
	AT(wire_ebd, ack, 44, 4),
	AT(wire_ebd, limit, 48, 4),
	AT(wire_ebd, ts, 52, 4),
	AT(wire_ebd, ts_echo, 56, 4),
	AT(wire_ebd, crc, 60, 4),
	AT(wire_geometry, size, 0, 8),
	AT(wire_geometry, block_size, 8, 4),
	AT(wire_geometry, phys_block, 12, 4),
	AT(wire_geometry, max_transfer, 16, 4),
	AT(wire_geometry, max_zeroes, 20, 4),
	AT(wire_geometry, discard_gran, 24, 4),
	AT(wire_geometry, flags, 28, 4),
	AT(wire_geometry, generation, 32, 4),
	AT(wire_geometry, uuid, 48, 16),
	AT(wire_geometry, name, 64, 64),
	AT(wire_disc_query, name, 0, 64),
	AT(wire_disc_query, client_uuid, 64, 16),
	AT(wire_advert, target_uuid, 0, 16),
	AT(wire_advert, epoch, 16, 8),
	AT(wire_advert, p_max, 24, 4),
	AT(wire_advert, nb_volumes, 28, 2),
	AT(wire_advert, first, 30, 2),
	AT(wire_advert_volume, name, 0, 64),
	AT(wire_advert_volume, size, 64, 8),
	AT(wire_advert_volume, block_size, 72, 4),
	AT(wire_advert_volume, flags, 76, 4),
	AT(wire_open, client_uuid, 0, 16),
	AT(wire_open, nonce, 16, 8),
	AT(wire_open, p, 24, 4),
	AT(wire_open, depth, 28, 2),
	AT(wire_open, queue, 30, 2),
	AT(wire_open, features, 32, 4),
	AT(wire_open, volume, 40, 64),
	AT(wire_challenge, nonce, 0, 8),
	AT(wire_challenge, stamp, 8, 8),
	AT(wire_challenge, cookie, 16, 16),
	AT(wire_proof, open, 0, 104),
	AT(wire_proof, challenge, 104, 32),
	AT(wire_proof, auth_len, 136, 4),
	AT(wire_proof, auth, 144, 32),
	AT(wire_opened, nonce, 0, 8),
	AT(wire_opened, epoch, 8, 8),
	AT(wire_opened, isn, 16, 4),
	AT(wire_opened, p, 20, 4),
	AT(wire_opened, depth, 24, 2),
	AT(wire_opened, features, 28, 4),
	AT(wire_opened, lease_ms, 32, 4),
	AT(wire_opened, geometry, 40, 128),
	AT(wire_refused, nonce, 0, 8),
	AT(wire_message, protocol, 0, 4),
	AT(wire_message, sink_len, 4, 4),
	AT(wire_message, source_len, 8, 4),
};

static void
fields_are_where_the_format_says(void **state)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(fields); i++) {
		if (fields[i].off != fields[i].want_off || fields[i].len != fields[i].want_len)
			fail_msg("%s is at %zu+%zu", fields[i].name, fields[i].off, fields[i].len);
	}
	assert_int_equal(sizeof(struct wire_ebd), 64);
	assert_int_equal(sizeof(struct wire_disc_query), 80);
	assert_int_equal(sizeof(struct wire_advert), 32);
	assert_int_equal(sizeof(struct wire_advert_volume), 80);
	assert_int_equal(sizeof(struct wire_open), 104);
	assert_int_equal(sizeof(struct wire_challenge), 32);
	assert_int_equal(sizeof(struct wire_proof), 176);
	assert_int_equal(sizeof(struct wire_opened), 168);
	assert_int_equal(sizeof(struct wire_refused), 8);
	assert_int_equal(sizeof(struct wire_message), 16);
	assert_int_equal(WIRE_ADVERT_VOLUMES, 17);
}

/* A frame written byte by byte. */
static const uint8_t frame_bytes[64] = {
	0x02, 0x11, 0x12, 0x13, 0x14, 0x15, /* dst */
	0x02, 0x21, 0x22, 0x23, 0x24, 0x25, /* src */
	0x06, 0x66, /* ethertype: the only field in network order */
	0x13, 0x02, /* version 1, DATA; WRITE */
	0xa4, 0xa3, 0xa2, 0xa1, /* sid */
	0xb4, 0xb3, 0xb2, 0xb1, /* tag */
	0xc8, 0xc7, 0xc6, 0xc5, 0xc4, 0xc3, 0xc2, 0xc1, /* addr */
	0xd4, 0xd3, 0xd2, 0xd1, /* off */
	0x34, 0x12, /* plen */
	0x05, 0x00, /* flags: FUA, LAST */
	0xe4, 0xe3, 0xe2, 0xe1, /* cseq */
	0xf4, 0xf3, 0xf2, 0xf1, /* ack */
	0x04, 0x03, 0x02, 0x01, /* limit */
	0x14, 0x13, 0x12, 0x11, /* ts */
	0x24, 0x23, 0x22, 0x21, /* ts_echo */
	0x34, 0x33, 0x32, 0x31, /* crc */
};

static void
check_loaded(const struct wire_ebd *h)
{
	assert_memory_equal(h->dst, frame_bytes, 6);
	assert_memory_equal(h->src, frame_bytes + 6, 6);
	assert_int_equal(h->ethertype, WIRE_EBD_TO_TARGET);
	assert_int_equal(h->ver_kind, 0x13);
	assert_int_equal(wire_ebd_kind(h), WIRE_DATA);
	assert_int_equal(h->op, WIRE_WRITE);
	assert_true(h->sid == 0xa1a2a3a4);
	assert_true(h->tag == 0xb1b2b3b4);
	assert_true(h->addr == 0xc1c2c3c4c5c6c7c8);
	assert_true(h->off == 0xd1d2d3d4);
	assert_int_equal(h->plen, 0x1234);
	assert_int_equal(h->flags, WIRE_F_FUA | WIRE_F_LAST);
	assert_true(h->cseq == 0xe1e2e3e4);
	assert_true(h->ack == 0xf1f2f3f4);
	assert_true(h->limit == 0x01020304);
	assert_true(h->ts == 0x11121314);
	assert_true(h->ts_echo == 0x21222324);
	assert_true(h->crc == 0x31323334);
}

static void
load_and_store_at_any_alignment(void **state)
{
	uint8_t in[80], out[80];
	struct wire_ebd h;
	size_t at;

	for (at = 0; at < 16; at++) {
		memset(out, 0x5a, sizeof(out));
		memcpy(in + at, frame_bytes, 64);
		wire_ebd_load(&h, in + at);
		check_loaded(&h);
		wire_ebd_store(out + at, &h);
		assert_memory_equal(out + at, frame_bytes, 64);
		assert_true(at == 0 || out[at - 1] == 0x5a);
		assert_true(at == 15 || out[at + 64] == 0x5a);
	}
	assert_int_equal(wire_ebd_ver_kind(WIRE_PROBE), 0x17);
}

/* ---- The check ---- */

/* Payloads the format allows: from min to max in steps. */
static const struct rule {
	uint8_t kind, op;
	uint32_t min, max, step;
} rules[] = {
	{WIRE_DISC, WIRE_DISC_QUERY, 80, 80, 1},
	{WIRE_DISC, WIRE_DISC_ADVERT, 32, 32 + 17 * 80, 80},
	{WIRE_CTRL, WIRE_CTRL_OPEN, 104, 104, 1},
	{WIRE_CTRL, WIRE_CTRL_CHALLENGE, 32, 32, 1},
	{WIRE_CTRL, WIRE_CTRL_PROOF, 176, 176, 1},
	{WIRE_CTRL, WIRE_CTRL_OPENED, 168, 168, 1},
	{WIRE_CTRL, WIRE_CTRL_REFUSED, 8, 8, 1},
	{WIRE_CTRL, WIRE_CTRL_CLOSE, 0, 0, 1},
	{WIRE_CTRL, WIRE_CTRL_CLOSED, 0, 0, 1},
	{WIRE_CTRL, WIRE_CTRL_RESET, 0, 0, 1},
	{WIRE_CTRL, WIRE_CTRL_EVENT, 128, 128, 1},
	{WIRE_PROBE, WIRE_PROBE_REQUEST, 0, 8192, 1},
	{WIRE_PROBE, WIRE_PROBE_REPLY, 0, 8192, 1},
};

/* The same for the kinds that have one rule for all eight commands. */
static const struct rule cmd_rules[] = {
	{WIRE_CMD, 0, 0, 8192, 1},
	{WIRE_DATA, 0, 1, 8192, 1},
	{WIRE_RSP, 0, 0, 0, 1},
	{WIRE_GRANT, 0, 0, 0, 1},
	{WIRE_NAK, 0, 8, 8, 1},
};

static const struct rule *
find_rule(uint8_t kind, uint8_t op)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(rules); i++) {
		if (rules[i].kind == kind && rules[i].op == op)
			return &rules[i];
	}
	for (i = 0; i < MPN_ARRAY_SIZE(cmd_rules); i++) {
		if (cmd_rules[i].kind == kind && op >= WIRE_READ && op <= WIRE_MESSAGE)
			return &cmd_rules[i];
	}
	return NULL;
}

static struct wire_ebd
header_of(uint8_t kind, uint8_t op, uint32_t plen)
{
	return (struct wire_ebd){
		.ver_kind = (uint8_t)(WIRE_EBD_VERSION << 4 | kind),
		.op = op,
		.plen = (uint16_t)plen,
	};
}

static void
check_gives(const struct wire_ebd *h, uint32_t frame_len, enum wire_drop want)
{
	enum wire_drop got = wire_ebd_check(h, frame_len);

	if (got != want)
		fail_msg("kind %u op %u flags %04x plen %u in %u bytes: '%s', not '%s'",
			h->ver_kind & 15, h->op, h->flags, h->plen, frame_len,
			got == WIRE_ACCEPT ? "accept" : wire_drop_name(got),
			want == WIRE_ACCEPT ? "accept" : wire_drop_name(want));
}

static void
every_operation_has_its_payload(void **state)
{
	unsigned kind, op;
	uint32_t plen;

	for (kind = 0; kind < 8; kind++) {
		for (op = 0; op < 256; op++) {
			const struct rule *r = find_rule((uint8_t)kind, (uint8_t)op);

			for (plen = 0; plen < 8300; plen++) {
				struct wire_ebd h = header_of((uint8_t)kind, (uint8_t)op, plen);
				enum wire_drop want = WIRE_DROP_OP;

				if (r != NULL)
					want = plen >= r->min && plen <= r->max &&
							       (plen - r->min) % r->step == 0
						       ? WIRE_ACCEPT
						       : WIRE_DROP_PLEN;
				check_gives(&h, 64 + plen, want);
				/* Unknown operations need not be tried with every length. */
				if (r == NULL && plen >= 200)
					break;
			}
		}
	}
}

static void
payloads_up_to_the_last_are_checked(void **state)
{
	struct wire_ebd h = header_of(WIRE_CMD, WIRE_WRITE, 65535);

	check_gives(&h, 64 + 65535, WIRE_DROP_PLEN);
	check_gives(&h, UINT32_MAX, WIRE_DROP_PADDED);
	h.plen = 8192;
	check_gives(&h, 64 + 8192, WIRE_ACCEPT);
	/* A length that is right only modulo 2^16. */
	h.plen = 0;
	check_gives(&h, 64 + 65536, WIRE_DROP_PADDED);
}

/* Every operation at its shortest and longest payload, cut and padded everywhere. */
static void
cut_and_padded_frames_are_dropped(void **state)
{
	unsigned kind, op, end;

	for (kind = 0; kind < 8; kind++) {
		for (op = 0; op < 16; op++) {
			const struct rule *r = find_rule((uint8_t)kind, (uint8_t)op);

			for (end = 0; r != NULL && end < 2; end++) {
				uint32_t plen = end == 0 ? r->min : r->max;
				struct wire_ebd h = header_of((uint8_t)kind, (uint8_t)op, plen);
				uint32_t len;

				for (len = 0; len < 64 + plen; len++)
					check_gives(&h, len, WIRE_DROP_TRUNCATED);
				check_gives(&h, len, WIRE_ACCEPT);
				for (len++; len < 64 + plen + 80; len++)
					check_gives(&h, len, WIRE_DROP_PADDED);
			}
		}
	}
}

static void
a_short_frame_is_not_looked_at(void **state)
{
	uint32_t len;

	for (len = 0; len < 64; len++)
		assert_int_equal(wire_ebd_check(NULL, len), WIRE_DROP_TRUNCATED);
}

static void
other_versions_and_kinds_are_dropped(void **state)
{
	unsigned ver_kind;

	for (ver_kind = 0; ver_kind < 256; ver_kind++) {
		struct wire_ebd h = {.ver_kind = (uint8_t)ver_kind, .op = 1};
		enum wire_drop got = wire_ebd_check(&h, 64);

		if (ver_kind >> 4 != 1)
			assert_int_equal(got, WIRE_DROP_VERSION);
		else if ((ver_kind & 15) > WIRE_PROBE)
			assert_int_equal(got, WIRE_DROP_KIND);
		else
			assert_true(got == WIRE_ACCEPT || got == WIRE_DROP_PLEN);
	}
}

static void
flags_of_later_versions_are_dropped(void **state)
{
	static const uint16_t known = WIRE_F_FUA | WIRE_F_RETX | WIRE_F_LAST | WIRE_F_CRC |
				      WIRE_F_BULK | WIRE_F_EVENT | WIRE_F_NOHOLE | WIRE_F_FAST;
	unsigned bit;

	for (bit = 0; bit < 16; bit++) {
		struct wire_ebd h = header_of(WIRE_CMD, WIRE_FLUSH, 0);
		bool ok = (known >> bit & 1) != 0;

		h.flags = (uint16_t)(1u << bit);
		check_gives(&h, 64, ok ? WIRE_ACCEPT : WIRE_DROP_FLAGS);
		h.flags |= known;
		check_gives(&h, 64, ok ? WIRE_ACCEPT : WIRE_DROP_FLAGS);
	}
}

/* ---- Names and statuses ---- */

static void
statuses_map_both_ways(void **state)
{
	static const struct {
		uint16_t status;
		int err;
	} want[] = {{0, 0}, {1, -EIO}, {2, -EINVAL}, {3, -EROFS}, {4, -EOPNOTSUPP}, {5, -ENOSPC},
		{6, -ESTALE}, {7, -EAGAIN}, {8, -EILSEQ}, {9, -ECANCELED}, {10, -EINPROGRESS},
		{11, -ENOENT}, {12, -ENOMEM}, {13, -EPROTO}, {14, -ETIMEDOUT}};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(want); i++) {
		assert_int_equal(wire_status_errno(want[i].status), want[i].err);
		assert_int_equal(wire_errno_status(want[i].err), want[i].status);
		assert_string_not_equal(wire_status_text(want[i].status), "unknown status");
	}
	for (i = MPN_ARRAY_SIZE(want); i <= UINT16_MAX; i++) {
		assert_int_equal(wire_status_errno((uint16_t)i), -EIO);
		assert_string_equal(wire_status_text((uint16_t)i), "unknown status");
	}
	assert_int_equal(wire_errno_status(-EDOM), WIRE_ST_IO);
	assert_int_equal(wire_errno_status(EIO), WIRE_ST_IO);
	assert_int_equal(wire_errno_status(EINVAL), WIRE_ST_IO);
	assert_int_equal(wire_errno_status(INT32_MIN + 1), WIRE_ST_IO);
}

static void
names_are_there_and_differ(void **state)
{
	int i, j;

	for (i = 0; i < WIRE_DROP_COUNT; i++) {
		assert_true(wire_drop_text((enum wire_drop)i)[0] != '\0');
		for (j = 0; j < i; j++)
			assert_string_not_equal(wire_drop_name((enum wire_drop)i),
				wire_drop_name((enum wire_drop)j));
	}
	assert_string_equal(wire_drop_name(WIRE_DROP_TRUNCATED), "truncated");
	assert_string_equal(wire_drop_name(WIRE_DROP_COUNT), "?");
	assert_string_equal(wire_drop_text(WIRE_DROP_COUNT), "?");
	assert_string_equal(wire_drop_name(WIRE_ACCEPT), "?");

	assert_string_equal(wire_kind_name(WIRE_DISC), "DISC");
	assert_string_equal(wire_kind_name(WIRE_PROBE), "PROBE");
	assert_string_equal(wire_kind_name(8), "?");
	assert_string_equal(wire_kind_name(255), "?");
	assert_string_equal(wire_op_name(WIRE_DISC, WIRE_DISC_ADVERT), "ADVERT");
	assert_string_equal(wire_op_name(WIRE_CTRL, WIRE_CTRL_EVENT), "EVENT");
	assert_string_equal(wire_op_name(WIRE_NAK, WIRE_MESSAGE), "MESSAGE");
	assert_string_equal(wire_op_name(WIRE_PROBE, WIRE_PROBE_REPLY), "REPLY");
	for (i = 0; i < 256; i++) {
		for (j = 0; j < 256; j++) {
			bool known = i < 8 && find_rule((uint8_t)i, (uint8_t)j) != NULL;

			assert_int_equal(
				strcmp(wire_op_name((uint8_t)i, (uint8_t)j), "?") != 0, known);
		}
	}
}

/* ---- Checksum ---- */

static uint32_t
crc_of(const void *data, uint32_t len)
{
	return wire_crc_end(wire_crc_add(~0u, data, len));
}

static void
crc_is_crc32c(void **state)
{
	uint8_t up[32], down[32], ones[32], zeroes[32] = {0};
	unsigned i;

	for (i = 0; i < 32; i++) {
		up[i] = (uint8_t)i;
		down[i] = (uint8_t)(31 - i);
		ones[i] = 0xff;
	}
	assert_true(crc_of("123456789", 9) == 0xe3069283);
	/* RFC 3720, B.4. */
	assert_true(crc_of(zeroes, 32) == 0x8a9136aa);
	assert_true(crc_of(ones, 32) == 0x62a8ab43);
	assert_true(crc_of(up, 32) == 0x46dd794e);
	assert_true(crc_of(down, 32) == 0x113fdb5c);
	assert_true(crc_of("", 0) == 0);
}

static void
crc_in_pieces_is_the_same(void **state)
{
	uint8_t data[300];
	uint32_t whole;
	uint32_t i, j;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 3);
	whole = wire_crc_add(~0u, data, sizeof(data));
	for (i = 0; i <= sizeof(data); i += 13) {
		for (j = i; j <= sizeof(data); j += 29) {
			uint32_t crc = wire_crc_add(~0u, data, i);

			crc = wire_crc_add(crc, data + i, j - i);
			crc = wire_crc_add(crc, data + j, (uint32_t)sizeof(data) - j);
			assert_true(crc == whole);
		}
	}
}

static void
crc_covers_bytes_14_to_59(void **state)
{
	uint8_t frame[64];
	uint32_t good;
	unsigned i;

	memcpy(frame, frame_bytes, 64);
	good = wire_crc_begin(frame);
	assert_true(good == wire_crc_add(~0u, frame_bytes + 14, 46));
	for (i = 0; i < 64; i++) {
		frame[i] ^= 0x10;
		assert_int_equal(wire_crc_begin(frame) != good, i >= 14 && i < 60);
		frame[i] ^= 0x10;
	}
	wire_crc_store(frame, 0x0a0b0c0d);
	assert_memory_equal(frame, frame_bytes, 60);
	assert_memory_equal(frame + 60, "\x0d\x0c\x0b\x0a", 4);
}

/* ---- Arithmetic ---- */

static void
payload_unit_follows_the_mtu(void **state)
{
	static const struct {
		uint32_t mtu, p;
	} cases[] = {{0, 0}, {1457, 0}, {1458, 1408}, {1500, 1408}, {4145, 1408}, {4146, 4096},
		{8241, 4096}, {8242, 8192}, {9000, 8192}, {UINT32_MAX, 8192}};
	size_t i;
	uint32_t p;

	for (i = 0; i < MPN_ARRAY_SIZE(cases); i++)
		assert_int_equal(wire_p_of_mtu(cases[i].mtu), cases[i].p);
	for (p = 0; p < 70000; p++)
		assert_int_equal(wire_p_valid(p), p == 1408 || p == 4096 || p == 8192);
}

static void
a_command_fits_its_bitmap(void **state)
{
	static const uint32_t units[] = {1408, 4096, 8192};
	static const uint32_t quanta[] = {90112, 131072, 131072};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(units); i++) {
		uint32_t q = wire_quantum(units[i]);

		assert_int_equal(q, quanta[i]);
		assert_int_equal(q % 4096, 0);
		assert_true(wire_nb_frags(q, units[i]) <= 64);
		assert_int_equal(wire_nb_frags(0, units[i]), 0);
		assert_int_equal(wire_nb_frags(1, units[i]), 1);
		assert_int_equal(wire_nb_frags(units[i], units[i]), 1);
		assert_int_equal(wire_nb_frags(units[i] + 1, units[i]), 2);
	}
	assert_int_equal(wire_nb_frags(90112, 1408), 64);
}

static void
fragment_masks_have_n_bits(void **state)
{
	uint32_t n;

	for (n = 0; n <= 64; n++) {
		uint64_t m = wire_frag_mask(n);

		assert_int_equal(__builtin_popcountll(m), n);
		assert_true((m & (m + 1)) == 0);
	}
	assert_true(wire_frag_mask(65) == UINT64_MAX);
}

static void
sequence_numbers_wrap(void **state)
{
	static const uint32_t starts[] = {0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(starts); i++) {
		uint32_t a = starts[i];

		assert_false(wire_seq_after(a, a));
		assert_true(wire_seq_after(a + 1, a));
		assert_false(wire_seq_after(a, a + 1));
		assert_true(wire_seq_after(a + 0x7fffffff, a));
		assert_false(wire_seq_after(a, a + 0x7fffffff));
	}
}

static void
tags_are_slot_and_generation(void **state)
{
	assert_true(wire_tag(0xabcd, 0x1234) == 0xabcd1234);
	assert_true(wire_tag(0xffff, 0) == 0xffff0000);
	assert_int_equal(wire_tag_slot(0xabcd1234), 0xabcd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_where_the_format_says),
		cmocka_unit_test(load_and_store_at_any_alignment),
		cmocka_unit_test(every_operation_has_its_payload),
		cmocka_unit_test(payloads_up_to_the_last_are_checked),
		cmocka_unit_test(cut_and_padded_frames_are_dropped),
		cmocka_unit_test(a_short_frame_is_not_looked_at),
		cmocka_unit_test(other_versions_and_kinds_are_dropped),
		cmocka_unit_test(flags_of_later_versions_are_dropped),
		cmocka_unit_test(statuses_map_both_ways),
		cmocka_unit_test(names_are_there_and_differ),
		cmocka_unit_test(crc_is_crc32c),
		cmocka_unit_test(crc_in_pieces_is_the_same),
		cmocka_unit_test(crc_covers_bytes_14_to_59),
		cmocka_unit_test(payload_unit_follows_the_mtu),
		cmocka_unit_test(a_command_fits_its_bitmap),
		cmocka_unit_test(fragment_masks_have_n_bits),
		cmocka_unit_test(sequence_numbers_wrap),
		cmocka_unit_test(tags_are_slot_and_generation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
