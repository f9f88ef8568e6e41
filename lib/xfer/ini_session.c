/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The initiator's session:
 *
 *   IDLE -> DISCOVER -> PROBE -> OPEN -> PROOF -> LIVE -> CLOSING -> IDLE
 *              ^          |        |       |       |
 *              +----------+--------+-------+-------+  silence, RESET
 */

#include "ini.h"

static const char *const state_names[XFER_INI_STATES] = {
	"idle", "discover", "probe", "open", "proof", "live", "closing"};

/* What a state sends, again and again; how often before discovery starts over (0: for ever). */
static const struct {
	uint8_t kind;
	uint8_t op;
	uint8_t tries;
} ctrl_frames[XFER_INI_STATES] = {
	[XFER_INI_DISCOVER] = {WIRE_DISC, WIRE_DISC_QUERY, 0},
	[XFER_INI_PROBE] = {WIRE_PROBE, WIRE_PROBE_REQUEST, INI_PROBE_TRIES},
	[XFER_INI_OPEN] = {WIRE_CTRL, WIRE_CTRL_OPEN, INI_CTRL_TRIES},
	[XFER_INI_PROOF] = {WIRE_CTRL, WIRE_CTRL_PROOF, INI_CTRL_TRIES},
	[XFER_INI_CLOSING] = {WIRE_CTRL, WIRE_CTRL_CLOSE, INI_CTRL_TRIES},
};

const char *
xfer_ini_state_name(enum xfer_ini_state s)
{
	return (unsigned)s < XFER_INI_STATES ? state_names[s] : "?";
}

/*
 * How long to wait for the answer to the next try. A target that is slower than all tries of a state would
 * never be met if the next attempt were no more patient.
 */
static uint64_t
ctrl_wait(const struct xfer_ini *ini)
{
	unsigned doubled = ini->ctrl_tries;

	if (ctrl_frames[ini->state].tries != 0)
		doubled += ini->ctrl_slow;
	return INI_CTRL_RETRY_NS << MPN_MIN(doubled, INI_CTRL_DOUBLED_MAX);
}

/* The one place where the session's state changes. */
static void
enter(struct xfer_ini *ini, enum xfer_ini_state s, uint64_t now_ns)
{
	ini->state = (uint8_t)s;
	ini->ctrl_tries = 0;
	ini->ctrl_due = ctrl_frames[s].op != 0;
	ini->ctrl_deadline_ns = ini->ctrl_due ? now_ns + ctrl_wait(ini) : XFER_NO_DEADLINE;
	ini_arm(ini, ini->ctrl_due ? ini->ctrl_deadline_ns : now_ns);
}

/* Tag of frames that belong to no command: names this initiator, and this attempt. */
static uint32_t
ctrl_tag(const struct xfer_ini *ini)
{
	return wire_tag(ini->conf.slot_base, (uint16_t)ini->nonce);
}

static void
fill_open(const struct xfer_ini *ini, struct wire_open *o)
{
	*o = (struct wire_open){
		.nonce = ini->nonce,
		.p = ini->p,
		.depth = ini->conf.depth,
		.queue = ini->conf.queue,
		.features = ini->conf.features,
	};
	memcpy(o->client_uuid, ini->conf.client_uuid, sizeof(o->client_uuid));
	memcpy(o->volume, ini->conf.volume, sizeof(o->volume));
}

/* Payload of the session frame the state sends, behind the header. @return its bytes */
static uint32_t
fill_ctrl(const struct xfer_ini *ini, uint8_t *at)
{
	struct wire_disc_query query;
	struct wire_proof proof;

	switch (ini->state) {
	case XFER_INI_DISCOVER:
		memcpy(query.name, ini->conf.volume, sizeof(query.name));
		memcpy(query.client_uuid, ini->conf.client_uuid, sizeof(query.client_uuid));
		memcpy(at, &query, sizeof(query));
		return (uint32_t)sizeof(query);
	case XFER_INI_OPEN:
		fill_open(ini, &proof.open);
		memcpy(at, &proof.open, sizeof(proof.open));
		return (uint32_t)sizeof(proof.open);
	case XFER_INI_PROOF:
		memset(&proof, 0, sizeof(proof));
		fill_open(ini, &proof.open);
		proof.challenge = ini->challenge;
		memcpy(at, &proof, sizeof(proof));
		return (uint32_t)sizeof(proof);
	default:
		return 0;
	}
}

