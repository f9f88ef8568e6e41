/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The ceiling: frames of the same shape and number as those of the storage personality, between the
 * same ports, with everything else taken out. No classification, no flows, no sessions, no checks of
 * placement: what is left is the link, its driver, and the memory. For measuring; not installed.
 *
 *	requester                    answerer
 *	START(volume)     ->                          both take the port from the pipeline
 *	                  <-  STARTED(bytes)
 *	READ(addr, len)   ->
 *	                  <-  DATA ... DATA           header and payload, from the volume's memory
 *	WRITE + payload   ->                          into the volume's memory
 *	                  <-  DONE                    at most one payload unit
 *	WRITE_CMD(len)    ->
 *	                  <-  GRANT ...               more than that
 *	DATA ... DATA     ->
 *	                  <-  DONE
 *	STOP              ->
 *	                  <-  STOPPED
 *
 * The answerer is a personality, "bare". It answers whoever asks, so it is there only when it was
 * asked for by name. Frames of other types go through the pipeline all the while.
 */

#ifndef BARE_H
#define BARE_H

#include "mpn_nic.h"

struct rte_mbuf_ext_shared_info;

/* Local experimental ethertype 1 of IEEE 802. */
#define BARE_ETHERTYPE 0x88B5
#define BARE_DEPTH_MAX 1024
#define BARE_COMMAND_MAX (128u << 10) /* payload bytes in a command */

/* Memory that frames may refer to. */
struct bare_memory {
	uint8_t *base;
	uint64_t bytes;
	struct rte_mbuf_ext_shared_info *ref; /* counts the frames that do; NULL: copy */
	bool read_only; /* what is written is let go of */
};

/* ---- The answerer ---- */

/* What the personality "bare" is loaded with. */
struct bare_serve_conf {
	void *user;
	/* What stands for the volume, on the NIC's thread. 0, -ENOENT, -ENOMEM */
	int (*map)(void *user, const char *volume, struct bare_memory *mem);
};

/* ---- The requester ---- */

struct bare_load_conf {
	const char *volume;
	uint8_t target[6]; /* zeroes: whoever has it */
	uint64_t off; /* of the range, bytes */
	uint64_t size; /* of the range; 0: to the end */
	uint32_t bs; /* bytes of a request */
	uint32_t depth; /* requests in flight */
	uint32_t unit; /* payload bytes in a frame */
	unsigned read_percent;
	bool random;
	uint64_t seed;
	uint64_t time_ns;
	uint64_t connect_ns; /* give up when nobody answers for so long */
	struct bare_memory memory; /* writes are sent from it: depth times bs */
	void (*done)(bool write, uint64_t latency_ns, void *arg); /* NULL: nobody wants to know */
	void *arg;
};

struct bare_load_result {
	uint64_t reads, writes; /* requests that ended within the time */
	uint64_t ns; /* the time */
	uint64_t lost; /* commands that had to be repeated */
	uint64_t bytes; /* of the memory at the other end */
};

struct bare_load;

/*
 * Take the port of the NIC: from now on mpn_nic_poll() runs the load. NULL with errno EINVAL, EBUSY,
 * ENOMEM.
 */
struct bare_load *bare_load_create(struct mpn_nic *nic, const struct bare_load_conf *conf);
/* Over? *status is 0 then, or -ETIMEDOUT (no answer), -ENOENT, -EBUSY, -EINVAL, -EPIPE (broken off). */
bool bare_load_over(const struct bare_load *l, int *status);
const struct bare_load_result *bare_load_result(const struct bare_load *l);
/* Give the port back. NULL is allowed. */
void bare_load_destroy(struct bare_load *l);

#endif
