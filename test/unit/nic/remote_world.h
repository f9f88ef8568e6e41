/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A personality in another process, both ends in this one: the NIC at one end of a ring, and the link remote:PATH
 * at its personality of the kind remote.
 */

#ifndef REMOTE_WORLD_H
#define REMOTE_WORLD_H

#include "mpn_remote.h"
#include "probe.h"

/* near and far are the ends of a ring, there is the other process. */
enum { NEAR, FAR, THERE, ENDS };

struct world {
	struct mpn_nic *nic[ENDS];
	struct probe probe[ENDS];
	struct mpn_personality *remote;
	unsigned changes;
	enum mpn_remote_state last;
};

extern struct world w;
extern char sock_path[64], link_name[96];

/* The ring, with a remote personality that is defined; that is started. */
void make_near(void);
void make_world(void);
/* The other process comes: its NIC, or NULL with errno; with a probe that sends back, until it has a link. */
struct mpn_nic *open_there(void);
void make_there(void);
void expect_link(bool up);
/* Frames to the other process must come back. */
void expect_echo(unsigned count, uint32_t len);
struct mpn_remote_info look(void);
/* For probe_poll_until(): arg NULL asks for a link that is down. */
bool is_up_there(void *arg);
bool has_failed(void *arg);

#define TEST(name) cmocka_unit_test_teardown(name, end_world)
int end_world(void **state);
int world_begin(const char *extra); /* flags of the EAL */
int world_set_up(void **state);
int world_tear_down(void **state);

#endif
