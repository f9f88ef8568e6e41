/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>
#include <string.h>

#include "ebd_discover.h"

#define ASK_AGAIN_NS (250ull * 1000 * 1000)
#define SILENCE_NS (200ull * 1000 * 1000) /* after the last answer */
#define MAX_ADVERTS 65536u /* whatever is said on the wire */

static bool
is_known(const struct ebd_collector *k, const struct wire_advert *a, const char *name)
{
	unsigned i;

	for (i = 0; i < k->nb; i++) {
		if (memcmp(k->adverts[i].target_uuid, a->target_uuid, sizeof(a->target_uuid)) ==
				0 &&
			strcmp(k->adverts[i].name, name) == 0)
			return true;
	}
	return false;
}

static struct ebd_advert *
add_advert(struct ebd_collector *k)
{
	struct ebd_advert *bigger;
	unsigned size;

	if (k->nb == k->size) {
		size = k->size == 0 ? 64 : 2 * k->size;
		bigger = size <= MAX_ADVERTS ? realloc(k->adverts, size * sizeof(*bigger)) : NULL;
		if (bigger == NULL) {
			k->no_memory = true;
			return NULL;
		}
		k->adverts = bigger;
		k->size = size;
	}
	memset(&k->adverts[k->nb], 0, sizeof(k->adverts[k->nb]));
	return &k->adverts[k->nb++];
}

static void
on_advert(void *arg, const uint8_t mac[6], const struct wire_advert *a,
	const struct wire_advert_volume *v)
{
	struct ebd_collector *k = arg;
	struct ebd_advert *e;

	if (v == NULL ? k->answers > 0 : is_known(k, a, v->name))
		return;
	k->answers++;
	k->last_ns = mpn_now_ns();
	e = v != NULL ? add_advert(k) : NULL;
	if (e == NULL)
		return;
	memcpy(e->name, v->name, sizeof(e->name));
	e->size = v->size;
	e->block_size = v->block_size;
	e->read_only = (v->flags & WIRE_VOL_READONLY) != 0;
	memcpy(e->target_mac, mac, sizeof(e->target_mac));
	memcpy(e->target_uuid, a->target_uuid, sizeof(e->target_uuid));
}
static_assert(EBD_NAME_LEN == WIRE_EBD_NAME_LEN, "names are the same here and on the wire");

int
ebd_collector_init(struct ebd_collector *k, struct ebd_client *c)
{
	memset(k, 0, sizeof(*k));
	k->discover = st_discover_start(c->nic, NULL, c->uuid, on_advert, k);
	if (k->discover == NULL)
		return mpn_log_err(errno, "ebd", "link '%s': cannot ask who is there: %s", c->link,
			strerror(errno));
	return 0;
}

void
ebd_collector_round(struct ebd_collector *k)
{
	uint64_t now = mpn_now_ns();

	if (now < k->next_ask_ns)
		return;
	st_discover_ask(k->discover);
	k->next_ask_ns = now + ASK_AGAIN_NS;
}

bool
ebd_collector_is_complete(const struct ebd_collector *k)
{
	return k->answers > 0 && mpn_now_ns() - k->last_ns >= SILENCE_NS;
}

bool
ebd_collector_has(const struct ebd_collector *k, const char *volume)
{
	unsigned i;

	for (i = 0; i < k->nb; i++) {
		if (strcmp(k->adverts[i].name, volume) == 0)
			return true;
	}
	return false;
}

void
ebd_collector_fini(struct ebd_collector *k)
{
	st_discover_stop(k->discover);
	free(k->adverts);
	memset(k, 0, sizeof(*k));
}

int
ebd_discover(struct ebd_client *c, struct ebd_advert *adverts, unsigned max, uint32_t timeout_ms)
{
	uint64_t ms = timeout_ms != 0 ? timeout_ms : c->conf.connect_timeout_ms;
	uint64_t deadline = mpn_now_ns() + ms * 1000000;
	struct ebd_collector k;
	int rc;

	if (ebd_client_is_busy(c, "ebd_discover"))
		return -EDEADLK;
	rc = ebd_collector_init(&k, c);
	if (rc < 0)
		return rc;
	while (rc == 0 && !ebd_collector_is_complete(&k) && mpn_now_ns() < deadline) {
		ebd_collector_round(&k);
		rc = ebd_client_wait_round(c);
	}
	if (rc < 0)
		(void)mpn_log_err(-rc, "ebd", "link '%s': interrupted", c->link);
	else if (k.answers == 0)
		rc = mpn_log_err(ETIMEDOUT, "ebd", "link '%s': nobody answered within %llu ms",
			c->link, (unsigned long long)ms);
	else if (k.no_memory)
		rc = mpn_log_err(ENOMEM, "ebd", "link '%s': too many volumes", c->link);
	else
		rc = (int)k.nb;
	if (rc > 0 && max > 0)
		memcpy(adverts, k.adverts, MPN_MIN(k.nb, max) * sizeof(*adverts));
	ebd_collector_fini(&k);
	return rc;
}
