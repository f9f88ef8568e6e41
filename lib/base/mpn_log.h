/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Log lines of the control path. The data path never logs: it counts.
 */

#ifndef MPN_LOG_H
#define MPN_LOG_H

#include <stdarg.h>

#include "mpn_err.h"

enum mpn_log_level { MPN_LOG_ERR, MPN_LOG_WARN, MPN_LOG_INFO, MPN_LOG_DEBUG };

/** Takes one line without a newline. topic is the component ("nic", "volume", ...). */
typedef void (*mpn_log_sink)(enum mpn_log_level level, const char *topic, const char *line);

/** Send lines to sink; NULL: back to stderr. Not thread-safe: call it before threads start. */
void mpn_log_set_sink(mpn_log_sink sink);

/** Drop what is less important than level. The default is MPN_LOG_WARN. */
void mpn_log_set_level(enum mpn_log_level level);

/** Write one line. Thread-safe. At most 511 bytes; longer lines are cut. */
void mpn_log(enum mpn_log_level level, const char *topic, const char *fmt, ...) MPN_PRINTF(3, 4);

/** Log an error line and give -e with errno set: `return mpn_log_err(EIO, "nic", "...");`. */
int mpn_log_err(int e, const char *topic, const char *fmt, ...) MPN_PRINTF(3, 4);

/** The last error line of this thread, whether it was shown or not; "" when there was none. */
const char *mpn_log_last_error(void);

/** Another thread's last error is this thread's now; nothing is written. */
void mpn_log_adopt_error(const char *line);

#endif
