/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The server and its volumes: a round of them, and how long they take to answer. */

#include <rte_cycles.h>

#include "server_int.h"
#include "st_nic.h"

/* Cycles to ns. Off the path of requests that need no volume. */
static uint64_t
cycles_to_ns(uint64_t cycles)
{
	return (uint64_t)((double)cycles * 1e9 / (double)rte_get_tsc_hz());
}

/*
 * How long a request is in the volumes, by Little's law: so many under way, times the time from one end to the
 * next. Requests that needed no volume end in no time, and count too: who has many of them waits for nobody.
 */
static void
note_pace(struct server_pace *p, uint64_t now, unsigned under_way, uint64_t commands)
{
	uint64_t ended = commands - p->commands;
	uint64_t each;

	if (!p->busy) {
		p->since = now;
		p->commands = commands;
		p->busy = true;
		return;
	}
	if (ended == 0)
		return;
	each = (now - p->since) * under_way / ended;
	p->since = now;
	p->commands = commands;
	p->answer += each / 8 - p->answer / 8;
}

/* *began: the time when the first of them had something to do, if any has. */
static unsigned
poll_volumes(struct ebd_server *s, uint64_t *began)
{
	unsigned work = 0, under_way = 0, i;

	for (i = 0; i < s->nb_exports; i++) {
		struct volume *v = s->exports[i]->volume;

		if (v == NULL || vol_get_stats(v)->in_flight == 0)
			continue;
		if (*began == 0)
			*began = rte_rdtsc();
		under_way += vol_get_stats(v)->in_flight;
		work += vol_poll(v);
	}
	if (under_way > 0)
		note_pace(&s->pace, *began, under_way, s->commands);
	else
		s->pace.busy = false;
	return work;
}

unsigned
server_run_volumes(struct ebd_server *s)
{
	uint64_t began = 0;
	unsigned work;

	if (s->target != NULL && mpn_unlikely(st_target_in_debt(s->target)))
		return 1;
	work = poll_volumes(s, &began);
	if (work > 0 && s->target != NULL)
		st_target_charge(s->target, rte_rdtsc() - began);
	return work;
}

unsigned
server_in_volumes(const struct ebd_server *s)
{
	unsigned n = 0, i;

	for (i = 0; i < s->nb_exports; i++) {
		if (s->exports[i]->volume == NULL)
			continue;
		n += vol_get_stats(s->exports[i]->volume)->in_flight;
	}
	return n;
}

uint64_t
ebd_server_answer_ns(const struct ebd_server *s)
{
	/* What runs on another lcore is not waited for here. */
	return s->pace.busy && !s->away ? cycles_to_ns(s->pace.answer) : 0;
}
