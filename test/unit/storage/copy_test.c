/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* How payload moves: by reference or by copy, and that every byte is counted. */

#include "bed.h"

#define KIB 1024u

/* What both sides count for one request. */
struct counts {
	uint64_t client[ST_COPY_SITES], server[ST_COPY_SITES];
	uint64_t client_wire, server_wire;
};

static struct counts
count(struct bed *b)
{
	struct counts c;

	memcpy(c.client, bed_copies(b, 0)->site_bytes, sizeof(c.client));
	memcpy(c.server, bed_copies(b, 1)->site_bytes, sizeof(c.server));
	c.client_wire = bed_copies(b, 0)->wire;
	c.server_wire = bed_copies(b, 1)->wire;
	return c;
}

/* Bytes moved since then, at all sites but one. */
static uint64_t
moved_elsewhere(const uint64_t *before, const uint64_t *after, int site)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < ST_COPY_SITES; i++)
		sum += i == site ? 0 : after[i] - before[i];
	return sum;
}

static void
assert_moved(const uint64_t *before, const uint64_t *after, int site, uint64_t bytes)
{
	if (site >= 0)
		assert_int_equal(after[site] - before[site], bytes);
	assert_int_equal(moved_elsewhere(before, after, site), 0);
}

struct way {
	const char *name;
	struct bed_conf conf;
	uint8_t op;
	bool arena; /* the client's buffer */
	int client_site; /* where the client moves it, -1: nowhere */
	int server_site;
};

static const struct way ways[] = {
	{"read, staged, to an arena", {0}, WIRE_READ, true, ST_COPY_rx_place, -1},
	{"read, staged, to other memory", {0}, WIRE_READ, false, ST_COPY_rx_place, -1},
	{"read from an arena volume", {.mapped = true}, WIRE_READ, false, ST_COPY_rx_place, -1},
	{"read from a foreign volume", {.mapped = true, .foreign = true}, WIRE_READ, false,
		ST_COPY_rx_place, -1},
	{"read with checksums", {.crc = 1}, WIRE_READ, true, ST_COPY_rx_place, -1},
	{"write from an arena, staged", {0}, WIRE_WRITE, true, -1, ST_COPY_rx_store},
	{"write from an arena to a volume in memory", {.mapped = true}, WIRE_WRITE, true, -1,
		ST_COPY_rx_store},
	{"write from other memory", {0}, WIRE_WRITE, false, ST_COPY_tx_foreign, ST_COPY_rx_store},
	{"write with checksums", {.crc = 1}, WIRE_WRITE, true, -1, ST_COPY_rx_store},
};

static void
move_once(const struct way *w, uint16_t mtu, uint32_t len)
{
	struct bed_conf conf = w->conf;
	struct counts before, after;
	struct bed *b;
	uint8_t *mem;

	conf.mtu = mtu;
	b = bed_create(&conf);
	mem = w->arena ? st_arena_alloc(b->nics[0], len, 0) : malloc(len);
	bed_fill(mem, len, 5);
	before = count(b);
	assert_int_equal(bed_rw(b, w->op, mem, len, 64 * KIB, 0), 0);
	assert_memory_equal(mem, b->disk + 64 * KIB, len);
	after = count(b);
	print_message("%s, MTU %u\n", w->name, mtu);
	assert_int_equal(after.client_wire - before.client_wire, len);
	assert_int_equal(after.server_wire - before.server_wire, len);
	assert_moved(before.client, after.client, w->client_site, len);
	assert_moved(before.server, after.server, w->server_site, len);
	if (w->arena)
		st_arena_free(mem);
	else
		free(mem);
	bed_destroy(b);
}

static void
test_each_way_moves_each_byte_where_it_should(void **state)
{
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(ways); i++) {
		move_once(&ways[i], 9000, 128 * KIB);
		move_once(&ways[i], 4200, 4 * KIB);
		/* A multiple of P, so that no small piece is left. */
		move_once(&ways[i], 1500, 11 * KIB * 2);
	}
}

