/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdio.h>

#include "format.h"

char *
format_mac(char *buf, const uint8_t mac[6])
{
	(void)snprintf(buf, FORMAT_MAC_LEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	return buf;
}

char *
format_printable(char *buf, size_t size, const char *s)
{
	size_t n;

	for (n = 0; n + 1 < size && s[n] != '\0'; n++)
		buf[n] = s[n] >= 0x20 && s[n] < 0x7f ? s[n] : '?';
	buf[n] = '\0';
	return buf;
}

void
format_payload(struct mpn_out *o, const struct ebd_stats *st)
{
	const char *site;
	unsigned i;

	mpn_out_object(o, "payload");
	mpn_out_u64(o, "wire_bytes", st->payload_bytes);
	mpn_out_u64(o, "in_place_bytes", st->in_place_bytes);
	mpn_out_u64(o, "loaned_bytes", st->loaned_bytes);
	mpn_out_u64(o, "copied_bytes", st->copied_bytes);
	mpn_out_u64(o, "bounced_bytes", st->bounced_bytes);
	mpn_out_object(o, "sites");
	for (i = 0; (site = ebd_copy_site(i)) != NULL; i++)
		mpn_out_u64(o, site, st->site_bytes[i]);
	mpn_out_close(o);
	mpn_out_close(o);
}
