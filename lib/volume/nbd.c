/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * nbd: an export of any NBD server.
 *
 * When a connection ends, what it had not answered is sent again on another one, or on the next one to
 * the server, which is tried for again and again. A request that has no answer after fail-after fails
 * with -ETIMEDOUT, and the connection that kept it waiting is given up. As NBD cannot fence an old
 * connection, a server that goes on with a write whose connection has ended, after the same write came
 * in on a new one, may do it twice.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "nbd.h"
#include "volume_kinds.h"
#include "volume_util.h"

#define NBD_SYNOPSIS "nbd:URI[,connections=N][,fail-after=TIME|never]"
#define MAX_FAIL_NS (86400ull * 1000000000)
#define EXPECT_FAIL "a time such as 30s, at most 24h (86400s), or never"

struct nbd_args {
	char uri[VOL_ARG_LEN];
	uint64_t connections; /* 0: as many as are good */
	uint64_t fail_after_ns;
};

static int
parse_option(const struct volume *v, struct nbd_args *a, const char *key, const char *value)
{
	if (strcmp(key, "connections") == 0) {
		if (mpn_parse_u64(value, 1, NBD_MAX_CONNS, &a->connections) != 0)
			return vol_bad_arg(v, key, value, "a number from 1 to 16");
		return 0;
	}
	if (strcmp(key, "fail-after") == 0) {
		a->fail_after_ns = UINT64_MAX;
		if (strcmp(value, "never") != 0 &&
			mpn_parse_time_ns(value, 1000000, MAX_FAIL_NS, &a->fail_after_ns) != 0)
			return vol_bad_arg(v, key, value, EXPECT_FAIL);
		return 0;
	}
	return vol_bad_arg(v, key, value,
		"connections= or fail-after= after the URI (a ',' in a URI is doubled)");
}

static int
parse_args(const struct volume *v, const char *spec, struct nbd_args *a)
{
	char key[16], value[64];
	int rc;

	a->connections = 0;
	a->fail_after_ns = 30000000000;
	if (mpn_parse_item(&spec, a->uri, sizeof(a->uri)) != 1 || strncmp(a->uri, "nbd", 3) != 0)
		return vol_bad_arg(v, "", a->uri,
			"a URI such as nbd://host/export or nbd+unix:///?socket=/run/nbd.sock");
	while ((rc = mpn_parse_kv(&spec, key, sizeof(key), value, sizeof(value))) == 1) {
		rc = parse_option(v, a, key, value);
		if (rc != 0)
			return rc;
	}
	return rc == 0 ? 0 : vol_bad_arg(v, "", spec, NBD_SYNOPSIS);
}

static uint32_t
round_block(int64_t bytes, uint32_t least, uint32_t most)
{
	uint32_t block = least;

	while (block < bytes && block < most)
		block *= 2;
	return block;
}

static uint32_t
find_caps(struct nbd_priv *p, struct nbd_handle *h, bool rdonly)
{
	uint32_t caps = 0;

	if (nbd_is_rotational(h) == 1)
		caps |= VOL_CAP_ROTATIONAL;
	if (rdonly || nbd_is_read_only(h) != 0)
		return caps | VOL_CAP_READONLY;
	if (nbd_can_flush(h) == 1)
		caps |= VOL_CAP_FLUSH;
	if (nbd_can_fua(h) == 1)
		caps |= VOL_CAP_FUA;
	if (nbd_can_trim(h) == 1)
		caps |= VOL_CAP_DISCARD;
	if (nbd_can_zero(h) == 1)
		caps |= VOL_CAP_WRITE_ZEROES;
	p->fast_zero = nbd_can_fast_zero(h) == 1;
	return caps;
}

/* Sockets of this machine have the same name on others. */
static void
make_uuid(const struct nbd_priv *p, uint8_t uuid[16])
{
	struct vol_hash h;

	vol_hash_begin(&h);
	if (strncmp(p->uri, "nbd+unix", 8) == 0 || strncmp(p->uri, "nbds+unix", 9) == 0 ||
		strstr(p->uri, "//localhost") != NULL || strstr(p->uri, "//127.") != NULL)
		vol_hash_machine(&h);
	vol_hash_add(&h, p->uri, strlen(p->uri));
	vol_hash_end(&h, uuid);
}

