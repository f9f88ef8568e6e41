/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "guard.h"
#include "mpn_err.h"

#define STACK_BYTES (64 << 10)

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
#define NB_CRASHES MPN_ARRAY_SIZE(crashes)

/* Signal handlers are the whole process's: one call at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before[NB_CRASHES];
static _Thread_local sigjmp_buf *back;

/* Of a thread that is in no such call: what was there before us has it, when the instruction runs again. */
static void
pass_on(int sig)
{
	for (unsigned i = 0; i < NB_CRASHES; i++) {
		if (crashes[i] == sig)
			(void)sigaction(sig, &before[i], NULL);
	}
	if (sig == SIGABRT)
		(void)raise(sig);
}

static void
on_crash(int sig)
{
	if (back != NULL)
		siglongjmp(*back, sig);
	pass_on(sig);
}

static void
set_handlers(void)
{
	struct sigaction sa = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};

	for (unsigned i = 0; i < NB_CRASHES; i++)
		(void)sigaction(crashes[i], &sa, &before[i]);
}

static void
restore_handlers(void)
{
	for (unsigned i = 0; i < NB_CRASHES; i++)
		(void)sigaction(crashes[i], &before[i], NULL);
}

static int
call(int (*fn)(void *arg), void *arg, int *rc)
{
	sigjmp_buf here;
	int sig = sigsetjmp(here, 1);

	if (sig == 0) {
		back = &here;
		*rc = fn(arg);
	}
	back = NULL;
	return sig;
}

int
guard_call(int (*fn)(void *arg), void *arg, int *rc)
{
	/* The one that is in use may be full. */
	stack_t stack = {.ss_sp = malloc(STACK_BYTES), .ss_size = STACK_BYTES}, old;
	bool has_stack = stack.ss_sp != NULL && sigaltstack(&stack, &old) == 0;
	int sig;

	pthread_mutex_lock(&lock);
	set_handlers();
	sig = call(fn, arg, rc);
	restore_handlers();
	pthread_mutex_unlock(&lock);
	if (has_stack)
		(void)sigaltstack(&old, NULL);
	free(stack.ss_sp);
	return sig;
}
