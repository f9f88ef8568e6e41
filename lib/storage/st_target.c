/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The target engine between mbufs and a back end. */

#include <string.h>

#include <rte_malloc.h>
#include <sodium.h>

#include "st_nic.h"
#include "st_span.h"

#define DEFAULT_SMALL 256
#define DEFAULT_LARGE 32
/* Writes whose frames may be kept at a time; more are staged. */
#define NB_KEPT 128
#define SEND_BUDGET 128

struct st_target {
	struct xfer_tgt *xfer;
	struct st_target_conf conf;
	struct st_nic *nics[XFER_MAX_PORTS]; /* by port; NULL: gone */
	unsigned nb_ports; /* nics[] is used up to here */
	uint8_t macs[XFER_MAX_PORTS][6];
	uint32_t p_max[XFER_MAX_PORTS];
	struct st_nic *rx_nic; /* whose frame the engine is looking at */
	struct st_spans spans;
	uint64_t engine_bytes;
	uint64_t copied_before; /* on NICs that are gone */
	uint64_t now_ns; /* of the round: exact enough for what the engine does at an io's end */
	uint8_t secret[crypto_generichash_KEYBYTES];
};

/* ---- Callbacks of the engine ---- */

static int
get_buf(void *ctx, struct xfer_io *io)
{
	struct st_target *t = ctx;
	void *mapped = t->conf.map != NULL ? t->conf.map(t->conf.user, io) : NULL;

	io->buf = st_span_get(
		&t->spans, t->nics[xfer_io_port(io)], io, mapped, xfer_tgt_is_shared(t->xfer));
	return io->buf != NULL ? 0 : -ENOBUFS;
}

static void
put_buf(void *ctx, struct xfer_io *io)
{
	struct st_target *t = ctx;

	st_span_put(&t->spans, io->buf);
}

static void
place(void *ctx, struct xfer_io *io, uint32_t off, const void *payload, uint32_t len)
{
	struct st_target *t = ctx;

	st_span_place(io->buf, t->rx_nic, off, payload, len);
}

static void
start_io(void *ctx, struct xfer_io *io)
{
	struct st_target *t = ctx;
	struct st_target_data data;
	int rc = io->buf != NULL ? st_span_status(io->buf) : 0;

	if (mpn_unlikely(rc != 0)) {
		st_target_io_done(t, io, rc);
		return;
	}
	st_span_data(io->buf, &data);
	t->conf.io_start(t->conf.user, io, &data);
}

void
st_target_get_data(const struct xfer_io *io, struct st_target_data *data)
{
	st_span_data(io->buf, data);
}

void
st_target_io_done(struct st_target *t, struct xfer_io *io, int status)
{
	xfer_tgt_io_done(t->xfer, io, status, t->now_ns);
}

static bool
may_use(void *ctx, uint32_t export_index, const uint8_t client_uuid[16], const uint8_t mac[6])
{
	struct st_target *t = ctx;

	return t->conf.may_use(t->conf.user, export_index, client_uuid, mac);
}

static uint64_t
get_random(MPN_UNUSED void *ctx)
{
	uint64_t v;

	randombytes_buf(&v, sizeof(v));
	return v;
}

/* BLAKE2b with a key that never leaves this target: what a cookie is made of. */
static void
make_mac(void *ctx, const void *msg, size_t len, uint8_t out[16])
{
	struct st_target *t = ctx;

	(void)crypto_generichash(out, 16, msg, len, t->secret, sizeof(t->secret));
}

/* ---- Life ---- */

static int
make_engine(struct st_target *t, int socket_id)
{
	struct xfer_tgt_conf *x = &t->conf.xfer;
	void *mem;

	randombytes_buf(t->secret, sizeof(t->secret));
	x->ctx = t;
	x->random = get_random;
	x->mac = make_mac;
	x->may_use = t->conf.may_use != NULL ? may_use : NULL;
	x->buf_get = get_buf;
	x->buf_put = put_buf;
	x->place = place;
	x->io_start = start_io;
	mem = rte_zmalloc_socket(NULL, xfer_tgt_size(x), RTE_CACHE_LINE_SIZE, socket_id);
	if (mem == NULL)
		return -ENOMEM;
	t->xfer = xfer_tgt_init(mem, x);
	if (t->xfer == NULL) {
		rte_free(mem);
		return -EINVAL;
	}
	t->engine_bytes = xfer_tgt_size(x);
	return 0;
}

static int
make_spans(struct st_target *t, int socket_id)
{
	const struct st_spans_conf c = {
		.nb_spans = (uint32_t)t->conf.xfer.max_sessions * t->conf.xfer.max_depth,
		.nb_small = t->conf.nb_small,
		.nb_large = t->conf.nb_large,
		.nb_kept = NB_KEPT,
		.max_exports = t->conf.xfer.max_exports,
	};

	return st_spans_init(&t->spans, &c, socket_id);
}

struct st_target *
st_target_create(const struct st_target_conf *conf, int socket_id)
{
	struct st_target *t;
	int rc;

	if (conf->io_start == NULL || sodium_init() < 0)
		return mpn_err_null(EINVAL);
	st_stage_pool_reap();
	t = rte_zmalloc_socket(NULL, sizeof(*t), RTE_CACHE_LINE_SIZE, socket_id);
	if (t == NULL)
		return mpn_err_null(ENOMEM);
	t->conf = *conf;
	if (t->conf.nb_small == 0)
		t->conf.nb_small = DEFAULT_SMALL;
	if (t->conf.nb_large == 0)
		t->conf.nb_large = DEFAULT_LARGE;
	rc = make_engine(t, socket_id);
	if (rc == 0)
		rc = make_spans(t, socket_id);
	if (rc < 0) {
		st_target_destroy(t);
		return mpn_err_null(-rc);
	}
	return t;
}

