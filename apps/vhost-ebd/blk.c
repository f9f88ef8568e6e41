/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <endian.h>
#include <string.h>

#include "blk.h"

#define GO_ON (-1)

/* ---- Where things are ---- */

/* Take n bytes away from the front. */
static void
skip_front(struct blk_request *r, uint64_t n)
{
	while (n > 0 && n >= r->iov->iov_len) {
		n -= r->iov->iov_len;
		r->iov++;
		r->nb_iov--;
	}
	if (n > 0) {
		r->iov->iov_base = (uint8_t *)r->iov->iov_base + n;
		r->iov->iov_len -= n;
	}
}

/* The status is the last byte the device writes. */
static void
take_status(struct chain *c, struct blk_request *r)
{
	struct iovec *last = &c->iov[c->nb_out + c->nb_in - 1];

	r->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	r->written = (uint32_t)c->in_len;
	last->iov_len--;
	c->in_len--;
	if (last->iov_len == 0)
		c->nb_in--;
}

static void
data_in(const struct chain *c, struct blk_request *r)
{
	r->iov = (struct iovec *)(uintptr_t)&c->iov[c->nb_out];
	r->nb_iov = c->nb_in;
}

static void
data_out(const struct chain *c, struct blk_request *r)
{
	r->iov = (struct iovec *)(uintptr_t)c->iov;
	r->nb_iov = c->nb_out;
	skip_front(r, sizeof(struct virtio_blk_outhdr));
}

/* ---- What it asks for ---- */

/* Sectors to bytes of the volume. False: not on it, or not whole blocks. */
static bool
set_range(const struct blk_volume *v, uint64_t sector, uint64_t len, struct blk_range *range)
{
	uint64_t size = v->info.size;

	if (sector > size / BLK_SECTOR)
		return false;
	range->off = sector * BLK_SECTOR;
	range->len = len;
	return len > 0 && len <= size - range->off && range->off % v->info.block_size == 0 &&
	       len % v->info.block_size == 0;
}

/* Without a flush to come, an answer is a promise. */
static void
make_durable(const struct blk_volume *v, struct blk_request *r, struct blk_range *range)
{
	if (v->write_back || !v->info.can_flush)
		return;
	if (v->info.can_fua)
		range->flags |= EBD_FUA;
	else
		r->flush_after = true;
}

static int
parse_read(
	const struct blk_volume *v, const struct chain *c, uint64_t sector, struct blk_request *r)
{
	data_in(c, r);
	r->op = BLK_READ;
	r->nb_ranges = 1;
	return set_range(v, sector, c->in_len, &r->ranges[0]) ? GO_ON : VIRTIO_BLK_S_IOERR;
}

static int
parse_write(
	const struct blk_volume *v, const struct chain *c, uint64_t sector, struct blk_request *r)
{
	data_out(c, r);
	r->op = BLK_WRITE;
	r->nb_ranges = 1;
	if (v->info.read_only ||
		!set_range(v, sector, c->out_len - sizeof(struct virtio_blk_outhdr), &r->ranges[0]))
		return VIRTIO_BLK_S_IOERR;
	make_durable(v, r, &r->ranges[0]);
	return GO_ON;
}

static int
parse_flush(
	const struct blk_volume *v, const struct chain *c, uint64_t sector, struct blk_request *r)
{
	/* Nothing, and then a flush. What needs no flush has it done. */
	r->op = BLK_FLUSH;
	r->flush_after = true;
	return v->info.can_flush ? GO_ON : VIRTIO_BLK_S_OK;
}

static int
parse_get_id(
	const struct blk_volume *v, const struct chain *c, uint64_t sector, struct blk_request *r)
{
	data_in(c, r);
	(void)guest_scatter(r->iov, r->nb_iov, v->serial, sizeof(v->serial));
	return VIRTIO_BLK_S_OK;
}

/* The ranges of a discard or a write-zeroes request, with what their flags mean. */
static int
parse_ranges(const struct blk_volume *v, const struct chain *c, struct blk_request *r)
{
	struct virtio_blk_discard_write_zeroes in[BLK_RANGES];
	uint64_t len = c->out_len - sizeof(struct virtio_blk_outhdr);
	uint32_t flags;
	unsigned i;

	if (len == 0 || len % sizeof(in[0]) != 0 || len > sizeof(in))
		return VIRTIO_BLK_S_IOERR;
	(void)guest_gather(c->iov, c->nb_out, sizeof(struct virtio_blk_outhdr), in, len);
	r->nb_ranges = (unsigned)(len / sizeof(in[0]));
	for (i = 0; i < r->nb_ranges; i++) {
		flags = le32toh(in[i].flags);
		if (flags & ~(r->op == BLK_ZERO ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u))
			return VIRTIO_BLK_S_UNSUPP;
		if (!set_range(v, le64toh(in[i].sector),
			    (uint64_t)le32toh(in[i].num_sectors) * BLK_SECTOR, &r->ranges[i]))
			return VIRTIO_BLK_S_IOERR;
		r->ranges[i].flags = r->op == BLK_ZERO && flags == 0 ? EBD_NOHOLE : 0;
	}
	return GO_ON;
}

