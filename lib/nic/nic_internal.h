/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What the files of lib/nic share. A NIC belongs to one thread; only link_dirty is written by others. When
 * it is spread (map.h) the stages are on several: each counter, and each field, is written by one of
 * them. Where two fields are used by different ones that is said.
 */

#ifndef NIC_INTERNAL_H
#define NIC_INTERNAL_H

#include <stdatomic.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "link.h"
#include "mpn_hist.h"
#include "mpn_personality.h"
#include "nic_pool.h"
#include "nic_post.h"
#include "vlan.h"

#define NIC_DEFAULT_RXD 1024
#define NIC_DEFAULT_TXD 256
#define NIC_DEFAULT_FLOW_LEN 1024
#define NIC_DEFAULT_TX_CAP 64
#define NIC_DEFAULT_KEEP 512
#define NIC_POOL_CACHE 256
#define NIC_PAGE 4096
#define NIC_SECTOR 512
#define NIC_SECTOR_OFF 64
#define NIC_ETHERTYPE_MIN 0x600
#define NIC_FRAME_TYPES 65536
#define NIC_CHECK_MS 100
#define NIC_DEFAULT_WAIT_MS 5000
#define NIC_CONNECT_MS 1000
#define NIC_TX_STUCK_MS 1000
#define NIC_DRAIN_MS 5000
#define NIC_DATA_QUEUE 1
#define NIC_MAX_TYPES 4 /* of one personality */
#define FLOW_MARKS 256
#define NIC_MAX_NEWS 8 /* of one personality */
#define NIC_MAX_STAGES (2 + MPN_MAX_PERSONALITIES)

/* The life cycle, see transitions[] in personality.c. */
enum pers_step { STEP_LOAD, STEP_UNLOAD, STEP_START, STEP_STOP, STEP_QUIET, STEP_UNDEFINE, STEPS };

/* When frames came: that at position pos, and those behind it up to the next mark. */
struct flow_mark {
	uint64_t ns;
	uint32_t pos;
};

/*
 * Frames on their way to one queue of the port. Positions count the frames of the lane and wrap around.
 * The marks are a ring of their own, with the same producer and consumer.
 */
struct flow_lane {
	struct rte_ring *ring;
	struct mpn_vlan vlan; /* they leave with its tags */
	/* the scheduler's */
	uint16_t nb_kept; /* frames taken from the ring and not taken by the port yet */
	struct rte_mbuf *kept[MPN_BURST];
	uint32_t nb_sent; /* position of the first frame that waits */
	uint64_t since_ns; /* the last mark that left */
	atomic_uint mark_head;
	struct mpn_hist delay; /* of the first frame of each mark */
	/* the personality's */
	uint32_t nb_taken; /* position of the next frame to come */
	uint64_t mark_ns;
	atomic_uint mark_tail;
	struct flow_mark marks[FLOW_MARKS];
};

/* Of bytes, see sched_bucket.c. */
struct bucket {
	uint64_t bytes;
	uint64_t ns; /* filled up to this time */
};

/* What a flow was like at the last look, see watch.c. */
struct flow_watch {
	uint64_t rx_full;
	uint32_t sent;
	unsigned nb_still; /* looks in a row at which frames waited and none had left */
	bool is_rx_full;
	uint64_t rx_no_frames;
	bool has_no_frames;
};

/* Something that happens, and is said now and then. */
struct fault_record {
	uint64_t count;
	uint64_t last_unix_ns; /* 0: never */
	uint64_t said_ns;
};

#define FAULT_BIT(fault) (1u << (fault))

