/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Test modes of a port: each is one function in the place of the receive stage.
 */

#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>

#include "fwd.h"
#include "mpn_log.h"

struct nic_fwd;

struct fwd_mode {
	const char *name;
	unsigned (*run)(struct nic_fwd *f);
};

struct nic_fwd {
	struct nic_bypass bypass;
	const struct fwd_mode *mode;
	struct mpn_nic *nic;
	struct mpn_nic *peer;
	uint32_t frame_bytes;
	uint64_t rx_frames, tx_frames, tx_dropped;
};

/* ---- Frames ---- */

static unsigned
receive(struct nic_fwd *f, struct rte_mbuf **mbufs)
{
	unsigned n = rte_eth_rx_burst(f->nic->port_id, 0, mbufs, MPN_BURST);

	for (unsigned i = 0; i < n; i++)
		f->nic->stats.rx_bytes += mbufs[i]->pkt_len;
	f->nic->stats.rx_frames += n;
	f->rx_frames += n;
	return n;
}

static bool
fits(const struct mpn_nic *nic, const struct rte_mbuf *m)
{
	return m->data_len >= RTE_ETHER_HDR_LEN &&
	       m->pkt_len <= nic->info.max_frame + RTE_VLAN_HLEN &&
	       (m->nb_segs == 1 || nic->info.multi_segs);
}

/* What does not fit, and what the port does not take, is dropped: there is no room to wait in. */
static void
transmit(struct nic_fwd *f, struct mpn_nic *to, struct rte_mbuf **mbufs, unsigned n)
{
	struct rte_mbuf *good[MPN_BURST];
	unsigned nb_good = 0, sent = 0;
	uint64_t bytes[MPN_BURST + 1] = {0};

	for (unsigned i = 0; i < n; i++) {
		if (!fits(to, mbufs[i])) {
			rte_pktmbuf_free(mbufs[i]);
			continue;
		}
		bytes[nb_good + 1] = bytes[nb_good] + mbufs[i]->pkt_len;
		good[nb_good++] = mbufs[i];
	}
	if (to->running && to->link_up && nb_good > 0)
		sent = rte_eth_tx_burst(to->port_id, 0, good, (uint16_t)nb_good);
	rte_pktmbuf_free_bulk(&good[sent], nb_good - sent);
	to->stats.tx_frames += sent;
	to->stats.tx_bytes += bytes[sent];
	f->tx_frames += sent;
	f->tx_dropped += n - sent;
}

/* ---- Modes ---- */

static unsigned
run_io(struct nic_fwd *f)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n = receive(f, mbufs);

	if (n == 0)
		return 0;
	if (f->peer != NULL) {
		transmit(f, f->peer, mbufs, n);
	} else {
		f->tx_dropped += n;
		rte_pktmbuf_free_bulk(mbufs, n);
	}
	return n;
}

static unsigned
run_rxonly(struct nic_fwd *f)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n = receive(f, mbufs);

	if (n > 0)
		rte_pktmbuf_free_bulk(mbufs, n);
	return n;
}

static unsigned
run_echo(struct nic_fwd *f)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n = receive(f, mbufs);

	for (unsigned i = 0; i < n; i++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbufs[i], struct rte_ether_hdr *);

		if (mbufs[i]->data_len < sizeof(*eth))
			continue;
		eth->dst_addr = eth->src_addr;
		memcpy(&eth->src_addr, f->nic->info.mac, sizeof(eth->src_addr));
	}
	if (n > 0)
		transmit(f, f->nic, mbufs, n);
	return n;
}

/* Nobody's address, and a type that is nobody's: local experimental ethertype 2 of IEEE 802. */
static void
make_frame(const struct nic_fwd *f, struct rte_mbuf *m)
{
	static const uint8_t nobody[] = {0x02, 0, 0, 0, 0, 0};
	uint8_t *at = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)f->frame_bytes);

	memcpy(at, nobody, sizeof(nobody));
	memcpy(at + 6, f->nic->info.mac, 6);
	at[12] = 0x88;
	at[13] = 0xb6;
	memset(at + RTE_ETHER_HDR_LEN, 0, f->frame_bytes - RTE_ETHER_HDR_LEN);
}

static unsigned
run_txonly(struct nic_fwd *f)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n = run_rxonly(f);

	if (!f->nic->link_up)
		return n;
	if (rte_pktmbuf_alloc_bulk(f->nic->rx_pool, mbufs, MPN_BURST) != 0) {
		f->tx_dropped += MPN_BURST;
		return n;
	}
	for (unsigned i = 0; i < MPN_BURST; i++)
		make_frame(f, mbufs[i]);
	transmit(f, f->nic, mbufs, MPN_BURST);
	return n + MPN_BURST;
}

