/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The multi-personality NIC: one Ethernet port, several personalities, each with an RX and a TX flow.
 * (Multi-Personality Network Interfaces, 2.2.) One NIC is polled by one thread.
 *
 *   port -> rx burst -> classify by VLAN and ethertype -> RX flow -> personality
 *   port <- tx burst <- scheduler                      <- TX flow <-
 */

#ifndef MPN_NIC_H
#define MPN_NIC_H

#include <stdbool.h>
#include <stdint.h>

#include "mpn_err.h"
#include "mpn_out.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rte_mbuf;
struct rte_mempool;

struct mpn_nic;
struct mpn_personality;

#define MPN_ABI_VERSION 1 /**< of struct mpn_personality_ops */
#define MPN_NAME_LEN 64 /**< a name with its terminating zero */
#define MPN_MAX_PERSONALITIES 8 /**< of one NIC */
#define MPN_BURST 32 /**< frames handed over at once */

/* ---- Starting DPDK ---- */

/** How to start the EAL when the program has not done so itself. */
struct mpn_eal_conf {
	const char *prog; /**< argv[0] for messages */
	const char *link; /**< the link that will be opened: tells what the EAL must have */
	const char *extra; /**< raw EAL flags, separated by blanks, or NULL */
	uint32_t mem_mib; /**< memory wanted; 0: 256 */
	int lcore; /**< core the calling thread is to run on, -1: leave it alone */
	bool no_huge; /**< do not use hugepages even when there are some */
};

/**
 * Start the EAL unless it runs already. Uses hugepages when enough are free and accessible, else
 * ordinary memory; needs no root for the links that need none.
 * @return 0; -ENOMEM, -EACCES, -EINVAL, ... with one line logged; -EALREADY: it has failed, or was ended,
 *   in this process before, and DPDK starts only once
 */
int mpn_eal_start(const struct mpn_eal_conf *conf) MPN_MUST_CHECK;
/** End the EAL if mpn_eal_start() started it: removes its files. */
void mpn_eal_stop(void);
/** True when the EAL runs with hugepages. */
bool mpn_eal_has_hugepages(void);
/** Monotonic time in ns from the TSC: no system call. */
uint64_t mpn_now_ns(void);

/* ---- Links ---- */

/** One kind of link users can name: `KIND:ARG[,key=value...]`. */
struct mpn_link_kind {
	const char *name; /**< "vhost" */
	const char *synopsis; /**< "virtio:PATH[,wait=TIME]" */
	const char *help;
	bool needs_root;
	bool point_to_point; /**< serves one peer; carries no other traffic; cannot corrupt */
};

/** The n-th kind of link, NULL at the end. */
const struct mpn_link_kind *mpn_link_kind(unsigned n);
/** The kind a link string names, NULL with errno EINVAL. */
const struct mpn_link_kind *mpn_link_kind_of(const char *link);

/* ---- The NIC ---- */

/** What a thread does when nothing arrives. */
enum mpn_idle { MPN_IDLE_SPIN, MPN_IDLE_YIELD, MPN_IDLE_SLEEP };

/** How to bring up a NIC; zeroes are the defaults. */
struct mpn_nic_conf {
	const char *name; /**< unique in the process; NULL: "nicN" */
	const char *link; /**< "vhost:/tmp/x.sock", see mpn_link_kind() */
	bool server; /**< which side of a link that has two: the one that serves */
	uint16_t
		mtu; /**< bytes, from byte 14 of the frame; 0: the largest of 9000, 1500 the link takes */
	uint16_t nb_rxd; /**< RX descriptors, 0: 1024 where the link takes them */
	uint16_t nb_txd; /**< TX descriptors, 0: 256 */
	uint32_t flow_len; /**< frames an RX or TX flow holds, power of two; 0: 1024 */
	uint32_t tx_cap; /**< unsent descriptors at most; 0: 64 */
	/**
	 * Received frames that personalities may keep (loans), beside those on their way; 0: 512. Takes
	 * memory for as many frames of the MTU.
	 */
	uint32_t nb_keep;
	uint64_t wait_ms; /**< for the one who serves the link, unless it says wait=; 0: 5000 */
	/**
	 * Called every few milliseconds while mpn_nic_create() waits for him, with background_arg: what else
	 * lives on this thread, a look at a flag a signal has set. A negative errno makes it give up.
	 */
	int (*background)(void *arg);
	void *background_arg;
};

