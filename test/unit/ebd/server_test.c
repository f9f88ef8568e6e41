/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The server library: errors, bounds, sessions, restarts, what it prints. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "mpn_out.h"
#include "st_nic.h"

/* ---- Errors ---- */

static void
test_errors_of_volumes(void **state)
{
	static const struct {
		const char *spec;
		int want;
	} bad[] = {
		{"error:ops=write,errno=EIO:mem:1M", -EIO},
		{"error:ops=write,errno=ENOSPC:mem:1M", -ENOSPC},
	};
	static uint8_t mem[4096];
	struct ebd_server_stats st;
	struct ebd_stats qs;
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		struct bench *b =
			bench_create(NULL, NULL, (const char *const[]){"disk", bad[i].spec, NULL});
		struct ebd_queue *q = bench_open(b, "disk");

		assert_int_equal(ebd_pwrite(q, mem, 4096, 0, 0), bad[i].want);
		/* That request failed, the session lives on. */
		assert_int_equal(ebd_pread(q, mem, 4096, 0), 4096);
		ebd_queue_stats(q, &qs);
		assert_int_equal(qs.errors, 1);
		assert_int_equal(qs.reconnects, 0);
		ebd_server_get_stats(b->server, &st);
		assert_int_equal(st.errors, 1);
		assert_int_equal(st.commands, 2);
		assert_int_equal(st.read_bytes, 4096);
		assert_int_equal(st.write_bytes, 0);
		ebd_queue_close(q);
		bench_destroy(b);
	}
}

static void
test_bad_exports(void **state)
{
	struct bench *b = bench_create(NULL, NULL, (const char *const[]){"disk", "mem:1M", NULL});
	char name[EBD_NAME_LEN + 1];
	struct ebd_export_info info;
	int i;

	bench_hush();
	memset(name, 'n', sizeof(name));
	name[EBD_NAME_LEN] = '\0';
	assert_int_equal(ebd_export_add(b->server, "disk", "mem:1M"), -EEXIST);
	assert_non_null(strstr(ebd_last_error(), "disk"));
	assert_int_equal(ebd_export_add(b->server, "", "mem:1M"), -EINVAL);
	assert_int_equal(ebd_export_add(b->server, "a b", "mem:1M"), -EINVAL);
	assert_int_equal(ebd_export_add(b->server, name, "mem:1M"), -EINVAL);
	assert_int_equal(ebd_export_add(b->server, "x", "nosuch:1M"), -EINVAL);
	assert_int_equal(ebd_export_add(b->server, "x", "file:/nonexistent/image"), -ENOENT);
	assert_non_null(strstr(ebd_last_error(), "/nonexistent/image"));
	assert_int_equal(ebd_server_link_add(b->server, b->link), -EBUSY);
	assert_int_equal(ebd_server_link_add(b->server, "wire"), -EINVAL);
	for (i = 1; i < SERVER_MAX_EXPORTS; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		assert_int_equal(ebd_export_add(b->server, name, "null:1M"), 0);
	}
	assert_int_equal(ebd_export_add(b->server, "one-more", "null:1M"), -ENOSPC);
	assert_int_equal(ebd_export_get(b->server, 0, &info), 0);
	assert_string_equal(info.name, "disk");
	assert_int_equal(info.size, 1 << 20);
	assert_int_equal(ebd_export_get(b->server, SERVER_MAX_EXPORTS, &info), -ENOENT);
	assert_null(ebd_server_create(&(struct ebd_server_conf){.max_sessions = 1025}));
	assert_int_equal(errno, EINVAL);
	assert_null(ebd_server_create(&(struct ebd_server_conf){.max_depth = 257}));
	assert_int_equal(errno, EINVAL);
	bench_unhush();
	bench_destroy(b);
}

/* ---- Bounds ---- */

#define LOAD 256

struct load {
	struct ebd_io ios[LOAD];
	uint8_t *mem;
	unsigned done, errors;
};

static void
count_done(struct ebd_io *io, int status, void *arg)
{
	struct load *l = arg;

	l->done++;
	l->errors += status != 0;
}

static void
submit_mix(struct bench *b, struct ebd_queue *q, struct load *l, uint32_t len, unsigned flushes)
{
	struct ebd_io *io;
	unsigned i;

	for (i = 0; i < LOAD; i++) {
		io = &l->ios[i];
		if (i % 16 < flushes)
			ebd_prep_flush(io);
		else if (i % 2 == 0)
			ebd_prep_read(io, l->mem + (size_t)i * len, len, (uint64_t)i * len);
		else
			ebd_prep_write(io, l->mem + (size_t)i * len, len, (uint64_t)i * len, 0);
		ebd_io_set_callback(io, count_done, l);
		while (ebd_submit_burst(q, &io, 1) == 0) {
			assert_int_equal(errno, EAGAIN);
			(void)bench_poll(b, q);
		}
	}
}

