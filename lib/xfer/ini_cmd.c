/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The initiator's commands: waiting, starting, sending, ending. */

#include "ini.h"

/* ---- Overlapping writes: the later one waits ---- */

static uint32_t
filter_index(uint64_t addr)
{
	return (uint32_t)((addr >> INI_GRANULE_SHIFT) % INI_FILTER_SIZE);
}

static bool
is_big(const struct xfer_cmd *cmd)
{
	return cmd->len > (1u << INI_GRANULE_SHIFT);
}

static void
track_write(struct xfer_ini *ini, struct xfer_cmd *cmd)
{
	mpn_list_add_tail(&ini->writes, &cmd->wrnode);
	if (is_big(cmd)) {
		ini->big_writes++;
		return;
	}
	ini->filter[filter_index(cmd->addr)]++;
	ini->filter[filter_index(cmd->addr + cmd->len - 1)]++;
}

static void
untrack_write(struct xfer_ini *ini, struct xfer_cmd *cmd)
{
	if (mpn_list_empty(&cmd->wrnode))
		return;
	mpn_list_del(&cmd->wrnode);
	if (is_big(cmd)) {
		ini->big_writes--;
		return;
	}
	ini->filter[filter_index(cmd->addr)]--;
	ini->filter[filter_index(cmd->addr + cmd->len - 1)]--;
}

static bool
overlaps_write(struct xfer_ini *ini, const struct xfer_cmd *cmd)
{
	const struct xfer_cmd *w;
	struct mpn_list *n;

	if (!is_big(cmd) && ini->big_writes == 0 && ini->filter[filter_index(cmd->addr)] == 0 &&
		ini->filter[filter_index(cmd->addr + cmd->len - 1)] == 0)
		return false;
	if (XFER_MUTATE(no_order))
		return false;
	mpn_list_for_each(n, &ini->writes) {
		w = mpn_list_entry(n, struct xfer_cmd, wrnode);
		if (cmd->addr < w->addr + w->len && w->addr < cmd->addr + cmd->len)
			return true;
	}
	return false;
}

/* ---- Starting ---- */

void
ini_queue_tx(struct xfer_ini *ini, struct xfer_cmd *cmd)
{
	if (mpn_list_empty(&cmd->txnode))
		mpn_list_add_tail(&ini->txq, &cmd->txnode);
}

static bool
may_start(struct xfer_ini *ini, struct xfer_cmd *cmd)
{
	if (ini->nb_free == 0 || ini->nb_active >= ini->depth)
		return false;
	if (wire_seq_after(ini->last_cseq + 1, ini->limit))
		return false;
	if (cmd_moves_data_in(cmd) && ini->frames_in_flight > 0 &&
		ini->frames_in_flight + ini_nb_frags(ini, cmd) > ini->conf.rx_frames)
		return false;
	if (cmd_changes(cmd) && overlaps_write(ini, cmd))
		return false;
	return ini->conf.admit == NULL || ini->conf.admit(ini->conf.ctx, cmd);
}

static void
start_cmd(struct xfer_ini *ini, struct xfer_cmd *cmd)
{
	struct ini_slot *slot;
	uint16_t i;

	i = ini->free_slots[ini->free_head];
	ini->free_head = (ini->free_head + 1) % XFER_MAX_DEPTH;
	ini->nb_free--;
	slot = &ini->slots[i];
	slot->cmd = cmd;
	slot->generation++;

	cmd->slot = i;
	cmd->tag = wire_tag((uint16_t)(ini->conf.slot_base + i), slot->generation);
	cmd->cseq = ++ini->last_cseq;
	cmd->tries = 0;
	cmd->hi = 0;
	cmd->reading = 0;
	memset(cmd->whole, 0, sizeof(cmd->whole));
	cmd->got = 0;
	cmd->want = 0;
	cmd->sent = 0;
	cmd->naked = 0;
	cmd->send_cmd = true;
	cmd->said = false;
	cmd->send_nak = false;
	cmd->deadline_ns = XFER_NO_DEADLINE;
	cmd->state = CMD_ACTIVE;

	mpn_list_del(&cmd->node);
	mpn_list_add_tail(&ini->active, &cmd->node);
	ini->nb_active++;
	if (cmd_moves_data_in(cmd))
		ini->frames_in_flight += ini_nb_frags(ini, cmd);
	if (cmd_changes(cmd))
		track_write(ini, cmd);
	ini_queue_tx(ini, cmd);
	ini->stats.commands++;
}

static void
start_pending(struct xfer_ini *ini)
{
	struct xfer_cmd *cmd;

	while (!mpn_list_empty(&ini->pending)) {
		cmd = mpn_list_first(&ini->pending, struct xfer_cmd, node);
		if (cmd->aborting) {
			/* Aborted while the session was lost: the new one has fenced it by now. */
			mpn_list_del(&cmd->node);
			mpn_list_add_tail(&ini->cancelled, &cmd->node);
			ini->next_timer_ns = 0;
			continue;
		}
		if (!may_start(ini, cmd))
			return;
		start_cmd(ini, cmd);
	}
}

