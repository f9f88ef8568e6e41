/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "access.h"

#include <errno.h>
#include <string.h>

#include "mpn_parse.h"

int
access_parse(const char *text, struct ebd_access *who)
{
	const char *at = strchr(text, '@');
	char uuid[40];

	memset(who, 0, sizeof(*who));
	if (at == NULL)
		return mpn_parse_mac(text, who->mac) == 0 ? 0
							  : mpn_parse_uuid(text, who->client_uuid);
	if ((size_t)(at - text) >= sizeof(uuid))
		return -EINVAL;
	memcpy(uuid, text, (size_t)(at - text));
	uuid[at - text] = '\0';
	return mpn_parse_uuid(uuid, who->client_uuid) == 0 ? mpn_parse_mac(at + 1, who->mac)
							   : -EINVAL;
}
