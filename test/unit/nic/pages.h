/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Pages for data queues to receive into, with fences around them, and what became of each. */

#ifndef PAGES_H
#define PAGES_H

#include "nic_internal.h"
#include "probe.h"

#define PAGES_MAX 256

extern struct pages {
	uint8_t *mem;
	unsigned nb;
	uint32_t bytes; /* of each */
	unsigned home[PAGES_MAX]; /* how often it has come back */
	unsigned nb_home;
} pages;

/* Own the queue, with so many pages of so many bytes. */
void pages_open(struct nic_post *post, unsigned nb, uint32_t bytes);
void pages_close(void);
uint8_t *page(unsigned i);
void pages_post(struct nic_post *post, unsigned first, unsigned n);
/* Nothing was written outside of pages; inside of this one. */
void assert_fences(void);
bool page_is_untouched(unsigned i);
/* Free the frames a probe has kept. */
void free_held(struct probe *probe);

#endif
