/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the guest is told about the device (virtio 1.2, 5.2.3 and 5.2.4). */

#include <endian.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "blk.h"

/* One range of a request says how many sectors with 32 bits. */
#define RANGE_SECTORS_MAX (1u << 22)

uint64_t
blk_features(const struct ebd_info *info)
{
	uint64_t f = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |
		     1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_BLK_F_SEG_MAX |
		     1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_TOPOLOGY |
		     1ull << VIRTIO_BLK_F_MQ;

	if (info->read_only)
		f |= 1ull << VIRTIO_BLK_F_RO;
	/*
	 * A guest that was here before the volume was made read-only has agreed on what it could do then, and could
	 * not come back to a target that offers less.
	 */
	if (info->can_flush || info->read_only)
		f |= 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_CONFIG_WCE;
	if (info->can_discard || info->read_only)
		f |= 1ull << VIRTIO_BLK_F_DISCARD;
	if (info->can_write_zeroes || info->read_only)
		f |= 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
	return f;
}

/* Blocks of the best write size, as a power of two of logical ones. */
static uint8_t
physical_exp(const struct ebd_info *info)
{
	uint8_t exp = 0;

	while (exp < 7 && (uint64_t)info->block_size << (exp + 1) <= info->phys_block)
		exp++;
	return exp;
}

void
blk_config(struct virtio_blk_config *config, const struct ebd_info *info, uint16_t queues, bool wce)
{
	uint32_t gran = MPN_MAX(info->discard_gran, info->block_size);

	memset(config, 0, sizeof(*config));
	config->capacity = htole64(info->size / BLK_SECTOR);
	config->seg_max = htole32(CHAIN_SEGMENTS);
	config->blk_size = htole32(info->block_size);
	config->physical_block_exp = physical_exp(info);
	config->min_io_size = htole16(1);
	config->opt_io_size = htole32(info->max_transfer / info->block_size);
	config->wce = wce;
	config->num_queues = htole16(queues);
	if (info->can_discard) {
		config->max_discard_sectors = htole32(RANGE_SECTORS_MAX);
		config->max_discard_seg = htole32(BLK_RANGES);
		config->discard_sector_alignment = htole32(gran / BLK_SECTOR);
	}
	if (info->can_write_zeroes) {
		config->max_write_zeroes_sectors = htole32(RANGE_SECTORS_MAX);
		config->max_write_zeroes_seg = htole32(BLK_RANGES);
		config->write_zeroes_may_unmap = 1;
	}
}
