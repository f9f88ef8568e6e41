/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>

#include "cases.h"

#define OPEN_NS (10 * XFER_NSEC_PER_SEC)
#define IO_NS (60 * XFER_NSEC_PER_SEC)

static const struct sim_case cases[] = {
#define X(name, text) {#name, text, case_##name},
	SIM_CASE_LIST(X)
#undef X
};

bool
case_exists(const char *name)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(cases); i++) {
		if (strcmp(cases[i].name, name) == 0)
			return true;
	}
	return false;
}

void
cases_list(void)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(cases); i++)
		printf("  %-20s %s\n", cases[i].name, cases[i].text);
}

int
cases_run(struct world *w, const char *name)
{
	unsigned failed = 0;
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(cases); i++) {
		if (name != NULL && strcmp(cases[i].name, name) != 0)
			continue;
		cases[i].run(w);
		if (w->failure.failed) {
			printf("FAILED: %s: %s (%s): %s\n", cases[i].name,
				sim_criterion_ids[w->failure.criterion],
				sim_criterion_names[w->failure.criterion], w->failure.text);
			failed++;
		} else {
			printf("ok: %s: %s\n", cases[i].name, cases[i].text);
		}
	}
	return failed > 0;
}

static bool
is_all_live(struct world *w)
{
	unsigned i;

	for (i = 0; i < w->nb_ini; i++) {
		if (w->ini[i].opened == 0 || xfer_ini_get_state(w->ini[i].eng) != XFER_INI_LIVE)
			return false;
	}
	return true;
}

static bool
is_idle(struct world *w)
{
	unsigned i;

	for (i = 0; i < w->nb_ini; i++) {
		if (w->ini[i].nb_live > 0)
			return false;
	}
	return true;
}

void
case_set_mode(struct sim_conf *c, enum sim_mode mode, uint32_t pairs)
{
	c->mode = (uint8_t)mode;
	c->p_tgt = WIRE_EBD_P_PAGE;
	c->p_ini = WIRE_EBD_P_PAGE;
	c->ring_eager = true;
	c->loan_frames = 64;
	c->ring_pairs = mode == SIM_MODE_in_place || mode == SIM_MODE_mixed ? pairs : 0;
}

void
case_open(struct world *w)
{
	uint8_t node;

	world_reset(w, 0);
	for (node = 0; node <= w->nb_ini; node++)
		node_start(w, node);
	if (!world_run(w, is_all_live, w->clock.now + OPEN_NS))
		sim_fail(w, CR_liveness, "the session does not open");
}

struct sim_cmd *
case_submit(struct world *w, unsigned ini, uint8_t op, uint32_t sector, uint32_t n)
{
	struct sim_cmd *c = ini_cmd(&w->ini[ini]);

	if (c == NULL)
		abort();
	memset(&c->cmd, 0, sizeof(c->cmd));
	c->cmd.op = op;
	c->cmd.addr = (uint64_t)sector * SIM_SECTOR;
	c->cmd.len = n * SIM_SECTOR;
	c->status = 1;
	if (ini_submit(w, c) != 0)
		sim_fail(w, CR_contract, "submit refused a good command");
	node_after(w, w->ini[ini].node);
	return c;
}

bool
case_wait(struct world *w, uint64_t ns)
{
	if (!world_run(w, is_idle, w->clock.now + ns))
		sim_fail(w, CR_liveness, "commands do not end within %llu ms",
			(unsigned long long)(ns / 1000 / 1000));
	return !w->failure.failed;
}

void
case_io(struct world *w, unsigned ini, uint8_t op, uint32_t sector, uint32_t n)
{
	struct sim_cmd *c;

	if (w->failure.failed)
		return;
	c = case_submit(w, ini, op, sector, n);
	if (case_wait(w, IO_NS) && c->status != 0)
		sim_fail(w, CR_completion, "#%u ended with %d", c->op, c->status);
}

void
case_plain(struct world *w)
{
	struct sim_result r;

	sim_run(w, 1, 2000, 0, NULL, 0, &r);
	CASE_CHECK(w, r.outcomes[0] == w->load.ended && r.outcomes[0] >= 2000);
}
