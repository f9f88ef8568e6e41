/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * What the host does to its interface: it changes the address, the MTU, takes it down, wants to see others' frames.
 * The kernel tells who listens (rtnetlink), in the network namespace where the interface is.
 */

#ifndef NET_WATCH_H
#define NET_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "net_iface.h"

/* The interface, as the host has it. */
struct net_host {
	bool up;
	bool promiscuous; /* also for a program that captures */
	bool allmulticast;
	uint8_t mac[6];
	uint32_t mtu;
};

struct net_watch {
	const struct net_iface *iface;
	int sock; /* below 0: nobody is listening */
	int index; /* of the interface; 0: not known yet */
	struct net_host host;
};

/* Begin to listen. What cannot be heard is not followed: no error. */
void net_watch_open(struct net_watch *w, const struct net_iface *iface);
void net_watch_close(struct net_watch *w);
/* What has happened since? True: something of the host's has changed. Never waits. */
bool net_watch_read(struct net_watch *w);
/* Give the interface another MTU. The kernel says so later. */
void net_watch_set_mtu(struct net_watch *w, uint32_t mtu);

#endif
