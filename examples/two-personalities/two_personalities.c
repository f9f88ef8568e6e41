/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* One port, two faces: it serves a volume, and is an ordinary interface, to this program. Whatever arrives
 * that is no storage is shown, until Ctrl-C.
 *
 *	two_personalities vhost:ebd0.sock 64M
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <mpnic/ebd_server.h>
#include <mpnic/mpn_net.h>
#include <mpnic/mpn_nic.h>

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	stop = sig;
}

/* Give the NIC a personality, and take it through its life. */
static struct mpn_personality *
add(struct mpn_nic *nic, const char *kind)
{
	struct mpn_personality *p;

	if (mpn_personality_define(nic, kind, NULL, &p) != 0 ||
		mpn_personality_load(p, NULL) != 0 || mpn_personality_start(p) != 0)
		return NULL;
	return p;
}

static void
show_frames(struct net_device *dev)
{
	struct rte_mbuf *mbufs[MPN_BURST];
	unsigned n = net_rx_burst(dev, mbufs, MPN_BURST), i;

	for (i = 0; i < n; i++) {
		const struct rte_ether_hdr *eth =
			rte_pktmbuf_mtod(mbufs[i], const struct rte_ether_hdr *);

		printf("frame of type 0x%04x, %" PRIu32 " bytes\n",
			rte_be_to_cpu_16(eth->ether_type), mbufs[i]->pkt_len);
		rte_pktmbuf_free(mbufs[i]);
	}
	if (n > 0)
		fflush(stdout);
}

/* Everything on this one thread: the NIC, the server on it, and the interface. */
static void
run(struct mpn_nic *nic, struct ebd_server *server, struct net_device *dev)
{
	struct mpn_idler idler;

	mpn_idler_init(&idler, MPN_IDLE_SLEEP);
	while (!stop) {
		unsigned work = mpn_nic_poll(nic) + ebd_server_poll(server);

		show_frames(dev);
		mpn_idler_round(&idler, work);
	}
}

int
main(int argc, char **argv)
{
	struct mpn_eal_conf eal = {.prog = "two", .link = argv[1], .lcore = -1};
	struct mpn_nic_conf conf = {.link = argv[1], .server = true};
	struct ebd_server *server = NULL;
	struct mpn_personality *net;
	struct mpn_nic *nic;
	char spec[64];
	int rc = EXIT_FAILURE;

	if (argc != 3) {
		printf("usage: %s LINK SIZE\n", argv[0]);
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	snprintf(spec, sizeof(spec), "mem:%s", argv[2]);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	if (mpn_eal_start(&eal) != 0)
		return EXIT_FAILURE;
	nic = mpn_nic_create(&conf);
	if (nic != NULL) /* the interface gets frames for other stations, too */
		mpn_nic_set_promiscuous(nic, true);
	net = nic != NULL && add(nic, "storage") != NULL ? add(nic, "net") : NULL;
	if (net != NULL)
		server = ebd_server_create(&(struct ebd_server_conf){0});
	if (server != NULL && ebd_server_nic_add(server, nic) == 0 &&
		ebd_export_add(server, "memory", spec) == 0) {
		puts("ready");
		fflush(stdout);
		run(nic, server, net_device_get(net));
		rc = EXIT_SUCCESS;
	}
	ebd_server_destroy(server);
	mpn_nic_destroy(nic);
	mpn_eal_stop();
	return rc;
}
