/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Doubly linked list whose nodes live in the listed objects. A node that is on no list
 * points at itself, so that removing it twice is harmless. Not thread-safe.
 */

#ifndef MPN_LIST_H
#define MPN_LIST_H

#include <stdbool.h>

#include "mpn_err.h"

/** A node, or the head of a list. */
struct mpn_list {
	struct mpn_list *next;
	struct mpn_list *prev;
};

static inline void
mpn_list_init(struct mpn_list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool
mpn_list_empty(const struct mpn_list *l)
{
	return l->next == l;
}

/** Put node in front of pos; with pos the head: at the tail. */
static inline void
mpn_list_insert(struct mpn_list *pos, struct mpn_list *node)
{
	node->next = pos;
	node->prev = pos->prev;
	pos->prev->next = node;
	pos->prev = node;
}

static inline void
mpn_list_add_tail(struct mpn_list *head, struct mpn_list *node)
{
	mpn_list_insert(head, node);
}

static inline void
mpn_list_add_head(struct mpn_list *head, struct mpn_list *node)
{
	mpn_list_insert(head->next, node);
}

static inline void
mpn_list_del(struct mpn_list *node)
{
	node->next->prev = node->prev;
	node->prev->next = node->next;
	mpn_list_init(node);
}

/** Move all of src to the tail of dst; src is empty afterwards. */
static inline void
mpn_list_splice_tail(struct mpn_list *dst, struct mpn_list *src)
{
	if (mpn_list_empty(src))
		return;
	src->next->prev = dst->prev;
	dst->prev->next = src->next;
	src->prev->next = dst;
	dst->prev = src->prev;
	mpn_list_init(src);
}

/** The object around a node. */
#define mpn_list_entry(node, type, member) mpn_container_of(node, type, member)
/** The first object of a list that is not empty. */
#define mpn_list_first(head, type, member) mpn_list_entry((head)->next, type, member)

/** Walk; the body may not remove nodes. */
#define mpn_list_for_each(pos, head) for (pos = (head)->next; pos != (head); pos = pos->next)

/** Walk; the body may remove pos. */
#define mpn_list_for_each_safe(pos, tmp, head) \
	for (pos = (head)->next, tmp = pos->next; pos != (head); pos = tmp, tmp = pos->next)

#endif
