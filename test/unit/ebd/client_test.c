/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The client library against a server in the same process. */

#include "bench.h"

static const char *const one_disk[] = {"disk", "mem:8M", NULL};

static void
test_synchronous_calls(void **state)
{
	static uint8_t data[256 << 10], back[256 << 10];
	struct bench *b = bench_create(NULL, NULL, one_disk);
	struct ebd_queue *q = bench_open(b, "disk");
	struct ebd_stats st;

	bench_fill(data, sizeof(data), 1);
	assert_int_equal(ebd_pwrite(q, data, sizeof(data), 4096, 0), sizeof(data));
	assert_int_equal(ebd_pread(q, back, sizeof(back), 4096), sizeof(back));
	assert_memory_equal(data, back, sizeof(data));
	assert_int_equal(ebd_pwrite(q, data, 512, 0, EBD_FUA), 512);
	assert_int_equal(ebd_flush(q), 0);
	assert_int_equal(ebd_write_zeroes(q, 8192, 4096, EBD_NOHOLE), 0);
	assert_int_equal(ebd_pread(q, back, 4096, 8192), 4096);
	memset(data, 0, 4096);
	assert_memory_equal(back, data, 4096);
	assert_int_equal(ebd_discard(q, 1 << 20, 1 << 20), 0);
	assert_int_equal(ebd_pread(q, back, 0, 0), 0);

	assert_int_equal(ebd_pread(q, back, 100, 0), -EINVAL);
	assert_int_equal(ebd_pread(q, back, 512, 8 << 20), -EINVAL);
	assert_int_equal(ebd_pwrite(q, back, 512, 0, EBD_FAST), -EINVAL);
	assert_int_equal(ebd_pwrite(q, back, 512, 0, 0x80), -EINVAL);
	assert_int_equal(ebd_pwrite(q, NULL, 512, 0, 0), -EINVAL);

	ebd_queue_stats(q, &st);
	assert_int_equal(st.reads, 2);
	assert_int_equal(st.read_bytes, sizeof(data) + 4096);
	assert_int_equal(st.writes, 2);
	assert_int_equal(st.write_bytes, sizeof(data) + 512);
	assert_int_equal(st.others, 3);
	assert_int_equal(st.errors, 0);
	/* On a busy machine an answer may come twice. */
	assert_true(st.drops == 0 || st.retransmits > 0);
	ebd_queue_close(q);
	bench_destroy(b);
}

static void
test_info(void **state)
{
	struct bench *b = bench_create(NULL, &(struct ebd_client_conf){.mtu = 1500},
		(const char *const[]){"disk", "readonly:mem:8M", NULL});
	struct ebd_queue *q = bench_open(b, "disk");
	struct ebd_info info;

	ebd_queue_info(q, &info);
	assert_string_equal(info.name, "disk");
	assert_int_equal(info.size, 8 << 20);
	assert_int_equal(info.block_size, 512);
	assert_int_equal(info.payload_unit, WIRE_EBD_P_SMALL);
	assert_int_equal(info.max_transfer, 64 * WIRE_EBD_P_SMALL);
	assert_int_equal(info.depth, 32);
	assert_true(info.read_only);
	assert_false(info.can_write_zeroes);
	assert_false(info.crc);
	assert_int_equal(ebd_pwrite(q, &info, 512, 0, 0), -EROFS);
	assert_int_equal(ebd_write_zeroes(q, 0, 512, 0), -EROFS);
	ebd_queue_close(q);
	bench_destroy(b);
}

static void
test_checksums_when_asked_for(void **state)
{
	static uint8_t data[64 << 10], back[64 << 10];
	struct bench *b = bench_create(NULL, NULL, one_disk);
	struct ebd_queue *q =
		ebd_queue_open(b->client, &(struct ebd_queue_conf){.volume = "disk", .crc = 1});
	struct ebd_stats st;
	struct ebd_info info;

	assert_non_null(q);
	ebd_queue_info(q, &info);
	assert_true(info.crc);
	bench_fill(data, sizeof(data), 2);
	assert_int_equal(ebd_pwrite(q, data, sizeof(data), 0, 0), sizeof(data));
	assert_int_equal(ebd_pread(q, back, sizeof(back), 0), sizeof(back));
	assert_memory_equal(data, back, sizeof(data));
	ebd_queue_stats(q, &st);
	/* On a busy machine an answer may come twice. */
	assert_true(st.drops == 0 || st.retransmits > 0);
	ebd_queue_close(q);
	bench_destroy(b);
}

/* ---- Vectors ---- */

