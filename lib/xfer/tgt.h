/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The target's state; private to lib/xfer. */

#ifndef XFER_TGT_H
#define XFER_TGT_H

#include "xfer_int.h"

#define TGT_TICK_NS (100ull * XFER_NSEC_PER_MSEC)
#define TGT_IDLE_NS XFER_NSEC_PER_SEC /* a session idle for so long falls back to few credits */
#define TGT_EVENTS 3 /* frames that tell a session of a change, one a tick */
#define TGT_START_CREDITS 8
#define TGT_COOKIE_NS (10 * XFER_NSEC_PER_SEC) /* a challenge is good for so long */
#define TGT_GRANT_FRAGS 16 /* fragments in a grant */
#define TGT_GRANTS_OUT 2 /* grants outstanding per command, to hide the round trip */
#define TGT_BURST 16 /* frames a command sends before others have their turn */
#define TGT_CTRL_RING 128 /* session answers waiting to be sent, per port */
/* Of what all exports share one takes at most so many times what it leaves: see xfer_tgt_share(). */
#define TGT_SHARE 3

/* sid: index of the session in the low bits, random above. */
#define TGT_SID_BITS 10
#define TGT_SID_MASK ((1u << TGT_SID_BITS) - 1)

enum session_state {
	SESSION_FREE,
	SESSION_OPENING, /* waits until the client's older sessions are quiet */
	SESSION_LIVE,
	SESSION_CLOSING, /* waits for its commands in the back end */
};

struct xfer_session {
	uint8_t state;
	bool closed_by_peer; /* answer CLOSED when quiet */
	uint8_t port;
	uint8_t mac[6];
	uint8_t client_uuid[WIRE_EBD_UUID_LEN];
	uint64_t nonce;
	uint16_t queue;
	uint16_t index;
	uint32_t sid;
	uint32_t tag; /* of the client's session frames */
	uint32_t export_index;
	uint32_t p;
	uint32_t depth;
	uint32_t features;
	uint32_t isn;
	uint32_t acked; /* every cseq <= acked is finished at the initiator */
	uint32_t answered; /* commands that were answered, ever */
	uint32_t nb_running; /* commands started and not answered */
	uint32_t limit; /* highest cseq it may send; never goes back */
	uint32_t told; /* the limit it was told last */
	bool pressed; /* it has just used all it was told of */
	uint32_t credit;
	uint16_t slot_base; /* its slots are [slot_base, slot_base + depth) */
	uint32_t nb_exec; /* in the back end */
	uint64_t last_rx_ns;
	uint32_t nb_events; /* EVENT frames that are still to be sent */
	uint64_t commands;
	struct xfer_io *window; /* by slot: the newest command of each */
};

struct tgt_export {
	struct wire_geometry geometry;
	uint32_t promised; /* sum of its sessions' credits */
	struct mpn_list wait_buf; /* commands without memory */
};

/* A session answer to be sent; what it says is looked up when it goes. */
struct tgt_ctrl {
	uint8_t kind;
	uint8_t op;
	uint8_t mac[6];
	uint16_t status;
	uint16_t plen; /* PROBE */
	uint16_t flags; /* PROBE */
	uint32_t sid;
	uint32_t tag;
	uint32_t ts_echo;
	uint32_t index; /* ADVERT: next volume */
	uint32_t last; /* ADVERT: one past the last volume */
	uint64_t nonce;
	uint8_t client_uuid[WIRE_EBD_UUID_LEN]; /* ADVERT: whom it is for */
	struct wire_challenge challenge;
};

struct tgt_port {
	uint8_t mac[6];
	uint32_t p_max;
	uint32_t ctrl_head;
	uint32_t nb_ctrl;
	struct mpn_list sendq;
	struct tgt_ctrl ctrl[TGT_CTRL_RING];
};

struct xfer_tgt {
	struct xfer_tgt_conf conf;
	struct xfer_stats stats;
	bool draining;
	bool pumping;
	bool pump_again;
	unsigned nb_ports;
	uint32_t nb_exports; /* places in use, some of them for those that were removed */
	uint32_t nb_live;
	uint32_t nb_io; /* neither FREE nor DONE */
	uint32_t promised; /* sum of the sessions' credits */
	uint32_t granted_out; /* granted fragments that have not arrived */
	uint64_t next_tick_ns;
	struct xfer_io
		*sent; /* its last frame was pulled; its memory is given back at the next call */
	uint32_t nb_wait_buf; /* commands in state WAIT_BUF */
	uint32_t next_export; /* whose commands have the first choice when memory comes free */
	struct mpn_list wait_grant;
	struct tgt_export *exports;
	struct xfer_session *sessions;
	struct tgt_port ports[XFER_MAX_PORTS];
};

/* tgt_session.c */
enum wire_drop
tgt_rx_disc(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, const struct xfer_rx *rx);
enum wire_drop tgt_rx_ctrl(struct xfer_tgt *t, unsigned port, const struct wire_ebd *h,
	const struct xfer_rx *rx, uint64_t now_ns);
