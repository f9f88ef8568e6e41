/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * From a pulled frame to mbufs.
 *
 *   by reference                          by copy
 *   [ header mbuf: 64 ]                   [ one mbuf: 64 | payload ]
 *        |-> [ mbuf on the payload ] ...
 *
 * By reference when the payload is 512 bytes or more, lies in memory that counts its frames, and the
 * link takes frames in segments. A frame that was sent before is always a copy. This is what makes it
 * safe to give a buffer back as soon as its command has ended, although nobody can ask a driver
 * whether it still holds a frame (virtio keeps transmitted mbufs until it needs their descriptors):
 * flows and queues are first in, first out, so an answer to any frame of the command, or to one sent
 * after it, shows that the frames before it have been read; what may still be queued behind are
 * repetitions, and those carry bytes of their own. Commands that end without an answer (timed out,
 * cancelled) have their frames revoked, see revoke_frames() in st_request.c.
 */

#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>

#include "mpn_log.h"
#include "nic_pool.h"
#include "st_mutant.h"
#include "st_nic.h"

#define HDR_ROOM (RTE_PKTMBUF_HEADROOM + XFER_TX_ROOM)
#define BIG_FRAMES 512 /* beside what the TX ring may keep */
#define POOL_CACHE 256
#define CACHES 2 /* other lcores that free frames: of tx, and of a peer in this process */

/* ---- Pools ---- */

static struct rte_mempool *
create_pool(const struct st_nic *n, const char *what, unsigned nb, size_t room)
{
	static unsigned serial;
	struct rte_mempool *pool;
	char name[RTE_MEMPOOL_NAMESIZE];

	/* Names are unique for the process; a retired pool of an earlier load may still be there. */
	snprintf(name, sizeof(name), "st_%s_%u", what,
		__atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED));
	pool = rte_pktmbuf_pool_create(name, nb, POOL_CACHE, 0, (uint16_t)room, n->info.socket_id);
	if (pool == NULL)
		(void)mpn_log_err(ENOMEM, "storage", "%s: no memory for %u frames of %zu bytes: %s",
			n->info.name, nb, room, rte_strerror(rte_errno));
	return pool;
}

int
st_frames_init(struct st_nic *n)
{
	struct st_frames *f = &n->frames;
	struct mpn_personality_info pi;
	struct st_arena *arena;
	unsigned nb;

	mpn_personality_get_info(n->pers, &pi);
	/* As many as the flow, the ring below it, and a peer in this process may hold together. */
	nb = 2 * pi.flow_size + n->info.nb_txd + 2 * ST_STASH + nic_pool_spare(CACHES);
	f->hdr.pool = create_pool(n, "hdr", nb, HDR_ROOM);
	if (f->hdr.pool == NULL)
		goto fail;
	if (n->multi_segs) {
		f->ext.pool = create_pool(n, "ext", nb, 0);
		if (f->ext.pool == NULL)
			goto fail;
	}
	if (n->p_max > WIRE_EBD_MAX_CTRL) {
		f->big.pool = create_pool(n, "big",
			BIG_FRAMES + n->info.nb_txd + 2 * ST_STASH + nic_pool_spare(CACHES),
			RTE_PKTMBUF_HEADROOM + WIRE_EBD_HDR_LEN + n->p_max);
		if (f->big.pool == NULL)
			goto fail;
	}
	f->zeroes = st_arena_alloc_on(n->info.socket_id, WIRE_EBD_P_LARGE, 0);
	if (f->zeroes == NULL)
		goto fail;
	memset(f->zeroes, 0, WIRE_EBD_P_LARGE);
	arena = st_arena_find(&n->arenas, f->zeroes, WIRE_EBD_P_LARGE);
	if (arena == NULL)
		goto fail;
	f->zeroes_ref = &arena->shinfo;
	return 0;
fail:
	st_frames_fini(n);
	return -ENOMEM;
}

static void
fini_stash(struct st_stash *s)
{
	if (s->pool == NULL)
		return;
	rte_pktmbuf_free_bulk(s->mbufs, s->nb);
	/* Drivers and peers may still hold some: the pool goes when they are home. */
	mpn_nic_pool_retire(s->pool);
	memset(s, 0, sizeof(*s));
}

