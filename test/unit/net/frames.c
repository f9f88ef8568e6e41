/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include "frames.h"

const char *frame_fault;

static uint8_t
pattern_at(uint32_t place)
{
	return (uint8_t)(place * 31 + (place >> 8) * 7 + (place >> 16));
}

static void
put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void
put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v & 0xffff);
}

static uint32_t
get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* Byte by byte: slow, and the definition (RFC 1071). */
static uint32_t
add_up(uint32_t sum, const uint8_t *at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static uint32_t
pseudo_sum(const uint8_t *ip, bool v6, uint8_t proto, uint32_t len)
{
	uint32_t sum = v6 ? add_up(0, ip + 8, 32) : add_up(0, ip + 12, 8);

	sum += proto + (len >> 16) + (len & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static uint32_t
l4_len(const struct frame_spec *s)
{
	return s->udp ? 8 : 20u + s->options;
}

uint32_t
frame_head_len(const struct frame_spec *s)
{
	return 14 + (s->tagged ? 4 : 0) + (s->v6 ? 40 : 20) + l4_len(s);
}

static uint8_t *
write_ip(const struct frame_spec *s, uint8_t *ip, uint32_t behind)
{
	uint8_t proto = s->udp ? 17 : 6;

	if (s->v6) {
		memset(ip, 0, 40);
		ip[0] = 0x60;
		put16(ip + 4, behind);
		ip[6] = proto;
		ip[7] = 64;
		ip[8] = ip[24] = 0xfd;
		ip[23] = 1;
		ip[39] = 2;
		return ip + 40;
	}
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, 20 + behind);
	put16(ip + 4, 0x1234);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = proto;
	put32(ip + 12, 0x0a420001);
	put32(ip + 16, 0x0a420002);
	put16(ip + 10, ~add_up(0, ip, 20) & 0xffff);
	return ip + 20;
}

uint32_t
frame_write(const struct frame_spec *s, uint8_t *to, uint32_t size)
{
	uint32_t head = frame_head_len(s), behind = l4_len(s) + s->bytes, sum;
	uint8_t *at = to + 12, *ip, *l4;

	if (head + s->bytes > size)
		return 0;
	memcpy(to, s->dst, 6);
	memcpy(to + 6, s->src, 6);
	if (s->tagged) {
		put32(at, 0x81000005);
		at += 4;
	}
	put16(at, s->v6 ? 0x86dd : 0x0800);
	ip = at + 2;
	l4 = write_ip(s, ip, behind);
	memset(l4, 0, l4_len(s));
	put32(l4, 5001u << 16 | 5002);
	if (s->udp) {
		put16(l4 + 4, behind);
	} else {
		put32(l4 + 4, s->seq);
		put32(l4 + 8, 77);
		l4[12] = (uint8_t)(l4_len(s) / 4 << 4);
		l4[13] = s->flags != 0 ? s->flags : 0x10;
		put16(l4 + 14, 500);
		memset(l4 + 20, 1, s->options);
	}
	for (uint32_t i = 0; i < s->bytes; i++)
		to[head + i] = pattern_at(s->seq + i);
	sum = pseudo_sum(ip, s->v6, s->udp ? 17 : 6, behind);
	if (!s->partial) {
		sum = ~add_up(sum, l4, behind) & 0xffff;
		sum = sum == 0 ? 0xffff : sum;
	}
	put16(l4 + (s->udp ? 6 : 16), sum);
	return head + s->bytes;
}

struct rte_mbuf *
frame_make(const struct frame_spec *s, struct rte_mempool *pool, uint32_t room)
{
	static uint8_t bytes[70000];
	uint32_t len = frame_write(s, bytes, sizeof(bytes));
	struct rte_mbuf *first = NULL, *last = NULL;

	for (uint32_t done = 0; done < len;) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		uint32_t here = RTE_MIN(len - done, room);

		if (m == NULL) {
			rte_pktmbuf_free(first);
			return NULL;
		}
		memcpy(rte_pktmbuf_append(m, (uint16_t)here), bytes + done, here);
		done += here;
		if (first == NULL) {
			first = m;
		} else {
			last->next = m;
			first->nb_segs++;
			first->pkt_len += here;
		}
		last = m;
	}
	return first;
}

static bool
wrong(const char *what)
{
	frame_fault = what;
	return false;
}

bool
frame_is_right(const uint8_t *frame, uint32_t len, uint32_t *seq, uint32_t *bytes, uint8_t *flags)
{
	uint32_t l2 = get16(frame + 12) == 0x8100 ? 18 : 14, type = get16(frame + l2 - 2);
	bool v6 = type == 0x86dd;
	const uint8_t *ip = frame + l2, *l4 = ip + (v6 ? 40 : (ip[0] & 15) * 4);
	uint8_t proto = v6 ? ip[6] : ip[9];
	uint32_t behind = v6 ? get16(ip + 4) : get16(ip + 2) - (uint32_t)(l4 - ip), head;

	if (!v6 && (type != 0x0800 || add_up(0, ip, (uint32_t)(l4 - ip)) != 0xffff))
		return wrong("the header of IPv4");
	if (l4 + behind != frame + len)
		return wrong("its length");
	if (add_up(pseudo_sum(ip, v6, proto, behind), l4, behind) != 0xffff)
		return wrong("its checksum");
	head = proto == 17 ? 8 : (l4[12] >> 4) * 4u;
	*seq = proto == 17 ? 0 : get16(l4 + 4) << 16 | get16(l4 + 6);
	*flags = proto == 17 ? 0 : l4[13];
	*bytes = behind - head;
	for (uint32_t i = 0; i < *bytes; i++) {
		if (l4[head + i] != pattern_at(*seq + i))
			return wrong("its data");
	}
	return true;
}
