/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The file back end's requests. Each one has a slot and goes through steps, with at most one entry in
 * the kernel at a time, so that neither ring can overflow:
 *
 *	READ, WRITE    MOVE ... MOVE [SYNC]      one more as long as they end short
 *	FLUSH          SYNC
 *	DISCARD,       PUNCH or ZERO_RANGE,      what the file system can do;
 *	WRITE_ZEROES   else ZERO_WRITE ... [SYNC] zeroes by hand when it can neither
 *
 * Submit only fills entries; poll hands all of them to the kernel in one system call.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "file.h"
#include "mpn_log.h"

/* EINTR and EAGAIN in a row before we believe it: a device that never takes a request. */
#define MAX_RETRIES 1000

enum file_step {
	STEP_MOVE,
	STEP_SYNC,
	STEP_PUNCH,
	STEP_ZERO_RANGE,
	STEP_ZERO_WRITE,
	STEP_REPORT, /* nothing to do but to complete with status, from poll */
};

struct file_slot {
	struct vol_io *io;
	struct file_slot *next_free;
	enum file_step step;
	int status; /* STEP_REPORT */
	unsigned retries;
	uint64_t done; /* bytes */
	int seg; /* io->iov[seg] + seg_off is where byte `done` is */
	size_t seg_off;
	char *bounce; /* NULL: the kernel gets the caller's memory */
	struct iovec iov[FILE_IOV];
};

/* ---- Set-up ---- */

