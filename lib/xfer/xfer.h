/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The solicited-transfer protocol of EBD version 1 as two state machines, the initiator (one session
 * to one volume) and the target (all sessions of a server). They take frames, submissions and the
 * time, and give frames and completions. There is no DPDK, no clock, no malloc, no log and no I/O in
 * here, and neither ever touches the user's data: a frame to be sent names the piece of a command it
 * carries, and a frame that arrived is handed to place() only after every check has passed.
 *
 * The caller gives the memory (xfer_*_size()), passes now_ns (any monotonic clock), hands in received
 * frames, pulls frames to be sent for as long as its link has room, and calls tick() when
 * deadline() has come. An engine belongs to one thread.
 */

#ifndef XFER_H
#define XFER_H

#include "mpn_list.h"
#include "wire_ebd.h"

#define XFER_NSEC_PER_SEC 1000000000ull /**< nanoseconds */
#define XFER_NO_DEADLINE UINT64_MAX /**< there is no timer */
#define XFER_MAX_DEPTH 256 /**< commands in flight per session */
/** Words of a bitmap of the blocks of a command whose fragments do not end where blocks do. */
#define XFER_WHOLE_WORDS ((WIRE_EBD_MAX_FRAGS * WIRE_EBD_P_SMALL / 512 + 63) / 64)
#define XFER_MAX_PORTS 8 /**< links a target serves */
/** Low bits of a nonce, which count how often a session was opened again; the rest names the start of the
 *  client, see struct xfer_ini_conf. */
#define XFER_NONCE_TRY_BITS 20

/** Bytes an engine may write to xfer_tx.hdr: a header and a DISC or CTRL payload. */
#define XFER_TX_ROOM (WIRE_EBD_HDR_LEN + WIRE_EBD_MAX_CTRL)

/** A frame as received. */
struct xfer_rx {
	const void *hdr; /**< at least min(len, 64) bytes, any alignment */
	const void *payload; /**< len - 64 contiguous bytes; unused when len <= 64 */
	uint32_t len; /**< bytes of the whole frame */
};

struct xfer_cmd;
struct xfer_io;

/** A frame to be sent: [hdr, hdr_len) and then data_len bytes by reference. */
struct xfer_tx {
	void *hdr; /**< in: XFER_TX_ROOM writable bytes, aligned to 8 */
	uint32_t hdr_len; /**< 64, or more when a control payload follows the header in place */
	uint32_t data_len; /**< bytes of the payload that are not in hdr */
	uint32_t data_off; /**< where they start in the command's data */
	union {
		struct xfer_cmd *cmd; /**< initiator; NULL: data_len bytes of zeroes */
		struct xfer_io *io; /**< target; NULL: data_len bytes of zeroes */
	};
	bool seal; /**< the caller must call xfer_tx_seal() */
	bool retx; /**< sent before: may outlive the command, so send a copy of the data */
};

/** One piece of the payload, for xfer_tx_seal(). */
struct xfer_seg {
	const void *base;
	uint32_t len;
};

/** Compute the checksum of a pulled frame over its header and payload, and store it. */
void xfer_tx_seal(struct xfer_tx *tx, const struct xfer_seg *segs, unsigned nb_segs);

/** Counters both ends have: {name, text}. */
#define XFER_COUNTER_LIST(X) \
	X(rx_frames, "frames received and accepted") \
	X(rx_bytes, "payload bytes placed") \
	X(tx_frames, "frames sent") \
	X(tx_bytes, "payload bytes sent") \
	X(retransmits, "frames sent again") \
	X(naks, "NAK frames sent") \
	X(probes, "PROBE frames sent or answered") \
	X(duplicates, "commands received again (target), tail probes sent (initiator)") \
	X(timeouts, "retransmission timers that ran out") \
	X(commands, "commands started") \
	X(completions, "commands ended") \
	X(errors, "commands ended with an error") \
	X(sessions, "sessions opened") \
	X(fenced, "sessions ended by a newer one of the same client") \
	X(collected, "sessions ended because their lease ran out")

