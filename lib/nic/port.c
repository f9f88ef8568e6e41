/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * From an opened link to a running port: MTU, queues, memory, and what drivers want differently.
 */

#include <string.h>

#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_malloc.h>

#include "mpn_log.h"
#include "nic_internal.h"

/* Room for what drivers put around a frame (tags, virtio's header): it stays in one segment. */
#define FRAME_SLACK 32

/* What drivers want differently, whatever link they come from. */
enum driver_quirk {
	DRIVER_KEEPS_SENT =
		1 << 0, /* frees sent frames late unless its threshold is near the ring */
	DRIVER_MTU_IS_WRONG = 1 << 1, /* says 1500 and moves what its buffers hold */
	DRIVER_SETS_MTU = 1 << 2, /* the MTU of its interface is set by a call of its own */
	DRIVER_READS_BY_CPU = 1 << 3, /* sends from where the frame's virtual address says */
	DRIVER_PASSES_FRAMES = 1 << 4, /* what is received are the sender's own mbufs */
	DRIVER_KNOWS_POOLS =
		1 << 5, /* receives only into memory that was a pool's from the start */
	/* Its VLAN offloads are this CPU's work, on every frame, and less careful than ours. */
	DRIVER_STRIPS_BY_CPU = 1 << 6,
	DRIVER_INSERTS_BY_CPU = 1 << 7,
	DRIVER_PAIRS_QUEUES = 1 << 8, /* has as many to send on as to receive on */
	/* So are its checksums, and what it segments: every frame would pay, whoever's it is. */
	DRIVER_SUMS_BY_CPU = 1 << 9,
};

#define DRIVER_WORKS_BY_CPU (DRIVER_STRIPS_BY_CPU | DRIVER_INSERTS_BY_CPU | DRIVER_SUMS_BY_CPU)

static unsigned
driver_quirks(const char *driver)
{
	static const struct {
		const char *driver;
		unsigned quirks;
	} rows[] = {
		{"net_virtio", DRIVER_KEEPS_SENT | DRIVER_WORKS_BY_CPU},
		{"net_virtio_user", DRIVER_KEEPS_SENT | DRIVER_WORKS_BY_CPU},
		{"net_vhost", DRIVER_READS_BY_CPU | DRIVER_WORKS_BY_CPU},
		{"net_ring", DRIVER_READS_BY_CPU | DRIVER_PASSES_FRAMES},
		{"net_memif", DRIVER_MTU_IS_WRONG | DRIVER_READS_BY_CPU},
		{"net_af_packet", DRIVER_MTU_IS_WRONG | DRIVER_INSERTS_BY_CPU},
		{"net_bonding", DRIVER_MTU_IS_WRONG | DRIVER_INSERTS_BY_CPU | DRIVER_SUMS_BY_CPU},
		{"net_tap", DRIVER_SETS_MTU | DRIVER_READS_BY_CPU | DRIVER_PAIRS_QUEUES |
				    DRIVER_SUMS_BY_CPU},
		{"mlx5_pci", DRIVER_KNOWS_POOLS},
		{"mlx5_auxiliary", DRIVER_KNOWS_POOLS},
	};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		if (strcmp(driver, rows[i].driver) == 0)
			return rows[i].quirks;
	}
	return 0;
}

/* What ethdev adds to an MTU before it compares it with the largest frame of the driver. */
static uint32_t
frame_overhead(const struct rte_eth_dev_info *dev)
{
	if (dev->max_mtu != UINT16_MAX && dev->max_rx_pktlen > dev->max_mtu)
		return dev->max_rx_pktlen - dev->max_mtu;
	return RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
}

static uint16_t
largest_mtu(const struct mpn_nic *nic, const struct rte_eth_dev_info *dev)
{
	uint32_t max = MPN_MIN(dev->max_mtu, LINK_MAX_MTU);

	if (nic->link->max_mtu != 0)
		return nic->link->max_mtu;
	if (dev->max_rx_pktlen < max + frame_overhead(dev))
		max = dev->max_rx_pktlen - frame_overhead(dev);
	return (uint16_t)max;
}

