/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The memory of a data queue: frames on it are received in two pieces, the first NIC_POST_HEADER bytes
 * and the rest, and a personality can say where the rest of the next ones goes. Not installed.
 *
 *   ring of the port   | header | page | header | page | ...      the N-th frame gets the N-th pair
 *                                  |               |
 *                                  v               v
 *                      memory of a personality     memory of ours
 *
 * The port of a machine's peer takes what is posted and no more. A network card with buffer split has a
 * ring that is always full, so that what is posted waits for its turn to go there, and headers come from a
 * pool of their own. What it writes behind a header is as long as the ring says, not the mbuf: a page must
 * be as large as that.
 *
 * All of it belongs to the NIC's thread.
 */

#ifndef NIC_POST_H
#define NIC_POST_H

#include <rte_mbuf.h>

#include "mpn_nic.h"

#define NIC_POST_HEADER 64 /* bytes of a frame in front of the page */
#define NIC_POST_MAX_PAIRS 512

struct nic_post;

/*
 * A page that was posted is the owner's again: a frame was received into it and has been freed, or it
 * came back empty. Not the place to send, or to post another one.
 */
typedef void (*nic_post_home_cb)(void *owner, void *cookie);

/* What became of pairs and pages. */
struct nic_post_stats {
	uint64_t posted; /* pages of a personality in the ring, ever */
	uint64_t spare; /* pages of ours in the ring, ever */
	uint64_t resync; /* headers posted alone, after a frame took an odd number of pieces */
};

/*
 * Memory for pairs pairs in the ring and as many in hands; the pages of ours have page_bytes. NULL with
 * errno ENOMEM.
 */
struct nic_post *
nic_post_create(const char *name, unsigned pairs, uint32_t page_bytes, int socket_id);
/*
 * The same for a port with buffer split: pairs may be posted besides those in a ring of at most ring
 * pairs, all of page_bytes. Received mbufs come from both pools.
 */
struct nic_post *nic_post_create_split(
	const char *name, unsigned pairs, unsigned ring, uint32_t page_bytes, int socket_id);
/* The port has let go of the ring. What personalities still hold is waited for as any pool is. */
void nic_post_retire(struct nic_post *post);
/* What the port receives into. */
struct rte_mempool *nic_post_pool(const struct nic_post *post);
/* With buffer split, what it receives headers into, and pages come from the one above; else NULL. */
struct rte_mempool *nic_post_headers(const struct nic_post *post);
/* The port runs: it may fill its ring. A stopped one may not, and what was not in it yet comes home. */
void nic_post_run(struct nic_post *post, bool running);
/* These have been received: their pages are not in the ring any more. */
void nic_post_received(struct nic_post *post, struct rte_mbuf *const *mbufs, unsigned n);

/* What the page of a received segment was posted with; NULL: it is no page of an owner's. */
void *nic_post_cookie(const struct nic_post *post, struct rte_mbuf *seg);
/* Is the segment one of ours? Few of them: they must not be kept. */
bool nic_post_owns(const struct nic_post *post, const struct rte_mbuf *seg);

/*
 * The owner decides from now on what is in the ring: the port gets nothing but what is posted and
 * what is asked for by nic_post_want(). NULL: nobody, the ring is kept full of pages of ours.
 */
void nic_post_set_owner(struct nic_post *post, void *owner, nic_post_home_cb home);
/* Bytes a page must have at least. */
uint32_t nic_post_least(const struct nic_post *post);
/* Pairs the ring has room for. */
unsigned nic_post_size(const struct nic_post *post);
/* Pairs in the ring, or on their way there, that no frame has taken. */
unsigned nic_post_pairs(const struct nic_post *post);
/* Pairs that may still be posted. */
unsigned nic_post_room(const struct nic_post *post);
/*
 * The rest of a frame goes to [page, page + bytes), memory the port can write to, after what was posted
 * before. It belongs to the NIC until home() has been called with the cookie. False: no room, or too small.
 */
bool nic_post_page(struct nic_post *post, void *page, uint32_t bytes, void *cookie);
/* There must be so many pairs in the ring: pages of ours where there are fewer. */
void nic_post_want(struct nic_post *post, unsigned pairs);
/* The next refill may fill the ring up. False: there is no reason to. */
bool nic_post_due(const struct nic_post *post);

/* Which frames belong on the data queue: of this type, with all these bits in the byte that far behind it. */
struct nic_steer {
	uint16_t ethertype; /* host byte order; 0: none do */
	uint8_t offset;
	uint8_t bits;
};
/*
 * Have the port send these to its data queue, where that is not up to the peer. 0; else the reason has been
 * logged: the port cannot tell them from others.
 */
int mpn_nic_post_steer(struct mpn_nic *nic, const struct nic_steer *steer) MPN_MUST_CHECK;

const struct nic_post_stats *nic_post_stats(const struct nic_post *post);

/* Is there a ring to post to? Not while the port is down, or its peer has but one queue. */
bool nic_post_running(const struct nic_post *post);
/* The NIC's, the same for all its life; NULL: its link has no data queue. */
struct nic_post *mpn_nic_post(const struct mpn_nic *nic);
/* Put what was posted into the ring now: before the frames that ask for the data. */
void mpn_nic_post_flush(struct mpn_nic *nic);
/*
 * Bring all pages home now: the port is taken out, the link goes down, and comes up again by itself. For
 * when the peer does not use them up. Also from inside a poll.
 */
void mpn_nic_post_recall(struct mpn_nic *nic);

#endif
