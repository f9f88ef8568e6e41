/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Links that end in the kernel: tap:NAME makes an interface, af_packet:IFACE and af_xdp:IFACE share one.
 */

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include <rte_common.h>
#include <rte_ether.h>

#include "eal_log.h"
#include "link.h"
#include "mpn_log.h"

#define AF_PACKET_FRAMES 512
#define PAGE_BYTES 4096

/* ---- Interfaces ---- */

static int
check_iface_name(const struct link *l)
{
	if (strlen(l->spec.arg) >= IFNAMSIZ || strchr(l->spec.arg, '/') != NULL)
		return mpn_log_err(EINVAL, "nic",
			"link '%s': '%s': expected the name of an interface, at most %d characters",
			l->spec.text, l->spec.arg, IFNAMSIZ - 1);
	return 0;
}

/* The MTU of an interface that is there, or -errno. */
static int
read_mtu(const char *iface)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, iface, strnlen(iface, IFNAMSIZ - 1));
	rc = ioctl(fd, SIOCGIFMTU, &ifr) < 0 ? -errno : ifr.ifr_mtu;
	(void)close(fd);
	return rc;
}

/* Its carrier: the driver says up, always. An interface that has gone takes the device with it. */
bool
iface_is_up(struct link *l)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return false;
	memcpy(ifr.ifr_name, l->spec.arg, strnlen(l->spec.arg, IFNAMSIZ - 1));
	rc = ioctl(fd, SIOCGIFFLAGS, &ifr) < 0 ? -errno : 0;
	(void)close(fd);
	if (rc == -ENODEV && !atomic_exchange(&l->gone, true))
		atomic_store_explicit(l->dirty, true, memory_order_release);
	return rc == 0 && (ifr.ifr_flags & IFF_UP) && (ifr.ifr_flags & IFF_RUNNING);
}

/* The interface is somebody else's: its MTU is a bound, not ours to change. */
static int
bound_mtu(struct link *l)
{
	int rc = check_iface_name(l);
	int mtu;

	if (rc < 0)
		return rc;
	mtu = read_mtu(l->spec.arg);
	if (mtu < 0)
		return mpn_log_err(-mtu, "nic", "link '%s': interface %s: %s", l->spec.text,
			l->spec.arg, strerror(-mtu));
	if (l->want.mtu > mtu)
		return mpn_log_err(EINVAL, "nic",
			"link '%s': the MTU cannot be %u: that of %s is %d", l->spec.text,
			l->want.mtu, l->spec.arg, mtu);
	l->max_mtu = (uint16_t)RTE_MIN(mtu, LINK_MAX_MTU);
	return 0;
}

/* ---- tap ---- */

int
tap_open(struct link *l)
{
	char args[LINK_ARG_LEN + 16];
	int rc = check_iface_name(l);

	if (rc == 0)
		rc = link_read_queues(l, "0");
	if (rc < 0)
		return rc;
	(void)snprintf(args, sizeof(args), "iface=%s", l->spec.arg);
	return link_plug(l, "net_tap", args);
}

/* ---- af_packet ---- */

/*
 * Frame slots of the rings shared with the kernel. The driver takes slot i to be at i * framesz, so
 * blocks must hold a whole number of slots and be a whole number of pages; and it copies what the slot
 * holds, so the mbuf must have room for that.
 */
static void
size_slots(struct link *l, uint32_t mtu, uint32_t *framesz, uint32_t *blocksz)
{
	uint32_t size = RTE_ALIGN_CEIL(mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN + TPACKET_ALIGNMENT +
					       (uint32_t)TPACKET2_HDRLEN,
		256u);
	uint32_t block = size;

	while (block % PAGE_BYTES != 0)
		block += size;
	*framesz = size;
	*blocksz = block;
	l->frame_room = size - (uint32_t)TPACKET2_HDRLEN;
}

static int
plug_af_packet(struct link *l, int (*plug)(struct link *l, const char *driver, const char *args))
{
	char args[LINK_ARG_LEN + 96];
	uint32_t mtu, framesz, blocksz;

	mtu = l->want.mtu != 0 ? l->want.mtu : link_usual_mtu(l->max_mtu);
	size_slots(l, mtu, &framesz, &blocksz);
	(void)snprintf(args, sizeof(args), "iface=%s,qpairs=1,framesz=%u,blocksz=%u,framecnt=%u",
		l->spec.arg, framesz, blocksz, AF_PACKET_FRAMES);
	return plug(l, "net_af_packet", args);
}

int
af_packet_open(struct link *l)
{
	int rc = bound_mtu(l);

	l->can_replug = true;
	return rc < 0 ? rc : plug_af_packet(l, link_plug);
}

/* Only an interface that takes the same frames. */
static int
check_return(const struct link *l)
{
	int mtu = read_mtu(l->spec.arg);

	return mtu < 0 ? mtu : mtu < l->max_mtu ? -EMSGSIZE : 0;
}

int
af_packet_replug(struct link *l)
{
	int rc = check_return(l);

	if (rc < 0)
		return rc;
	eal_log_quiet(true);
	rc = plug_af_packet(l, link_try_plug);
	eal_log_quiet(false);
	return rc;
}

/* ---- af_xdp ---- */

/* The driver makes its sockets late, and says no more than that it does not work. */
static int
check_af_xdp(const struct link *l)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		(void)close(fd);
		return 0;
	}
	if (errno == EPERM || errno == EACCES)
		return mpn_log_err(EACCES, "nic", LINK_NEEDS_ROOT, l->spec.text, "af_xdp");
	return mpn_log_err(errno, "nic", "link '%s': the kernel has no AF_XDP sockets: %s",
		l->spec.text, strerror(errno));
}

static int
plug_af_xdp(struct link *l, int (*plug)(struct link *l, const char *driver, const char *args))
{
	char args[LINK_ARG_LEN + 48];

	(void)snprintf(args, sizeof(args), "iface=%s,start_queue=0,queue_count=1", l->spec.arg);
	return plug(l, "net_af_xdp", args);
}

int
af_xdp_open(struct link *l)
{
	int rc = check_af_xdp(l);

	if (rc == 0)
		rc = bound_mtu(l);
	if (rc < 0)
		return rc;
	/* The driver has a bound of its own: frames in one page. */
	l->max_mtu = 0;
	l->can_replug = true;
	return plug_af_xdp(l, link_plug);
}

int
af_xdp_replug(struct link *l)
{
	int rc = check_return(l);

	if (rc < 0)
		return rc;
	eal_log_quiet(true);
	rc = plug_af_xdp(l, link_try_plug);
	eal_log_quiet(false);
	return rc;
}