/** Counters of an engine. */
struct xfer_stats {
#define X(name, text) uint64_t name;
	XFER_COUNTER_LIST(X)
#undef X
	uint64_t drops[WIRE_DROP_COUNT]; /**< frames dropped, by cause */
};

/* ------------------------------------------------------------------------------------------------
 * Initiator
 */

/** Where a session stands. */
enum xfer_ini_state {
	XFER_INI_IDLE, /**< not opened, or closed */
	XFER_INI_DISCOVER, /**< asking who has the volume */
	XFER_INI_PROBE, /**< finding the largest payload unit the path carries */
	XFER_INI_OPEN, /**< OPEN sent */
	XFER_INI_PROOF, /**< challenge answered */
	XFER_INI_LIVE, /**< commands flow */
	XFER_INI_CLOSING, /**< CLOSE sent */
	XFER_INI_STATES
};

/** Name in lower case for logs and dumps. */
const char *xfer_ini_state_name(enum xfer_ini_state s);

/** What the event callback reports. */
enum xfer_ini_event {
	XFER_EV_OPENED, /**< LIVE; geometry and payload unit are known */
	XFER_EV_LOST, /**< the peer fell silent or lost the session; reopening */
	XFER_EV_REFUSED, /**< status says why; the engine keeps trying for BUSY, else it is IDLE */
	XFER_EV_CLOSED, /**< IDLE again */
	XFER_EV_CHANGED, /**< the volume's geometry changed */
};

/**
 * One command, in the caller's memory from submit until done() was called. Its data is the caller's
 * too: bytes [0, len) by whatever means place() and the transmit path know.
 */
struct xfer_cmd {
	/* Set by the caller. */
	void (*done)(struct xfer_cmd *cmd, int status); /**< 0 or -errno; may submit again */
	uint64_t addr; /**< byte address on the volume */
	uint32_t len; /**< bytes; READ, WRITE: at most xfer_ini_quantum() */
	uint16_t flags; /**< WIRE_F_FUA, WIRE_F_NOHOLE, WIRE_F_FAST; READ: WIRE_F_BULK */
	uint8_t op; /**< enum wire_cmd_op */

	/* The engine's. */
	uint8_t state;
	uint8_t tries;
	bool send_cmd;
	bool send_nak;
	bool aborting;
	bool said; /**< its CMD, or since it is aborted its ABORT, has been sent in this session */
	uint16_t slot;
	uint16_t hi; /**< READ: fragments below this one have been seen or overtaken */
	uint16_t reading; /**< READ: number of the reading that the fragments in got are of */
	uint32_t tag;
	uint32_t cseq;
	uint64_t got; /**< READ: fragments placed */
	uint64_t whole[XFER_WHOLE_WORDS]; /**< READ: blocks complete from earlier readings */
	uint64_t want; /**< WRITE: fragments to send */
	uint64_t sent; /**< WRITE: fragments sent at least once */
	uint64_t naked; /**< READ: fragments asked for again since the last timeout */
	uint64_t submit_ns;
	uint64_t deadline_ns;
	struct mpn_list node; /**< pending, or active (in order of cseq) */
	struct mpn_list txnode; /**< has frames to send */
	struct mpn_list wrnode; /**< writes in flight, for the overlap rule */
};

