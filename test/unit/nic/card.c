/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <rte_eth_ring.h>
#include <rte_malloc.h>

#include "card.h"
#include "probe.h"

#define RING_LEN 1024

struct card *card;

bool
card_is(uint16_t port)
{
	return card != NULL && card->ports[0] == port;
}

/* ---- Receiving ---- */

static void
write_part(
	struct rte_mbuf *to, uint32_t room, const struct rte_mbuf *from, uint32_t off, uint32_t len)
{
	/* A card knows the address of the bus only. */
	uint8_t *at = (uint8_t *)(uintptr_t)to->buf_iova + to->data_off;
	const void *src;

	assert_true(len <= room);
	src = rte_pktmbuf_read(from, off, len, at);
	if (src != at && len > 0)
		memcpy(at, src, len);
	to->data_len = (uint16_t)len;
}

/* The frame takes the next pair, which is replaced at once; if it cannot be, the frame is lost. */
static struct rte_mbuf *
split_frame(const struct rte_mbuf *from)
{
	struct rte_mbuf **slot = card->ring[card->at], *header = slot[0], *page = slot[1];
	uint32_t len = from->pkt_len, first = MPN_MIN(len, card->seg_len[0]);
	struct rte_mbuf *fresh[2] = {NULL, NULL};

	if (len - first > card->seg_len[1]) {
		card->too_long++;
		return NULL;
	}
	fresh[0] = rte_mbuf_raw_alloc(card->pools[0]);
	if (fresh[0] != NULL && len > first)
		fresh[1] = rte_mbuf_raw_alloc(card->pools[1]);
	if (fresh[0] == NULL || (len > first && fresh[1] == NULL)) {
		if (fresh[0] != NULL)
			rte_mbuf_raw_free(fresh[0]);
		card->dropped++;
		return NULL;
	}
	card->at = (card->at + 1) % card->nb_pairs;
	header->data_off = RTE_PKTMBUF_HEADROOM;
	write_part(header, card->seg_len[0], from, 0, first);
	header->pkt_len = len;
	header->nb_segs = 1;
	slot[0] = fresh[0];
	if (len > first) {
		/* To the length of the queue, whatever the mbuf may hold. */
		page->data_off = 0;
		write_part(page, card->seg_len[1], from, first, len - first);
		header->next = page;
		header->nb_segs = 2;
		slot[1] = fresh[1];
	}
	header->port = card->ports[0];
	card->split++;
	return header;
}

static uint16_t
receive_split(struct rte_mbuf **mbufs, uint16_t n)
{
	unsigned taken = 0, got = 0;

	while (taken < card->nb_arrived && got < n) {
		struct rte_mbuf *m = split_frame(card->arrived[taken]);

		rte_pktmbuf_free(card->arrived[taken++]);
		if (m != NULL)
			mbufs[got++] = m;
	}
	card->nb_arrived -= taken;
	memmove(card->arrived, card->arrived + taken, card->nb_arrived * sizeof(card->arrived[0]));
	return (uint16_t)got;
}

static struct rte_mbuf *
copy_plain(struct rte_mbuf *from)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(card->plain);

	if (m != NULL) {
		write_part(m, rte_pktmbuf_tailroom(m), from, 0, from->pkt_len);
		m->pkt_len = from->pkt_len;
	}
	rte_pktmbuf_free(from);
	return m;
}

/* Without buffer split: what has come goes where its rule says, or to the first queue, while there is room. */
static void
sort_frames(void)
{
	struct rte_mbuf *all[64];
	uint16_t got;

	while ((got = card->receive(card->first, all, MPN_ARRAY_SIZE(all))) > 0) {
		for (uint16_t i = 0; i < got; i++) {
			struct card_queue *q = &card->queues[card_find_queue(all[i])];

			if (q->nb == CARD_QUEUE_LEN) {
				rte_pktmbuf_free(all[i]);
				card->dropped++;
				continue;
			}
			q->frames++;
			q->mbufs[q->nb++] = all[i];
		}
	}
}

static uint16_t
receive_sorted(struct rte_mbuf **mbufs, uint16_t n, struct card_queue *q)
{
	uint16_t got = 0;
	unsigned taken = MPN_MIN(n, q->nb);

	for (unsigned i = 0; i < taken; i++) {
		mbufs[got] = copy_plain(q->mbufs[i]);
		got += mbufs[got] != NULL;
	}
	q->nb -= taken;
	memmove(q->mbufs, q->mbufs + taken, q->nb * sizeof(q->mbufs[0]));
	return got;
}

