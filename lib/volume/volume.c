/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mpn_log.h"
#include "volume.h"
#include "volume_private.h"

#define PRIV_ALIGN 64

struct vol_info *
vol_info_rw(struct volume *v)
{
	return &v->info;
}

void *
vol_priv(struct volume *v)
{
	return v->priv;
}

const void *
vol_priv_const(const struct volume *v)
{
	return v->priv;
}

unsigned
vol_open_flags(const struct volume *v)
{
	return v->open_flags;
}

struct volume *
vol_lower(const struct volume *v)
{
	return v->lower;
}

const struct vol_info *
vol_get_info(const struct volume *v)
{
	return &v->info;
}

const struct vol_stats *
vol_get_stats(const struct volume *v)
{
	return &v->stats;
}

const char *
vol_spec(const struct volume *v)
{
	return v->spec;
}

static uint64_t
read_monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t (*clock_now_ns)(void) = read_monotonic_ns;

void
vol_set_clock(uint64_t (*now_ns)(void))
{
	clock_now_ns = now_ns != NULL ? now_ns : read_monotonic_ns;
}

uint64_t
vol_now_ns(void)
{
	return clock_now_ns();
}

/* ---- Open and close ---- */

static struct volume *
alloc_volume(const struct vol_ops *ops, const char *spec)
{
	size_t head = (sizeof(struct volume) + PRIV_ALIGN - 1) / PRIV_ALIGN * PRIV_ALIGN;
	size_t bytes = head + (ops->priv_size + PRIV_ALIGN - 1) / PRIV_ALIGN * PRIV_ALIGN;
	struct volume *v = aligned_alloc(PRIV_ALIGN, bytes);

	if (v == NULL)
		return NULL;
	memset(v, 0, bytes);
	v->ops = ops;
	v->priv = (char *)v + head;
	v->spec = strdup(spec);
	if (v->spec == NULL) {
		free(v);
		return NULL;
	}
	mpn_list_init(&v->waiting);
	return v;
}

static void
free_volume(struct volume *v)
{
	free(v->spec);
	free(v);
}

static bool
info_is_sound(const struct vol_info *info)
{
	return info->block_size >= 512 && (info->block_size & (info->block_size - 1)) == 0 &&
	       info->size > 0 && info->size % info->block_size == 0;
}

static int
open_volume(const char *spec, struct volume *upper, unsigned flags, struct volume **out)
{
	const struct vol_ops *ops;
	const char *args;
	struct volume *v;
	int rc;

	if (upper != NULL && upper->depth == VOL_MAX_STACK)
		return mpn_log_err(
			EINVAL, "volume", "'%s': more than %d filters", spec, VOL_MAX_STACK);
	ops = vol_find_kind(spec, &args);
	if (ops == NULL)
		return -errno;
	v = alloc_volume(ops, spec);
	if (v == NULL)
		return mpn_log_err(ENOMEM, "volume", "'%s': out of memory", spec);
	v->upper = upper;
	v->depth = upper != NULL ? upper->depth + 1 : 0;
	v->open_flags = flags;
	rc = ops->open(v, args);
	if (rc != 0) {
		vol_close(v->lower);
		free_volume(v);
		return mpn_err(-rc);
	}
	if (!info_is_sound(&v->info)) {
		vol_close(v);
		return mpn_log_err(EINVAL, "volume", "'%s': no usable size or block size", spec);
	}
	*out = v;
	return 0;
}

int
vol_open_spec(const char *spec, struct volume **v)
{
	*v = NULL;
	return open_volume(spec, NULL, 0, v);
}

int
vol_open_lower(struct volume *v, const char *spec, unsigned flags)
{
	int rc = open_volume(spec, v, v->open_flags | flags, &v->lower);

	if (rc == 0)
		v->info = v->lower->info;
	return rc;
}

void
vol_close(struct volume *v)
{
	struct volume *lower;

	for (; v != NULL; v = lower) {
		assert(v->stats.in_flight == 0);
		lower = v->lower;
		if (v->ops->close != NULL)
			v->ops->close(v);
		free_volume(v);
	}
}

/* ---- Requests ---- */

