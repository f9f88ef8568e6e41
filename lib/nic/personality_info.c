/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What a personality is, has and did: for programs, prompts and telemetry.
 */

#include <string.h>

#include "mpn_log.h"
#include "mpn_map.h"
#include "nic_internal.h"

#define MAX_RX_FRAMES 65536

int
mpn_personality_set_limits(struct mpn_personality *p, const struct mpn_limits *limits)
{
	uint32_t lens[] = {limits->rx_len, limits->tx_len};

	if (p->state != MPN_PERS_DEFINED)
		return mpn_log_err(EPERM, "nic",
			"personality '%s': its limits cannot change: it is %s", p->name,
			mpn_pers_state_name(p->state));
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(lens); i++) {
		if (lens[i] != 0 && !nic_flow_len_ok(lens[i]))
			return mpn_log_err(EINVAL, "nic",
				"personality '%s': flow length %u: expected a power of two from 8 "
				"to 1048576",
				p->name, lens[i]);
	}
	if (limits->rx_frames > MAX_RX_FRAMES)
		return mpn_log_err(EINVAL, "nic",
			"personality '%s': %u frames of its own: expected at most %u", p->name,
			limits->rx_frames, MAX_RX_FRAMES);
	/* What it is sent is what it has asked for, and its payload is not to be copied. */
	if (limits->rx_frames != 0 && p->ops->kind == MPN_PERS_SOLICITED)
		return mpn_log_err(EINVAL, "nic",
			"personality '%s': solicited I/O has no frames of its own: its credits "
			"limit it",
			p->name);
	p->limits = *limits;
	return 0;
}

void
mpn_personality_get_info(const struct mpn_personality *p, struct mpn_personality_info *info)
{
	memset(info, 0, sizeof(*info));
	mpn_nic_hold(p->nic);
	memcpy(info->name, p->name, sizeof(info->name));
	(void)snprintf(info->kind, sizeof(info->kind), "%s", p->ops->name);
	info->state = p->state;
	info->nb_ethertypes = p->nb_ethertypes;
	memcpy(info->ethertypes, p->ethertypes, sizeof(info->ethertypes));
	info->takes_rest = p->takes_rest && p->state != MPN_PERS_DEFINED;
	info->vlan = p->vlan;
	info->rx_queue = p->rx_queue;
	if (p->flow.rx != NULL) {
		info->rx_len = rte_ring_count(p->flow.rx);
		info->tx_len = flow_lane_len(&p->flow.tx) + flow_lane_len(&p->flow.data);
		info->flow_size = p->flow.rx_size;
		info->tx_flow_size = p->flow.tx_size;
	}
	info->share = p->share;
	info->default_cpu_weight = personality_cpu_weight(p->ops);
	info->limits = p->limits;
	info->rx_delay_p50_ns = mpn_hist_percentile(&p->flow.rx_delay, 0.5);
	info->rx_delay_p99_ns = mpn_hist_percentile(&p->flow.rx_delay, 0.99);
	info->rx_delay_max_ns = p->flow.rx_delay.max;
	info->tx_delay_p50_ns = mpn_hist_percentile(&p->flow.tx.delay, 0.5);
	info->tx_delay_p99_ns = mpn_hist_percentile(&p->flow.tx.delay, 0.99);
	info->tx_delay_max_ns = p->flow.tx.delay.max;
	info->stats = p->flow.stats;
	info->errors = p->errors.count;
	info->last_error = p->last_error;
	memcpy(info->last_cause, p->last_cause, sizeof(info->last_cause));
	info->last_error_unix_ns = p->errors.last_unix_ns;
	mpn_nic_release(p->nic);
}

void
mpn_personality_print_vlan(const struct mpn_personality *p, struct mpn_out *o)
{
	char text[16] = "";

	if (p->vlan.outer != 0)
		(void)snprintf(text, sizeof(text), "%u.%u", p->vlan.outer, p->vlan.vid);
	else if (vlan_is_set(&p->vlan))
		(void)snprintf(text, sizeof(text), "%u", p->vlan.vid);
	mpn_out_str(o, "vlan", text);
	mpn_out_u64(o, "rx_queue", p->rx_queue);
}

void
mpn_personality_print_flow(const struct mpn_personality *p, struct mpn_out *o)
{
	struct mpn_personality_info info;

	mpn_personality_get_info(p, &info);
	mpn_out_str(o, "state", mpn_pers_state_name(info.state));
	mpn_out_u64(o, "size", info.flow_size);
	mpn_out_u64(o, "tx_size", info.tx_flow_size);
	mpn_out_u64(o, "own_frames", info.limits.rx_frames);
	mpn_out_u64(o, "rx_waiting", info.rx_len);
	mpn_out_u64(o, "tx_waiting", info.tx_len);
#define X(name, text) mpn_out_u64(o, #name, info.stats.name);
	MPN_FLOW_COUNTER_LIST(X)
#undef X
	mpn_out_u64(o, "weight", info.share.weight);
	mpn_out_u64(o, "cpu_weight", info.share.cpu_weight);
	mpn_out_bool(o, "priority", info.share.priority);
	mpn_out_u64(o, "tx_rate", info.share.tx_rate);
	mpn_out_u64(o, "rx_delay_p50_ns", info.rx_delay_p50_ns);
	mpn_out_u64(o, "rx_delay_p99_ns", info.rx_delay_p99_ns);
	mpn_out_u64(o, "rx_delay_max_ns", info.rx_delay_max_ns);
	mpn_out_u64(o, "tx_delay_p50_ns", info.tx_delay_p50_ns);
	mpn_out_u64(o, "tx_delay_p99_ns", info.tx_delay_p99_ns);
	mpn_out_u64(o, "tx_delay_max_ns", info.tx_delay_max_ns);
}

/* In powers of two: what is finer is noise of the poll loop. */
static void
print_hist(struct mpn_out *o, const char *name, const struct mpn_hist *h)
{
	mpn_out_array(o, name);
	for (unsigned first = 0; first < MPN_HIST_BUCKETS; first += 1u << MPN_HIST_SUB_BITS) {
		uint64_t count = 0;

		for (unsigned i = first; i < first + (1u << MPN_HIST_SUB_BITS); i++)
			count += h->bucket[i];
		if (count == 0)
			continue;
		mpn_out_object(o, NULL);
		mpn_out_u64(o, "up_to_ns", mpn_hist_upper(first + (1u << MPN_HIST_SUB_BITS) - 1));
		mpn_out_u64(o, "count", count);
		mpn_out_close(o);
	}
	mpn_out_close(o);
}

void
mpn_personality_print_delays(const struct mpn_personality *p, struct mpn_out *o)
{
	mpn_nic_hold(p->nic);
	print_hist(o, "rx", &p->flow.rx_delay);
	print_hist(o, "tx", &p->flow.tx.delay);
	mpn_nic_release(p->nic);
}

void
mpn_personality_print(struct mpn_personality *p, struct mpn_out *o)
{
	mpn_nic_hold(p->nic);
	if (p->ops->print != NULL && p->state != MPN_PERS_DEFINED)
		p->ops->print(p, o);
	mpn_nic_release(p->nic);
}
