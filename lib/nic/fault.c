/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Who hears of what (the report, 2.2.4): events of the NIC go to its callback and to all personalities that
 * ask for them, an error of one personality to that one alone. And faults made on purpose.
 */

#include <stdlib.h>
#include <time.h>

#include "map.h"
#include "mpn_log.h"
#include "mpn_map.h"
#include "nic_internal.h"

#define LOG_PAUSE_NS 10000000000ull /* between lines that say the same */

static const struct {
	const char *name;
	const char *text;
} event_rows[MPN_NIC_EVENTS] = {
#define X(NAME, name, text) [MPN_NIC_##NAME] = {#name, text},
	MPN_NIC_EVENT_LIST(X)
#undef X
};

static uint64_t
read_time_of_day(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Note it. @return whether to log it: what repeats itself is counted, and said now and then. */
static bool
record(struct fault_record *r)
{
	uint64_t now_ns = mpn_now_ns();
	bool say = r->said_ns == 0 || now_ns - r->said_ns > LOG_PAUSE_NS;

	r->count++;
	r->last_unix_ns = read_time_of_day();
	if (say)
		r->said_ns = now_ns;
	return say;
}

/* ---- Of the NIC ---- */

/* Links come and go as programs do; the others ask for somebody's attention. */
static bool
is_trouble(enum mpn_nic_event ev)
{
	return ev == MPN_NIC_REMOVED || ev == MPN_NIC_MEMBER_DOWN || ev == MPN_NIC_NO_MBUFS ||
	       ev == MPN_NIC_TX_STUCK;
}

static void
tell_program(struct mpn_nic *nic, enum mpn_nic_event ev)
{
	nic->last_event = ev;
	if (nic->event_cb != NULL)
		nic->event_cb(nic, ev, nic->event_arg);
}

void
nic_event(struct mpn_nic *nic, enum mpn_nic_event ev)
{
	/* Everybody hears of it on the lcore that has them: while they stand still. */
	if (nic_map_raise(nic, ev))
		return;
	if (record(&nic->events[ev]))
		mpn_log(is_trouble(ev) ? MPN_LOG_WARN : MPN_LOG_INFO, "nic", "%s: %s",
			nic->info.name, event_rows[ev].text);
	tell_program(nic, ev);
	for (unsigned i = 0; i < nic->nb_pers; i++)
		personality_event(nic->pers[i], ev);
}

void
mpn_nic_set_event_cb(struct mpn_nic *nic, mpn_nic_event_cb cb, void *arg)
{
	nic->event_cb = cb;
	nic->event_arg = arg;
}

void
mpn_nic_get_event(const struct mpn_nic *nic, enum mpn_nic_event ev, struct mpn_event_info *info)
{
	*info = (struct mpn_event_info){
		.name = event_rows[ev].name,
		.text = event_rows[ev].text,
		.count = nic->events[ev].count,
		.last_unix_ns = nic->events[ev].last_unix_ns,
	};
}

void
mpn_nic_print_events(const struct mpn_nic *nic, struct mpn_out *o)
{
	const struct fault_record *last = &nic->events[nic->last_event];

	mpn_out_object(o, "events");
	for (unsigned i = 0; i < MPN_NIC_EVENTS; i++)
		mpn_out_u64(o, event_rows[i].name, nic->events[i].count);
	mpn_out_close(o);
	mpn_out_str(
		o, "last_event", last->last_unix_ns != 0 ? event_rows[nic->last_event].name : NULL);
	mpn_out_time(o, "last_event_time", last->last_unix_ns);
}

int
mpn_nic_get_member(const struct mpn_nic *nic, unsigned n, struct mpn_member_info *info)
{
	return link_get_member(nic->link, n, info) ? 0 : mpn_err(ENOENT);
}

void
mpn_nic_print_members(const struct mpn_nic *nic, struct mpn_out *o)
{
	struct mpn_member_info info;

	if (!link_get_member(nic->link, 0, &info))
		return;
	mpn_out_array(o, "members");
	for (unsigned i = 0; link_get_member(nic->link, i, &info); i++) {
		mpn_out_object(o, NULL);
		mpn_out_str(o, "link", info.link);
		mpn_out_bool(o, "up", info.up);
		mpn_out_bool(o, "active", info.active);
		mpn_out_close(o);
	}
	mpn_out_close(o);
}

void
nic_clear_faults(struct mpn_nic *nic)
{
	for (unsigned i = 0; i < MPN_NIC_EVENTS; i++)
		nic->events[i].count = 0;
	for (unsigned i = 0; i < nic->nb_pers; i++)
		nic->pers[i]->errors.count = 0;
}

/* ---- Of one personality ---- */

static void
tell(struct mpn_personality *p, int err, const char *cause)
{
	p->last_error = err;
	(void)snprintf(p->last_cause, sizeof(p->last_cause), "%s", cause);
	if (p->ops->error != NULL)
		p->ops->error(p, err, cause);
}

void
personality_tell_error(struct mpn_personality *p, int err, const char *cause)
{
	(void)record(&p->errors);
	tell(p, err, cause);
}

void
mpn_personality_error(struct mpn_personality *p, int err, const char *cause)
{
	bool news = err != p->last_error;

	if (record(&p->errors) || news)
		mpn_log(MPN_LOG_WARN, "nic", "%s: personality '%s': %s: %s", p->nic->info.name,
			p->name, cause, strerror(-err));
	tell(p, err, cause);
}

/* The last ones count: where it stands now is told in the end. */
void
personality_raise(struct mpn_personality *p, enum mpn_nic_event ev)
{
	if (p->nb_news == NIC_MAX_NEWS) {
		for (unsigned i = 1; i < NIC_MAX_NEWS; i++)
			p->news[i - 1] = p->news[i];
		p->nb_news--;
	}
	p->news[p->nb_news++] = (uint8_t)ev;
	atomic_store_explicit(&p->nic->link_dirty, true, memory_order_release);
}

/* Who raised it has written the line, with the cause. */
void
personality_tell_news(struct mpn_personality *p)
{
	struct mpn_nic *nic = p->nic;
	unsigned n = p->nb_news;
	uint8_t news[NIC_MAX_NEWS];

	memcpy(news, p->news, sizeof(news));
	p->nb_news = 0;
	for (unsigned i = 0; i < n; i++) {
		memcpy(nic->info.process_of, p->name, sizeof(nic->info.process_of));
		(void)record(&nic->events[news[i]]);
		tell_program(nic, (enum mpn_nic_event)news[i]);
	}
}

void
mpn_personality_print_errors(const struct mpn_personality *p, struct mpn_out *o)
{
	bool any = p->errors.last_unix_ns != 0;

	mpn_out_u64(o, "errors", p->errors.count);
	mpn_out_str(o, "last_error", any ? strerror(-p->last_error) : NULL);
	mpn_out_str(o, "last_error_cause", any ? p->last_cause : NULL);
	mpn_out_time(o, "last_error_time", p->errors.last_unix_ns);
}

/* ---- On purpose ---- */

const char *
mpn_nic_fault_name(unsigned fault)
{
	static const char *const names[MPN_FAULTS] = {
#define X(NAME, name, text) [MPN_FAULT_##NAME] = name,
		MPN_NIC_FAULT_LIST(X)
#undef X
	};

	return fault < MPN_FAULTS ? names[fault] : NULL;
}

bool
mpn_nic_injected(const struct mpn_nic *nic, enum mpn_nic_fault fault)
{
	return (nic->faults & FAULT_BIT(fault)) != 0;
}

/* Take what the pool has; frames that come back to it meanwhile are taken by nic_watch(). */
static int
take_mbufs(struct mpn_nic *nic)
{
	nic->taken = malloc(nic->rx_pool->size * sizeof(nic->taken[0]));
	if (nic->taken == NULL)
		return mpn_err(ENOMEM);
	nic->nb_taken = 0;
	fault_drain_pool(nic);
	return 0;
}

static void
give_mbufs(struct mpn_nic *nic)
{
	for (uint32_t i = 0; i < nic->nb_taken; i++)
		rte_pktmbuf_free(nic->taken[i]);
	free(nic->taken);
	nic->taken = NULL;
	nic->nb_taken = 0;
}

void
fault_drain_pool(struct mpn_nic *nic)
{
	struct rte_mbuf *m;

	while (nic->nb_taken < nic->rx_pool->size && (m = rte_pktmbuf_alloc(nic->rx_pool)) != NULL)
		nic->taken[nic->nb_taken++] = m;
}

unsigned
fault_drop_rx(struct mpn_nic *nic)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned all = 0;

	for (uint16_t q = 0; q <= nic->nb_own_queues; q++) {
		unsigned n = rte_eth_rx_burst(nic->port_id, q, mbufs, MPN_BURST);

		if (n > 0)
			rte_pktmbuf_free_bulk(mbufs, n);
		all += n;
	}
	return all;
}

int
mpn_nic_inject(struct mpn_nic *nic, enum mpn_nic_fault fault, bool on)
{
	int rc = 0;

	if ((unsigned)fault >= MPN_FAULTS)
		return mpn_err(EINVAL);
	if (nic->in_poll)
		return mpn_err(EBUSY);
	if (mpn_nic_injected(nic, fault) == on)
		return 0;
	mpn_nic_hold(nic);
	if (fault == MPN_FAULT_NO_MBUFS && on)
		rc = take_mbufs(nic);
	else if (fault == MPN_FAULT_NO_MBUFS)
		give_mbufs(nic);
	if (rc == 0)
		nic->faults ^= FAULT_BIT(fault);
	mpn_nic_release(nic);
	if (rc < 0)
		return rc;
	atomic_store_explicit(&nic->link_dirty, true, memory_order_relaxed);
	return 0;
}

void
nic_end_faults(struct mpn_nic *nic)
{
	if (nic->taken != NULL)
		give_mbufs(nic);
	nic->faults = 0;
}