bool
ini_tx_ctrl(struct xfer_ini *ini, struct xfer_tx *tx, uint64_t now_ns)
{
	struct wire_ebd *h = xfer_tx_header(tx);

	ini->ctrl_due = false;
	ini_header(ini, h, ctrl_frames[ini->state].kind, ctrl_frames[ini->state].op, now_ns);
	h->tag = ctrl_tag(ini);
	if (ini->state == XFER_INI_PROBE) {
		tx->data_len = ini->p;
		ini->stats.probes++;
	}
	tx->hdr_len += fill_ctrl(ini, (uint8_t *)tx->hdr + WIRE_EBD_HDR_LEN);
	xfer_tx_finish(tx, &ini->stats, true);
	return true;
}

/* Is the peer of the live session there? Padding is for path probing only. */
bool
ini_tx_probe(struct xfer_ini *ini, struct xfer_tx *tx, uint64_t now_ns)
{
	struct wire_ebd *h = xfer_tx_header(tx);

	ini->probe_due = false;
	ini_header(ini, h, WIRE_PROBE, WIRE_PROBE_REQUEST, now_ns);
	h->tag = ctrl_tag(ini);
	ini->stats.probes++;
	xfer_tx_finish(tx, &ini->stats, ini->sealed);
	return true;
}

/* What comes back takes a place in the peer's queue for bulk data, whatever state the session is in. */
bool
ini_tx_drain(struct xfer_ini *ini, struct xfer_tx *tx, uint64_t now_ns)
{
	struct wire_ebd *h = xfer_tx_header(tx);

	ini->drain--;
	ini_header(ini, h, WIRE_PROBE, WIRE_PROBE_REQUEST, now_ns);
	h->tag = ctrl_tag(ini);
	h->flags = WIRE_F_BULK;
	tx->data_len = INI_DRAIN_BYTES;
	ini->stats.probes++;
	xfer_tx_finish(tx, &ini->stats, ini->sealed || ini->sid == 0);
	return true;
}

/* ---- Going from state to state ---- */

/* Start over from discovery; the next OPEN fences whatever this client had open. */
static void
start_over(struct xfer_ini *ini, uint64_t now_ns)
{
	ini->nonce++;
	ini->sid = 0;
	ini->sealed = false;
	ini->bulk = false;
	memcpy(ini->peer, ini->conf.target, sizeof(ini->peer));
	enter(ini, XFER_INI_DISCOVER, now_ns);
}

void
ini_reopen(struct xfer_ini *ini, uint64_t now_ns)
{
	ini_requeue_all(ini);
	ini->lost_ns = now_ns;
	ini->unanswered = 0;
	ini->tail_probe_out = false;
	ini->probe_due = false;
	start_over(ini, now_ns);
	ini_event(ini, XFER_EV_LOST, 0);
}

/* Largest payload unit not above max; 0 below the smallest. */
static uint32_t
unit_below(uint32_t max)
{
	static const uint32_t units[] = {WIRE_EBD_P_LARGE, WIRE_EBD_P_PAGE, WIRE_EBD_P_SMALL};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(units); i++) {
		if (units[i] <= max)
			return units[i];
	}
	return 0;
}

static void
finish_close(struct xfer_ini *ini, uint64_t now_ns)
{
	enter(ini, XFER_INI_IDLE, now_ns);
	ini->sid = 0;
	ini_fail_list(ini, &ini->active, -ECANCELED);
	ini_fail_list(ini, &ini->pending, -ECANCELED);
	ini_fail_list(ini, &ini->cancelled, -ECANCELED);
	ini_event(ini, XFER_EV_CLOSED, 0);
}

/*
 * Probes of this size did not come back. A smaller unit may mean that commands which were accepted
 * cannot be sent any more: a lossy moment is no reason for that.
 */
static bool
may_probe_smaller(struct xfer_ini *ini)
{
	uint32_t p = unit_below(ini->p - 1);

	if (p == 0)
		return false;
	return wire_quantum(p) >= ini->quantum || ++ini->probe_rounds >= INI_PROBE_ROUNDS;
}

