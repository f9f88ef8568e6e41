/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>

#include "world.h"

#define STREAM_DISK 3
#define STREAM_POWER_PERCENT 4 /* survivors: 0, 25, 50, 75 or 100 percent of the changes */

void
disk_reset(struct world *w)
{
	struct sim_disk *d = &w->disk;
	uint32_t i;

	rng_seed(&d->rng, w->conf.seed, STREAM_DISK);
	for (i = 0; i < w->conf.sectors; i++) {
		d->now[i] = ORACLE_INITIAL;
		d->durable[i] = ORACLE_INITIAL;
		d->durable_at[i] = 0;
	}
	d->changes_base = 0;
	d->nb_changes = 0;
	for (i = 0; i < SIM_MAX_DREQ; i++) {
		d->free[i] = (uint16_t)(SIM_MAX_DREQ - 1 - i);
		d->req[i].busy = false;
	}
	d->nb_free = SIM_MAX_DREQ;
}

void
disk_free(struct sim_disk *d)
{
	free(d->changes);
	d->changes = NULL;
	d->changes_cap = 0;
}

uint32_t
disk_in_flight(const struct sim_disk *d)
{
	return SIM_MAX_DREQ - d->nb_free;
}

/* ---- Contents ---- */

static void
change_sector(struct sim_disk *d, uint32_t sector, uint32_t value, bool durable)
{
	uint32_t number = d->changes_base + d->nb_changes;

	d->now[sector] = value;
	if (durable) {
		d->durable[sector] = value;
		d->durable_at[sector] = number;
		return;
	}
	if (d->nb_changes == d->changes_cap) {
		d->changes_cap = d->changes_cap == 0 ? 4096 : d->changes_cap * 2;
		d->changes = realloc(d->changes, d->changes_cap * sizeof(*d->changes));
		if (d->changes == NULL)
			abort();
	}
	d->changes[d->nb_changes++] = (struct sim_change){sector, value};
}

static bool
changes_disk(uint8_t kind)
{
	return kind == WIRE_WRITE || kind == WIRE_DISCARD || kind == WIRE_WRITE_ZEROES;
}

/* Let a request take effect; a part of it, sector by sector, when it is torn. */
static void
take_effect(struct world *w, struct sim_dreq *r, bool torn)
{
	uint32_t value = r->kind == WIRE_WRITE ? r->op : SIM_ZERO;
	uint32_t i;

	if (!changes_disk(r->kind))
		return;
	for (i = 0; i < r->n; i++) {
		if (!torn || rng_below(&w->disk.rng, 2))
			change_sector(&w->disk, r->sector + i, value, r->fua && !torn);
	}
	oracle_took_effect(w, r->op);
}

static void
make_durable(struct sim_disk *d, uint32_t upto)
{
	uint32_t n = upto - d->changes_base, i;

	if (upto <= d->changes_base)
		return;
	for (i = 0; i < n; i++) {
		const struct sim_change *c = &d->changes[i];

		if (d->changes_base + i >= d->durable_at[c->sector]) {
			d->durable[c->sector] = c->value;
			d->durable_at[c->sector] = d->changes_base + i;
		}
	}
	memmove(d->changes, d->changes + n, (d->nb_changes - n) * sizeof(*d->changes));
	d->nb_changes -= n;
	d->changes_base = upto;
}

static void
read_sectors(struct world *w, const struct sim_dreq *r)
{
	uint8_t *data = tgt_buf_data(r->io);
	uint32_t i, value;

	for (i = 0; i < r->n; i++, data += SIM_SECTOR) {
		value = w->disk.now[r->sector + i];
		if (value == SIM_ZERO)
			memset(data, 0, SIM_SECTOR);
		else
			sector_fill(data, r->sector + i, 1, value, oracle_client(w, value));
	}
}

void
disk_power_cut(struct world *w)
{
	struct sim_disk *d = &w->disk;
	uint32_t percent = 25 * rng_below(&d->rng, 5), i;

	for (i = 0; i < d->nb_changes; i++) {
		const struct sim_change *c = &d->changes[i];

		if (rng_below(&d->rng, 100) < percent &&
			d->changes_base + i >= d->durable_at[c->sector])
			d->durable[c->sector] = c->value;
	}
	for (i = 0; i < d->nb_changes; i++)
		d->now[d->changes[i].sector] = d->durable[d->changes[i].sector];
	d->changes_base += d->nb_changes;
	d->nb_changes = 0;
}

