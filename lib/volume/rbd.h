/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The rbd back end in two parts: rbd.c opens an image of a Ceph cluster, rbd_io.c moves its data. */

#ifndef VOLUME_RBD_H
#define VOLUME_RBD_H

#include <pthread.h>
#include <rbd/librbd.h>

#include "volume.h"

#define RBD_DEPTH 256 /* requests at a time */

struct rbd_priv;

struct rbd_slot {
	struct rbd_priv *p;
	struct vol_io *io;
	struct rbd_slot *next; /* of the free ones, or of those that are done */
	int64_t result; /* what librbd said: bytes or -errno */
};

/* A look at the size, in a thread of its own: librbd asks the cluster. */
struct rbd_look {
	pthread_t thread;
	bool running;
	int done; /* atomic */
	int rc;
	uint64_t size;
};

struct rbd_priv {
	rados_t cluster;
	rados_ioctx_t pool;
	rbd_image_t image;
	char *name; /* for messages */
	uint64_t watch;
	bool watched;
	int changed; /* atomic: the image's header has changed */
	struct rbd_look look;

	struct rbd_slot *slots;
	struct rbd_slot *free;
	/* Threads of librbd push, poll takes all of it. */
	struct rbd_slot *done; /* atomic */
	int wants_fd; /* atomic: somebody waits at eventfd */
	int eventfd;
};

int rbd_io_init(struct rbd_priv *p);
/* End its thread; before the image is closed. */
void rbd_io_stop(struct rbd_priv *p);
void rbd_io_fini(struct rbd_priv *p);
int rbd_submit(struct volume *v, struct vol_io *io);
unsigned rbd_poll_volume(struct volume *v);
uint64_t rbd_next_ns(struct volume *v);
int rbd_fd(struct volume *v);

#endif
