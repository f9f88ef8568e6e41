/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* An initiator and its user's side of the contract. */

#include <stdalign.h>
#include <stdlib.h>

#include "world.h"

#define REOPEN_NS (5 * 1000 * 1000ull)

static uint8_t guard[SIM_GUARD];

uint8_t *
ini_data(const struct sim_cmd *c)
{
	return c->room + SIM_GUARD;
}

/* ---- Events that its user schedules ---- */

static void
open_event(struct world *w, void *arg, uint64_t incarnation)
{
	struct sim_ini *ini = arg;
	struct sim_node *n = &w->node[ini->node];

	if (!n->up || n->incarnation != incarnation || !ini->wants_open)
		return;
	if (n->hang_until > w->clock.now) {
		clock_at(&w->clock, n->hang_until, open_event, ini, incarnation);
		return;
	}
	if (xfer_ini_open(ini->eng, node_now(w, ini->node)) != 0)
		return;
	node_after(w, ini->node);
}

static void
fill_event(struct world *w, void *arg, uint64_t incarnation)
{
	struct sim_ini *ini = arg;

	if (w->node[ini->node].up && w->node[ini->node].incarnation == incarnation)
		load_fill(w, ini);
}

static void
at_incarnation(struct world *w, uint64_t delay_ns, sim_event_fn fn, struct sim_ini *ini)
{
	clock_at(&w->clock, w->clock.now + delay_ns, fn, ini, w->node[ini->node].incarnation);
}

/* ---- The engine's callbacks ---- */

static void
place(void *ctx, struct xfer_cmd *cmd, uint32_t off, const void *payload, uint32_t len)
{
	struct sim_ini *ini = ctx;
	struct sim_cmd *c = (struct sim_cmd *)cmd;
	uint32_t p = xfer_ini_p(ini->eng), idx = off / p;

	if (!c->live || (cmd->op != WIRE_READ && cmd->op != WIRE_IDENTIFY) || len == 0 ||
		off > cmd->len || len > cmd->len - off) {
		sim_fail(ini->w, CR_contract,
			"initiator %u places %u bytes at %u of a command that is %s", ini->index,
			len, off, c->live ? "shorter or no read" : "over");
		return;
	}
	/* Fragments that share a block may be replaced by those of a later reading. */
	if (c->placed >> idx & 1 && p % ini->w->conf.block == 0) {
		sim_fail(
			ini->w, CR_contract, "fragment %u of read #%u is placed twice", idx, c->op);
		return;
	}
	c->placed |= 1ull << idx;
	if (cmd->flags & WIRE_F_BULK)
		placing_place(ini, c, off, payload, len);
	else if (c->nb_reserved > 0)
		lending_place(c, off, payload, len);
	else
		memmove(ini_data(c) + off, payload, len);
}

static bool
is_guarded(const struct sim_cmd *c)
{
	return memcmp(c->room, guard, SIM_GUARD) == 0 &&
	       memcmp(ini_data(c) + c->cmd.len, guard, SIM_GUARD) == 0;
}

static void
check_identify(struct world *w, const struct sim_cmd *c)
{
	const struct wire_geometry *g = xfer_ini_geometry(c->ini->eng);

	if (memcmp(ini_data(c), g, sizeof(*g)) != 0)
		sim_fail(w, CR_corruption, "#%u identifies another volume", c->op);
}

