/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Partition tables: made here, by others (sfdisk where there is one), and damaged. */

#include "harness.h"

#include <unistd.h>

#include "partition_table.h"

#define DISK_BYTES (4u << 20)

static uint8_t disk[DISK_BYTES];
static struct part_list list;

static int
read_memory(void *ctx, uint64_t off, void *buf, size_t len)
{
	assert_true(off <= DISK_BYTES && len <= DISK_BYTES - off);
	memcpy(buf, disk + off, len);
	return 0;
}

static int
read_table(void)
{
	const struct part_disk d = {.size = DISK_BYTES, .read = read_memory};

	return part_table_read(&d, &list);
}

static void
put32(uint64_t at, uint32_t value)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		disk[at + i] = (uint8_t)(value >> 8 * i);
}

static void
put_entry(uint64_t sector, unsigned n, uint8_t type, uint32_t start, uint32_t nb)
{
	uint64_t at = sector * 512 + 446 + 16 * n;

	memset(disk + at, 0, 16);
	disk[at + 4] = type;
	put32(at + 8, start);
	put32(at + 12, nb);
	disk[sector * 512 + 510] = 0x55;
	disk[sector * 512 + 511] = 0xaa;
}

static void
make_mbr(void)
{
	memset(disk, 0, sizeof(disk));
	put_entry(0, 0, 0x83, 64, 128);
	put_entry(0, 2, 0x05, 1024, 4096);
	put_entry(1024, 0, 0x83, 64, 100);
	put_entry(1024, 1, 0x05, 512, 512);
	put_entry(1024 + 512, 0, 0x83, 32, 200);
}

static void
expect_part(unsigned i, unsigned number, uint64_t start, uint64_t nb)
{
	assert_true(i < list.nb);
	assert_int_equal(list.parts[i].number, number);
	assert_int_equal(list.parts[i].off, start * 512);
	assert_int_equal(list.parts[i].len, nb * 512);
}

static void
mbr_has_primary_and_logical_ones(void **state)
{
	make_mbr();
	assert_int_equal(read_table(), 0);
	assert_string_equal(list.kind, "MBR");
	assert_int_equal(list.nb, 3);
	expect_part(0, 1, 64, 128);
	expect_part(1, 5, 1024 + 64, 100);
	expect_part(2, 6, 1536 + 32, 200);
}

static void
hostile_mbrs_end(void **state)
{
	/* A ring, one that points at itself, one that leaves the extended partition. */
	make_mbr();
	put_entry(1536, 1, 0x05, 512, 512);
	assert_int_equal(read_table(), -EBADMSG);
	make_mbr();
	put_entry(1024, 1, 0x05, 0, 512);
	assert_int_equal(read_table(), -EBADMSG);
	make_mbr();
	put_entry(1024, 1, 0x05, 4096, 512);
	assert_int_equal(read_table(), -EBADMSG);
	make_mbr();
	put_entry(0, 2, 0x05, 0xffffffff, 0xffffffff);
	assert_int_equal(read_table(), -EBADMSG);
	/* Partitions that are not inside the disk are none. */
	make_mbr();
	put_entry(0, 0, 0x83, 64, 0xffffffff);
	assert_int_equal(read_table(), 0);
	assert_int_equal(list.nb, 2);
	/* No table. */
	memset(disk, 0, sizeof(disk));
	assert_int_equal(read_table(), -ENOENT);
	memset(disk, 0xff, sizeof(disk));
	assert_int_equal(read_table(), -ENOENT);
}

/* An image with the table of a stranger. */
static bool
run_sfdisk(const char *path, const char *script)
{
	char command[512];

	if (access("/usr/sbin/sfdisk", X_OK) != 0 && access("/sbin/sfdisk", X_OK) != 0)
		return false;
	assert_int_equal(truncate(make_file("image", 512, 0), DISK_BYTES), 0);
	(void)snprintf(command, sizeof(command),
		"printf '%s' | PATH=$PATH:/usr/sbin:/sbin sfdisk -q %s", script, path);
	return system(command) == 0;
}

static void
load_image(const char *path)
{
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_int_equal(fread(disk, 1, sizeof(disk), f), sizeof(disk));
	fclose(f);
}

