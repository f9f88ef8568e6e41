/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Every kind of volume and stacks of filters against the same contract: random requests at a queue
 * depth, compared with a model in memory; and what each of them must refuse.
 */

#include "nbd_server.h"

#define VOLUME_BYTES (1u << 20)
#define MAX_LEN (96u << 10)
#define DEPTH 32
#define REQUESTS 3000

struct stack {
	const char *spec; /* %s: a file in the tests' folder */
	bool forgets; /* reads zeroes whatever was written */
	bool fails; /* requests may end with an error and no effect */
	bool persists; /* what was written is there after reopening */
	bool direct; /* only where there is O_DIRECT */
	bool mbr; /* the file has a partition of 1 MiB, at 1 MiB */
	bool vague; /* what is discarded may stay */
	const char *env; /* the environment variable that stands for %s */
	const char *nbdkit; /* arguments of a server whose socket stands for %s */
};

static const struct stack stacks[] = {
	{"null:1M", .forgets = true},
	{"mem:1M"},
#ifdef MPN_HAVE_URING
	{"file:%s,direct=off,size=1M", .persists = true},
	{"file:%s,size=1M", .persists = true},
	{"file:%s,direct=on,size=1M", .persists = true, .direct = true},
	{"cow:overlay=%s,cluster=4k:mem:1M", .persists = true},
	{"cow:overlay=%s:mem:1M", .persists = true},
	{"error:rate=10%%:cow:overlay=%s,cluster=16k:mem:1M", .fails = true, .persists = true},
	{"partition:partition=1:file:%s", .persists = true, .mbr = true},
	{"error:rate=10%%:delay:write=100us:file:%s,size=1M", .fails = true, .persists = true},
#endif
#ifdef MPN_HAVE_LIBNBD
	{"nbd:nbd+unix:///?socket=%s", .persists = true, .nbdkit = "memory 1M"},
	{"nbd:nbd+unix:///?socket=%s,connections=1", .persists = true, .nbdkit = "memory 1M"},
	{"error:rate=10%%:nbd:nbd+unix:///?socket=%s", .fails = true, .persists = true,
		.nbdkit = "memory 1M"},
#endif
	/* For back ends that need more than a process: an empty volume of 1 MiB. */
	{"%s", .persists = true, .vague = true, .env = "MPNIC_TEST_VOLUME"},
	{"error:rate=0%%:mem:1M"},
	{"error:rate=20%%,seed=3:mem:1M", .fails = true},
	{"error:rate=0.5,ops=write+discard,errno=ENOSPC:mem:1M", .fails = true},
	{"delay:read=30us,write=10us,flush=1ms:mem:1M"},
	{"delay:all=20us:error:rate=5%%:delay:discard=10us:mem:1M", .fails = true},
};

struct request {
	struct vol_io io;
	struct iovec iov[5];
	uint8_t *data; /* what is written, or where is read to; may be misaligned */
	uint8_t *mem;
	bool busy;
};

struct world {
	struct volume *v;
	const struct stack *stack;
	uint64_t random;
	unsigned submitted, completed, failed;
	bool in_submit;
	uint8_t model[VOLUME_BYTES];
	struct request requests[DEPTH];
};

static struct world w;

static uint32_t
pick(uint32_t n)
{
	w.random ^= w.random << 13;
	w.random ^= w.random >> 7;
	w.random ^= w.random << 17;
	return (uint32_t)(w.random >> 32) % n;
}

/* What the request did to the model, or what it must have read. */
static void
apply_to_model(const struct request *r)
{
	const struct vol_io *io = &r->io;

	switch (io->op) {
	case VOL_READ:
		assert_memory_equal(r->data, w.model + io->off, io->len);
		break;
	case VOL_WRITE:
		if (!w.stack->forgets)
			memcpy(w.model + io->off, r->data, io->len);
		break;
	case VOL_DISCARD:
	case VOL_WRITE_ZEROES:
		memset(w.model + io->off, 0, io->len);
		break;
	default:
		break;
	}
}

static void
check_done(struct vol_io *io, int status)
{
	struct request *r = io->user;

	assert_false(w.in_submit);
	assert_true(r->busy);
	r->busy = false;
	w.completed++;
	if (status != 0) {
		assert_true(w.stack->fails);
		assert_true(status < 0);
		w.failed++;
		return;
	}
	apply_to_model(r);
}

