/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "share.h"

#define TYPE_ASK 0x88b5
#define TYPE_ANSWER 0x88b6
#define TYPE_FLOOD 0x9000
#define TYPE_NOBODY 0x9003
#define SMALL 64
#define POOL_FRAMES 4095

/* What all of them have: their memory is the program's, and lives on. */
struct state {
	void *of; /* share_*: the program's */
	struct rte_mempool *pool;
	struct rte_ether_addr mac;
	uint32_t max_frame;
	uint64_t next_ns;
};

static int
load(struct mpn_personality *p, const void *args)
{
	static unsigned serial;
	struct state *s = mpn_personality_priv(p);
	struct mpn_nic_info info;
	char name[16];

	mpn_nic_get_info(mpn_personality_nic(p), &info);
	memcpy(&s->mac, info.mac, sizeof(s->mac));
	s->of = *(void *const *)args;
	s->max_frame = info.max_frame;
	(void)snprintf(name, sizeof(name), "share%u", serial++);
	s->pool = rte_pktmbuf_pool_create(name, POOL_FRAMES, 128, 0,
		(uint16_t)(RTE_PKTMBUF_HEADROOM + info.max_frame), info.socket_id);
	return s->pool != NULL ? 0 : -ENOMEM;
}

/* The pool stays: frames are on their way. */
static void
do_nothing(struct mpn_personality *p)
{
}

static int
start(struct mpn_personality *p)
{
	return 0;
}

static unsigned
never_busy(struct mpn_personality *p, uint64_t now_ns)
{
	return 0;
}

static void
drop(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	rte_pktmbuf_free_bulk(mbufs, n);
}

static void
write_header(const struct state *s, struct rte_ether_hdr *eth, uint16_t type)
{
	memset(&eth->dst_addr, 0xff, sizeof(eth->dst_addr));
	eth->src_addr = s->mac;
	eth->ether_type = rte_cpu_to_be_16(type);
}

static struct rte_mbuf *
make_frame(const struct state *s, uint16_t type, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(s->pool);

	if (m == NULL)
		return NULL;
	write_header(s, (struct rte_ether_hdr *)rte_pktmbuf_append(m, (uint16_t)len), type);
	return m;
}

static unsigned
send_frames(struct mpn_personality *p, uint16_t type, uint32_t len, unsigned n)
{
	const struct state *s = mpn_personality_priv(p);
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned room = mpn_flow_tx_room(p), got = 0, sent;

	n = MPN_MIN(MPN_MIN(n, room), MPN_BURST);
	while (got < n && (mbufs[got] = make_frame(s, type, len)) != NULL)
		got++;
	sent = got > 0 ? mpn_flow_tx(p, mbufs, got) : 0;
	if (sent < got)
		rte_pktmbuf_free_bulk(&mbufs[sent], got - sent);
	return sent;
}

/* ---- echo ---- */

static void
echo_rx(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct state *s = mpn_personality_priv(p);
	unsigned sent;

	for (unsigned i = 0; i < n; i++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbufs[i], struct rte_ether_hdr *);

		eth->dst_addr = eth->src_addr;
		eth->src_addr = s->mac;
		eth->ether_type = rte_cpu_to_be_16(TYPE_ANSWER);
	}
	sent = mpn_flow_tx(p, mbufs, n);
	if (sent < n)
		rte_pktmbuf_free_bulk(&mbufs[sent], n - sent);
}

/* ---- probe ---- */

static void
probe_rx(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct share_probe *probe = ((struct state *)mpn_personality_priv(p))->of;
	uint64_t now = mpn_now_ns(), sent_ns;

	for (unsigned i = 0; i < n; i++) {
		memcpy(&sent_ns,
			rte_pktmbuf_mtod_offset(mbufs[i], void *, sizeof(struct rte_ether_hdr)),
			sizeof(sent_ns));
		mpn_hist_add(&probe->rtt, now - sent_ns);
	}
	probe->answered += n;
	rte_pktmbuf_free_bulk(mbufs, n);
}

static unsigned
ask(struct mpn_personality *p, struct share_probe *probe)
{
	struct state *s = mpn_personality_priv(p);
	struct rte_mbuf *m;
	uint64_t now;

	/* No work is spent on what there is no room for. */
	m = mpn_flow_tx_room(p) > 0 ? make_frame(s, TYPE_ASK, SMALL) : NULL;
	if (m == NULL) {
		probe->refused++;
		return 0;
	}
	now = mpn_now_ns();
	memcpy(rte_pktmbuf_mtod_offset(m, void *, sizeof(struct rte_ether_hdr)), &now, sizeof(now));
	if (mpn_flow_tx(p, &m, 1) == 0)
		rte_pktmbuf_free(m);
	probe->asked++;
	return 1;
}

