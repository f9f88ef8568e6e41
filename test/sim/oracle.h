/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The judge. It sees what the users of the initiators see (submissions, completions, data) and what
 * the disk sees (executions), and knows for every sector which values a read may return.
 *
 * A sector is a register whose values are unique, so that each read names its write. For a write
 * and its reads together ("value") two stamps are enough: `first_end`, by which it was certainly
 * there, and `last_start`, when something that saw it was started last. The history is linearizable
 * exactly when no two values a, b have both a.last_start > b.first_end and b.last_start >
 * a.first_end (Gibbons and Korach, "Testing shared memories", 1997). On top:
 *
 *   - a write that was under way when its session was opened again may take effect once per
 *     session, all before it ends: reads that overlap it do not count;
 *   - a write whose user is gone may take effect until the user's next session is open;
 *   - a power cut leaves one of the values from the last flushed one on, and the first read to see
 *     one of them rules out the others;
 *   - overlapping writes of one session take effect in the order of their submission.
 *
 * Stamps count the oracle's events: two of them are never equal, as times may be.
 */

#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "disk.h"
#include "sector.h"

#define ORACLE_INITIAL 1 /**< the write that made the disk's first contents, by nobody */
#define ORACLE_NOBODY 255
#define ORACLE_MAX_OPS (1u << 17)
#define ORACLE_NEVER UINT64_MAX

/** {name, text} of what can be violated. */
#define SIM_CRITERION_LIST(X) \
	X(register, "C1", \
		"a read returns what the sector held between its submission and its end") \
	X(kill, "C2", "answered writes survive when the target is killed") \
	X(power, "C3", "flushed writes survive a power cut, sectors are never torn") \
	X(completion, "C4", "each command ends once, and an error names its cause") \
	X(resurrection, "C5", "no write takes effect twice in a session or after its end") \
	X(corruption, "C6", "no changed data is delivered") \
	X(liveness, "C7", "everything ends in bounded time once the faults are gone") \
	X(resources, "C8", "everything borrowed is given back") \
	X(early, "C9", "nothing is answered before it is done") \
	X(contract, "C10", "the engine keeps the contract of its header")

enum sim_criterion {
#define X(name, id, text) CR_##name,
	SIM_CRITERION_LIST(X)
#undef X
		CR_COUNT
};

enum sim_op_state {
	OP_FLYING, /**< submitted */
	OP_ACKED, /**< ended well */
	OP_ENDED, /**< ended otherwise: whatever it did, it does no more */
	OP_LOOSE, /**< nobody waits for it, but it may still take effect */
	OP_NEVER, /**< cancelled with the promise that it has no effect at all */
};

struct sim_op {
	uint64_t submit;
	uint64_t end; /**< ORACLE_NEVER while it may take effect */
	uint64_t effect; /**< when it took effect last, 0: never */
	uint64_t executed; /**< when the back end was done with it last and well, 0: never */
	uint32_t sector;
	uint32_t n;
	uint32_t prev, next; /**< among those flying or loose, in order of submission */
	uint32_t life; /**< of its initiator */
	uint16_t execs;
	uint16_t reopens; /**< sessions opened while it was flying */
	uint8_t kind; /**< enum wire_cmd_op */
	uint8_t ini; /**< index of the initiator */
	uint8_t state; /**< enum sim_op_state */
	uint8_t errors; /**< 1: EIO, 2: ENOSPC given by the disk */
	bool fua;
	bool executing;
	bool aborted;
	bool closed; /**< its session was closed by its user */
	bool durable; /**< survives a power cut */
};

/** A value of a sector. */
struct sim_value {
	uint64_t first_end;
	uint64_t last_start;
	uint64_t last_effect; /**< latest possible effect, 0: the op's end says it */
	uint32_t op;
	uint32_t era; /**< power cut that left it as one of several; 0: none */
};

struct sim_values {
	struct sim_value *v;
	uint32_t n;
	uint32_t cap;
};

struct sim_register {
	struct sim_values live; /**< a read may return these, or must not and would be caught */
	struct sim_values old; /**< overwritten, but a power cut may bring them back */
	uint32_t prune_at; /**< forget some when there are so many live ones */
	uint32_t pinned; /**< the era whose survivor is known */
};

struct sim_oracle {
	struct sim_op op[ORACLE_MAX_OPS]; /**< 0 is not used */
	uint32_t nb_ops;
	uint32_t head; /**< of the list of those flying or loose */
	uint32_t tail;
	uint64_t stamp;
	uint64_t cut; /**< stamp of the last power cut */
	uint64_t kill; /**< stamp of the last kill of the target */
	uint64_t flush_started; /**< latest start among the flushes that ended well */
	uint64_t flush_acked; /**< submission of the latest flush that was answered */
	uint32_t era; /**< power cuts so far */
	uint32_t nb_unflushed;
	bool tracks_power; /**< power cuts happen in this run */
	uint32_t life[SIM_NODES];
	struct sim_register reg[SIM_MAX_SECTORS];
	uint32_t unflushed[ORACLE_MAX_OPS];
	uint64_t checks; /**< sectors judged */
};

struct sim_failure {
	bool failed;
	enum sim_criterion criterion;
	uint64_t at;
	char text[320];
};

extern const char *const sim_criterion_ids[CR_COUNT];
extern const char *const sim_criterion_names[CR_COUNT];
extern const char *const sim_criterion_texts[CR_COUNT];

/** Note the run's first violation. */
void sim_fail(struct world *w, enum sim_criterion c, const char *fmt, ...) MPN_PRINTF(3, 4);

void oracle_reset(struct world *w);
void oracle_free(struct sim_oracle *o);

/* What the users do and see. ini is the index of the initiator. */
uint32_t oracle_submit(struct world *w, uint8_t ini, const struct xfer_cmd *cmd);
void oracle_done(struct world *w, uint32_t id, int status, const void *data);
void oracle_opened(struct world *w, uint8_t ini);
void oracle_killed(struct world *w, uint8_t ini);

/* What the disk does. */
/** A command reaches the disk. @return the number of the write, 0 for reads and flushes */
uint32_t oracle_exec(struct world *w, const struct xfer_io *io, uint64_t *stamp);
void oracle_took_effect(struct world *w, uint32_t id);
void oracle_executed(struct world *w, uint32_t id, uint8_t kind, uint64_t started, int status);
void oracle_target_killed(struct world *w);
void oracle_power_cut(struct world *w);
/** Who wrote this value. */
uint32_t oracle_client(const struct world *w, uint32_t id);

/* Between the files of the oracle. */
bool oracle_changes(uint8_t kind);
bool
oracle_precedes(const struct sim_oracle *o, const struct sim_value *a, const struct sim_value *b);
struct sim_value *oracle_find(struct sim_values *vs, uint32_t id);
void oracle_add(struct sim_values *vs, const struct sim_value *v);
void oracle_remove(struct sim_values *vs, struct sim_value *v);
/** No two values may each come before the other. */
bool oracle_is_consistent(const struct sim_oracle *o, const struct sim_register *r,
	const struct sim_value *v, uint32_t *other);
void oracle_prune(struct sim_oracle *o, struct sim_register *r);
void oracle_check_read(struct world *w, uint32_t id, const void *data);
void oracle_flushed(struct world *w, const struct sim_op *flush);
void oracle_survived(struct sim_oracle *o, struct sim_register *r, uint32_t id);

#endif
