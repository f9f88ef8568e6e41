/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A personality for tests: it remembers what it was told, checks the frames it gets, and does what
 * the test says. Its frames carry a number and a pattern made from it.
 */

#ifndef PROBE_H
#define PROBE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <rte_mbuf.h>

#include "mpn_personality.h"

#define PROBE_TYPE 0x88b5
#define PROBE_TYPE_2 0x88b6

/* What the test wants, and what happened. Passed to load. */
struct probe {
	/* wants */
	uint16_t types[5];
	unsigned nb_types; /* 0: the defaults */
	int load_rc;
	int start_rc;
	bool busy; /* not quiet */
	unsigned busy_polls; /* quiet after so many polls */
	bool hold; /* keep received frames instead of freeing them */
	bool echo; /* send them back */
	int (*in_rx)(struct probe *probe); /* called from rx_burst */
	void (*in_quiet)(struct probe *probe); /* called when it is asked whether it is quiet */
	/* happened */
	struct mpn_personality *p;
	unsigned loads, unloads, starts, stops, polls, errors, bursts;
	unsigned events[MPN_NIC_EVENTS];
	int last_error;
	int set_types_rc;
	int in_rx_rc;
	uint64_t frames, bytes;
	uint32_t next_number; /* the number the next frame should have */
	unsigned out_of_order, damaged, segmented;
	struct rte_mbuf *held[4096];
	unsigned nb_held;
};

/* Start the EAL for a test; skips the group when it cannot. */
int probe_eal_start(const char *link, const char *extra);
/* An EAL flag for four lcores on at most two cores. */
const char *probe_lcores(char *buf, size_t size);
/* Teardown of the group. */
int probe_eal_stop(void **state);

/* A NIC with the personality defined; further steps are the test's. */
struct mpn_nic *probe_nic(const char *link, bool server, uint16_t mtu);
/* Define, load and start the probe on the NIC. */
void probe_start(struct mpn_nic *nic, struct probe *probe);

/* The same with a name, in a VLAN; vid 0: none. */
struct mpn_personality *
probe_add(struct mpn_nic *nic, struct probe *probe, const char *name, uint16_t vid, uint16_t outer);

/*
 * A frame of len bytes to dst (NULL: broadcast) with frame type type, number and pattern. In as many
 * segments as the data room of the pool asks for.
 */
struct rte_mbuf *
probe_frame(struct mpn_nic *nic, const uint8_t *dst, uint16_t type, uint32_t number, uint32_t len);
/* Send it through the flow; false when the flow is full (the frame is freed). */
bool probe_send(struct probe *probe, const uint8_t *dst, uint32_t number, uint32_t len);

/* The same in three segments: the Ethernet header alone, and the rest in two. */
bool probe_send_segments(struct probe *probe, const uint8_t *dst, uint32_t number, uint32_t len);

/* Poll the NICs until cond(arg) or ms have passed. @return the condition */
bool probe_poll_until(
	struct mpn_nic **nics, unsigned n, bool (*cond)(void *arg), void *arg, unsigned ms);
/* Poll each NIC so many times. */
void probe_poll(struct mpn_nic **nics, unsigned n, unsigned rounds);

/* Log lines of the library while a test expects some. */
void probe_catch_log(void);
/* The last line caught; the log goes to stderr again. */
const char *probe_release_log(void);
unsigned probe_log_lines(void);

#endif