static unsigned
probe_poll(struct mpn_personality *p, uint64_t now_ns)
{
	struct state *s = mpn_personality_priv(p);
	struct share_probe *probe = s->of;
	unsigned work = 0;

	if (!probe->on)
		return 0;
	while (work < MPN_BURST && probe->asked - probe->answered < probe->window)
		work += ask(p, probe);
	if (probe->gap_ns == 0)
		return work;
	if (s->next_ns == 0 || now_ns > s->next_ns + 100000000)
		s->next_ns = now_ns;
	/* An open load: what is due is asked, however late it is. */
	for (unsigned n = 0; n < MPN_BURST && now_ns >= s->next_ns; n++) {
		s->next_ns += probe->gap_ns;
		work += ask(p, probe);
	}
	return work;
}

/* ---- flood, sink, junk ---- */

static unsigned
flood_poll(struct mpn_personality *p, uint64_t now_ns)
{
	const struct state *s = mpn_personality_priv(p);
	const struct share_flood *flood = s->of;

	return flood->on ? send_frames(p, TYPE_FLOOD, s->max_frame, MPN_BURST) : 0;
}

static void
sink_rx(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	struct share_sink *sink = ((struct state *)mpn_personality_priv(p))->of;

	for (unsigned i = 0; i < n; i++)
		sink->bytes += mbufs[i]->pkt_len;
	rte_pktmbuf_free_bulk(mbufs, n);
}

/* All frames of the pool are written once. */
static void
write_junk(struct rte_mempool *pool, void *arg, void *obj, unsigned n)
{
	const struct state *s = arg;
	struct rte_mbuf *m = obj;

	write_header(s, (struct rte_ether_hdr *)((char *)m->buf_addr + RTE_PKTMBUF_HEADROOM),
		TYPE_NOBODY);
}

static int
junk_load(struct mpn_personality *p, const void *args)
{
	struct state *s = mpn_personality_priv(p);
	int rc = load(p, args);

	if (rc == 0)
		(void)rte_mempool_obj_iter(s->pool, write_junk, s);
	return rc;
}

/*
 * As cheap as it can be: making them is no work of the receiver's, which is what is looked at. But each is a frame of its
 * own: one with other owners a virtio port sends with its header apart, which costs the receiver more.
 */
static unsigned
junk_poll(struct mpn_personality *p, uint64_t now_ns)
{
	struct state *s = mpn_personality_priv(p);
	struct share_junk *junk = s->of;
	uint64_t all = mpn_nic_get_stats(mpn_personality_nic(p))->tx_frames;
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned sent, due;

	if (!junk->on || all <= 2 * junk->sent)
		return 0;
	due = (unsigned)MPN_MIN(all - 2 * junk->sent, MPN_BURST);
	if (rte_pktmbuf_alloc_bulk(s->pool, mbufs, due) < 0)
		return 0;
	for (unsigned i = 0; i < due; i++)
		(void)rte_pktmbuf_append(mbufs[i], SMALL);
	sent = mpn_flow_tx(p, mbufs, due);
	if (sent < due)
		rte_pktmbuf_free_bulk(&mbufs[sent], due - sent);
	junk->sent += sent;
	return sent;
}

/* ---- The kinds ---- */

static const uint16_t ask_type[] = {TYPE_ASK}, answer_type[] = {TYPE_ANSWER},
		      flood_type[] = {TYPE_FLOOD};

#define KIND(name_, load_, types_, nb, rx, poll_) \
	static const struct mpn_personality_ops name_##_ops = { \
		.abi = MPN_ABI_VERSION, \
		.name = #name_, \
		.kind = MPN_PERS_UNSOLICITED, \
		.ethertypes = types_, \
		.nb_ethertypes = nb, \
		.priv_size = sizeof(struct state), \
		.load = load_, \
		.unload = do_nothing, \
		.start = start, \
		.stop = do_nothing, \
		.rx_burst = rx, \
		.poll = poll_, \
	}; \
	MPN_PERSONALITY_REGISTER(name_##_ops)

KIND(echo, load, ask_type, 1, echo_rx, never_busy)
KIND(probe, load, answer_type, 1, probe_rx, probe_poll)
KIND(flood, load, NULL, 0, drop, flood_poll)
KIND(sink, load, flood_type, 1, sink_rx, never_busy)
KIND(junk, junk_load, NULL, 0, drop, junk_poll)

struct mpn_personality *
share_add(struct mpn_nic *nic, const char *kind, void *state)
{
	struct mpn_personality *p;

	if (mpn_personality_define(nic, kind, NULL, &p) < 0 ||
		mpn_personality_load(p, &state) < 0 || mpn_personality_start(p) < 0)
		return NULL;
	return p;
}

void
share_get_losses(struct mpn_nic *nic, const char *name, struct share_losses *losses)
{
	struct mpn_personality *p = mpn_personality_find(nic, name);
	struct mpn_personality_info info;

	*losses = (struct share_losses){0};
	if (p == NULL)
		return;
	mpn_personality_get_info(p, &info);
	losses->queues = info.stats.rx_full + info.stats.rx_no_frames;
	losses->stopped = info.stats.rx_stopped + info.stats.tx_stopped;
	losses->link_down = info.stats.tx_link_down;
}
