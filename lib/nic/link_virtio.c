/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * vhost:PATH serves, virtio:PATH uses it.
 *
 * The vhost side owns the socket, so a user is connected as soon as it asks. When the vhost side dies
 * virtio_user cannot connect again by itself: the NIC unplugs it and plugs a new one in as soon as
 * somebody serves the socket. The other arrangement (virtio_user owns the socket, vhost connects)
 * needs no new device, but its users wait for vhost's retries, one a second, and for ever when nobody
 * comes. Unplugging also gives back every frame the dead peer could still have read.
 */

#include <stdio.h>
#include <sys/socket.h>

#include "link_side.h"

int
vhost_open(struct link *l)
{
	char args[LINK_ARG_LEN + 64];
	int rc = side_serve(l, SOCK_STREAM);

	if (rc < 0)
		return rc;
	(void)snprintf(args, sizeof(args), "iface=%s,queues=1,client=0", l->spec.arg);
	rc = link_plug(l, "net_vhost", args);
	if (rc < 0)
		side_close(l);
	return rc;
}

static int
plug_virtio(struct link *l)
{
	const struct link_side *s = l->priv;
	char args[LINK_ARG_LEN + 160];

	(void)snprintf(args, sizeof(args),
		"path=%s,queues=1,queue_size=%u,mrg_rxbuf=1,in_order=0,server=0,mac=%s",
		l->spec.arg, l->want.nb_rxd, s->mac);
	return link_try_plug(l, "net_virtio_user", args);
}

int
virtio_open(struct link *l)
{
	return side_use(l, SOCK_STREAM, plug_virtio);
}
