/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Drives a fuzz target without libFuzzer: replays files, or makes inputs from a seed or a corpus.
 *
 *	fuzz_NAME FILE...            replay
 *	fuzz_NAME --random N [SEED]  N inputs; a failing one can be made again by its number
 *	fuzz_NAME --around FOLDER    its files, each prefix of them, and each byte of them changed
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "mpn_parse.h"

#define INPUT_BYTES 4096

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
	static uint8_t input[INPUT_BYTES];
	uint64_t i, x;
	size_t k, len;

	for (i = 0; i < n; i++) {
		x = seed + i;
		len = next_random(&x) % (i % 8 ? 256 : INPUT_BYTES);
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

/* The input in memory of exactly its size, so that a sanitizer sees a step beyond it. */
static void
run_exactly(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void
run_around(uint8_t *data, size_t size)
{
	static const uint8_t changes[] = {0x01, 0x80, 0xff};
	size_t i, j;

	for (i = 0; i <= size; i++)
		run_exactly(data, i);
	for (i = 0; i < size; i++) {
		uint8_t old = data[i];

		for (j = 0; j < sizeof(changes); j++) {
			data[i] = old ^ changes[j];
			run_exactly(data, size);
		}
		data[i] = 0;
		run_exactly(data, size);
		data[i] = old;
	}
}

static int
run_folder(const char *path)
{
	static uint8_t input[INPUT_BYTES];
	DIR *d = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	if (d == NULL) {
		perror(path);
		return 1;
	}
	while ((e = readdir(d)) != NULL) {
		char name[1024];
		FILE *f;

		(void)snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		f = e->d_name[0] != '.' ? fopen(name, "rb") : NULL;
		if (f == NULL)
			continue;
		run_around(input, fread(input, 1, sizeof(input), f));
		fclose(f);
		n++;
	}
	closedir(d);
	printf("%u inputs of %s and around them: no complaint\n", n, path);
	return n == 0;
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
	if (argc == 3 && strcmp(argv[1], "--around") == 0)
		return run_folder(argv[2]);
	for (i = 1; i < argc; i++)
		rc |= run_file(argv[i]);
	return rc;
}