/* Links whose drivers want segments, or EAL memory, or physical addresses. */
static void
test_links_that_can_do_less(void **state)
{
	static const struct {
		bool multi_segs, any_memory, iova_is_va, foreign;
		bool copied;
	} links[] = {
		{true, true, true, false, false},
		{true, false, true, false, false},
		{true, false, true, true, true},
		{true, false, false, false, false},
		{false, true, true, false, true},
		{false, true, true, true, true},
	};
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(links); i++) {
		struct bed *b =
			bed_create(&(struct bed_conf){.mapped = true, .foreign = links[i].foreign});
		uint8_t *mem = st_arena_alloc(b->nics[0], 64 * KIB, 0);
		struct counts before, after;
		unsigned side;

		for (side = 0; side < 2; side++) {
			b->st[side]->multi_segs = links[i].multi_segs;
			b->st[side]->info.tx_any_memory = links[i].any_memory;
			b->st[side]->iova_is_va = links[i].iova_is_va;
		}
		before = count(b);
		assert_int_equal(bed_rw(b, WIRE_READ, mem, 64 * KIB, 4096, 0), 0);
		assert_memory_equal(mem, b->disk + 4096, 64 * KIB);
		after = count(b);
		assert_moved(before.server, after.server, links[i].copied ? ST_COPY_tx_foreign : -1,
			links[i].copied ? 64 * KIB : 0);
		before = after;
		bed_fill(mem, 64 * KIB, 3);
		assert_int_equal(bed_rw(b, WIRE_WRITE, mem, 64 * KIB, 8192, 0), 0);
		bed_assert_filled(b->disk + 8192, 64 * KIB, 3);
		after = count(b);
		assert_moved(before.client, after.client,
			links[i].multi_segs ? -1 : ST_COPY_tx_foreign, 64 * KIB);
		st_arena_free(mem);
		bed_destroy(b);
	}
}

/* On the receiving side what came in by the wire is what was placed, lent and copied. */
static void
test_received_bytes_add_up(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){0});
	const struct st_copy_stats *client, *server;
	uint8_t *mem = malloc(300 * KIB);
	unsigned i;

	for (i = 1; i < 40; i++)
		assert_int_equal(bed_rw(b, WIRE_READ, mem, i * 7 * 512 + 512, i * 512, 0), 0);
	client = bed_copies(b, 0);
	server = bed_copies(b, 1);
	assert_int_equal(client->wire, client->in_place + client->loaned + client->copied);
	assert_int_equal(client->wire, dev_st_xfer_stats(b->dev)->rx_bytes);
	assert_int_equal(client->bounced, 0);
	assert_int_equal(server->wire, client->wire);
	/* Tails of less than 512 bytes there are none of at this P. */
	assert_int_equal(server->copied, 0);
	for (i = 1; i < 40; i++)
		assert_int_equal(bed_rw(b, WIRE_WRITE, mem, i * 7 * 512 + 512, i * 512, 0), 0);
	(void)bed_copies(b, 0);
	(void)bed_copies(b, 1);
	assert_int_equal(server->site_bytes[ST_COPY_rx_store],
		xfer_tgt_stats(st_target_xfer(b->target))->rx_bytes);
	assert_int_equal(server->wire, client->wire);
	assert_int_equal(client->site_bytes[ST_COPY_tx_foreign],
		xfer_tgt_stats(st_target_xfer(b->target))->rx_bytes);
	free(mem);
	bed_destroy(b);
}

static void
test_small_tails_are_copied(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.mtu = 1500});
	uint8_t *mem = st_arena_alloc(b->nics[0], 1536, 0);
	struct counts before = count(b), after;

	/* 1408 by reference and 128 by copy. */
	bed_fill(mem, 1536, 8);
	assert_int_equal(bed_rw(b, WIRE_WRITE, mem, 1536, 0, 0), 0);
	bed_assert_filled(b->disk, 1536, 8);
	after = count(b);
	assert_moved(before.client, after.client, ST_COPY_tx_small, 128);
	assert_int_equal(b->st[0]->counters.tx_by_ref, 1);
	st_arena_free(mem);
	bed_destroy(b);
}

