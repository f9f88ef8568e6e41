/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Kinds of personalities, and the life cycle of a NIC's personalities (the report, 2.2.2).
 */

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "map.h"
#include "mpn_log.h"
#include "mpn_map.h"
#include "mpn_parse.h"
#include "mpn_stage.h"
#include "nic_internal.h"
#include "plugin.h"
#include "worker.h"

#define MAX_KINDS 16
#define DEFAULT_CPU_WEIGHT 1
/* It is polled by the one who waits for its answers, and moves whole requests. */
#define SOLICITED_CPU_WEIGHT 3

static const struct mpn_personality_ops *kinds[MAX_KINDS];
static unsigned nb_kinds;

/* ---- Kinds ---- */

static const struct mpn_personality_ops *
find_kind(const char *name)
{
	for (unsigned i = 0; i < nb_kinds; i++) {
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	}
	return NULL;
}

bool
personality_kind_exists(const char *name)
{
	return find_kind(name) != NULL;
}

bool
personality_ops_complete(const struct mpn_personality_ops *ops)
{
	return ops->abi == MPN_ABI_VERSION && ops->name != NULL && ops->name[0] != '\0' &&
	       strlen(ops->name) < MPN_NAME_LEN &&
	       ops->nb_ethertypes <= MPN_ARRAY_SIZE(((struct mpn_personality *)0)->ethertypes) &&
	       ops->load != NULL && ops->unload != NULL && ops->start != NULL &&
	       ops->stop != NULL && ops->rx_burst != NULL && ops->poll != NULL;
}

int
mpn_personality_register(const struct mpn_personality_ops *ops)
{
	if (ops == NULL || !personality_ops_complete(ops))
		return mpn_err(EINVAL);
	if (find_kind(ops->name) != NULL)
		return mpn_err(EEXIST);
	if (nb_kinds == MAX_KINDS)
		return mpn_err(ENOSPC);
	kinds[nb_kinds++] = ops;
	return 0;
}

const struct mpn_personality_ops *
mpn_personality_kind(unsigned n)
{
	return n < nb_kinds ? kinds[n] : NULL;
}

/* ---- The table of transitions ---- */

#define TO(state) ((int8_t)((state) + 1))
#define GONE TO(MPN_PERS_STATES)

/* 0: not allowed. */
static const int8_t transitions[MPN_PERS_STATES][STEPS] = {
	[MPN_PERS_DEFINED] = {[STEP_LOAD] = TO(MPN_PERS_LOADED), [STEP_UNDEFINE] = GONE},
	[MPN_PERS_LOADED] =
		{[STEP_START] = TO(MPN_PERS_STARTED), [STEP_UNLOAD] = TO(MPN_PERS_DEFINED)},
	[MPN_PERS_STARTED] = {[STEP_STOP] = TO(MPN_PERS_STOPPING)},
	[MPN_PERS_STOPPING] = {[STEP_QUIET] = TO(MPN_PERS_LOADED)},
};

static const char *const step_names[STEPS] = {
	[STEP_LOAD] = "load",
	[STEP_UNLOAD] = "unload",
	[STEP_START] = "start",
	[STEP_STOP] = "stop",
	[STEP_QUIET] = "quiet",
	[STEP_UNDEFINE] = "undefine",
};

const char *
mpn_pers_state_name(enum mpn_pers_state s)
{
	static const char *const names[MPN_PERS_STATES] = {
		[MPN_PERS_DEFINED] = "defined",
		[MPN_PERS_LOADED] = "loaded",
		[MPN_PERS_STARTED] = "started",
		[MPN_PERS_STOPPING] = "stopping",
	};

	return (unsigned)s < MPN_PERS_STATES ? names[s] : "unknown";
}

static int
check_step(const struct mpn_personality *p, enum pers_step step)
{
	if (transitions[p->state][step] != 0)
		return 0;
	return mpn_log_err(EPERM, "nic", "personality '%s': cannot %s: it is %s", p->name,
		step_names[step], mpn_pers_state_name(p->state));
}