/* Requests in flight have no order, so that those which overlap would have no one result. */
static bool
overlaps_one_in_flight(uint64_t off, uint64_t len)
{
	unsigned i;

	for (i = 0; i < DEPTH; i++) {
		const struct vol_io *io = &w.requests[i].io;

		if (w.requests[i].busy && io->op != VOL_FLUSH && off < io->off + io->len &&
			io->off < off + len)
			return true;
	}
	return false;
}

/* Cut the request's memory into pieces of any length, some of them empty. */
static void
cut_memory(struct request *r)
{
	uint8_t *pos = r->data;
	uint64_t left = r->io.len;
	bool blocks = pick(2) == 0;
	int n = 1 + (int)pick(MPN_ARRAY_SIZE(r->iov));
	int i;

	for (i = 0; i < n; i++) {
		uint64_t len = i == n - 1 ? left : pick((uint32_t)left + 1);

		if (blocks)
			len &= ~511ull;
		r->iov[i].iov_base = pos;
		r->iov[i].iov_len = len;
		pos += len;
		left -= len;
	}
	r->io.iov = r->iov;
	r->io.iovcnt = n;
}

static void
submit_random(struct request *r)
{
	static const enum vol_op ops[] = {VOL_READ, VOL_READ, VOL_READ, VOL_WRITE, VOL_WRITE,
		VOL_WRITE, VOL_WRITE, VOL_FLUSH, VOL_DISCARD, VOL_WRITE_ZEROES};
	unsigned fua = (vol_get_info(w.v)->caps & VOL_CAP_FUA) != 0 ? VOL_FUA : 0;
	struct vol_io *io = &r->io;
	uint64_t i;
	int rc;

	memset(io, 0, sizeof(*io));
	io->op = ops[pick(MPN_ARRAY_SIZE(ops))];
	if (io->op == VOL_DISCARD && w.stack->vague)
		io->op = VOL_WRITE_ZEROES;
	io->len = 512 * (1 + pick(pick(4) == 0 ? MAX_LEN / 512 : 16));
	io->off = 512 * pick((uint32_t)(VOLUME_BYTES - io->len) / 512 + 1);
	if (overlaps_one_in_flight(io->off, io->len))
		return;
	if (io->op == VOL_WRITE || io->op == VOL_WRITE_ZEROES)
		io->flags = pick(16) == 0 ? fua : 0;
	if (io->op == VOL_WRITE_ZEROES && pick(2) == 0)
		io->flags |= VOL_NOHOLE;
	r->data = r->mem + (pick(3) == 0 ? pick(4096) : 0);
	for (i = 0; i < io->len; i++)
		r->data[i] = (uint8_t)pick(256);
	if (io->op == VOL_READ || io->op == VOL_WRITE)
		cut_memory(r);
	io->done = check_done;
	io->user = r;
	r->busy = true;
	w.in_submit = true;
	rc = vol_submit(w.v, io);
	w.in_submit = false;
	assert_int_equal(rc, 0);
	w.submitted++;
}

static void
read_everything(void)
{
	uint8_t *buf = malloc(VOLUME_BYTES);
	unsigned tries = 100;
	uint64_t off;

	for (off = 0; off < VOLUME_BYTES; off += 64 << 10) {
		while (run_io(w.v, VOL_READ, 0, off, buf + off, 64 << 10) != 0) {
			assert_true(w.stack->fails);
			assert_true(tries-- > 0);
		}
	}
	assert_memory_equal(buf, w.model, VOLUME_BYTES);
	free(buf);
}

static void
check_stats(void)
{
	const struct vol_stats *s = vol_get_stats(w.v);
	uint64_t ops = 0, errors = 0;
	unsigned op;

	for (op = 0; op < VOL_OPS; op++) {
		ops += s->ops[op];
		errors += s->errors[op];
		if (op == VOL_DISCARD && w.stack->vague)
			continue;
		assert_true(s->ops[op] > 0);
		assert_true(op == VOL_FLUSH ? s->bytes[op] == 0 : s->bytes[op] > 0);
	}
	assert_int_equal(ops, w.submitted);
	assert_int_equal(errors, w.failed);
	assert_int_equal(s->in_flight, 0);
	assert_in_range(s->in_flight_max, 2, DEPTH);
}

static struct volume *
open_stack(const struct stack *s)
{
	const char *path = test_path("image");
	char spec[512];
	const char *hole = strstr(s->spec, "%s");

	if (s->nbdkit != NULL)
		path = nbd_server_socket();
	else if (s->env != NULL)
		path = getenv(s->env);
	/* Only the file's name is filled in; "%%" is a percent sign. */
	if (hole == NULL)
		return must_open(s->spec, "");
	(void)snprintf(spec, sizeof(spec), s->spec, path);
	return must_open("%s", spec);
}

