/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The stages of a NIC on several lcores. Without a map everything of a NIC runs on the thread that calls
 * mpn_nic_poll(), its own thread. A map puts stages on other lcores, which poll them from then on; the flows
 * are the boundary, rings with one producer and one consumer:
 *
 *   rx (receive, classify) -> RX flow -> personality -> TX flow -> tx (schedule, transmit)
 *
 * The NIC's own thread goes on to call mpn_nic_poll(), for the stages that stay there, for the link, events
 * and telemetry. Only it calls the functions of the NIC.
 */

#ifndef MPN_MAP_H
#define MPN_MAP_H

#include "mpn_nic.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MPN_MAP_LEN 1536 /**< of a map as text, with its terminating zero */

/**
 * Spread the NIC. map is "STAGE=LCORE,...": a stage is `rx`, `tx`, or the name of a personality; one that is
 * defined, or the kind of one that will be. Stages that are not named run on the NIC's own thread. NULL or "":
 * all do, as without a map. Each map replaces the one before; traffic goes on.
 *
 * The lcores are the EAL's (-l, --lcores), which run nothing else; NICs may share them. A personality that has
 * been undefined is in the map no more.
 *
 * Under `prio-drr` the cycles of an lcore are shared by those that are there: one that has an lcore for
 * itself need not share, and what receiving or sending takes is paid by those on the lcore of `rx` or `tx`. What leaves
 * the port is shared as ever.
 * @return 0; after one logged line, with all as it was: -EINVAL: not a map; -ENOENT: no such stage; -ENODEV:
 *   no such lcore; -EBUSY: the main lcore, one that runs something else, a personality that is used by calls of this
 *   thread, a test mode, or not this thread; -EOPNOTSUPP: a link that receives in place, with `rx`, `tx` and storage on
 *   different lcores; -ENOMEM
 */
int mpn_nic_set_map(struct mpn_nic *nic, const char *map) MPN_MUST_CHECK;
/**
 * The same before personalities are defined: a stage may have any name, and is that of the personality which will be defined
 * with it. mpn_nic_check_map() tells afterwards whether all have come.
 * @return as mpn_nic_set_map(), but for -ENOENT
 */
int mpn_nic_plan_map(struct mpn_nic *nic, const char *map) MPN_MUST_CHECK;
/** Is there a stage for each name in the map of the NIC? 0, or -ENOENT after a logged line that names one. */
int mpn_nic_check_map(struct mpn_nic *nic) MPN_MUST_CHECK;
/** Is it a map as far as one can tell without a NIC? 0 or -EINVAL after a logged line */
int mpn_map_check(const char *map) MPN_MUST_CHECK;
/** The map of a NIC as text, "" when it has none. @return buf */
char *mpn_nic_get_map(const struct mpn_nic *nic, char *buf, size_t size);
/**
 * Print into an open object: `spread`, and for each lcore in `lcores` its stages, how many rounds it made, how
 * many found nothing, and the part of its time that the others took.
 */
void mpn_nic_print_map(struct mpn_nic *nic, struct mpn_out *o);

/**
 * Have the lcores of a spread NIC stand still between two rounds, until mpn_nic_release(); then everything of the NIC
 * may be looked at and changed as if it ran on this thread alone, and mpn_nic_poll() runs all stages here. May be
 * nested. Functions that change a NIC or a personality do so by themselves; use it around those that look at counters, at a
 * server, a device. Nothing happens without a map, and on an lcore of the map. Waits for at most one round.
 */
void mpn_nic_hold(struct mpn_nic *nic);
/** The other end of mpn_nic_hold(); without one nothing happens. */
void mpn_nic_release(struct mpn_nic *nic);

/**
 * What lcores of maps do when nothing arrives, default: MPN_IDLE_SPIN. Where they are more than the cores they are
 * on, they yield, whatever this says.
 */
void mpn_map_set_idle(enum mpn_idle policy);

#ifdef __cplusplus
}
#endif

#endif
