/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The frames of the Ethernet Block Device protocol, version 1: layout, encode, decode, check.
 * doc/wire-format.md is the normative text. No state lives here.
 *
 * A frame starts with exactly 64 bytes: 14 of Ethernet and 50 of EBD, little-endian and naturally
 * aligned when the frame itself is 64-byte aligned. So the payload starts on a cache line, and a bare
 * header is longer than the shortest Ethernet frame: nothing is ever padded, and a frame that is
 * longer than 64 + plen is not ours.
 */

#ifndef WIRE_EBD_H
#define WIRE_EBD_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "mpn_err.h"

#define WIRE_EBD_VERSION 1 /**< in the high nibble of ver_kind */
#define WIRE_EBD_HDR_LEN 64 /**< bytes of Ethernet and EBD header */
#define WIRE_EBD_TO_TARGET 0x0666 /**< default ethertype of frames to the target */
#define WIRE_EBD_TO_INITIATOR 0x0667 /**< default ethertype of frames to the initiator */
#define WIRE_EBD_MAX_FRAGS 64 /**< frames of payload in a command: one 64-bit bitmap */
#define WIRE_EBD_MAX_QUANTUM (128u << 10) /**< payload bytes in a command */
#define WIRE_EBD_NAME_LEN 64 /**< volume name, zero-terminated */
#define WIRE_EBD_UUID_LEN 16 /**< bytes */
#define WIRE_EBD_MULTICAST \
	{ \
		0x03, 0x45, 0x42, 0x44, 0x00, 0x01 \
	} /**< where QUERY goes */
#define WIRE_EBD_MAX_CTRL 1408 /**< payload bytes of a DISC or CTRL frame: fits an MTU of 1500 */

/* Payload units P. The choice follows the MTU: the frame is 64 + P, the MTU counts from byte 14. */
#define WIRE_EBD_P_SMALL 1408 /**< MTU 1500: 22 cache lines */
#define WIRE_EBD_P_PAGE 4096 /**< MTU >= 4146 */
#define WIRE_EBD_P_LARGE 8192 /**< MTU >= 8242 */

/** Kinds of frames. */
enum wire_ebd_kind {
	WIRE_DISC = 0, /**< who is there, which volumes */
	WIRE_CTRL = 1, /**< sessions */
	WIRE_CMD = 2, /**< to target: a command */
	WIRE_DATA = 3, /**< payload, placeable on its own */
	WIRE_RSP = 4, /**< to initiator: how a command ended (or that it still runs) */
	WIRE_GRANT = 5, /**< to initiator: send this part of the write's data */
	WIRE_NAK = 6, /**< exactly these frames are missing */
	WIRE_PROBE = 7, /**< liveness, RTT, path MTU; answered in kind, padded alike */
};

/** Operations of DISC frames. */
enum wire_disc_op {
	WIRE_DISC_QUERY = 1, /**< initiator: multicast or unicast */
	WIRE_DISC_ADVERT = 2, /**< target: struct wire_advert and its volumes */
};

/** Operations of CTRL frames. */
enum wire_ctrl_op {
	WIRE_CTRL_OPEN = 1, /**< initiator: struct wire_open */
	WIRE_CTRL_CHALLENGE = 2, /**< target: struct wire_challenge; it keeps no state for it */
	WIRE_CTRL_PROOF = 3, /**< initiator: struct wire_proof */
	WIRE_CTRL_OPENED = 4, /**< target: struct wire_opened */
	WIRE_CTRL_REFUSED = 5, /**< target: struct wire_refused; ack holds the status */
	WIRE_CTRL_CLOSE = 6, /**< initiator */
	WIRE_CTRL_CLOSED = 7, /**< target */
	WIRE_CTRL_RESET = 8, /**< target: it has no session sid; open again */
	WIRE_CTRL_EVENT = 9, /**< target: struct wire_geometry; the volume changed */
};

/** Operations of PROBE frames. */
enum wire_probe_op {
	WIRE_PROBE_REQUEST = 1,
	WIRE_PROBE_REPLY = 2,
};

