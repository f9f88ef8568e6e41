/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The storage personality: a table of functions for lib/nic, and the way from a frame to who it is
 * for. Frames towards initiators find their device by the slot in the tag, frames towards a target go
 * to the one that is attached.
 */

#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#include "mpn_log.h"
#include "nic_post.h"
#include "st_nic.h"
#include "st_place.h"

#define KIND_NAME "storage"
#define TAG_END (offsetof(struct wire_ebd, tag) + sizeof(uint32_t))
#define STOP_NS (2 * XFER_NSEC_PER_SEC)
#define PREFETCH_AHEAD 4

static const uint16_t default_ethertypes[] = {WIRE_EBD_TO_TARGET, WIRE_EBD_TO_INITIATOR};

/* ---- Finding it ---- */

static struct st_nic *
find_in_state(struct mpn_nic *nic, enum mpn_pers_state least)
{
	struct mpn_personality_info info;
	struct mpn_personality *p;
	unsigned i;

	for (i = 0; (p = mpn_personality_get(nic, i)) != NULL; i++) {
		mpn_personality_get_info(p, &info);
		if (strcmp(info.kind, KIND_NAME) == 0 && info.state >= least)
			return mpn_personality_priv(p);
	}
	return NULL;
}

struct st_nic *
st_nic_find(struct mpn_nic *nic)
{
	return find_in_state(nic, MPN_PERS_LOADED);
}

struct st_nic *
st_nic_running(struct mpn_nic *nic)
{
	struct st_nic *n = find_in_state(nic, MPN_PERS_STARTED);

	return n != NULL && !n->stopping ? n : NULL;
}

static void
sum_copies(const struct st_nic *n, struct st_copy_stats *sum)
{
	unsigned i;

	*sum = n->copy;
	for (i = 0; i < n->nb_devices; i++) {
		if (n->devices[i] != NULL)
			st_copy_add(sum, dev_st_copy_stats(n->devices[i]));
	}
}

int
dev_st_nic_copy_stats(struct mpn_nic *nic, struct st_copy_stats *stats)
{
	const struct st_nic *n = st_nic_find(nic);

	if (n == NULL)
		return -ENODEV;
	sum_copies(n, stats);
	return 0;
}

/* ---- Life cycle ---- */

static int
set_ethertypes(struct mpn_personality *p, const struct st_personality_conf *conf)
{
	struct st_nic *n = mpn_personality_priv(p);
	uint16_t types[2] = {default_ethertypes[0], default_ethertypes[1]};
	int rc;

	if (conf != NULL && conf->ethertype_to_target != 0)
		types[0] = conf->ethertype_to_target;
	if (conf != NULL && conf->ethertype_to_initiator != 0)
		types[1] = conf->ethertype_to_initiator;
	if (types[0] == types[1])
		return mpn_log_err(EINVAL, "storage",
			"frame type 0x%04x cannot stand for both directions", types[0]);
	rc = mpn_personality_set_ethertypes(p, types, MPN_ARRAY_SIZE(types));
	if (rc < 0)
		return mpn_log_err(-rc, "storage",
			"frame types 0x%04x and 0x%04x: expected 0x0600 or more", types[0],
			types[1]);
	n->ethertype_to_target = rte_cpu_to_be_16(types[0]);
	n->ethertype_to_initiator = rte_cpu_to_be_16(types[1]);
	return 0;
}

static int
load(struct mpn_personality *p, const void *args)
{
	struct st_nic *n = mpn_personality_priv(p);
	int rc;

	n->pers = p;
	n->nic = mpn_personality_nic(p);
	mpn_nic_get_info(n->nic, &n->info);
	n->multi_segs = n->info.multi_segs;
	n->iova_is_va = rte_eal_iova_mode() == RTE_IOVA_VA;
	n->p_max = wire_p_of_mtu(n->info.mtu);
	if (n->p_max == 0)
		return mpn_log_err(EINVAL, "storage",
			"%s: an MTU of %u is too small; 1458 is needed", n->info.name, n->info.mtu);
	rc = set_ethertypes(p, args);
	if (rc < 0)
		return rc;
	n->lent.lent = true;
	n->linear = malloc(WIRE_EBD_HDR_LEN + WIRE_EBD_P_LARGE);
	n->budget = st_budget_create(n->info.nb_keep);
	rc = n->linear != NULL && n->budget != NULL ? st_place_init(n) : -ENOMEM;
	if (rc == 0)
		rc = st_frames_init(n);
	if (rc < 0) {
		st_place_fini(n);
		st_arena_view_fini(&n->arenas);
		st_arena_view_fini(&n->lent);
		st_budget_leave(n->budget);
		free(n->linear);
	}
	return rc;
}

