/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * EBD, the Ethernet Block Device: the server library. `ebd serve` is one user of it. A server belongs
 * to one thread, which calls ebd_server_poll() in its own loop.
 */

#ifndef EBD_SERVER_H
#define EBD_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ebd.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ebd_server;
struct mpn_nic;
struct mpn_out;

/** How to make a server; zeroes are the defaults. */
struct ebd_server_conf {
	const char *eal; /**< raw EAL flags, or NULL */
	bool no_huge; /**< do not use hugepages */
	uint16_t mtu; /**< bytes, 0: the largest of 9000, 1500 the link takes */
	/** The host uses the first link as a network interface of this name, too (needs root). NULL: no */
	const char *net;
	struct ebd_vlan vlan; /**< clients are served in it, on links of ebd_server_link_add() */
	struct ebd_vlan net_vlan; /**< and the host's interface is in this one */
	uint16_t max_sessions; /**< 0: 64 */
	uint16_t max_depth; /**< commands in flight per session, 0: 128 */
	uint32_t lease_ms; /**< silent sessions are collected after it, 0: 30000 */
	uint32_t mem_mib; /**< memory for the EAL beyond what volumes need, 0: 256 */
	int lcore; /**< as in struct ebd_client_conf */
	enum ebd_idle idle; /**< for ebd_server_idle() */
	/**
	 * Answer ebd_ceiling_run(), too: to anybody on the link, who reads what the volumes hold and, unless
	 * they are read-only, writes to them, without a session or a check. For measuring, never by default.
	 */
	bool ceiling;
	const char *
		first_link; /**< link the EAL is started for; NULL: the first ebd_server_link_add() */
	/**
	 * Called with background_arg while ebd_server_link_add() waits for the other end of a link that needs one
	 * to come up (virtio, a memif client), and while ebd_export_add() or ebd_export_resize() of a server that is
	 * polled waits for a back end: -errno makes it give up; a program polls its own NICs there. NULL: nothing.
	 */
	int (*background)(void *arg);
	void *background_arg;
};

/**
 * The server's own memory is taken with the first link and never grows, whatever clients do:
 *
 *	max_sessions * (512 + D * 320) + 512 * 8 KiB + 64 * 128 KiB + 1 MiB    bytes at most,
 *
 * D being max_depth rounded up to a power of two: what a session is, what a command is, staging
 * buffers for the data of commands, the rest. With the defaults that is 16 MiB. Frames (about 32 MiB a
 * link at an MTU of 9000) and volumes come on top.
 * @return NULL with errno EINVAL, ENOMEM; ebd_last_error() of ebd.h says it in a sentence
 */
struct ebd_server *ebd_server_create(const struct ebd_server_conf *conf);
/** Drain, end all sessions, close links and volumes. NULL is allowed. */
void ebd_server_destroy(struct ebd_server *s);

/** Serve on a link, too. 0 or -errno (EINVAL, ENODEV, EACCES, ENOSPC, ENOMEM). */
int ebd_server_link_add(struct ebd_server *s, const char *link);
/**
 * Serve on a NIC of the program's own that has the storage personality loaded and started. The NIC
 * stays the program's: it polls it (mpn_nic_poll()) on the server's thread, beside ebd_server_poll(),
 * and destroys it after the server. Call it again when the personality was unloaded, and is started again.
 * 0 or -errno (ENODEV: no storage personality, EEXIST: it serves there, ENOSPC, ENOMEM).
 */
int ebd_server_nic_add(struct ebd_server *s, struct mpn_nic *nic);
/**
 * Export a volume. spec as in "file:disk.img", "mem:1G", "delay:read=5ms:mem:64M". Add links first: a
 * volume in memory is then made of memory that they can send from without a copy. A server that is polled goes on
 * meanwhile, whatever the back end takes.
 * @return 0; -EEXIST (name), -EINVAL (name, spec), -ENOSPC, or what opening the volume gave
 */
int ebd_export_add(struct ebd_server *s, const char *name, const char *spec);
/**
 * Export a volume no more, and close it. Its sessions end. Clients that are attached are told with their
 * next frame; as it may come back, their requests wait for it as for a server that is gone, and fail
 * after the time they were given. What was accepted ends first: ebd_server_poll() has the volume closed when
 * nothing refers to it any more, in a thread of its own, as its back end may take long (see `closing` of struct
 * ebd_server_stats; ebd_server_destroy() waits for it).
 * @return 0; -ENOENT (name)
 */
