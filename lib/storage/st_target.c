/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The target engine between mbufs and a back end. The data of a command is either the volume's own
 * memory, or a staging buffer that the back end reads into and writes from.
 */

#include <string.h>

#include <rte_malloc.h>
#include <sodium.h>

#include "st_nic.h"
#include "st_stage.h"

#define DEFAULT_SMALL 256
#define DEFAULT_LARGE 32
#define SEND_BUDGET 128

/* Where the data of a command is. */
struct st_span {
	uint8_t *base;
	struct st_stage *stage; /* NULL: the volume's own memory */
	struct st_span *next; /* of the free ones */
};

struct st_target {
	struct xfer_tgt *xfer;
	struct st_target_conf conf;
	struct st_nic *nics[XFER_MAX_PORTS]; /* by port; NULL: gone */
	uint8_t macs[XFER_MAX_PORTS][6];
	uint32_t p_max[XFER_MAX_PORTS];
	struct st_nic *rx_nic; /* whose frame the engine is looking at */
	struct st_stage_pool *small;
	struct st_stage_pool *large;
	struct st_span *spans;
	struct st_span *free_spans;
	uint64_t staging_max;
	uint64_t memory;
	uint64_t copied_before; /* on NICs that are gone */
	uint64_t now_ns; /* of the round: exact enough for what the engine does at an io's end */
	uint8_t secret[crypto_generichash_KEYBYTES];
};

/*
 * For a volume's own memory on links whose driver reads it by CPU: any memory will do, and it stays
 * until after the last NIC has gone, so nobody needs to know how many frames refer to it.
 */
static void
ignore_last_frame(MPN_UNUSED void *addr, MPN_UNUSED void *opaque)
{
}
static struct rte_mbuf_ext_shared_info uncounted = {.free_cb = ignore_last_frame, .refcnt = 1};

/* ---- Callbacks of the engine ---- */

static struct st_stage *
get_stage(struct st_target *t, uint32_t len)
{
	struct st_stage *s = st_stage_get(len <= ST_STAGE_SMALL ? t->small : t->large);
	uint64_t used;

	if (s == NULL)
		return NULL;
	used = (uint64_t)st_stage_used(t->small) * ST_STAGE_SMALL +
	       (uint64_t)st_stage_used(t->large) * ST_STAGE_LARGE;
	if (used > t->staging_max)
		t->staging_max = used;
	return s;
}

static int
get_buf(void *ctx, struct xfer_io *io)
{
	struct st_target *t = ctx;
	struct st_span *span = t->free_spans;
	void *mem;

	if (span == NULL)
		return -ENOBUFS;
	mem = t->conf.map != NULL ? t->conf.map(t->conf.user, io) : NULL;
	if (mem != NULL) {
		span->base = mem;
		span->stage = NULL;
	} else {
		span->stage = get_stage(t, io->len);
		if (span->stage == NULL)
			return -ENOBUFS;
		span->base = span->stage->data;
	}
	t->free_spans = span->next;
	io->buf = span;
	return 0;
}

static void
put_buf(void *ctx, struct xfer_io *io)
{
	struct st_target *t = ctx;
	struct st_span *span = io->buf;

	if (span->stage != NULL)
		st_stage_put(span->stage);
	span->next = t->free_spans;
	t->free_spans = span;
}

static void
place(void *ctx, struct xfer_io *io, uint32_t off, const void *payload, uint32_t len)
{
	struct st_target *t = ctx;
	struct st_span *span = io->buf;

	t->rx_nic->copy.wire += len;
	st_copy(&t->rx_nic->copy, ST_COPY_rx_store, span->base + off, payload, len);
}

static void
start_io(void *ctx, struct xfer_io *io)
{
	struct st_target *t = ctx;
	bool mapped;
	void *data = st_target_data(io, &mapped);

	t->conf.io_start(t->conf.user, io, data, mapped);
}

