/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy_ends.h"

#define VOLUME_PREFIX "ebd:"
#define COMMAND_BYTES (128u << 10) /* a larger request is several commands of the protocol */

static bool
is_volume(const char *name)
{
	return strncmp(name, VOLUME_PREFIX, strlen(VOLUME_PREFIX)) == 0;
}

/* "nbd://host", "nbds+unix:///?socket=...": a URI as NBD has them. */
static bool
is_nbd_uri(const char *name)
{
	size_t n = strncmp(name, "nbds", 4) == 0 ? 4 : 3;

	if (strncmp(name, "nbd", 3) != 0)
		return false;
	if (name[n] == '+')
		n += 1 + strspn(name + n + 1, "abcdefghijklmnopqrstuvwxyz");
	return strncmp(name + n, "://", 3) == 0;
}

static bool
is_nbd(const char *name)
{
	return strncmp(name, "nbd:", 4) == 0 || is_nbd_uri(name);
}

/* ---- What they live on ---- */

static int
open_side(struct copy_tools *ts, const struct copy_conf *conf, const char *const names[2])
{
	static const char *const volumes[2] = {"source", "destination"};
	struct tool_conf *c = &ts->side_conf;
	unsigned i;
	int status;

	*c = conf->tool;
	c->nb_volumes = 0;
	c->mtu = 0;
	c->net = NULL;
	memset(c->target_mac, 0, sizeof(c->target_mac));
	(void)snprintf(ts->ring, sizeof(ts->ring), "ring:copy%ld", (long)getpid());
	c->link = ts->ring;
	for (i = 0; i < 2; i++) {
		if (!is_nbd(names[i]))
			continue;
		if (snprintf(ts->volumes[i], sizeof(ts->volumes[i]), "%s=%s%s", volumes[i],
			    is_nbd_uri(names[i]) ? "nbd:" : "",
			    names[i]) >= (int)sizeof(ts->volumes[i]))
			return tool_misuse(&conf->tool, "'%.32s...': is too long", names[i]);
		c->volumes[c->nb_volumes++] = ts->volumes[i];
	}
	status = tool_open(&ts->side, c);
	ts->has_side = status == TOOL_GO_ON;
	return status;
}

int
copy_tools_open(struct copy_tools *ts, const struct copy_conf *conf, const char *const names[2])
{
	int status = TOOL_GO_ON;

	memset(ts, 0, sizeof(*ts));
	tool_take_log(&conf->tool);
	tool_catch_signals();
	if (is_volume(names[0]) || is_volume(names[1])) {
		status = tool_open(&ts->link, &conf->tool);
		ts->has_link = status == TOOL_GO_ON;
	}
	if (status == TOOL_GO_ON && (is_nbd(names[0]) || is_nbd(names[1])))
		status = open_side(ts, conf, names);
	if (status != TOOL_GO_ON)
		copy_tools_close(ts);
	return status;
}

void
copy_tools_close(struct copy_tools *ts)
{
	if (ts->has_side)
		tool_close(&ts->side);
	if (ts->has_link)
		tool_close(&ts->link);
	ts->has_side = false;
	ts->has_link = false;
}

struct tool *
copy_tools_main(struct copy_tools *ts, struct tool **side)
{
	*side = ts->has_link && ts->has_side ? &ts->side : NULL;
	return ts->has_side && !ts->has_link ? &ts->side : &ts->link;
}

/* ---- Opening ---- */

/* Commands in flight that depth requests of this size need. */
static uint16_t
queue_depth(const struct copy_conf *conf)
{
	uint64_t commands =
		(uint64_t)conf->depth * ((conf->request_size + COMMAND_BYTES - 1) / COMMAND_BYTES);

	return (uint16_t)MPN_MIN(commands, EBD_DEPTH_MAX);
}

static int
open_volume(struct copy_tools *ts, const struct copy_conf *conf, struct copy_end *e,
	const char *name, const char *nbd_name)
{
	struct tool *t = is_volume(name) ? &ts->link : &ts->side;
	const char *volume = is_volume(name) ? name + strlen(VOLUME_PREFIX) : nbd_name;
	const struct ebd_queue_conf qc = {.volume = volume, .depth = queue_depth(conf)};
	struct ebd_queue *q;
	unsigned i;
	int status;

	for (i = 0; i < conf->queues; i++) {
		q = tool_queue_open(t, &qc, &status);
		if (q == NULL)
			return status;
		if (i == 0)
			copy_volume_init(e, name, q);
		else
			copy_volume_add(e, q);
	}
	return TOOL_GO_ON;
}

static const char *
file_reason(int rc)
{
	if (rc == -ESTALE)
		return "is not what the copy to be resumed has left: it has another size";
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

int
copy_ends_open_src(
	struct copy_tools *ts, const struct copy_conf *conf, const char *name, struct copy_end *src)
{
	int rc;

	if (is_volume(name) || is_nbd(name)) {
		rc = open_volume(ts, conf, src, name, "source");
	} else {
		rc = copy_file_open_src(src, name);
		if (rc != 0)
			return tool_fail(&conf->tool, "'%s': %s", name, file_reason(rc));
		rc = TOOL_GO_ON;
	}
	return rc == TOOL_GO_ON ? check_request(conf, src) : rc;
}

static int
open_dst(struct copy_tools *ts, const struct copy_conf *conf, const char *name, uint64_t size,
	bool old, struct copy_end *dst)
{
	struct ebd_info info;
	int rc;

	if (!is_volume(name) && !is_nbd(name)) {
		rc = old ? copy_file_open_old(dst, name, size)
			 : copy_file_open_dst(dst, name, size);
		return rc != 0 ? tool_fail(&conf->tool, "'%s': %s", name, file_reason(rc))
			       : TOOL_GO_ON;
	}
	rc = open_volume(ts, conf, dst, name, "destination");
	if (rc != TOOL_GO_ON)
		return rc;
	ebd_queue_info(dst->q, &info);
	return info.read_only ? tool_fail(&conf->tool, "%s is read-only", name) : TOOL_GO_ON;
}

int
copy_ends_open_dst(struct copy_tools *ts, const struct copy_conf *conf, const char *name,
	const struct copy_end *src, bool old, struct copy_end *dst)
{
	int rc = open_dst(ts, conf, name, src->size, old, dst);

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

/* Another name of the same file, too: it would be emptied before it is read. */
static bool
is_same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return !is_volume(a) && !is_nbd(a) && !is_volume(b) && !is_nbd(b) && stat(a, &sa) == 0 &&
	       stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

int
copy_ends_check(const struct copy_conf *conf, const char *const names[2])
{
	if (conf->tool.link[0] == '\0' && (is_volume(names[0]) || is_volume(names[1])))
		return tool_misuse(&conf->tool,
			"--link: is missing: expected a link such as virtio:ebd0.sock, or help");
	if (strcmp(names[0], names[1]) == 0 || is_same_file(names[0], names[1]))
		return tool_misuse(
			&conf->tool, "'%s': is the source and the destination", names[0]);
	return TOOL_GO_ON;
}
