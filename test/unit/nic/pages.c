/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <rte_malloc.h>

#include "pages.h"

#define FENCE 128
#define FILL 0xa5

struct pages pages;

static size_t
stride(void)
{
	return pages.bytes + 2 * FENCE;
}

uint8_t *
page(unsigned i)
{
	return pages.mem + i * stride() + FENCE;
}

static void
note_home(void *owner, void *cookie)
{
	assert_ptr_equal(owner, &pages);
	pages.home[(uintptr_t)cookie]++;
	pages.nb_home++;
}

void
pages_open(struct nic_post *post, unsigned nb, uint32_t bytes)
{
	assert_in_range(nb, 1, PAGES_MAX);
	memset(&pages, 0, sizeof(pages));
	pages.nb = nb;
	pages.bytes = bytes;
	pages.mem = rte_malloc(NULL, nb * stride(), 4096);
	assert_non_null(pages.mem);
	memset(pages.mem, FILL, nb * stride());
	nic_post_set_owner(post, &pages, note_home);
}

void
pages_close(void)
{
	rte_free(pages.mem);
	pages.mem = NULL;
}

void
pages_post(struct nic_post *post, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		assert_true(nic_post_page(post, page(i), pages.bytes, (void *)(uintptr_t)i));
}

void
assert_fences(void)
{
	for (unsigned i = 0; i < pages.nb; i++) {
		for (unsigned k = 0; k < FENCE; k++) {
			assert_int_equal(page(i)[-1 - (int)k], FILL);
			assert_int_equal(page(i)[pages.bytes + k], FILL);
		}
	}
}

bool
page_is_untouched(unsigned i)
{
	for (unsigned k = 0; k < pages.bytes; k++) {
		if (page(i)[k] != FILL)
			return false;
	}
	return true;
}

void
free_held(struct probe *probe)
{
	rte_pktmbuf_free_bulk(probe->held, probe->nb_held);
	probe->nb_held = 0;
}
