/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The contracts of dev_st.h. */

#include "bed.h"

static void
test_opens_and_says_what_the_volume_is(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){0});

	assert_true(dev_st_is_open(b->dev));
	assert_int_equal(dev_st_geometry(b->dev)->size, b->size);
	assert_string_equal(dev_st_geometry(b->dev)->name, "disk");
	assert_int_equal(dev_st_payload_unit(b->dev), WIRE_EBD_P_LARGE);
	assert_memory_equal(dev_st_target(b->dev), b->st[1]->info.mac, 6);
	bed_destroy(b);
}

static void
test_read_and_write_round_trip(void **state)
{
	static uint8_t data[4096], back[4096];
	struct bed *b = bed_create(&(struct bed_conf){0});

	assert_int_equal(bed_rw(b, WIRE_READ, back, 4096, 8192, 0), 0);
	assert_memory_equal(back, b->disk + 8192, 4096);
	bed_fill(data, sizeof(data), 7);
	assert_int_equal(bed_rw(b, WIRE_WRITE, data, 4096, 4096, WIRE_F_FUA), 0);
	assert_int_equal(b->last_flags & WIRE_F_FUA, WIRE_F_FUA);
	bed_assert_filled(b->disk + 4096, 4096, 7);
	assert_int_equal(bed_rw(b, WIRE_READ, back, 4096, 4096, 0), 0);
	bed_assert_filled(back, 4096, 7);
	bed_destroy(b);
}

static void
test_requests_without_data(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.max_zeroes = 64 << 10});
	struct st_request flush = {.op = WIRE_FLUSH};
	struct st_request zeroes = {.op = WIRE_WRITE_ZEROES, .addr = 4096, .len = 1 << 20};
	struct st_request discard = {.op = WIRE_DISCARD, .addr = 2 << 20, .len = 64 << 10};
	uint64_t i;

	assert_int_equal(bed_run(b, &flush), 0);
	assert_int_equal(b->started[WIRE_FLUSH], 1);
	assert_int_equal(bed_run(b, &zeroes), 0);
	/* Cut into what the target takes at a time. */
	assert_int_equal(b->started[WIRE_WRITE_ZEROES], 16);
	for (i = 0; i < zeroes.len; i++)
		assert_int_equal(b->disk[zeroes.addr + i], 0);
	assert_int_not_equal(b->disk[zeroes.addr - 1], 0);
	assert_int_equal(bed_run(b, &discard), 0);
	assert_int_equal(b->started[WIRE_DISCARD], 1);
	bed_destroy(b);
}

struct bad_request {
	struct st_request req;
	int want;
};

static void
test_bad_requests_are_refused_and_nothing_is_taken(void **state)
{
	static uint8_t mem[8192];
	struct st_buffer one = {.data = mem, .len = 4096}, empty = {.data = mem},
			 nowhere = {.len = 512};
	struct bed *b = bed_create(&(struct bed_conf){0});
	const struct bad_request bad[] = {
		{{.op = WIRE_READ, .bufs = &one, .nb_bufs = 1, .addr = 1, .len = 4096}, -EINVAL},
		{{.op = WIRE_READ, .bufs = &one, .nb_bufs = 1, .addr = 0, .len = 4097}, -EINVAL},
		{{.op = WIRE_READ, .bufs = &one, .nb_bufs = 1, .addr = 0, .len = 8192}, -EINVAL},
		{{.op = WIRE_READ, .bufs = &one, .nb_bufs = 1, .addr = b->size, .len = 4096},
			-EINVAL},
		{{.op = WIRE_READ, .bufs = &one, .nb_bufs = 1, .addr = ~0ull << 9, .len = 4096},
			-EINVAL},
		{{.op = WIRE_READ, .bufs = &one, .nb_bufs = 1, .flags = WIRE_F_FUA, .len = 4096},
			-EINVAL},
		{{.op = WIRE_READ, .nb_bufs = 0, .len = 4096}, -EINVAL},
		{{.op = WIRE_READ, .bufs = &empty, .nb_bufs = 1, .len = 0}, -EINVAL},
		{{.op = WIRE_READ, .bufs = &nowhere, .nb_bufs = 1, .len = 512}, -EINVAL},
		{{.op = WIRE_FLUSH, .len = 512}, -EINVAL},
		{{.op = WIRE_FLUSH, .bufs = &one, .nb_bufs = 1}, -EINVAL},
		{{.op = WIRE_DISCARD, .addr = 0, .len = 100}, -EINVAL},
		{{.op = WIRE_DISCARD, .addr = 0, .len = b->size + 512}, -EINVAL},
		{{.op = WIRE_DISCARD, .addr = 0, .len = 0}, -EINVAL},
		{{.op = 0}, -EINVAL},
		{{.op = WIRE_ABORT}, -EINVAL},
		{{.op = 255}, -EINVAL},
	};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		struct st_request req = bad[i].req;
		int rc = dev_st_queue_xmit(b->dev, &req);

		if (rc != bad[i].want)
			fail_msg("request %zu: %d", i, rc);
	}
	assert_int_equal(dev_st_get_current_queue_len(b->dev), 0);
	assert_int_equal(
		dev_st_register_completion_callback(b->dev, WIRE_EBD_TO_TARGET, NULL), -EINVAL);
	assert_int_equal(dev_st_register_completion_callback(b->dev, 0, NULL), 0);
	assert_int_equal(
		dev_st_queue_xmit(b->dev, &(struct st_request){.op = WIRE_FLUSH}), -EINVAL);
	assert_int_equal(b->completions, 0);
	bed_destroy(b);
}