/* A flow of frames in each direction. The port side of both is the NIC's, the other the personality's. */
struct mpn_flow {
	struct rte_ring *rx;
	struct flow_lane tx;
	struct flow_lane data; /* no ring: the port sends on one queue */
	uint32_t rx_size;
	uint32_t tx_size;
	uint32_t rx_mark; /* frames in rx above which arriving ones are dropped */
	/* of rx */
	uint16_t nb_stage; /* frames of this receive burst */
	uint16_t nb_round; /* frames of this round */
	struct rte_mbuf *stage[MPN_BURST];
	struct rte_mempool *pool; /* arriving frames are copied into it; NULL: they are not */
	/* Since when the first frame in rx has waited for its turn: about, with rx on another lcore. */
	atomic_uint_least64_t rx_since_ns;
	uint64_t longest_tsc; /* of the personality's turns */
	struct mpn_hist rx_delay;
	struct mpn_flow_stats stats;
	struct flow_watch watch;
};

struct mpn_personality {
	char name[MPN_NAME_LEN];
	struct mpn_nic *nic;
	const struct mpn_personality_ops *ops;
	enum mpn_pers_state state;
	bool loading; /* inside ops->load: ethertypes may change */
	bool takes_rest; /* and what nobody claims */
	uint8_t nb_ethertypes;
	uint16_t ethertypes[NIC_MAX_TYPES];
	struct mpn_vlan vlan; /* its frames are those of this VLAN; no vid: those without a tag */
	uint8_t rx_queue; /* its frames come there and nobody else's; 0: where all come */
	uint8_t nb_rules; /* that see to it */
	struct rte_flow *rules[NIC_MAX_TYPES + 1];
	void *priv;
	struct mpn_flow flow;
	struct fault_record errors;
	int last_error;
	char last_cause[64];
	atomic_uint_least64_t wants; /* of the port, see wants.c */
	uint8_t nb_news; /* events that are not told yet, in their order */
	uint8_t news[NIC_MAX_NEWS];
	/* See map.h. */
	int lcore; /* MAP_HOME: the NIC's own thread */
	const uint64_t *clock; /* when the round of its lcore began */
	bool pays_rx; /* it shares cycles with rx, tx: they are on its lcore */
	bool pays_tx;
	unsigned nb_pins;
	uint64_t held_ns; /* it held its lcore so long, and this is not told yet */
	struct mpn_beside beside;
	struct mpn_share share;
	struct mpn_limits limits;
	struct bucket rate; /* what the TX rate allows */
	/* of prio-drr */
	bool in_turn; /* has had its quanta, and not used all of them */
	uint64_t deficit; /* bytes it may send in this turn */
	struct bucket prio; /* bytes it may send before the others */
	int64_t credit; /* TSC cycles it may use; below 0: it used more than it had */
};

/* What one thread runs of a NIC. */
struct nic_part {
	struct mpn_nic *nic;
	bool rx;
	bool tx;
	uint8_t nb_pers;
	struct mpn_personality *pers[MPN_MAX_PERSONALITIES];
	uint64_t now_ns; /* when its round began */
	/* of one in a map */
	uint64_t rounds;
	uint64_t idle_rounds;
	uint64_t busy_tsc; /* in the others */
	uint64_t since_tsc;
};

/* Frames: what one round may do at most, see sched_pace.c. */
struct sched_pace {
	uint16_t rx; /* received from a queue of the port */
	uint16_t run; /* handed to a personality */
	uint16_t tx; /* sent */
	uint16_t unsent; /* in the port before it gets no more; 0: as many as it takes */
};

/* Who is next. One per policy. */
struct sched_ops {
	const char *name;
	/* Run the personalities. *tsc: now, in and out. @return the work they found */
	unsigned (*work)(struct nic_part *part, uint64_t now_ns, uint64_t *tsc);
	/* Move frames from the TX flows to the port while there is room. @return frames the port took */
	unsigned (*run)(struct mpn_nic *nic, uint64_t now_ns);
};

/* Somebody has the receive stage for himself, see bare.h: run() is in its place. */
struct nic_bypass {
	unsigned (*run)(struct nic_bypass *bypass, uint64_t now_ns);
};

