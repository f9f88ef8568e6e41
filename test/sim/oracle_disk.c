/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the disk sees: executions, and what a kill or a power cut does to them. */

#include "world.h"

/* The write whose data this is, or 0 after a violation. */
static uint32_t
write_of(struct world *w, const struct xfer_io *io)
{
	uint32_t sector = (uint32_t)(io->addr / SIM_SECTOR), n = io->len / SIM_SECTOR;
	const uint8_t *data = tgt_buf_data(io);
	uint32_t i, id = 0, first = 0;
	const struct sim_op *op;

	for (i = 0; i < n; i++) {
		if (sector_read(data + i * SIM_SECTOR, sector + i, &id) != SECTOR_WRITTEN ||
			(i > 0 && id != first)) {
			sim_fail(w, CR_corruption,
				"the data of a write to sector %u is not what was sent",
				sector + i);
			return 0;
		}
		first = id;
	}
	op = &w->oracle.op[id];
	if (id >= w->oracle.nb_ops || op->kind != WIRE_WRITE || op->sector != sector ||
		op->n != n) {
		sim_fail(w, CR_corruption, "no write to sector %u has this data", sector);
		return 0;
	}
	return id;
}

static bool
is_range_of(const struct sim_op *op, const struct xfer_io *io)
{
	return op->kind == io->op && (uint64_t)op->sector * SIM_SECTOR == io->addr &&
	       op->n * SIM_SECTOR == io->len;
}

/*
 * Zeroes and discards carry no data that says whose they are: the tag does, which the initiator
 * chose, or the range, when its user is gone.
 */
static uint32_t
zero_of(struct world *w, const struct xfer_io *io)
{
	struct sim_oracle *o = &w->oracle;
	uint32_t index = wire_tag_slot(io->tag) / SIM_SLOTS, id, i;
	const struct sim_cmd *c;
	const struct sim_op *op;

	for (i = 0; index < w->nb_ini && i < SIM_MAX_CMDS; i++) {
		c = &w->ini[index].cmd[i];
		if (c->live && c->cmd.tag == io->tag && is_range_of(&o->op[c->op], io))
			return c->op;
	}
	for (id = o->head; id != 0; id = op->next) {
		op = &o->op[id];
		if (op->ini == index && op->state == OP_LOOSE && is_range_of(op, io) &&
			!op->executing && op->execs <= op->reopens)
			return id;
	}
	sim_fail(w, CR_resurrection, "%s of sector %llu + %u executed, but nobody waits for it",
		wire_op_name(WIRE_CMD, io->op), (unsigned long long)io->addr / SIM_SECTOR,
		io->len / SIM_SECTOR);
	return 0;
}

uint32_t
oracle_exec(struct world *w, const struct xfer_io *io, uint64_t *stamp)
{
	struct sim_oracle *o = &w->oracle;
	struct sim_op *op;
	uint32_t id;

	*stamp = ++o->stamp;
	if (!oracle_changes(io->op))
		return 0;
	id = io->op == WIRE_WRITE ? write_of(w, io) : zero_of(w, io);
	if (id == 0)
		return 0;
	op = &o->op[id];
	if (op->state != OP_FLYING && op->state != OP_LOOSE)
		sim_fail(w, CR_resurrection, "#%u is executed after its end", id);
	else if (op->executing)
		sim_fail(w, CR_resurrection, "#%u is executed while it is executed", id);
	else if (op->execs > op->reopens)
		sim_fail(w, CR_resurrection, "#%u is executed for the %u. time in %u sessions", id,
			op->execs + 1, op->reopens + 1);
	else if (op->fua != (bool)(io->flags & WIRE_F_FUA))
		sim_fail(w, CR_contract, "#%u lost or got FUA on its way", id);
	op->execs++;
	op->executing = true;
	return id;
}

void
oracle_took_effect(struct world *w, uint32_t id)
{
	struct sim_op *op = &w->oracle.op[id];

	op->effect = ++w->oracle.stamp;
	if (op->state != OP_FLYING && op->state != OP_LOOSE)
		sim_fail(w, CR_resurrection, "#%u takes effect after its end", id);
}

