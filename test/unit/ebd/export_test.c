/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What a server makes by hand because its volume lacks it. */

#include "bench.h"

/* ---- A volume that records, and lacks what the test says ---- */

#define LOG_LEN 256

static struct {
	uint32_t caps;
	unsigned nb;
	enum vol_op op[LOG_LEN];
	unsigned flags[LOG_LEN];
	uint64_t off[LOG_LEN], len[LOG_LEN];
	int status; /* of WRITE_ZEROES */
	uint8_t *mem;
	struct mpn_list pending;
} plain;

#define PLAIN_SIZE (4u << 20)

static int
plain_open(struct volume *v, const char *spec)
{
	struct vol_info *info = vol_info_rw(v);

	info->size = PLAIN_SIZE;
	info->block_size = 512;
	info->phys_block = 512;
	info->caps = plain.caps;
	mpn_list_init(&plain.pending);
	plain.nb = 0;
	return 0;
}

static int
plain_submit(struct volume *v, struct vol_io *io)
{
	assert_true(plain.nb < LOG_LEN);
	plain.op[plain.nb] = io->op;
	plain.flags[plain.nb] = io->flags;
	plain.off[plain.nb] = io->off;
	plain.len[plain.nb++] = io->len;
	mpn_list_add_tail(&plain.pending, &io->node);
	return 0;
}

static unsigned
plain_poll(struct volume *v)
{
	struct mpn_list now;
	struct vol_io *io;
	unsigned n = 0;
	uint64_t off;
	int i;

	mpn_list_init(&now);
	mpn_list_splice_tail(&now, &plain.pending);
	for (; !mpn_list_empty(&now); n++) {
		io = mpn_list_first(&now, struct vol_io, node);
		mpn_list_del(&io->node);
		off = io->off;
		for (i = 0; i < io->iovcnt; i++) {
			if (io->op == VOL_READ)
				memcpy(io->iov[i].iov_base, plain.mem + off, io->iov[i].iov_len);
			else
				memcpy(plain.mem + off, io->iov[i].iov_base, io->iov[i].iov_len);
			off += io->iov[i].iov_len;
		}
		vol_complete(io, io->op == VOL_WRITE_ZEROES ? plain.status : 0);
	}
	return n;
}

static const struct vol_ops plain_ops = {
	.name = "plain",
	.synopsis = "plain:",
	.help = "a volume of the test",
	.open = plain_open,
	.submit = plain_submit,
	.poll = plain_poll,
};

static const char *const plain_disk[] = {"disk", "plain:", NULL};

static void
test_fua_becomes_write_and_flush(void **state)
{
	static uint8_t mem[4096];
	struct bench *b;
	struct ebd_queue *q;
	struct ebd_info info;

	plain.caps = VOL_CAP_FLUSH;
	b = bench_create(NULL, NULL, plain_disk);
	q = bench_open(b, "disk");
	ebd_queue_info(q, &info);
	assert_true(info.can_fua);
	assert_true(info.can_flush);
	bench_fill(mem, sizeof(mem), 1);
	assert_int_equal(ebd_pwrite(q, mem, 4096, 8192, EBD_FUA), 4096);
	assert_int_equal(plain.nb, 2);
	assert_int_equal(plain.op[0], VOL_WRITE);
	assert_int_equal(plain.flags[0], 0);
	assert_int_equal(plain.op[1], VOL_FLUSH);
	assert_memory_equal(plain.mem + 8192, mem, 4096);
	assert_int_equal(ebd_pwrite(q, mem, 4096, 8192, 0), 4096);
	assert_int_equal(plain.nb, 3);
	ebd_queue_close(q);
	bench_destroy(b);

	/* A volume without a volatile cache needs nothing; one that knows FUA gets it. */
	plain.caps = 0;
	b = bench_create(NULL, NULL, plain_disk);
	q = bench_open(b, "disk");
	assert_int_equal(ebd_pwrite(q, mem, 4096, 8192, EBD_FUA), 4096);
	assert_int_equal(plain.nb, 1);
	bench_destroy(b);
	plain.caps = VOL_CAP_FLUSH | VOL_CAP_FUA;
	b = bench_create(NULL, NULL, plain_disk);
	q = bench_open(b, "disk");
	assert_int_equal(ebd_pwrite(q, mem, 4096, 8192, EBD_FUA), 4096);
	assert_int_equal(plain.nb, 1);
	assert_int_equal(plain.flags[0], VOL_FUA);
	bench_destroy(b);
}