static void
note_status(struct ebd_io *io, int status, void *arg)
{
	int *out = arg;

	assert_int_equal(*out, 1);
	*out = status;
}

static void
test_vectors(void **state)
{
	static uint8_t a[1000], c[7000], e[192];
	struct iovec iov[EBD_IOV_MAX + 1] = {
		{a, sizeof(a)}, {NULL, 0}, {c, sizeof(c)}, {e, sizeof(e)}};
	struct bench *b = bench_create(NULL, NULL, one_disk);
	struct ebd_queue *q = bench_open(b, "disk");
	static uint8_t data[8192], flat[8192];
	struct ebd_io io, *ios[] = {&io};
	int status = 1;

	bench_fill(data, sizeof(data), 3);
	memcpy(a, data, sizeof(a));
	memcpy(c, data + 1000, sizeof(c));
	memcpy(e, data + 8000, sizeof(e));
	ebd_prep_writev(&io, iov, 4, 512, 0);
	ebd_io_set_callback(&io, note_status, &status);
	assert_int_equal(ebd_submit_burst(q, ios, 1), 1);
	assert_int_equal(status, 1);
	bench_poll_until(b, q, status != 1);
	assert_int_equal(status, 0);
	assert_int_equal(ebd_pread(q, flat, sizeof(flat), 512), sizeof(flat));
	assert_memory_equal(flat, data, sizeof(flat));

	memset(c, 0, sizeof(c));
	status = 1;
	ebd_prep_readv(&io, iov, 4, 512);
	ebd_io_set_callback(&io, note_status, &status);
	assert_int_equal(ebd_submit_burst(q, ios, 1), 1);
	bench_poll_until(b, q, status != 1);
	assert_memory_equal(c, data + 1000, sizeof(c));

	ebd_prep_readv(&io, iov, EBD_IOV_MAX + 1, 0);
	assert_int_equal(ebd_submit_burst(q, ios, 1), 0);
	assert_int_equal(errno, EINVAL);
	ebd_prep_readv(&io, NULL, 2, 0);
	assert_int_equal(ebd_submit_burst(q, ios, 1), 0);
	assert_int_equal(errno, EINVAL);
	ebd_prep_readv(&io, iov, 0, 0);
	assert_int_equal(ebd_submit_burst(q, ios, 1), 0);
	assert_int_equal(errno, EINVAL);
	ebd_queue_close(q);
	bench_destroy(b);
}

/* ---- Bursts ---- */

#define BURST 64

struct load {
	struct ebd_queue *q;
	struct ebd_io ios[BURST];
	uint8_t *mem;
	unsigned done;
	unsigned errors;
	int want;
};

static void
count_done(struct ebd_io *io, int status, void *arg)
{
	struct load *l = arg;

	l->done++;
	if (status != l->want)
		l->errors++;
}

static unsigned
submit_load(struct load *l, unsigned n)
{
	struct ebd_io *ios[BURST];
	unsigned i;

	for (i = 0; i < n; i++) {
		ios[i] = &l->ios[i];
		ebd_prep_read(ios[i], l->mem + i * 4096, 4096, i * 4096u);
		ebd_io_set_callback(ios[i], count_done, l);
	}
	return ebd_submit_burst(l->q, ios, n);
}

static void
test_burst_takes_what_it_can(void **state)
{
	struct bench *b = bench_create(NULL, NULL, one_disk);
	struct load l = {.mem = ebd_arena_alloc(b->client, BURST * 4096)};
	struct ebd_stats st;

	assert_non_null(l.mem);
	l.q = ebd_queue_open(
		b->client, &(struct ebd_queue_conf){.volume = "disk", .max_queued = 40});
	assert_non_null(l.q);
	assert_int_equal(submit_load(&l, BURST), 40);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(ebd_in_flight(l.q), 40);
	assert_int_equal(l.done, 0);
	bench_poll_until(b, l.q, l.done == 40);
	assert_int_equal(ebd_in_flight(l.q), 0);
	assert_int_equal(l.errors, 0);
	ebd_queue_stats(l.q, &st);
	assert_int_equal(st.reads, 40);
	/* By copy, once: what came in, and nothing else. */
	assert_int_equal(st.payload_bytes, 40 * 4096);
	assert_int_equal(st.copied_bytes, 40 * 4096);
	ebd_queue_close(l.q);
	ebd_arena_free(l.mem);
	bench_destroy(b);
}

/* ---- Loans ---- */

static void
note_end(struct ebd_io *io, int status, void *arg)
{
	*(int *)arg = status;
}