void
st_frames_fini(struct st_nic *n)
{
	struct st_frames *f = &n->frames;

	rte_pktmbuf_free_bulk(f->out, f->nb_out);
	rte_pktmbuf_free_bulk(f->data, f->nb_data);
	f->nb_out = 0;
	f->nb_data = 0;
	fini_stash(&f->hdr);
	fini_stash(&f->big);
	fini_stash(&f->ext);
	st_arena_free(f->zeroes);
	f->zeroes = NULL;
}

/* At least min mbufs at hand? */
static inline bool
have(struct st_stash *s, unsigned min)
{
	if (mpn_likely(s->nb >= min))
		return true;
	if (rte_pktmbuf_alloc_bulk(s->pool, s->mbufs + s->nb, ST_STASH / 2) != 0)
		return false;
	s->nb += ST_STASH / 2;
	return true;
}

static inline struct rte_mbuf *
take(struct st_stash *s)
{
	return s->mbufs[--s->nb];
}

/* ---- Building ---- */

void
st_frames_round(struct st_nic *n)
{
	n->frames.room = mpn_flow_tx_room(n->pers);
	if (n->target != NULL)
		n->frames.room = MPN_MIN(n->frames.room, mpn_flow_tx_data_room(n->pers));
}

void
st_frames_flush(struct st_nic *n)
{
	struct st_frames *f = &n->frames;
	unsigned sent;

	/* They are taken, with the room asked for before; if not, frames are lost and sent again. */
	if (f->nb_out > 0) {
		sent = mpn_flow_tx(n->pers, f->out, f->nb_out);
		rte_pktmbuf_free_bulk(f->out + sent, f->nb_out - sent);
		f->nb_out = 0;
	}
	if (f->nb_data > 0) {
		sent = mpn_flow_tx_data(n->pers, f->data, f->nb_data);
		rte_pktmbuf_free_bulk(f->data + sent, f->nb_data - sent);
		f->nb_data = 0;
	}
}

/*
 * All that a frame may need is at hand before the engine is asked for it: a frame once pulled
 * counts as sent.
 */
void *
st_frame_begin(struct st_nic *n)
{
	struct st_frames *f = &n->frames;
	struct rte_mbuf *m;

	if (mpn_unlikely(f->room == 0))
		return NULL;
	if (mpn_unlikely(!have(&f->hdr, 1) || (f->big.pool != NULL && !have(&f->big, 1)) ||
			 (f->ext.pool != NULL && !have(&f->ext, ST_MAX_PIECES)))) {
		n->counters.tx_no_mbufs++;
		return NULL;
	}
	m = f->hdr.mbufs[f->hdr.nb - 1];
	return rte_pktmbuf_mtod(m, void *);
}

/* Does it belong on the queue for bulk data? What asks for data has the flag, too, but none of it. */
static inline bool
is_bulk(const struct xfer_tx *tx)
{
	const struct wire_ebd *h = tx->hdr;

	return tx->data_len > 0 && h->flags & rte_cpu_to_le_16(WIRE_F_BULK);
}

/* The frame is whole: queue it. */
static inline void
queue_frame(struct st_nic *n, const struct xfer_tx *tx, struct rte_mbuf *m)
{
	struct st_frames *f = &n->frames;

	if (mpn_unlikely(is_bulk(tx)))
		f->data[f->nb_data++] = m;
	else
		f->out[f->nb_out++] = m;
	f->room--;
	if (f->nb_out == MPN_BURST || f->nb_data == MPN_BURST)
		st_frames_flush(n);
}

/* ---- By reference ---- */

/* The address a device reads the memory at. 0: it is not contiguous there. */
static rte_iova_t
physical_address(const struct st_piece *piece)
{
	rte_iova_t first = rte_mem_virt2iova(piece->base);
	rte_iova_t last = rte_mem_virt2iova((const char *)piece->base + piece->len - 1);

	return first == RTE_BAD_IOVA || last - first != piece->len - 1 ? 0 : first;
}

static bool
can_refer(const struct st_nic *n, const struct xfer_tx *tx, const struct st_piece *pieces,
	unsigned nb)
{
	unsigned i;

	if ((tx->retx && !ST_MUTATE(retx_by_ref)) || tx->data_len < ST_EXT_MIN || !n->multi_segs ||
		nb > ST_MAX_PIECES || tx->data_len < nb * ST_EXT_MIN)
		return false;
	for (i = 0; i < nb; i++) {
		if (pieces[i].ref == NULL)
			return false;
		if (mpn_unlikely(!n->iova_is_va) && physical_address(&pieces[i]) == 0)
			return false;
	}
	return true;
}

