/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The flow rules of the card that is none. */

#include <rte_ether.h>
#include <rte_flow.h>

#include "card.h"
#include "probe.h"

#define KEPT __attribute__((used)) /* see card.c */

/* ---- Where a frame goes ---- */

static uint16_t
read_be16(const struct rte_mbuf *m, uint32_t at)
{
	uint16_t v = 0;
	const uint16_t *p = rte_pktmbuf_read(m, at, sizeof(v), &v);

	if (p != NULL)
		memcpy(&v, p, sizeof(v));
	return rte_be_to_cpu_16(v);
}

static bool
is_tag(uint16_t type)
{
	return type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ;
}

static bool
has_bits(const struct rte_mbuf *m, const struct card_rule *r, uint32_t at)
{
	uint8_t byte;
	const uint8_t *p;

	if (r->mask == 0)
		return true;
	p = rte_pktmbuf_read(m, at + (uint32_t)r->offset, 1, &byte);
	return p != NULL && (*p & r->mask) == (r->pattern & r->mask);
}

static bool
matches(const struct rte_mbuf *m, const struct card_rule *r)
{
	uint32_t at = 12;

	for (unsigned i = 0; i < r->nb_tags; i++, at += RTE_VLAN_HLEN) {
		if (!is_tag(read_be16(m, at)) || (read_be16(m, at + 2) & 0xfff) != r->vid[i])
			return false;
	}
	return (r->type == 0 || read_be16(m, at) == r->type) && has_bits(m, r, at + 2);
}

uint16_t
card_find_queue(const struct rte_mbuf *m)
{
	for (unsigned i = 0; i < CARD_MAX_RULES; i++) {
		const struct card_rule *r = &card->rules[i];

		if (r->queue == 0 || !matches(m, r))
			continue;
		return card->steers_wrong ? (uint16_t)((r->queue + 1) % card->nb_rx_queues)
					  : r->queue;
	}
	return 0;
}

/* ---- What the library calls ---- */

static void
read_vlan(const struct rte_flow_item *item, struct card_rule *r)
{
	const struct rte_flow_item_vlan *spec = item->spec, *mask = item->mask;

	assert_in_range(r->nb_tags, 0, 1);
	assert_int_equal(r->type, 0);
	assert_int_equal(mask->tci, RTE_BE16(0xfff));
	assert_true(mask->inner_type == 0xffff || (mask->inner_type == 0 && spec->inner_type == 0));
	r->vid[r->nb_tags++] = rte_be_to_cpu_16(spec->tci);
	r->type = rte_be_to_cpu_16(spec->inner_type);
}

static void
read_raw(const struct rte_flow_item *item, struct card_rule *r)
{
	const struct rte_flow_item_raw *spec = item->spec, *mask = item->mask;

	assert_true(!card->steers && spec->relative && mask->relative && spec->length == 1);
	r->offset = spec->offset;
	r->pattern = spec->pattern[0];
	r->mask = mask->pattern[0];
}

static void
read_eth(const struct rte_flow_item *item, struct card_rule *r)
{
	const struct rte_flow_item_eth *spec = item->spec, *mask = item->mask;

	if (spec == NULL)
		return;
	assert_int_equal(mask->type, 0xffff);
	r->type = rte_be_to_cpu_16(spec->type);
}

/* What the card makes of a rule. NULL: it takes it; else why not. */
static const char *
read_rule(const struct rte_flow_attr *attr, const struct rte_flow_item *item,
	const struct rte_flow_action *actions, struct card_rule *r)
{
	const struct rte_flow_action_queue *queue = actions[0].conf;

	memset(r, 0, sizeof(*r));
	assert_true(attr->ingress);
	assert_int_equal(actions[0].type, RTE_FLOW_ACTION_TYPE_QUEUE);
	assert_int_equal(actions[1].type, RTE_FLOW_ACTION_TYPE_END);
	assert_in_range(queue->index, 1, card->nb_rx_queues - 1);
	r->queue = queue->index;
	assert_int_equal(item->type, RTE_FLOW_ITEM_TYPE_ETH);
	read_eth(item, r);
	for (item++; item->type != RTE_FLOW_ITEM_TYPE_END; item++) {
		assert_true(item->type == RTE_FLOW_ITEM_TYPE_VLAN ||
			    item->type == RTE_FLOW_ITEM_TYPE_RAW);
		(item->type == RTE_FLOW_ITEM_TYPE_VLAN ? read_vlan : read_raw)(item, r);
	}
	if (card->no_rules)
		return "no patterns of bytes";
	return card->no_vlan_rules && r->nb_tags > 0 ? "no patterns of tags" : NULL;
}

KEPT int __wrap_rte_flow_validate(uint16_t port, const struct rte_flow_attr *attr,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error);
int
__wrap_rte_flow_validate(uint16_t port, const struct rte_flow_attr *attr,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error)
{
	struct card_rule rule;

	assert_true(card_is(port) && card->receive != NULL);
	error->message = read_rule(attr, pattern, actions, &rule);
	return error->message != NULL ? -ENOTSUP : 0;
}

KEPT struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attr,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error);
struct rte_flow *
__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attr,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error)
{
	struct card_rule rule;

	assert_true(card_is(port) && card->receive != NULL);
	error->message = read_rule(attr, pattern, actions, &rule);
	if (error->message != NULL)
		return NULL;
	for (unsigned i = 0; i < CARD_MAX_RULES; i++) {
		struct card_rule *r = &card->rules[i];

		if (r->queue != 0) {
			/* Which of two would apply is nobody's to say. */
			assert_false(r->type == rule.type && r->nb_tags == rule.nb_tags &&
				     memcmp(r->vid, rule.vid, sizeof(r->vid)) == 0);
			continue;
		}
		*r = rule;
		card->nb_rules++;
		return (struct rte_flow *)(void *)r;
	}
	error->message = "too many rules";
	return NULL;
}

KEPT int
__wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error);
int
__wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error)
{
	struct card_rule *r = (struct card_rule *)(void *)flow;

	assert_true(card_is(port) && card->receive != NULL);
	assert_true(r >= card->rules && r < card->rules + CARD_MAX_RULES && r->queue != 0);
	memset(r, 0, sizeof(*r));
	card->nb_rules--;
	return 0;
}
