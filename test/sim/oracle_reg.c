/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Sectors as registers: which values may be read, see oracle.h. */

#include <stdlib.h>

#include "world.h"

/* ---- Sets of values ---- */

struct sim_value *
oracle_find(struct sim_values *vs, uint32_t id)
{
	uint32_t i;

	for (i = vs->n; i-- > 0;) {
		if (vs->v[i].op == id)
			return &vs->v[i];
	}
	return NULL;
}

void
oracle_add(struct sim_values *vs, const struct sim_value *v)
{
	if (vs->n == vs->cap) {
		vs->cap = vs->cap == 0 ? 8 : vs->cap * 2;
		vs->v = realloc(vs->v, vs->cap * sizeof(*vs->v));
		if (vs->v == NULL)
			abort();
	}
	vs->v[vs->n++] = *v;
}

void
oracle_remove(struct sim_values *vs, struct sim_value *v)
{
	*v = vs->v[--vs->n];
}

/* ---- Order ---- */

/* By when it has taken effect, if it ever did. */
static uint64_t
bound(const struct sim_oracle *o, const struct sim_value *v)
{
	uint64_t last = v->last_effect != 0 ? v->last_effect : o->op[v->op].end;

	return v->first_end < last ? v->first_end : last;
}

/* Did a take effect before b, given that both did? */
bool
oracle_precedes(const struct sim_oracle *o, const struct sim_value *a, const struct sim_value *b)
{
	const struct sim_op *x, *y;

	if (b->last_start > bound(o, a))
		return true;
	/* The initiator keeps overlapping writes in the order of their submission. */
	x = &o->op[a->op];
	y = &o->op[b->op];
	return x->ini == y->ini && x->life == y->life && x->state == OP_ACKED &&
	       x->submit < y->submit && b->first_end != ORACLE_NEVER;
}

bool
oracle_is_consistent(const struct sim_oracle *o, const struct sim_register *r,
	const struct sim_value *v, uint32_t *other)
{
	const struct sim_value *x;
	uint32_t i;

	if (v->first_end == ORACLE_NEVER)
		return true;
	for (i = 0; i < r->live.n; i++) {
		x = &r->live.v[i];
		if (x->op != v->op && x->first_end != ORACLE_NEVER && oracle_precedes(o, v, x) &&
			oracle_precedes(o, x, v)) {
			*other = x->op;
			return false;
		}
	}
	return true;
}

/* ---- Forgetting ---- */

/* No command that can still end was submitted before this. */
static uint64_t
oldest_flying(const struct sim_oracle *o)
{
	uint32_t id;

	for (id = o->head; id != 0; id = o->op[id].next) {
		if (o->op[id].state == OP_FLYING)
			return o->op[id].submit;
	}
	return o->stamp + 1;
}

/*
 * Forget values that are certainly overwritten for everybody who may still read: another one was there
 * before the oldest read began, and was seen or submitted after this one had taken effect.
 */
void
oracle_prune(struct sim_oracle *o, struct sim_register *r)
{
	uint64_t oldest = oldest_flying(o), first = 0, second = 0;
	const struct sim_value *v;
	uint32_t i, top = 0;

	for (i = 0; i < r->live.n; i++) {
		v = &r->live.v[i];
		if (v->first_end >= oldest)
			continue;
		if (v->last_start > first) {
			second = first;
			first = v->last_start;
			top = v->op;
		} else if (v->last_start > second) {
			second = v->last_start;
		}
	}
	for (i = r->live.n; i-- > 0;) {
		v = &r->live.v[i];
		if ((o->op[v->op].state != OP_ACKED && o->op[v->op].state != OP_ENDED) ||
			(v->op == top ? second : first) <= bound(o, v))
			continue;
		if (o->tracks_power)
			oracle_add(&r->old, v);
		oracle_remove(&r->live, &r->live.v[i]);
	}
	r->prune_at = 2 * r->live.n + 6;
}

/* ---- Reads ---- */

/* A value that must not be there: whose fault is it? */
static void
fail_read(struct world *w, const struct sim_op *rd, uint32_t rd_id, uint32_t sector, uint32_t id,
	uint32_t other)
{
	const struct sim_oracle *o = &w->oracle;
	const struct sim_op *op = &o->op[id];
	enum sim_criterion c = CR_register;

	if (op->state == OP_NEVER)
		c = CR_resurrection;
	else if (other != 0 && o->op[other].durable && o->op[other].end < o->cut)
		c = CR_power;
	else if (other != 0 && o->op[other].state == OP_ACKED && rd->submit > o->kill &&
		 o->op[other].end < o->kill && o->kill > op->end)
		c = CR_kill;
	sim_fail(w, c,
		"read #%u of sector %u returns #%u (initiator %u, state %u, submitted %llu, ended "
		"%lld), which #%u had replaced; the read was submitted at %llu",
		rd_id, sector, id, op->ini, op->state, (unsigned long long)op->submit,
		(long long)op->end, other, (unsigned long long)rd->submit);
}