void
oracle_executed(struct world *w, uint32_t id, uint8_t kind, uint64_t started, int status)
{
	struct sim_oracle *o = &w->oracle;
	struct sim_op *op = &o->op[id];

	if (kind == WIRE_FLUSH && status == 0 && started > o->flush_started)
		o->flush_started = started;
	if (!oracle_changes(kind))
		return;
	op->executing = false;
	if (status == 0)
		op->executed = ++o->stamp;
	else if (status == -EIO)
		op->errors |= 1;
	else if (status == -ENOSPC)
		op->errors |= 2;
}

void
oracle_target_killed(struct world *w)
{
	w->oracle.kill = ++w->oracle.stamp;
}

/* ---- Durability ---- */

static bool
is_superseded_in(const struct sim_oracle *o, const struct sim_values *by, const struct sim_value *v)
{
	uint32_t i;

	for (i = 0; i < by->n; i++) {
		const struct sim_value *d = &by->v[i];

		if (d != v && o->op[d->op].durable && d->first_end != ORACLE_NEVER &&
			oracle_precedes(o, v, d))
			return true;
	}
	return false;
}

/* Can no power cut bring this value back? */
static bool
is_superseded(const struct sim_oracle *o, const struct sim_register *r, const struct sim_value *v)
{
	return is_superseded_in(o, &r->live, v) || is_superseded_in(o, &r->old, v);
}

static bool
may_take_effect(const struct sim_op *op)
{
	return op->state == OP_FLYING || op->state == OP_LOOSE;
}

static void
drop_superseded(const struct sim_oracle *o, struct sim_register *r, struct sim_values *vs)
{
	uint32_t i;

	for (i = vs->n; i-- > 0;) {
		if (!may_take_effect(&o->op[vs->v[i].op]) && is_superseded(o, r, &vs->v[i]))
			oracle_remove(vs, &vs->v[i]);
	}
}

/* A flush was answered: every write answered before its submission is durable. */
void
oracle_flushed(struct world *w, const struct sim_op *flush)
{
	struct sim_oracle *o = &w->oracle;
	uint32_t i, j, kept = 0;
	struct sim_op *op;

	/* A flush from before a power cut says nothing about what was lost in it. */
	if (!o->tracks_power || flush->submit < o->cut)
		return;
	for (i = 0; i < o->nb_unflushed; i++) {
		op = &o->op[o->unflushed[i]];
		if (op->end > flush->submit) {
			o->unflushed[kept++] = o->unflushed[i];
			continue;
		}
		op->durable = true;
		for (j = 0; j < op->n; j++)
			drop_superseded(o, &o->reg[op->sector + j], &o->reg[op->sector + j].old);
	}
	o->nb_unflushed = kept;
}

/* What a sector may hold after the power cut. */
static void
cut_register(struct sim_oracle *o, struct sim_register *r)
{
	uint32_t i, candidates = 0, last = 0;
	struct sim_value *v;

	drop_superseded(o, r, &r->old);
	drop_superseded(o, r, &r->live);
	for (i = 0; i < r->old.n; i++)
		oracle_add(&r->live, &r->old.v[i]);
	r->old.n = 0;
	for (i = 0; i < r->live.n; i++) {
		v = &r->live.v[i];
		v->first_end = ORACLE_NEVER;
		if (may_take_effect(&o->op[v->op])) {
			v->last_start = o->op[v->op].submit;
			continue;
		}
		v->last_start = o->cut;
		v->last_effect = o->cut;
		v->era = o->era;
		candidates++;
		last = i;
	}
	/* The only one there is, is there. */
	if (candidates == 1)
		r->live.v[last].first_end = o->cut;
}

void
oracle_power_cut(struct world *w)
{
	struct sim_oracle *o = &w->oracle;
	uint32_t i;

	o->cut = ++o->stamp;
	o->era++;
	for (i = 0; i < w->conf.sectors; i++)
		cut_register(o, &o->reg[i]);
	o->nb_unflushed = 0;
}

/*
 * A write that took effect before the power cut, and only there, is answered after it: now it is
 * one of those that may have survived.
 */
void
oracle_survived(struct sim_oracle *o, struct sim_register *r, uint32_t id)
{
	struct sim_value *v = oracle_find(&r->live, id);

	if (v == NULL)
		return;
	if (r->pinned == o->era) {
		oracle_remove(&r->live, v);
		return;
	}
	v->first_end = ORACLE_NEVER;
	v->last_start = o->cut;
	v->last_effect = o->cut;
	v->era = o->era;
}
