/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <sched.h>

#include "bench.h"

int
bench_start_eal(void **state)
{
	struct mpn_eal_conf conf = {
		.prog = "test", .link = "ring:x", .lcore = -1, .no_huge = true, .mem_mib = 768};

	return mpn_eal_start(&conf);
}

int
bench_stop_eal(void **state)
{
	mpn_eal_stop();
	return 0;
}

static unsigned
poll_server(struct bench *b)
{
	unsigned work = b->own_nic != NULL ? mpn_nic_poll(b->own_nic) : 0;

	if (b->server != NULL && !b->server_sleeps)
		work += ebd_server_poll(b->server);
	return work;
}

static int
background(void *arg)
{
	struct bench *b = arg;
	int work = (int)poll_server(b);

	b->rounds++;
	return b->give_up != 0 ? b->give_up : work;
}

void
bench_start_server(struct bench *b, const char *const *volumes)
{
	b->server = ebd_server_create(&b->server_conf);
	assert_non_null(b->server);
	assert_int_equal(ebd_server_link_add(b->server, b->link), 0);
	for (; *volumes != NULL; volumes += 2)
		assert_int_equal(ebd_export_add(b->server, volumes[0], volumes[1]), 0);
}

void
bench_stop_server(struct bench *b)
{
	ebd_server_destroy(b->server);
	b->server = NULL;
}

struct bench *
bench_create(const struct ebd_server_conf *sc, const struct ebd_client_conf *cc,
	const char *const *volumes)
{
	static unsigned serial;
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	snprintf(b->link, sizeof(b->link), "ring:bench%u", serial++);
	if (sc != NULL)
		b->server_conf = *sc;
	if (cc != NULL)
		b->client_conf = *cc;
	if (volumes != NULL)
		bench_start_server(b, volumes);
	b->client_conf.link = b->link;
	b->client_conf.background = background;
	b->client_conf.background_arg = b;
	if (b->client_conf.connect_timeout_ms == 0)
		b->client_conf.connect_timeout_ms = 10000;
	b->client = ebd_client_create(&b->client_conf);
	assert_non_null(b->client);
	return b;
}

void
bench_destroy(struct bench *b)
{
	b->give_up = 0;
	b->server_sleeps = false;
	ebd_client_destroy(b->client);
	ebd_server_destroy(b->server);
	assert_int_equal(st_arena_reap(), 0);
	free(b);
}

struct ebd_queue *
bench_open(struct bench *b, const char *volume)
{
	struct ebd_queue *q = ebd_queue_open(b->client, &(struct ebd_queue_conf){.volume = volume});

	assert_non_null(q);
	return q;
}

int
bench_poll(struct bench *b, struct ebd_queue *q)
{
	int n = ebd_poll(q, 0);
	unsigned work = poll_server(b);

	if (n <= 0 && work == 0)
		(void)sched_yield();
	return n;
}

void
bench_fill(void *mem, size_t len, uint32_t seed)
{
	uint8_t *p = mem;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 151 + (i >> 9) * 29 + seed * 61 + 3);
}

static void
drop_line(enum mpn_log_level level, const char *topic, const char *line)
{
}

void
bench_hush(void)
{
	mpn_log_set_sink(drop_line);
}

void
bench_unhush(void)
{
	mpn_log_set_sink(NULL);
}