/* Whose the frames of one VLAN are: by frame type 1 + index of the personality, 0: nobody. */
struct vlan_domain {
	struct mpn_vlan vlan;
	uint8_t claims[NIC_FRAME_TYPES];
};

/* The VLANs that personalities have. */
struct vlan_table {
	unsigned nb;
	struct vlan_domain *domains[MPN_MAX_PERSONALITIES];
	uint8_t by_vid[VLAN_IDS]; /* 1 + index of the one with this tag alone, 0: none */
};

struct mpn_nic {
	/* read in every round */
	uint16_t port_id;
	bool started; /* the user wants it to run */
	bool running; /* the port is there and started */
	bool link_up;
	bool in_poll;
	bool spread; /* there is a map, and its lcores run */
	bool has_tx_status; /* the driver tells which descriptors are unsent */
	atomic_bool link_dirty; /* the link may have changed: look at it in this round */
	uint8_t faults; /* that are injected: FAULT_BIT() of each */
	uint8_t nb_pers;
	uint8_t nb_own_queues; /* receive queues behind the first one, for one personality each */
	uint8_t next_tx; /* the flow that is served first */
	bool data_rx; /* receives on a data queue, too */
	bool data_tx; /* has one to send on */
	bool sends_always; /* call the driver's transmit in every round */
	uint64_t mac48; /* our station address as the low 48 bits of a load from the frame */
	bool filters_by_cpu; /* the port has no room for addresses: it takes all frames */
	uint8_t nb_more_macs; /* stations that personalities are beside ours */
	uint64_t more_macs[MPN_MAX_PERSONALITIES];
	uint64_t next_check_ns;
	struct nic_part all; /* everything: without a map */
	const uint64_t *rx_clock; /* when the rounds of the lcores with rx, tx began */
	const uint64_t *tx_clock;
	struct nic_map *map; /* NULL: run to completion */
	/* Of frames without a tag, by frame type: 1 + index of the personality, 0: nobody, or see vlan.h. */
	uint8_t *claims;
	struct vlan_table vlans;
	uint8_t trunk[VLAN_TPIDS]; /* who gets the tagged frames of other VLANs, by tag */
	uint64_t rx_flags; /* of received frames that mean something: the port takes tags off */
	bool port_inserts; /* it puts a tag in as it sends */
	const struct sched_ops *sched;
	struct sched_pace pace;
	struct nic_bypass *bypass; /* NULL: nobody */
	/* of the link, NULL: none */
	unsigned (*pump)(struct link *link, struct rte_mempool *pool, bool alive, uint64_t now_ns);
	struct nic_fwd *fwd; /* a test mode that has it */
	struct mpn_personality *pers[MPN_MAX_PERSONALITIES];
	struct mpn_nic_stats stats;

	/* now and then */
	unsigned holds; /* of mpn_nic_hold() */
	bool held_asked; /* somebody has set the next one */
	bool tx_offered; /* in this round: frames, to the port */
	bool priority_moves; /* those with priority have sent or received since the last look */
	uint64_t priority_frames; /* that they had then */
	uint64_t
		sent_first; /* a bit for each frame sent, the last one's is bit 0: it had priority */
	uint64_t held_ns; /* what a personality may hold the thread for; 0: for ever */
	uint64_t held_tsc; /* the same in cycles; UINT64_MAX */
	uint64_t next_held_log_ns;
	uint64_t tx_waiting_since_ns; /* 0: nothing waits */
	bool tx_stuck;
	uint64_t seen_tx_frames; /* at the last look */
	uint64_t rx_nombuf;
	uint64_t seen_missed, seen_errors; /* counted by the port at the last look */
	bool no_mbufs;
	unsigned nb_members_up; /* of a bond */
	struct fault_record events[MPN_NIC_EVENTS];
	enum mpn_nic_event last_event;
	struct rte_mbuf **taken; /* from rx_pool, on purpose; NULL: none */
	uint32_t nb_taken;
	uint64_t next_revive_ns;
	struct rte_mempool *rx_pool;
	struct nic_post *post; /* what the data queue receives into */
	struct nic_steer steer; /* what belongs on it, where the port must be told */
	struct rte_flow *steer_rule; /* NULL: it has not been told */
	struct link *link;
	struct mpn_nic_conf conf;
	struct mpn_nic_info info;
	mpn_nic_event_cb event_cb;
	void *event_arg;
};

