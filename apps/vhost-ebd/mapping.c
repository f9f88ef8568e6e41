/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ebd.h"
#include "mapping.h"

uint8_t *
mapping_add(struct mpn_list *list, int fd, uint64_t offset, uint64_t size)
{
	struct mapping *m;
	struct stat st;
	uint64_t page;

	if (fstat(fd, &st) != 0)
		return NULL;
	/* Files of hugepages are mapped in whole ones, from a whole one on: from the first. */
	page = st.st_blksize > 0 ? (uint64_t)st.st_blksize : 4096;
	if (size == 0 || offset > SIZE_MAX - size || offset + size > SIZE_MAX - page ||
		offset + size > (uint64_t)st.st_size)
		return mpn_err_null(EINVAL);
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return mpn_err_null(ENOMEM);
	m->bytes = (offset + size + page - 1) / page * page;
	m->base = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (m->base == MAP_FAILED) {
		free(m);
		return NULL;
	}
	/* What cannot be lent is copied from. */
	m->lent = ebd_mem_register(m->base, m->bytes) == 0;
	mpn_list_add_tail(list, &m->node);
	return (uint8_t *)m->base + offset;
}

unsigned
mapping_sweep(struct mpn_list *list)
{
	struct mpn_list *pos, *next;
	unsigned left = 0;

	mpn_list_for_each_safe(pos, next, list) {
		struct mapping *m = mpn_list_entry(pos, struct mapping, node);

		if (m->lent && ebd_mem_unregister(m->base) == -EBUSY) {
			left++;
			continue;
		}
		mpn_list_del(pos);
		(void)munmap(m->base, m->bytes);
		free(m);
	}
	return left;
}
