/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>

#include "world.h"

#define CHUNK 64
#define MAX_STALE 256
#define STALE_MIN_NS (1000 * 1000ull)
#define STALE_MAX_NS (60 * XFER_NSEC_PER_SEC)
#define BURST_MAX 8
#define STREAM_NET 2

void
sim_mac(uint8_t mac[6], unsigned node)
{
	const uint8_t m[6] = {0x02, 0x53, 0x49, 0x4d, 0x00, (uint8_t)node};

	memcpy(mac, m, 6);
}

/* ---- Frames ---- */

static void
grow(struct sim_net *net)
{
	struct sim_frame *chunk = calloc(CHUNK, sizeof(*chunk));
	unsigned i;

	if (chunk == NULL)
		abort();
	/* The first one of a chunk only links the chunks. */
	chunk->next = net->chunks;
	net->chunks = chunk;
	for (i = 1; i < CHUNK; i++) {
		chunk[i].next = net->free;
		net->free = &chunk[i];
	}
}

struct sim_frame *
net_alloc(struct world *w)
{
	struct sim_net *net = &w->net;
	struct sim_frame *f;

	if (net->free == NULL)
		grow(net);
	f = net->free;
	net->free = f->next;
	net->nb_out++;
	f->astray = false;
	f->stale = false;
	f->bulk = false;
	f->kept = false;
	f->own = false;
	f->nb_pieces = 0;
	f->len = 0;
	f->data = f->room + w->conf.frame_align;
	return f;
}

void
net_put(struct world *w, struct sim_frame *f)
{
	f->next = w->net.free;
	w->net.free = f;
	w->net.nb_out--;
}

struct sim_frame *
net_copy(struct world *w, const struct sim_frame *f)
{
	struct sim_frame *c = net_alloc(w);

	c->len = f->len;
	c->from = f->from;
	c->to = f->to;
	c->astray = f->astray;
	c->bulk = f->bulk;
	memcpy(c->data, f->data, f->len);
	return c;
}

void
net_reset(struct world *w)
{
	struct sim_net *net = &w->net;
	struct sim_frame *chunk, *chunks = net->chunks;
	unsigned i;

	memset(net, 0, sizeof(*net));
	net->chunks = chunks;
	for (chunk = chunks; chunk != NULL; chunk = chunk->next) {
		for (i = 1; i < CHUNK; i++) {
			chunk[i].next = net->free;
			net->free = &chunk[i];
		}
	}
	rng_seed(&net->rng, w->conf.seed, STREAM_NET);
}

void
net_free_all(struct sim_net *net)
{
	struct sim_frame *chunk;

	while ((chunk = net->chunks) != NULL) {
		net->chunks = chunk->next;
		free(chunk);
	}
	net->free = NULL;
}

/* ---- The NIC's transmit queue ---- */

uint32_t
net_room(struct world *w, uint8_t node)
{
	struct sim_nic *nic = &w->net.nic[node];

	while (nic->n > 0 && nic->leaves[nic->head] <= w->clock.now) {
		nic->head = (nic->head + 1) % SIM_NIC_QUEUE;
		nic->n--;
	}
	return nic->n < w->conf.nic_queue ? w->conf.nic_queue - nic->n : 0;
}

uint64_t
net_room_at(const struct world *w, uint8_t node)
{
	return w->net.nic[node].leaves[w->net.nic[node].head];
}

static uint64_t
leave_nic(struct world *w, const struct sim_frame *f)
{
	struct sim_nic *nic = &w->net.nic[f->from];
	uint64_t start = nic->free_at > w->clock.now ? nic->free_at : w->clock.now;

	nic->free_at = start + ((uint64_t)f->len * w->conf.ps_per_byte) / 1000 + 1;
	nic->leaves[(nic->head + nic->n) % SIM_NIC_QUEUE] = nic->free_at;
	nic->n++;
	return nic->free_at - w->clock.now;
}

/* ---- The switch ---- */

static void
lose(struct world *w, struct sim_frame *f, enum sim_fault why)
{
	trace_frame(&w->trace, w->clock.now, TR_LOST, f->from, f->to, why, f->data, f->len);
	net_put(w, f);
}

