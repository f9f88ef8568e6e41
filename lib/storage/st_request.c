/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Requests: checked, declustered into commands of at most a quantum, and completed buffer by buffer.
 *
 *   request   |  buffer 0   |  buffer 1   |         buffer 2           |
 *   commands  |     0      |     1      |     2      |     3      |  4  |
 *
 * A buffer is complete when every command that touches it has ended and its last byte has been cut;
 * st_buffer.pending counts these, with one for the cutting.
 */

#include "st_device.h"
#include "st_mutant.h"
#include "st_place.h"

#define MAX_ZEROES (1u << 30) /* bytes of a DISCARD or WRITE_ZEROES command when nobody says less */

/* ---- Checks ---- */

static const struct {
	bool known;
	bool data; /* moves data */
	bool range; /* has addr and len */
	bool changes; /* not for read-only volumes */
	uint32_t needs; /* enum wire_vol_flag */
	uint16_t flags;
} ops[] = {
	[WIRE_READ] = {true, true, true, false, 0, 0},
	[WIRE_WRITE] = {true, true, true, true, 0, WIRE_F_FUA},
	[WIRE_FLUSH] = {true, false, false, false, 0, 0},
	[WIRE_DISCARD] = {true, false, true, true, WIRE_VOL_DISCARD, 0},
	[WIRE_WRITE_ZEROES] = {true, false, true, true, WIRE_VOL_WRITE_ZEROES,
		WIRE_F_FUA | WIRE_F_NOHOLE | WIRE_F_FAST},
};

static int
check_buffers(const struct st_request *req)
{
	uint64_t sum = 0;
	uint32_t i;

	if (req->bufs == NULL || req->nb_bufs == 0)
		return -EINVAL;
	for (i = 0; i < req->nb_bufs; i++) {
		if (req->bufs[i].len == 0 || req->bufs[i].data == NULL)
			return -EINVAL;
		sum += req->bufs[i].len;
	}
	return sum == req->len ? 0 : -EINVAL;
}

int
st_request_check(const struct net_st_device *dev, const struct st_request *req)
{
	const struct wire_geometry *g = xfer_ini_geometry(dev->ini);

	if (req->op >= MPN_ARRAY_SIZE(ops) || !ops[req->op].known ||
		(req->flags & ~ops[req->op].flags) != 0)
		return -EINVAL;
	if (req->loan && (req->op != WIRE_READ || req->bufs != NULL))
		return -EINVAL;
	if (ops[req->op].changes && g->flags & WIRE_VOL_READONLY)
		return -EROFS;
	if ((g->flags & ops[req->op].needs) != ops[req->op].needs)
		return -EOPNOTSUPP;
	if (!ops[req->op].range)
		return req->len == 0 && req->nb_bufs == 0 ? 0 : -EINVAL;
	if (req->len == 0 || ((req->addr | req->len) & (g->block_size - 1)) != 0)
		return -EINVAL;
	if (req->addr > g->size || req->len > g->size - req->addr)
		return -EINVAL;
	if (req->loan)
		return req->len <= st_max_transfer(dev) ? 0 : -EINVAL;
	if (ops[req->op].data)
		return check_buffers(req);
	return req->nb_bufs == 0 ? 0 : -EINVAL;
}

/* ---- Completion ---- */

static void
note_status(struct st_request *req, struct st_buffer *buf, int status)
{
	if (status == 0)
		return;
	if (req->status == 0)
		req->status = status;
	if (buf != NULL && buf->status == 0)
		buf->status = (int16_t)status;
}

/*
 * A claim on buffers first..last ends. With done it was the last claim on the request: the callback of
 * buffer last gives it back to the caller, and it is not touched any more.
 */
static void
release(struct net_st_device *dev, struct st_request *req, uint32_t first, uint32_t last,
	int status, bool done)
{
	struct st_buffer *bufs = req->bufs;
	uint32_t i;

	if (bufs == NULL) {
		note_status(req, NULL, status);
		if (done) {
			if (mpn_unlikely(req->loan && req->status != 0))
				dev_st_loan_put(req);
			dev->nb_queued--;
			dev->completion(dev, req, NULL);
		}
		return;
	}
	for (i = first; i <= last; i++) {
		note_status(req, &bufs[i], status);
		if (--bufs[i].pending > 0)
			continue;
		if (done && i == last)
			dev->nb_queued--;
		dev->completion(dev, req, &bufs[i]);
	}
}

