/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The device behind dev_st.h: requests above, one initiator of the transfer engine below. */

#ifndef ST_DEVICE_H
#define ST_DEVICE_H

#include "st_nic.h"
#include "xfer_loan.h"
#include "xfer_place.h"

/* A command: a part of a request that is under way. */
struct st_cmd {
	struct xfer_cmd xfer;
	struct net_st_device *dev;
	struct st_request *req; /* NULL: free */
	struct st_cmd *next; /* of the free ones */
	uint32_t buf; /* where its first byte is: index of the buffer, and offset in it */
	uint32_t buf_off;
	uint32_t last_buf; /* the last one it touches */
	/* Where the last access ended, so that going through all fragments is one walk. */
	uint32_t at_off;
	uint32_t at_buf;
	uint32_t at_buf_off;
	uint64_t by_ref; /* fragments that were sent by reference */
	uint32_t ref_tag; /* the tag these have */
	struct xfer_lent lent; /* frames of a loan that are kept */
	struct xfer_placed placed; /* pages of it in the ring */
	bool misplaced; /* data came where it does not belong */
	struct st_arena
		*lender; /* of memory that frames or the ring refer to: it must not go now */
	union {
		struct rte_mbuf *frames[WIRE_EBD_MAX_FRAGS]; /* and the frames they went in */
		void *kept[WIRE_EBD_MAX_FRAGS]; /* those of a loan */
		struct xfer_page *pages[WIRE_EBD_MAX_FRAGS]; /* of those that are posted */
	};
};

struct net_st_device {
	struct st_nic *nic; /* NULL: the personality was unloaded */
	struct xfer_ini *ini;
	struct mpn_list fifo; /* requests that are not wholly cut into commands */
	struct st_cmd *free_cmds;
	uint32_t nb_queued; /* requests not complete */
	uint32_t max_queued;
	uint16_t index; /* in nic->devices */
	uint16_t ethertype; /* of responses, host byte order */
	bool opened; /* was LIVE once */
	bool was_full; /* dev_st_queue_xmit() gave 1 */
	bool closing;
	uint8_t placement; /* enum dev_st_placement */
	bool places; /* reads may be received in place */
	int dead; /* why the session cannot come back, 0 while it can */
	dev_st_completion_callback completion;
	dev_st_queue_callback space;
	void (*event)(struct net_st_device *dev, enum xfer_ini_event ev, int status);
	void *user;
	struct st_cmd *cmds;
	uint32_t nb_cmds;
	struct st_copy_stats copy;
};

/* Something happened to the device: the next round looks at it. */
static inline void
st_device_wake(struct net_st_device *dev)
{
	if (dev->nic != NULL)
		dev->nic->wake_ns[dev->index] = 0;
}

/* ---- st_request.c ---- */

int st_request_check(const struct net_st_device *dev, const struct st_request *req);
void st_request_queue(struct net_st_device *dev, struct st_request *req);
/*
 * Cut requests into commands while there are some of these.
 * @return 0, or the error that keeps the engine from taking commands
 */
int st_requests_cut(struct net_st_device *dev, uint64_t now_ns);
/* End all that is not cut yet with status. */
void st_requests_fail(struct net_st_device *dev, int status);
/* Bytes of data a command moves at most: whole blocks. */
uint32_t st_max_transfer(const struct net_st_device *dev);
/* End one request early. */
void st_request_abort(struct net_st_device *dev, struct st_request *req, uint64_t now_ns);
/*
 * Contiguous memory of the command's data from off on, which must not be below where the last call
 * ended unless it starts again from the front.
 * @return bytes there
 */
uint32_t st_cmd_locate(struct st_cmd *cmd, uint32_t off, uint8_t **at);
/* The arena is in use until the command ends. */
void st_cmd_use(struct st_cmd *cmd, struct st_arena *arena);
/* Callbacks of the engine. */
void st_cmd_finish(struct xfer_cmd *xfer, int status);
void
st_cmd_place(void *ctx, struct xfer_cmd *xfer, uint32_t off, const void *payload, uint32_t len);
/* Send one frame of the engine. @return false: it has none, or there is no room */
bool st_cmd_send(struct net_st_device *dev, uint64_t now_ns);

#endif