/* The only place where a state changes. The step has been checked. */
static void
take_step(struct mpn_personality *p, enum pers_step step)
{
	int8_t to = transitions[p->state][step];

	if (to != GONE)
		p->state = (enum mpn_pers_state)(to - 1);
	sched_set_pace(p->nic);
}

/* A step that takes away what a round of the poll loop may be using. */
static int
check_not_polling(const struct mpn_personality *p, enum pers_step step)
{
	bool takes_away = step == STEP_STOP || step == STEP_UNLOAD || step == STEP_UNDEFINE;

	if (!worker_is_me() && !(p->nic->in_poll && takes_away))
		return 0;
	return mpn_log_err(EBUSY, "nic", "personality '%s': cannot %s from inside a poll", p->name,
		step_names[step]);
}

/* May it be taken here and now? Then the NIC is held. */
static int
begin_step(const struct mpn_personality *p, enum pers_step step)
{
	int rc = check_step(p, step);

	if (rc == 0)
		rc = check_not_polling(p, step);
	if (rc == 0)
		mpn_nic_hold(p->nic);
	return rc;
}

/* ---- The steps ---- */

struct mpn_personality *
mpn_personality_find(struct mpn_nic *nic, const char *name)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		if (strcmp(nic->pers[i]->name, name) == 0)
			return nic->pers[i];
	}
	return mpn_err_null(ENOENT);
}

uint32_t
personality_cpu_weight(const struct mpn_personality_ops *ops)
{
	return ops->kind == MPN_PERS_SOLICITED ? SOLICITED_CPU_WEIGHT : DEFAULT_CPU_WEIGHT;
}

static int
define(struct mpn_nic *nic, const struct mpn_personality_ops *ops, const char *name,
	struct mpn_personality **out)
{
	struct mpn_personality *p;

	if (mpn_personality_find(nic, name) != NULL)
		return mpn_log_err(
			EEXIST, "nic", "%s has a personality '%s' already", nic->info.name, name);
	if (nic->nb_pers == MPN_MAX_PERSONALITIES)
		return mpn_log_err(ENOSPC, "nic", "%s has %d personalities already", nic->info.name,
			MPN_MAX_PERSONALITIES);
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return mpn_err(ENOMEM);
	if (mpn_copy_str(p->name, sizeof(p->name), name) < 0) {
		free(p);
		return mpn_log_err(ENAMETOOLONG, "nic", "personality '%s': name too long", name);
	}
	p->nic = nic;
	p->ops = ops;
	p->state = MPN_PERS_DEFINED;
	p->share = (struct mpn_share){.weight = 1, .cpu_weight = personality_cpu_weight(ops)};
	(void)claims_store(p, ops->ethertypes, ops->nb_ethertypes);
	mpn_nic_hold(nic);
	nic->pers[nic->nb_pers++] = p;
	nic_map_rebuild(nic);
	mpn_nic_release(nic);
	if (out != NULL)
		*out = p;
	return 0;
}

int
mpn_personality_define(
	struct mpn_nic *nic, const char *kind, const char *name, struct mpn_personality **out)
{
	bool is_path = strchr(kind, '/') != NULL;
	const struct mpn_personality_ops *ops = is_path ? plugin_get(kind) : find_kind(kind);
	int rc;

	if (worker_is_me())
		return mpn_log_err(EBUSY, "nic", "%s: define from inside a poll", nic->info.name);
	if (ops == NULL && is_path)
		return -errno;
	if (ops == NULL)
		return mpn_log_err(ENOENT, "nic", "no such kind of personality: '%s'", kind);
	rc = define(nic, ops, name != NULL ? name : ops->name, out);
	if (rc < 0)
		plugin_put(ops);
	return rc;
}

/* Undo what is there of a load. */
static void
release(struct mpn_personality *p)
{
	const struct mpn_beside beside = p->beside;

	mpn_personality_set_beside(p, NULL);
	if (beside.move != NULL)
		(void)beside.move(beside.arg, NULL, MAP_HOME);
	p->nb_pins = 0;
	flow_fini(&p->flow);
	free(p->priv);
	p->priv = NULL;
}

struct load_call {
	struct mpn_personality *p;
	const void *args;
	const char *options;
};