/** What happens to the NIC as a whole: {NAME, name, text}. The report, 2.2.4. */
#define MPN_NIC_EVENT_LIST(X) \
	X(LINK_UP, link_up, "the link is up") \
	X(LINK_DOWN, link_down, "the link is down") \
	X(REMOVED, removed, "the device has gone") \
	X(NO_MBUFS, no_mbufs, "no memory to receive into") \
	X(TX_STUCK, tx_stuck, "the port has taken no frame for a second") \
	X(RETURNED, returned, "the device is back") \
	X(MBUFS_BACK, mbufs_back, "there is memory to receive into again") \
	X(TX_MOVES, tx_moves, "the port takes frames again") \
	X(MEMBER_DOWN, member_down, "a member of the bond has lost its link") \
	X(MEMBER_UP, member_up, "a member of the bond has a link") \
	X(HELD, held, "a personality held the thread too long: see mpn_nic_set_watchdog()") \
	X(PROCESS_CAME, process_came, "the process of a remote personality has come") \
	X(PROCESS_LEFT, process_left, "the process of a remote personality has left") \
	X(PROCESS_FAILED, process_failed, "the process of a remote personality has died, or hangs")

/** What happened to the NIC as a whole. */
enum mpn_nic_event {
#define X(NAME, name, text) MPN_NIC_##NAME,
	MPN_NIC_EVENT_LIST(X)
#undef X
		MPN_NIC_EVENTS
};
/**
 * Runs on the NIC's thread, inside mpn_nic_poll(), before the personalities hear of the event. Of MPN_NIC_PROCESS_*
 * no personality does: it is the business of one, which has an error of its own. info.process_of says whose
 * (mpn_remote_get_info()).
 */
typedef void (*mpn_nic_event_cb)(struct mpn_nic *nic, enum mpn_nic_event ev, void *arg);

/** What the port can do, and what was chosen. */
struct mpn_nic_info {
	char name[MPN_NAME_LEN];
	char link[256];
	char driver[32];
	uint16_t port_id;
	uint16_t mtu;
	uint16_t nb_rxd;
	uint16_t nb_txd;
	int socket_id; /**< NUMA node of port and memory, never negative */
	uint8_t mac[6];
	bool multi_segs; /**< a frame may be sent in several segments */
	bool tx_any_memory; /**< sends from any memory; else from the EAL's only */
	bool strips_vlan; /**< the port takes VLAN tags off; else the CPU does */
	bool inserts_vlan; /**< and puts them in */
	bool tx_checksum; /**< fills in TCP's and UDP's checksums as it sends */
	bool tx_tso; /**< cuts what is too long for a frame into segments of TCP, IPv4's and IPv6's */
	bool rx_checksum; /**< says of received frames whether TCP's and UDP's checksums are right */
	bool own_frames; /**< received frames are in memory of this NIC; on a ring in their sender's */
	bool link_up;
	bool removed; /**< the device has gone; the NIC looks for it */
	bool point_to_point;
	bool may_corrupt; /**< frames leave memory: checksums pay */
	uint32_t max_frame; /**< bytes of the largest frame, mtu + 14 */
	uint32_t nb_keep; /**< received frames that personalities may keep */
	bool promiscuous; /**< frames for other stations are taken, too */
	bool allmulticast; /**< the port was asked for the frames of all groups */
	bool wants_promiscuous; /**< a personality has asked for those of other stations */
	bool wants_allmulticast; /**< and for those of all groups: mpn_personality_want() */
	char held_by
		[MPN_NAME_LEN]; /**< the last personality that held the thread too long, "": none did */
	uint64_t held_ns; /**< how long it did */
	char process_of
		[MPN_NAME_LEN]; /**< the last remote personality whose process came, left or failed */
};

/** Counters of the NIC: {name, text}. Per-personality ones are in the flow's. */
#define MPN_NIC_COUNTER_LIST(X) \
	X(rx_frames, "frames received") \
	X(rx_bytes, "bytes received") \
	X(tx_frames, "frames handed to the port") \
	X(tx_bytes, "bytes handed to the port") \
	X(rx_unclaimed, "dropped: no personality has the frame type") \
	X(rx_length, "dropped: 802.3 length instead of a frame type") \
	X(rx_long, "dropped: longer than the MTU allows") \
	X(rx_own_source, "dropped: our own address as its source") \
	X(rx_stopped, "dropped: the personality is not started") \
	X(rx_runt, "dropped: shorter than an Ethernet header") \
	X(rx_not_ours, "dropped: for another station") \
	X(rx_flow_full, "dropped: the personality's flow is above its watermark") \
	X(rx_vlan_unmapped, "dropped: of a VLAN that no personality has") \
	X(rx_vlan_nested, "dropped: two VLAN tags, and no personality has both") \
	X(rx_vlan_bad, "dropped: VLAN tags cut short, more than two, or with id 4095") \
	X(vlan_no_mem, "dropped: no memory to put a VLAN tag in, or to take it off") \
	X(rx_port_missed, "dropped by the port: its queue was full") \
	X(rx_port_errors, "dropped by the port: damaged, or too short for it") \
	X(tx_link_down, "dropped: the link is down") \
	X(tx_busy, "the port took fewer frames than offered (kept, not lost)") \
	X(polls, "rounds of the poll loop") \
	X(idle_polls, "rounds that found nothing")

