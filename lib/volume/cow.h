/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The cow filter in three parts: cow.c opens it, cow_map.c keeps the map of what is in the overlay and
 * persists it, cow_io.c runs requests.
 *
 * The overlay file, little-endian:
 *
 *	0     header, 4096 bytes: see struct cow_header
 *	4096  map, one bit a cluster: it is in the overlay; to a multiple of 4096
 *	data  clusters at data + their offset in the volume: the file is sparse
 *
 * What is on the disk after a crash is right because a bit is written only when the cluster's data is
 * durable: FLUSH is (1) sync, (2) write the bits that were set before (1), (3) sync. A cluster whose bit was
 * not written reads as the volume below, as if what was written since the last FLUSH had not been: which is
 * what a volatile cache promises. A bit is never taken back, and any mix of old and new bits is good, so a
 * torn write of the map does no harm.
 */

#ifndef VOLUME_COW_H
#define VOLUME_COW_H

#include "volume.h"

#define COW_MAGIC "mpnicCOW"
#define COW_VERSION 1
#define COW_BLOCK 4096u /* of header and map */
#define COW_DEPTH 64
#define COW_IOV 160
#define COW_CLUSTER (64u << 10)
#define COW_CLUSTER_MIN 4096u
#define COW_CLUSTER_MAX (1u << 20)

struct cow_header {
	char magic[8];
	uint32_t version;
	uint32_t cluster; /* bytes */
	uint64_t size; /* of the volume in bytes */
	uint8_t base_uuid[16];
};

enum cow_step {
	COW_RUN, /* clusters that are all in one place, or all new */
	COW_COPY_READ, /* a new cluster that is written in part: fetch the rest */
	COW_COPY_WRITE,
};

struct cow_priv;

struct cow_slot {
	struct cow_priv *p;
	struct vol_io *io;
	struct mpn_list node; /* of free, blocked, ended or a list of flushes */
	enum cow_step step;
	int status; /* on ended */
	uint64_t done; /* bytes */
	uint64_t run; /* bytes under way */
	/* Clusters [first, first + nb) that this one is about to put into the overlay. */
	uint64_t first, nb;
	char *bounce; /* a cluster */
	struct vol_io sub;
	struct iovec iov[COW_IOV];
};

struct cow_priv {
	struct volume *self;
	struct volume *over;
	int epfd; /* of both volumes; -1: one of them has nothing to wait at */
	uint32_t cluster;
	uint64_t nb_clusters;
	uint64_t map_bytes; /* a multiple of COW_BLOCK */
	uint64_t data_off;
	uint64_t copied_up; /* clusters */

	uint8_t *map; /* what is in the overlay */
	uint8_t *stable; /* what the file says, or will when the flush that runs is over */
	uint8_t *dirty; /* by block of the map: differs from stable */
	uint8_t *writing; /* by block of the map: the flush that runs writes it */

	struct mpn_list free;
	struct mpn_list blocked; /* wait for a cluster that another one puts in */
	struct mpn_list ended; /* from submit: completed by poll */
	struct mpn_list flush_wait;
	struct mpn_list flush_run;
	struct vol_io flush_io;
	struct iovec flush_iov;
	uint64_t flush_block; /* of the map, next to be looked at */
	unsigned flush_step;
	bool flushing;
	struct cow_slot slots[COW_DEPTH];
	char *bounce_mem;
};

static inline bool
cow_has(const struct cow_priv *p, uint64_t cluster)
{
	return (p->map[cluster / 8] >> (cluster % 8) & 1) != 0;
}

/* cow_map.c */
int cow_map_load(struct cow_priv *p);
void cow_map_free(struct cow_priv *p);
void cow_map_set(struct cow_priv *p, uint64_t first, uint64_t nb);
void cow_flush(struct cow_priv *p, struct cow_slot *slot);

/* cow_io.c */
int cow_io_init(struct cow_priv *p);
void cow_io_fini(struct cow_priv *p);
int cow_submit(struct volume *v, struct vol_io *io);
unsigned cow_poll(struct volume *v);
uint64_t cow_next_ns(struct volume *v);
void cow_finish(struct cow_slot *slot, int status);

#endif
