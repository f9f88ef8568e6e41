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
	/** Execute io on its export. data: staging buffer or mapped memory (then the data of a WRITE is
	 *  in place already). Ends with xfer_tgt_io_done() through st_target_io_done(). */
	void (*io_start)(void *user, struct xfer_io *io, void *data, bool mapped);
};

struct st_target *st_target_create(const struct st_target_conf *conf, int socket_id);
void st_target_destroy(struct st_target *t);
/** Serve on a NIC that has the storage personality loaded and started. 0, -ENODEV, -ENOSPC. */
int st_target_attach(struct st_target *t, struct mpn_nic *nic) MPN_MUST_CHECK;
struct xfer_tgt *st_target_xfer(struct st_target *t);
void st_target_io_done(struct st_target *t, struct xfer_io *io, int status);

#endif