/** How to make an initiator; xfer_ini_conf_default() first. */
struct xfer_ini_conf {
	uint8_t client_uuid[WIRE_EBD_UUID_LEN];
	/**
	 * Names the start of the client: above that of every earlier start with this UUID, the same for all
	 * its sessions, the low XFER_NONCE_TRY_BITS bits zero.
	 */
	uint64_t nonce;
	uint8_t mac[6]; /**< of this end */
	uint8_t target[6]; /**< of the target; all zero: discover it by multicast */
	uint16_t ethertype_to_target;
	uint16_t ethertype_to_initiator;
	char volume[WIRE_EBD_NAME_LEN];
	uint32_t p_max; /**< what this end's MTU allows, see wire_p_of_mtu() */
	uint16_t depth; /**< commands in flight, 1..XFER_MAX_DEPTH */
	uint16_t slot_base; /**< slots of this session are [slot_base, slot_base + depth) */
	uint16_t queue; /**< tells sessions of one client apart */
	uint32_t features; /**< enum wire_feature wanted */
	uint32_t rx_frames; /**< read fragments that may be under way to us, at least 64 */
	uint64_t rto_min_ns; /**< 2 ms on cores of its own, 20 ms on shared ones */
	uint64_t rto_max_ns; /**< 1 s */
	uint64_t probe_ns; /**< least delay of a tail probe: 200 us */
	uint64_t dead_ns; /**< peer silent for so long with work outstanding: reopen; 500 ms */
	uint64_t
		fail_after_ns; /**< commands fail with -ETIMEDOUT when the peer is gone for so long; 0: never */
	uint64_t keepalive_ns; /**< PROBE when idle for so long: 1 s */

	/** Put len bytes of payload at offset off of the command's data. Every check has passed. */
	void (*place)(
		void *ctx, struct xfer_cmd *cmd, uint32_t off, const void *payload, uint32_t len);
	/**
	 * May the command start now? The last thing asked; it starts when the answer is yes, and is asked for
	 * again with the next frame to send when it is no. May set and clear WIRE_F_BULK in cmd->flags and
	 * replace cmd->done. Also asked when the command starts again in another session. NULL: it may.
	 */
	bool (*admit)(void *ctx, struct xfer_cmd *cmd);
	/** Something happened to the session; status is 0 or -errno. Not called from submit. */
	void (*event)(void *ctx, enum xfer_ini_event ev, int status);
	void *ctx;
};

struct xfer_ini;

/** Fill conf with the defaults the comments name (ethertypes, depth 32, timers). */
void xfer_ini_conf_default(struct xfer_ini_conf *conf);
/** Bytes of memory an initiator of this configuration needs. */
size_t xfer_ini_size(const struct xfer_ini_conf *conf);
/** Make an initiator in mem (aligned to 64). NULL with errno EINVAL when conf is out of range. */
struct xfer_ini *xfer_ini_init(void *mem, const struct xfer_ini_conf *conf);

/** Start to discover, probe and open. -EALREADY unless IDLE. */
int xfer_ini_open(struct xfer_ini *ini, uint64_t now_ns);
/** Send CLOSE; commands still outstanding end with -ECANCELED. CLOSED follows in bounded time. */
void xfer_ini_close(struct xfer_ini *ini, uint64_t now_ns);

/**
 * Queue a command. It may wait for a credit, a slot, or for an overlapping write; commands start in
 * order. done() is never called from here. The range is not checked against the geometry.
 * @return 0; -EINVAL (op, len of a data command 0 or above the quantum); -ENOTCONN when IDLE
 */
int xfer_ini_submit(struct xfer_ini *ini, struct xfer_cmd *cmd, uint64_t now_ns) MPN_MUST_CHECK;

/**
 * End a command that waits or is under way: done() runs with -ECANCELED when the target promises not
 * to execute it, else with its own outcome. A command that was not sent yet ends at the next tick.
 */
void xfer_ini_abort(struct xfer_ini *ini, struct xfer_cmd *cmd, uint64_t now_ns);

/** A frame with our ethertype arrived; the destination address was checked by the caller. */
void xfer_ini_rx(struct xfer_ini *ini, const struct xfer_rx *rx, uint64_t now_ns);
/** Next frame to send. @return false when there is none */
bool xfer_ini_tx(struct xfer_ini *ini, struct xfer_tx *tx, uint64_t now_ns);
/** A quick look: false when xfer_ini_tx() has none, and nothing to prepare one from. */
bool xfer_ini_wants_tx(const struct xfer_ini *ini);
/**
 * Have the target send nb frames on the link's queue for bulk data: PROBEs that come back as small as
 * such a frame can be. Those asked for before are forgotten.
 * @return false: it is not known where the target is
 */
