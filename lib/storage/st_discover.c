/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <stdlib.h>
#include <string.h>

#include "mpn_parse.h"
#include "st_nic.h"

struct st_discover {
	struct st_nic *nic; /* NULL: the personality was unloaded */
	struct wire_disc_query query;
	uint32_t tag;
	bool ask;
	st_discover_cb cb;
	void *arg;
};

struct st_discover *
st_discover_start(struct mpn_nic *nic, const char *volume, const uint8_t client_uuid[16],
	st_discover_cb cb, void *arg)
{
	static uint16_t generation;
	struct st_nic *n = st_nic_running(nic);
	struct st_discover *d;

	if (n == NULL)
		return mpn_err_null(ENODEV);
	if (n->discover != NULL)
		return mpn_err_null(EBUSY);
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return mpn_err_null(ENOMEM);
	if (volume != NULL && mpn_copy_str(d->query.name, sizeof(d->query.name), volume) < 0) {
		free(d);
		return mpn_err_null(EINVAL);
	}
	memcpy(d->query.client_uuid, client_uuid, sizeof(d->query.client_uuid));
	if (mpn_personality_pin(n->pers) < 0) {
		free(d);
		return mpn_err_null(EBUSY);
	}
	d->nic = n;
	d->tag = wire_tag(ST_DISCOVER_INDEX * XFER_MAX_DEPTH,
		__atomic_add_fetch(&generation, 1, __ATOMIC_RELAXED));
	d->cb = cb;
	d->arg = arg;
	n->discover = d;
	return d;
}

void
st_discover_ask(struct st_discover *d)
{
	d->ask = true;
}

void
st_discover_end(struct st_nic *n)
{
	if (n->discover == NULL)
		return;
	mpn_personality_unpin(n->pers);
	n->discover->nic = NULL;
	n->discover = NULL;
}

void
st_discover_stop(struct st_discover *d)
{
	if (d == NULL)
		return;
	if (d->nic != NULL)
		st_discover_end(d->nic);
	free(d);
}

unsigned
st_discover_poll(struct st_nic *n)
{
	struct st_discover *d = n->discover;
	struct xfer_tx tx = {.hdr_len = WIRE_EBD_HDR_LEN + sizeof(d->query), .seal = true};
	struct wire_ebd h = {
		.dst = WIRE_EBD_MULTICAST,
		.ethertype = rte_be_to_cpu_16(n->ethertype_to_target),
		.ver_kind = wire_ebd_ver_kind(WIRE_DISC),
		.op = WIRE_DISC_QUERY,
		.tag = d->tag,
		.plen = sizeof(d->query),
		.flags = WIRE_F_CRC,
	};

	if (!d->ask)
		return 0;
	tx.hdr = st_frame_begin(n);
	if (tx.hdr == NULL)
		return 0;
	memcpy(h.src, n->info.mac, sizeof(h.src));
	wire_ebd_store(tx.hdr, &h);
	memcpy((uint8_t *)tx.hdr + WIRE_EBD_HDR_LEN, &d->query, sizeof(d->query));
	st_frame_bare(n, &tx);
	d->ask = false;
	return 1;
}

static bool
is_our_advert(const struct st_discover *d, const struct wire_ebd *h, const struct xfer_rx *rx)
{
	uint32_t crc;

	if (wire_ebd_check(h, rx->len) != WIRE_ACCEPT || wire_ebd_kind(h) != WIRE_DISC ||
		h->op != WIRE_DISC_ADVERT || h->tag != d->tag || !(h->flags & WIRE_F_CRC))
		return false;
	crc = wire_crc_add(wire_crc_begin(rx->hdr), rx->payload, h->plen);
	return wire_crc_end(crc) == h->crc;
}

void
st_discover_rx(struct st_nic *n, const struct xfer_rx *rx)
{
	struct st_discover *d = n->discover;
	const uint8_t *at = rx->payload;
	struct wire_advert_volume v;
	struct wire_advert a;
	struct wire_ebd h = {0};
	uint32_t left;

	if (rx->len >= WIRE_EBD_HDR_LEN)
		wire_ebd_load(&h, rx->hdr);
	if (!is_our_advert(d, &h, rx))
		return;
	memcpy(&a, at, sizeof(a));
	left = h.plen - (uint32_t)sizeof(a);
	at += sizeof(a);
	if (left == 0)
		d->cb(d->arg, h.src, &a, NULL);
	for (; left >= sizeof(v); left -= (uint32_t)sizeof(v), at += sizeof(v)) {
		memcpy(&v, at, sizeof(v));
		v.name[sizeof(v.name) - 1] = '\0';
		d->cb(d->arg, h.src, &a, &v);
	}
}
