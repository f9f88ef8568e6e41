/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * A guest's memory, mapped and lent to the client library: frames may refer to it, also for a while after
 * the last request has ended. So it is mapped once more, beside what the vhost library does, and goes when
 * no frame refers to it.
 */

#ifndef MAPPING_H
#define MAPPING_H

#include <stdbool.h>

#include "guest.h"
#include "mpn_list.h"

/** One file of memory. */
struct mapping {
	struct mpn_list node;
	void *base;
	size_t bytes;
	bool lent;
};

/**
 * Map size bytes at offset of fd, and lend them.
 * @param list  gets it
 * @return where they are; NULL with errno
 */
uint8_t *mapping_add(struct mpn_list *list, int fd, uint64_t offset, uint64_t size);
/** Unmap what nobody refers to any more. @return mappings that are left */
unsigned mapping_sweep(struct mpn_list *list);

#endif