void *
st_target_data(const struct xfer_io *io, bool *mapped)
{
	const struct st_span *span = io->buf;

	*mapped = span != NULL && span->stage == NULL;
	return span != NULL ? span->base : NULL;
}

void
st_target_io_done(struct st_target *t, struct xfer_io *io, int status)
{
	xfer_tgt_io_done(t->xfer, io, status, t->now_ns);
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
make_spans(struct st_target *t, int socket_id)
{
	uint32_t nb = (uint32_t)t->conf.xfer.max_sessions * t->conf.xfer.max_depth, i;

	t->spans = rte_zmalloc_socket(NULL, nb * sizeof(*t->spans), RTE_CACHE_LINE_SIZE, socket_id);
	if (t->spans == NULL)
		return -ENOMEM;
	for (i = 0; i < nb; i++) {
		t->spans[i].next = t->free_spans;
		t->free_spans = &t->spans[i];
	}
	t->memory += nb * sizeof(*t->spans);
	return 0;
}

static int
make_engine(struct st_target *t, int socket_id)
{
	struct xfer_tgt_conf *x = &t->conf.xfer;
	void *mem;

	randombytes_buf(t->secret, sizeof(t->secret));
	x->ctx = t;
	x->random = get_random;
	x->mac = make_mac;
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
	t->memory += xfer_tgt_size(x);
	return 0;
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
	if (rc == 0) {
		t->small = st_stage_pool_create(t->conf.nb_small, ST_STAGE_SMALL, socket_id);
		t->large = st_stage_pool_create(t->conf.nb_large, ST_STAGE_LARGE, socket_id);
		if (t->small == NULL || t->large == NULL)
			rc = -ENOMEM;
	}
	if (rc < 0) {
		st_target_destroy(t);
		return mpn_err_null(-rc);
	}
	t->memory += (uint64_t)t->conf.nb_small * ST_STAGE_SMALL +
		     (uint64_t)t->conf.nb_large * ST_STAGE_LARGE;
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
	st_stage_pool_retire(t->small);
	st_stage_pool_retire(t->large);
	rte_free(t->spans);
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

struct rte_mbuf_ext_shared_info *
st_memory_ref(struct st_nic *n, const void *mem, size_t len)
{
	struct st_arena *arena;

	if (n->any_memory)
		return &uncounted;
	arena = st_arena_find(&n->arenas, mem, len);
	return arena != NULL ? &arena->shinfo : NULL;
}

/* What counts the frames that refer to the data; NULL: none may. */
static inline struct rte_mbuf_ext_shared_info *
find_ref(struct st_nic *n, const struct st_span *span, const struct xfer_tx *tx)
{
	if (tx->retx)
		return NULL;
	if (span->stage != NULL)
		return st_stage_lend(span->stage);
	return st_memory_ref(n, span->base + tx->data_off, tx->data_len);
}

static inline void
send_data(struct st_nic *n, struct xfer_tx *tx)
{
	struct st_span *span = tx->io->buf;
	struct st_piece piece = {span->base + tx->data_off, tx->data_len, find_ref(n, span, tx)};

	st_frame_payload(n, tx, &piece);
}

unsigned
st_target_poll(struct st_nic *n, uint64_t now_ns)
{
	struct st_target *t = n->target;
	struct xfer_tx tx;
	unsigned sent;

	t->now_ns = now_ns;
	if (now_ns >= xfer_tgt_deadline(t->xfer))
		xfer_tgt_tick(t->xfer, now_ns);
	for (sent = 0; sent < SEND_BUDGET; sent++) {
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

void
st_target_staging(const struct st_target *t, uint64_t *now, uint64_t *max)
{
	*now = (uint64_t)st_stage_used(t->small) * ST_STAGE_SMALL +
	       (uint64_t)st_stage_used(t->large) * ST_STAGE_LARGE;
	*max = t->staging_max;
}

uint64_t
st_target_memory(const struct st_target *t)
{
	return t->memory;
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
