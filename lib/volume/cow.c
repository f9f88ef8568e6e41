/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* cow: what is written goes to an overlay file, the volume below is opened for reading only. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cow.h"
#include "mpn_log.h"
#include "mpn_parse.h"
#include "volume_kinds.h"
#include "volume_util.h"

#define COW_SYNOPSIS "cow:overlay=PATH[,cluster=SIZE]:SPEC"

struct cow_args {
	char overlay[1024];
	uint64_t cluster;
};

static int
parse_args(const struct volume *v, const char *args, struct cow_args *a)
{
	char key[16], value[1024];
	int rc;

	a->overlay[0] = '\0';
	a->cluster = COW_CLUSTER;
	while ((rc = mpn_parse_kv(&args, key, sizeof(key), value, sizeof(value))) == 1) {
		if (strcmp(key, "overlay") == 0) {
			if (mpn_copy_str(a->overlay, sizeof(a->overlay), value) != 0)
				return vol_bad_arg(v, key, value, "a shorter path");
		} else if (strcmp(key, "cluster") == 0) {
			if (mpn_parse_size(value, COW_CLUSTER_MIN, COW_CLUSTER_MAX, &a->cluster) !=
					0 ||
				(a->cluster & (a->cluster - 1)) != 0)
				return vol_bad_arg(v, key, value, "a power of two from 4k to 1M");
		} else {
			return vol_bad_arg(v, key, value, "overlay= or cluster=");
		}
	}
	if (rc != 0 || a->overlay[0] == '\0')
		return vol_bad_arg(v, "", args, COW_SYNOPSIS);
	return 0;
}

/*
 * Look before anything is opened for writing: a file that is not ours must not grow.
 * @return 1: ours, its header in *h; 0: to be made; -errno after a log line
 */
