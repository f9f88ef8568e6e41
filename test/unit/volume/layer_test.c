/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The layer itself: kinds, specifications, the queue in front of a full back end, counters. */

#include "harness.h"

/*
 * A back end that does as it is told: takes `room` requests, completes them when told to, notes the
 * order in which they came.
 */
#define SCRIPTED_MAX 64

struct scripted {
	unsigned room; /* requests it takes before it says -EAGAIN */
	unsigned finish; /* how many the next poll completes */
	struct mpn_list taken;
	unsigned nb_calls; /* of submit */
	uint64_t order[SCRIPTED_MAX]; /* offsets, as taken */
	unsigned nb_order;
	uint64_t next_ns;
	uint32_t caps;
	uint32_t block_size;
	bool closed;
};

static struct scripted scripted;

static int
scripted_open(struct volume *v, const char *spec)
{
	struct vol_info *info = vol_info_rw(v);

	mpn_list_init(&scripted.taken);
	info->size = 1 << 20;
	info->block_size = scripted.block_size;
	info->caps = scripted.caps;
	return 0;
}

static void
scripted_close(struct volume *v)
{
	scripted.closed = true;
}

static int
scripted_submit(struct volume *v, struct vol_io *io)
{
	scripted.nb_calls++;
	if (scripted.room == 0)
		return -EAGAIN;
	scripted.room--;
	scripted.order[scripted.nb_order++ % SCRIPTED_MAX] = io->off;
	mpn_list_add_tail(&scripted.taken, &io->node);
	return 0;
}

static unsigned
scripted_poll(struct volume *v)
{
	unsigned n = 0;

	for (; scripted.finish > 0 && !mpn_list_empty(&scripted.taken); scripted.finish--) {
		struct vol_io *io = mpn_list_first(&scripted.taken, struct vol_io, node);

		mpn_list_del(&io->node);
		scripted.room++;
		vol_complete(io, 0);
		n++;
	}
	return n;
}

static uint64_t
scripted_next_ns(struct volume *v)
{
	return scripted.next_ns;
}

static int
scripted_fd(struct volume *v)
{
	return 77;
}

static const struct vol_ops scripted_ops = {
	.name = "scripted",
	.synopsis = "scripted",
	.help = "does as it is told",
	.open = scripted_open,
	.close = scripted_close,
	.submit = scripted_submit,
	.poll = scripted_poll,
	.next_ns = scripted_next_ns,
	.fd = scripted_fd,
};

static struct volume *
open_scripted(const char *spec, unsigned room)
{
	memset(&scripted, 0, sizeof(scripted));
	scripted.room = room;
	scripted.next_ns = UINT64_MAX;
	scripted.block_size = 512;
	scripted.caps = VOL_CAP_FUA | VOL_CAP_DISCARD | VOL_CAP_WRITE_ZEROES;
	return must_open("%s", spec);
}

static unsigned nb_done;
static uint64_t done_order[SCRIPTED_MAX];

static void
note_done(struct vol_io *io, int status)
{
	assert_int_equal(status, 0);
	done_order[nb_done++ % SCRIPTED_MAX] = io->off;
}

static char data[512];
static const struct iovec one_block = {data, sizeof(data)};
static struct vol_io ios[SCRIPTED_MAX];

static struct vol_io *
prepare_read(unsigned n)
{
	ios[n] = (struct vol_io){
		.op = VOL_READ,
		.off = 512ull * n,
		.len = 512,
		.iov = &one_block,
		.iovcnt = 1,
		.done = note_done,
	};
	return &ios[n];
}

/* Reads numbered from first to last are submitted. */
static void
submit_reads(struct volume *v, unsigned first, unsigned last)
{
	for (; first <= last; first++)
		assert_int_equal(vol_submit(v, prepare_read(first)), 0);
}

static void
check_in_order(const uint64_t *order, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		assert_int_equal(order[i], 512 * i);
}

static void
kinds_are_listed(void **state)
{
	static const char *const built_in[] = {"null", "mem", "readonly", "error", "delay"};
	unsigned found = 0;
	unsigned n;
	size_t i;

	for (n = 0; vol_kind(n) != NULL; n++) {
		assert_non_null(vol_kind(n)->synopsis);
		assert_non_null(vol_kind(n)->help);
		for (i = 0; i < MPN_ARRAY_SIZE(built_in); i++)
			found += strcmp(vol_kind(n)->name, built_in[i]) == 0;
	}
	assert_int_equal(found, MPN_ARRAY_SIZE(built_in));
	assert_null(vol_kind(1000));
}