/** Counters of a NIC. */
struct mpn_nic_stats {
#define X(name, text) uint64_t name;
	MPN_NIC_COUNTER_LIST(X)
#undef X
};

/**
 * Bring up the port behind a link, with every quirk of its driver handled, and start it. The NIC has no
 * personality yet and drops everything. The EAL must run. The peer need not be there: the link comes up
 * by itself (info.link_up, MPN_NIC_LINK_UP) when it is, each time it comes back.
 * @return the NIC; NULL with errno EINVAL (link, MTU), ENODEV, EEXIST (name), EBUSY, EACCES, ENOMEM,
 *   ETIMEDOUT, or what background() gave, after one logged line that says what and why
 */
struct mpn_nic *mpn_nic_create(const struct mpn_nic_conf *conf);
/** Stop and unload all personalities, close the port, free the NIC. NULL is allowed. Not from inside a
 *  poll. */
void mpn_nic_destroy(struct mpn_nic *nic);

/**
 * Start and stop the port; personalities keep their state. mpn_nic_create() has started it. While it is
 * stopped, or the link is down, frames to send are dropped and counted. 0 or -errno.
 */
int mpn_nic_start(struct mpn_nic *nic) MPN_MUST_CHECK;
void mpn_nic_stop(struct mpn_nic *nic);

/**
 * Take frames for other stations, and those of all groups, or do not. Frames for other stations go to the
 * personality that takes what nobody claims, and to no other. A port whose driver cannot be asked gets
 * whatever its peer sends. Also while the port is stopped, or lost: it is told when it starts.
 */
void mpn_nic_set_promiscuous(struct mpn_nic *nic, bool on);
void mpn_nic_set_allmulticast(struct mpn_nic *nic, bool on);

/**
 * One round, run to completion: receive, classify, run the personalities, transmit. No system call
 * when there is nothing to do, except what the driver's receive needs.
 * @return amount of work found; 0: idle
 */
unsigned mpn_nic_poll(struct mpn_nic *nic);
/**
 * Answer what DPDK's telemetry asks about the NIC, if something is asked (doc/telemetry.md). mpn_nic_poll()
 * does it; call this while the NIC is not polled, on the same thread.
 */
void mpn_nic_answer(struct mpn_nic *nic);

/**
 * What a thread does between polls. Call it with the work the last round of all its NICs found:
 * spins, yields, or sleeps according to the policy. SLEEP yields for the first millisecond of silence,
 * then sleeps in steps of 50 us, and in longer ones (at most 1 ms) the longer the silence has lasted. It
 * sleeps earlier when somebody else wants the core and what is waited for is known to take long.
 */
struct mpn_idler {
	enum mpn_idle policy;
	uint32_t empty; /**< empty rounds in a row */
	uint64_t idle_since_ns;
	/** Set by the program: how long what it waits for takes lately, from asking to the answer; 0: not known. */
	uint64_t answer_ns;
	bool wanted; /**< the core, by others: the last yield gave it away */
};
/** Start with no round behind it; tell it of every round. */
void mpn_idler_init(struct mpn_idler *idler, enum mpn_idle policy);
void mpn_idler_round(struct mpn_idler *idler, unsigned work);
/** How long SLEEP sleeps after so long a silence, for waits of the program's own: 50 us to 1 ms. */
uint32_t mpn_idle_pause_ns(uint64_t silent_ns);
/** YIELD when there are fewer cores than pollers, else SPIN: a good default. */
enum mpn_idle mpn_idle_default(unsigned nb_pollers);