static void
arrive(struct world *w, void *arg, uint64_t aux)
{
	struct sim_frame *f = arg;

	if (f->stale)
		w->net.nb_stale--;
	w->net.nb_arrived++;
	trace_frame(&w->trace, w->clock.now, TR_ARRIVE, f->from, f->to, 0, f->data, f->len);
	node_rx(w, f);
}

void
net_inject(struct world *w, struct sim_frame *f, uint8_t to, uint64_t delay_ns)
{
	f->to = to;
	clock_at(&w->clock, w->clock.now + delay_ns, arrive, f, 0);
}

/* Is the frame lost on its way to f->to? Says why. */
static bool
is_lost(struct world *w, const struct sim_frame *f, enum sim_fault *why)
{
	struct sim_net *net = &w->net;
	uint64_t now = w->clock.now;
	bool lost = true;

	if (now < net->mute_until[f->from] || now < net->deaf_until[f->to]) {
		*why = SIM_F_partition;
	} else if (f->len > w->conf.path_len) {
		*why = SIM_F_smallpath;
		w->faults.hits[SIM_F_smallpath]++;
	} else if (now < net->small_until && f->len > WIRE_EBD_HDR_LEN + WIRE_EBD_P_SMALL) {
		*why = SIM_F_mtu;
	} else if (net->burst_left[f->from] > 0) {
		net->burst_left[f->from]--;
		*why = SIM_F_burst;
	} else if (sim_fault_strikes(&w->faults, SIM_F_burst)) {
		net->burst_left[f->from] =
			1 + rng_below(&w->faults.rng[SIM_F_burst], BURST_MAX - 1);
		*why = SIM_F_burst;
	} else if (sim_fault_strikes(&w->faults, SIM_F_loss)) {
		*why = SIM_F_loss;
	} else {
		lost = false;
	}
	return lost;
}