bool xfer_ini_drain(struct xfer_ini *ini, uint32_t nb);
/** How many of these have not come back. */
uint32_t xfer_ini_draining(const struct xfer_ini *ini);
/** Run the timers. Cheap when deadline() has not come. */
void xfer_ini_tick(struct xfer_ini *ini, uint64_t now_ns);
/** When tick() has something to do, XFER_NO_DEADLINE for never. May be early. */
uint64_t xfer_ini_deadline(const struct xfer_ini *ini);

/** Where the session stands, and its number on the wire (0 unless LIVE). */
enum xfer_ini_state xfer_ini_get_state(const struct xfer_ini *ini);
uint32_t xfer_ini_sid(const struct xfer_ini *ini);
/** Payload unit of the session; 0 before LIVE was reached once. */
uint32_t xfer_ini_p(const struct xfer_ini *ini);
/** Bytes a READ or WRITE may move; stays what the first session had (never grows). */
uint32_t xfer_ini_quantum(const struct xfer_ini *ini);
/** Commands the session may have in flight; 0 before LIVE was reached once. */
uint32_t xfer_ini_depth(const struct xfer_ini *ini);
/** True when the frames of the session carry checksums. */
bool xfer_ini_has_crc(const struct xfer_ini *ini);
/** True when the target honours WIRE_F_BULK in the session. */
bool xfer_ini_has_bulk(const struct xfer_ini *ini);
/** Commands submitted and not done. */
uint32_t xfer_ini_outstanding(const struct xfer_ini *ini);
/** Smoothed round-trip time in ns, 0 before the first. */
uint64_t xfer_ini_srtt_ns(const struct xfer_ini *ini);
const struct wire_geometry *xfer_ini_geometry(const struct xfer_ini *ini);
/** Address of the target once known, else all zero. */
const uint8_t *xfer_ini_target(const struct xfer_ini *ini);
const struct xfer_stats *xfer_ini_stats(const struct xfer_ini *ini);

/* ------------------------------------------------------------------------------------------------
 * Target
 */

/** What a command at the target is doing. */
enum xfer_io_state {
	XFER_IO_FREE,
	XFER_IO_WAIT_BUF, /**< waits for memory for its data */
	XFER_IO_FILL, /**< granted write: data is coming in */
	XFER_IO_EXEC, /**< in the back end */
	XFER_IO_SEND, /**< read: data is going out */
	XFER_IO_DONE, /**< answered; the answer is kept until it is acknowledged */
	XFER_IO_STATES
};

struct xfer_session;

/** One command at the target. Fields above the line are for the back end to read. */
struct xfer_io {
	uint64_t addr;
	uint32_t len;
	uint16_t flags; /**< WIRE_F_FUA, WIRE_F_NOHOLE, WIRE_F_FAST, WIRE_F_BULK */
	uint8_t op; /**< READ, WRITE, FLUSH, DISCARD, WRITE_ZEROES */
	uint8_t state; /**< enum xfer_io_state */
	uint32_t export_index;
	void *buf; /**< the caller's: set by buf_get(), cleared by buf_put() */
	void *priv; /**< the caller's, for the time in the back end */
	/* -------- */
	struct xfer_session *session;
	uint32_t cseq;
	uint32_t tag;
	uint32_t ts; /**< of the frame to answer */
	uint16_t status; /**< enum wire_status */
	uint16_t detail;
	uint16_t nb_frags;
	bool send_rsp;
	bool running; /**< counts against the session's credit */
	bool orphan; /**< nobody waits for the answer any more: free it when the back end is done */
	uint64_t got; /**< write: fragments placed; read: fragments sent at least once */
	uint64_t granted; /**< write fragments asked for */
	uint64_t want; /**< read: fragments to send; write: fragments asked for a second time */
	uint64_t grant; /**< write fragments to be granted by the next GRANT frames */
	uint64_t naked; /**< fragments in the NAK to be sent */
	uint16_t hi; /**< write fragments below this one have been seen or overtaken */
	uint16_t reading; /**< how often a read's data was read again */
	uint16_t burst; /**< frames sent since it last gave way to the others */
	struct mpn_list node; /**< of the port's send list */
	struct mpn_list
		wnode; /**< of the target's list of those waiting for memory or for grants */
};

