/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The target side of the storage personality: glue between the transfer engine and mbufs for one
 * server on one or several NICs. Internal: lib/ebd's server is its user.
 */

#ifndef ST_TARGET_H
#define ST_TARGET_H

#include "mpn_nic.h"
#include "xfer.h"

struct st_target;

/** Where the data of a command is. */
struct st_target_data {
	void *base; /**< in one piece; NULL: in those of iov, or there is none */
	const struct iovec
		*iov; /**< of a WRITE: the frames it came in, at multiples of 512 bytes */
	int iovcnt;
	bool mapped; /**< base is the volume's own memory: a WRITE has been executed by placing it */
};

struct st_target_conf {
	struct xfer_tgt_conf xfer; /**< callbacks are filled in by st_target_create() */
	uint32_t nb_small; /**< staging buffers of 8 KiB, 0: 256 */
	uint32_t nb_large; /**< staging buffers of 128 KiB, 0: 32 */
	void *user;
	/**
	 * Memory that is the export's own (a volume in memory), or NULL: then a staging buffer is used,
	 * io_start reads into it or writes from it.
	 */
	void *(*map)(void *user, const struct xfer_io *io);
	/** See struct xfer_tgt_conf. NULL: all may. */
	bool (*may_use)(void *user, uint32_t export_index, const uint8_t client_uuid[16],
		const uint8_t mac[6]);
	/** Execute io on its export. Ends with st_target_io_done(), at once or later; the data stays
	 *  where it is until then. */
	void (*io_start)(void *user, struct xfer_io *io, const struct st_target_data *data);
};

/**
 * All memory is taken here: the engine's (xfer_tgt_size()), nb_small * 8 KiB + nb_large * 128 KiB of
 * staging buffers, 32 bytes per command that may hold data at a time (max_sessions * max_depth), and
 * 100 KiB for writes that stay in the frames they came in.
 * @return NULL with errno EINVAL (conf), ENOMEM
 */
struct st_target *st_target_create(const struct st_target_conf *conf, int socket_id);
/** Detach from all NICs and free. Nothing may be in the back end. NULL is allowed. */
void st_target_destroy(struct st_target *t);
/* Have all of its NICs something else to run? Then its back ends wait; what they took is paid for. */
bool st_target_in_debt(const struct st_target *t);
void st_target_charge(struct st_target *t, uint64_t cycles);
/**
 * Serve on a NIC that has the storage personality loaded and started. 0, -ENODEV, -EBUSY (it has a
 * target), -ENOSPC (too many NICs).
 */
int st_target_attach(struct st_target *t, struct mpn_nic *nic) MPN_MUST_CHECK;
struct xfer_tgt *st_target_xfer(struct st_target *t);
/** What it was created with, defaults filled in. */
const struct st_target_conf *st_target_get_conf(const struct st_target *t);
/** io, handed out by io_start, is done: status is 0 or -errno. From inside io_start, too. */
void st_target_io_done(struct st_target *t, struct xfer_io *io, int status);
/** Where the data of a command that was handed out is, as io_start was told. */
void st_target_get_data(const struct xfer_io *io, struct st_target_data *data);
/** Bytes of staging buffers in use now, and at most so far. */
void st_target_staging(const struct st_target *t, uint64_t *now, uint64_t *max);
/** Bytes this target took at create, all it will ever use. */
uint64_t st_target_memory(const struct st_target *t);
/** Bytes of payload moved by our code for this target, over all its NICs. */
uint64_t st_target_copied(const struct st_target *t);

#endif
