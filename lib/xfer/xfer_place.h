/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Reads whose data is received where it belongs, on links with a data queue: which pages are posted
 * there, and what becomes of what is received. Like the engines it knows no NIC, no clock and no memory
 * of its own; the ring is the caller's, behind a table of functions. Not installed.
 *
 * The pages of a read are posted before its command leaves; the queue is first in, first out, so that the
 * N-th frame finds the N-th page, the right one as long as the target answers in order. Everything else
 * costs a copy:
 *
 *   a frame in      whose own page is    becomes
 *   its own page                         in place
 *   another page    out of the ring      copied
 *   another page    in the ring          bounced: kept aside, copied when the page has come out
 *
 * A page in the ring can be written to by any frame. It belongs to the library until it has come out,
 * whatever became of its read, which is not completed before.
 */

#ifndef XFER_PLACE_H
#define XFER_PLACE_H

#include "xfer.h"

/* What became of the fragments of reads that had pages posted: {name, text}. */
#define XFER_PLACE_LIST(X) \
	X(reads, "commands whose data was asked for on the data queue") \
	X(in_place, "fragments received where they belong") \
	X(copied, "fragments received elsewhere, their own page out of the ring or not in it") \
	X(bounced, "fragments received elsewhere, their own page in the ring") \
	X(astray, "fragments received on another queue: the next reads are copied") \
	X(waits, "times a read waited for room in the ring") \
	X(pauses, "times so little was in place that reads were copied for a while") \
	X(probes, "frames asked for to bring pages out of the ring") \
	X(recalls, "times the port was taken out to bring pages home")

struct xfer_place_stats {
#define X(name, text) uint64_t name;
	XFER_PLACE_LIST(X)
#undef X
};

struct xfer_page;

/* A read that may have pages in the ring, beside its command. xfer_placed_init() first. */
struct xfer_placed {
	struct xfer_ini *ini;
	struct xfer_cmd *cmd;
	uint64_t posted; /* fragments whose page is in the ring */
	uint32_t due; /* frames that will come on the data queue */
	int status; /* with which it ended */
	bool ended; /* waits for pages of its own */
	bool eager; /* also where it does not pay */
	struct mpn_list idle; /* or ready */
	struct xfer_page **pages; /* those posted: the caller's, room for WIRE_EBD_MAX_FRAGS */
};

/* A page in the ring, or on its way there or back. */
struct xfer_page {
	struct xfer_placed *read; /* NULL: it has its data */
	void *owner; /* the caller's, set by locate() */
	uint8_t *mem;
	uint8_t *bounce; /* memory of ours, as much as a page has at most */
	uint32_t len;
	uint16_t idx; /* of the fragment */
	bool bounced; /* its data is in bounce */
	struct xfer_page *next; /* of the free ones */
};

/* The ring, and what else is asked of the caller. */
struct xfer_place_ops {
	/* Pairs in the ring that no frame has taken, how many more may be posted, may any? */
	uint32_t (*pairs)(void *ctx);
	uint32_t (*room)(void *ctx);
	bool (*running)(void *ctx);
	/* Post it behind the others. There is room. xfer_place_home() follows once, later. */
	void (*post)(void *ctx, struct xfer_page *page);
	/* There must be so many pairs in the ring: pages of the NIC's where there are fewer. */
	void (*want)(void *ctx, uint32_t pairs);
	/* Bring all home now, with xfer_place_home() for each. */
	void (*recall)(void *ctx);
	/* Call xfer_ini_drain() of an initiator that knows a target on the link. NULL: none does */
	struct xfer_ini *(*probe)(void *ctx, uint32_t nb);
	/*
	 * Set page->mem and page->owner to where page->len bytes from off on of the read belong, in one
	 * piece. False: there is no such piece that can be posted.
	 */
	bool (*locate)(void *ctx, struct xfer_placed *read, uint32_t off, struct xfer_page *page);
	/* The page is in the ring, it is no more: what is between these keeps its memory. */
	void (*hold)(void *ctx, struct xfer_page *page);
	void (*release)(void *ctx, struct xfer_page *page);
	/* Copy page->bounce to page->mem. */
	void (*unbounce)(void *ctx, struct xfer_page *page);
	/* A read that xfer_place_end() did not let end has its pages. May submit again. */
	void (*done)(void *ctx, struct xfer_placed *read, int status);
	/* Pages of the read are out: it may start. */
	void (*wake)(void *ctx, struct xfer_placed *read);
};

