/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The nodes: the glue between the engines and the simulated world, and the checks of the contract
 * between an engine and its caller.
 */

#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "lending.h"
#include "net.h"
#include "oracle.h"
#include "placing.h"

#define SIM_MAX_INI (SIM_NODES - 1)
#define SIM_SLOTS 100 /**< each initiator has its own range of slots */
#define SIM_MAX_CMDS 64 /**< commands submitted at a time, per initiator */
#define SIM_MAX_SESSIONS 16 /**< of the target */
#define SIM_MAX_BUFS 128 /**< of the target's pool */
#define SIM_GUARD 64 /**< bytes around each buffer */
#define SIM_GUARD_BYTE 0xfd
#define SIM_POISON_BYTE 0xa5 /**< a read's buffer before the read */
#define SIM_BUF_SIZE (WIRE_EBD_MAX_QUANTUM + 2 * SIM_GUARD)

/** What all nodes have. */
struct sim_node {
	bool up;
	bool polled; /**< a poll is scheduled */
	bool in_rx; /**< the engine is being called: completions may run */
	uint32_t incarnation;
	uint32_t spins; /**< ticks that did not move its deadline into the future */
	uint64_t clock_offset; /**< its clock starts somewhere of its own */
	uint64_t hang_until;
	uint64_t timer_at; /**< of the timer event that counts */
	struct sim_frame *backlog; /**< received while it hung */
	struct sim_frame **backlog_tail;
	uint32_t nb_backlog;
};

/** Memory for an engine, with guard bytes behind it. */
struct sim_mem {
	uint8_t *base;
	size_t cap;
	size_t size;
};

struct sim_ini;

struct sim_cmd {
	struct xfer_cmd cmd; /* first */
	struct sim_ini *ini;
	struct sim_cmd *next_free;
	uint8_t *room; /**< guard, data, guard */
	uint32_t op; /**< the oracle's number */
	bool live;
	int status; /**< of its end */
	uint64_t placed; /**< fragments placed in this session */
	uint64_t sent; /**< fragments sent since the submission */
	uint8_t way; /**< enum sim_way */
	uint32_t nb_held; /**< pages of it the ring has */
	uint64_t seal; /**< of its data, when it was handed over */
	uint32_t sealed_len; /**< 0: it was not sealed */
	uint32_t nb_reserved; /**< frames, for a read that is lent */
	struct xfer_lent lent;
	struct xfer_placed placed_read;
	union {
		struct xfer_page *pages[WIRE_EBD_MAX_FRAGS];
		void *frames[WIRE_EBD_MAX_FRAGS];
	};
};

struct sim_ini {
	struct xfer_ini *eng;
	struct sim_mem mem;
	struct xfer_ini_conf conf;
	struct world *w;
	uint8_t node;
	uint8_t index;
	uint8_t client; /**< initiators with the same client are killed together */
	bool wants_open; /**< its user wants a session */
	bool closing;
	bool in_call; /**< in submit or abort: no completion may run */
	uint32_t nb_live;
	uint64_t opened; /**< sessions of this life */
	uint32_t said_sid, said_cseq; /**< the last session, and its last command, that were sent */
	struct sim_cmd cmd[SIM_MAX_CMDS];
	struct sim_cmd *free;
	/* Reads in place. */
	struct sim_ring ring;
	struct xfer_place *placer; /**< NULL: there is no ring */
	struct sim_mem placer_mem;
	struct sim_mem bounce;
	struct sim_frame *rx; /**< being received */
	struct sim_lender lender;
};

struct sim_buf {
	struct xfer_io *io; /**< owner, NULL: free */
	struct sim_buf *next;
	uint8_t *room;
	uint64_t placed[WIRE_EBD_MAX_QUANTUM / 128 / 64]; /**< by where fragments start */
	uint32_t placed_bytes;
};

struct sim_tgt {
	struct xfer_tgt *eng;
	struct sim_mem mem;
	struct world *w;
	struct rng rng;
	uint64_t secret;
	uint64_t epoch;
	struct sim_buf buf[SIM_MAX_BUFS];
	struct sim_buf *free;
	uint32_t nb_bufs_out;
	uint32_t credits[SIM_MAX_SESSIONS]; /**< the most each session ever had */
	uint32_t sids[SIM_MAX_SESSIONS];
	uint64_t nobuf_until; /**< the pool gives nothing until then */
	uint64_t astray_until; /**< bulk data goes by the other queue until then */
};

/* node.c: every node */
void node_reset(struct world *w, uint8_t node);
uint64_t node_now(const struct world *w, uint8_t node);
/** A frame arrives at f->to; takes the frame. */
void node_rx(struct world *w, struct sim_frame *f);
/** The engine was called from outside: send what it has, set its timer. */
void node_after(struct world *w, uint8_t node);
void node_start(struct world *w, uint8_t node);
void node_start_later(struct world *w, uint8_t node, uint64_t delay_ns);
void node_kill(struct world *w, uint8_t node);
void node_hang(struct world *w, uint8_t node, uint64_t ns);
void *mem_get(struct sim_mem *m, size_t size);
bool mem_is_intact(const struct sim_mem *m);

/* ini.c */
void ini_boot(struct world *w, struct sim_ini *ini);
void ini_died(struct world *w, struct sim_ini *ini);
void ini_reset(struct world *w, uint8_t index);
void ini_free(struct sim_ini *ini);
bool ini_tx(struct world *w, struct sim_ini *ini, struct sim_frame *f);
void ini_rx(struct world *w, struct sim_ini *ini, struct sim_frame *f, struct xfer_rx *rx);
/** The command is over: its memory is the user's. */
void ini_done(struct xfer_cmd *cmd, int status);
/** Memory that was handed over must be as it was then. */
void ini_check_seals(struct sim_ini *ini);
/** A command to fill in, or NULL when all are in use. Its data is at ini_data(). */
struct sim_cmd *ini_cmd(struct sim_ini *ini);
uint8_t *ini_data(const struct sim_cmd *c);
/** Submit it; write data is made here. @return 0 or -errno (the command is free again) */
int ini_submit(struct world *w, struct sim_cmd *c);
void ini_abort(struct world *w, struct sim_cmd *c);
void ini_close(struct world *w, struct sim_ini *ini);
bool ini_is_usable(const struct sim_ini *ini);

/* tgt.c */
void tgt_boot(struct world *w);
void tgt_died(struct world *w);
void tgt_reset(struct world *w);
void tgt_free(struct sim_tgt *t);
/** No session has more commands running than it ever had credits. */
void tgt_check_credits(struct world *w);
bool tgt_tx(struct world *w, struct sim_frame *f);
uint8_t *tgt_buf_data(const struct xfer_io *io);

#endif
