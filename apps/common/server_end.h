/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#ifndef SERVER_END_H
#define SERVER_END_H

#include "ebd_server.h"

/**
 * Destroy a server (NULL: nothing), but wait at most 5 s for back ends that hang: as long as requests may take at the end.
 * After that the program ends with status 1 and a line on stderr that begins with its name.
 */
void server_end(struct ebd_server *s, const char *prog);

#endif
