/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The NIC: made of a link, polled by one thread.
 */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "fwd.h"
#include "map.h"
#include "mpn_log.h"
#include "mpn_map.h"
#include "mpn_parse.h"
#include "nic_internal.h"
#include "telemetry.h"

/* NICs are made and destroyed by several threads; each is polled by its own. */
static pthread_mutex_t nics_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mpn_nic *nics[RTE_MAX_ETHPORTS];

static struct mpn_nic *
find_nic(const char *name)
{
	for (unsigned i = 0; i < RTE_MAX_ETHPORTS; i++) {
		if (nics[i] != NULL && strcmp(nics[i]->info.name, name) == 0)
			return nics[i];
	}
	return NULL;
}

/* Under the lock. Gives the NIC its place, and a name when it has none. */
static int
enter_nic(struct mpn_nic *nic, const char *name)
{
	unsigned slot = 0, n = 0;

	while (slot < RTE_MAX_ETHPORTS && nics[slot] != NULL)
		slot++;
	if (slot == RTE_MAX_ETHPORTS)
		return mpn_log_err(ENOSPC, "nic", "no more than %u NICs", RTE_MAX_ETHPORTS);
	if (name == NULL) {
		do {
			(void)snprintf(nic->info.name, sizeof(nic->info.name), "nic%u", n++);
		} while (find_nic(nic->info.name) != NULL);
	} else if (find_nic(name) != NULL) {
		return mpn_log_err(EEXIST, "nic", "there is a NIC '%s' already", name);
	} else if (mpn_copy_str(nic->info.name, sizeof(nic->info.name), name) < 0) {
		return mpn_log_err(EINVAL, "nic", "NIC name '%s' is too long", name);
	}
	nics[slot] = nic;
	return 0;
}

static void
leave_nic(const struct mpn_nic *nic)
{
	pthread_mutex_lock(&nics_lock);
	for (unsigned i = 0; i < RTE_MAX_ETHPORTS; i++) {
		if (nics[i] == nic)
			nics[i] = NULL;
	}
	pthread_mutex_unlock(&nics_lock);
	nic_telemetry_leave(nic);
}

unsigned
nic_names(char (*names)[MPN_NAME_LEN], unsigned max)
{
	unsigned n = 0;

	pthread_mutex_lock(&nics_lock);
	for (unsigned i = 0; i < RTE_MAX_ETHPORTS; i++) {
		if (nics[i] == NULL)
			continue;
		if (n < max)
			memcpy(names[n], nics[i]->info.name, sizeof(names[n]));
		n++;
	}
	pthread_mutex_unlock(&nics_lock);
	return n;
}

struct mpn_nic *
mpn_nic_get(unsigned n)
{
	struct mpn_nic *nic = NULL;

	pthread_mutex_lock(&nics_lock);
	for (unsigned i = 0; i < RTE_MAX_ETHPORTS && nic == NULL; i++) {
		if (nics[i] != NULL && n-- == 0)
			nic = nics[i];
	}
	pthread_mutex_unlock(&nics_lock);
	return nic;
}

static int
check_conf(struct mpn_nic_conf *conf)
{
	if (conf->flow_len == 0)
		conf->flow_len = NIC_DEFAULT_FLOW_LEN;
	if (conf->tx_cap == 0)
		conf->tx_cap = NIC_DEFAULT_TX_CAP;
	if (conf->nb_keep == 0)
		conf->nb_keep = NIC_DEFAULT_KEEP;
	if (!nic_flow_len_ok(conf->flow_len))
		return mpn_log_err(EINVAL, "nic",
			"flow length %u: expected a power of two from 8 to 1048576",
			conf->flow_len);
	if (!eal_is_running())
		return mpn_log_err(
			EINVAL, "nic", "the EAL does not run: call mpn_eal_start() first");
	return 0;
}

static uint16_t
first_nonzero(uint16_t a, uint16_t b, uint16_t c)
{
	return a != 0 ? a : b != 0 ? b : c;
}

