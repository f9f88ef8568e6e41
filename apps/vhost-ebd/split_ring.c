/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "split_ring.h"

int
split_init(struct split_ring *r, void *desc, void *avail, void *used, uint32_t size,
	uint16_t next_avail, uint16_t next_used)
{
	if (desc == NULL || avail == NULL || used == NULL || size == 0 || size > SPLIT_RING_MAX ||
		(size & (size - 1)) != 0 || (uintptr_t)desc % VRING_DESC_ALIGN_SIZE != 0 ||
		(uintptr_t)avail % VRING_AVAIL_ALIGN_SIZE != 0 ||
		(uintptr_t)used % VRING_USED_ALIGN_SIZE != 0)
		return -EINVAL;
	memset(r, 0, sizeof(*r));
	r->desc = desc;
	r->avail = avail;
	r->used = used;
	r->size = (uint16_t)size;
	r->next_avail = next_avail;
	r->next_used = next_used;
	return 0;
}

/* ---- Fields the guest writes, and those it reads ---- */

static uint16_t
load16(const __virtio16 *field)
{
	return le16toh(__atomic_load_n(field, __ATOMIC_RELAXED));
}

static void
store16(__virtio16 *field, uint16_t value)
{
	__atomic_store_n(field, htole16(value), __ATOMIC_RELAXED);
}

/* Behind the last entry of each ring is an index of the other side. */
static uint16_t
used_event(const struct split_ring *r)
{
	return load16(&r->avail->ring[r->size]);
}

static __virtio16 *
avail_event(const struct split_ring *r)
{
	return (__virtio16 *)&r->used->ring[r->size];
}

/* How many requests wait; more than the ring can hold are a lie. */
static int
count_available(const struct split_ring *r)
{
	uint16_t idx = le16toh(__atomic_load_n(&r->avail->idx, __ATOMIC_ACQUIRE));
	uint16_t n = (uint16_t)(idx - r->next_avail);

	return n <= r->size ? n : -EPROTO;
}

/* ---- Taking ---- */

int
split_take(struct split_ring *r, uint16_t *head)
{
	int n = count_available(r);

	if (n <= 0)
		return n;
	*head = load16(&r->avail->ring[r->next_avail & (r->size - 1)]);
	r->next_avail++;
	return *head < r->size ? 1 : -ERANGE;
}

/* Where descriptors come from: the ring itself, or a table somewhere in the guest's memory. */
struct source {
	const struct vring_desc *ring; /* NULL: a table */
	uint64_t table;
	uint32_t nb;
};

static int
load_desc(
	const struct source *s, const struct guest_memory *mem, uint32_t idx, struct vring_desc *d)
{
	int rc;

	if (s->ring != NULL) {
		d->addr = __atomic_load_n(&s->ring[idx].addr, __ATOMIC_RELAXED);
		d->len = __atomic_load_n(&s->ring[idx].len, __ATOMIC_RELAXED);
		d->flags = __atomic_load_n(&s->ring[idx].flags, __ATOMIC_RELAXED);
		d->next = __atomic_load_n(&s->ring[idx].next, __ATOMIC_RELAXED);
	} else {
		rc = guest_read(mem, s->table + idx * sizeof(*d), d, sizeof(*d));
		if (rc != 0)
			return rc;
	}
	d->addr = le64toh(d->addr);
	d->len = le32toh(d->len);
	d->flags = le16toh(d->flags);
	d->next = le16toh(d->next);
	return 0;
}

static int
add_piece(struct chain *c, const struct guest_memory *mem, const struct vring_desc *d)
{
	bool in = d->flags & VRING_DESC_F_WRITE;
	uint64_t *len = in ? &c->in_len : &c->out_len;
	unsigned *nb = in ? &c->nb_in : &c->nb_out;
	unsigned first = in ? c->nb_out : 0;
	struct guest_pieces p = {c->iov + first, *nb, CHAIN_PIECES - first};
	int rc;

	if (!in && c->in_len > 0)
		return -EPROTO;
	/* Used rings count bytes with 32 bits. */
	if (d->len > UINT32_MAX - *len)
		return -E2BIG;
	rc = guest_map(mem, d->addr, d->len, &p);
	if (rc != 0)
		return rc;
	*nb = p.nb;
	*len += d->len;
	return 0;
}

/* A descriptor of the ring that stands for a table of them. */
static int
enter_table(struct source *s, const struct split_ring *r, const struct vring_desc *d)
{
	if (s->ring == NULL || !r->indirect || d->flags & VRING_DESC_F_NEXT || d->len == 0 ||
		d->len % sizeof(*d) != 0)
		return -EPROTO;
	if (d->len / sizeof(*d) > CHAIN_TABLE_MAX)
		return -E2BIG;
	s->ring = NULL;
	s->table = d->addr;
	s->nb = d->len / (uint32_t)sizeof(*d);
	return 0;
}

int
split_walk(
	const struct split_ring *r, const struct guest_memory *mem, uint16_t head, struct chain *c)
{
	struct source s = {.ring = r->desc, .nb = r->size};
	uint32_t idx = head, steps = 0;
	struct vring_desc d;
	int rc;

	c->head = head;
	c->nb_out = 0;
	c->nb_in = 0;
	c->out_len = 0;
	c->in_len = 0;
	if (idx >= s.nb)
		return -ERANGE;
	/* Whoever has been at more descriptors than there are has been at one of them twice. */
	while (steps++ < s.nb) {
		rc = load_desc(&s, mem, idx, &d);
		if (rc != 0)
			return rc;
		if (d.flags & VRING_DESC_F_INDIRECT) {
			rc = enter_table(&s, r, &d);
			if (rc != 0)
				return rc;
			idx = 0;
			steps = 0;
			continue;
		}
		rc = add_piece(c, mem, &d);
		if (rc != 0)
			return rc;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		idx = d.next;
		if (idx >= s.nb)
			return -ERANGE;
	}
	return -ELOOP;
}

/* ---- Giving back ---- */

void
split_give(struct split_ring *r, uint16_t head, uint32_t written)
{
	struct vring_used_elem *e = &r->used->ring[r->next_used & (r->size - 1)];

	__atomic_store_n(&e->id, htole32(head), __ATOMIC_RELAXED);
	__atomic_store_n(&e->len, htole32(written), __ATOMIC_RELAXED);
	r->next_used++;
	__atomic_store_n(&r->used->idx, htole16(r->next_used), __ATOMIC_RELEASE);
}

bool
split_wants_call(struct split_ring *r)
{
	uint16_t before = r->called;
	bool wanted = true;

	if (r->called_valid && before == r->next_used)
		return false;
	/* What was given back is visible before what the guest wants is looked at. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	r->called = r->next_used;
	if (!r->event_idx)
		wanted = !(load16(&r->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	else if (r->called_valid)
		wanted = vring_need_event(used_event(r), r->next_used, before);
	r->called_valid = true;
	return wanted;
}

void
split_stop_kicks(struct split_ring *r)
{
	/* With event indices, an index that has been passed is enough. */
	if (!r->event_idx)
		store16(&r->used->flags, VRING_USED_F_NO_NOTIFY);
}

bool
split_want_kicks(struct split_ring *r)
{
	if (r->event_idx)
		store16(avail_event(r), r->next_avail);
	else
		store16(&r->used->flags, 0);
	/* Either the guest sees this, or what it has done meanwhile is seen here. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return count_available(r) != 0;
}
