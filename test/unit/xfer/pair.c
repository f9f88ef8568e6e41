/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "pair.h"

const uint8_t pair_ini_mac[6] = {0x02, 0, 0, 0, 0, 0x01};
const uint8_t pair_tgt_mac[6] = {0x02, 0, 0, 0, 0, 0x02};

static void
place_ini(void *ctx, struct xfer_cmd *cmd, uint32_t off, const void *payload, uint32_t len)
{
	struct pair *p = ctx;

	assert_true(off + len <= cmd->len);
	memcpy(((struct pair_cmd *)cmd)->data + off, payload, len);
	p->nb_placed_ini++;
}

static void
on_event(void *ctx, enum xfer_ini_event ev, int status)
{
	struct pair *p = ctx;

	switch (ev) {
	case XFER_EV_OPENED:
		p->nb_opened++;
		break;
	case XFER_EV_LOST:
		p->nb_lost++;
		break;
	case XFER_EV_CLOSED:
		p->nb_closed++;
		break;
	case XFER_EV_REFUSED:
		p->refused = status;
		break;
	case XFER_EV_CHANGED:
		break;
	}
}

static uint64_t
next_random(void *ctx)
{
	struct pair *p = ctx;

	p->random = p->random * 6364136223846793005ull + 1442695040888963407ull;
	return p->random >> 16;
}

/* Not secure, but different for different messages: enough for one process. */
static void
weak_mac(void *ctx, const void *msg, size_t len, uint8_t out[16])
{
	const uint8_t *m = msg;
	uint64_t a = 14695981039346656037ull, b = 0x1234567;
	size_t i;

	(void)ctx;
	for (i = 0; i < len; i++) {
		a = (a ^ m[i]) * 1099511628211ull;
		b = b * 31 + a;
	}
	memcpy(out, &a, 8);
	memcpy(out + 8, &b, 8);
}

static int
get_buf(void *ctx, struct xfer_io *io)
{
	struct pair *p = ctx;
	size_t i;

	if (p->max_bufs >= 0 && p->nb_bufs >= p->max_bufs)
		return -ENOBUFS;
	for (i = 0; i < MPN_ARRAY_SIZE(p->bufs) && p->bufs[i] != NULL; i++)
		;
	assert_true(i < MPN_ARRAY_SIZE(p->bufs));
	io->buf = p->bufs[i] = malloc(io->len);
	assert_non_null(io->buf);
	p->nb_bufs++;
	return 0;
}

static void
put_buf(void *ctx, struct xfer_io *io)
{
	struct pair *p = ctx;
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(p->bufs) && p->bufs[i] != io->buf; i++)
		;
	assert_true(i < MPN_ARRAY_SIZE(p->bufs));
	p->bufs[i] = NULL;
	free(io->buf);
	p->nb_bufs--;
}

static void
place_tgt(void *ctx, struct xfer_io *io, uint32_t off, const void *payload, uint32_t len)
{
	struct pair *p = ctx;

	assert_true(off + len <= io->len);
	memcpy((uint8_t *)io->buf + off, payload, len);
	p->nb_placed_tgt++;
}

static int
execute(struct pair *p, struct xfer_io *io)
{
	if (io->op != WIRE_FLUSH)
		assert_true(io->addr + io->len <= PAIR_VOLUME_SIZE);
	if (io->op == WIRE_READ)
		memcpy(io->buf, p->volume + io->addr, io->len);
	else if (io->op == WIRE_WRITE)
		memcpy(p->volume + io->addr, io->buf, io->len);
	else if (io->op != WIRE_FLUSH)
		memset(p->volume + io->addr, 0, io->len);
	return 0;
}

static void
start_io(void *ctx, struct xfer_io *io)
{
	struct pair *p = ctx;

	p->nb_started++;
	if (p->hold_io) {
		assert_true(p->nb_held < 64);
		p->held[p->nb_held++] = io;
		return;
	}
	xfer_tgt_io_done(p->tgt, io, execute(p, io), p->now_ns);
}

void
pair_finish_io(struct pair *p, int status)
{
	unsigned i, n = p->nb_held;

	p->nb_held = 0;
	for (i = 0; i < n; i++) {
		if (status == 0)
			execute(p, p->held[i]);
		xfer_tgt_io_done(p->tgt, p->held[i], status, p->now_ns);
	}
}