static const struct {
	const char *name;
	unsigned flags; /* those it may have */
	uint32_t cap; /* what the volume must be able to */
	bool writes;
	bool has_data;
} op_table[VOL_OPS] = {
	[VOL_READ] = {"read", 0, 0, false, true},
	[VOL_WRITE] = {"write", VOL_FUA, 0, true, true},
	[VOL_FLUSH] = {"flush", 0, 0, false, false},
	[VOL_DISCARD] = {"discard", 0, VOL_CAP_DISCARD, true, false},
	[VOL_WRITE_ZEROES] = {"write-zeroes", VOL_FUA | VOL_NOHOLE | VOL_FAST, VOL_CAP_WRITE_ZEROES,
		true, false},
};

const char *
vol_op_name(enum vol_op op)
{
	return (unsigned)op < VOL_OPS ? op_table[op].name : "?";
}

static bool
memory_has_len(const struct vol_io *io)
{
	uint64_t left = io->len;
	int i;

	for (i = 0; i < io->iovcnt; i++) {
		if (io->iov[i].iov_len > left)
			return false;
		left -= io->iov[i].iov_len;
	}
	return left == 0;
}

static int
check_request(const struct volume *v, const struct vol_io *io)
{
	const struct vol_info *info = &v->info;
	uint32_t missing;

	if ((unsigned)io->op >= VOL_OPS || (io->flags & ~op_table[io->op].flags) != 0)
		return -EINVAL;
	if (io->op == VOL_FLUSH)
		return 0;
	if (io->len == 0 || ((io->off | io->len) & (info->block_size - 1)) != 0)
		return -EINVAL;
	if (io->off > info->size || io->len > info->size - io->off)
		return -EINVAL;
	if (op_table[io->op].has_data && !memory_has_len(io))
		return -EINVAL;
	if (op_table[io->op].writes && (info->caps & VOL_CAP_READONLY) != 0)
		return -EROFS;
	missing = op_table[io->op].cap | ((io->flags & VOL_FUA) != 0 ? VOL_CAP_FUA : 0);
	missing &= ~info->caps;
	return missing != 0 ? -EOPNOTSUPP : 0;
}

/* Give io to v, behind those that wait there already. */
static void
start_request(struct volume *v, struct vol_io *io)
{
	io->owner = v;
	mpn_list_init(&io->node);
	v->stats.in_flight++;
	v->stats.in_flight_max = MPN_MAX(v->stats.in_flight_max, v->stats.in_flight);
	if (mpn_list_empty(&v->waiting) && v->ops->submit(v, io) == 0)
		return;
	v->stats.waits++;
	mpn_list_add_tail(&v->waiting, &io->node);
}

int
vol_submit(struct volume *v, struct vol_io *io)
{
	int rc = check_request(v, io);

	if (rc != 0)
		return mpn_err(-rc);
	io->top = v;
	start_request(v, io);
	return 0;
}

void
vol_pass(struct volume *v, struct vol_io *io)
{
	start_request(v->lower, io);
}

void
vol_complete(struct vol_io *io, int status)
{
	struct volume *v;

	for (v = io->owner; v != io->top->upper; v = v->upper) {
		v->stats.in_flight--;
		v->stats.ops[io->op]++;
		if (status != 0)
			v->stats.errors[io->op]++;
		else if (io->op != VOL_FLUSH)
			v->stats.bytes[io->op] += io->len;
	}
	io->owner->room = true;
	io->done(io, status);
}

void
vol_count_sync(struct volume *v)
{
	for (; v != NULL; v = v->upper)
		v->stats.syncs++;
}

void
vol_count_bounced(struct volume *v, uint64_t bytes)
{
	for (; v != NULL; v = v->upper)
		v->stats.bounced_bytes += bytes;
}

/* Try again what found the back end full, in order. */
static void
retry_waiting(struct volume *v)
{
	while (!mpn_list_empty(&v->waiting)) {
		struct vol_io *io = mpn_list_first(&v->waiting, struct vol_io, node);

		/* Off the list first: the back end may want the node. */
		mpn_list_del(&io->node);
		if (v->ops->submit(v, io) == 0)
			continue;
		mpn_list_add_head(&v->waiting, &io->node);
		v->room = false;
		return;
	}
}