/* The latest value that is certain, for the message. */
static uint32_t
latest_certain(const struct sim_register *r)
{
	uint64_t best = 0;
	uint32_t i, id = 0;

	for (i = 0; i < r->live.n; i++) {
		if (r->live.v[i].first_end != ORACLE_NEVER && r->live.v[i].last_start >= best) {
			best = r->live.v[i].last_start;
			id = r->live.v[i].op;
		}
	}
	return id;
}

/* A power cut left one of several values, and this is the one. */
static void
pin_survivor(struct sim_oracle *o, struct sim_register *r, uint32_t id)
{
	uint32_t i;

	r->pinned = o->era;
	for (i = r->live.n; i-- > 0;) {
		if (r->live.v[i].era == o->era && r->live.v[i].op != id)
			oracle_remove(&r->live, &r->live.v[i]);
	}
}

/* What the read says about this value, for v on the register's list or a copy of it. */
static void
note_read(struct sim_value *v, const struct sim_op *rd)
{
	if (rd->submit > v->last_start)
		v->last_start = rd->submit;
	if (rd->end < v->first_end)
		v->first_end = rd->end;
}

/* Could the value take effect more than once during the read, so that the read says nothing? */
static bool
says_nothing(const struct sim_oracle *o, uint32_t id, const struct sim_op *rd)
{
	return o->op[id].reopens > 0 && rd->submit <= o->op[id].end;
}

static void
read_value(struct world *w, uint32_t rd_id, uint32_t sector, uint32_t id)
{
	struct sim_oracle *o = &w->oracle;
	const struct sim_op *rd = &o->op[rd_id];
	struct sim_register *r = &o->reg[sector];
	struct sim_value *v = oracle_find(&r->live, id);
	uint32_t other = 0;

	if (v == NULL) {
		fail_read(w, rd, rd_id, sector, id, latest_certain(r));
		return;
	}
	if (says_nothing(o, id, rd))
		return;
	note_read(v, rd);
	if (v->era != 0 && v->era == o->era && r->pinned != o->era) {
		pin_survivor(o, r, id);
		v = oracle_find(&r->live, id);
	}
	if (!oracle_is_consistent(o, r, v, &other))
		fail_read(w, rd, rd_id, sector, id, other);
}

/* Zeroes do not say whose they are: one of those that may be there must fit. */
static void
read_zero(struct world *w, uint32_t rd_id, uint32_t sector)
{
	struct sim_oracle *o = &w->oracle;
	const struct sim_op *rd = &o->op[rd_id];
	struct sim_register *r = &o->reg[sector];
	uint32_t i, n = 0, id = 0, other = 0;
	bool fits = false;
	struct sim_value v;

	for (i = 0; i < r->live.n; i++) {
		if (o->op[r->live.v[i].op].kind == WIRE_WRITE)
			continue;
		n++;
		id = r->live.v[i].op;
		v = r->live.v[i];
		note_read(&v, rd);
		fits = fits || says_nothing(o, id, rd) || oracle_is_consistent(o, r, &v, &other);
	}
	if (n == 1)
		read_value(w, rd_id, sector, id);
	else if (n == 0)
		fail_read(w, rd, rd_id, sector, 0, latest_certain(r));
	else if (!fits)
		fail_read(w, rd, rd_id, sector, id, other);
}

void
oracle_check_read(struct world *w, uint32_t id, const void *data)
{
	struct sim_oracle *o = &w->oracle;
	const struct sim_op *rd = &o->op[id], *op;
	uint32_t i, value = 0;

	for (i = 0; i < rd->n && !w->failure.failed; i++) {
		const uint8_t *at = (const uint8_t *)data + i * SIM_SECTOR;
		uint32_t sector = rd->sector + i;
		enum sector_value kind = sector_read(at, sector, &value);

		o->checks++;
		if (kind == SECTOR_BAD) {
			sim_fail(w, CR_corruption,
				"read #%u of sector %u returns what nobody wrote", id, sector);
			return;
		}
		if (kind == SECTOR_ZERO) {
			value = SIM_ZERO;
		} else {
			op = &o->op[value];
			if (value == 0 || value >= o->nb_ops || op->kind != WIRE_WRITE ||
				sector - op->sector >= op->n || op->submit > rd->end) {
				sim_fail(w, CR_corruption,
					"read #%u of sector %u returns #%u, which "
					"was not written there",
					id, sector, value);
				return;
			}
		}
		/* Submitted before a power cut, it may have read before or after it. */
		if (rd->submit < o->cut)
			continue;
		if (kind == SECTOR_ZERO)
			read_zero(w, id, sector);
		else
			read_value(w, id, sector, value);
	}
}
