/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* nbdkit-ebd-plugin: a volume as an NBD export. See nbdkit-ebd-plugin(1). */

#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "mpn_log.h"
#include "owner.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define MAX_REQUEST (64u << 20) /* nbdkit takes no larger reads and writes */

static struct client_opts opts;
static char *link_path; /* opts.client.link, when it is ours */
static struct owner *owner;
static char config_help[2048];

/* What a connection was told about the volume. */
struct connection {
	struct ebd_info info;
};

/* ---- Before there are connections ---- */

/* What fails is an error of nbdkit's, the rest is for nbdkit -v. */
static void
log_line(enum mpn_log_level level, const char *topic, const char *line)
{
	if (level == MPN_LOG_ERR)
		nbdkit_error("%s: %s", topic, line);
	else
		nbdkit_debug("%s: %s", topic, line);
}

static void
load_plugin(void)
{
	FILE *f = fmemopen(config_help, sizeof(config_help), "w");
	size_t i;

	mpn_log_set_sink(log_line);
	for (i = 0; f != NULL && i < client_opts_count; i++) {
		const struct mpn_opt *opt = &client_opts_table[i];

		fprintf(f, "%s%s=<%s>%*s %s", i > 0 ? "\n" : "", opt->name, opt->arg,
			(int)MPN_MAX(0, 22 - (int)(strlen(opt->name) + strlen(opt->arg))), "",
			opt->help);
	}
	if (f != NULL)
		(void)fclose(f);
}

static void
unload_plugin(void)
{
	free(link_path);
}

static void
dump_plugin(void)
{
	printf("ebd_version=%s\n", ebd_version());
}

/* nbdkit changes to the root directory when it goes to the background. */
static int
make_absolute(void)
{
	static const char *const kinds[] = {"virtio:", "vhost:", "memif:"};
	const char *link = opts.client.link;
	char *path;
	size_t i, len;

	for (i = 0; i < MPN_ARRAY_SIZE(kinds); i++) {
		len = strlen(kinds[i]);
		if (strncmp(link, kinds[i], len) != 0 || link[len] == '/')
			continue;
		path = nbdkit_absolute_path(link + len);
		if (path == NULL)
			return -1;
		free(link_path);
		if (asprintf(&link_path, "%s%s", kinds[i], path) < 0)
			link_path = NULL;
		free(path);
		opts.client.link = link_path;
		return link_path != NULL ? 0 : -1;
	}
	return 0;
}

static int
set_parameter(const char *key, const char *value)
{
	const struct mpn_opt *opt = client_opts_find(key);

	if (opt == NULL) {
		nbdkit_error("%s: no such parameter, see nbdkit ebd --help", key);
		return -1;
	}
	if (opt->set(&opts, value) != 0) {
		nbdkit_error("%s: '%s': expected %s", key, value, opt->expect);
		return -1;
	}
	return 0;
}

static int
check_parameters(void)
{
	char error[128];

	if (client_opts_check(&opts, error, sizeof(error)) != 0) {
		nbdkit_error("%s", error);
		return -1;
	}
	return make_absolute();
}

/* DPDK has threads, which a fork would lose: it starts when nbdkit is where it stays. */
static int
start_owner(void)
{
	owner = owner_start(&opts);
	return owner != NULL ? 0 : -1;
}

static void
stop_owner(void)
{
	owner_stop(owner);
	owner = NULL;
}

/* ---- Requests ---- */

/* What NBD has a word for; anything else would reach clients as EINVAL. */
static int
nbd_errno(int e)
{
	switch (e) {
	case EPERM:
	case EROFS:
	case ENOMEM:
	case ENOSPC:
	case EINVAL:
	case EOPNOTSUPP:
	case ESHUTDOWN:
		return e;
	default:
		return EIO;
	}
}

static int
run(struct owner_request *r, const char *what)
{
	int e = -owner_run(owner, r);

	if (e == 0)
		return 0;
	/* A zeroing that would not be fast is an answer, not an error. */
	if (e != EOPNOTSUPP || !(r->flags & EBD_FAST))
		nbdkit_error("%s: %s of %zu bytes at %llu: %s", opts.queue.volume, what, r->len,
			(unsigned long long)r->off, strerror(e));
	nbdkit_set_error(nbd_errno(e));
	return -1;
}

