/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the target sends: session answers first, then commands in turn. */

#include "tgt.h"

static void
start_header(const struct xfer_tgt *t, unsigned port, struct wire_ebd *h, const uint8_t mac[6],
	enum wire_ebd_kind kind, uint8_t op, uint64_t now_ns)
{
	*h = (struct wire_ebd){
		.ethertype = t->conf.ethertype_to_initiator,
		.ver_kind = wire_ebd_ver_kind(kind),
		.op = op,
		.ts = xfer_us(now_ns),
	};
	memcpy(h->dst, mac, sizeof(h->dst));
	memcpy(h->src, t->ports[port].mac, sizeof(h->src));
}

/* ---- Session answers ---- */

/* Exports in front of index that are there for the one who asked. */
static uint32_t
count_there(const struct xfer_tgt *t, const struct tgt_ctrl *c, uint32_t index)
{
	uint32_t n = 0, i;

	for (i = 0; i < index; i++)
		n += tgt_export_is_there(t, i, c->client_uuid, c->mac);
	return n;
}

/* Volumes from c->index on, as many as fit. @return payload bytes */
static uint32_t
fill_advert(const struct xfer_tgt *t, unsigned port, struct tgt_ctrl *c, uint8_t *at)
{
	struct wire_advert a = {
		.epoch = t->conf.epoch,
		.p_max = t->ports[port].p_max,
		.nb_volumes = (uint16_t)count_there(t, c, t->nb_exports),
		.first = (uint16_t)count_there(t, c, c->index),
	};
	struct wire_advert_volume v;
	const struct wire_geometry *g;
	uint32_t n = 0;

	memcpy(a.target_uuid, t->conf.uuid, sizeof(a.target_uuid));
	memcpy(at, &a, sizeof(a));
	for (; c->index < c->last && n < WIRE_ADVERT_VOLUMES; c->index++) {
		if (!tgt_export_is_there(t, c->index, c->client_uuid, c->mac))
			continue;
		g = &t->exports[c->index].geometry;
		v = (struct wire_advert_volume){
			.size = g->size, .block_size = g->block_size, .flags = g->flags};
		memcpy(v.name, g->name, sizeof(v.name));
		memcpy(at + sizeof(a) + n++ * sizeof(v), &v, sizeof(v));
	}
	return (uint32_t)(sizeof(a) + n * sizeof(v));
}

static struct xfer_session *
session_of(const struct xfer_tgt *t, uint32_t sid)
{
	uint32_t i = sid & TGT_SID_MASK;

	if (sid == 0 || i >= t->conf.max_sessions || t->sessions[i].sid != sid ||
		t->sessions[i].state != SESSION_LIVE)
		return NULL;
	return &t->sessions[i];
}

/* Payload of a CTRL answer. @return its bytes, or -1 when there is nothing to say any more */
static int
fill_ctrl(const struct xfer_tgt *t, const struct tgt_ctrl *c, const struct xfer_session *s,
	uint8_t *at)
{
	struct wire_refused r = {.nonce = c->nonce};
	struct wire_opened o;

	switch (c->op) {
	case WIRE_CTRL_CHALLENGE:
		memcpy(at, &c->challenge, sizeof(c->challenge));
		return sizeof(c->challenge);
	case WIRE_CTRL_OPENED:
		if (s == NULL)
			return -1;
		tgt_session_fill_opened(t, s, &o);
		memcpy(at, &o, sizeof(o));
		return sizeof(o);
	case WIRE_CTRL_EVENT:
		if (s == NULL)
			return -1;
		memcpy(at, &t->exports[s->export_index].geometry, sizeof(struct wire_geometry));
		return sizeof(struct wire_geometry);
	case WIRE_CTRL_REFUSED:
		memcpy(at, &r, sizeof(r));
		return sizeof(r);
	default:
		return 0;
	}
}

