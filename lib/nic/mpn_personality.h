/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * What a personality is, for those who write one. All functions run on the NIC's thread. One indirect
 * call per burst, never per frame.
 */

#ifndef MPN_PERSONALITY_H
#define MPN_PERSONALITY_H

#include "mpn_nic.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The report, 2.1. */
enum mpn_pers_kind { MPN_PERS_UNSOLICITED, MPN_PERS_SOLICITED, MPN_PERS_EMULATION };

/** The functions of a kind of personality. */
struct mpn_personality_ops {
	uint32_t abi; /**< MPN_ABI_VERSION */
	const char *name; /**< name of the kind, e.g. "storage" */
	enum mpn_pers_kind kind;
	const uint16_t *ethertypes; /**< default frame types, at most 4; load may change them */
	unsigned nb_ethertypes;
	size_t priv_size; /**< zeroed memory at mpn_personality_priv() from load to unload */

	/** Get ready; may call mpn_personality_set_ethertypes(). 0 or -errno; on failure leave nothing. */
	int (*load)(struct mpn_personality *p, const void *args);
	void (*unload)(struct mpn_personality *p);
	/** Get going; frames may be sent from the first poll() on. 0 or -errno. */
	int (*start)(struct mpn_personality *p);
	/** Stop taking work; rx_burst() and poll() go on until quiet() says so and the TX flow is empty. */
	void (*stop)(struct mpn_personality *p);
	/** True when everything that was accepted is completed or failed. NULL: always quiet. */
	bool (*quiet)(struct mpn_personality *p);
	/** Frames of the personality arrived; the callee owns and frees them. 1 <= n <= MPN_BURST. */
	void (*rx_burst)(
		struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns);
	/** Once per round: timers, and frames to send by mpn_flow_tx(). @return work done, 0: idle */
	unsigned (*poll)(struct mpn_personality *p, uint64_t now_ns);
	/** An adapter-wide event, while it is started; NULL: it does not ask for them. */
	void (*event)(struct mpn_personality *p, enum mpn_nic_event ev);
	/**
	 * An error that belongs to this personality (the report, 2.2.4): -errno and its cause; may be NULL.
	 * -ETIMEDOUT: it did not get quiet after stop(); what is open now must be failed, poll() ends.
	 * -ENOBUFS: frames for it are dropped, it does not take them fast enough. -EAGAIN: none of its frames
	 * has left for a second, while those of others do. What it tells itself by mpn_personality_error().
	 */
	void (*error)(struct mpn_personality *p, int err, const char *cause);
	/** Print own counters into the open object; may be NULL. */
	void (*print)(struct mpn_personality *p, struct mpn_out *o);
	/** load with what people type: "key=value,...", never empty. NULL: it takes no options. */
	int (*load_text)(struct mpn_personality *p, const char *options);
};

/** Make a kind known; ops must live for ever. -EINVAL (ABI version, no name, a function missing),
 *  -EEXIST, -ENOSPC. */
int mpn_personality_register(const struct mpn_personality_ops *ops);

/** The n-th kind that is known, NULL at the end. */
const struct mpn_personality_ops *mpn_personality_kind(unsigned n);

/** Register at program start. */
#define MPN_PERSONALITY_REGISTER(ops) \
	__attribute__((constructor)) static void ops##_register(void) \
	{ \
		(void)mpn_personality_register(&ops); \
	}

/**
 * Make a shared object of it that mpn_personality_define() takes by its path; once in a file, without a
 * semicolon. Its code is opened by the first who defines it, closed with the last that is undefined.
 */
#define MPN_PERSONALITY_PLUGIN(ops) \
	extern const struct mpn_personality_ops *const mpn_personality_plugin; \
	__attribute__((visibility("default"))) \
	const struct mpn_personality_ops *const mpn_personality_plugin = &ops;
#define MPN_PLUGIN_SYMBOL "mpn_personality_plugin" /**< what that exports */

