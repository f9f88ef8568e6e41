/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* mem: a volume in memory, zeroes or the contents of a file at first. */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mpn_log.h"
#include "mpn_parse.h"
#include "volume.h"
#include "volume_kinds.h"

#define HUGE_PAGE (2u << 20)
/* Zeroes made in one poll for one request: what a core writes in some 100 us. */
#define ZERO_SLICE (1u << 20)
/* From here on giving pages back to the kernel is cheaper than writing zeroes. */
#define UNMAP_MIN (256u << 10)

struct mem_priv {
	char *mem;
	void *base; /* what the allocator gave */
	size_t base_bytes;
	void (*free_mem)(void *mem, size_t bytes, void *ctx);
	void *ctx;
	bool anonymous; /* pages that are given back read as zeroes */
	struct mpn_list pending;
};

static void *
map_anonymous(size_t bytes, void *ctx)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return NULL;
	/* Advice: a kernel without huge pages serves us small ones. */
	(void)madvise(mem, bytes, MADV_HUGEPAGE);
	return mem;
}

static void
unmap_anonymous(void *mem, size_t bytes, void *ctx)
{
	munmap(mem, bytes);
}

static void *(*alloc_mem)(size_t bytes, void *ctx) = map_anonymous;
static void (*free_mem)(void *mem, size_t bytes, void *ctx) = unmap_anonymous;
static void *mem_ctx;

void
vol_mem_set_allocator(void *(*alloc)(size_t bytes, void *ctx),
	void (*free_)(void *mem, size_t bytes, void *ctx), void *ctx)
{
	bool both = alloc != NULL && free_ != NULL;

	alloc_mem = both ? alloc : map_anonymous;
	free_mem = both ? free_ : unmap_anonymous;
	mem_ctx = both ? ctx : NULL;
}

