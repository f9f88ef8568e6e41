/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What target.c (the loop) and target_vhost.c (the vhost library's thread) share. */

#ifndef TARGET_INT_H
#define TARGET_INT_H

#include <pthread.h>

#include "device.h"
#include "mapping.h"
#include "target.h"

/* What happens to requests that did not end in time when rings or memory go away. */
enum abandon {
	ABANDON_NOTHING,
	ABANDON_KEEP, /* they are done again later */
	ABANDON_FAIL, /* the guest gets errors */
};

struct rte_vhost_memory;

struct target {
	struct target_conf conf;
	struct target_signals *signals;
	struct ebd_client *client;
	bool offered; /* the socket is there */
	int wake_fd;
	int epoll_fd; /* wake_fd and the rings' kicks */
	uint64_t busy_ns; /* there was work last */
	uint64_t look_ns; /* at the volume's size, next */
	uint64_t missing_ns; /* since when requests have no volume; 0: they have */
	uint64_t retry_ns; /* not to open it before */

	/* The loop holds this for a round; who waits for it says so, or would wait for ever. */
	pthread_mutex_t lock;
	unsigned wanted;
	pthread_cond_t quiet; /* nothing is in flight */
	struct device *device;
	bool draining; /* nothing new is taken */
	enum abandon abandon;
	bool ended;
	int vid; /* of the connection, -1: there is none */
	uint64_t protocol; /* features of vhost-user that were agreed on */
	bool logged; /* the guest's side keeps what is in flight */
	struct rte_vhost_memory *memory; /* what the library has mapped; NULL: nothing */
	struct mpn_list mappings; /* the same once more, for data */
	struct mpn_list old_mappings; /* frames may refer to them */
	struct ring_setup {
		uint64_t desc, avail, used; /* where the frontend has it */
		uint32_t size;
	} setups[DEVICE_QUEUES];
	bool wce; /* what the guest has chosen */
	bool ready[DEVICE_QUEUES];
	int kick_fds[DEVICE_QUEUES]; /* in epoll_fd; -1: none */
};

void target_lock(struct target *t);
void target_unlock(struct target *t);

/* Create the socket. @return 0 or -errno after a logged line */
int target_offer(struct target *t) MPN_MUST_CHECK;
/* Let go of all rings and of the socket. Nothing is in flight. */
void target_withdraw(struct target *t);
/* Under the lock: the guest is to look at the configuration space again. */
void target_config_changed(struct target *t);
/* Where the device notes what is in flight. */
void target_get_log(struct target *t, struct device_log *log);

#endif
