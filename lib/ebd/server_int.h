/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the files of the server share. Not installed. */

#ifndef SERVER_INT_H
#define SERVER_INT_H

#include <pthread.h>

#include "bare.h"
#include "ebd_int.h"
#include "ebd_server.h"
#include "st_target.h"
#include "volume.h"

#define SERVER_MAX_EXPORTS 64
#define EXPORT_MAX_BLOCK (64u << 10)
#define SERVER_MAX_IOS 1024 /* commands in volumes at a time; more wait */

/* Counters of an export: {name, text}. */
#define EXPORT_COUNTER_LIST(X) \
	X(reads, "READ commands") \
	X(writes, "WRITE commands") \
	X(others, "FLUSH, DISCARD and WRITE_ZEROES commands") \
	X(read_bytes, "bytes read") \
	X(write_bytes, "bytes written") \
	X(errors, "commands that failed") \
	X(by_hand, "operations made of others because the volume lacks them") \
	X(waits, "commands that waited for a descriptor")

struct export
{
	struct ebd_server *server;
	struct volume *volume; /* NULL: removed */
	bool leaving; /* removed, and waits for its commands */
	uint32_t nb_looks; /* atomic: threads that look at its volume's size */
	struct wire_geometry geometry;
	struct bare_memory stand_in; /* for the ceiling, when the volume is not memory */
#define X(name, text) uint64_t name;
	EXPORT_COUNTER_LIST(X)
#undef X
};

/* A command in a volume. */
struct export_io {
	struct vol_io vol;
	struct xfer_io *xfer;
	struct export *export;
	struct export_io *next; /* of the free ones */
	struct iovec one;
	uint64_t zero_off; /* WRITE_ZEROES by hand: where the next piece starts */
	uint64_t zero_left;
	bool by_hand;
	bool flush_after; /* FUA on a volume that lacks it */
};

struct server_nic {
	struct ebd_server *server;
	struct mpn_nic *nic;
	bool ours; /* made by ebd_server_link_add() */
};

/* How long the volumes take to answer. */
struct server_pace {
	uint64_t since; /* cycles: when a request ended last, or the first one of all was there */
	uint64_t commands; /* that had ended then */
	uint64_t answer; /* cycles a request is under way, on average */
	bool busy; /* something was under way the last time */
};

struct ebd_server {
	struct ebd_server_conf conf;
	char *eal;
	struct st_target *target; /* made for the first NIC */
	struct mpn_idler idler;
	bool idler_ready;
	bool polled; /* clients may be here */
	bool waiting; /* for an errand, while it goes on */
	bool draining;
	bool away; /* run_server() is called on the lcore of the storage personalities */
	bool told; /* draining: the clients know, or do not listen */
	uint64_t leave_ns; /* draining: when there was nothing left to do */
	uint64_t epoch;
	uint8_t uuid[WIRE_EBD_UUID_LEN];
	struct server_nic nics[XFER_MAX_PORTS];
	unsigned nb_nics;
	struct export *exports[SERVER_MAX_EXPORTS];
	unsigned nb_exports;
	unsigned nb_leaving;
	struct errand *errands; /* that nobody waits for: volumes that end */
	unsigned nb_errands;
	struct access_list *access;
	struct export_io *ios;
	struct export_io *free_ios;
	unsigned nb_ios;
	struct xfer_io *wait_first; /* commands without a descriptor, linked by priv */
	struct xfer_io *wait_last;
	uint64_t commands;
	struct server_pace pace;
};

/* ---- server_volumes.c ---- */

/*
 * A round of the volumes. What they take is the storage personality's: its cycles, and none while others of its NICs
 * have to wait for theirs. @return how much was done
 */
unsigned server_run_volumes(struct ebd_server *s);
/* Requests that are under way in them. */
unsigned server_in_volumes(const struct ebd_server *s);

/* ---- export.c ---- */

int export_ios_init(struct ebd_server *s, unsigned nb);
/* Callbacks of the target. */
void export_io_start(void *user, struct xfer_io *io, const struct st_target_data *data);
/* Start what waited for a descriptor. @return how many */
unsigned export_run_waiting(struct ebd_server *s);
void *export_map(void *user, const struct xfer_io *io);
/* Close the volumes of exports that were removed and have nothing to do any more. */
void export_end_leaving(struct ebd_server *s);
void export_fill_geometry(struct export *e, const char *name);

/* ---- errand.c ---- */

enum errand_state { ERRAND_RUNS, ERRAND_DONE, ERRAND_GIVEN_UP };

/* What runs in a thread of its own. From the heap, the first member of what it works on. */
struct errand {
	int (*run)(struct errand *e); /* 0 or -errno after a log line */
	void (*undo)(struct errand *e); /* who made it does not get it back; may be in its thread */
	int rc;
	char error[512]; /* the log line */
	int state; /* atomic, enum errand_state */
	bool ended; /* atomic: its thread touches it no more */
	pthread_t thread;
	struct errand *next; /* of those nobody waits for */
};

/*
 * Run it, and serve until it has ended, or the background function wants to wait no more. @return 0: e is the
 * caller's again; or -errno, also of its own, after a log line: e is gone, or will be
 */
int server_run_meanwhile(struct ebd_server *s, struct errand *e, const char *what) MPN_MUST_CHECK;
/* Nothing is under way in it any more. Nobody waits for its end. */
void server_close_volume(struct ebd_server *s, struct volume *v);
/* Forget those that have ended and nobody waits for; wait: have them all end. */
void server_end_errands(struct ebd_server *s, bool wait);

/* ---- open.c ---- */

int server_open_volume(struct ebd_server *s, const char *spec, struct volume **v) MPN_MUST_CHECK;

/* ---- access.c ---- */

/* A callback of the target. */
bool access_may_use(void *user, uint32_t index, const uint8_t uuid[16], const uint8_t mac[6]);
/* Does the name have a list? */
bool access_is_listed(struct ebd_server *s, const char *name);
/* Print the list of a volume, if it has one, into an open object. */
void access_print(const struct ebd_server *s, const char *name, struct mpn_out *o);
void access_free(struct ebd_server *s);

/* ---- ceiling.c ---- */

/* Answer requests for the ceiling on the NIC. */
int ceiling_add(struct server_nic *sn) MPN_MUST_CHECK;
void ceiling_remove(struct server_nic *sn);
/* After the last NIC has gone. */
void ceiling_free(struct export *e);

#endif
