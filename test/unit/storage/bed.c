/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <sched.h>
#include <unistd.h>

#include "bed.h"
#include "ini.h"
#include "st_device.h"

#define BED_SIZE (4u << 20)
#define BED_BLOCK 512

int
bed_start_eal(void **state)
{
	struct mpn_eal_conf conf = {
		.prog = "test", .link = "vhost:x", .lcore = -1, .no_huge = true, .mem_mib = 512};

	return mpn_eal_start(&conf);
}

int
bed_stop_eal(void **state)
{
	mpn_eal_stop();
	return 0;
}

/* ---- The back end ---- */

static void
execute(struct bed *b, struct xfer_io *io, const struct st_target_data *data)
{
	uint8_t *at = b->disk + io->addr;
	int i;

	if (b->status != 0) {
		st_target_io_done(b->target, io, b->status);
		return;
	}
	switch (io->op) {
	case WIRE_READ:
		if (!data->mapped)
			memcpy(data->base, at, io->len);
		break;
	case WIRE_WRITE:
		for (i = 0; i < data->iovcnt; at += data->iov[i++].iov_len)
			memcpy(at, data->iov[i].iov_base, data->iov[i].iov_len);
		if (data->base != NULL && !data->mapped)
			memcpy(at, data->base, io->len);
		break;
	case WIRE_WRITE_ZEROES:
		memset(at, 0, io->len);
		break;
	case WIRE_DISCARD:
		memset(at, 0xdd, io->len);
		break;
	default:
		break;
	}
	st_target_io_done(b->target, io, 0);
}

static void
io_start(void *user, struct xfer_io *io, const struct st_target_data *data)
{
	struct bed *b = user;

	assert_true(io->addr + io->len <= b->size);
	assert_int_equal(data->mapped, b->conf.mapped && data->base != NULL);
	b->started[io->op]++;
	b->last_flags = io->flags;
	if (!b->hold) {
		execute(b, io, data);
		return;
	}
	assert_true(b->nb_held < BED_MAX_HELD);
	b->held[b->nb_held++] = io;
}

static void *
map(void *user, const struct xfer_io *io)
{
	struct bed *b = user;

	return b->conf.mapped ? b->disk + io->addr : NULL;
}

void
bed_release(struct bed *b)
{
	struct st_target_data data;
	unsigned i, n = b->nb_held;

	b->hold = false;
	b->nb_held = 0;
	for (i = 0; i < n; i++) {
		st_target_get_data(b->held[i], &data);
		execute(b, b->held[i], &data);
	}
}

/* ---- Callbacks of the device ---- */

static void
on_event(struct net_st_device *dev, enum xfer_ini_event ev, int status)
{
	struct bed *b = dev_st_user(dev);

	assert_false(b->in_xmit);
	b->nb_events[ev]++;
	b->event_status = status;
	if (ev == XFER_EV_OPENED)
		b->opened = true;
}

static void
on_complete(struct net_st_device *dev, struct st_request *req, struct st_buffer *buf)
{
	struct bed *b = dev_st_user(dev);

	assert_false(b->in_xmit);
	b->completions++;
	if (b->on_complete != NULL)
		b->on_complete(b, req, buf);
}

static void
on_space(struct net_st_device *dev, int slots)
{
	struct bed *b = dev_st_user(dev);

	assert_false(b->in_xmit);
	b->space_calls++;
	b->space_slots = slots;
	if (b->on_space != NULL)
		b->on_space(b, slots);
}

struct net_st_device *
bed_open(struct bed *b, const char *volume, const uint8_t uuid[16])
{
	struct dev_st_conf conf = {
		.volume = volume,
		.nonce = b->conf.nonce,
		.queue = b->conf.queue,
		.depth = b->conf.depth,
		.max_queue_len = b->conf.max_queue_len,
		.crc = b->conf.crc,
		.placement = b->conf.placement,
		.fail_after_ns = b->conf.fail_after_ns,
		.user = b,
		.event = on_event,
	};
	struct net_st_device *dev;

	if (uuid != NULL)
		memcpy(conf.client_uuid, uuid, 16);
	dev = dev_st_open(b->nics[0], &conf);
	if (dev == NULL)
		return NULL;
	if (!b->conf.impatient)
		dev->ini->conf.probe_ns = 10 * XFER_NSEC_PER_SEC;
	assert_int_equal(dev_st_register_completion_callback(dev, 0, on_complete), 0);
	dev_st_register_queue_callback(dev, on_space);
	return dev;
}

/* ---- Life ---- */

static void
make_nic(struct bed *b, unsigned side, const char *link)
{
	struct mpn_nic_conf conf = {
		.link = link, .mtu = b->conf.mtu, .nb_keep = b->conf.nb_keep, .server = side == 1};

	b->nics[side] = mpn_nic_create(&conf);
	assert_non_null(b->nics[side]);
	assert_int_equal(mpn_personality_define(b->nics[side], "storage", NULL, &b->pers[side]), 0);
	assert_int_equal(mpn_personality_load(b->pers[side], NULL), 0);
	assert_int_equal(mpn_personality_start(b->pers[side]), 0);
	b->st[side] = st_nic_find(b->nics[side]);
	assert_non_null(b->st[side]);
}

/* Links of their own, so that a test that fails leaves them to nobody. */
static void
make_nics(struct bed *b)
{
	static unsigned serial;
	char link[64];

	if (b->conf.links[0] != NULL) {
		make_nic(b, 1, b->conf.links[1]);
		make_nic(b, 0, b->conf.links[0]);
	} else if (b->conf.virtio) {
		(void)snprintf(link, sizeof(link), "vhost:/tmp/mpnic-bed-%d-%u.sock", (int)getpid(),
			serial);
		make_nic(b, 1, link);
		(void)snprintf(link, sizeof(link), "virtio:/tmp/mpnic-bed-%d-%u.sock,place=%u",
			(int)getpid(), serial++, b->conf.place);
		make_nic(b, 0, link);
	} else {
		(void)snprintf(link, sizeof(link), "ring:bed%u", serial++);
		make_nic(b, 0, link);
		make_nic(b, 1, link);
	}
}

