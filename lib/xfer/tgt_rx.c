/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the target receives: the checks that come before any command is looked for. */

#include "tgt.h"

/* A frame of a session this target does not have: the peer must open again. */
static enum wire_drop
reset_stranger(
	struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, const struct xfer_rx *rx)
{
	if (h->flags & WIRE_F_CRC && xfer_check_crc(h, rx, true) != WIRE_ACCEPT)
		return WIRE_DROP_CRC;
	(void)tgt_ctrl_push(t, port, h, WIRE_CTRL, WIRE_CTRL_RESET);
	return WIRE_DROP_SID;
}

static enum wire_drop
rx_probe(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h)
{
	struct tgt_ctrl *c;

	if (h->op != WIRE_PROBE_REQUEST)
		return WIRE_DROP_OP;
	c = tgt_ctrl_push(t, port, h, WIRE_PROBE, WIRE_PROBE_REPLY);
	if (c != NULL) {
		c->plen = h->plen;
		c->flags = h->flags & WIRE_F_BULK;
	}
	return WIRE_ACCEPT;
}

static enum wire_drop
rx_session_frame(struct xfer_tgt *t, struct xfer_session *s, const struct wire_ebd *h,
	const struct xfer_rx *rx)
{
	enum wire_drop d = tgt_rx_ack(s, h->ack);

	if (d != WIRE_ACCEPT)
		return d;
	switch (wire_ebd_kind(h)) {
	case WIRE_CMD:
		return tgt_rx_cmd(t, s, h, rx);
	case WIRE_DATA:
		return tgt_rx_data(t, s, h, rx);
	case WIRE_NAK:
		return tgt_rx_nak(t, s, h, rx);
	case WIRE_PROBE:
		return rx_probe(t, s->port, h);
	default:
		return WIRE_DROP_KIND;
	}
}

static enum wire_drop
accept_frame(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, const struct xfer_rx *rx,
	uint64_t now_ns)
{
	uint8_t kind = wire_ebd_kind(h);
	struct xfer_session *s;
	enum wire_drop d;
	uint32_t i;

	if (kind == WIRE_RSP || kind == WIRE_GRANT)
		return WIRE_DROP_KIND;
	if (kind <= WIRE_CTRL || h->sid == 0) {
		d = xfer_check_crc(h, rx, true);
		if (d != WIRE_ACCEPT)
			return d;
		if (kind == WIRE_DISC)
			return tgt_rx_disc(t, port, h, rx);
		if (kind == WIRE_CTRL)
			return tgt_rx_ctrl(t, port, h, rx, now_ns);
		return kind == WIRE_PROBE ? rx_probe(t, port, h) : WIRE_DROP_SID;
	}
	i = h->sid & TGT_SID_MASK;
	s = i < t->conf.max_sessions ? &t->sessions[i] : NULL;
	if (s == NULL || s->state == SESSION_FREE || s->sid != h->sid)
		return reset_stranger(t, port, h, rx);
	if (s->state != SESSION_LIVE)
		return WIRE_DROP_STATE;
	if (s->port != port || !xfer_mac_equal(s->mac, h->src))
		return WIRE_DROP_SRC_MAC;
	d = xfer_check_crc(h, rx, s->features & WIRE_FEAT_CRC);
	if (d != WIRE_ACCEPT)
		return d;
	s->last_rx_ns = now_ns;
	return rx_session_frame(t, s, h, rx);
}

void
xfer_tgt_rx(struct xfer_tgt *t, unsigned port, const struct xfer_rx *rx, uint64_t now_ns)
{
	struct wire_ebd h = {0};
	enum wire_drop d;

	tgt_finish_sent(t);
	if (rx->len >= WIRE_EBD_HDR_LEN)
		wire_ebd_load(&h, rx->hdr);
	d = wire_ebd_check(&h, rx->len);
	if (d == WIRE_ACCEPT)
		d = accept_frame(t, port, &h, rx, now_ns);
	if (d == WIRE_ACCEPT)
		t->stats.rx_frames++;
	else
		t->stats.drops[d]++;
}
