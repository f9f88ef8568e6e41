/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "net_watch.h"

#define MAX_MESSAGE 8192
#define MAX_READS 16 /* messages in one look */
#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif

/* ---- In which namespace ---- */

struct errand {
	int ns;
	int sock;
};

static int
open_here(void)
{
	struct sockaddr_nl at = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* A thread that stays there, and ends: a namespace belongs to a thread, a socket to its namespace. */
static void *
open_there(void *arg)
{
	struct errand *e = arg;

	e->sock = setns(e->ns, CLONE_NEWNET) == 0 ? open_here() : -1;
	return NULL;
}

static bool
is_here(int ns)
{
	struct stat there, here;

	return fstat(ns, &there) == 0 && stat("/proc/thread-self/ns/net", &here) == 0 &&
	       there.st_ino == here.st_ino && there.st_dev == here.st_dev;
}

static int
open_socket(const struct net_iface *iface)
{
	struct errand e = {.ns = ioctl(iface->fd, TUNGETDEVNETNS), .sock = -1};
	pthread_t thread;

	/* An old kernel does not say where it is: most likely it is where it was made. */
	if (e.ns < 0)
		return open_here();
	if (is_here(e.ns))
		e.sock = open_here();
	else if (pthread_create(&thread, NULL, open_there, &e) == 0)
		(void)pthread_join(thread, NULL);
	(void)close(e.ns);
	return e.sock;
}

/* ---- Asking ---- */

struct request {
	struct nlmsghdr head;
	struct ifinfomsg link;
	char room[64];
};

static void
add_attr(struct request *r, uint16_t type, const void *value, size_t len)
{
	struct rtattr *a = (struct rtattr *)(void *)((char *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), value, len);
	r->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->head.nlmsg_len) + RTA_LENGTH(len));
}

static struct request
make_request(uint16_t type)
{
	return (struct request){.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
					.nlmsg_type = type,
					.nlmsg_flags = NLM_F_REQUEST}};
}

/* By the name that it has now: it may have got another one. */
static void
ask(struct net_watch *w)
{
	struct request r = make_request(RTM_GETLINK);
	struct ifreq ifr = {0};

	w->index = 0;
	if (ioctl(w->iface->fd, TUNGETIFF, &ifr) < 0)
		return;
	add_attr(&r, IFLA_IFNAME, ifr.ifr_name, strnlen(ifr.ifr_name, IFNAMSIZ - 1) + 1);
	(void)send(w->sock, &r, r.head.nlmsg_len, MSG_DONTWAIT);
}

void
net_watch_set_mtu(struct net_watch *w, uint32_t mtu)
{
	struct request r = make_request(RTM_NEWLINK);

	if (w->sock < 0 || w->index == 0)
		return;
	r.link.ifi_index = w->index;
	add_attr(&r, IFLA_MTU, &mtu, sizeof(mtu));
	(void)send(w->sock, &r, r.head.nlmsg_len, MSG_DONTWAIT);
}

/* ---- Hearing ---- */

static void
read_attrs(struct net_host *host, struct ifinfomsg *link, int len)
{
	struct rtattr *a = IFLA_RTA(link);
	uint32_t v;

	host->up = (link->ifi_flags & IFF_UP) != 0;
	host->promiscuous = (link->ifi_flags & IFF_PROMISC) != 0;
	host->allmulticast = (link->ifi_flags & IFF_ALLMULTI) != 0;
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(a) == sizeof(host->mac))
			memcpy(host->mac, RTA_DATA(a), sizeof(host->mac));
		if (RTA_PAYLOAD(a) != sizeof(v))
			continue;
		memcpy(&v, RTA_DATA(a), sizeof(v));
		if (a->rta_type == IFLA_MTU)
			host->mtu = v;
		else if (a->rta_type == IFLA_PROMISCUITY)
			host->promiscuous |= v > 0;
	}
}

/* False: it has gone from where we listen. */
static bool
read_message(struct net_watch *w, struct nlmsghdr *head, uint32_t asked)
{
	struct ifinfomsg *link = NLMSG_DATA(head);

	if ((head->nlmsg_type != RTM_NEWLINK && head->nlmsg_type != RTM_DELLINK) ||
		head->nlmsg_len < NLMSG_LENGTH(sizeof(*link)))
		return true;
	/* What the bridge says of its ports is another thing. */
	if (link->ifi_family != AF_UNSPEC)
		return true;
	/* The answer to our question, and no news of somebody. */
	if (w->index == 0 && head->nlmsg_pid == asked && head->nlmsg_type == RTM_NEWLINK)
		w->index = link->ifi_index;
	if (w->index == 0 || link->ifi_index != w->index)
		return true;
	if (head->nlmsg_type == RTM_DELLINK)
		return false;
	read_attrs(&w->host, link, (int)IFLA_PAYLOAD(head));
	return true;
}

static uint32_t
port_of(int sock)
{
	struct sockaddr_nl at = {0};
	socklen_t len = sizeof(at);

	return getsockname(sock, (struct sockaddr *)&at, &len) == 0 ? at.nl_pid : 0;
}

static void
move(struct net_watch *w)
{
	const struct net_iface *iface = w->iface;
	struct net_host host = w->host;

	net_watch_close(w);
	net_watch_open(w, iface);
	w->host = host;
}

bool
net_watch_read(struct net_watch *w)
{
	_Alignas(struct nlmsghdr) char buf[MAX_MESSAGE];
	struct net_host before = w->host;
	uint32_t asked;

	if (w->sock < 0)
		return false;
	asked = port_of(w->sock);
	for (unsigned i = 0; i < MAX_READS; i++) {
		ssize_t got = recv(w->sock, buf, sizeof(buf), MSG_DONTWAIT);
		struct nlmsghdr *head = (void *)buf;
		int len = got < 0 ? 0 : (int)got;

		if (got < 0 && errno == ENOBUFS)
			ask(w);
		else if (got <= 0)
			break;
		for (; len > 0 && NLMSG_OK(head, (uint32_t)len); head = NLMSG_NEXT(head, len)) {
			if (!read_message(w, head, asked)) {
				move(w);
				return true;
			}
		}
	}
	return memcmp(&before, &w->host, sizeof(before)) != 0;
}

void
net_watch_open(struct net_watch *w, const struct net_iface *iface)
{
	*w = (struct net_watch){.iface = iface, .sock = open_socket(iface)};
	if (w->sock >= 0)
		ask(w);
}

void
net_watch_close(struct net_watch *w)
{
	if (w->iface != NULL && w->sock >= 0)
		(void)close(w->sock);
	w->sock = -1;
	w->iface = NULL;
}