/** Read what the port is, and its counters; set the counters to 0; hear of events. */
void mpn_nic_get_info(struct mpn_nic *nic, struct mpn_nic_info *info);
const struct mpn_nic_stats *mpn_nic_get_stats(const struct mpn_nic *nic);
void mpn_nic_clear_stats(struct mpn_nic *nic);
void mpn_nic_set_event_cb(struct mpn_nic *nic, mpn_nic_event_cb cb, void *arg);

/* ---- Faults: the report, 2.2.4 ---- */

/** An event, how often it happened since the counters were cleared, and when it did last. */
struct mpn_event_info {
	const char *name; /**< "link_up" */
	const char *text; /**< "the link is up" */
	uint64_t count;
	uint64_t last_unix_ns; /**< time of day of the last one; 0: never */
};
/** Read what is known of an event. */
void
mpn_nic_get_event(const struct mpn_nic *nic, enum mpn_nic_event ev, struct mpn_event_info *info);
/** Print all of them into an open object: `events`, and `last_event` with its time. */
void mpn_nic_print_events(const struct mpn_nic *nic, struct mpn_out *o);

/** One of the links a bond is made of. */
struct mpn_member_info {
	char link[256];
	bool up;
	bool active; /**< carries frames */
};
/** The n-th member of a bond. 0; -ENOENT: there is none, or the link of the NIC is no bond */
int mpn_nic_get_member(const struct mpn_nic *nic, unsigned n, struct mpn_member_info *info);
/** Print them into an open object, as `members`; nothing when the link is no bond. */
void mpn_nic_print_members(const struct mpn_nic *nic, struct mpn_out *o);

/** Faults a NIC can be made to have, for those who want to see what their software does then. */
#define MPN_NIC_FAULT_LIST(X) \
	X(LINK_DOWN, "link-down", "nothing comes in, nothing goes out, as with the cable out") \
	X(REMOVED, "removed", "the device is gone until the fault ends") \
	X(NO_MBUFS, "no-mbufs", "all memory to receive into is taken") \
	X(TX_STUCK, "tx-stuck", "the port takes no frame")

/** A fault to inject. */
enum mpn_nic_fault {
#define X(NAME, name, text) MPN_FAULT_##NAME,
	MPN_NIC_FAULT_LIST(X)
#undef X
		MPN_FAULTS
};
/** Name of a fault, e.g. "link-down"; NULL at the end. */
const char *mpn_nic_fault_name(unsigned fault);
/**
 * Begin or end a fault, on the NIC's thread. What follows is what follows on a true one: events,
 * counters, what the peer sees; it is noticed by the next polls.
 * @return 0; -EINVAL: no such fault; -EBUSY inside a poll; -ENOMEM
 */
int mpn_nic_inject(struct mpn_nic *nic, enum mpn_nic_fault fault, bool on);
/** True while it is injected. */
bool mpn_nic_injected(const struct mpn_nic *nic, enum mpn_nic_fault fault);
/** The n-th NIC of the process, NULL at the end. */
struct mpn_nic *mpn_nic_get(unsigned n);

/* ---- Personalities of a NIC: the report, 2.2.2 ---- */

/** Where a personality stands in its life cycle. */
enum mpn_pers_state {
	MPN_PERS_DEFINED,
	MPN_PERS_LOADED,
	MPN_PERS_STARTED,
	MPN_PERS_STOPPING,
	MPN_PERS_STATES
};

/**
 * Life cycle: define -> load -> start <-> stop -> unload -> undefine. A step that the table of
 * transitions does not allow gives -EPERM and changes nothing. define: -ENOENT (no such kind),
 * -EEXIST. kind is the name of one, or with a '/' in it the path of a shared object that has one
 * (MPN_PERSONALITY_PLUGIN()): -ENOEXEC when it has none, was made for another ABI, or crashes when it is
 * opened, after a logged line. load: -EADDRINUSE when a frame type is taken by another loaded personality in the same VLAN; what its load
 * function gives; -ENOEXEC: that of a shared object crashed, which has cost what it had taken by then. stop drains: it polls the NIC until the personality is quiet, at most 5 s
 * (-ETIMEDOUT: it is stopped all the same and its requests have failed).
 * args is passed to the personality's load function. load_text: the same with options as people type them,
 * "key=value,..."; NULL or "": none; -EINVAL: not what the kind takes. stop, unload and undefine give -EBUSY inside a
 * poll. name NULL: the kind's.
 */
int mpn_personality_define(struct mpn_nic *nic, const char *kind, const char *name,
	struct mpn_personality **p) MPN_MUST_CHECK;
