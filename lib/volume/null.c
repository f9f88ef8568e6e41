/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* null: reads zeroes, forgets writes. What is above it shows its own speed. */

#include <string.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "volume.h"
#include "volume_kinds.h"

struct null_priv {
	struct mpn_list pending;
};

static int
null_open(struct volume *v, const char *spec)
{
	struct null_priv *p = vol_priv(v);
	struct vol_info *info = vol_info_rw(v);

	if (mpn_parse_size(spec, 512, INT64_MAX, &info->size) != 0 || info->size % 512 != 0)
		return vol_bad_arg(v, "", spec, "a size such as 1G, a multiple of 512");
	info->block_size = 512;
	info->phys_block = 4096;
	info->discard_gran = 512;
	info->caps =
		VOL_CAP_FUA | VOL_CAP_DISCARD | VOL_CAP_WRITE_ZEROES | VOL_CAP_ZERO_AFTER_DISCARD;
	/* All null volumes of a size have the same contents for ever. */
	memcpy(info->uuid, "mpnic_nu", 8);
	memcpy(info->uuid + 8, &info->size, 8);
	mpn_list_init(&p->pending);
	return 0;
}

static int
null_submit(struct volume *v, struct vol_io *io)
{
	struct null_priv *p = vol_priv(v);

	mpn_list_add_tail(&p->pending, &io->node);
	return 0;
}

static unsigned
null_poll(struct volume *v)
{
	struct null_priv *p = vol_priv(v);
	struct mpn_list now;
	unsigned n = 0;
	int i;

	/* What the callbacks submit is for the next poll. */
	mpn_list_init(&now);
	mpn_list_splice_tail(&now, &p->pending);
	while (!mpn_list_empty(&now)) {
		struct vol_io *io = mpn_list_first(&now, struct vol_io, node);

		mpn_list_del(&io->node);
		for (i = 0; io->op == VOL_READ && i < io->iovcnt; i++)
			memset(io->iov[i].iov_base, 0, io->iov[i].iov_len);
		vol_complete(io, 0);
		n++;
	}
	return n;
}

static uint64_t
null_next_ns(struct volume *v)
{
	const struct null_priv *p = vol_priv(v);

	return mpn_list_empty(&p->pending) ? UINT64_MAX : 0;
}

const struct vol_ops vol_null_ops = {
	.name = "null",
	.synopsis = "null:SIZE",
	.help = "reads zeroes, forgets writes",
	.priv_size = sizeof(struct null_priv),
	.open = null_open,
	.submit = null_submit,
	.poll = null_poll,
	.next_ns = null_next_ns,
};
