/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The storage interface of "Multi-Personality Network Interfaces" (2.3.2), by its own names: a block
 * driver hands over whole requests; the personality declusters them into frames, retransmits, and
 * reports each buffer when its data is in place. The driver never sees a frame.
 *
 * A device is one session to one volume. All calls belong to the thread that polls the NIC.
 */

#ifndef DEV_ST_H
#define DEV_ST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "mpn_list.h"
#include "mpn_nic.h"
#include "xfer.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What the storage personality is loaded with (the args of mpn_personality_load()); NULL: defaults. */
struct st_personality_conf {
	uint16_t ethertype_to_target; /**< 0: 0x0666 */
	uint16_t ethertype_to_initiator; /**< 0: 0x0667 */
};

struct net_st_device;
struct rte_mbuf;
struct st_budget;

/** One buffer of a request: the report's buffer_head. */
struct st_buffer {
	void *data; /**< len bytes; from an arena: sent without a copy */
	uint32_t len; /**< bytes */
	uint16_t pending; /**< the personality's: commands that still concern it */
	int16_t status; /**< 0 or -errno, valid in and after the completion callback */
};

/** A block request: buffers that are contiguous on the volume. The caller's memory until its last
 *  buffer is complete. */
struct st_request {
	/* Set by the caller. */
	struct st_buffer *bufs; /**< NULL for FLUSH, DISCARD, WRITE_ZEROES and loans */
	uint32_t nb_bufs;
	uint8_t op; /**< enum wire_cmd_op */
	uint16_t flags; /**< WIRE_F_FUA, WIRE_F_NOHOLE, WIRE_F_FAST */
	uint64_t addr; /**< bytes */
	uint64_t len; /**< bytes; the sum of the buffers where there are some */
	bool loan; /**< READ without buffers: the data stays in the frames, see dev_st_loan() */
	void *user;

	/* The personality's. */
	struct mpn_list node;
	uint64_t cut; /**< bytes declustered so far */
	uint32_t cut_buf; /**< buffer the next byte is in */
	uint32_t cut_off; /**< offset in that buffer */
	uint32_t pending; /**< commands under way */
	int status; /**< first error */
	bool queued;
	struct rte_mbuf *lent; /**< data of a loan */
	struct st_budget *lent_from; /**< what its frames are counted in, NULL: it has none */
	uint32_t nb_lent; /**< frames */
};

/**
 * Completion of one buffer: buf is the buffer, or NULL for a request that has none. After the last
 * buffer's callback the request is the caller's again.
 */
typedef void (*dev_st_completion_callback)(
	struct net_st_device *dev, struct st_request *req, struct st_buffer *buf);
/** There is space again: slots requests. */
typedef void (*dev_st_queue_callback)(struct net_st_device *dev, int slots);

/** Where the data of a device's reads is received. */
enum dev_st_placement {
	DEV_ST_PLACE_AUTO, /**< in place where the link can and most of it is; else copied */
	DEV_ST_PLACE_COPY, /**< copied */
	DEV_ST_PLACE_IN, /**< in place whenever it can be */
};

/** How to open a device; zeroes are the defaults. */
struct dev_st_conf {
	const char *volume;
	uint8_t client_uuid[16]; /**< all zero: random */
	/**
	 * Names the start of the client: above that of every earlier start with this UUID, the same for
	 * all devices of it, its low XFER_NONCE_TRY_BITS bits zero. 0: from the real-time clock.
	 */
	uint64_t nonce;
	uint8_t target[6]; /**< all zero: discover */
	uint16_t depth; /**< commands in flight, 0: 32 */
	uint16_t queue; /**< number of this session of the client, never used again by it */
	uint32_t max_queue_len; /**< requests, 0: 1024 */
	uint64_t fail_after_ns; /**< UINT64_MAX: never; 0: 30 s */
	bool shared_core; /**< longer timers: poller and peer share a core */
	int crc; /**< 1 on, 0 off, -1 by the link */
	enum dev_st_placement placement; /**< of reads into arenas */
	void *user;
	void (*event)(struct net_st_device *dev, enum xfer_ini_event ev, int status);
};

