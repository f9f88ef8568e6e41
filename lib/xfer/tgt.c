/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The target from outside: memory, configuration, timers, what can be asked. */

#include "tgt.h"

void
xfer_tgt_conf_default(struct xfer_tgt_conf *conf)
{
	*conf = (struct xfer_tgt_conf){
		.ethertype_to_target = WIRE_EBD_TO_TARGET,
		.ethertype_to_initiator = WIRE_EBD_TO_INITIATOR,
		.max_sessions = 64,
		.max_exports = 64,
		.max_depth = 128,
		.credits = 512,
		.grant_frames = 256,
		.features = WIRE_FEAT_CRC | WIRE_FEAT_BULK,
		.lease_ns = 30 * XFER_NSEC_PER_SEC,
	};
}

static bool
is_conf_valid(const struct xfer_tgt_conf *c)
{
	return c->max_sessions >= 1 && c->max_sessions <= 1u << TGT_SID_BITS &&
	       c->max_exports >= 1 && c->max_depth >= 1 && c->max_depth <= XFER_MAX_DEPTH &&
	       c->credits >= 1 && c->grant_frames >= TGT_GRANT_FRAGS && c->lease_ns > 0 &&
	       c->random != NULL && c->mac != NULL && c->buf_get != NULL && c->buf_put != NULL &&
	       c->place != NULL && c->io_start != NULL;
}

size_t
xfer_tgt_size(const struct xfer_tgt_conf *conf)
{
	return sizeof(struct xfer_tgt) + conf->max_exports * sizeof(struct tgt_export) +
	       conf->max_sessions *
		       (sizeof(struct xfer_session) + conf->max_depth * sizeof(struct xfer_io));
}

struct xfer_tgt *
xfer_tgt_init(void *mem, const struct xfer_tgt_conf *conf)
{
	struct xfer_tgt *t = mem;
	struct xfer_session *s;
	struct xfer_io *ios;
	uint32_t i, j;

	if (!is_conf_valid(conf))
		return mpn_err_null(EINVAL);
	memset(mem, 0, xfer_tgt_size(conf));
	t->conf = *conf;
	t->sessions = (struct xfer_session *)(t + 1);
	ios = (struct xfer_io *)(t->sessions + conf->max_sessions);
	t->exports = (struct tgt_export *)(ios + (size_t)conf->max_sessions * conf->max_depth);
	for (i = 0; i < conf->max_sessions; i++) {
		s = &t->sessions[i];
		s->index = (uint16_t)i;
		s->window = ios + (size_t)i * conf->max_depth;
		for (j = 0; j < conf->max_depth; j++) {
			s->window[j].session = s;
			mpn_list_init(&s->window[j].node);
			mpn_list_init(&s->window[j].wnode);
		}
	}
	for (i = 0; i < conf->max_exports; i++)
		mpn_list_init(&t->exports[i].wait_buf);
	mpn_list_init(&t->wait_grant);
	return t;
}

int
xfer_tgt_port_add(struct xfer_tgt *t, const uint8_t mac[6], uint32_t p_max)
{
	struct tgt_port *port;

	if (t->nb_ports == XFER_MAX_PORTS)
		return -ENOSPC;
	if (p_max < WIRE_EBD_P_SMALL)
		return -EINVAL;
	port = &t->ports[t->nb_ports];
	memcpy(port->mac, mac, sizeof(port->mac));
	port->p_max = p_max;
	mpn_list_init(&port->sendq);
	return (int)t->nb_ports++;
}

int
xfer_tgt_export_add(struct xfer_tgt *t, const struct wire_geometry *g)
{
	uint32_t i;

	if (g->block_size < 512 || (g->block_size & (g->block_size - 1)) != 0 ||
		g->size % g->block_size != 0 || g->name[0] == '\0' ||
		g->name[WIRE_EBD_NAME_LEN - 1] != '\0')
		return -EINVAL;
	for (i = 0; i < t->nb_exports; i++) {
		if (memcmp(t->exports[i].geometry.name, g->name, WIRE_EBD_NAME_LEN) == 0)
			return -EEXIST;
	}
	/* The place of one that was removed, when nobody remembers it any more. */
	for (i = 0; i < t->nb_exports; i++) {
		if (!tgt_export_is_live(t, i) && !xfer_tgt_export_busy(t, i))
			break;
	}
	if (i == t->conf.max_exports)
		return -ENOSPC;
	t->exports[i].geometry = *g;
	t->nb_live++;
	t->nb_exports = MPN_MAX(t->nb_exports, i + 1);
	return (int)i;
}

int
xfer_tgt_export_remove(struct xfer_tgt *t, uint32_t index, uint64_t now_ns)
{
	if (index >= t->nb_exports || !tgt_export_is_live(t, index))
		return -ENOENT;
	memset(t->exports[index].geometry.name, 0, WIRE_EBD_NAME_LEN);
	t->nb_live--;
	xfer_tgt_export_recheck(t, index, now_ns);
	return 0;
}

void
xfer_tgt_export_recheck(struct xfer_tgt *t, uint32_t index, uint64_t now_ns)
{
	uint32_t i;

	for (i = 0; i < t->conf.max_sessions; i++) {
		struct xfer_session *s = &t->sessions[i];

		if (s->export_index == index &&
			(s->state == SESSION_LIVE || s->state == SESSION_OPENING) &&
			!tgt_export_is_there(t, index, s->client_uuid, s->mac))
			tgt_session_kill(t, s, now_ns);
	}
}

