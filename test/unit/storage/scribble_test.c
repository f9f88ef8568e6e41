/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A caller that writes over its buffers the moment they are reported complete, while the wire loses,
 * doubles and delays frames in both directions, ends stand still, requests are taken back and sessions
 * die. What it wrote over them must not be seen anywhere: not in a frame that arrives, not in the
 * volume; and nothing may come into a buffer that is the caller's again.
 *
 * Frames that were made invalid do not count: they refer to the buffer, and every receiver drops them
 * because of their first bytes.
 */

#include <inttypes.h>

#include "bed.h"
#include "faults.h"
#include "ini.h"
#include "st_device.h"
#include "../../sim/rng.h"

#define KIB 1024u
#define SLOTS 16
#define REGION (128 * KIB)
#define BLOCK 512
#define WORDS (BLOCK / 8)
#define NB_BLOCKS (REGION / BLOCK)
#define SCRIBBLE 0xececececececececull
#define REQUESTS 300
#define MAX_REST 24 /* rounds a buffer stays written over */
#define MAX_NS (4 * XFER_NSEC_PER_SEC)

/* One request at a time, its buffer, and its part of the volume. */
struct slot {
	uint64_t *mem;
	struct st_buffer buf;
	struct st_request req;
	bool busy;
	unsigned rest;
	uint32_t writes; /* begun */
	uint32_t written; /* the number of the one under way */
	uint32_t holds
		[NB_BLOCKS]; /* the write each block has; UNKNOWN: one that failed may be there */
};
#define UNKNOWN UINT32_MAX

struct scene {
	struct bed *bed;
	struct rng rng;
	struct slot slots[SLOTS];
	struct faults *faults[2];
	unsigned begun, failed;
	bool lent; /* the buffers are no arenas, but lent */
	uint64_t seen_writes; /* frames with data that arrived at the target */
};

/* ---- Contents ---- */

static uint64_t
word(unsigned slot, uint32_t write, uint32_t at)
{
	return (uint64_t)(slot + 1) << 56 | (uint64_t)(write & 0xffffff) << 32 | at;
}

static void
fill(struct scene *s, unsigned i)
{
	struct slot *t = &s->slots[i];
	uint32_t k;

	for (k = 0; k < t->buf.len / 8; k++)
		t->mem[k] = word(i, t->written, k);
}

static void
scribble(struct slot *t)
{
	uint32_t k;

	for (k = 0; k < REGION / 8; k++)
		t->mem[k] = SCRIBBLE;
}

static void
assert_scribbled(struct scene *s, unsigned i)
{
	uint32_t k;

	for (k = 0; k < REGION / 8; k++) {
		if (s->slots[i].mem[k] != SCRIBBLE)
			fail_msg("buffer %u changed at %u while it was its owner's", i, k * 8);
	}
}

/* Blocks of a region, wherever they are, are what was written last where that is known. */
static void
assert_holds(struct scene *s, unsigned i, const uint64_t *data, uint32_t len, const char *where)
{
	struct slot *t = &s->slots[i];
	uint32_t k, holds;

	for (k = 0; k < len / 8; k++) {
		holds = t->holds[k / WORDS];
		if (data[k] == SCRIBBLE)
			fail_msg("%s: slot %u has scribbled bytes at %u", where, i, k * 8);
		if (holds != UNKNOWN && data[k] != word(i, holds, k))
			fail_msg("%s: slot %u is wrong at %u: %016" PRIx64 ", expected write %u",
				where, i, k * 8, data[k], holds);
	}
}

/* Every frame that arrives. Payload starts at a multiple of 8 of the buffer, as the words do. */
static void
look_at_frame(void *arg, const struct rte_mbuf *m)
{
	struct scene *s = arg;
	uint32_t off = WIRE_EBD_HDR_LEN, k;
	uint8_t tmp[16384];
	struct wire_ebd h;
	uint64_t w;
	const uint8_t *frame;

	assert_true(m->pkt_len >= WIRE_EBD_HDR_LEN && m->pkt_len <= sizeof(tmp));
	frame = rte_pktmbuf_read(m, 0, m->pkt_len, tmp);
	wire_ebd_load(&h, frame);
	if (h.ver_kind == 0)
		return;
	s->seen_writes += h.plen > 256;
	for (k = off; k + 8 <= m->pkt_len; k += 8) {
		memcpy(&w, frame + k, 8);
		if (w == SCRIBBLE)
			fail_msg("a frame with scribbled bytes: tag %08x, address %" PRIu64
				 ", offset %u",
				h.tag, h.addr, k - off);
	}
}

