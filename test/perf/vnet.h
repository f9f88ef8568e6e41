/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A target and its initiators on a switch, in virtual time: the engines are the real ones, links have a
 * rate, a delay and losses, and the switch's port to the target has a queue that overflows. Everything
 * follows from the seed. What is measured here is how much the protocol gets out of a link, not how
 * fast a CPU runs it.
 *
 *	initiator -> its channel -> [switch: queue towards the target] -> target
 *	initiator <-------------------------- channel of the target <----
 */

#ifndef VNET_H
#define VNET_H

#include "mpn_hist.h"
#include "xfer.h"

#define VNET_MAX_INI 64
#define VNET_DEPTH_MAX 64

/* What makes up for losses. */
enum vnet_repair {
	VNET_ENGINES, /* the engines ask for what is missing */
	VNET_BACK_NAK, /* below them: repeat from the gap on, when the receiver complains */
	VNET_BACK_TIMER, /* the same, when no acknowledgement has come for 5 ms */
};

struct vnet_conf {
	unsigned nb_ini;
	unsigned depth; /* requests of each, all the time */
	uint32_t len; /* bytes of a request */
	bool write;
	double loss; /* of each frame, on each link */
	enum vnet_repair repair;
	double gbps;
	uint64_t delay_ns; /* one way */
	uint32_t queue_bytes; /* of the switch towards the target; 0: it never overflows */
	uint32_t grant_frames; /* as in struct xfer_tgt_conf */
	unsigned max_bufs; /* of the target for the data of commands, 0: as many as it asks for */
	uint64_t disk_ns; /* a request in the back end */
	uint64_t seed;
	uint64_t run_ns;
};

struct vnet_result {
	uint64_t bytes; /* of requests that ended well */
	double mb_per_s;
	double part; /* of what the link carries */
	uint64_t errors;
	uint64_t lost; /* frames: on links and in the queue of the switch */
	uint64_t frames;
	uint64_t retransmits;
	uint64_t repeated; /* frames that go-back-N sent again */
	uint64_t bufs_max; /* bytes the target held at most for data of commands */
	uint64_t queue_max; /* bytes in the switch at most */
	double fairness; /* least of an initiator to the average */
	struct mpn_hist lat; /* ns */
};

/* 0; -1: the sessions did not open, or out of memory */
int vnet_run(const struct vnet_conf *conf, struct vnet_result *result);

#endif
