/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The cow filter on a disk that loses power. The overlay is of a kind "file" of our own, which keeps in
 * memory what was written since its last flush; at a crash any part of that, block by block, has reached
 * the file, and the rest has not.
 */

#include "harness.h"

#include <unistd.h>

#define DISK_BYTES (1u << 20)
#define BLOCK 512u
#define NB_BLOCKS (64u << 10 >> 9) /* of the volume: 64 KiB */

static struct {
	uint8_t now[DISK_BYTES]; /* what reads see */
	uint8_t durable[DISK_BYTES];
	uint64_t size;
	char path[256];
	struct mpn_list taken;
	unsigned nb_flushes;
	bool crashed; /* closing leaves the file alone */
} disk;

static uint64_t seed;

static uint32_t
pick(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

static int
disk_open(struct volume *v, const char *spec)
{
	struct vol_info *info = vol_info_rw(v);
	const char *size = strstr(spec, ",size=");
	FILE *f;

	assert_non_null(size);
	(void)snprintf(disk.path, sizeof(disk.path), "%.*s", (int)(size - spec), spec);
	disk.size = strtoull(size + 6, NULL, 10);
	assert_true(disk.size <= DISK_BYTES);
	memset(disk.now, 0, sizeof(disk.now));
	f = fopen(disk.path, "r");
	if (f != NULL) {
		assert_true(fread(disk.now, 1, sizeof(disk.now), f) <= disk.size);
		fclose(f);
	}
	memcpy(disk.durable, disk.now, sizeof(disk.now));
	mpn_list_init(&disk.taken);
	disk.crashed = false;
	info->size = disk.size;
	info->block_size = BLOCK;
	info->caps = VOL_CAP_FLUSH | VOL_CAP_WRITE_ZEROES;
	return 0;
}

static void
save(const uint8_t *image)
{
	FILE *f = fopen(disk.path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(image, 1, disk.size, f), disk.size);
	assert_int_equal(fclose(f), 0);
}

/* Some of the blocks that were not durable have become so. */
static void
crash(void)
{
	uint64_t off;

	for (off = 0; off < disk.size; off += BLOCK) {
		if (pick(2) == 0)
			memcpy(disk.durable + off, disk.now + off, BLOCK);
	}
	save(disk.durable);
	disk.crashed = true;
}

static void
disk_close(struct volume *v)
{
	if (!disk.crashed)
		save(disk.durable);
}

static int
disk_submit(struct volume *v, struct vol_io *io)
{
	mpn_list_add_tail(&disk.taken, &io->node);
	return 0;
}

static void
execute(struct vol_io *io)
{
	uint8_t *pos = disk.now + io->off;
	int i;

	if (io->op == VOL_FLUSH) {
		memcpy(disk.durable, disk.now, sizeof(disk.now));
		disk.nb_flushes++;
	} else if (io->op == VOL_WRITE_ZEROES) {
		memset(pos, 0, io->len);
	}
	for (i = 0; i < io->iovcnt; pos += io->iov[i++].iov_len) {
		if (io->op == VOL_READ)
			memcpy(io->iov[i].iov_base, pos, io->iov[i].iov_len);
		else
			memcpy(pos, io->iov[i].iov_base, io->iov[i].iov_len);
	}
}

/* One request a poll, any of them. */
static unsigned
disk_poll(struct volume *v)
{
	struct mpn_list *node = disk.taken.next;
	unsigned n = pick(4);
	struct vol_io *io;

	if (mpn_list_empty(&disk.taken))
		return 0;
	while (n-- > 0 && node->next != &disk.taken)
		node = node->next;
	io = mpn_list_entry(node, struct vol_io, node);
	mpn_list_del(node);
	execute(io);
	vol_complete(io, 0);
	return 1;
}

static uint64_t
disk_next_ns(struct volume *v)
{
	return mpn_list_empty(&disk.taken) ? UINT64_MAX : 0;
}

static const struct vol_ops disk_ops = {
	.name = "file",
	.synopsis = "file",
	.help = "loses power",
	.open = disk_open,
	.close = disk_close,
	.submit = disk_submit,
	.poll = disk_poll,
	.next_ns = disk_next_ns,
};

static struct volume *
open_cow(const char *options)
{
	return must_open("cow:overlay=%s%s:mem:64K", test_path("over"), options);
}

static void
writes_stay_in_the_overlay(void **state)
{
	struct volume *v;

	(void)unlink(test_path("over"));
	v = open_cow(",cluster=4k");
	assert_int_equal(vol_get_info(v)->size, 64 << 10);
	must_read(v, 0, 64 << 10, 0);
	must_write(v, 0, 4096 + 512, 512, 'p');
	must_write(v, 0, 16384, 8192, 'w');
	must_read(v, 4096, 512, 0);
	must_read(v, 4096 + 512, 512, 'p');
	must_read(v, 4096 + 1024, 3072, 0);
	must_read(v, 16384, 8192, 'w');
	assert_int_equal(run_io(v, VOL_WRITE_ZEROES, 0, 16384 + 512, NULL, 512), 0);
	must_read(v, 16384 + 512, 512, 0);
	/* A part of a new cluster is not zeroed fast. */
	assert_int_equal(run_io(v, VOL_WRITE_ZEROES, VOL_FAST, 32768, NULL, 512), -EOPNOTSUPP);
	assert_int_equal(run_io(v, VOL_WRITE_ZEROES, VOL_FAST, 32768, NULL, 4096), 0);
	/* Nobody flushed: closing does. */
	vol_close(v);
	v = open_cow("");
	must_read(v, 4096 + 512, 512, 'p');
	must_read(v, 16384, 512, 'w');
	must_read(v, 16384 + 512, 512, 0);
	vol_close(v);
}

static void
a_flush_syncs_data_before_the_map(void **state)
{
	struct volume *v;
	unsigned before;

	(void)unlink(test_path("over"));
	v = open_cow(",cluster=4k");
	before = disk.nb_flushes;
	assert_int_equal(run_io(v, VOL_FLUSH, 0, 0, NULL, 0), 0);
	assert_int_equal(disk.nb_flushes - before, 1);
	must_write(v, 0, 0, 4096, 'a');
	assert_int_equal(disk.durable[4096], 0);
	before = disk.nb_flushes;
	assert_int_equal(run_io(v, VOL_FLUSH, 0, 0, NULL, 0), 0);
	assert_int_equal(disk.nb_flushes - before, 2);
	assert_int_equal(disk.durable[4096], 1);
	/* Known clusters need no map. */
	must_write(v, 0, 0, 4096, 'b');
	before = disk.nb_flushes;
	assert_int_equal(run_io(v, VOL_FLUSH, 0, 0, NULL, 0), 0);
	assert_int_equal(disk.nb_flushes - before, 1);
	vol_close(v);
}

static void
strange_overlays_are_refused(void **state)
{
	const char *path = test_path("over");
	struct volume *v;

	must_refuse(EINVAL, "cow:overlay=PATH", "cow:mem:64K");
	must_refuse(EINVAL, "a power of two from 4k", "cow:overlay=%s,cluster=5k:mem:64K", path);
	must_refuse(EINVAL, "no readonly filter", "readonly:cow:overlay=%s:mem:64K", path);
	must_refuse(EINVAL, "exists and is no overlay", "cow:overlay=%s:mem:64K",
		make_file("other", 8192, 'x'));
	must_refuse(EINVAL, "exists and is no overlay", "cow:overlay=%s:mem:64K",
		make_file("short", 7, 'x'));
	(void)unlink(path);
	v = open_cow("");
	vol_close(v);
	must_refuse(EINVAL, "the one below has 131072", "cow:overlay=%s:mem:128K", path);
}

/* ---- Crashes ---- */

/* What a block of the volume may hold after a crash: any value since the last flush that ended. */
static uint8_t may_be[NB_BLOCKS][256];
static uint8_t latest[NB_BLOCKS];

struct op {
	struct vol_io io;
	struct iovec iov;
	uint8_t data[24 * BLOCK];
	uint8_t value;
	bool busy;
	uint8_t seen[NB_BLOCKS]; /* FLUSH: what was complete when it was submitted */
	bool was_busy[NB_BLOCKS]; /* FLUSH: a write was under way, or came later */
};

static struct op ops[12];

static bool
is_under_way(unsigned block)
{
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(ops); i++) {
		const struct vol_io *io = &ops[i].io;

		if (ops[i].busy && io->op != VOL_FLUSH && block - io->off / BLOCK < io->len / BLOCK)
			return true;
	}
	return false;
}

