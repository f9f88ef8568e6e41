/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the two ends know of how long they will have to wait. */

#include "bench.h"

#define MS_NS 1000000ull
#define DEPTH 4

static struct {
	struct ebd_io io[DEPTH];
	uint8_t mem[DEPTH][4096];
	unsigned done;
} reads;

static void
count_done(struct ebd_io *io, int status, void *arg)
{
	assert_int_equal(status, 0);
	reads.done++;
}

static void
read_all(struct ebd_queue *q)
{
	struct ebd_io *ios[DEPTH];

	reads.done = 0;
	for (unsigned i = 0; i < DEPTH; i++) {
		ios[i] = &reads.io[i];
		ebd_prep_read(ios[i], reads.mem[i], sizeof(reads.mem[i]), i * 4096u);
		ebd_io_set_callback(ios[i], count_done, NULL);
	}
	assert_int_equal(ebd_submit_burst(q, ios, DEPTH), DEPTH);
}

static void
test_server_knows_how_long_volumes_take(void **state)
{
	struct bench *b = bench_create(NULL, NULL,
		(const char *const[]){"slow", "delay:read=20ms:mem:1M", "fast", "mem:1M", NULL});
	struct ebd_queue *q = bench_open(b, "slow");
	struct ebd_queue *fast = bench_open(b, "fast");
	uint8_t mem[512];

	assert_int_equal(ebd_server_answer_ns(b->server), 0);
	for (unsigned i = 0; i < 40; i++) {
		read_all(q);
		bench_poll_until(b, q, reads.done == DEPTH);
	}
	/* Nothing is under way. */
	(void)bench_poll(b, q);
	assert_int_equal(server_in_volumes(b->server), 0);
	assert_int_equal(ebd_server_answer_ns(b->server), 0);
	read_all(q);
	bench_poll_until(b, q, ebd_server_answer_ns(b->server) > 0);
	assert_int_equal(server_in_volumes(b->server), DEPTH);
	assert_in_range(ebd_server_answer_ns(b->server), 10 * MS_NS, 1000 * MS_NS);
	/* Whoever has other things to do does not wait for it. */
	while (reads.done < DEPTH && ebd_server_answer_ns(b->server) >= MS_NS)
		assert_int_equal(ebd_pread(fast, mem, sizeof(mem), 0), sizeof(mem));
	assert_int_equal(reads.done, 0);
	bench_poll_until(b, q, reads.done == DEPTH);
	ebd_queue_close(fast);
	ebd_queue_close(q);
	bench_destroy(b);
}

static void
test_client_knows_how_long_answers_take(void **state)
{
	struct bench *b = bench_create(NULL, &(struct ebd_client_conf){.idle = EBD_IDLE_SLEEP},
		(const char *const[]){"slow", "delay:read=5ms:mem:1M", "disk", "mem:1M", NULL});
	struct ebd_queue *q = bench_open(b, "slow");
	struct ebd_queue *other = bench_open(b, "disk");

	for (unsigned i = 0; i < 20; i++) {
		read_all(q);
		bench_poll_until(b, q, reads.done == DEPTH);
	}
	ebd_client_idle(b->client, 0);
	assert_int_equal(b->client->idler.answer_ns, 0);
	read_all(q);
	ebd_client_idle(b->client, 0);
	assert_in_range(b->client->idler.answer_ns, 3 * MS_NS, 1000 * MS_NS);
	bench_poll_until(b, q, reads.done == DEPTH);
	ebd_queue_close(other);
	ebd_queue_close(q);
	bench_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_knows_how_long_volumes_take),
		cmocka_unit_test(test_client_knows_how_long_answers_take),
	};

	return cmocka_run_group_tests_name("ebd idling", tests, bench_start_eal, bench_stop_eal);
}
