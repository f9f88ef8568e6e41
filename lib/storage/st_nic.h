/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the files of lib/storage share: the storage personality of one NIC. Not installed. */

#ifndef ST_NIC_H
#define ST_NIC_H

#include <rte_mbuf.h>

#include "mpn_personality.h"
#include "st_arena.h"
#include "st_copy.h"
#include "st_discover.h"
#include "st_loan.h"
#include "st_target.h"

/* Slots of a tag are dealt out in ranges of XFER_MAX_DEPTH: a device has one, discovery the last. */
#define ST_MAX_DEVICES 255
#define ST_DISCOVER_INDEX 255
static_assert((ST_DISCOVER_INDEX + 1) * XFER_MAX_DEPTH == 1 << 16, "a tag has 16 bits of slot");

/* Below this a copy is cheaper than a segment of its own: 36 against 47 cycles at 256 bytes. */
#define ST_EXT_MIN 512
/* Segments of payload in a frame; what is in more pieces is copied. */
#define ST_MAX_PIECES 4
#define ST_STASH 64

/* Counters of the personality besides the payload's: {name, text}. */
#define ST_COUNTER_LIST(X) \
	X(rx_no_device, "dropped: to an initiator, but no device has the tag") \
	X(rx_no_target, "dropped: to a target, but none is attached") \
	X(rx_short, "dropped: too short to have a tag") \
	X(rx_long, "dropped: in segments and longer than any frame of ours") \
	X(tx_by_ref, "frames sent with payload by reference") \
	X(tx_by_copy, "frames sent with payload copied into them") \
	X(tx_no_mbufs, "rounds that stopped sending because frames ran out") \
	X(tx_revoked, "frames made invalid because their buffer went back to its owner") \
	X(loan_refused, "loans refused because too many frames were lent")

struct st_counters {
#define X(name, text) uint64_t name;
	ST_COUNTER_LIST(X)
#undef X
};

/* A pool and a handful of its mbufs, allocated in bulk. */
struct st_stash {
	struct rte_mempool *pool;
	uint32_t nb;
	struct rte_mbuf *mbufs[ST_STASH];
};

/* Frames being built, see st_frame.c. */
struct st_frames {
	struct st_stash hdr; /* headers, and payload up to WIRE_EBD_MAX_CTRL */
	struct st_stash big; /* whole frames with copied payload; no pool when P is small */
	struct st_stash ext; /* no data room: payload by reference */
	uint32_t room; /* frames the TX flow takes in this round */
	uint32_t nb_out;
	uint32_t nb_data;
	struct rte_mbuf *out[MPN_BURST];
	struct rte_mbuf *data[MPN_BURST]; /* on a queue of their own where the peer has one */
	void *zeroes; /* arena memory for the padding of probes */
	struct rte_mbuf_ext_shared_info *zeroes_ref;
};

struct st_place;

struct st_nic {
	struct mpn_personality *pers;
	struct mpn_nic *nic;
	uint16_t ethertype_to_target; /* network byte order, as in the frame */
	uint16_t ethertype_to_initiator;
	uint16_t nb_devices; /* devices[] is used up to here */
	uint16_t next_device; /* whose turn it is to send first */
	bool multi_segs;
	bool iova_is_va;
	bool stopping;
	uint64_t stop_ns; /* when what is still under way is given up */
	uint16_t target_port;
	struct st_target *target;
	struct st_discover *discover;
	struct st_frames frames;
	struct st_copy_stats copy; /* of the target, and of devices that are closed */
	struct st_budget *budget;
	struct st_place *place; /* NULL: the link has no data queue */
	struct rte_mbuf **rx_slot; /* the frame that is being received; NULL once it is kept */
	struct st_counters counters;
	struct st_arena_view arenas;
	struct st_arena_view lent; /* memory of callers */
	uint8_t *linear; /* a frame that came in segments, in one piece */
	uint32_t p_max;
	struct mpn_nic_info info;
	struct net_st_device *devices[ST_MAX_DEVICES];
	uint64_t wake_ns[ST_MAX_DEVICES]; /* an idle device need not be looked at before */
};

