/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/**
 * @file
 * Random numbers of the simulator: xoshiro256** (Blackman, Vigna), one generator per purpose, each
 * seeded from (seed, stream), so that switching one fault off does not shift what the others draw.
 * Integers only: a seed means the same on every machine.
 */

#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

#define RNG_PPM 1000000u /**< probabilities are parts per million */

struct rng {
	uint64_t s[4];
};

static inline uint64_t
rng_splitmix(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline void
rng_seed(struct rng *r, uint64_t seed, uint64_t stream)
{
	uint64_t x = seed;
	unsigned i;

	x = rng_splitmix(&x) ^ stream * 0xd1342543de82ef95ull;
	for (i = 0; i < 4; i++)
		r->s[i] = rng_splitmix(&x);
}

static inline uint64_t
rng_rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static inline uint64_t
rng_next(struct rng *r)
{
	uint64_t *s = r->s;
	uint64_t out = rng_rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rng_rotl(s[3], 45);
	return out;
}

/** Uniform in [0, n), n >= 1. */
static inline uint32_t
rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

/** Uniform in [lo, hi]. */
static inline uint64_t
rng_range(struct rng *r, uint64_t lo, uint64_t hi)
{
	return lo + rng_next(r) % (hi - lo + 1);
}

static inline bool
rng_ppm(struct rng *r, uint32_t ppm)
{
	return rng_below(r, RNG_PPM) < ppm;
}

/** Every order of magnitude (base 2) in [lo, hi] alike, 1 <= lo <= hi. */
static inline uint64_t
rng_log(struct rng *r, uint64_t lo, uint64_t hi)
{
	unsigned octaves = 64 - (unsigned)__builtin_clzll(hi / lo);
	uint64_t from = lo << rng_below(r, octaves);
	uint64_t to = from * 2 - 1 < hi ? from * 2 - 1 : hi;

	return rng_range(r, from, to);
}

/** Exponential with the given mean; the logarithm is linear between powers of two. */
static inline uint64_t
rng_exp(struct rng *r, uint64_t mean)
{
	uint64_t u = rng_next(r) | 1;
	unsigned zeros = (unsigned)__builtin_clzll(u);
	uint64_t frac =
		zeros < 63 ? (u << (zeros + 1)) >> 48 : 0; /* 16 bits after the leading one */
	uint64_t log2_16 = ((uint64_t)(zeros + 1) << 16) - frac; /* -log2(u / 2^64), 16.16 */

	return (uint64_t)((unsigned __int128)mean * log2_16 * 45426 >>
			  32); /* ln 2 = 45426 / 65536 */
}

#endif