struct pair *
pair_new(void)
{
	struct pair *p = calloc(1, sizeof(*p));
	size_t i;

	assert_non_null(p);
	p->now_ns = 1000 * XFER_NSEC_PER_SEC;
	p->random = 1;
	p->max_bufs = -1;
	for (i = 0; i < PAIR_VOLUME_SIZE; i++)
		p->volume[i] = (uint8_t)(i * 7 + (i >> 9));

	xfer_ini_conf_default(&p->ini_conf);
	memset(p->ini_conf.client_uuid, 0x11, sizeof(p->ini_conf.client_uuid));
	p->ini_conf.nonce = 1;
	memcpy(p->ini_conf.mac, pair_ini_mac, sizeof(pair_ini_mac));
	memcpy(p->ini_conf.volume, "disk0", sizeof("disk0"));
	p->ini_conf.p_max = PAIR_P;
	p->ini_conf.depth = 8;
	p->ini_conf.slot_base = 100;
	p->ini_conf.place = place_ini;
	p->ini_conf.event = on_event;
	p->ini_conf.ctx = p;

	xfer_tgt_conf_default(&p->tgt_conf);
	p->tgt_conf.max_sessions = 4;
	p->tgt_conf.max_depth = 16;
	p->tgt_conf.random = next_random;
	p->tgt_conf.mac = weak_mac;
	p->tgt_conf.buf_get = get_buf;
	p->tgt_conf.buf_put = put_buf;
	p->tgt_conf.place = place_tgt;
	p->tgt_conf.io_start = start_io;
	p->tgt_conf.ctx = p;
	return p;
}

static void *
alloc_engine(size_t size)
{
	void *mem = aligned_alloc(64, (size + 63) & ~(size_t)63);

	assert_non_null(mem);
	return mem;
}

void
pair_start(struct pair *p)
{
	struct wire_geometry g = {
		.size = PAIR_VOLUME_SIZE,
		.block_size = 512,
		.max_transfer = WIRE_EBD_MAX_QUANTUM,
		.max_zeroes = PAIR_VOLUME_SIZE,
		.flags = WIRE_VOL_FLUSH | WIRE_VOL_DISCARD | WIRE_VOL_WRITE_ZEROES,
		.name = "disk0",
	};

	p->ini = xfer_ini_init(alloc_engine(xfer_ini_size(&p->ini_conf)), &p->ini_conf);
	p->tgt = xfer_tgt_init(alloc_engine(xfer_tgt_size(&p->tgt_conf)), &p->tgt_conf);
	assert_non_null(p->ini);
	assert_non_null(p->tgt);
	assert_int_equal(xfer_tgt_port_add(p->tgt, pair_tgt_mac, WIRE_EBD_P_LARGE), 0);
	assert_int_equal(xfer_tgt_export_add(p->tgt, &g), 0);
	g.flags |= WIRE_VOL_READONLY;
	memset(g.name, 0, sizeof(g.name));
	memcpy(g.name, "ro", sizeof("ro"));
	assert_int_equal(xfer_tgt_export_add(p->tgt, &g), 1);
}

struct pair *
pair_live(bool crc)
{
	struct pair *p = pair_new();

	p->ini_conf.features = crc ? WIRE_FEAT_CRC : 0;
	pair_start(p);
	assert_int_equal(xfer_ini_open(p->ini, p->now_ns), 0);
	pair_settle(p);
	assert_int_equal(xfer_ini_get_state(p->ini), XFER_INI_LIVE);
	assert_int_equal(p->nb_opened, 1);
	return p;
}

void
pair_free(struct pair *p)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(p->bufs); i++)
		free(p->bufs[i]);
	free(p->ini);
	free(p->tgt);
	free(p);
}

/* Put payload and checksum behind a pulled header. */
static void
finish_frame(struct pair_frame *f, struct xfer_tx *tx, const void *data)
{
	struct xfer_seg seg = {.base = f->bytes + tx->hdr_len, .len = tx->data_len};

	if (data != NULL)
		memcpy(f->bytes + tx->hdr_len, (const uint8_t *)data + tx->data_off, tx->data_len);
	else
		memset(f->bytes + tx->hdr_len, 0, tx->data_len);
	if (tx->seal)
		xfer_tx_seal(tx, &seg, 1);
	f->len = tx->hdr_len + tx->data_len;
}