/* ---- Requests ---- */

static void
free_req(struct sim_disk *d, struct sim_dreq *r)
{
	r->busy = false;
	d->free[d->nb_free++] = (uint16_t)(r - d->req);
}

static void
finish(struct world *w, struct sim_dreq *r)
{
	struct xfer_io *io = r->io;
	int status = r->status;

	if (!r->early || status != 0)
		take_effect(w, r, status != 0);
	if (r->kind == WIRE_READ && status == 0 && !r->early)
		read_sectors(w, r);
	if (r->kind == WIRE_FLUSH && status == 0)
		make_durable(&w->disk, r->flush_upto);
	trace_event(
		&w->trace, w->clock.now, TR_EXECUTED, SIM_TGT, r->op, (uint64_t)(int64_t)status, 0);
	oracle_executed(w, r->op, r->kind, r->started, status);
	free_req(&w->disk, r);
	xfer_tgt_io_done(w->tgt.eng, io, status, node_now(w, SIM_TGT));
}

static void
finish_later(struct world *w, void *arg, uint64_t aux)
{
	struct sim_dreq *r = arg;
	struct sim_node *node = &w->node[SIM_TGT];

	if (!r->busy || r->incarnation != aux)
		return;
	if (node->hang_until > w->clock.now) {
		clock_at(&w->clock, node->hang_until, finish_later, arg, aux);
		return;
	}
	finish(w, r);
	node_after(w, SIM_TGT);
}

static uint64_t
latency_of(struct world *w)
{
	uint64_t ns = w->conf.disk_ns / 2 + rng_exp(&w->disk.rng, w->conf.disk_ns / 2 + 1);

	if (sim_fault_strikes(&w->faults, SIM_F_slow))
		ns += rng_log(&w->faults.rng[SIM_F_slow], 1000 * 1000, 2 * XFER_NSEC_PER_SEC);
	return ns;
}

static int
draw_status(struct world *w)
{
	if (!sim_fault_strikes(&w->faults, SIM_F_eio))
		return 0;
	return rng_below(&w->faults.rng[SIM_F_eio], 4) == 0 ? -ENOSPC : -EIO;
}

void
disk_start(struct world *w, struct xfer_io *io)
{
	struct sim_disk *d = &w->disk;
	struct sim_dreq *r;

	if (d->nb_free == 0 || io->addr % SIM_SECTOR != 0 || io->len % SIM_SECTOR != 0 ||
		io->addr / SIM_SECTOR + io->len / SIM_SECTOR > w->conf.sectors) {
		sim_fail(w, CR_contract, "io_start outside the volume: op %u addr %llu len %u",
			io->op, (unsigned long long)io->addr, io->len);
		return;
	}
	r = &d->req[d->free[--d->nb_free]];
	*r = (struct sim_dreq){
		.io = io,
		.incarnation = w->node[SIM_TGT].incarnation,
		.sector = (uint32_t)(io->addr / SIM_SECTOR),
		.n = io->len / SIM_SECTOR,
		.flush_upto = d->changes_base + d->nb_changes,
		.kind = io->op,
		.busy = true,
		.fua = io->flags & WIRE_F_FUA,
		.early = rng_below(&d->rng, 2),
		.status = draw_status(w),
	};
	r->op = oracle_exec(w, io, &r->started);
	trace_event(&w->trace, w->clock.now, TR_EXEC, SIM_TGT, r->op, r->kind,
		(uint64_t)r->sector << 32 | r->n);
	if (w->failure.failed)
		return;
	if (r->early && r->status == 0) {
		take_effect(w, r, false);
		if (r->kind == WIRE_READ)
			read_sectors(w, r);
	}
	if (rng_ppm(&d->rng, w->conf.disk_sync_ppm))
		finish(w, r);
	else
		clock_at(&w->clock, w->clock.now + latency_of(w), finish_later, r, r->incarnation);
}

void
disk_kill(struct world *w)
{
	struct sim_disk *d = &w->disk;
	uint32_t i;

	for (i = 0; i < SIM_MAX_DREQ; i++) {
		struct sim_dreq *r = &d->req[i];

		if (!r->busy)
			continue;
		/* An early one has its effect; another one has it now in full, in part, or never. */
		if (!r->early && rng_below(&d->rng, 2))
			take_effect(w, r, rng_below(&d->rng, 2));
		oracle_executed(w, r->op, r->kind, r->started, -EINTR);
		free_req(d, r);
	}
}