static void
test_memory_is_what_the_formula_says(void **state)
{
	const struct ebd_server_conf conf = {.max_sessions = 4, .max_depth = 100};
	struct bench *b = bench_create(&conf, NULL,
		(const char *const[]){"disk", "delay:read=1ms,write=1ms:mem:64M", NULL});
	const uint64_t formula = 4 * (512 + 128 * 320) + 512 * 8192 + 64 * 131072 + (1 << 20);
	struct load *l = calloc(4, sizeof(*l));
	struct ebd_server_stats before, after;
	struct ebd_queue *q[4];
	unsigned i;

	ebd_server_get_stats(b->server, &before);
	assert_true(before.memory <= formula);
	assert_true(before.memory > 512 * 8192 + 64 * 131072);
	for (i = 0; i < 4; i++) {
		q[i] = ebd_queue_open(b->client,
			&(struct ebd_queue_conf){.volume = "disk", .depth = EBD_DEPTH_MAX});
		assert_non_null(q[i]);
		l[i].mem = calloc(LOAD, 128 << 10);
		submit_mix(b, q[i], &l[i], 128 << 10, i == 0 ? 8 : 0);
	}
	for (i = 0; i < 4; i++) {
		bench_poll_until(b, q[i], l[i].done == LOAD);
		assert_int_equal(l[i].errors, 0);
		free(l[i].mem);
	}
	ebd_server_get_stats(b->server, &after);
	assert_int_equal(after.memory, before.memory);
	assert_true(after.buffers_max <= 512 * 8192 + 64 * 131072);
	assert_true(after.buffers_max >= 16 * 131072);
	/* One more client than there is room for. */
	bench_hush();
	b->client->conf.connect_timeout_ms = 300;
	assert_null(ebd_queue_open(b->client, &(struct ebd_queue_conf){.volume = "disk"}));
	assert_int_equal(errno, EBUSY);
	bench_unhush();
	free(l);
	bench_destroy(b);
}

#define WRITERS 64
#define WRITER_DEPTH 16
#define WRITER_BYTES (128u << 10)

struct writer {
	struct ebd_queue *q;
	struct ebd_io ios[WRITER_DEPTH];
	unsigned done, errors;
};

static void
count_written(struct ebd_io *io, int status, void *arg)
{
	struct writer *w = arg;

	w->done++;
	w->errors += status != 0;
}

/* As many as there may be, each with all it can have under way, to a volume that takes its time. */
static void
test_memory_of_many_writers_at_full_load(void **state)
{
	struct bench *b = bench_create(
		NULL, NULL, (const char *const[]){"disk", "delay:write=2ms:mem:64M", NULL});
	const uint64_t staging = 512 * 8192 + 64 * 131072;
	const uint64_t formula = 64 * (512 + 128 * 320) + staging + (1 << 20);
	struct writer *writers = calloc(WRITERS, sizeof(*writers)), *w;
	struct ebd_server_stats before, after;
	uint8_t *mem = calloc(1, WRITER_BYTES);
	struct ebd_io *io;
	unsigned i, k;

	ebd_server_get_stats(b->server, &before);
	for (i = 0; i < WRITERS; i++)
		writers[i].q = bench_open(b, "disk");
	for (k = 0; k < WRITER_DEPTH; k++) {
		for (i = 0; i < WRITERS; i++) {
			w = &writers[i];
			io = &w->ios[k];
			ebd_prep_write(io, mem, WRITER_BYTES,
				(uint64_t)((i * WRITER_DEPTH + k) % 512) * WRITER_BYTES, 0);
			ebd_io_set_callback(io, count_written, w);
			assert_int_equal(ebd_submit_burst(w->q, &io, 1), 1);
		}
	}
	for (i = 0; i < WRITERS; i++) {
		bench_poll_until(b, writers[i].q, writers[i].done == WRITER_DEPTH);
		assert_int_equal(writers[i].errors, 0);
	}
	ebd_server_get_stats(b->server, &after);
	assert_int_equal(after.sessions, WRITERS);
	assert_int_equal(after.write_bytes, (uint64_t)WRITERS * WRITER_DEPTH * WRITER_BYTES);
	assert_true(after.memory <= formula);
	assert_int_equal(after.memory, before.memory);
	/* The load was one: it wanted sixteen times what there is, and had nearly all of that. */
	assert_in_range(after.buffers_max, 48 * 131072, staging);
	for (i = 0; i < WRITERS; i++)
		ebd_queue_close(writers[i].q);
	free(writers);
	free(mem);
	bench_destroy(b);
}

