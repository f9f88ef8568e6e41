/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A data queue on a network card with buffer split: it writes the first NIC_POST_HEADER bytes of a frame
 * into an mbuf of one pool and the rest into one of another. Which frames come to the queue is a flow
 * rule's to say; without one the card would put headers of anything in front of posted pages.
 */

#include <string.h>

#include <rte_flow.h>

#include "mpn_log.h"
#include "nic_internal.h"

/* Payload that frames of storage carry: a page takes one of these. */
static const uint32_t units[] = {8192, 4096, 1024};

uint64_t
nic_split_offloads(const struct rte_eth_dev_info *dev)
{
	return dev->rx_offload_capa &
	       (RTE_ETH_RX_OFFLOAD_BUFFER_SPLIT | RTE_ETH_RX_OFFLOAD_SCATTER);
}

/* What a port lacks; NULL: nothing. */
static const char *
find_lack(const struct rte_eth_dev_info *dev, bool knows_pools)
{
	if (!(dev->rx_offload_capa & RTE_ETH_RX_OFFLOAD_BUFFER_SPLIT))
		return "it has no buffer split";
	if (dev->rx_seg_capa.max_nseg < 2 || !dev->rx_seg_capa.multi_pools)
		return "its buffer split cannot use two pools";
	if (knows_pools)
		return "its driver receives only into the memory that a pool was made with";
	if (dev->max_rx_queues <= NIC_DATA_QUEUE)
		return "it has one receive queue, and data needs one of its own";
	return NULL;
}

static uint32_t
page_bytes(const struct mpn_nic *nic)
{
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(units); i++) {
		if (nic->info.max_frame >= NIC_POST_HEADER + units[i])
			return units[i];
	}
	return 0;
}

int
nic_split_probe(struct mpn_nic *nic, const struct rte_eth_dev_info *dev, bool knows_pools)
{
	const char *lack = find_lack(dev, knows_pools);

	if (lack == NULL && page_bytes(nic) == 0)
		lack = "its MTU leaves no room for a page";
	if (lack == NULL)
		return 0;
	return mpn_log_err(EOPNOTSUPP, "nic",
		"link '%s': place is not possible with this port (%s): %s; leave place out",
		nic->info.link, dev->driver_name, lack);
}

/* Two for each frame where segments are counted, more than needed where frames are. */
static uint16_t
ring_size(const struct mpn_nic *nic, const struct rte_eth_dev_info *dev)
{
	const struct rte_eth_desc_lim *lim = &dev->rx_desc_lim;
	uint32_t n = MPN_MAX(2u * nic->link->place, lim->nb_min);

	if (lim->nb_align > 1)
		n = RTE_ALIGN_MUL_CEIL(n, lim->nb_align);
	return (uint16_t)(lim->nb_max != 0 ? MPN_MIN(n, lim->nb_max) : n);
}

struct nic_post *
nic_split_create_post(struct mpn_nic *nic, const struct rte_eth_dev_info *dev, const char *name)
{
	return nic_post_create_split(
		name, nic->link->place, ring_size(nic, dev), page_bytes(nic), nic->info.socket_id);
}

int
nic_split_setup_queue(struct mpn_nic *nic, const struct rte_eth_dev_info *dev,
	const struct rte_eth_rxconf *rxconf)
{
	union rte_eth_rxseg segs[2] = {
		{.split = {.mp = nic_post_headers(nic->post), .length = NIC_POST_HEADER}},
		{.split = {.mp = nic_post_pool(nic->post), .length = (uint16_t)page_bytes(nic)}},
	};
	struct rte_eth_rxconf conf = *rxconf;

	conf.offloads = nic_split_offloads(dev);
	conf.rx_seg = segs;
	conf.rx_nseg = MPN_ARRAY_SIZE(segs);
	return rte_eth_rx_queue_setup(nic->port_id, NIC_DATA_QUEUE, ring_size(nic, dev),
		(unsigned)nic->info.socket_id, &conf, NULL);
}

/* ---- Steering ---- */

static struct rte_flow *
create_rule(const struct mpn_nic *nic, struct rte_flow_error *error)
{
	const struct nic_steer *steer = &nic->steer;
	struct rte_flow_attr attr = {.ingress = 1};
	struct rte_flow_item_eth type = {.type = rte_cpu_to_be_16(steer->ethertype)};
	struct rte_flow_item_eth type_mask = {.type = RTE_BE16(0xffff)};
	struct rte_flow_item_raw bits = {
		.relative = 1, .offset = steer->offset, .length = 1, .pattern = &steer->bits};
	struct rte_flow_item_raw bits_mask = rte_flow_item_raw_mask;
	struct rte_flow_action_queue queue = {.index = NIC_DATA_QUEUE};
	struct rte_flow_item pattern[] = {
		{.type = RTE_FLOW_ITEM_TYPE_ETH, .spec = &type, .mask = &type_mask},
		{.type = RTE_FLOW_ITEM_TYPE_RAW, .spec = &bits, .mask = &bits_mask},
		{.type = RTE_FLOW_ITEM_TYPE_END},
	};
	struct rte_flow_action actions[] = {
		{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue},
		{.type = RTE_FLOW_ACTION_TYPE_END},
	};

	/* Of the byte only these bits count. */
	bits_mask.pattern = &steer->bits;
	return rte_flow_create(nic->port_id, &attr, pattern, actions, error);
}

int
nic_split_start(struct mpn_nic *nic)
{
	struct rte_flow_error error = {0};

	if (!nic->link->split || nic->steer.ethertype == 0)
		return 0;
	nic->steer_rule = create_rule(nic, &error);
	if (nic->steer_rule != NULL)
		return 0;
	return mpn_log_err(EOPNOTSUPP, "nic",
		"link '%s': place needs data frames on a queue of their own, and the port (%s) "
		"takes no "
		"rule that tells them from others (type 0x%04x, bits 0x%02x of byte %u): %s; leave "
		"place out",
		nic->info.link, nic->info.driver, nic->steer.ethertype, nic->steer.bits,
		RTE_ETHER_HDR_LEN + nic->steer.offset,
		error.message != NULL ? error.message : "no reason given");
}

void
nic_split_stop(struct mpn_nic *nic)
{
	struct rte_flow_error error;

	if (nic->steer_rule == NULL)
		return;
	(void)rte_flow_destroy(nic->port_id, nic->steer_rule, &error);
	nic->steer_rule = NULL;
}

int
mpn_nic_post_steer(struct mpn_nic *nic, const struct nic_steer *steer)
{
	nic_split_stop(nic);
	nic->steer = *steer;
	return nic->running ? nic_split_start(nic) : 0;
}
