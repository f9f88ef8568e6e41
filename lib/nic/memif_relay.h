/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * The control socket of a memif link goes through here. When the peer has gone the driver (22.11) would unmap the
 * shared memory on the interrupt thread, whatever ours is just doing with it. So the driver has a socket of its own,
 * and does not hear that the peer has gone until its port is stopped, on the NIC's thread.
 *
 * All functions are for the NIC's thread.
 */

#ifndef MEMIF_RELAY_H
#define MEMIF_RELAY_H

#include <stdbool.h>

#include "link_socket.h"

#define MEMIF_RELAY_ROOM 8 /* characters of a server's path that must be left */

struct memif_relay;

/** Connect to the server at path. NULL with errno: as connect(2), ENOMEM */
struct memif_relay *memif_relay_use(const char *path);
/**
 * Listen at path, and make a place for the driver's socket. Clients wait until the driver has made it. NULL with errno:
 * EEXIST (there is something else), ENOMEM, as mkdir(2), bind(2)
 */
struct memif_relay *memif_relay_serve(const char *path);
/** Arguments of the driver that name its socket. */
const char *memif_relay_args(const struct memif_relay *r);
/** Carry what has come, and see who has gone. @return messages carried, and changes seen */
unsigned memif_relay_poll(struct memif_relay *r);
/** Both ends are there. */
bool memif_relay_is_up(const struct memif_relay *r);
/** The peer, or the driver, has gone: the port is to be stopped, and then this reset, or closed. */
bool memif_relay_is_lost(const struct memif_relay *r);
/** The driver's port has been stopped: a server waits for the next client. */
void memif_relay_reset(struct memif_relay *r);
/** What the driver has still said is passed on first. NULL is fine. */
void memif_relay_close(struct memif_relay *r);

#endif
