/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The data of a read, when fragments do not end where blocks do. A fragment that was lost is read
 * again, when the volume may hold something else; a block of which one part is older than the other is
 * a value that nobody wrote. So readings have numbers, a block counts when all fragments it touches
 * came from one of them, and of a later reading only blocks that do not count yet are placed:
 *
 *   fragments    |    0    |    1    |    2    |     fragment 1 of reading 0 was lost: of reading 1,
 *   blocks       |  0  |  1  |  2  |  3  |  4  |     0, 1 and 2 come, and blocks 1 to 3 are placed
 */

#include "ini.h"

static uint32_t
nb_blocks(const struct xfer_ini *ini, const struct xfer_cmd *cmd)
{
	return cmd->len / ini->geometry.block_size;
}

static bool
is_whole(const struct xfer_cmd *cmd, uint32_t b)
{
	return cmd->whole[b / 64] >> b % 64 & 1;
}

bool
ini_read_is_split(const struct xfer_ini *ini, const struct xfer_cmd *cmd)
{
	return cmd->op == WIRE_READ && ini->p % ini->geometry.block_size != 0;
}

/* Another reading begins. False when it is older than the one that is coming in. */
bool
ini_read_begin(const struct xfer_ini *ini, struct xfer_cmd *cmd, uint16_t reading)
{
	uint64_t frags;
	uint32_t b;

	if ((int16_t)(reading - cmd->reading) < 0)
		return false;
	for (b = 0; b < nb_blocks(ini, cmd); b++) {
		frags = xfer_block_frags(ini->geometry.block_size, ini->p, b);
		if ((cmd->got & frags) == frags)
			cmd->whole[b / 64] |= 1ull << b % 64;
	}
	cmd->reading = reading;
	cmd->got = 0;
	cmd->naked = 0;
	cmd->hi = 0;
	return true;
}

/* Fragments that are still needed, of the reading that is coming in. */
uint64_t
ini_read_missing(const struct xfer_ini *ini, const struct xfer_cmd *cmd)
{
	uint64_t missing = 0;
	uint32_t b;

	if (cmd->reading == 0)
		return wire_frag_mask(ini_nb_frags(ini, cmd)) & ~cmd->got;
	for (b = 0; b < nb_blocks(ini, cmd); b++) {
		if (!is_whole(cmd, b))
			missing |= xfer_block_frags(ini->geometry.block_size, ini->p, b);
	}
	return missing & ~cmd->got;
}

/* Place what a fragment has of the blocks that do not count yet. */
void
ini_read_place(
	struct xfer_ini *ini, struct xfer_cmd *cmd, uint32_t off, const void *payload, uint32_t len)
{
	uint32_t block = ini->geometry.block_size, at, end, n;

	if (cmd->reading == 0) {
		ini->conf.place(ini->conf.ctx, cmd, off, payload, len);
		ini->stats.rx_bytes += len;
		return;
	}
	for (at = off, end = off + len; at < end; at += n) {
		n = MPN_MIN(block - at % block, end - at);
		if (is_whole(cmd, at / block))
			continue;
		ini->conf.place(ini->conf.ctx, cmd, at, (const uint8_t *)payload + (at - off), n);
		ini->stats.rx_bytes += n;
	}
}
