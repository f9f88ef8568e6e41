/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * rbd: an image, or a snapshot of one, in a Ceph cluster. The cluster does what makes a volume larger
 * than a machine; servers in front of it keep nothing, so that any number of them may serve one image.
 */

#include <stdlib.h>
#include <string.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "rbd.h"
#include "volume_kinds.h"
#include "volume_util.h"

#define RBD_SYNOPSIS \
	"rbd:POOL[/NAMESPACE]/IMAGE[@SNAP][,conf=PATH][,keyring=PATH][,id=USER][,fail-after=TIME|" \
	"never]"
#define EXPECT_NAME "POOL/IMAGE, POOL/NAMESPACE/IMAGE or POOL/IMAGE@SNAP"
#define EXPECT_FAIL "a time from 1s to 24h (86400s), or never"
#define NSEC_PER_SEC 1000000000ull
#define CONNECT_SECONDS "10"
/* librbd leaves alone what is smaller or not aligned to it. */
#define DISCARD_GRAN 65536

struct rbd_args {
	char name[512]; /* as typed; cut up into what follows */
	char image_spec[512];
	const char *pool, *space, *image, *snap; /* space, snap: NULL without */
	char conf[VOL_ARG_LEN];
	char keyring[VOL_ARG_LEN];
	char id[128];
	uint64_t fail_after_ns; /* 0: never */
};

static int
split_name(const struct volume *v, struct rbd_args *a)
{
	char *slash, *last, *at;

	(void)snprintf(a->image_spec, sizeof(a->image_spec), "%s", a->name);
	a->pool = a->image_spec;
	slash = strchr(a->image_spec, '/');
	last = strrchr(a->image_spec, '/');
	if (slash == NULL || slash == a->image_spec)
		return vol_bad_arg(v, "", a->name, EXPECT_NAME);
	*slash = '\0';
	if (last != slash) {
		*last = '\0';
		a->space = slash + 1;
	}
	a->image = last + 1;
	at = strchr(last + 1, '@');
	if (at != NULL) {
		*at = '\0';
		a->snap = at + 1;
	}
	if (a->image[0] == '\0' || (a->snap != NULL && a->snap[0] == '\0') ||
		(a->space != NULL && (a->space[0] == '\0' || strchr(a->space, '/') != NULL)))
		return vol_bad_arg(v, "", a->name, EXPECT_NAME);
	return 0;
}

static int
parse_option(const struct volume *v, struct rbd_args *a, const char *key, const char *value)
{
	if (strcmp(key, "conf") == 0)
		return mpn_copy_str(a->conf, sizeof(a->conf), value);
	if (strcmp(key, "keyring") == 0)
		return mpn_copy_str(a->keyring, sizeof(a->keyring), value);
	if (strcmp(key, "id") == 0)
		return mpn_copy_str(a->id, sizeof(a->id), value) == 0
			       ? 0
			       : vol_bad_arg(v, key, value, "a user such as admin");
	if (strcmp(key, "fail-after") == 0) {
		a->fail_after_ns = 0;
		if (strcmp(value, "never") != 0 &&
			mpn_parse_time_ns(
				value, NSEC_PER_SEC, 86400 * NSEC_PER_SEC, &a->fail_after_ns) != 0)
			return vol_bad_arg(v, key, value, EXPECT_FAIL);
		return 0;
	}
	return vol_bad_arg(v, key, value, "conf=, keyring=, id= or fail-after= after the image");
}

static int
parse_args(const struct volume *v, const char *spec, struct rbd_args *a)
{
	char key[16], value[VOL_ARG_LEN];
	int rc;

	memset(a, 0, sizeof(*a));
	a->fail_after_ns = 120 * NSEC_PER_SEC;
	if (mpn_parse_item(&spec, a->name, sizeof(a->name)) != 1)
		return vol_bad_arg(v, "", spec, EXPECT_NAME);
	rc = split_name(v, a);
	if (rc != 0)
		return rc;
	while ((rc = mpn_parse_kv(&spec, key, sizeof(key), value, sizeof(value))) == 1) {
		rc = parse_option(v, a, key, value);
		if (rc != 0)
			return rc;
	}
	return rc == 0 ? 0 : vol_bad_arg(v, "", spec, RBD_SYNOPSIS);
}

static int
configure(struct rbd_priv *p, const struct rbd_args *a)
{
	char seconds[32];
	int rc;

	rc = rados_conf_read_file(p->cluster, a->conf[0] != '\0' ? a->conf : NULL);
	if (rc < 0)
		return mpn_log_err(-rc, "volume", "'%s': cannot read %s: %s", p->name,
			a->conf[0] != '\0' ? a->conf : "Ceph's configuration; conf=PATH names it",
			strerror(-rc));
	(void)rados_conf_parse_env(p->cluster, NULL);
	if (a->keyring[0] != '\0')
		(void)rados_conf_set(p->cluster, "keyring", a->keyring);
	(void)rados_conf_set(p->cluster, "client_mount_timeout", CONNECT_SECONDS);
	(void)rados_conf_set(p->cluster, "rados_mon_op_timeout", CONNECT_SECONDS);
	(void)snprintf(seconds, sizeof(seconds), "%llu",
		(unsigned long long)((a->fail_after_ns + NSEC_PER_SEC - 1) / NSEC_PER_SEC));
	(void)rados_conf_set(p->cluster, "rados_osd_op_timeout", seconds);
	return 0;
}