static const struct fwd_mode modes[] = {
	{"io", run_io},
	{"rxonly", run_rxonly},
	{"txonly", run_txonly},
	{"echo", run_echo},
};

const char *
mpn_fwd_name(unsigned n)
{
	return n < MPN_ARRAY_SIZE(modes) ? modes[n].name : NULL;
}

/* ---- Taking the port ---- */

static unsigned
run(struct nic_bypass *bypass, uint64_t now_ns)
{
	struct nic_fwd *f = mpn_container_of(bypass, struct nic_fwd, bypass);

	return f->mode->run(f);
}

static int
check_conf(const struct mpn_nic *nic, const struct mpn_fwd_conf *conf, const struct fwd_mode *mode)
{
	uint32_t max = rte_pktmbuf_data_room_size(nic->rx_pool) - RTE_PKTMBUF_HEADROOM;
	const struct mpn_nic *peer = mode->run == run_io ? conf->peer : NULL;
	const struct mpn_nic *spread = nic->map != NULL ? nic : peer;

	max = MPN_MIN(max, nic->info.max_frame);
	if (mode->run == run_io && peer == NULL)
		return mpn_log_err(EINVAL, "nic", "%s: io: where to?", nic->info.name);
	if (mode->run == run_txonly && conf->frame_bytes != 0 &&
		(conf->frame_bytes < MPN_FWD_MIN_FRAME || conf->frame_bytes > max))
		return mpn_log_err(EINVAL, "nic", "%s: frames of %u bytes: expected %d to %u",
			nic->info.name, conf->frame_bytes, MPN_FWD_MIN_FRAME, max);
	if (spread != NULL && spread->map != NULL)
		return mpn_log_err(EBUSY, "nic",
			"%s: its stages are on several lcores: set map off", spread->info.name);
	if (nic->data_rx)
		return mpn_log_err(EOPNOTSUPP, "nic", "%s: it receives in place", nic->info.name);
	if (nic->bypass != NULL && nic->fwd == NULL)
		return mpn_log_err(EBUSY, "nic", "%s: something else has its port", nic->info.name);
	return 0;
}

static void
end(struct mpn_nic *nic)
{
	if (nic->fwd == NULL)
		return;
	nic_set_bypass(nic, NULL);
	free(nic->fwd);
	nic->fwd = NULL;
}

int
mpn_nic_set_fwd(struct mpn_nic *nic, const struct mpn_fwd_conf *conf)
{
	const struct fwd_mode *mode = NULL;
	struct nic_fwd *f;
	int rc;

	if (conf == NULL) {
		end(nic);
		return 0;
	}
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(modes); i++) {
		if (strcmp(modes[i].name, conf->mode) == 0)
			mode = &modes[i];
	}
	if (mode == NULL)
		return mpn_err(ENOENT);
	rc = check_conf(nic, conf, mode);
	if (rc < 0)
		return rc;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return mpn_err(ENOMEM);
	end(nic);
	f->bypass.run = run;
	f->mode = mode;
	f->nic = nic;
	f->peer = mode->run == run_io ? conf->peer : NULL;
	f->frame_bytes = conf->frame_bytes != 0 ? conf->frame_bytes : MPN_FWD_MIN_FRAME;
	nic->fwd = f;
	nic_set_bypass(nic, &f->bypass);
	return 0;
}

struct mpn_nic *
nic_fwd_sender(const struct mpn_nic *nic)
{
	struct mpn_nic *other;

	for (unsigned i = 0; (other = mpn_nic_get(i)) != NULL; i++) {
		if (other->fwd != NULL && other->fwd->peer == nic)
			return other;
	}
	return NULL;
}

void
nic_fwd_forget(struct mpn_nic *nic)
{
	struct mpn_nic *other;

	end(nic);
	while ((other = nic_fwd_sender(nic)) != NULL)
		other->fwd->peer = NULL;
}

void
mpn_nic_get_fwd(const struct mpn_nic *nic, struct mpn_fwd_info *info)
{
	const struct nic_fwd *f = nic->fwd;

	memset(info, 0, sizeof(*info));
	if (f == NULL)
		return;
	info->mode = f->mode->name;
	info->peer = f->peer;
	info->frame_bytes = f->frame_bytes;
	info->rx_frames = f->rx_frames;
	info->tx_frames = f->tx_frames;
	info->tx_dropped = f->tx_dropped;
}
