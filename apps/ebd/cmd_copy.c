/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "copy.h"
#include "mpn_parse.h"
#include "tool.h"

#define VOLUME_PREFIX "ebd:"
#define DEFAULT_DEPTH 16
#define DEFAULT_REQUEST (256u << 10)
#define MAX_REQUEST (32u << 20)
#define MAX_MEMORY (512u << 20) /* of all requests in flight */
#define COMMAND_BYTES (128u << 10) /* a larger request is several commands of the protocol */

struct copy_conf {
	struct tool_conf tool;
	uint32_t depth;
	uint32_t request_size;
	bool sparse;
	bool verify;
	bool flush;
	bool progress;
	bool no_progress;
};

static int
set_depth(void *cfg, const char *arg)
{
	uint64_t n;

	if (mpn_parse_u64(arg, 1, EBD_DEPTH_MAX, &n) != 0)
		return -EINVAL;
	((struct copy_conf *)cfg)->depth = (uint32_t)n;
	return 0;
}

static int
set_request_size(void *cfg, const char *arg)
{
	uint64_t n;

	if (mpn_parse_size(arg, 4096, MAX_REQUEST, &n) != 0 || n % 4096 != 0)
		return -EINVAL;
	((struct copy_conf *)cfg)->request_size = (uint32_t)n;
	return 0;
}

static int
set_sparse(void *cfg, const char *arg)
{
	static const char *const names[] = {"off", "auto", NULL};
	int i = mpn_parse_choice(arg, names);

	if (i < 0)
		return i;
	((struct copy_conf *)cfg)->sparse = i == 1;
	return 0;
}

static int
set_verify(void *cfg, const char *arg)
{
	((struct copy_conf *)cfg)->verify = true;
	return 0;
}

static int
set_flush(void *cfg, const char *arg)
{
	return mpn_parse_bool(arg, &((struct copy_conf *)cfg)->flush);
}

static int
set_progress(void *cfg, const char *arg)
{
	((struct copy_conf *)cfg)->progress = true;
	return 0;
}

static int
set_no_progress(void *cfg, const char *arg)
{
	((struct copy_conf *)cfg)->no_progress = true;
	return 0;
}

static const struct mpn_opt opts[] = {
	{"verify", 0, NULL, NULL, "read both ends back and compare them, byte for byte",
		set_verify},
	{"sparse", 0, "auto|off", "auto or off",
		"auto: zeroes become holes or write-zeroes requests; off: they are written; "
		"default: auto",
		set_sparse},
	{"flush", 0, "on|off", "on or off",
		"make the destination durable before the end; default: on", set_flush},
	{"depth", 0, "N", "a number from 1 to 256", "requests in flight; default: 16", set_depth},
	{"request-size", 0, "SIZE", "a multiple of 4k, at most 32M",
		"bytes of one request; default: 256k", set_request_size},
	{"progress", 0, NULL, NULL, "show the progress even if stderr is no terminal",
		set_progress},
	{"no-progress", 0, NULL, NULL, "do not show the progress", set_no_progress},
	TOOL_OPTS_QUEUE,
	TOOL_OPTS_CLIENT,
};

static const struct tool_usage usage = {
	.synopsis = "--link LINK [options] SRC DST",
	.text = "SRC and DST are ebd:VOLUME or a path; at least one is a volume. A file that is "
		"the\n"
		"destination is created, or emptied first. A volume keeps its size: it must be "
		"large\n"
		"enough, and what lies behind the source's end stays as it is (the last block is "
		"filled\n"
		"up with zeroes). When the server goes away and comes back in between, the copy "
		"goes on.\n"
		"Exit status: 0 done, 1 failed or different, 2 wrong command line, 130 "
		"interrupted.\n",
	.opts = opts,
	.nb_opts = MPN_ARRAY_SIZE(opts),
	.min_operands = 2,
	.max_operands = 2,
};

/* ---- Ends ---- */

static bool
is_volume(const char *name)
{
	return strncmp(name, VOLUME_PREFIX, strlen(VOLUME_PREFIX)) == 0;
}

/* Commands in flight that depth requests of this size need. */
static uint16_t
queue_depth(const struct copy_conf *conf)
{
	uint64_t commands =
		(uint64_t)conf->depth * ((conf->request_size + COMMAND_BYTES - 1) / COMMAND_BYTES);

	return (uint16_t)MPN_MIN(commands, EBD_DEPTH_MAX);
}