static int
choose_mtu(struct mpn_nic *nic, const struct rte_eth_dev_info *dev)
{
	uint16_t max = largest_mtu(nic, dev);
	uint16_t usual = nic->link->mtu != 0 ? nic->link->mtu : link_usual_mtu(max);
	uint16_t mtu = nic->conf.mtu != 0 ? nic->conf.mtu : usual;

	if (mtu < RTE_ETHER_MIN_MTU || mtu > max)
		return mpn_log_err(EINVAL, "nic",
			"link '%s': the MTU cannot be %u; expected %u to %u", nic->info.link, mtu,
			RTE_ETHER_MIN_MTU, max);
	nic->info.mtu = mtu;
	nic->info.max_frame = mtu + RTE_ETHER_HDR_LEN;
	return 0;
}

static int
make_rx_pool(struct mpn_nic *nic)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	uint32_t frame = MPN_MAX(nic->info.max_frame + FRAME_SLACK, nic->link->frame_room);
	uint32_t room = RTE_PKTMBUF_HEADROOM + RTE_ALIGN_CEIL(frame, RTE_CACHE_LINE_SIZE);
	/* In descriptors, in an RX flow, in the hands of personalities and caches; kept. */
	uint32_t n = (uint32_t)nic->info.nb_rxd * (1u + nic->nb_own_queues) + nic->info.nb_txd +
		     nic->conf.flow_len + 2 * NIC_POOL_CACHE + 4 * MPN_BURST + nic->conf.nb_keep +
		     nic_pool_spare(NIC_MAX_STAGES);

	(void)snprintf(name, sizeof(name), "mpn_rx%u", nic->port_id);
	nic->rx_pool = nic_pool_create_rx(name, n, (uint16_t)room, nic->info.socket_id);
	if (nic->rx_pool == NULL)
		return mpn_log_err(ENOMEM, "nic",
			"link '%s': no memory for %u frames of %u bytes: %s; more memory or a "
			"smaller MTU "
			"would help",
			nic->info.link, n, room, rte_strerror(rte_errno));
	return 0;
}

/* A page of ours takes what the largest frame has behind its header. */
static int
make_post(struct mpn_nic *nic, const struct rte_eth_dev_info *dev)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	if (!nic->data_rx || nic->post != NULL)
		return 0;
	(void)snprintf(name, sizeof(name), "mpn_post%u", nic->port_id);
	nic->post = nic->link->split ? nic_split_create_post(nic, dev, name)
				     : nic_post_create(name, nic->link->place,
					       RTE_ALIGN_CEIL(nic->info.max_frame + FRAME_SLACK -
								      NIC_POST_HEADER,
						       RTE_CACHE_LINE_SIZE),
					       nic->info.socket_id);
	if (nic->post == NULL)
		return mpn_log_err(ENOMEM, "nic", "link '%s': no memory for place=%u",
			nic->info.link, nic->link->place);
	return 0;
}

/* The second queue: small where pages are posted, as deep as the first one where frames are sent. */
static int
setup_data_queues(struct mpn_nic *nic, const struct rte_eth_dev_info *dev,
	const struct rte_eth_rxconf *rxconf, const struct rte_eth_txconf *txconf)
{
	unsigned socket = (unsigned)nic->info.socket_id;
	int rc = 0;

	if (nic->data_rx && nic->link->split)
		rc = nic_split_setup_queue(nic, dev, rxconf);
	else if (nic->data_rx)
		rc = rte_eth_rx_queue_setup(nic->port_id, NIC_DATA_QUEUE,
			(uint16_t)(2 * nic->link->place), socket, rxconf, nic_post_pool(nic->post));
	if (rc == 0 && nic->data_tx)
		rc = rte_eth_tx_queue_setup(
			nic->port_id, NIC_DATA_QUEUE, nic->info.nb_txd, socket, txconf);
	return rc;
}