static int
open_nic(struct mpn_nic *nic, const struct link_spec *spec)
{
	const struct mpn_nic_conf *conf = &nic->conf;
	struct link_want want = {
		.server = conf->server,
		.mtu = conf->mtu,
		.nb_rxd = first_nonzero(conf->nb_rxd, spec->kind->nb_rxd, NIC_DEFAULT_RXD),
		.nb_txd = first_nonzero(conf->nb_txd, spec->kind->nb_txd, NIC_DEFAULT_TXD),
		.wait_ms = conf->wait_ms != 0 ? conf->wait_ms : NIC_DEFAULT_WAIT_MS,
		.background = conf->background,
		.background_arg = conf->background_arg,
	};
	int rc;

	mpn_nic_pool_reap();
	nic->claims = calloc(1, NIC_FRAME_TYPES);
	if (nic->claims == NULL)
		return mpn_err(ENOMEM);
	nic_map_rebuild(nic);
	nic->sched = &sched_fifo;
	sched_set_pace(nic);
	mpn_nic_set_watchdog(nic, MPN_WATCHDOG_NS);
	nic->held_asked = false;
	nic->link = link_open(spec, &want, &nic->link_dirty);
	if (nic->link == NULL)
		return -errno;
	rc = nic_port_open(nic);
	return rc < 0 ? rc : mpn_nic_start(nic);
}

static void
free_nic(struct mpn_nic *nic)
{
	mpn_nic_stop(nic);
	nic_end_faults(nic);
	nic_port_close(nic);
	claims_free(nic);
	free(nic);
	mpn_nic_pool_reap();
}

struct mpn_nic *
mpn_nic_create(const struct mpn_nic_conf *conf)
{
	struct mpn_nic *nic;
	struct link_spec spec;
	int rc;

	rc = link_parse(conf->link, &spec);
	if (rc < 0)
		return mpn_err_null(-rc);
	nic = calloc(1, sizeof(*nic));
	if (nic == NULL)
		return mpn_err_null(ENOMEM);
	nic->conf = *conf;
	nic->port_id = RTE_MAX_ETHPORTS;
	memcpy(nic->info.link, spec.text, sizeof(nic->info.link));
	rc = check_conf(&nic->conf);
	if (rc == 0) {
		pthread_mutex_lock(&nics_lock);
		rc = enter_nic(nic, conf->name);
		pthread_mutex_unlock(&nics_lock);
	}
	if (rc == 0)
		rc = open_nic(nic, &spec);
	/* The strings were the caller's. */
	nic->conf.name = nic->info.name;
	nic->conf.link = nic->info.link;
	if (rc < 0) {
		leave_nic(nic);
		free_nic(nic);
		return mpn_err_null(-rc);
	}
	return nic;
}

void
mpn_nic_destroy(struct mpn_nic *nic)
{
	if (nic == NULL)
		return;
	(void)!mpn_nic_set_map(nic, NULL);
	while (nic->nb_pers > 0)
		personality_destroy(nic->pers[nic->nb_pers - 1]);
	nic_fwd_forget(nic);
	leave_nic(nic);
	free_nic(nic);
}

/* ---- Running ---- */

static int
start(struct mpn_nic *nic)
{
	int rc;

	/* Without a port: the next polls look for it. */
	if (nic->link->port_id == RTE_MAX_ETHPORTS || nic->info.removed) {
		nic->started = true;
		return 0;
	}
	rc = nic_port_start(nic);
	if (rc < 0)
		return rc;
	nic->started = true;
	nic->running = true;
	rx_queue_give_all(nic);
	nic->next_revive_ns = mpn_now_ns() + NIC_CONNECT_MS * 1000000ull;
	nic->rx_nombuf = 0;
	nic_check_link(nic);
	return 0;
}

