/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Where the data of a target's command is:
 *
 *   mapped   in the volume's own memory, when it has some
 *   kept     a write: in the frames it came in, until the back end has written it
 *   staged   in a staging buffer
 */

#ifndef ST_SPAN_H
#define ST_SPAN_H

#include "st_copy.h"
#include "st_loan.h"
#include "st_stage.h"
#include "st_target.h"

/* Fragments of the smallest payload unit that is kept, 4096: smaller ones are no whole sectors. */
#define ST_KEPT_FRAGS (WIRE_EBD_MAX_QUANTUM / WIRE_EBD_P_PAGE)

/* Frames of one write. */
struct st_kept {
	struct st_kept *next; /* of the free ones */
	struct st_budget *budget;
	uint32_t p; /* payload unit */
	uint32_t nb; /* fragments */
	uint32_t have; /* those that are here */
	bool failed; /* there was no frame for one of them */
	struct rte_mbuf *mbufs[ST_KEPT_FRAGS];
	struct iovec iov[ST_KEPT_FRAGS];
};

struct st_span {
	uint8_t *base; /* NULL: kept */
	struct st_stage *stage;
	struct st_kept *kept;
	uint32_t export_index; /* whose staging buffer it is */
	struct st_span *next; /* of the free ones */
};

/* The memory of a target: all of it is taken at the start. */
struct st_spans {
	struct st_stage_pool *small;
	struct st_stage_pool *large;
	struct st_span *spans;
	struct st_span *free;
	struct st_kept *kepts;
	struct st_kept *free_kepts;
	uint32_t *nb_small; /* by export: staging buffers that it has */
	uint32_t *nb_large;
	uint64_t staging_max;
	uint64_t memory; /* bytes taken */
};

struct st_spans_conf {
	uint32_t nb_spans;
	uint32_t nb_small;
	uint32_t nb_large;
	uint32_t nb_kept;
	uint32_t max_exports;
};

int st_spans_init(struct st_spans *s, const struct st_spans_conf *c, int socket_id) MPN_MUST_CHECK;
void st_spans_fini(struct st_spans *s);
/* Bytes of staging buffers in use now. */
uint64_t st_spans_staging(const struct st_spans *s);

/*
 * Memory for a command: mapped when that is not NULL; else kept, when n (the NIC its frames come in by;
 * NULL: none) can spare the frames; else staged. Where exports share the staging buffers each leaves some to the
 * others. NULL: there is none now.
 */
struct st_span *st_span_get(
	struct st_spans *s, struct st_nic *n, const struct xfer_io *io, void *mapped, bool shared);
void st_span_put(struct st_spans *s, struct st_span *span);
/* Payload of a write, just received by n. */
void st_span_place(
	struct st_span *span, struct st_nic *n, uint32_t off, const void *payload, uint32_t len);
/* 0, or why the data is not all there. */
int st_span_status(const struct st_span *span);
void st_span_data(struct st_span *span, struct st_target_data *data);
/* What counts the frames that refer to [off, off + len) of the data; NULL: none may. */
struct rte_mbuf_ext_shared_info *
st_span_ref(struct st_span *span, struct st_nic *n, uint32_t off, uint32_t len);

#endif
