/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* readonly: nobody writes through it, and the medium below is opened for reading only. */

#include "volume.h"
#include "volume_kinds.h"

static int
readonly_open(struct volume *v, const char *spec)
{
	char args[64];
	const char *lower = vol_split_filter(v, spec, args, sizeof(args));
	struct vol_info *info = vol_info_rw(v);
	int rc;

	if (lower == NULL)
		return -EINVAL;
	if (args[0] != '\0')
		return vol_bad_arg(v, "", args, "no arguments, readonly:SPEC");
	rc = vol_open_lower(v, lower, VOL_OPEN_RDONLY);
	if (rc != 0)
		return rc;
	info->caps &= VOL_CAP_ROTATIONAL;
	info->caps |= VOL_CAP_READONLY;
	return 0;
}

static int
readonly_submit(struct volume *v, struct vol_io *io)
{
	/* The layer has refused all that writes. */
	vol_pass(v, io);
	return 0;
}

static void *
readonly_map(struct volume *v, uint64_t off, uint64_t len)
{
	return vol_map(vol_lower(v), off, len);
}

const struct vol_ops vol_readonly_ops = {
	.name = "readonly",
	.synopsis = "readonly:SPEC",
	.help = "refuse writes; open the volume below for reading only",
	.filter = true,
	.open = readonly_open,
	.submit = readonly_submit,
	.find_size = vol_find_lower_size,
	.map = readonly_map,
};
