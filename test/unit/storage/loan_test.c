/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Loans: the data of a read in the frames it came in, and how many of these there may be. */

#include "bed.h"
#include "st_device.h"

#define KIB 1024u

static void
prepare(struct st_request *req, uint64_t addr, uint32_t len)
{
	*req = (struct st_request){.op = WIRE_READ, .loan = true, .addr = addr, .len = len};
}

static int
borrow(struct bed *b, struct st_request *req, uint64_t addr, uint32_t len)
{
	prepare(req, addr, len);
	return bed_run(b, req);
}

/* What is lent has the contents, in aligned pieces of the payload unit. */
static void
assert_lent(struct bed *b, const struct st_request *req, const void *want)
{
	struct iovec iov[WIRE_EBD_MAX_FRAGS];
	uint32_t p = dev_st_payload_unit(b->dev);
	const uint8_t *at = want;
	uint64_t left = req->len;
	int nb = dev_st_loan_iov(req, iov, WIRE_EBD_MAX_FRAGS), i;

	assert_int_equal(nb, wire_nb_frags((uint32_t)req->len, p));
	for (i = 0; i < nb; i++) {
		assert_int_equal((uintptr_t)iov[i].iov_base % 64, 0);
		assert_int_equal(iov[i].iov_len, MPN_MIN(left, p));
		assert_memory_equal(iov[i].iov_base, at, iov[i].iov_len);
		at += iov[i].iov_len;
		left -= iov[i].iov_len;
	}
	assert_int_equal(left, 0);
}

static uint32_t
out(struct bed *b)
{
	return b->st[0]->budget->out;
}

static void
test_every_size_is_lent_without_a_copy(void **state)
{
	static const struct {
		uint16_t mtu;
		uint32_t len;
	} rows[] = {{9000, 512}, {9000, 4 * KIB}, {9000, 128 * KIB}, {4200, 64 * KIB}, {4200, 4608},
		{1500, 512}, {1500, 4 * KIB}, {1500, 88 * KIB}};
	struct st_copy_stats before, after;
	struct bed *b;
	unsigned i;

	for (i = 0; i < 2 * MPN_ARRAY_SIZE(rows); i++) {
		const unsigned k = i / 2;
		struct st_request req;

		/* On a ring from staging buffers, over virtio from the volume's own memory. */
		b = bed_create(
			&(struct bed_conf){.mtu = rows[k].mtu, .virtio = i % 2, .mapped = i % 2});
		before = *bed_copies(b, 0);
		assert_int_equal(borrow(b, &req, 64 * KIB, rows[k].len), 0);
		after = *bed_copies(b, 0);
		assert_lent(b, &req, b->disk + 64 * KIB);
		assert_int_equal(after.loaned - before.loaned, rows[k].len);
		assert_int_equal(after.wire - before.wire, rows[k].len);
		assert_int_equal(after.copied + after.bounced, before.copied + before.bounced);
		assert_true(out(b) > 0);
		dev_st_loan_put(&req);
		assert_int_equal(out(b), 0);
		assert_null(dev_st_loan(&req));
		dev_st_loan_put(&req);
		assert_int_equal(out(b), 0);
		bed_destroy(b);
	}
}

/* On a ring the frame refers to the server's memory. What is lent stays as it was all the same. */
static void
test_a_later_write_does_not_change_what_is_lent(void **state)
{
	uint8_t *old = malloc(16 * KIB), *new = malloc(16 * KIB);
	struct st_request req;
	struct bed *b;
	unsigned mapped;

	bed_fill(new, 16 * KIB, 77);
	for (mapped = 0; mapped < 2; mapped++) {
		b = bed_create(&(struct bed_conf){.mapped = mapped});
		memcpy(old, b->disk, 16 * KIB);
		assert_int_equal(borrow(b, &req, 0, 16 * KIB), 0);
		assert_int_equal(bed_site(b, 0, ST_COPY_rx_loan), mapped ? 16 * KIB : 0);
		assert_int_equal(bed_rw(b, WIRE_WRITE, new, 16 * KIB, 0, 0), 0);
		assert_memory_equal(b->disk, new, 16 * KIB);
		assert_lent(b, &req, old);
		dev_st_loan_put(&req);
		bed_destroy(b);
	}
	free(old);
	free(new);
}

static void
test_who_keeps_too_much_gets_no_more(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.mtu = 4200, .nb_keep = 40});
	struct st_request reqs[11], more;
	uint8_t *mem = malloc(64 * KIB);
	unsigned i;

	for (i = 0; i < 10; i++)
		assert_int_equal(borrow(b, &reqs[i], i * 16 * KIB, 16 * KIB), 0);
	assert_int_equal(out(b), 40);
	prepare(&more, 0, 512);
	assert_int_equal(dev_st_queue_xmit(b->dev, &more), -ENOBUFS);
	assert_int_equal(b->st[0]->counters.loan_refused, 1);
	dev_st_loan_put(&more);
	/* Everything else goes on, for as long as it may take. */
	for (i = 0; i < 200; i++) {
		assert_int_equal(bed_rw(b, WIRE_READ, mem, 64 * KIB, 0, 0), 0);
		assert_int_equal(bed_rw(b, WIRE_WRITE, mem, 64 * KIB, 0, 0), 0);
	}
	for (i = 0; i < 10; i++)
		assert_lent(b, &reqs[i], b->disk + i * 16 * KIB);
	dev_st_loan_put(&reqs[3]);
	assert_int_equal(borrow(b, &reqs[10], 0, 12 * KIB), 0);
	assert_int_equal(
		dev_st_queue_xmit(b->dev,
			&(struct st_request){.op = WIRE_READ, .loan = true, .len = 8 * KIB}),
		-ENOBUFS);
	for (i = 0; i < 11; i++)
		dev_st_loan_put(&reqs[i]);
	assert_int_equal(out(b), 0);
	free(mem);
	bed_destroy(b);
}

