/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * VLAN tags on frames, for classify.c, flow.c and the fuzzer. What is read here comes from the wire.
 */

#ifndef NIC_VLAN_H
#define NIC_VLAN_H

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "mpn_nic.h"

#define VLAN_IDS 4096
#define VLAN_RESERVED 4095 /* no VLAN has this id */
#define VLAN_MAX_TAGS 2
#define VLAN_TPIDS 2 /* the types that announce a tag: 0x8100, 0x88a8 */
#define VLAN_MAC_LEN (2 * RTE_ETHER_ADDR_LEN)

/* The tags of a frame, the outer one first, whether the port has taken them off or not. */
struct vlan_tags {
	uint16_t id[VLAN_MAX_TAGS];
	uint16_t type; /* of the frame, behind the tags */
	uint8_t nb; /* tags in all */
	uint8_t nb_inside; /* and those still in the frame */
	uint8_t tpid; /* of the outer one: index for trunk[] */
	bool bad; /* they end before they should, a third one follows, or an id is reserved */
};

static inline bool
vlan_is_tpid(uint16_t type)
{
	return type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ;
}

static inline bool
vlan_is_set(const struct mpn_vlan *vlan)
{
	return vlan->vid != 0;
}

static inline bool
vlan_is_same(const struct mpn_vlan *a, const struct mpn_vlan *b)
{
	return a->vid == b->vid && a->outer == b->outer;
}

/*
 * Read the tags. The first segment has a complete Ethernet header. flags: those of ol_flags that the port
 * may be believed.
 */
void vlan_read(const struct rte_mbuf *m, uint64_t flags, struct vlan_tags *tags);
/*
 * Take off those that are inside. Nothing of a frame is written when others see it, too: *m is a copy from the
 * pool then. False: no memory, and *m as it was.
 */
bool vlan_take_off(struct rte_mbuf **m, unsigned nb_inside, struct rte_mempool *pool);
/* Put the tag that the port has taken off back in. */
bool vlan_put_back(struct rte_mbuf **m, struct rte_mempool *pool);
/* Put the tags of a VLAN in. */
bool vlan_put_in(struct rte_mbuf **m, const struct mpn_vlan *vlan, struct rte_mempool *pool);
/* Bytes its tags take. */
static inline uint32_t
vlan_len(const struct mpn_vlan *vlan)
{
	return vlan->vid == 0 ? 0 : vlan->outer == 0 ? RTE_VLAN_HLEN : 2 * RTE_VLAN_HLEN;
}

#endif