bool
pair_pull_ini(struct pair *p, struct pair_frame *f)
{
	struct xfer_tx tx = {.hdr = f->bytes};

	if (!xfer_ini_tx(p->ini, &tx, p->now_ns))
		return false;
	finish_frame(f, &tx, tx.cmd != NULL ? ((struct pair_cmd *)tx.cmd)->data : NULL);
	return true;
}

bool
pair_pull_tgt(struct pair *p, struct pair_frame *f)
{
	struct xfer_tx tx = {.hdr = f->bytes};

	if (!xfer_tgt_tx(p->tgt, 0, &tx, p->now_ns))
		return false;
	finish_frame(f, &tx, tx.io != NULL ? tx.io->buf : NULL);
	return true;
}

void
pair_to_ini(struct pair *p, const struct pair_frame *f)
{
	struct xfer_rx rx = {
		.hdr = f->bytes, .payload = f->bytes + WIRE_EBD_HDR_LEN, .len = f->len};

	xfer_ini_rx(p->ini, &rx, p->now_ns);
}

void
pair_to_tgt(struct pair *p, const struct pair_frame *f)
{
	struct xfer_rx rx = {
		.hdr = f->bytes, .payload = f->bytes + WIRE_EBD_HDR_LEN, .len = f->len};

	xfer_tgt_rx(p->tgt, 0, &rx, p->now_ns);
}

void
pair_settle(struct pair *p)
{
	struct pair_frame f;
	bool moved;

	do {
		moved = false;
		while (pair_pull_ini(p, &f)) {
			pair_to_tgt(p, &f);
			moved = true;
		}
		while (pair_pull_tgt(p, &f)) {
			pair_to_ini(p, &f);
			moved = true;
		}
	} while (moved);
}

void
pair_advance(struct pair *p, uint64_t ns)
{
	p->now_ns += ns;
	xfer_ini_tick(p->ini, p->now_ns);
	xfer_tgt_tick(p->tgt, p->now_ns);
	pair_settle(p);
}

static void
on_done(struct xfer_cmd *cmd, int status)
{
	struct pair_cmd *c = (struct pair_cmd *)cmd;

	c->nb_done++;
	c->status = status;
}

struct pair_cmd *
pair_submit(struct pair *p, unsigned i, uint8_t op, uint64_t addr, uint32_t len)
{
	struct pair_cmd *c = &p->cmds[i];
	uint32_t k;

	memset(c, 0, sizeof(*c));
	memset(c->guard_before, PAIR_GUARD_BYTE, sizeof(c->guard_before));
	memset(c->guard_after, PAIR_GUARD_BYTE, sizeof(c->guard_after));
	memset(c->data, PAIR_GUARD_BYTE, sizeof(c->data));
	for (k = 0; op == WIRE_WRITE && k < len; k++)
		c->data[k] = (uint8_t)(k + i * 13 + 1);
	c->status = 1;
	c->cmd.op = op;
	c->cmd.addr = addr;
	c->cmd.len = len;
	c->cmd.done = on_done;
	assert_int_equal(xfer_ini_submit(p->ini, &c->cmd, p->now_ns), 0);
	return c;
}

static bool
is_guard(const uint8_t *at, size_t len)
{
	return len == 0 ||
	       (at[0] == PAIR_GUARD_BYTE && (len == 1 || memcmp(at, at + 1, len - 1) == 0));
}

void
pair_check_guards(const struct pair_cmd *c)
{
	assert_true(is_guard(c->guard_before, sizeof(c->guard_before)));
	assert_true(is_guard(c->guard_after, sizeof(c->guard_after)));
	assert_true(is_guard(c->data + c->cmd.len, sizeof(c->data) - c->cmd.len));
}

struct wire_ebd
pair_header(const struct pair_frame *f)
{
	struct wire_ebd h;

	wire_ebd_load(&h, f->bytes);
	return h;
}

void
pair_set_header(struct pair_frame *f, const struct wire_ebd *h)
{
	uint32_t crc;

	wire_ebd_store(f->bytes, h);
	if (h->flags & WIRE_F_CRC) {
		crc = wire_crc_begin(f->bytes);
		if (f->len > WIRE_EBD_HDR_LEN)
			crc = wire_crc_add(
				crc, f->bytes + WIRE_EBD_HDR_LEN, f->len - WIRE_EBD_HDR_LEN);
		wire_crc_store(f->bytes, wire_crc_end(crc));
	}
}

uint64_t
pair_sum_drops(const struct xfer_stats *s)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < WIRE_DROP_COUNT; i++)
		sum += s->drops[i];
	return sum;
}
