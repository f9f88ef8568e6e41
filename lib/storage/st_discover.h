/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Who is there? Sends DISC QUERY frames on a NIC and hands out what the ADVERT frames say. One
 * discovery at a time per NIC.
 */

#ifndef ST_DISCOVER_H
#define ST_DISCOVER_H

#include "mpn_nic.h"
#include "wire_ebd.h"

struct st_discover;

/* One volume of an ADVERT; volume NULL: the target at mac has none. */
typedef void (*st_discover_cb)(void *arg, const uint8_t mac[6], const struct wire_advert *advert,
	const struct wire_advert_volume *volume);

/*
 * Start to listen; client_uuid is who asks. NULL with errno ENODEV (no storage personality), EBUSY (one is under way), EINVAL
 * (name), ENOMEM.
 */
struct st_discover *st_discover_start(struct mpn_nic *nic, const char *volume,
	const uint8_t client_uuid[16], st_discover_cb cb, void *arg);
/* Send the question in the next round of the NIC: to everybody, again and again as the caller likes. */
void st_discover_ask(struct st_discover *d);
/* Stop to listen. NULL is allowed. */
void st_discover_stop(struct st_discover *d);

#endif
