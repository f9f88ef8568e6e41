/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include "vlan.h"

/* What a port says about a tag that it has taken off. */
#define TAKEN_OFF (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED)

static uint16_t
read_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void
write_be16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void
add_tag(struct vlan_tags *tags, uint16_t tci)
{
	uint16_t id = tci % VLAN_IDS;

	tags->id[tags->nb++] = id;
	tags->bad |= id == VLAN_RESERVED;
}

void
vlan_read(const struct rte_mbuf *m, uint64_t flags, struct vlan_tags *tags)
{
	const uint8_t *at = rte_pktmbuf_mtod_offset(m, const uint8_t *, VLAN_MAC_LEN);
	uint32_t left = m->data_len - VLAN_MAC_LEN;

	memset(tags, 0, sizeof(*tags));
	if (flags & RTE_MBUF_F_RX_VLAN_STRIPPED)
		add_tag(tags, m->vlan_tci);
	tags->type = read_be16(at);
	while (vlan_is_tpid(tags->type)) {
		/* Behind a tag there is another type. */
		if (tags->nb == VLAN_MAX_TAGS || left < RTE_VLAN_HLEN + sizeof(tags->type)) {
			tags->bad = true;
			return;
		}
		if (tags->nb == 0)
			tags->tpid = tags->type == RTE_ETHER_TYPE_QINQ;
		add_tag(tags, read_be16(at + sizeof(tags->type)));
		tags->nb_inside++;
		at += RTE_VLAN_HLEN;
		left -= RTE_VLAN_HLEN;
		tags->type = read_be16(at);
	}
}

/* Others may see the same bytes: a frame that is sent twice, memory that is not the frame's own. */
static bool
is_ours_alone(const struct rte_mbuf *m)
{
	return RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1;
}

static bool
replace_by_copy(struct rte_mbuf **m, struct rte_mempool *pool)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(*m, pool, 0, UINT32_MAX);

	if (copy == NULL)
		return false;
	rte_pktmbuf_free(*m);
	*m = copy;
	return true;
}

bool
vlan_take_off(struct rte_mbuf **m, unsigned nb_inside, struct rte_mempool *pool)
{
	uint16_t len = (uint16_t)(nb_inside * RTE_VLAN_HLEN);

	if (len > 0) {
		uint8_t *frame;

		if (!is_ours_alone(*m) && !replace_by_copy(m, pool))
			return false;
		frame = rte_pktmbuf_mtod(*m, uint8_t *);
		memmove(frame + len, frame, VLAN_MAC_LEN);
		(void)rte_pktmbuf_adj(*m, len);
	}
	(*m)->ol_flags &= ~(uint64_t)TAKEN_OFF;
	return true;
}

/* Make room behind the addresses. NULL: no memory. */
static uint8_t *
open_gap(struct rte_mbuf **m, uint16_t len, struct rte_mempool *pool)
{
	uint8_t *frame;

	if ((!is_ours_alone(*m) || rte_pktmbuf_headroom(*m) < len ||
		    (*m)->data_len < VLAN_MAC_LEN) &&
		!replace_by_copy(m, pool))
		return NULL;
	frame = (uint8_t *)(void *)rte_pktmbuf_prepend(*m, len);
	if (frame == NULL)
		return NULL;
	memmove(frame, frame + len, VLAN_MAC_LEN);
	(*m)->ol_flags &= ~(uint64_t)TAKEN_OFF;
	/* What the port has to fill in has moved. To be cut means that as well. */
	if ((*m)->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG))
		(*m)->l2_len += len;
	return frame + VLAN_MAC_LEN;
}

bool
vlan_put_back(struct rte_mbuf **m, struct rte_mempool *pool)
{
	uint16_t tci = (*m)->vlan_tci;
	uint8_t *at = open_gap(m, RTE_VLAN_HLEN, pool);

	if (at == NULL)
		return false;
	write_be16(at, RTE_ETHER_TYPE_VLAN);
	write_be16(at + 2, tci);
	return true;
}

bool
vlan_put_in(struct rte_mbuf **m, const struct mpn_vlan *vlan, struct rte_mempool *pool)
{
	uint8_t *at = open_gap(m, (uint16_t)vlan_len(vlan), pool);

	if (at == NULL)
		return false;
	if (vlan->outer != 0) {
		write_be16(at, RTE_ETHER_TYPE_QINQ);
		write_be16(at + 2, vlan->outer);
		at += RTE_VLAN_HLEN;
	}
	write_be16(at, RTE_ETHER_TYPE_VLAN);
	write_be16(at + 2, vlan->vid);
	return true;
}
