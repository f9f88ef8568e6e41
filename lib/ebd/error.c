/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "ebd_int.h"

const char *
ebd_version(void)
{
	return MPNIC_VERSION;
}

/* Everything on the control path that fails logs one line about it: that is the sentence. */
const char *
ebd_last_error(void)
{
	return mpn_log_last_error();
}