static void
attach(struct st_nic *n, struct rte_mbuf *head, struct rte_mbuf *tail, struct rte_mbuf *m,
	const struct st_piece *piece)
{
	void *base = (void *)(uintptr_t)piece->base;

	/* Not rte_mbuf_ext_refcnt_update(): it is not atomic when it finds a 1, and the memory may
	 * be in use on several NICs. */
	__atomic_fetch_add(&piece->ref->refcnt, 1, __ATOMIC_RELAXED);
	rte_pktmbuf_attach_extbuf(m, base,
		n->iova_is_va ? (rte_iova_t)(uintptr_t)base : physical_address(piece),
		(uint16_t)piece->len, piece->ref);
	m->data_len = (uint16_t)piece->len;
	tail->next = m;
	head->nb_segs++;
	head->pkt_len += piece->len;
}

struct rte_mbuf *
st_frame_refer(struct st_nic *n, struct xfer_tx *tx, const struct st_piece *pieces, unsigned nb)
{
	struct xfer_seg segs[ST_MAX_PIECES];
	struct rte_mbuf *m, *tail, *next;
	unsigned i;

	if (!can_refer(n, tx, pieces, nb))
		return NULL;
	m = tail = take(&n->frames.hdr);
	m->data_len = (uint16_t)tx->hdr_len;
	m->pkt_len = tx->hdr_len;
	for (i = 0; i < nb; i++) {
		next = take(&n->frames.ext);
		attach(n, m, tail, next, &pieces[i]);
		tail = next;
		segs[i] = (struct xfer_seg){pieces[i].base, pieces[i].len};
	}
	if (tx->seal)
		xfer_tx_seal(tx, segs, nb);
	n->counters.tx_by_ref += tx->cmd != NULL;
	queue_frame(n, tx, m);
	return m;
}

/* ---- By copy ---- */

/* The mbuf the next frame is built in, finished as one segment. */
static void
queue_linear(struct st_nic *n, struct xfer_tx *tx, bool big)
{
	struct rte_mbuf *m = take(big ? &n->frames.big : &n->frames.hdr);
	struct xfer_seg seg = {(uint8_t *)tx->hdr + tx->hdr_len, tx->data_len};

	m->data_len = (uint16_t)(tx->hdr_len + tx->data_len);
	m->pkt_len = m->data_len;
	/* Over the bytes in the frame: the buffer they came from may have changed meanwhile. */
	if (tx->seal)
		xfer_tx_seal(tx, &seg, tx->data_len > 0);
	queue_frame(n, tx, m);
}

static inline bool
needs_big(const struct xfer_tx *tx)
{
	return tx->hdr_len + tx->data_len > XFER_TX_ROOM;
}

void *
st_frame_room(struct st_nic *n, struct xfer_tx *tx)
{
	struct st_stash *s = &n->frames.big;
	void *hdr = tx->hdr;

	if (needs_big(tx)) {
		tx->hdr = rte_pktmbuf_mtod(s->mbufs[s->nb - 1], void *);
		memcpy(tx->hdr, hdr, WIRE_EBD_HDR_LEN);
	}
	return (uint8_t *)tx->hdr + tx->hdr_len;
}

void
st_frame_copied(struct st_nic *n, struct xfer_tx *tx)
{
	n->counters.tx_by_copy++;
	queue_linear(n, tx, needs_big(tx));
}

void
st_frame_bare(struct st_nic *n, struct xfer_tx *tx)
{
	struct st_piece padding = {n->frames.zeroes, tx->data_len, n->frames.zeroes_ref};

	if (tx->data_len == 0) {
		queue_linear(n, tx, false);
	} else if (st_frame_refer(n, tx, &padding, 1) == NULL) {
		memset(st_frame_room(n, tx), 0, tx->data_len);
		queue_linear(n, tx, needs_big(tx));
	}
}

void
st_frame_payload(struct st_nic *n, struct xfer_tx *tx, const struct st_piece *piece)
{
	n->copy.wire += tx->data_len;
	if (st_frame_refer(n, tx, piece, 1) != NULL)
		return;
	st_copy(&n->copy, st_frame_site(tx), st_frame_room(n, tx), piece->base, piece->len);
	st_frame_copied(n, tx);
}