static int
fill_info(struct volume *v, struct nbd_handle *h)
{
	struct nbd_priv *p = vol_priv(v);
	struct vol_info *info = vol_info_rw(v);
	int64_t size = nbd_get_size(h);
	int64_t max = nbd_get_block_size(h, LIBNBD_SIZE_MAXIMUM);

	if (size < 0)
		return mpn_log_err(nbd_get_errno(), "volume", "'%s': %s", p->uri, nbd_get_error());
	info->block_size = round_block(nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM), 512, 1u << 16);
	info->phys_block = round_block(
		nbd_get_block_size(h, LIBNBD_SIZE_PREFERRED), info->block_size, 1u << 20);
	info->discard_gran = info->phys_block;
	info->size = (uint64_t)size & ~(uint64_t)(info->block_size - 1);
	if (info->size == 0)
		return mpn_log_err(EINVAL, "volume", "'%s': has %lld bytes, less than a block",
			p->uri, (long long)size);
	if (info->size != (uint64_t)size)
		mpn_log(MPN_LOG_WARN, "volume",
			"'%s': its last %llu bytes are not served: not a whole block of %u", p->uri,
			(unsigned long long)size - info->size, info->block_size);
	/* The protocol promises 32 MiB where the server says nothing. */
	p->max_chunk = max > 0 ? (uint64_t)max & ~(uint64_t)(info->block_size - 1) : 32u << 20;
	p->max_chunk = MPN_MIN(MPN_MAX(p->max_chunk, info->block_size), 32u << 20);
	info->caps = find_caps(p, h, (vol_open_flags(v) & VOL_OPEN_RDONLY) != 0);
	make_uuid(p, info->uuid);
	return 0;
}

/* Several connections see each other's writes and flushes only when the server says so. */
static unsigned
choose_conns(struct nbd_priv *p, const struct nbd_args *a, struct nbd_handle *h)
{
	if (nbd_can_multi_conn(h) == 1)
		return a->connections != 0 ? (unsigned)a->connections : 4;
	if (a->connections > 1)
		mpn_log(MPN_LOG_WARN, "volume",
			"'%s': one connection: the server does not promise multi-conn", p->uri);
	return 1;
}

static int
connect_all(struct volume *v, const struct nbd_args *a)
{
	struct nbd_priv *p = vol_priv(v);
	struct nbd_handle *h = nbd_connect_now(p);
	unsigned i;
	int rc;

	if (h == NULL)
		return mpn_log_err(p->maker.err, "volume", "'%s': cannot connect: %s", p->uri,
			p->maker.reason);
	rc = fill_info(v, h);
	if (rc != 0) {
		nbd_close(h);
		return rc;
	}
	p->nb_conns = choose_conns(p, a, h);
	nbd_conn_adopt(p, &p->conns[0], h);
	for (i = 1; i < p->nb_conns; i++) {
		h = nbd_connect_now(p);
		if (h == NULL) {
			/* A server may have a limit. */
			mpn_log(MPN_LOG_WARN, "volume", "'%s': %u connections, not %u: %s", p->uri,
				i, p->nb_conns, p->maker.reason);
			p->nb_conns = i;
			break;
		}
		nbd_conn_adopt(p, &p->conns[i], h);
	}
	return 0;
}

static void
nbd_close_volume(struct volume *v)
{
	struct nbd_priv *p = vol_priv(v);
	unsigned i;

	nbd_conn_stop(p);
	for (i = 0; i < p->nb_conns; i++) {
		if (p->conns[i].h != NULL)
			(void)nbd_aio_disconnect(p->conns[i].h, 0);
		nbd_conn_close(p, &p->conns[i]);
	}
	nbd_io_fini(p);
	if (p->epfd >= 0)
		close(p->epfd);
	free(p->uri);
}

static int
nbd_open_volume(struct volume *v, const char *spec)
{
	struct nbd_priv *p = vol_priv(v);
	struct nbd_args a;
	int rc;

	rc = parse_args(v, spec, &a);
	if (rc != 0)
		return rc;
	p->fail_after_ns = a.fail_after_ns;
	p->epfd = epoll_create1(EPOLL_CLOEXEC);
	p->uri = strdup(a.uri);
	rc = nbd_io_init(p);
	if (p->epfd < 0 || p->uri == NULL || rc != 0)
		rc = mpn_log_err(ENOMEM, "volume", "'%s': out of memory", a.uri);
	else
		rc = connect_all(v, &a);
	if (rc != 0)
		nbd_close_volume(v);
	return rc;
}

static void
nbd_print(const struct volume *v, struct mpn_out *o)
{
	const struct nbd_priv *p = vol_priv_const(v);

	mpn_out_u64(o, "connections", p->nb_ready);
	mpn_out_u64(o, "connections_wanted", p->nb_conns);
	mpn_out_u64(o, "reconnects", p->reconnects);
	mpn_out_u64(o, "resent", p->resent);
}

const struct vol_ops vol_nbd_ops = {
	.name = "nbd",
	.synopsis = NBD_SYNOPSIS,
	.help = "an export of an NBD server, through libnbd; fail-after is 30s unless given",
	.priv_size = sizeof(struct nbd_priv),
	.open = nbd_open_volume,
	.close = nbd_close_volume,
	.submit = nbd_submit,
	.poll = nbd_poll_volume,
	.next_ns = nbd_next_ns,
	.fd = nbd_fd,
	.find_size = nbd_find_size,
	.print = nbd_print,
};