/* ---- Sending ---- */

static void
cmd_header(const struct xfer_ini *ini, const struct xfer_cmd *cmd, struct wire_ebd *h,
	enum wire_ebd_kind kind, uint64_t now_ns)
{
	ini_header(ini, h, kind, cmd->op, now_ns);
	h->tag = cmd->tag;
	h->cseq = cmd->cseq;
	h->addr = cmd->addr;
}

static void
build_cmd(struct xfer_ini *ini, struct xfer_cmd *cmd, struct xfer_tx *tx, uint64_t now_ns)
{
	struct wire_ebd *h = xfer_tx_header(tx);

	cmd_header(ini, cmd, h, WIRE_CMD, now_ns);
	h->off = cmd->len;
	h->flags = cmd->flags;
	if (cmd->aborting) {
		h->op = WIRE_ABORT;
		h->flags = 0;
	} else if (cmd->op == WIRE_WRITE && cmd->len <= ini->p) {
		tx->cmd = cmd;
		tx->data_len = cmd->len;
		cmd->sent = 1;
	}
	/* The tries don't tell: an answer sets them to zero, even while the next one waits to be sent. */
	tx->retx = cmd->said;
	if (tx->retx && !XFER_MUTATE(no_retx))
		h->flags |= WIRE_F_RETX;
	cmd->said = true;
	cmd->send_cmd = false;
	xfer_tx_finish(tx, &ini->stats, ini->sealed);
}

static void
build_nak(struct xfer_ini *ini, struct xfer_cmd *cmd, struct xfer_tx *tx, uint64_t now_ns)
{
	uint64_t missing = cmd->naked & ini_read_missing(ini, cmd);
	struct wire_ebd *h = xfer_tx_header(tx);

	cmd_header(ini, cmd, h, WIRE_NAK, now_ns);
	memcpy((uint8_t *)tx->hdr + WIRE_EBD_HDR_LEN, &missing, sizeof(missing));
	tx->hdr_len += (uint32_t)sizeof(missing);
	cmd->send_nak = false;
	ini->stats.naks++;
	xfer_tx_finish(tx, &ini->stats, ini->sealed);
}

static void
build_data(struct xfer_ini *ini, struct xfer_cmd *cmd, struct xfer_tx *tx, uint64_t now_ns)
{
	uint32_t idx = (uint32_t)__builtin_ctzll(cmd->want);
	struct wire_ebd *h = xfer_tx_header(tx);

	cmd_header(ini, cmd, h, WIRE_DATA, now_ns);
	h->off = idx * ini->p;
	tx->cmd = cmd;
	tx->data_off = h->off;
	tx->data_len = xfer_frag_len(cmd->len, ini->p, idx);
	tx->retx = cmd->sent >> idx & 1;
	if (tx->retx)
		h->flags |= WIRE_F_RETX;
	if (idx + 1 == ini_nb_frags(ini, cmd))
		h->flags |= WIRE_F_LAST;
	cmd->want &= cmd->want - 1;
	cmd->sent |= 1ull << idx;
	xfer_tx_finish(tx, &ini->stats, ini->sealed);
}

/* Anything left to say? What was missing may have come since it was noted. */
static bool
has_work(struct xfer_cmd *cmd)
{
	if (cmd->send_nak && (cmd->naked & ~cmd->got) == 0)
		cmd->send_nak = false;
	return cmd->send_cmd || cmd->send_nak || cmd->want != 0;
}

bool
ini_tx_cmd(struct xfer_ini *ini, struct xfer_tx *tx, uint64_t now_ns)
{
	struct xfer_cmd *cmd;

	if (!mpn_list_empty(&ini->pending))
		start_pending(ini);
	while (!mpn_list_empty(&ini->txq)) {
		cmd = mpn_list_first(&ini->txq, struct xfer_cmd, txnode);
		if (mpn_unlikely(!has_work(cmd))) {
			mpn_list_del(&cmd->txnode);
			continue;
		}
		if (cmd->send_cmd)
			build_cmd(ini, cmd, tx, now_ns);
		else if (cmd->send_nak)
			build_nak(ini, cmd, tx, now_ns);
		else
			build_data(ini, cmd, tx, now_ns);
		if (!has_work(cmd))
			mpn_list_del(&cmd->txnode);
		ini_arm_cmd(ini, cmd, now_ns);
		return true;
	}
	return false;
}

/* A new session: nothing is active, and the target keeps as many slots as it granted depth. */
void
ini_reset_slots(struct xfer_ini *ini)
{
	uint16_t i;

	ini->free_head = 0;
	ini->nb_free = ini->depth;
	for (i = 0; i < ini->depth; i++)
		ini->free_slots[i] = i;
}

/* ---- Ending ---- */