static void
flip_bits(struct world *w, struct sim_frame *f)
{
	struct rng *r = &w->faults.rng[SIM_F_corrupt];
	uint32_t n = 1 + rng_below(r, 8), bit;

	/* Half of the time in the header, where each bit means something. */
	uint32_t bytes = rng_below(r, 2) ? f->len : MPN_MIN(f->len, WIRE_EBD_HDR_LEN);

	while (n-- > 0) {
		bit = rng_below(r, bytes * 8);
		f->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void
grow_frame(struct world *w, struct sim_frame *f)
{
	struct rng *r = &w->faults.rng[SIM_F_pad];
	uint32_t n = 1 + rng_below(r, rng_below(r, 2) ? SIM_FRAME_GROWTH : 4);

	memset(f->data + f->len, (int)rng_below(r, 256), n);
	f->len += n;
}

static void
note_strike(struct world *w, enum sim_fault kind, const struct sim_frame *f)
{
	trace_event(&w->trace, w->clock.now, TR_FAULT, f->from, kind, f->to, f->len);
}

/*
 * Change the frame as the faults want it. Cut and grown, it could have the right length again: that
 * is a corruption, and only checksums find those.
 */
static void
damage(struct world *w, struct sim_frame *f)
{
	struct sim_faults *faults = &w->faults;

	if (sim_fault_strikes(faults, SIM_F_corrupt)) {
		flip_bits(w, f);
		note_strike(w, SIM_F_corrupt, f);
	}
	if (sim_fault_strikes(faults, SIM_F_truncate)) {
		f->len = rng_below(&faults->rng[SIM_F_truncate], f->len);
		note_strike(w, SIM_F_truncate, f);
	} else if (sim_fault_strikes(faults, SIM_F_pad)) {
		grow_frame(w, f);
		note_strike(w, SIM_F_pad, f);
	}
	if (sim_fault_strikes(faults, SIM_F_misdeliver)) {
		f->to = (uint8_t)rng_below(&faults->rng[SIM_F_misdeliver], w->nb_ini + 1);
		f->astray = true;
		note_strike(w, SIM_F_misdeliver, f);
	}
}

/*
 * The port of the switch towards f->to: frames wait there for each other, and what finds too many is
 * dropped.
 * @param delay  until the frame is at the port; then, until it has left it
 */
static bool
pass_port(struct world *w, const struct sim_frame *f, uint64_t *delay)
{
	uint64_t *free_at = &w->net.port_free_at[f->to], at = w->clock.now + *delay;
	uint64_t wait = *free_at > at ? *free_at - at : 0;

	if (w->faults.active && wait > w->conf.port_queue_ns) {
		w->faults.hits[SIM_F_queue]++;
		return false;
	}
	*delay += wait + (uint64_t)f->len * w->conf.ps_per_byte / 1000;
	*free_at = w->clock.now + *delay;
	return true;
}

static uint64_t
extra_delay(struct world *w)
{
	uint64_t d = 0;

	if (w->conf.jitter_ns > 0)
		d += rng_exp(&w->net.rng, w->conf.jitter_ns);
	if (sim_fault_strikes(&w->faults, SIM_F_reorder))
		d += rng_exp(&w->faults.rng[SIM_F_reorder], w->conf.reorder_ns);
	return d;
}

static void
record_stale(struct world *w, const struct sim_frame *f)
{
	struct sim_frame *c;

	if (w->net.nb_stale >= MAX_STALE || f->len > w->conf.path_len ||
		!sim_fault_strikes(&w->faults, SIM_F_stale))
		return;
	c = net_copy(w, f);
	c->stale = true;
	w->net.nb_stale++;
	note_strike(w, SIM_F_stale, f);
	net_inject(w, c, c->to, rng_log(&w->faults.rng[SIM_F_stale], STALE_MIN_NS, STALE_MAX_NS));
}

/* Send f to its node; it reaches the switch after this delay. */
static void
forward(struct world *w, struct sim_frame *f, uint64_t delay)
{
	if (pass_port(w, f, &delay))
		net_inject(w, f, f->to, delay + extra_delay(w));
	else
		lose(w, f, SIM_F_queue);
}

static void
route(struct world *w, struct sim_frame *f, uint8_t to, uint64_t leaves_in)
{
	enum sim_fault why = SIM_F_COUNT;
	uint64_t delay = leaves_in + w->conf.delay_ns;

	f->to = to;
	record_stale(w, f);
	if (is_lost(w, f, &why)) {
		lose(w, f, why);
		return;
	}
	if (sim_fault_strikes(&w->faults, SIM_F_dup)) {
		note_strike(w, SIM_F_dup, f);
		forward(w, net_copy(w, f), delay);
	}
	damage(w, f);
	forward(w, f, delay);
}

static void
flood(struct world *w, struct sim_frame *f, uint64_t leaves_in)
{
	unsigned node;

	for (node = 0; node <= w->nb_ini; node++) {
		if (node != f->from)
			route(w, net_copy(w, f), (uint8_t)node, leaves_in);
	}
	net_put(w, f);
}

void
net_send(struct world *w, struct sim_frame *f)
{
	uint64_t leaves_in = leave_nic(w, f);
	uint8_t mac[6];

	w->net.nb_sent++;
	f->to = SIM_ALL;
	sim_mac(mac, f->data[5]);
	if (memcmp(f->data, mac, 6) == 0 && f->data[5] <= w->nb_ini)
		f->to = f->data[5];
	trace_frame(&w->trace, w->clock.now, TR_SEND, f->from, f->to, 0, f->data, f->len);
	switch (w->net.filter != NULL ? w->net.filter(w, f, w->net.filter_ctx) : SIM_PASS) {
	case SIM_DROP:
		lose(w, f, SIM_F_loss);
		return;
	case SIM_HOLD:
		net_put(w, f);
		return;
	case SIM_DUP:
		if (f->to != SIM_ALL)
			forward(w, net_copy(w, f), leaves_in + w->conf.delay_ns);
		break;
	case SIM_PASS:
		break;
	}
	if (f->to == SIM_ALL)
		flood(w, f, leaves_in);
	else
		route(w, f, f->to, leaves_in);
}