static void *
open_connection(int readonly)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct owner_request r = {.op = OWNER_INFO};

	if (c == NULL) {
		nbdkit_error("calloc: %s", strerror(errno));
		return NULL;
	}
	r.info = &c->info;
	if (run(&r, "a look") < 0) {
		free(c);
		return NULL;
	}
	return c;
}

static void
close_connection(void *handle)
{
	free(handle);
}

static int64_t
get_size(void *handle)
{
	const struct connection *c = handle;

	return (int64_t)c->info.size;
}

static int
get_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	const struct connection *c = handle;

	*minimum = c->info.block_size;
	*preferred = MPN_MAX(c->info.phys_block, c->info.block_size);
	*preferred = MPN_MAX(*preferred, 4096u);
	*maximum = MAX_REQUEST;
	return 0;
}

static int
can_write(void *handle)
{
	const struct connection *c = handle;

	return !c->info.read_only;
}

static int
can_flush(void *handle)
{
	const struct connection *c = handle;

	return c->info.can_flush;
}

static int
can_fua(void *handle)
{
	const struct connection *c = handle;

	if (c->info.can_fua)
		return NBDKIT_FUA_NATIVE;
	return c->info.can_flush ? NBDKIT_FUA_EMULATE : NBDKIT_FUA_NONE;
}

static int
can_trim(void *handle)
{
	const struct connection *c = handle;

	return c->info.can_discard;
}

static int
can_zero(void *handle)
{
	const struct connection *c = handle;

	return c->info.can_write_zeroes;
}

static int
can_fast_zero(void *handle)
{
	const struct connection *c = handle;

	return c->info.can_write_zeroes;
}

static int
is_rotational(void *handle)
{
	const struct connection *c = handle;

	return c->info.rotational;
}

/* All connections share one session, and a flush covers all sessions of a volume anyway. */
static int
can_multi_conn(void *handle)
{
	return 1;
}

static int
read_data(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct owner_request r = {.op = OWNER_READ, .buf = buf, .len = count, .off = offset};

	return run(&r, "read");
}

static int
write_data(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct owner_request r = {
		.op = OWNER_WRITE,
		.buf = (void *)(uintptr_t)buf,
		.len = count,
		.off = offset,
		.flags = flags & NBDKIT_FLAG_FUA ? EBD_FUA : 0,
	};

	return run(&r, "write");
}

static int
flush_data(void *handle, uint32_t flags)
{
	struct owner_request r = {.op = OWNER_FLUSH};

	return run(&r, "flush");
}

static int
trim_range(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct owner_request r = {.op = OWNER_DISCARD, .len = count, .off = offset};
	const struct connection *c = handle;

	if (run(&r, "trim") < 0)
		return -1;
	/* A discard has no flags of its own. */
	return flags & NBDKIT_FLAG_FUA && c->info.can_flush ? flush_data(handle, 0) : 0;
}

static int
zero_range(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct owner_request r = {
		.op = OWNER_ZERO,
		.len = count,
		.off = offset,
		.flags = (flags & NBDKIT_FLAG_FUA ? EBD_FUA : 0) |
			 (flags & NBDKIT_FLAG_MAY_TRIM ? 0 : EBD_NOHOLE) |
			 (flags & NBDKIT_FLAG_FAST_ZERO ? EBD_FAST : 0),
	};

	return run(&r, "zeroing");
}

/* ---- The plugin ---- */

static struct nbdkit_plugin plugin = {
	.name = "ebd",
	.longname = "nbdkit ebd plugin",
	.version = MPNIC_VERSION,
	.description = "a volume of an Ethernet Block Device server",
	.load = load_plugin,
	.unload = unload_plugin,
	.dump_plugin = dump_plugin,
	.config = set_parameter,
	.config_complete = check_parameters,
	.config_help = config_help,
	.magic_config_key = "volume",
	.after_fork = start_owner,
	.cleanup = stop_owner,
	.open = open_connection,
	.close = close_connection,
	.get_size = get_size,
	.block_size = get_block_size,
	.can_write = can_write,
	.can_flush = can_flush,
	.can_fua = can_fua,
	.can_trim = can_trim,
	.can_zero = can_zero,
	.can_fast_zero = can_fast_zero,
	.can_multi_conn = can_multi_conn,
	.is_rotational = is_rotational,
	.pread = read_data,
	.pwrite = write_data,
	.flush = flush_data,
	.trim = trim_range,
	.zero = zero_range,
};

NBDKIT_REGISTER_PLUGIN(plugin)
