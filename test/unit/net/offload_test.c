/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Checksums, cutting and merging, each by itself: what is done, and what is refused. */

#include <rte_errno.h>
#include <rte_ip.h>

#include "../nic/probe.h"
#include "frames.h"
#include "net_gso.h"
#include "net_int.h"
#include "net_merge.h"
#include "net_sum.h"

#define ROOM 2000
#define SMALL_SEQ 0xffffff00 /* runs over its end */

static struct rte_mempool *pool;
static struct net_device dev;

static void
reset(void)
{
	memset(&dev, 0, sizeof(dev));
	dev.max_frame = 1514;
	dev.pool = pool;
	dev.multi_segs = true;
}

static const uint8_t *
linear(struct rte_mbuf *m)
{
	static uint8_t bytes[70000];
	const void *p = rte_pktmbuf_read(m, 0, m->pkt_len, bytes);

	assert_non_null(p);
	if (p != bytes)
		memcpy(bytes, p, m->pkt_len);
	return bytes;
}

static void
check_right(struct rte_mbuf *m, uint32_t *seq, uint32_t *bytes, uint8_t *flags)
{
	frame_fault = "";
	if (!frame_is_right(linear(m), m->pkt_len, seq, bytes, flags))
		fail_msg("%s is wrong", frame_fault);
}

static struct virtio_net_hdr
hdr_of(const struct frame_spec *s, uint16_t size)
{
	uint16_t l4 = s->udp ? 8 : 20 + s->options;

	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = size == 0 ? VIRTIO_NET_HDR_GSO_NONE
			    : s->v6   ? VIRTIO_NET_HDR_GSO_TCPV6
				      : VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = size,
		.hdr_len = (uint16_t)frame_head_len(s),
		.csum_start = (uint16_t)(frame_head_len(s) - l4),
		.csum_offset = s->udp ? 6 : 16,
	};
}

/* ---- Checksums ---- */

/* Every kind of frame and of length, by the CPU and by the port. */
static void
test_a_checksum_is_filled_in(void **state)
{
	for (unsigned i = 0; i < 64; i++) {
		struct frame_spec s = {.v6 = i & 1,
			.udp = i & 2,
			.tagged = i & 4,
			.options = i & 2 ? 0 : (i & 8 ? 12 : 0),
			.bytes = i * 23,
			.seq = i,
			.partial = true};
		struct virtio_net_hdr v = hdr_of(&s, 0);
		struct rte_mbuf *m = frame_make(&s, pool, i & 16 ? 200 : ROOM);
		uint32_t seq, bytes;
		uint8_t flags;

		reset();
		dev.port_sums = i & 32;
		if (s.udp)
			s.seq = 0;
		assert_true(net_sum_take(&dev, m, &v));
		if (dev.port_sums) {
			assert_int_equal(m->l2_len + m->l3_len, v.csum_start);
			assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_L4_MASK,
				s.udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM);
			/* And the one without: the program's frames on a port that cannot. */
			dev.port_sums = false;
			assert_null(net_sum_finish(&dev, m));
		}
		assert_int_equal(m->ol_flags, 0);
		assert_int_equal(dev.stats.tx_summed, 1);
		if (!s.udp)
			check_right(m, &seq, &bytes, &flags);
		rte_pktmbuf_free(m);
	}
}

/* What the kernel says, as it must not be. */
static void
test_nonsense_of_the_kernel_is_refused(void **state)
{
	const struct frame_spec s = {.bytes = 1000, .partial = true};
	static const struct {
		uint8_t flags, type;
		uint16_t size, start, offset;
		uint32_t cut; /* bytes that are left of the frame; 0: all */
	} rows[] = {
		{1, 0, 0, 1054, 0, 0}, /* begins at the end */
		{1, 0, 0, 1053, 16, 0},
		{1, 0, 0, 34, 1019, 0}, /* the last byte alone */
		{1, 0, 0, 34, 65535, 0},
		{1, 0, 0, 65535, 65535, 0},
		{1, 0, 0, 0, 16, 0}, /* over the addresses */
		{1, 0, 0, 13, 1, 0},
		{1, 0, 0, 34, 16, 40}, /* half a header */
		{1, 1, 0, 34, 16, 0}, /* segments of nothing */
		{0, 1, 100, 34, 16, 0}, /* without a checksum */
		{1, 1, 100, 34, 16, 50}, /* TCP's header is cut short */
		{1, 1, 100, 34, 16, 34},
		{1, 1, 100, 34, 16, 20},
		{1, 1, 100, 34, 16, 1}, /* no frame at all */
		{1, 1, 100, 34, 16, 1000}, /* IP says that there is more */
		{1, 3, 100, 34, 16, 0}, /* fragments of UDP: not offered */
		{1, 5, 100, 34, 16, 0},
		{1, 0x7f, 100, 34, 16, 0},
	};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		struct virtio_net_hdr v = {.flags = rows[i].flags,
			.gso_type = rows[i].type,
			.gso_size = rows[i].size,
			.csum_start = rows[i].start,
			.csum_offset = rows[i].offset};
		struct rte_mbuf *m = frame_make(&s, pool, ROOM);

		reset();
		if (rows[i].cut != 0)
			(void)rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - rows[i].cut));
		if (net_sum_take(&dev, m, &v))
			fail_msg("row %u was taken", i);
		rte_pktmbuf_free(m);
	}
}