static uint16_t
receive(void *queue, struct rte_mbuf **mbufs, uint16_t n)
{
	static unsigned serial;
	struct rte_mbuf *all[64], *m;
	uint16_t got, kept = 0;

	if (card->steers) {
		sort_frames();
		return receive_sorted(mbufs, n, queue == card->first ? &card->queues[0] : queue);
	}
	if (queue == card)
		return receive_split(mbufs, n);
	got = card->receive(queue, all, (uint16_t)MPN_MIN(n, MPN_ARRAY_SIZE(all)));
	for (uint16_t i = 0; i < got; i++) {
		if (card->lose_every != 0 && ++serial % card->lose_every == 0) {
			rte_pktmbuf_free(all[i]);
		} else if (card_find_queue(all[i]) != 0) {
			assert_true(card->nb_arrived < CARD_MAX_RING);
			card->arrived[card->nb_arrived++] = all[i];
		} else {
			m = copy_plain(all[i]);
			if (m != NULL)
				mbufs[kept++] = m;
		}
	}
	return kept;
}

/* ---- What the library calls ---- */

/* The linker looks for these after link time optimisation, which sees nobody that calls them. */
#define KEPT __attribute__((used))

int __real_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info);
KEPT int __wrap_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info);
int
__wrap_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info)
{
	int rc = __real_rte_eth_dev_info_get(port, info);

	if (rc < 0 || !card_is(port))
		return rc;
	info->driver_name = card->driver;
	info->rx_offload_capa = card->port_capa;
	info->tx_offload_capa |= card->tx_capa;
	info->rx_queue_offload_capa = card->queue_capa;
	info->rx_seg_capa = card->seg_capa;
	info->max_rx_queues = card->max_rx_queues;
	info->rx_desc_lim.nb_align = card->desc_align;
	return 0;
}

int __real_rte_eth_stats_get(uint16_t port, struct rte_eth_stats *stats);
KEPT int __wrap_rte_eth_stats_get(uint16_t port, struct rte_eth_stats *stats);
int
__wrap_rte_eth_stats_get(uint16_t port, struct rte_eth_stats *stats)
{
	int rc = __real_rte_eth_stats_get(port, stats);

	if (rc == 0 && card_is(port))
		stats->imissed = card->dropped;
	return rc;
}

int __real_rte_eth_dev_configure(
	uint16_t port, uint16_t nb_rx, uint16_t nb_tx, const struct rte_eth_conf *conf);
KEPT int __wrap_rte_eth_dev_configure(
	uint16_t port, uint16_t nb_rx, uint16_t nb_tx, const struct rte_eth_conf *conf);
int
__wrap_rte_eth_dev_configure(
	uint16_t port, uint16_t nb_rx, uint16_t nb_tx, const struct rte_eth_conf *conf)
{
	struct rte_eth_conf plain = *conf;

	if (!card_is(port))
		return __real_rte_eth_dev_configure(port, nb_rx, nb_tx, conf);
	card->nb_rx_queues = nb_rx;
	card->port_offloads = conf->rxmode.offloads;
	assert_int_equal(card->port_offloads & ~card->port_capa, 0);
	plain.rxmode.offloads = 0;
	card->tx_offloads = conf->txmode.offloads;
	plain.txmode.offloads &= ~card->tx_capa;
	return __real_rte_eth_dev_configure(port, 1, nb_tx, &plain);
}

static void
release_ring(struct card *c)
{
	for (unsigned i = 0; i < c->nb_pairs; i++) {
		for (unsigned k = 0; k < 2; k++) {
			if (c->ring[i][k] != NULL)
				rte_mbuf_raw_free(c->ring[i][k]);
			c->ring[i][k] = NULL;
		}
	}
	rte_pktmbuf_free_bulk(c->arrived, c->nb_arrived);
	c->nb_arrived = 0;
	c->at = 0;
}

/* The checks of ethdev, then the card's. */
static void
setup_split(uint16_t nb, const struct rte_eth_rxconf *conf)
{
	uint64_t offloads = conf->offloads & ~card->port_offloads;

	assert_int_equal(offloads & ~card->queue_capa, 0);
	assert_true((conf->offloads | card->port_offloads) & RTE_ETH_RX_OFFLOAD_BUFFER_SPLIT);
	assert_in_range(conf->rx_nseg, 2, card->seg_capa.max_nseg);
	assert_true(nb <= CARD_MAX_RING && nb % card->desc_align == 0);
	release_ring(card);
	card->queue_offloads = conf->offloads;
	card->nb_desc = nb;
	card->nb_pairs = nb / card->descs_per_frame;
	for (unsigned i = 0; i < 2; i++) {
		const struct rte_eth_rxseg_split *seg = &conf->rx_seg[i].split;

		assert_non_null(seg->mp);
		assert_int_equal(seg->offset, 0);
		assert_int_equal(seg->proto_hdr, 0);
		assert_true(rte_pktmbuf_data_room_size(seg->mp) >=
			    seg->length + (i == 0 ? RTE_PKTMBUF_HEADROOM : 0));
		card->pools[i] = seg->mp;
		card->seg_len[i] = seg->length;
	}
}

int __real_rte_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t nb, unsigned socket,
	const struct rte_eth_rxconf *conf, struct rte_mempool *pool);
KEPT int __wrap_rte_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t nb, unsigned socket,
	const struct rte_eth_rxconf *conf, struct rte_mempool *pool);
