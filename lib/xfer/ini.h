/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The initiator's state; private to lib/xfer. */

#ifndef XFER_INI_H
#define XFER_INI_H

#include "xfer_int.h"

/* Where a command stands; xfer_cmd.state. */
enum {
	CMD_IDLE, /* the caller's */
	CMD_PENDING, /* waits for credit, slot, room or an overlapping write */
	CMD_ACTIVE, /* has a tag */
	CMD_ENDING, /* about to be reported */
};

/* Writes in flight are found by a counting filter over granules of this size. */
#define INI_GRANULE_SHIFT 17
#define INI_FILTER_SIZE 256
static_assert(1u << INI_GRANULE_SHIFT >= WIRE_EBD_MAX_QUANTUM, "a data command spans two granules");

/* Session frames are repeated at this rate first, then ever more slowly. */
#define INI_CTRL_RETRY_NS (20ull * XFER_NSEC_PER_MSEC)
#define INI_CTRL_DOUBLED_MAX 8
#define INI_CTRL_TRIES 6 /* of OPEN and PROOF, before discovery starts again */
#define INI_PROBE_TRIES 3 /* of each payload unit */
#define INI_PROBE_ROUNDS 4 /* before commands that were accepted become too large */
#define INI_DEAD_FRAMES 5 /* unanswered frames, at least, before a silent peer is dead */
#define INI_DRAIN_BYTES 64 /* padding of a PROBE that is to come back as bulk data */
#define INI_RUNNING_TRIES 5 /* back-off of a command the target says it is working on */

struct ini_slot {
	struct xfer_cmd *cmd;
	uint16_t generation;
};

struct xfer_ini {
	struct xfer_ini_conf conf;
	struct xfer_stats stats;

	/* Session. */
	uint8_t state; /* enum xfer_ini_state */
	bool was_live;
	bool ctrl_due; /* a session frame is to be sent now */
	bool probe_due; /* a PROBE of the live session is to be sent now */
	bool tail_probe_out;
	bool sealed; /* the session's frames carry checksums */
	bool bulk; /* the target honours WIRE_F_BULK */
	uint8_t ctrl_tries;
	uint8_t ctrl_slow; /* opening has failed so often: answers get twice as long each time */
	uint8_t probe_rounds; /* fruitless ones since the session was live */
	uint8_t peer[6];
	uint32_t drain; /* PROBEs to be sent for xfer_ini_drain() */
	uint32_t draining; /* and those that have not come back, sent or not */
	uint64_t nonce;
	uint64_t epoch;
	uint32_t sid;
	uint32_t p;
	uint32_t peer_p; /* what the target's link takes */
	uint32_t quantum;
	uint32_t depth;
	struct wire_challenge challenge;
	struct wire_geometry geometry;

	uint32_t last_cseq; /* of the newest command; the session's first one is isn + 1 */
	uint32_t limit;

	/* Commands. */
	struct mpn_list pending;
	struct mpn_list active; /* in order of cseq: the first one tells what is acknowledged */
	struct mpn_list txq;
	struct mpn_list cancelled; /* aborted before they were sent; end at the next tick */
	struct mpn_list writes; /* in flight, changing the volume */
	uint32_t nb_outstanding;
	uint32_t nb_active;
	uint32_t frames_in_flight;
	uint32_t big_writes;
	uint16_t filter[INI_FILTER_SIZE];

	/* Time. */
	uint64_t next_timer_ns;
	uint64_t ctrl_deadline_ns;
	uint64_t last_rx_ns;
	uint64_t lost_ns; /* when the peer was given up; valid unless LIVE */
	uint64_t unanswered_ns; /* when the first of them was sent */
	uint32_t unanswered; /* frames sent on a timer since the peer was last heard */
	uint64_t srtt_ns;
	uint64_t rttvar_ns;

	/* Free slots, first in first out so that a slot rests as long as possible. */
	uint32_t free_head;
	uint32_t nb_free;
	uint16_t free_slots[XFER_MAX_DEPTH];
	struct ini_slot slots[];
};

