/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * The one error convention: an int is 0 or -errno; a pointer is NULL with errno set;
 * a burst returns how many it took.
 */

#ifndef MPN_ERR_H
#define MPN_ERR_H

#include <errno.h>
#include <stddef.h>

#define MPN_MUST_CHECK \
	__attribute__((warn_unused_result)) /**< the result of the function matters */
#define MPN_PRINTF(f, a) \
	__attribute__((format(printf, f, a))) /**< argument f is a format for those from a on */
#define MPN_UNUSED __attribute__((unused)) /**< may be unused */

#define mpn_likely(x) __builtin_expect(!!(x), 1) /**< for the compiler: x is true as a rule */
#define mpn_unlikely(x) __builtin_expect(!!(x), 0) /**< for the compiler: x is false as a rule */

#define MPN_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0])) /**< elements of an array */
#define MPN_MIN(a, b) ((a) < (b) ? (a) : (b)) /**< evaluates its arguments twice */
#define MPN_MAX(a, b) ((a) > (b) ? (a) : (b)) /**< evaluates its arguments twice */

/** From a pointer to a member to the structure around it. */
#define mpn_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/** Set errno and give -e: `return mpn_err(EINVAL);`. e is positive. */
static inline int
mpn_err(int e)
{
	errno = e;
	return -e;
}

/** Set errno and give NULL: `return mpn_err_null(ENOMEM);`. e is positive. */
static inline void *
mpn_err_null(int e)
{
	errno = e;
	return NULL;
}

#endif