struct tgt_ctrl *tgt_ctrl_push(
	struct xfer_tgt *t, unsigned port, const struct wire_ebd *h, uint8_t kind, uint8_t op);
void tgt_session_kill(struct xfer_tgt *t, struct xfer_session *s, uint64_t now_ns);
void tgt_session_check_quiet(struct xfer_tgt *t, struct xfer_session *s, uint64_t now_ns);
void tgt_session_fill_opened(
	const struct xfer_tgt *t, const struct xfer_session *s, struct wire_opened *o);

/* tgt_credit.c */
void tgt_credit_open(struct xfer_tgt *t, struct xfer_session *s);
void tgt_credit_close(struct xfer_tgt *t, struct xfer_session *s);
void tgt_credit_update(struct xfer_tgt *t, struct xfer_session *s);
void tgt_credit_idle(struct xfer_tgt *t, struct xfer_session *s);

/* tgt_cmd.c */
enum wire_drop tgt_rx_cmd(struct xfer_tgt *t, struct xfer_session *s, const struct wire_ebd *h,
	const struct xfer_rx *rx);
enum wire_drop tgt_rx_data(struct xfer_tgt *t, struct xfer_session *s, const struct wire_ebd *h,
	const struct xfer_rx *rx);
enum wire_drop tgt_rx_nak(struct xfer_tgt *t, struct xfer_session *s, const struct wire_ebd *h,
	const struct xfer_rx *rx);
enum wire_drop tgt_rx_ack(struct xfer_session *s, uint32_t ack);
void tgt_io_cancel(struct xfer_tgt *t, struct xfer_io *io);
void tgt_io_answer(struct xfer_tgt *t, struct xfer_io *io, uint16_t status, uint16_t detail);
void tgt_io_sent(struct xfer_tgt *t, struct xfer_io *io);

/* tgt_io.c */
extern const uint8_t tgt_io_allowed[XFER_IO_STATES]; /* bitmaps of the states that may follow */
bool tgt_io_try_buf(struct xfer_tgt *t, struct xfer_io *io);
void tgt_io_get_buf(struct xfer_tgt *t, struct xfer_io *io);
void tgt_io_put_buf(struct xfer_tgt *t, struct xfer_io *io);
void tgt_io_exec(struct xfer_tgt *t, struct xfer_io *io);
void tgt_grant_end(struct xfer_tgt *t, struct xfer_io *io);
void tgt_pump(struct xfer_tgt *t);
void tgt_end_sent(struct xfer_tgt *t);

static inline bool
tgt_io_is_outstanding(uint8_t state)
{
	return state != XFER_IO_FREE && state != XFER_IO_DONE;
}

/* The one place where a command's state changes. */
static inline void
tgt_io_set_state(struct xfer_tgt *t, struct xfer_io *io, enum xfer_io_state to)
{
	if (mpn_unlikely(!(tgt_io_allowed[io->state] >> to & 1)))
		__builtin_trap(); /* a bug of ours; no frame can bring it about */
	t->nb_io += (uint32_t)tgt_io_is_outstanding((uint8_t)to) -
		    (uint32_t)tgt_io_is_outstanding(io->state);
	/* Few ever wait: a branch that is not taken rather than a sum. */
	if (to == XFER_IO_WAIT_BUF)
		t->nb_wait_buf++;
	if (mpn_unlikely(io->state == XFER_IO_WAIT_BUF))
		t->nb_wait_buf--;
	io->state = (uint8_t)to;
}

static inline void
tgt_io_queue_tx(struct xfer_tgt *t, struct xfer_io *io)
{
	if (mpn_list_empty(&io->node))
		mpn_list_add_tail(&t->ports[io->session->port].sendq, &io->node);
}

/* The caller is back: it has made what was pulled last into a frame. */
static inline void
tgt_finish_sent(struct xfer_tgt *t)
{
	if (t->sent != NULL)
		tgt_end_sent(t);
}

/* One that was removed has no name. */
static inline bool
tgt_export_is_live(const struct xfer_tgt *t, uint32_t index)
{
	return t->exports[index].geometry.name[0] != '\0';
}

/* For a client that may not use it, it is not there. */
static inline bool
tgt_export_is_there(
	const struct xfer_tgt *t, uint32_t index, const uint8_t client_uuid[], const uint8_t mac[6])
{
	return tgt_export_is_live(t, index) &&
	       (t->conf.may_use == NULL || t->conf.may_use(t->conf.ctx, index, client_uuid, mac));
}

static inline struct tgt_export *
tgt_io_export(struct xfer_tgt *t, const struct xfer_io *io)
{
	return &t->exports[io->export_index];
}

static inline bool
tgt_io_needs_buf(const struct xfer_io *io)
{
	return io->op == WIRE_READ || io->op == WIRE_WRITE;
}

#endif
