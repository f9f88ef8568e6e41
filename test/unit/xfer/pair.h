/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * An initiator and a target face to face, without a network: a test moves the frames itself, one by
 * one, and may change, keep, repeat or forge them. Everything placed goes to small buffers that are
 * fenced by guard bytes.
 */

#ifndef XFER_TEST_PAIR_H
#define XFER_TEST_PAIR_H

#include <stdalign.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "xfer.h"

#define PAIR_P WIRE_EBD_P_SMALL
#define PAIR_VOLUME_SIZE (1u << 20)
#define PAIR_MAX_FRAME (WIRE_EBD_HDR_LEN + WIRE_EBD_P_LARGE)
#define PAIR_CMDS 16
#define PAIR_GUARD 64
#define PAIR_GUARD_BYTE 0xa5

struct pair_frame {
	uint32_t len;
	alignas(8) uint8_t bytes[PAIR_MAX_FRAME];
};

struct pair_cmd {
	struct xfer_cmd cmd; /* first: the engine's pointer is ours */
	int nb_done;
	int status;
	uint8_t guard_before[PAIR_GUARD];
	uint8_t data[WIRE_EBD_MAX_QUANTUM];
	uint8_t guard_after[PAIR_GUARD];
};

struct pair {
	struct xfer_ini_conf ini_conf;
	struct xfer_tgt_conf tgt_conf;
	struct xfer_ini *ini;
	struct xfer_tgt *tgt;
	uint64_t now_ns;
	int nb_opened;
	int nb_lost;
	int nb_closed;
	int refused; /* -errno of the last refusal */
	int nb_placed_ini;
	int nb_placed_tgt;
	int nb_bufs; /* held by the target */
	int max_bufs; /* -1: no bound */
	void *bufs[128];
	bool hold_io; /* the back end keeps what it gets */
	struct xfer_io *held[64];
	unsigned nb_held;
	unsigned nb_started;
	uint64_t random;
	uint8_t volume[PAIR_VOLUME_SIZE];
	struct pair_cmd cmds[PAIR_CMDS];
};

extern const uint8_t pair_ini_mac[6];
extern const uint8_t pair_tgt_mac[6];

/* A pair that is not connected; tune its configurations, then pair_start(). Freed by pair_free(). */
struct pair *pair_new(void);
void pair_start(struct pair *p);
/* pair_new() and pair_start() and the session open; crc says whether with checksums. */
struct pair *pair_live(bool crc);
void pair_free(struct pair *p);

/* Take the next frame an end wants to send. @return false when there is none */
bool pair_pull_ini(struct pair *p, struct pair_frame *f);
bool pair_pull_tgt(struct pair *p, struct pair_frame *f);
/* Hand a frame to an end. */
void pair_to_ini(struct pair *p, const struct pair_frame *f);
void pair_to_tgt(struct pair *p, const struct pair_frame *f);
/* Move frames both ways until nothing moves. */
void pair_settle(struct pair *p);
/* Let time pass and run the timers, then settle. */
void pair_advance(struct pair *p, uint64_t ns);

/* Submit command i. Its data is a pattern for writes and zero for reads. */
struct pair_cmd *pair_submit(struct pair *p, unsigned i, uint8_t op, uint64_t addr, uint32_t len);
void pair_check_guards(const struct pair_cmd *c);

/* The header of a frame, to be looked at and to be changed; the checksum is made anew on writing. */
struct wire_ebd pair_header(const struct pair_frame *f);
void pair_set_header(struct pair_frame *f, const struct wire_ebd *h);

/* Finish what the back end holds. */
void pair_finish_io(struct pair *p, int status);

uint64_t pair_sum_drops(const struct xfer_stats *s);

#endif