/* Fewer descriptors than commands: the rest waits its turn. */
static void
test_commands_wait_for_descriptors(void **state)
{
	struct bench *b = bench_create(NULL, NULL,
		(const char *const[]){
			"slow", "delay:read=2ms,write=2ms:mem:1M", "fast", "mem:1M", NULL});
	struct load *l = calloc(2, sizeof(*l));
	struct ebd_queue *slow = bench_open(b, "slow"), *fast = bench_open(b, "fast");
	struct export_io *rest = b->server->free_ios->next->next;
	uint64_t waits;

	b->server->free_ios->next->next = NULL;
	l[0].mem = calloc(LOAD, 512);
	l[1].mem = calloc(LOAD, 512);
	submit_mix(b, slow, &l[0], 512, 4);
	submit_mix(b, fast, &l[1], 512, 0);
	bench_poll_until(b, slow, l[0].done == LOAD && l[1].done == LOAD);
	assert_int_equal(l[0].errors + l[1].errors, 0);
	waits = b->server->exports[0]->waits + b->server->exports[1]->waits;
	assert_true(waits > LOAD / 2);
	/* Both are back. */
	assert_null(b->server->wait_first);
	assert_null(b->server->free_ios->next->next);
	b->server->free_ios->next->next = rest;
	free(l[0].mem);
	free(l[1].mem);
	free(l);
	ebd_queue_close(slow);
	ebd_queue_close(fast);
	bench_destroy(b);
}

/* ---- Sessions ---- */

static void
test_dead_clients_are_collected(void **state)
{
	struct bench *b = bench_create(&(struct ebd_server_conf){.lease_ms = 50}, NULL,
		(const char *const[]){"disk", "mem:1M", NULL});
	struct ebd_queue *q = bench_open(b, "disk");
	uint64_t end = ebd_now_ns() + 10 * XFER_NSEC_PER_SEC;
	struct ebd_server_stats st;
	static uint8_t mem[512];
	struct ebd_stats qs;

	/* The client is not polled. */
	do {
		(void)ebd_server_poll(b->server);
		ebd_server_get_stats(b->server, &st);
	} while (st.sessions > 0 && ebd_now_ns() < end);
	assert_int_equal(st.sessions, 0);
	/* It was not dead after all, and opens again. */
	assert_int_equal(ebd_pread(q, mem, 512, 0), 512);
	ebd_queue_stats(q, &qs);
	assert_int_equal(qs.reconnects, 1);
	ebd_queue_close(q);
	bench_destroy(b);
}

static void
test_second_client_with_the_same_identity_fences(void **state)
{
	const struct ebd_client_conf cc = {.client_uuid = {9, 9, 9}};
	struct bench *b = bench_create(NULL, &cc, (const char *const[]){"disk", "mem:1M", NULL});
	struct ebd_queue *a0 = bench_open(b, "disk"), *a1 = bench_open(b, "disk"), *n;
	static uint8_t mem[512];
	struct ebd_server_stats st;

	/* The client starts again on the same link, before anybody noticed that it had gone. */
	b->client->nonce += 1ull << XFER_NONCE_TRY_BITS;
	n = bench_open(b, "disk");
	assert_int_equal(ebd_pread(a0, mem, 512, 0), -ESTALE);
	assert_int_equal(ebd_pread(a1, mem, 512, 0), -ESTALE);
	assert_int_equal(ebd_pread(a0, mem, 512, 0), -ENODEV);
	assert_int_equal(ebd_poll(a0, 0), -ENODEV);
	assert_int_equal(ebd_pread(n, mem, 512, 0), 512);
	ebd_server_get_stats(b->server, &st);
	assert_int_equal(st.sessions, 1);
	bench_destroy(b);
}

