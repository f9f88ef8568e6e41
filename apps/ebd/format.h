/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/** @file Identifiers and foreign text in the form people read. */

#ifndef FORMAT_H
#define FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "ebd.h"
#include "mpn_out.h"

/** Room for a MAC address as text. */
#define FORMAT_MAC_LEN 18

/** "02:00:00:00:00:01" into buf of FORMAT_MAC_LEN bytes. @return buf */
char *format_mac(char *buf, const uint8_t mac[6]);
/** s with everything a terminal could obey replaced by '?'. @return buf */
char *format_printable(char *buf, size_t size, const char *s);
/** What became of payload bytes, and where they were copied, as an object "payload". */
void format_payload(struct mpn_out *o, const struct ebd_stats *st);

#endif