static void
test_what_the_volume_cannot_do(void **state)
{
	static uint8_t mem[512];
	struct st_buffer buf = {.data = mem, .len = 512};
	struct st_request write = {.op = WIRE_WRITE, .bufs = &buf, .nb_bufs = 1, .len = 512};
	struct st_request discard = {.op = WIRE_DISCARD, .len = 512};
	struct bed *b = bed_create(&(struct bed_conf){.flags = WIRE_VOL_READONLY});

	assert_int_equal(dev_st_queue_xmit(b->dev, &write), -EROFS);
	assert_int_equal(dev_st_queue_xmit(b->dev, &discard), -EROFS);
	assert_int_equal(bed_rw(b, WIRE_READ, mem, 512, 0, 0), 0);
	bed_destroy(b);

	/* The upper half of flags takes away. */
	b = bed_create(&(struct bed_conf){.flags = WIRE_VOL_DISCARD << 16});
	assert_int_equal(dev_st_queue_xmit(b->dev, &discard), -EOPNOTSUPP);
	bed_destroy(b);
}

static void
test_errors_of_the_volume_reach_each_buffer(void **state)
{
	static const int errors[] = {-EIO, -ENOSPC, -EROFS, -EOPNOTSUPP};
	static uint8_t mem[3][1024];
	struct st_buffer bufs[3];
	struct st_request req = {.bufs = bufs, .nb_bufs = 3, .op = WIRE_WRITE, .len = 3072};
	struct bed *b = bed_create(&(struct bed_conf){0});
	size_t i, j;

	for (i = 0; i < MPN_ARRAY_SIZE(errors); i++) {
		for (j = 0; j < 3; j++)
			bufs[j] = (struct st_buffer){.data = mem[j], .len = 1024};
		b->status = errors[i];
		assert_int_equal(bed_run(b, &req), errors[i]);
		for (j = 0; j < 3; j++)
			assert_int_equal(bufs[j].status, errors[i]);
	}
	/* The session lives on. */
	b->status = 0;
	assert_int_equal(bed_run(b, &req), 0);
	assert_int_equal(b->nb_events[XFER_EV_LOST], 0);
	bed_destroy(b);
}

/* ---- The queue ---- */

#define QUEUE_LEN 8

static void
queue_one_more(struct bed *b, int slots)
{
	struct st_request *req = b->arg;

	assert_true(slots > 0 && slots <= QUEUE_LEN);
	assert_int_equal(dev_st_queue_xmit(b->dev, req), 0);
}