/** Operations of CMD frames, repeated in the DATA, RSP, GRANT and NAK frames of the command. */
enum wire_cmd_op {
	WIRE_READ = 1,
	WIRE_WRITE = 2,
	WIRE_FLUSH = 3, /**< makes every write answered before it durable, on all sessions */
	WIRE_DISCARD = 4, /**< contents undefined afterwards */
	WIRE_WRITE_ZEROES = 5, /**< reads back as zeroes */
	WIRE_ABORT = 6, /**< one more frame of the command it ends: same tag, cseq and addr */
	WIRE_IDENTIFY = 7, /**< answered like a read: struct wire_geometry */
	WIRE_MESSAGE = 8, /**< an opaque message with optional regions: struct wire_message */
};

/** Flags of a frame. */
enum wire_flag {
	WIRE_F_FUA = 0x0001, /**< CMD WRITE, WRITE_ZEROES: durable before the RSP */
	WIRE_F_RETX = 0x0002, /**< sent before; a hint for counters, never a rule */
	WIRE_F_LAST = 0x0004, /**< DATA: the command's last fragment */
	WIRE_F_CRC = 0x0008, /**< the crc field holds a checksum */
	WIRE_F_AUTH =
		0x0010, /**< an authentication trailer follows (no version 1 sender sets it) */
	WIRE_F_BULK =
		0x0020, /**< CMD READ, PROBE: send what is asked for on the link's queue for bulk
			     data; the same flag is on it */
	WIRE_F_EVENT = 0x0040, /**< to initiator: the volume changed since IDENTIFY */
	WIRE_F_NOHOLE = 0x0080, /**< CMD WRITE_ZEROES: keep the blocks allocated */
	WIRE_F_FAST = 0x0100, /**< CMD WRITE_ZEROES: fail rather than be slow */
};
#define WIRE_F_KNOWN 0x01ff /**< flags of version 1 */

/** Features of a session (OPEN asks, OPENED grants). */
enum wire_feature {
	WIRE_FEAT_CRC = 0x1, /**< CRC32C in every frame, not only in DISC and CTRL */
	WIRE_FEAT_BULK = 0x2, /**< WIRE_F_BULK is honoured */
};

/**
 * How a command or an OPEN ended: {name, number on the wire, errno at the initiator, text}.
 * RUNNING and BUSY are not ends: the command goes on, or is to be sent again later.
 */
#define WIRE_STATUS_LIST(X) \
	X(OK, 0, 0, "success") \
	X(IO, 1, EIO, "I/O error of the volume") \
	X(RANGE, 2, EINVAL, "address or length outside the volume or not aligned") \
	X(READONLY, 3, EROFS, "the volume is read-only") \
	X(NOTSUP, 4, EOPNOTSUPP, "the volume or the target does not support this") \
	X(NOSPC, 5, ENOSPC, "no space left on the volume") \
	X(STALE, 6, ESTALE, "fenced by a newer session of the same client") \
	X(BUSY, 7, EAGAIN, "the target has no room now") \
	X(INTEGRITY, 8, EILSEQ, "the data does not match its checksum") \
	X(ABORTED, 9, ECANCELED, "aborted on request") \
	X(RUNNING, 10, EINPROGRESS, "still running") \
	X(NOVOLUME, 11, ENOENT, "no such volume") \
	X(NOMEM, 12, ENOMEM, "the target is out of memory") \
	X(PROTOCOL, 13, EPROTO, "the peer broke the protocol") \
	X(TIMEDOUT, 14, ETIMEDOUT, "timed out")

/** Numbers of WIRE_STATUS_LIST. */
enum wire_status {
#define X(name, number, err, text) WIRE_ST_##name = number,
	WIRE_STATUS_LIST(X)
#undef X
};

/** Detail of the RSP that answers an ABORT. */
enum wire_abort_detail {
	WIRE_ABORT_CANCELLED = 1, /**< status ABORTED: nothing of it will be executed from now on */
	WIRE_ABORT_EXECUTING = 2, /**< status RUNNING: too late, its own RSP follows */
};

/**
 * The 64 bytes. wire_ebd_load() and wire_ebd_store() convert between the wire and the host's byte
 * order; ethertype is in host order here.
 */