static int
look_at_overlay(const struct cow_args *a, struct cow_header *h)
{
	static const struct cow_header none;
	ssize_t n;
	int fd = open(a->overlay, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return mpn_log_err(errno, "volume", "'%s': cannot open: %m", a->overlay);
	n = pread(fd, h, sizeof(*h), 0);
	close(fd);
	/* Zeroes: we were killed before the header was durable, and nothing was served then. */
	if (n == 0 || (n == sizeof(*h) && memcmp(h, &none, sizeof(none)) == 0))
		return 0;
	if (n != sizeof(*h) || memcmp(h->magic, COW_MAGIC, 8) != 0)
		return mpn_log_err(EINVAL, "volume", "'%s': exists and is no overlay", a->overlay);
	if (h->version != COW_VERSION || h->cluster < COW_CLUSTER_MIN ||
		h->cluster > COW_CLUSTER_MAX || (h->cluster & (h->cluster - 1)) != 0)
		return mpn_log_err(EINVAL, "volume", "'%s': an overlay of version %u, clusters %u",
			a->overlay, h->version, h->cluster);
	return 1;
}

static int
check_header(const struct cow_args *a, const struct cow_header *h, const struct vol_info *base)
{
	if (h->size != base->size)
		return mpn_log_err(EINVAL, "volume",
			"'%s': is for a volume of %llu bytes, the one below has %llu", a->overlay,
			(unsigned long long)h->size, (unsigned long long)base->size);
	if (memcmp(h->base_uuid, base->uuid, 16) != 0)
		mpn_log(MPN_LOG_WARN, "volume",
			"'%s': was made on another volume: right only if this is a copy of it",
			a->overlay);
	return 0;
}

static void
lay_out(struct cow_priv *p, uint64_t size, uint32_t cluster)
{
	uint64_t mask = (uint64_t)MPN_MAX(cluster, COW_BLOCK) - 1;

	p->cluster = cluster;
	p->nb_clusters = (size + cluster - 1) / cluster;
	p->map_bytes = ((p->nb_clusters + 7) / 8 + COW_BLOCK - 1) & ~(uint64_t)(COW_BLOCK - 1);
	p->data_off = (COW_BLOCK + p->map_bytes + mask) & ~mask;
}

static int
open_overlay(struct cow_priv *p, const struct cow_args *a, uint64_t size)
{
	char spec[2 * sizeof(a->overlay) + 64] = "file:";
	size_t n = strlen(spec);
	const char *c;

	for (c = a->overlay; *c != '\0'; c++) {
		spec[n++] = *c;
		if (*c == ',')
			spec[n++] = ',';
	}
	(void)snprintf(
		spec + n, sizeof(spec) - n, ",size=%llu", (unsigned long long)(p->data_off + size));
	return vol_open_spec(spec, &p->over);
}

static int
write_header(struct cow_priv *p, const struct vol_info *base)
{
	struct cow_header *h = aligned_alloc(COW_BLOCK, COW_BLOCK);
	int rc;

	if (h == NULL)
		return -ENOMEM;
	memset(h, 0, COW_BLOCK);
	memcpy(h->magic, COW_MAGIC, 8);
	h->version = COW_VERSION;
	h->cluster = p->cluster;
	h->size = base->size;
	memcpy(h->base_uuid, base->uuid, 16);
	rc = vol_run(p->over, VOL_WRITE, 0, h, COW_BLOCK);
	if (rc == 0)
		rc = vol_run(p->over, VOL_FLUSH, 0, NULL, 0);
	free(h);
	return rc;
}

static int
watch_fds(struct cow_priv *p)
{
	int fds[2] = {vol_fd(vol_lower(p->self)), vol_fd(p->over)};
	struct epoll_event ev = {.events = EPOLLIN};
	unsigned i;

	p->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (p->epfd < 0)
		return -errno;
	for (i = 0; i < 2; i++) {
		if (fds[i] >= 0 && epoll_ctl(p->epfd, EPOLL_CTL_ADD, fds[i], &ev) != 0)
			return -errno;
	}
	return 0;
}

/* Closing loses nothing that was never flushed. */
static int
persist(struct cow_priv *p)
{
	uint64_t off;
	int rc = vol_run(p->over, VOL_FLUSH, 0, NULL, 0);

	for (off = 0; off < p->map_bytes && rc == 0; off += COW_BLOCK) {
		if (p->dirty[off / COW_BLOCK] != 0 || p->writing[off / COW_BLOCK] != 0)
			rc = vol_run(p->over, VOL_WRITE, COW_BLOCK + off, p->map + off, COW_BLOCK);
	}
	return rc != 0 ? rc : vol_run(p->over, VOL_FLUSH, 0, NULL, 0);
}

static void
cow_close(struct volume *v)
{
	struct cow_priv *p = vol_priv(v);
	int rc = p->bounce_mem != NULL ? persist(p) : 0;

	if (rc != 0)
		mpn_log(MPN_LOG_WARN, "volume",
			"'%s': what was written since the last flush is lost: %s", vol_spec(v),
			strerror(-rc));
	vol_close(p->over);
	cow_map_free(p);
	cow_io_fini(p);
	if (p->epfd > 0)
		close(p->epfd);
}

static void
fill_info(struct cow_priv *p)
{
	const struct vol_info *over = vol_get_info(p->over);
	struct vol_info *info = vol_info_rw(p->self);

	info->block_size = MPN_MAX(info->block_size, over->block_size);
	info->size &= ~(uint64_t)(info->block_size - 1);
	info->phys_block = p->cluster;
	info->discard_gran = p->cluster;
	info->caps &= VOL_CAP_ROTATIONAL;
	info->caps |=
		VOL_CAP_FLUSH | VOL_CAP_DISCARD | VOL_CAP_WRITE_ZEROES | VOL_CAP_ZERO_AFTER_DISCARD;
	/* Another contents, another identity. */
	info->uuid[0] ^= over->uuid[0];
	info->uuid[15] ^= over->uuid[15];
	memcpy(info->uuid + 1, over->uuid + 1, 5);
}

static int
set_up(struct cow_priv *p, const struct cow_args *a)
{
	const struct vol_info *base = vol_get_info(vol_lower(p->self));
	struct cow_header h;
	int ours = look_at_overlay(a, &h);
	int rc;

	if (ours < 0)
		return ours;
	rc = ours ? check_header(a, &h, base) : 0;
	if (rc != 0)
		return rc;
	lay_out(p, base->size, ours ? h.cluster : (uint32_t)a->cluster);
	rc = open_overlay(p, a, base->size);
	if (rc != 0)
		return rc;
	if (!ours)
		rc = write_header(p, base);
	if (rc == 0)
		rc = cow_map_load(p);
	if (rc == 0)
		rc = watch_fds(p);
	if (rc == 0)
		rc = cow_io_init(p);
	if (rc != 0)
		return mpn_log_err(-rc, "volume", "'%s': cannot use the overlay: %s", a->overlay,
			strerror(-rc));
	fill_info(p);
	return 0;
}

static int
cow_open(struct volume *v, const char *spec)
{
	struct cow_priv *p = vol_priv(v);
	char args[1200];
	const char *lower = vol_split_filter(v, spec, args, sizeof(args));
	struct cow_args a;
	int rc;

	if (lower == NULL)
		return -EINVAL;
	rc = parse_args(v, args, &a);
	if (rc != 0)
		return rc;
	if ((vol_open_flags(v) & VOL_OPEN_RDONLY) != 0)
		return vol_bad_arg(v, "overlay", a.overlay, "no readonly filter above");
	p->self = v;
	rc = vol_open_lower(v, lower, VOL_OPEN_RDONLY);
	if (rc != 0)
		return rc;
	rc = set_up(p, &a);
	if (rc != 0)
		cow_close(v);
	return rc;
}

static int
cow_fd(struct volume *v)
{
	return ((struct cow_priv *)vol_priv(v))->epfd;
}

static void
cow_print(const struct volume *v, struct mpn_out *o)
{
	const struct cow_priv *p = vol_priv_const(v);
	uint64_t nb = 0, i;

	for (i = 0; i < p->map_bytes; i++)
		nb += (unsigned)__builtin_popcount(p->map[i]);
	mpn_out_u64(o, "clusters", p->nb_clusters);
	mpn_out_u64(o, "clusters_in_overlay", nb);
	mpn_out_u64(o, "clusters_copied_up", p->copied_up);
}

const struct vol_ops vol_cow_ops = {
	.name = "cow",
	.synopsis = COW_SYNOPSIS,
	.help = "write to an overlay file, read through to a volume that stays as it is",
	.filter = true,
	.priv_size = sizeof(struct cow_priv),
	.open = cow_open,
	.close = cow_close,
	.submit = cow_submit,
	.poll = cow_poll,
	.next_ns = cow_next_ns,
	.fd = cow_fd,
	.print = cow_print,
};
