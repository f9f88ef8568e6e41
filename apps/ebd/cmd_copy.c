/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "copy_ends.h"
#include "mpn_parse.h"
#include "tool.h"

#define DEFAULT_DEPTH 16
#define DEFAULT_REQUEST (256u << 10)
#define COPY_RESUME_GRAN 512 /* what every end can start at is a multiple of it */
#define MAX_REQUEST (32u << 20)
#define MAX_MEMORY (512u << 20) /* of all requests in flight */

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
set_queues(void *cfg, const char *arg)
{
	uint64_t n;

	if (mpn_parse_u64(arg, 1, COPY_MAX_QUEUES, &n) != 0)
		return -EINVAL;
	((struct copy_conf *)cfg)->queues = (uint32_t)n;
	return 0;
}

static int
set_resume(void *cfg, const char *arg)
{
	((struct copy_conf *)cfg)->resume = arg;
	return arg[0] != '\0' ? 0 : -EINVAL;
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
	{"queues", 'q', "N", "a number from 1 to 16", "sessions to each volume; default: 1",
		set_queues},
	{"resume", 0, "FILE", "the name of a file",
		"note here how far it is, go on from there when it is started again", set_resume},
	{"request-size", 0, "SIZE", "a multiple of 4k, at most 32M",
		"bytes of one request; default: 256k", set_request_size},
	{"progress", 0, NULL, NULL, "show the progress even if stderr is no terminal",
		set_progress},
	{"no-progress", 0, NULL, NULL, "do not show the progress", set_no_progress},
	TOOL_OPTS_QUEUE,
	TOOL_OPTS_CLIENT,
};

static const struct tool_usage usage = {
	.synopsis = "[--link LINK] [options] SRC DST",
	.text = "SRC and DST are ebd:VOLUME, which needs a --link, an export of an NBD server (a "
		"URI, or\n"
		"nbd:URI[,connections=N]), or a path. A file that is the destination is created, "
		"or\n"
		"emptied first. A volume keeps its size: it must be large enough, and what lies "
		"behind\n"
		"the source's end stays as it is (the last block is filled up with zeroes). When "
		"the\n"
		"server goes away and comes back in between, the copy goes on.\n"
		"A copy with --resume that was interrupted, even killed, goes on where it was when "
		"it is\n"
		"started again; the source must not have changed.\n"
		"Exit status: 0 done, 1 failed or different, 2 wrong command line, 130 "
		"interrupted.\n",
	.opts = opts,
	.nb_opts = MPN_ARRAY_SIZE(opts),
	.min_operands = 2,
	.max_operands = 2,
};

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
run_pass(struct copy_tools *ts, const struct copy_conf *conf, struct copy_end *src,
	struct copy_end *dst, bool verify, struct copy_pipe *p)
{
	bool show = !conf->no_progress && (conf->progress || isatty(STDERR_FILENO));
	struct progress progress;
	int rc;

