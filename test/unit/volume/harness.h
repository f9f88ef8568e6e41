/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* What the tests of lib/volume share: a folder of their own, the last log line, and an event loop. */

#ifndef VOLUME_HARNESS_H
#define VOLUME_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "volume.h"

/** Group fixtures: catch log lines, make and remove the folder. */
int harness_setup(void **state);
int harness_teardown(void **state);

/** Path of a file in the tests' folder; valid until the fourth call after it. */
const char *test_path(const char *name);
/** Make a file of size bytes in the folder, every byte being fill. @return its path */
const char *make_file(const char *name, uint64_t size, int fill);

/** Whether files in the folder take O_DIRECT. */
bool has_direct(void);

/** The last log line since log_clear(), "" without one; and how many there were. */
const char *log_line(void);
unsigned log_count(void);
void log_clear(void);

/** Open or fail the test. */
struct volume *must_open(const char *fmt, ...) MPN_PRINTF(1, 2);
/** Opening must fail with -err and exactly one log line that contains part. */
void must_refuse(int err, const char *part, const char *fmt, ...) MPN_PRINTF(3, 4);

/**
 * Wait as a server would: for vol_next_ns() or vol_fd(), then poll. Fails the test when nothing happens
 * for five seconds.
 */
void wait_and_poll(struct volume *v);

/** Run one request to its end. @return what vol_submit() refused with, or the status of done() */
int run_io(struct volume *v, enum vol_op op, unsigned flags, uint64_t off, void *buf, uint64_t len);

/** [off, off + len) reads as fill. */
void must_read(struct volume *v, uint64_t off, uint64_t len, int fill);
void must_write(struct volume *v, unsigned flags, uint64_t off, uint64_t len, int fill);

/** Say why a test does not run here, and skip it. */
#define SKIP_BECAUSE(...) \
	do { \
		print_message("SKIPPED: " __VA_ARGS__); \
		print_message("\n"); \
		skip(); \
	} while (0)

#endif