/* The storage personality of a NIC when it is loaded, else NULL. */
struct st_nic *st_nic_find(struct mpn_nic *nic);
/* The same when it is started and not stopping. */
struct st_nic *st_nic_running(struct mpn_nic *nic);

/* ---- st_frame.c ---- */

/* Part of a frame's payload. */
struct st_piece {
	const void *base;
	uint32_t len;
	struct rte_mbuf_ext_shared_info *ref; /* counts the frames that refer to it; NULL: copy */
};

int st_frames_init(struct st_nic *n) MPN_MUST_CHECK;
void st_frames_fini(struct st_nic *n);
/* Start a round of sending; frees what the last one left. */
void st_frames_round(struct st_nic *n);
/* Room for the header of the next frame, XFER_TX_ROOM bytes; NULL: no frame can be sent now. */
void *st_frame_begin(struct st_nic *n);
/* Finish a frame without payload of a command: padding is zeroes. */
void st_frame_bare(struct st_nic *n, struct xfer_tx *tx);
/* Finish a frame whose payload is one piece, by reference or by copy. */
void st_frame_payload(struct st_nic *n, struct xfer_tx *tx, const struct st_piece *piece);
/*
 * Finish a frame with its payload by reference.
 * @return the frame's first mbuf; NULL: the payload must be copied, see st_frame_room()
 */
struct rte_mbuf *
st_frame_refer(struct st_nic *n, struct xfer_tx *tx, const struct st_piece *pieces, unsigned nb);
/* Room for the payload of the frame; st_frame_copied() follows when it is there. */
void *st_frame_room(struct st_nic *n, struct xfer_tx *tx);
void st_frame_copied(struct st_nic *n, struct xfer_tx *tx);

/* Why the payload of a frame is copied. */
static inline enum st_copy_site
st_frame_site(const struct xfer_tx *tx)
{
	return tx->data_len < ST_EXT_MIN ? ST_COPY_tx_small
	       : tx->retx                ? ST_COPY_tx_retx
					 : ST_COPY_tx_foreign;
}

/* Hand what is built to the TX flow. */
void st_frames_flush(struct st_nic *n);

/* ---- st_device.c ---- */

void st_device_rx(struct net_st_device *dev, const struct xfer_rx *rx, uint64_t now_ns);
unsigned st_device_poll(struct net_st_device *dev, uint64_t now_ns);
bool st_device_quiet(const struct net_st_device *dev);
/* Everything outstanding ends with -ECANCELED. */
void st_device_cancel(struct net_st_device *dev, uint64_t now_ns);
/* The personality goes away under the device. */
void st_device_orphan(struct net_st_device *dev);
void st_device_print(const struct net_st_device *dev, struct mpn_out *o);

/* ---- st_target.c ---- */

void st_target_rx(struct st_nic *n, const struct xfer_rx *rx, uint64_t now_ns);
unsigned st_target_poll(struct st_nic *n, uint64_t now_ns);
bool st_target_quiet(const struct st_nic *n);
/*
 * What counts the frames that refer to memory of a volume, which outlives the NIC; NULL: it must be
 * copied.
 */
struct rte_mbuf_ext_shared_info *st_memory_ref(struct st_nic *n, const void *mem, size_t len);
/* No frame on its way refers to memory that is no arena: such memory may be given back. */
bool st_memory_is_home(void);
/* The personality goes away under the target. */
void st_target_detach(struct st_nic *n);

/* ---- st_discover.c ---- */

void st_discover_rx(struct st_nic *n, const struct xfer_rx *rx);
unsigned st_discover_poll(struct st_nic *n);
void st_discover_end(struct st_nic *n);

#endif