/* Take an active command off every list and give its slot back: its tag is dead from here on. */
static void
retire_cmd(struct xfer_ini *ini, struct xfer_cmd *cmd)
{
	ini->slots[cmd->slot].cmd = NULL;
	ini->free_slots[(ini->free_head + ini->nb_free) % XFER_MAX_DEPTH] = cmd->slot;
	ini->nb_free++;
	mpn_list_del(&cmd->node);
	mpn_list_del(&cmd->txnode);
	untrack_write(ini, cmd);
	ini->nb_active--;
	if (cmd_moves_data_in(cmd))
		ini->frames_in_flight -= ini_nb_frags(ini, cmd);
}

static void
report(struct xfer_ini *ini, struct xfer_cmd *cmd, int status)
{
	cmd->state = CMD_IDLE;
	ini->nb_outstanding--;
	ini->stats.completions++;
	if (status != 0)
		ini->stats.errors++;
	cmd->done(cmd, status);
}

void
ini_complete(struct xfer_ini *ini, struct xfer_cmd *cmd, int status)
{
	retire_cmd(ini, cmd);
	report(ini, cmd, status);
}

void
ini_fail_list(struct xfer_ini *ini, struct mpn_list *list, int status)
{
	struct xfer_cmd *cmd;
	struct mpn_list ending;

	/* Callbacks may submit again: they must not meet this walk. */
	mpn_list_init(&ending);
	while (!mpn_list_empty(list)) {
		cmd = mpn_list_first(list, struct xfer_cmd, node);
		if (cmd->state == CMD_ACTIVE)
			retire_cmd(ini, cmd);
		else
			mpn_list_del(&cmd->node);
		cmd->state = CMD_ENDING;
		mpn_list_add_tail(&ending, &cmd->node);
	}
	while (!mpn_list_empty(&ending)) {
		cmd = mpn_list_first(&ending, struct xfer_cmd, node);
		mpn_list_del(&cmd->node);
		report(ini, cmd, status);
	}
}

/*
 * The session is gone: what was unanswered waits again, in front and in the old order. Commands in
 * flight together did not overlap, so that their order does not matter, and later ones stay behind.
 */
void
ini_requeue_all(struct xfer_ini *ini)
{
	struct xfer_cmd *cmd;
	struct mpn_list again;

	mpn_list_init(&again);
	while (!mpn_list_empty(&ini->active)) {
		cmd = mpn_list_first(&ini->active, struct xfer_cmd, node);
		retire_cmd(ini, cmd);
		cmd->state = CMD_PENDING;
		mpn_list_add_tail(&again, &cmd->node);
	}
	mpn_list_splice_tail(&again, &ini->pending);
	mpn_list_splice_tail(&ini->pending, &again);
}

/* ---- The caller's side ---- */

int
xfer_ini_submit(struct xfer_ini *ini, struct xfer_cmd *cmd, uint64_t now_ns)
{
	bool moves = cmd->op == WIRE_READ || cmd->op == WIRE_WRITE;

	if (ini->state == XFER_INI_IDLE || ini->state == XFER_INI_CLOSING || !ini->was_live)
		return -ENOTCONN;
	switch (cmd->op) {
	case WIRE_READ:
	case WIRE_WRITE:
	case WIRE_FLUSH:
	case WIRE_DISCARD:
	case WIRE_WRITE_ZEROES:
	case WIRE_IDENTIFY:
		break;
	default:
		return -EINVAL;
	}
	if (moves && (cmd->len == 0 || cmd->len > ini->quantum))
		return -EINVAL;
	if (cmd->op == WIRE_IDENTIFY && cmd->len != sizeof(struct wire_geometry))
		return -EINVAL;
	if (cmd_changes(cmd) && cmd->len == 0)
		return -EINVAL;
	cmd->submit_ns = now_ns;
	cmd->state = CMD_PENDING;
	cmd->aborting = false;
	mpn_list_init(&cmd->txnode);
	mpn_list_init(&cmd->wrnode);
	mpn_list_add_tail(&ini->pending, &cmd->node);
	ini->nb_outstanding++;
	return 0;
}

void
xfer_ini_abort(struct xfer_ini *ini, struct xfer_cmd *cmd, uint64_t now_ns)
{
	if (cmd->state == CMD_PENDING && ini->state != XFER_INI_LIVE) {
		/* It may have been sent in the lost session: only the next one makes an end of it. */
		cmd->aborting = true;
	} else if (cmd->state == CMD_PENDING) {
		mpn_list_del(&cmd->node);
		mpn_list_add_tail(&ini->cancelled, &cmd->node);
		ini_arm(ini, now_ns);
	} else if (cmd->state == CMD_ACTIVE && !cmd->aborting) {
		cmd->aborting = true;
		cmd->send_cmd = true;
		cmd->said = false;
		cmd->send_nak = false;
		cmd->want = 0;
		ini_queue_tx(ini, cmd);
	}
}