struct wire_ebd {
	uint8_t dst[6];
	uint8_t src[6];
	uint16_t ethertype;
	uint8_t ver_kind; /**< version in the high nibble, enum wire_ebd_kind in the low */
	uint8_t op;
	uint32_t sid; /**< session, 0 before OPENED */
	uint32_t tag; /**< slot in the high half, generation in the low; chosen by the initiator */
	uint64_t addr; /**< byte address of the command's first byte, the same in all its frames */
	uint32_t off; /**< offset of this payload in the command; CMD, RSP: total length in bytes */
	uint16_t plen; /**< payload bytes in this frame */
	uint16_t flags; /**< enum wire_flag */
	uint32_t cseq; /**< command sequence number, kept by all frames of the command */
	uint32_t ack; /**< to target: all cseq <= ack are finished. RSP, DATA: status<<16|detail, a
			       DATA's detail being the number of its reading.
			       GRANT: bytes granted from off on */
	uint32_t limit; /**< to initiator: highest cseq it may send */
	uint32_t ts; /**< sender's clock in microseconds */
	uint32_t ts_echo; /**< ts of the frame this one answers, else 0 */
	uint32_t crc; /**< CRC32C of bytes 14..59 and the payload when WIRE_F_CRC, else 0 */
};
static_assert(sizeof(struct wire_ebd) == WIRE_EBD_HDR_LEN, "the header is 64 bytes");
static_assert(offsetof(struct wire_ebd, addr) == 24, "addr is naturally aligned");
static_assert(offsetof(struct wire_ebd, crc) == 60, "crc ends the header");

/** Flags and properties of a volume, in struct wire_geometry. */
enum wire_vol_flag {
	WIRE_VOL_READONLY = 0x01,
	WIRE_VOL_FLUSH = 0x02, /**< answered writes may be volatile until FLUSH */
	WIRE_VOL_FUA = 0x04, /**< honours WIRE_F_FUA itself */
	WIRE_VOL_DISCARD = 0x08,
	WIRE_VOL_WRITE_ZEROES = 0x10,
	WIRE_VOL_ZERO_AFTER_DISCARD = 0x20,
	WIRE_VOL_ROTATIONAL = 0x40,
};

/** IDENTIFY's data, part of OPENED, EVENT's data. 128 bytes. */
struct wire_geometry {
	uint64_t size; /**< bytes */
	uint32_t block_size; /**< addresses and lengths are multiples of it; a power of two */
	uint32_t phys_block; /**< the best write size */
	uint32_t max_transfer; /**< bytes a READ or WRITE command may move */
	uint32_t max_zeroes; /**< bytes a WRITE_ZEROES or DISCARD may cover */
	uint32_t discard_gran; /**< bytes; smaller parts may be ignored */
	uint32_t flags; /**< enum wire_vol_flag */
	uint32_t generation; /**< counts changes of size or flags */
	uint32_t reserved[3];
	uint8_t uuid[WIRE_EBD_UUID_LEN];
	char name[WIRE_EBD_NAME_LEN];
};
static_assert(sizeof(struct wire_geometry) == 128, "geometry is 128 bytes");

/** DISC QUERY. */
struct wire_disc_query {
	char name[WIRE_EBD_NAME_LEN]; /**< only targets that have this volume; "" for all */
	uint8_t client_uuid
		[WIRE_EBD_UUID_LEN]; /**< who asks: a volume may be there for some only */
};

/** One volume of an ADVERT. */
struct wire_advert_volume {
	char name[WIRE_EBD_NAME_LEN];
	uint64_t size; /**< bytes */
	uint32_t block_size; /**< bytes */
	uint32_t flags; /**< enum wire_vol_flag */
};

/** DISC ADVERT: who has which volumes. */
struct wire_advert {
	uint8_t target_uuid[WIRE_EBD_UUID_LEN];
	uint64_t epoch; /**< differs at each start of the target */
	uint32_t p_max; /**< largest payload unit the target's link takes */
	uint16_t nb_volumes; /**< of the target */
	uint16_t first; /**< index of the first one in this frame */
	/* struct wire_advert_volume[]: as many as plen says, at most WIRE_ADVERT_VOLUMES */
};
/** Volumes that fit one ADVERT. */
#define WIRE_ADVERT_VOLUMES \
	((WIRE_EBD_MAX_CTRL - sizeof(struct wire_advert)) / sizeof(struct wire_advert_volume))

/** CTRL OPEN. */
struct wire_open {
	uint8_t client_uuid[WIRE_EBD_UUID_LEN];
	/** Upper 44 bits: grow with each start of the client; lower 20: with each re-open of the queue. */
	uint64_t nonce;
	uint32_t p; /**< payload unit, probed beforehand */
	uint16_t depth; /**< commands the client wants to have in flight */
	uint16_t queue; /**< sessions of one start of a client differ in it */
	uint32_t features; /**< enum wire_feature */
	uint32_t reserved;
	char volume[WIRE_EBD_NAME_LEN];
};