/*
 * The command ended without an answer that proves its frames read, and its buffers go back to the
 * caller. A frame that still waits somewhere below must not carry what the caller writes there next:
 * its header is made one of an unknown version, which every receiver drops. Header mbufs are ours to
 * look at for as long as the pool lives; whether this one still is that frame's is told by its tag
 * and address. If it is not and these happen to match, a frame is lost, and will be sent again.
 */
static void
revoke_frames(struct st_cmd *cmd)
{
	struct st_nic *n = cmd->dev->nic;
	uint64_t left = cmd->by_ref;
	struct wire_ebd h;
	uint8_t *frame;

	if (ST_MUTATE(no_revoke))
		return;
	for (; left != 0; left &= left - 1) {
		frame = rte_pktmbuf_mtod(cmd->frames[__builtin_ctzll(left)], uint8_t *);
		wire_ebd_load(&h, frame);
		if (h.tag != cmd->ref_tag || h.addr != cmd->xfer.addr)
			continue;
		frame[offsetof(struct wire_ebd, ver_kind)] = 0;
		n->counters.tx_revoked++;
	}
	cmd->by_ref = 0;
}

void
st_cmd_finish(struct xfer_cmd *xfer, int status)
{
	struct st_cmd *cmd = mpn_container_of(xfer, struct st_cmd, xfer);
	struct net_st_device *dev = cmd->dev;
	struct st_request *req = cmd->req;
	uint32_t first = cmd->buf, last = cmd->last_buf;

	if (mpn_unlikely(status != 0 && cmd->by_ref != 0 && dev->nic != NULL))
		revoke_frames(cmd);
	if (req->loan)
		status = st_loan_finish(cmd, req, status);
	if (mpn_unlikely(cmd->misplaced))
		status = -EIO;
	if (cmd->lender != NULL)
		__atomic_fetch_sub(&cmd->lender->users, 1, __ATOMIC_RELEASE);
	cmd->lender = NULL;
	cmd->req = NULL;
	cmd->next = dev->free_cmds;
	dev->free_cmds = cmd;
	req->pending--;
	release(dev, req, first, last, status, req->pending == 0 && !req->queued);
}

/* What is not cut of the request ends with status. */
static void
fail_rest(struct net_st_device *dev, struct st_request *req, int status)
{
	mpn_list_del(&req->node);
	req->queued = false;
	release(dev, req, req->cut_buf, req->nb_bufs - 1, status, req->pending == 0);
}

void
st_requests_fail(struct net_st_device *dev, int status)
{
	while (!mpn_list_empty(&dev->fifo))
		fail_rest(dev, mpn_list_first(&dev->fifo, struct st_request, node), status);
}

void
st_request_abort(struct net_st_device *dev, struct st_request *req, uint64_t now_ns)
{
	uint32_t i;

	for (i = 0; i < dev->nb_cmds; i++) {
		if (dev->cmds[i].req == req)
			xfer_ini_abort(dev->ini, &dev->cmds[i].xfer, now_ns);
	}
	if (req->queued)
		fail_rest(dev, req, -ECANCELED);
}

/* ---- Declustering ---- */

void
st_request_queue(struct net_st_device *dev, struct st_request *req)
{
	uint32_t i;

	st_device_wake(dev);
	for (i = 0; i < req->nb_bufs; i++) {
		req->bufs[i].pending = 1;
		req->bufs[i].status = 0;
	}
	req->cut = 0;
	req->cut_buf = 0;
	req->cut_off = 0;
	req->pending = 0;
	req->status = 0;
	req->queued = true;
	mpn_list_add_tail(&dev->fifo, &req->node);
	dev->nb_queued++;
}

static uint32_t
whole_blocks(const struct wire_geometry *g, uint32_t max)
{
	max &= ~(g->block_size - 1);
	return max != 0 ? max : g->block_size;
}

uint32_t
st_max_transfer(const struct net_st_device *dev)
{
	const struct wire_geometry *g = xfer_ini_geometry(dev->ini);
	uint32_t max = xfer_ini_quantum(dev->ini);

	return whole_blocks(g, g->max_transfer != 0 ? MPN_MIN(max, g->max_transfer) : max);
}

