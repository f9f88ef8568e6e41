/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * From which size on is it cheaper to refer to a payload than to copy it? A burst of frames is made and
 * freed, of payload that is in the cache and of payload that is not; the fastest of many rounds is what
 * the work costs. Who reads the frame later (a driver, a peer) finds copied payload in the cache and
 * payload that was referred to where it was: the second table reads each payload once, too.
 *
 *	crossover [--quick]
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "dev_st.h"
#include "mpn_nic.h"

#define BURST 32
#define HDR 64
#define COLD_BYTES (128u << 20)
#define HOT_BYTES (64u << 10)
#define MAX_SIZE 8192

static const unsigned sizes[] = {64, 128, 256, 384, 512, 768, 1024, 1408, 2048, 4096, 8192};
#define NB_SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct field {
	struct rte_mempool *hdr, *ext, *big;
	struct rte_mbuf_ext_shared_info shinfo;
	uint8_t *memory;
	size_t bytes; /* used of it */
	size_t at;
	uint64_t sum; /* of what was read: nothing is left out by the compiler */
};

static void
never_free(void *addr, void *opaque)
{
}

static const uint8_t *
next_payload(struct field *f, unsigned size)
{
	/* A page and a line further each time: no prefetcher follows. */
	f->at = (f->at + 4096 + 64 + MAX_SIZE) % (f->bytes - MAX_SIZE);
	f->at &= ~63ull;
	return f->memory + f->at;
}

static void
make_copies(struct field *f, struct rte_mbuf **m, unsigned size)
{
	unsigned i;

	if (rte_pktmbuf_alloc_bulk(f->big, m, BURST) != 0)
		abort();
	for (i = 0; i < BURST; i++) {
		uint8_t *at = rte_pktmbuf_mtod(m[i], uint8_t *);

		memset(at, 1, HDR);
		memcpy(at + HDR, next_payload(f, size), size);
		m[i]->data_len = (uint16_t)(HDR + size);
		m[i]->pkt_len = HDR + size;
	}
}

static void
make_references(struct field *f, struct rte_mbuf **m, unsigned size)
{
	struct rte_mbuf *ext[BURST];
	unsigned i;

	if (rte_pktmbuf_alloc_bulk(f->hdr, m, BURST) != 0 ||
		rte_pktmbuf_alloc_bulk(f->ext, ext, BURST) != 0)
		abort();
	for (i = 0; i < BURST; i++) {
		void *payload = (void *)(uintptr_t)next_payload(f, size);

		memset(rte_pktmbuf_mtod(m[i], uint8_t *), 1, HDR);
		__atomic_fetch_add(&f->shinfo.refcnt, 1, __ATOMIC_RELAXED);
		rte_pktmbuf_attach_extbuf(ext[i], payload, (rte_iova_t)(uintptr_t)payload,
			(uint16_t)size, &f->shinfo);
		ext[i]->data_len = (uint16_t)size;
		m[i]->data_len = HDR;
		m[i]->pkt_len = HDR + size;
		m[i]->next = ext[i];
		m[i]->nb_segs = 2;
	}
}

/* What a driver that moves frames by CPU does with them. */
static void
read_frames(struct field *f, struct rte_mbuf **m)
{
	static uint8_t sink[MAX_SIZE + HDR];
	unsigned i;

	for (i = 0; i < BURST; i++) {
		const struct rte_mbuf *seg;
		unsigned at = 0;

		for (seg = m[i]; seg != NULL; seg = seg->next) {
			memcpy(sink + at, rte_pktmbuf_mtod(seg, void *), seg->data_len);
			at += seg->data_len;
		}
		f->sum += sink[at - 1];
	}
}

/* Cycles a frame, the fastest of the rounds. */
static double
measure(struct field *f, unsigned size, bool by_copy, bool with_reader, unsigned rounds)
{
	struct rte_mbuf *m[BURST];
	uint64_t best = UINT64_MAX, start, took;
	unsigned i;

	for (i = 0; i < rounds; i++) {
		start = rte_rdtsc_precise();
		if (by_copy)
			make_copies(f, m, size);
		else
			make_references(f, m, size);
		if (with_reader)
			read_frames(f, m);
		rte_pktmbuf_free_bulk(m, BURST);
		took = rte_rdtsc_precise() - start;
		best = took < best ? took : best;
	}
	return (double)best / BURST;
}

static void
print_part(struct field *f, bool with_reader, unsigned rounds)
{
	double v[4][NB_SIZES];
	static const char *const names[] = {
		"copy, in the cache", "refer, in the cache", "copy, cold", "refer, cold"};
	unsigned i, k;

	printf("\n%s\n\n| payload | copy | refer | copy, cold | refer, cold |\n"
	       "|---:|---:|---:|---:|---:|\n",
		with_reader ? "Cycles to make a frame, read it once, and free it:"
			    : "Cycles to make a frame and free it:");
	for (i = 0; i < NB_SIZES; i++) {
		for (k = 0; k < 4; k++) {
			f->bytes = k < 2 ? HOT_BYTES : COLD_BYTES;
			v[k][i] = measure(f, sizes[i], k % 2 == 0, with_reader, rounds);
		}
		printf("| %u | %.0f | %.0f | %.0f | %.0f |\n", sizes[i], v[0][i], v[1][i], v[2][i],
			v[3][i]);
	}
	printf("@plot crossover%s %s\ntitle %s\nxlog payload, bytes\nylog cycles a frame\n",
		with_reader ? "_read" : "", "cycles by size",
		with_reader ? "make, read, free" : "make, free");
	for (k = 0; k < 4; k++) {
		printf("series %s\n", names[k]);
		for (i = 0; i < NB_SIZES; i++)
			printf("%u %.1f\n", sizes[i], v[k][i]);
	}
	puts("@end");
}

int
main(int argc, char **argv)
{
	unsigned rounds = argc > 1 && strcmp(argv[1], "--quick") == 0 ? 500 : 5000;
	struct mpn_eal_conf conf = {
		.prog = "crossover", .link = "ring:x", .lcore = -1, .mem_mib = 256};
	static struct field f;

	if (mpn_eal_start(&conf) < 0)
		return 1;
	f.hdr = rte_pktmbuf_pool_create("hdr", 1023, 256, 0, RTE_PKTMBUF_HEADROOM + HDR, 0);
	f.ext = rte_pktmbuf_pool_create("ext", 1023, 256, 0, 0, 0);
	f.big = rte_pktmbuf_pool_create(
		"big", 1023, 256, 0, RTE_PKTMBUF_HEADROOM + HDR + MAX_SIZE, 0);
	f.memory = aligned_alloc(4096, COLD_BYTES);
	if (f.hdr == NULL || f.ext == NULL || f.big == NULL || f.memory == NULL) {
		puts("not enough memory");
		return 77;
	}
	memset(f.memory, 7, COLD_BYTES);
	f.shinfo.free_cb = never_free;
	rte_mbuf_ext_refcnt_set(&f.shinfo, 1);
	puts("mpnic refers to payloads of 512 bytes and more. The fastest of many bursts of 32.");
	print_part(&f, false, rounds);
	print_part(&f, true, rounds);
	free(f.memory);
	mpn_eal_stop();
	return 0;
}