static void
test_full_queue_gives_1_and_tells_when_there_is_space(void **state)
{
	static uint8_t mem[QUEUE_LEN + 1][512];
	struct st_buffer bufs[QUEUE_LEN + 1];
	struct st_request reqs[QUEUE_LEN + 1];
	struct bed *b = bed_create(&(struct bed_conf){.max_queue_len = QUEUE_LEN});
	unsigned i;

	for (i = 0; i <= QUEUE_LEN; i++) {
		bufs[i] = (struct st_buffer){.data = mem[i], .len = 512};
		reqs[i] = (struct st_request){.bufs = &bufs[i],
			.nb_bufs = 1,
			.op = WIRE_READ,
			.addr = i * 512u,
			.len = 512};
	}
	assert_int_equal(dev_st_get_max_queue_len(b->dev), QUEUE_LEN);
	for (i = 0; i < QUEUE_LEN; i++) {
		assert_int_equal(dev_st_get_current_queue_len(b->dev), i);
		bed_xmit(b, &reqs[i]);
	}
	assert_int_equal(dev_st_queue_xmit(b->dev, &reqs[QUEUE_LEN]), 1);
	assert_int_equal(dev_st_get_current_queue_len(b->dev), QUEUE_LEN);
	assert_int_equal(b->space_calls, 0);
	b->on_space = queue_one_more;
	b->arg = &reqs[QUEUE_LEN];
	bed_poll_until(b, b->completions == QUEUE_LEN + 1);
	/* Once: nobody was refused since. */
	assert_int_equal(b->space_calls, 1);
	assert_int_equal(dev_st_get_current_queue_len(b->dev), 0);
	for (i = 0; i <= QUEUE_LEN; i++)
		assert_memory_equal(mem[i], b->disk + i * 512u, 512);
	bed_destroy(b);
}

/* The same request is queued again from its own completion, many times over. */
static void
resubmit(struct bed *b, struct st_request *req, struct st_buffer *buf)
{
	unsigned *left = b->arg;

	assert_int_equal(buf->status, 0);
	if (*left == 0)
		return;
	(*left)--;
	req->addr = *left * 512u % b->size;
	assert_int_equal(dev_st_queue_xmit(b->dev, req), 0);
}

static void
test_completion_may_queue_the_request_again(void **state)
{
	static uint8_t mem[4096];
	struct bed *b = bed_create(&(struct bed_conf){.depth = 4, .max_queue_len = 4});
	struct st_buffer bufs[4];
	struct st_request reqs[4];
	unsigned left = 1000, i;

	b->on_complete = resubmit;
	b->arg = &left;
	for (i = 0; i < 4; i++) {
		bufs[i] = (struct st_buffer){.data = mem + i * 1024, .len = 1024};
		reqs[i] = (struct st_request){
			.bufs = &bufs[i], .nb_bufs = 1, .op = WIRE_READ, .len = 1024};
		bed_xmit(b, &reqs[i]);
	}
	bed_poll_until(b, b->completions == 1004);
	bed_destroy(b);
}

/* ---- Declustering ---- */

#define BIG (1u << 20)

struct order {
	struct st_request *req;
	unsigned nb;
	bool seen[4096];
};

static void
note_buffer(struct bed *b, struct st_request *req, struct st_buffer *buf)
{
	struct order *o = b->arg;
	size_t i = (size_t)(buf - req->bufs);

	assert_ptr_equal(req, o->req);
	assert_int_equal(buf->status, 0);
	assert_false(o->seen[i]);
	o->seen[i] = true;
	o->nb++;
	if (req->op == WIRE_READ)
		assert_memory_equal(buf->data,
			b->disk + req->addr + ((uint8_t *)buf->data - (uint8_t *)req->bufs[0].data),
			buf->len);
}

/* 1 MiB in buffers of odd sizes: the last one takes the rest. */
static uint32_t
cut_oddly(struct st_buffer *bufs, uint8_t *mem, uint32_t size)
{
	static const uint32_t sizes[] = {
		1, 511, 513, 4095, 4097, 7, 65537, 1408, 1409, 100000, 3, 8192};
	uint32_t off = 0, n = 0, len;

	while (off < size) {
		len = sizes[n % MPN_ARRAY_SIZE(sizes)];
		len = MPN_MIN(len, size - off);
		bufs[n++] = (struct st_buffer){.data = mem + off, .len = len};
		off += len;
	}
	return n;
}