static void
unload(struct mpn_personality *p)
{
	struct st_nic *n = mpn_personality_priv(p);
	unsigned i;

	for (i = 0; i < n->nb_devices; i++) {
		if (n->devices[i] != NULL)
			st_device_orphan(n->devices[i]);
	}
	if (n->target != NULL)
		st_target_detach(n);
	st_discover_end(n);
	st_place_fini(n);
	st_frames_fini(n);
	st_arena_view_fini(&n->arenas);
	st_arena_view_fini(&n->lent);
	(void)st_arena_reap();
	st_budget_leave(n->budget);
	free(n->linear);
}

static int
start(struct mpn_personality *p)
{
	struct st_nic *n = mpn_personality_priv(p);

	n->stopping = false;
	return 0;
}

/*
 * Requests of devices are completed. To the clients of a target a stopped NIC is a cable that was
 * pulled: they try again until it is back, and nothing that was answered is forgotten.
 */
static void
stop(struct mpn_personality *p)
{
	struct st_nic *n = mpn_personality_priv(p);

	n->stopping = true;
	n->stop_ns = mpn_now_ns() + STOP_NS;
}

static void
cancel_devices(struct st_nic *n, uint64_t now_ns)
{
	unsigned i;

	for (i = 0; i < n->nb_devices; i++) {
		if (n->devices[i] != NULL && !st_device_quiet(n->devices[i]))
			st_device_cancel(n->devices[i], now_ns);
	}
}

static bool
quiet(struct mpn_personality *p)
{
	struct st_nic *n = mpn_personality_priv(p);
	unsigned i;

	for (i = 0; i < n->nb_devices; i++) {
		if (n->devices[i] != NULL && !st_device_quiet(n->devices[i]))
			return false;
	}
	return n->target == NULL || st_target_quiet(n) || mpn_now_ns() >= n->stop_ns;
}

static void
error(struct mpn_personality *p, int err, const char *cause)
{
	/* The other ones, frames lost and delayed, are what the protocol recovers from. */
	if (err == -ETIMEDOUT)
		cancel_devices(mpn_personality_priv(p), mpn_now_ns());
}

/* ---- Receive ---- */

/*
 * The header and the payload as two pieces of memory. Frames come in one segment, or split behind
 * the header as we send them ourselves; anything else is put in one piece first.
 */
static bool
view_frame(struct st_nic *n, struct rte_mbuf *m, struct xfer_rx *rx)
{
	uint8_t *at = n->linear;
	struct rte_mbuf *s;

	rx->hdr = rte_pktmbuf_mtod(m, const void *);
	rx->len = m->pkt_len;
	rx->payload = (const uint8_t *)rx->hdr + WIRE_EBD_HDR_LEN;
	if (mpn_likely(m->nb_segs == 1))
		return true;
	if (m->data_len == WIRE_EBD_HDR_LEN && m->nb_segs == 2) {
		rx->payload = rte_pktmbuf_mtod(m->next, const void *);
		return true;
	}
	if (m->pkt_len > WIRE_EBD_HDR_LEN + n->p_max) {
		n->counters.rx_long++;
		return false;
	}
	for (s = m; s != NULL; s = s->next) {
		st_copy(&n->copy, ST_COPY_rx_linear, at, rte_pktmbuf_mtod(s, const void *),
			s->data_len);
		at += s->data_len;
	}
	rx->hdr = n->linear;
	rx->payload = n->linear + WIRE_EBD_HDR_LEN;
	return true;
}

static void
rx_to_initiator(struct st_nic *n, const struct xfer_rx *rx, uint64_t now_ns)
{
	struct net_st_device *dev;
	uint32_t tag, index;

	if (mpn_unlikely(rx->len < TAG_END)) {
		n->counters.rx_short++;
		return;
	}
	memcpy(&tag, (const uint8_t *)rx->hdr + offsetof(struct wire_ebd, tag), sizeof(tag));
	index = wire_tag_slot(tag) / XFER_MAX_DEPTH;
	dev = index < ST_MAX_DEVICES ? n->devices[index] : NULL;
	if (mpn_likely(dev != NULL))
		st_device_rx(dev, rx, now_ns);
	else if (index == ST_DISCOVER_INDEX && n->discover != NULL)
		st_discover_rx(n, rx);
	else
		n->counters.rx_no_device++;
}