int mpn_personality_load(struct mpn_personality *p, const void *args) MPN_MUST_CHECK;
int mpn_personality_load_text(struct mpn_personality *p, const char *options) MPN_MUST_CHECK;
int mpn_personality_start(struct mpn_personality *p) MPN_MUST_CHECK;
int mpn_personality_stop(struct mpn_personality *p);
int mpn_personality_unload(struct mpn_personality *p);
int mpn_personality_undefine(struct mpn_personality *p);

/** The VLAN of a personality: IEEE 802.1Q, the report's preferred configuration (2.4). */
struct mpn_vlan {
	uint16_t vid; /**< 1 to 4094; 0: no VLAN, frames without a tag */
	uint16_t outer; /**< 0: frames have one tag; 1 to 4094: two, this in the outer one (QinQ) */
};

/**
 * Give the personality a VLAN of its own: it gets the frames of that VLAN and no others, without their
 * tags, and what it sends leaves with them. The port takes them off and puts them in where it can. What it
 * claims it claims in its VLAN: personalities in different VLANs may have the same frame types. The MTU is
 * that of frames without tags. NULL, or vid 0: frames without a tag again, which a priority tag (id 0) is
 * not.
 *
 * Frames of VLANs that no personality has go with their tags to the one without a VLAN that takes what
 * nobody claims. Frames with two tags are dropped unless a personality has both.
 * @return 0; -EINVAL: not such ids; -EPERM: it is loaded: unload it first
 */
int mpn_personality_set_vlan(struct mpn_personality *p, const struct mpn_vlan *vlan) MPN_MUST_CHECK;

/** The personality of that name, NULL when there is none. */
struct mpn_personality *mpn_personality_find(struct mpn_nic *nic, const char *name);
/** The n-th personality of the NIC, NULL at the end. */
struct mpn_personality *mpn_personality_get(struct mpn_nic *nic, unsigned n);
enum mpn_pers_state mpn_personality_state(const struct mpn_personality *p);
const char *mpn_pers_state_name(enum mpn_pers_state s);

/** Counters of a flow: {name, text}. */
#define MPN_FLOW_COUNTER_LIST(X) \
	X(rx_frames, "frames handed to the personality") \
	X(rx_bytes, "bytes handed to the personality") \
	X(rx_dropped, "frames dropped on their way to the personality: the sum of what follows") \
	X(rx_full, "dropped: the flow was above its watermark") \
	X(rx_stopped, "dropped: the personality was not started, or stopped before it had them") \
	X(rx_no_frames, "dropped: all frames of its own pool are in use") \
	X(tx_frames, "frames taken from the personality") \
	X(tx_bytes, "bytes taken from the personality") \
	X(tx_full, "frames refused: TX flow full (back pressure)") \
	X(tx_dropped, "frames dropped unsent: the sum of what follows") \
	X(tx_link_down, "dropped: there was no link") \
	X(tx_stopped, "dropped: the personality was stopped, and they could not leave in time") \
	X(tx_limited, "rounds in which frames waited for the TX rate") \
	X(cycles, "TSC cycles spent in the personality") \
	X(turns, "times it ran") \
	X(passed_over, "times it did not, because it had used its cycles up") \
	X(held, "times it held the thread longer than the watchdog allows") \
	X(held_max_ns, "the longest time it held the thread")

/** Counters of a flow. */
struct mpn_flow_stats {
#define X(name, text) uint64_t name;
	MPN_FLOW_COUNTER_LIST(X)
#undef X
};

/* ---- Scheduling: the report, 2.2.3 and 5 ---- */

#define MPN_MAX_WEIGHT 1000 /**< of a personality */
#define MPN_MIN_RATE 1000 /**< bytes a second */
#define MPN_MAX_RATE 100000000000 /**< bytes a second */

/**
 * What a personality gets of the port when there is not enough for all, under `prio-drr`. `fifo`, the
 * report's best effort, does not look at it.
 */
struct mpn_share {
	uint32_t weight; /**< of the bytes sent, 1 to MPN_MAX_WEIGHT; default: 1 */
	uint32_t
		cpu_weight; /**< of the thread's cycles; default: 1, of solicited I/O (storage) 3 */
	/** Runs and sends before all others, up to 100 bytes a microsecond; what is above it takes its turn. */
	bool priority;
	/**
	 * Bytes a second it may send at most, whatever else goes on and under every scheduler, from
	 * MPN_MIN_RATE to MPN_MAX_RATE; 0, the default: no limit. Frames above it wait in the flow.
	 */
	uint64_t tx_rate;
};

