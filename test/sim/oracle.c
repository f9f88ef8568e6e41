/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the users see: commands from submission to their end. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define ERR_EIO 1
#define ERR_ENOSPC 2

const char *const sim_criterion_names[CR_COUNT] = {
#define X(name, id, text) #name,
	SIM_CRITERION_LIST(X)
#undef X
};

const char *const sim_criterion_ids[CR_COUNT] = {
#define X(name, id, text) id,
	SIM_CRITERION_LIST(X)
#undef X
};

const char *const sim_criterion_texts[CR_COUNT] = {
#define X(name, id, text) text,
	SIM_CRITERION_LIST(X)
#undef X
};

void
sim_fail(struct world *w, enum sim_criterion c, const char *fmt, ...)
{
	va_list ap;

	if (w->failure.failed)
		return;
	w->failure.failed = true;
	w->failure.criterion = c;
	w->failure.at = w->clock.now;
	va_start(ap, fmt);
	(void)vsnprintf(w->failure.text, sizeof(w->failure.text), fmt, ap);
	va_end(ap);
}

bool
oracle_changes(uint8_t kind)
{
	return kind == WIRE_WRITE || kind == WIRE_DISCARD || kind == WIRE_WRITE_ZEROES;
}

uint32_t
oracle_client(const struct world *w, uint32_t id)
{
	return id < ORACLE_MAX_OPS ? w->oracle.op[id].ini : ORACLE_NOBODY;
}

/* ---- Those flying or loose ---- */

static void
link_op(struct sim_oracle *o, uint32_t id)
{
	o->op[id].prev = o->tail;
	o->op[id].next = 0;
	if (o->tail != 0)
		o->op[o->tail].next = id;
	else
		o->head = id;
	o->tail = id;
}

static void
unlink_op(struct sim_oracle *o, uint32_t id)
{
	struct sim_op *op = &o->op[id];

	if (op->prev != 0)
		o->op[op->prev].next = op->next;
	else
		o->head = op->next;
	if (op->next != 0)
		o->op[op->next].prev = op->prev;
	else
		o->tail = op->prev;
}

/* ---- Begin and end of a run ---- */

void
oracle_reset(struct world *w)
{
	struct sim_oracle *o = &w->oracle;
	struct sim_value first = {.first_end = 2, .last_start = 1, .op = ORACLE_INITIAL};
	uint32_t i;

	o->head = 0;
	o->tail = 0;
	o->stamp = 2;
	o->cut = 0;
	o->kill = 0;
	o->flush_started = 0;
	o->flush_acked = 0;
	o->era = 0;
	o->nb_unflushed = 0;
	o->checks = 0;
	o->tracks_power = sim_fault_on(&w->faults, SIM_F_power) || w->conf.tracks_power;
	memset(o->life, 0, sizeof(o->life));
	o->nb_ops = ORACLE_INITIAL + 1;
	o->op[ORACLE_INITIAL] = (struct sim_op){
		.submit = 1,
		.end = 2,
		.effect = 2,
		.executed = 2,
		.n = w->conf.sectors,
		.kind = WIRE_WRITE,
		.ini = ORACLE_NOBODY,
		.state = OP_ACKED,
		.durable = true,
	};
	for (i = 0; i < w->conf.sectors; i++) {
		o->reg[i].live.n = 0;
		o->reg[i].old.n = 0;
		o->reg[i].pinned = 0;
		o->reg[i].prune_at = 6;
		oracle_add(&o->reg[i].live, &first);
	}
}

void
oracle_free(struct sim_oracle *o)
{
	uint32_t i;

	for (i = 0; i < SIM_MAX_SECTORS; i++) {
		free(o->reg[i].live.v);
		free(o->reg[i].old.v);
		memset(&o->reg[i], 0, sizeof(o->reg[i]));
	}
}

/* ---- Submission ---- */

uint32_t
oracle_submit(struct world *w, uint8_t ini, const struct xfer_cmd *cmd)
{
	struct sim_oracle *o = &w->oracle;
	uint32_t id = o->nb_ops, i;
	struct sim_op *op;
	struct sim_value v = {.first_end = ORACLE_NEVER, .op = id};

	if (id == ORACLE_MAX_OPS)
		abort();
	o->nb_ops++;
	op = &o->op[id];
	*op = (struct sim_op){
		.submit = ++o->stamp,
		.end = ORACLE_NEVER,
		.sector = (uint32_t)(cmd->addr / SIM_SECTOR),
		.n = cmd->op == WIRE_IDENTIFY ? 0 : cmd->len / SIM_SECTOR,
		.life = o->life[ini],
		.kind = cmd->op,
		.ini = ini,
		.state = OP_FLYING,
		.fua = cmd->flags & WIRE_F_FUA,
	};
	link_op(o, id);
	v.last_start = op->submit;
	for (i = 0; oracle_changes(op->kind) && i < op->n; i++)
		oracle_add(&o->reg[op->sector + i].live, &v);
	return id;
}

/* ---- Ends ---- */

