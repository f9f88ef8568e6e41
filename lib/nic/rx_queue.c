/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A receive queue for each personality, where the port takes flow rules for it: then those who are flooded lose
 * their own frames, in the port. A rule says where a frame waits and not whose it is: what comes on any queue is
 * classified like the rest (classify.c), so a port that steers wrongly, or not at all, changes nothing else.
 */

#include <string.h>

#include <rte_flow.h>

#include "mpn_log.h"
#include "nic_internal.h"

#define PROBE_TYPE 0x88b5 /* for local experiments: IEEE 802 */
#define MAX_ITEMS (1 + VLAN_MAX_TAGS + 1)

/* What a rule matches: the tags of a VLAN, and what is behind them; type 0: anything. */
struct match {
	struct mpn_vlan vlan;
	uint16_t type;
};

/* A pattern and all that it points to. */
struct pattern {
	struct rte_flow_item_eth eth, eth_mask;
	struct rte_flow_item_vlan vlan[VLAN_MAX_TAGS], vlan_mask[VLAN_MAX_TAGS];
	struct rte_flow_item items[MAX_ITEMS];
};

static void
add_tag(struct pattern *p, unsigned n, uint16_t vid)
{
	p->vlan[n].tci = rte_cpu_to_be_16(vid);
	p->vlan_mask[n].tci = RTE_BE16(VLAN_IDS - 1);
	p->items[1 + n] = (struct rte_flow_item){
		.type = RTE_FLOW_ITEM_TYPE_VLAN, .spec = &p->vlan[n], .mask = &p->vlan_mask[n]};
}

static void
fill_pattern(struct pattern *p, const struct match *m)
{
	uint16_t mask = m->type != 0 ? 0xffff : 0;
	unsigned n = 0;

	memset(p, 0, sizeof(*p));
	p->items[0] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_ETH};
	if (m->vlan.outer != 0)
		add_tag(p, n++, m->vlan.outer);
	if (vlan_is_set(&m->vlan))
		add_tag(p, n++, m->vlan.vid);
	p->items[1 + n] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_END};
	if (n > 0) {
		p->vlan[n - 1].inner_type = rte_cpu_to_be_16(m->type);
		p->vlan_mask[n - 1].inner_type = mask;
		return;
	}
	p->eth.type = rte_cpu_to_be_16(m->type);
	p->eth_mask.type = mask;
	p->items[0].spec = &p->eth;
	p->items[0].mask = &p->eth_mask;
}

/* Asked first: a driver may hold a rule that it has no means for. */
static struct rte_flow *
make_rule(const struct mpn_nic *nic, const struct match *m, uint16_t queue, const char **why)
{
	struct rte_flow_attr attr = {.ingress = 1};
	struct rte_flow_action_queue to = {.index = queue};
	struct rte_flow_action actions[] = {
		{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &to},
		{.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_error error = {0};
	struct rte_flow *rule = NULL;
	struct pattern p;

	fill_pattern(&p, m);
	if (rte_flow_validate(nic->port_id, &attr, p.items, actions, &error) == 0)
		rule = rte_flow_create(nic->port_id, &attr, p.items, actions, &error);
	*why = error.message != NULL ? error.message : "no reason given";
	return rule;
}

static void
destroy_rules(struct mpn_personality *p)
{
	const struct mpn_nic *nic = p->nic;
	struct rte_flow_error error;

	/* A device that has gone has taken its rules along. */
	for (unsigned i = 0; i < p->nb_rules && rte_eth_dev_is_valid_port(nic->port_id); i++)
		(void)rte_flow_destroy(nic->port_id, p->rules[i], &error);
	p->nb_rules = 0;
	p->rx_queue = 0;
}

/* Who has asked for queues wants to know. */
static enum mpn_log_level
refusal_level(const struct mpn_nic *nic)
{
	return link_opt(&nic->link->spec, "queues", NULL) != NULL ? MPN_LOG_WARN : MPN_LOG_INFO;
}

/* ---- Queues ---- */

static uint8_t
find_free(const struct mpn_nic *nic)
{
	for (uint8_t q = 1; q <= nic->nb_own_queues; q++) {
		bool used = false;

		for (unsigned i = 0; i < nic->nb_pers; i++)
			used |= nic->pers[i]->rx_queue == q;
		if (!used)
			return q;
	}
	return 0;
}

static int
add_rule(struct mpn_personality *p, uint16_t type)
{
	struct match m = {.vlan = p->vlan, .type = type};
	const char *why;

	p->rules[p->nb_rules] = make_rule(p->nic, &m, p->rx_queue, &why);
	if (p->rules[p->nb_rules] == NULL) {
		mpn_log(refusal_level(p->nic), "nic",
			"%s: personality '%s': its frames come on the first queue: the port (%s) "
			"takes "
			"no rule for them (type 0x%04x): %s",
			p->nic->info.name, p->name, p->nic->info.driver, type, why);
		return -EOPNOTSUPP;
	}
	p->nb_rules++;
	return 0;
}

/* All its frame types, or none: those of one personality stay in order. */
static void
give_queue(struct mpn_personality *p)
{
	int rc = 0;

	p->rx_queue = find_free(p->nic);
	if (p->rx_queue == 0)
		return;
	for (unsigned i = 0; rc == 0 && i < p->nb_ethertypes; i++)
		rc = add_rule(p, p->ethertypes[i]);
	/* What nobody claims is told by its VLAN, or stays where no rule applies. */
	if (rc == 0 && p->takes_rest && vlan_is_set(&p->vlan))
		rc = add_rule(p, 0);
	if (rc < 0 || p->nb_rules == 0) {
		destroy_rules(p);
		return;
	}
	mpn_log(MPN_LOG_DEBUG, "nic", "%s: personality '%s' receives on queue %u",
		p->nic->info.name, p->name, p->rx_queue);
}

void
rx_queue_give(struct mpn_personality *p)
{
	if (p->nic->nb_own_queues > 0 && p->nic->running && p->nic->bypass == NULL &&
		p->rx_queue == 0)
		give_queue(p);
}

void
rx_queue_take(struct mpn_personality *p)
{
	if (p->rx_queue != 0)
		destroy_rules(p);
}

void
rx_queue_give_all(struct mpn_nic *nic)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		if (personality_is_active(nic->pers[i]))
			rx_queue_give(nic->pers[i]);
	}
}

void
rx_queue_take_all(struct mpn_nic *nic)
{
	for (unsigned i = 0; i < nic->nb_pers; i++)
		rx_queue_take(nic->pers[i]);
}

/* ---- The port ---- */

uint8_t
rx_queue_wanted(const struct mpn_nic *nic, const struct rte_eth_dev_info *dev)
{
	/* With place= the second queue is the data queue's. */
	if (nic->link->place > 0 || dev->max_rx_queues <= 1)
		return 0;
	return (uint8_t)MPN_MIN(nic->link->queues, dev->max_rx_queues - 1u);
}

bool
rx_queue_probe(struct mpn_nic *nic)
{
	struct match m = {.type = PROBE_TYPE};
	struct rte_flow_error error;
	struct rte_flow *rule;
	const char *why;

	if (nic->nb_own_queues == 0)
		return true;
	rule = make_rule(nic, &m, 1, &why);
	if (rule != NULL) {
		(void)rte_flow_destroy(nic->port_id, rule, &error);
		return true;
	}
	mpn_log(refusal_level(nic), "nic",
		"link '%s': one receive queue for all: the port (%s) takes no rule that brings a "
		"frame type to a queue: %s",
		nic->info.link, nic->info.driver, why);
	return false;
}
