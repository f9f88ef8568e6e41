/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Payload that moves beside st_copy() is seen here. The library is linked so that its calls of memcpy
 * and the like come here first: what moves as much as a payload, other than from st_copy(), is an error
 * that names its caller. What the compiler makes of a copy of a constant size does not come here; those
 * copy_source_test.sh looks for.
 *
 * This program's own files are compiled with names of their own for these functions.
 */

#include <execinfo.h>
#include <unistd.h>

#include "bed.h"
#include "nic_internal.h"

#define KIB 1024u
#define PAYLOAD \
	256 /* headers, and the structures that are copied on the way of data, are smaller */
#define MAX_FOUND 8

static bool watching;
static __thread bool counted; /* inside st_copy() */
static unsigned nb_found, nb_counted;
static void *found[MAX_FOUND];

static void
look(size_t n, void *caller)
{
	if (!watching || n < PAYLOAD)
		return;
	if (counted)
		nb_counted++;
	else if (nb_found < MAX_FOUND)
		found[nb_found++] = caller;
}

/* {name, parameters, arguments} */
#define WRAPPED_LIST(X) \
	X(memcpy, (void *dst, const void *src, size_t n), (dst, src, n)) \
	X(memmove, (void *dst, const void *src, size_t n), (dst, src, n)) \
	X(mempcpy, (void *dst, const void *src, size_t n), (dst, src, n)) \
	X(__memcpy_chk, (void *dst, const void *src, size_t n, size_t room), (dst, src, n, room)) \
	X(__memmove_chk, (void *dst, const void *src, size_t n, size_t room), (dst, src, n, room)) \
	X(__mempcpy_chk, (void *dst, const void *src, size_t n, size_t room), (dst, src, n, room))

#define X(name, params, args) \
	void *__real_##name params; \
	void *__wrap_##name params; \
	void *__wrap_##name params \
	{ \
		look(n, __builtin_return_address(0)); \
		return __real_##name args; \
	}
WRAPPED_LIST(X)
#undef X

void __real_st_copy(
	struct st_copy_stats *stats, enum st_copy_site site, void *dst, const void *src, size_t n);
void __wrap_st_copy(
	struct st_copy_stats *stats, enum st_copy_site site, void *dst, const void *src, size_t n);

void
__wrap_st_copy(
	struct st_copy_stats *stats, enum st_copy_site site, void *dst, const void *src, size_t n)
{
	counted = true;
	__real_st_copy(stats, site, dst, src, n);
	counted = false;
}

/* What this program's own files call, see its meson.build. */
void *plain_memcpy(void *dst, const void *src, size_t n);
void *plain_memmove(void *dst, const void *src, size_t n);

void *
plain_memcpy(void *dst, const void *src, size_t n)
{
	return __real_memcpy(dst, src, n);
}

void *
plain_memmove(void *dst, const void *src, size_t n)
{
	return __real_memmove(dst, src, n);
}

static void
assert_none_beside(const char *what)
{
	watching = false;
	if (nb_found > 0) {
		print_error("%s: payload moved by\n", what);
		backtrace_symbols_fd(found, (int)nb_found, STDERR_FILENO);
		nb_found = 0;
		fail();
	}
}

struct way {
	const char *name;
	struct bed_conf conf;
	uint8_t op;
	bool arena; /* the client's buffer */
	bool loan;
	bool copies; /* at one of the ends */
};

static const struct way ways[] = {
	{"read", {0}, WIRE_READ, true, false, true},
	{"read from memory", {.mapped = true}, WIRE_READ, true, false, true},
	{"read from foreign memory, with checksums", {.mapped = true, .foreign = true, .crc = 1},
		WIRE_READ, false, false, true},
	{"read over virtio", {.virtio = true}, WIRE_READ, true, false, true},
	{"read in place over virtio",
		{.virtio = true, .mapped = true, .place = 32, .placement = DEV_ST_PLACE_IN},
		WIRE_READ, true, false, true},
	{"loan from memory", {.mapped = true}, WIRE_READ, false, true, true},
	{"loan", {0}, WIRE_READ, false, true, false},
	{"loan over virtio", {.virtio = true}, WIRE_READ, false, true, false},
	{"write", {0}, WIRE_WRITE, true, false, true},
	{"write from the heap", {0}, WIRE_WRITE, false, false, true},
	{"write from the heap, with checksums", {.crc = 1}, WIRE_WRITE, false, false, true},
	{"write to memory", {.mapped = true}, WIRE_WRITE, true, false, true},
	{"write over virtio", {.virtio = true}, WIRE_WRITE, true, false, false},
	{"write to memory over virtio", {.virtio = true, .mapped = true}, WIRE_WRITE, true, false,
		true},
};

static void
borrow(struct bed *b, uint32_t len)
{
	struct st_request req = {.op = WIRE_READ, .loan = true, .len = len};

	assert_int_equal(bed_run(b, &req), 0);
	dev_st_loan_put(&req);
}

static void
go(const struct way *w, uint16_t mtu)
{
	static const uint32_t lens[] = {512, 4 * KIB, 64 * KIB};
	struct bed_conf conf = w->conf;
	struct bed *b;
	uint8_t *mem;
	unsigned i;

	conf.mtu = mtu;
	b = bed_create(&conf);
	if (conf.place > 0)
		bed_poll_until(b, nic_peer_has_data_queue(b->nics[1]));
	mem = w->arena ? st_arena_alloc(b->nics[0], 64 * KIB, 0) : malloc(64 * KIB);
	nb_counted = 0;
	for (i = 0; i < MPN_ARRAY_SIZE(lens); i++) {
		bed_fill(mem, lens[i], i);
		watching = true;
		if (w->loan)
			borrow(b, lens[i]);
		else
			assert_int_equal(bed_rw(b, w->op, mem, lens[i], 0, 0), 0);
		assert_none_beside(w->name);
		if (!w->loan)
			assert_memory_equal(mem, b->disk, lens[i]);
	}
	/* The test sees what st_copy() does, so it would see others. */
	if (w->copies && nb_counted == 0)
		fail_msg("%s, MTU %u: not one copy was seen", w->name, mtu);
	/* Fragments of 1,408 bytes are not received in place. */
	if (conf.place > 0 && mtu > 1500)
		assert_true(bed_copies(b, 0)->in_place > 0);
	if (w->arena)
		st_arena_free(mem);
	else
		free(mem);
	bed_destroy(b);
}

static void
test_no_payload_moves_beside_st_copy(void **state)
{
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(ways); i++) {
		go(&ways[i], 9000);
		go(&ways[i], 1500);
	}
}

/* As code of the library would: its calls are the linker's to change. */
static void
test_a_copy_beside_it_is_found(void **state)
{
	char from[KIB], to[KIB];

	memset(from, 1, sizeof(from));
	watching = true;
	(void)__wrap_memcpy(to, from, PAYLOAD - 1);
	assert_int_equal(nb_found, 0);
	(void)__wrap_memcpy(to, from, PAYLOAD);
	(void)__wrap_memmove(to, from, KIB);
	watching = false;
	assert_int_equal(nb_found, 2);
	nb_found = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_payload_moves_beside_st_copy),
		cmocka_unit_test(test_a_copy_beside_it_is_found),
	};

	return cmocka_run_group_tests_name("storage_copy_wrap", tests, bed_start_eal, bed_stop_eal);
}
