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

/* The frame that is being received. */
static void *
take(void *ctx, const void *payload)
{
	struct net_st_device *dev = ctx;
	struct rte_mbuf *m = st_rx_keep(dev->nic, payload);

	if (mpn_likely(m != NULL))
		dev->copy.loaned += m->data_len;
	return m;
}

static void *
own(void *ctx, void *old, uint32_t len)
{
	struct net_st_device *dev = ctx;
	const struct rte_mbuf *from = old;
	struct rte_mbuf *m;

	if (from != NULL && RTE_MBUF_DIRECT(from))
		return old;
	m = rte_pktmbuf_alloc(mpn_nic_rx_pool(dev->nic->nic));
	if (m == NULL)
		return NULL;
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	if (from != NULL)
		st_copy(&dev->copy, ST_COPY_rx_loan, rte_pktmbuf_mtod(m, void *),
			rte_pktmbuf_mtod(from, const void *), len);
	return m;
}

static void
put(void *ctx, void *frame, uint32_t at, const void *payload, uint32_t len)
{
	struct net_st_device *dev = ctx;

	st_copy(&dev->copy, ST_COPY_rx_loan,
		rte_pktmbuf_mtod_offset((struct rte_mbuf *)frame, void *, at), payload, len);
}

static void
free_frame(void *ctx, void *frame)
{
	rte_pktmbuf_free(frame);
}

static const struct xfer_loan_ops loan_ops = {
	.take = take,
	.own = own,
	.put = put,
	.free = free_frame,
};

void
st_loan_place(struct st_cmd *cmd, uint32_t off, const void *payload, uint32_t len)
{
	xfer_loan_place(&loan_ops, cmd->dev, &cmd->lent, &cmd->xfer, xfer_ini_p(cmd->dev->ini), off,
		payload, len);
}

/* One chain of all fragments, in order. */
static struct rte_mbuf *
chain_kept(const struct xfer_lent *lent)
{
	struct rte_mbuf *head = lent->frames[0], *tail = head, *m;
	uint64_t rest;

	for (rest = lent->kept & (lent->kept - 1); rest != 0; rest &= rest - 1) {
		m = lent->frames[__builtin_ctzll(rest)];
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
	status = xfer_loan_end(&loan_ops, cmd->dev, &cmd->lent, status);
	if (status == 0)
		req->lent = chain_kept(&cmd->lent);
	return status;
}