/** Payload unit of the session a command belongs to, and the port its frames come in by. */
uint32_t xfer_io_p(const struct xfer_io *io);
unsigned xfer_io_port(const struct xfer_io *io);

/** How to make a target; xfer_tgt_conf_default() first. */
struct xfer_tgt_conf {
	uint8_t uuid[WIRE_EBD_UUID_LEN];
	uint64_t epoch; /**< differs at each start, e.g. the real-time clock */
	uint16_t ethertype_to_target;
	uint16_t ethertype_to_initiator;
	uint16_t max_sessions; /**< 1..1024 */
	uint16_t max_exports;
	uint16_t max_depth; /**< commands in flight per session, 1..XFER_MAX_DEPTH */
	uint32_t credits; /**< sum over all sessions; at most the RX descriptors / 2 */
	uint32_t grant_frames; /**< granted write fragments under way to us, over all sessions */
	uint32_t
		features; /**< enum wire_feature this target takes; CRC is granted when asked for */
	bool require_crc; /**< refuse sessions without CRC */
	uint64_t lease_ns; /**< 30 s */

	/** May this client, at this address, use the export? If not, it is never told of it. NULL: all may. */
	bool (*may_use)(void *ctx, uint32_t export_index,
		const uint8_t client_uuid[WIRE_EBD_UUID_LEN], const uint8_t mac[6]);
	/** Random number, for session ids and first sequence numbers. */
	uint64_t (*random)(void *ctx);
	/** 16-byte MAC of msg under a secret that lives as long as the target. */
	void (*mac)(void *ctx, const void *msg, size_t len, uint8_t out[16]);
	/** Memory for io->len bytes of data; 0, or -ENOBUFS: asked again after the next buf_put(). */
	int (*buf_get)(void *ctx, struct xfer_io *io);
	/** The engine has no more use for the memory (frames pulled before may). */
	void (*buf_put)(void *ctx, struct xfer_io *io);
	/** Put len bytes of payload at offset off of the io's data. Every check has passed. */
	void (*place)(
		void *ctx, struct xfer_io *io, uint32_t off, const void *payload, uint32_t len);
	/** Execute io; xfer_tgt_io_done() follows exactly once, at once or later. */
	void (*io_start)(void *ctx, struct xfer_io *io);
	void *ctx;
};

struct xfer_tgt;

/** Fill conf with defaults (ethertypes, 64 sessions, 64 exports, depth 128, lease 30 s, CRC). */
void xfer_tgt_conf_default(struct xfer_tgt_conf *conf);
/** Bytes of memory a target of this configuration needs: all it will ever use. */
size_t xfer_tgt_size(const struct xfer_tgt_conf *conf);
/** Make a target in mem (aligned to 64). NULL with errno EINVAL when conf is out of range. */
struct xfer_tgt *xfer_tgt_init(void *mem, const struct xfer_tgt_conf *conf);

/** A link: its address and the payload unit its MTU allows. @return its number or -ENOSPC */
int xfer_tgt_port_add(struct xfer_tgt *t, const uint8_t mac[6], uint32_t p_max);
/** @return the index of the export; -EEXIST (name), -ENOSPC, -EINVAL (geometry) */
int xfer_tgt_export_add(struct xfer_tgt *t, const struct wire_geometry *geometry);
/**
 * Export it no more: its sessions end, their clients are told so when they ask again, and new ones are
 * refused. Commands in the back end are waited for: see xfer_tgt_export_busy().
 * @return 0; -ENOENT
 */