static void
op_done(struct vol_io *io, int status)
{
	struct op *op = io->user;
	unsigned b;

	assert_int_equal(status, 0);
	op->busy = false;
	if (io->op == VOL_FLUSH) {
		for (b = 0; b < NB_BLOCKS; b++) {
			/* What was there at its start is durable; nothing older may come back. */
			if (op->was_busy[b] || latest[b] != op->seen[b])
				continue;
			memset(may_be[b], 0, 256);
			may_be[b][latest[b]] = 1;
		}
		return;
	}
	for (b = 0; b < io->len / BLOCK; b++)
		latest[io->off / BLOCK + b] = op->value;
}

static void
start_op(struct volume *v, struct op *op)
{
	unsigned nb = 1 + pick(24), first = pick(NB_BLOCKS - nb + 1), b;

	memset(&op->io, 0, sizeof(op->io));
	op->io.done = op_done;
	op->io.user = op;
	if (pick(5) == 0) {
		op->io.op = VOL_FLUSH;
		memcpy(op->seen, latest, sizeof(op->seen));
		for (b = 0; b < NB_BLOCKS; b++)
			op->was_busy[b] = is_under_way(b);
	} else {
		for (b = first; b < first + nb; b++) {
			if (is_under_way(b))
				return;
		}
		op->value = pick(6) == 0 ? 0 : (uint8_t)(1 + pick(255));
		op->io.op = op->value == 0 ? VOL_WRITE_ZEROES : VOL_WRITE;
		op->io.off = (uint64_t)first * BLOCK;
		op->io.len = (uint64_t)nb * BLOCK;
		memset(op->data, op->value, sizeof(op->data));
		op->iov = (struct iovec){op->data, op->io.len};
		op->io.iov = op->value != 0 ? &op->iov : NULL;
		op->io.iovcnt = op->value != 0;
		for (b = first; b < first + nb; b++) {
			unsigned i;

			may_be[b][op->value] = 1;
			for (i = 0; i < MPN_ARRAY_SIZE(ops); i++)
				ops[i].was_busy[b] = true;
		}
	}
	op->busy = true;
	assert_int_equal(vol_submit(v, &op->io), 0);
}

