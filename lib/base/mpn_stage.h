/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Where the cycles of a thread go, by stage of the datapath: for measuring, in builds of their own
 * (-Dstages=true). Elsewhere the macros are nothing. Not installed.
 *
 *	MPN_STAGE_BEGIN(CLASSIFY);
 *	...
 *	MPN_STAGE_END();
 *
 * Stages nest; the inner one's cycles are not the outer one's.
 */

#ifndef MPN_STAGE_H
#define MPN_STAGE_H

/* {id, text} */
#define MPN_STAGE_LIST(X) \
	X(OTHER, "the program, polls that found nothing") \
	X(POLL, "receive by the driver") \
	X(CLASSIFY, "classify") \
	X(FLOW, "flows") \
	X(XFER, "protocol and storage personality") \
	X(PLACEMENT, "copies of payload") \
	X(SUBMIT, "submit") \
	X(SCHEDULE, "schedule") \
	X(SEND, "send by the driver")

enum mpn_stage {
#define X(id, text) MPN_STAGE_##id,
	MPN_STAGE_LIST(X)
#undef X
		MPN_STAGES_NB
};

#ifdef MPN_STAGES
#include <stddef.h>
#include <stdint.h>

/* Of a thread. At the end of the process the sums of all go to the file $MPNIC_STAGES names. */
struct mpn_stages {
	enum mpn_stage now;
	uint64_t since_tsc;
	uint64_t cycles[MPN_STAGES_NB];
	uint64_t entered[MPN_STAGES_NB];
};
struct mpn_stages *mpn_stages_get(void);
extern _Thread_local struct mpn_stages *mpn_stages_mine;

static inline enum mpn_stage
mpn_stage_switch(enum mpn_stage to)
{
	struct mpn_stages *s = mpn_stages_mine != NULL ? mpn_stages_mine : mpn_stages_get();
	uint64_t tsc = __builtin_ia32_rdtsc();
	enum mpn_stage before = s->now;

	s->cycles[before] += tsc - s->since_tsc;
	s->entered[to]++;
	s->since_tsc = tsc;
	s->now = to;
	return before;
}

#define MPN_STAGE_BEGIN(id) enum mpn_stage stage_before_ = mpn_stage_switch(MPN_STAGE_##id)
#define MPN_STAGE_END() ((void)mpn_stage_switch(stage_before_))
/* Another stage, up to the same end. */
#define MPN_STAGE_NEXT(id) ((void)mpn_stage_switch(MPN_STAGE_##id))
/* The stage turned out to be another one. */
#define MPN_STAGE_WAS(id) (mpn_stages_mine->now = MPN_STAGE_##id)
#else
#define MPN_STAGE_BEGIN(id) ((void)0)
#define MPN_STAGE_END() ((void)0)
#define MPN_STAGE_NEXT(id) ((void)0)
#define MPN_STAGE_WAS(id) ((void)0)
#endif

#endif