/**
 * Open a device on a NIC that has the storage personality loaded and started. Connecting goes on in
 * the background; XFER_EV_OPENED is reported by conf->event.
 * @return NULL with errno ENODEV (no storage personality), EINVAL, ENOMEM, ENOSPC (too many), EOPNOTSUPP
 *   (DEV_ST_PLACE_IN, and the link has no data queue)
 */
struct net_st_device *dev_st_open(struct mpn_nic *nic, const struct dev_st_conf *conf);
/**
 * Begin to close: no new requests are taken, those outstanding end with -ECANCELED or their own outcome
 * while the NIC is polled, in about a second at most.
 */
void dev_st_shutdown(struct net_st_device *dev);
/** True when nothing is outstanding and the session is closed. */
bool dev_st_is_closed(const struct net_st_device *dev);
/**
 * Close: polls the NIC until the device is closed. All callbacks have run on return, and dev is gone.
 * Not from inside a callback. NULL is allowed.
 */
void dev_st_close(struct net_st_device *dev);

/**
 * Queue a read, write, flush, discard or write-zeroes request.
 * @return 0: queued, every buffer's callback will run exactly once, never from in here;
 *   1: the queue is full, nothing was taken; -EINVAL (op, flags, sum of lengths, alignment, range, an
 *   empty buffer, no completion callback), -EROFS, -EOPNOTSUPP, -ENOTCONN (never was connected, or is
 *   closed), -ESTALE (fenced), -ENOBUFS (a loan, while too many frames are lent: see
 *   mpn_nic_conf.nb_keep)
 */
int dev_st_queue_xmit(struct net_st_device *dev, struct st_request *req) MPN_MUST_CHECK;
/**
 * End a request early: what was not sent ends with -ECANCELED, what is under way with that or its own
 * outcome, in bounded time when the target is there. Its callbacks run as always, some of them from in
 * here. Does nothing when the request is not on the queue.
 */
void dev_st_abort(struct net_st_device *dev, struct st_request *req);
/**
 * The data of a request with loan set that has completed with status 0: a chain of mbufs, in order,
 * that belongs to the request until dev_st_loan_put(). Every segment starts at a multiple of 64 bytes
 * and all but the last have dev_st_payload_unit() bytes. It outlives the device and the NIC, not the
 * EAL. A request has no loan before its callback, and none when it failed.
 */
const struct rte_mbuf *dev_st_loan(const struct st_request *req);
/** The same as pieces of memory: fills in at most max. @return how many there are */
int dev_st_loan_iov(const struct st_request *req, struct iovec *iov, int max);
/**
 * Give a loan back, on the NIC's thread. Nothing happens when the request has none. A request must
 * not be queued again before.
 */
void dev_st_loan_put(struct st_request *req);
/** Requests the queue can hold. */
int dev_st_get_max_queue_len(const struct net_st_device *dev);
/** Requests on the queue that are not complete. */
int dev_st_get_current_queue_len(const struct net_st_device *dev);
/** fn runs when there is space again after dev_st_queue_xmit() gave 1. NULL: none. */
void dev_st_register_queue_callback(struct net_st_device *dev, dev_st_queue_callback fn);
/**
 * fn runs for each buffer that is complete.
 * @param ethertype  frame type of the responses (the report: two bytes); 0: the configured one.
 * @return 0, -EINVAL: not the device's frame type
 */
int dev_st_register_completion_callback(
	struct net_st_device *dev, uint16_t ethertype, dev_st_completion_callback fn);