/* Bytes one command of this kind may cover. */
static uint32_t
max_command(const struct net_st_device *dev, const struct st_request *req)
{
	const struct wire_geometry *g = xfer_ini_geometry(dev->ini);

	if (mpn_unlikely(dev->places) && req->op == WIRE_READ)
		return MPN_MIN(st_max_transfer(dev), st_place_quantum(dev));
	if (ops[req->op].data)
		return st_max_transfer(dev);
	return whole_blocks(g, g->max_zeroes != 0 ? g->max_zeroes : MAX_ZEROES);
}

/* The command took its bytes: claim the buffers it touches, go on behind them. */
static void
advance_cut(struct st_request *req, struct st_cmd *cmd)
{
	uint64_t left = cmd->xfer.len;
	struct st_buffer *buf;

	req->pending++;
	req->cut += left;
	while (req->bufs != NULL && left > 0) {
		buf = &req->bufs[req->cut_buf];
		buf->pending++;
		cmd->last_buf = req->cut_buf;
		if (left < buf->len - req->cut_off) {
			req->cut_off += (uint32_t)left;
			break;
		}
		left -= buf->len - req->cut_off;
		buf->pending--;
		req->cut_buf++;
		req->cut_off = 0;
	}
	if (req->cut == req->len) {
		mpn_list_del(&req->node);
		req->queued = false;
	}
}

int
st_requests_cut(struct net_st_device *dev, uint64_t now_ns)
{
	struct st_request *req;
	struct st_cmd *cmd;
	int rc;

	while (!mpn_list_empty(&dev->fifo) && dev->free_cmds != NULL) {
		req = mpn_list_first(&dev->fifo, struct st_request, node);
		if (mpn_unlikely(req->loan && req->len > st_max_transfer(dev))) {
			/* A new session found a path that takes less. */
			fail_rest(dev, req, -EMSGSIZE);
			continue;
		}
		cmd = dev->free_cmds;
		cmd->buf = req->cut_buf;
		cmd->buf_off = req->cut_off;
		cmd->last_buf = req->cut_buf;
		cmd->at_off = 0;
		cmd->at_buf = cmd->buf;
		cmd->at_buf_off = cmd->buf_off;
		cmd->by_ref = 0;
		cmd->lender = NULL;
		cmd->misplaced = false;
		xfer_lent_init(&cmd->lent, cmd->kept, req->nb_lent);
		cmd->xfer.done = st_cmd_finish;
		cmd->xfer.op = req->op;
		cmd->xfer.flags = req->flags;
		cmd->xfer.addr = req->addr + req->cut;
		cmd->xfer.len = (uint32_t)MPN_MIN(req->len - req->cut, max_command(dev, req));
		rc = xfer_ini_submit(dev->ini, &cmd->xfer, now_ns);
		if (mpn_unlikely(rc != 0))
			return rc;
		dev->free_cmds = cmd->next;
		cmd->req = req;
		advance_cut(req, cmd);
	}
	return 0;
}

/* ---- Data ---- */

/* Of several the first is counted: whoever gives back one of them has mistaken all of the request. */
void
st_cmd_use(struct st_cmd *cmd, struct st_arena *arena)
{
	if (cmd->lender != NULL)
		return;
	cmd->lender = arena;
	__atomic_fetch_add(&arena->users, 1, __ATOMIC_RELAXED);
}

static inline uint32_t
locate(struct st_cmd *cmd, uint32_t off, uint8_t **at)
{
	const struct st_buffer *bufs = cmd->req->bufs;
	uint32_t skip, rest;

	if (off < cmd->at_off) {
		cmd->at_off = 0;
		cmd->at_buf = cmd->buf;
		cmd->at_buf_off = cmd->buf_off;
	}
	skip = off - cmd->at_off;
	while (skip >= (rest = bufs[cmd->at_buf].len - cmd->at_buf_off)) {
		skip -= rest;
		cmd->at_buf++;
		cmd->at_buf_off = 0;
	}
	cmd->at_buf_off += skip;
	cmd->at_off = off;
	*at = (uint8_t *)bufs[cmd->at_buf].data + cmd->at_buf_off;
	return rest - skip;
}

