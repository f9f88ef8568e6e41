/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Many sessions on one target, without a network: the frames are handed over directly. */

#include <stdalign.h>
#include <malloc.h>
#include <stdlib.h>

#include "cases.h"

#define SESSIONS 64
#define DEPTH 32
#define MSEC (1000 * 1000ull)

struct crowd {
	struct xfer_tgt *tgt;
	struct xfer_ini *ini[SESSIONS];
	struct sim_mem tgt_mem;
	struct sim_mem ini_mem[SESSIONS];
	uint64_t now;
	uint64_t random;
	unsigned opened;
	unsigned done;
	uint8_t data[WIRE_EBD_P_SMALL];
	uint64_t frames;
};

static uint64_t
draw(void *ctx)
{
	return rng_splitmix(&((struct crowd *)ctx)->random);
}

static void
make_mac(void *ctx, const void *msg, size_t len, uint8_t out[16])
{
	uint32_t crc = wire_crc_add(~0u, msg, (uint32_t)len);

	memset(out, 0, 16);
	memcpy(out, &crc, sizeof(crc));
}

static int
buf_get(void *ctx, struct xfer_io *io)
{
	io->buf = ((struct crowd *)ctx)->data;
	return io->len <= WIRE_EBD_P_SMALL ? 0 : -ENOBUFS;
}

static void
buf_put(void *ctx, struct xfer_io *io)
{
}

static void
place_io(void *ctx, struct xfer_io *io, uint32_t off, const void *payload, uint32_t len)
{
}

static void
place_cmd(void *ctx, struct xfer_cmd *cmd, uint32_t off, const void *payload, uint32_t len)
{
}

static void
start(void *ctx, struct xfer_io *io)
{
	struct crowd *c = ctx;

	xfer_tgt_io_done(c->tgt, io, 0, c->now);
}

static void
event(void *ctx, enum xfer_ini_event ev, int status)
{
	((struct crowd *)ctx)->opened += ev == XFER_EV_OPENED;
}

static struct crowd *the_crowd;

static void
done(struct xfer_cmd *cmd, int status)
{
	the_crowd->done += status == 0;
}

/* ---- Frames ---- */

static bool
pull(struct crowd *c, int i, uint8_t *frame, uint32_t *len)
{
	struct xfer_tx tx = {.hdr = frame};
	struct xfer_seg seg;
	bool some =
		i < 0 ? xfer_tgt_tx(c->tgt, 0, &tx, c->now) : xfer_ini_tx(c->ini[i], &tx, c->now);

	if (!some)
		return false;
	memset(frame + tx.hdr_len, 0, tx.data_len);
	seg = (struct xfer_seg){frame + tx.hdr_len, tx.data_len};
	if (tx.seal)
		xfer_tx_seal(&tx, &seg, 1);
	*len = tx.hdr_len + tx.data_len;
	c->frames++;
	return true;
}

/* Until nobody has anything to send. */
static void
settle(struct crowd *c)
{
	alignas(8) uint8_t frame[SIM_FRAME_ROOM];
	struct xfer_rx rx = {.hdr = frame, .payload = frame + WIRE_EBD_HDR_LEN};
	bool moved = true;
	int i;

	while (moved) {
		moved = false;
		for (i = 0; i < SESSIONS; i++) {
			while (pull(c, i, frame, &rx.len)) {
				moved = true;
				xfer_tgt_rx(c->tgt, 0, &rx, c->now);
			}
		}
		while (pull(c, -1, frame, &rx.len)) {
			moved = true;
			if (frame[5] < SESSIONS)
				xfer_ini_rx(c->ini[frame[5]], &rx, c->now);
		}
	}
}

/* Let time pass in steps. */
static void
pass(struct crowd *c, uint64_t ns, uint64_t step)
{
	uint64_t end = c->now + ns;
	int i;

	for (; c->now < end; c->now += step) {
		for (i = 0; i < SESSIONS; i++) {
			if (xfer_ini_deadline(c->ini[i]) <= c->now)
				xfer_ini_tick(c->ini[i], c->now);
		}
		xfer_tgt_tick(c->tgt, c->now);
		settle(c);
	}
}

/* ---- Set up ---- */

static void
target_conf(struct crowd *c, struct xfer_tgt_conf *conf, uint16_t sessions, uint16_t depth)
{
	xfer_tgt_conf_default(conf);
	conf->max_sessions = sessions;
	conf->max_depth = depth;
	conf->random = draw;
	conf->mac = make_mac;
	conf->buf_get = buf_get;
	conf->buf_put = buf_put;
	conf->place = place_io;
	conf->io_start = start;
	conf->ctx = c;
}