/* The tries of a state are used up. */
static void
give_up_state(struct xfer_ini *ini, uint64_t now_ns)
{
	if (ini->state == XFER_INI_CLOSING) {
		finish_close(ini, now_ns);
	} else if (ini->state == XFER_INI_PROBE && may_probe_smaller(ini)) {
		/* The path does not carry frames of this size. */
		ini->p = unit_below(ini->p - 1);
		enter(ini, XFER_INI_PROBE, now_ns);
	} else {
		ini->ctrl_slow = MPN_MIN(ini->ctrl_slow + 1, INI_CTRL_DOUBLED_MAX);
		start_over(ini, now_ns);
	}
}

void
ini_ctrl_timer(struct xfer_ini *ini, uint64_t now_ns)
{
	if (ini->state == XFER_INI_IDLE || ini->state == XFER_INI_LIVE)
		return;
	if (now_ns < ini->ctrl_deadline_ns) {
		ini_arm(ini, ini->ctrl_deadline_ns);
		return;
	}
	ini->ctrl_tries++;
	if (ctrl_frames[ini->state].tries != 0 &&
		ini->ctrl_tries >= ctrl_frames[ini->state].tries) {
		give_up_state(ini, now_ns);
		return;
	}
	ini->ctrl_tries = MPN_MIN(ini->ctrl_tries, INI_CTRL_DOUBLED_MAX);
	ini->ctrl_due = true;
	ini->ctrl_deadline_ns = now_ns + MPN_MIN(ctrl_wait(ini), ini->conf.rto_max_ns);
	ini_arm(ini, ini->ctrl_deadline_ns);
}

/* ---- Frames ---- */

static enum wire_drop
rx_advert(struct xfer_ini *ini, const struct wire_ebd *h, const struct xfer_rx *rx, uint64_t now_ns)
{
	struct wire_advert a;
	struct wire_advert_volume v;
	uint32_t n, i;

	if (ini->state != XFER_INI_DISCOVER)
		return WIRE_DROP_STATE;
	if (!xfer_mac_zero(ini->conf.target) && !xfer_mac_equal(ini->conf.target, h->src))
		return WIRE_DROP_SRC_MAC;
	memcpy(&a, rx->payload, sizeof(a));
	n = (h->plen - (uint32_t)sizeof(a)) / (uint32_t)sizeof(v);
	for (i = 0; i < n; i++) {
		memcpy(&v, (const uint8_t *)rx->payload + sizeof(a) + i * sizeof(v), sizeof(v));
		if (memcmp(v.name, ini->conf.volume, sizeof(v.name)) == 0)
			break;
	}
	if (i == n) /* somebody else's volumes */
		return WIRE_ACCEPT;
	ini->p = unit_below(MPN_MIN(ini->conf.p_max, a.p_max));
	if (ini->p == 0)
		return WIRE_DROP_PLEN;
	memcpy(ini->peer, h->src, sizeof(ini->peer));
	enter(ini, XFER_INI_PROBE, now_ns);
	return WIRE_ACCEPT;
}

static enum wire_drop
rx_challenge(struct xfer_ini *ini, const struct xfer_rx *rx, uint64_t now_ns)
{
	struct wire_challenge c;

	if (ini->state != XFER_INI_OPEN)
		return WIRE_DROP_STATE;
	memcpy(&c, rx->payload, sizeof(c));
	if (c.nonce != ini->nonce)
		return WIRE_DROP_NONCE;
	ini->challenge = c;
	enter(ini, XFER_INI_PROOF, now_ns);
	return WIRE_ACCEPT;
}

/* Is what the target says about session and volume something this end can work with? */
static bool
is_opened_sane(const struct xfer_ini *ini, const struct wire_ebd *h, const struct wire_opened *o)
{
	const struct wire_geometry *g = &o->geometry;

	return h->sid != 0 && o->p == ini->p && o->depth >= 1 && g->block_size >= 512 &&
	       (g->block_size & (g->block_size - 1)) == 0 && g->size % g->block_size == 0 &&
	       g->name[WIRE_EBD_NAME_LEN - 1] == '\0' && (o->features & ~ini->conf.features) == 0;
}