static void
move_big(uint16_t mtu, uint8_t op, bool arena, bool mapped)
{
	struct bed *b = bed_create(&(struct bed_conf){.mtu = mtu, .mapped = mapped});
	struct st_buffer *bufs = calloc(4096, sizeof(*bufs));
	struct order *o = calloc(1, sizeof(*o));
	uint8_t *mem = arena ? st_arena_alloc(b->nics[0], BIG, 0) : malloc(BIG);
	struct st_request req = {.bufs = bufs, .op = op, .addr = 4096 * 3, .len = BIG};

	assert_non_null(mem);
	assert_int_equal(st_arena_owns(mem, BIG), arena);
	bed_fill(mem, BIG, 99);
	req.nb_bufs = cut_oddly(bufs, mem, BIG);
	o->req = &req;
	b->on_complete = note_buffer;
	b->arg = o;
	assert_int_equal(bed_run(b, &req), 0);
	assert_int_equal(o->nb, req.nb_bufs);
	assert_memory_equal(mem, b->disk + req.addr, BIG);
	if (op == WIRE_WRITE)
		bed_assert_filled(mem, BIG, 99);
	assert_true(b->started[op] >= BIG / WIRE_EBD_MAX_QUANTUM);
	if (arena)
		st_arena_free(mem);
	else
		free(mem);
	free(bufs);
	free(o);
	bed_destroy(b);
}

static void
test_a_mebibyte_in_odd_buffers(void **state)
{
	static const uint16_t mtus[] = {1500, 4200, 9000};
	unsigned i;

	for (i = 0; i < 24; i++)
		move_big(mtus[i % 3], i / 3 % 2 ? WIRE_READ : WIRE_WRITE, i / 6 % 2, i / 12);
}

static void
test_max_transfer_is_kept(void **state)
{
	static uint8_t mem[64 << 10];
	struct bed *b = bed_create(&(struct bed_conf){.max_transfer = 5000});

	assert_int_equal(bed_rw(b, WIRE_READ, mem, sizeof(mem), 0, 0), 0);
	/* 5000 holds nine blocks. */
	assert_int_equal(b->started[WIRE_READ], (sizeof(mem) + 4607) / 4608);
	assert_memory_equal(mem, b->disk, sizeof(mem));
	bed_destroy(b);
}

/* Buffers end in the order their data arrives, not in theirs. */
static void
test_buffers_complete_on_their_own(void **state)
{
	static uint8_t mem[2][128 << 10];
	struct st_buffer bufs[2] = {
		{.data = mem[0], .len = 128 << 10}, {.data = mem[1], .len = 128 << 10}};
	struct st_request req = {.bufs = bufs, .nb_bufs = 2, .op = WIRE_READ, .len = 256 << 10};
	struct bed *b = bed_create(&(struct bed_conf){0});
	struct order o = {.req = &req};

	b->on_complete = note_buffer;
	b->arg = &o;
	b->hold = true;
	bed_xmit(b, &req);
	bed_poll_until(b, b->nb_held == 2);
	/* The second command first. */
	st_target_io_done(b->target, b->held[1], -EIO);
	b->on_complete = NULL;
	bed_poll_until(b, b->completions == 1);
	assert_int_equal(bufs[1].status, -EIO);
	assert_int_equal(dev_st_get_current_queue_len(b->dev), 1);
	b->nb_held = 1;
	b->on_complete = note_buffer;
	bed_release(b);
	bed_poll_until(b, b->completions == 2);
	assert_int_equal(bufs[0].status, 0);
	assert_true(o.seen[0]);
	assert_int_equal(req.status, -EIO);
	bed_destroy(b);
}

/* ---- The end ---- */

static void
count_cancelled(struct bed *b, struct st_request *req, struct st_buffer *buf)
{
	unsigned *n = b->arg;

	assert_int_equal(buf != NULL ? buf->status : req->status, -ECANCELED);
	(*n)++;
}