static int
alloc_buffers(struct file_priv *p)
{
	unsigned i;
	/* Pages that nobody touches cost nothing: the buffers are for rare requests. */
	void *mem = mmap(NULL, (FILE_BOUNCE + 1) * FILE_BOUNCE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return -ENOMEM;
	p->slots = calloc(FILE_DEPTH, sizeof(*p->slots));
	if (p->slots == NULL) {
		munmap(mem, (FILE_BOUNCE + 1) * FILE_BOUNCE_BYTES);
		return -ENOMEM;
	}
	p->bounce_mem = mem;
	for (i = 0; i < FILE_BOUNCE; i++)
		p->bounce[i] = p->bounce_mem + i * FILE_BOUNCE_BYTES;
	p->nb_bounce = FILE_BOUNCE;
	p->zeroes = p->bounce_mem + FILE_BOUNCE * FILE_BOUNCE_BYTES;
	for (i = 0; i < FILE_DEPTH; i++) {
		p->slots[i].next_free = p->free_slots;
		p->free_slots = &p->slots[i];
	}
	return 0;
}

static void
free_buffers(struct file_priv *p)
{
	free(p->slots);
	munmap(p->bounce_mem, (FILE_BOUNCE + 1) * FILE_BOUNCE_BYTES);
}

int
file_io_init(struct file_priv *p, const char *path)
{
	int rc = alloc_buffers(p);

	if (rc != 0)
		return mpn_log_err(-rc, "volume", "'%s': out of memory", path);
	rc = io_uring_queue_init(FILE_DEPTH, &p->ring, 0);
	if (rc == 0)
		return 0;
	free_buffers(p);
	if (rc == -EPERM || rc == -ENOSYS)
		return mpn_log_err(-rc, "volume",
			"'%s': no io_uring here: an old kernel, kernel.io_uring_disabled, or the "
			"seccomp profile of a container",
			path);
	return mpn_log_err(-rc, "volume", "'%s': cannot set up io_uring: %s", path, strerror(-rc));
}

void
file_io_fini(struct file_priv *p)
{
	io_uring_queue_exit(&p->ring);
	free_buffers(p);
}

/* ---- The caller's memory ---- */

/* Whether O_DIRECT takes the memory of io as it is. */
static bool
is_aligned(const struct file_priv *p, const struct vol_io *io)
{
	uintptr_t all = 0;
	size_t lens = 0;
	int i;

	for (i = 0; i < io->iovcnt; i++) {
		if (io->iov[i].iov_len == 0)
			continue;
		all |= (uintptr_t)io->iov[i].iov_base;
		lens |= io->iov[i].iov_len;
	}
	return (all & (p->mem_align - 1)) == 0 && (lens & (p->off_align - 1)) == 0;
}

/* Describe the memory from byte `done` on in slot->iov. @return number of pieces */
static unsigned
window_memory(struct file_slot *slot)
{
	const struct vol_io *io = slot->io;
	size_t off = slot->seg_off;
	unsigned n = 0;
	int i;

	for (i = slot->seg; i < io->iovcnt && n < FILE_IOV; i++, off = 0) {
		if (io->iov[i].iov_len == off)
			continue;
		slot->iov[n].iov_base = (char *)io->iov[i].iov_base + off;
		slot->iov[n].iov_len = io->iov[i].iov_len - off;
		n++;
	}
	return n;
}

/* Copy n bytes from byte `done` on between the caller's memory and the bounce buffer. */
static void
copy_bounce(struct file_slot *slot, size_t n, bool to_caller)
{
	const struct vol_io *io = slot->io;
	char *bounce = slot->bounce;
	size_t off = slot->seg_off;
	int i;

	for (i = slot->seg; n > 0 && i < io->iovcnt; i++, off = 0) {
		size_t len = MPN_MIN(io->iov[i].iov_len - off, n);
		char *mem = io->iov[i].iov_base;

		if (len == 0)
			continue;
		if (to_caller)
			memcpy(mem + off, bounce, len);
		else
			memcpy(bounce, mem + off, len);
		bounce += len;
		n -= len;
	}
}

static void
advance(struct file_slot *slot, uint64_t n)
{
	slot->done += n;
	while (n > 0 && slot->step == STEP_MOVE) {
		uint64_t left = slot->io->iov[slot->seg].iov_len - slot->seg_off;

		if (n < left) {
			slot->seg_off += n;
			return;
		}
		n -= left;
		slot->seg++;
		slot->seg_off = 0;
	}
}

/* ---- Steps ---- */

static bool
needs_sync(const struct file_priv *p, const struct vol_io *io)
{
	return (io->flags & VOL_FUA) != 0 && (io->op == VOL_WRITE_ZEROES || p->no_dsync);
}

static void
prepare_move(struct volume *v, struct file_slot *slot, struct io_uring_sqe *sqe)
{
	struct file_priv *p = vol_priv(v);
	struct vol_io *io = slot->io;
	uint64_t off = io->off + slot->done;
	unsigned n;

	if (slot->bounce != NULL) {
		slot->iov[0].iov_base = slot->bounce;
		slot->iov[0].iov_len = MPN_MIN(io->len - slot->done, FILE_BOUNCE_BYTES);
		if (io->op == VOL_WRITE)
			copy_bounce(slot, slot->iov[0].iov_len, false);
		n = 1;
	} else {
		n = window_memory(slot);
	}
	if (io->op == VOL_READ) {
		io_uring_prep_readv(sqe, p->fd, slot->iov, n, off);
		return;
	}
	io_uring_prep_writev(sqe, p->fd, slot->iov, n, off);
	if ((io->flags & VOL_FUA) != 0 && !p->no_dsync) {
		sqe->rw_flags = RWF_DSYNC;
		vol_count_sync(v);
	}
}

static void
prepare_zero_write(struct file_priv *p, struct file_slot *slot, struct io_uring_sqe *sqe)
{
	uint64_t left = slot->io->len - slot->done;
	unsigned n;

	for (n = 0; n < FILE_IOV && left > 0; n++) {
		slot->iov[n].iov_base = p->zeroes;
		slot->iov[n].iov_len = MPN_MIN(left, FILE_BOUNCE_BYTES);
		left -= slot->iov[n].iov_len;
	}
	io_uring_prep_writev(sqe, p->fd, slot->iov, n, slot->io->off + slot->done);
}

/* Fill an entry for the step the slot is at. There is always one: no slot has two. */
static void
start_step(struct volume *v, struct file_slot *slot)
{
	struct file_priv *p = vol_priv(v);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&p->ring);
	const struct vol_io *io = slot->io;

	switch (slot->step) {
	case STEP_MOVE:
		prepare_move(v, slot, sqe);
		break;
	case STEP_SYNC:
		io_uring_prep_fsync(sqe, p->fd, IORING_FSYNC_DATASYNC);
		vol_count_sync(v);
		break;
	case STEP_PUNCH:
		io_uring_prep_fallocate(sqe, p->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)io->off, (off_t)io->len);
		break;
	case STEP_ZERO_RANGE:
		io_uring_prep_fallocate(sqe, p->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
			(off_t)io->off, (off_t)io->len);
		break;
	case STEP_ZERO_WRITE:
		prepare_zero_write(p, slot, sqe);
		break;
	case STEP_REPORT:
		io_uring_prep_nop(sqe);
		break;
	}
	io_uring_sqe_set_data(sqe, slot);
}

/* How to discard or zero, as far as it is known what the file can do. */
static enum file_step
choose_range_step(struct file_priv *p, struct file_slot *slot)
{
	const struct vol_io *io = slot->io;
	bool fast = (io->flags & VOL_FAST) != 0;

	slot->status = 0;
	if ((io->flags & VOL_NOHOLE) == 0 && !p->no_punch)
		return STEP_PUNCH;
	/* A device that cannot discard need not: the contents are undefined afterwards. */
	if (io->op == VOL_DISCARD && p->block_device)
		return STEP_REPORT;
	/* For a block device the kernel itself would write zeroes by hand. */
	if (!p->no_zero_range && !(fast && p->block_device))
		return STEP_ZERO_RANGE;
	if (!fast)
		return STEP_ZERO_WRITE;
	slot->status = -EOPNOTSUPP;
	return STEP_REPORT;
}

int
file_submit(struct volume *v, struct vol_io *io)
{
	struct file_priv *p = vol_priv(v);
	struct file_slot *slot = p->free_slots;
	bool moves = io->op == VOL_READ || io->op == VOL_WRITE;
	bool bounce = p->direct && moves && !is_aligned(p, io);

	if (slot == NULL || (bounce && p->nb_bounce == 0))
		return -EAGAIN;
	p->free_slots = slot->next_free;
	slot->io = io;
	slot->retries = 0;
	slot->done = 0;
	slot->seg = 0;
	slot->seg_off = 0;
	slot->bounce = NULL;
	if (bounce) {
		slot->bounce = p->bounce[--p->nb_bounce];
		vol_count_bounced(v, io->len);
	}
	if (moves)
		slot->step = STEP_MOVE;
	else if (io->op == VOL_FLUSH)
		slot->step = STEP_SYNC;
	else
		slot->step = choose_range_step(p, slot);
	start_step(v, slot);
	return 0;
}