/* Its data is what the sectors hold, at the latest now. */
static void
write_acked(struct world *w, uint32_t id)
{
	struct sim_oracle *o = &w->oracle;
	struct sim_op *op = &o->op[id];
	/* Answered, but before a power cut that the answer outlived. */
	bool before_cut = op->effect < o->cut;
	struct sim_register *r;
	struct sim_value *v;
	uint32_t i, other;

	for (i = 0; i < op->n; i++) {
		r = &o->reg[op->sector + i];
		if (before_cut) {
			oracle_survived(o, r, id);
			continue;
		}
		v = oracle_find(&r->live, id);
		if (v == NULL)
			continue;
		if (v->first_end > op->end)
			v->first_end = op->end;
		if (!oracle_is_consistent(o, r, v, &other)) {
			sim_fail(w, CR_register,
				"write #%u to sector %u was read after #%u had replaced it", id,
				op->sector + i, other);
			return;
		}
		if (r->live.n >= r->prune_at)
			oracle_prune(o, r);
	}
	if (before_cut)
		return;
	op->durable = op->fua;
	if (o->tracks_power && !op->fua)
		o->unflushed[o->nb_unflushed++] = id;
}

/* It was cancelled: no reader may ever see it. */
static void
write_never(struct world *w, uint32_t id)
{
	struct sim_oracle *o = &w->oracle;
	struct sim_op *op = &o->op[id];
	struct sim_value *v;
	uint32_t i;

	op->state = OP_NEVER;
	if (op->execs > 0) {
		sim_fail(w, CR_resurrection, "#%u was reported cancelled, but was executed", id);
		return;
	}
	for (i = 0; i < op->n; i++) {
		v = oracle_find(&o->reg[op->sector + i].live, id);
		if (v != NULL)
			oracle_remove(&o->reg[op->sector + i].live, v);
	}
}

static bool
is_status_explained(const struct world *w, const struct sim_op *op, int status)
{
	switch (status) {
	case -EIO:
	case -ENOSPC:
		return oracle_changes(op->kind)
			       ? op->errors & (status == -EIO ? ERR_EIO : ERR_ENOSPC)
			       : sim_fault_on(&w->faults, SIM_F_eio);
	case -ECANCELED:
		return op->aborted || op->closed;
	case -ENOBUFS:
		/* A loan that needed frames where there were none, or more than reserved. */
		return op->kind == WIRE_READ &&
		       (w->conf.mode == SIM_MODE_loan || w->conf.mode == SIM_MODE_mixed) &&
		       (w->lending.failed > 0 || op->reopens > 0);
	case -ETIMEDOUT:
		return w->conf.fail_after_ns != 0;
	case -ESTALE:
		return w->conf.takeover;
	case -EMSGSIZE:
		return op->n * SIM_SECTOR > xfer_ini_quantum(w->ini[op->ini].eng);
	default:
		return false;
	}
}

static void
done_well(struct world *w, uint32_t id, const void *data)
{
	struct sim_oracle *o = &w->oracle;
	struct sim_op *op = &o->op[id];

	op->state = OP_ACKED;
	if (oracle_changes(op->kind)) {
		if (op->executed == 0 || op->executing)
			sim_fail(w, CR_early, "#%u was answered before the disk was done", id);
		else
			write_acked(w, id);
	} else if (op->kind == WIRE_FLUSH) {
		if (o->flush_started < op->submit)
			sim_fail(w, CR_early, "flush #%u was answered, but the disk did not", id);
		else
			oracle_flushed(w, op);
	} else if (op->kind == WIRE_READ) {
		oracle_check_read(w, id, data);
	}
}

void
oracle_done(struct world *w, uint32_t id, int status, const void *data)
{
	struct sim_oracle *o = &w->oracle;
	struct sim_op *op = &o->op[id];

	if (op->state != OP_FLYING) {
		sim_fail(w, CR_completion, "#%u ended twice", id);
		return;
	}
	op->end = ++o->stamp;
	if (status == 0) {
		unlink_op(o, id);
		done_well(w, id, data);
	} else if (!is_status_explained(w, op, status)) {
		sim_fail(w, CR_completion, "%s #%u ended with %d for no reason",
			wire_op_name(WIRE_CMD, op->kind), id, status);
	} else if (oracle_changes(op->kind) && (status == -ETIMEDOUT || op->closed)) {
		op->state = OP_LOOSE;
		op->end = ORACLE_NEVER;
	} else {
		unlink_op(o, id);
		op->state = OP_ENDED;
		if (oracle_changes(op->kind) && status == -ECANCELED && op->reopens == 0)
			write_never(w, id);
	}
}

void
oracle_opened(struct world *w, uint8_t ini)
{
	struct sim_oracle *o = &w->oracle;
	struct sim_value *v;
	struct sim_op *op;
	uint32_t id, next, i;

	o->stamp++;
	for (id = o->head; id != 0; id = next) {
		op = &o->op[id];
		next = op->next;
		if (op->ini != ini)
			continue;
		if (op->state == OP_LOOSE) {
			op->state = OP_ENDED;
			op->end = o->stamp;
			unlink_op(o, id);
			continue;
		}
		op->reopens++;
		/* It may take effect again from here on: what was seen of it says nothing now. */
		for (i = 0; oracle_changes(op->kind) && i < op->n; i++) {
			v = oracle_find(&o->reg[op->sector + i].live, id);
			v->first_end = ORACLE_NEVER;
			v->last_start = op->submit;
		}
	}
}

void
oracle_killed(struct world *w, uint8_t ini)
{
	struct sim_oracle *o = &w->oracle;
	uint32_t id, next;
	struct sim_op *op;

	o->stamp++;
	o->life[ini]++;
	for (id = o->head; id != 0; id = next) {
		op = &o->op[id];
		next = op->next;
		if (op->ini != ini || op->state != OP_FLYING)
			continue;
		if (oracle_changes(op->kind)) {
			op->state = OP_LOOSE;
		} else {
			op->state = OP_ENDED;
			op->end = o->stamp;
			unlink_op(o, id);
		}
	}
}