static void
test_a_loan_outlives_device_and_nic(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.mtu = 9000});
	struct st_request req;
	struct iovec iov[2];
	uint8_t want[16 * KIB];

	memcpy(want, b->disk + 4 * KIB, sizeof(want));
	assert_int_equal(borrow(b, &req, 4 * KIB, sizeof(want)), 0);
	b->keeps = true;
	bed_destroy(b);
	assert_int_equal(dev_st_loan_iov(&req, iov, 2), 2);
	assert_memory_equal(iov[0].iov_base, want, 8 * KIB);
	assert_memory_equal(iov[1].iov_base, want + 8 * KIB, 8 * KIB);
	dev_st_loan_put(&req);
	assert_null(dev_st_loan(&req));
	assert_int_equal(st_arena_reap(), 0);
}

static void
test_what_fails_is_not_lent(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.nb_keep = 16});
	struct st_request req;
	unsigned i;

	b->status = -EIO;
	for (i = 0; i < 40; i++) {
		assert_int_equal(borrow(b, &req, 0, 128 * KIB), -EIO);
		assert_null(dev_st_loan(&req));
		assert_int_equal(out(b), 0);
	}
	b->status = 0;
	/* Taken back while the target has it. */
	b->hold = true;
	prepare(&req, 0, 128 * KIB);
	bed_xmit(b, &req);
	bed_poll_until(b, b->nb_held == 1);
	assert_int_equal(out(b), 16);
	dev_st_abort(b->dev, &req);
	bed_release(b);
	bed_poll_until(b, b->completions == 41);
	if (req.status == 0)
		dev_st_loan_put(&req);
	assert_int_equal(out(b), 0);
	bed_destroy(b);
}

static void
test_wrong_requests_are_refused(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.mtu = 4200});
	struct st_buffer buf = {.data = b->disk, .len = 512};
	uint32_t max = dev_st_max_transfer(b->dev);
	struct st_request reqs[] = {
		{.op = WIRE_READ, .loan = true, .len = max + 512},
		{.op = WIRE_READ, .loan = true, .len = 100},
		{.op = WIRE_READ, .loan = true, .len = 0},
		{.op = WIRE_READ, .loan = true, .addr = b->size, .len = 512},
		{.op = WIRE_READ, .loan = true, .len = 512, .bufs = &buf, .nb_bufs = 1},
		{.op = WIRE_WRITE, .loan = true, .len = 512},
		{.op = WIRE_FLUSH, .loan = true},
		{.op = WIRE_DISCARD, .loan = true, .len = 512},
	};
	struct st_request largest;
	unsigned i;

	for (i = 0; i < MPN_ARRAY_SIZE(reqs); i++) {
		if (dev_st_queue_xmit(b->dev, &reqs[i]) != -EINVAL)
			fail_msg("request %u was taken", i);
	}
	assert_int_equal(out(b), 0);
	assert_int_equal(borrow(b, &largest, 0, max), 0);
	dev_st_loan_put(&largest);
	bed_destroy(b);
}

/*
 * Fragments of 1,408 bytes are no whole blocks: what was lost is read again, and only the blocks that
 * are not whole yet are placed. What is lent is right all the same, and later frames do not touch it.
 */
static void
test_a_loan_that_is_read_in_parts(void **state)
{
	struct bed *b = bed_create(&(struct bed_conf){.mtu = 1500, .impatient = true});
	uint16_t type = b->st[0]->ethertype_to_initiator;
	uint64_t lost = b->st[0]->counters.rx_no_target;
	struct st_request req;
	unsigned i;

	for (i = 0; i < 20; i++) {
		prepare(&req, i * 2 * KIB, 88 * KIB);
		bed_xmit(b, &req);
		while (b->st[0]->counters.rx_no_target == lost) {
			/* Frames of the first burst find nobody. */
			(void)mpn_nic_poll(b->nics[0]);
			(void)mpn_nic_poll(b->nics[1]);
			b->st[0]->ethertype_to_initiator = 0;
			(void)mpn_nic_poll(b->nics[0]);
			b->st[0]->ethertype_to_initiator = type;
		}
		lost = b->st[0]->counters.rx_no_target;
		bed_poll_until(b, b->completions == i + 1);
		assert_int_equal(req.status, 0);
		assert_lent(b, &req, b->disk + i * 2 * KIB);
		dev_st_loan_put(&req);
	}
	assert_true(bed_site(b, 0, ST_COPY_rx_loan) > 0);
	assert_int_equal(out(b), 0);
	bed_destroy(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size_is_lent_without_a_copy),
		cmocka_unit_test(test_a_later_write_does_not_change_what_is_lent),
		cmocka_unit_test(test_who_keeps_too_much_gets_no_more),
		cmocka_unit_test(test_a_loan_outlives_device_and_nic),
		cmocka_unit_test(test_what_fails_is_not_lent),
		cmocka_unit_test(test_wrong_requests_are_refused),
		cmocka_unit_test(test_a_loan_that_is_read_in_parts),
	};

	return cmocka_run_group_tests_name("storage_loan", tests, bed_start_eal, bed_stop_eal);
}
