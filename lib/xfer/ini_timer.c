/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The initiator's clockwork: round-trip times, retransmission, a silent peer. */

#include "ini.h"

/* A sample above this is a clock that jumped or a forged echo. */
#define RTT_SANE_US (60u * 1000 * 1000)

void
ini_arm(struct xfer_ini *ini, uint64_t deadline_ns)
{
	if (deadline_ns < ini->next_timer_ns)
		ini->next_timer_ns = deadline_ns;
}

/* RFC 6298 with its gains; the echo makes Karn's rule unnecessary. */
void
ini_rtt_sample(struct xfer_ini *ini, uint32_t ts_echo, uint64_t now_ns)
{
	uint32_t us = xfer_us(now_ns) - ts_echo;
	uint64_t rtt, diff;

	if (ts_echo == 0 || us > RTT_SANE_US)
		return;
	rtt = (uint64_t)us * XFER_NSEC_PER_USEC + XFER_NSEC_PER_USEC / 2;
	if (ini->srtt_ns == 0) {
		ini->srtt_ns = rtt;
		ini->rttvar_ns = rtt / 2;
		return;
	}
	diff = rtt > ini->srtt_ns ? rtt - ini->srtt_ns : ini->srtt_ns - rtt;
	ini->rttvar_ns += diff / 4 - ini->rttvar_ns / 4;
	ini->srtt_ns += rtt / 8 - ini->srtt_ns / 8;
}

static uint64_t
rto_ns(const struct xfer_ini *ini, unsigned tries)
{
	uint64_t rto = ini->srtt_ns + 4 * ini->rttvar_ns;

	if (rto < ini->conf.rto_min_ns)
		rto = ini->conf.rto_min_ns;
	rto <<= MPN_MIN(tries, 16u);
	return MPN_MIN(rto, ini->conf.rto_max_ns);
}

/* The command has just sent or heard something: how long may it be quiet now? */
void
ini_arm_cmd(struct xfer_ini *ini, struct xfer_cmd *cmd, uint64_t now_ns)
{
	uint64_t wait;

	if (cmd->tries == 0 && !ini->tail_probe_out)
		wait = MPN_MAX(2 * ini->srtt_ns, ini->conf.probe_ns);
	else
		wait = rto_ns(ini, cmd->tries > 0 ? cmd->tries - 1u : 0);
	cmd->deadline_ns = now_ns + wait;
	ini_arm(ini, cmd->deadline_ns);
}

void
ini_count_unanswered(struct xfer_ini *ini, uint64_t now_ns)
{
	if (ini->unanswered++ == 0)
		ini->unanswered_ns = now_ns;
}

static bool
is_peer_dead(const struct xfer_ini *ini, uint64_t now_ns)
{
	return ini->unanswered >= INI_DEAD_FRAMES &&
	       now_ns - ini->unanswered_ns >= ini->conf.dead_ns;
}

/* A command was quiet for too long. The first time it is a tail probe: one for the whole peer. */
static void
poke_cmd(struct xfer_ini *ini, struct xfer_cmd *cmd, uint64_t now_ns)
{
	if (cmd->tries == 0 && ini->tail_probe_out) {
		/* Another command asks already; this one waits for its own timer. */
		cmd->tries = 1;
		ini_arm_cmd(ini, cmd, now_ns);
		return;
	}
	if (cmd->tries == 0) {
		ini->tail_probe_out = true;
		ini->stats.duplicates++;
	} else {
		ini->stats.timeouts++;
	}
	if (cmd->tries < UINT8_MAX)
		cmd->tries++;
	if (XFER_MUTATE(no_retry))
		return;
	ini_count_unanswered(ini, now_ns);
	if (cmd_moves_data_in(cmd) && (cmd->got != 0 || cmd->reading != 0) && !cmd->aborting) {
		cmd->naked = ini_read_missing(ini, cmd);
		cmd->send_nak = true;
	} else {
		cmd->send_cmd = true;
	}
	ini_queue_tx(ini, cmd);
	ini_arm_cmd(ini, cmd, now_ns);
}

static void
run_cmd_timers(struct xfer_ini *ini, uint64_t now_ns)
{
	struct mpn_list *n, *tmp;
	struct xfer_cmd *cmd;

	mpn_list_for_each_safe(n, tmp, &ini->active) {
		cmd = mpn_list_entry(n, struct xfer_cmd, node);
		if (cmd->deadline_ns <= now_ns)
			poke_cmd(ini, cmd, now_ns);
		else
			ini_arm(ini, cmd->deadline_ns);
	}
}

static void
run_keepalive(struct xfer_ini *ini, uint64_t now_ns)
{
	uint64_t due = ini->last_rx_ns + ini->conf.keepalive_ns;

	if (ini->unanswered > 0)
		due = MPN_MAX(
			due, ini->unanswered_ns + ini->unanswered * (ini->conf.keepalive_ns / 4));
	if (now_ns >= due) {
		ini->probe_due = true;
		ini_count_unanswered(ini, now_ns);
		due = now_ns + ini->conf.keepalive_ns / 4;
	}
	ini_arm(ini, due);
}

/* Commands that waited too long for a peer that is gone. */
static void
fail_overdue(struct xfer_ini *ini, uint64_t now_ns)
{
	uint64_t t = ini->conf.fail_after_ns;
	struct mpn_list *n, *tmp, overdue;
	struct xfer_cmd *cmd;

	if (t == 0 || ini->state == XFER_INI_LIVE || mpn_list_empty(&ini->pending))
		return;
	mpn_list_init(&overdue);
	mpn_list_for_each_safe(n, tmp, &ini->pending) {
		cmd = mpn_list_entry(n, struct xfer_cmd, node);
		if (now_ns - MPN_MAX(cmd->submit_ns, ini->lost_ns) >= t) {
			mpn_list_del(n);
			mpn_list_add_tail(&overdue, n);
		}
	}
	ini_fail_list(ini, &overdue, -ETIMEDOUT);
}

void
xfer_ini_tick(struct xfer_ini *ini, uint64_t now_ns)
{
	if (now_ns < ini->next_timer_ns)
		return;
	ini->next_timer_ns = XFER_NO_DEADLINE;
	if (!mpn_list_empty(&ini->cancelled))
		ini_fail_list(ini, &ini->cancelled, -ECANCELED);
	if (ini->state == XFER_INI_LIVE) {
		run_cmd_timers(ini, now_ns);
		run_keepalive(ini, now_ns);
		if (is_peer_dead(ini, now_ns))
			ini_reopen(ini, now_ns);
	} else if (ini->state != XFER_INI_IDLE) {
		fail_overdue(ini, now_ns);
		ini_ctrl_timer(ini, now_ns);
	}
}

uint64_t
xfer_ini_deadline(const struct xfer_ini *ini)
{
	return ini->next_timer_ns;
}
