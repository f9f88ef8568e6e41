/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The network personality: the traditional interface, unsolicited I/O (Multi-Personality Network
 * Interfaces, 2.3.1). It gets every frame whose type no other personality of the NIC claims, and may not
 * send those that others claim. What it shows (station address, MTU, link) is the port's.
 *
 *	mpn_personality_define(nic, "net", NULL, &p);
 *	mpn_personality_load(p, NULL);
 *	mpn_personality_start(p);
 *	n = net_rx_burst(net_device_get(p), mbufs, MPN_BURST);
 *
 * While the NIC's thread polls, one other thread may receive and one may send; none while it starts, stops
 * or unloads the personality.
 */

#ifndef MPN_NET_H
#define MPN_NET_H

#include "mpn_personality.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The interface of a network personality; it lives from load to unload. */
struct net_device;

/** What carries the frames of an interface of the host. */
enum net_vhost_use {
	NET_VHOST_AUTO, /**< vhost-net where the kernel has it and it can be used, else a plain tap */
	NET_VHOST_ON, /**< vhost-net; without it loading fails: ENOENT, EACCES, EBUSY, EIO */
	NET_VHOST_OFF, /**< a plain tap */
};

/** Does an interface of the host leave checksums, and the cutting of long frames, to the personality and its port? */
enum net_offload_use {
	NET_OFFLOAD_AUTO, /**< yes, as far as the kernel can */
	NET_OFFLOAD_ON, /**< yes; where the kernel cannot loading fails: EINVAL */
	NET_OFFLOAD_OFF, /**< no: the kernel does both itself, and gets each frame as it came */
};

/**
 * What to load it with: the args of mpn_personality_load(). NULL, or zeroes: the defaults. As the text of
 * mpn_personality_load_text(): "tap=NAME,vhost=on|off|auto,offload=on|off|auto,ring=N".
 */
struct net_conf {
	/**
	 * Make an interface of the host with this name, for its own IP stack: frames go there, and come from
	 * there. Needs CAP_NET_ADMIN. NULL: they are for net_rx_burst() and net_tx_burst().
	 */
	const char *tap;
	uint32_t ring_len; /**< frames that wait in each direction, a power of two; 0: 256 */
	/**
	 * With a tap. vhost-net is a thread of the kernel that takes frames from a ring, and puts them into one,
	 * where a plain tap costs a system call each. Needs /dev/vhost-net, and makes the interface: one that
	 * is there already (ip tuntap add) is for a plain tap.
	 */
	enum net_vhost_use vhost;
	/**
	 * With a tap. What the port cannot do (mpn_nic_info: tx_checksum, tx_tso) is done by the NIC's thread; frames
	 * that arrive one behind the other in a TCP connection go to the host as one.
	 */
	enum net_offload_use offload;
};

/** Counters of the interface: {name, text}. */
#define NET_COUNTER_LIST(X) \
	X(rx_frames, "frames handed to the host") \
	X(rx_bytes, "bytes handed to the host") \
	X(rx_dropped, "dropped: the host did not take them in time") \
	X(tx_frames, "frames taken from the host") \
	X(tx_bytes, "bytes taken from the host") \
	X(tx_reserved, "refused: the frame type belongs to another personality") \
	X(tx_malformed, "refused: no frame type, or shorter than a header") \
	X(tx_long, "refused: longer than the MTU allows") \
	X(tx_unable, "refused: asks for an offload, or for pieces, that the port has not") \
	X(rx_merged, "of those handed over: as one with the frame before them") \
	X(rx_verified, "and with the port's word that their checksum is right") \
	X(tx_summed, "frames whose checksum was filled in here") \
	X(tx_segmented, "frames that were longer than the port's and were cut here, into frames") \
	X(tx_offloaded, "frames that the port completes, or cuts")

/** Counters of the interface. */
struct net_stats {
#define X(name, text) uint64_t name;
	NET_COUNTER_LIST(X)
#undef X
};

/** The interface as it is now. */
struct net_device_info {
	uint8_t mac[6]; /**< the port's */
	uint16_t mtu; /**< bytes behind the Ethernet header */
	bool link_up; /**< the port has a link, and the personality is started */
	bool promiscuous;
	bool allmulticast;
	uint32_t ring_len; /**< frames that wait in each direction; 0: with a tap */
	bool offers_checksum; /**< what is sent need not have TCP's and UDP's checksums */
	bool offers_tso; /**< and TCP's segments need not be cut, up to 64 KiB */
};

/** The interface of a loaded personality of the kind "net"; NULL with errno ENODEV when it is no such one. */
struct net_device *net_device_get(struct mpn_personality *p);

/**
 * Take frames that have arrived; they are the caller's to free. They lie in memory the port receives into:
 * who keeps more than 256 of them for long takes it from the others. A frame may have several segments.
 * @return how many, at most n; 0: none, or not started, or they go to a tap
 */
unsigned net_rx_burst(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n);
/**
 * Send frames, each complete with its Ethernet header (four bytes of checksum are the port's). Frames that were taken are
 * checked by the NIC's thread: one that may not be sent is dropped and counted. In its flags a frame may ask for the
 * checksum of TCP or UDP (RTE_MBUF_F_TX_TCP_CKSUM and so on, with its lengths), with or without IPv4's own beside
 * it: the port fills it in, or the NIC's thread; and with RTE_MBUF_F_TX_TCP_SEG, where net_device_info.offers_tso
 * says so, to be cut into segments.
 * @return how many were taken, the first ones; the others are the caller's still. 0 when not started,
 *   or with a tap
 */
unsigned net_tx_burst(struct net_device *dev, struct rte_mbuf **mbufs, unsigned n);

/** Read what the interface is, and its counters. On the NIC's thread. */
void net_device_get_info(const struct net_device *dev, struct net_device_info *info);
const struct net_stats *net_device_get_stats(const struct net_device *dev);

#ifdef __cplusplus
}
#endif

#endif
