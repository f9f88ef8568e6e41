/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>

#include "mpn_err.h"
#include "nic_pool.h"
#include "nic_post.h"
#include "st_device.h"
#include "st_mutant.h"
#include "st_stage.h"

/* ---- Budget ---- */

struct st_budget *
st_budget_create(uint32_t max)
{
	struct st_budget *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return mpn_err_null(ENOMEM);
	b->max = max;
	return b;
}

bool
st_budget_take(struct st_budget *b, uint32_t nb)
{
	if (nb > b->max || b->out > b->max - nb)
		return false;
	b->out += nb;
	return true;
}

void
st_budget_give(struct st_budget *b, uint32_t nb)
{
	b->out -= nb;
	if (b->orphan && b->out == 0)
		free(b);
}

void
st_budget_leave(struct st_budget *b)
{
	if (b == NULL)
		return;
	b->orphan = true;
	st_budget_give(b, 0);
}

/* ---- Keeping frames ---- */

/*
 * Memory of a volume that a frame refers to (both ends in one process, joined by a ring) changes with
 * the next write to it. A staging buffer does not: it goes back when the last frame on it has gone.
 */
static bool
is_stable(const struct rte_mbuf *m)
{
	return RTE_MBUF_DIRECT(m) || (RTE_MBUF_HAS_EXTBUF(m) && st_stage_owns(m->shinfo)) ||
	       ST_MUTATE(lend_volume);
}

struct rte_mbuf *
st_rx_keep(struct st_nic *n, const void *payload)
{
	struct rte_mbuf *m = *n->rx_slot, *data = m->nb_segs == 1 ? m : m->next;

	if (m->nb_segs > 2 || rte_mbuf_refcnt_read(data) != 1 || !is_stable(data) ||
		nic_post_owns(mpn_nic_post(n->nic), data))
		return NULL;
	if (data == m) {
		if (rte_pktmbuf_mtod_offset(m, const uint8_t *, WIRE_EBD_HDR_LEN) != payload)
			return NULL;
		m->data_off += WIRE_EBD_HDR_LEN;
		m->data_len -= WIRE_EBD_HDR_LEN;
		m->pkt_len = m->data_len;
		*n->rx_slot = NULL;
		return m;
	}
	if (rte_pktmbuf_mtod(data, const void *) != payload)
		return NULL;
	/* The header's segment is freed with the other frames of the burst. */
	m->next = NULL;
	m->nb_segs = 1;
	m->pkt_len = m->data_len;
	data->nb_segs = 1;
	data->pkt_len = data->data_len;
	return data;
}

/* ---- Loans ---- */

int
st_loan_reserve(struct net_st_device *dev, struct st_request *req)
{
	struct st_budget *b = dev->nic->budget;
	uint32_t nb = wire_nb_frags((uint32_t)req->len, xfer_ini_p(dev->ini));

	if (!st_budget_take(b, nb)) {
		dev->nic->counters.loan_refused++;
		return -ENOBUFS;
	}
	req->lent = NULL;
	req->lent_from = b;
	req->nb_lent = nb;
	return 0;
}

void
dev_st_loan_put(struct st_request *req)
{
	if (req->lent_from == NULL)
		return;
	rte_pktmbuf_free(req->lent);
	st_budget_give(req->lent_from, req->nb_lent);
	req->lent = NULL;
	req->lent_from = NULL;
}

const struct rte_mbuf *
dev_st_loan(const struct st_request *req)
{
	return req->lent;
}

int
dev_st_loan_iov(const struct st_request *req, struct iovec *iov, int max)
{
	const struct rte_mbuf *m;
	int nb = 0;

	for (m = req->lent; m != NULL; m = m->next, nb++) {
		if (nb < max)
			iov[nb] = (struct iovec){rte_pktmbuf_mtod(m, void *), m->data_len};
	}
	return nb;
}

static void
drop_kept(struct st_cmd *cmd)
{
	for (; cmd->kept != 0; cmd->kept &= cmd->kept - 1)
		rte_pktmbuf_free(cmd->frames[__builtin_ctzll(cmd->kept)]);
}

static void
keep(struct st_cmd *cmd, uint32_t idx, struct rte_mbuf *m)
{
	if (cmd->kept >> idx & 1)
		rte_pktmbuf_free(cmd->frames[idx]);
	cmd->kept |= 1ull << idx;
	cmd->frames[idx] = m;
}

/* The fragment in a frame of our own, so that a part of it can be put there. NULL: out of frames. */
static struct rte_mbuf *
own_fragment(struct st_cmd *cmd, uint32_t idx, uint32_t frag_len)
{
	struct net_st_device *dev = cmd->dev;
	struct rte_mbuf *m = NULL, *old = cmd->kept >> idx & 1 ? cmd->frames[idx] : NULL;

	if (old != NULL && RTE_MBUF_DIRECT(old))
		return old;
	m = rte_pktmbuf_alloc(mpn_nic_rx_pool(dev->nic->nic));
	if (m == NULL)
		return NULL;
	m->data_len = (uint16_t)frag_len;
	m->pkt_len = frag_len;
	if (old != NULL)
		st_copy(&dev->copy, ST_COPY_rx_loan, rte_pktmbuf_mtod(m, void *),
			rte_pktmbuf_mtod(old, const void *), frag_len);
	keep(cmd, idx, m);
	return m;
}

void
st_loan_place(struct st_cmd *cmd, uint32_t off, const void *payload, uint32_t len)
{
	struct net_st_device *dev = cmd->dev;
	uint32_t p = xfer_ini_p(dev->ini), idx = off / p;
	uint32_t frag_len = MPN_MIN(p, cmd->xfer.len - idx * p);
	struct rte_mbuf *m;

	/* A new session started the command again: its fragments may be cut differently. */
	if (mpn_unlikely(cmd->kept != 0 && cmd->ref_tag != cmd->xfer.tag))
		drop_kept(cmd);
	cmd->ref_tag = cmd->xfer.tag;
	m = mpn_likely(len == frag_len) ? st_rx_keep(dev->nic, payload) : NULL;
	if (mpn_likely(m != NULL)) {
		keep(cmd, idx, m);
		dev->copy.loaned += len;
		return;
	}
	m = own_fragment(cmd, idx, frag_len);
	if (m == NULL)
		cmd->out_of_frames = true;
	else
		st_copy(&dev->copy, ST_COPY_rx_loan,
			rte_pktmbuf_mtod_offset(m, void *, off - idx * p), payload, len);
}

/* One chain of all fragments, in order. */
static struct rte_mbuf *
chain_kept(struct st_cmd *cmd)
{
	struct rte_mbuf *head = cmd->frames[0], *tail = head, *m;

	for (cmd->kept &= cmd->kept - 1; cmd->kept != 0; cmd->kept &= cmd->kept - 1) {
		m = cmd->frames[__builtin_ctzll(cmd->kept)];
		tail->next = m;
		tail = m;
		head->nb_segs++;
		head->pkt_len += m->data_len;
	}
	return head;
}

int
st_loan_finish(struct st_cmd *cmd, struct st_request *req, int status)
{
	if (status == 0 && mpn_unlikely(cmd->out_of_frames))
		status = -ENOBUFS;
	if (status == 0)
		req->lent = chain_kept(cmd);
	else
		drop_kept(cmd);
	return status;
}
