/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <string.h>

#include "guest.h"

/* The bytes from gpa to the end of its region; 0: there is none. */
static uint64_t
find(const struct guest_memory *mem, uint64_t gpa, uint8_t **va)
{
	const struct guest_region *r;
	unsigned i;

	for (i = 0; i < mem->nb; i++) {
		r = &mem->regions[i];
		if (gpa >= r->gpa && gpa - r->gpa < r->size) {
			*va = r->va + (gpa - r->gpa);
			return r->size - (gpa - r->gpa);
		}
	}
	return 0;
}

static int
append(struct guest_pieces *p, uint8_t *va, uint64_t len)
{
	struct iovec *last = p->nb > 0 ? &p->iov[p->nb - 1] : NULL;

	if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == va) {
		last->iov_len += len;
		return 0;
	}
	if (p->nb == p->max)
		return -E2BIG;
	p->iov[p->nb++] = (struct iovec){va, len};
	return 0;
}

int
guest_map(const struct guest_memory *mem, uint64_t gpa, uint64_t len, struct guest_pieces *pieces)
{
	uint64_t n;
	uint8_t *va;
	int rc;

	for (; len > 0; len -= n, gpa += n) {
		n = MPN_MIN(len, find(mem, gpa, &va));
		if (n == 0)
			return -EFAULT;
		rc = append(pieces, va, n);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* What was read once is not read again: the compiler might, when it has no room for it elsewhere. */
static void
copy_once(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

int
guest_read(const struct guest_memory *mem, uint64_t gpa, void *dst, uint64_t len)
{
	uint8_t *to = dst, *va;
	uint64_t n;

	for (; len > 0; len -= n, gpa += n, to += n) {
		n = MPN_MIN(len, find(mem, gpa, &va));
		if (n == 0)
			return -EFAULT;
		copy_once(to, va, n);
	}
	return 0;
}

size_t
guest_gather(const struct iovec *iov, unsigned nb, uint64_t off, void *dst, size_t len)
{
	uint8_t *to = dst;
	size_t done = 0, n;
	unsigned i;

	for (i = 0; i < nb && done < len; i++) {
		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		n = MPN_MIN(iov[i].iov_len - off, len - done);
		copy_once(to + done, (const uint8_t *)iov[i].iov_base + off, n);
		done += n;
		off = 0;
	}
	return done;
}

size_t
guest_scatter(const struct iovec *iov, unsigned nb, const void *src, size_t len)
{
	const uint8_t *from = src;
	size_t done = 0, n;
	unsigned i;

	for (i = 0; i < nb && done < len; i++) {
		n = MPN_MIN(iov[i].iov_len, len - done);
		memcpy(iov[i].iov_base, from + done, n);
		done += n;
	}
	return done;
}