	p->tool = copy_tools_main(ts, &p->side);
	p->src = src;
	p->dst = dst;
	p->progress = &progress;
	p->request_size = conf->request_size;
	p->depth = conf->depth;
	p->sparse = conf->sparse && dst->can_zero;
	p->verify = verify;
	rc = copy_pipe_init(p);
	if (rc == -EINVAL)
		return tool_fail(&conf->tool,
			"--resume: '%s': byte %" PRIu64 " is within a block of %s or %s",
			conf->resume, p->start, src->name, dst->name);
	if (rc != 0)
		return tool_fail(&conf->tool, "out of memory");
	progress_start(&progress, show ? stderr : NULL, verify ? "verify" : "copy  ", src->size,
		ebd_now_ns());
	rc = copy_pipe_run(p);
	progress_stop(&progress, ebd_now_ns());
	if (rc != 0) {
		/* What can be noted still is; if not, the last note holds. */
		if (p->resume != NULL)
			(void)copy_resume_note(p->resume, dst, copy_pipe_low(p), true);
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
copy(struct copy_tools *ts, const struct copy_conf *conf, struct copy_end *src,
	struct copy_end *dst, struct copy_resume *resume, uint64_t start, struct copy_result *r)
{
	struct copy_pipe pipe = {.start = start, .resume = resume};
	uint64_t start_ns = ebd_now_ns();
	int status;

	status = run_pass(ts, conf, src, dst, false, &pipe);
	if (status == TOOL_GO_ON)
		status = flush_end(conf, dst);
	if (status != TOOL_GO_ON)
		return status;
	r->copy_ns = ebd_now_ns() - start_ns;
	r->bytes = pipe.done_bytes - start;
	r->zero_bytes = pipe.zero_bytes;
	copy_result_add(r, src);
	copy_result_add(r, dst);
	if (resume != NULL)
		copy_resume_forget(resume);
	if (!conf->verify)
		return TOOL_GO_ON;
	memset(&pipe, 0, sizeof(pipe));
	start_ns = ebd_now_ns();
	status = run_pass(ts, conf, src, dst, true, &pipe);
	r->verify_ns = ebd_now_ns() - start_ns;
	r->verified = status == TOOL_GO_ON;
	return status;
}

/* Where to start, when an earlier copy has been there. */
static int
load_resume(const struct copy_conf *conf, struct copy_resume *r, const char *const *names,
	const struct copy_end *src, uint64_t *start)
{
	int rc = copy_resume_load(r, conf->resume, names[0], names[1], src->size, start);

	if (rc == -ESTALE)
		return tool_fail(&conf->tool,
			"--resume: '%s': belongs to another copy: expected one of %s to %s, or no "
			"file",
			conf->resume, names[0], names[1]);
	if (rc == 0 && *start % COPY_RESUME_GRAN != 0 && *start != src->size)
		rc = -EINVAL;
	return rc != 0 ? tool_fail(&conf->tool, "--resume: '%s': %s", conf->resume, strerror(-rc))
		       : TOOL_GO_ON;
}

static int
copy_names(struct copy_tools *ts, const struct copy_conf *conf, const char *const *names)
{
	struct copy_end src = {.fd = -1}, dst = {.fd = -1};
	struct copy_resume *resume = conf->resume != NULL ? &(struct copy_resume){0} : NULL;
	struct copy_result result = {0};
	uint64_t start = 0;
	int status;

	status = copy_ends_open_src(ts, conf, names[0], &src);
	if (status == TOOL_GO_ON && resume != NULL)
		status = load_resume(conf, resume, names, &src, &start);
	if (status == TOOL_GO_ON)
		status = copy_ends_open_dst(ts, conf, names[1], &src, start > 0, &dst);
	if (status == TOOL_GO_ON)
		status = copy(ts, conf, &src, &dst, resume, start, &result);
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
	if ((uint64_t)conf->request_size * conf->depth * (conf->verify ? 2 : 1) > MAX_MEMORY)
		return tool_misuse(&conf->tool,
			"--request-size times --depth: %" PRIu64
			" bytes: expected at most %u (half of it with --verify)",
			(uint64_t)conf->request_size * conf->depth, MAX_MEMORY);
	return copy_ends_check(conf, names);
}

int
cmd_copy(int argc, char **argv)
{
	struct copy_conf conf = {
		/* Files and NBD exports need no link. */
		.tool = {.prog = "ebd copy", .lcore = -1, .link = ""},
		.queues = 1,
		.depth = DEFAULT_DEPTH,
		.request_size = DEFAULT_REQUEST,
		.sparse = true,
		.flush = true,
	};
	const char *operands[TOOL_MAX_OPERANDS] = {NULL};
	struct copy_tools ts;
	int status;

	status = tool_parse(&conf.tool, &usage, argc, argv, operands);
	if (status == TOOL_GO_ON)
		status = check_conf(&conf, operands);
	if (status == TOOL_GO_ON)
		status = copy_tools_open(&ts, &conf, operands);
	if (status != TOOL_GO_ON)
		return status;
	status = copy_names(&ts, &conf, operands);
	copy_tools_close(&ts);
	return status;
}
