/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* partition, slice: a part of the volume below, by its table or by hand. */

#include <stdlib.h>
#include <string.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "partition_table.h"
#include "volume_kinds.h"
#include "volume_util.h"

#define PARTITION_DEPTH 256
#define BLOCK_MAX 65536u
#define NUMBER_MAX 1024

/* A request below has another offset, and the caller's stays as it is. */
struct partition_slot {
	struct vol_io *io;
	struct vol_io sub;
	struct partition_slot *next;
};

struct partition_priv {
	uint64_t off; /* bytes */
	struct partition_slot *free;
	struct partition_slot slots[PARTITION_DEPTH];
};

/* ---- Finding it ---- */

struct reader {
	struct volume *v;
	uint8_t *block;
};

/* The volume reads whole blocks. */
static int
read_bytes(void *ctx, uint64_t off, void *buf, size_t len)
{
	struct reader *r = ctx;
	uint32_t size = vol_get_info(r->v)->block_size;
	uint8_t *pos = buf;

	while (len > 0) {
		size_t skip = (size_t)(off % size);
		size_t n = MPN_MIN(size - skip, len);
		int rc = vol_run(r->v, VOL_READ, off - skip, r->block, size);

		if (rc != 0)
			return rc;
		memcpy(pos, r->block + skip, n);
		pos += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int
refuse_number(const struct volume *v, const struct part_list *list, uint64_t number)
{
	char text[256] = "none";
	size_t used = 0;
	unsigned i;

	for (i = 0; i < list->nb && used < sizeof(text) - 8; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", i > 0 ? " " : "",
			list->parts[i].number);
	return mpn_log_err(ENOENT, "volume", "'%s': no partition %llu, its %s has %s", vol_spec(v),
		(unsigned long long)number, list->kind, text);
}

static int
find_partition(struct volume *v, const struct part_list *list, uint64_t number)
{
	struct partition_priv *p = vol_priv(v);
	struct vol_info *info = vol_info_rw(v);
	unsigned i;

	for (i = 0; i < list->nb && list->parts[i].number != number; i++)
		;
	if (i == list->nb)
		return refuse_number(v, list, number);
	p->off = list->parts[i].off;
	if (p->off % info->block_size != 0 || list->parts[i].len < info->block_size)
		return mpn_log_err(EINVAL, "volume",
			"'%s': partition %llu starts within a block of %u bytes", vol_spec(v),
			(unsigned long long)number, info->block_size);
	info->size = list->parts[i].len & ~(uint64_t)(info->block_size - 1);
	info->uuid[0] ^= (uint8_t)number;
	info->uuid[1] ^= 0x70;
	return 0;
}

static int
read_table(struct volume *v, uint64_t number)
{
	struct reader r = {.v = vol_lower(v)};
	struct part_disk disk = {.size = vol_get_info(r.v)->size, .read = read_bytes, .ctx = &r};
	struct part_list *list = calloc(1, sizeof(*list));
	int rc;

	r.block = aligned_alloc(4096, BLOCK_MAX);
	if (list == NULL || r.block == NULL || vol_get_info(r.v)->block_size > BLOCK_MAX)
		rc = mpn_log_err(ENOMEM, "volume", "'%s': out of memory", vol_spec(v));
	else if ((rc = part_table_read(&disk, list)) == 0)
		rc = find_partition(v, list, number);
	else if (rc == -ENOENT)
		rc = mpn_log_err(ENOENT, "volume", "'%s': no partition table, neither GPT nor MBR",
			vol_spec(v));
	else if (rc == -EBADMSG)
		rc = mpn_log_err(
			EINVAL, "volume", "'%s': its partition table is damaged", vol_spec(v));
	else
		rc = mpn_log_err(-rc, "volume", "'%s': cannot read its partition table: %s",
			vol_spec(v), strerror(-rc));
	free(r.block);
	free(list);
	return rc;
}

static void
make_slots(struct volume *v)
{
	struct partition_priv *p = vol_priv(v);
	unsigned i;

	for (i = 0; i < PARTITION_DEPTH; i++) {
		p->slots[i].next = p->free;
		p->free = &p->slots[i];
	}
}

static int
partition_open(struct volume *v, const char *spec)
{
	char args[64], key[16], value[32];
	const char *lower = vol_split_filter(v, spec, args, sizeof(args));
	const char *cursor = args;
	uint64_t number = 0;
	int rc;

	if (lower == NULL)
		return -EINVAL;
	while ((rc = mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value))) == 1) {
		if (strcmp(key, "partition") != 0 ||
			mpn_parse_u64(value, 1, NUMBER_MAX, &number) != 0)
			return vol_bad_arg(v, key, value, "partition=N, N from 1 to 1024");
	}
	if (rc != 0 || number == 0)
		return vol_bad_arg(v, "", args, "partition:partition=N:SPEC");
	make_slots(v);
	rc = vol_open_lower(v, lower, 0);
	return rc != 0 ? rc : read_table(v, number);
}

