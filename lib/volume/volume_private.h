/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Between volume.c and spec.c: no back end or filter includes it. */

#ifndef VOLUME_PRIVATE_H
#define VOLUME_PRIVATE_H

#include "volume.h"

struct volume {
	const struct vol_ops *ops;
	void *priv; /* ops->priv_size bytes behind this structure */
	struct volume *upper; /* filter above, NULL at the top */
	struct volume *lower; /* NULL for a back end */
	struct vol_info info;
	struct vol_stats stats;
	struct mpn_list waiting; /* requests that found the back end full, oldest first */
	bool room; /* something completed since the back end was last found full */
	unsigned depth; /* filters above */
	unsigned open_flags;
	char *spec;
};

/* The kind spec starts with and what follows its ':'; NULL with errno EINVAL after a log line. */
const struct vol_ops *vol_find_kind(const char *spec, const char **args);

#endif
