/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What the initiator receives. The placement check of the design (and of RFC 5040-5042) is here: not
 * one byte is placed before every condition holds, and whatever fails one is dropped and counted.
 */

#include "ini.h"

/* Which live command is the frame about? */
static enum wire_drop
find_cmd(const struct xfer_ini *ini, const struct wire_ebd *h, struct xfer_cmd **out)
{
	uint32_t slot = (uint32_t)wire_tag_slot(h->tag) - ini->conf.slot_base;
	const struct ini_slot *s;

	if (wire_tag_slot(h->tag) < ini->conf.slot_base || slot >= ini->conf.depth)
		return WIRE_DROP_SLOT;
	s = &ini->slots[slot];
	if (XFER_MUTATE(any_tag) && s->cmd != NULL) {
		*out = s->cmd;
		return WIRE_ACCEPT;
	}
	if ((uint16_t)h->tag != s->generation)
		return WIRE_DROP_GENERATION;
	if (s->cmd == NULL)
		return WIRE_DROP_DEAD;
	if (h->cseq != s->cmd->cseq)
		return WIRE_DROP_CSEQ;
	if (h->op != s->cmd->op && !(s->cmd->aborting && h->op == WIRE_ABORT))
		return WIRE_DROP_DIRECTION;
	if (h->addr != s->cmd->addr)
		return WIRE_DROP_ADDR;
	*out = s->cmd;
	return WIRE_ACCEPT;
}

/* The peer answered for this command: its timers start afresh. */
static void
refresh(struct xfer_ini *ini, struct xfer_cmd *cmd, uint64_t now_ns)
{
	cmd->tries = 0;
	ini_arm_cmd(ini, cmd, now_ns);
}

static void
ask_overtaken(struct xfer_ini *ini, struct xfer_cmd *cmd, uint32_t idx, bool last)
{
	uint64_t lost = xfer_overtaken(ini_read_missing(ini, cmd), 0, idx, last) & ~cmd->naked;

	if (lost == 0)
		return;
	cmd->naked |= lost;
	cmd->send_nak = true;
	ini_queue_tx(ini, cmd);
}

static enum wire_drop
rx_data(struct xfer_ini *ini, const struct wire_ebd *h, const struct xfer_rx *rx, uint64_t now_ns)
{
	struct xfer_cmd *cmd = NULL;
	enum wire_drop d = find_cmd(ini, h, &cmd);
	uint32_t idx, n;

	if (d != WIRE_ACCEPT)
		return d;
	if (!cmd_moves_data_in(cmd))
		return WIRE_DROP_DIRECTION;
	n = ini_nb_frags(ini, cmd);
	if (!xfer_frag_at(h->off, ini->p, &idx) || idx >= n)
		return WIRE_DROP_OFF;
	if (h->plen != xfer_frag_len(cmd->len, ini->p, idx))
		return WIRE_DROP_PLEN;
	if (mpn_unlikely((uint16_t)h->ack != cmd->reading) && !XFER_MUTATE(mixed_reads) &&
		ini_read_is_split(ini, cmd) && !ini_read_begin(ini, cmd, (uint16_t)h->ack))
		return WIRE_DROP_STALE;
	if (cmd->got >> idx & 1 && !XFER_MUTATE(twice_placed))
		return WIRE_DROP_DUPLICATE;

	ini_read_place(ini, cmd, h->off, rx->payload, h->plen);
	cmd->got |= 1ull << idx;
	if (ini_read_missing(ini, cmd) == 0) {
		ini_rtt_sample(ini, h->ts_echo, now_ns);
		ini_complete(ini, cmd, 0);
		return WIRE_ACCEPT;
	}
	if (idx >= cmd->hi) {
		cmd->hi = (uint16_t)(idx + 1);
		ask_overtaken(ini, cmd, idx, h->flags & WIRE_F_LAST);
	}
	refresh(ini, cmd, now_ns);
	return WIRE_ACCEPT;
}

static enum wire_drop
rx_rsp(struct xfer_ini *ini, const struct wire_ebd *h, uint64_t now_ns)
{
	uint16_t status = (uint16_t)(h->ack >> 16);
	struct xfer_cmd *cmd = NULL;
	enum wire_drop d = find_cmd(ini, h, &cmd);

	if (d != WIRE_ACCEPT)
		return d;
	if (status == WIRE_ST_RUNNING || status == WIRE_ST_BUSY) {
		/* It is alive and has nothing to say: ask again, ever less often. */
		cmd->tries = MPN_MIN(MPN_MAX(cmd->tries, 1), INI_RUNNING_TRIES);
		ini_arm_cmd(ini, cmd, now_ns);
		return WIRE_ACCEPT;
	}
	/* A read has ended well when all its data is here, and not before. */
	if (status == WIRE_ST_OK && cmd_moves_data_in(cmd))
		return WIRE_DROP_STATE;
	ini_rtt_sample(ini, h->ts_echo, now_ns);
	ini_complete(ini, cmd, wire_status_errno(status));
	return WIRE_ACCEPT;
}