static void
test_scattered_payload_is_copied(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){0});
	uint8_t *mem = st_arena_alloc(b->nics[0], 8192, 0);
	struct st_buffer bufs[8];
	struct st_request req = {.bufs = bufs, .nb_bufs = 8, .op = WIRE_WRITE, .len = 8192};
	struct counts before, after;
	unsigned i;

	bed_fill(mem, 8192, 9);
	/* Eight pieces are more segments than a frame has. */
	for (i = 0; i < 8; i++)
		bufs[i] = (struct st_buffer){.data = mem + i * 1024, .len = 1024};
	before = count(b);
	assert_int_equal(bed_run(b, &req), 0);
	after = count(b);
	assert_moved(before.client, after.client, ST_COPY_tx_foreign, 8192);
	bed_assert_filled(b->disk, 8192, 9);

	/* Four are not. */
	bed_fill(b->disk, 8192, 0);
	for (i = 0; i < 4; i++)
		bufs[i] = (struct st_buffer){.data = mem + i * 2048, .len = 2048};
	req.nb_bufs = 4;
	before = count(b);
	assert_int_equal(bed_run(b, &req), 0);
	after = count(b);
	assert_moved(before.client, after.client, -1, 0);
	bed_assert_filled(b->disk, 8192, 9);

	/* One of them outside the arena. */
	bufs[2].data = malloc(2048);
	memcpy(bufs[2].data, mem + 4096, 2048);
	before = count(b);
	assert_int_equal(bed_run(b, &req), 0);
	after = count(b);
	assert_moved(before.client, after.client, ST_COPY_tx_foreign, 8192);
	free(bufs[2].data);

	/* Small pieces are dearer as segments than as a copy. */
	for (i = 0; i < 4; i++)
		bufs[i] = (struct st_buffer){.data = mem + i * 256, .len = 256};
	req.len = 1024;
	before = count(b);
	assert_int_equal(bed_run(b, &req), 0);
	after = count(b);
	assert_moved(before.client, after.client, ST_COPY_tx_foreign, 1024);
	st_arena_free(mem);
	bed_destroy(b);
}

static void
test_repeated_frames_are_copies(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.crc = 1, .impatient = true});
	uint8_t *mem = st_arena_alloc(b->nics[0], 8192, 0);
	struct st_buffer buf = {.data = mem, .len = 8192};
	struct st_request req = {.bufs = &buf, .nb_bufs = 1, .op = WIRE_WRITE, .len = 8192};

	bed_fill(mem, 8192, 4);
	bed_xmit(b, &req);
	/* The server is deaf for longer than the timer is patient. */
	bed_poll_alone(b, 0, 30);
	assert_int_equal(b->st[0]->counters.tx_by_ref, 1);
	assert_true(bed_site(b, 0, ST_COPY_tx_retx) >= 8192);
	assert_int_equal(bed_site(b, 0, ST_COPY_tx_retx) % 8192, 0);
	bed_poll_until(b, b->completions == 1);
	assert_int_equal(buf.status, 0);
	bed_assert_filled(b->disk, 8192, 4);
	assert_int_equal(b->started[WIRE_WRITE], 1);
	assert_int_equal(bed_site(b, 1, ST_COPY_rx_store), 8192);
	assert_int_equal(b->st[0]->counters.tx_revoked, 0);
	st_arena_free(mem);
	bed_destroy(b);
}

/* ---- Buffers that go back without an answer ---- */

static void
assert_is_either(const uint8_t *p, size_t len, uint32_t seed)
{
	uint8_t *old = malloc(len), *new = malloc(len);

	bed_fill(old, len, 0);
	bed_fill(new, len, seed);
	if (memcmp(p, old, len) != 0)
		assert_memory_equal(p, new, len);
	free(old);
	free(new);
}