static int
connect_cluster(struct rbd_priv *p, const struct rbd_args *a)
{
	int rc;

	rc = rados_create(&p->cluster, a->id[0] != '\0' ? a->id : "admin");
	if (rc < 0)
		return mpn_log_err(
			-rc, "volume", "'%s': no Ceph client: %s", p->name, strerror(-rc));
	rc = configure(p, a);
	if (rc != 0)
		return rc;
	rc = rados_connect(p->cluster);
	if (rc < 0)
		return mpn_log_err(-rc, "volume", "'%s': cannot connect to the cluster: %s",
			p->name, strerror(-rc));
	rc = rados_ioctx_create(p->cluster, a->pool, &p->pool);
	if (rc < 0)
		return mpn_log_err(
			-rc, "volume", "'%s': no pool '%s': %s", p->name, a->pool, strerror(-rc));
	if (a->space != NULL)
		rados_ioctx_set_namespace(p->pool, a->space);
	/* Where there is no room the cluster is to say so: writes would wait until there is. */
	rados_set_pool_full_try(p->pool);
	return 0;
}

static void
note_change(void *arg)
{
	struct rbd_priv *p = arg;

	__atomic_store_n(&p->changed, 1, __ATOMIC_RELEASE);
}

static int
open_image(struct rbd_priv *p, const struct rbd_args *a, bool rdonly)
{
	int rc;

	if (rdonly)
		rc = rbd_open_read_only(p->pool, a->image, &p->image, a->snap);
	else
		rc = rbd_open(p->pool, a->image, &p->image, a->snap);
	if (rc < 0) {
		p->image = NULL;
		return mpn_log_err(
			-rc, "volume", "'%s': cannot open the image: %s", p->name, strerror(-rc));
	}
	p->watched = rbd_update_watch(p->image, &p->watch, note_change, p) == 0;
	return 0;
}

/* The same whichever server it is asked from. */
static void
make_uuid(struct rbd_priv *p, const struct rbd_args *a, uint8_t uuid[16])
{
	int64_t pool = rados_ioctx_get_id(p->pool);
	struct vol_hash h;
	char text[256];

	vol_hash_begin(&h);
	if (rados_cluster_fsid(p->cluster, text, sizeof(text)) > 0)
		vol_hash_add(&h, text, strlen(text));
	vol_hash_add(&h, &pool, sizeof(pool));
	if (rbd_get_id(p->image, text, sizeof(text)) == 0)
		vol_hash_add(&h, text, strlen(text));
	if (a->snap != NULL)
		vol_hash_add(&h, a->snap, strlen(a->snap));
	vol_hash_end(&h, uuid);
}

static int
fill_info(struct rbd_priv *p, const struct rbd_args *a, bool rdonly, struct vol_info *info)
{
	uint64_t size = 0;
	int rc = rbd_get_size(p->image, &size);

	if (rc < 0)
		return mpn_log_err(
			-rc, "volume", "'%s': cannot get its size: %s", p->name, strerror(-rc));
	info->block_size = 512;
	info->size = size & ~511ull;
	info->phys_block = 4096;
	info->discard_gran = DISCARD_GRAN;
	info->caps = VOL_CAP_READONLY;
	if (!rdonly)
		info->caps = VOL_CAP_FLUSH | VOL_CAP_DISCARD | VOL_CAP_WRITE_ZEROES;
	make_uuid(p, a, info->uuid);
	return 0;
}

static void
rbd_close_volume(struct volume *v)
{
	struct rbd_priv *p = vol_priv(v);

	rbd_io_stop(p);
	if (p->watched)
		(void)rbd_update_unwatch(p->image, p->watch);
	if (p->image != NULL)
		(void)rbd_close(p->image);
	if (p->pool != NULL)
		rados_ioctx_destroy(p->pool);
	if (p->cluster != NULL)
		rados_shutdown(p->cluster);
	rbd_io_fini(p);
	free(p->name);
}

static int
open_all(struct volume *v, const struct rbd_args *a)
{
	struct rbd_priv *p = vol_priv(v);
	bool rdonly = a->snap != NULL || (vol_open_flags(v) & VOL_OPEN_RDONLY) != 0;
	int rc;

	p->name = strdup(a->name);
	if (rbd_io_init(p) != 0 || p->name == NULL)
		return mpn_log_err(ENOMEM, "volume", "'%s': out of memory", a->name);
	rc = connect_cluster(p, a);
	if (rc == 0)
		rc = open_image(p, a, rdonly);
	if (rc == 0)
		rc = fill_info(p, a, rdonly, vol_info_rw(v));
	return rc;
}

static int
rbd_open_volume(struct volume *v, const char *spec)
{
	struct rbd_args *a = malloc(sizeof(*a));
	cpu_set_t saved;
	int rc;

	if (a == NULL)
		return mpn_log_err(ENOMEM, "volume", "rbd: out of memory");
	rc = parse_args(v, spec, a);
	if (rc == 0) {
		vol_threads_begin(&saved);
		rc = open_all(v, a);
		if (rc != 0)
			rbd_close_volume(v);
		vol_threads_end(&saved);
	}
	free(a);
	return rc;
}

static int
rbd_find_size(struct volume *v, uint64_t *size)
{
	struct rbd_priv *p = vol_priv(v);
	int rc = rbd_get_size(p->image, size);

	return rc == 0 ? 0
		       : mpn_log_err(-rc, "volume", "'%s': cannot get its size: %s", p->name,
				 strerror(-rc));
}

const struct vol_ops vol_rbd_ops = {
	.name = "rbd",
	.synopsis = RBD_SYNOPSIS,
	.help = "an image or a snapshot in a Ceph cluster; fail-after is 2m unless given",
	.priv_size = sizeof(struct rbd_priv),
	.open = rbd_open_volume,
	.close = rbd_close_volume,
	.submit = rbd_submit,
	.poll = rbd_poll_volume,
	.next_ns = rbd_next_ns,
	.fd = rbd_fd,
	.find_size = rbd_find_size,
};
