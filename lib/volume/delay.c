/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * delay: holds each request for the time given for its operation before it goes on. All requests of
 * an operation wait equally long, so one FIFO per operation is a sorted timer list.
 */

#include <string.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "volume.h"
#include "volume_kinds.h"

#define EXPECT_TIME "a time such as 5ms, at most 60s"
#define MAX_DELAY_NS 60000000000

struct delay_priv {
	uint64_t delay_ns[VOL_OPS];
	struct mpn_list held[VOL_OPS]; /* priv[0] is when a request is due */
};

/* key=value of the arguments: an operation, or all of them. */
static int
set_delay(const struct volume *v, struct delay_priv *p, const char *key, const char *value)
{
	bool all = strcmp(key, "all") == 0;
	bool found = all;
	uint64_t ns;
	unsigned op;

	for (op = 0; op < VOL_OPS; op++)
		found |= strcmp(key, vol_op_name(op)) == 0;
	if (!found)
		return vol_bad_arg(
			v, key, value, "read, write, flush, discard, write-zeroes or all =TIME");
	if (mpn_parse_time_ns(value, 0, MAX_DELAY_NS, &ns) != 0)
		return vol_bad_arg(v, key, value, EXPECT_TIME);
	for (op = 0; op < VOL_OPS; op++) {
		if (all || strcmp(key, vol_op_name(op)) == 0)
			p->delay_ns[op] = ns;
	}
	return 0;
}

static int
delay_open(struct volume *v, const char *spec)
{
	struct delay_priv *p = vol_priv(v);
	char args[256], key[32], value[64];
	const char *lower = vol_split_filter(v, spec, args, sizeof(args));
	const char *cursor = args;
	unsigned op;
	int rc;

	if (lower == NULL)
		return -EINVAL;
	while ((rc = mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value))) == 1) {
		rc = set_delay(v, p, key, value);
		if (rc != 0)
			return rc;
	}
	if (rc != 0)
		return vol_bad_arg(v, "", cursor, EXPECT_TIME);
	for (op = 0; op < VOL_OPS; op++)
		mpn_list_init(&p->held[op]);
	return vol_open_lower(v, lower, 0);
}

static int
delay_submit(struct volume *v, struct vol_io *io)
{
	struct delay_priv *p = vol_priv(v);

	if (p->delay_ns[io->op] == 0) {
		vol_pass(v, io);
		return 0;
	}
	io->priv[0] = vol_now_ns() + p->delay_ns[io->op];
	mpn_list_add_tail(&p->held[io->op], &io->node);
	return 0;
}

static unsigned
delay_poll(struct volume *v)
{
	struct delay_priv *p = vol_priv(v);
	uint64_t now = vol_now_ns();
	unsigned op;

	for (op = 0; op < VOL_OPS; op++) {
		while (!mpn_list_empty(&p->held[op])) {
			struct vol_io *io = mpn_list_first(&p->held[op], struct vol_io, node);

			if (io->priv[0] > now)
				break;
			mpn_list_del(&io->node);
			vol_pass(v, io);
		}
	}
	return 0;
}

static uint64_t
delay_next_ns(struct volume *v)
{
	const struct delay_priv *p = vol_priv(v);
	uint64_t now = vol_now_ns();
	uint64_t next = UINT64_MAX;
	unsigned op;

	for (op = 0; op < VOL_OPS; op++) {
		const struct vol_io *io;

		if (mpn_list_empty(&p->held[op]))
			continue;
		io = mpn_list_first(&p->held[op], struct vol_io, node);
		next = MPN_MIN(next, io->priv[0] > now ? io->priv[0] - now : 0);
	}
	return next;
}

const struct vol_ops vol_delay_ops = {
	.name = "delay",
	.synopsis = "delay:OP=TIME[,OP=TIME]...:SPEC",
	.help = "hold requests for a time; OP is read, write, flush, discard, write-zeroes, all",
	.filter = true,
	.priv_size = sizeof(struct delay_priv),
	.open = delay_open,
	.submit = delay_submit,
	.find_size = vol_find_lower_size,
	.poll = delay_poll,
	.next_ns = delay_next_ns,
};