static void
test_frames_of_a_failed_write_never_carry_what_came_after(void **state)
{
	struct bed *b = bed_create(
		&(struct bed_conf){.fail_after_ns = 20000000, .mtu = 4200, .impatient = true});
	uint8_t *mem = st_arena_alloc(b->nics[0], 4096, 0);
	struct st_buffer buf = {.data = mem, .len = 4096};
	struct st_request req = {.bufs = &buf, .nb_bufs = 1, .op = WIRE_WRITE, .len = 4096};
	uint64_t end = mpn_now_ns() + 5 * XFER_NSEC_PER_SEC;

	bed_fill(mem, 4096, 6);
	bed_xmit(b, &req);
	while (b->completions == 0 && mpn_now_ns() < end)
		bed_poll_alone(b, 0, 1);
	assert_int_equal(buf.status, -ETIMEDOUT);
	assert_int_equal(b->st[0]->counters.tx_by_ref, 1);
	assert_int_equal(b->st[0]->counters.tx_revoked, 1);
	/* The buffer is ours again, and the frame that refers to it is still in the ring. */
	bed_fill(mem, 4096, 7);
	assert_int_equal(b->started[WIRE_WRITE], 0);
	bed_poll_until(b, b->nb_events[XFER_EV_OPENED] == 2);
	assert_is_either(b->disk, 4096, 6);
	assert_true(xfer_tgt_stats(st_target_xfer(b->target))->drops[WIRE_DROP_VERSION] >= 1);
	st_arena_free(mem);
	bed_destroy(b);
}

static void
test_an_arena_outlives_its_frames(void **state)
{
	struct bed *b =
		bed_create(&(struct bed_conf){.fail_after_ns = 20000000, .impatient = true});
	uint8_t *mem = st_arena_alloc(b->nics[0], 8192, 0);
	struct st_buffer buf = {.data = mem, .len = 8192};
	struct st_request req = {.bufs = &buf, .nb_bufs = 1, .op = WIRE_WRITE, .len = 8192};
	uint64_t end = mpn_now_ns() + 5 * XFER_NSEC_PER_SEC;

	bed_xmit(b, &req);
	while (b->completions == 0 && mpn_now_ns() < end)
		bed_poll_alone(b, 0, 1);
	assert_int_equal(buf.status, -ETIMEDOUT);
	st_arena_free(mem);
	assert_false(st_arena_owns(mem, 1));
	assert_int_equal(st_arena_reap(), 1);
	bed_poll_until(b, st_arena_reap() == 0);
	bed_destroy(b);
}

/* ---- Received frames in segments ---- */

/* A QUERY cut into segments of these lengths; the last one takes the rest. */
static struct rte_mbuf *
make_query(struct bed *b, const uint16_t *lens, unsigned nb, uint32_t extra)
{
	struct wire_disc_query q = {.name = "disk"};
	uint8_t frame[WIRE_EBD_HDR_LEN + 16384] = {0};
	uint32_t len = WIRE_EBD_HDR_LEN + sizeof(q) + extra, off = 0, n;
	struct rte_mbuf *head = NULL, *m;
	struct wire_ebd h = {
		.dst = WIRE_EBD_MULTICAST,
		.ethertype = WIRE_EBD_TO_TARGET,
		.ver_kind = wire_ebd_ver_kind(WIRE_DISC),
		.op = WIRE_DISC_QUERY,
		.plen = sizeof(q),
		.flags = WIRE_F_CRC,
	};
	unsigned i;

	memcpy(h.src, b->st[0]->info.mac, 6);
	wire_ebd_store(frame, &h);
	memcpy(frame + WIRE_EBD_HDR_LEN, &q, sizeof(q));
	wire_crc_store(
		frame, wire_crc_end(wire_crc_add(wire_crc_begin(frame), frame + 64, sizeof(q))));
	for (i = 0; off < len; i++) {
		m = rte_pktmbuf_alloc(b->st[0]->frames.hdr.pool);
		n = i < nb ? lens[i] : MPN_MIN(len - off, 1408u);
		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), frame + off, n);
		off += n;
		if (head == NULL)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	return head;
}