static int
parse_discard(
	const struct blk_volume *v, const struct chain *c, uint64_t sector, struct blk_request *r)
{
	r->op = BLK_DISCARD;
	if (!v->info.can_discard)
		return VIRTIO_BLK_S_UNSUPP;
	return v->info.read_only ? VIRTIO_BLK_S_IOERR : parse_ranges(v, c, r);
}

static int
parse_zero(
	const struct blk_volume *v, const struct chain *c, uint64_t sector, struct blk_request *r)
{
	unsigned i;
	int rc;

	r->op = BLK_ZERO;
	if (!v->info.can_write_zeroes)
		return VIRTIO_BLK_S_UNSUPP;
	if (v->info.read_only)
		return VIRTIO_BLK_S_IOERR;
	rc = parse_ranges(v, c, r);
	for (i = 0; rc == GO_ON && i < r->nb_ranges; i++)
		make_durable(v, r, &r->ranges[i]);
	return rc;
}

static const struct {
	uint32_t type;
	int (*parse)(const struct blk_volume *v, const struct chain *c, uint64_t sector,
		struct blk_request *r);
} types[] = {
	{VIRTIO_BLK_T_IN, parse_read},
	{VIRTIO_BLK_T_OUT, parse_write},
	{VIRTIO_BLK_T_FLUSH, parse_flush},
	{VIRTIO_BLK_T_GET_ID, parse_get_id},
	{VIRTIO_BLK_T_DISCARD, parse_discard},
	{VIRTIO_BLK_T_WRITE_ZEROES, parse_zero},
};

int
blk_parse(struct chain *c, int status, const struct blk_volume *v, struct blk_request *r)
{
	struct virtio_blk_outhdr hdr;
	size_t i;

	memset(r, 0, offsetof(struct blk_request, ranges));
	r->range = 0;
	r->piece = 0;
	r->piece_off = 0;
	/* The end of a chain that was not followed to its end is not known, nor is its status byte. */
	if (status != 0 || c->nb_in == 0)
		return -EPROTO;
	take_status(c, r);
	if (guest_gather(c->iov, c->nb_out, 0, &hdr, sizeof(hdr)) < sizeof(hdr))
		return VIRTIO_BLK_S_IOERR;
	for (i = 0; i < MPN_ARRAY_SIZE(types); i++) {
		if (types[i].type != le32toh(hdr.type))
			continue;
		memset(&r->ranges[0], 0, sizeof(r->ranges[0]));
		return types[i].parse(v, c, le64toh(hdr.sector), r);
	}
	return VIRTIO_BLK_S_UNSUPP;
}

/* ---- Cutting ---- */

/* Take back what is beyond the last whole block. */
static void
trim_part(struct blk_request *r, struct blk_part *part, uint64_t extra)
{
	uint64_t n;

	part->len -= extra;
	while (extra > 0) {
		struct iovec *last = &part->iov[part->iovcnt - 1];

		n = MPN_MIN(extra, last->iov_len);
		last->iov_len -= n;
		extra -= n;
		if (last->iov_len == 0)
			part->iovcnt--;
		/* A piece that has been used up is the one before. */
		if (r->piece_off == 0)
			r->piece_off = r->iov[--r->piece].iov_len;
		r->piece_off -= n;
	}
}

static int
cut_data(struct blk_request *r, uint32_t block_size, struct blk_part *part)
{
	uint64_t n;

	part->off = r->ranges[0].off;
	part->flags = r->ranges[0].flags;
	while (r->piece < r->nb_iov && part->iovcnt < EBD_IOV_MAX && part->len < BLK_PART_MAX) {
		const struct iovec *v = &r->iov[r->piece];

		n = MPN_MIN(v->iov_len - r->piece_off, BLK_PART_MAX - part->len);
		part->iov[part->iovcnt++] =
			(struct iovec){(uint8_t *)v->iov_base + r->piece_off, n};
		part->len += n;
		r->piece_off += n;
		if (r->piece_off == v->iov_len) {
			r->piece++;
			r->piece_off = 0;
		}
	}
	trim_part(r, part, part->len % block_size);
	r->ranges[0].off += part->len;
	r->ranges[0].len -= part->len;
	return part->len > 0 ? 1 : -EINVAL;
}

int
blk_cut(struct blk_request *r, uint32_t block_size, struct blk_part *part)
{
	const struct blk_range *range;

	part->len = 0;
	part->iovcnt = 0;
	if (r->op == BLK_READ || r->op == BLK_WRITE)
		return r->ranges[0].len > 0 ? cut_data(r, block_size, part) : 0;
	if (r->range == r->nb_ranges)
		return 0;
	range = &r->ranges[r->range++];
	part->off = range->off;
	part->len = range->len;
	part->flags = range->flags;
	return 1;
}

/* ---- What the guest is told ---- */

uint8_t
blk_status(int status)
{
	if (status == 0)
		return VIRTIO_BLK_S_OK;
	return status == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}