/* ---- Requests ---- */

static void
note_written(struct slot *t)
{
	uint32_t k;

	for (k = 0; k < t->buf.len / BLOCK; k++)
		t->holds[k] = t->buf.status == 0 ? t->written : UNKNOWN;
}

static void
on_complete(struct bed *b, struct st_request *req, struct st_buffer *buf)
{
	struct scene *s = b->arg;
	struct slot *t = mpn_container_of(req, struct slot, req);

	assert_true(t->busy);
	if (req->op == WIRE_WRITE)
		note_written(t);
	else if (buf->status == 0)
		assert_holds(s, (unsigned)(t - s->slots), t->mem, buf->len, "a read");
	s->failed += buf->status != 0;
	t->busy = false;
	t->rest = rng_below(&s->rng, MAX_REST);
	scribble(t);
}

static void
begin(struct scene *s, unsigned i)
{
	struct slot *t = &s->slots[i];
	bool is_write = rng_below(&s->rng, 3) != 0;

	assert_scribbled(s, i);
	t->buf = (struct st_buffer){
		.data = t->mem, .len = BLOCK * (1 + rng_below(&s->rng, NB_BLOCKS))};
	t->req = (struct st_request){
		.bufs = &t->buf,
		.nb_bufs = 1,
		.op = is_write ? WIRE_WRITE : WIRE_READ,
		.addr = i * REGION,
		.len = t->buf.len,
	};
	if (is_write) {
		t->written = ++t->writes;
		fill(s, i);
	}
	t->busy = true;
	s->begun++;
	bed_xmit(s->bed, &t->req);
}

static void
begin_some(struct scene *s)
{
	unsigned i;

	for (i = 0; i < SLOTS; i++) {
		if (s->slots[i].busy)
			continue;
		if (s->slots[i].rest > 0)
			s->slots[i].rest--;
		else
			begin(s, i);
	}
}

static void
abort_one(struct scene *s)
{
	struct slot *t = &s->slots[rng_below(&s->rng, SLOTS)];

	if (t->busy)
		dev_st_abort(s->bed->dev, &t->req);
}

static unsigned
nb_busy(const struct scene *s)
{
	unsigned i, nb = 0;

	for (i = 0; i < SLOTS; i++)
		nb += s->slots[i].busy;
	return nb;
}

/* ---- A run ---- */

/* A round of everybody, or of one end, or an end that stands still. */
static void
step(struct scene *s)
{
	struct bed *b = s->bed;
	uint32_t dice = rng_below(&s->rng, 1000), i;

	if (dice < 40)
		bed_poll_alone(b, 0, 1 + rng_below(&s->rng, 6));
	else if (dice < 60)
		bed_poll_alone(b, 1, 1);
	else if (dice < 64)
		/* Longer than the session lives. */
		bed_poll_alone(b, 0, 60);
	else if (dice < 100)
		abort_one(s);
	else if (dice < 130)
		b->hold = true;
	else if (dice < 200)
		bed_release(b);
	for (i = 0; i < 8; i++)
		bed_poll(b);
}

static void
make_scene(struct scene *s, const struct bed_conf *conf, uint64_t seed, uint16_t bad, bool lent)
{
	struct faults_conf f = {.loss = bad,
		.copies = bad,
		.late = 2 * bad,
		.max_late_us = 8000,
		.look = look_at_frame,
		.arg = s};
	unsigned i;

	memset(s, 0, sizeof(*s));
	rng_seed(&s->rng, seed, 1);
	s->lent = lent;
	s->bed = bed_create(conf);
	s->bed->arg = s;
	s->bed->on_complete = on_complete;
	s->bed->dev->ini->conf.dead_ns = 30000000;
	for (i = 0; i < SLOTS; i++) {
		s->slots[i].mem = s->lent ? aligned_alloc(4096, REGION)
					  : st_arena_alloc(s->bed->nics[0], REGION, 0);
		assert_non_null(s->slots[i].mem);
		if (s->lent)
			assert_int_equal(st_lent_register(s->slots[i].mem, REGION), 0);
		scribble(&s->slots[i]);
		memset(s->slots[i].holds, 0xff, sizeof(s->slots[i].holds));
	}
	for (i = 0; i < 2; i++) {
		f.seed = 2 * seed + i;
		s->faults[i] = faults_insert(s->bed->pers[i], &f);
	}
}

