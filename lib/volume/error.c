/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * error: fails a part of the requests. Which ones depends on the seed and the order of submission
 * only, so that a test which failed can be run again.
 */

#include <string.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "volume.h"
#include "volume_kinds.h"

#define FULL_RATE 1000000u /* rates are parts per million */
#define EXPECT_RATE "a rate such as 1% or 0.01"

struct error_priv {
	uint64_t rate; /* parts of FULL_RATE */
	uint64_t after; /* so many go through first */
	uint64_t random; /* state of the generator */
	uint32_t ops; /* 1 << op for those that may fail */
	int status; /* what they fail with */
	struct mpn_list failed; /* to be completed by the next poll */
};

static const struct {
	const char *name;
	int err;
} errors[] = {
	{"EIO", EIO},
	{"ENOSPC", ENOSPC},
	{"EROFS", EROFS},
	{"ENOMEM", ENOMEM},
	{"EINVAL", EINVAL},
	{"EOPNOTSUPP", EOPNOTSUPP},
	{"ETIMEDOUT", ETIMEDOUT},
	{"EILSEQ", EILSEQ},
};

/* "12.5%" or "0.125" to parts of FULL_RATE. */
static int
parse_rate(const char *s, uint64_t *rate)
{
	size_t len = strlen(s);
	bool percent = len > 0 && s[len - 1] == '%';
	char number[32];
	uint64_t nano;

	if (len - percent >= sizeof(number))
		return -EINVAL;
	memcpy(number, s, len - percent);
	number[len - percent] = '\0';
	/* A number with a fraction and no unit: read it as seconds, and get a billion parts. */
	if (number[0] == '\0' || strspn(number, "0123456789.") != len - percent ||
		mpn_parse_time_ns(number, 0, percent ? 100000000000 : 1000000000, &nano) != 0)
		return -EINVAL;
	*rate = percent ? nano / 100000 : nano / 1000;
	return 0;
}

/* "read+write" to a mask. */
static int
parse_ops(const char *s, uint32_t *mask)
{
	*mask = 0;
	for (;;) {
		size_t len = strcspn(s, "+");
		unsigned op;

		for (op = 0; op < VOL_OPS; op++) {
			const char *name = vol_op_name(op);

			if (strlen(name) == len && memcmp(name, s, len) == 0)
				break;
		}
		if (op == VOL_OPS)
			return -EINVAL;
		*mask |= 1u << op;
		if (s[len] == '\0')
			return 0;
		s += len + 1;
	}
}

static int
parse_errno(const char *s, int *status)
{
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(errors); i++) {
		if (strcmp(s, errors[i].name) == 0) {
			*status = -errors[i].err;
			return 0;
		}
	}
	return -EINVAL;
}

static int
set_arg(const struct volume *v, struct error_priv *p, const char *key, const char *value)
{
	const char *expect = NULL;

	if (strcmp(key, "rate") == 0) {
		if (parse_rate(value, &p->rate) != 0)
			expect = EXPECT_RATE;
	} else if (strcmp(key, "ops") == 0) {
		if (parse_ops(value, &p->ops) != 0)
			expect = "some of read+write+flush+discard+write-zeroes";
	} else if (strcmp(key, "errno") == 0) {
		if (parse_errno(value, &p->status) != 0)
			expect = "EIO, ENOSPC, EROFS, ENOMEM, EINVAL, EOPNOTSUPP, ETIMEDOUT or "
				 "EILSEQ";
	} else if (strcmp(key, "after") == 0) {
		if (mpn_parse_u64(value, 0, UINT64_MAX, &p->after) != 0)
			expect = "a number of requests";
	} else if (strcmp(key, "seed") == 0) {
		if (mpn_parse_u64(value, 0, UINT64_MAX, &p->random) != 0)
			expect = "a number";
	} else {
		expect = "rate=, ops=, errno=, after= or seed=";
	}
	return expect == NULL ? 0 : vol_bad_arg(v, key, value, expect);
}

static int
error_open(struct volume *v, const char *spec)
{
	struct error_priv *p = vol_priv(v);
	char args[256], key[32], value[128];
	const char *lower = vol_split_filter(v, spec, args, sizeof(args));
	const char *cursor = args;
	int rc;

	p->rate = FULL_RATE;
	p->ops = (1u << VOL_OPS) - 1;
	p->status = -EIO;
	mpn_list_init(&p->failed);
	if (lower == NULL)
		return -EINVAL;
	while ((rc = mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value))) == 1) {
		rc = set_arg(v, p, key, value);
		if (rc != 0)
			return rc;
	}
	if (rc != 0)
		return vol_bad_arg(v, "", cursor, "shorter arguments");
	return vol_open_lower(v, lower, 0);
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static bool
is_to_fail(struct error_priv *p, const struct vol_io *io)
{
	if ((p->ops & 1u << io->op) == 0)
		return false;
	if (p->after > 0) {
		p->after--;
		return false;
	}
	return next_random(&p->random) % FULL_RATE < p->rate;
}

static int
error_submit(struct volume *v, struct vol_io *io)
{
	struct error_priv *p = vol_priv(v);

	if (is_to_fail(p, io))
		mpn_list_add_tail(&p->failed, &io->node);
	else
		vol_pass(v, io);
	return 0;
}

static unsigned
error_poll(struct volume *v)
{
	struct error_priv *p = vol_priv(v);
	struct mpn_list now;
	unsigned n = 0;

	/* What the callbacks submit is for the next poll. */
	mpn_list_init(&now);
	mpn_list_splice_tail(&now, &p->failed);
	while (!mpn_list_empty(&now)) {
		struct vol_io *io = mpn_list_first(&now, struct vol_io, node);

		mpn_list_del(&io->node);
		vol_complete(io, p->status);
		n++;
	}
	return n;
}

static uint64_t
error_next_ns(struct volume *v)
{
	const struct error_priv *p = vol_priv(v);

	return mpn_list_empty(&p->failed) ? UINT64_MAX : 0;
}

const struct vol_ops vol_error_ops = {
	.name = "error",
	.synopsis = "error:[rate=R][,ops=OP+OP...][,errno=E][,after=N][,seed=S]:SPEC",
	.help = "fail a part of the requests, the same ones for the same seed",
	.filter = true,
	.priv_size = sizeof(struct error_priv),
	.open = error_open,
	.submit = error_submit,
	.find_size = vol_find_lower_size,
	.poll = error_poll,
	.next_ns = error_next_ns,
};
