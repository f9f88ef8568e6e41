/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What all nodes do: receive, poll, keep time, die and start. */

#include <stdlib.h>

#include "world.h"

#define MAX_BACKLOG 256 /* frames a receive ring holds */
#define MAX_PUMP 100000 /* frames of one poll: an engine that gives more has gone mad */
#define MAX_SPINS 1000
#define SPIN_NS 1000
#define BURST 32 /* frames that leave together */

static const uint8_t multicast[6] = WIRE_EBD_MULTICAST;

/* ---- Memory ---- */

void *
mem_get(struct sim_mem *m, size_t size)
{
	size_t need = size + SIM_GUARD;

	if (m->cap < need) {
		free(m->base);
		m->cap = (need + 4095) & ~(size_t)4095;
		m->base = aligned_alloc(64, m->cap);
		if (m->base == NULL)
			abort();
	}
	m->size = size;
	memset(m->base + size, SIM_GUARD_BYTE, SIM_GUARD);
	return m->base;
}

bool
mem_is_intact(const struct sim_mem *m)
{
	unsigned i;

	for (i = 0; i < SIM_GUARD; i++) {
		if (m->base[m->size + i] != SIM_GUARD_BYTE)
			return false;
	}
	return true;
}

/* ---- Both kinds of engine ---- */

static struct sim_ini *
ini_of(struct world *w, uint8_t node)
{
	return &w->ini[node - 1];
}

static bool
engine_tx(struct world *w, uint8_t node, struct sim_frame *f)
{
	return node == SIM_TGT ? tgt_tx(w, f) : ini_tx(w, ini_of(w, node), f);
}

static uint64_t
engine_deadline(struct world *w, uint8_t node)
{
	const struct sim_ini *ini;

	if (node == SIM_TGT)
		return xfer_tgt_deadline(w->tgt.eng);
	ini = ini_of(w, node);
	return MPN_MIN(xfer_ini_deadline(ini->eng), placing_deadline(ini));
}

static void
engine_tick(struct world *w, uint8_t node)
{
	w->node[node].in_rx = true;
	if (node == SIM_TGT)
		xfer_tgt_tick(w->tgt.eng, node_now(w, node));
	else
		xfer_ini_tick(ini_of(w, node)->eng, node_now(w, node));
	w->node[node].in_rx = false;
}

static void
engine_rx(struct world *w, struct sim_frame *f)
{
	struct xfer_rx rx = {f->data, f->data + WIRE_EBD_HDR_LEN, f->len};
	uint8_t node = f->to;

	w->node[node].in_rx = true;
	if (node == SIM_TGT)
		xfer_tgt_rx(w->tgt.eng, 0, &rx, node_now(w, node));
	else
		ini_rx(w, ini_of(w, node), f, &rx);
	w->node[node].in_rx = false;
	if (node == SIM_TGT && f->len > 14 && (f->data[14] & 0xf) == WIRE_CMD)
		tgt_check_credits(w);
}

/* ---- Time ---- */

uint64_t
node_now(const struct world *w, uint8_t node)
{
	return w->clock.now + w->node[node].clock_offset;
}

static void poll_node(struct world *w, uint8_t node);

static void
timer_event(struct world *w, void *arg, uint64_t at)
{
	struct sim_node *n = arg;
	uint8_t node = (uint8_t)(n - w->node);

	if (!n->up || n->timer_at != at)
		return;
	n->timer_at = XFER_NO_DEADLINE;
	if (n->hang_until <= w->clock.now) {
		engine_tick(w, node);
		poll_node(w, node);
	}
}

static void
set_timer(struct world *w, uint8_t node)
{
	struct sim_node *n = &w->node[node];
	uint64_t d = engine_deadline(w, node), at;

	if (d == XFER_NO_DEADLINE)
		return;
	at = d > node_now(w, node) ? d - n->clock_offset : w->clock.now + SPIN_NS;
	n->spins = d > node_now(w, node) ? 0 : n->spins + 1;
	if (n->spins > MAX_SPINS) {
		sim_fail(w, CR_liveness, "the deadline of node %u does not move", node);
		return;
	}
	if (w->conf.slop_ns > 0)
		at += rng_below(&w->net.rng, (uint32_t)w->conf.slop_ns);
	if (at >= n->timer_at)
		return;
	n->timer_at = at;
	clock_at(&w->clock, at, timer_event, n, at);
}