/* A server that is gone and comes back with the same image, while a copy goes on. */
static void
test_restarted_server_is_found_again(void **state)
{
	static const char image[] = "restart_test.img";
	const char *const volumes[] = {"disk", "file:restart_test.img,size=4M", NULL};
	struct load *l = calloc(1, sizeof(*l));
	struct ebd_queue *q[2];
	struct ebd_stats qs;
	struct bench *b;
	uint8_t *back;
	unsigned i;
	int fd;

	(void)unlink(image);
	fd = open(image, O_CREAT | O_RDWR, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 << 20), 0);
	b = bench_create(NULL, NULL, volumes);
	q[0] = bench_open(b, "disk");
	q[1] = bench_open(b, "disk");
	l->mem = malloc(LOAD * 4096);
	back = malloc(LOAD * 4096);
	bench_fill(l->mem, LOAD * 4096, 17);
	for (i = 0; i < LOAD; i++) {
		struct ebd_io *io = &l->ios[i];

		ebd_prep_write(io, l->mem + i * 4096, 4096, i * 4096u, 0);
		ebd_io_set_callback(io, count_done, l);
		assert_int_equal(ebd_submit_burst(q[i % 2], &io, 1), 1);
		if (i % 32 == 31)
			(void)bench_poll(b, q[0]);
		if (i == LOAD / 2) {
			bench_stop_server(b);
			/* For longer than a silent peer is trusted. */
			uint64_t end = ebd_now_ns() + 1200 * 1000000ull;

			while (ebd_now_ns() < end)
				(void)bench_poll(b, q[0]);
			bench_start_server(b, volumes);
		}
	}
	bench_poll_until(b, q[0], l->done == LOAD);
	assert_int_equal(l->errors, 0);
	for (i = 0; i < 2; i++) {
		ebd_queue_stats(q[i], &qs);
		assert_true(qs.reconnects >= 1);
		assert_int_equal(ebd_pread(q[i], back, LOAD * 4096, 0), LOAD * 4096);
		assert_memory_equal(back, l->mem, LOAD * 4096);
	}
	bench_destroy(b);
	assert_int_equal(pread(fd, back, LOAD * 4096, 0), LOAD * 4096);
	assert_memory_equal(back, l->mem, LOAD * 4096);
	free(l->mem);
	free(l);
	free(back);
	close(fd);
	(void)unlink(image);
}

/* ---- Printing ---- */

static void
test_sessions_and_volumes_are_printed(void **state)
{
	struct bench *b = bench_create(NULL, NULL, (const char *const[]){"disk", "mem:1M", NULL});
	struct ebd_queue *q = bench_open(b, "disk");
	struct mpn_personality *p;
	char *text = NULL;
	struct mpn_out o;
	size_t len;
	FILE *f;

	f = open_memstream(&text, &len);
	mpn_out_begin(&o, f, true);
	ebd_server_print_sessions(b->server, NULL, &o);
	ebd_server_print_volumes(b->server, NULL, &o);
	p = mpn_personality_get(b->client->nic, 0);
	mpn_out_object(&o, "personality");
	mpn_personality_print(p, &o);
	mpn_out_close(&o);
	assert_int_equal(mpn_out_end(&o), 0);
	fclose(f);
	assert_non_null(strstr(text, "\"link\": \"ring:bench"));
	assert_non_null(strstr(text, "\"volume\": \"disk\""));
	assert_non_null(strstr(text, "\"spec\": \"mem:1M\""));
	assert_non_null(strstr(text, "\"state\": \"live\""));
	assert_non_null(strstr(text, "\"tx_by_ref\""));
	free(text);
	f = open_memstream(&text, &len);
	ebd_link_help(f);
	ebd_volume_help(f);
	fclose(f);
	assert_non_null(strstr(text, "ring:"));
	assert_non_null(strstr(text, "mem:"));
	free(text);
	assert_string_equal(ebd_version(), MPNIC_VERSION);
	ebd_queue_close(q);
	bench_destroy(b);
}

/* ---- Links ---- */

static void
test_volumes_in_memory_that_the_link_can_send_from(void **state)
{
	struct bench *b = bench_create(NULL, NULL, (const char *const[]){"before", "mem:1M", NULL});
	struct st_nic *n = st_nic_find(b->server->nics[0].nic);
	const char *const names[] = {"before", "after"};
	static uint8_t mem[64 << 10];
	struct ebd_queue *q;
	unsigned i;

	/* As if it were a device: frames must be in memory of the EAL. */
	n->info.tx_any_memory = false;
	assert_int_equal(ebd_export_add(b->server, "after", "mem:1M"), 0);
	for (i = 0; i < 2; i++) {
		q = bench_open(b, names[i]);
		assert_int_equal(ebd_pread(q, mem, sizeof(mem), 0), sizeof(mem));
		ebd_queue_close(q);
		assert_true(st_arena_owns(vol_map(b->server->exports[i]->volume, 0, 1 << 20),
				    1 << 20) == (i == 1));
		assert_int_equal(n->copy.site_bytes[ST_COPY_tx_foreign], sizeof(mem));
	}
	/* What does not fit there is made of other memory. */
	assert_int_equal(ebd_export_add(b->server, "large", "mem:2G"), 0);
	assert_null(
		st_arena_find(&n->arenas, vol_map(b->server->exports[2]->volume, 0, 4096), 4096));
	bench_destroy(b);
}

