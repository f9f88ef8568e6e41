/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The target's sessions. A stranger's OPEN costs no state: the CHALLENGE carries all there is to know
 * back in the PROOF. A PROOF with a newer nonce fences what the same client had open: the new session
 * is not answered before every command of the old ones has left the back end.
 */

#include "tgt.h"

/* Queue a session answer to the sender of h. NULL: no room, the peer will ask again. */
struct tgt_ctrl *
tgt_ctrl_push(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, uint8_t kind, uint8_t op)
{
	struct tgt_port *p = &t->ports[port];
	struct tgt_ctrl *c;

	if (p->nb_ctrl == TGT_CTRL_RING) {
		t->stats.drops[WIRE_DROP_NO_ROOM]++;
		return NULL;
	}
	c = &p->ctrl[(p->ctrl_head + p->nb_ctrl++) % TGT_CTRL_RING];
	*c = (struct tgt_ctrl){
		.kind = kind, .op = op, .sid = h->sid, .tag = h->tag, .ts_echo = h->ts};
	memcpy(c->mac, h->src, sizeof(c->mac));
	return c;
}

/* The export of that name, as far as the client at this address is told of it. */
static int
find_export(const struct xfer_tgt *t, const char name[WIRE_EBD_NAME_LEN],
	const uint8_t client_uuid[WIRE_EBD_UUID_LEN], const uint8_t mac[6])
{
	uint32_t i;

	for (i = 0; i < t->nb_exports; i++) {
		if (memcmp(t->exports[i].geometry.name, name, WIRE_EBD_NAME_LEN) == 0 &&
			tgt_export_is_there(t, i, client_uuid, mac))
			return (int)i;
	}
	return -1;
}

enum wire_drop
tgt_rx_disc(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, const struct xfer_rx *rx)
{
	struct wire_disc_query q;
	struct tgt_ctrl *c;
	int i = 0;

	if (h->op != WIRE_DISC_QUERY)
		return WIRE_DROP_OP;
	memcpy(&q, rx->payload, sizeof(q));
	if (q.name[0] != '\0')
		i = find_export(t, q.name, q.client_uuid, h->src);
	if (i < 0 || t->draining) /* not ours to answer */
		return WIRE_ACCEPT;
	c = tgt_ctrl_push(t, port, h, WIRE_DISC, WIRE_DISC_ADVERT);
	if (c != NULL) {
		c->sid = 0;
		c->index = (uint32_t)i;
		c->last = q.name[0] != '\0' ? (uint32_t)i + 1 : t->nb_exports;
		memcpy(c->client_uuid, q.client_uuid, sizeof(c->client_uuid));
	}
	return WIRE_ACCEPT;
}

/* ---- Opening ---- */

static void
make_cookie(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, const struct wire_open *o,
	uint64_t stamp, uint8_t cookie[16])
{
	uint8_t msg[sizeof(*o) + sizeof(stamp) + sizeof(h->src) + 1];

	memcpy(msg, o, sizeof(*o));
	memcpy(msg + sizeof(*o), &stamp, sizeof(stamp));
	memcpy(msg + sizeof(*o) + sizeof(stamp), h->src, sizeof(h->src));
	msg[sizeof(msg) - 1] = (uint8_t)port;
	t->conf.mac(t->conf.ctx, msg, sizeof(msg), cookie);
}

static void
refuse(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, uint64_t nonce, uint16_t status)
{
	struct tgt_ctrl *c = tgt_ctrl_push(t, port, h, WIRE_CTRL, WIRE_CTRL_REFUSED);

	if (c != NULL) {
		c->nonce = nonce;
		c->status = status;
	}
}

static bool
is_same_client(const struct xfer_session *s, const struct wire_open *o)
{
	return s->state != SESSION_FREE &&
	       memcmp(s->client_uuid, o->client_uuid, sizeof(o->client_uuid)) == 0;
}

/*
 * Is a more recent than b? The queues of one start of a client open again on their own, each counting
 * its tries in the low bits: these say something about the same queue only.
 */
