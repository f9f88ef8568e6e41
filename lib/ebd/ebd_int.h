/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the files of the client share. Not installed. */

#ifndef EBD_INT_H
#define EBD_INT_H

#include "dev_st.h"
#include "ebd.h"
#include "mpn_log.h"

struct ebd_client {
	struct ebd_client_conf conf;
	struct mpn_nic *nic;
	struct mpn_idler idler;
	struct mpn_list queues;
	uint8_t uuid[16];
	uint64_t nonce; /* names this start of the client, for all its queues */
	uint16_t next_queue;
	bool shared_core;
	int event_fd; /* a timer, -1: not asked for */
	uint64_t busy_polls; /* that had found something when the timer was set last */
	uint64_t silent_since_ns;
	bool in_callback; /* of a request or in a wait: nothing may wait now */
	char link[256];
};

struct ebd_queue {
	struct mpn_list node;
	struct ebd_client *client;
	struct net_st_device *dev;
	bool opened;
	bool closing;
	int refused; /* why the target did not open the session, 0: it did not say */
	int dead; /* why the session has ended for good */
	unsigned callbacks; /* ran so far */
	void (*changed)(struct ebd_queue *q, void *arg);
	void *changed_arg;
	struct ebd_stats stats;
};

/* What an ebd_io holds. */
struct io {
	struct st_request req;
	struct st_buffer bufs[EBD_IOV_MAX];
	struct iovec one; /* the piece of memory of ebd_prep_read() and ebd_prep_write() */
	const struct iovec *iov;
	int iovcnt;
	bool has_one;
	uint32_t left; /* buffers not complete */
	bool bad_flags;
	ebd_cb cb;
	void *arg;
	struct ebd_queue *queue;
} __attribute__((may_alias));
static_assert(sizeof(struct io) <= sizeof(struct ebd_io), "a request fits into what callers embed");

/* One round while something is waited for: link, background, idling. @return 0, or -errno of the
 * background, which wants the call to give up */
int ebd_client_wait_round(struct ebd_client *c);
void ebd_client_close_fd(struct ebd_client *c);
/* True, with a line logged, when called from inside a callback, where nothing can be waited for. */
bool ebd_client_is_busy(const struct ebd_client *c, const char *what);

/* Completion of a buffer: the device's callback. */
void ebd_io_buffer_done(struct net_st_device *dev, struct st_request *req, struct st_buffer *buf);

/* Start the EAL for a link; registers its end with the program's. */
int ebd_eal_start(const char *link, const char *extra, bool no_huge, uint32_t mem_mib, int lcore);
/* What a NIC is to show, and where. */
struct ebd_faces {
	struct ebd_vlan vlan; /* of the storage personality */
	const char *net; /* name of the host's interface, NULL: none */
	struct ebd_vlan net_vlan;
};

/* A NIC with the storage personality started, and the network's if it is wanted. NULL with errno. */
struct mpn_nic *ebd_nic_create(const struct mpn_nic_conf *conf, const struct ebd_faces *faces);
enum mpn_idle ebd_idle_policy(enum ebd_idle idle);

#endif