static int
call_load(void *arg)
{
	const struct load_call *c = arg;
	struct mpn_personality *p = c->p;
	const char *options = c->options;

	if (options == NULL || options[0] == '\0')
		return p->ops->load(p, c->args);
	if (p->ops->load_text == NULL)
		return mpn_log_err(EINVAL, "nic", "personality '%s': '%s' takes no options",
			p->name, p->ops->name);
	return p->ops->load_text(p, options);
}

/* A built-in one is trusted as the program is; a plugin that crashes ends its load, and nothing else. */
static int
guard_load(struct load_call *c)
{
	struct mpn_personality *p = c->p;
	int rc = 0, sig;

	if (!plugin_has(p->ops))
		return call_load(c);
	sig = guard_call(call_load, c, &rc);
	if (sig == 0)
		return rc;
	return mpn_log_err(ENOEXEC, "nic",
		"personality '%s': it crashed in load: %s; what it had taken is lost", p->name,
		strsignal(sig));
}

static int
run_load(struct mpn_personality *p, const void *args, const char *options)
{
	int rc;

	rc = claims_store(p, p->ops->ethertypes, p->ops->nb_ethertypes);
	if (rc < 0)
		return rc;
	p->takes_rest = false;
	p->loading = true;
	rc = guard_load(&(struct load_call){p, args, options});
	p->loading = false;
	if (rc < 0)
		return rc;
	rc = claims_check(p);
	if (rc < 0)
		p->ops->unload(p);
	return rc;
}

static int
make_flow(struct mpn_personality *p)
{
	struct mpn_nic *nic = p->nic;
	const struct mpn_limits *limits = &p->limits;
	int rc;

	rc = flow_init(&p->flow, limits->rx_len != 0 ? limits->rx_len : nic->conf.flow_len,
		limits->tx_len != 0 ? limits->tx_len : nic->conf.flow_len,
		/* Tagged frames would not fit where those of a data queue are put. */
		nic->data_tx && !vlan_is_set(&p->vlan), nic->info.socket_id);
	p->flow.tx.vlan = p->vlan;
	if (rc < 0 || limits->rx_frames == 0)
		return rc;
	p->flow.pool = nic_pool_create_own(nic, limits->rx_frames);
	if (p->flow.pool != NULL)
		return 0;
	rc = -errno;
	return mpn_log_err(-rc, "nic", "personality '%s': no memory for %u frames of its own",
		p->name, limits->rx_frames);
}

static int
load(struct mpn_personality *p, const void *args, const char *options)
{
	struct mpn_nic *nic = p->nic;
	int rc;

	rc = begin_step(p, STEP_LOAD);
	if (rc < 0)
		return rc;
	flow_clear_stats(&p->flow);
	/* What it had the last time may be back by now. */
	mpn_nic_pool_reap();
	p->priv = calloc(1, MPN_MAX(p->ops->priv_size, (size_t)1));
	rc = p->priv != NULL ? claims_make_domain(p) : mpn_err(ENOMEM);
	if (rc == 0)
		rc = make_flow(p);
	if (rc == 0)
		rc = run_load(p, args, options);
	if (rc == 0)
		take_step(p, STEP_LOAD);
	else
		release(p);
	claims_rebuild(nic);
	mpn_nic_release(nic);
	return rc < 0 ? mpn_err(-rc) : 0;
}

int
mpn_personality_load(struct mpn_personality *p, const void *args)
{
	return load(p, args, NULL);
}

int
mpn_personality_load_text(struct mpn_personality *p, const char *options)
{
	return load(p, NULL, options);
}

int
mpn_personality_start(struct mpn_personality *p)
{
	int rc = begin_step(p, STEP_START);

	if (rc < 0)
		return rc;
	rc = p->ops->start(p);
	if (rc == 0) {
		take_step(p, STEP_START);
		rx_queue_give(p);
		watch_start(p);
	}
	mpn_nic_release(p->nic);
	return rc < 0 ? mpn_err(-rc) : 0;
}

