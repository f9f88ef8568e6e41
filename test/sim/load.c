/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The users: random commands, most of them for a few blocks, so that they meet. */

#include "world.h"

#define STREAM_LOAD 6
#define STREAM_WAYS 10
#define MAX_ZEROES (64u << 10)
#define ABORT_MEAN_NS (100 * 1000)

void
load_reset(struct world *w, uint32_t ops)
{
	struct sim_load *l = &w->load;

	*l = (struct sim_load){.total = ops, .running = true};
	rng_seed(&l->rng, w->conf.seed, STREAM_LOAD);
	rng_seed(&l->chaos, w->conf.seed, STREAM_LOAD + 1);
	rng_seed(&l->ways, w->conf.seed, STREAM_WAYS);
}

uint8_t
load_way(struct world *w)
{
	switch (w->conf.mode) {
	case SIM_MODE_in_place:
		return SIM_PLACED;
	case SIM_MODE_loan:
		return SIM_LENT;
	case SIM_MODE_mixed:
		return (uint8_t)rng_below(&w->load.ways, 3);
	default:
		return SIM_COPIED;
	}
}

static uint8_t
draw_kind(struct world *w)
{
	struct rng *r = &w->load.rng;
	uint32_t x;

	if (w->conf.read_percent == 100)
		return WIRE_READ;
	x = rng_below(r, 100);
	if (x < 4)
		return WIRE_FLUSH;
	if (x < 8)
		return WIRE_DISCARD;
	if (x < 12)
		return WIRE_WRITE_ZEROES;
	if (x < 13)
		return WIRE_IDENTIFY;
	return rng_below(r, 100) < w->conf.read_percent ? WIRE_READ : WIRE_WRITE;
}

static void
draw_range(struct world *w, struct xfer_cmd *cmd, uint32_t max)
{
	struct rng *r = &w->load.rng;
	uint32_t block = w->conf.block, blocks = w->conf.sectors * SIM_SECTOR / block;
	uint32_t hot = rng_below(r, 10) < 8 ? w->conf.hot_blocks : blocks;
	uint32_t first = rng_below(r, hot), n;

	max = MPN_MIN(max, w->conf.max_len) / block;
	n = (uint32_t)rng_log(r, 1, MPN_MAX(max, 1u));
	n = MPN_MIN(n, blocks - first);
	cmd->addr = (uint64_t)first * block;
	cmd->len = n * block;
}

static void
draw_cmd(struct world *w, struct sim_ini *ini, struct xfer_cmd *cmd)
{
	memset(cmd, 0, sizeof(*cmd));
	cmd->op = draw_kind(w);
	switch (cmd->op) {
	case WIRE_FLUSH:
		break;
	case WIRE_IDENTIFY:
		cmd->len = sizeof(struct wire_geometry);
		break;
	case WIRE_READ:
		draw_range(w, cmd, xfer_ini_quantum(ini->eng));
		break;
	case WIRE_WRITE:
		draw_range(w, cmd, xfer_ini_quantum(ini->eng));
		cmd->flags = rng_below(&w->load.rng, 8) == 0 ? WIRE_F_FUA : 0;
		break;
	default:
		draw_range(w, cmd, MAX_ZEROES);
		if (cmd->op == WIRE_WRITE_ZEROES && rng_below(&w->load.rng, 4) == 0)
			cmd->flags = WIRE_F_FUA;
		break;
	}
}

static void
abort_event(struct world *w, void *arg, uint64_t op)
{
	struct sim_cmd *c = arg;
	struct sim_node *n = &w->node[c->ini->node];

	if (!c->live || c->op != op || n->hang_until > w->clock.now)
		return;
	ini_abort(w, c);
	node_after(w, c->ini->node);
}

/* Submit up to so many commands. */
static void
submit_some(struct world *w, struct sim_ini *ini, uint32_t max)
{
	struct sim_load *l = &w->load;
	struct sim_cmd *c;
	bool any = false;

	while (max-- > 0 && l->running && !w->failure.failed &&
		ini->nb_live < w->conf.users_depth && l->submitted < l->total &&
		ini_is_usable(ini)) {
		c = ini_cmd(ini);
		if (c == NULL)
			break;
		draw_cmd(w, ini, &c->cmd);
		if (ini_submit(w, c) != 0) {
			sim_fail(w, CR_contract, "submit refused a good command");
			break;
		}
		any = true;
		l->submitted++;
		if (sim_fault_strikes(&w->faults, SIM_F_abort))
			clock_at(&w->clock, w->clock.now + rng_exp(&l->chaos, ABORT_MEAN_NS),
				abort_event, c, c->op);
	}
	/* From within a completion, the node is being polled anyway. */
	if (any && !w->node[ini->node].in_rx)
		node_after(w, ini->node);
}

void
load_fill(struct world *w, struct sim_ini *ini)
{
	submit_some(w, ini, w->conf.users_depth);
}

/* The user has thought about what came of a command, and submits another. */
static void
next_event(struct world *w, void *arg, uint64_t incarnation)
{
	struct sim_ini *ini = arg;

	if (w->node[ini->node].incarnation == incarnation)
		submit_some(w, ini, 1);
}

void
load_done(struct world *w, const struct sim_cmd *c, int status)
{
	struct sim_load *l = &w->load;
	struct sim_ini *ini = c->ini;
	uint64_t took = node_now(w, ini->node) - c->cmd.submit_ns;
	uint64_t think = w->conf.think_ns == 0 ? 0 : rng_exp(&l->rng, w->conf.think_ns);

	l->ended++;
	l->slowest_ns = MPN_MAX(l->slowest_ns, took);
	l->retired++;
	l->by_status[status == 0 ? 0 : status == -ECANCELED ? 1 : 2]++;
	if (!l->running || w->failure.failed)
		return;
	chaos_step(w);
	if (think == 0 && !ini->closing && rng_ppm(&l->rng, w->conf.direct_ppm))
		submit_some(w, ini, 1);
	else
		clock_at(&w->clock, w->clock.now + think, next_event, ini,
			w->node[ini->node].incarnation);
}