/** The n-th scheduler: "fifo", "prio-drr"; NULL at the end. */
const char *mpn_sched_name(unsigned n);
/** The scheduler of a NIC. It may be changed at any time, by its own thread. -ENOENT */
const char *mpn_nic_scheduler(const struct mpn_nic *nic);
int mpn_nic_set_scheduler(struct mpn_nic *nic, const char *name);
/** Change what a personality gets, at any time. -EINVAL: a weight, the rate */
int mpn_personality_set_share(struct mpn_personality *p, const struct mpn_share *share);

/** What a personality may hold. Zeroes are the defaults. */
struct mpn_limits {
	uint32_t
		rx_len; /**< frames its RX flow holds, power of two from 8 to 1048576; 0: the NIC's flow_len */
	uint32_t tx_len; /**< the same of its TX flow */
	/**
	 * Arriving frames are copied into a pool of its own of so many, at most 65536: one that does not give
	 * them back loses its own frames and nobody else's. 0: it gets the NIC's frames as they are. Not for solicited
	 * I/O (storage), which is sent what it has asked for.
	 */
	uint32_t rx_frames;
};
/** For the next load. -EPERM: it is loaded already; -EINVAL: a length, rx_frames */
int mpn_personality_set_limits(struct mpn_personality *p, const struct mpn_limits *limits);

#define MPN_WATCHDOG_NS 50000000 /**< the default of mpn_nic_set_watchdog() */
/**
 * How long a personality may hold the thread in one turn; 0: for ever. Default: 50 ms. One that does longer is
 * counted (`held`), named in a logged line, at most one in ten seconds (a warning once this was called, else for info), and by MPN_NIC_HELD, when
 * info.held_by and info.held_ns say who it was, and how long. What the operating system takes away from the
 * thread counts as well. On the NIC's thread.
 */
void mpn_nic_set_watchdog(struct mpn_nic *nic, uint64_t ns);
uint64_t mpn_nic_watchdog(const struct mpn_nic *nic);

/** A personality as `show personality` and `show flow` print it. */
struct mpn_personality_info {
	char name[MPN_NAME_LEN];
	char kind[MPN_NAME_LEN];
	enum mpn_pers_state state;
	uint16_t ethertypes[4];
	unsigned nb_ethertypes;
	bool takes_rest; /**< every frame type that no other one claims */
	struct mpn_vlan vlan; /**< it has this VLAN; vid 0: frames without a tag */
	uint8_t rx_queue; /**< of the port, with its frames alone; 0: the one where all others come */
	uint32_t rx_len; /**< frames waiting now */
	uint32_t tx_len;
	uint32_t flow_size; /**< frames the RX flow holds */
	uint32_t tx_flow_size;
	struct mpn_share share;
	uint32_t default_cpu_weight; /**< of its kind */
	struct mpn_limits limits;
	/** How long the first frames of bursts waited for their turn, in whole rounds of the poll loop */
	uint64_t rx_delay_p50_ns, rx_delay_p99_ns, rx_delay_max_ns;
	uint64_t tx_delay_p50_ns, tx_delay_p99_ns, tx_delay_max_ns;
	struct mpn_flow_stats stats;
	/* Errors of its own, as its error() was told them; the last one and when it was */
	uint64_t errors;
	int last_error; /**< -errno; 0: there was none */
	char last_cause[64];
	uint64_t last_error_unix_ns;
};
/** Read state, flow and counters. */
void mpn_personality_get_info(const struct mpn_personality *p, struct mpn_personality_info *info);
/** Print flow, share, limits and counters into an open object, as `show flow` and `/mpnic/flow` have them. */
void mpn_personality_print_flow(const struct mpn_personality *p, struct mpn_out *o);
/** Print the histograms of queueing delays, "rx" and "tx", as lists of {up_to_ns, count}. */
void mpn_personality_print_delays(const struct mpn_personality *p, struct mpn_out *o);
/**
 * Print where its frames come from into an open object: `vlan` ("10"; "100.10" with two tags; "" without one) and
 * `rx_queue` of the port, 0: the first one, where all come that have none of their own.
 */
void mpn_personality_print_vlan(const struct mpn_personality *p, struct mpn_out *o);
/** Let the personality print its own counters into an open object. */
void mpn_personality_print(struct mpn_personality *p, struct mpn_out *o);
/** Print errors, and the last one with its cause and time, into an open object. */
void mpn_personality_print_errors(const struct mpn_personality *p, struct mpn_out *o);

#ifdef __cplusplus
}
#endif

#endif
