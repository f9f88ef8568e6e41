/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>

#include "faults.h"
#include "nic_internal.h"
#include "../../sim/rng.h"

#define MAX_LATE 256

struct late_frame {
	uint64_t due_ns;
	struct rte_mbuf *m;
};

struct faults {
	struct mpn_personality_ops ops; /* the personality's, with two functions of ours */
	const struct mpn_personality_ops *real;
	struct mpn_personality *pers;
	struct faults_conf conf;
	struct faults_stats stats;
	struct rng random;
	unsigned nb_late;
	struct late_frame late[MAX_LATE];
};

static struct faults *
find_faults(const struct mpn_personality *p)
{
	/* Its operations are the first thing in it. */
	return (struct faults *)(uintptr_t)p->ops;
}

/* A copy of the frame arrives later; without room for it that one is lost. */
static void
keep_for_later(struct faults *f, const struct rte_mbuf *m, uint64_t now_ns)
{
	struct late_frame *l = &f->late[f->nb_late];

	if (f->nb_late == MAX_LATE)
		return;
	l->m = rte_pktmbuf_copy(m, f->pers->nic->rx_pool, 0, UINT32_MAX);
	if (l->m == NULL)
		return;
	l->due_ns = now_ns + 1000ull * rng_below(&f->random, f->conf.max_late_us + 1);
	f->nb_late++;
}

/* Those whose time has come, in any order. */
static void
deliver_late(struct faults *f, uint64_t now_ns)
{
	struct rte_mbuf *m;
	unsigned i = 0;

	while (i < f->nb_late) {
		if (f->late[i].due_ns > now_ns) {
			i++;
			continue;
		}
		m = f->late[i].m;
		f->late[i] = f->late[--f->nb_late];
		f->real->rx_burst(f->pers, &m, 1, now_ns);
	}
}

static void
rx_burst(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned nb, uint64_t now_ns)
{
	struct faults *f = find_faults(p);
	struct rte_mbuf *pass[MPN_BURST];
	unsigned nb_pass = 0, i;
	uint32_t dice;

	for (i = 0; i < nb; i++) {
		f->stats.seen++;
		if (f->conf.look != NULL)
			f->conf.look(f->conf.arg, mbufs[i]);
		dice = rng_below(&f->random, 1000);
		if (dice < f->conf.loss) {
			f->stats.lost++;
			rte_pktmbuf_free(mbufs[i]);
		} else if (dice < (uint32_t)f->conf.loss + f->conf.late) {
			f->stats.late++;
			keep_for_later(f, mbufs[i], now_ns);
			rte_pktmbuf_free(mbufs[i]);
		} else {
			if (rng_below(&f->random, 1000) < f->conf.copies) {
				f->stats.copied++;
				keep_for_later(f, mbufs[i], now_ns);
			}
			pass[nb_pass++] = mbufs[i];
		}
	}
	if (nb_pass > 0)
		f->real->rx_burst(p, pass, nb_pass, now_ns);
}

static unsigned
poll(struct mpn_personality *p, uint64_t now_ns)
{
	struct faults *f = find_faults(p);

	deliver_late(f, now_ns);
	return f->real->poll(p, now_ns);
}

struct faults *
faults_insert(struct mpn_personality *p, const struct faults_conf *conf)
{
	struct faults *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	f->pers = p;
	f->conf = *conf;
	rng_seed(&f->random, conf->seed, 0);
	f->real = p->ops;
	f->ops = *p->ops;
	f->ops.rx_burst = rx_burst;
	f->ops.poll = poll;
	p->ops = &f->ops;
	return f;
}

void
faults_remove(struct faults *f)
{
	deliver_late(f, UINT64_MAX);
	f->pers->ops = f->real;
	free(f);
}

const struct faults_stats *
faults_stats(const struct faults *f)
{
	return &f->stats;
}