/* ---- Requests ---- */

static void
sub_done(struct vol_io *sub, int status)
{
	struct partition_slot *slot = sub->user;
	struct vol_io *io = slot->io;
	struct partition_priv *p = vol_priv(io->owner);

	slot->next = p->free;
	p->free = slot;
	vol_complete(io, status);
}

static int
partition_submit(struct volume *v, struct vol_io *io)
{
	struct partition_priv *p = vol_priv(v);
	struct partition_slot *slot = p->free;

	if (slot == NULL)
		return -EAGAIN;
	p->free = slot->next;
	slot->io = io;
	slot->sub = (struct vol_io){.op = io->op,
		.flags = io->flags,
		.off = io->op == VOL_FLUSH ? 0 : io->off + p->off,
		.len = io->len,
		.iov = io->iov,
		.iovcnt = io->iovcnt,
		.done = sub_done,
		.user = slot};
	/* The layer has checked it, with what is the volume's below; it can only be taken. */
	if (vol_submit(vol_lower(v), &slot->sub) == 0)
		return 0;
	slot->next = p->free;
	p->free = slot;
	return -EAGAIN;
}

static void *
partition_map(struct volume *v, uint64_t off, uint64_t len)
{
	const struct partition_priv *p = vol_priv(v);

	return vol_map(vol_lower(v), p->off + off, len);
}

/* ---- By hand ---- */

static int
cut_slice(struct volume *v, uint64_t off, uint64_t size)
{
	struct partition_priv *p = vol_priv(v);
	struct vol_info *info = vol_info_rw(v);
	unsigned i;

	if (off >= info->size || size > info->size - off)
		return mpn_log_err(EINVAL, "volume",
			"'%s': ends behind the volume below, which has %llu bytes", vol_spec(v),
			(unsigned long long)info->size);
	if (size == 0)
		size = info->size - off;
	if (off % info->block_size != 0 || size % info->block_size != 0)
		return mpn_log_err(EINVAL, "volume", "'%s': expected multiples of %u bytes",
			vol_spec(v), info->block_size);
	p->off = off;
	info->size = size;
	info->uuid[1] ^= 0x73;
	/* Slices of one volume are volumes of their own. */
	for (i = 0; i < sizeof(off); i++) {
		info->uuid[2 + i] ^= (uint8_t)(off >> 8 * i);
		info->uuid[8 + i] ^= (uint8_t)(size >> 8 * i);
	}
	return 0;
}

static int
slice_open(struct volume *v, const char *spec)
{
	char args[64], key[16], value[32];
	const char *lower = vol_split_filter(v, spec, args, sizeof(args));
	const char *cursor = args;
	uint64_t off = 0, size = 0;
	int rc;

	if (lower == NULL)
		return -EINVAL;
	while ((rc = mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value))) == 1) {
		if (strcmp(key, "off") == 0)
			rc = mpn_parse_size(value, 0, INT64_MAX, &off);
		else if (strcmp(key, "size") == 0)
			rc = mpn_parse_size(value, 1, INT64_MAX, &size);
		else
			rc = -EINVAL;
		if (rc != 0)
			return vol_bad_arg(v, key, value, "off=SIZE, size=SIZE");
	}
	if (rc != 0)
		return vol_bad_arg(v, "", args, "slice:off=SIZE[,size=SIZE]:SPEC");
	make_slots(v);
	rc = vol_open_lower(v, lower, 0);
	return rc != 0 ? rc : cut_slice(v, off, size);
}

const struct vol_ops vol_slice_ops = {
	.name = "slice",
	.synopsis = "slice:off=SIZE[,size=SIZE]:SPEC",
	.help = "a part of a volume; without a size up to its end",
	.filter = true,
	.priv_size = sizeof(struct partition_priv),
	.open = slice_open,
	.submit = partition_submit,
	.map = partition_map,
};

const struct vol_ops vol_partition_ops = {
	.name = "partition",
	.synopsis = "partition:partition=N:SPEC",
	.help = "one partition of a disk with a GPT or an MBR; logical ones from 5 on",
	.filter = true,
	.priv_size = sizeof(struct partition_priv),
	.open = partition_open,
	.submit = partition_submit,
	.map = partition_map,
};