static void
make_mbr(void)
{
	static const uint8_t entry[16] = {[4] = 0x83, [9] = 8, [13] = 8};
	FILE *f = fopen(make_file("image", 3 << 20, 0), "r+");

	assert_non_null(f);
	assert_int_equal(fseek(f, 446, SEEK_SET), 0);
	assert_int_equal(fwrite(entry, 1, sizeof(entry), f), sizeof(entry));
	assert_int_equal(fseek(f, 510, SEEK_SET), 0);
	assert_int_equal(fwrite("\x55\xaa", 1, 2, f), 2);
	assert_int_equal(fclose(f), 0);
}

/* What the stack needs below it. */
static void
start_below(const struct stack *s)
{
	(void)remove(test_path("image"));
	if (s->nbdkit != NULL)
		nbd_server_start(s->nbdkit);
	if (s->mbr)
		make_mbr();
}

/* False, and said so, for what cannot be here. */
static bool
is_possible(const struct stack *s)
{
	if (s->nbdkit != NULL && !nbd_server_exists()) {
		print_message("SKIPPED: %s: no nbdkit\n", s->spec);
		return false;
	}
	if (s->env != NULL && getenv(s->env) == NULL) {
		print_message("SKIPPED: no %s\n", s->env);
		return false;
	}
	if (!s->direct || has_direct())
		return true;
	print_message("SKIPPED: %s: no O_DIRECT in /tmp\n", s->spec);
	return false;
}

static void
run_stack(const struct stack *s, uint64_t seed)
{
	unsigned i;

	start_below(s);
	memset(&w, 0, sizeof(w));
	w.stack = s;
	w.random = seed;
	w.v = open_stack(s);
	for (i = 0; i < DEPTH; i++)
		w.requests[i].mem = aligned_alloc(4096, MAX_LEN + 4096);
	while (w.submitted < REQUESTS) {
		struct request *r = &w.requests[pick(DEPTH)];

		if (!r->busy)
			submit_random(r);
		else if (pick(4) == 0)
			wait_and_poll(w.v);
	}
	while (w.completed < w.submitted)
		wait_and_poll(w.v);
	assert_int_equal(vol_poll(w.v), 0);
	assert_true(vol_next_ns(w.v) == UINT64_MAX);
	check_stats();
	assert_int_equal(w.failed > 0, s->fails);
	read_everything();
	vol_close(w.v);
	if (s->persists) {
		w.v = open_stack(s);
		read_everything();
		vol_close(w.v);
	}
	nbd_server_stop();
	for (i = 0; i < DEPTH; i++)
		free(w.requests[i].mem);
}

static void
random_requests_match_the_model(void **state)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(stacks); i++) {
		print_message("    %s\n", stacks[i].spec);
		if (is_possible(&stacks[i]))
			run_stack(&stacks[i], 0x9e3779b97f4a7c15 + i);
	}
}

/* A list of requests and what vol_submit() must say to each. */
static void
refuse_bad_requests(struct volume *v)
{
	uint64_t size = vol_get_info(v)->size;
	char buf[1024];
	static const enum vol_op ranged[] = {VOL_READ, VOL_WRITE, VOL_DISCARD, VOL_WRITE_ZEROES};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(ranged); i++) {
		enum vol_op op = ranged[i];

		assert_int_equal(run_io(v, op, 0, size, buf, 512), -EINVAL);
		assert_int_equal(run_io(v, op, 0, size - 512, buf, 1024), -EINVAL);
		assert_int_equal(run_io(v, op, 0, UINT64_MAX - 511, buf, 512), -EINVAL);
		assert_int_equal(run_io(v, op, 0, UINT64_MAX - 511, buf, 1024), -EINVAL);
		assert_int_equal(run_io(v, op, 0, 512, buf, UINT64_MAX - 511), -EINVAL);
		assert_int_equal(run_io(v, op, 0, 0, buf, 0), -EINVAL);
		assert_int_equal(run_io(v, op, 0, 0, buf, 511), -EINVAL);
		assert_int_equal(run_io(v, op, 0, 1, buf, 512), -EINVAL);
		assert_int_equal(run_io(v, op, 0x80, 0, buf, 512), -EINVAL);
	}
	assert_int_equal(run_io(v, VOL_READ, VOL_FUA, 0, buf, 512), -EINVAL);
	assert_int_equal(run_io(v, VOL_FLUSH, VOL_FUA, 0, NULL, 0), -EINVAL);
	assert_int_equal(run_io(v, VOL_DISCARD, VOL_FUA, 0, NULL, 512), -EINVAL);
	assert_int_equal(run_io(v, VOL_WRITE, VOL_NOHOLE, 0, buf, 512), -EINVAL);
	assert_int_equal(run_io(v, VOL_OPS, 0, 0, buf, 512), -EINVAL);
	assert_int_equal(run_io(v, (enum vol_op) - 1, 0, 0, buf, 512), -EINVAL);
}