/* ---- Sending ---- */

static void
poll_event(struct world *w, void *arg, uint64_t incarnation)
{
	struct sim_node *n = arg;

	if (n->incarnation != incarnation)
		return;
	n->polled = false;
	if (n->up && n->hang_until <= w->clock.now)
		poll_node(w, (uint8_t)(n - w->node));
}

static void
schedule_poll(struct world *w, uint8_t node, uint64_t at)
{
	struct sim_node *n = &w->node[node];

	if (n->polled)
		return;
	n->polled = true;
	clock_at(&w->clock, at, poll_event, n, n->incarnation);
}

/* Frames of the engine that leave together. */
static unsigned
pull_burst(struct world *w, uint8_t node, struct sim_frame **burst, unsigned max)
{
	unsigned n;

	for (n = 0; n < max && !w->failure.failed; n++) {
		burst[n] = net_alloc(w);
		burst[n]->from = node;
		if (!engine_tx(w, node, burst[n])) {
			net_put(w, burst[n]);
			break;
		}
	}
	return n;
}

/* Complete what can be, before frames are pulled. */
static void
poll_pages(struct world *w, uint8_t node)
{
	if (node == SIM_TGT)
		return;
	w->node[node].in_rx = true;
	placing_poll(ini_of(w, node));
	w->node[node].in_rx = false;
}

/* Send what the engine has and the link takes, and set the timer. */
static void
poll_node(struct world *w, uint8_t node)
{
	struct sim_frame *burst[BURST];
	unsigned sent, max, n, i;

	poll_pages(w, node);
	for (sent = 0; sent < MAX_PUMP && !w->failure.failed; sent += n) {
		max = MPN_MIN(net_room(w, node), BURST);
		if (max == 0) {
			schedule_poll(w, node, net_room_at(w, node));
			break;
		}
		n = pull_burst(w, node, burst, max);
		/* Pages are in the ring before the frames that ask for their data leave. */
		if (node != SIM_TGT)
			placing_flush(ini_of(w, node));
		for (i = 0; i < n; i++)
			net_send(w, burst[i]);
		if (n < max)
			break;
	}
	if (sent >= MAX_PUMP)
		sim_fail(w, CR_liveness, "node %u sends without end", node);
	set_timer(w, node);
}

void
node_after(struct world *w, uint8_t node)
{
	if (w->node[node].hang_until > w->clock.now)
		return;
	if (w->conf.poll_ns > 0)
		schedule_poll(w, node, w->clock.now + w->conf.poll_ns);
	else
		poll_node(w, node);
}

/* ---- Receiving ---- */

/* What a NIC lets through: our ethertype, our address or the group's. */
static bool
is_for(const struct sim_frame *f)
{
	uint16_t type = f->to == SIM_TGT ? WIRE_EBD_TO_TARGET : WIRE_EBD_TO_INITIATOR;
	uint8_t mac[6];

	if (f->len < 14 || f->data[12] != type >> 8 || f->data[13] != (type & 0xff))
		return false;
	if (f->astray)
		return true;
	sim_mac(mac, f->to);
	return memcmp(f->data, mac, 6) == 0 || memcmp(f->data, multicast, 6) == 0;
}

/* What the port makes of it: nobody has looked at the frame yet. */
static bool
is_taken(struct world *w, struct sim_frame *f)
{
	if (!w->node[f->to].up)
		return false;
	return f->to == SIM_TGT || !f->bulk || placing_take(ini_of(w, f->to), f);
}

static void
process(struct world *w, struct sim_frame *f)
{
	if (is_for(f))
		engine_rx(w, f);
	if (f->to != SIM_TGT)
		placing_finish(ini_of(w, f->to), f);
	if (!f->kept)
		net_put(w, f);
}