int
xfer_tgt_export_change(struct xfer_tgt *t, uint32_t index, uint64_t size, uint32_t flags)
{
	struct wire_geometry *g;
	uint32_t i;

	if (index >= t->nb_exports || !tgt_export_is_live(t, index))
		return -ENOENT;
	g = &t->exports[index].geometry;
	if (size == 0 || size % g->block_size != 0)
		return -EINVAL;
	g->size = size;
	g->flags = flags;
	g->generation++;
	for (i = 0; i < t->conf.max_sessions; i++) {
		if (t->sessions[i].state == SESSION_LIVE && t->sessions[i].export_index == index)
			t->sessions[i].nb_events = TGT_EVENTS;
	}
	return 0;
}

bool
xfer_tgt_export_busy(const struct xfer_tgt *t, uint32_t index)
{
	uint32_t i;

	for (i = 0; i < t->conf.max_sessions; i++) {
		if (t->sessions[i].state != SESSION_FREE && t->sessions[i].export_index == index)
			return true;
	}
	return false;
}

bool
xfer_tgt_is_shared(const struct xfer_tgt *t)
{
	return t->nb_live > 1;
}

uint32_t
xfer_tgt_share(uint32_t has, uint32_t nb_free)
{
	uint64_t all = (uint64_t)has + nb_free, most = all * TGT_SHARE / (TGT_SHARE + 1);

	return most > has ? (uint32_t)(most - has) : 0;
}

/* ---- Timers ---- */

static void
tick_session(struct xfer_tgt *t, struct xfer_session *s, uint64_t now_ns)
{
	struct wire_ebd to = {.sid = s->sid, .tag = s->tag};
	uint64_t idle = now_ns - s->last_rx_ns;

	if (s->state != SESSION_LIVE)
		return;
	if (mpn_unlikely(s->nb_events > 0)) {
		s->nb_events--;
		memcpy(to.src, s->mac, sizeof(to.src));
		(void)tgt_ctrl_push(t, s->port, &to, WIRE_CTRL, WIRE_CTRL_EVENT);
	}
	if (idle >= t->conf.lease_ns) {
		t->stats.collected++;
		tgt_session_kill(t, s, now_ns);
	} else if (idle >= TGT_IDLE_NS) {
		tgt_credit_idle(t, s);
	}
}

void
xfer_tgt_tick(struct xfer_tgt *t, uint64_t now_ns)
{
	uint32_t i;

	if (now_ns < t->next_tick_ns)
		return;
	tgt_finish_sent(t);
	t->next_tick_ns = now_ns + TGT_TICK_NS;
	for (i = 0; i < t->conf.max_sessions; i++)
		tick_session(t, &t->sessions[i], now_ns);
	/* The caller's memory may have come free without a buf_put(). */
	tgt_pump(t);
}

uint64_t
xfer_tgt_deadline(const struct xfer_tgt *t)
{
	return t->next_tick_ns;
}

void
xfer_tgt_drain(struct xfer_tgt *t)
{
	t->draining = true;
}

static bool
is_tx_empty(const struct xfer_tgt *t)
{
	unsigned i;

	for (i = 0; i < t->nb_ports; i++) {
		if (t->ports[i].nb_ctrl > 0 || !mpn_list_empty(&t->ports[i].sendq))
			return false;
	}
	return true;
}

bool
xfer_tgt_leave(struct xfer_tgt *t, uint64_t now_ns)
{
	uint32_t i;

	tgt_finish_sent(t);
	if (!t->draining || t->nb_io > 0 || !is_tx_empty(t))
		return false;
	for (i = 0; i < t->conf.max_sessions; i++) {
		struct xfer_session *s = &t->sessions[i];
		struct wire_ebd to = {.sid = s->sid, .tag = s->tag};

		if (s->state != SESSION_LIVE)
			continue;
		memcpy(to.src, s->mac, sizeof(to.src));
		if (tgt_ctrl_push(t, s->port, &to, WIRE_CTRL, WIRE_CTRL_RESET) == NULL)
			return false;
		tgt_session_kill(t, s, now_ns);
	}
	return is_tx_empty(t);
}

uint32_t
xfer_tgt_outstanding(const struct xfer_tgt *t)
{
	return t->nb_io;
}

const struct xfer_stats *
xfer_tgt_stats(const struct xfer_tgt *t)
{
	return &t->stats;
}

int
xfer_tgt_session_info(
	const struct xfer_tgt *t, unsigned n, uint64_t now_ns, struct xfer_session_info *info)
{
	const struct xfer_session *s;
	uint32_t i;

	for (i = 0; i < t->conf.max_sessions; i++) {
		s = &t->sessions[i];
		if (s->state != SESSION_LIVE || n-- > 0)
			continue;
		*info = (struct xfer_session_info){
			.sid = s->sid,
			.port = s->port,
			.queue = s->queue,
			.export_index = s->export_index,
			.p = s->p,
			.depth = s->depth,
			.credits = s->credit,
			.outstanding = s->nb_running,
			.idle_ns = now_ns - s->last_rx_ns,
			.commands = s->commands,
		};
		memcpy(info->client_uuid, s->client_uuid, sizeof(info->client_uuid));
		memcpy(info->mac, s->mac, sizeof(info->mac));
		return 0;
	}
	return -ENOENT;
}