static void
test_close_ends_every_buffer_once(void **state)
{
	static uint8_t mem[64][4096];
	struct st_buffer bufs[64];
	struct st_request reqs[32], big;
	struct st_buffer big_bufs[32];
	struct bed *b = bed_create(&(struct bed_conf){.depth = 4});
	unsigned cancelled = 0, i;

	b->hold = true;
	b->on_complete = count_cancelled;
	b->arg = &cancelled;
	/* One of many commands, of which some are under way and some not cut yet; then small ones. */
	for (i = 0; i < 32; i++)
		big_bufs[i] = (struct st_buffer){.data = malloc(65536), .len = 65536};
	big = (struct st_request){.bufs = big_bufs, .nb_bufs = 32, .op = WIRE_READ, .len = 2 << 20};
	bed_xmit(b, &big);
	for (i = 0; i < 32; i++) {
		bufs[i] = (struct st_buffer){.data = mem[i], .len = 4096};
		reqs[i] = (struct st_request){.bufs = &bufs[i],
			.nb_bufs = 1,
			.op = WIRE_WRITE,
			.len = 4096,
			.addr = i * 4096u};
		bed_xmit(b, &reqs[i]);
	}
	bed_poll_until(b, b->nb_held == 4);
	dev_st_shutdown(b->dev);
	assert_int_equal(dev_st_queue_xmit(b->dev, &reqs[0]), -ENOTCONN);
	/* The target does not say CLOSED while it has them in its back end; the device does not wait. */
	bed_poll_until(b, dev_st_is_closed(b->dev));
	assert_int_equal(cancelled, 64);
	assert_int_equal(dev_st_get_current_queue_len(b->dev), 0);
	bed_release(b);
	bed_poll(b);
	assert_int_equal(b->completions, 64);
	for (i = 0; i < 32; i++)
		free(big_bufs[i].data);
	bed_destroy(b);
}

static void
test_unloading_the_personality_ends_what_is_open(void **state)
{
	static uint8_t mem[4096];
	struct st_buffer buf = {.data = mem, .len = 4096};
	struct st_request req = {.bufs = &buf, .nb_bufs = 1, .op = WIRE_READ, .len = 4096};
	struct bed *b = bed_create(&(struct bed_conf){0});
	unsigned cancelled = 0;

	b->hold = true;
	b->on_complete = count_cancelled;
	b->arg = &cancelled;
	bed_xmit(b, &req);
	bed_poll_until(b, b->nb_held == 1);
	/* The server is deaf now: stop waits its time, then gives up the request. */
	assert_int_equal(mpn_personality_stop(b->pers[0]), 0);
	assert_int_equal(cancelled, 1);
	assert_int_equal(mpn_personality_unload(b->pers[0]), 0);
	assert_int_equal(dev_st_queue_xmit(b->dev, &req), -ENOTCONN);
	assert_false(dev_st_is_open(b->dev));
	bed_release(b);
	bed_destroy(b);
}

static void
test_stop_and_start_keep_the_session(void **state)
{
	static uint8_t mem[4096];
	struct bed *b = bed_create(&(struct bed_conf){0});
	struct st_request req = {.op = WIRE_FLUSH};
	unsigned side;

	for (side = 0; side < 2; side++) {
		assert_int_equal(mpn_personality_stop(b->pers[side]), 0);
		if (side == 0)
			assert_int_equal(dev_st_queue_xmit(b->dev, &req), -ENOTCONN);
		assert_int_equal(mpn_personality_start(b->pers[side]), 0);
		assert_int_equal(bed_rw(b, WIRE_READ, mem, 4096, 0, 0), 0);
	}
	assert_int_equal(b->nb_events[XFER_EV_OPENED], 1);
	bed_destroy(b);
}

static void
test_open_wants_a_started_personality_and_sane_values(void **state)
{
	char long_name[WIRE_EBD_NAME_LEN + 1];
	struct bed *b = bed_create(&(struct bed_conf){.no_target = true});

	memset(long_name, 'x', sizeof(long_name));
	long_name[WIRE_EBD_NAME_LEN] = '\0';
	errno = 0;
	assert_null(bed_open(b, long_name, NULL));
	assert_int_equal(errno, EINVAL);
	assert_null(bed_open(b, "", NULL));
	assert_int_equal(errno, EINVAL);
	b->conf.depth = XFER_MAX_DEPTH + 1;
	assert_null(bed_open(b, "disk", NULL));
	assert_int_equal(errno, EINVAL);
	b->conf.depth = 0;
	assert_int_equal(mpn_personality_stop(b->pers[0]), 0);
	assert_null(bed_open(b, "disk", NULL));
	assert_int_equal(errno, ENODEV);
	bed_destroy(b);
}

