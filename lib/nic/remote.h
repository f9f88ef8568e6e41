/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The NIC's side of a personality that runs in another process. */

#ifndef REMOTE_H
#define REMOTE_H

#include <sys/types.h>

#include "mpn_personality.h"
#include "mpn_remote.h"
#include "remote_ring.h"
#include "remote_sock.h"

#define REMOTE_LOOK_NS 2000000 /* how often the socket is looked at */
#define REMOTE_TAGS 8 /* bytes of VLAN tags that a frame of the MTU may have besides */

/* What happens to the place of a process. */
enum remote_step { REMOTE_CAME, REMOTE_LEFT, REMOTE_FAILS, REMOTE_STEPS };

struct remote {
	/* in every round */
	enum mpn_remote_state state;
	bool started;
	struct remote_map map;
	struct rte_mempool *pool; /* of what the process sends */
	uint64_t next_look_ns;
	struct mpn_remote_stats stats;
	/* now and then */
	struct mpn_personality *p;
	int listen_fd, lock_fd;
	int fd; /* to the process; -1: there is none */
	int new_fd; /* to one that has not said hello yet; -1 */
	uint64_t new_until_ns;
	uint32_t beats; /* rounds of the process at the last look; 0: it has not polled yet */
	uint64_t look_ns; /* when that was */
	uint64_t still_ns; /* it has stood still for so long */
	uint32_t stop_beats;
	int pid;
	int error;
	char program[REMOTE_PROGRAM_LEN];
	char socket[108];
	struct mpn_remote_conf conf;
	struct mpn_nic_info nic;
};

/* remote_place.c: who is at the socket. */
int remote_open(struct remote *r) MPN_MUST_CHECK;
void remote_close(struct remote *r);
/* Who has come, who has gone, does he who is there poll? Makes system calls. @return something has changed */
bool remote_check(struct remote *r, uint64_t now_ns);
/* He who is there is not any more: err -EPIPE, -ETIMEDOUT, -EPROTO; 0: he said bye. */
void remote_lose(struct remote *r, int err);
/* Tell the process what its link is. */
void remote_set_link(struct remote *r, bool up);

static inline bool
remote_is_attached(const struct remote *r)
{
	return r->state == MPN_REMOTE_ATTACHED;
}

#endif
