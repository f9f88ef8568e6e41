/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* A personality in a shared object that goes wrong where its options say so. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "mpn_personality.h"

struct trial {
	bool no_start;
	bool stubborn; /* never quiet */
	bool echo; /* sends back what it gets: nothing goes wrong */
};

static int
deeper(volatile int *n)
{
	volatile char room[4096];
	int (*volatile self)(volatile int *) = deeper;

	room[0] = (char)++*n;
	return self(n) + room[0];
}

static int
load(struct mpn_personality *p, const void *args)
{
	return 0;
}

static int
load_text(struct mpn_personality *p, const char *options)
{
	struct trial *t = mpn_personality_priv(p);
	volatile int *volatile nowhere = NULL;
	volatile int n = 0;

	if (strcmp(options, "crash") == 0)
		*nowhere = 1;
	else if (strcmp(options, "abort") == 0)
		abort();
	else if (strcmp(options, "recurse") == 0)
		return deeper(&n);
	else if (strcmp(options, "fail") == 0)
		return -EIO;
	t->no_start = strcmp(options, "no-start") == 0;
	t->stubborn = strcmp(options, "stubborn") == 0;
	t->echo = strcmp(options, "echo") == 0;
	return 0;
}

static void
unload(struct mpn_personality *p)
{
}

static int
start(struct mpn_personality *p)
{
	return ((struct trial *)mpn_personality_priv(p))->no_start ? -EIO : 0;
}

static void
stop(struct mpn_personality *p)
{
}

static bool
quiet(struct mpn_personality *p)
{
	return !((struct trial *)mpn_personality_priv(p))->stubborn;
}

static void
rx_burst(struct mpn_personality *p, struct rte_mbuf **mbufs, unsigned n, uint64_t now_ns)
{
	unsigned sent = 0;

	if (((struct trial *)mpn_personality_priv(p))->echo) {
		struct mpn_nic_info info;

		mpn_nic_get_info(mpn_personality_nic(p), &info);
		for (unsigned i = 0; i < n; i++) {
			struct rte_ether_hdr *eth =
				rte_pktmbuf_mtod(mbufs[i], struct rte_ether_hdr *);

			eth->dst_addr = eth->src_addr;
			memcpy(&eth->src_addr, info.mac, sizeof(info.mac));
		}
		sent = mpn_flow_tx(p, mbufs, n);
	}
	rte_pktmbuf_free_bulk(&mbufs[sent], n - sent);
}

static unsigned
poll(struct mpn_personality *p, uint64_t now_ns)
{
	return 0;
}

#ifdef TRIAL_OPEN
__attribute__((constructor)) static void
crash_when_opened(void)
{
	abort();
}
#endif

static const uint16_t types[] = {0x88b6};

static const struct mpn_personality_ops trial_ops = {
#ifdef TRIAL_ABI
	.abi = MPN_ABI_VERSION + 1,
#else
	.abi = MPN_ABI_VERSION,
#endif
	.name = "trial",
	.kind = MPN_PERS_UNSOLICITED,
	.ethertypes = types,
	.nb_ethertypes = 1,
	.priv_size = sizeof(struct trial),
	.load = load,
	.load_text = load_text,
	.unload = unload,
	.start = start,
	.stop = stop,
	.quiet = quiet,
	.rx_burst = rx_burst,
#ifndef TRIAL_INCOMPLETE
	.poll = poll,
#endif
};
#ifdef TRIAL_NONE
extern const void *const trial_refers_to[];
__attribute__((visibility("default"))) const void *const trial_refers_to[] = {&trial_ops, poll};
#elif defined(TRIAL_INCOMPLETE)
extern const void *const trial_refers_to[];
const void *const trial_refers_to[] = {poll};
MPN_PERSONALITY_PLUGIN(trial_ops)
#else
MPN_PERSONALITY_PLUGIN(trial_ops)
#endif