/* nic.c: give the receive stage away, or take it back: NULL. */
void nic_set_bypass(struct mpn_nic *nic, struct nic_bypass *bypass);

/* port.c */
int nic_port_open(struct mpn_nic *nic) MPN_MUST_CHECK;
int nic_port_start(struct mpn_nic *nic) MPN_MUST_CHECK;
void nic_port_stop(struct mpn_nic *nic);
/* The link has lost its peer, and the port must forget it. */
void nic_port_restart(struct mpn_nic *nic);
void nic_port_close(struct mpn_nic *nic);
/* The peer is gone, and the driver cannot follow: without a port until revive finds it again. */
void nic_port_lose(struct mpn_nic *nic);
int nic_port_revive(struct mpn_nic *nic) MPN_MUST_CHECK;
bool nic_port_link_up(struct mpn_nic *nic);
/* Tell the port which frames the user wants besides our own. */
void nic_port_set_modes(struct mpn_nic *nic);

/* wants.c */
/* Look at what the personalities want; everything stands still. */
void wants_heed(struct mpn_nic *nic);
/* The port knows nothing of it. */
void wants_tell_port(struct mpn_nic *nic);

/* port_split.c: a data queue by buffer split, on a card. */
/* Can the port do it? Logs why not. */
int nic_split_probe(
	struct mpn_nic *nic, const struct rte_eth_dev_info *dev, bool knows_pools) MPN_MUST_CHECK;
/* Receive offloads that it takes. */
uint64_t nic_split_offloads(const struct rte_eth_dev_info *dev);
struct nic_post *
nic_split_create_post(struct mpn_nic *nic, const struct rte_eth_dev_info *dev, const char *name);
int nic_split_setup_queue(struct mpn_nic *nic, const struct rte_eth_dev_info *dev,
	const struct rte_eth_rxconf *rxconf) MPN_MUST_CHECK;
/* The port has started, is about to stop: the rule that steers data frames comes and goes. */
int nic_split_start(struct mpn_nic *nic) MPN_MUST_CHECK;
void nic_split_stop(struct mpn_nic *nic);

/* A counter of rx and of tx. */
static inline void
nic_count_no_mem(struct mpn_nic *nic)
{
	(void)__atomic_fetch_add(&nic->stats.vlan_no_mem, 1, __ATOMIC_RELAXED);
}

/* rx_queue.c: queues that flow rules bring the frames of one personality to. */
/* How many the port should have behind the first one. */
uint8_t rx_queue_wanted(const struct mpn_nic *nic, const struct rte_eth_dev_info *dev);
/* The port has started: does it take rules at all? Logs why not. */
bool rx_queue_probe(struct mpn_nic *nic) MPN_MUST_CHECK;
/* A personality has started, is about to stop. It keeps the first queue where there is none, or no rule. */
void rx_queue_give(struct mpn_personality *p);
void rx_queue_take(struct mpn_personality *p);
/* The port has started, is about to stop; somebody has the receive stage for himself. */
void rx_queue_give_all(struct mpn_nic *nic);
void rx_queue_take_all(struct mpn_nic *nic);

/* classify.c */
unsigned nic_receive(struct mpn_nic *nic);
/* What nic_receive() does with the frames it finds. */
void nic_take_burst(struct mpn_nic *nic, struct rte_mbuf **mbufs, unsigned n);

/* nic_pool.c */
/*
 * A pool to receive into: nb frames of up to room bytes with their headroom. Where frames are larger
 * than a page, what follows the first NIC_SECTOR_OFF bytes of a frame starts on a sector's boundary, so
 * that a disk can be written from there.
 */