struct xfer_place_conf {
	const struct xfer_place_ops *ops;
	void *ctx;
	uint32_t pairs; /* the ring has room for */
	uint8_t *bounce; /* xfer_place_pages(pairs) * p_max bytes */
	uint32_t p_max;
};

struct xfer_place;

/* Pages there may be: those in the ring, and as many in frames that are not freed yet. */
uint32_t xfer_place_pages(uint32_t pairs);
/* Bytes of memory it needs. */
size_t xfer_place_size(const struct xfer_place_conf *conf);
/* Make one in mem, aligned to 64. */
struct xfer_place *xfer_place_init(void *mem, const struct xfer_place_conf *conf);

void xfer_placed_init(struct xfer_placed *read, struct xfer_page **pages);

enum xfer_place_answer {
	XFER_PLACE_COPY, /* it may start; nothing is posted, its data comes on any queue */
	XFER_PLACE_POSTED, /* it may start; xfer_place_rx() for its data, xfer_place_end() when it ends */
	XFER_PLACE_WAIT, /* it may not start now */
};

/*
 * May the command start (see admit() of struct xfer_ini_conf)? Posts its pages, sets or clears
 * WIRE_F_BULK. Eager: also where it does not pay. The command may be of any kind.
 */
enum xfer_place_answer xfer_place_admit(struct xfer_place *pl, struct xfer_placed *read,
	struct xfer_ini *ini, struct xfer_cmd *cmd, bool eager);

enum xfer_place_where {
	XFER_PLACE_IN_PLACE, /* nothing to do */
	XFER_PLACE_ELSEWHERE, /* copy it where it belongs */
	XFER_PLACE_BOUNCE, /* copy it to read->pages[]->bounce */
};

/*
 * Fragment idx of the read has passed all checks. in: the page that it, all of it and nothing else, was
 * received into, or NULL; on_queue: it came on the data queue.
 */
enum xfer_place_where xfer_place_rx(struct xfer_place *pl, struct xfer_placed *read, uint32_t idx,
	const struct xfer_page *in, bool on_queue);
/* The read has ended. False: done() follows when its pages are out. */
bool xfer_place_end(struct xfer_place *pl, struct xfer_placed *read, int status) MPN_MUST_CHECK;
/* The session was lost: the read starts again in the next one. */
void xfer_place_lost(struct xfer_place *pl, struct xfer_placed *read);
/* The initiator goes, with no read under way. */
void xfer_place_forget(struct xfer_place *pl, const struct xfer_ini *ini);
/* The page is out: the frame in it was processed, or none came. Completes nothing: that is for poll. */
void xfer_place_home(struct xfer_place *pl, struct xfer_page *page);
/* After receiving, before sending: complete what has its pages, see to it that the rest gets them. */
void xfer_place_poll(struct xfer_place *pl, uint64_t now_ns);
/* Every page comes home now, and what waited for one is completed. */
void xfer_place_recall(struct xfer_place *pl);

/* When poll has something to do, even if nothing comes. XFER_NO_DEADLINE: never */
uint64_t xfer_place_deadline(const struct xfer_place *pl, uint64_t now_ns);
/* Payload units a command had better not exceed, so that several have room in the ring. */
uint32_t xfer_place_quantum(const struct xfer_place *pl, bool eager);
/* Frames that will come on the data queue. */
uint32_t xfer_place_expected(const struct xfer_place *pl);
/* Pages that are not posted. */
uint32_t xfer_place_free(const struct xfer_place *pl);
const struct xfer_place_stats *xfer_place_stats(const struct xfer_place *pl);

#endif