unsigned
vol_poll(struct volume *v)
{
	unsigned n = 0;

	/* From the top down, so that what a filter lets go reaches the medium in the same poll. */
	for (; v != NULL && v->stats.in_flight > 0; v = v->lower) {
		retry_waiting(v);
		if (v->ops->poll != NULL)
			n += v->ops->poll(v);
	}
	return n;
}

int
vol_find_size(struct volume *v, uint64_t *size)
{
	if (v->ops->find_size == NULL)
		return mpn_log_err(
			EOPNOTSUPP, "volume", "'%s': %s keeps its size", v->spec, v->ops->name);
	return v->ops->find_size(v, size);
}

int
vol_find_lower_size(struct volume *v, uint64_t *size)
{
	return vol_find_size(v->lower, size);
}

int
vol_set_size(struct volume *v, uint64_t size)
{
	size &= ~(uint64_t)(v->info.block_size - 1);
	if (size == 0)
		return mpn_log_err(EINVAL, "volume", "'%s': no usable size now", v->spec);
	/* Only a stack of one size has come here: see vol_find_size(). */
	for (; v != NULL; v = v->lower)
		v->info.size = size;
	return 0;
}

void
vol_set_readonly(struct volume *v)
{
	/* What was written before is still to be made durable. */
	v->info.caps &= VOL_CAP_ROTATIONAL | VOL_CAP_FLUSH;
	v->info.caps |= VOL_CAP_READONLY;
}

void *
vol_map(struct volume *v, uint64_t off, uint64_t len)
{
	if (v->ops->map == NULL || off > v->info.size || len > v->info.size - off)
		return NULL;
	return v->ops->map(v, off, len);
}

uint64_t
vol_next_ns(struct volume *v)
{
	uint64_t next = UINT64_MAX;

	for (; v != NULL && v->stats.in_flight > 0 && next > 0; v = v->lower) {
		if (v->room && !mpn_list_empty(&v->waiting))
			return 0;
		if (v->ops->next_ns != NULL)
			next = MPN_MIN(next, v->ops->next_ns(v));
	}
	return next;
}

int
vol_fd(struct volume *v)
{
	/* A filter with a descriptor of its own has it for all that is below. */
	while (v->lower != NULL && v->ops->fd == NULL)
		v = v->lower;
	return v->ops->fd != NULL ? v->ops->fd(v) : -1;
}

/* ---- Description ---- */

static void
print_caps(const struct vol_info *info, struct mpn_out *o)
{
	static const struct {
		const char *name;
		uint32_t cap;
	} caps[] = {
		{"readonly", VOL_CAP_READONLY},
		{"volatile_cache", VOL_CAP_FLUSH},
		{"fua", VOL_CAP_FUA},
		{"discard", VOL_CAP_DISCARD},
		{"write_zeroes", VOL_CAP_WRITE_ZEROES},
		{"zero_after_discard", VOL_CAP_ZERO_AFTER_DISCARD},
		{"rotational", VOL_CAP_ROTATIONAL},
	};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(caps); i++)
		mpn_out_bool(o, caps[i].name, (info->caps & caps[i].cap) != 0);
}

void
vol_print(const struct volume *v, struct mpn_out *o)
{
	unsigned op;

	mpn_out_str(o, "spec", v->spec);
	mpn_out_u64(o, "size", v->info.size);
	mpn_out_u64(o, "block_size", v->info.block_size);
	mpn_out_u64(o, "phys_block", v->info.phys_block);
	mpn_out_u64(o, "discard_gran", v->info.discard_gran);
	print_caps(&v->info, o);
	for (op = 0; op < VOL_OPS; op++) {
		mpn_out_object(o, op_table[op].name);
		mpn_out_u64(o, "ops", v->stats.ops[op]);
		mpn_out_u64(o, "bytes", v->stats.bytes[op]);
		mpn_out_u64(o, "errors", v->stats.errors[op]);
		mpn_out_close(o);
	}
	mpn_out_u64(o, "in_flight", v->stats.in_flight);
	mpn_out_u64(o, "in_flight_max", v->stats.in_flight_max);
	mpn_out_u64(o, "waits", v->stats.waits);
	mpn_out_u64(o, "syncs", v->stats.syncs);
	mpn_out_u64(o, "bounced_bytes", v->stats.bounced_bytes);
	for (; v != NULL; v = v->lower) {
		if (v->ops->print != NULL)
			v->ops->print(v, o);
	}
}
