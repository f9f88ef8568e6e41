/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "remote_ring.h"

#define POSITIONS_BYTES 4096
#define ENDS 2

/* A cell is this and the frame. */
struct cell {
	uint32_t len;
	uint32_t unused[3];
	uint8_t frame[];
};

static uint32_t
cell_bytes(uint32_t room)
{
	return (uint32_t)RTE_ALIGN_CEIL(sizeof(struct cell) + room, 64u);
}

static size_t
map_bytes(uint32_t nb_cells, uint32_t room)
{
	return POSITIONS_BYTES + (size_t)ENDS * nb_cells * cell_bytes(room);
}

static struct remote_ring
make_ring(const struct remote_map *m, enum remote_end to, uint32_t nb_cells, uint32_t room)
{
	size_t ring_bytes = (size_t)nb_cells * cell_bytes(room);

	return (struct remote_ring){
		.cells = (uint8_t *)m->base + POSITIONS_BYTES + (to == REMOTE_NIC ? ring_bytes : 0),
		.nb_cells = nb_cells,
		.cell_bytes = cell_bytes(room),
		.room = room,
	};
}

static int
map_as(struct remote_map *m, enum remote_end end, uint32_t nb_cells, uint32_t room)
{
	enum remote_end other = end == REMOTE_NIC ? REMOTE_PROCESS : REMOTE_NIC;
	struct remote_side *sides;

	m->bytes = map_bytes(nb_cells, room);
	m->base = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (m->base == MAP_FAILED) {
		m->base = NULL;
		return -errno;
	}
	sides = m->base;
	m->mine = &sides[end];
	m->theirs = &sides[other];
	m->in = make_ring(m, end, nb_cells, room);
	m->in.mine = &m->mine->taken;
	m->in.theirs = &m->theirs->sent;
	m->out = make_ring(m, other, nb_cells, room);
	m->out.mine = &m->mine->sent;
	m->out.theirs = &m->theirs->taken;
	return 0;
}

/* A process that makes the file smaller would make us crash: it cannot. */
int
remote_map_make(struct remote_map *m, uint32_t nb_cells, uint32_t room)
{
	int rc = 0;

	memset(m, 0, sizeof(*m));
	m->fd = memfd_create("mpnic-remote", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->fd < 0)
		return -errno;
	if (ftruncate(m->fd, (off_t)map_bytes(nb_cells, room)) < 0 ||
		fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		rc = -errno;
	if (rc == 0)
		rc = map_as(m, REMOTE_NIC, nb_cells, room);
	if (rc < 0)
		remote_map_drop(m);
	return rc;
}

static bool
agrees(int fd, uint32_t nb_cells, uint32_t room)
{
	struct stat st;

	return nb_cells >= REMOTE_MIN_CELLS && nb_cells <= REMOTE_MAX_CELLS &&
	       (nb_cells & (nb_cells - 1)) == 0 && room >= RTE_ETHER_MIN_LEN &&
	       room <= UINT16_MAX && fstat(fd, &st) == 0 &&
	       st.st_size == (off_t)map_bytes(nb_cells, room) &&
	       (fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK) != 0;
}

int
remote_map_take(struct remote_map *m, int fd, uint32_t nb_cells, uint32_t room)
{
	int rc;

	memset(m, 0, sizeof(*m));
	m->fd = fd;
	rc = agrees(fd, nb_cells, room) ? map_as(m, REMOTE_PROCESS, nb_cells, room) : -EPROTO;
	if (rc < 0)
		remote_map_drop(m);
	return rc;
}

void
remote_map_drop(struct remote_map *m)
{
	if (m->base != NULL)
		(void)munmap(m->base, m->bytes);
	if (m->fd >= 0)
		(void)close(m->fd);
	memset(m, 0, sizeof(*m));
	m->fd = -1;
}

/* ---- Frames ---- */

int
remote_ring_room(const struct remote_ring *r)
{
	uint32_t used = r->pos - atomic_load_explicit(r->theirs, memory_order_acquire);

	return used <= r->nb_cells ? (int)(r->nb_cells - used) : -EPROTO;
}

int
remote_ring_waiting(const struct remote_ring *r)
{
	uint32_t n = atomic_load_explicit(r->theirs, memory_order_acquire) - r->pos;

	return n <= r->nb_cells ? (int)n : -EPROTO;
}

static struct cell *
next_cell(struct remote_ring *r)
{
	return (struct cell *)(void *)(r->cells +
				       (size_t)(r->pos++ & (r->nb_cells - 1)) * r->cell_bytes);
}

void
remote_ring_put(struct remote_ring *r, const struct rte_mbuf *m)
{
	struct cell *c = next_cell(r);
	uint8_t *at = c->frame;

	c->len = m->pkt_len;
	for (; m != NULL; m = m->next) {
		memcpy(at, rte_pktmbuf_mtod(m, const void *), m->data_len);
		at += m->data_len;
	}
}

int
remote_ring_get(struct remote_ring *r, struct rte_mbuf *m)
{
	const struct cell *c = next_cell(r);
	/* It may change while we look: once. */
	uint32_t len = __atomic_load_n(&c->len, __ATOMIC_RELAXED);

	if (len < RTE_ETHER_HDR_LEN || len > r->room || len > rte_pktmbuf_tailroom(m))
		return -EPROTO;
	memcpy(rte_pktmbuf_mtod(m, void *), c->frame, len);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	return 0;
}

void
remote_ring_skip(struct remote_ring *r)
{
	int n = remote_ring_waiting(r);

	/* Positions that make no sense stay as they are, to be noticed. */
	if (n <= 0)
		return;
	r->pos += (uint32_t)n;
	remote_ring_publish(r);
}

void
remote_ring_publish(struct remote_ring *r)
{
	atomic_store_explicit(r->mine, r->pos, memory_order_release);
}