static void
rx_frame(struct st_nic *n, struct rte_mbuf *m, uint64_t now_ns)
{
	struct xfer_rx rx;
	uint16_t type;

	if (mpn_unlikely(!view_frame(n, m, &rx)))
		return;
	memcpy(&type, (const uint8_t *)rx.hdr + offsetof(struct wire_ebd, ethertype), sizeof(type));
	if (type == n->ethertype_to_initiator)
		rx_to_initiator(n, &rx, now_ns);
	else if (n->target != NULL)
		st_target_rx(n, &rx, now_ns);
	else
		n->counters.rx_no_target++;
}

static void
rx_burst(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned nb, uint64_t now_ns)
{
	struct st_nic *n = mpn_personality_priv(p);
	unsigned i;

	for (i = 0; i < nb && i < PREFETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (i = 0; i < nb; i++) {
		if (i + PREFETCH_AHEAD < nb)
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + PREFETCH_AHEAD], void *));
		n->rx_slot = &mbufs[i];
		rx_frame(n, mbufs[i], now_ns);
	}
	rte_pktmbuf_free_bulk(mbufs, nb);
}

/* ---- Poll ---- */

static unsigned
poll_devices(struct st_nic *n, uint64_t now_ns)
{
	unsigned first = n->next_device, work = 0, i, at;

	if (n->nb_devices == 0)
		return 0;
	for (i = 0; i < n->nb_devices; i++) {
		at = first + i < n->nb_devices ? first + i : first + i - n->nb_devices;
		if (n->devices[at] != NULL && n->wake_ns[at] <= now_ns)
			work += st_device_poll(n->devices[at], now_ns);
	}
	/* A full flow must not always be full for the same one. */
	n->next_device = first + 1u < n->nb_devices ? (uint16_t)(first + 1) : 0;
	return work;
}

static unsigned
poll(struct mpn_personality *p, uint64_t now_ns)
{
	struct st_nic *n = mpn_personality_priv(p);
	unsigned work;

	if (n->place != NULL)
		st_place_poll(n, now_ns);
	st_frames_round(n);
	work = poll_devices(n, now_ns);
	if (n->target != NULL)
		work += st_target_poll(n, now_ns);
	if (mpn_unlikely(n->discover != NULL))
		work += st_discover_poll(n);
	st_frames_flush(n);
	/* Pages are in the ring before the frames that ask for their data leave. */
	if (n->place != NULL)
		mpn_nic_post_flush(n->nic);
	if (mpn_unlikely(n->stopping && now_ns >= n->stop_ns))
		cancel_devices(n, now_ns);
	return work;
}

/* ---- Looking ---- */

static void
print(struct mpn_personality *p, struct mpn_out *o)
{
	struct st_nic *n = mpn_personality_priv(p);
	struct st_copy_stats sum;
	unsigned i;

	mpn_out_u64(o, "payload_unit_max", n->p_max);
	mpn_out_object(o, "frames");
#define X(name, text) mpn_out_u64(o, #name, n->counters.name);
	ST_COUNTER_LIST(X)
#undef X
	mpn_out_close(o);
	sum_copies(n, &sum);
	st_copy_print(&sum, o);
	if (n->place != NULL)
		st_place_print(n, o);
	mpn_out_array(o, "devices");
	for (i = 0; i < n->nb_devices; i++) {
		if (n->devices[i] != NULL)
			st_device_print(n->devices[i], o);
	}
	mpn_out_close(o);
}

static const struct mpn_personality_ops storage_ops = {
	.abi = MPN_ABI_VERSION,
	.name = KIND_NAME,
	.kind = MPN_PERS_SOLICITED,
	.ethertypes = default_ethertypes,
	.nb_ethertypes = MPN_ARRAY_SIZE(default_ethertypes),
	.priv_size = sizeof(struct st_nic),
	.load = load,
	.unload = unload,
	.start = start,
	.stop = stop,
	.quiet = quiet,
	.rx_burst = rx_burst,
	.poll = poll,
	.error = error,
	.print = print,
};

MPN_PERSONALITY_REGISTER(storage_ops)
