/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Arenas and staging buffers. */

#include "../nic/probe.h"
#include "bed.h"
#include "st_stage.h"

#define NB 300

static void
test_arena_owns_what_it_gave(void **state)
{
	uint8_t *a = st_arena_alloc_on(-1, 10000, 0), *b = st_arena_alloc_on(-1, 512, 65536);
	uint8_t stack[16];

	assert_non_null(a);
	assert_int_equal((uintptr_t)a % 4096, 0);
	assert_int_equal((uintptr_t)b % 65536, 0);
	assert_true(st_arena_owns(a, 10000));
	assert_true(st_arena_owns(a + 9999, 1));
	assert_false(st_arena_owns(a + 1, 10000));
	assert_false(st_arena_owns(a, SIZE_MAX));
	assert_false(st_arena_owns(a - 1, 2));
	assert_false(st_arena_owns(stack, 1));
	assert_null(st_arena_alloc_on(-1, 0, 0));
	assert_null(st_arena_alloc_on(-1, 100, 3));
	assert_null(st_arena_alloc_on(-1, 1ull << 50, 0));
	assert_int_equal(errno, ENOMEM);
	st_arena_free(b);
	assert_true(st_arena_owns(a, 1));
	assert_false(st_arena_owns(b, 1));
	st_arena_free(a);
	st_arena_free(NULL);
	assert_int_equal(st_arena_reap(), 0);
}

static void
test_lent_memory(void **state)
{
	struct st_arena_view lent = {.lent = true}, arenas = {0};
	static uint8_t mem[8192];
	struct st_arena *a;

	assert_int_equal(st_lent_register(mem, 0), -EINVAL);
	assert_int_equal(st_lent_register((void *)(UINTPTR_MAX - 10), 4096), -EINVAL);
	assert_int_equal(st_lent_register(mem, 4096), 0);
	assert_int_equal(st_lent_register(mem, 4096), -EEXIST);
	assert_int_equal(st_lent_register(mem + 4095, 2), -EEXIST);
	assert_int_equal(st_lent_register(mem + 4096, 4096), 0);
	a = st_arena_find(&lent, mem + 100, 3996);
	assert_non_null(a);
	assert_int_equal(a->base, (uintptr_t)mem);
	assert_null(st_arena_find(&lent, mem + 100, 3997));
	/* It is no arena: what has to be the EAL's is not. */
	assert_null(st_arena_find(&arenas, mem, 1));
	assert_false(st_arena_owns(mem, 1));
	/* Frames that refer to it keep it. */
	rte_mbuf_ext_refcnt_update(&a->shinfo, 1);
	assert_int_equal(st_lent_unregister(mem), -EBUSY);
	assert_null(st_arena_find(&lent, mem, 1));
	assert_int_equal(st_lent_unregister(mem), -EBUSY);
	rte_mbuf_ext_refcnt_update(&a->shinfo, -1);
	assert_int_equal(st_lent_unregister(mem), 0);
	assert_int_equal(st_lent_unregister(mem), -ENOENT);
	assert_int_equal(st_lent_unregister(mem + 4096), 0);
	st_arena_view_fini(&lent);
	st_arena_view_fini(&arenas);
}

/* A caller's own memory, lent, is as good as an arena where the driver reads by CPU. */
static void
test_lent_memory_is_sent_from(void **state)
{
	const uint32_t len = 65536;
	struct bed *b = bed_create(&(struct bed_conf){.mapped = true});
	const struct st_copy_stats *client;
	uint8_t *mem = malloc(len);
	uint64_t before;
	unsigned i;

	assert_int_equal(st_lent_register(mem, len), 0);
	/* By CPU and not, then no longer lent. */
	for (i = 0; i < 3; i++) {
		b->st[0]->info.tx_any_memory = i != 1;
		if (i == 2)
			bed_poll_until(b, st_lent_unregister(mem) == 0);
		before = bed_copies(b, 0)->copied;
		bed_fill(mem, len, i);
		assert_int_equal(bed_rw(b, WIRE_WRITE, mem, len, 8192, 0), 0);
		bed_assert_filled(b->disk + 8192, len, i);
		client = bed_copies(b, 0);
		assert_int_equal(client->copied - before, i == 0 ? 0 : len);
	}
	free(mem);
	bed_destroy(b);
}

/*
 * A caller who takes memory away from a write: he is told, and nothing of it goes while the command may
 * send it again, although all frames have been read.
 */
