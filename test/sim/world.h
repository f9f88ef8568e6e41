/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * One simulated world: clock, network, nodes, disk, users, judge. Everything in it follows from a
 * seed. A world is reused for run after run; its memory is allocated once.
 */

#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "clock.h"
#include "fault.h"
#include "node.h"
#include "trace.h"

/** The run's parameters; drawn from the seed, or set by a named case. */
struct sim_conf {
	uint64_t seed;
	uint32_t nb_ini;
	uint32_t nb_clients; /**< fewer than nb_ini: the last initiator is a queue of the first */
	uint32_t sectors;
	uint32_t block; /**< bytes */
	uint32_t hot_blocks; /**< most commands are for these */
	uint32_t p_tgt; /**< payload units the MTUs allow */
	uint32_t p_ini;
	uint32_t path_len; /**< longest frame the switch carries */
	uint32_t frame_align; /**< of frames in memory: 0..63 */
	uint32_t nic_queue;
	uint64_t port_queue_ns; /**< a frame that would wait longer at the switch is dropped */
	uint32_t ps_per_byte;
	uint64_t delay_ns;
	uint64_t jitter_ns;
	uint64_t reorder_ns;
	uint64_t poll_ns; /**< a node looks at its engine so long after something happened */
	uint64_t slop_ns; /**< timers are late by so much at most */
	uint64_t disk_ns;
	uint32_t disk_sync_ppm; /**< requests that are done at once */
	uint32_t nb_bufs;
	uint32_t max_sessions; /**< of the target */
	uint64_t lease_ns;
	bool crc;
	bool wrap; /**< clocks and sequence numbers start just before they wrap */
	bool tracks_power; /**< a named case will cut the power */
	bool takeover; /**< the last initiator is a later start of the first one */
	uint16_t depth;
	uint32_t credits;
	uint32_t grant_frames;
	uint64_t rto_min_ns;
	uint64_t fail_after_ns;
	uint32_t rx_frames;
	/* How data gets to the users. */
	uint8_t mode; /**< enum sim_mode */
	bool ring_eager; /**< in place also where it does not pay */
	uint32_t loan_frames; /**< a node can spare */
	uint32_t ring_pairs; /**< of the queue for bulk data, 0: there is none */
	/* The users. */
	uint32_t users_depth; /**< commands each of them keeps in flight */
	uint64_t think_ns; /**< between the end of one and the next */
	uint32_t direct_ppm; /**< submissions from within done() */
	uint32_t read_percent; /**< of reads and writes; 100: of all commands */
	uint32_t max_len;
};

/** The users' work. */
struct sim_load {
	struct rng rng;
	struct rng chaos;
	struct rng ways;
	uint32_t total;
	uint32_t submitted;
	uint32_t ended;
	uint32_t retired; /**< ended or died with their initiator */
	bool running;
	uint64_t slowest_ns; /**< of all commands, from submission to end */
	uint64_t by_status[3]; /**< well, cancelled, other errors */
};

/** How data got to the users. */
struct sim_placing {
	struct xfer_place_stats place;
	uint64_t resync;
	uint64_t dropped; /**< frames that found no room in the ring */
};

struct world {
	struct sim_conf conf;
	struct sim_clock clock;
	struct sim_trace trace;
	struct sim_faults faults;
	struct sim_net net;
	struct sim_disk disk;
	struct sim_node node[SIM_NODES];
	struct sim_tgt tgt;
	struct sim_ini ini[SIM_MAX_INI];
	unsigned nb_ini;
	uint64_t deaths[SIM_MAX_INI]; /**< of each client: names its starts, for all its queues */
	struct sim_load load;
	struct sim_failure failure;
	struct xfer_stats dead; /**< sums of the engines' counters, of those that are gone */
	uint64_t events;
	uint64_t heal_ns; /**< time from the healing of the network until all was quiet */
	struct sim_oracle oracle;
	struct sim_placing placing; /**< of the initiators that are gone, at last of all */
	struct sim_lending lending;
	uint8_t mode; /**< of all seeds: enum sim_mode, SIM_MODES: each has its own */
};

/* world.c */
struct world *world_create(void);
void world_destroy(struct world *w);
/** A plain world: one initiator, no faults, fast and exact links. */
void conf_plain(struct sim_conf *c, uint64_t seed);
/** The world of a seed. Needs the faults to be drawn. mode: as of struct world. */
void conf_draw(struct sim_conf *c, uint64_t seed, const struct sim_faults *f, uint8_t mode);
/** Start over by w->conf with these faults; nodes are down. */
void world_reset(struct world *w, uint32_t fault_mask);
/** Run events until done(w) or the time has come or something failed. @return done(w) */
bool world_run(struct world *w, bool (*done)(struct world *w), uint64_t until_ns);
/** Run events for a while. */
void world_run_for(struct world *w, uint64_t ns);
/** Add an engine's counters. */
void world_add_stats(struct xfer_stats *to, const struct xfer_stats *from);
/** Sum of both ends' counters, past and present. */
void world_stats(const struct world *w, struct xfer_stats *sum);

/* load.c */
/** How the next read's data gets to its user: enum sim_way. */
uint8_t load_way(struct world *w);
void load_reset(struct world *w, uint32_t ops);
/** Let the users of this initiator submit what they want to have in flight. */
void load_fill(struct world *w, struct sim_ini *ini);
/** A command ended. */
void load_done(struct world *w, const struct sim_cmd *c, int status);

/* chaos.c */
/** An op has ended: time for something to go wrong? */
void chaos_step(struct world *w);
void chaos_heal(struct world *w);

/* run.c */
struct sim_result {
	bool failed;
	struct sim_failure failure;
	uint64_t hash;
	uint64_t events;
	uint32_t ops;
	uint32_t strikes; /**< faults that struck: the numbers for --skip */
	uint32_t faults; /**< kinds that were on */
	uint64_t virtual_ns;
	uint64_t heal_ns;
	uint64_t slowest_ns;
	uint64_t checks;
	uint64_t hits[SIM_F_COUNT];
	uint64_t outcomes[3];
	struct xfer_stats stats;
	struct sim_placing placing;
	struct sim_lending lending;
};

/** Run a seed through both phases. */
void sim_run(struct world *w, uint64_t seed, uint32_t ops, uint32_t fault_mask,
	const uint64_t *skip, uint32_t skip_bits, struct sim_result *result);
/** After the faults: everything must end, and the disk hold what was written. */
void run_liveness(struct world *w);
void run_final_check(struct world *w);

#endif
