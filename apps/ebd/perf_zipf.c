/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <math.h>

#include "perf_load.h"

/* Terms that are added one by one; the rest of the sum is as good as an integral. */
#define EXACT_TERMS (1u << 20)

/* 1/1^theta + ... + 1/n^theta */
static double
sum_up(uint64_t n, double theta)
{
	uint64_t exact = n < EXACT_TERMS ? n : EXACT_TERMS, i;
	double sum = 0;

	for (i = 1; i <= exact; i++)
		sum += pow((double)i, -theta);
	if (n > exact)
		sum += (pow((double)n + 0.5, 1 - theta) - pow((double)exact + 0.5, 1 - theta)) /
		       (1 - theta);
	return sum;
}

static uint64_t
greatest_divisor(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

void
perf_zipf_init(struct perf_zipf *z, uint64_t n, double theta)
{
	z->theta = theta;
	z->n = n;
	z->alpha = 1 / (1 - theta);
	z->zeta = sum_up(n, theta);
	z->second = 1 + pow(0.5, theta);
	z->eta = (1 - pow(2.0 / (double)n, 1 - theta)) / (1 - z->second / z->zeta);
	/* Near the golden section, and without a common divisor: every block is reached. */
	z->step = (uint64_t)((double)n * 0.6180339887);
	while (z->step > 1 && greatest_divisor(z->step, n) != 1)
		z->step--;
	if (z->step == 0)
		z->step = 1;
}

uint64_t
perf_zipf_draw(const struct perf_zipf *z, uint64_t random)
{
	double u = (double)(random >> 11) / 9007199254740992.0; /* 2^53 */
	double uz = u * z->zeta;
	uint64_t rank;

	if (uz < 1 || z->n < 3)
		rank = z->n < 3 ? (uint64_t)(u * (double)z->n) : 0;
	else if (uz < z->second)
		rank = 1;
	else
		rank = (uint64_t)((double)z->n * pow(z->eta * u - z->eta + 1, z->alpha));
	if (rank >= z->n)
		rank = z->n - 1;
	return (uint64_t)((unsigned __int128)rank * z->step % z->n);
}