int
__wrap_rte_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t nb, unsigned socket,
	const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	if (!card_is(port) || queue == 0) {
		if (card_is(port))
			card->plain = pool;
		return __real_rte_eth_rx_queue_setup(port, queue, nb, socket, conf, pool);
	}
	if (card->steers) {
		assert_true(queue < card->nb_rx_queues);
		assert_ptr_equal(pool, card->plain);
		return 0;
	}
	assert_int_equal(queue, 1);
	assert_null(pool);
	setup_split(nb, conf);
	return 0;
}

int __real_rte_eth_dev_start(uint16_t port);
KEPT int __wrap_rte_eth_dev_start(uint16_t port);
int
__wrap_rte_eth_dev_start(uint16_t port)
{
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[port];
	int rc = __real_rte_eth_dev_start(port);

	if (rc < 0 || !card_is(port))
		return rc;
	for (unsigned i = 0; i < card->nb_pairs; i++) {
		for (unsigned k = 0; k < 2; k++) {
			if (card->ring[i][k] == NULL)
				card->ring[i][k] = rte_mbuf_raw_alloc(card->pools[k]);
			if (card->ring[i][k] == NULL)
				return -ENOMEM;
		}
	}
	card->starts++;
	card->receive = ops->rx_pkt_burst;
	ops->rx_pkt_burst = receive;
	card->first = ops->rxq.data[0];
	ops->rxq.data[1] = card;
	for (unsigned q = 1; card->steers && q < card->nb_rx_queues; q++)
		ops->rxq.data[q] = &card->queues[q];
	return 0;
}

int __real_rte_eth_dev_stop(uint16_t port);
KEPT int __wrap_rte_eth_dev_stop(uint16_t port);
int
__wrap_rte_eth_dev_stop(uint16_t port)
{
	if (card_is(port) && card->receive != NULL) {
		/* Drivers differ in whether rules outlive a stop: none may be left to them. */
		assert_int_equal(card->nb_rules, 0);
		for (unsigned q = 1; q < CARD_MAX_QUEUES; q++)
			rte_eth_fp_ops[port].rxq.data[q] = NULL;
		card->receive = NULL;
	}
	return __real_rte_eth_dev_stop(port);
}

/* ---- Life ---- */

static uint16_t
make_port(const char *name, struct rte_ring *rx, struct rte_ring *tx)
{
	int port = rte_eth_from_rings(name, &rx, 1, &tx, 1, 0);

	assert_true(port >= 0);
	return (uint16_t)port;
}

struct card *
card_create(unsigned pairs)
{
	static unsigned serial;
	struct card *c = calloc(1, sizeof(*c));
	char name[32];

	assert_non_null(c);
	c->driver = "net_card";
	c->queue_capa = RTE_ETH_RX_OFFLOAD_BUFFER_SPLIT | RTE_ETH_RX_OFFLOAD_SCATTER;
	c->port_capa = c->queue_capa;
	c->seg_capa.multi_pools = 1;
	c->seg_capa.max_nseg = 2;
	c->max_rx_queues = CARD_MAX_QUEUES;
	c->desc_align = 32;
	c->descs_per_frame = 2;
	for (unsigned i = 0; i < 2; i++) {
		(void)snprintf(name, sizeof(name), "card%u_%u", serial, i);
		c->rings[i] = rte_ring_create(name, RING_LEN, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
		assert_non_null(c->rings[i]);
	}
	(void)snprintf(name, sizeof(name), "card%u", serial);
	(void)snprintf(c->link, sizeof(c->link), "dev:net_ring_%s,place=%u", name, pairs);
	c->ports[0] = make_port(name, c->rings[0], c->rings[1]);
	(void)snprintf(name, sizeof(name), "peer%u", serial++);
	(void)snprintf(c->peer_link, sizeof(c->peer_link), "dev:net_ring_%s", name);
	c->ports[1] = make_port(name, c->rings[1], c->rings[0]);
	card = c;
	return c;
}

struct card *
card_create_steering(unsigned queues)
{
	struct card *c = card_create(0);

	c->steers = true;
	c->port_capa = c->queue_capa = 0;
	(void)snprintf(
		strrchr(c->link, ','), sizeof(c->link) - strlen(c->link), ",queues=%u", queues);
	return c;
}

void
card_destroy(struct card *c)
{
	struct rte_eth_dev_info info;
	void *m;

	release_ring(c);
	for (unsigned q = 0; q < CARD_MAX_QUEUES; q++)
		rte_pktmbuf_free_bulk(c->queues[q].mbufs, c->queues[q].nb);
	card = NULL;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(rte_eth_dev_info_get(c->ports[i], &info), 0);
		(void)rte_eth_dev_close(c->ports[i]);
		(void)rte_dev_remove(info.device);
	}
	for (unsigned i = 0; i < 2; i++) {
		while (rte_ring_dequeue(c->rings[i], &m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(c->rings[i]);
	}
	free(c);
}