static void
pop_ctrl(struct tgt_port *p)
{
	p->ctrl_head = (p->ctrl_head + 1) % TGT_CTRL_RING;
	p->nb_ctrl--;
}

static bool
tx_ctrl(struct xfer_tgt *t, unsigned port, struct xfer_tx *tx, uint64_t now_ns)
{
	struct tgt_port *p = &t->ports[port];
	struct tgt_ctrl *c = &p->ctrl[p->ctrl_head];
	struct xfer_session *s = session_of(t, c->sid);
	uint8_t *at = (uint8_t *)tx->hdr + WIRE_EBD_HDR_LEN;
	bool sealed = c->kind != WIRE_PROBE || c->sid == 0;
	struct wire_ebd *h = xfer_tx_header(tx);
	int n;

	start_header(t, port, h, c->mac, c->kind, c->op, now_ns);
	h->sid = c->sid;
	h->tag = c->tag;
	h->ts_echo = c->ts_echo;
	h->ack = (uint32_t)c->status << 16;
	if (s != NULL)
		h->limit = s->told = s->limit;
	if (c->kind == WIRE_PROBE) {
		sealed |= s != NULL && s->features & WIRE_FEAT_CRC;
		tx->data_len = c->plen;
		h->flags |= c->flags;
		t->stats.probes++;
		pop_ctrl(p);
	} else if (c->kind == WIRE_DISC) {
		tx->hdr_len += fill_advert(t, port, c, at);
		if (c->index >= c->last)
			pop_ctrl(p);
	} else {
		n = fill_ctrl(t, c, s, at);
		pop_ctrl(p);
		if (n < 0)
			return false;
		tx->hdr_len += (uint32_t)n;
	}
	xfer_tx_finish(tx, &t->stats, sealed);
	return true;
}

/* ---- Commands ---- */

static void
build_rsp(const struct xfer_io *io, struct wire_ebd *h)
{
	uint16_t status = io->state == XFER_IO_DONE ? io->status : WIRE_ST_RUNNING;

	if (XFER_MUTATE(early_rsp) || (XFER_MUTATE(abort_lies) && io->status != WIRE_ST_OK))
		status = io->status;

	h->off = io->len;
	h->ack = (uint32_t)status << 16 | io->detail;
}

static void
build_nak(struct xfer_io *io, struct xfer_tx *tx)
{
	memcpy((uint8_t *)tx->hdr + WIRE_EBD_HDR_LEN, &io->naked, sizeof(io->naked));
	tx->hdr_len += (uint32_t)sizeof(io->naked);
	io->naked = 0;
}

/* The lowest run of fragments to be granted, at most one grant's worth. */
static void
build_grant(struct xfer_io *io, struct wire_ebd *h)
{
	uint32_t p = io->session->p;
	uint32_t first = (uint32_t)__builtin_ctzll(io->grant);
	uint64_t run = ~(io->grant >> first);
	uint32_t n = run == 0 ? 64 - first : (uint32_t)__builtin_ctzll(run);

	n = MPN_MIN(n, TGT_GRANT_FRAGS);
	h->off = first * p;
	h->ack = MPN_MIN(n * p, io->len - h->off);
	io->grant &= ~(wire_frag_mask(n) << first);
}

static void
build_data(struct xfer_tgt *t, struct xfer_io *io, struct xfer_tx *tx, struct wire_ebd *h)
{
	uint32_t p = io->session->p;
	uint32_t idx = (uint32_t)__builtin_ctzll(io->want);
	const struct wire_geometry *g;

	h->off = idx * p;
	if (idx + 1u == io->nb_frags)
		h->flags |= WIRE_F_LAST;
	tx->retx = io->got >> idx & 1;
	if (tx->retx)
		h->flags |= WIRE_F_RETX;
	io->got |= 1ull << idx;
	io->want &= io->want - 1;
	if (io->op == WIRE_IDENTIFY) {
		g = &t->exports[io->export_index].geometry;
		memcpy((uint8_t *)tx->hdr + WIRE_EBD_HDR_LEN, g, sizeof(*g));
		tx->hdr_len += (uint32_t)sizeof(*g);
	} else {
		h->ack = io->reading;
		tx->io = io;
		tx->data_off = h->off;
		tx->data_len = xfer_frag_len(io->len, p, idx);
		h->flags |= io->flags & WIRE_F_BULK;
	}
	if (io->want == 0)
		tgt_io_sent(t, io);
}