void
st_target_destroy(struct st_target *t)
{
	unsigned i;

	if (t == NULL)
		return;
	for (i = 0; i < XFER_MAX_PORTS; i++) {
		if (t->nics[i] != NULL)
			st_target_detach(t->nics[i]);
	}
	st_spans_fini(&t->spans);
	rte_free(t->xfer);
	rte_free(t);
}

/* The port of a NIC that was here before, or a new one. */
static int
find_port(struct st_target *t, const struct st_nic *n)
{
	int i;

	for (i = 0; i < XFER_MAX_PORTS; i++) {
		if (t->nics[i] == NULL && t->p_max[i] == n->p_max &&
			memcmp(t->macs[i], n->info.mac, sizeof(t->macs[i])) == 0)
			return i;
	}
	return xfer_tgt_port_add(t->xfer, n->info.mac, n->p_max);
}

int
st_target_attach(struct st_target *t, struct mpn_nic *nic)
{
	struct st_nic *n = st_nic_running(nic);
	int port;

	if (n == NULL)
		return -ENODEV;
	if (n->target != NULL)
		return -EBUSY;
	port = find_port(t, n);
	if (port < 0)
		return port;
	t->nics[port] = n;
	t->nb_ports = MPN_MAX(t->nb_ports, (unsigned)port + 1);
	memcpy(t->macs[port], n->info.mac, sizeof(t->macs[port]));
	t->p_max[port] = n->p_max;
	n->target = t;
	n->target_port = (uint16_t)port;
	return 0;
}

void
st_target_detach(struct st_nic *n)
{
	struct st_target *t = n->target;

	t->copied_before += n->copy.copied + n->copy.bounced;
	t->nics[n->target_port] = NULL;
	n->target = NULL;
}

/* ---- In the poll loop ---- */

void
st_target_rx(struct st_nic *n, const struct xfer_rx *rx, uint64_t now_ns)
{
	struct st_target *t = n->target;

	t->rx_nic = n;
	t->now_ns = now_ns;
	xfer_tgt_rx(t->xfer, n->target_port, rx, now_ns);
}

static inline void
send_data(struct st_nic *n, struct xfer_tx *tx)
{
	struct st_span *span = tx->io->buf;
	struct st_piece piece = {span->base + tx->data_off, tx->data_len,
		tx->retx ? NULL : st_span_ref(span, n, tx->data_off, tx->data_len)};

	st_frame_payload(n, tx, &piece);
}

unsigned
st_target_poll(struct st_nic *n, uint64_t now_ns)
{
	struct st_target *t = n->target;
	struct xfer_tx tx;
	unsigned sent;

	t->now_ns = now_ns;
	/* What has left is put away here, and not when it is about to leave. */
	xfer_tgt_settle(t->xfer);
	if (now_ns >= xfer_tgt_deadline(t->xfer))
		xfer_tgt_tick(t->xfer, now_ns);
	for (sent = 0; sent < SEND_BUDGET && xfer_tgt_wants_tx(t->xfer, n->target_port); sent++) {
		tx.hdr = st_frame_begin(n);
		if (tx.hdr == NULL || !xfer_tgt_tx(t->xfer, n->target_port, &tx, now_ns))
			break;
		if (tx.data_len > 0 && tx.io != NULL)
			send_data(n, &tx);
		else
			st_frame_bare(n, &tx);
	}
	return sent;
}

bool
st_target_in_debt(const struct st_target *t)
{
	bool any = false;

	for (unsigned i = 0; i < t->nb_ports; i++) {
		if (t->nics[i] == NULL)
			continue;
		if (!mpn_personality_in_debt(t->nics[i]->pers))
			return false;
		any = true;
	}
	return any;
}

void
st_target_charge(struct st_target *t, uint64_t cycles)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->nb_ports; i++)
		n += t->nics[i] != NULL;
	for (unsigned i = 0; i < t->nb_ports; i++) {
		if (t->nics[i] != NULL)
			mpn_personality_charge(t->nics[i]->pers, cycles / n);
	}
}

bool
st_target_quiet(const struct st_nic *n)
{
	return xfer_tgt_outstanding(n->target->xfer) == 0;
}

/* ---- Looking ---- */

struct xfer_tgt *
st_target_xfer(struct st_target *t)
{
	return t->xfer;
}

const struct st_target_conf *
st_target_get_conf(const struct st_target *t)
{
	return &t->conf;
}

void
st_target_staging(const struct st_target *t, uint64_t *now, uint64_t *max)
{
	*now = st_spans_staging(&t->spans);
	*max = t->spans.staging_max;
}

uint64_t
st_target_memory(const struct st_target *t)
{
	return t->engine_bytes + t->spans.memory;
}

uint64_t
st_target_copied(const struct st_target *t)
{
	uint64_t sum = t->copied_before;
	unsigned i;

	for (i = 0; i < XFER_MAX_PORTS; i++) {
		if (t->nics[i] != NULL)
			sum += t->nics[i]->copy.copied + t->nics[i]->copy.bounced;
	}
	return sum;
}