struct rte_mempool *nic_pool_create_rx(const char *name, uint32_t nb, uint16_t room, int socket_id);
/* So many frames as large as the NIC's, for one personality. */
struct rte_mempool *nic_pool_create_own(const struct mpn_nic *nic, uint32_t nb);

/* flow.c */
int flow_init(struct mpn_flow *flow, uint32_t rx_size, uint32_t tx_size, bool data,
	int socket_id) MPN_MUST_CHECK;
void flow_fini(struct mpn_flow *flow);
void flow_clear_stats(struct mpn_flow *flow);
/*
 * Hand the staged frames over; those above the watermark are freed, and those that the personality's own
 * pool has no room for. @return how many the watermark stopped
 */
unsigned flow_push_rx(struct mpn_flow *flow, uint64_t now_ns);
/* Take frames for the personality, at most max. */
unsigned flow_pop_rx(struct mpn_flow *flow, struct rte_mbuf **mbufs, unsigned max, uint64_t now_ns);
/* Free what waits: in direction RX because it stops, in direction TX. @return frames freed */
unsigned flow_drop_rx(struct mpn_flow *flow);
unsigned flow_drop_tx(struct mpn_flow *flow, bool link_down);
/* Frames of a lane that wait; of both. */
unsigned flow_lane_len(const struct flow_lane *lane);
bool flow_tx_waits(const struct mpn_flow *flow);
/* Length of a lane's first frame, 0: none waits. */
uint32_t flow_head_len(struct mpn_nic *nic, struct flow_lane *lane);
/*
 * Send from a lane at most max frames, at most MPN_BURST, that fit into *bytes, which are taken off.
 * *full: the port took fewer. @return frames the port took
 */
unsigned flow_send(struct mpn_nic *nic, struct flow_lane *lane, uint16_t queue, unsigned max,
	uint64_t *bytes, bool *full);
/* Of a lane in which frames wait: when the first one came; how many came up to a time, at most MPN_BURST. */
uint64_t flow_lane_since(const struct flow_lane *lane);
unsigned flow_lane_until(const struct flow_lane *lane, uint64_t ns);

/* sched_bucket.c */
/* Pour in what a rate in bytes a second has brought since the last time, up to burst bytes. */
void bucket_fill(struct bucket *b, uint64_t rate, uint64_t burst, uint64_t now_ns);
/*
 * What the TX rate of a personality allows now for the frames that wait in a lane; UINT64_MAX: it has none;
 * 0: nothing, or nothing waits.
 */
uint64_t rate_allows(struct mpn_personality *p, struct flow_lane *lane, uint64_t now_ns);
/* What was left of that after sending. */
void rate_leave(struct mpn_personality *p, uint64_t allowed, uint64_t left);

/* sched_cpu.c */
/* Tell of those that held their lcores too long. */
void cpu_tell_held(struct mpn_nic *nic);
/* What receiving n frames has taken is paid by those they are for. */
void cpu_charge_rx(struct mpn_nic *nic, unsigned n, uint64_t cycles);
unsigned cpu_run_all(struct nic_part *part, uint64_t now_ns, uint64_t *tsc);
unsigned cpu_run_drr(struct nic_part *part, uint64_t now_ns, uint64_t *tsc);

/* sched_fifo.c, sched_drr.c */
extern const struct sched_ops sched_fifo;
extern const struct sched_ops sched_prio_drr;
/* Send what has priority, without waiting for the others' turns. */
unsigned drr_send_priority(struct mpn_nic *nic, uint64_t now_ns, bool *full);

/* sched_pace.c */
/* Personalities have come, gone or changed, or the scheduler has. */
void sched_set_pace(struct mpn_nic *nic);
/* Now and then: is anything with priority on its way? */
void sched_watch_pace(struct mpn_nic *nic);
/* The link is up, and nothing has been sent: how empty it is now is how empty it can be. */
void sched_meet_link(struct mpn_nic *nic);
/* Frames without priority that may go to the port now. */
unsigned sched_room(struct mpn_nic *nic, uint64_t now_ns);