/* Anything left to say? What was missing may have come since it was noted. */
static bool
has_work(struct xfer_io *io)
{
	io->naked &= ~io->got;
	return io->send_rsp || io->naked != 0 || io->grant != 0 || io->state == XFER_IO_SEND;
}

/* Off the list when it has nothing more to send; to its end when it has had its turn. */
static void
give_way(struct xfer_tgt *t, struct xfer_io *io)
{
	bool more = has_work(io);

	if (more && ++io->burst < TGT_BURST)
		return;
	io->burst = 0;
	mpn_list_del(&io->node);
	if (more)
		tgt_io_queue_tx(t, io);
}

static void
tx_io(struct xfer_tgt *t, unsigned port, struct xfer_io *io, struct xfer_tx *tx, uint64_t now_ns)
{
	struct xfer_session *s = io->session;
	enum wire_ebd_kind kind = io->send_rsp     ? WIRE_RSP
				  : io->naked != 0 ? WIRE_NAK
				  : io->grant != 0 ? WIRE_GRANT
						   : WIRE_DATA;
	struct wire_ebd *h = xfer_tx_header(tx);

	start_header(t, port, h, s->mac, kind, io->op, now_ns);
	h->sid = s->sid;
	h->tag = io->tag;
	h->addr = io->addr;
	h->cseq = io->cseq;
	h->ts_echo = io->ts;
	switch (kind) {
	case WIRE_RSP:
		build_rsp(io, h);
		io->send_rsp = false;
		break;
	case WIRE_NAK:
		build_nak(io, tx);
		t->stats.naks++;
		break;
	case WIRE_GRANT:
		build_grant(io, h);
		break;
	default:
		build_data(t, io, tx, h);
		break;
	}
	h->limit = s->told = s->limit; /* the last fragment of a read has just raised it */
	xfer_tx_finish(tx, &t->stats, s->features & WIRE_FEAT_CRC);
	give_way(t, io);
}

bool
xfer_tgt_tx(struct xfer_tgt *t, unsigned port, struct xfer_tx *tx, uint64_t now_ns)
{
	struct tgt_port *p = &t->ports[port];
	struct xfer_io *io;

	tgt_finish_sent(t);
	tx->hdr_len = WIRE_EBD_HDR_LEN;
	tx->data_len = 0;
	tx->data_off = 0;
	tx->io = NULL;
	tx->retx = false;
	while (mpn_unlikely(p->nb_ctrl > 0)) {
		if (tx_ctrl(t, port, tx, now_ns))
			return true;
	}
	while (!mpn_list_empty(&p->sendq)) {
		io = mpn_list_first(&p->sendq, struct xfer_io, node);
		if (mpn_likely(has_work(io))) {
			tx_io(t, port, io, tx, now_ns);
			return true;
		}
		mpn_list_del(&io->node);
	}
	return false;
}

bool
xfer_tgt_wants_tx(const struct xfer_tgt *t, unsigned port)
{
	const struct tgt_port *p = &t->ports[port];

	/* What was sent last makes room for those that wait. */
	return p->nb_ctrl > 0 || !mpn_list_empty(&p->sendq) ||
	       (mpn_unlikely(t->sent != NULL) &&
		       (t->nb_wait_buf > 0 || !mpn_list_empty(&t->wait_grant)));
}

void
xfer_tgt_settle(struct xfer_tgt *t)
{
	tgt_finish_sent(t);
}