static void
end_scene(struct scene *s)
{
	struct bed *b = s->bed;
	unsigned i;

	bed_release(b);
	faults_remove(s->faults[0]);
	faults_remove(s->faults[1]);
	bed_poll_until(b, nb_busy(s) == 0);
	/* What is still on its way somewhere. */
	for (i = 0; i < 200; i++)
		bed_poll(b);
	for (i = 0; i < SLOTS; i++) {
		assert_scribbled(s, i);
		assert_holds(s, i, (const uint64_t *)(b->disk + i * REGION), REGION, "the volume");
		if (!s->lent) {
			assert_int_equal(st_arena_free(s->slots[i].mem), 0);
			continue;
		}
		bed_poll_until(b, st_lent_unregister(s->slots[i].mem) == 0);
		free(s->slots[i].mem);
	}
	bed_destroy(b);
}

static void
run(const struct bed_conf *conf, uint64_t seed, uint16_t bad, bool lent)
{
	static struct scene scene;
	struct scene *s = &scene;
	uint64_t end = mpn_now_ns() + MAX_NS;
	const struct st_counters *c;

	make_scene(s, conf, seed, bad, lent);
	while (s->begun < REQUESTS && mpn_now_ns() < end) {
		begin_some(s);
		step(s);
	}
	c = &s->bed->st[0]->counters;
	print_message("seed %" PRIu64 ": %u requests, %u failed, %" PRIu64
		      " frames of data, %" PRIu64 " by reference, %" PRIu64 " revoked, %" PRIu64
		      " repeated\n",
		seed, s->begun, s->failed, s->seen_writes, c->tx_by_ref, c->tx_revoked,
		bed_copies(s->bed, 0)->site_count[ST_COPY_tx_retx]);
	assert_true(s->begun > SLOTS);
	assert_true(c->tx_by_ref > 0);
	end_scene(s);
}

static void
run_seeds(bool virtio, unsigned nb)
{
	static const uint16_t mtus[] = {9000, 4200, 1500};
	uint64_t seed;

	for (seed = 1; seed <= nb; seed++) {
		struct bed_conf conf = {
			.mtu = mtus[seed % 3],
			.virtio = virtio,
			.mapped = seed % 4 == 0,
			.crc = seed % 5 == 0 ? 1 : -1,
			.fail_after_ns = 5000000,
			.impatient = true,
		};

		/* Now and then the wire is good, and only the ends are not; virtio sends from arenas only. */
		run(&conf, seed, seed % 3 == 0 ? 0 : 10 + 10 * (seed % 4),
			!virtio && seed % 4 == 1);
	}
}

static void
test_nobody_sees_what_comes_after_completion_on_a_ring(void **state)
{
	run_seeds(false, 12);
}

static void
test_nobody_sees_what_comes_after_completion_over_virtio(void **state)
{
	run_seeds(true, 8);
}

/* A write that waits for its data, and a client that ends before it has found its server again. */
static void
test_what_a_client_leaves_ends_with_its_lease(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.impatient = true});
	struct xfer_tgt *target = st_target_xfer(b->target);
	uint8_t *mem = st_arena_alloc(b->nics[0], REGION, 0);
	struct st_buffer buf = {.data = mem, .len = REGION};
	struct st_request req = {.bufs = &buf, .nb_bufs = 1, .op = WIRE_WRITE, .len = REGION};

	assert_non_null(mem);
	bed_xmit(b, &req);
	while (xfer_tgt_outstanding(target) == 0) {
		(void)mpn_nic_poll(b->nics[0]);
		(void)mpn_nic_poll(b->nics[1]);
	}
	ini_reopen(b->dev->ini, mpn_now_ns());
	dev_st_shutdown(b->dev);
	assert_int_equal(req.status, -ECANCELED);
	assert_int_equal(xfer_tgt_outstanding(target), 1);
	bed_poll_until(b, xfer_tgt_outstanding(target) == 0);
	bed_poll_until(b, st_arena_free(mem) == 0);
	bed_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_client_leaves_ends_with_its_lease),
		cmocka_unit_test(test_nobody_sees_what_comes_after_completion_on_a_ring),
		cmocka_unit_test(test_nobody_sees_what_comes_after_completion_over_virtio),
	};

	return cmocka_run_group_tests_name("storage_scribble", tests, bed_start_eal, bed_stop_eal);
}
