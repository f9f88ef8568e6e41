/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Idling. A thread that sleeps gives its core up of its own accord, one that yields or spins does not:
 * the kernel counts that.
 */

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "probe.h"

#define LIMIT_NS 10000000000ull
#define MS_NS 1000000ull

static long
sleeps_so_far(void)
{
	struct rusage ru;

	assert_int_equal(getrusage(RUSAGE_THREAD, &ru), 0);
	return ru.ru_nvcsw;
}

/* Empty rounds until the thread has slept. @return how long that took */
static uint64_t
idle_until_sleep(struct mpn_idler *idler)
{
	uint64_t start = mpn_now_ns();
	long before = sleeps_so_far();

	while (sleeps_so_far() == before) {
		if (mpn_now_ns() - start > LIMIT_NS)
			fail_msg("it never sleeps");
		mpn_idler_round(idler, 0);
	}
	return mpn_now_ns() - start;
}

static void
test_spin_and_yield_never_sleep(void **state)
{
	static const enum mpn_idle policies[] = {MPN_IDLE_SPIN, MPN_IDLE_YIELD};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(policies); i++) {
		struct mpn_idler idler;
		uint64_t end = mpn_now_ns() + 5 * MS_NS;
		long before;

		mpn_idler_init(&idler, policies[i]);
		before = sleeps_so_far();
		do {
			mpn_idler_round(&idler, 0);
		} while (mpn_now_ns() < end || idler.empty < 1000);
		assert_int_equal(sleeps_so_far(), before);
	}
}

static void
test_sleep_begins_after_a_millisecond_of_silence(void **state)
{
	struct mpn_idler idler;

	mpn_idler_init(&idler, MPN_IDLE_SLEEP);
	assert_true(idle_until_sleep(&idler) >= MS_NS);
	/* And goes on while the silence does. */
	assert_true(idle_until_sleep(&idler) < LIMIT_NS);
	/* Work ends it: the next silence begins anew. */
	mpn_idler_round(&idler, 1);
	assert_int_equal(idler.empty, 0);
	assert_true(idle_until_sleep(&idler) >= MS_NS);
}

/* A poller that finds something now and then stays awake, however long that goes on. */
static void
test_work_keeps_awake(void **state)
{
	struct mpn_idler idler;
	uint64_t end;
	long before;

	mpn_idler_init(&idler, MPN_IDLE_SLEEP);
	end = mpn_now_ns() + 5 * MS_NS;
	before = sleeps_so_far();
	for (unsigned i = 1; mpn_now_ns() < end || i < 1000; i++)
		mpn_idler_round(&idler, i % 32 == 0);
	assert_int_equal(sleeps_so_far(), before);
}

/* ---- Somebody else on the same core ---- */

static int rival_stop;

static void *
want_the_core(void *arg)
{
	while (__atomic_load_n(&rival_stop, __ATOMIC_RELAXED) == 0)
		(void)sched_yield();
	return NULL;
}

/* The shortest of many silences, some of which others have broken. */
static uint64_t
shortest_until_sleep(uint64_t answer_ns)
{
	uint64_t shortest = UINT64_MAX;

	for (unsigned i = 0; i < 100; i++) {
		struct mpn_idler idler;
		uint64_t ns;

		mpn_idler_init(&idler, MPN_IDLE_SLEEP);
		idler.answer_ns = answer_ns;
		ns = idle_until_sleep(&idler);
		shortest = MPN_MIN(shortest, ns);
	}
	return shortest;
}

static void
test_long_answers_are_waited_for_asleep_where_others_want_the_core(void **state)
{
	cpu_set_t all, one;
	pthread_t rival;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	rival_stop = 0;
	assert_int_equal(pthread_create(&rival, NULL, want_the_core, NULL), 0);
	assert_true(shortest_until_sleep(MS_NS) < MS_NS);
	/* Not known, and too short to sleep through. */
	assert_true(shortest_until_sleep(0) >= MS_NS);
	assert_true(shortest_until_sleep(MS_NS / 10) >= MS_NS);
	__atomic_store_n(&rival_stop, 1, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(rival, NULL), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

static void
test_the_longer_the_silence_the_longer_the_pause(void **state)
{
	assert_int_equal(mpn_idle_pause_ns(0), 50000);
	assert_int_equal(mpn_idle_pause_ns(100 * MS_NS - 1), 50000);
	assert_int_equal(mpn_idle_pause_ns(100 * MS_NS), 250000);
	assert_int_equal(mpn_idle_pause_ns(1000 * MS_NS - 1), 250000);
	assert_int_equal(mpn_idle_pause_ns(1000 * MS_NS), 1000000);
	assert_int_equal(mpn_idle_pause_ns(UINT64_MAX), 1000000);
}

static void
test_default_depends_on_cores(void **state)
{
	cpu_set_t all, one;
	unsigned cores;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	cores = (unsigned)CPU_COUNT(&all);
	assert_int_equal(mpn_idle_default(cores), MPN_IDLE_SPIN);
	assert_int_equal(mpn_idle_default(cores + 1), MPN_IDLE_YIELD);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(mpn_idle_default(2), MPN_IDLE_YIELD);
	assert_int_equal(mpn_idle_default(1), MPN_IDLE_SPIN);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spin_and_yield_never_sleep),
		cmocka_unit_test(test_sleep_begins_after_a_millisecond_of_silence),
		cmocka_unit_test(test_work_keeps_awake),
		cmocka_unit_test(
			test_long_answers_are_waited_for_asleep_where_others_want_the_core),
		cmocka_unit_test(test_the_longer_the_silence_the_longer_the_pause),
		cmocka_unit_test(test_default_depends_on_cores),
	};

	return cmocka_run_group_tests_name("idling", tests, NULL, NULL);
}
