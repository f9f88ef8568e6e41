/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Test modes of a NIC's port: what arrives does not reach the personalities, but is forwarded, dropped or
 * sent back, as by dpdk-testpmd. So the link can be told from what is above it.
 */

#ifndef MPN_FWD_H
#define MPN_FWD_H

#include "mpn_nic.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MPN_FWD_MIN_FRAME 60 /**< bytes of a frame that `txonly` sends, and their default */

/** What the port is to do; on the thread that polls the NIC, and its peer. */
struct mpn_fwd_conf {
	/**
	 * "io": frames go to the peer as they are; "rxonly": they are dropped; "txonly": frames of
	 * frame_bytes bytes are sent without end, what arrives is dropped; "echo": they go back to their
	 * senders.
	 */
	const char *mode;
	struct mpn_nic *peer; /**< of `io`; the NIC itself: they go out where they came in */
	uint32_t frame_bytes; /**< of `txonly`; 0: MPN_FWD_MIN_FRAME */
};

/** What a port in a test mode is doing, and has done. */
struct mpn_fwd_info {
	const char *mode; /**< NULL: none, the personalities have it */
	struct mpn_nic *peer; /**< NULL: none, or it is gone */
	uint32_t frame_bytes;
	uint64_t rx_frames; /**< received */
	uint64_t tx_frames; /**< taken by the port they were sent on */
	uint64_t tx_dropped; /**< not taken by it, or not made to fit it */
};

/** The n-th mode, NULL at the end. */
const char *mpn_fwd_name(unsigned n);
/**
 * Put the port into a test mode, from any other; conf NULL: give it back to the personalities. They go on
 * running, and may send. Counters begin anew.
 * @return 0; -ENOENT (mode), -EINVAL (peer, frame_bytes), -EBUSY (something else has the port), -EOPNOTSUPP (it
 *   receives in place), -ENOMEM
 */
int mpn_nic_set_fwd(struct mpn_nic *nic, const struct mpn_fwd_conf *conf) MPN_MUST_CHECK;
/** Read mode and counters. */
void mpn_nic_get_fwd(const struct mpn_nic *nic, struct mpn_fwd_info *info);

#ifdef __cplusplus
}
#endif

#endif
