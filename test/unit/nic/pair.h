/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Two NICs that are each other's peer, in one process. */

#ifndef PAIR_H
#define PAIR_H

#include <sys/types.h>

#include <rte_mempool.h>

#include "nic_pool.h"
#include "probe.h"

struct pair {
	struct mpn_nic *nic[2];
	struct probe probe[2];
	struct mpn_nic_info info[2];
};

/* Open one end, with the probe running on it. */
void pair_open(struct pair *t, unsigned end, const char *link, bool server, uint16_t mtu);
void pair_close_one(struct pair *t, unsigned end);
void pair_close(struct pair *t);
/* Teardown: close what a failed test has left open. */
int pair_clean(void **state);

/* Wait until both links are up; info is current afterwards. */
void pair_wait_up(struct pair *t, unsigned ms);
bool pair_wait_link(struct pair *t, unsigned end, bool up, unsigned ms);

/* Send count frames of len bytes; all must arrive, unharmed, in order, in one segment each. */
void pair_exchange_many(struct pair *t, unsigned from, unsigned to, unsigned count, uint32_t len);
/* One of each interesting size the MTU allows. */
void pair_exchange_sizes(struct pair *t, unsigned from, unsigned to);

/*
 * The other end in a process of its own, which sends every frame back: the test program run again
 * with --echo. main() must begin with peer_init().
 */
void peer_init(int argc, char **argv);
pid_t peer_start(const char *link, bool server);
/* Kill it with the signal and wait until it has gone. @return its wait status */
int peer_end(pid_t pid, int sig);

/* Send count frames of len bytes to the peer, a window at a time; all must come back in order. */
void pair_echo(struct pair *t, unsigned end, unsigned count, uint32_t len);

/* The peer of a link that is always up may be late: send until one frame comes back. */
void pair_echo_until_answered(struct pair *t, unsigned end, unsigned ms);
/* The same as pair_echo(), each frame sent in three segments. */
void pair_echo_segments(struct pair *t, unsigned end, unsigned count, uint32_t len);
/* Hardware address of a kernel interface. */
void pair_read_mac(const char *iface, uint8_t mac[6]);

/* A socket that listens and never answers. */
int pair_listen(const char *path);

#endif
