/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A NIC whose stages are on several lcores, see mpn_map.h. Not installed. */

#ifndef MAP_H
#define MAP_H

#include "nic_internal.h"

#define MAP_MAX_STAGES (2 + 2 * MPN_MAX_PERSONALITIES)
#define MAP_HOME (-1) /* the NIC's own thread */

struct worker;

struct map_entry {
	char stage[MPN_NAME_LEN];
	unsigned lcore;
};

/* What was typed. */
struct map_text {
	unsigned nb;
	struct map_entry entry[MAP_MAX_STAGES];
};

struct map_part {
	_Alignas(RTE_CACHE_LINE_SIZE) struct nic_part part;
	struct worker *worker;
	unsigned lcore;
	uint64_t seen_rounds; /* by the NIC's own thread */
};

struct nic_map {
	struct map_text text;
	struct nic_part home;
	struct map_part away[MAP_MAX_STAGES]; /* one for each lcore */
	unsigned nb_away;
	atomic_uint raised; /* events to be told by the NIC's own thread: 1 << each */
};

/* map_text.c */
int map_parse(const char *text, struct map_text *map) MPN_MUST_CHECK;
/* Where a stage is. */
int map_lcore_of(const struct map_text *map, const char *stage);
/* Is it one that every NIC has? */
bool map_is_port_stage(const char *stage);
/* Forget it. */
void map_drop(struct map_text *map, const char *stage);

/* map.c */
/* One round of what a thread has of the NIC. @return work found */
unsigned nic_part_round(struct nic_part *part);
/* mpn_nic_poll() of a NIC that is spread. */
unsigned nic_map_poll(struct mpn_nic *nic);
/* The same with what is held let go meanwhile. */
unsigned nic_poll_released(struct mpn_nic *nic);
/* Undo one hold, if there is one. @return whether mpn_nic_hold() is to be called again */
bool nic_let_go(struct mpn_nic *nic);
/* Personalities have come or gone: who runs what. While the NIC is held. */
void nic_map_rebuild(struct mpn_nic *nic);
/* Begin to measure anew. */
void nic_map_clear_stats(struct mpn_nic *nic);
/* The personality is about to be undefined. */
void nic_map_forget(struct mpn_personality *p);
/* In a stage: an event that the NIC's own thread will tell. @return false: this is not a stage of a spread one */
bool nic_map_raise(struct mpn_nic *nic, enum mpn_nic_event ev);

#endif