static bool
is_newer(uint64_t a_nonce, uint16_t a_queue, uint64_t b_nonce, uint16_t b_queue)
{
	if (a_queue == b_queue)
		return a_nonce > b_nonce;
	return a_nonce >> XFER_NONCE_TRY_BITS > b_nonce >> XFER_NONCE_TRY_BITS;
}

/* Has the client a session that is newer than this OPEN? */
static bool
is_outdated(const struct xfer_tgt *t, const struct wire_open *o)
{
	const struct xfer_session *s;
	uint32_t i;

	for (i = 0; i < t->conf.max_sessions; i++) {
		s = &t->sessions[i];
		if (is_same_client(s, o) && is_newer(s->nonce, s->queue, o->nonce, o->queue))
			return true;
	}
	return false;
}

/* WIRE_ST_OK when a session as asked for is possible on this port. */
static uint16_t
check_open(const struct xfer_tgt *t, unsigned port, const uint8_t mac[6], const struct wire_open *o)
{
	if (t->draining)
		return WIRE_ST_BUSY;
	if (find_export(t, o->volume, o->client_uuid, mac) < 0)
		return WIRE_ST_NOVOLUME;
	if (!wire_p_valid(o->p) || o->p > t->ports[port].p_max || o->depth == 0)
		return WIRE_ST_PROTOCOL;
	if (t->conf.require_crc && !(o->features & WIRE_FEAT_CRC))
		return WIRE_ST_INTEGRITY;
	if (is_outdated(t, o))
		return WIRE_ST_STALE;
	return WIRE_ST_OK;
}

static enum wire_drop
rx_open(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, const struct xfer_rx *rx,
	uint64_t now_ns)
{
	struct wire_open o;
	struct tgt_ctrl *c;
	uint16_t status;

	memcpy(&o, rx->payload, sizeof(o));
	status = check_open(t, port, h->src, &o);
	if (status != WIRE_ST_OK) {
		refuse(t, port, h, o.nonce, status);
		return WIRE_ACCEPT;
	}
	c = tgt_ctrl_push(t, port, h, WIRE_CTRL, WIRE_CTRL_CHALLENGE);
	if (c != NULL) {
		c->challenge.nonce = o.nonce;
		c->challenge.stamp = now_ns;
		make_cookie(t, port, h, &o, now_ns, c->challenge.cookie);
	}
	return WIRE_ACCEPT;
}

static void
push_opened(struct xfer_tgt *t, const struct xfer_session *s)
{
	struct wire_ebd to = {.sid = s->sid, .tag = s->tag};

	memcpy(to.src, s->mac, sizeof(to.src));
	(void)tgt_ctrl_push(t, s->port, &to, WIRE_CTRL, WIRE_CTRL_OPENED);
}

/* A session may start when no other incarnation of its client has anything in the back end. */
static void
try_go_live(struct xfer_tgt *t, struct xfer_session *s, uint64_t now_ns)
{
	const struct xfer_session *o;
	uint32_t i;

	for (i = 0; i < t->conf.max_sessions; i++) {
		o = &t->sessions[i];
		if (o->state == SESSION_CLOSING && !XFER_MUTATE(early_open) &&
			memcmp(o->client_uuid, s->client_uuid, sizeof(s->client_uuid)) == 0)
			return;
	}
	s->state = SESSION_LIVE;
	s->last_rx_ns = now_ns;
	t->stats.sessions++;
	push_opened(t, s);
}

static void
fence_older(struct xfer_tgt *t, const struct wire_open *o, uint64_t now_ns)
{
	struct xfer_session *s;
	uint32_t i;

	for (i = 0; i < t->conf.max_sessions; i++) {
		s = &t->sessions[i];
		if (!is_same_client(s, o) || s->state == SESSION_CLOSING ||
			!is_newer(o->nonce, o->queue, s->nonce, s->queue))
			continue;
		if (XFER_MUTATE(no_fence))
			continue;
		t->stats.fenced++;
		tgt_session_kill(t, s, now_ns);
	}
}