/* ini_session.c */
void ini_reopen(struct xfer_ini *ini, uint64_t now_ns);
bool ini_tx_ctrl(struct xfer_ini *ini, struct xfer_tx *tx, uint64_t now_ns);
bool ini_tx_probe(struct xfer_ini *ini, struct xfer_tx *tx, uint64_t now_ns);
bool ini_tx_drain(struct xfer_ini *ini, struct xfer_tx *tx, uint64_t now_ns);
enum wire_drop ini_rx_session(
	struct xfer_ini *ini, const struct wire_ebd *h, const struct xfer_rx *rx, uint64_t now_ns);
void ini_ctrl_timer(struct xfer_ini *ini, uint64_t now_ns);

/* ini_cmd.c */
bool ini_tx_cmd(struct xfer_ini *ini, struct xfer_tx *tx, uint64_t now_ns);
void ini_queue_tx(struct xfer_ini *ini, struct xfer_cmd *cmd);
void ini_complete(struct xfer_ini *ini, struct xfer_cmd *cmd, int status);
void ini_requeue_all(struct xfer_ini *ini);
void ini_reset_slots(struct xfer_ini *ini);
void ini_fail_list(struct xfer_ini *ini, struct mpn_list *list, int status);

/* ini_read.c */
bool ini_read_is_split(const struct xfer_ini *ini, const struct xfer_cmd *cmd);
bool ini_read_begin(const struct xfer_ini *ini, struct xfer_cmd *cmd, uint16_t reading);
uint64_t ini_read_missing(const struct xfer_ini *ini, const struct xfer_cmd *cmd);
void ini_read_place(struct xfer_ini *ini, struct xfer_cmd *cmd, uint32_t off, const void *payload,
	uint32_t len);

/* ini_timer.c */
void ini_rtt_sample(struct xfer_ini *ini, uint32_t ts_echo, uint64_t now_ns);
void ini_arm(struct xfer_ini *ini, uint64_t deadline_ns);
void ini_arm_cmd(struct xfer_ini *ini, struct xfer_cmd *cmd, uint64_t now_ns);
void ini_count_unanswered(struct xfer_ini *ini, uint64_t now_ns);

/* Every command up to this one is finished here. */
static inline uint32_t
ini_acked(const struct xfer_ini *ini)
{
	if (mpn_list_empty(&ini->active))
		return ini->last_cseq;
	return mpn_container_of(ini->active.next, struct xfer_cmd, node)->cseq - 1;
}

/* What all frames of the initiator have in common; the rest of the header is zero. */
static inline void
ini_header(const struct xfer_ini *ini, struct wire_ebd *h, enum wire_ebd_kind kind, uint8_t op,
	uint64_t now_ns)
{
	static const uint8_t multicast[6] = WIRE_EBD_MULTICAST;

	*h = (struct wire_ebd){
		.ethertype = ini->conf.ethertype_to_target,
		.ver_kind = wire_ebd_ver_kind(kind),
		.op = op,
		.sid = ini->sid,
		.ack = ini_acked(ini),
		.ts = xfer_us(now_ns),
	};
	memcpy(h->dst, mpn_unlikely(xfer_mac_zero(ini->peer)) ? multicast : ini->peer, 6);
	memcpy(h->src, ini->conf.mac, 6);
}

static inline uint32_t
ini_nb_frags(const struct xfer_ini *ini, const struct xfer_cmd *cmd)
{
	return wire_nb_frags(cmd->len, ini->p);
}

static inline void
ini_event(struct xfer_ini *ini, enum xfer_ini_event ev, int status)
{
	if (ini->conf.event != NULL)
		ini->conf.event(ini->conf.ctx, ev, status);
}

static inline bool
cmd_moves_data_in(const struct xfer_cmd *cmd)
{
	return cmd->op == WIRE_READ || cmd->op == WIRE_IDENTIFY;
}

/* Does it change the volume, so that the overlap rule holds for it? */
static inline bool
cmd_changes(const struct xfer_cmd *cmd)
{
	return cmd->op == WIRE_WRITE || cmd->op == WIRE_DISCARD || cmd->op == WIRE_WRITE_ZEROES;
}

#endif