int ebd_export_remove(struct ebd_server *s, const char *name);
/**
 * Look at the size of a volume again: its image has grown, or was cut. Clients that are attached are
 * told: see ebd_queue_conf.changed. A server that is polled goes on meanwhile, as in ebd_export_add().
 * @return 0; -ENOENT (name), -EOPNOTSUPP (a kind whose size stays), -EBUSY (from the background function, while
 *   another back end is waited for), or what the back end gave
 */
int ebd_export_resize(struct ebd_server *s, const char *name);
/** Make a volume read-only for good. Clients are told. @return 0; -ENOENT (name) */
int ebd_export_set_readonly(struct ebd_server *s, const char *name);
/** One client of a list; what is all zero may be anything, but not both. */
struct ebd_access {
	uint8_t client_uuid[16]; /**< struct ebd_client_conf.client_uuid of the client */
	uint8_t mac[6]; /**< address of its link */
};
/**
 * Let a client use the volume of this name. The first one begins a list: from then on the volume is not
 * there for anybody else, neither for ebd_discover() nor for ebd_queue_open(), nor for ceilings; the sessions of
 * others end as if it were removed. The list belongs to the name, so it may be made before the volume
 * is added, and stays when the volume goes. It keeps honest clients apart; one that lies about its UUID
 * and its address is believed.
 * @param who  NULL: everybody; the list is forgotten
 * @return 0; -EINVAL (name, who), -ENOSPC (256 lists, 256 clients each), -ENOMEM
 */
int ebd_export_allow(struct ebd_server *s, const char *name, const struct ebd_access *who);
/**
 * Take a client from the list again; its sessions end.
 * @param who  as it was allowed; NULL: everybody, the list is there and empty
 * @return 0; -EINVAL (name), -ENOENT (not on the list), -ENOSPC, -ENOMEM
 */
int ebd_export_deny(struct ebd_server *s, const char *name, const struct ebd_access *who);
/** One volume the server exports. */
struct ebd_export_info {
	char name[EBD_NAME_LEN];
	uint64_t size; /**< bytes */
	uint32_t block_size; /**< bytes */
	bool read_only;
};
/** The n-th export. @return 0, or -ENOENT when there are not so many */
int ebd_export_get(const struct ebd_server *s, unsigned n, struct ebd_export_info *info);
/** Print the kinds of volumes and filters, one a line. */
void ebd_volume_help(FILE *f);

/** One round of everything. Never blocks. @return amount of work found, 0: idle */
unsigned ebd_server_poll(struct ebd_server *s);
/** Call it with what each round found: spins, yields or sleeps as the server's conf says. */
void ebd_server_idle(struct ebd_server *s, unsigned work);
/**
 * How long the volumes take to answer lately, for programs that idle on their own: see answer_ns in struct
 * mpn_idler. 0: nothing is under way in them, or not on the thread that calls ebd_server_poll().
 */
uint64_t ebd_server_answer_ns(const struct ebd_server *s);
/**
 * Stop taking commands; poll on until ebd_server_quiet(). What was accepted is answered, then the sessions
 * end, and clients look for the next server at once.
 */
void ebd_server_drain(struct ebd_server *s);
bool ebd_server_quiet(const struct ebd_server *s);

/** Counters of a server since it was created. */
struct ebd_server_stats {
	uint64_t sessions; /**< open now */
	uint64_t commands; /**< completed */
	uint64_t read_bytes, write_bytes;
	uint64_t errors;
	uint64_t rx_frames, tx_frames;
	uint64_t retransmits;
	uint64_t drops;
	uint64_t copied_bytes;
	uint64_t buffers, buffers_max; /**< staging bytes in use now and at most so far */
	uint64_t memory; /**< bytes the server took for sessions, commands and staging buffers */
	uint64_t
		closing; /**< volumes that were removed, or not waited for, and are not closed yet */
};
/** Read the counters. */
void ebd_server_get_stats(const struct ebd_server *s, struct ebd_server_stats *stats);
/**
 * Print sessions or volumes as an array into an open object of o (mpn_out.h).
 * @param volume  only this one and its sessions; NULL: all
 */
void ebd_server_print_sessions(const struct ebd_server *s, const char *volume, struct mpn_out *o);
void ebd_server_print_volumes(const struct ebd_server *s, const char *volume, struct mpn_out *o);

#ifdef __cplusplus
}
#endif

#endif