/** What the device was opened with, and what it knows of its session. */
void *dev_st_user(const struct net_st_device *dev);
const struct wire_geometry *dev_st_geometry(const struct net_st_device *dev);
bool dev_st_is_open(const struct net_st_device *dev);
const struct xfer_stats *dev_st_xfer_stats(const struct net_st_device *dev);
uint64_t dev_st_srtt_ns(const struct net_st_device *dev);
uint32_t dev_st_payload_unit(const struct net_st_device *dev);
/** Bytes a command moves at most; larger requests are split. */
uint32_t dev_st_max_transfer(const struct net_st_device *dev);
/** Commands that may be in flight. */
uint32_t dev_st_depth(const struct net_st_device *dev);
/** True when frames carry checksums. */
bool dev_st_has_crc(const struct net_st_device *dev);
/** Address of the target once known, else all zero. */
const uint8_t *dev_st_target(const struct net_st_device *dev);

/* ---- Moves of payload: every one is counted ---- */

/** Where payload is moved by our code: {name, text}. */
#define ST_COPY_SITE_LIST(X) \
	X(rx_place, "initiator: received frame to the caller's buffer") \
	X(rx_store, "target: received frame to the volume's memory or a staging buffer") \
	X(tx_small, "payload below the external-buffer threshold into the frame") \
	X(tx_foreign, "payload outside arenas, or a link without segments, into the frame") \
	X(tx_retx, "retransmitted payload into the frame") \
	X(rx_linear, "received frame in several segments put in one piece") \
	X(rx_loan, "initiator: received frame to a frame that is lent") \
	X(rx_bounce, "initiator: received frame to memory of ours, its page being posted")

/** Where in the code payload is moved. */
enum st_copy_site {
#define X(name, text) ST_COPY_##name,
	ST_COPY_SITE_LIST(X)
#undef X
		ST_COPY_SITES
};

/** Payload bytes: {name, text}. What is received is in_place, loaned or copied: these add up to it. */
#define ST_BYTES_LIST(X) \
	X(wire, "payload bytes received or sent") \
	X(in_place, "received into the caller's page by the link itself") \
	X(loaned, "handed to the caller inside received frames") \
	X(copied, "moved by our code once") \
	X(bounced, "moved by our code once more: repeated, or put in one piece first")

/** Bytes and moves by site, and payload bytes by what happened to them. */
struct st_copy_stats {
	uint64_t site_bytes[ST_COPY_SITES];
	uint64_t site_count[ST_COPY_SITES];
#define X(name, text) uint64_t name;
	ST_BYTES_LIST(X)
#undef X
};
/** Counters of one device since it was opened. */
const struct st_copy_stats *dev_st_copy_stats(const struct net_st_device *dev);
/**
 * Counters of the storage personality of a NIC since it was loaded: of its devices, those that are
 * closed among them, and of its target. 0, -ENODEV: it has none.
 */
int dev_st_nic_copy_stats(struct mpn_nic *nic, struct st_copy_stats *stats);

/* ---- Arenas ---- */

/**
 * Memory that frames can be sent from without a copy: from the EAL heap, on the NUMA node of the NIC,
 * aligned to align (a power of two, 0: 4096). Any thread.
 * @return NULL with errno ENOMEM
 */
void *st_arena_alloc(struct mpn_nic *nic, size_t bytes, size_t align);
/**
 * Give an arena back when no request uses it any more. Frames that still refer to it are safe: the memory
 * goes when the last of them has gone. A request under way that has sent from the arena without a copy, or
 * waits for data in place, is noticed: it is logged, and the memory stays until the request has ended. Not
 * noticed is one that has not begun, or is copied: that one reads or writes what is somebody else's then.
 * NULL is allowed. Any thread.
 * @return 0, -EBUSY (a request uses it; it goes by itself when that has ended), -ENOENT (no arena begins at mem)
 */
int st_arena_free(void *mem);
/** True when [mem, mem + len) lies in one arena. */
bool st_arena_owns(const void *mem, size_t len);

#ifdef __cplusplus
}
#endif

#endif
