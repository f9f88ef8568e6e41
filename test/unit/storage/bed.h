/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the tests of lib/storage share: a client's NIC and a server's, joined by a ring, and a volume. */

#ifndef BED_H
#define BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "st_nic.h"

#define BED_MAX_HELD 256

struct bed_conf {
	uint16_t mtu; /* 0: 9000 */
	uint64_t size; /* of the volume, 0: 4 MiB */
	bool mapped; /* the volume is memory the target may use */
	bool foreign; /* and that memory is not an arena */
	uint32_t flags; /* of the volume, besides FLUSH, FUA, DISCARD, WRITE_ZEROES */
	uint32_t max_transfer;
	uint32_t max_zeroes;
	uint32_t max_queue_len;
	uint16_t depth;
	int crc;
	uint32_t nb_small; /* staging buffers */
	uint32_t nb_keep; /* frames that may be lent */
	uint64_t fail_after_ns;
	bool no_target; /* nobody serves */
	unsigned place; /* pairs of the data queue of virtio, 0: none */
	enum dev_st_placement placement;
	bool virtio; /* over vhost and virtio rather than a ring */
	const char *links[2]; /* over these, if any */
	bool impatient; /* timers as they are: else nothing is sent again because a core was busy */
	uint64_t nonce; /* of the next devices */
	uint16_t queue;
};

struct bed {
	struct bed_conf conf;
	struct mpn_nic *nics[2]; /* client, server */
	struct mpn_personality *pers[2];
	struct st_nic *st[2];
	struct st_target *target;
	struct net_st_device *dev;
	uint8_t *disk;
	uint64_t size;

	/* The back end. */
	int status; /* what commands end with instead of being executed; 0: execute */
	bool hold; /* leave them open until bed_release() */
	unsigned nb_held;
	struct xfer_io *held[BED_MAX_HELD];
	unsigned started[16]; /* by operation */
	uint16_t last_flags;
	struct st_copy_stats copies[2]; /* as last asked for, by side */

	/* What was reported. */
	bool opened;
	unsigned nb_events[8]; /* by enum xfer_ini_event */
	int event_status;
	unsigned completions; /* buffers, and requests without */
	bool in_xmit; /* no callback may come now */
	unsigned space_calls;
	int space_slots;
	void (*on_complete)(struct bed *b, struct st_request *req, struct st_buffer *buf);
	void (*on_space)(struct bed *b, int slots);
	void *arg;
	bool keeps; /* the test has frames on loan when the bed goes */
};

int bed_start_eal(void **state);
int bed_stop_eal(void **state);

struct bed *bed_create(const struct bed_conf *conf);
/* Also checks that nothing was lost: no open commands, no staging buffers in use. */
void bed_destroy(struct bed *b);
/* Open another device on the client's NIC. */
struct net_st_device *bed_open(struct bed *b, const char *volume, const uint8_t uuid[16]);
void bed_release(struct bed *b);

void bed_poll(struct bed *b);
/* Poll both until the condition holds; fails the test after ten seconds. */
#define bed_poll_until(b, cond) \
	do { \
		uint64_t bed_end = mpn_now_ns() + 10 * XFER_NSEC_PER_SEC; \
		while (!(cond)) { \
			bed_poll(b); \
			if (mpn_now_ns() > bed_end) \
				fail_msg("never: %s", #cond); \
		} \
	} while (0)

/* Poll only one side for some milliseconds. */
void bed_poll_alone(struct bed *b, unsigned side, unsigned ms);

void bed_xmit(struct bed *b, struct st_request *req);
/* Queue a request and wait for its end. @return its status */
int bed_run(struct bed *b, struct st_request *req);
int bed_rw(struct bed *b, uint8_t op, void *data, uint32_t len, uint64_t addr, uint16_t flags);

void bed_fill(void *mem, size_t len, uint32_t seed);
void bed_assert_filled(const void *mem, size_t len, uint32_t seed);

const struct st_copy_stats *bed_copies(struct bed *b, unsigned side);
uint64_t bed_site(struct bed *b, unsigned side, enum st_copy_site site);

#endif
