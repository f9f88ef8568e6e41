/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The network: each node has a NIC with a short transmit queue, and a switch in the middle knows
 * which address is where. Frames in the switch survive whatever happens to the nodes.
 */

#ifndef SIM_NET_H
#define SIM_NET_H

#include "ring.h"
#include "rng.h"

#define SIM_NODES 8 /**< node 0 is the target */
#define SIM_TGT 0
#define SIM_ALL UINT8_MAX
#define SIM_NIC_QUEUE 64
#define SIM_FRAME_GROWTH 256 /**< bytes a fault may add */
#define SIM_FRAME_ROOM (WIRE_EBD_HDR_LEN + WIRE_EBD_P_LARGE + SIM_FRAME_GROWTH)

struct world;

struct sim_frame {
	struct sim_frame *next;
	uint32_t len;
	uint8_t from;
	uint8_t to;
	bool astray; /**< reaches the engine whatever its destination address says */
	bool stale; /**< a recorded copy */
	bool kept; /**< by its receiver */
	bool own; /**< made by its receiver */
	bool bulk; /**< for the queue for bulk data of its receiver */
	uint32_t nb_pieces; /**< of that queue it is in */
	struct sim_piece piece[SIM_PIECES];
	uint8_t *data; /**< in room, at the run's alignment */
	uint8_t room[SIM_FRAME_ROOM + 64];
};

/** What a filter wants done with a frame that a node sends. */
enum sim_verdict {
	SIM_PASS,
	SIM_DROP,
	SIM_DUP,
	SIM_HOLD, /**< the filter keeps a copy (net_copy) and sends it on itself (net_inject) */
};

struct sim_nic {
	uint64_t free_at; /**< when the wire is free */
	uint64_t leaves[SIM_NIC_QUEUE]; /**< when the queued frames will have left, a ring */
	uint32_t head;
	uint32_t n;
};

struct sim_net {
	struct rng rng;
	struct sim_frame *free;
	struct sim_frame *chunks; /**< all frames ever allocated, in blocks */
	struct sim_nic nic[SIM_NODES];
	uint64_t mute_until[SIM_NODES]; /**< what it sends is lost */
	uint64_t deaf_until[SIM_NODES]; /**< what is sent to it is lost */
	uint64_t small_until; /**< frames above the smallest MTU are lost */
	uint32_t burst_left[SIM_NODES];
	uint64_t port_free_at[SIM_NODES]; /**< when the switch has sent it all there is for it */
	uint32_t nb_stale; /**< recorded copies still to come */
	uint64_t nb_sent;
	uint64_t nb_arrived;
	uint64_t nb_out; /**< frames allocated and not freed */
	/** Decides about each frame sent, before the faults do. NULL: all pass. */
	enum sim_verdict (*filter)(struct world *w, struct sim_frame *f, void *ctx);
	void *filter_ctx;
};

void net_reset(struct world *w);
void net_free_all(struct sim_net *net);
void sim_mac(uint8_t mac[6], unsigned node);

struct sim_frame *net_alloc(struct world *w);
void net_put(struct world *w, struct sim_frame *f);
struct sim_frame *net_copy(struct world *w, const struct sim_frame *f);
/** Frames the node's engine may be asked for. */
uint32_t net_room(struct world *w, uint8_t node);
/** When there will be room again. */
uint64_t net_room_at(const struct world *w, uint8_t node);
/** Send a frame; the network owns it from here on. */
void net_send(struct world *w, struct sim_frame *f);
/** Let a frame arrive after a delay, without any fault. */
void net_inject(struct world *w, struct sim_frame *f, uint8_t to, uint64_t delay_ns);

#endif