static void
test_segments_are_put_in_one_piece_only_when_needed(void **state)
{
	static const struct {
		uint16_t lens[4];
		unsigned nb;
		bool linear;
	} cuts[] = {
		{{144}, 1, false},
		{{64}, 1, false},
		{{14}, 1, true},
		{{20, 44}, 2, true},
		{{63}, 1, true},
		{{65}, 1, true},
		{{64, 1}, 2, true},
		{{64, 32, 31}, 3, true},
	};
	struct bed *b = bed_create(&(struct bed_conf){0});
	const struct xfer_stats *s = xfer_tgt_stats(st_target_xfer(b->target));
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(cuts); i++) {
		struct rte_mbuf *m = make_query(b, cuts[i].lens, cuts[i].nb, 0);
		uint64_t linear = bed_site(b, 1, ST_COPY_rx_linear), frames = s->rx_frames;

		assert_int_equal(mpn_flow_tx(b->pers[0], &m, 1), 1);
		bed_poll_until(b, s->rx_frames > frames);
		assert_int_equal(
			bed_site(b, 1, ST_COPY_rx_linear) - linear, cuts[i].linear ? 144 : 0);
	}
	assert_int_equal(bed_copies(b, 1)->bounced, bed_site(b, 1, ST_COPY_rx_linear));
	assert_int_equal(s->drops[WIRE_DROP_CRC], 0);
	bed_destroy(b);
}

static void
test_frames_nobody_can_use_are_counted(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){0});
	struct st_counters *c = &b->st[1]->counters;
	struct rte_mbuf *m;
	uint8_t *frame;

	/* Longer than any frame of ours, in segments. */
	m = make_query(b, (const uint16_t[]){14}, 1, 8300);
	assert_int_equal(mpn_flow_tx(b->pers[0], &m, 1), 1);
	bed_poll_until(b, c->rx_long == 1);
	/* To a device, where there is none. */
	m = make_query(b, (const uint16_t[]){144}, 1, 0);
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	frame[13] = WIRE_EBD_TO_INITIATOR & 0xff;
	assert_int_equal(mpn_flow_tx(b->pers[0], &m, 1), 1);
	bed_poll_until(b, c->rx_no_device == 1);
	/* Without a tag. */
	m = make_query(b, (const uint16_t[]){144}, 1, 0);
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	frame[13] = WIRE_EBD_TO_INITIATOR & 0xff;
	m->data_len = 23;
	m->pkt_len = 23;
	assert_int_equal(mpn_flow_tx(b->pers[0], &m, 1), 1);
	bed_poll_until(b, c->rx_short == 1);
	/* To a target, at a client. */
	m = make_query(b, (const uint16_t[]){144}, 1, 0);
	memcpy(rte_pktmbuf_mtod_offset(m, void *, 6), b->st[1]->info.mac, 6);
	assert_int_equal(mpn_flow_tx(b->pers[1], &m, 1), 1);
	bed_poll_until(b, b->st[0]->counters.rx_no_target == 1);
	bed_destroy(b);
}

/*
 * Writes on a volume that is not memory stay in the frames they came in, at addresses a disk can be
 * written from, when the link brings them in memory of the server's own.
 */