static int
borrow(struct bench *b, struct ebd_queue *q, struct ebd_io *io, size_t len, uint64_t off)
{
	int status = 1;

	ebd_prep_read_loan(io, len, off);
	ebd_io_set_callback(io, note_end, &status);
	if (ebd_submit_burst(q, &io, 1) != 1)
		return -errno;
	assert_int_equal(ebd_loan_iov(io, NULL, 0), 0);
	bench_poll_until(b, q, status != 1);
	return status;
}

static void
test_loans(void **state)
{
	struct bench *b =
		bench_create(NULL, &(struct ebd_client_conf){.loan_frames = 20}, one_disk);
	struct ebd_queue *q = bench_open(b, "disk");
	struct iovec iov[EBD_LOAN_PIECES];
	struct ebd_io io, other;
	uint8_t want[8192];
	struct ebd_stats st;
	int nb, i;

	bench_fill(want, sizeof(want), 3);
	for (i = 0; i < 16; i++)
		assert_int_equal(ebd_pwrite(q, want, 8192, (uint64_t)i * 8192, 0), 8192);
	assert_int_equal(borrow(b, q, &io, 128 << 10, 0), 0);
	nb = ebd_loan_iov(&io, iov, EBD_LOAN_PIECES);
	assert_int_equal(nb, 16);
	for (i = 0; i < nb; i++) {
		assert_int_equal(iov[i].iov_len, 8192);
		assert_memory_equal(iov[i].iov_base, want, 8192);
	}
	ebd_queue_stats(q, &st);
	assert_int_equal(st.loaned_bytes + st.copied_bytes, st.payload_bytes);
	assert_int_equal(borrow(b, q, &other, 64 << 10, 0), -ENOBUFS);
	assert_int_equal(ebd_pread(q, want, 8192, 8192), 8192);
	ebd_loan_put(&io);
	assert_int_equal(ebd_loan_iov(&io, iov, EBD_LOAN_PIECES), 0);
	assert_int_equal(borrow(b, q, &other, 64 << 10, 0), 0);
	ebd_loan_put(&other);
	/* More than one transfer. */
	assert_int_equal(borrow(b, q, &io, 256 << 10, 0), -EINVAL);
	ebd_queue_close(q);
	bench_destroy(b);
}

/* Callbacks that submit the same io again. */
static void
read_again(struct ebd_io *io, int status, void *arg)
{
	struct load *l = arg;
	unsigned i = (unsigned)(io - l->ios);

	assert_int_equal(status, 0);
	if (++l->done > 2000)
		return;
	ebd_prep_read(io, l->mem + i * 4096, 4096, (l->done * 7 % 2048) * 4096u);
	ebd_io_set_callback(io, read_again, l);
	assert_int_equal(ebd_submit_burst(l->q, &io, 1), 1);
}

static void
test_callback_submits_again(void **state)
{
	struct bench *b = bench_create(NULL, NULL, one_disk);
	struct load l = {.q = bench_open(b, "disk"), .mem = malloc(BURST * 4096)};
	struct ebd_io *ios[8];
	unsigned i;

	for (i = 0; i < 8; i++) {
		ios[i] = &l.ios[i];
		ebd_prep_read(ios[i], l.mem + i * 4096, 4096, 0);
		ebd_io_set_callback(ios[i], read_again, &l);
	}
	assert_int_equal(ebd_submit_burst(l.q, ios, 8), 8);
	bench_poll_until(b, l.q, l.done == 2008);
	ebd_queue_close(l.q);
	free(l.mem);
	bench_destroy(b);
}

static void
wait_in_callback(struct ebd_io *io, int status, void *arg)
{
	struct load *l = arg;
	uint8_t block[512];

	l->done++;
	assert_int_equal(ebd_pread(l->q, block, sizeof(block), 0), -EDEADLK);
	assert_int_equal(ebd_poll(l->q, 0), 0);
	ebd_queue_close(l->q); /* does nothing but complain */
}

static void
test_waiting_inside_a_callback_is_refused(void **state)
{
	struct bench *b = bench_create(NULL, NULL, one_disk);
	struct load l = {.q = bench_open(b, "disk"), .mem = malloc(4096)};
	struct ebd_io *io = &l.ios[0];

	bench_hush();
	ebd_prep_read(io, l.mem, 512, 0);
	ebd_io_set_callback(io, wait_in_callback, &l);
	assert_int_equal(ebd_submit_burst(l.q, &io, 1), 1);
	bench_poll_until(b, l.q, l.done == 1);
	assert_non_null(strstr(ebd_last_error(), "callback"));
	bench_unhush();
	ebd_queue_close(l.q);
	free(l.mem);
	bench_destroy(b);
}

