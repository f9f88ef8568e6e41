/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The guest's side of vhost-user-blk, as small as a test can do with: the messages of the protocol, memory
 * in a memfd that is passed as two regions, split rings. A slot is a request: a header, a piece of
 * memory and a status, three descriptors of its queue's ring. Mistakes of the test itself abort.
 */

#ifndef FRONTEND_H
#define FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>

#define FE_QUEUES 4
#define FE_RING 256 /* descriptors */
#define FE_SLOTS 64 /* of a queue; three descriptors each, and a table of their own */
#define FE_SLOT_BYTES 16384u /* of data */
#define FE_GPA 0x40000000ull

/** Messages of the protocol that somebody sends. */
enum fe_message {
	FE_GET_FEATURES = 1,
	FE_SET_FEATURES = 2,
	FE_SET_OWNER = 3,
	FE_SET_MEM_TABLE = 5,
	FE_SET_VRING_NUM = 8,
	FE_SET_VRING_ADDR = 9,
	FE_SET_VRING_BASE = 10,
	FE_GET_VRING_BASE = 11,
	FE_SET_VRING_KICK = 12,
	FE_SET_VRING_CALL = 13,
	FE_GET_PROTOCOL_FEATURES = 15,
	FE_SET_PROTOCOL_FEATURES = 16,
	FE_GET_QUEUE_NUM = 17,
	FE_SET_VRING_ENABLE = 18,
	FE_SET_BACKEND_REQ_FD = 21,
	FE_GET_CONFIG = 24,
	FE_SET_CONFIG = 25,
	FE_GET_INFLIGHT_FD = 31,
	FE_SET_INFLIGHT_FD = 32,
};

struct fe_queue {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	int kick_fd, call_fd;
	uint16_t seen; /* of used */
};

struct fe_region {
	uint64_t gpa, size, user_addr, offset;
};

struct frontend {
	const char *path;
	int sock; /* -1: not connected */
	int backend_fd; /* where the target sends requests of its own */
	int memfd;
	uint8_t *mem;
	uint64_t user_shift; /* of the addresses the target is told; any will do */
	bool forgetful; /* does not keep what is in flight */
	bool unplugged; /* the second region of the memory is not there */
	int inflight_fd; /* -1: none yet */
	uint64_t inflight[3]; /* as the target described it */
	uint64_t features;
	uint64_t offered;
	unsigned nb_queues;
	struct fe_queue queues[FE_QUEUES];
	struct virtio_blk_config config;
};

/** Make memory and rings. features: VIRTIO_ bits that are wanted where they are offered. */
void fe_init(struct frontend *f, const char *path, unsigned nb_queues, uint64_t features);
void fe_fini(struct frontend *f);

/** Connect, negotiate, set up all rings; the second time with what was in flight. False: nobody there */
bool fe_connect(struct frontend *f);
void fe_disconnect(struct frontend *f);
/** False: the target has hung up. */
bool fe_is_connected(struct frontend *f);

/** One message. @return false: the target has hung up */
bool fe_send(struct frontend *f, uint32_t request, const void *payload, uint32_t size,
	const int *fds, unsigned nb_fds);
/** A message with an answer. */
bool fe_ask(struct frontend *f, uint32_t request, void *payload, uint32_t size);
/** Until the target has done everything that was sent. */
bool fe_sync(struct frontend *f);
bool fe_set_memory(struct frontend *f);
bool fe_set_up_ring(struct frontend *f, unsigned queue);
/** @return the index the target has come to, -1: it has hung up */
int fe_stop_ring(struct frontend *f, unsigned queue);
bool fe_read_config(struct frontend *f);

/** Where the data of a slot is, and its guest address. */
uint8_t *fe_data(const struct frontend *f, unsigned queue, unsigned slot);
uint64_t fe_data_gpa(unsigned queue, unsigned slot);
uint8_t fe_status(const struct frontend *f, unsigned queue, unsigned slot);

/** Write a request into the slot's descriptors and make it available; indirect: by a table. */
void fe_submit(struct frontend *f, unsigned queue, unsigned slot, uint32_t type, uint64_t sector,
	uint32_t len, bool indirect);
/** Only write it: what a test wants to spoil before fe_offer(). */
void fe_write_request(struct frontend *f, unsigned queue, unsigned slot, uint32_t type,
	uint64_t sector, uint32_t len, bool indirect);
void fe_offer(struct frontend *f, unsigned queue, uint16_t head);
void fe_kick(struct frontend *f, unsigned queue);
/** Ask for an interrupt when the next request comes back. @return some have come back already */
bool fe_want_call(struct frontend *f, unsigned queue);
/** The slot of a request that has come back, or -1. */
int fe_take_used(struct frontend *f, unsigned queue);

uint64_t fe_now_ns(void);

#endif