static void
build(struct crowd *c)
{
	struct wire_geometry g = {.size = 1 << 20, .block_size = 512, .name = "disk"};
	struct xfer_tgt_conf tc;
	struct xfer_ini_conf ic;
	uint8_t mac[6];
	int i;

	target_conf(c, &tc, SESSIONS, DEPTH);
	c->tgt = xfer_tgt_init(mem_get(&c->tgt_mem, xfer_tgt_size(&tc)), &tc);
	sim_mac(mac, SESSIONS);
	if (c->tgt == NULL || xfer_tgt_port_add(c->tgt, mac, WIRE_EBD_P_SMALL) != 0 ||
		xfer_tgt_export_add(c->tgt, &g) != 0)
		abort();
	for (i = 0; i < SESSIONS; i++) {
		xfer_ini_conf_default(&ic);
		ic.client_uuid[0] = (uint8_t)(i + 1);
		sim_mac(ic.mac, (unsigned)i);
		sim_mac(ic.target, SESSIONS);
		memcpy(ic.volume, "disk", 5);
		ic.depth = DEPTH;
		ic.place = place_cmd;
		ic.event = event;
		ic.ctx = c;
		c->ini[i] = xfer_ini_init(mem_get(&c->ini_mem[i], xfer_ini_size(&ic)), &ic);
		if (c->ini[i] == NULL || xfer_ini_open(c->ini[i], c->now) != 0)
			abort();
	}
}

static size_t
size_of(struct crowd *c, uint16_t sessions, uint16_t depth)
{
	struct xfer_tgt_conf conf;

	target_conf(c, &conf, sessions, depth);
	return xfer_tgt_size(&conf);
}

/* base + sessions * (session + depth * command), as doc/architecture.md has it. */
static void
check_formula(struct world *w, struct crowd *c)
{
	size_t per_session = size_of(c, 2, DEPTH) - size_of(c, 1, DEPTH);
	size_t per_command = size_of(c, 1, 2) - size_of(c, 1, 1);
	size_t session = size_of(c, 2, 1) - size_of(c, 1, 1) - per_command;

	CASE_CHECK(w, per_session == session + DEPTH * per_command);
	CASE_CHECK(w,
		size_of(c, SESSIONS, DEPTH) == size_of(c, 1, DEPTH) + (SESSIONS - 1) * per_session);
	CASE_CHECK(w,
		per_command >= sizeof(struct xfer_io) && per_command <= sizeof(struct xfer_io) + 8);
	CASE_CHECK(w, session <= 256);
}

/* Every session keeps all its slots busy. */
static void
work(struct world *w, struct crowd *c, struct xfer_cmd *cmds)
{
	unsigned i, k;

	c->done = 0;
	for (i = 0; i < SESSIONS; i++) {
		for (k = 0; k < DEPTH; k++) {
			struct xfer_cmd *cmd = &cmds[i * DEPTH + k];

			memset(cmd, 0, sizeof(*cmd));
			cmd->done = done;
			cmd->op = k % 2 ? WIRE_READ : WIRE_WRITE;
			cmd->addr = k * 1024;
			cmd->len = 1024;
			CASE_CHECK(w, xfer_ini_submit(c->ini[i], cmd, c->now) == 0);
		}
	}
	settle(c);
	pass(c, 100 * MSEC, MSEC);
	CASE_CHECK(w, c->done == SESSIONS * DEPTH);
}

void
case_sessions64(struct world *w)
{
	struct crowd *c = calloc(1, sizeof(*c));
	struct xfer_cmd *cmds = calloc(SESSIONS * DEPTH, sizeof(*cmds));
	struct xfer_session_info info;
	size_t heap;
	unsigned i;

	memset(&w->failure, 0, sizeof(w->failure));
	if (c == NULL || cmds == NULL)
		abort();
	the_crowd = c;
	c->now = XFER_NSEC_PER_SEC;
	check_formula(w, c);
	build(c);
	heap = mallinfo2().uordblks;
	settle(c);
	pass(c, XFER_NSEC_PER_SEC, 5 * MSEC);
	CASE_CHECK(w, c->opened == SESSIONS);
	for (i = 0; xfer_tgt_session_info(c->tgt, i, c->now, &info) == 0; i++)
		;
	CASE_CHECK(w, i == SESSIONS);
	work(w, c, cmds);
	/* Idle, a session says at most once in a second that it is there, and is answered. */
	c->frames = 0;
	pass(c, 60 * XFER_NSEC_PER_SEC, 5 * MSEC);
	CASE_CHECK(w, c->frames <= 2 * 61 * SESSIONS);
	CASE_CHECK(w, xfer_tgt_stats(c->tgt)->collected == 0 && c->opened == SESSIONS);
	work(w, c, cmds);
	/* No memory but what was asked for. */
	CASE_CHECK(w, mem_is_intact(&c->tgt_mem));
	for (i = 0; i < SESSIONS; i++)
		CASE_CHECK(w, mem_is_intact(&c->ini_mem[i]));
	CASE_CHECK(w, mallinfo2().uordblks == heap);
	for (i = 0; i < SESSIONS; i++)
		free(c->ini_mem[i].base);
	free(c->tgt_mem.base);
	free(cmds);
	free(c);
}