static void
test_memory_that_is_taken_from_a_write(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.mapped = true});
	const uint32_t len = 8192;

	for (unsigned i = 0; i < 2; i++) {
		bool lent = i == 1;
		uint8_t *mem = lent ? malloc(len) : st_arena_alloc(b->nics[0], len, 0);
		struct st_buffer buf = {.data = mem, .len = len};
		struct st_request req = {.bufs = &buf, .nb_bufs = 1, .op = WIRE_WRITE, .len = len};
		unsigned before = b->completions;

		assert_non_null(mem);
		if (lent)
			assert_int_equal(st_lent_register(mem, len), 0);
		bed_fill(mem, len, i);
		b->hold = true;
		bed_xmit(b, &req);
		bed_poll_until(b, b->nb_held == 1);
		for (unsigned k = 0; k < 100; k++)
			bed_poll(b);
		probe_catch_log();
		assert_int_equal(lent ? st_lent_unregister(mem) : st_arena_free(mem), -EBUSY);
		assert_non_null(strstr(probe_release_log(),
			lent ? "taken back with 1 writes" : "freed with 1 commands under way"));
		/* That was said once. */
		probe_catch_log();
		if (lent)
			assert_int_equal(st_lent_unregister(mem), -EBUSY);
		else
			assert_int_equal(st_arena_reap(), 1);
		assert_int_equal(probe_log_lines(), 0);
		(void)probe_release_log();
		bed_release(b);
		bed_poll_until(b, b->completions == before + 1);
		assert_int_equal(req.status, 0);
		bed_assert_filled(b->disk, len, i);
		if (lent) {
			bed_poll_until(b, st_lent_unregister(mem) == 0);
			free(mem);
		} else {
			bed_poll_until(b, st_arena_reap() == 0);
		}
	}
	bed_destroy(b);
}

/* Given back twice, or never taken. */
static void
test_what_is_no_arena(void **state)
{
	uint8_t *mem = st_arena_alloc_on(-1, 4096, 0), stack[16];

	probe_catch_log();
	assert_int_equal(st_arena_free(stack), -ENOENT);
	assert_int_equal(st_arena_free(mem + 1), -ENOENT);
	assert_int_equal(probe_log_lines(), 2);
	assert_int_equal(st_arena_free(mem), 0);
	assert_int_equal(st_arena_free(mem), -ENOENT);
	assert_non_null(strstr(probe_release_log(), "is no arena"));
	assert_int_equal(st_arena_free(NULL), 0);
}

static void
test_views_follow(void **state)
{
	struct st_arena_view view = {0};
	uint8_t *mem[NB];
	struct st_arena *a;
	unsigned i, round;

	for (i = 0; i < NB; i++) {
		mem[i] = st_arena_alloc_on(-1, 4096, 0);
		assert_non_null(mem[i]);
	}
	for (round = 0; round < 3; round++) {
		for (i = 0; i < NB; i++) {
			unsigned at = i * 7919 % NB;

			a = st_arena_find(&view, mem[at] + 100, 3996);
			assert_non_null(a);
			assert_int_equal(a->base, (uintptr_t)mem[at]);
			assert_null(st_arena_find(&view, mem[at] + 100, 3997));
			assert_null(st_arena_find(&view, mem[at], SIZE_MAX));
		}
		/* One goes, another one comes: what was found last must not be found again. */
		(void)st_arena_find(&view, mem[round], 1);
		st_arena_free(mem[round]);
		assert_null(st_arena_find(&view, mem[round], 1));
		mem[round] = st_arena_alloc_on(-1, 4096, 0);
		assert_non_null(st_arena_find(&view, mem[round], 1));
	}
	for (i = 0; i < NB; i++)
		st_arena_free(mem[i]);
	assert_null(st_arena_find(&view, mem[0], 1));
	st_arena_view_fini(&view);
	assert_int_equal(st_arena_reap(), 0);
}

/* As a driver does it when it is done with a frame. */
static void
free_frame(struct rte_mbuf_ext_shared_info *ref)
{
	if (rte_mbuf_ext_refcnt_update(ref, -1) == 0)
		ref->free_cb(NULL, ref->fcb_opaque);
}