/* Read the file at path into p->mem; it must fit. */
static int
load_file(struct mem_priv *p, int fd, const char *path, uint64_t bytes)
{
	uint64_t done = 0;

	while (done < bytes) {
		ssize_t n = pread(fd, p->mem + done, bytes - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mpn_log_err(errno, "volume", "mem: '%s': cannot read: %m", path);
		if (n == 0)
			return mpn_log_err(EIO, "volume", "mem: '%s': became shorter", path);
		done += (uint64_t)n;
	}
	return 0;
}

static int
allocate(struct mem_priv *p, uint64_t size)
{
	p->anonymous = alloc_mem == map_anonymous;
	p->free_mem = free_mem;
	p->ctx = mem_ctx;
	/* Room to start on a huge page. */
	p->base_bytes = size + (p->anonymous && size >= HUGE_PAGE ? HUGE_PAGE : 0);
	p->base = alloc_mem(p->base_bytes, p->ctx);
	if (p->base == NULL)
		return mpn_log_err(errno != 0 ? errno : ENOMEM, "volume",
			"mem: cannot have %llu bytes: %m", (unsigned long long)size);
	p->mem = p->base;
	if (p->base_bytes != size)
		p->mem += -(uintptr_t)p->base & (HUGE_PAGE - 1);
	if (!p->anonymous)
		memset(p->mem, 0, size);
	return 0;
}

/* Open the file that has the first contents. */
static int
open_contents(const struct volume *v, const char *path, uint64_t *bytes)
{
	struct stat st;
	int fd;

	/* Look first: opening a FIFO would block, opening a device may do things. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return vol_bad_arg(v, "file", path, "a regular file");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		int err = errno;

		if (fd >= 0)
			close(fd);
		return mpn_log_err(
			err, "volume", "mem: '%s': cannot open: %s", path, strerror(err));
	}
	*bytes = (uint64_t)st.st_size;
	return fd;
}

/* Memory of size bytes, the first of which are those of the file. size 0: the file's. */
static int
set_up(struct volume *v, uint64_t size, const char *path, int fd, uint64_t bytes)
{
	struct mem_priv *p = vol_priv(v);
	int rc;

	if (size == 0)
		size = (bytes + 511) / 512 * 512;
	if (size == 0)
		return vol_bad_arg(v, "file", path, "a file that is not empty, or a size");
	if (bytes > size)
		return vol_bad_arg(v, "file", path, "a file that fits into the size");
	rc = allocate(p, size);
	if (rc != 0)
		return rc;
	rc = load_file(p, fd, path, bytes);
	if (rc != 0)
		p->free_mem(p->base, p->base_bytes, p->ctx);
	vol_info_rw(v)->size = size;
	return rc;
}

static int
parse_spec(struct volume *v, const char *spec, uint64_t *size, char *path, size_t path_size)
{
	char key[16], value[VOL_ARG_LEN];
	int rc;

	while ((rc = mpn_parse_kv(&spec, key, sizeof(key), value, sizeof(value))) == 1) {
		if (strcmp(key, "file") == 0 && value[0] != '\0') {
			if (mpn_copy_str(path, path_size, value) != 0)
				return vol_bad_arg(v, key, value, "a shorter path");
		} else if (key[0] != '\0') {
			return vol_bad_arg(v, key, value, "mem:SIZE[,file=PATH]");
		} else if (mpn_parse_size(value, 512, INT64_MAX / 2, size) != 0 ||
			   *size % 512 != 0) {
			return vol_bad_arg(v, "", value, "a size such as 1G, a multiple of 512");
		}
	}
	if (rc != 0 || (*size == 0 && path[0] == '\0'))
		return vol_bad_arg(v, "", spec, "mem:SIZE[,file=PATH]");
	return 0;
}

static int
mem_open(struct volume *v, const char *spec)
{
	struct mem_priv *p = vol_priv(v);
	struct vol_info *info = vol_info_rw(v);
	char path[VOL_ARG_LEN] = "";
	uint64_t size = 0;
	uint64_t bytes = 0;
	int fd = -1;
	int rc;

	rc = parse_spec(v, spec, &size, path, sizeof(path));
	if (rc != 0)
		return rc;
	if (path[0] != '\0') {
		fd = open_contents(v, path, &bytes);
		if (fd < 0)
			return fd;
	}
	rc = set_up(v, size, path, fd, bytes);
	if (fd >= 0)
		close(fd);
	if (rc != 0)
		return rc;
	info->block_size = 512;
	info->phys_block = 4096;
	info->discard_gran = 4096;
	info->caps =
		VOL_CAP_FUA | VOL_CAP_DISCARD | VOL_CAP_WRITE_ZEROES | VOL_CAP_ZERO_AFTER_DISCARD;
	/* Changes are lost at the end, so the next one is another volume. */
	if (getrandom(info->uuid, sizeof(info->uuid), 0) != (ssize_t)sizeof(info->uuid))
		memcpy(info->uuid, &p->mem, sizeof(p->mem));
	mpn_list_init(&p->pending);
	return 0;
}

static void
mem_close(struct volume *v)
{
	struct mem_priv *p = vol_priv(v);

	p->free_mem(p->base, p->base_bytes, p->ctx);
}

static int
mem_submit(struct volume *v, struct vol_io *io)
{
	struct mem_priv *p = vol_priv(v);

	io->priv[0] = 0; /* bytes done */
	mpn_list_add_tail(&p->pending, &io->node);
	return 0;
}

static void
move_data(const struct mem_priv *p, const struct vol_io *io)
{
	char *mem = p->mem + io->off;
	int i;

	for (i = 0; i < io->iovcnt; i++) {
		const struct iovec *seg = &io->iov[i];

		/* Empty segments may have no memory. */
		if (seg->iov_len == 0)
			continue;
		/* A caller that used vol_map() may hand in the volume's own memory. */
		if (io->op == VOL_READ)
			memmove(seg->iov_base, mem, seg->iov_len);
		else
			memmove(mem, seg->iov_base, seg->iov_len);
		mem += seg->iov_len;
	}
}

static void
zero_range(const struct mem_priv *p, char *mem, size_t len)
{
	size_t head = MPN_MIN(-(uintptr_t)mem & 4095, len);
	size_t pages = (len - head) & ~(size_t)4095;

	if (!p->anonymous || pages < UNMAP_MIN || madvise(mem + head, pages, MADV_DONTNEED) != 0) {
		memset(mem, 0, len);
		return;
	}
	memset(mem, 0, head);
	memset(mem + head + pages, 0, len - head - pages);
}

/* @return true when io is done; a large range takes several polls. */
static bool
zero_some(const struct mem_priv *p, struct vol_io *io)
{
	size_t slice = p->anonymous ? 16 * ZERO_SLICE : ZERO_SLICE;
	size_t len = MPN_MIN(io->len - io->priv[0], slice);

	zero_range(p, p->mem + io->off + io->priv[0], len);
	io->priv[0] += len;
	return io->priv[0] == io->len;
}

static unsigned
mem_poll(struct volume *v)
{
	struct mem_priv *p = vol_priv(v);
	struct mpn_list now;
	unsigned n = 0;

	/* What the callbacks submit is for the next poll. */
	mpn_list_init(&now);
	mpn_list_splice_tail(&now, &p->pending);
	while (!mpn_list_empty(&now)) {
		struct vol_io *io = mpn_list_first(&now, struct vol_io, node);

		mpn_list_del(&io->node);
		if (io->op == VOL_READ || io->op == VOL_WRITE) {
			move_data(p, io);
		} else if (io->op != VOL_FLUSH && !zero_some(p, io)) {
			mpn_list_add_tail(&p->pending, &io->node);
			continue;
		}
		vol_complete(io, 0);
		n++;
	}
	return n;
}

static void *
mem_map(struct volume *v, uint64_t off, uint64_t len)
{
	const struct mem_priv *p = vol_priv(v);

	return p->mem + off;
}

static uint64_t
mem_next_ns(struct volume *v)
{
	const struct mem_priv *p = vol_priv(v);

	return mpn_list_empty(&p->pending) ? UINT64_MAX : 0;
}

const struct vol_ops vol_mem_ops = {
	.name = "mem",
	.synopsis = "mem:SIZE[,file=PATH]",
	.help = "memory; at first zeroes, or what the file holds",
	.priv_size = sizeof(struct mem_priv),
	.open = mem_open,
	.close = mem_close,
	.submit = mem_submit,
	.poll = mem_poll,
	.map = mem_map,
	.next_ns = mem_next_ns,
};
