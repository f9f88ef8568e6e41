/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Code that crashes, and a program that goes on. */

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "guard.h"
#include "mpn_err.h"

static int
double_it(void *arg)
{
	return 2 * *(int *)arg;
}

static int
write_nowhere(void *arg)
{
	volatile int *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*nowhere = 1;
	return 0;
}

static int
give_up(void *arg)
{
	abort();
}

static int
execute_rubbish(void *arg)
{
	return raise(SIGILL);
}

static int
divide(void *arg)
{
	return raise(SIGFPE);
}

static int
deeper(void *arg)
{
	volatile char room[4096];
	int (*volatile self)(void *) = deeper;

	room[0] = 1;
	return self(arg) + room[0];
}

static void
test_a_call_that_returns(void **state)
{
	int arg = -21, rc = 0;

	assert_int_equal(guard_call(double_it, &arg, &rc), 0);
	assert_int_equal(rc, -42);
}

static void
test_a_call_that_crashes(void **state)
{
	static const struct {
		int (*fn)(void *arg);
		int sig;
	} crashes[] = {
		{write_nowhere, SIGSEGV},
		{give_up, SIGABRT},
		{execute_rubbish, SIGILL},
		{divide, SIGFPE},
		{deeper, SIGSEGV},
	};
	struct rlimit small = {8 << 20, 8 << 20}, old;
	struct sigaction before, after;
	int rc;

	assert_int_equal(getrlimit(RLIMIT_STACK, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_STACK, &small), 0);
	/* Again and again: what it changes it puts back. */
	for (unsigned i = 0; i < 3 * MPN_ARRAY_SIZE(crashes); i++) {
		unsigned k = i % MPN_ARRAY_SIZE(crashes);

		assert_int_equal(sigaction(crashes[k].sig, NULL, &before), 0);
		assert_int_equal(guard_call(crashes[k].fn, NULL, &rc), crashes[k].sig);
		assert_int_equal(sigaction(crashes[k].sig, NULL, &after), 0);
		assert_ptr_equal(before.sa_handler, after.sa_handler);
		test_a_call_that_returns(state);
	}
	assert_int_equal(setrlimit(RLIMIT_STACK, &old), 0);
}

/* Outside of the call a crash is one. */
static void *
crash_elsewhere(void *arg)
{
	(void)write_nowhere(NULL);
	return NULL;
}

static int
wait_for_ever(void *arg)
{
	pthread_t thread;

	(void)pthread_create(&thread, NULL, crash_elsewhere, NULL);
	while (pause() < 0)
		;
	return 0;
}

static void
test_another_thread_is_not_guarded(void **state)
{
	const struct rlimit none = {0, 0};
	int status, rc;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(SIGSEGV, SIG_DFL);
		(void)alarm(20);
		(void)guard_call(wait_for_ever, NULL, &rc);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_call_that_returns),
		cmocka_unit_test(test_a_call_that_crashes),
		cmocka_unit_test(test_another_thread_is_not_guarded),
	};

	return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