/* A word of every 64 bytes says whether somebody wrote there: what is written is longer. */
static uint64_t
seal_of(const struct sim_cmd *c, uint32_t len)
{
	uint64_t sum = len, word;
	uint32_t at;

	for (at = 0; at + sizeof(word) <= len; at += 64) {
		memcpy(&word, ini_data(c) + at, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
	}
	return sum;
}

static void
check_seal(struct sim_cmd *c)
{
	if (c->sealed_len > 0 && seal_of(c, c->sealed_len) != c->seal)
		sim_fail(c->ini->w, CR_corruption, "memory of #%u is written to after its end",
			c->op);
	c->sealed_len = 0;
}

void
ini_check_seals(struct sim_ini *ini)
{
	unsigned i;

	for (i = 0; i < SIM_MAX_CMDS; i++)
		check_seal(&ini->cmd[i]);
}

void
ini_done(struct xfer_cmd *cmd, int status)
{
	struct sim_cmd *c = (struct sim_cmd *)cmd;
	struct sim_ini *ini = c->ini;
	struct world *w = ini->w;

	if (c->live && c->nb_reserved > 0)
		status = lending_end(c, status);
	trace_event(
		&w->trace, w->clock.now, TR_DONE, ini->node, c->op, (uint64_t)(int64_t)status, 0);
	if (!c->live) {
		sim_fail(w, CR_completion, "done() of a command that is over: #%u", c->op);
		return;
	}
	if (ini->in_call || (!w->node[ini->node].in_rx && !ini->closing))
		sim_fail(w, CR_contract, "done() of #%u from within submit or abort", c->op);
	if (c->nb_held > 0)
		sim_fail(w, CR_contract, "#%u ends with %u pages in the ring", c->op, c->nb_held);
	if (!is_guarded(c))
		sim_fail(w, CR_contract, "#%u wrote outside its buffer", c->op);
	if (status == 0 && cmd->op == WIRE_IDENTIFY)
		check_identify(w, c);
	oracle_done(w, c->op, status, ini_data(c));
	if (ini->placer != NULL && cmd->op == WIRE_READ) {
		c->sealed_len = cmd->len;
		c->seal = seal_of(c, cmd->len);
	}
	c->live = false;
	c->status = status;
	c->next_free = ini->free;
	ini->free = c;
	ini->nb_live--;
	load_done(w, c, status);
}

static void
check_opened(struct world *w, struct sim_ini *ini)
{
	const struct wire_geometry *g = xfer_ini_geometry(ini->eng);
	uint32_t p = xfer_ini_p(ini->eng);

	if (g->size != (uint64_t)w->conf.sectors * SIM_SECTOR || g->block_size != w->conf.block)
		sim_fail(w, CR_contract, "initiator %u has the wrong geometry", ini->index);
	if (!wire_p_valid(p) || p > w->conf.p_ini || p > w->conf.p_tgt ||
		WIRE_EBD_HDR_LEN + p > w->conf.path_len)
		sim_fail(w, CR_contract, "initiator %u settled on payload unit %u", ini->index, p);
}

static void
event(void *ctx, enum xfer_ini_event ev, int status)
{
	struct sim_ini *ini = ctx;
	struct world *w = ini->w;
	unsigned i;

	trace_event(&w->trace, w->clock.now, TR_SESSION, ini->node, ev, (uint64_t)(int64_t)status,
		xfer_ini_sid(ini->eng));
	if (ini->in_call)
		sim_fail(w, CR_contract, "an event from within submit or abort");
	switch (ev) {
	case XFER_EV_OPENED:
		ini->opened++;
		ini->said_sid = 0; /* a target that started again may give the same once more */
		check_opened(w, ini);
		oracle_opened(w, ini->index);
		for (i = 0; i < SIM_MAX_CMDS; i++) {
			ini->cmd[i].placed = 0;
			ini->cmd[i].sent = 0;
		}
		at_incarnation(w, 0, fill_event, ini);
		break;
	case XFER_EV_LOST:
		placing_lost(ini);
		break;
	case XFER_EV_REFUSED:
		if (xfer_ini_get_state(ini->eng) == XFER_INI_IDLE)
			at_incarnation(w, REOPEN_NS, open_event, ini);
		break;
	case XFER_EV_CLOSED:
		ini->closing = false;
		at_incarnation(w, REOPEN_NS, open_event, ini);
		break;
	default:
		break;
	}
}

/* ---- Sending ---- */

/* A first copy is none that was sent before, and everything else is. An ABORT has first copies too. */
static void
check_retx(struct world *w, struct sim_ini *ini, const struct wire_ebd *h)
{
	bool again = h->sid == ini->said_sid && !wire_seq_after(h->cseq, ini->said_cseq);

	if (h->op != WIRE_ABORT && again != !!(h->flags & WIRE_F_RETX))
		sim_fail(w, CR_contract, "initiator %u sends command %u %s RETX", ini->index,
			h->cseq, again ? "again without" : "for the first time with");
	if (!again) {
		ini->said_sid = h->sid;
		ini->said_cseq = h->cseq;
	}
}

bool
ini_tx(struct world *w, struct sim_ini *ini, struct sim_frame *f)
{
	/* The network keeps frames at any address. */
	alignas(8) uint8_t room[XFER_TX_ROOM];
	struct xfer_tx tx = {.hdr = room};
	struct xfer_seg seg;
	struct sim_cmd *c;
	uint32_t idx;
	bool wants = xfer_ini_wants_tx(ini->eng);

	if (!xfer_ini_tx(ini->eng, &tx, node_now(w, ini->node)))
		return false;
	if (!wants)
		sim_fail(
			w, CR_contract, "initiator %u did not say that it has a frame", ini->index);
	if (wire_ebd_kind(tx.hdr) == WIRE_CMD)
		check_retx(w, ini, tx.hdr);
	f->len = tx.hdr_len + tx.data_len;
	seg = (struct xfer_seg){f->data + tx.hdr_len, tx.data_len};
	c = (struct sim_cmd *)tx.cmd;
	if (f->len > SIM_FRAME_ROOM - SIM_FRAME_GROWTH || tx.hdr_len < WIRE_EBD_HDR_LEN ||
		(tx.hdr_len > WIRE_EBD_HDR_LEN && tx.data_len > 0)) {
		sim_fail(w, CR_contract, "initiator %u sends a frame of %u + %u bytes", ini->index,
			tx.hdr_len, tx.data_len);
		return false;
	}
	if (c == NULL) {
		memset(f->data + tx.hdr_len, 0, tx.data_len);
	} else {
		idx = tx.data_off / xfer_ini_p(ini->eng);
		if (!c->live || c->cmd.op != WIRE_WRITE || tx.data_off > c->cmd.len ||
			tx.data_len > c->cmd.len - tx.data_off ||
			(c->sent >> idx & 1 && !tx.retx)) {
			sim_fail(w, CR_contract,
				"initiator %u sends [%u, +%u) of #%u%s, which it may not",
				ini->index, tx.data_off, tx.data_len, c->op,
				tx.retx ? " again" : "");
			return false;
		}
		c->sent |= 1ull << idx;
		memcpy(f->data + tx.hdr_len, ini_data(c) + tx.data_off, tx.data_len);
	}
	if (tx.seal)
		xfer_tx_seal(&tx, &seg, tx.data_len > 0);
	memcpy(f->data, room, tx.hdr_len);
	return true;
}

void
ini_rx(struct world *w, struct sim_ini *ini, struct sim_frame *f, struct xfer_rx *rx)
{
	placing_begin(ini, f, rx);
	xfer_ini_rx(ini->eng, rx, node_now(w, ini->node));
}

/* ---- Commands ---- */

struct sim_cmd *
ini_cmd(struct sim_ini *ini)
{
	struct sim_cmd *c = ini->free;

	if (c != NULL)
		ini->free = c->next_free;
	return c;
}

int
ini_submit(struct world *w, struct sim_cmd *c)
{
	struct sim_ini *ini = c->ini;
	int ret;

	check_seal(c);
	memset(ini_data(c) + c->cmd.len, SIM_GUARD_BYTE, SIM_GUARD);
	c->cmd.done = ini_done;
	c->way = load_way(w);
	lending_prepare(c);
	ini->in_call = true;
	ret = xfer_ini_submit(ini->eng, &c->cmd, node_now(w, ini->node));
	ini->in_call = false;
	if (ret != 0) {
		lending_cancel(c);
		c->next_free = ini->free;
		ini->free = c;
		return ret;
	}
	c->live = true;
	c->placed = 0;
	c->sent = 0;
	ini->nb_live++;
	c->op = oracle_submit(w, ini->index, &c->cmd);
	if (c->cmd.op == WIRE_WRITE)
		sector_fill(ini_data(c), (uint32_t)(c->cmd.addr / SIM_SECTOR),
			c->cmd.len / SIM_SECTOR, c->op, ini->index);
	else if (c->cmd.op == WIRE_READ)
		memset(ini_data(c), SIM_POISON_BYTE, c->cmd.len);
	trace_event(&w->trace, w->clock.now, TR_SUBMIT, ini->node, c->op, c->cmd.op,
		c->cmd.addr / SIM_SECTOR << 32 | c->cmd.len / SIM_SECTOR);
	return 0;
}

void
ini_abort(struct world *w, struct sim_cmd *c)
{
	trace_event(&w->trace, w->clock.now, TR_ABORT, c->ini->node, c->op, 0, 0);
	w->oracle.op[c->op].aborted = true;
	c->ini->in_call = true;
	xfer_ini_abort(c->ini->eng, &c->cmd, node_now(w, c->ini->node));
	c->ini->in_call = false;
}

void
ini_close(struct world *w, struct sim_ini *ini)
{
	unsigned i;

	trace_event(&w->trace, w->clock.now, TR_CLOSE, ini->node, 0, 0, 0);
	for (i = 0; i < SIM_MAX_CMDS; i++) {
		if (ini->cmd[i].live)
			w->oracle.op[ini->cmd[i].op].closed = true;
	}
	ini->closing = true;
	xfer_ini_close(ini->eng, node_now(w, ini->node));
}

bool
ini_is_usable(const struct sim_ini *ini)
{
	const struct sim_node *n = &ini->w->node[ini->node];
	enum xfer_ini_state s;

	if (!n->up || n->hang_until > ini->w->clock.now || ini->opened == 0)
		return false;
	s = xfer_ini_get_state(ini->eng);
	return s != XFER_INI_IDLE && s != XFER_INI_CLOSING;
}

/* ---- Life ---- */

static void
reset_cmds(struct sim_ini *ini)
{
	unsigned i;

	ini->free = NULL;
	ini->nb_live = 0;
	for (i = SIM_MAX_CMDS; i-- > 0;) {
		ini->cmd[i].live = false;
		ini->cmd[i].nb_held = 0;
		ini->cmd[i].nb_reserved = 0;
		ini->cmd[i].sealed_len = 0;
		xfer_placed_init(&ini->cmd[i].placed_read, ini->cmd[i].pages);
		ini->cmd[i].next_free = ini->free;
		ini->free = &ini->cmd[i];
	}
}

void
ini_boot(struct world *w, struct sim_ini *ini)
{
	struct xfer_ini_conf *c = &ini->conf;

	xfer_ini_conf_default(c);
	memset(c->client_uuid, 0xc0 + ini->client, sizeof(c->client_uuid));
	c->nonce = (1 + w->deaths[ini->client]) << 32;
	sim_mac(c->mac, ini->node);
	if (w->conf.seed & 1)
		sim_mac(c->target, SIM_TGT);
	memcpy(c->volume, "disk", 5);
	c->p_max = w->conf.p_ini;
	c->depth = w->conf.depth;
	c->slot_base = (uint16_t)(ini->index * SIM_SLOTS);
	c->queue = ini->index == ini->client ? 0 : 1;
	if (w->conf.takeover && c->queue == 1) {
		c->queue = 0;
		c->nonce <<= 8;
	}
	c->features = w->conf.crc ? WIRE_FEAT_CRC : 0;
	c->rx_frames = w->conf.rx_frames;
	c->rto_min_ns = w->conf.rto_min_ns;
	c->fail_after_ns = w->conf.fail_after_ns;
	if (w->conf.ring_pairs > 0)
		c->features |= WIRE_FEAT_BULK;
	c->place = place;
	c->admit = placing_admit;
	c->event = event;
	c->ctx = ini;
	ini->eng = xfer_ini_init(mem_get(&ini->mem, xfer_ini_size(c)), c);
	if (ini->eng == NULL)
		abort();
	ini->opened = 0;
	ini->said_sid = 0;
	ini->said_cseq = 0;
	ini->closing = false;
	ini->wants_open = true;
	reset_cmds(ini);
	placing_start(ini);
	lending_start(ini);
	at_incarnation(w, 0, open_event, ini);
}

void
ini_died(struct world *w, struct sim_ini *ini)
{
	if (!mem_is_intact(&ini->mem))
		sim_fail(w, CR_contract, "initiator %u wrote behind its memory", ini->index);
	world_add_stats(&w->dead, xfer_ini_stats(ini->eng));
	w->load.retired += ini->nb_live;
	w->deaths[ini->client]++;
	oracle_killed(w, ini->index);
	memset(ini->mem.base, 0xee, ini->mem.size);
	placing_end(ini);
	lending_died(ini);
	ini_check_seals(ini);
	reset_cmds(ini);
}

void
ini_reset(struct world *w, uint8_t index)
{
	struct sim_ini *ini = &w->ini[index];
	unsigned i;

	memset(guard, SIM_GUARD_BYTE, sizeof(guard));
	ini->w = w;
	ini->index = index;
	ini->node = (uint8_t)(index + 1);
	ini->client = (uint8_t)(index < w->conf.nb_clients ? index : 0);
	ini->wants_open = false;
	ini->placer = NULL;
	for (i = 0; i < SIM_MAX_CMDS; i++) {
		ini->cmd[i].ini = ini;
		if (ini->cmd[i].room == NULL) {
			ini->cmd[i].room = malloc(SIM_BUF_SIZE);
			if (ini->cmd[i].room == NULL)
				abort();
			memset(ini->cmd[i].room, SIM_GUARD_BYTE, SIM_GUARD);
		}
	}
	reset_cmds(ini);
}

void
ini_free(struct sim_ini *ini)
{
	unsigned i;

	for (i = 0; i < SIM_MAX_CMDS; i++) {
		free(ini->cmd[i].room);
		ini->cmd[i].room = NULL;
	}
	placing_free(ini);
	free(ini->mem.base);
	memset(&ini->mem, 0, sizeof(ini->mem));
}
