/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Tags: what is read from a frame is what an independent reading finds, and taking off and putting in
 * change nothing but the tags. The first byte says which tag the port has taken off, if any.
 */

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "vlan.h"

#define HEADROOM 8
#define ROOM 4096

/* A frame on its own, as a port would hand it over: no pool is asked for memory. */
static void
make_frame(struct rte_mbuf *m, uint8_t *buf, const uint8_t *data, size_t size)
{
	memset(m, 0, sizeof(*m));
	memcpy(buf + HEADROOM, data, size);
	m->buf_addr = buf;
	m->buf_len = ROOM;
	m->data_off = HEADROOM;
	m->nb_segs = 1;
	m->data_len = (uint16_t)size;
	m->pkt_len = (uint32_t)size;
	rte_mbuf_refcnt_set(m, 1);
}

static uint16_t
type_at(const uint8_t *frame, size_t tag)
{
	return (uint16_t)(frame[12 + 4 * tag] << 8 | frame[13 + 4 * tag]);
}

/* Tags in the frame: until a type that is none, and no more than fit with the type behind them. */
static void
check_read(const uint8_t *frame, size_t size, bool taken_off, const struct vlan_tags *tags)
{
	unsigned inside = 0, max = VLAN_MAX_TAGS - taken_off;
	bool bad = taken_off && tags->id[0] == VLAN_RESERVED;

	while (inside < max && vlan_is_tpid(type_at(frame, inside)) && size >= 18 + 4 * inside) {
		uint16_t id =
			(uint16_t)((frame[14 + 4 * inside] & 0xf) << 8 | frame[15 + 4 * inside]);

		MUST(tags->id[inside + taken_off] == id);
		bad |= id == VLAN_RESERVED;
		inside++;
	}
	bad |= vlan_is_tpid(type_at(frame, inside));
	MUST(tags->nb_inside == inside);
	MUST(tags->nb == inside + taken_off);
	MUST(tags->bad == bad);
	MUST(tags->type == type_at(frame, inside));
	MUST(tags->tpid < VLAN_TPIDS);
}

static void
check_changes(struct rte_mbuf *m, const uint8_t *frame, size_t size, const struct vlan_tags *tags)
{
	const struct mpn_vlan vlan = {.vid = tags->id[1], .outer = tags->id[0]};
	size_t off = 4u * tags->nb_inside;
	const uint8_t *now;

	MUST(vlan_take_off(&m, tags->nb_inside, NULL));
	now = rte_pktmbuf_mtod(m, const uint8_t *);
	MUST(m->pkt_len == size - off && m->data_len == size - off);
	MUST(memcmp(now, frame, 12) == 0);
	MUST(memcmp(now + 12, frame + 12 + off, size - 12 - off) == 0);
	if (tags->nb != 2 || tags->nb_inside != 2 || vlan.vid == 0 || vlan.outer == 0)
		return;
	MUST(vlan_put_in(&m, &vlan, NULL));
	now = rte_pktmbuf_mtod(m, const uint8_t *);
	MUST(m->pkt_len == size);
	MUST(memcmp(now, frame, 12) == 0);
	MUST(type_at(now, 0) == 0x88a8 && type_at(now, 1) == 0x8100);
	/* The ids are the same, without what else there was beside them. */
	MUST(((now[14] & 0xf) << 8 | now[15]) == ((frame[14] & 0xf) << 8 | frame[15]));
	MUST(((now[18] & 0xf) << 8 | now[19]) == ((frame[18] & 0xf) << 8 | frame[19]));
	MUST(memcmp(now + 20, frame + 20, size - 20) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vlan_tags tags;
	struct rte_mbuf m;
	uint8_t *buf;
	bool taken_off;

	if (size < 3 + RTE_ETHER_HDR_LEN || size > ROOM - HEADROOM)
		return 0;
	/* To the byte: what is read behind its end is seen. */
	buf = malloc(HEADROOM + size - 3);
	if (buf == NULL)
		return 0;
	make_frame(&m, buf, data + 3, size - 3);
	taken_off = (data[0] & 1) != 0;
	m.vlan_tci = (uint16_t)(data[1] << 8 | data[2]);
	vlan_read(&m, taken_off ? RTE_MBUF_F_RX_VLAN_STRIPPED : 0, &tags);
	if (taken_off)
		MUST(tags.id[0] == m.vlan_tci % VLAN_IDS);
	check_read(data + 3, size - 3, taken_off, &tags);
	check_changes(&m, data + 3, size - 3, &tags);
	free(buf);
	return 0;
}
