/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Rings and memory of a guest, between the vhost library and the loop. On the library's thread. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "mpn_log.h"
#include "target_vhost.h"

/* Requests have so long to end by themselves; meanwhile QEMU stands still. */
#define DRAIN_SEC 5

/* ---- Taking rings away ---- */

/* Wait until nothing is in flight. The loop goes on, but takes nothing new. */
static void
drain(struct target *t, enum abandon after)
{
	struct timespec until;
	bool late = false;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += DRAIN_SEC;
	t->draining = true;
	(void)eventfd_write(t->wake_fd, 1);
	while (device_in_flight(t->device) > 0) {
		if (late) {
			(void)pthread_cond_wait(&t->quiet, &t->lock);
		} else if (pthread_cond_timedwait(&t->quiet, &t->lock, &until) == ETIMEDOUT) {
			late = true;
			t->abandon = after;
			(void)eventfd_write(t->wake_fd, 1);
		}
	}
	t->draining = false;
}

static void
close_kick(struct target *t, unsigned i)
{
	if (t->kick_fds[i] < 0)
		return;
	(void)epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, t->kick_fds[i], NULL);
	close(t->kick_fds[i]);
	t->kick_fds[i] = -1;
}

static void
stop_ring(struct target *t, unsigned i, bool forget)
{
	uint16_t next_avail, next_used;

	if (device_stop_queue(t->device, i, forget, &next_avail, &next_used))
		(void)rte_vhost_set_vring_base(t->vid, (uint16_t)i, next_avail, next_used);
	close_kick(t, i);
}

void
target_stop_rings(struct target *t, bool forget)
{
	unsigned i;

	drain(t, ABANDON_KEEP);
	for (i = 0; i < DEVICE_QUEUES; i++)
		stop_ring(t, i, forget);
}

void
target_stop_ring(struct target *t, unsigned i)
{
	drain(t, ABANDON_KEEP);
	stop_ring(t, i, false);
}

void
target_end_ring(struct target *t, unsigned i)
{
	drain(t, t->logged ? ABANDON_KEEP : ABANDON_FAIL);
	stop_ring(t, i, true);
}

/* ---- Giving rings back ---- */

void
target_forget_memory(struct target *t)
{
	free(t->memory);
	t->memory = NULL;
	mpn_list_splice_tail(&t->old_mappings, &t->mappings);
}

static int
map_region(struct target *t, uint32_t i, uint64_t offset, struct guest_region *region)
{
	const struct rte_vhost_mem_region *r = &t->memory->regions[i];

	region->gpa = r->guest_phys_addr;
	region->size = r->size;
	region->va = mapping_add(&t->mappings, r->fd, offset, r->size);
	if (region->va != NULL)
		return 0;
	return mpn_log_err(errno, "vhost",
		"%s: %llu bytes of the guest's memory cannot be mapped: %s", t->conf.socket,
		(unsigned long long)r->size, strerror(errno));
}

void
target_load_memory(struct target *t, const uint64_t *offsets, uint32_t nb)
{
	struct guest_memory mem = {0};
	int rc = 0;

	if (rte_vhost_get_mem_table(t->vid, &t->memory) != 0) {
		t->memory = NULL;
		return;
	}
	for (; rc == 0 && mem.nb < t->memory->nregions && mem.nb < nb; mem.nb++)
		rc = map_region(t, mem.nb, offsets[mem.nb], &mem.regions[mem.nb]);
	if (rc == 0)
		device_set_memory(t->device, &mem);
	else
		target_forget_memory(t);
}

/* Within one region; here: as the frontend has it, or as it is mapped. */
static bool
is_there(const struct target *t, bool here, uint64_t addr, uint64_t len)
{
	const struct rte_vhost_mem_region *r;
	uint64_t base;
	uint32_t i;

	for (i = 0; t->memory != NULL && i < t->memory->nregions; i++) {
		r = &t->memory->regions[i];
		base = here ? r->host_user_addr : r->guest_user_addr;
		if (addr >= base && addr - base < r->size && len <= r->size - (addr - base))
			return true;
	}
	return false;
}

static bool
ring_is_there(const struct target *t, bool here, const struct ring_setup *s)
{
	uint64_t n = s->size;

	/* Each has an index of the other side behind its last entry. */
	return is_there(t, here, s->desc, n * sizeof(struct vring_desc)) &&
	       is_there(t, here, s->avail, sizeof(struct vring_avail) + (n + 1) * 2) &&
	       is_there(t, here, s->used,
		       sizeof(struct vring_used) + n * sizeof(struct vring_used_elem) + 2);
}

bool
target_ring_is_there(const struct target *t, unsigned i)
{
	return ring_is_there(t, false, &t->setups[i]);
}

