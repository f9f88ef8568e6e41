/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A volume is there for those on its list, and for nobody else. */

#include "bench.h"

static const struct ebd_access us = {.client_uuid = {1, 2, 3}};
static const struct ebd_access other = {.client_uuid = {1, 2, 4}};

static struct bench *
make_bench(void)
{
	const struct ebd_client_conf cc = {.client_uuid = {1, 2, 3}, .connect_timeout_ms = 300};
	struct bench *b = bench_create(NULL, &cc,
		(const char *const[]){"first", "mem:1M", "disk", "mem:1M", "last", "mem:1M", NULL});

	assert_non_null(b);
	return b;
}

/* Does a client that asks for all see the volume, and how many are there? */
static bool
sees(struct bench *b, const char *volume, int expect)
{
	struct ebd_advert adverts[4];
	int n = ebd_discover(b->client, adverts, MPN_ARRAY_SIZE(adverts), 1000), i;

	assert_int_equal(n, expect);
	for (i = 0; i < n; i++) {
		if (strcmp(adverts[i].name, volume) == 0)
			return true;
	}
	return false;
}

static struct ebd_queue *
try_open(struct bench *b, const uint8_t target[6])
{
	struct ebd_queue_conf conf = {.volume = "disk", .fail_after_ms = 200};
	struct ebd_queue *q;

	if (target != NULL)
		memcpy(conf.target_mac, target, 6);
	bench_hush();
	q = ebd_queue_open(b->client, &conf);
	bench_unhush();
	return q;
}

/* Neither by asking who has it nor at the door of its server. */
static void
expect_hidden(struct bench *b)
{
	struct mpn_nic_info info;

	assert_false(sees(b, "disk", 2));
	assert_true(sees(b, "last", 2));
	assert_null(try_open(b, NULL));
	mpn_nic_get_info(b->server->nics[0].nic, &info);
	assert_null(try_open(b, info.mac));
	assert_int_equal(errno, ENOENT);
}

static void
expect_usable(struct bench *b)
{
	struct ebd_queue *q;
	static uint8_t mem[4096];

	assert_true(sees(b, "disk", 3));
	q = try_open(b, NULL);
	assert_non_null(q);
	assert_int_equal(ebd_pwrite(q, mem, sizeof(mem), 0, 0), sizeof(mem));
	ebd_queue_close(q);
}

static void
only_the_listed_see_it(void **state)
{
	struct bench *b = make_bench();
	struct ebd_access both = us;
	struct mpn_nic_info info;

	expect_usable(b);
	assert_int_equal(ebd_export_allow(b->server, "disk", &other), 0);
	expect_hidden(b);
	assert_int_equal(ebd_export_allow(b->server, "disk", &us), 0);
	assert_int_equal(ebd_export_allow(b->server, "disk", &us), 0);
	expect_usable(b);
	assert_int_equal(ebd_export_deny(b->server, "disk", &us), 0);
	expect_hidden(b);
	/* The right UUID from the wrong address, and from the right one. */
	both.mac[5] = 0x99;
	assert_int_equal(ebd_export_allow(b->server, "disk", &both), 0);
	expect_hidden(b);
	mpn_nic_get_info(b->client->nic, &info);
	memcpy(both.mac, info.mac, sizeof(both.mac));
	assert_int_equal(ebd_export_allow(b->server, "disk", &both), 0);
	expect_usable(b);
	/* Any UUID from an address. */
	assert_int_equal(ebd_export_deny(b->server, "disk", NULL), 0);
	expect_hidden(b);
	memset(both.client_uuid, 0, sizeof(both.client_uuid));
	assert_int_equal(ebd_export_allow(b->server, "disk", &both), 0);
	expect_usable(b);
	assert_int_equal(ebd_export_deny(b->server, "disk", NULL), 0);
	assert_int_equal(ebd_export_allow(b->server, "disk", NULL), 0);
	expect_usable(b);
	bench_destroy(b);
}

