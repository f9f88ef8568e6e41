/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Processes that are there, that are stopped, that end. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mpn_proc.h"

static void
test_who_lives_is_not_ending(void **state)
{
	pid_t pid;
	int status;

	assert_false(mpn_proc_is_ending(getpid()));
	assert_false(mpn_proc_is_ending(1));
	assert_false(mpn_proc_is_ending(0));
	assert_false(mpn_proc_is_ending(-1));
	pid = fork();
	if (pid == 0) {
		(void)raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_false(mpn_proc_is_ending(pid));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* Before somebody has waited for it, and after. */
static void
test_who_has_ended_is_ending(void **state)
{
	pid_t pid = fork();
	siginfo_t info;

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(mpn_proc_is_ending(pid));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(mpn_proc_is_ending(pid));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_lives_is_not_ending),
		cmocka_unit_test(test_who_has_ended_is_ending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