/* What the log has in flight since before a crash: the library lists it with the newest first. */
static unsigned
take_redo(struct target *t, unsigned i, uint16_t *redo, unsigned max)
{
	struct rte_vhost_ring_inflight log = {0};
	struct rte_vhost_resubmit_info *list;
	unsigned n = 0;

	if (!t->logged || rte_vhost_get_vhost_ring_inflight(t->vid, (uint16_t)i, &log) != 0)
		return 0;
	list = log.resubmit_inflight;
	if (list == NULL)
		return 0;
	for (; list->resubmit_num > 0 && n < max; list->resubmit_num--)
		redo[n++] = list->resubmit_list[list->resubmit_num - 1].index;
	return n;
}

static bool
has_log(const struct target *t, unsigned i)
{
	struct rte_vhost_ring_inflight log;

	return t->protocol & 1ull << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD &&
	       rte_vhost_get_vhost_ring_inflight(t->vid, (uint16_t)i, &log) == 0;
}

void
target_set_cache_mode(struct target *t, uint64_t features)
{
	struct blk_volume *limits = device_limits(t->device);

	if (!(features & 1ull << VIRTIO_BLK_F_FLUSH))
		limits->write_back = false;
	else if (features & 1ull << VIRTIO_BLK_F_CONFIG_WCE)
		limits->write_back = t->wce;
	else
		limits->write_back = true;
}

static int
copy_fd(int fd)
{
	return fd >= 0 ? dup(fd) : -1;
}

static void
open_kick(struct target *t, unsigned i, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};

	t->kick_fds[i] = copy_fd(fd);
	if (t->kick_fds[i] >= 0)
		(void)epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->kick_fds[i], &ev);
}

static void
start_ring(struct target *t, unsigned i)
{
	static uint16_t redo[SPLIT_RING_MAX];
	struct rte_vhost_vring vring;
	struct device_ring ring = {.redo = redo};
	struct ring_setup here;
	uint64_t features;
	int rc;

	if (!t->ready[i] || t->memory == NULL || t->ended || device_is_started(t->device, i) ||
		rte_vhost_get_vhost_vring(t->vid, (uint16_t)i, &vring) != 0 ||
		rte_vhost_get_vring_base(t->vid, (uint16_t)i, &ring.next_avail, &ring.next_used) !=
			0 ||
		rte_vhost_get_negotiated_features(t->vid, &features) != 0)
		return;
	here = (struct ring_setup){
		(uintptr_t)vring.desc, (uintptr_t)vring.avail, (uintptr_t)vring.used, vring.size};
	/* The library has said ready, which is not quite the same. */
	if (!ring_is_there(t, true, &here))
		return;
	t->logged = has_log(t, i);
	target_set_cache_mode(t, features);
	ring.desc = vring.desc;
	ring.avail = vring.avail;
	ring.used = vring.used;
	ring.size = vring.size;
	ring.event_idx = features & 1ull << VIRTIO_RING_F_EVENT_IDX;
	ring.indirect = features & 1ull << VIRTIO_RING_F_INDIRECT_DESC;
	ring.nb_redo = take_redo(t, i, redo, MPN_ARRAY_SIZE(redo));
	ring.call_fd = copy_fd(vring.callfd);
	rc = device_start_queue(t->device, i, &ring);
	if (rc != 0) {
		mpn_log(MPN_LOG_WARN, "vhost", "%s: ring %u cannot be used: %s", t->conf.socket, i,
			strerror(-rc));
		return;
	}
	open_kick(t, i, vring.kickfd);
	mpn_log(MPN_LOG_INFO, "vhost", "%s: ring %u: %u entries, %u requests to be done again",
		t->conf.socket, i, ring.size, ring.nb_redo);
}

/* The loop sleeps when there are no rings. */
void
target_start_rings(struct target *t)
{
	unsigned i;

	for (i = 0; i < t->conf.queues; i++)
		start_ring(t, i);
	(void)eventfd_write(t->wake_fd, 1);
}

void
target_replace_call(struct target *t, unsigned i)
{
	struct rte_vhost_vring vring;

	if (device_is_started(t->device, i) &&
		rte_vhost_get_vhost_vring(t->vid, (uint16_t)i, &vring) == 0)
		device_set_call(t->device, i, copy_fd(vring.callfd));
}

/* ---- What is in flight, for who comes after a crash ---- */

static void
log_begin(void *arg, unsigned queue, uint16_t head)
{
	const struct target *t = arg;

	if (t->logged)
		(void)rte_vhost_set_inflight_desc_split(t->vid, (uint16_t)queue, head);
}

static void
log_ending(void *arg, unsigned queue, uint16_t head)
{
	const struct target *t = arg;

	if (t->logged)
		(void)rte_vhost_set_last_inflight_io_split(t->vid, (uint16_t)queue, head);
}

static void
log_ended(void *arg, unsigned queue, uint16_t head, uint16_t used_idx)
{
	const struct target *t = arg;

	if (t->logged)
		(void)rte_vhost_clr_inflight_desc_split(t->vid, (uint16_t)queue, used_idx, head);
}

void
target_get_log(struct target *t, struct device_log *log)
{
	*log = (struct device_log){log_begin, log_ending, log_ended, t};
}