static void
check_after_crash(struct volume *v)
{
	uint8_t buf[BLOCK];
	unsigned b, i;

	for (b = 0; b < NB_BLOCKS; b++) {
		assert_int_equal(run_io(v, VOL_READ, 0, (uint64_t)b * BLOCK, buf, BLOCK), 0);
		for (i = 1; i < BLOCK; i++)
			assert_int_equal(buf[i], buf[0]);
		if (may_be[b][buf[0]] == 0)
			fail_msg("block %u is %u after the crash, the latest was %u", b, buf[0],
				latest[b]);
		latest[b] = buf[0];
		memset(may_be[b], 0, 256);
		may_be[b][buf[0]] = 1;
	}
}

/* The volume with requests under way is gone with the machine: its memory is left to the process. */
static void
a_crash_shows_nothing_that_was_not_written(void **state)
{
	unsigned round, step;

	seed = 0x2545f4914f6cdd1d;
	(void)unlink(test_path("over"));
	memset(may_be, 0, sizeof(may_be));
	memset(latest, 0, sizeof(latest));
	for (step = 0; step < NB_BLOCKS; step++)
		may_be[step][0] = 1;
	for (round = 0; round < 300; round++) {
		unsigned nb_steps = pick(120), busy;
		struct volume *v = open_cow(",cluster=4k");

		check_after_crash(v);
		for (step = 0; step < nb_steps; step++) {
			struct op *op = &ops[pick(MPN_ARRAY_SIZE(ops))];

			if (!op->busy && pick(2) == 0)
				start_op(v, op);
			(void)vol_poll(v);
		}
		crash();
		/* Let the requests end, so that it can be closed: the file stays as it was. */
		do {
			(void)vol_poll(v);
			for (step = 0, busy = 0; step < MPN_ARRAY_SIZE(ops); step++)
				busy += ops[step].busy;
		} while (busy > 0);
		vol_close(v);
	}
}

static int
setup(void **state)
{
	assert_int_equal(vol_register(&disk_ops), 0);
	seed = 1;
	return harness_setup(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_stay_in_the_overlay),
		cmocka_unit_test(a_flush_syncs_data_before_the_map),
		cmocka_unit_test(strange_overlays_are_refused),
		cmocka_unit_test(a_crash_shows_nothing_that_was_not_written),
	};

	return cmocka_run_group_tests(tests, setup, harness_teardown);
}