/* A path that carries less than before: commands too large for it cannot be sent any more. */
static void
fail_oversized(struct xfer_ini *ini)
{
	struct mpn_list *n, *tmp, oversized;
	struct xfer_cmd *cmd;

	mpn_list_init(&oversized);
	mpn_list_for_each_safe(n, tmp, &ini->pending) {
		cmd = mpn_list_entry(n, struct xfer_cmd, node);
		if ((cmd->op == WIRE_READ || cmd->op == WIRE_WRITE) && cmd->len > ini->quantum) {
			mpn_list_del(n);
			mpn_list_add_tail(&oversized, n);
		}
	}
	ini_fail_list(ini, &oversized, -EMSGSIZE);
}

static enum wire_drop
rx_opened(struct xfer_ini *ini, const struct wire_ebd *h, const struct xfer_rx *rx, uint64_t now_ns)
{
	struct wire_opened o;
	uint32_t quantum;

	if (ini->state != XFER_INI_PROOF)
		return WIRE_DROP_STATE;
	memcpy(&o, rx->payload, sizeof(o));
	if (o.nonce != ini->nonce)
		return WIRE_DROP_NONCE;
	if (!is_opened_sane(ini, h, &o))
		return WIRE_DROP_STATE;
	ini->sid = h->sid;
	ini->epoch = o.epoch;
	ini->sealed = (o.features & WIRE_FEAT_CRC) != 0;
	ini->bulk = (o.features & WIRE_FEAT_BULK) != 0;
	ini->depth = MPN_MIN(o.depth, ini->conf.depth);
	ini->last_cseq = o.isn;
	ini->limit = h->limit;
	ini_reset_slots(ini);
	ini->geometry = o.geometry;
	quantum = wire_quantum(ini->p);
	if (!ini->was_live || quantum < ini->quantum)
		ini->quantum = quantum;
	ini->was_live = true;
	ini->probe_rounds = 0;
	ini->ctrl_slow = 0;
	ini->unanswered = 0;
	ini->stats.sessions++;
	enter(ini, XFER_INI_LIVE, now_ns);
	fail_oversized(ini);
	ini_event(ini, XFER_EV_OPENED, 0);
	return WIRE_ACCEPT;
}

static enum wire_drop
rx_refused(
	struct xfer_ini *ini, const struct wire_ebd *h, const struct xfer_rx *rx, uint64_t now_ns)
{
	uint16_t status = (uint16_t)(h->ack >> 16);
	struct wire_refused r;

	if (ini->state != XFER_INI_OPEN && ini->state != XFER_INI_PROOF)
		return WIRE_DROP_STATE;
	memcpy(&r, rx->payload, sizeof(r));
	if (r.nonce != ini->nonce)
		return WIRE_DROP_NONCE;
	if (status == WIRE_ST_STALE) {
		/* A newer client with our UUID: this one is out, for good. */
		enter(ini, XFER_INI_IDLE, now_ns);
		ini_fail_list(ini, &ini->pending, -ESTALE);
		ini_fail_list(ini, &ini->cancelled, -ESTALE);
		ini_event(ini, XFER_EV_REFUSED, -ESTALE);
		return WIRE_ACCEPT;
	}
	/*
	 * A target that is full may have room soon. One that has lost the volume of a session that was
	 * live may get it back: the policy for an absent peer decides, not this answer.
	 */
	if (status == WIRE_ST_BUSY || ini->was_live) {
		ini->ctrl_tries = 0;
		ini->ctrl_deadline_ns = now_ns + ini->conf.rto_max_ns;
		ini_arm(ini, ini->ctrl_deadline_ns);
	} else {
		enter(ini, XFER_INI_IDLE, now_ns);
	}
	ini_event(ini, XFER_EV_REFUSED, wire_status_errno(status));
	return WIRE_ACCEPT;
}

static enum wire_drop
rx_event(struct xfer_ini *ini, const struct xfer_rx *rx)
{
	struct wire_geometry g;

	memcpy(&g, rx->payload, sizeof(g));
	if (g.block_size != ini->geometry.block_size || g.size % g.block_size != 0)
		return WIRE_DROP_STATE;
	if (!wire_seq_after(g.generation, ini->geometry.generation))
		return WIRE_DROP_STALE;
	g.name[WIRE_EBD_NAME_LEN - 1] = '\0';
	ini->geometry = g;
	ini_event(ini, XFER_EV_CHANGED, 0);
	return WIRE_ACCEPT;
}