static void
finish(struct file_priv *p, struct file_slot *slot, int status)
{
	struct vol_io *io = slot->io;

	if (slot->bounce != NULL)
		p->bounce[p->nb_bounce++] = slot->bounce;
	slot->next_free = p->free_slots;
	p->free_slots = slot;
	/* To who writes a block it is all the same why there is no room for it. */
	if (status == -EDQUOT || status == -EFBIG)
		status = -ENOSPC;
	vol_complete(io, status);
}

/* Once for each new end: every client may run into it. */
static void
tell_end(struct file_priv *p, const struct vol_io *io)
{
	struct stat st;

	if (p->block_device || fstat(p->fd, &st) != 0 || p->told_end == (uint64_t)st.st_size + 1)
		return;
	p->told_end = (uint64_t)st.st_size + 1;
	mpn_log(MPN_LOG_WARN, "volume", "'%s': has shrunk to %llu bytes: what is behind them fails",
		vol_spec(io->owner), (unsigned long long)st.st_size);
}

/* ---- What a step ended with: 1 finished with *status, 0 the slot is at its next step ---- */

static int
end_move(struct file_priv *p, struct file_slot *slot, int res, int *status)
{
	struct vol_io *io = slot->io;
	uint64_t n = (uint64_t)res;

	*status = res;
	if (res == -EOPNOTSUPP && (io->flags & VOL_FUA) != 0 && !p->no_dsync) {
		p->no_dsync = true;
		return 0;
	}
	if (res < 0)
		return 1;
	/* O_DIRECT goes on at a block; a file that became shorter gives nothing. */
	if (p->direct && n < io->len - slot->done)
		n &= ~(uint64_t)(p->off_align - 1);
	if (n == 0) {
		tell_end(p, io);
		*status = -EIO;
		return 1;
	}
	if (slot->bounce != NULL && io->op == VOL_READ)
		copy_bounce(slot, n, true);
	advance(slot, n);
	slot->retries = 0;
	if (slot->done < io->len)
		return 0;
	*status = 0;
	if (!needs_sync(p, io))
		return 1;
	slot->step = STEP_SYNC;
	return 0;
}

static int
end_range(struct file_priv *p, struct file_slot *slot, int res, int *status)
{
	*status = res;
	if (res == -EOPNOTSUPP || res == -ENOSYS) {
		if (slot->step == STEP_PUNCH)
			p->no_punch = true;
		else
			p->no_zero_range = true;
		slot->step = choose_range_step(p, slot);
		return 0;
	}
	if (res < 0 || !needs_sync(p, slot->io))
		return 1;
	slot->step = STEP_SYNC;
	return 0;
}

static int
end_step(struct file_priv *p, struct file_slot *slot, int res, int *status)
{
	if (res == -EINTR || res == -EAGAIN) {
		*status = -EIO;
		return ++slot->retries > MAX_RETRIES;
	}
	switch (slot->step) {
	case STEP_MOVE:
	case STEP_ZERO_WRITE:
		return end_move(p, slot, res, status);
	case STEP_PUNCH:
	case STEP_ZERO_RANGE:
		return end_range(p, slot, res, status);
	case STEP_SYNC:
		*status = res;
		return 1;
	case STEP_REPORT:
		break;
	}
	*status = slot->status;
	return 1;
}

unsigned
file_poll(struct volume *v)
{
	struct file_priv *p = vol_priv(v);
	unsigned ready = io_uring_cq_ready(&p->ring);
	unsigned n = 0;

	for (; ready > 0; ready--) {
		struct io_uring_cqe *cqe;
		struct file_slot *slot;
		int status;
		int res;

		if (io_uring_peek_cqe(&p->ring, &cqe) != 0)
			break;
		slot = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		io_uring_cqe_seen(&p->ring, cqe);
		if (end_step(p, slot, res, &status) == 0) {
			start_step(v, slot);
			continue;
		}
		finish(p, slot, status);
		n++;
	}
	/* -EAGAIN, -EBUSY: the kernel is short of memory, the entries stay for the next poll. */
	if (io_uring_sq_ready(&p->ring) > 0)
		(void)io_uring_submit(&p->ring);
	return n;
}

uint64_t
file_next_ns(struct volume *v)
{
	struct file_priv *p = vol_priv(v);

	return io_uring_sq_ready(&p->ring) > 0 || io_uring_cq_ready(&p->ring) > 0 ? 0 : UINT64_MAX;
}

int
file_fd(struct volume *v)
{
	struct file_priv *p = vol_priv(v);

	/* The ring itself is readable as long as there are completions: nothing to drain or to miss. */
	return p->ring.ring_fd;
}