static void
test_two_links_serve_the_same_volumes(void **state)
{
	struct bench *b = bench_create(NULL, NULL, (const char *const[]){"disk", "mem:1M", NULL});
	struct ebd_client_conf conf = b->client_conf;
	struct ebd_queue *q[2];
	struct ebd_client *second;
	static uint8_t mem[4096], back[4096];
	struct ebd_server_stats st;

	conf.link = "ring:second";
	conf.mtu = 1500;
	assert_int_equal(ebd_server_link_add(b->server, conf.link), 0);
	second = ebd_client_create(&conf);
	assert_non_null(second);
	q[0] = bench_open(b, "disk");
	q[1] = ebd_queue_open(second, &(struct ebd_queue_conf){.volume = "disk"});
	assert_non_null(q[1]);
	bench_fill(mem, sizeof(mem), 1);
	assert_int_equal(ebd_pwrite(q[0], mem, 4096, 0, 0), 4096);
	assert_int_equal(ebd_pread(q[1], back, 4096, 0), 4096);
	assert_memory_equal(mem, back, 4096);
	ebd_server_get_stats(b->server, &st);
	assert_int_equal(st.sessions, 2);
	/* One end goes; the other does not notice. */
	ebd_client_destroy(second);
	assert_int_equal(ebd_pread(q[0], back, 4096, 0), 4096);
	ebd_queue_close(q[0]);
	bench_destroy(b);
}

/* ---- A NIC of the program's own ---- */

static void
test_serves_on_a_nic_of_the_program(void **state)
{
	struct bench *b = bench_create(NULL, NULL, NULL);
	struct mpn_nic *nic = ebd_nic_create(
		&(struct mpn_nic_conf){.link = b->link, .server = true}, &(struct ebd_faces){0});
	static uint8_t mem[4096];
	struct ebd_server *s;
	struct ebd_queue *q;
	struct ebd_io io, *ios[] = {&io};
	struct load l = {0};

	assert_non_null(nic);
	s = ebd_server_create(&(struct ebd_server_conf){0});
	assert_int_equal(ebd_export_add(s, "disk", "mem:1M"), 0);
	assert_int_equal(ebd_server_nic_add(s, nic), 0);
	assert_int_equal(ebd_server_nic_add(s, nic), -EEXIST);
	/* However often its personality is loaded again, there is room for the NIC. */
	for (unsigned i = 0; i < 40; i++) {
		struct mpn_personality *p = mpn_personality_find(nic, "storage");

		assert_int_equal(mpn_personality_stop(p), 0);
		assert_int_equal(mpn_personality_unload(p), 0);
		assert_int_equal(mpn_personality_load(p, NULL), 0);
		assert_int_equal(mpn_personality_start(p), 0);
		assert_int_equal(ebd_server_nic_add(s, nic), 0);
	}
	/* The program polls its NIC, beside the server. */
	b->server = s;
	b->own_nic = nic;
	q = bench_open(b, "disk");
	ebd_prep_read(&io, mem, 4096, 0);
	ebd_io_set_callback(&io, count_done, &l);
	assert_int_equal(ebd_submit_burst(q, ios, 1), 1);
	bench_poll_until(b, q, l.done == 1);
	assert_int_equal(l.errors, 0);
	ebd_queue_close(q);
	b->server = NULL;
	b->own_nic = NULL;
	ebd_server_destroy(s);
	bench_destroy(b);
	mpn_nic_destroy(nic);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_of_volumes),
		cmocka_unit_test(test_bad_exports),
		cmocka_unit_test(test_memory_is_what_the_formula_says),
		cmocka_unit_test(test_memory_of_many_writers_at_full_load),
		cmocka_unit_test(test_commands_wait_for_descriptors),
		cmocka_unit_test(test_dead_clients_are_collected),
		cmocka_unit_test(test_second_client_with_the_same_identity_fences),
		cmocka_unit_test(test_restarted_server_is_found_again),
		cmocka_unit_test(test_sessions_and_volumes_are_printed),
		cmocka_unit_test(test_volumes_in_memory_that_the_link_can_send_from),
		cmocka_unit_test(test_two_links_serve_the_same_volumes),
		cmocka_unit_test(test_serves_on_a_nic_of_the_program),
	};

	return cmocka_run_group_tests_name("ebd server", tests, bench_start_eal, bench_stop_eal);
}