/** Its own memory, and the NIC it belongs to. */
void *mpn_personality_priv(struct mpn_personality *p);
struct mpn_nic *mpn_personality_nic(struct mpn_personality *p);
/** Only from load. -EINVAL: more than 4, or below 0x600. */
int mpn_personality_set_ethertypes(struct mpn_personality *p, const uint16_t *types, unsigned n);
/**
 * Only from load: besides its own types take every one that no other personality claims, also those that
 * are claimed and given up later. One personality of a NIC can have them: load gives -EADDRINUSE to a second
 * one. -EINVAL: not in load.
 */
int mpn_personality_take_rest(struct mpn_personality *p);
/** What a personality asks of the port, beside the frames for its station address. */
struct mpn_wants {
	bool promiscuous; /**< frames for other stations */
	bool allmulticast; /**< those of all groups */
	uint8_t mac[6]; /**< and those for this station; 0: there is none */
};
/**
 * Ask for it, while the personality is started; on its lcore. It is heeded within 100 ms. What comes because of it goes to
 * personalities that take what nobody claims, as with mpn_nic_set_promiscuous(), and to no other.
 */
void mpn_personality_want(struct mpn_personality *p, const struct mpn_wants *wants);
/**
 * True when frames of this type come to the personality, claimed or as what is left. Others are not its to
 * send: they are reserved for those who claim them. On the NIC's thread.
 */
bool mpn_personality_has_type(const struct mpn_personality *p, uint16_t type);
/**
 * The same for a frame with all its VLAN tags: true when the personality would get one like it. What one
 * in a VLAN sends gets its tags later; it may not send frames that have tags already.
 */
bool mpn_personality_has_frame(const struct mpn_personality *p, const struct rte_mbuf *m);

/**
 * Report an error of the personality: one line is logged, it is counted and shown, and error() runs. cause
 * says what happened, for people. Only what is rare: never once a frame. On the NIC's thread.
 */
void mpn_personality_error(struct mpn_personality *p, int err, const char *cause);

/** Frames the TX flow takes now. 0 unless the personality is started or stopping. */
unsigned mpn_flow_tx_room(struct mpn_personality *p);
/**
 * Hand frames to the TX flow; the flow owns those it took. Frames must start with a complete Ethernet
 * header. @return how many were taken, the first ones
 */
unsigned mpn_flow_tx(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n);
/**
 * The same for frames that carry bulk data, each longer than 64 bytes: they leave on a queue of their own
 * where the peer receives on one (a virtio user with place=), and may overtake the others and be overtaken.
 * Where it does not they leave with the others.
 */
unsigned mpn_flow_tx_data(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n);
/**
 * For a personality that also works outside of its functions, on the NIC's thread: it has used so many TSC
 * cycles there. They count as if it had used them in poll().
 */
void mpn_personality_charge(struct mpn_personality *p, uint64_t cycles);
/** Has it used up its cycles, while others need theirs? Then it should not work outside of its functions. */
bool mpn_personality_in_debt(const struct mpn_personality *p);
/**
 * What runs with a personality because both use the same memory, such as the volumes of a server with the
 * storage personality. See mpn_map.h.
 */
struct mpn_beside {
	/** In every round of the lcore that has the personality; not while it is on the NIC's own thread. */
	unsigned (*run)(void *arg);
	/**
	 * The personality is about to go to another lcore, -1: to the NIC's own thread, where the program itself
	 * runs what belongs to it. 0, or -errno after a logged line: it stays. p NULL: the personality has been
	 * unloaded. move NULL: it may go anywhere.
	 */
	int (*move)(void *arg, const struct mpn_personality *p, int lcore);
	void *arg;
};
/** NULL: nothing does. Also forgotten when the personality is unloaded. */
void mpn_personality_set_beside(struct mpn_personality *p, const struct mpn_beside *beside);
/** The lcore it runs on, -1: the NIC's own thread. */
int mpn_personality_lcore(const struct mpn_personality *p);
/**
 * From now on the NIC's own thread calls functions of the personality outside of its stage: a map cannot put it on
 * another lcore. Counted. 0, or -EBUSY after a logged line: it is on another one already.
 */
int mpn_personality_pin(struct mpn_personality *p) MPN_MUST_CHECK;
void mpn_personality_unpin(struct mpn_personality *p);
/** Frames mpn_flow_tx_data() takes now. */
unsigned mpn_flow_tx_data_room(struct mpn_personality *p);

#ifdef __cplusplus
}
#endif

#endif