static bool
is_quiet(struct mpn_personality *p)
{
	if (p->ops->quiet != NULL && !p->ops->quiet(p))
		return false;
	return !flow_tx_waits(&p->flow);
}

/* Poll until everything that was accepted has ended. */
static int
drain(struct mpn_personality *p)
{
	uint64_t deadline = mpn_now_ns() + NIC_DRAIN_MS * 1000000ull;

	while (!is_quiet(p)) {
		if (nic_poll_released(p->nic) == 0)
			(void)sched_yield();
		if (mpn_now_ns() > deadline)
			return mpn_log_err(ETIMEDOUT, "nic",
				"personality '%s': still busy %d s after stop", p->name,
				NIC_DRAIN_MS / 1000);
	}
	return 0;
}

int
mpn_personality_stop(struct mpn_personality *p)
{
	int rc = begin_step(p, STEP_STOP);

	if (rc < 0)
		return rc;
	take_step(p, STEP_STOP);
	p->ops->stop(p);
	rc = drain(p);
	if (rc < 0)
		personality_tell_error(p, rc, "stop: still busy, give up what is open");
	take_step(p, STEP_QUIET);
	rx_queue_take(p);
	(void)flow_drop_rx(&p->flow);
	(void)flow_drop_tx(&p->flow, false);
	mpn_nic_release(p->nic);
	return rc;
}

int
mpn_personality_unload(struct mpn_personality *p)
{
	int rc = begin_step(p, STEP_UNLOAD);

	if (rc < 0)
		return rc;
	p->ops->unload(p);
	take_step(p, STEP_UNLOAD);
	claims_rebuild(p->nic);
	release(p);
	mpn_nic_release(p->nic);
	return 0;
}

int
mpn_personality_undefine(struct mpn_personality *p)
{
	struct mpn_nic *nic = p->nic;
	int rc = begin_step(p, STEP_UNDEFINE);
	unsigned i;

	if (rc < 0)
		return rc;
	personality_tell_news(p);
	for (i = 0; nic->pers[i] != p; i++)
		;
	nic->nb_pers--;
	memmove(&nic->pers[i], &nic->pers[i + 1], (nic->nb_pers - i) * sizeof(nic->pers[0]));
	nic->pers[nic->nb_pers] = NULL;
	nic_map_forget(p);
	nic_map_rebuild(nic);
	claims_rebuild(nic);
	mpn_nic_release(nic);
	plugin_put(p->ops);
	free(p);
	return 0;
}

/* From whatever state to nothing. */
void
personality_destroy(struct mpn_personality *p)
{
	if (p->state == MPN_PERS_STARTED)
		(void)mpn_personality_stop(p);
	if (p->state == MPN_PERS_LOADED)
		(void)mpn_personality_unload(p);
	(void)mpn_personality_undefine(p);
}

/* ---- In the poll loop ---- */

unsigned
personality_run(struct mpn_personality *p, uint64_t now_ns)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n, work;

	MPN_STAGE_BEGIN(FLOW);
	n = flow_pop_rx(&p->flow, mbufs, p->nic->pace.run, now_ns);
	if (n == 0)
		MPN_STAGE_WAS(OTHER);
	MPN_STAGE_NEXT(XFER);
	if (n > 0)
		p->ops->rx_burst(p, mbufs, n, now_ns);
	work = n + p->ops->poll(p, now_ns);
	if (work == 0)
		MPN_STAGE_WAS(OTHER);
	MPN_STAGE_END();
	return work;
}

void
personality_event(struct mpn_personality *p, enum mpn_nic_event ev)
{
	if (personality_is_active(p) && p->ops->event != NULL)
		p->ops->event(p, ev);
}

/* ---- Looking ---- */

void *
mpn_personality_priv(struct mpn_personality *p)
{
	return p->priv;
}

struct mpn_nic *
mpn_personality_nic(struct mpn_personality *p)
{
	return p->nic;
}

struct mpn_personality *
mpn_personality_get(struct mpn_nic *nic, unsigned n)
{
	return n < nic->nb_pers ? nic->pers[n] : NULL;
}

enum mpn_pers_state
mpn_personality_state(const struct mpn_personality *p)
{
	return p->state;
}