static void
kinds_are_registered_once(void **state)
{
	static const struct vol_ops no_name = {.name = ""};
	static const struct vol_ops bad_name = {.name = "a:b"};
	static const struct vol_ops mem = {.name = "mem"};

	assert_int_equal(vol_register(&scripted_ops), -EEXIST);
	assert_int_equal(vol_register(&mem), -EEXIST);
	assert_int_equal(vol_register(&no_name), -EINVAL);
	assert_int_equal(vol_register(&bad_name), -EINVAL);
}

static void
bad_specifications_say_why(void **state)
{
	must_refuse(EINVAL, "no such kind 'nul', did you mean null?", "nul:1M");
#ifdef MPN_HAVE_URING
	must_refuse(EINVAL, "no such kind 'fiel', did you mean file?", "fiel:a.img");
#else
	must_refuse(EINVAL, "built without liburing", "file:a.img");
#endif
#ifndef MPN_HAVE_RBD
	must_refuse(EINVAL, "built without librbd", "rbd:p/i");
#endif
	must_refuse(EINVAL, "expected one of null, mem,", "xyzzy:1G");
	must_refuse(EINVAL, "no such kind ''", "%s", "");
	must_refuse(EINVAL, "no such kind ''", ":mem:1M");
	must_refuse(EINVAL, "no such kind ' mem'", " mem:1M");
	must_refuse(EINVAL, "readonly:SPEC", "readonly");
	must_refuse(EINVAL, "readonly:SPEC", "readonly:");
	must_refuse(EINVAL, "readonly:SPEC", "readonly:x=y:mem:1M");
	must_refuse(EINVAL, "no such kind '1M'", "readonly:1M");
	must_refuse(EINVAL, "no volume below", "delay:read=5ms");
	must_refuse(EINVAL, "no volume below", "delay:read=5ms:");
	must_refuse(EINVAL, "'1': expected a size", "readonly:delay:read=1ms:mem:1");
	must_refuse(EINVAL, "null: '': expected a size", "null");
	must_refuse(EINVAL, "'1x'", "null:1x");
	must_refuse(EINVAL, "multiple of 512", "null:1000");
	must_refuse(EINVAL, "more than 8 filters",
		"readonly:readonly:readonly:readonly:readonly:readonly:readonly:readonly:readonly:"
		"mem:1M");
}

static void
filters_stack_up_to_eight(void **state)
{
	struct volume *v = must_open(
		"readonly:readonly:readonly:readonly:readonly:readonly:readonly:readonly:mem:1M");

	must_read(v, 0, 4096, 0);
	vol_close(v);
	vol_close(NULL);
}

static void
a_back_end_must_have_blocks(void **state)
{
	static const uint32_t bad[] = {0, 256, 513, 1536};
	struct volume *v;
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		memset(&scripted, 0, sizeof(scripted));
		scripted.block_size = bad[i];
		assert_int_equal(vol_open_spec("scripted", &v), -EINVAL);
		assert_null(v);
		assert_true(scripted.closed);
	}
}

static void
full_back_ends_get_requests_in_order(void **state)
{
	struct volume *v = open_scripted("scripted", 3);
	unsigned round;

	nb_done = 0;
	submit_reads(v, 0, 9);
	assert_int_equal(scripted.nb_order, 3);
	assert_int_equal(vol_get_stats(v)->waits, 7);
	/* Once one waits, later ones queue up behind it without asking. */
	assert_int_equal(scripted.nb_calls, 4);
	assert_int_equal(vol_get_stats(v)->in_flight, 10);

	/* A poll without completions asks again for the oldest only. */
	assert_int_equal(vol_poll(v), 0);
	assert_int_equal(scripted.nb_calls, 5);
	assert_true(vol_next_ns(v) == UINT64_MAX);

	/* Room after a completion: there is work although nothing arrives. */
	scripted.finish = 2;
	assert_int_equal(vol_poll(v), 2);
	assert_int_equal(vol_next_ns(v), 0);
	/* A new request does not overtake those that wait, although there is room. */
	submit_reads(v, 10, 10);
	assert_int_equal(scripted.nb_order, 3);

	for (round = 0; round < 20; round++) {
		scripted.finish = 1;
		(void)vol_poll(v);
	}
	assert_int_equal(nb_done, 11);
	check_in_order(scripted.order, 11);
	check_in_order(done_order, 11);
	assert_int_equal(vol_get_stats(v)->in_flight, 0);
	assert_int_equal(vol_get_stats(v)->in_flight_max, 10);
	assert_true(vol_next_ns(v) == UINT64_MAX);
	vol_close(v);
	assert_true(scripted.closed);
}