/** CTRL CHALLENGE. */
struct wire_challenge {
	uint64_t nonce; /**< of the OPEN */
	uint64_t stamp; /**< target's, opaque to the client */
	uint8_t cookie[16]; /**< target's, opaque to the client: MAC over OPEN, address and stamp */
};

/** CTRL PROOF. */
struct wire_proof {
	struct wire_open open; /**< as in OPEN */
	struct wire_challenge challenge; /**< as in CHALLENGE */
	uint32_t auth_len; /**< bytes of auth that count; 0 without a key */
	uint32_t reserved;
	uint8_t auth[32]; /**< HMAC-SHA256 of the transcript under the client's key */
};

/** CTRL OPENED. */
struct wire_opened {
	uint64_t nonce; /**< of the OPEN */
	uint64_t epoch; /**< as in wire_advert */
	uint32_t isn; /**< the first command has cseq isn + 1; acks start at isn */
	uint32_t p;
	uint16_t depth; /**< commands in flight at most, whatever limit says */
	uint16_t reserved;
	uint32_t features;
	uint32_t lease_ms; /**< a session silent for so long is collected */
	uint32_t reserved2;
	struct wire_geometry geometry;
};

/** CTRL REFUSED. */
struct wire_refused {
	uint64_t nonce; /**< of the OPEN or PROOF */
};

/** MESSAGE: plen - sizeof bytes of message follow. Regions are in the initiator's command. */
struct wire_message {
	uint32_t protocol; /**< which upper protocol, e.g. the file personality */
	uint32_t sink_len; /**< bytes the target may send back as DATA */
	uint32_t source_len; /**< bytes the target may GRANT */
	uint32_t reserved;
};

/**
 * Why a frame was dropped: {name, counter, text}. Each is a counter at both ends; nothing is placed, nothing
 * is answered.
 */
#define WIRE_DROP_LIST(X) \
	X(TRUNCATED, "truncated", "shorter than its header says") \
	X(PADDED, "padded", "longer than its header says") \
	X(VERSION, "version", "unknown protocol version") \
	X(KIND, "kind", "kind of frame that this end does not take") \
	X(OP, "op", "operation unknown for its kind") \
	X(FLAGS, "flags", "flags of a later version, or that its session did not negotiate") \
	X(CRC, "crc", "checksum missing or wrong") \
	X(SRC_MAC, "src_mac", "source is not the session's peer") \
	X(SID, "sid", "unknown session") \
	X(SLOT, "slot", "slot out of range") \
	X(GENERATION, "generation", "generation of an earlier use of the slot") \
	X(DEAD, "dead", "no live command behind the tag") \
	X(CSEQ, "cseq", "command sequence number is not the tag's") \
	X(STALE, "stale", "command was finished and acknowledged long ago") \
	X(CREDIT, "credit", "command beyond the limit") \
	X(DIRECTION, "direction", "data in the direction the command does not move it") \
	X(ADDR, "addr", "address is not the command's") \
	X(OFF, "off", "offset is not a fragment of the command") \
	X(PLEN, "plen", "payload length is not what the fragment must have") \
	X(DUPLICATE, "duplicate", "fragment was placed before") \
	X(NO_GRANT, "no_grant", "write data that was not granted") \
	X(STATE, "state", "not expected in this state") \
	X(NONCE, "nonce", "older than the client's newest session") \
	X(COOKIE, "cookie", "challenge was not answered rightly or too late") \
	X(NO_ROOM, "no_room", "no room to answer")

/** Causes of WIRE_DROP_LIST. */
enum wire_drop {
	WIRE_ACCEPT = -1,
#define X(name, low, text) WIRE_DROP_##name,
	WIRE_DROP_LIST(X)
#undef X
		WIRE_DROP_COUNT
};

/** Name in lower case ("src_mac"), and the text, of a drop cause. */
const char *wire_drop_name(enum wire_drop d);
const char *wire_drop_text(enum wire_drop d);

/** Text of a status; "unknown status" for others. */
const char *wire_status_text(uint16_t status);
/** Negative errno of a status: 0 for OK, -EIO for an unknown one. */
int wire_status_errno(uint16_t status);
/** Status of a negative errno (0: OK); WIRE_ST_IO for those without one of their own. */
uint16_t wire_errno_status(int err);

/** Names for logs and dumps, "?" for unknown ones. */
const char *wire_kind_name(uint8_t kind);
const char *wire_op_name(uint8_t kind, uint8_t op);