static void
who_is_taken_off_loses_his_sessions(void **state)
{
	struct bench *b = make_bench();
	struct ebd_queue *q = try_open(b, NULL);
	static uint8_t mem[4096];

	assert_non_null(q);
	assert_int_equal(ebd_export_allow(b->server, "disk", &us), 0);
	assert_int_equal(ebd_pread(q, mem, sizeof(mem), 0), sizeof(mem));
	assert_int_equal(ebd_export_deny(b->server, "disk", &us), 0);
	assert_true(ebd_pread(q, mem, sizeof(mem), 0) < 0);
	/* Back on the list, it goes on where it was. */
	assert_int_equal(ebd_export_allow(b->server, "disk", &us), 0);
	bench_poll_until(b, q, ebd_pread(q, mem, sizeof(mem), 0) == sizeof(mem));
	ebd_queue_close(q);
	bench_destroy(b);
}

/* A list that was there first leaves no moment for others; it stays when the volume goes. */
static void
a_list_belongs_to_a_name(void **state)
{
	struct bench *b = make_bench();
	struct ebd_server *s = b->server;

	assert_int_equal(ebd_export_allow(s, "new", &other), 0);
	assert_int_equal(ebd_export_add(s, "new", "mem:1M"), 0);
	assert_false(sees(b, "new", 3));
	assert_int_equal(ebd_export_remove(s, "new"), 0);
	while (s->nb_leaving > 0)
		(void)ebd_server_poll(s);
	assert_int_equal(ebd_export_add(s, "new", "mem:1M"), 0);
	assert_false(sees(b, "new", 3));
	assert_int_equal(ebd_export_allow(s, "new", NULL), 0);
	assert_true(sees(b, "new", 4));
	bench_destroy(b);
}

static void
lists_are_bounded(void **state)
{
	struct bench *b = make_bench();
	struct ebd_access who = {.mac = {2}};
	char name[80];
	unsigned i;

	bench_hush();
	assert_int_equal(ebd_export_allow(b->server, "disk", &(struct ebd_access){0}), -EINVAL);
	assert_int_equal(ebd_export_allow(b->server, "", &who), -EINVAL);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(ebd_export_deny(b->server, name, NULL), -EINVAL);
	assert_int_equal(ebd_export_deny(b->server, "disk", &who), -ENOENT);
	for (i = 0; i < 256; i++) {
		who.mac[5] = (uint8_t)i;
		assert_int_equal(ebd_export_allow(b->server, "disk", &who), 0);
	}
	who.mac[4] = 1;
	assert_int_equal(ebd_export_allow(b->server, "disk", &who), -ENOSPC);
	assert_int_equal(ebd_export_deny(b->server, "disk", &who), -ENOENT);
	for (i = 1; i < 256; i++) {
		(void)snprintf(name, sizeof(name), "v%u", i);
		assert_int_equal(ebd_export_deny(b->server, name, NULL), 0);
	}
	assert_int_equal(ebd_export_allow(b->server, "more", &who), -ENOSPC);
	bench_unhush();
	bench_destroy(b);
}

static void
lists_are_shown(void **state)
{
	struct bench *b = make_bench();
	struct ebd_access both = {.client_uuid = {0xab}, .mac = {2, 0, 0, 0, 0, 7}};
	char *text = NULL;
	struct mpn_out o;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(ebd_export_allow(b->server, "disk", &both), 0);
	mpn_out_begin(&o, f, true);
	ebd_server_print_volumes(b->server, "disk", &o);
	assert_int_equal(mpn_out_end(&o), 0);
	fclose(f);
	assert_non_null(strstr(text, "ab000000-0000-0000-0000-000000000000"));
	assert_non_null(strstr(text, "02:00:00:00:00:07"));
	free(text);
	bench_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_listed_see_it),
		cmocka_unit_test(who_is_taken_off_loses_his_sessions),
		cmocka_unit_test(a_list_belongs_to_a_name),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(lists_are_shown),
	};

	return cmocka_run_group_tests(tests, bench_start_eal, bench_stop_eal);
}