static void
test_close_with_requests_in_flight(void **state)
{
	struct bench *b = bench_create(
		NULL, NULL, (const char *const[]){"slow", "delay:read=300ms:mem:8M", NULL});
	struct load l = {
		.q = bench_open(b, "slow"), .mem = malloc(BURST * 4096), .want = -ECANCELED};

	assert_int_equal(submit_load(&l, BURST), BURST);
	(void)bench_poll(b, l.q);
	ebd_queue_close(l.q);
	assert_int_equal(l.done, BURST);
	assert_int_equal(l.errors, 0);
	free(l.mem);
	bench_destroy(b);
}

/* ---- Queues ---- */

static void
test_several_queues(void **state)
{
	static uint8_t mem[4][4096], back[4096];
	struct bench *b =
		bench_create(NULL, NULL, (const char *const[]){"a", "mem:1M", "b", "mem:2M", NULL});
	struct ebd_queue *q[4];
	struct ebd_server_stats st;
	struct ebd_stats qs;
	unsigned i;

	for (i = 0; i < 4; i++)
		q[i] = bench_open(b, i % 2 == 0 ? "a" : "b");
	ebd_server_get_stats(b->server, &st);
	assert_int_equal(st.sessions, 4);
	for (i = 0; i < 4; i++) {
		bench_fill(mem[i], 4096, i);
		assert_int_equal(ebd_pwrite(q[i], mem[i], 4096, i * 4096, 0), 4096);
	}
	/* Queues of one volume see each other's writes; volumes are apart. */
	for (i = 0; i < 4; i++) {
		assert_int_equal(ebd_pread(q[(i + 2) % 4], back, 4096, i * 4096), 4096);
		assert_memory_equal(back, mem[i], 4096);
		assert_int_equal(ebd_pread(q[(i + 1) % 4], back, 4096, i * 4096), 4096);
		assert_memory_not_equal(back, mem[i], 4096);
	}
	for (i = 0; i < 4; i++) {
		ebd_queue_stats(q[i], &qs);
		assert_int_equal(qs.reconnects, 0);
		assert_int_equal(qs.writes, 1);
	}
	/* A queue that is closed leaves the others alone, and another one can be opened. */
	ebd_queue_close(q[1]);
	q[1] = bench_open(b, "b");
	assert_int_equal(ebd_pread(q[1], back, 4096, 4096), 4096);
	assert_memory_equal(back, mem[1], 4096);
	for (i = 0; i < 3; i++)
		ebd_queue_close(q[i]);
	/* The client closes what is left. */
	bench_destroy(b);
}

static void
test_open_refuses_nonsense(void **state)
{
	char name[EBD_NAME_LEN + 1];
	struct bench *b = bench_create(NULL, NULL, one_disk);

	memset(name, 'n', sizeof(name));
	name[EBD_NAME_LEN] = '\0';
	bench_hush();
	assert_null(ebd_queue_open(b->client, &(struct ebd_queue_conf){.volume = name}));
	assert_int_equal(errno, EINVAL);
	assert_null(ebd_queue_open(b->client, &(struct ebd_queue_conf){0}));
	assert_int_equal(errno, EINVAL);
	assert_null(ebd_queue_open(
		b->client, &(struct ebd_queue_conf){.volume = "disk", .depth = EBD_DEPTH_MAX + 1}));
	assert_int_equal(errno, EINVAL);
	assert_non_null(strstr(ebd_last_error(), "257"));
	assert_null(ebd_client_create(&(struct ebd_client_conf){0}));
	assert_int_equal(errno, EINVAL);
	assert_null(ebd_client_create(&(struct ebd_client_conf){.link = "nosuch:x"}));
	assert_int_equal(errno, EINVAL);
	assert_non_null(strstr(ebd_last_error(), "nosuch"));
	bench_unhush();
	bench_destroy(b);
}

static void
test_volume_that_is_not_there(void **state)
{
	struct bench *b = bench_create(NULL, NULL, one_disk);
	uint64_t start = ebd_now_ns();

	bench_hush();
	assert_null(ebd_queue_open(b->client, &(struct ebd_queue_conf){.volume = "other"}));
	assert_int_equal(errno, ENOENT);
	assert_non_null(strstr(ebd_last_error(), "other"));
	/* Long before the ten seconds a connection may take. */
	assert_true(ebd_now_ns() - start < 5 * XFER_NSEC_PER_SEC);
	bench_unhush();
	bench_destroy(b);
}

