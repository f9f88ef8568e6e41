/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * memif:PATH. The client connects when its port starts and never again: the NIC plugs a new one in when
 * the server is back. The buffers hold a whole frame, whatever MTU the driver admits.
 *
 * A server's device is never closed. With the last device of a listening socket the driver frees what it
 * knows of the socket, but neither closes it nor takes its handler from the EAL's interrupt thread: a
 * client that is on its way in then is met out of freed memory, for as long as the process lives. So a
 * server that ends leaves its device stopped, its socket without a name, until the end of the process;
 * the next one on the same path gets a device and a socket of its own. That costs one port (of
 * RTE_MAX_ETHPORTS) for each memif server that a process has ever had. (Since memif_relay.c nobody but us
 * knows that socket; whether the device may be closed now has not been tried.)
 */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_ether.h>

#include "eal_files.h"
#include "link_side.h"
#include "memif_relay.h"
#include "mpn_log.h"

#define MEMIF_LOG2_RING 10
#define LOOK_NS 100000 /* at what ends say to each other, until they understand each other */
#define LOOK_UP_NS 1000000 /* and whether they are still there */
#define MEMIF_MAX_FRAME 32768 /* the driver keeps the size of a buffer in 16 bits */

/* The driver takes no path that starts at the working directory. */
static int
make_absolute(const char *name, char path[SOCK_MAX_PATH])
{
	char cwd[SOCK_MAX_PATH] = "";
	int n;

	if (name[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		return errno == ERANGE ? -ENAMETOOLONG : -errno;
	n = snprintf(path, SOCK_MAX_PATH, "%s%s%s", cwd, cwd[0] != '\0' ? "/" : "", name);
	return n < SOCK_MAX_PATH ? 0 : -ENAMETOOLONG;
}

static int
plug_driver(struct link *l, const struct memif_relay *relay)
{
	const struct link_side *s = l->priv;
	uint32_t frame = (uint32_t)l->max_mtu + RTE_ETHER_HDR_LEN;
	char args[LINK_ARG_LEN + 160];

	(void)snprintf(args, sizeof(args), "id=0,%s,bsize=%u,rsize=%u,mac=%s",
		memif_relay_args(relay), rte_align32pow2(RTE_MAX(frame, 2048u)), MEMIF_LOG2_RING,
		s->mac);
	return link_try_plug(l, "net_memif", args);
}

static void
end_relay(struct link *l)
{
	struct link_side *s = l->priv;

	memif_relay_close(s->priv);
	s->priv = NULL;
}

/* The driver makes its socket as it is plugged in. */
static int
plug_server(struct link *l, const char *path)
{
	struct link_side *s = l->priv;
	int rc;

	s->priv = memif_relay_serve(path);
	if (s->priv == NULL)
		return -errno;
	rc = plug_driver(l, s->priv);
	if (rc < 0)
		end_relay(l);
	return rc;
}

static int
plug_client(struct link *l)
{
	struct link_side *s = l->priv;
	char path[SOCK_MAX_PATH];
	int rc = make_absolute(l->spec.arg, path);

	if (rc < 0)
		return rc;
	s->priv = memif_relay_use(path);
	if (s->priv == NULL)
		return -errno;
	rc = plug_driver(l, s->priv);
	if (rc < 0)
		end_relay(l);
	return rc;
}

int
memif_open(struct link *l)
{
	const char *role = link_opt(&l->spec, "role", l->want.server ? "server" : "client");
	char path[SOCK_MAX_PATH];
	int rc;

	rc = make_absolute(l->spec.arg, path);
	if (rc == -ENAMETOOLONG || (rc == 0 && strlen(path) >= SOCK_MAX_PATH - MEMIF_RELAY_ROOM))
		return mpn_log_err(EINVAL, "nic",
			"link '%s': expected a path of at most %d characters, counted from /",
			l->spec.text, SOCK_MAX_PATH - MEMIF_RELAY_ROOM - 1);
	if (rc < 0)
		return mpn_log_err(-rc, "nic", "link '%s': no working directory: %s", l->spec.text,
			strerror(-rc));
	if (l->want.mtu + RTE_ETHER_HDR_LEN > MEMIF_MAX_FRAME)
		return mpn_log_err(EINVAL, "nic",
			"link '%s': the MTU cannot be %u; expected at most %u", l->spec.text,
			l->want.mtu, MEMIF_MAX_FRAME - RTE_ETHER_HDR_LEN);
	l->max_mtu = l->want.mtu != 0 ? l->want.mtu : link_usual_mtu(LINK_MAX_MTU);
	if (strcmp(role, "client") == 0)
		return side_use(l, SOCK_SEQPACKET, plug_client);
	if (strcmp(role, "server") != 0)
		return mpn_log_err(EINVAL, "nic", "link '%s': role '%s': expected server or client",
			l->spec.text, role);
	rc = side_serve(l, SOCK_SEQPACKET);
	if (rc < 0)
		return rc;
	/* That would close the device, and the handler's memory go before its thread. */
	eal_skip_cleanup();
	rc = plug_server(l, path);
	if (rc < 0) {
		side_close(l);
		return mpn_log_err(-rc, "nic", "link '%s': cannot make the socket: %s",
			l->spec.text, strerror(-rc));
	}
	return 0;
}

unsigned
memif_pump(
	struct link *l, MPN_UNUSED struct rte_mempool *pool, MPN_UNUSED bool alive, uint64_t now_ns)
{
	struct link_side *s = l->priv;
	struct memif_relay *relay = s->priv;
	unsigned n;

	if (mpn_likely(now_ns < s->next_look_ns) || relay == NULL || memif_relay_is_lost(relay))
		return 0;
	s->next_look_ns = now_ns + (link_driver_is_up(l) ? LOOK_UP_NS : LOOK_NS);
	n = memif_relay_poll(relay);
	if (memif_relay_is_lost(relay)) {
		/* It carries nothing any more: when the thread is done with what was carried, the driver is ours. */
		side_settle(l);
		l->wants_restart = s->side == SOCK_SERVER;
		atomic_store_explicit(l->dirty, true, memory_order_release);
	}
	return n;
}

bool
memif_is_up(struct link *l)
{
	const struct link_side *s = l->priv;

	return s->priv != NULL && memif_relay_is_up(s->priv) && link_driver_is_up(l);
}

void
memif_stopped(struct link *l)
{
	const struct link_side *s = l->priv;

	memif_relay_reset(s->priv);
}

void
memif_unplug(struct link *l)
{
	const struct link_side *s = l->priv;

	if (s->side == SOCK_CLIENT) {
		side_unplug(l);
		end_relay(l);
		return;
	}
	/* As if somebody else had made it: it stays. */
	l->plugged = false;
	link_unplug(l);
	end_relay(l);
}
