/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "vnet_int.h"

static uint8_t payload[WIRE_EBD_P_LARGE];

uint64_t
vnet_draw(struct vnet *n)
{
	uint64_t z = (n->random += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static bool
is_lost(struct vnet *n)
{
	bool lost = n->conf->loss > 0 &&
		    (double)(vnet_draw(n) >> 11) / 9007199254740992.0 < n->conf->loss;

	n->result->lost += lost;
	return lost;
}

/* With what Ethernet adds: preamble, checksum, gap. */
static uint64_t
line_ns(const struct vnet *n, uint32_t len)
{
	return (uint64_t)((len + 24) * 8 / n->conf->gbps);
}

/* ---- Events ---- */

static bool
is_before(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void
vnet_push(struct vnet *n, uint64_t at_ns, enum kind kind, unsigned node, uint64_t seq, void *what)
{
	struct event e = {at_ns, n->order++, kind, node, seq, what};
	unsigned i = n->nb_events++, up;

	if (n->nb_events > n->size) {
		n->size = n->size != 0 ? 2 * n->size : 1024;
		n->heap = realloc(n->heap, n->size * sizeof(*n->heap));
		if (n->heap == NULL)
			abort();
	}
	for (; i > 0 && is_before(&e, &n->heap[up = (i - 1) / 2]); i = up)
		n->heap[i] = n->heap[up];
	n->heap[i] = e;
}

static struct event
pop(struct vnet *n)
{
	struct event first = n->heap[0], last = n->heap[--n->nb_events];
	unsigned i = 0, down;

	while ((down = 2 * i + 1) < n->nb_events) {
		if (down + 1 < n->nb_events && is_before(&n->heap[down + 1], &n->heap[down]))
			down++;
		if (!is_before(&n->heap[down], &last))
			break;
		n->heap[i] = n->heap[down];
		i = down;
	}
	n->heap[i] = last;
	return first;
}

/* ---- Frames ---- */

static struct frame *
take_frame(struct vnet *n)
{
	struct frame *f = n->free;

	if (f == NULL)
		f = malloc(sizeof(*f));
	else
		n->free = f->next;
	if (f == NULL)
		abort();
	return f;
}

static void
put_frame(struct vnet *n, struct frame *f)
{
	f->next = n->free;
	n->free = f;
}

void
vnet_make_mac(uint8_t mac[6], unsigned node)
{
	memset(mac, 0, 6);
	mac[0] = 2;
	mac[5] = (uint8_t)(node + 1);
}

static bool
pull(struct vnet *n, unsigned node, struct frame *f)
{
	struct xfer_tx tx = {.hdr = f->hdr};
	bool any = node == TARGET ? xfer_tgt_tx(n->tgt, 0, &tx, n->now_ns)
				  : xfer_ini_tx(n->ini[node].eng, &tx, n->now_ns);

	struct xfer_seg seg = {payload, 0};

	if (!any)
		return false;
	/* Padding; data carries no checksums here. */
	seg.len = tx.data_len;
	if (tx.seal)
		xfer_tx_seal(&tx, &seg, seg.len > 0);
	f->len = tx.hdr_len + tx.data_len;
	f->to = node != TARGET ? TARGET : (uint8_t)(f->hdr[5] - 1);
	return true;
}

static void
deliver(struct vnet *n, const struct frame *f)
{
	struct xfer_rx rx = {
		.hdr = f->hdr,
		.payload = f->len <= XFER_TX_ROOM ? f->hdr + WIRE_EBD_HDR_LEN : payload,
		.len = f->len,
	};

	n->result->frames++;
	if (f->to == TARGET)
		xfer_tgt_rx(n->tgt, 0, &rx, n->now_ns);
	else if (f->to < n->conf->nb_ini)
		xfer_ini_rx(n->ini[f->to].eng, &rx, n->now_ns);
}

/* ---- Channels ---- */

static void
wake(struct vnet *n, unsigned node, uint64_t at_ns)
{
	if (at_ns >= n->wake_ns[node])
		return;
	n->wake_ns[node] = at_ns;
	vnet_push(n, at_ns, EV_WAKE, node, 0, NULL);
}

/* Fill the channel from the engine, and send when the line is free. */
static void
run_channel(struct vnet *n, unsigned node)
{
	struct channel *c = &n->channel[node];
	struct frame *f;

	while (c->next - c->cursor < CHANNEL_FRAMES && c->next - c->base < GBN_WINDOW) {
		f = take_frame(n);
		if (!pull(n, node, f)) {
			put_frame(n, f);
			break;
		}
		f->seq = c->next;
		if (c->base == c->next)
			c->progress_ns = n->now_ns;
		c->log[c->next++ % LOG_FRAMES] = f;
	}
	if (c->busy || c->cursor == c->next)
		return;
	c->busy = true;
	f = c->log[c->cursor % LOG_FRAMES];
	vnet_push(n, n->now_ns + line_ns(n, f->len), EV_SENT, node, c->cursor, NULL);
}

/* A frame has left its sender: to the switch, and on. */
static void
on_sent(struct vnet *n, unsigned node, uint64_t seq)
{
	struct channel *c = &n->channel[node];
	struct frame *f = c->log[seq % LOG_FRAMES], *copy = f;

	c->busy = false;
	if (n->conf->repair != VNET_ENGINES) {
		/* It may have come meanwhile, and gone from the log. */
		if (seq >= c->base) {
			copy = take_frame(n);
			*copy = *f;
		} else {
			copy = NULL;
		}
	} else {
		c->base = seq + 1;
	}
	if (c->cursor == seq)
		c->cursor++;
	if (copy == NULL)
		return;
	if (is_lost(n)) {
		put_frame(n, copy);
		return;
	}
	vnet_push(n, n->now_ns + n->conf->delay_ns, node == TARGET ? EV_ARRIVE : EV_SWITCH, node,
		seq, copy);
}

/* The port to the target: one frame after the other, and no more than the queue holds. */
static void
on_switch(struct vnet *n, unsigned node, struct frame *f)
{
	uint64_t start_ns = MPN_MAX(n->port_free_ns, n->now_ns);

	n->queued = (uint64_t)((double)(start_ns - n->now_ns) * n->conf->gbps / 8);
	n->result->queue_max = MPN_MAX(n->result->queue_max, n->queued);
	if (n->conf->queue_bytes != 0 && n->queued + f->len > n->conf->queue_bytes) {
		n->result->lost++;
		put_frame(n, f);
		return;
	}
	n->port_free_ns = start_ns + line_ns(n, f->len);
	vnet_push(n, n->port_free_ns, EV_ARRIVE, node, f->seq, f);
}

static void
on_arrive(struct vnet *n, unsigned node, struct frame *f)
{
	struct channel *c = &n->channel[node];

	if (n->conf->repair != VNET_ENGINES && f->seq != c->expected) {
		/* Out of turn: thrown away, and the sender is told once. */
		if (n->conf->repair == VNET_BACK_NAK && f->seq > c->expected &&
			c->naked != c->expected) {
			c->naked = c->expected;
			vnet_push(
				n, n->now_ns + n->conf->delay_ns, EV_NAK, node, c->expected, NULL);
		}
	} else {
		c->expected = f->seq + 1;
		deliver(n, f);
		if (n->conf->repair != VNET_ENGINES)
			vnet_push(
				n, n->now_ns + n->conf->delay_ns, EV_ACK, node, c->expected, NULL);
		wake(n, f->to, n->now_ns);
	}
	put_frame(n, f);
}

static void
on_ack(struct vnet *n, unsigned node, uint64_t seq)
{
	struct channel *c = &n->channel[node];

	while (c->base < seq)
		put_frame(n, c->log[c->base++ % LOG_FRAMES]);
	c->cursor = MPN_MAX(c->cursor, c->base);
	c->progress_ns = n->now_ns;
}

static void
go_back(struct vnet *n, unsigned node, uint64_t seq)
{
	struct channel *c = &n->channel[node];

	if (seq < c->base || seq >= c->cursor)
		return;
	n->result->repeated += c->cursor - seq;
	c->cursor = seq;
	c->progress_ns = n->now_ns;
}

/* ---- Engines ---- */

static void
on_wake(struct vnet *n, unsigned node)
{
	struct channel *c = &n->channel[node];
	uint64_t next_ns;

	n->wake_ns[node] = UINT64_MAX;
	if (node == TARGET) {
		xfer_tgt_tick(n->tgt, n->now_ns);
		next_ns = xfer_tgt_deadline(n->tgt);
	} else {
		xfer_ini_tick(n->ini[node].eng, n->now_ns);
		next_ns = xfer_ini_deadline(n->ini[node].eng);
	}
	if (n->conf->repair != VNET_ENGINES && c->base < c->next) {
		if (n->now_ns - c->progress_ns >= GBN_TIMEOUT_NS) {
			c->naked = ~0ull;
			go_back(n, node, c->base);
			c->progress_ns = n->now_ns;
		}
		next_ns = MPN_MIN(next_ns, c->progress_ns + GBN_TIMEOUT_NS);
	}
	if (next_ns != XFER_NO_DEADLINE)
		wake(n, node, MPN_MAX(next_ns, n->now_ns + 1000));
}

/* ---- Running ---- */

static void
step(struct vnet *n)
{
	struct event e = pop(n);

	n->now_ns = e.at_ns;
	switch (e.kind) {
	case EV_WAKE:
		if (e.at_ns == n->wake_ns[e.node])
			on_wake(n, e.node);
		break;
	case EV_SENT:
		on_sent(n, e.node, e.seq);
		break;
	case EV_SWITCH:
		on_switch(n, e.node, e.what);
		return;
	case EV_ARRIVE: {
		unsigned to = ((struct frame *)e.what)->to;

		on_arrive(n, e.node, e.what);
		run_channel(n, to);
		break;
	}
	case EV_ACK:
		on_ack(n, e.node, e.seq);
		break;
	case EV_NAK:
		go_back(n, e.node, e.seq);
		break;
	case EV_DISK:
		xfer_tgt_io_done(n->tgt, e.what, 0, n->now_ns);
		break;
	}
	run_channel(n, e.node);
}

static bool
all_open(const struct vnet *n)
{
	unsigned i;

	for (i = 0; i < n->conf->nb_ini; i++) {
		if (xfer_ini_get_state(n->ini[i].eng) != XFER_INI_LIVE)
			return false;
	}
	return true;
}

static int
run(struct vnet *n)
{
	unsigned i, k;

	for (i = 0; i < n->conf->nb_ini; i++) {
		wake(n, i, n->now_ns);
		run_channel(n, i);
	}
	n->begin_ns = n->end_ns = UINT64_MAX;
	while (!all_open(n)) {
		if (n->nb_events == 0 || n->now_ns > 1000 * XFER_NSEC_PER_SEC + OPEN_NS)
			return -1;
		step(n);
	}
	/* A tenth of it to get going. */
	n->begin_ns = n->now_ns + n->conf->run_ns / 10;
	n->end_ns = n->begin_ns + n->conf->run_ns;
	for (i = 0; i < n->conf->nb_ini; i++) {
		for (k = 0; k < n->conf->depth; k++)
			vnet_submit(&n->ini[i].requests[k]);
		wake(n, i, n->now_ns);
		run_channel(n, i);
	}
	while (n->nb_events > 0 && n->now_ns < n->end_ns)
		step(n);
	return 0;
}

static void
sum_up(struct vnet *n)
{
	struct vnet_result *r = n->result;
	double least = 1e300;
	unsigned i;

	for (i = 0; i < n->conf->nb_ini; i++) {
		least = MPN_MIN(least, (double)n->ini[i].bytes);
		r->retransmits += xfer_ini_stats(n->ini[i].eng)->retransmits;
	}
	r->retransmits += xfer_tgt_stats(n->tgt)->retransmits;
	r->mb_per_s = (double)r->bytes * 1e3 / (double)n->conf->run_ns;
	r->part = r->mb_per_s * 8 / (n->conf->gbps * 1e3);
	r->fairness = r->bytes > 0 ? least * n->conf->nb_ini / (double)r->bytes : 0;
}

/* Frames that are still somewhere: in events, in logs, free. */
static void
free_all(struct vnet *n)
{
	struct frame *f;
	unsigned i;

	for (i = 0; i < n->nb_events; i++) {
		if (n->heap[i].kind == EV_SWITCH || n->heap[i].kind == EV_ARRIVE)
			free(n->heap[i].what);
	}
	for (i = 0; i <= TARGET; i++) {
		struct channel *c = &n->channel[i];

		for (; c->base < c->next; c->base++)
			free(c->log[c->base % LOG_FRAMES]);
	}
	while ((f = n->free) != NULL) {
		n->free = f->next;
		free(f);
	}
	for (i = 0; i < n->conf->nb_ini; i++)
		free(n->ini[i].eng);
	free(n->tgt);
	free(n->heap);
	free(n);
}

int
vnet_run(const struct vnet_conf *conf, struct vnet_result *result)
{
	struct vnet *n = calloc(1, sizeof(*n));
	unsigned i;
	int rc;

	if (n == NULL)
		return -1;
	memset(result, 0, sizeof(*result));
	mpn_hist_reset(&result->lat);
	n->conf = conf;
	n->result = result;
	n->random = conf->seed;
	n->now_ns = 1000 * XFER_NSEC_PER_SEC;
	for (i = 0; i <= TARGET; i++) {
		n->wake_ns[i] = UINT64_MAX;
		n->channel[i].naked = ~0ull;
	}
	rc = vnet_make_target(n);
	for (i = 0; i < conf->nb_ini && rc == 0; i++)
		rc = vnet_make_initiator(n, i);
	if (rc == 0)
		rc = run(n);
	if (rc == 0)
		sum_up(n);
	free_all(n);
	return rc;
}