/* Frames of a live or closing session. */
static enum wire_drop
rx_live_ctrl(
	struct xfer_ini *ini, const struct wire_ebd *h, const struct xfer_rx *rx, uint64_t now_ns)
{
	if (ini->sid == 0 || h->sid != ini->sid)
		return WIRE_DROP_SID;
	if (h->op == WIRE_CTRL_CLOSED && ini->state == XFER_INI_CLOSING)
		finish_close(ini, now_ns);
	else if (h->op == WIRE_CTRL_RESET && ini->state == XFER_INI_LIVE)
		ini_reopen(ini, now_ns);
	else if (h->op == WIRE_CTRL_RESET && ini->state == XFER_INI_CLOSING)
		finish_close(ini, now_ns);
	else if (h->op == WIRE_CTRL_EVENT && ini->state == XFER_INI_LIVE)
		return rx_event(ini, rx);
	else
		return WIRE_DROP_STATE;
	return WIRE_ACCEPT;
}

static enum wire_drop
rx_probe(struct xfer_ini *ini, const struct wire_ebd *h, uint64_t now_ns)
{
	if (h->op != WIRE_PROBE_REPLY)
		return WIRE_DROP_OP;
	if (h->sid != ini->sid)
		return WIRE_DROP_SID;
	if (h->tag != ctrl_tag(ini))
		return WIRE_DROP_GENERATION;
	if (h->flags & WIRE_F_BULK) {
		if (ini->draining == 0)
			return WIRE_DROP_DUPLICATE;
		ini->draining--;
		return WIRE_ACCEPT;
	}
	if (ini->state == XFER_INI_PROBE) {
		if (h->plen != ini->p)
			return WIRE_DROP_PLEN;
		enter(ini, XFER_INI_OPEN, now_ns);
	} else if (ini->state != XFER_INI_LIVE) {
		return WIRE_DROP_STATE;
	} else if (wire_seq_after(h->limit, ini->limit)) {
		ini->limit = h->limit;
	}
	ini_rtt_sample(ini, h->ts_echo, now_ns);
	return WIRE_ACCEPT;
}

/* DISC, CTRL and PROBE frames whose checksum was found right. */
enum wire_drop
ini_rx_session(
	struct xfer_ini *ini, const struct wire_ebd *h, const struct xfer_rx *rx, uint64_t now_ns)
{
	uint8_t kind = wire_ebd_kind(h);

	if (kind == WIRE_DISC)
		return h->op == WIRE_DISC_ADVERT ? rx_advert(ini, h, rx, now_ns) : WIRE_DROP_OP;
	if (xfer_mac_zero(ini->peer) || !xfer_mac_equal(h->src, ini->peer))
		return WIRE_DROP_SRC_MAC;
	if (kind == WIRE_PROBE)
		return rx_probe(ini, h, now_ns);
	switch (h->op) {
	case WIRE_CTRL_CHALLENGE:
		return rx_challenge(ini, rx, now_ns);
	case WIRE_CTRL_OPENED:
		return rx_opened(ini, h, rx, now_ns);
	case WIRE_CTRL_REFUSED:
		return rx_refused(ini, h, rx, now_ns);
	case WIRE_CTRL_CLOSED:
	case WIRE_CTRL_RESET:
	case WIRE_CTRL_EVENT:
		return rx_live_ctrl(ini, h, rx, now_ns);
	default:
		return WIRE_DROP_OP;
	}
}

/* ---- The caller's side ---- */

int
xfer_ini_open(struct xfer_ini *ini, uint64_t now_ns)
{
	if (ini->state != XFER_INI_IDLE)
		return -EALREADY;
	ini->lost_ns = now_ns;
	ini->last_rx_ns = now_ns;
	start_over(ini, now_ns);
	return 0;
}

void
xfer_ini_close(struct xfer_ini *ini, uint64_t now_ns)
{
	if (ini->state == XFER_INI_LIVE) {
		enter(ini, XFER_INI_CLOSING, now_ns);
	} else if (ini->state != XFER_INI_IDLE && ini->state != XFER_INI_CLOSING) {
		finish_close(ini, now_ns);
	}
}
