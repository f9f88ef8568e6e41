/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * An NBD server as a child: nbdkit, which is handed a listening socket, so that nobody has to wait until
 * it is there. One at a time.
 */

#ifndef NBD_SERVER_H
#define NBD_SERVER_H

#include <signal.h>

#include "harness.h"

/** Whether there is an nbdkit here. */
bool nbd_server_exists(void);
/** Path of the socket: the same all the time. */
const char *nbd_server_socket(void);
/** Start "nbdkit ARGS"; args are separated by blanks. */
void nbd_server_start(const char *args);
/** SIGKILL, SIGSTOP, SIGCONT, ... */
void nbd_server_signal(int signal);
/** End it and wait until it is gone. Nothing happens when there is none. */
void nbd_server_stop(void);

#endif