static void
make_target(struct bed *b)
{
	struct st_target_conf conf = {
		.nb_small = b->conf.nb_small, .user = b, .map = map, .io_start = io_start};
	struct wire_geometry g = {
		.size = b->size,
		.block_size = BED_BLOCK,
		.phys_block = 4096,
		.max_transfer = b->conf.max_transfer,
		.max_zeroes = b->conf.max_zeroes,
		.flags = WIRE_VOL_FLUSH | WIRE_VOL_FUA | WIRE_VOL_DISCARD | WIRE_VOL_WRITE_ZEROES,
		.name = "disk",
	};

	g.flags = (g.flags | b->conf.flags) & ~(b->conf.flags >> 16);
	xfer_tgt_conf_default(&conf.xfer);
	conf.xfer.max_sessions = 8;
	/* A client that ends while it looks for its server says nothing: what it left ends with its lease. */
	if (b->conf.impatient)
		conf.xfer.lease_ns = 2 * XFER_NSEC_PER_SEC;
	b->target = st_target_create(&conf, 0);
	assert_non_null(b->target);
	assert_int_equal(xfer_tgt_export_add(st_target_xfer(b->target), &g), 0);
	assert_int_equal(st_target_attach(b->target, b->nics[1]), 0);
}

struct bed *
bed_create(const struct bed_conf *conf)
{
	struct bed *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->conf = *conf;
	b->size = conf->size != 0 ? conf->size : BED_SIZE;
	b->disk = conf->foreign ? malloc(b->size) : st_arena_alloc_on(-1, b->size, 0);
	assert_non_null(b->disk);
	bed_fill(b->disk, b->size, 0);
	make_nics(b);
	if (conf->no_target)
		return b;
	make_target(b);
	b->dev = bed_open(b, "disk", NULL);
	assert_non_null(b->dev);
	bed_poll_until(b, b->opened);
	return b;
}

void
bed_destroy(struct bed *b)
{
	uint64_t used, max;

	if (b->dev != NULL) {
		dev_st_shutdown(b->dev);
		bed_poll_until(b, dev_st_is_closed(b->dev));
	}
	dev_st_close(b->dev);
	if (b->target != NULL) {
		bed_poll_until(b, xfer_tgt_outstanding(st_target_xfer(b->target)) == 0);
		/* Frames on their way may refer to buffers until they have arrived. */
		bed_poll_until(
			b, b->keeps || (st_target_staging(b->target, &used, &max), used == 0));
	}
	mpn_nic_destroy(b->nics[0]);
	mpn_nic_destroy(b->nics[1]);
	st_target_destroy(b->target);
	if (b->conf.foreign)
		free(b->disk);
	else
		st_arena_free(b->disk);
	assert_true(b->keeps || st_arena_reap() == 0);
	free(b);
}

/* ---- Running ---- */

void
bed_poll(struct bed *b)
{
	unsigned work = mpn_nic_poll(b->nics[0]) + mpn_nic_poll(b->nics[1]);

	if (work == 0)
		(void)sched_yield();
}

void
bed_poll_alone(struct bed *b, unsigned side, unsigned ms)
{
	uint64_t end = mpn_now_ns() + ms * 1000000ull;

	while (mpn_now_ns() < end)
		(void)mpn_nic_poll(b->nics[side]);
}

void
bed_xmit(struct bed *b, struct st_request *req)
{
	int rc;

	b->in_xmit = true;
	rc = dev_st_queue_xmit(b->dev, req);
	b->in_xmit = false;
	assert_int_equal(rc, 0);
}

int
bed_run(struct bed *b, struct st_request *req)
{
	unsigned want = b->completions + MPN_MAX(req->nb_bufs, 1u);

	bed_xmit(b, req);
	bed_poll_until(b, b->completions >= want);
	assert_int_equal(b->completions, want);
	return req->status;
}

int
bed_rw(struct bed *b, uint8_t op, void *data, uint32_t len, uint64_t addr, uint16_t flags)
{
	struct st_buffer buf = {.data = data, .len = len};
	struct st_request req = {
		.bufs = &buf, .nb_bufs = 1, .op = op, .flags = flags, .addr = addr, .len = len};
	int rc = bed_run(b, &req);

	assert_int_equal(rc, buf.status);
	return rc;
}

/* ---- Contents ---- */

static uint8_t
pattern(size_t i, uint32_t seed)
{
	return (uint8_t)(i * 131 + (i >> 9) * 17 + (i >> 17) * 5 + seed * 101 + 1);
}

void
bed_fill(void *mem, size_t len, uint32_t seed)
{
	uint8_t *p = mem;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = pattern(i, seed);
}

void
bed_assert_filled(const void *mem, size_t len, uint32_t seed)
{
	const uint8_t *p = mem;
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] != pattern(i, seed))
			fail_msg("byte %zu of %zu is wrong", i, len);
	}
}

const struct st_copy_stats *
bed_copies(struct bed *b, unsigned side)
{
	assert_int_equal(dev_st_nic_copy_stats(b->nics[side], &b->copies[side]), 0);
	return &b->copies[side];
}

uint64_t
bed_site(struct bed *b, unsigned side, enum st_copy_site site)
{
	return bed_copies(b, side)->site_bytes[site];
}