static void
full_back_ends_below_filters_too(void **state)
{
	struct volume *v = open_scripted("error:rate=0%:readonly:scripted", 1);
	unsigned round;

	nb_done = 0;
	submit_reads(v, 0, 5);
	for (round = 0; round < 10; round++) {
		scripted.finish = 1;
		(void)vol_poll(v);
	}
	assert_int_equal(nb_done, 6);
	check_in_order(done_order, 6);
	vol_close(v);
}

static void
an_idle_poll_does_not_reach_the_back_end(void **state)
{
	struct volume *v = open_scripted("readonly:scripted", 4);

	nb_done = 0;
	submit_reads(v, 0, 0);
	scripted.finish = 1;
	assert_int_equal(vol_poll(v), 1);
	scripted.finish = 9;
	assert_int_equal(vol_poll(v), 0);
	assert_int_equal(scripted.finish, 9);
	scripted.next_ns = 5;
	assert_true(vol_next_ns(v) == UINT64_MAX);
	submit_reads(v, 1, 1);
	assert_int_equal(vol_next_ns(v), 5);
	assert_int_equal(vol_fd(v), 77);
	assert_int_equal(vol_poll(v), 1);
	vol_close(v);
}

static void
missing_abilities_are_refused(void **state)
{
	struct volume *v;
	char buf[512] = "";

	memset(&scripted, 0, sizeof(scripted));
	scripted.block_size = 512;
	v = must_open("error:rate=0%%:scripted");
	assert_int_equal(run_io(v, VOL_DISCARD, 0, 0, NULL, 512), -EOPNOTSUPP);
	assert_int_equal(run_io(v, VOL_WRITE_ZEROES, 0, 0, NULL, 512), -EOPNOTSUPP);
	assert_int_equal(run_io(v, VOL_WRITE, VOL_FUA, 0, buf, 512), -EOPNOTSUPP);
	assert_int_equal(scripted.nb_calls, 0);
	vol_close(v);

	memset(&scripted, 0, sizeof(scripted));
	scripted.block_size = 4096;
	v = must_open("scripted");
	assert_int_equal(run_io(v, VOL_READ, 0, 512, buf, 4096), -EINVAL);
	assert_int_equal(run_io(v, VOL_READ, 0, 4096, buf, 512), -EINVAL);
	vol_close(v);
}

static void
description_has_everything(void **state)
{
	struct volume *v = must_open("mem:1M");
	struct mpn_out o;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	must_write(v, 0, 0, 8192, 'x');
	mpn_out_begin(&o, f, true);
	vol_print(v, &o);
	assert_int_equal(mpn_out_end(&o), 0);
	fclose(f);
	assert_non_null(strstr(text, "\"spec\": \"mem:1M\""));
	assert_non_null(strstr(text, "\"size\": 1048576"));
	assert_non_null(strstr(text, "\"readonly\": false"));
	assert_non_null(strstr(text, "\"write\": {\n    \"ops\": 1,\n    \"bytes\": 8192,"));
	free(text);
	vol_close(v);
	assert_string_equal(vol_op_name(VOL_WRITE_ZEROES), "write-zeroes");
	assert_string_equal(vol_op_name(VOL_OPS), "?");
}

static int
setup(void **state)
{
	assert_int_equal(vol_register(&scripted_ops), 0);
	return harness_setup(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_are_listed),
		cmocka_unit_test(kinds_are_registered_once),
		cmocka_unit_test(bad_specifications_say_why),
		cmocka_unit_test(filters_stack_up_to_eight),
		cmocka_unit_test(a_back_end_must_have_blocks),
		cmocka_unit_test(full_back_ends_get_requests_in_order),
		cmocka_unit_test(full_back_ends_below_filters_too),
		cmocka_unit_test(an_idle_poll_does_not_reach_the_back_end),
		cmocka_unit_test(missing_abilities_are_refused),
		cmocka_unit_test(description_has_everything),
	};

	return cmocka_run_group_tests(tests, setup, harness_teardown);
}
