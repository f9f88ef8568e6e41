/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What a back end may take long for runs in threads of their own: to open a volume, to look at its size, to close
 * it. Who asked for the first two waits, and the server goes on meanwhile; nobody waits for the last.
 *
 *	RUNS --> DONE                    who waits takes what it has brought
 *	  +----> GIVEN_UP --> undo()     the program did not want to wait any longer
 */

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"
#include "mpn_map.h"
#include "server_int.h"
#include "volume_util.h"

static void *
run_errand(void *arg)
{
	struct errand *e = arg;

	e->rc = e->run(e);
	if (e->rc < 0)
		(void)snprintf(e->error, sizeof(e->error), "%s", mpn_log_last_error());
	if (__atomic_exchange_n(&e->state, ERRAND_DONE, __ATOMIC_ACQ_REL) == ERRAND_GIVEN_UP)
		e->undo(e);
	__atomic_store_n(&e->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Signals are for the program's own threads, and the core this one polls on is for nobody else. */
static int
start_errand(struct errand *e)
{
	sigset_t all, before;
	cpu_set_t cores;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	vol_threads_begin(&cores);
	rc = pthread_create(&e->thread, NULL, run_errand, e);
	vol_threads_end(&cores);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static bool
has_ended(struct errand *e)
{
	return __atomic_load_n(&e->ended, __ATOMIC_ACQUIRE);
}

/* Nobody waits for it. */
static void
leave_it(struct ebd_server *s, struct errand *e)
{
	e->next = s->errands;
	s->errands = e;
	s->nb_errands++;
}

void
server_end_errands(struct ebd_server *s, bool wait)
{
	struct errand **pos = &s->errands, *e;

	while ((e = *pos) != NULL) {
		if (!wait && !has_ended(e)) {
			pos = &e->next;
			continue;
		}
		*pos = e->next;
		(void)pthread_join(e->thread, NULL);
		free(e);
		s->nb_errands--;
	}
}

/* ---- The server goes on ---- */

/* @return what the background said */
static int
serve_round(struct ebd_server *s)
{
	unsigned work = ebd_server_poll(s);
	int rc = 0;

	if (s->conf.background != NULL)
		rc = s->conf.background(s->conf.background_arg);
	ebd_server_idle(s, work);
	return rc;
}

/* Who asked may have its lcores stand still: they are to run. @return 0, or -errno: not to be waited for */
static int
serve_until_ended(struct ebd_server *s, struct errand *e)
{
	bool held[XFER_MAX_PORTS];
	unsigned i, nb = s->nb_nics;
	int rc = 0;

	for (i = 0; i < nb; i++)
		held[i] = nic_let_go(s->nics[i].nic);
	while (rc >= 0 && !has_ended(e))
		rc = serve_round(s);
	for (i = 0; i < nb; i++) {
		if (held[i])
			mpn_nic_hold(s->nics[i].nic);
	}
	return MPN_MIN(rc, 0);
}

static void
undo(struct errand *e)
{
	e->undo(e);
	free(e);
}

int
server_run_meanwhile(struct ebd_server *s, struct errand *e, const char *what)
{
	int rc;

	if (s->waiting) {
		undo(e);
		return mpn_log_err(EBUSY, "ebd", "'%s': another volume is being waited for", what);
	}
	rc = start_errand(e);
	if (rc != 0) {
		undo(e);
		return mpn_log_err(rc, "ebd", "'%s': no thread: %s", what, strerror(rc));
	}
	s->waiting = true;
	rc = serve_until_ended(s, e);
	s->waiting = false;
	if (rc < 0 &&
		__atomic_exchange_n(&e->state, ERRAND_GIVEN_UP, __ATOMIC_ACQ_REL) == ERRAND_RUNS) {
		leave_it(s, e);
		return mpn_log_err(-rc, "ebd", "'%s': not waited for: %s", what, strerror(-rc));
	}
	(void)pthread_join(e->thread, NULL);
	rc = e->rc;
	if (rc < 0) {
		mpn_log_adopt_error(e->error);
		undo(e);
	}
	return rc < 0 ? mpn_err(-rc) : 0;
}

/* ---- Volumes that end ---- */

struct closing {
	struct errand errand;
	struct volume *volume;
};

static int
close_it(struct errand *e)
{
	vol_close(((struct closing *)e)->volume);
	return 0;
}

void
server_close_volume(struct ebd_server *s, struct volume *v)
{
	struct closing *c = calloc(1, sizeof(*c));

	if (c != NULL) {
		c->errand.run = close_it;
		c->volume = v;
	}
	if (c != NULL && start_errand(&c->errand) == 0) {
		leave_it(s, &c->errand);
		return;
	}
	free(c);
	vol_close(v);
}
