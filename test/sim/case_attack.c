/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Frames that a target does not send. In place each of them is written to a page before anybody looks at
 * it: it must be one that the library holds, and its read must get its own data all the same.
 */

#include "cases.h"

#define READS 24
#define LIMIT_NS (20 * XFER_NSEC_PER_SEC)
#define LATE_NS (5 * 1000 * 1000ull)

/* What a frame is made of: one the target is about to send. */
struct attack {
	const char *name;
	void (*forge)(struct sim_frame *f, struct wire_ebd *h);
	bool keeps_data; /* else the payload is bytes that nobody wrote */
	bool needs_crc; /* nothing else tells it from the right one */
	uint64_t delay_ns; /* 0: it comes before the right one */
};

static void
leave(struct sim_frame *f, struct wire_ebd *h)
{
}

static void
forge_sid(struct sim_frame *f, struct wire_ebd *h)
{
	h->sid ^= 1;
}

static void
forge_source(struct sim_frame *f, struct wire_ebd *h)
{
	h->src[5] ^= 0x40;
}

static void
forge_slot(struct sim_frame *f, struct wire_ebd *h)
{
	h->tag ^= 1u << 16;
}

static void
forge_generation(struct sim_frame *f, struct wire_ebd *h)
{
	h->tag--;
}

static void
forge_cseq(struct sim_frame *f, struct wire_ebd *h)
{
	h->cseq++;
}

static void
forge_addr(struct sim_frame *f, struct wire_ebd *h)
{
	h->addr += SIM_SECTOR;
}

static void
forge_off(struct sim_frame *f, struct wire_ebd *h)
{
	h->off += 64u * WIRE_EBD_P_PAGE;
}

static void
forge_odd_off(struct sim_frame *f, struct wire_ebd *h)
{
	h->off += SIM_SECTOR;
}

static void
forge_op(struct sim_frame *f, struct wire_ebd *h)
{
	h->op = WIRE_WRITE;
}

static void
forge_kind(struct sim_frame *f, struct wire_ebd *h)
{
	h->ver_kind = wire_ebd_ver_kind(WIRE_GRANT);
}

static void
forge_version(struct sim_frame *f, struct wire_ebd *h)
{
	h->ver_kind = 0xff;
}

static void
forge_plen(struct sim_frame *f, struct wire_ebd *h)
{
	h->plen--;
}

static void
cut_to_header(struct sim_frame *f, struct wire_ebd *h)
{
	h->plen = 0;
	f->len = WIRE_EBD_HDR_LEN;
}

static void
cut_short(struct sim_frame *f, struct wire_ebd *h)
{
	f->len = 20;
}

static void
cut_payload(struct sim_frame *f, struct wire_ebd *h)
{
	f->len = WIRE_EBD_HDR_LEN + h->plen / 2u;
}

/* More than its page takes. */
static void
make_longer(struct sim_frame *f, struct wire_ebd *h)
{
	f->len += SIM_FRAME_GROWTH;
}

static const struct attack attacks[] = {
	{.name = "sid", .forge = forge_sid},
	{.name = "source", .forge = forge_source},
	{.name = "slot", .forge = forge_slot},
	{.name = "generation", .forge = forge_generation},
	{.name = "cseq", .forge = forge_cseq},
	{.name = "addr", .forge = forge_addr},
	{.name = "off", .forge = forge_off},
	{.name = "odd off", .forge = forge_odd_off},
	{.name = "op", .forge = forge_op},
	{.name = "kind", .forge = forge_kind},
	{.name = "version", .forge = forge_version},
	{.name = "plen", .forge = forge_plen},
	{.name = "payload", .forge = leave, .needs_crc = true},
	{.name = "header alone", .forge = cut_to_header},
	{.name = "less than a header", .forge = cut_short},
	{.name = "half a payload", .forge = cut_payload},
	{.name = "too long", .forge = make_longer},
	{.name = "first copy", .forge = leave, .keeps_data = true},
	{.name = "second copy", .forge = leave, .keeps_data = true, .delay_ns = 1},
	{.name = "late copy", .forge = leave, .keeps_data = true, .delay_ns = LATE_NS},
	/* The read has ended, whatever else it says. */
	{.name = "late", .forge = leave, .delay_ns = LATE_NS},
	{.name = "late header", .forge = cut_to_header, .delay_ns = LATE_NS},
};

struct aim {
	const struct attack *attack;
	uint32_t nb_data; /* frames with data so far */
	uint32_t every; /* so many of them are forged */
};

static enum sim_verdict
filter(struct world *w, struct sim_frame *f, void *ctx)
{
	struct aim *aim = ctx;
	const struct attack *a = aim->attack;
	struct sim_frame *copy;
	struct wire_ebd h;

	if (f->from != SIM_TGT || f->len <= WIRE_EBD_HDR_LEN)
		return SIM_PASS;
	wire_ebd_load(&h, f->data);
	if (wire_ebd_kind(&h) != WIRE_DATA || aim->nb_data++ % aim->every != 0)
		return SIM_PASS;
	copy = net_copy(w, f);
	a->forge(copy, &h);
	wire_ebd_store(copy->data, &h);
	if (!a->keeps_data)
		memset(copy->data + WIRE_EBD_HDR_LEN, 0x66, SIM_FRAME_ROOM - WIRE_EBD_HDR_LEN);
	net_inject(w, copy, f->to, a->delay_ns == 1 ? 2 * w->conf.delay_ns : a->delay_ns);
	return SIM_PASS;
}

static void
run_attack(struct world *w, const struct attack *a, enum sim_mode mode, uint32_t pairs, bool crc)
{
	struct aim aim = {.attack = a, .every = pairs == 4 ? 1 : 3};
	unsigned round, i;

	conf_plain(&w->conf, 4);
	case_set_mode(&w->conf, mode, pairs);
	w->conf.crc = crc;
	case_open(w);
	case_io(w, 0, WIRE_WRITE, 0, 64);
	w->net.filter = filter;
	w->net.filter_ctx = &aim;
	for (round = 0; round < 2 && !w->failure.failed; round++) {
		for (i = 0; i < READS && !w->failure.failed; i++)
			case_submit(w, 0, WIRE_READ, i, i % 3 == 0 ? 1 : 8 * (i % 3) + i % 4);
		(void)case_wait(w, LIMIT_NS);
		/* Late ones find the next reads. */
		world_run_for(w, round == 0 ? LATE_NS - 50 * 1000 : 0);
	}
	w->net.filter = NULL;
	world_run_for(w, 2 * LATE_NS);
	case_io(w, 0, WIRE_READ, 0, 64);
	CASE_CHECK(w, aim.nb_data > 0);
	CASE_CHECK(w, w->load.by_status[0] == w->load.ended);
	placing_check(&w->ini[0]);
	ini_check_seals(&w->ini[0]);
}

void
case_attacks(struct world *w)
{
	static const uint32_t rings[] = {4, 32};
	unsigned a, mode, r, crc;

	for (a = 0; a < MPN_ARRAY_SIZE(attacks); a++) {
		for (mode = 0; mode < SIM_MODES; mode++) {
			for (r = 0; r < MPN_ARRAY_SIZE(rings); r++) {
				for (crc = attacks[a].needs_crc; crc < 2; crc++) {
					run_attack(w, &attacks[a], (enum sim_mode)mode, rings[r],
						crc != 0);
					if (!w->failure.failed)
						continue;
					printf("  with '%s', %s, a ring of %u, crc %u\n",
						attacks[a].name, sim_mode_names[mode], rings[r],
						crc);
					return;
				}
			}
		}
	}
}