int
mpn_nic_start(struct mpn_nic *nic)
{
	int rc;

	if (nic->started)
		return 0;
	mpn_nic_hold(nic);
	rc = start(nic);
	mpn_nic_release(nic);
	return rc;
}

void
mpn_nic_stop(struct mpn_nic *nic)
{
	if (!nic->started)
		return;
	mpn_nic_hold(nic);
	if (nic->running)
		nic_port_stop(nic);
	nic->started = false;
	nic->running = false;
	nic_check_link(nic);
	mpn_nic_release(nic);
}

static void
set_mode(struct mpn_nic *nic, bool *mode, bool on)
{
	mpn_nic_hold(nic);
	*mode = on;
	if (nic->running)
		nic_port_set_modes(nic);
	mpn_nic_release(nic);
}

void
mpn_nic_set_promiscuous(struct mpn_nic *nic, bool on)
{
	set_mode(nic, &nic->info.promiscuous, on);
}

void
mpn_nic_set_allmulticast(struct mpn_nic *nic, bool on)
{
	set_mode(nic, &nic->info.allmulticast, on);
}

/* Who has the receive stage for himself reads the first queue. */
void
nic_set_bypass(struct mpn_nic *nic, struct nic_bypass *bypass)
{
	rx_queue_take_all(nic);
	nic->bypass = bypass;
	rx_queue_give_all(nic);
}

unsigned
nic_round_receive(struct mpn_nic *nic, uint64_t now_ns)
{
	if (mpn_unlikely(nic->faults & FAULT_BIT(MPN_FAULT_LINK_DOWN)))
		return fault_drop_rx(nic);
	return mpn_likely(nic->bypass == NULL) ? nic_receive(nic)
					       : nic->bypass->run(nic->bypass, now_ns);
}

unsigned
mpn_nic_poll(struct mpn_nic *nic)
{
	uint64_t before = rte_rdtsc(), tsc = before;
	uint64_t now_ns = eal_tsc_to_ns(before);
	unsigned work = 0;

	if (mpn_unlikely(nic->spread))
		return nic_map_poll(nic);
	if (mpn_unlikely(__atomic_load_n(&nic_telemetry_asked, __ATOMIC_RELAXED)))
		mpn_nic_answer(nic);
	nic->in_poll = true;
	nic->all.now_ns = now_ns;
	if (mpn_unlikely(nic_watch_is_due(nic, now_ns))) {
		nic_watch(nic, now_ns);
		tsc = before = rte_rdtsc();
	}
	if (mpn_likely(nic->running))
		work = nic_round_receive(nic, now_ns);
	/* What receiving took is no turn of anybody's; with one, a look in vain needs no clock of its own. */
	if (work > 0 || nic->nb_pers > 1)
		tsc = rte_rdtsc();
	if (work > 0 && nic->sched == &sched_prio_drr)
		cpu_charge_rx(nic, work, tsc - before);
	work += nic->sched->work(&nic->all, now_ns, &tsc);
	work += nic_transmit(nic, now_ns);
	if (mpn_unlikely(nic->pump != NULL))
		work += nic->pump(nic->link, nic->rx_pool, true, now_ns);
	nic->stats.polls++;
	nic->stats.idle_polls += work == 0;
	nic->in_poll = false;
	return work;
}

/* ---- Looking ---- */

void
mpn_nic_get_info(struct mpn_nic *nic, struct mpn_nic_info *info)
{
	*info = nic->info;
}

const struct mpn_nic_stats *
mpn_nic_get_stats(const struct mpn_nic *nic)
{
	return &nic->stats;
}

void
mpn_nic_clear_stats(struct mpn_nic *nic)
{
	mpn_nic_hold(nic);
	memset(&nic->stats, 0, sizeof(nic->stats));
	nic_map_clear_stats(nic);
	for (unsigned i = 0; i < nic->nb_pers; i++)
		flow_clear_stats(&nic->pers[i]->flow);
	nic_clear_faults(nic);
	mpn_nic_release(nic);
}