/* Bytes of a frame that is to be cut, each changed to everything: no harm, and what is taken can be cut. */
static void
test_broken_headers(void **state)
{
	const struct frame_spec s = {.bytes = 3000, .options = 12, .partial = true};
	struct virtio_net_hdr v = hdr_of(&s, 1000);
	unsigned taken = 0, refused = 0;

	for (uint32_t at = 12; at < frame_head_len(&s); at++) {
		for (unsigned value = 0; value < 256; value += 5) {
			struct rte_mbuf *m = frame_make(&s, pool, ROOM), *seg;

			reset();
			rte_pktmbuf_mtod(m, uint8_t *)[at] = (uint8_t)value;
			if (!net_sum_take(&dev, m, &v) || net_sum_finish(&dev, m) != NULL) {
				rte_pktmbuf_free(m);
				refused++;
				continue;
			}
			taken++;
			net_gso_begin(&dev.gso, m);
			for (unsigned n = 0; dev.gso.m != NULL; n++) {
				assert_true(n < 4);
				seg = net_gso_next(&dev.gso, pool);
				assert_non_null(seg);
				rte_pktmbuf_free(seg);
			}
		}
	}
	assert_true(taken > 100 && refused > 100);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* A program's flags that do not fit the frame, or the port. */
static void
test_flags_that_lie(void **state)
{
	const struct frame_spec s = {.bytes = 4000, .partial = true};
	const uint64_t tcp = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM;

	for (unsigned i = 0; i < 10; i++) {
		struct rte_mbuf *m = frame_make(&s, pool, ROOM);
		uint64_t *fault;

		reset();
		m->ol_flags = tcp | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM;
		m->l2_len = i == 0 ? 18 : 14;
		m->l3_len = i == 1 ? 40 : 20;
		m->l4_len = i == 2 ? 60 : 20;
		m->tso_segsz = i == 3 ? 0 : i == 4 ? 1461 : i == 5 ? UINT16_MAX : 1460;
		if (i == 6)
			m->ol_flags = RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TCP_SEG;
		if (i == 7)
			m->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
		if (i == 8)
			m->ol_flags |= RTE_MBUF_F_TX_TUNNEL_VXLAN;
		if (i == 9)
			dev.pool = NULL;
		fault = net_sum_finish(&dev, m);
		assert_ptr_equal(fault, i == 4 || i == 5   ? &dev.stats.tx_long
					: i == 8 || i == 9 ? &dev.stats.tx_unable
							   : &dev.stats.tx_malformed);
		rte_pktmbuf_free(m);
	}
}

/* What vhost-net hands over comes with the flags of received frames. */
static void
test_flags_of_received_frames(void **state)
{
	struct frame_spec s = {.bytes = 3000, .partial = true};
	struct rte_mbuf *m = frame_make(&s, pool, ROOM);
	uint32_t seq, bytes;
	uint8_t flags;

	reset();
	m->ol_flags = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;
	m->tso_segsz = 1400;
	assert_true(net_sum_take_flags(&dev, m));
	assert_true(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
	assert_int_equal(m->tso_segsz, 1400);
	/* Nothing is asked for. */
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_VLAN;
	assert_true(net_sum_take_flags(&dev, m));
	assert_int_equal(m->ol_flags, 0);
	/* Long, and yet complete: nobody asks for that. */
	m->ol_flags = RTE_MBUF_F_RX_LRO;
	assert_false(net_sum_take_flags(&dev, m));
	rte_pktmbuf_free(m);
	/* Not long: its checksum alone. */
	s.bytes = 100;
	m = frame_make(&s, pool, ROOM);
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE;
	assert_true(net_sum_take_flags(&dev, m));
	assert_null(net_sum_finish(&dev, m));
	check_right(m, &seq, &bytes, &flags);
	/* It has no headers that anybody knows. */
	memset(rte_pktmbuf_mtod(m, void *), 0x5a, m->data_len);
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE;
	assert_false(net_sum_take_flags(&dev, m));
	rte_pktmbuf_free(m);
}

/* ---- Cutting ---- */

static struct rte_mbuf *
take_long(const struct frame_spec *s, uint16_t size)
{
	struct virtio_net_hdr v = hdr_of(s, size);
	struct rte_mbuf *m = frame_make(s, pool, ROOM);

	assert_non_null(m);
	assert_true(net_sum_take(&dev, m, &v));
	assert_null(net_sum_finish(&dev, m));
	assert_true(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
	return m;
}

/* Each segment is right by itself, and together they are what was sent. */
static void
test_segments_are_what_was_sent(void **state)
{
	for (unsigned i = 0; i < 16; i++) {
		/* FIN, PSH, CWR and ACK */
		struct frame_spec s = {.v6 = i & 1,
			.tagged = i & 2,
			.options = i & 4 ? 12 : 0,
			.flags = 0x99,
			.seq = SMALL_SEQ,
			.bytes = i & 8 ? 65400 : 2801,
			.partial = true};
		uint16_t size = i & 8 ? 1400 : 700;
		uint32_t next = s.seq, seq, bytes;
		struct rte_mbuf *m;
		uint8_t flags;

		reset();
		net_gso_begin(&dev.gso, take_long(&s, size));
		for (bool first = true; dev.gso.m != NULL; first = false) {
			m = net_gso_next(&dev.gso, pool);
			assert_non_null(m);
			check_right(m, &seq, &bytes, &flags);
			assert_int_equal(m->nb_segs, 1);
			assert_int_equal(m->ol_flags, 0);
			assert_int_equal(seq, next);
			assert_true(dev.gso.m == NULL || bytes == size);
			assert_int_equal(
				flags, 0x10 | (first ? 0x80 : 0) | (dev.gso.m == NULL ? 0x09 : 0));
			next += bytes;
			rte_pktmbuf_free(m);
		}
		assert_int_equal(next - s.seq, s.bytes);
		assert_int_equal(rte_mempool_in_use_count(pool), 0);
	}
}

/* Memory ends in the middle: it goes on where it was. */
static void
test_no_memory_for_a_segment(void **state)
{
	const struct frame_spec s = {.bytes = 5000, .partial = true};
	struct rte_mbuf *all[512], *m;
	uint32_t seq, bytes, next = 0;
	unsigned n = 0;
	uint8_t flags;

	reset();
	net_gso_begin(&dev.gso, take_long(&s, 1000));
	m = net_gso_next(&dev.gso, pool);
	check_right(m, &seq, &bytes, &flags);
	next = seq + bytes;
	while (n < MPN_ARRAY_SIZE(all) && (all[n] = rte_pktmbuf_alloc(pool)) != NULL)
		n++;
	assert_null(net_gso_next(&dev.gso, pool));
	assert_non_null(dev.gso.m);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free_bulk(all, n);
	for (n = 1; dev.gso.m != NULL; n++) {
		m = net_gso_next(&dev.gso, pool);
		check_right(m, &seq, &bytes, &flags);
		assert_int_equal(seq, next);
		next += bytes;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n, 5);
	/* And one that is given up. */
	net_gso_begin(&dev.gso, take_long(&s, 1000));
	net_gso_drop(&dev.gso);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* ---- Merging ---- */

static void
check_whole(const struct net_merge *g, struct rte_mbuf *const *mbufs, unsigned n, uint32_t bytes)
{
	static uint8_t whole[70000];
	uint32_t len = g->head_len, seq, got, start = g->hdr.csum_start;
	uint16_t sum = 0;
	uint8_t flags;

	memcpy(whole, g->head, len);
	for (unsigned i = 0; i < n; i++) {
		memcpy(whole + len, rte_pktmbuf_mtod_offset(mbufs[i], void *, g->head_len),
			g->data_len[i]);
		len += g->data_len[i];
	}
	/* As the kernel does when it must be complete. */
	assert_int_equal(g->hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	for (uint32_t i = start; i < len; i++) {
		uint32_t v = sum + ((i - start) % 2 == 0 ? (uint32_t)whole[i] << 8 : whole[i]);

		sum = (uint16_t)((v & 0xffff) + (v >> 16));
	}
	sum = (uint16_t)~sum;
	whole[start + g->hdr.csum_offset] = (uint8_t)(sum >> 8);
	whole[start + g->hdr.csum_offset + 1] = (uint8_t)sum;
	if (!frame_is_right(whole, len, &seq, &got, &flags))
		fail_msg("%s is wrong", frame_fault);
	assert_int_equal(got, bytes);
}

static void
test_what_follows_goes_as_one(void **state)
{
	for (unsigned i = 0; i < 8; i++) {
		struct rte_mbuf *mbufs[20];
		struct frame_spec s = {.v6 = i & 1,
			.tagged = i & 2,
			.options = i & 4 ? 12 : 0,
			.seq = SMALL_SEQ,
			.bytes = 100};
		struct net_merge g;

		for (unsigned k = 0; k < 20; k++) {
			/* A short one ends it, as one that is pushed does. */
			s.bytes = k == 9 ? 60 : 100;
			s.flags = k == 15 ? 0x18 : 0x10;
			mbufs[k] = frame_make(&s, pool, ROOM);
			s.seq += s.bytes;
		}
		assert_int_equal(net_merge_next(&g, mbufs, 20, false), 10);
		assert_int_equal(g.hdr.gso_size, 100);
		assert_int_equal(
			g.hdr.gso_type, s.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
		check_whole(&g, mbufs, 10, 960);
		assert_int_equal(net_merge_next(&g, mbufs + 10, 10, false), 6);
		check_whole(&g, mbufs + 10, 6, 600);
		assert_int_equal(g.head[g.hdr.csum_start + 13], 0x18);
		assert_int_equal(net_merge_next(&g, mbufs + 16, 4, false), 4);
		assert_int_equal(net_merge_next(&g, mbufs + 19, 1, false), 1);
		assert_int_equal(g.head_len, 0);
		rte_pktmbuf_free_bulk(mbufs, 20);
	}
}

/* Two frames of which the second is changed so that its checksum is still right, or is not. */
static void
test_what_differs_stays_apart(void **state)
{
	struct frame_spec s = {.bytes = 100}, second = {.bytes = 100, .seq = 100};
	struct rte_mbuf *mbufs[2];
	struct net_merge g;

	for (unsigned i = 0; i < 16; i++) {
		struct frame_spec x = second;

		x.seq = i == 0 ? 101 : i == 1 ? 0 : 100;
		x.bytes = i == 2 ? 101 : i == 3 ? 0 : 100;
		x.flags = i == 4 ? 0x11 : i == 5 ? 0x12 : i == 6 ? 0x30 : 0;
		x.options = i == 7 ? 12 : 0;
		x.v6 = i == 8;
		x.udp = i == 9;
		x.tagged = i == 10;
		x.src[0] = i == 11 ? 2 : 0;
		mbufs[0] = frame_make(&s, pool, ROOM);
		mbufs[1] = frame_make(&x, pool, ROOM);
		/* Whatever byte: data, or the first frame's. */
		if (i == 12)
			rte_pktmbuf_mtod(mbufs[1], uint8_t *)[100] ^= 1;
		if (i == 13)
			rte_pktmbuf_mtod(mbufs[0], uint8_t *)[100] ^= 1;
		/* IPv4's own checksum: the kernel would drop it. */
		if (i >= 14)
			rte_pktmbuf_mtod(mbufs[i - 14], uint8_t *)[24] ^= 1;
		if (net_merge_next(&g, mbufs, 2, false) != 1)
			fail_msg("row %u was merged", i);
		assert_int_equal(g.head_len, 0);
		assert_int_equal(g.hdr.flags, 0);
		rte_pktmbuf_free_bulk(mbufs, 2);
	}
}

/* Each byte of the second one's headers, changed with its checksum made right again: its data is all that may differ. */
static void
test_no_header_is_lost(void **state)
{
	const struct frame_spec a = {.bytes = 100, .options = 12},
				b = {.bytes = 100, .options = 12, .seq = 100};
	struct rte_mbuf *mbufs[2];
	struct net_merge g;

	for (uint32_t at = 0; at < frame_head_len(&b); at++) {
		uint8_t *ip, *tcp;

		/* The identification counts only where fragments are allowed, and TCP's checksum follows. */
		if ((at >= 18 && at < 20) || (at >= 50 && at < 52))
			continue;
		mbufs[0] = frame_make(&a, pool, ROOM);
		mbufs[1] = frame_make(&b, pool, ROOM);
		ip = rte_pktmbuf_mtod_offset(mbufs[1], uint8_t *, 14);
		tcp = ip + 20;
		rte_pktmbuf_mtod(mbufs[1], uint8_t *)[at] ^= 0x20;
		memset(tcp + 16, 0, 2);
		if (at >= 14 && at < 34 && at != 24 && at != 25) {
			memset(ip + 10, 0, 2);
			memcpy(ip + 10, &(uint16_t){(uint16_t)~rte_raw_cksum(ip, 20)}, 2);
		}
		{
			struct virtio_net_hdr v = hdr_of(&b, 0);
			struct net_head h;
			uint16_t sum;

			if (net_head_read(mbufs[1], &h) && h.proto == 6) {
				sum = net_head_pseudo_sum(
					rte_pktmbuf_mtod(mbufs[1], uint8_t *), &h, 132);
				memcpy(tcp + 16, &sum, 2);
				reset();
				assert_true(net_sum_take(&dev, mbufs[1], &v));
			}
		}
		if (net_merge_next(&g, mbufs, 2, false) != 1)
			fail_msg("byte %u was lost", at);
		rte_pktmbuf_free_bulk(mbufs, 2);
	}
}

/* The port's word goes up, when it is the port's. */
static void
test_the_word_of_the_port(void **state)
{
	struct frame_spec s = {.bytes = 100};
	struct net_merge g;

	for (unsigned i = 0; i < 8; i++) {
		struct rte_mbuf *m;

		s.udp = i & 1;
		m = frame_make(&s, pool, ROOM);
		m->ol_flags = i & 2 ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : RTE_MBUF_F_RX_L4_CKSUM_BAD;
		assert_int_equal(net_merge_next(&g, &m, 1, i & 4), 1);
		assert_int_equal(g.head_len, i == 6 || i == 7 ? frame_head_len(&s) : 0);
		if (i == 6)
			check_whole(&g, &m, 1, 100);
		rte_pktmbuf_free(m);
	}
	/* What it says of the inside of a tunnel is not said of the frame. */
	{
		struct rte_mbuf *m = frame_make(&s, pool, ROOM);

		m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		m->packet_type = RTE_PTYPE_TUNNEL_VXLAN;
		assert_int_equal(net_merge_next(&g, &m, 1, true), 1);
		assert_int_equal(g.head_len, 0);
		rte_pktmbuf_free(m);
	}
	/* UDP without a checksum stays without. */
	s.udp = true;
	{
		struct rte_mbuf *m = frame_make(&s, pool, ROOM);

		memset(rte_pktmbuf_mtod_offset(m, void *, 40), 0, 2);
		m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		assert_int_equal(net_merge_next(&g, &m, 1, true), 1);
		assert_int_equal(g.head_len, 0);
		rte_pktmbuf_free(m);
	}
}

static int
set_up(void **state)
{
	int rc = probe_eal_start("ring:off", NULL);

	pool = rte_pktmbuf_pool_create(
		"frames", 511, 0, 0, RTE_PKTMBUF_HEADROOM + ROOM, (int)rte_socket_id());
	assert_non_null(pool);
	return rc;
}

static int
tear_down(void **state)
{
	rte_mempool_free(pool);
	return probe_eal_stop(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_checksum_is_filled_in),
		cmocka_unit_test(test_nonsense_of_the_kernel_is_refused),
		cmocka_unit_test(test_broken_headers),
		cmocka_unit_test(test_flags_that_lie),
		cmocka_unit_test(test_flags_of_received_frames),
		cmocka_unit_test(test_segments_are_what_was_sent),
		cmocka_unit_test(test_no_memory_for_a_segment),
		cmocka_unit_test(test_what_follows_goes_as_one),
		cmocka_unit_test(test_what_differs_stays_apart),
		cmocka_unit_test(test_no_header_is_lost),
		cmocka_unit_test(test_the_word_of_the_port),
	};

	return cmocka_run_group_tests_name("offload", tests, set_up, tear_down);
}
