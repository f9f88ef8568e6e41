/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "mpn_out.h"
#include "mpn_parse.h"
#include "tool.h"

/* Exit status of --can for a no: 1 is taken by failures. The same as nbdinfo's. */
#define CAN_NO 2

/* What is true or not of a volume: {name for --can, member of struct ebd_info and key of the result}. */
#define TRAIT_LIST(X) \
	X("read-only", read_only) \
	X("flush", can_flush) \
	X("fua", can_fua) \
	X("discard", can_discard) \
	X("write-zeroes", can_write_zeroes) \
	X("rotational", rotational) \
	X("crc", crc)

static const char *const trait_names[] = {
#define X(name, member) name,
	TRAIT_LIST(X)
#undef X
		NULL};
struct info_conf {
	struct tool_conf tool;
	bool size_only;
	int trait; /* index of the one --can asks for, -1: none */
};

static int
set_size(void *cfg, const char *arg)
{
	((struct info_conf *)cfg)->size_only = true;
	return 0;
}

static int
set_can(void *cfg, const char *arg)
{
	int i = mpn_parse_choice(arg, trait_names);

	if (i < 0)
		return i;
	((struct info_conf *)cfg)->trait = i;
	return 0;
}

static const struct mpn_opt opts[] = {
	{"size", 's', NULL, NULL, "print the size in bytes and nothing else", set_size},
	{"can", 0, "WHAT", "one of read-only, flush, fua, discard, write-zeroes, rotational, crc",
		"print nothing: exit status 0 for yes, 2 for no", set_can},
	TOOL_OPTS_QUEUE,
	TOOL_OPTS_CLIENT,
};

static const struct tool_usage usage = {
	.synopsis = "--link LINK [options] VOLUME",
	.text = "Opens the volume and prints what it and the session are like.\n",
	.opts = opts,
	.nb_opts = MPN_ARRAY_SIZE(opts),
	.min_operands = 1,
	.max_operands = 1,
};

static bool
has_trait(const struct ebd_info *info, int trait)
{
	const bool values[] = {
#define X(name, member) info->member,
		TRAIT_LIST(X)
#undef X
	};

	return values[trait];
}

/* Bytes for programs, and in words for people. */
static void
print_size(struct mpn_out *o, const char *key, uint64_t bytes)
{
	char text[32], buf[64];

	if (o->json) {
		mpn_out_u64(o, key, bytes);
		return;
	}
	(void)snprintf(buf, sizeof(buf), "%" PRIu64 " (%s)", bytes,
		mpn_format_size(text, sizeof(text), bytes));
	mpn_out_str(o, key, buf);
}

static int
print_info(const struct ebd_info *info, bool json)
{
	struct mpn_out o;

	mpn_out_begin(&o, stdout, json);
	mpn_out_str(&o, "name", info->name);
	mpn_out_uuid(&o, "uuid", info->uuid);
	print_size(&o, "size", info->size);
	mpn_out_u64(&o, "block_size", info->block_size);
	mpn_out_u64(&o, "phys_block", info->phys_block);
	mpn_out_u64(&o, "discard_gran", info->discard_gran);
	mpn_out_u64(&o, "max_transfer", info->max_transfer);
	mpn_out_u64(&o, "payload_unit", info->payload_unit);
	mpn_out_u64(&o, "depth", info->depth);
#define X(name, member) mpn_out_bool(&o, #member, info->member);
	TRAIT_LIST(X)
#undef X
	mpn_out_mac(&o, "target_mac", info->target_mac);
	return mpn_out_end(&o);
}

static int
show(struct tool *t, const struct info_conf *conf, const char *volume)
{
	struct ebd_info info;
	struct ebd_queue *q;
	int status;

	q = tool_queue_open(t, &(struct ebd_queue_conf){.volume = volume}, &status);
	if (q == NULL)
		return status;
	ebd_queue_info(q, &info);
	ebd_queue_close(q);
	if (conf->trait >= 0)
		return has_trait(&info, conf->trait) ? TOOL_OK : CAN_NO;
	if (conf->size_only)
		return printf("%" PRIu64 "\n", info.size) < 0 ? TOOL_FAILED : TOOL_OK;
	if (print_info(&info, conf->tool.json) != 0)
		return tool_fail(&conf->tool, "cannot write the result");
	return TOOL_OK;
}

int
cmd_info(int argc, char **argv)
{
	struct info_conf conf = {.tool = {.prog = "ebd info", .lcore = -1}, .trait = -1};
	const char *operands[TOOL_MAX_OPERANDS] = {NULL};
	struct tool t;
	int status;

	status = tool_parse(&conf.tool, &usage, argc, argv, operands);
	if (status == TOOL_GO_ON)
		status = tool_open(&t, &conf.tool);
	if (status != TOOL_GO_ON)
		return status;
	status = show(&t, &conf, operands[0]);
	tool_close(&t);
	return status;
}
