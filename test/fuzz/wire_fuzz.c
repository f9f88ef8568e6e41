/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Frames: what passes the check can be read as its kind says, and comes out as it went in. */

#include <string.h>

#include "fuzz.h"
#include "wire_ebd.h"

static void
check_accepted(const struct wire_ebd *h, const uint8_t *data, size_t size)
{
	uint8_t back[WIRE_EBD_HDR_LEN];

	MUST(size == WIRE_EBD_HDR_LEN + (size_t)h->plen);
	MUST(strcmp(wire_kind_name(wire_ebd_kind(h)), "?") != 0);
	MUST(strcmp(wire_op_name(wire_ebd_kind(h), h->op), "?") != 0);
	wire_ebd_store(back, h);
	MUST(memcmp(back, data, sizeof(back)) == 0);
	/* All of the payload is there. */
	(void)wire_crc_end(wire_crc_add(wire_crc_begin(data), data + WIRE_EBD_HDR_LEN, h->plen));
	if (wire_ebd_kind(h) == WIRE_DISC && h->op == WIRE_DISC_ADVERT)
		MUST((h->plen - sizeof(struct wire_advert)) / sizeof(struct wire_advert_volume) <=
			WIRE_ADVERT_VOLUMES);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_ebd h = {0};
	enum wire_drop drop;

	if (size > UINT32_MAX)
		return 0;
	if (size >= WIRE_EBD_HDR_LEN)
		wire_ebd_load(&h, data);
	drop = wire_ebd_check(&h, (uint32_t)size);
	if (drop == WIRE_ACCEPT)
		check_accepted(&h, data, size);
	else
		MUST(wire_drop_name(drop)[0] != '?');
	(void)wire_status_errno((uint16_t)(h.ack >> 16));
	return 0;
}