static inline uint8_t
wire_ebd_kind(const struct wire_ebd *h)
{
	return h->ver_kind & 0x0f;
}

static inline uint8_t
wire_ebd_ver_kind(enum wire_ebd_kind kind)
{
	return (uint8_t)(WIRE_EBD_VERSION << 4 | kind);
}

/** Read the 64 bytes at frame (any alignment). */
static inline void
wire_ebd_load(struct wire_ebd *h, const void *frame)
{
	memcpy(h, frame, sizeof(*h));
	h->ethertype = __builtin_bswap16(h->ethertype);
}

/** Give a header that was filled in where it stands in its frame the byte order of the wire. */
static inline void
wire_ebd_to_wire(struct wire_ebd *h)
{
	h->ethertype = __builtin_bswap16(h->ethertype);
}

/** Write the 64 bytes to frame (any alignment). */
static inline void
wire_ebd_store(void *frame, const struct wire_ebd *h)
{
	struct wire_ebd w = *h;

	wire_ebd_to_wire(&w);
	memcpy(frame, &w, sizeof(w));
}
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "wire_ebd_load() and wire_ebd_to_wire() must swap every field on this host"
#endif

/**
 * The checks that need no session: length, version, kind, operation, flags, exact plen. What kind
 * asks for which payload is part of it (DISC, CTRL, NAK carry their fixed structures).
 *
 * @param h    loaded header; only read when frame_len >= WIRE_EBD_HDR_LEN, so the caller may load it
 *             after the length check of its own or from zeroes
 * @param frame_len  bytes of the whole frame as received
 * @return WIRE_ACCEPT or the cause
 */
enum wire_drop wire_ebd_check(const struct wire_ebd *h, uint32_t frame_len);

/**
 * CRC32C (RFC 3720 B.4, as ISA-L has it) in parts: start with the frame's header (bytes 14..59 are
 * taken), add the payload piece by piece, finish.
 */
uint32_t wire_crc_begin(const void *frame);
uint32_t wire_crc_add(uint32_t crc, const void *data, uint32_t len);
uint32_t wire_crc_end(uint32_t crc);

/** Store the finished crc into the frame's last header field. */
static inline void
wire_crc_store(void *frame, uint32_t crc)
{
	memcpy((uint8_t *)frame + offsetof(struct wire_ebd, crc), &crc, sizeof(crc));
}

/** Payload unit for an MTU in bytes (counted from byte 14); 0 when the MTU is below 1458. */
static inline uint32_t
wire_p_of_mtu(uint32_t mtu)
{
	return mtu >= WIRE_EBD_P_LARGE + 50   ? WIRE_EBD_P_LARGE
	       : mtu >= WIRE_EBD_P_PAGE + 50  ? WIRE_EBD_P_PAGE
	       : mtu >= WIRE_EBD_P_SMALL + 50 ? WIRE_EBD_P_SMALL
					      : 0;
}

/** True for the three payload units of version 1. */
static inline bool
wire_p_valid(uint32_t p)
{
	return p == WIRE_EBD_P_SMALL || p == WIRE_EBD_P_PAGE || p == WIRE_EBD_P_LARGE;
}

/** Bytes one command may move: 64 P, at most 128 KiB; a multiple of 4096 for each P. */
static inline uint32_t
wire_quantum(uint32_t p)
{
	uint32_t q = p * WIRE_EBD_MAX_FRAGS;

	return q < WIRE_EBD_MAX_QUANTUM ? q : WIRE_EBD_MAX_QUANTUM;
}

/** Fragments of a command that moves len bytes. */
static inline uint32_t
wire_nb_frags(uint32_t len, uint32_t p)
{
	/* Most commands fit a frame: spare them the division. */
	return len - 1 < p ? 1 : (len + p - 1) / p;
}

/** Bitmap with the low n bits set, 0 <= n <= 64. */
static inline uint64_t
wire_frag_mask(uint32_t n)
{
	return n >= 64 ? ~0ull : (1ull << n) - 1;
}

/** Serial number comparison (RFC 1982): a is later than b. */
static inline bool
wire_seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline uint32_t
wire_tag(uint16_t slot, uint16_t generation)
{
	return (uint32_t)slot << 16 | generation;
}

static inline uint16_t
wire_tag_slot(uint32_t tag)
{
	return (uint16_t)(tag >> 16);
}

#endif
