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