static struct xfer_session *
find_session(struct xfer_tgt *t, const struct wire_open *o)
{
	struct xfer_session *s;
	uint32_t i;

	for (i = 0; i < t->conf.max_sessions; i++) {
		s = &t->sessions[i];
		if (is_same_client(s, o) && s->nonce == o->nonce && s->queue == o->queue)
			return s;
	}
	return NULL;
}

/* Was this very session here before? Who opens again does so with another nonce: it is a late copy. */
static bool
has_ended(const struct xfer_tgt *t, const struct wire_open *o)
{
	const struct xfer_session *s;
	uint32_t i;

	for (i = 0; i < t->conf.max_sessions; i++) {
		s = &t->sessions[i];
		if (s->state == SESSION_FREE && s->nonce == o->nonce && s->queue == o->queue &&
			memcmp(s->client_uuid, o->client_uuid, sizeof(s->client_uuid)) == 0)
			return true;
	}
	return false;
}

/* One for the export, unless too many wait for its back end already: it may hang. */
static struct xfer_session *
find_free_session(struct xfer_tgt *t, uint32_t export_index)
{
	struct xfer_session *s, *found = NULL;
	uint32_t i, nb_free = 0, closing = 0;

	for (i = 0; i < t->conf.max_sessions; i++) {
		s = &t->sessions[i];
		if (s->state == SESSION_FREE) {
			nb_free++;
			found = found != NULL ? found : s;
		}
		closing += s->state == SESSION_CLOSING && s->export_index == export_index;
	}
	if (closing > 0 && xfer_tgt_is_shared(t) && xfer_tgt_share(closing, nb_free) == 0)
		return NULL;
	return found;
}

static void
create_session(struct xfer_tgt *t, struct xfer_session *s, unsigned port, const struct wire_ebd *h,
	const struct wire_open *o)
{
	uint32_t random, i;

	do {
		random = (uint32_t)t->conf.random(t->conf.ctx) << TGT_SID_BITS;
	} while (random == 0 || (random | s->index) == s->sid);
	s->sid = random | s->index;
	s->isn = (uint32_t)t->conf.random(t->conf.ctx);
	s->acked = s->isn;
	s->answered = 0;
	s->nb_running = 0;
	s->slot_base = wire_tag_slot(h->tag);
	s->state = SESSION_OPENING;
	s->closed_by_peer = false;
	s->port = (uint8_t)port;
	memcpy(s->mac, h->src, sizeof(s->mac));
	memcpy(s->client_uuid, o->client_uuid, sizeof(s->client_uuid));
	s->nonce = o->nonce;
	s->queue = o->queue;
	s->tag = h->tag;
	s->export_index = (uint32_t)find_export(t, o->volume, o->client_uuid, h->src);
	s->p = o->p;
	s->depth = MPN_MIN(o->depth, t->conf.max_depth);
	s->features = o->features & t->conf.features;
	s->nb_exec = 0;
	s->commands = 0;
	for (i = 0; i < s->depth; i++)
		s->window[i].cseq = s->isn;
	tgt_credit_open(t, s);
}

static enum wire_drop
rx_proof(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, const struct xfer_rx *rx,
	uint64_t now_ns)
{
	struct wire_proof p;
	struct xfer_session *s;
	uint8_t cookie[16];
	uint16_t status;

	memcpy(&p, rx->payload, sizeof(p));
	if (p.challenge.nonce != p.open.nonce || p.challenge.stamp > now_ns ||
		now_ns - p.challenge.stamp > TGT_COOKIE_NS || p.auth_len != 0)
		return WIRE_DROP_COOKIE;
	make_cookie(t, port, h, &p.open, p.challenge.stamp, cookie);
	if (memcmp(cookie, p.challenge.cookie, sizeof(cookie)) != 0)
		return WIRE_DROP_COOKIE;
	s = find_session(t, &p.open);
	if (s != NULL) {
		/* The answer was lost, or is not due yet. */
		if (s->state == SESSION_LIVE)
			push_opened(t, s);
		return s->state == SESSION_CLOSING ? WIRE_DROP_STATE : WIRE_ACCEPT;
	}
	if (has_ended(t, &p.open))
		return WIRE_DROP_NONCE;
	status = check_open(t, port, h->src, &p.open);
	if (status == WIRE_ST_OK) {
		fence_older(t, &p.open, now_ns);
		s = find_free_session(
			t, (uint32_t)find_export(t, p.open.volume, p.open.client_uuid, h->src));
		status = s == NULL ? WIRE_ST_BUSY : WIRE_ST_OK;
	}
	if (status != WIRE_ST_OK) {
		refuse(t, port, h, p.open.nonce, status);
		return WIRE_ACCEPT;
	}
	create_session(t, s, port, h, &p.open);
	try_go_live(t, s, now_ns);
	return WIRE_ACCEPT;
}