/* GRANT and NAK: the target wants these fragments of a write. */
static enum wire_drop
rx_ask(struct xfer_ini *ini, const struct wire_ebd *h, const struct xfer_rx *rx, uint64_t now_ns)
{
	struct xfer_cmd *cmd = NULL;
	enum wire_drop d = find_cmd(ini, h, &cmd);
	uint64_t bits;
	uint32_t idx, n;

	if (d != WIRE_ACCEPT)
		return d;
	if (cmd->op != WIRE_WRITE)
		return WIRE_DROP_DIRECTION;
	if (wire_ebd_kind(h) == WIRE_NAK) {
		memcpy(&bits, rx->payload, sizeof(bits));
	} else {
		if (!xfer_frag_at(h->off, ini->p, &idx) || h->off >= cmd->len)
			return WIRE_DROP_OFF;
		if (h->ack == 0 || h->ack > cmd->len - h->off)
			return WIRE_DROP_PLEN;
		n = wire_nb_frags(h->ack, ini->p);
		bits = wire_frag_mask(n) << idx;
	}
	bits &= wire_frag_mask(ini_nb_frags(ini, cmd));
	if (bits == 0)
		return WIRE_DROP_OFF;
	if (cmd->aborting)
		return WIRE_DROP_STATE;
	cmd->want |= bits;
	ini_queue_tx(ini, cmd);
	refresh(ini, cmd, now_ns);
	return WIRE_ACCEPT;
}

static enum wire_drop
rx_live(struct xfer_ini *ini, const struct wire_ebd *h, const struct xfer_rx *rx, uint64_t now_ns)
{
	switch (wire_ebd_kind(h)) {
	case WIRE_DATA:
		return rx_data(ini, h, rx, now_ns);
	case WIRE_RSP:
		return rx_rsp(ini, h, now_ns);
	case WIRE_GRANT:
	case WIRE_NAK:
		return rx_ask(ini, h, rx, now_ns);
	default:
		return WIRE_DROP_KIND;
	}
}

/* Checks that come before any command is looked for. */
static enum wire_drop
check_session(const struct xfer_ini *ini, const struct wire_ebd *h, const struct xfer_rx *rx)
{
	if (ini->state != XFER_INI_LIVE && ini->state != XFER_INI_CLOSING)
		return WIRE_DROP_STATE;
	if (h->sid != ini->sid)
		return WIRE_DROP_SID;
	if (!xfer_mac_equal(h->src, ini->peer))
		return WIRE_DROP_SRC_MAC;
	return xfer_check_crc(h, rx, ini->sealed);
}

static enum wire_drop
accept_frame(
	struct xfer_ini *ini, const struct wire_ebd *h, const struct xfer_rx *rx, uint64_t now_ns)
{
	uint8_t kind = wire_ebd_kind(h);
	enum wire_drop d;

	if (kind == WIRE_CMD)
		return WIRE_DROP_KIND;
	if (kind <= WIRE_CTRL || kind == WIRE_PROBE) {
		d = xfer_check_crc(h, rx, xfer_always_sealed(h) || ini->sealed);
		if (d != WIRE_ACCEPT)
			return d;
		d = ini_rx_session(ini, h, rx, now_ns);
	} else {
		d = check_session(ini, h, rx);
		if (d != WIRE_ACCEPT)
			return d;
		/* Whatever becomes of the frame: the peer is there, and its limit holds. */
		if (wire_seq_after(h->limit, ini->limit))
			ini->limit = h->limit;
		d = rx_live(ini, h, rx, now_ns);
	}
	return d;
}

void
xfer_ini_rx(struct xfer_ini *ini, const struct xfer_rx *rx, uint64_t now_ns)
{
	struct wire_ebd h = {0};
	enum wire_drop d;

	if (rx->len >= WIRE_EBD_HDR_LEN)
		wire_ebd_load(&h, rx->hdr);
	d = wire_ebd_check(&h, rx->len);
	if (d == WIRE_ACCEPT)
		d = accept_frame(ini, &h, rx, now_ns);
	if (d != WIRE_ACCEPT) {
		ini->stats.drops[d]++;
		return;
	}
	ini->stats.rx_frames++;
	ini->last_rx_ns = now_ns;
	ini->unanswered = 0;
	ini->tail_probe_out = false;
}
