/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* The built-in kinds. A table names them, and not constructors: a static link keeps what is named. */

#ifndef VOLUME_KINDS_H
#define VOLUME_KINDS_H

#include "volume.h"

extern const struct vol_ops vol_null_ops;
extern const struct vol_ops vol_mem_ops;
extern const struct vol_ops vol_file_ops;
extern const struct vol_ops vol_nbd_ops;
extern const struct vol_ops vol_rbd_ops;
extern const struct vol_ops vol_cow_ops;
extern const struct vol_ops vol_partition_ops;
extern const struct vol_ops vol_slice_ops;
extern const struct vol_ops vol_readonly_ops;
extern const struct vol_ops vol_error_ops;
extern const struct vol_ops vol_delay_ops;

#endif
