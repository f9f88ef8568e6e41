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
 * RTE_MAX_ETHPORTS) for each memif server that a process has ever had.
 */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_ether.h>

#include "eal_files.h"
#include "link_side.h"
#include "mpn_log.h"

#define MEMIF_LOG2_RING 10
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

/*
 * The driver knows sockets by the text of their path, those of servers that have ended, too: write it
 * in a way it has not met yet, with more slashes before the last part.
 */
static int
make_new_name(char path[SOCK_MAX_PATH])
{
	static atomic_uint served;
	unsigned more = atomic_fetch_add(&served, 1);
	char base[SOCK_MAX_PATH];
	size_t dir = (size_t)(strrchr(path, '/') - path);

	memcpy(base, path + dir + 1, strlen(path + dir + 1) + 1);
	while (dir > 0 && path[dir - 1] == '/')
		dir--;
	if (dir + 1 + more + strlen(base) >= SOCK_MAX_PATH)
		return -ENAMETOOLONG;
	memset(path + dir, '/', 1 + more);
	memcpy(path + dir + 1 + more, base, strlen(base) + 1);
	return 0;
}

static int
plug_memif(struct link *l)
{
	const struct link_side *s = l->priv;
	uint32_t frame = (uint32_t)l->max_mtu + RTE_ETHER_HDR_LEN;
	char args[LINK_ARG_LEN + 160], path[SOCK_MAX_PATH];
	int rc = make_absolute(l->spec.arg, path);

	if (rc == 0 && s->side == SOCK_SERVER)
		rc = make_new_name(path);
	if (rc < 0)
		return rc;
	(void)snprintf(args, sizeof(args),
		"id=0,role=%s,socket=%s,socket-abstract=no,bsize=%u,rsize=%u,mac=%s",
		s->side == SOCK_SERVER ? "server" : "client", path,
		rte_align32pow2(RTE_MAX(frame, 2048u)), MEMIF_LOG2_RING, s->mac);
	return link_try_plug(l, "net_memif", args);
}

int
memif_open(struct link *l)
{
	const char *role = link_opt(&l->spec, "role", l->want.server ? "server" : "client");
	char path[SOCK_MAX_PATH];
	int rc;

	rc = make_absolute(l->spec.arg, path);
	if (rc == -ENAMETOOLONG)
		return mpn_log_err(EINVAL, "nic",
			"link '%s': expected a path of at most %d characters, counted from /",
			l->spec.text, SOCK_MAX_PATH - 1);
	if (rc < 0)
		return mpn_log_err(-rc, "nic", "link '%s': no working directory: %s", l->spec.text,
			strerror(-rc));
	if (l->want.mtu + RTE_ETHER_HDR_LEN > MEMIF_MAX_FRAME)
		return mpn_log_err(EINVAL, "nic",
			"link '%s': the MTU cannot be %u; expected at most %u", l->spec.text,
			l->want.mtu, MEMIF_MAX_FRAME - RTE_ETHER_HDR_LEN);
	l->max_mtu = l->want.mtu != 0 ? l->want.mtu : link_usual_mtu(LINK_MAX_MTU);
	if (strcmp(role, "client") == 0)
		return side_use(l, SOCK_SEQPACKET, plug_memif);
	if (strcmp(role, "server") != 0)
		return mpn_log_err(EINVAL, "nic", "link '%s': role '%s': expected server or client",
			l->spec.text, role);
	rc = side_serve(l, SOCK_SEQPACKET);
	if (rc < 0)
		return rc;
	/* That would close the device, and the handler's memory go before its thread. */
	eal_skip_cleanup();
	rc = plug_memif(l);
	if (rc < 0) {
		side_close(l);
		return mpn_log_err(-rc, "nic", "link '%s': cannot make the socket: %s",
			l->spec.text, strerror(-rc));
	}
	return 0;
}

void
memif_unplug(struct link *l)
{
	const struct link_side *s = l->priv;

	if (s->side == SOCK_CLIENT) {
		side_unplug(l);
		return;
	}
	/* As if somebody else had made it: it stays. */
	l->plugged = false;
	link_unplug(l);
	(void)unlink(l->spec.arg);
}
