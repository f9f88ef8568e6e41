/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Drives a fuzz target without libFuzzer: replays files, or makes inputs from a seed.
 *
 *	fuzz_NAME FILE...            replay
 *	fuzz_NAME --random N [SEED]  N inputs; a failing one can be made again by its number
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpn_parse.h"

#define MAX_INPUT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t
next_random(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static int
run_random(uint64_t n, uint64_t seed)
{
	static uint8_t input[MAX_INPUT];
	uint64_t i, x;
	size_t k, len;

	for (i = 0; i < n; i++) {
		x = seed + i;
		len = next_random(&x) % (i % 8 ? 256 : MAX_INPUT);
		for (k = 0; k < len; k++)
			input[k] = (uint8_t)next_random(&x);
		(void)LLVMFuzzerTestOneInput(input, len);
	}
	printf("%llu inputs from seed %llu: no complaint\n", (unsigned long long)n,
		(unsigned long long)seed);
	return 0;
}

static int
run_file(const char *path)
{
	static uint8_t input[1 << 20];
	FILE *f = fopen(path, "rb");
	size_t len;

	if (f == NULL) {
		perror(path);
		return 1;
	}
	len = fread(input, 1, sizeof(input), f);
	fclose(f);
	(void)LLVMFuzzerTestOneInput(input, len);
	return 0;
}

int
main(int argc, char **argv)
{
	uint64_t n, seed = 1;
	int i, rc = 0;

	if (argc >= 3 && strcmp(argv[1], "--random") == 0) {
		if (mpn_parse_u64(argv[2], 1, UINT64_MAX, &n) != 0 ||
			(argc > 3 && mpn_parse_u64(argv[3], 0, UINT64_MAX, &seed) != 0)) {
			fprintf(stderr, "%s: --random N [SEED]: expected numbers\n", argv[0]);
			return 2;
		}
		return run_random(n, seed);
	}
	for (i = 1; i < argc; i++)
		rc |= run_file(argv[i]);
	return rc;
}