static void
never_done(struct vol_io *io, int status)
{
	fail_msg("a refused request was completed");
}

static void
refuse_wrong_memory(struct volume *v)
{
	static const size_t lens[][2] = {{512, 511}, {512, 513}, {0, 512}, {SIZE_MAX, 1025}};
	char buf[2048];
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(lens); i++) {
		struct iovec iov[2] = {{buf, lens[i][0]}, {buf, lens[i][1]}};
		struct vol_io io = {
			.op = VOL_READ, .len = 1024, .iov = iov, .iovcnt = 2, .done = never_done};

		assert_int_equal(vol_submit(v, &io), -EINVAL);
	}
	assert_int_equal(vol_poll(v), 0);
}

static void
bad_requests_are_refused(void **state)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(stacks); i++) {
		struct volume *v;

		if (!is_possible(&stacks[i]))
			continue;
		start_below(&stacks[i]);
		v = open_stack(&stacks[i]);
		refuse_bad_requests(v);
		refuse_wrong_memory(v);
		assert_int_equal(vol_get_stats(v)->in_flight_max, 0);
		vol_close(v);
		nbd_server_stop();
	}
}

/* A server that resubmits from its callback: the same io, again and again. */
struct chain {
	struct volume *v;
	unsigned left;
	unsigned depth; /* calls of done() on the stack */
};

static void
submit_again(struct vol_io *io, int status)
{
	struct chain *c = io->user;

	assert_int_equal(status, 0);
	assert_int_equal(c->depth, 0);
	c->depth++;
	if (--c->left > 0)
		assert_int_equal(vol_submit(c->v, io), 0);
	c->depth--;
}

static void
callbacks_may_submit(void **state)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(stacks); i++) {
		struct chain c = {.left = 50};
		char buf[512];
		struct iovec iov = {buf, sizeof(buf)};
		struct vol_io io = {.op = VOL_READ,
			.len = 512,
			.iov = &iov,
			.iovcnt = 1,
			.done = submit_again,
			.user = &c};

		if (stacks[i].fails || !is_possible(&stacks[i]))
			continue;
		start_below(&stacks[i]);
		c.v = open_stack(&stacks[i]);
		assert_int_equal(vol_submit(c.v, &io), 0);
		while (c.left > 0) {
			unsigned before = c.left;

			wait_and_poll(c.v);
			/* What a callback submits is not run by the same poll: polls end. */
			assert_true(before - c.left <= 1);
		}
		vol_close(c.v);
		nbd_server_stop();
	}
}

static void
readonly_stacks_refuse_writes(void **state)
{
	static const char *const specs[] = {"readonly:mem:1M", "readonly:null:1M",
		"delay:read=1us:readonly:mem:1M", "readonly:error:rate=0%:mem:1M"};
	char buf[512];
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(specs); i++) {
		struct volume *v = must_open("%s", specs[i]);

		assert_int_equal(vol_get_info(v)->caps, VOL_CAP_READONLY);
		assert_int_equal(run_io(v, VOL_WRITE, 0, 0, buf, 512), -EROFS);
		assert_int_equal(run_io(v, VOL_WRITE, VOL_FUA, 0, buf, 512), -EROFS);
		assert_int_equal(run_io(v, VOL_DISCARD, 0, 0, NULL, 512), -EROFS);
		assert_int_equal(run_io(v, VOL_WRITE_ZEROES, 0, 0, NULL, 512), -EROFS);
		assert_int_equal(run_io(v, VOL_FLUSH, 0, 0, NULL, 0), 0);
		must_read(v, 512, 4096, 0);
		vol_close(v);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_requests_match_the_model),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(callbacks_may_submit),
		cmocka_unit_test(readonly_stacks_refuse_writes),
	};

	return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