static void
test_nobody_there(void **state)
{
	struct bench *b =
		bench_create(NULL, &(struct ebd_client_conf){.connect_timeout_ms = 400}, NULL);
	uint64_t start = ebd_now_ns();
	struct ebd_advert adverts[4];

	bench_hush();
	assert_null(ebd_queue_open(b->client, &(struct ebd_queue_conf){.volume = "disk"}));
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(ebd_discover(b->client, adverts, 4, 100), -ETIMEDOUT);
	assert_non_null(strstr(ebd_last_error(), "ring:bench"));
	assert_true(ebd_now_ns() - start >= 500 * 1000000ull);
	bench_unhush();
	bench_destroy(b);
}

static void
test_background_can_give_up(void **state)
{
	static uint8_t mem[4096];
	struct bench *b = bench_create(
		NULL, NULL, (const char *const[]){"slow", "delay:read=3s:mem:8M", NULL});
	struct ebd_queue *q = bench_open(b, "slow");

	bench_hush();
	assert_true(b->rounds > 0);
	b->give_up = -EINTR;
	assert_int_equal(ebd_pread(q, mem, sizeof(mem), 0), -EINTR);
	/* Nothing of it is left: not in the client, whatever the volume does. */
	assert_int_equal(ebd_in_flight(q), 0);
	assert_null(ebd_queue_open(b->client, &(struct ebd_queue_conf){.volume = "slow"}));
	assert_int_equal(errno, EINTR);
	assert_int_equal(ebd_discover(b->client, NULL, 0, 0), -EINTR);
	bench_unhush();
	ebd_queue_close(q);
	b->give_up = 0;
	bench_destroy(b);
}

/* ---- Discovery ---- */

static void
test_discover(void **state)
{
	static const char *const volumes[] = {
		"a", "mem:1M", "b", "readonly:mem:2M", "c", "null:1G", NULL};
	struct bench *b = bench_create(NULL, NULL, volumes);
	struct ebd_queue *q = bench_open(b, "a");
	struct ebd_advert adverts[8];
	int i, n;

	n = ebd_discover(b->client, adverts, 8, 0);
	assert_int_equal(n, 3);
	for (i = 0; i < n; i++)
		assert_string_equal(adverts[i].name, volumes[2 * i]);
	assert_int_equal(adverts[0].size, 1 << 20);
	assert_int_equal(adverts[1].size, 2 << 20);
	assert_int_equal(adverts[0].block_size, 512);
	assert_false(adverts[0].read_only);
	assert_true(adverts[1].read_only);
	assert_memory_equal(adverts[0].target_uuid, adverts[2].target_uuid, 16);
	/* Room for fewer than there are. */
	memset(adverts, 0, sizeof(adverts));
	assert_int_equal(ebd_discover(b->client, adverts, 1, 0), 3);
	assert_string_equal(adverts[0].name, "a");
	assert_string_equal(adverts[1].name, "");
	ebd_queue_close(q);
	bench_destroy(b);
}

static void
test_discover_more_than_a_frame_holds(void **state)
{
	struct bench *b = bench_create(NULL, NULL, (const char *const[]){NULL});
	struct ebd_advert adverts[SERVER_MAX_EXPORTS];
	char name[16];
	int i, n;

	assert_true(SERVER_MAX_EXPORTS > 2 * WIRE_ADVERT_VOLUMES);
	for (i = 0; i < SERVER_MAX_EXPORTS; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		assert_int_equal(ebd_export_add(b->server, name, "null:1M"), 0);
	}
	n = ebd_discover(b->client, adverts, SERVER_MAX_EXPORTS, 0);
	assert_int_equal(n, SERVER_MAX_EXPORTS);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		assert_string_equal(adverts[i].name, name);
	}
	bench_destroy(b);

	/* A server without volumes is somebody, too. */
	b = bench_create(NULL, NULL, (const char *const[]){NULL});
	assert_int_equal(ebd_discover(b->client, adverts, 1, 0), 0);
	bench_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_synchronous_calls),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_checksums_when_asked_for),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_burst_takes_what_it_can),
		cmocka_unit_test(test_loans),
		cmocka_unit_test(test_callback_submits_again),
		cmocka_unit_test(test_waiting_inside_a_callback_is_refused),
		cmocka_unit_test(test_close_with_requests_in_flight),
		cmocka_unit_test(test_several_queues),
		cmocka_unit_test(test_open_refuses_nonsense),
		cmocka_unit_test(test_volume_that_is_not_there),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_background_can_give_up),
		cmocka_unit_test(test_discover),
		cmocka_unit_test(test_discover_more_than_a_frame_holds),
	};

	return cmocka_run_group_tests_name("ebd client", tests, bench_start_eal, bench_stop_eal);
}