int xfer_tgt_export_remove(struct xfer_tgt *t, uint32_t index, uint64_t now_ns);
/**
 * The volume has another size, or other flags: sessions that are open are told, three times within a
 * second as frames may be lost. Its name and block size stay. @return 0; -ENOENT, -EINVAL
 */
int xfer_tgt_export_change(struct xfer_tgt *t, uint32_t index, uint64_t size, uint32_t flags);
/** What may_use() says of the export has changed: sessions that may not use it any more end. */
void xfer_tgt_export_recheck(struct xfer_tgt *t, uint32_t index, uint64_t now_ns);
/** A session of the export is not over yet. Its index is given away again when none is. */
bool xfer_tgt_export_busy(const struct xfer_tgt *t, uint32_t index);
/** There is more than one export: what they all use is to be taken by xfer_tgt_share(). */
bool xfer_tgt_is_shared(const struct xfer_tgt *t);
/**
 * How much of something an export may still take that has so much of it while so much is free: 3 times what it
 * leaves. So one whose back end hangs does not keep all of it, and the next one does neither.
 */
uint32_t xfer_tgt_share(uint32_t has, uint32_t nb_free);

/** A frame with our ethertype arrived on the port; the destination address was checked. */
void xfer_tgt_rx(struct xfer_tgt *t, unsigned port, const struct xfer_rx *rx, uint64_t now_ns);
/** Next frame to send on the port. @return false when there is none */
bool xfer_tgt_tx(struct xfer_tgt *t, unsigned port, struct xfer_tx *tx, uint64_t now_ns);
/** A quick look: false when xfer_tgt_tx() has none. */
bool xfer_tgt_wants_tx(const struct xfer_tgt *t, unsigned port);
/**
 * The frame that was pulled last is made. All calls with a frame or a status do this, too: needed where none
 * may follow soon, as the buffer of an answered read is put back here.
 */
void xfer_tgt_settle(struct xfer_tgt *t);
/** The back end is done with io: status is 0 or -errno. */
void xfer_tgt_io_done(struct xfer_tgt *t, struct xfer_io *io, int status, uint64_t now_ns);
/** Run the timers (leases). */
void xfer_tgt_tick(struct xfer_tgt *t, uint64_t now_ns);
uint64_t xfer_tgt_deadline(const struct xfer_tgt *t);
/** Refuse new sessions and commands; those accepted go on. */
void xfer_tgt_drain(struct xfer_tgt *t);
/**
 * The last thing before a target that drains goes: when every answer is on its way, end the sessions and
 * tell their clients, so that they look for another target, or for this one, at once. Call it again
 * until it gives true: all was said. Frames that are not taken keep it from that.
 */
bool xfer_tgt_leave(struct xfer_tgt *t, uint64_t now_ns);
/** Commands that are not FREE or DONE. */
uint32_t xfer_tgt_outstanding(const struct xfer_tgt *t);

/** Counters of all sessions together. */
const struct xfer_stats *xfer_tgt_stats(const struct xfer_tgt *t);

/** What `show session` prints. */
struct xfer_session_info {
	uint32_t sid;
	uint8_t client_uuid[WIRE_EBD_UUID_LEN];
	uint8_t mac[6];
	uint16_t port;
	uint16_t queue;
	uint32_t export_index;
	uint32_t p;
	uint32_t depth;
	uint32_t credits;
	uint32_t outstanding;
	uint64_t idle_ns;
	uint64_t commands;
};

/** The n-th live session, 0 <= n. @return 0 or -ENOENT when there are not so many */
int xfer_tgt_session_info(
	const struct xfer_tgt *t, unsigned n, uint64_t now_ns, struct xfer_session_info *info);

#endif