/* Queues of personalities, as deep as the first one. */
static int
setup_own_queues(struct mpn_nic *nic, const struct rte_eth_dev_info *dev,
	const struct rte_eth_rxconf *rxconf, const struct rte_eth_txconf *txconf)
{
	bool pairs = (driver_quirks(dev->driver_name) & DRIVER_PAIRS_QUEUES) != 0;
	unsigned socket = (unsigned)nic->info.socket_id;
	int rc = 0;

	for (uint16_t q = 1; rc == 0 && q <= nic->nb_own_queues; q++) {
		rc = rte_eth_rx_queue_setup(
			nic->port_id, q, nic->info.nb_rxd, socket, rxconf, nic->rx_pool);
		if (rc == 0 && pairs)
			rc = rte_eth_tx_queue_setup(
				nic->port_id, q, nic->info.nb_txd, socket, txconf);
	}
	return rc;
}

static int
setup_queues(struct mpn_nic *nic, const struct rte_eth_dev_info *dev)
{
	struct rte_eth_rxconf rxconf = dev->default_rxconf;
	struct rte_eth_txconf txconf = dev->default_txconf;
	unsigned socket = (unsigned)nic->info.socket_id;
	int rc;

	if (driver_quirks(dev->driver_name) & DRIVER_KEEPS_SENT)
		txconf.tx_free_thresh = (uint16_t)(nic->info.nb_txd - 4);
	rc = rte_eth_rx_queue_setup(
		nic->port_id, 0, nic->info.nb_rxd, socket, &rxconf, nic->rx_pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(nic->port_id, 0, nic->info.nb_txd, socket, &txconf);
	if (rc == 0)
		rc = setup_own_queues(nic, dev, &rxconf, &txconf);
	if (rc == 0)
		rc = setup_data_queues(nic, dev, &rxconf, &txconf);
	if (rc < 0)
		return mpn_log_err(-rc, "nic", "link '%s': cannot set up queues of %u and %u: %s",
			nic->info.link, nic->info.nb_rxd, nic->info.nb_txd, strerror(-rc));
	return 0;
}

#define TX_SUMS (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
/* A port that cuts writes new headers, each in a descriptor of its own. */
#define TX_TSO \
	(RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | TX_SUMS | \
		RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
#define RX_SUMS (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)

/* Checksums and segments of TCP: of use to the traditional interface, and asked for where they cost nobody else. */
static void
choose_sums(struct mpn_nic *nic, const struct rte_eth_dev_info *dev, struct rte_eth_conf *conf)
{
	bool may = (driver_quirks(dev->driver_name) & DRIVER_SUMS_BY_CPU) == 0;

	nic->info.tx_checksum = may && (dev->tx_offload_capa & TX_SUMS) == TX_SUMS;
	nic->info.tx_tso = may && (dev->tx_offload_capa & TX_TSO) == TX_TSO;
	nic->info.rx_checksum = may && (dev->rx_offload_capa & RX_SUMS) == RX_SUMS;
	if (nic->info.tx_checksum)
		conf->txmode.offloads |= TX_SUMS;
	if (nic->info.tx_tso)
		conf->txmode.offloads |= TX_TSO;
	if (nic->info.rx_checksum)
		conf->rxmode.offloads |= RX_SUMS;
}

/* Tags are the port's work where it has the means for it. */
static void
choose_offloads(struct mpn_nic *nic, const struct rte_eth_dev_info *dev, struct rte_eth_conf *conf)
{
	unsigned quirks = driver_quirks(dev->driver_name);
	bool strips = (dev->rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0 &&
		      !(quirks & DRIVER_STRIPS_BY_CPU);

	nic->info.multi_segs = (dev->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
	nic->port_inserts = (dev->tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) != 0 &&
			    !(quirks & DRIVER_INSERTS_BY_CPU);
	nic->rx_flags = strips ? RTE_MBUF_F_RX_VLAN_STRIPPED : 0;
	nic->info.strips_vlan = strips;
	nic->info.inserts_vlan = nic->port_inserts;
	if (strips)
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	if (nic->info.multi_segs)
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (nic->port_inserts)
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	choose_sums(nic, dev, conf);
}

static int
configure_port(struct mpn_nic *nic, const struct rte_eth_dev_info *dev)
{
	struct rte_eth_conf conf = {0};
	uint16_t nb_rx, nb_tx;
	int rc;

	if (nic->link->split) {
		rc = nic_split_probe(
			nic, dev, driver_quirks(dev->driver_name) & DRIVER_KNOWS_POOLS);
		if (rc < 0)
			return rc;
		conf.rxmode.offloads = nic_split_offloads(dev) & ~dev->rx_queue_offload_capa;
	}
	conf.rxmode.mtu = MPN_MIN(nic->info.mtu, dev->max_mtu);
	if (driver_quirks(dev->driver_name) & DRIVER_MTU_IS_WRONG)
		conf.rxmode.mtu = MPN_MIN(nic->info.mtu, RTE_ETHER_MTU);
	choose_offloads(nic, dev, &conf);
	/* A virtual device is asked; its interrupts would talk to the peer on another thread. */
	conf.intr_conf.lsc = (nic->link->spec.kind->quirks & LINK_NEEDS_PCI) != 0 &&
			     (*dev->dev_flags & RTE_ETH_DEV_INTR_LSC) != 0;
	nic->data_rx = nic->link->place > 0 && dev->max_rx_queues > NIC_DATA_QUEUE;
	nic->data_tx = nic->link->data_tx && dev->max_tx_queues > NIC_DATA_QUEUE;
	nic->nb_own_queues = rx_queue_wanted(nic, dev);
	nb_rx = (uint16_t)((nic->data_rx ? 2 : 1) + nic->nb_own_queues);
	nb_tx = driver_quirks(dev->driver_name) & DRIVER_PAIRS_QUEUES ? nb_rx
		: nic->data_tx                                        ? 2
								      : 1;
	rc = rte_eth_dev_configure(nic->port_id, nb_rx, nb_tx, &conf);
	if (rc == 0 && (driver_quirks(dev->driver_name) & DRIVER_SETS_MTU))
		rc = rte_eth_dev_set_mtu(nic->port_id, nic->info.mtu);
	if (rc < 0)
		return mpn_log_err(-rc, "nic", "link '%s': cannot configure the port: %s",
			nic->info.link, strerror(-rc));
	rc = rte_eth_dev_adjust_nb_rx_tx_desc(nic->port_id, &nic->info.nb_rxd, &nic->info.nb_txd);
	if (rc < 0 && rc != -ENOTSUP)
		return mpn_log_err(-rc, "nic", "link '%s': cannot have %u and %u descriptors: %s",
			nic->info.link, nic->info.nb_rxd, nic->info.nb_txd, strerror(-rc));
	return 0;
}

/*
 * Our station address: the link's, where it knows one; else the driver's, unless the kernel has that one for itself or the driver has none.
 */
static void
choose_mac(struct mpn_nic *nic)
{
	struct rte_ether_addr mac = {0};

	memcpy(mac.addr_bytes, nic->link->mac, sizeof(nic->link->mac));
	if (rte_is_zero_ether_addr(&mac) && ((nic->link->spec.kind->quirks & LINK_SOFT_MAC) ||
						    rte_eth_macaddr_get(nic->port_id, &mac) < 0 ||
						    !rte_is_valid_assigned_ether_addr(&mac)))
		rte_eth_random_addr(mac.addr_bytes);
	memcpy(nic->info.mac, mac.addr_bytes, sizeof(nic->info.mac));
	nic->mac48 = 0;
	memcpy(&nic->mac48, mac.addr_bytes, sizeof(nic->info.mac));
}

static void
fill_info(struct mpn_nic *nic, const struct rte_eth_dev_info *dev)
{
	const struct link_kind *kind = nic->link->spec.kind;
	int socket = rte_eth_dev_socket_id(nic->port_id);

	if (socket < 0)
		socket = (int)rte_socket_id();
	nic->info.socket_id = socket < 0 || socket >= RTE_MAX_NUMA_NODES ? 0 : socket;
	nic->info.port_id = nic->port_id;
	nic->info.nb_keep = nic->conf.nb_keep;
	nic->info.tx_any_memory = (driver_quirks(dev->driver_name) & DRIVER_READS_BY_CPU) != 0;
	nic->info.own_frames = (driver_quirks(dev->driver_name) & DRIVER_PASSES_FRAMES) == 0;
	nic->info.point_to_point = kind->pub.point_to_point;
	nic->info.may_corrupt = !kind->pub.point_to_point;
	(void)snprintf(nic->info.driver, sizeof(nic->info.driver), "%s", dev->driver_name);
}

/* Queues and memory of a port that has just come; the MTU has been chosen. */
static int
setup_port(struct mpn_nic *nic, const struct rte_eth_dev_info *dev)
{
	int rc;

	nic->info.nb_rxd = nic->link->want.nb_rxd;
	nic->info.nb_txd = nic->link->want.nb_txd;
	rc = configure_port(nic, dev);
	if (rc == 0 && nic->rx_pool == NULL)
		rc = make_rx_pool(nic);
	if (rc == 0)
		rc = make_post(nic, dev);
	if (rc == 0)
		rc = setup_queues(nic, dev);
	if (rc < 0)
		return rc;
	nic->sends_always = nic->link->sends_always;
	nic->pump = nic->link->spec.kind->pump;
	nic->has_tx_status = rte_eth_tx_descriptor_status(nic->port_id, 0, 0) != -ENOTSUP &&
			     nic->conf.tx_cap < nic->info.nb_txd;
	return 0;
}

static int
look_at_port(struct mpn_nic *nic, struct rte_eth_dev_info *dev)
{
	int rc;

	nic->port_id = nic->link->port_id;
	rc = rte_eth_dev_info_get(nic->port_id, dev);
	if (rc < 0)
		return mpn_log_err(-rc, "nic", "link '%s': the port gives no information: %s",
			nic->info.link, strerror(-rc));
	fill_info(nic, dev);
	return 0;
}

/* Undone by nic_port_close(), also after an error. */
int
nic_port_open(struct mpn_nic *nic)
{
	struct rte_eth_dev_info dev;
	int rc;

	rc = look_at_port(nic, &dev);
	if (rc == 0)
		rc = choose_mtu(nic, &dev);
	if (rc == 0)
		rc = setup_port(nic, &dev);
	if (rc < 0)
		return rc;
	choose_mac(nic);
	return 0;
}

void
nic_port_lose(struct mpn_nic *nic)
{
	nic_port_stop(nic);
	link_lose(nic->link);
	nic->running = false;
}

void
nic_port_restart(struct mpn_nic *nic)
{
	nic_port_stop(nic);
	nic->link->wants_restart = false;
	nic->link->spec.kind->stopped(nic->link);
	nic->running = nic_port_start(nic) == 0;
}

int
nic_port_revive(struct mpn_nic *nic)
{
	struct rte_eth_dev_info dev;
	int rc;

	rc = link_revive(nic->link);
	if (rc < 0)
		return rc;
	rc = look_at_port(nic, &dev);
	if (rc == 0)
		rc = setup_port(nic, &dev);
	if (rc == 0)
		rc = nic_port_start(nic);
	if (rc < 0) {
		nic_port_stop(nic);
		link_lose(nic->link);
	}
	return rc;
}

static int
start_device(struct mpn_nic *nic)
{
	int rc = rte_eth_dev_start(nic->port_id);

	if (rc == 0)
		return 0;
	return mpn_log_err(
		-rc, "nic", "link '%s': cannot start the port: %s", nic->info.link, strerror(-rc));
}

/* Whether it takes rules a port says when it runs; if not the other queues are of no use. */
static int
start_without_rules(struct mpn_nic *nic)
{
	struct rte_eth_dev_info dev;
	int rc;

	(void)rte_eth_dev_stop(nic->port_id);
	nic->link->queues = 0;
	rc = look_at_port(nic, &dev);
	if (rc == 0)
		rc = setup_port(nic, &dev);
	return rc == 0 ? start_device(nic) : rc;
}

/* A ring with buffer split is filled when its port starts, the other by nobody until there is an owner. */
int
nic_port_start(struct mpn_nic *nic)
{
	int rc;

	if (nic->link->split)
		nic_post_run(nic->post, true);
	rc = start_device(nic);
	if (rc == 0 && !rx_queue_probe(nic))
		rc = start_without_rules(nic);
	if (rc < 0)
		return rc;
	if (nic->post != NULL)
		nic_post_run(nic->post, nic->data_rx);
	nic_port_set_modes(nic);
	return nic_split_start(nic);
}

/*
 * Frames are for us when our address or a group is on them: classification sees to it. What a driver has
 * no call for it does not filter.
 */
void
nic_port_set_modes(struct mpn_nic *nic)
{
	bool groups = nic->info.allmulticast || nic->info.wants_allmulticast, all;

	wants_tell_port(nic);
	all = nic->info.promiscuous || nic->info.wants_promiscuous || nic->filters_by_cpu ||
	      (nic->link->spec.kind->quirks & LINK_PROMISCUOUS) != 0;

	if (all != (rte_eth_promiscuous_get(nic->port_id) == 1))
		(void)(all ? rte_eth_promiscuous_enable : rte_eth_promiscuous_disable)(
			nic->port_id);
	if (groups != (rte_eth_allmulticast_get(nic->port_id) == 1))
		(void)(groups ? rte_eth_allmulticast_enable : rte_eth_allmulticast_disable)(
			nic->port_id);
}

void
nic_port_stop(struct mpn_nic *nic)
{
	if (nic->post != NULL)
		nic_post_run(nic->post, false);
	nic_split_stop(nic);
	rx_queue_take_all(nic);
	if (!rte_eth_dev_is_valid_port(nic->port_id))
		return;
	/* It may be an interface that others use. */
	if (rte_eth_promiscuous_get(nic->port_id) == 1)
		(void)rte_eth_promiscuous_disable(nic->port_id);
	if (rte_eth_allmulticast_get(nic->port_id) == 1)
		(void)rte_eth_allmulticast_disable(nic->port_id);
	(void)rte_eth_dev_stop(nic->port_id);
}

void
nic_port_close(struct mpn_nic *nic)
{
	link_close(nic->link);
	nic->link = NULL;
	mpn_nic_pool_retire(nic->rx_pool);
	nic->rx_pool = NULL;
	nic_post_retire(nic->post);
	nic->post = NULL;
}

struct nic_post *
mpn_nic_post(const struct mpn_nic *nic)
{
	return nic->post;
}

void
mpn_nic_post_flush(struct mpn_nic *nic)
{
	struct rte_mbuf *none;

	/* To receive nothing is to refill. */
	if (nic->data_rx && nic->running && nic_post_due(nic->post))
		(void)rte_eth_rx_burst(nic->port_id, NIC_DATA_QUEUE, &none, 0);
}

/* What it held goes back when its queues are set up again. */
static int
restart_port(struct mpn_nic *nic)
{
	struct rte_eth_dev_info dev;
	int rc;

	nic_port_stop(nic);
	rc = look_at_port(nic, &dev);
	if (rc == 0)
		rc = setup_port(nic, &dev);
	return rc < 0 ? rc : nic_port_start(nic);
}

void
mpn_nic_post_recall(struct mpn_nic *nic)
{
	if (nic->post == NULL || nic->link->port_id == RTE_MAX_ETHPORTS)
		return;
	if (nic->link->split)
		nic->running = restart_port(nic) ==
			       0; /* no queues of personalities: see rx_queue_wanted() */
	else
		nic_port_lose(nic);
	nic_lose_link(nic);
}

bool
nic_port_link_up(struct mpn_nic *nic)
{
	if (nic->link->spec.kind->is_up != NULL)
		return nic->link->spec.kind->is_up(nic->link);
	return link_driver_is_up(nic->link);
}
