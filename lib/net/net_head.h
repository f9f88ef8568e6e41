/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Where the headers of a frame are, for those who fill in its checksum, cut it up or put it together. What is
 * read here comes from the wire, or from whoever may send on the host's interface.
 */

#ifndef NET_HEAD_H
#define NET_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "mpn_err.h"

/* Of Ethernet with a tag, IPv4 or IPv6, TCP with all its options. */
#define NET_MAX_HEAD (18 + 60 + 60)

struct net_head {
	uint16_t l2_len; /* of Ethernet, with a tag if there is one */
	uint16_t l3_len;
	uint16_t l4_len;
	uint16_t len; /* of all three */
	uint32_t data_len; /* what follows, without padding behind it */
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
	bool is_v6;
};

/*
 * Read those of TCP or UDP in IPv4 or IPv6; all of them are in the first segment. False: it is no such frame, a
 * fragment, has extension headers, or is shorter than it says.
 */
bool net_head_read(const struct rte_mbuf *m, struct net_head *h) MPN_MUST_CHECK;

/* The sum of the pseudo header, for so many bytes from the TCP or UDP header on; not complemented. */
uint16_t net_head_pseudo_sum(const uint8_t *frame, const struct net_head *h, uint32_t l4_bytes);

/* Where in a frame the checksum of TCP or UDP is. */
uint16_t net_head_sum_at(const struct net_head *h);

/* Write the lengths of IP for so many bytes behind it, and IPv4's identification and checksum. */
void net_head_set_length(uint8_t *frame, const struct net_head *h, uint32_t l4_bytes, uint16_t id);
/* IPv4's identification; 0 of IPv6. */
uint16_t net_head_id(const uint8_t *frame, const struct net_head *h);

static inline uint16_t
net_read_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void
net_write_be16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline uint32_t
net_read_be32(const uint8_t *at)
{
	return (uint32_t)net_read_be16(at) << 16 | net_read_be16(at + 2);
}

static inline void
net_write_be32(uint8_t *at, uint32_t v)
{
	net_write_be16(at, (uint16_t)(v >> 16));
	net_write_be16(at + 2, (uint16_t)v);
}

#endif