static void
test_second_client_with_the_same_uuid_fences_the_first(void **state)
{
	static const uint8_t uuid[16] = {1, 2, 3};
	static uint8_t mem[4096];
	struct st_buffer buf = {.data = mem, .len = 4096};
	struct st_request req = {.bufs = &buf, .nb_bufs = 1, .op = WIRE_READ, .len = 4096};
	struct bed *b = bed_create(&(struct bed_conf){0});
	struct net_st_device *first, *second;

	first = bed_open(b, "disk", uuid);
	bed_poll_until(b, b->nb_events[XFER_EV_OPENED] == 2);
	bed_poll_alone(b, 0, 2); /* the clock that names starts has a resolution of 1 ms */
	second = bed_open(b, "disk", uuid);
	bed_poll_until(b, b->nb_events[XFER_EV_OPENED] == 3);
	assert_int_equal(dev_st_queue_xmit(first, &req), 0);
	bed_poll_until(b, b->completions == 1);
	assert_int_equal(buf.status, -ESTALE);
	assert_int_equal(b->nb_events[XFER_EV_REFUSED], 1);
	assert_int_equal(dev_st_queue_xmit(first, &req), -ESTALE);
	assert_int_equal(dev_st_queue_xmit(second, &req), 0);
	bed_poll_until(b, b->completions == 2);
	assert_int_equal(buf.status, 0);
	dev_st_shutdown(second);
	bed_poll_until(b, dev_st_is_closed(second));
	dev_st_close(second);
	dev_st_close(first);
	bed_destroy(b);
}

/* Queues of one start of a client open again on their own: the tries of one say nothing of another. */
static void
test_queues_of_one_client_live_side_by_side(void **state)
{
	static const uint64_t start = 5ull << XFER_NONCE_TRY_BITS;
	static const uint64_t nonces[] = {start + 7, start + 100, start, start + 3};
	static const uint8_t uuid[16] = {4, 5, 6};
	struct bed *b = bed_create(&(struct bed_conf){0});
	struct net_st_device *dev[MPN_ARRAY_SIZE(nonces) + 1];
	const struct xfer_stats *s = xfer_tgt_stats(st_target_xfer(b->target));
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(nonces); i++) {
		b->conf.nonce = nonces[i];
		b->conf.queue = (uint16_t)i;
		dev[i] = bed_open(b, "disk", uuid);
		bed_poll_until(b, b->nb_events[XFER_EV_OPENED] == i + 2);
	}
	assert_int_equal(s->fenced, 0);
	assert_int_equal(b->nb_events[XFER_EV_REFUSED], 0);
	/* The next start of the client ends them all, also those with more tries than it has. */
	b->conf.nonce = start + (1ull << XFER_NONCE_TRY_BITS);
	b->conf.queue = 0;
	dev[i] = bed_open(b, "disk", uuid);
	bed_poll_until(b, b->nb_events[XFER_EV_OPENED] == i + 2);
	assert_int_equal(s->fenced, i);
	for (i = 0; i < MPN_ARRAY_SIZE(dev); i++) {
		dev_st_shutdown(dev[i]);
		bed_poll_until(b, dev_st_is_closed(dev[i]));
		dev_st_close(dev[i]);
	}
	bed_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens_and_says_what_the_volume_is),
		cmocka_unit_test(test_read_and_write_round_trip),
		cmocka_unit_test(test_requests_without_data),
		cmocka_unit_test(test_bad_requests_are_refused_and_nothing_is_taken),
		cmocka_unit_test(test_what_the_volume_cannot_do),
		cmocka_unit_test(test_errors_of_the_volume_reach_each_buffer),
		cmocka_unit_test(test_full_queue_gives_1_and_tells_when_there_is_space),
		cmocka_unit_test(test_completion_may_queue_the_request_again),
		cmocka_unit_test(test_a_mebibyte_in_odd_buffers),
		cmocka_unit_test(test_max_transfer_is_kept),
		cmocka_unit_test(test_buffers_complete_on_their_own),
		cmocka_unit_test(test_close_ends_every_buffer_once),
		cmocka_unit_test(test_unloading_the_personality_ends_what_is_open),
		cmocka_unit_test(test_stop_and_start_keep_the_session),
		cmocka_unit_test(test_open_wants_a_started_personality_and_sane_values),
		cmocka_unit_test(test_second_client_with_the_same_uuid_fences_the_first),
		cmocka_unit_test(test_queues_of_one_client_live_side_by_side),
	};

	return cmocka_run_group_tests_name("storage device", tests, bed_start_eal, bed_stop_eal);
}