static void
test_staging_comes_back_with_the_last_holder(void **state)
{
	struct st_stage_pool *pool = st_stage_pool_create(4, ST_STAGE_SMALL, -1);
	struct rte_mbuf_ext_shared_info *ref[2];
	struct st_stage *s[4];
	unsigned i;

	assert_non_null(pool);
	for (i = 0; i < 4; i++) {
		s[i] = st_stage_get(pool);
		assert_non_null(s[i]);
		assert_true(st_arena_owns(s[i]->data, ST_STAGE_SMALL));
	}
	assert_null(st_stage_get(pool));
	assert_int_equal(st_stage_used(pool), 4);
	/* Half of them can be lent, each to many frames. */
	for (i = 0; i < 2; i++) {
		ref[i] = st_stage_lend(s[i]);
		assert_ptr_equal(ref[i], &s[i]->shinfo);
		assert_ptr_equal(st_stage_lend(s[i]), ref[i]);
		ref[i]->refcnt += 2;
	}
	assert_null(st_stage_lend(s[2]));
	st_stage_put(s[2]);
	st_stage_put(s[3]);
	assert_int_equal(st_stage_used(pool), 2);
	/* The engine first, then the frames. */
	st_stage_put(s[0]);
	assert_int_equal(st_stage_used(pool), 2);
	free_frame(ref[0]);
	assert_int_equal(st_stage_used(pool), 2);
	free_frame(ref[0]);
	assert_int_equal(st_stage_used(pool), 1);
	/* The frames first. */
	free_frame(ref[1]);
	free_frame(ref[1]);
	assert_int_equal(st_stage_used(pool), 1);
	assert_ptr_equal(st_stage_lend(s[1]), ref[1]);
	st_stage_put(s[1]);
	assert_int_equal(st_stage_used(pool), 0);
	/* All of it again. */
	for (i = 0; i < 4; i++)
		s[i] = st_stage_get(pool);
	assert_non_null(st_stage_lend(s[0]));
	assert_non_null(st_stage_lend(s[1]));
	assert_null(st_stage_lend(s[2]));
	s[0]->shinfo.refcnt++;
	for (i = 0; i < 4; i++)
		st_stage_put(s[i]);
	/* A frame is still out: the pool waits for it. */
	st_stage_pool_retire(pool);
	st_stage_pool_reap();
	assert_int_equal(st_stage_used(pool), 1);
	free_frame(&s[0]->shinfo);
	st_stage_pool_reap();
	assert_int_equal(st_arena_reap(), 0);
}

struct load {
	struct st_request reqs[64];
	struct st_buffer bufs[64];
};

static struct load *
queue_reads(struct bed *b, uint8_t *mem, uint32_t len)
{
	struct load *l = calloc(1, sizeof(*l));
	unsigned i;

	for (i = 0; i < 64; i++) {
		l->bufs[i] = (struct st_buffer){.data = mem + i * len, .len = len};
		l->reqs[i] = (struct st_request){.bufs = &l->bufs[i],
			.nb_bufs = 1,
			.op = i % 4 == 3 ? WIRE_WRITE : WIRE_READ,
			.addr = i * len,
			.len = len};
		bed_xmit(b, &l->reqs[i]);
	}
	return l;
}

static void
test_two_staging_buffers_are_enough(void **state)
{
	static uint8_t mem[64][8192];
	struct bed *b = bed_create(&(struct bed_conf){.nb_small = 2, .depth = 64});
	uint64_t used, max, bytes = st_target_memory(b->target);
	struct load *l = queue_reads(b, mem[0], 8192);
	unsigned i;

	bed_poll_until(b, b->completions == 64);
	for (i = 0; i < 64; i++) {
		assert_int_equal(l->bufs[i].status, 0);
		assert_memory_equal(mem[i], b->disk + i * 8192, 8192);
	}
	st_target_staging(b->target, &used, &max);
	assert_int_equal(max, 2 * ST_STAGE_SMALL);
	assert_int_equal(st_target_memory(b->target), bytes);
	free(l);
	bed_destroy(b);
}

/* A client that never takes its data in must not hold the server's memory for ever. */
static void
test_a_deaf_client_does_not_starve_others(void **state)
{
	static uint8_t mem[64][8192], other[8192];
	struct bed *b = bed_create(&(struct bed_conf){.nb_small = 8, .depth = 64});
	struct load *l = queue_reads(b, mem[0], 8192);
	struct xfer_tgt *x = st_target_xfer(b->target);

	bed_poll_alone(b, 0, 1);
	/* The server answers into a ring that nobody empties. */
	bed_poll_alone(b, 1, 20);
	assert_true(b->started[WIRE_READ] > 4);
	assert_int_equal(xfer_tgt_outstanding(x), 0);
	bed_poll_until(b, b->completions == 64);
	assert_int_equal(bed_rw(b, WIRE_READ, other, 8192, 0, 0), 0);
	free(l);
	bed_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arena_owns_what_it_gave),
		cmocka_unit_test(test_lent_memory),
		cmocka_unit_test(test_lent_memory_is_sent_from),
		cmocka_unit_test(test_memory_that_is_taken_from_a_write),
		cmocka_unit_test(test_what_is_no_arena),
		cmocka_unit_test(test_views_follow),
		cmocka_unit_test(test_staging_comes_back_with_the_last_holder),
		cmocka_unit_test(test_two_staging_buffers_are_enough),
		cmocka_unit_test(test_a_deaf_client_does_not_starve_others),
	};

	return cmocka_run_group_tests_name("storage memory", tests, bed_start_eal, bed_stop_eal);
}