void
node_rx(struct world *w, struct sim_frame *f)
{
	struct sim_node *n = &w->node[f->to];
	uint8_t node = f->to;

	if (!is_taken(w, f) || (f->nb_pieces == 0 && !is_for(f))) {
		net_put(w, f);
	} else if (n->hang_until > w->clock.now &&
		   (n->nb_backlog < MAX_BACKLOG || f->nb_pieces > 0)) {
		f->next = NULL;
		*n->backlog_tail = f;
		n->backlog_tail = &f->next;
		n->nb_backlog++;
	} else if (n->hang_until > w->clock.now) {
		net_put(w, f);
	} else {
		f->next = NULL;
		if (node != SIM_TGT)
			placing_receive(ini_of(w, node), f);
		process(w, f);
		node_after(w, node);
	}
}

/* ---- Hanging, dying, starting ---- */

static void
drop_backlog(struct world *w, struct sim_node *n)
{
	struct sim_frame *f;

	while ((f = n->backlog) != NULL) {
		n->backlog = f->next;
		net_put(w, f);
	}
	n->backlog_tail = &n->backlog;
	n->nb_backlog = 0;
}

static void
resume_event(struct world *w, void *arg, uint64_t incarnation)
{
	struct sim_node *n = arg;
	uint8_t node = (uint8_t)(n - w->node);
	struct sim_frame *f;

	if (n->incarnation != incarnation || n->hang_until > w->clock.now)
		return;
	if (node != SIM_TGT)
		placing_receive(ini_of(w, node), n->backlog);
	while ((f = n->backlog) != NULL) {
		n->backlog = f->next;
		process(w, f);
	}
	drop_backlog(w, n);
	engine_tick(w, node);
	poll_node(w, node);
	if (node != SIM_TGT)
		load_fill(w, ini_of(w, node));
}

void
node_hang(struct world *w, uint8_t node, uint64_t ns)
{
	struct sim_node *n = &w->node[node];

	if (!n->up)
		return;
	if (w->clock.now + ns > n->hang_until)
		n->hang_until = w->clock.now + ns;
	clock_at(&w->clock, n->hang_until, resume_event, n, n->incarnation);
}

void
node_reset(struct world *w, uint8_t node)
{
	struct sim_node *n = &w->node[node];

	memset(n, 0, sizeof(*n));
	n->timer_at = XFER_NO_DEADLINE;
	n->backlog_tail = &n->backlog;
	/* Microseconds on the wire have 32 bits: some clocks are about to wrap. */
	n->clock_offset = rng_next(&w->net.rng) >> 20;
	if (w->conf.wrap)
		n->clock_offset = ((uint64_t)1000 << 32) - (1 + node) * 200ull * 1000 * 1000;
}

void
node_start(struct world *w, uint8_t node)
{
	struct sim_node *n = &w->node[node];

	if (n->up)
		return;
	n->up = true;
	n->incarnation++;
	n->polled = false;
	n->hang_until = 0;
	n->spins = 0;
	n->timer_at = XFER_NO_DEADLINE;
	trace_event(&w->trace, w->clock.now, TR_UP, node, n->incarnation, 0, 0);
	if (node == SIM_TGT)
		tgt_boot(w);
	else
		ini_boot(w, ini_of(w, node));
	node_after(w, node);
}

static void
start_event(struct world *w, void *arg, uint64_t node)
{
	node_start(w, (uint8_t)node);
}

void
node_start_later(struct world *w, uint8_t node, uint64_t delay_ns)
{
	clock_at(&w->clock, w->clock.now + delay_ns, start_event, NULL, node);
}

void
node_kill(struct world *w, uint8_t node)
{
	struct sim_node *n = &w->node[node];

	if (!n->up)
		return;
	trace_event(&w->trace, w->clock.now, TR_DOWN, node, n->incarnation, 0, 0);
	n->up = false;
	n->incarnation++;
	drop_backlog(w, n);
	if (node == SIM_TGT)
		tgt_died(w);
	else
		ini_died(w, ini_of(w, node));
}