static void
gpt_of_a_stranger_and_its_copy(void **state)
{
	const char *path = test_path("image");
	uint64_t i;

	if (!run_sfdisk(path, "label: gpt\\nstart=2048,size=1024\\nstart=4096,size=100\\n"))
		SKIP_BECAUSE("no sfdisk here");
	load_image(path);
	assert_int_equal(read_table(), 0);
	assert_string_equal(list.kind, "GPT");
	assert_int_equal(list.nb, 2);
	expect_part(0, 1, 2048, 1024);
	expect_part(1, 2, 4096, 100);
	/* Any damage to the first is made good by the second. */
	for (i = 512; i < 512 + 92; i++) {
		disk[i] ^= 0x10;
		assert_int_equal(read_table(), 0);
		assert_int_equal(list.nb, 2);
		disk[i] ^= 0x10;
	}
	memset(disk + 1024, 0xee, 128);
	assert_int_equal(read_table(), 0);
	expect_part(1, 2, 4096, 100);
	/* And both. */
	disk[DISK_BYTES - 512 + 60] ^= 1;
	assert_int_equal(read_table(), -EBADMSG);
	memset(disk + 512, 0, 512);
	memset(disk + DISK_BYTES - 512, 0, 512);
	assert_int_equal(read_table(), -EBADMSG);
}

static void
a_slice_is_a_volume(void **state)
{
	struct volume *whole = must_open("mem:1M"), *v;

	must_refuse(EINVAL, "off=SIZE", "slice:of=1:mem:1M");
	must_refuse(EINVAL, "off=SIZE", "slice:off=x:mem:1M");
	must_refuse(EINVAL, "off=SIZE", "slice:size=0:mem:1M");
	must_refuse(EINVAL, "ends behind", "slice:off=1M:mem:1M");
	must_refuse(EINVAL, "ends behind", "slice:off=4K,size=1M:mem:1M");
	must_refuse(EINVAL, "ends behind", "slice:off=8192G,size=8000G:mem:1M");
	must_refuse(EINVAL, "multiples of", "slice:off=1:mem:1M");
	must_refuse(EINVAL, "multiples of", "slice:off=4K,size=100:mem:1M");
	v = must_open("slice:off=4K,size=64K:mem:1M");
	assert_int_equal(vol_get_info(v)->size, 64 << 10);
	assert_memory_not_equal(vol_get_info(v)->uuid, vol_get_info(whole)->uuid, 16);
	must_write(v, 0, 60 << 10, 4096, 's');
	must_read(v, 60 << 10, 4096, 's');
	assert_int_equal(run_io(v, VOL_READ, 0, 64 << 10, disk, 512), -EINVAL);
	assert_int_equal(run_io(v, VOL_READ, 0, (64 << 10) - 512, disk, 1024), -EINVAL);
	assert_null(vol_map(v, 60 << 10, 8192));
	/* It is the place it is said to be. */
	assert_memory_equal(
		vol_map(vol_lower(v), 64 << 10, 4096), vol_map(v, 60 << 10, 4096), 4096);
	assert_ptr_equal(vol_map(vol_lower(v), 64 << 10, 4096), vol_map(v, 60 << 10, 4096));
	vol_close(v);
	v = must_open("slice:off=1020K:readonly:mem:1M");
	assert_int_equal(vol_get_info(v)->size, 4096);
	assert_int_equal(run_io(v, VOL_WRITE, 0, 0, disk, 512), -EROFS);
	vol_close(v);
	vol_close(whole);
}

#ifdef MPN_HAVE_URING
static void
a_partition_is_a_volume(void **state)
{
	const char *path = test_path("image");
	struct volume *v;
	FILE *f;

	make_mbr();
	memset(disk + 64 * 512, 'p', 128 * 512);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(disk, 1, sizeof(disk), f), sizeof(disk));
	fclose(f);
	must_refuse(EINVAL, "partition=N, N from 1", "partition:partition=0:file:%s", path);
	must_refuse(EINVAL, "partition:partition=N:SPEC", "partition:file:%s", path);
	must_refuse(
		ENOENT, "no partition 2, its MBR has 1 5 6", "partition:partition=2:file:%s", path);
	must_refuse(ENOENT, "no partition table", "partition:partition=1:mem:1M");
	v = must_open("partition:partition=1:file:%s", path);
	assert_int_equal(vol_get_info(v)->size, 128 * 512);
	must_read(v, 0, 128 * 512, 'p');
	assert_int_equal(run_io(v, VOL_READ, 0, 128 * 512, disk, 512), -EINVAL);
	must_write(v, 0, 127 * 512, 512, 'q');
	vol_close(v);
	load_image(path);
	assert_int_equal(disk[(64 + 127) * 512], 'q');
	assert_int_equal(disk[(64 + 128) * 512], 0);
	v = must_open("partition:partition=6:readonly:file:%s", path);
	assert_int_equal(run_io(v, VOL_WRITE, 0, 0, disk, 512), -EROFS);
	vol_close(v);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mbr_has_primary_and_logical_ones),
		cmocka_unit_test(hostile_mbrs_end),
		cmocka_unit_test(gpt_of_a_stranger_and_its_copy),
		cmocka_unit_test(a_slice_is_a_volume),
#ifdef MPN_HAVE_URING
		cmocka_unit_test(a_partition_is_a_volume),
#endif
	};

	return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