uint32_t
st_cmd_locate(struct st_cmd *cmd, uint32_t off, uint8_t **at)
{
	return locate(cmd, off, at);
}

void
st_cmd_place(void *ctx, struct xfer_cmd *xfer, uint32_t off, const void *payload, uint32_t len)
{
	struct net_st_device *dev = ctx;
	struct st_cmd *cmd = mpn_container_of(xfer, struct st_cmd, xfer);
	const uint8_t *src = payload;
	uint8_t *dst;
	uint32_t n;

	dev->copy.wire += len;
	if (cmd->req->loan) {
		st_loan_place(cmd, off, payload, len);
		return;
	}
	while (len > 0) {
		n = locate(cmd, off, &dst);
		n = MPN_MIN(n, len);
		st_copy(&dev->copy, ST_COPY_rx_place, dst, src, n);
		src += n;
		off += n;
		len -= n;
	}
}

/* The memory a frame's payload is in. @return pieces, or max + 1 when there are more */
static unsigned
gather(struct st_cmd *cmd, const struct xfer_tx *tx, struct st_piece *pieces, unsigned max)
{
	uint32_t off = tx->data_off, left = tx->data_len, n;
	struct st_nic *nic = cmd->dev->nic;
	struct st_arena *arena;
	uint8_t *at;
	unsigned nb;

	for (nb = 0; left > 0; nb++) {
		if (nb == max)
			return max + 1;
		n = locate(cmd, off, &at);
		n = MPN_MIN(n, left);
		arena = st_arena_find(&nic->arenas, at, n);
		if (arena == NULL && nic->info.tx_any_memory)
			arena = st_arena_find(&nic->lent, at, n);
		pieces[nb] = (struct st_piece){at, n, arena != NULL ? &arena->shinfo : NULL};
		off += n;
		left -= n;
	}
	return nb;
}

static void
send_copy(struct st_nic *n, struct st_cmd *cmd, struct xfer_tx *tx)
{
	uint8_t *dst = st_frame_room(n, tx), *src;
	uint32_t off = tx->data_off, left = tx->data_len, len;

	while (left > 0) {
		len = locate(cmd, off, &src);
		len = MPN_MIN(len, left);
		st_copy(&cmd->dev->copy, st_frame_site(tx), dst, src, len);
		dst += len;
		off += len;
		left -= len;
	}
	st_frame_copied(n, tx);
}

/* A fragment goes by reference once at most, so that frames[] knows where it is. */
static void
send_payload(struct net_st_device *dev, struct xfer_tx *tx)
{
	struct st_cmd *cmd = mpn_container_of(tx->cmd, struct st_cmd, xfer);
	uint32_t idx = tx->data_off / xfer_ini_p(dev->ini);
	struct st_piece pieces[ST_MAX_PIECES];
	struct rte_mbuf *m;
	unsigned nb;

	dev->copy.wire += tx->data_len;
	/* A new session started the command again: what is left of the old one is of no use. */
	if (mpn_unlikely(cmd->by_ref != 0 && cmd->ref_tag != cmd->xfer.tag))
		revoke_frames(cmd);
	tx->retx |= cmd->by_ref >> idx & 1;
	nb = gather(cmd, tx, pieces, ST_MAX_PIECES);
	m = st_frame_refer(dev->nic, tx, pieces, nb);
	if (m == NULL) {
		send_copy(dev->nic, cmd, tx);
		return;
	}
	st_cmd_use(cmd, mpn_container_of(pieces[0].ref, struct st_arena, shinfo));
	cmd->by_ref |= 1ull << idx;
	cmd->ref_tag = cmd->xfer.tag;
	cmd->frames[idx] = m;
}

bool
st_cmd_send(struct net_st_device *dev, uint64_t now_ns)
{
	struct xfer_tx tx = {.hdr = st_frame_begin(dev->nic)};

	if (tx.hdr == NULL || !xfer_ini_tx(dev->ini, &tx, now_ns))
		return false;
	if (tx.data_len > 0 && tx.cmd != NULL)
		send_payload(dev, &tx);
	else
		st_frame_bare(dev->nic, &tx);
	return true;
}
