/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <isa-l/crc.h>

#include "wire_ebd.h"

static const char *const drop_names[] = {
#define X(name, low, text) low,
	WIRE_DROP_LIST(X)
#undef X
};

static const char *const drop_texts[] = {
#define X(name, low, text) text,
	WIRE_DROP_LIST(X)
#undef X
};

static const char *const kind_names[] = {
	"DISC", "CTRL", "CMD", "DATA", "RSP", "GRANT", "NAK", "PROBE"};

static const char *const disc_ops[] = {NULL, "QUERY", "ADVERT"};
static const char *const ctrl_ops[] = {NULL, "OPEN", "CHALLENGE", "PROOF", "OPENED", "REFUSED",
	"CLOSE", "CLOSED", "RESET", "EVENT"};
static const char *const cmd_ops[] = {
	NULL, "READ", "WRITE", "FLUSH", "DISCARD", "WRITE_ZEROES", "ABORT", "IDENTIFY", "MESSAGE"};
static const char *const probe_ops[] = {NULL, "REQUEST", "REPLY"};

/* What each kind may carry. CTRL payloads have a size of their own per operation, see ctrl_plen. */
static const struct {
	const char *const *ops;
	uint8_t nb_ops;
	uint16_t min_plen;
	uint16_t max_plen;
} kinds[] = {
	[WIRE_DISC] = {disc_ops, MPN_ARRAY_SIZE(disc_ops), 0, WIRE_EBD_MAX_CTRL},
	[WIRE_CTRL] = {ctrl_ops, MPN_ARRAY_SIZE(ctrl_ops), 0, WIRE_EBD_MAX_CTRL},
	[WIRE_CMD] = {cmd_ops, MPN_ARRAY_SIZE(cmd_ops), 0, WIRE_EBD_P_LARGE},
	[WIRE_DATA] = {cmd_ops, MPN_ARRAY_SIZE(cmd_ops), 1, WIRE_EBD_P_LARGE},
	[WIRE_RSP] = {cmd_ops, MPN_ARRAY_SIZE(cmd_ops), 0, 0},
	[WIRE_GRANT] = {cmd_ops, MPN_ARRAY_SIZE(cmd_ops), 0, 0},
	[WIRE_NAK] = {cmd_ops, MPN_ARRAY_SIZE(cmd_ops), 8, 8},
	[WIRE_PROBE] = {probe_ops, MPN_ARRAY_SIZE(probe_ops), 0, WIRE_EBD_P_LARGE},
};

static const uint16_t ctrl_plen[] = {
	[WIRE_CTRL_OPEN] = sizeof(struct wire_open),
	[WIRE_CTRL_CHALLENGE] = sizeof(struct wire_challenge),
	[WIRE_CTRL_PROOF] = sizeof(struct wire_proof),
	[WIRE_CTRL_OPENED] = sizeof(struct wire_opened),
	[WIRE_CTRL_REFUSED] = sizeof(struct wire_refused),
	[WIRE_CTRL_CLOSE] = 0,
	[WIRE_CTRL_CLOSED] = 0,
	[WIRE_CTRL_RESET] = 0,
	[WIRE_CTRL_EVENT] = sizeof(struct wire_geometry),
};
static_assert(MPN_ARRAY_SIZE(ctrl_plen) == MPN_ARRAY_SIZE(ctrl_ops), "one size per operation");

const char *
wire_drop_name(enum wire_drop d)
{
	return (unsigned)d < WIRE_DROP_COUNT ? drop_names[d] : "?";
}

const char *
wire_drop_text(enum wire_drop d)
{
	return (unsigned)d < WIRE_DROP_COUNT ? drop_texts[d] : "?";
}

static const struct {
	uint16_t status;
	int err;
	const char *text;
} statuses[] = {
#define X(name, number, err, text) {number, err, text},
	WIRE_STATUS_LIST(X)
#undef X
};

const char *
wire_status_text(uint16_t status)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(statuses); i++) {
		if (statuses[i].status == status)
			return statuses[i].text;
	}
	return "unknown status";
}

int
wire_status_errno(uint16_t status)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(statuses); i++) {
		if (statuses[i].status == status)
			return -statuses[i].err;
	}
	return -EIO;
}

uint16_t
wire_errno_status(int err)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(statuses); i++) {
		if (statuses[i].err == -err)
			return statuses[i].status;
	}
	return WIRE_ST_IO;
}

const char *
wire_kind_name(uint8_t kind)
{
	return kind < MPN_ARRAY_SIZE(kind_names) ? kind_names[kind] : "?";
}

const char *
wire_op_name(uint8_t kind, uint8_t op)
{
	if (kind >= MPN_ARRAY_SIZE(kinds) || op == 0 || op >= kinds[kind].nb_ops)
		return "?";
	return kinds[kind].ops[op];
}

static enum wire_drop
check_disc_plen(const struct wire_ebd *h)
{
	uint32_t rest;

	if (h->op == WIRE_DISC_QUERY)
		return h->plen == sizeof(struct wire_disc_query) ? WIRE_ACCEPT : WIRE_DROP_PLEN;
	if (h->plen < sizeof(struct wire_advert))
		return WIRE_DROP_PLEN;
	rest = h->plen - (uint32_t)sizeof(struct wire_advert);
	return rest % sizeof(struct wire_advert_volume) == 0 ? WIRE_ACCEPT : WIRE_DROP_PLEN;
}

enum wire_drop
wire_ebd_check(const struct wire_ebd *h, uint32_t frame_len)
{
	uint8_t kind;

	if (frame_len < WIRE_EBD_HDR_LEN)
		return WIRE_DROP_TRUNCATED;
	if (h->ver_kind >> 4 != WIRE_EBD_VERSION)
		return WIRE_DROP_VERSION;
	kind = wire_ebd_kind(h);
	if (kind >= MPN_ARRAY_SIZE(kinds))
		return WIRE_DROP_KIND;
	if (h->op == 0 || h->op >= kinds[kind].nb_ops)
		return WIRE_DROP_OP;
	if (h->flags & ~WIRE_F_KNOWN || h->flags & WIRE_F_AUTH)
		return WIRE_DROP_FLAGS;
	if (h->plen > frame_len - WIRE_EBD_HDR_LEN)
		return WIRE_DROP_TRUNCATED;
	if (h->plen < frame_len - WIRE_EBD_HDR_LEN)
		return WIRE_DROP_PADDED;
	if (h->plen < kinds[kind].min_plen || h->plen > kinds[kind].max_plen)
		return WIRE_DROP_PLEN;
	if (kind == WIRE_CTRL && h->plen != ctrl_plen[h->op])
		return WIRE_DROP_PLEN;
	if (kind == WIRE_DISC)
		return check_disc_plen(h);
	return WIRE_ACCEPT;
}

uint32_t
wire_crc_begin(const void *frame)
{
	return wire_crc_add(~0u, (const uint8_t *)frame + 14, 46);
}

uint32_t
wire_crc_add(uint32_t crc, const void *data, uint32_t len)
{
	/* ISA-L's prototype lacks the const; it only reads. */
	return crc32_iscsi((unsigned char *)(uintptr_t)data, (int)len, crc);
}

uint32_t
wire_crc_end(uint32_t crc)
{
	return ~crc;
}
