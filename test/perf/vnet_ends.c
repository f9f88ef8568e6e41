/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The engines of the virtual network, and who uses them. */

#include "vnet_int.h"

void
vnet_submit(struct request *q)
{
	struct vnet *n = q->ini->net;
	uint64_t blocks = VOLUME_BYTES / n->conf->len;

	q->cmd.addr = vnet_draw(n) % blocks * n->conf->len;
	q->cmd.len = n->conf->len;
	q->cmd.op = n->conf->write ? WIRE_WRITE : WIRE_READ;
	q->start_ns = n->now_ns;
	if (xfer_ini_submit(q->ini->eng, &q->cmd, n->now_ns) < 0)
		n->result->errors++;
}

static void
on_done(struct xfer_cmd *cmd, int status)
{
	struct request *q = (struct request *)cmd;
	struct vnet *n = q->ini->net;

	if (status != 0) {
		n->result->errors++;
	} else if (n->now_ns >= n->begin_ns) {
		q->ini->bytes += cmd->len;
		n->result->bytes += cmd->len;
		mpn_hist_add(&n->result->lat, n->now_ns - q->start_ns);
	}
	if (n->now_ns < n->end_ns)
		vnet_submit(q);
}

static uint64_t
next_random(void *ctx)
{
	return vnet_draw(ctx);
}

static void
weak_mac(void *ctx, const void *msg, size_t len, uint8_t out[16])
{
	uint64_t a = 14695981039346656037ull;
	size_t i;

	for (i = 0; i < len; i++)
		a = (a ^ ((const uint8_t *)msg)[i]) * 1099511628211ull;
	memcpy(out, &a, 8);
	memcpy(out + 8, &a, 8);
}

static int
get_buf(void *ctx, struct xfer_io *io)
{
	struct vnet *n = ctx;

	if (n->conf->max_bufs != 0 && n->nb_bufs == n->conf->max_bufs)
		return -ENOBUFS;
	n->nb_bufs++;
	n->bufs += io->len;
	n->result->bufs_max = MPN_MAX(n->result->bufs_max, n->bufs);
	io->buf = n;
	return 0;
}

static void
put_buf(void *ctx, struct xfer_io *io)
{
	struct vnet *n = ctx;

	n->nb_bufs--;
	n->bufs -= io->len;
}

static void
start_io(void *ctx, struct xfer_io *io)
{
	struct vnet *n = ctx;

	vnet_push(n, n->now_ns + n->conf->disk_ns, EV_DISK, TARGET, 0, io);
}

static void
place_tgt(void *ctx, struct xfer_io *io, uint32_t off, const void *data, uint32_t len)
{
}

static void
place_ini(void *ctx, struct xfer_cmd *cmd, uint32_t off, const void *data, uint32_t len)
{
}

static void
ignore_event(void *ctx, enum xfer_ini_event ev, int status)
{
}

static void *
make_engine(size_t size)
{
	return aligned_alloc(64, (size + 63) & ~(size_t)63);
}

int
vnet_make_target(struct vnet *n)
{
	struct wire_geometry g = {
		.size = VOLUME_BYTES,
		.block_size = 512,
		.max_transfer = WIRE_EBD_MAX_QUANTUM,
		.max_zeroes = 1 << 20,
		.flags = WIRE_VOL_FLUSH,
		.name = "disk0",
	};
	struct xfer_tgt_conf conf;
	uint8_t mac[6];

	xfer_tgt_conf_default(&conf);
	conf.max_depth = VNET_DEPTH_MAX;
	conf.max_sessions = VNET_MAX_INI;
	conf.credits = 512;
	conf.grant_frames = n->conf->grant_frames;
	conf.random = next_random;
	conf.mac = weak_mac;
	conf.buf_get = get_buf;
	conf.buf_put = put_buf;
	conf.place = place_tgt;
	conf.io_start = start_io;
	conf.ctx = n;
	n->tgt = make_engine(xfer_tgt_size(&conf));
	if (n->tgt == NULL || xfer_tgt_init(n->tgt, &conf) == NULL)
		return -1;
	vnet_make_mac(mac, TARGET);
	if (xfer_tgt_port_add(n->tgt, mac, WIRE_EBD_P_LARGE) < 0)
		return -1;
	return xfer_tgt_export_add(n->tgt, &g) < 0 ? -1 : 0;
}

int
vnet_make_initiator(struct vnet *n, unsigned i)
{
	struct ini *ini = &n->ini[i];
	struct xfer_ini_conf conf;
	unsigned k;

	xfer_ini_conf_default(&conf);
	memset(conf.client_uuid, (int)i + 1, sizeof(conf.client_uuid));
	conf.nonce = 1ull << XFER_NONCE_TRY_BITS;
	vnet_make_mac(conf.mac, i);
	vnet_make_mac(conf.target, TARGET);
	memcpy(conf.volume, "disk0", sizeof("disk0"));
	conf.p_max = WIRE_EBD_P_LARGE;
	conf.depth = (uint16_t)n->conf->depth;
	conf.slot_base = (uint16_t)(i * VNET_DEPTH_MAX);
	conf.features = 0;
	conf.rx_frames = 1024;
	conf.rto_min_ns = RTO_MIN_NS;
	conf.fail_after_ns = 0;
	conf.place = place_ini;
	conf.event = ignore_event;
	conf.ctx = ini;
	ini->net = n;
	ini->node = i;
	ini->eng = make_engine(xfer_ini_size(&conf));
	if (ini->eng == NULL || xfer_ini_init(ini->eng, &conf) == NULL)
		return -1;
	for (k = 0; k < n->conf->depth; k++) {
		ini->requests[k].ini = ini;
		ini->requests[k].cmd.done = on_done;
	}
	return xfer_ini_open(ini->eng, n->now_ns);
}