void
tgt_session_fill_opened(
	const struct xfer_tgt *t, const struct xfer_session *s, struct wire_opened *o)
{
	*o = (struct wire_opened){
		.nonce = s->nonce,
		.epoch = t->conf.epoch,
		.isn = s->isn,
		.p = s->p,
		.depth = (uint16_t)s->depth,
		.features = s->features,
		.lease_ms = (uint32_t)(t->conf.lease_ns / XFER_NSEC_PER_MSEC),
		.geometry = t->exports[s->export_index].geometry,
	};
}

/* ---- Closing ---- */

void
tgt_session_check_quiet(struct xfer_tgt *t, struct xfer_session *s, uint64_t now_ns)
{
	struct wire_ebd to = {.sid = s->sid, .tag = s->tag};
	struct xfer_session *o;
	uint32_t i;

	if (s->state != SESSION_CLOSING)
		return;
	tgt_credit_close(t, s);
	if (s->nb_exec > 0)
		return;
	s->state = SESSION_FREE;
	if (s->closed_by_peer) {
		memcpy(to.src, s->mac, sizeof(to.src));
		(void)tgt_ctrl_push(t, s->port, &to, WIRE_CTRL, WIRE_CTRL_CLOSED);
	}
	for (i = 0; i < t->conf.max_sessions; i++) {
		o = &t->sessions[i];
		if (o->state == SESSION_OPENING)
			try_go_live(t, o, now_ns);
	}
}

/* No frame of the session counts any more; what is in the back end is waited for. */
void
tgt_session_kill(struct xfer_tgt *t, struct xfer_session *s, uint64_t now_ns)
{
	struct xfer_io *io;
	uint32_t i;

	s->state = SESSION_CLOSING;
	for (i = 0; i < s->depth; i++) {
		io = &s->window[i];
		if (io->state == XFER_IO_EXEC)
			io->orphan = true;
		else if (io->state != XFER_IO_FREE)
			tgt_io_cancel(t, io);
	}
	tgt_session_check_quiet(t, s, now_ns);
}

static enum wire_drop
rx_close(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, uint64_t now_ns)
{
	uint32_t i = h->sid & TGT_SID_MASK;
	struct xfer_session *s = i < t->conf.max_sessions ? &t->sessions[i] : NULL;

	if (s == NULL || s->state == SESSION_FREE || s->sid != h->sid) {
		/* It is closed: the answer was lost. */
		(void)tgt_ctrl_push(t, port, h, WIRE_CTRL, WIRE_CTRL_CLOSED);
		return WIRE_ACCEPT;
	}
	if (s->port != port || !xfer_mac_equal(s->mac, h->src))
		return WIRE_DROP_SRC_MAC;
	s->closed_by_peer = true;
	if (s->state == SESSION_LIVE)
		tgt_session_kill(t, s, now_ns);
	return WIRE_ACCEPT;
}

/* CTRL frames whose checksum was found right. */
enum wire_drop
tgt_rx_ctrl(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, const struct xfer_rx *rx,
	uint64_t now_ns)
{
	switch (h->op) {
	case WIRE_CTRL_OPEN:
		return rx_open(t, port, h, rx, now_ns);
	case WIRE_CTRL_PROOF:
		return rx_proof(t, port, h, rx, now_ns);
	case WIRE_CTRL_CLOSE:
		return rx_close(t, port, h, now_ns);
	default:
		return WIRE_DROP_OP;
	}
}