static int
open_volume(struct tool *t, const struct copy_conf *conf, struct copy_end *e, const char *name)
{
	struct ebd_queue *q;
	int status;

	q = tool_queue_open(t,
		&(struct ebd_queue_conf){
			.volume = name + strlen(VOLUME_PREFIX), .depth = queue_depth(conf)},
		&status);
	if (q == NULL)
		return status;
	copy_volume_init(e, name, q);
	return TOOL_GO_ON;
}

static const char *
file_reason(int rc)
{
	return rc == -ESPIPE ? "expected a regular file or a block device" : strerror(-rc);
}

/* Can an end be read and written in requests of this size? */
static int
check_request(const struct copy_conf *conf, const struct copy_end *e)
{
	if (conf->request_size % e->block == 0)
		return TOOL_GO_ON;
	return tool_misuse(&conf->tool,
		"--request-size: '%" PRIu32 "': expected a multiple of %" PRIu32
		", the block size of %s",
		conf->request_size, e->block, e->name);
}

static int
open_src(struct tool *t, const struct copy_conf *conf, struct copy_end *src, const char *name)
{
	int rc;

	if (is_volume(name))
		return open_volume(t, conf, src, name);
	rc = copy_file_open_src(src, name);
	return rc != 0 ? tool_fail(&conf->tool, "'%s': %s", name, file_reason(rc)) : TOOL_GO_ON;
}

static int
open_dst(struct tool *t, const struct copy_conf *conf, struct copy_end *dst, const char *name,
	uint64_t size)
{
	struct ebd_info info;
	int rc;

	if (!is_volume(name)) {
		rc = copy_file_open_dst(dst, name, size);
		return rc != 0 ? tool_fail(&conf->tool, "'%s': %s", name, file_reason(rc))
			       : TOOL_GO_ON;
	}
	rc = open_volume(t, conf, dst, name);
	if (rc != TOOL_GO_ON)
		return rc;
	ebd_queue_info(dst->q, &info);
	return info.read_only ? tool_fail(&conf->tool, "%s is read-only", name) : TOOL_GO_ON;
}

/* Nothing is written before it is known that everything fits. */
static int
open_ends(struct tool *t, const struct copy_conf *conf, const char *const *names,
	struct copy_end *src, struct copy_end *dst)
{
	int rc = open_src(t, conf, src, names[0]);

	if (rc == TOOL_GO_ON)
		rc = check_request(conf, src);
	if (rc == TOOL_GO_ON)
		rc = open_dst(t, conf, dst, names[1], src->size);
	if (rc == TOOL_GO_ON)
		rc = check_request(conf, dst);
	if (rc != TOOL_GO_ON)
		return rc;
	if (dst->size < src->size)
		return tool_fail(&conf->tool,
			"%s is too small: %" PRIu64 " bytes, and %s has %" PRIu64, dst->name,
			dst->size, src->name, src->size);
	if (dst->size > src->size)
		fprintf(stderr,
			"%s: note: %s is larger than %s: the last %" PRIu64
			" bytes stay as they are\n",
			conf->tool.prog, dst->name, src->name, dst->size - src->size);
	return TOOL_GO_ON;
}

static void
close_end(struct copy_end *e)
{
	if (e->ops != NULL)
		e->ops->close(e);
	e->ops = NULL;
}

/* ---- The two passes ---- */

static int
report_failure(const struct copy_conf *conf, const struct copy_pipe *p, int rc)
{
	uint64_t total = p->src->size;

	int status;

	if (rc == -EINTR)
		status = tool_say_interrupted(&conf->tool);
	else
		status = tool_fail(&conf->tool, "%s", p->error_text);
	if (!p->verify)
		fprintf(stderr,
			"%s: %s is incomplete: %" PRIu64 " of %" PRIu64
			" bytes (%d%%) copied, everything below byte %" PRIu64 "\n",
			conf->tool.prog, p->dst->name, p->done_bytes, total,
			total > 0 ? (int)(p->done_bytes * 100.0 / (double)total) : 100,
			copy_pipe_low(p));
	return status;
}