static void
test_writes_reach_the_back_end_in_their_frames(void **state)
{
	static const uint32_t lens[] = {512, 4 * KIB, 8 * KIB, 20 * KIB, 128 * KIB};
	static const uint16_t mtus[] = {9000, 4200, 1500};
	struct counts before, after;
	struct st_target_data data;
	struct bed *b;
	unsigned i, m;
	uint8_t *mem;
	int k;

	for (m = 0; m < MPN_ARRAY_SIZE(mtus); m++) {
		b = bed_create(&(struct bed_conf){.virtio = true, .mtu = mtus[m]});
		mem = st_arena_alloc(b->nics[0], 128 * KIB, 0);
		for (i = 0; i < MPN_ARRAY_SIZE(lens); i++) {
			struct st_buffer buf = {.data = mem, .len = lens[i]};
			struct st_request req = {.bufs = &buf,
				.nb_bufs = 1,
				.op = WIRE_WRITE,
				.addr = 64 * KIB,
				.len = lens[i]};

			if (lens[i] > dev_st_max_transfer(b->dev))
				continue;
			bed_fill(mem, lens[i], i + 7);
			before = count(b);
			b->hold = true;
			bed_xmit(b, &req);
			bed_poll_until(b, b->nb_held == 1);
			st_target_get_data(b->held[0], &data);
			after = count(b);
			if (mtus[m] == 1500) {
				assert_non_null(data.base);
			} else {
				assert_null(data.base);
				for (k = 0; k < data.iovcnt; k++)
					assert_int_equal((uintptr_t)data.iov[k].iov_base % 512, 0);
				assert_int_equal(b->st[1]->budget->out, data.iovcnt);
			}
			/* By reference from the client's arena, and not moved at the server. */
			assert_moved(before.client, after.client,
				lens[i] % dev_st_payload_unit(b->dev) < 512 &&
						lens[i] % dev_st_payload_unit(b->dev) > 0
					? ST_COPY_tx_small
					: -1,
				lens[i] % dev_st_payload_unit(b->dev) % 512);
			assert_moved(before.server, after.server, ST_COPY_rx_store,
				mtus[m] == 1500 ? lens[i] : 0);
			bed_release(b);
			bed_poll_until(
				b, buf.pending == 0 && dev_st_get_current_queue_len(b->dev) == 0);
			assert_int_equal(req.status, 0);
			bed_assert_filled(b->disk + 64 * KIB, lens[i], i + 7);
			assert_int_equal(b->st[1]->budget->out, 0);
		}
		st_arena_free(mem);
		bed_destroy(b);
	}
}

/* When no more frames can be spared, writes are staged, and go on. */
static void
test_writes_are_staged_when_frames_are_short(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.virtio = true, .mtu = 9000, .nb_keep = 6});
	struct st_buffer bufs[4];
	struct st_request reqs[4];
	uint8_t *mem = malloc(128 * KIB);
	uint64_t used, max;
	unsigned i;

	b->hold = true;
	bed_fill(mem, 128 * KIB, 9);
	for (i = 0; i < 4; i++) {
		bufs[i] = (struct st_buffer){.data = mem + i * 32 * KIB, .len = 32 * KIB};
		reqs[i] = (struct st_request){.bufs = &bufs[i],
			.nb_bufs = 1,
			.op = WIRE_WRITE,
			.addr = i * 32 * KIB,
			.len = 32 * KIB};
		bed_xmit(b, &reqs[i]);
	}
	bed_poll_until(b, b->nb_held == 4);
	assert_int_equal(b->st[1]->budget->out, 4);
	st_target_staging(b->target, &used, &max);
	assert_int_equal(used, 3 * 128 * KIB);
	bed_release(b);
	bed_poll_until(b, dev_st_get_current_queue_len(b->dev) == 0);
	bed_assert_filled(b->disk, 128 * KIB, 9);
	free(mem);
	bed_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_way_moves_each_byte_where_it_should),
		cmocka_unit_test(test_links_that_can_do_less),
		cmocka_unit_test(test_received_bytes_add_up),
		cmocka_unit_test(test_small_tails_are_copied),
		cmocka_unit_test(test_writes_reach_the_back_end_in_their_frames),
		cmocka_unit_test(test_writes_are_staged_when_frames_are_short),
		cmocka_unit_test(test_scattered_payload_is_copied),
		cmocka_unit_test(test_repeated_frames_are_copies),
		cmocka_unit_test(test_frames_of_a_failed_write_never_carry_what_came_after),
		cmocka_unit_test(test_an_arena_outlives_its_frames),
		cmocka_unit_test(test_segments_are_put_in_one_piece_only_when_needed),
		cmocka_unit_test(test_frames_nobody_can_use_are_counted),
	};

	return cmocka_run_group_tests_name("storage copies", tests, bed_start_eal, bed_stop_eal);
}
