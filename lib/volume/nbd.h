/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The nbd back end in three parts: nbd.c opens it and finds out what the export is like, nbd_conn.c
 * makes connections in a thread of its own (names are looked up and TLS is shaken there), nbd_io.c moves
 * data over those that are ready.
 */

#ifndef VOLUME_NBD_H
#define VOLUME_NBD_H

#include <libnbd.h>
#include <pthread.h>

#include "volume.h"

#define NBD_DEPTH 256 /* requests at a time */
#define NBD_MAX_CONNS 16
/* Requests on a connection before the next one is used: so many nbdkit works on at a time. */
#define NBD_FILL 16
#define NBD_BOUNCE 32 /* requests of memory in small pieces at a time */
#define NBD_BOUNCE_BYTES (128u << 10)
#define NBD_RANGE_BYTES (1u << 30) /* of a trim or zero at a time: their length has 32 bits */

struct nbd_conn {
	struct nbd_handle *h; /* NULL: not connected */
	int fd;
	uint32_t events; /* what epoll waits for */
	unsigned in_flight;
	size_t taken; /* bytes of the answers read in this round, at most */
	bool tls; /* some of what came may be in its buffers */
	uint64_t size; /* bytes, of this handshake */
	uint32_t made; /* what nbd_priv.newest was before it */
};

/* A connection in the making. The thread owns h, err and size until it has set done. */
struct nbd_maker {
	pthread_t thread;
	bool running;
	int done; /* atomic */
	int stop; /* atomic: give up */
	uint32_t made; /* for the connection */
	struct nbd_handle *h;
	int err; /* positive errno when h is NULL */
	char reason[256];
};

enum nbd_slot_state { NBD_FREE, NBD_PENDING, NBD_SENT, NBD_ANSWERED };

struct nbd_priv;

struct nbd_slot {
	struct nbd_priv *p;
	struct vol_io *io;
	struct nbd_conn *conn; /* SENT */
	struct mpn_list node; /* of free, pending or answered */
	struct mpn_list age; /* of active */
	enum nbd_slot_state state;
	int err; /* ANSWERED: positive errno or 0 */
	uint64_t deadline_ns;
	uint64_t done; /* bytes */
	uint64_t chunk; /* bytes that are under way */
	char *bounce;
};

struct nbd_priv {
	char *uri;
	uint64_t fail_after_ns;
	unsigned nb_conns; /* wanted */
	uint64_t max_chunk; /* bytes of data in one request */
	bool fast_zero;

	struct nbd_conn conns[NBD_MAX_CONNS];
	struct nbd_maker maker;
	unsigned nb_ready; /* connections */
	uint32_t
		newest; /* atomic: how often the size was looked at; older connections are replaced */
	uint32_t ended; /* those older than this have been */
	uint64_t retry_ns; /* not to connect before */
	uint64_t backoff_ns;
	uint64_t reconnects;
	uint64_t resent; /* requests that a lost connection had not answered */
	int epfd;

	struct nbd_slot *slots;
	struct mpn_list free;
	struct mpn_list pending; /* wait for a connection */
	struct mpn_list answered;
	struct mpn_list active; /* all that are not free, oldest first */
	char *bounce_mem;
	char *bounce[NBD_BOUNCE]; /* the free ones */
	unsigned nb_bounce;
};

/* nbd_conn.c */
/* Connect, at most until the bound; the caller's thread waits. */
struct nbd_handle *nbd_connect_now(struct nbd_priv *p);
void nbd_conn_adopt(struct nbd_priv *p, struct nbd_conn *c, struct nbd_handle *h);
void nbd_conn_close(struct nbd_priv *p, struct nbd_conn *c);
/* See to it that there are as many connections as wanted. */
void nbd_conn_tend(struct volume *v, uint64_t now_ns);
void nbd_conn_update_events(struct nbd_priv *p, struct nbd_conn *c);
/* Nanoseconds until nbd_conn_tend() has something to do. */
uint64_t nbd_conn_next_ns(const struct nbd_priv *p, uint64_t now_ns);
void nbd_conn_stop(struct nbd_priv *p);
bool nbd_conn_is_ready(const struct nbd_conn *c);
/* It was told a size that may be another one now: nothing more is sent on it. */
bool nbd_conn_is_old(const struct nbd_priv *p, const struct nbd_conn *c);
int nbd_find_size(struct volume *v, uint64_t *size);

/* nbd_io.c */
int nbd_io_init(struct nbd_priv *p);
void nbd_io_fini(struct nbd_priv *p);
int nbd_submit(struct volume *v, struct vol_io *io);
unsigned nbd_poll_volume(struct volume *v);
uint64_t nbd_next_ns(struct volume *v);
int nbd_fd(struct volume *v);

#endif
