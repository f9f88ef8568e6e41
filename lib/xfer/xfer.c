/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "xfer.h"

void
xfer_tx_seal(struct xfer_tx *tx, const struct xfer_seg *segs, unsigned nb_segs)
{
	uint32_t crc = wire_crc_begin(tx->hdr);
	unsigned i;

	if (tx->hdr_len > WIRE_EBD_HDR_LEN)
		crc = wire_crc_add(
			crc, (uint8_t *)tx->hdr + WIRE_EBD_HDR_LEN, tx->hdr_len - WIRE_EBD_HDR_LEN);
	for (i = 0; i < nb_segs; i++)
		crc = wire_crc_add(crc, segs[i].base, segs[i].len);
	wire_crc_store(tx->hdr, wire_crc_end(crc));
}
