/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* GPT as in UEFI 2.10, chapter 5; MBR with logical partitions as everybody writes it. */

#include <errno.h>
#include <string.h>

#include "mpn_err.h"
#include "partition_table.h"

#define SECTOR 512u
#define MBR_ENTRY 446
#define MBR_LOGICAL_MAX 64 /* links of the chain that are followed */
#define GPT_HEADER 92
#define GPT_ENTRIES_MAX 1024
#define GPT_ENTRY_MAX 4096

static uint32_t
get32(const uint8_t *b)
{
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t
get64(const uint8_t *b)
{
	return get32(b) | (uint64_t)get32(b + 4) << 32;
}

/* CRC-32 of IEEE 802.3, which GPT uses; tables are read once, so bit by bit will do. */
static uint32_t
add_crc(uint32_t crc, const uint8_t *b, size_t len)
{
	unsigned i;

	while (len-- > 0) {
		crc ^= *b++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (0xedb88320 & -(crc & 1));
	}
	return crc;
}

static int
read_disk(const struct part_disk *d, uint64_t off, void *buf, size_t len)
{
	if (off > d->size || len > d->size - off)
		return -EBADMSG;
	return d->read(d->ctx, off, buf, len);
}

/* Add [start, start + nb) in sectors, if there is room and it is inside the disk. */
static void
add_part(const struct part_disk *d, struct part_list *list, unsigned number, uint64_t start,
	uint64_t nb, uint32_t sector)
{
	struct part *p = &list->parts[list->nb];

	if (list->nb == PART_MAX || start == 0 || nb == 0)
		return;
	if (start > d->size / sector || nb > d->size / sector - start)
		return;
	p->off = start * sector;
	p->len = nb * sector;
	p->number = number;
	list->nb++;
}

/* ---- GPT ---- */

static int
read_entries(const struct part_disk *d, struct part_list *list, const uint8_t *h, uint32_t sector)
{
	static const uint8_t unused[16];
	uint64_t first_usable = get64(h + 40), last_usable = get64(h + 48);
	uint64_t lba = get64(h + 72);
	uint32_t nb = get32(h + 80), size = get32(h + 84);
	uint32_t crc = 0xffffffff;
	uint8_t entry[GPT_ENTRY_MAX];
	uint32_t i;
	int rc;

	if (nb == 0 || nb > GPT_ENTRIES_MAX || size < 128 || size > GPT_ENTRY_MAX ||
		(size & (size - 1)) != 0 || lba < 2 || lba > d->size / sector)
		return -EBADMSG;
	list->nb = 0;
	for (i = 0; i < nb; i++) {
		uint64_t first, last;

		rc = read_disk(d, lba * sector + (uint64_t)i * size, entry, size);
		if (rc != 0)
			return rc;
		crc = add_crc(crc, entry, size);
		first = get64(entry + 32);
		last = get64(entry + 40);
		if (memcmp(entry, unused, 16) == 0 || first < first_usable || last > last_usable ||
			first > last)
			continue;
		add_part(d, list, i + 1, first, last - first + 1, sector);
	}
	return ~crc == get32(h + 88) ? 0 : -EBADMSG;
}

/* The header at sector lba. */
static int
read_gpt_at(const struct part_disk *d, struct part_list *list, uint64_t lba, uint32_t sector)
{
	uint8_t h[SECTOR];
	uint32_t size, crc;
	int rc;

	if (lba > d->size / sector)
		return -ENOENT;
	rc = read_disk(d, lba * sector, h, sizeof(h));
	if (rc != 0)
		return rc == -EBADMSG ? -ENOENT : rc;
	if (memcmp(h, "EFI PART", 8) != 0)
		return -ENOENT;
	size = get32(h + 12);
	crc = get32(h + 16);
	if (size < GPT_HEADER || size > sizeof(h) || get64(h + 24) != lba)
		return -EBADMSG;
	memset(h + 16, 0, 4);
	if (~add_crc(0xffffffff, h, size) != crc)
		return -EBADMSG;
	list->kind = "GPT";
	return read_entries(d, list, h, sector);
}

static int
read_gpt(const struct part_disk *d, struct part_list *list)
{
	uint32_t sector;
	int found = -ENOENT;

	for (sector = 512; sector <= 4096; sector *= 8) {
		int rc = read_gpt_at(d, list, 1, sector);

		/* The copy at the end is there for this. */
		if (rc != 0 && d->size / sector > 2) {
			int copy = read_gpt_at(d, list, d->size / sector - 1, sector);

			rc = copy == 0 || rc == -ENOENT ? copy : rc;
		}
		if (rc == 0)
			return 0;
		if (rc != -ENOENT)
			found = rc;
	}
	return found;
}

/* ---- MBR ---- */

static bool
is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

static bool
has_signature(const uint8_t *sector)
{
	return sector[510] == 0x55 && sector[511] == 0xaa;
}

/*
 * Each link is a sector with two entries: the partition, relative to the link, and the next link,
 * relative to the extended partition. The bound ends a ring.
 */
static int
read_logical(const struct part_disk *d, struct part_list *list, uint64_t base, uint64_t nb)
{
	uint64_t link = base;
	unsigned number = 5;
	unsigned i;

	for (i = 0; i < MBR_LOGICAL_MAX; i++) {
		uint8_t s[SECTOR];
		const uint8_t *e = s + MBR_ENTRY, *next = e + 16;
		int rc;

		if (link > d->size / SECTOR)
			return -EBADMSG;
		rc = read_disk(d, link * SECTOR, s, sizeof(s));
		if (rc != 0)
			return rc;
		if (!has_signature(s))
			return i == 0 ? 0 : -EBADMSG;
		if (e[4] != 0 && !is_extended(e[4]))
			add_part(d, list, number++, link + get32(e + 8), get32(e + 12), SECTOR);
		if (!is_extended(next[4]) || get32(next + 12) == 0)
			return 0;
		if (get32(next + 8) == 0 || get32(next + 8) >= nb)
			return -EBADMSG;
		link = base + get32(next + 8);
	}
	return -EBADMSG;
}

static int
read_mbr(const struct part_disk *d, struct part_list *list, bool *protective)
{
	uint8_t s[SECTOR];
	unsigned i;
	int rc = read_disk(d, 0, s, sizeof(s));

	if (rc != 0)
		return rc == -EBADMSG ? -ENOENT : rc;
	*protective = false;
	if (!has_signature(s))
		return -ENOENT;
	list->kind = "MBR";
	for (i = 0; i < 4; i++) {
		const uint8_t *e = s + MBR_ENTRY + 16 * i;

		*protective |= e[4] == 0xee;
		/* A boot sector of a file system has the signature, too, and something else here. */
		if ((e[0] & 0x7f) != 0)
			return -ENOENT;
		if (e[4] != 0 && !is_extended(e[4]) && e[4] != 0xee)
			add_part(d, list, i + 1, get32(e + 8), get32(e + 12), SECTOR);
	}
	for (i = 0; i < 4; i++) {
		const uint8_t *e = s + MBR_ENTRY + 16 * i;

		if (is_extended(e[4]) && get32(e + 8) != 0)
			return read_logical(d, list, get32(e + 8), get32(e + 12));
	}
	return 0;
}

int
part_table_read(const struct part_disk *d, struct part_list *list)
{
	bool protective = false;
	int rc;

	list->nb = 0;
	rc = read_mbr(d, list, &protective);
	if (rc == 0 && !protective)
		return 0;
	if (rc != 0 && rc != -ENOENT)
		return rc;
	list->nb = 0;
	rc = read_gpt(d, list);
	/* It says that there is one. */
	return rc == -ENOENT && protective ? -EBADMSG : rc;
}
