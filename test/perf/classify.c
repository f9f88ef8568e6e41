/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Classifies frames, for classify.sh to count the instructions of it:
 *
 *	classify none|other|own BURSTS
 *
 * none: there are no VLANs. other: a second personality has one, and the frames are without a tag. own: the frames
 * are of that VLAN.
 */

#include <stdio.h>
#include <string.h>

#include "mpn_parse.h"
#include "nic_internal.h"

#define TYPE 0x88b5
#define BURST 16
#define FRAME_BYTES 128
#define VID 10

static unsigned nb_taken;

static int
do_nothing(struct mpn_personality *p, const void *args)
{
	return 0;
}

static int
start(struct mpn_personality *p)
{
	return 0;
}

static void
end(struct mpn_personality *p)
{
}

/* The frames stay the caller's. */
static void
take(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	nb_taken += n;
}

static unsigned
poll_nothing(struct mpn_personality *p, uint64_t now_ns)
{
	return 0;
}

static const uint16_t types[] = {TYPE};

static const struct mpn_personality_ops ops = {
	.abi = MPN_ABI_VERSION,
	.name = "taker",
	.kind = MPN_PERS_UNSOLICITED,
	.ethertypes = types,
	.nb_ethertypes = 1,
	.load = do_nothing,
	.unload = end,
	.start = start,
	.stop = end,
	.rx_burst = take,
	.poll = poll_nothing,
};
MPN_PERSONALITY_REGISTER(ops)

static bool
add(struct mpn_nic *nic, const char *name, uint16_t vid)
{
	const struct mpn_vlan vlan = {.vid = vid};
	struct mpn_personality *p;

	return mpn_personality_define(nic, "taker", name, &p) == 0 &&
	       mpn_personality_set_vlan(p, &vlan) == 0 && mpn_personality_load(p, NULL) == 0 &&
	       mpn_personality_start(p) == 0;
}

/* Each time anew: the tag of the last time has been taken off. */
static void
write_frame(struct rte_mbuf *m, bool tagged)
{
	static const uint8_t head[18] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 1,
		0x81, 0x00, 0x00, VID, TYPE >> 8, TYPE & 0xff};
	uint8_t *frame = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;

	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->data_len = FRAME_BYTES;
	m->pkt_len = FRAME_BYTES;
	for (unsigned i = 0; i < 12; i++)
		frame[i] = head[i];
	for (unsigned i = 0; i < (tagged ? 6u : 2u); i++)
		frame[12 + i] = head[(tagged ? 12 : 16) + i];
}

static int
run(struct mpn_nic *nic, bool tagged, uint64_t bursts)
{
	struct rte_mbuf *mbufs[BURST], *handed[BURST];

	if (rte_pktmbuf_alloc_bulk(mpn_nic_rx_pool(nic), mbufs, BURST) < 0)
		return 1;
	for (uint64_t b = 0; b < bursts; b++) {
		for (unsigned i = 0; i < BURST; i++)
			write_frame(handed[i] = mbufs[i], tagged);
		nic_take_burst(nic, handed, BURST);
		(void)mpn_nic_poll(nic);
	}
	rte_pktmbuf_free_bulk(mbufs, BURST);
	return nb_taken == bursts * BURST ? 0 : 1;
}

int
main(int argc, char **argv)
{
	const struct mpn_eal_conf eal = {
		.prog = "classify", .link = "ring:c", .no_huge = true, .lcore = -1};
	const struct mpn_nic_conf conf = {.link = "ring:c", .mtu = 1500};
	struct mpn_nic *nic;
	uint64_t bursts;
	bool own, other;
	int rc = 1;

	own = argc == 3 && strcmp(argv[1], "own") == 0;
	other = argc == 3 && strcmp(argv[1], "other") == 0;
	if (argc != 3 || (!own && !other && strcmp(argv[1], "none") != 0) ||
		mpn_parse_u64(argv[2], 1, 100000000, &bursts) < 0) {
		(void)fprintf(stderr, "classify: expected none, other or own, and a number\n");
		return 2;
	}
	if (mpn_eal_start(&eal) < 0)
		return 1;
	nic = mpn_nic_create(&conf);
	if (nic != NULL && add(nic, "plain", 0) && (!(own || other) || add(nic, "tagged", VID)))
		rc = run(nic, own, bursts);
	mpn_nic_destroy(nic);
	mpn_eal_stop();
	return rc;
}