static int
run_pass(struct tool *t, const struct copy_conf *conf, struct copy_end *src, struct copy_end *dst,
	bool verify, struct copy_pipe *p)
{
	bool show = !conf->no_progress && (conf->progress || isatty(STDERR_FILENO));
	struct progress progress;
	int rc;

	memset(p, 0, sizeof(*p));
	p->tool = t;
	p->src = src;
	p->dst = dst;
	p->progress = &progress;
	p->request_size = conf->request_size;
	p->depth = conf->depth;
	p->sparse = conf->sparse && dst->can_zero;
	p->verify = verify;
	if (copy_pipe_init(p) != 0)
		return tool_fail(&conf->tool, "out of memory");
	progress_start(&progress, show ? stderr : NULL, verify ? "verify" : "copy  ", src->size,
		ebd_now_ns());
	rc = copy_pipe_run(p);
	progress_stop(&progress, ebd_now_ns());
	if (rc != 0) {
		rc = report_failure(conf, p, rc);
		/* Ends what is in flight, before its memory goes. */
		close_end(src);
		close_end(dst);
	} else {
		rc = TOOL_GO_ON;
	}
	copy_pipe_fini(p);
	return rc;
}

static int
flush_end(const struct copy_conf *conf, struct copy_end *dst)
{
	int rc = conf->flush && dst->can_flush ? dst->ops->flush(dst) : 0;

	if (rc == 0)
		return TOOL_GO_ON;
	if (tool_interrupted())
		return tool_say_interrupted(&conf->tool);
	return tool_fail(&conf->tool, "%s: flush: %s", dst->name, strerror(-rc));
}

static int
copy(struct tool *t, const struct copy_conf *conf, struct copy_end *src, struct copy_end *dst,
	struct copy_result *r)
{
	uint64_t start_ns = ebd_now_ns();
	struct copy_pipe pipe;
	int status;

	status = run_pass(t, conf, src, dst, false, &pipe);
	if (status == TOOL_GO_ON)
		status = flush_end(conf, dst);
	if (status != TOOL_GO_ON)
		return status;
	r->copy_ns = ebd_now_ns() - start_ns;
	r->bytes = pipe.done_bytes;
	r->zero_bytes = pipe.zero_bytes;
	copy_result_add(r, src);
	copy_result_add(r, dst);
	if (!conf->verify)
		return TOOL_GO_ON;
	start_ns = ebd_now_ns();
	status = run_pass(t, conf, src, dst, true, &pipe);
	r->verify_ns = ebd_now_ns() - start_ns;
	r->verified = status == TOOL_GO_ON;
	return status;
}

static int
copy_names(struct tool *t, const struct copy_conf *conf, const char *const *names)
{
	struct copy_end src = {.fd = -1}, dst = {.fd = -1};
	struct copy_result result = {0};
	int status;

	status = open_ends(t, conf, names, &src, &dst);
	if (status == TOOL_GO_ON)
		status = copy(t, conf, &src, &dst, &result);
	close_end(&src);
	close_end(&dst);
	if (status != TOOL_GO_ON)
		return status;
	if (copy_result_print(&result, conf->tool.json, names[0], names[1]) != 0)
		return tool_fail(&conf->tool, "cannot write the result");
	return TOOL_OK;
}

static int
check_conf(const struct copy_conf *conf, const char *const *names)
{
	if (!is_volume(names[0]) && !is_volume(names[1]))
		return tool_misuse(&conf->tool,
			"'%s' '%s': neither is a volume: expected ebd:NAME for one of them",
			names[0], names[1]);
	if (strcmp(names[0], names[1]) == 0)
		return tool_misuse(
			&conf->tool, "'%s': is the source and the destination", names[0]);
	if ((uint64_t)conf->request_size * conf->depth * (conf->verify ? 2 : 1) > MAX_MEMORY)
		return tool_misuse(&conf->tool,
			"--request-size times --depth: %" PRIu64
			" bytes: expected at most %u (half of it with --verify)",
			(uint64_t)conf->request_size * conf->depth, MAX_MEMORY);
	return TOOL_GO_ON;
}

int
cmd_copy(int argc, char **argv)
{
	struct copy_conf conf = {
		.tool = {.prog = "ebd copy", .lcore = -1},
		.depth = DEFAULT_DEPTH,
		.request_size = DEFAULT_REQUEST,
		.sparse = true,
		.flush = true,
	};
	const char *operands[TOOL_MAX_OPERANDS] = {NULL};
	struct tool t;
	int status;

	status = tool_parse(&conf.tool, &usage, argc, argv, operands);
	if (status == TOOL_GO_ON)
		status = check_conf(&conf, operands);
	if (status == TOOL_GO_ON)
		status = tool_open(&t, &conf.tool);
	if (status != TOOL_GO_ON)
		return status;
	status = copy_names(&t, &conf, operands);
	tool_close(&t);
	return status;
}
