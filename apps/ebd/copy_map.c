/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "copy_map.h"
#include "mpn_err.h"

void
copy_map_init(struct copy_map *m, int fd, uint64_t size, uint32_t align)
{
	memset(m, 0, sizeof(*m));
	m->fd = fd;
	m->size = size;
	m->align = align;
}

/* First byte at or after off that is data; the end of the file when there is none. */
static uint64_t
seek_data(const struct copy_map *m, uint64_t off)
{
	off_t at = lseek(m->fd, (off_t)off, SEEK_DATA);

	if (at >= 0)
		return MPN_MIN((uint64_t)at, m->size);
	/* Where holes cannot be asked for there are none. */
	return errno == ENXIO ? m->size : off;
}

static uint64_t
seek_hole(const struct copy_map *m, uint64_t off)
{
	off_t at = lseek(m->fd, (off_t)off, SEEK_HOLE);

	return at > (off_t)off ? MPN_MIN((uint64_t)at, m->size) : m->size;
}

static uint64_t
round_up(const struct copy_map *m, uint64_t off)
{
	uint64_t up = (off + m->align - 1) / m->align * m->align;

	return MPN_MIN(up, m->size);
}

/* Find the extent that starts at m->off. */
static void
find_extent(struct copy_map *m)
{
	uint64_t data;

	m->hole = false;
	m->end = m->size;
	if (m->fd < 0)
		return;
	data = seek_data(m, m->off);
	if (data >= m->size || data / m->align > m->off / m->align) {
		m->hole = true;
		m->end = data >= m->size ? m->size : data / m->align * m->align;
		return;
	}
	/* At least the block off is in, even if the data in it ends at once. */
	m->end = round_up(m, MPN_MAX(seek_hole(m, data), m->off + 1));
}

bool
copy_map_next(struct copy_map *m, uint32_t max_data, uint64_t max_hole, struct copy_piece *piece)
{
	if (m->off >= m->size)
		return false;
	if (m->off >= m->end)
		find_extent(m);
	piece->off = m->off;
	piece->hole = m->hole;
	piece->len = MPN_MIN(m->end - m->off, m->hole ? max_hole : max_data);
	m->off += piece->len;
	return true;
}

static bool
is_zero(const char *p, uint32_t len)
{
	/* The first byte, and every other one equal to the one before it. */
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* Bytes of zeroes at the beginning of buf, in whole blocks. */
static uint32_t
count_zeroes(const char *buf, uint32_t len, uint32_t gran)
{
	uint32_t pos = 0;

	while (pos < len && is_zero(buf + pos, MPN_MIN(gran, len - pos)))
		pos += MPN_MIN(gran, len - pos);
	return pos;
}

uint32_t
copy_run(const void *buf, uint32_t len, uint32_t gran, uint32_t min_zero, bool *zero)
{
	const char *p = buf;
	uint32_t pos = 0;

	*zero = false;
	while (pos < len) {
		uint32_t zeroes = count_zeroes(p + pos, len - pos, gran);

		if (zeroes == len || (zeroes > 0 && zeroes >= min_zero)) {
			*zero = pos == 0;
			return pos == 0 ? zeroes : pos;
		}
		pos += zeroes;
		pos += MPN_MIN(gran, len - pos);
	}
	return len;
}
