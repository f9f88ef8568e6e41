/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What both engines share; private to lib/xfer. */

#ifndef XFER_INT_H
#define XFER_INT_H

#include "xfer.h"
#include "xfer_mutant.h"

#define XFER_NSEC_PER_USEC 1000u
#define XFER_NSEC_PER_MSEC 1000000u

/* A fragment this far behind the newest one is taken for lost: less is reordering. */
#define XFER_REORDER 3

/* Wire clock: microseconds, modulo 2^32. */
static inline uint32_t
xfer_us(uint64_t now_ns)
{
	return (uint32_t)(now_ns / XFER_NSEC_PER_USEC);
}

static inline bool
xfer_mac_equal(const uint8_t a[6], const uint8_t b[6])
{
	return memcmp(a, b, 6) == 0;
}

static inline bool
xfer_mac_zero(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return xfer_mac_equal(mac, zero);
}

/* Frames without a session, and those that make one, always carry a checksum. */
static inline bool
xfer_always_sealed(const struct wire_ebd *h)
{
	return h->sid == 0 || wire_ebd_kind(h) <= WIRE_CTRL;
}

/* Checksum as the session has it: there and right, or not there. */
static inline enum wire_drop
xfer_check_crc(const struct wire_ebd *h, const struct xfer_rx *rx, bool sealed)
{
	uint32_t crc;

	if (!sealed)
		return h->flags & WIRE_F_CRC ? WIRE_DROP_FLAGS : WIRE_ACCEPT;
	if (!(h->flags & WIRE_F_CRC))
		return WIRE_DROP_CRC;
	crc = wire_crc_begin(rx->hdr);
	if (h->plen > 0)
		crc = wire_crc_add(crc, rx->payload, h->plen);
	return wire_crc_end(crc) == h->crc || XFER_MUTATE(no_crc) ? WIRE_ACCEPT : WIRE_DROP_CRC;
}

/*
 * Which of the expected fragments have been overtaken: idx just arrived, frames of a command are
 * sent in order, so what is far enough below it (anything, when it was the last one) is lost.
 */
static inline uint64_t
xfer_overtaken(uint64_t expected, uint64_t got, uint32_t idx, bool last)
{
	uint32_t below = last ? idx : idx > XFER_REORDER ? idx - XFER_REORDER : 0;

	return expected & ~got & wire_frag_mask(below);
}

/* Which fragment begins at off? Most are the first of their command: they are spared the division. */
static inline bool
xfer_frag_at(uint32_t off, uint32_t p, uint32_t *idx)
{
	*idx = off == 0 ? 0 : off / p;
	return *idx * p == off;
}

/* Bytes fragment idx of a command of len bytes has. */
static inline uint32_t
xfer_frag_len(uint32_t len, uint32_t p, uint32_t idx)
{
	uint32_t rest = len - idx * p;

	return rest < p ? rest : p;
}

/* The fragments that have a part of block b of the command. */
static inline uint64_t
xfer_block_frags(uint32_t block_size, uint32_t p, uint32_t b)
{
	uint32_t first = b * block_size / p;
	uint32_t last = ((b + 1) * block_size - 1) / p;

	return wire_frag_mask(last + 1) & ~wire_frag_mask(first);
}

/*
 * Headers are filled in where they stand in their frames. Made elsewhere and copied, their fields would
 * be read back wider than they were written, and the processor would wait for the writes to end.
 */
static inline struct wire_ebd *
xfer_tx_header(const struct xfer_tx *tx)
{
	return tx->hdr;
}

/* The header is whole; count the frame. */
static inline void
xfer_tx_finish(struct xfer_tx *tx, struct xfer_stats *stats, bool sealed)
{
	struct wire_ebd *h = xfer_tx_header(tx);

	if (sealed)
		h->flags |= WIRE_F_CRC;
	h->plen = (uint16_t)(tx->hdr_len - WIRE_EBD_HDR_LEN + tx->data_len);
	wire_ebd_to_wire(h);
	tx->seal = sealed;
	stats->tx_frames++;
	stats->tx_bytes += tx->data_len;
	if (tx->retx)
		stats->retransmits++;
}

#endif
