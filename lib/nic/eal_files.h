/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Files of the EAL: where they may be, and how they go away again.
 */

#ifndef EAL_FILES_H
#define EAL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpn_err.h"

/* The prefix of our processes' files: followed by the process id. */
#define EAL_PREFIX "mpnic-"

/*
 * A mounted hugetlbfs we may write to whose pages have mib free.
 * @return false: there is none
 */
bool eal_find_hugepages(uint32_t mib, char *dir, size_t size);

/* Make sure that the EAL will find a directory for its run-time files that is ours. 0, -EACCES */
int eal_prepare_runtime_dir(void) MPN_MUST_CHECK;
/* Give the environment back as it was. */
void eal_restore_runtime_dir(void);

/* Remove what processes of ours left that were killed. */
void eal_remove_stale_files(void);
/*
 * Let mpn_eal_stop() leave the rest to the end of the process. For a driver that leaves something behind
 * which the EAL's own cleanup would stumble over.
 */
void eal_skip_cleanup(void);
/* Remove our own. */
void eal_remove_own_files(void);

#endif