/* sched.c */
const struct sched_ops *sched_find(const char *name);
unsigned nic_transmit(struct mpn_nic *nic, uint64_t now_ns);
/* In the middle of a round: only what has priority. */
unsigned nic_transmit_priority(struct mpn_nic *nic, uint64_t now_ns);

/* claims.c */
int claims_store(struct mpn_personality *p, const uint16_t *types, unsigned n);
/* Is what it claims free? It is about to be loaded. */
int claims_check(const struct mpn_personality *p) MPN_MUST_CHECK;
/* There must be a table for its VLAN before it is loaded. */
int claims_make_domain(const struct mpn_personality *p) MPN_MUST_CHECK;
/* Personalities have come, gone or moved. */
void claims_rebuild(struct mpn_nic *nic);
void claims_free(struct mpn_nic *nic);
/* Who has the frames with these tags, by type; NULL: nobody. */
const uint8_t *claims_of(const struct mpn_nic *nic, const struct vlan_tags *tags);

/* personality.c */
bool personality_ops_complete(const struct mpn_personality_ops *ops);
bool personality_kind_exists(const char *name);
uint32_t personality_cpu_weight(const struct mpn_personality_ops *ops);
unsigned personality_run(struct mpn_personality *p, uint64_t now_ns);
void personality_event(struct mpn_personality *p, enum mpn_nic_event ev);
void personality_destroy(struct mpn_personality *p);
static inline bool
personality_is_active(const struct mpn_personality *p)
{
	return p->state == MPN_PERS_STARTED || p->state == MPN_PERS_STOPPING;
}

static inline bool
nic_flow_len_ok(uint32_t len)
{
	return len >= 8 && len <= 1u << 20 && (len & (len - 1)) == 0;
}

/* Does the peer receive on a data queue now? */
static inline bool
nic_peer_has_data_queue(const struct mpn_nic *nic)
{
	return nic->data_tx && atomic_load_explicit(&nic->link->data_up, memory_order_relaxed);
}

/* fault.c */
void nic_event(struct mpn_nic *nic, enum mpn_nic_event ev);
void nic_clear_faults(struct mpn_nic *nic);
/* Nothing is injected any more; the NIC is about to end. */
void nic_end_faults(struct mpn_nic *nic);
/* What mpn_personality_error() does, without a line in the log: the caller has written one. */
void personality_tell_error(struct mpn_personality *p, int err, const char *cause);
/* On the lcore of the personality: an event for the NIC's callback, which its own thread will tell. */
void personality_raise(struct mpn_personality *p, enum mpn_nic_event ev);
void personality_tell_news(struct mpn_personality *p);
void fault_drain_pool(struct mpn_nic *nic);
/* The receive stage of a NIC whose cable is out. @return work done */
unsigned fault_drop_rx(struct mpn_nic *nic);

/* nic.c */
/* The receive stage. @return frames, or work */
unsigned nic_round_receive(struct mpn_nic *nic, uint64_t now_ns);

/* watch.c */
/* When it is due: notice what has changed about the port. */
void nic_watch(struct mpn_nic *nic, uint64_t now_ns);
static inline bool
nic_watch_is_due(const struct mpn_nic *nic, uint64_t now_ns)
{
	return now_ns >= nic->next_check_ns ||
	       atomic_load_explicit(&nic->link_dirty, memory_order_relaxed);
}
void nic_check_link(struct mpn_nic *nic);
/* A personality has just been started. */
void watch_start(struct mpn_personality *p);
/* The port has been taken out: personalities hear that the link is down. */
void nic_lose_link(struct mpn_nic *nic);

/* eal.c */
bool eal_is_running(void);
uint64_t eal_tsc_to_ns(uint64_t tsc);

#endif