static bool
is_zero(const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

/* Zeroes on [off, off + len) and not beside it; the volume saw nothing but writes of whole blocks. */
static void
check_zeroed(uint64_t off, uint64_t len, unsigned first)
{
	uint64_t sum = 0;
	unsigned i;

	assert_true(is_zero(plain.mem + off, len));
	assert_int_not_equal(plain.mem[off - 1], 0);
	assert_int_not_equal(plain.mem[off + len], 0);
	for (i = first; i < plain.nb && plain.op[i] == VOL_WRITE; i++) {
		assert_int_equal(plain.off[i], off + sum);
		assert_int_equal(plain.len[i] % 512, 0);
		sum += plain.len[i];
	}
	assert_int_equal(sum, len);
}

static void
test_zeroes_are_written_where_the_volume_cannot(void **state)
{
	const uint64_t off = 5 * 512, len = (2 << 20) + 7 * 512;
	struct ebd_queue *q;
	struct bench *b;

	plain.caps = VOL_CAP_FLUSH;
	b = bench_create(NULL, NULL, plain_disk);
	q = bench_open(b, "disk");
	memset(plain.mem, 0xee, PLAIN_SIZE);
	assert_int_equal(ebd_write_zeroes(q, off, len, 0), 0);
	check_zeroed(off, len, 0);
	assert_int_equal(plain.op[plain.nb - 1], VOL_WRITE);

	memset(plain.mem, 0xee, PLAIN_SIZE);
	plain.nb = 0;
	assert_int_equal(ebd_write_zeroes(q, off, 512, EBD_FUA), 0);
	check_zeroed(off, 512, 0);
	assert_int_equal(plain.nb, 2);
	assert_int_equal(plain.op[1], VOL_FLUSH);

	plain.nb = 0;
	assert_int_equal(ebd_write_zeroes(q, off, 512, EBD_FAST), -EOPNOTSUPP);
	assert_int_equal(plain.nb, 0);
	assert_int_equal(ebd_discard(q, 0, 512), -EOPNOTSUPP);
	ebd_queue_close(q);
	bench_destroy(b);

	/* A volume that only finds out when it tries. */
	plain.caps = VOL_CAP_WRITE_ZEROES;
	plain.status = -EOPNOTSUPP;
	b = bench_create(NULL, NULL, plain_disk);
	q = bench_open(b, "disk");
	memset(plain.mem, 0xee, PLAIN_SIZE);
	assert_int_equal(ebd_write_zeroes(q, off, len, 0), 0);
	assert_int_equal(plain.op[0], VOL_WRITE_ZEROES);
	check_zeroed(off, len, 1);
	assert_int_equal(ebd_write_zeroes(q, off, len, EBD_FAST), -EOPNOTSUPP);
	plain.status = -EIO;
	assert_int_equal(ebd_write_zeroes(q, off, len, 0), -EIO);
	plain.status = 0;
	bench_destroy(b);
}

static int
start(void **state)
{
	plain.mem = malloc(PLAIN_SIZE);
	if (bench_start_eal(state) != 0 || plain.mem == NULL)
		return -1;
	return vol_register(&plain_ops);
}

static int
stop(void **state)
{
	free(plain.mem);
	return bench_stop_eal(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fua_becomes_write_and_flush),
		cmocka_unit_test(test_zeroes_are_written_where_the_volume_cannot),
	};

	return cmocka_run_group_tests_name("ebd export", tests, start, stop);
}
